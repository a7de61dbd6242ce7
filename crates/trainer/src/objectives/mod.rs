//! Objectives: pure functions from per-pair (or per-sibling) numbers to losses.
//!
//! Letters as in the crate's root, and: `lp` the log-probability of a step (the sum over the step's own tokens of
//! log pi(token | before)), `ref` the same under the reference, `w` the chosen and `l` the rejected step, `len`
//! the number of its tokens, `r = lp - ref`, `h = r_w - r_l`, `ls` the logarithm of the sigmoid.
//!
//! A new objective is one file with a struct of its parameters that implements [`PairObjective`] or [`ListObjective`],
//! and one line in [`REGISTRY`].

mod apo;
mod case;
mod cpo;
mod dpo;
mod exo;
mod f_dpo;
mod gspo;
mod hinge;
mod ipo;
mod lipo_lambda;
mod ln_dpo;
mod mcts_dpo;
mod nca;
mod numerics;
mod orpo;
mod plackett_luce;
mod registry;
mod simpo;
mod sppo;
mod step;
mod tpo;

pub use apo::{ApoDown, ApoZero};
pub use case::{Case, CaseInputs, Evaluated, ListCase, PairCase};
pub use cpo::Cpo;
pub use dpo::{Cdpo, Dpo, Robust};
pub use exo::Exo;
pub use f_dpo::{FDpoAlpha, FDpoForwardKl, FDpoJs};
pub use gspo::Gspo;
pub use hinge::{Hinge, Slic};
pub use ipo::Ipo;
pub use lipo_lambda::LipoLambda;
pub use ln_dpo::LnDpo;
pub use mcts_dpo::MctsDpo;
pub use nca::Nca;
pub use orpo::Orpo;
pub use plackett_luce::PlackettLuce;
pub use registry::{Entry, ErasedList, ErasedPair, Loss, Objective, REGISTRY, entry, table};
pub use simpo::Simpo;
pub use sppo::{SppoHard, SppoSoft};
pub use step::{StepApo, StepDpo};
pub use tpo::Tpo;

use serde::{Serialize, de::DeserializeOwned};
use tch::Tensor;

/// What an objective is called and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// The name by which it is chosen.
    pub name: &'static str,
    /// Its value, in the letters of [this module](self).
    pub formula: &'static str,
    /// The paper that defines it.
    pub source: &'static str,
    /// Whether it reads the reference's log-probabilities.
    pub uses_reference: bool,
}

/// What is known about B pairs; every tensor is `[B]`, floating, of one kind and on one device.
#[derive(Debug)]
pub struct PairInputs {
    /// Log-probability of the chosen step, in nats.
    pub lp_w: Tensor,
    /// Log-probability of the rejected step, in nats.
    pub lp_l: Tensor,
    /// The reference's log-probability of the chosen step, in nats.
    pub ref_w: Tensor,
    /// The reference's log-probability of the rejected step, in nats.
    pub ref_l: Tensor,
    /// Tokens of the chosen step.
    pub len_w: Tensor,
    /// Tokens of the rejected step.
    pub len_l: Tensor,
    /// Q of the chosen step, in [-1, 1].
    pub q_w: Tensor,
    /// Q of the rejected step, in [-1, 1].
    pub q_l: Tensor,
    /// Visits of the chosen step.
    pub n_w: Tensor,
    /// Visits of the rejected step.
    pub n_l: Tensor,
}

impl PairInputs {
    /// `r_w = lp_w - ref_w`, `[B]`.
    pub fn r_w(&self) -> Tensor {
        &self.lp_w - &self.ref_w
    }

    /// `r_l = lp_l - ref_l`, `[B]`.
    pub fn r_l(&self) -> Tensor {
        &self.lp_l - &self.ref_l
    }

    /// `h = r_w - r_l`, `[B]`.
    pub fn h(&self) -> Tensor {
        self.r_w() - self.r_l()
    }

    /// `lp_w / len_w`, `[B]`.
    pub fn mean_lp_w(&self) -> Tensor {
        &self.lp_w / &self.len_w
    }

    /// `lp_l / len_l`, `[B]`.
    pub fn mean_lp_l(&self) -> Tensor {
        &self.lp_l / &self.len_l
    }
}

/// Values of B pairs, all `[B]`; the trainer reduces them.
#[derive(Debug)]
pub struct PairOutput {
    /// The loss of each pair, differentiable.
    pub losses: Tensor,
    /// The implicit reward of the chosen step; a number to report, without gradient.
    pub chosen_rewards: Tensor,
    /// The implicit reward of the rejected step; a number to report, without gradient.
    pub rejected_rewards: Tensor,
}

impl PairOutput {
    fn new(losses: Tensor, chosen_rewards: &Tensor, rejected_rewards: &Tensor) -> PairOutput {
        PairOutput { losses, chosen_rewards: chosen_rewards.detach(), rejected_rewards: rejected_rewards.detach() }
    }

    /// Losses with the rewards of DPO: `beta r_w` and `beta r_l`.
    fn with_log_ratios(losses: Tensor, x: &PairInputs, beta: f64) -> PairOutput {
        PairOutput::new(losses, &(x.r_w() * beta), &(x.r_l() * beta))
    }
}

/// What is known about the K siblings below one state; every tensor is `[K]`, floating, of one kind and on one device.
#[derive(Debug)]
pub struct ListInputs {
    /// Log-probability of each step, in nats.
    pub lp: Tensor,
    /// The reference's log-probability of each step, in nats.
    pub reference: Tensor,
    /// Q of each step, in [-1, 1].
    pub q: Tensor,
    /// Tokens of each step.
    pub len: Tensor,
    /// Visits of each step.
    pub n: Tensor,
    /// Cosine of each step's mean hidden state and that of the step of greatest Q, in [-1, 1].
    pub similarity: Tensor,
}

/// Values of one list of siblings.
#[derive(Debug)]
pub struct ListOutput {
    /// The loss of the list, a scalar, differentiable.
    pub loss: Tensor,
    /// The implicit reward of each step, `[K]`; a number to report, without gradient.
    pub rewards: Tensor,
}

/// A loss over pairs; the fields of the type are its parameters, all of them `f64`.
pub trait PairObjective: Serialize + DeserializeOwned + Default + std::fmt::Debug + Send + Sync + 'static {
    /// Name, formula, source.
    const ABOUT: About;

    /// Says which parameter is out of range, if one is.
    fn check(&self) -> Result<(), BadParameter>;

    /// The losses and rewards of B pairs.
    fn evaluate(&self, x: &PairInputs) -> PairOutput;
}

/// A loss over all siblings of a state; the fields of the type are its parameters, all of them `f64`.
pub trait ListObjective: Serialize + DeserializeOwned + Default + std::fmt::Debug + Send + Sync + 'static {
    /// Name, formula, source.
    const ABOUT: About;

    /// Says which parameter is out of range, if one is.
    fn check(&self) -> Result<(), BadParameter>;

    /// The loss of K siblings and their rewards.
    fn evaluate(&self, x: &ListInputs) -> ListOutput;
}

/// A parameter that is out of its range.
#[derive(Clone, Debug, PartialEq)]
pub struct BadParameter {
    /// The parameter.
    pub name: &'static str,
    /// Its value.
    pub value: f64,
    /// What it must be.
    pub must: &'static str,
}

impl BadParameter {
    fn unless(ok: bool, name: &'static str, value: f64, must: &'static str) -> Result<(), BadParameter> {
        if ok { Ok(()) } else { Err(BadParameter { name, value, must }) }
    }

    fn unless_positive(name: &'static str, value: f64) -> Result<(), BadParameter> {
        BadParameter::unless(value.is_finite() && value > 0.0, name, value, "a positive number")
    }

    fn unless_not_negative(name: &'static str, value: f64) -> Result<(), BadParameter> {
        BadParameter::unless(value.is_finite() && value >= 0.0, name, value, "zero or a positive number")
    }

    fn unless_smoothing(name: &'static str, value: f64) -> Result<(), BadParameter> {
        BadParameter::unless((0.0..0.5).contains(&value), name, value, "at least 0 and below 1/2")
    }
}
