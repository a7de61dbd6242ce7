//! From graded samples to scores with intervals.

use crate::config::Method;
use crate::rerank::VerifierScore;
use crate::samples::Sample;
use crate::vote;
use espalier_files::seed_from;
use espalier_task::Problem;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Resampled sets of problems of which a bootstrap interval is made.
const RESAMPLES: usize = 2000;

/// The score of a group of problems.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupScore {
    /// The group.
    pub name: String,
    /// Accuracy over all its problems: of the one answer, or of the one that won the vote.
    pub all: Score,
    /// Accuracy by family, where problems have one.
    pub families: BTreeMap<String, Score>,
    /// Accuracy by number of steps, where problems state it.
    pub difficulties: BTreeMap<u32, Score>,
    /// Problems to which no answer was found.
    pub without_answer: usize,
    /// pass@k of sampled answers by k: the chance that k of them contain a right one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pass_at: BTreeMap<usize, Estimate>,
    /// majority@k of sampled answers by k: accuracy of the vote of the first k.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub majority_at: BTreeMap<usize, Score>,
    /// What a verifier makes of sampled answers, where one was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verifier: Option<VerifierScore>,
}

impl GroupScore {
    /// Scores the samples of each problem of a group.
    pub fn new(name: &str, problems: &[Problem], samples: &[Vec<Sample>], method: Method, seed: u64) -> GroupScore {
        let mut all = (0, 0);
        let mut families: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        let mut difficulties: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
        for (problem, samples) in problems.iter().zip(samples) {
            let correct = usize::from(samples.iter().any(|sample| sample.chosen && sample.correct));
            let add = |tally: &mut (usize, usize)| {
                tally.0 += correct;
                tally.1 += 1;
            };
            add(&mut all);
            if let Some(family) = &problem.family {
                add(families.entry(family.clone()).or_default());
            }
            if let Some(difficulty) = problem.difficulty {
                add(difficulties.entry(difficulty).or_default());
            }
        }
        let finish = |(correct, problems)| Score::new(correct, problems);
        let (mut pass_at, mut majority_at) = (BTreeMap::new(), BTreeMap::new());
        if method == Method::Sample {
            let most = samples.iter().map(Vec::len).max().unwrap_or(0);
            for k in powers(most) {
                let passes: Vec<f64> = samples.iter().map(|samples| pass_at_k(samples, k)).collect();
                pass_at.insert(k, Estimate::new(&passes, seed));
                let won = samples.iter().filter(|samples| {
                    let first = &samples[..k.min(samples.len())];
                    vote::winner(first).is_some_and(|winner| first[winner].correct)
                });
                majority_at.insert(k, Score::new(won.count(), problems.len()));
            }
        }
        GroupScore {
            name: name.to_owned(),
            all: finish(all),
            families: families.into_iter().map(|(name, tally)| (name, finish(tally))).collect(),
            difficulties: difficulties.into_iter().map(|(steps, tally)| (steps, finish(tally))).collect(),
            without_answer: samples.iter().filter(|samples| samples.iter().all(|s| s.answer.is_none())).count(),
            pass_at,
            majority_at,
            verifier: VerifierScore::new(samples, seed),
        }
    }
}

/// 1, 2, 4, .. below `most`, then `most`.
pub(crate) fn powers(most: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(1), |k| Some(2 * k)).take_while(move |&k| k < most).chain([most])
}

/// The chance that k of the n samples, drawn without replacement, contain a right one: 1 - C(n - c, k) / C(n, k), an
/// unbiased estimate (arXiv:2107.03374, equation 1).
fn pass_at_k(samples: &[Sample], k: usize) -> f64 {
    let n = samples.len();
    let wrong = samples.iter().filter(|sample| !sample.correct).count();
    let k = k.min(n);
    1.0 - (0..k).map(|drawn| wrong.saturating_sub(drawn) as f64 / (n - drawn) as f64).product::<f64>()
}

/// Correct answers out of a number of problems, with the Wilson 95 % interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Problems.
    pub problems: usize,
    /// Of them answered correctly.
    pub correct: usize,
    /// correct / problems.
    pub accuracy: f64,
    /// Lower bound of the 95 % interval.
    pub low: f64,
    /// Upper bound of the 95 % interval.
    pub high: f64,
}

impl Score {
    /// Wilson's score interval (1927), which holds its level at small numbers and at accuracies near 0 and 1.
    pub fn new(correct: usize, problems: usize) -> Score {
        if problems == 0 {
            return Score { high: 1.0, ..Score::default() };
        }
        const Z: f64 = 1.959_963_984_540_054;
        let n = problems as f64;
        let p = correct as f64 / n;
        let centre = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
        let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        Score { problems, correct, accuracy: p, low: (centre - half).max(0.0), high: (centre + half).min(1.0) }
    }
}

/// The mean over problems of a number that each has, with the 95 % interval of the bootstrap over problems.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Lower bound of the 95 % interval.
    pub low: f64,
    /// Upper bound of the 95 % interval.
    pub high: f64,
}

impl Estimate {
    /// The percentile bootstrap (Efron 1979); the same seed gives the same interval.
    pub fn new(values: &[f64], seed: u64) -> Estimate {
        if values.is_empty() {
            return Estimate::default();
        }
        let sums: Vec<[f64; 1]> = values.iter().map(|&value| [value]).collect();
        bootstrap(&sums, |[sum]| sum / values.len() as f64, seed)
    }
}

/// A statistic of the sums over problems of numbers that each has, with its interval.
pub(crate) fn bootstrap<const N: usize>(
    problems: &[[f64; N]],
    statistic: impl Fn([f64; N]) -> f64,
    seed: u64,
) -> Estimate {
    let n = problems.len();
    if n == 0 {
        return Estimate::default();
    }
    let sum_of = |chosen: &mut dyn Iterator<Item = usize>| {
        chosen.fold([0.0; N], |mut sums, at| {
            sums.iter_mut().zip(problems[at]).for_each(|(sum, number)| *sum += number);
            sums
        })
    };
    let mut generator = ChaCha8Rng::seed_from_u64(seed_from(&[&seed, &"bootstrap"]));
    let mut resampled: Vec<f64> = (0..RESAMPLES)
        .map(|_| statistic(sum_of(&mut (0..n).map(|_| (generator.next_u64() % n as u64) as usize))))
        .collect();
    resampled.sort_by(f64::total_cmp);
    let at = |share: f64| resampled[((RESAMPLES - 1) as f64 * share).round() as usize];
    Estimate { mean: statistic(sum_of(&mut (0..n))), low: at(0.025), high: at(0.975) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_interval_by_hand() {
        // n = 10, p = 0.5: centre 0.5, half = 1.96 / 1.38415 * sqrt(0.025 + 0.0096037) = 0.26340.
        let score = Score::new(5, 10);
        assert!((score.low - 0.236_59).abs() < 1e-4 && (score.high - 0.763_41).abs() < 1e-4, "{score:?}");
        // At p = 0 the lower bound is 0 and the upper z^2 / (n + z^2).
        let none = Score::new(0, 10);
        assert!(none.low.abs() < 1e-12 && (none.high - 3.841_459 / 13.841_459).abs() < 1e-6, "{none:?}");
    }

    fn samples(correct: &[bool]) -> Vec<Sample> {
        let answer = |&correct: &bool| if correct { "1" } else { "2" };
        let sample = |correct: &bool| Sample {
            correct: *correct,
            answer: Some(answer(correct).to_owned()),
            weight: 1.0,
            ..Sample::default()
        };
        correct.iter().map(sample).collect()
    }

    #[test]
    fn pass_at_k_is_the_share_of_subsets_with_a_right_answer() {
        for n in 1..=8_u32 {
            for right in 0..=n {
                let samples = samples(&(0..n).map(|index| index < right).collect::<Vec<_>>());
                for k in 1..=n {
                    // Every subset of k samples, as bits.
                    let subsets: Vec<u32> = (0..1_u32 << n).filter(|subset| subset.count_ones() == k).collect();
                    let passing = subsets.iter().filter(|&&subset| subset & ((1 << right) - 1) != 0).count();
                    let expected = passing as f64 / subsets.len() as f64;
                    let found = pass_at_k(&samples, k as usize);
                    assert!((found - expected).abs() < 1e-12, "{n} {right} {k}: {found} {expected}");
                }
            }
        }
        assert_eq!(pass_at_k(&[], 4), 0.0);
    }

    #[test]
    fn a_group_is_scored_by_hand() {
        let mut rows = vec![samples(&[true, false, false, false]), samples(&[true, true, true, false]), Vec::new()];
        rows[0][1].chosen = true;
        rows[1][0].chosen = true;
        let problem = |family: &str| Problem { family: Some(family.to_owned()), ..Problem::default() };
        let problems = [problem("a"), problem("b"), problem("b")];
        let score = GroupScore::new("g", &problems, &rows, Method::Sample, 0);
        assert_eq!((score.all.correct, score.all.problems, score.without_answer), (1, 3, 1));
        assert_eq!((score.families["a"].correct, score.families["b"].correct), (0, 1));
        assert_eq!(score.pass_at.keys().copied().collect::<Vec<_>>(), [1, 2, 4]);
        // (1/4 + 3/4 + 0) / 3; pass@4 is 1, 1, 0.
        assert!((score.pass_at[&1].mean - 1.0 / 3.0).abs() < 1e-12);
        assert!((score.pass_at[&4].mean - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!((score.majority_at[&1].correct, score.majority_at[&4].correct), (2, 1));
    }

    #[test]
    fn the_bootstrap_agrees_with_the_normal_interval() {
        // 1000 values, 300 of them 1: the standard error is sqrt(0.3 * 0.7 / 1000) = 0.01449.
        let values: Vec<f64> = (0..1000).map(|index| f64::from(u8::from(index % 10 < 3))).collect();
        let estimate = Estimate::new(&values, 1);
        assert!((estimate.mean - 0.3).abs() < 1e-12);
        assert!((estimate.low - (0.3 - 1.96 * 0.014_49)).abs() < 0.003, "{estimate:?}");
        assert!((estimate.high - (0.3 + 1.96 * 0.014_49)).abs() < 0.003, "{estimate:?}");
        assert_eq!(Estimate::new(&values, 1), estimate);
    }
}
