//! What can go wrong for good. What passes is waited for and tried again.

use std::path::PathBuf;
use thiserror::Error;

/// Why a policy on servers cannot be used, or cannot answer one request.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// An address that is none.
    #[error("{text:?} is no address of a server: {problem}; write http://HOST:PORT[/v1][#MODEL]")]
    Address {
        /// What was given.
        text: String,
        /// What is wrong with it.
        problem: String,
    },
    /// An option is out of its range.
    #[error(transparent)]
    Config(#[from] espalier_settings::OutOfRange),
    /// No server answered for as long as a start may take.
    #[error("no server answers: {0}")]
    Unreachable(String),
    /// A server refuses a request or all of them, or answers in a way that the tokens of a tree cannot be taken from.
    #[error("{url}: {problem}")]
    Server {
        /// Its base address.
        url: String,
        /// What it says, and what to do.
        problem: String,
    },
    /// A prompt that leaves no room for a single token.
    #[error("it has {tokens} tokens, but the server's context holds {context}; shorten it or choose another policy")]
    LongPrompt {
        /// The prompt's tokens.
        tokens: usize,
        /// Longest prefix and continuation together.
        context: usize,
    },
    /// A prompt that a server refuses because of its length, without having said before what fits.
    #[error("it has {tokens} tokens, which is too many for the server ({said}); shorten it or choose another policy")]
    NoRoom {
        /// The prompt's tokens.
        tokens: usize,
        /// What the server says.
        said: String,
    },
    /// Certificates that the environment names (`SSL_CERT_FILE`, `SSL_CERT_DIR`) cannot be read.
    #[error("the certificates of {} cannot be used: {problem}", path.display())]
    Trust {
        /// The file or the folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The tokenizer failed.
    #[error(transparent)]
    Tokenizer(#[from] espalier_tokenizer::TokenizerError),
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}
