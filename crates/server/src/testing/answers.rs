//! The reading of servers' answers from bytes alone, without a server: what fuzzing and tests try it with.

use crate::call::{Failure, of_status, seconds};
use crate::handshake::{choose_model, read_completion, read_models};
use crate::tokens::TokenReader;
use espalier_tokenizer::Tokenizer;
use std::sync::Arc;
use ureq::http::StatusCode;

/// Reads answers as the policy does.
pub struct Answers {
    reader: TokenReader,
}

impl std::fmt::Debug for Answers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answers").finish_non_exhaustive()
    }
}

impl Answers {
    /// A reader of answers in the tokens of this tokenizer.
    pub fn new(tokenizer: Tokenizer) -> Answers {
        Answers { reader: TokenReader::new(Arc::new(tokenizer)) }
    }

    /// Whether the body of an answer to a request with these stop strings has tokens to take.
    pub fn completion(&self, body: &[u8], stops: &[String]) -> bool {
        let Ok(answer) = read_completion(body) else { return false };
        let Ok(tokens) = self.reader.read(&answer.choices[0], stops) else { return false };
        assert_eq!(tokens.ids.len(), tokens.logprobs.len());
        assert!(tokens.logprobs.iter().all(|logprob| logprob.is_finite()));
        true
    }

    /// Whether a list of models has the one that is wanted, or only one.
    pub fn models(body: &[u8], wanted: Option<&str>) -> bool {
        read_models(body).is_ok_and(|listed| choose_model(&listed, "http://server/v1", wanted).is_ok())
    }

    /// Whether an answer of this status, `Retry-After` and body says that another try is worth while.
    pub fn refusal(status: u16, retry_after: &str, body: &[u8]) -> bool {
        let Ok(status) = StatusCode::from_u16(status) else { return false };
        let failure = of_status(status, body, seconds(retry_after), None);
        assert!(failure.problem().contains(status.as_str()));
        matches!(failure, Failure::Passing { .. })
    }
}
