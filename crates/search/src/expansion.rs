//! Expansion: from a policy's candidates to the steps that are added to the tree (algorithm, sections 2.3 and 2.4).

use crate::config::Prior;
use crate::error::SearchError;
use crate::request::Candidate;

/// Mean log-probabilities above 0 by rounding are let pass up to here, nats.
const LOGPROB_SLACK: f64 = 1e-3;

/// A candidate that becomes a step.
pub(crate) struct Kept {
    /// Its place among the candidates.
    pub index: usize,
    /// P.
    pub prior: f32,
    /// Candidates with its text, itself included.
    pub count: u32,
    /// Where in its text the step ends, bytes.
    pub end: u32,
    /// Its text up to its end without white space around it, as a range of the text.
    trimmed: (u32, u32),
}

/// The candidates that become steps, in their order, with their priors: of those whose texts are equal up to their `end`,
/// after trimming, only the first.
pub(crate) fn merge(
    candidates: &[Candidate],
    prior: Prior,
    end: impl Fn(&str) -> usize,
    kept: &mut Vec<Kept>,
) -> Result<(), SearchError> {
    kept.clear();
    for (index, candidate) in candidates.iter().enumerate() {
        let end = end(&candidate.text);
        let trimmed = candidate.text[..end].trim();
        let text_of = |one: &Kept| &candidates[one.index].text[one.trimmed.0 as usize..one.trimmed.1 as usize];
        if let Some(same) = kept.iter_mut().find(|one| text_of(one) == trimmed) {
            same.count += 1;
            continue;
        }
        let start = trimmed.as_ptr().addr() - candidate.text.as_ptr().addr();
        let trimmed = (start as u32, (start + trimmed.len()) as u32);
        kept.push(Kept { index, prior: mean_probability(candidate)?, count: 1, end: end as u32, trimmed });
    }
    if prior == Prior::Softmax {
        normalise(kept);
    }
    Ok(())
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
fn normalise(kept: &mut [Kept]) {
    let total: f64 = kept.iter().map(|one| f64::from(one.prior)).sum();
    if total > 0.0 {
        for one in kept {
            one.prior = (f64::from(one.prior) / total) as f32;
        }
    }
}
