//! What can go wrong.

use espalier_model::ModelError;
use espalier_search::PolicyError;
use espalier_tokenizer::TokenizerError;
use thiserror::Error;

/// Why the policy cannot answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ModelPolicyError {
    /// An option is out of its range.
    #[error(transparent)]
    Config(#[from] espalier_settings::OutOfRange),
    /// A request contradicts itself; nothing of it was run.
    #[error("request {ticket} of tree {tree}: {problem}")]
    Request {
        /// The request's ticket.
        ticket: u64,
        /// Its tree.
        tree: u64,
        /// What is wrong, with the value.
        problem: String,
    },
    /// The model's logits are not numbers to sample from.
    #[error("request {ticket} of tree {tree}: the model's logits hold NaN or infinity; its weights are broken")]
    NotFinite {
        /// The request's ticket.
        ticket: u64,
        /// Its tree.
        tree: u64,
    },
    /// The tokenizer knows tokens that the model does not.
    #[error("the tokenizer has {tokenizer} ids, but the model's vocabulary only {model}; they belong to two models")]
    Vocabulary {
        /// One more than the tokenizer's highest id, added tokens aside.
        tokenizer: usize,
        /// The model's `vocab_size`.
        model: usize,
    },
    /// A prompt that leaves no room for a single token.
    #[error("it has {tokens} tokens, but the policy's context holds {context}; shorten it or choose another policy")]
    LongPrompt {
        /// The prompt's tokens.
        tokens: usize,
        /// Longest prefix and continuation together.
        context: usize,
    },
    /// The devices' models are no one policy, or are gone.
    #[error("the policy's devices: {problem}")]
    Devices {
        /// What is wrong.
        problem: String,
    },
    /// A text cannot be scored.
    #[error("text {index} cannot be scored: {problem}")]
    Text {
        /// Its place among the texts given.
        index: usize,
        /// What is wrong, with the value.
        problem: String,
    },
    /// A model that cannot value a state.
    #[error("it has no value head; take a folder of step-train verifier, or a policy with a value head")]
    NoValueHead,
    /// The model failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The tokenizer failed.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// LibTorch failed.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

impl From<ModelPolicyError> for PolicyError {
    fn from(error: ModelPolicyError) -> Self {
        match error {
            ModelPolicyError::NotFinite { tree, .. } | ModelPolicyError::Request { tree, .. } => {
                PolicyError::of_tree(tree, error)
            }
            error => PolicyError::new(error),
        }
    }
}
