//! What is said of a request and a prompt before any device sees them.

use crate::error::ModelPolicyError;
use espalier_search::{PolicyError, SamplingConfig, StepRequest, Wishes};
use espalier_tokenizer::Tokenizer;

/// Refuses a request that contradicts itself, or holds ids that a model of `vocab_size` tokens does not know.
pub(crate) fn check(request: &StepRequest<'_>, wishes: &Wishes, vocab_size: usize) -> Result<(), ModelPolicyError> {
    let problem = if request.prefix_ids.is_empty() {
        "its prefix has no tokens".to_owned()
    } else if request.step_ends.last().map(|&end| end as usize) != Some(request.prefix_ids.len()) {
        format!("step_ends {:?} do not end at the {} prefix tokens", request.step_ends, request.prefix_ids.len())
    } else if !request.step_ends.is_sorted() {
        format!("step_ends {:?} fall", request.step_ends)
    } else if let Some(id) = request.prefix_ids.iter().find(|&&id| id as usize >= vocab_size) {
        format!("token {id} is not among the model's {vocab_size}")
    } else if !(request.temperature >= 0.0 && request.temperature.is_finite()) {
        format!("temperature is {}, but must be 0 or above and finite", request.temperature)
    } else if let Some(first) = wishes.prefix.filter(|first| !(1..=request.prefix_ids.len()).contains(first)) {
        format!("its prefix is to be told from token {first} on, but has tokens 1 to {}", request.prefix_ids.len())
    } else if let Some(Err(error)) = wishes.sampling.as_ref().map(SamplingConfig::check) {
        error.to_string()
    } else {
        return Ok(());
    };
    Err(ModelPolicyError::Request { ticket: request.ticket, tree: request.tree, problem })
}

/// The tokens of a prompt that leaves room in a context of so many tokens.
pub(crate) fn tokenize(tokenizer: &Tokenizer, prompt: &str, context: Option<usize>) -> Result<Vec<u32>, PolicyError> {
    let ids = tokenizer.encode_prompt(prompt).map_err(ModelPolicyError::from)?;
    match context {
        Some(context) if ids.len() >= context => {
            Err(ModelPolicyError::LongPrompt { tokens: ids.len(), context }.into())
        }
        _ => Ok(ids),
    }
}
