//! Which of several answers a verifier picks: the one that it scores highest, or the one that most of its scores vote for.

use crate::compare::Paired;
use crate::config::Aggregation;
use crate::samples::Sample;
use crate::score::{Score, powers};
use crate::vote;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The score of a path, in [0, 1], from the values in [-1, 1] of the states after its steps: each says that the path is
/// right with probability (1 + V) / 2. `None` for a path without steps.
pub fn path_score(values: &[f64], aggregation: Aggregation) -> Option<f64> {
    let chances: Vec<f64> = values.iter().map(|&value| f64::midpoint(1.0, value)).collect();
    let last = *chances.last()?;
    Some(match aggregation {
        Aggregation::Last => last,
        Aggregation::Min => chances.iter().copied().fold(last, f64::min),
        Aggregation::Mean => chances.iter().sum::<f64>() / chances.len() as f64,
        Aggregation::Product => chances.iter().product(),
    })
}

/// What a verifier makes of the samples of a group of problems.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerifierScore {
    /// reranked@k by k: accuracy of the answer with the highest score among the first k.
    pub reranked_at: BTreeMap<usize, Score>,
    /// weighted@k by k: accuracy of the vote of the first k, in which each counts its score.
    pub weighted_at: BTreeMap<usize, Score>,
    /// Of all samples: the majority against the answer with the highest score, problem by problem.
    pub reranked: Paired,
    /// Of all samples: the majority against the vote of the scores, problem by problem.
    pub weighted: Paired,
}

impl VerifierScore {
    /// Scores the samples of each problem; `None` if no verifier has scored any.
    pub(crate) fn new(samples: &[Vec<Sample>], seed: u64) -> Option<VerifierScore> {
        if samples.iter().flatten().all(|sample| sample.score.is_none()) {
            return None;
        }
        let right = |pick: fn(&[Sample]) -> Option<usize>, k: usize| -> Vec<bool> {
            let first = samples.iter().map(|samples| &samples[..k.min(samples.len())]);
            first.map(|first| pick(first).is_some_and(|at| first[at].correct)).collect()
        };
        let most = samples.iter().map(Vec::len).max().unwrap_or(0);
        let accuracy = |pick| {
            let score = |k| {
                let right = right(pick, k);
                Score::new(right.iter().filter(|&&right| right).count(), right.len())
            };
            powers(most).map(|k| (k, score(k))).collect()
        };
        let against = |pick| Paired::of(&right(vote::winner, most), &right(pick, most), seed);
        Some(VerifierScore {
            reranked_at: accuracy(best),
            weighted_at: accuracy(weighted),
            reranked: against(best),
            weighted: against(weighted),
        })
    }
}

/// The sample with an answer that has the highest score, the first of equals; one without a score is below all others.
fn best(samples: &[Sample]) -> Option<usize> {
    let answered = samples.iter().enumerate().filter(|(_, sample)| sample.answer.is_some());
    let scored = answered.map(|(at, sample)| (at, sample.score.unwrap_or(-1.0)));
    scored.reduce(|best, other| if other.1 > best.1 { other } else { best }).map(|(at, _)| at)
}

/// The winner of the vote in which each sample counts its score.
fn weighted(samples: &[Sample]) -> Option<usize> {
    vote::winner_by(samples, |sample| sample.score.unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GroupScore, Method};
    use espalier_task::Problem;

    #[test]
    fn a_path_is_as_good_as_its_steps() {
        // Chances 0.75, 0.25, 0.5.
        let values = [0.5, -0.5, 0.0];
        let score = |aggregation| path_score(&values, aggregation).unwrap();
        assert_eq!((score(Aggregation::Last), score(Aggregation::Min), score(Aggregation::Mean)), (0.5, 0.25, 0.5));
        assert_eq!(score(Aggregation::Product), 0.09375);
        assert_eq!(path_score(&[], Aggregation::Product), None);
    }

    /// An answer, whether it is right, and its score.
    fn samples(of: &[(&str, bool, f64)]) -> Vec<Sample> {
        let sample = |&(answer, correct, score): &(&str, bool, f64)| Sample {
            answer: (answer != "-").then(|| answer.to_owned()),
            correct,
            weight: 1.0,
            score: (score >= 0.0).then_some(score),
            ..Sample::default()
        };
        of.iter().map(sample).collect()
    }

    #[test]
    fn the_answer_of_the_highest_score_and_the_one_that_scores_vote_for() {
        let rows =
            samples(&[("-", false, 1.0), ("3", false, 0.5), ("4", true, 0.9), ("3", false, 0.5), ("5", false, -1.0)]);
        assert_eq!(best(&rows), Some(2), "no answer, no choice");
        assert_eq!(weighted(&rows), Some(1), "0.5 + 0.5 against 0.9");
        assert_eq!(best(&samples(&[("1", true, -1.0), ("2", true, 0.0)])), Some(1), "any score is above none");
        assert_eq!(best(&samples(&[("1", true, 0.4), ("2", true, 0.4)])), Some(0), "the first of equals");
        assert_eq!((best(&[]), weighted(&[])), (None, None));
    }

    #[test]
    fn a_verifier_is_compared_with_the_majority_problem_by_problem() {
        let mut rows = vec![
            // The majority is wrong, the best score is right, and so is their vote.
            samples(&[("3", false, 0.1), ("3", false, 0.1), ("4", true, 0.9), ("5", false, 0.2)]),
            // The majority is right, the best score is wrong, the vote of scores right.
            samples(&[("7", true, 0.5), ("7", true, 0.5), ("8", false, 0.6), ("9", false, 0.1)]),
            // All are right; one has fewer samples.
            samples(&[("1", true, 0.3), ("1", true, 0.2)]),
        ];
        let problems = [Problem::default(), Problem::default(), Problem::default()];
        let score = GroupScore::new("g", &problems, &rows, Method::Sample, 0);
        let found = score.verifier.unwrap();
        let correct = |at: &BTreeMap<usize, Score>| at.iter().map(|(&k, score)| (k, score.correct)).collect::<Vec<_>>();
        assert_eq!(correct(&found.reranked_at), [(1, 2), (2, 2), (4, 2)]);
        assert_eq!(correct(&found.weighted_at), [(1, 2), (2, 2), (4, 3)]);
        assert_eq!(score.majority_at[&4].correct, 2);
        assert_eq!((found.reranked.only_first, found.reranked.only_second), (1, 1));
        assert_eq!((found.weighted.only_first, found.weighted.only_second), (0, 1));
        assert!((found.weighted.difference.mean - 1.0 / 3.0).abs() < 1e-12);
        rows.iter_mut().flatten().for_each(|sample| sample.score = None);
        assert_eq!(GroupScore::new("g", &problems, &rows, Method::Sample, 0).verifier, None);
    }
}
