//! Many prompts at once, one greedy answer each.

use crate::error::ModelPolicyError;
use crate::policy::ModelPolicy;
use espalier_search::{Policy, PolicyError, StepRequest, Unit};

/// Answers each prompt by the likeliest token at every place, to the end of the path ([`Unit::Path`]), with at most
/// `max_tokens` tokens each. The texts come in the order of the prompts; a prompt that fills the context gets an empty
/// one. `on_answer` is told how many are done.
///
/// ```text
///  prompts ─► requests, k = 1, temperature 0 ─► the batch of max_rows rows ─► texts
/// ```
///
/// # Errors
/// [`ModelPolicyError::Busy`] if requests are pending, else what the policy fails with.
pub fn generate(
    policy: &mut ModelPolicy,
    prompts: &[impl AsRef<str>],
    max_tokens: usize,
    mut on_answer: impl FnMut(usize),
) -> Result<Vec<String>, PolicyError> {
    if policy.pending() > 0 {
        return Err(ModelPolicyError::Busy(policy.pending()).into());
    }
    // Each prompt is a tree of its own. Counted from the top, so that the caller's trees keep what is cached of them.
    let tree_of = |ticket: u64| u64::MAX - ticket;
    for (ticket, prompt) in (0..).zip(prompts) {
        let prefix_ids = policy.tokenizer().encode(prompt.as_ref()).map_err(ModelPolicyError::from)?;
        policy.submit(StepRequest {
            ticket,
            tree: tree_of(ticket),
            step_ends: vec![prefix_ids.len() as u32].into(),
            prefix_ids: prefix_ids.into(),
            k: 1,
            max_tokens,
            unit: Unit::Path,
            temperature: 0.0,
            seed: 0,
            want_value: false,
        })?;
    }
    let mut texts = vec![String::new(); prompts.len()];
    let mut done = 0;
    while done < prompts.len() {
        for answer in policy.poll()? {
            policy.forget(tree_of(answer.ticket));
            if let Some(candidate) = answer.candidates.into_iter().next() {
                texts[answer.ticket as usize] = candidate.text;
            }
            done += 1;
        }
        on_answer(done);
    }
    Ok(texts)
}
