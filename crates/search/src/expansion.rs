//! Expansion: from a policy's candidates to the steps that are added to the tree (algorithm, sections 2.3 and 2.4).

use crate::config::{Prior, SearchConfig};
use crate::error::SearchError;
use crate::judge::{Judge, Verdict};
use crate::policy::{Candidate, Finish};
use espalier_tree::{Ending, NewNode, TreeInfo};

/// Mean log-probabilities above 0 by rounding are let pass up to here, nats.
const LOGPROB_SLACK: f64 = 1e-3;

/// Turns candidates into steps at `depth`, in their order; of candidates whose texts are equal after trimming only the
/// first is kept. Appends to `steps`, which is empty.
pub(crate) fn steps_from(
    candidates: Vec<Candidate>,
    depth: u16,
    config: &SearchConfig,
    info: &TreeInfo,
    judge: &(impl Judge + ?Sized),
    steps: &mut Vec<NewNode>,
) -> Result<(), SearchError> {
    for candidate in candidates {
        let text = candidate.text.trim();
        if steps.iter().any(|step| step.text.trim() == text) {
            continue;
        }
        let prior = mean_probability(&candidate)?;
        let Verdict { kind, ending, answer } = judge.judge(info, &candidate.text);
        let ending = match (candidate.finish, ending) {
            // Whatever the text looks like, its end is missing.
            (Finish::Length, _) => Ending::Length,
            (Finish::Stop, Ending::None) if depth > config.max_depth => Ending::TooDeep,
            (Finish::Stop, ending) => ending,
        };
        let reward = ending.has_reward().then(|| reward_of(ending));
        let Candidate { text, token_ids, logprobs, .. } = candidate;
        steps.push(NewNode { kind, text, token_ids, logprobs, prior, ending, reward, answer });
    }
    if config.prior == Prior::Softmax {
        normalise(steps);
    }
    Ok(())
}

/// +1 for a correct answer, -1 for any other end of a path.
pub(crate) fn reward_of(ending: Ending) -> f32 {
    if ending == Ending::Correct { 1.0 } else { -1.0 }
}

/// P = exp(mean token log-probability); 0 for a candidate that has no token.
fn mean_probability(candidate: &Candidate) -> Result<f32, SearchError> {
    let (tokens, logprobs) = (candidate.token_ids.len(), candidate.logprobs.len());
    if tokens != logprobs {
        return Err(SearchError::Lengths { tokens, logprobs });
    }
    if tokens == 0 {
        return Ok(0.0);
    }
    let mean = candidate.logprobs.iter().copied().map(f64::from).sum::<f64>() / tokens as f64;
    if mean.is_nan() || mean > LOGPROB_SLACK {
        return Err(SearchError::Logprob { mean });
    }
    Ok(mean.exp() as f32)
}

/// Softmax over the siblings, `exp(x_i) / sum exp(x_j)`; the exponentials are there already. Siblings that are all impossible
/// stay so.
fn normalise(steps: &mut [NewNode]) {
    let total: f64 = steps.iter().map(|step| f64::from(step.prior)).sum();
    if total > 0.0 {
        for step in steps {
            step.prior = (f64::from(step.prior) / total) as f32;
        }
    }
}
