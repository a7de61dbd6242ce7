//! From the results of blocks to a table with intervals.

use super::method::Method;
use crate::stage::eval::EvalReport;
use espalier_settings::Choice;
use espalier_task::Granularity;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// `methods/NAME/manifest.json`: one method in one block.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MethodResult {
    /// The method.
    pub method: Method,
    /// What one step is.
    pub granularity: Granularity,
    /// Seed of the block.
    pub seed: u64,
    /// Examples of the method's own training: paths or pairs.
    pub examples: usize,
    /// Tokens of the method's own training.
    pub trained_tokens: u64,
    /// Tokens sampled into the trees that it learns from.
    pub sampled_tokens: u64,
    /// Seconds of the method's own training.
    pub wall_s: f64,
    /// The score.
    pub eval: EvalReport,
}

impl MethodResult {
    fn accuracy(&self, group: &str) -> Option<f64> {
        self.eval.groups.iter().find(|scored| scored.name == group).map(|scored| scored.all.accuracy)
    }
}

/// Mean over blocks and half the width of its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// Mean.
    pub mean: f64,
    /// Student's t quantile times the standard error; `None` for a single block.
    pub half: Option<f64>,
}

impl Estimate {
    /// From one number a block; `None` without any.
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

/// One method at one granularity, over all blocks.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What one step is.
    pub granularity: Granularity,
    /// The method.
    pub method: Method,
    /// Blocks.
    pub blocks: usize,
    /// Accuracy on the trained families.
    pub in_domain: Option<Estimate>,
    /// The same less that of `sft` in the same block.
    pub gain: Option<Estimate>,
    /// The same less that of `rejection_sft` in the same block.
    pub gain_on_rejection: Option<Estimate>,
    /// Accuracy on other families.
    pub out_of_domain: Option<Estimate>,
    /// Mean number of examples.
    pub examples: f64,
    /// Mean number of tokens sampled and trained on.
    pub tokens: f64,
    /// Mean seconds of training.
    pub wall_s: f64,
}

/// A row for each granularity and method that has results.
pub fn rows(results: &[MethodResult]) -> Vec<Row> {
    let mut rows = Vec::new();
    for granularity in [Granularity::Plan, Granularity::Step] {
        for method in Method::values() {
            let of = |wanted: Method| -> Vec<&MethodResult> {
                let matches = |result: &&MethodResult| (result.method, result.granularity) == (wanted, granularity);
                results.iter().filter(matches).collect()
            };
            let own = of(method);
            if own.is_empty() {
                continue;
            }
            let accuracy =
                |group: &str| Estimate::of(&own.iter().filter_map(|result| result.accuracy(group)).collect::<Vec<_>>());
            let gain_over = |base: Method| {
                let bases = of(base);
                let gains = own.iter().filter_map(|result| {
                    let base = bases.iter().find(|base| base.seed == result.seed)?;
                    Some(result.accuracy("in_domain")? - base.accuracy("in_domain")?)
                });
                if method == base { None } else { Estimate::of(&gains.collect::<Vec<_>>()) }
            };
            let mean = |value: fn(&MethodResult) -> f64| {
                own.iter().map(|result| value(result)).sum::<f64>() / own.len() as f64
            };
            rows.push(Row {
                granularity,
                method,
                blocks: own.len(),
                in_domain: accuracy("in_domain"),
                gain: gain_over(Method::Sft),
                gain_on_rejection: if method > Method::RejectionSft { gain_over(Method::RejectionSft) } else { None },
                out_of_domain: accuracy("out_of_domain"),
                examples: mean(|result| result.examples as f64),
                tokens: mean(|result| (result.sampled_tokens + result.trained_tokens) as f64),
                wall_s: mean(|result| result.wall_s),
            });
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn gains_are_taken_within_a_block() {
        let result = |method, seed, accuracy: f64| {
            let eval = serde_json::json!({"method": "greedy", "policy": "", "sampled_tokens": 0, "wall_s": 0.0,
                "groups": [{"name": "in_domain", "families": {}, "difficulties": {}, "without_answer": 0,
                    "all": {"problems": 10, "correct": 0, "accuracy": accuracy, "low": 0.0, "high": 1.0}}]});
            let eval = serde_json::from_value(eval).unwrap();
            let granularity = Granularity::Plan;
            MethodResult {
                method,
                granularity,
                seed,
                examples: 0,
                trained_tokens: 0,
                sampled_tokens: 0,
                wall_s: 0.0,
                eval,
            }
        };
        let results = [
            result(Method::Sft, 0, 0.2),
            result(Method::Sft, 1, 0.6),
            result(Method::StepApo, 0, 0.3),
            result(Method::StepApo, 1, 0.7),
        ];
        let rows = rows(&results);
        assert_eq!(rows.iter().map(|row| row.method).collect::<Vec<_>>(), [Method::Sft, Method::StepApo]);
        assert_eq!(rows[0].gain, None);
        let gain = rows[1].gain.unwrap();
        // The same in both blocks, although the blocks differ widely.
        assert!((gain.mean - 0.1).abs() < 1e-12 && gain.half.unwrap() < 1e-9, "{gain:?}");
        assert!(rows[1].in_domain.unwrap().half.unwrap() > 1.0);
    }
}
