//! From the runs of an experiment to a table with intervals.

use super::grid::Cell;
use crate::run::manifest::RoundManifest;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// What one run came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// The cell's name.
    pub cell: String,
    /// The run's seed.
    pub seed: u64,
    /// After each round, the warm start first.
    pub rounds: Vec<RoundPoint>,
}

/// A run after one of its rounds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RoundPoint {
    /// Accuracy on the trained families.
    pub in_domain: Option<f64>,
    /// Accuracy on other families.
    pub out_of_domain: Option<f64>,
    /// Share of the round's problems that the search solved.
    pub solved: Option<f64>,
    /// Tokens sampled into trees, of this round.
    pub sampled_tokens: u64,
    /// Tokens trained on, of this round.
    pub trained_tokens: u64,
    /// Optimiser steps of this round, those of the value head not counted.
    pub steps: u64,
    /// Seconds of this round.
    pub wall_s: f64,
}

impl RoundPoint {
    fn new(round: &RoundManifest) -> RoundPoint {
        let accuracy = |name: &str| {
            let group = round.eval.groups.iter().find(|group| group.name == name);
            group.map(|group| group.all.accuracy)
        };
        let changes = round.training.iter().filter(|(name, _)| *name != "value");
        RoundPoint {
            in_domain: accuracy("in_domain"),
            out_of_domain: accuracy("out_of_domain"),
            solved: round.search.as_ref().map(|search| search.solved as f64 / search.trees.max(1) as f64),
            sampled_tokens: round.sampled_tokens(),
            trained_tokens: round.trained_tokens(),
            steps: changes.map(|(_, trained)| trained.summary.steps).sum(),
            wall_s: round.wall_s(),
        }
    }
}

impl RunResult {
    /// From the manifests of a run's rounds, in order.
    pub(super) fn new(cell: &str, seed: u64, rounds: &[RoundManifest]) -> RunResult {
        RunResult { cell: cell.to_owned(), seed, rounds: rounds.iter().map(RoundPoint::new).collect() }
    }

    fn last(&self) -> Option<&RoundPoint> {
        self.rounds.last()
    }
}

/// Mean over seeds and half the width of its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// Mean.
    pub mean: f64,
    /// Student's t quantile times the standard error; `None` for a single seed.
    pub half: Option<f64>,
}

impl Estimate {
    /// From one number a seed; `None` without any.
    pub fn of(values: &[f64]) -> Option<Estimate> {
        let n = values.len() as f64;
        let mean = (!values.is_empty()).then(|| values.iter().sum::<f64>() / n)?;
        let half = StudentsT::new(0.0, 1.0, n - 1.0).ok().map(|student| {
            let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
            student.inverse_cdf(0.975) * (variance / n).sqrt()
        });
        Some(Estimate { mean, half })
    }
}

/// One cell, over all seeds that are done.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The cell.
    pub cell: String,
    /// Seeds.
    pub seeds: usize,
    /// Accuracy on the trained families after the last round.
    pub in_domain: Option<Estimate>,
    /// The same less that after the warm start, within a seed.
    pub gain: Option<Estimate>,
    /// The same less the baseline's after its last round, within a seed; `None` for the baseline.
    pub over_baseline: Option<Estimate>,
    /// Accuracy on other families after the last round.
    pub out_of_domain: Option<Estimate>,
    /// Accuracy on the trained families after each round, the warm start first.
    pub by_round: Vec<Option<Estimate>>,
    /// Mean number of tokens sampled into trees, of all rounds.
    pub sampled_tokens: f64,
    /// Mean number of tokens trained on, of the rounds behind the warm start.
    pub trained_tokens: f64,
    /// Mean number of optimiser steps, of the rounds behind the warm start.
    pub steps: f64,
    /// Mean seconds of the rounds behind the warm start.
    pub wall_s: f64,
}

/// A row for each cell that has results, in the order of the cells. The baseline of a cell is the `baseline` method at the same
/// point of the grid.
pub fn rows(cells: &[Cell], baseline: Option<&str>, results: &[RunResult]) -> Vec<Row> {
    let of = |cell: &Cell| results.iter().filter(|result| result.cell == cell.name).collect::<Vec<_>>();
    let row = |cell: &Cell| {
        let own = of(cell);
        let base = cells.iter().find(|other| Some(&*other.method) == baseline && other.point == cell.point);
        let base = base.filter(|base| base.name != cell.name).map(of).unwrap_or_default();
        let estimate = |value: &dyn Fn(&RunResult) -> Option<f64>| {
            Estimate::of(&own.iter().filter_map(|result| value(result)).collect::<Vec<_>>())
        };
        let end = |result: &RunResult| result.last()?.in_domain;
        let mean = |value: fn(&RoundPoint) -> f64| {
            let sums = own.iter().map(|result| result.rounds.iter().skip(1).map(value).sum::<f64>());
            sums.sum::<f64>() / own.len() as f64
        };
        let rounds = own.iter().map(|result| result.rounds.len()).max().unwrap_or(0);
        Row {
            cell: cell.name.clone(),
            seeds: own.len(),
            in_domain: estimate(&end),
            gain: estimate(&|result| Some(end(result)? - result.rounds.first()?.in_domain?)),
            over_baseline: estimate(&|result| {
                let base = base.iter().find(|base| base.seed == result.seed)?;
                Some(end(result)? - end(base)?)
            }),
            out_of_domain: estimate(&|result| result.last()?.out_of_domain),
            by_round: (0..rounds).map(|round| estimate(&|result| result.rounds.get(round)?.in_domain)).collect(),
            sampled_tokens: mean(|round| round.sampled_tokens as f64),
            trained_tokens: mean(|round| round.trained_tokens as f64),
            steps: mean(|round| round.steps as f64),
            wall_s: mean(|round| round.wall_s),
        }
    };
    cells.iter().filter(|cell| !of(cell).is_empty()).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;

    #[test]
    fn the_interval_is_students_t() {
        // n = 5: t(0.975, 4) = 2.776445; values 1..5 have mean 3, variance 2.5, standard error sqrt(0.5).
        let estimate = Estimate::of(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        assert!((estimate.mean - 3.0).abs() < 1e-12);
        assert!((estimate.half.unwrap() - 2.776_445 * 0.5f64.sqrt()).abs() < 1e-5, "{estimate:?}");
        assert_eq!(Estimate::of(&[0.5]), Some(Estimate { mean: 0.5, half: None }));
        assert_eq!(Estimate::of(&[]), None);
    }

    #[test]
    fn differences_are_taken_within_a_seed() {
        let cell = |name: &str| Cell {
            name: name.to_owned(),
            method: name.to_owned(),
            point: String::new(),
            config: RunConfig::default(),
        };
        let result = |cell: &str, seed, accuracies: [f64; 3]| RunResult {
            cell: cell.to_owned(),
            seed,
            rounds: accuracies
                .map(|accuracy| RoundPoint {
                    in_domain: Some(accuracy),
                    sampled_tokens: 10,
                    steps: 2,
                    ..RoundPoint::default()
                })
                .into(),
        };
        let results = [
            result("apo", 1, [0.1, 0.2, 0.3]),
            result("apo", 2, [0.5, 0.6, 0.7]),
            result("sft", 1, [0.1, 0.1, 0.2]),
            result("sft", 2, [0.5, 0.5, 0.6]),
        ];
        let rows = rows(&[cell("apo"), cell("none"), cell("sft")], Some("sft"), &results);
        assert_eq!(rows.iter().map(|row| row.cell.as_str()).collect::<Vec<_>>(), ["apo", "sft"]);
        // The same in both seeds, although the seeds differ widely.
        for (estimate, mean) in [(rows[0].over_baseline, 0.1), (rows[0].gain, 0.2), (rows[1].gain, 0.1)] {
            let estimate = estimate.unwrap();
            assert!((estimate.mean - mean).abs() < 1e-12 && estimate.half.unwrap() < 1e-9, "{estimate:?}");
        }
        assert_eq!((rows[1].over_baseline, rows[0].by_round.len()), (None, 3));
        assert!(rows[0].in_domain.unwrap().half.unwrap() > 1.0);
        assert!((rows[0].by_round[1].unwrap().mean - 0.4).abs() < 1e-12);
        // The warm start is not a method's own.
        assert_eq!((rows[0].sampled_tokens, rows[0].steps), (20.0, 4.0));
    }
}
