//! What can go wrong.

use espalier_files::FilesError;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a tokenizer cannot be made, loaded, saved or used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what its name says.
    #[error("{} is broken: {problem}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A file cannot be published.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The tokenizer's model cannot take a text, or cannot be trained.
    #[error("tokenizer: {0}")]
    Model(String),
    /// A special token without a character.
    #[error("tokenizer: a special token is empty")]
    EmptySpecialToken,
    /// A vocabulary without room for what must be in it.
    #[error("tokenizer: vocab_size is {vocab_size}, but special tokens and bytes alone are {smallest}")]
    VocabSize {
        /// Tokens wanted at most.
        vocab_size: usize,
        /// Tokens that there are in any case.
        smallest: usize,
    },
    /// A conversation is to be written out, and the folder does not say how.
    #[error("tokenizer: it has no chat template (chat_template in tokenizer_config.json, or chat_template.jinja)")]
    NoChatTemplate,
    /// The chat template cannot be read, refuses the messages, or asks for too much.
    #[error("the chat template of {}: {problem}", path.display())]
    ChatTemplate {
        /// The file it stands in.
        path: PathBuf,
        /// What it says.
        problem: String,
    },
}

impl TokenizerError {
    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> TokenizerError {
        move |source| TokenizerError::Read { path: path.to_owned(), source }
    }

    pub(crate) fn broken(path: &Path, problem: impl ToString) -> TokenizerError {
        TokenizerError::Broken { path: path.to_owned(), problem: problem.to_string() }
    }

    pub(crate) fn model(error: impl ToString) -> TokenizerError {
        TokenizerError::Model(error.to_string())
    }
}
