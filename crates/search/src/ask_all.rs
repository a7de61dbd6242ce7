//! Questions that have nothing to do with each other, answered by one policy.

use crate::policy::{Policy, PolicyError};
use crate::request::{Expansion, StepRequest};
use std::collections::HashSet;

/// Gets all requests answered, in whatever order: submits them, polls until nothing is pending, forgets each tree. Each
/// request is the only one of its tree, and nothing else is pending. `on_answer` gets the tree with its answer, or with
/// the reason why that request has none; the others go on.
///
/// ```
/// use espalier_search::fake::{FakePolicy, FakeTexts};
/// use espalier_search::{Policy, PolicyError, StepRequest, Stops, Unit, ask_all};
/// use std::borrow::Cow;
///
/// let (mut policy, stops) = (FakePolicy::new(FakeTexts::new(1)), Stops::default());
/// let prefix_ids = policy.tokenize("<question>What is 3 + 4?</question><plan>")?;
/// let requests = (0..3).map(|tree| StepRequest {
///     ticket: 0,
///     tree,
///     prefix_ids: prefix_ids.as_slice().into(),
///     step_ends: vec![prefix_ids.len() as u32].into(),
///     k: 1,
///     max_tokens: 100,
///     unit: Unit::Path,
///     stops: Cow::Borrowed(&stops),
///     temperature: 0.7,
///     seed: tree,
///     want_value: false,
/// });
/// let mut texts = Vec::new();
/// ask_all(&mut policy, requests, |tree, answer| {
///     texts.push((tree, answer?.candidates.remove(0).text));
///     Ok::<_, PolicyError>(())
/// })?;
/// assert_eq!(texts.len(), 3);
/// # Ok::<_, PolicyError>(())
/// ```
///
/// # Errors
/// What the policy fails with altogether, and what `on_answer` returns; requests may then be left pending.
pub fn ask_all<'a, E: From<PolicyError>>(
    policy: &mut (impl Policy + ?Sized),
    requests: impl IntoIterator<Item = StepRequest<'a>>,
    mut on_answer: impl FnMut(u64, Result<Expansion, PolicyError>) -> Result<(), E>,
) -> Result<(), E> {
    let mut waiting = HashSet::new();
    for request in requests {
        let tree = request.tree;
        match policy.submit(StepRequest { ticket: tree, ..request }) {
            Ok(()) => drop(waiting.insert(tree)),
            Err(error) if error.tree() == Some(tree) => on_answer(tree, Err(error))?,
            Err(error) => return Err(error.into()),
        }
    }
    while !waiting.is_empty() {
        let answers = match policy.poll() {
            Ok(answers) => answers,
            Err(error) => {
                let Some(tree) = error.tree().filter(|tree| waiting.remove(tree)) else { return Err(error.into()) };
                policy.forget(tree);
                on_answer(tree, Err(error))?;
                continue;
            }
        };
        if answers.is_empty() {
            let pending = waiting.len();
            return Err(PolicyError::new(format!("it gave no answer although {pending} requests are pending")).into());
        }
        for answer in answers {
            let tree = answer.ticket;
            if !waiting.remove(&tree) {
                return Err(PolicyError::new(format!("it answered request {tree}, which is not pending")).into());
            }
            policy.forget(tree);
            on_answer(tree, Ok(answer))?;
        }
    }
    Ok(())
}
