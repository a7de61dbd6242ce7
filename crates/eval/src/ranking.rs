//! How well values rank the steps that a search found better and worse, and whether they are what they say: chances.
//!
//! Intervals are 95 % and of the bootstrap over problems, since the states of one problem have much in common.

use crate::score::{Estimate, bootstrap};
use serde::{Deserialize, Serialize};

/// Upper ends of the bins of Q(better) - Q(worse), which lies in (0, 2].
const MARGINS: [f64; 4] = [0.5, 1.0, 1.5, 2.0];

/// Bins of the predicted chance, of equal width.
const CHANCES: usize = 10;

/// What a search found of a state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JudgedState {
    /// Its problem, counted from 0.
    pub problem: usize,
    /// Q of the step that led to it, in [-1, 1].
    pub q: f64,
    /// The share of right ones among the ends that were found at or below it, if some were.
    pub found: Option<f64>,
}

/// States, N of them, and the pairs of siblings among them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JudgedStates {
    /// Length N.
    pub states: Vec<JudgedState>,
    /// Places in `states` of the sibling with the higher Q and of the one with the lower.
    pub pairs: Vec<[usize; 2]>,
}

/// How well the values of some states agree with what a search found of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Pairs of siblings.
    pub pairs: usize,
    /// The share of them in which the better one has the higher value; equal values count half.
    pub ranked_right: Estimate,
    /// The same by Q(better) - Q(worse).
    pub by_margin: Vec<MarginBin>,
    /// Spearman's correlation of value and Q over all states.
    pub rank_correlation: Estimate,
    /// The chance (1 + V) / 2 of being right against what was found.
    pub calibration: Calibration,
}

/// The pairs of some margins.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MarginBin {
    /// The margins are above this.
    pub above: f64,
    /// The margins are at most this.
    pub up_to: f64,
    /// Pairs.
    pub pairs: usize,
    /// The share of them in which the better one has the higher value; equal values count half.
    pub ranked_right: Estimate,
}

/// Predicted chances against what was found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// States below which an end was found.
    pub states: usize,
    /// The expected calibration error (arXiv:1706.04599, equation 3): the mean over bins, by their states, of
    /// |predicted - found|.
    pub error: f64,
    /// The bins that hold states.
    pub bins: Vec<CalibrationBin>,
}

/// The states of like predicted chances.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// States.
    pub states: usize,
    /// The mean of their predicted chances.
    pub predicted: f64,
    /// The mean of their found shares.
    pub found: f64,
}

impl JudgedStates {
    /// Measures `values`, one a state, in [-1, 1]. The same seed gives the same intervals.
    ///
    /// # Panics
    /// When there are not N values.
    pub fn measure(&self, values: &[f64], seed: u64) -> Measured {
        assert_eq!(values.len(), self.states.len(), "a value for each state");
        let share = |fits: &dyn Fn(f64) -> bool| {
            let mut sums = vec![[0.0; 2]; self.problems()];
            let mut pairs = 0;
            for &pair in self.pairs.iter().filter(|&&pair| fits(self.margin(pair))) {
                let sum = &mut sums[self.states[pair[0]].problem];
                *sum = [sum[0] + rightness(values, pair), sum[1] + 1.0];
                pairs += 1;
            }
            (pairs, bootstrap(&sums, ratio, seed))
        };
        let (pairs, ranked_right) = share(&|_| true);
        let below = [0.0].into_iter().chain(MARGINS);
        let by_margin = below.zip(MARGINS).map(|(above, up_to)| {
            // Q is a float32 in some files; a margin of all is 2.
            let (pairs, ranked_right) = share(&|margin| margin > above && (margin <= up_to || up_to == 2.0));
            MarginBin { above, up_to, pairs, ranked_right }
        });
        Measured {
            pairs,
            ranked_right,
            by_margin: by_margin.collect(),
            rank_correlation: self.rank_correlation(values, seed),
            calibration: self.calibration(values),
        }
    }

    /// By how much the share of pairs that `second` ranks right is above that of `first`.
    ///
    /// # Panics
    /// When there are not N values of each.
    pub fn gain(&self, first: &[f64], second: &[f64], seed: u64) -> Estimate {
        assert_eq!([first.len(), second.len()], [self.states.len(); 2], "two values for each state");
        let mut sums = vec![[0.0; 2]; self.problems()];
        for &pair in &self.pairs {
            let sum = &mut sums[self.states[pair[0]].problem];
            *sum = [sum[0] + rightness(second, pair) - rightness(first, pair), sum[1] + 1.0];
        }
        bootstrap(&sums, ratio, seed)
    }

    /// Problems, those without states included.
    fn problems(&self) -> usize {
        self.states.iter().map(|state| state.problem + 1).max().unwrap_or(0)
    }

    fn margin(&self, [better, worse]: [usize; 2]) -> f64 {
        self.states[better].q - self.states[worse].q
    }

    /// The correlation of the ranks among all states. The interval keeps the ranks and draws problems.
    fn rank_correlation(&self, values: &[f64], seed: u64) -> Estimate {
        let q: Vec<f64> = self.states.iter().map(|state| state.q).collect();
        let mut sums = vec![[0.0; 6]; self.problems()];
        for ((state, x), y) in self.states.iter().zip(ranks(values)).zip(ranks(&q)) {
            let terms = [1.0, x, y, x * x, y * y, x * y];
            sums[state.problem].iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
        }
        bootstrap(&sums, correlation, seed)
    }

    fn calibration(&self, values: &[f64]) -> Calibration {
        let mut sums = [[0.0; 3]; CHANCES];
        for (state, value) in self.states.iter().zip(values) {
            let Some(found) = state.found else { continue };
            let chance = f64::midpoint(1.0, *value);
            let bin = &mut sums[((chance * CHANCES as f64) as usize).min(CHANCES - 1)];
            *bin = [bin[0] + 1.0, bin[1] + chance, bin[2] + found];
        }
        let filled = sums.iter().filter(|[states, ..]| *states > 0.0);
        let bin = |&[states, predicted, found]: &[f64; 3]| CalibrationBin {
            states: states as usize,
            predicted: predicted / states,
            found: found / states,
        };
        let bins: Vec<CalibrationBin> = filled.map(bin).collect();
        let states: usize = bins.iter().map(|bin| bin.states).sum();
        let off: f64 = bins.iter().map(|bin| bin.states as f64 * (bin.predicted - bin.found).abs()).sum();
        Calibration { states, error: off / states.max(1) as f64, bins }
    }
}

/// 1 if the better of a pair has the higher value, 1/2 if both have the same, else 0.
fn rightness(values: &[f64], [better, worse]: [usize; 2]) -> f64 {
    match values[better].total_cmp(&values[worse]) {
        std::cmp::Ordering::Greater => 1.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Less => 0.0,
    }
}

/// Sum and count to a mean; 0 of nothing.
fn ratio([sum, count]: [f64; 2]) -> f64 {
    if count > 0.0 { sum / count } else { 0.0 }
}

/// Pearson's correlation from n and the sums of x, y, x^2, y^2 and x y; 0 where one of them does not vary.
fn correlation([n, x, y, xx, yy, xy]: [f64; 6]) -> f64 {
    let (of_x, of_y) = (n * xx - x * x, n * yy - y * y);
    if of_x > 0.0 && of_y > 0.0 { (n * xy - x * y) / (of_x * of_y).sqrt() } else { 0.0 }
}

/// Each number's place in their order, from -1/2 to 1/2; equal ones have the mean of theirs.
fn ranks(numbers: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..numbers.len()).collect();
    order.sort_by(|&a, &b| numbers[a].total_cmp(&numbers[b]));
    let mut ranks = vec![0.0; numbers.len()];
    let n = numbers.len().max(1) as f64;
    let mut start = 0;
    for equal in order.chunk_by(|&a, &b| numbers[a] == numbers[b]) {
        let end = start + equal.len();
        let mean = f64::midpoint(start as f64, (end - 1) as f64);
        // Centred and scaled, so that sums of squares lose no digits.
        equal.iter().for_each(|&at| ranks[at] = (mean - (n - 1.0) / 2.0) / n);
        start = end;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    /// States of (problem, Q, found).
    fn states(of: &[(usize, f64, Option<f64>)], pairs: &[[usize; 2]]) -> JudgedStates {
        let states = of.iter().map(|&(problem, q, found)| JudgedState { problem, q, found });
        JudgedStates { states: states.collect(), pairs: pairs.to_vec() }
    }

    #[test]
    fn pairs_are_counted_by_hand() {
        let judged = states(
            &[(0, 0.9, None), (0, 0.5, None), (0, -1.0, None), (1, 1.0, None), (1, -1.0, None)],
            &[[0, 1], [0, 2], [1, 2], [3, 4]],
        );
        // Margins 0.4, 1.9, 1.5, 2.
        let measured = judged.measure(&[0.2, 0.3, 0.1, 0.5, 0.5], 0);
        assert_eq!((measured.pairs, measured.ranked_right.mean), (4, 2.5 / 4.0));
        let bins: Vec<_> = measured.by_margin.iter().map(|bin| (bin.pairs, bin.ranked_right.mean)).collect();
        assert_eq!(bins, [(1, 0.0), (0, 0.0), (1, 1.0), (2, 0.75)]);
        // Resampled problems are (0, 0), (0, 1), (1, 0) or (1, 1): shares 2/3, 2.5/4 and 1/2.
        let Estimate { low, high, .. } = measured.ranked_right;
        assert_eq!((low, high), (0.5, 2.0 / 3.0));
        let gain = judged.gain(&[0.2, 0.3, 0.1, 0.5, 0.5], &[0.4, 0.3, 0.1, 0.6, 0.5], 0);
        assert_eq!(gain.mean, 1.5 / 4.0);
    }

    #[test]
    fn the_rank_correlation_is_spearmans() {
        let q = [0.3, -0.2, 0.9, 0.9, -1.0, 0.0, 0.3];
        let values = [0.1, 0.4, 0.8, -0.3, -0.9, 0.2, 0.2];
        let all: Vec<_> = q.iter().enumerate().map(|(problem, &q)| (problem, q, None)).collect();
        let found = states(&all, &[]).measure(&values, 0).rank_correlation;
        // By Python, from the mean ranks of equal numbers.
        assert!((found.mean - 0.247_716_847_153_431_23).abs() < 1e-12, "{found:?}");
        assert!(found.low < found.mean && found.high > found.mean);
        // A rising function of Q has the correlation 1 in every resample that varies.
        let all: Vec<_> = (0..50).map(|problem| (problem, problem as f64 / 50.0, None)).collect();
        let values: Vec<f64> = (0..50).map(|at| (f64::from(at) / 50.0).powi(3)).collect();
        let found = states(&all, &[]).measure(&values, 0).rank_correlation;
        assert!((found.low - 1.0).abs() < 1e-12 && (found.mean - 1.0).abs() < 1e-12, "{found:?}");
        assert_eq!(states(&all, &[]).measure(&[0.5; 50], 0).rank_correlation.mean, 0.0);
    }

    #[test]
    fn calibration_is_the_distance_of_chances_from_shares() {
        let judged = states(&[(0, 0.0, Some(1.0)), (0, 0.0, Some(0.0)), (1, 0.0, Some(1.0)), (1, 0.0, None)], &[]);
        // Chances 0.92, 0.98, 0.25 and one that nothing is known of.
        let found = judged.measure(&[0.84, 0.96, -0.5, 1.0], 0).calibration;
        assert_eq!((found.states, found.bins.len()), (3, 2));
        let expected = (2.0 * (0.95_f64 - 0.5).abs() + (0.25_f64 - 1.0).abs()) / 3.0;
        assert!((found.error - expected).abs() < 1e-12, "{found:?}");
        assert_eq!(judged.measure(&[-1.0, 1.0, 1.0, 1.0], 0).calibration.bins.len(), 2, "the ends have bins");
        assert_eq!(JudgedStates::default().measure(&[], 0).calibration.error, 0.0);
    }
}
