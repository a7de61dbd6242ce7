//! Objectives on written-down numbers: for tests, and for whoever wants to see what a loss does.

use super::{ListInputs, Loss, Objective, PairInputs, entry};
use crate::TrainerError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tch::{Kind, Tensor};

/// The numbers of one pair or of one list of siblings, and the loss to evaluate on them.
#[derive(Clone, Debug, Deserialize)]
pub struct Case {
    /// Name of the objective.
    pub loss: Option<String>,
    /// Its parameters, where they differ from its defaults.
    #[serde(default)]
    pub params: BTreeMap<String, f64>,
    /// What it is evaluated on.
    pub inputs: CaseInputs,
}

/// Numbers by the names of [`PairInputs`] or [`ListInputs`]. Those that an objective does not read may be left out;
/// log-probabilities in nats.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum CaseInputs {
    /// One pair.
    Pair(PairCase),
    /// All siblings of a state.
    List(ListCase),
}

/// One pair. Absent numbers: references 0, lengths 1, Q 0, visits 1.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are those of PairInputs")]
pub struct PairCase {
    pub lp_w: f64,
    pub lp_l: f64,
    #[serde(default)]
    pub ref_w: f64,
    #[serde(default)]
    pub ref_l: f64,
    #[serde(default = "one")]
    pub len_w: f64,
    #[serde(default = "one")]
    pub len_l: f64,
    #[serde(default)]
    pub q_w: f64,
    #[serde(default)]
    pub q_l: f64,
    #[serde(default = "one")]
    pub n_w: f64,
    #[serde(default = "one")]
    pub n_l: f64,
}

/// K siblings; every list holds K numbers. Absent lengths, visits and similarities are 1.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are those of ListInputs")]
pub struct ListCase {
    pub lp: Vec<f64>,
    #[serde(rename = "ref")]
    pub reference: Vec<f64>,
    pub q: Vec<f64>,
    pub len: Option<Vec<f64>>,
    pub n: Option<Vec<f64>>,
    pub similarity: Option<Vec<f64>>,
}

fn one() -> f64 {
    1.0
}

/// A loss and its gradient by the log-probabilities, in float64.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Evaluated {
    /// Of one pair.
    Pair {
        /// The objective's name.
        loss: &'static str,
        /// The loss.
        value: f64,
        /// Its derivative by lp_w.
        grad_lp_w: f64,
        /// Its derivative by lp_l.
        grad_lp_l: f64,
    },
    /// Of one list.
    List {
        /// The objective's name.
        loss: &'static str,
        /// The loss.
        value: f64,
        /// Its derivatives by each lp.
        grad_lp: Vec<f64>,
    },
}

impl Case {
    /// Evaluates the case's own objective, or the one called `default` if the case names none.
    ///
    /// # Errors
    /// An unknown objective or parameter; a loss over pairs on a list or the other way round; lists of unequal lengths.
    pub fn evaluate(&self, default: &str) -> Result<Evaluated, TrainerError> {
        let objective = entry(self.loss.as_deref().unwrap_or(default))?.build(&self.params)?;
        objective.evaluate(&self.inputs)
    }
}

impl Objective {
    /// The loss and its gradient on written-down numbers, with the composed likelihood term.
    ///
    /// # Errors
    /// A loss over pairs on a list or the other way round; lists of unequal lengths.
    pub fn evaluate(&self, inputs: &CaseInputs) -> Result<Evaluated, TrainerError> {
        let objective = self.about().name;
        match (self.loss(), inputs) {
            (Loss::Pair(loss), CaseInputs::Pair(case)) => {
                let x = case.tensors();
                let value = loss.evaluate(&x).losses - x.mean_lp_w() * self.sft_weight();
                let [grad_lp_w, grad_lp_l] = gradients(&value, [&x.lp_w, &x.lp_l]);
                let value = value.double_value(&[0]);
                Ok(Evaluated::Pair {
                    loss: objective,
                    value,
                    grad_lp_w: grad_lp_w.double_value(&[0]),
                    grad_lp_l: grad_lp_l.double_value(&[0]),
                })
            }
            (Loss::List(loss), CaseInputs::List(case)) => {
                let x = case.tensors()?;
                let best = x.q.argmax(0, false).int64_value(&[]);
                let sft = x.lp.get(best) / x.len.get(best) * self.sft_weight();
                let value = loss.evaluate(&x).loss - sft;
                let [gradient] = gradients(&value, [&x.lp]);
                let grad_lp = Vec::try_from(gradient)?;
                Ok(Evaluated::List { loss: objective, value: value.double_value(&[]), grad_lp })
            }
            (Loss::Pair(_), CaseInputs::List(_)) => {
                Err(TrainerError::WrongShape { objective, takes: "pairs", given: "a list of siblings" })
            }
            (Loss::List(_), CaseInputs::Pair(_)) => {
                Err(TrainerError::WrongShape { objective, takes: "lists of siblings", given: "a pair" })
            }
        }
    }
}

/// The derivatives of `value` by each of `inputs`, which ask for gradients and have none yet; zero where it does not
/// depend on one.
fn gradients<const N: usize>(value: &Tensor, inputs: [&Tensor; N]) -> [Tensor; N] {
    let sum = value.sum(Kind::Double);
    if sum.requires_grad() {
        sum.backward();
    }
    inputs.map(|input| if input.grad().defined() { input.grad() } else { input.zeros_like() })
}

impl PairCase {
    fn tensors(&self) -> PairInputs {
        let one = |number: f64| Tensor::from_slice(&[number]);
        PairInputs {
            lp_w: one(self.lp_w).set_requires_grad(true),
            lp_l: one(self.lp_l).set_requires_grad(true),
            ref_w: one(self.ref_w),
            ref_l: one(self.ref_l),
            len_w: one(self.len_w),
            len_l: one(self.len_l),
            q_w: one(self.q_w),
            q_l: one(self.q_l),
            n_w: one(self.n_w),
            n_l: one(self.n_l),
        }
    }
}

impl ListCase {
    fn tensors(&self) -> Result<ListInputs, TrainerError> {
        let siblings = self.lp.len();
        let or_ones = |numbers: &Option<Vec<f64>>| numbers.clone().unwrap_or_else(|| vec![1.0; siblings]);
        let (len, n, similarity) = (or_ones(&self.len), or_ones(&self.n), or_ones(&self.similarity));
        let lists = [("ref", &self.reference), ("q", &self.q), ("len", &len), ("n", &n), ("similarity", &similarity)];
        for (field, given) in lists.map(|(field, numbers)| (field, numbers.len())) {
            if given != siblings || siblings == 0 {
                return Err(TrainerError::BadCase { field, given, siblings });
            }
        }
        let column = |numbers: &[f64]| Tensor::from_slice(numbers);
        Ok(ListInputs {
            lp: column(&self.lp).set_requires_grad(true),
            reference: column(&self.reference),
            q: column(&self.q),
            len: column(&len),
            n: column(&n),
            similarity: column(&similarity),
        })
    }
}
