//! Group sequence policy optimisation.

use super::{About, BadParameter, ListInputs, ListObjective, ListOutput};
use serde::{Deserialize, Serialize};

/// GSPO (arXiv:2507.18071, equations 5 to 7), the policy gradient of a group of samples with GRPO's advantages and a clipped
/// ratio of whole sequences. The group are the siblings, each counted as often as it was visited: whole paths of one prompt
/// (`prefer.of = "paths"`), or the steps of a state, whose Q are then the rewards. The reference is the policy that
/// sampled them. A group whose rewards are all equal teaches nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gspo {
    /// How far the ratio may fall below 1 before it is cut.
    pub clip_low: f64,
    /// How far it may rise above 1.
    pub clip_high: f64,
}

impl Default for Gspo {
    /// Wider than the paper's 3e-4 and 4e-4, which are meant for thousands of tokens: a ratio is the mean over a
    /// sequence's tokens.
    fn default() -> Self {
        Gspo { clip_low: 0.2, clip_high: 0.2 }
    }
}

impl ListObjective for Gspo {
    const ABOUT: About = About {
        name: "gspo",
        formula: "- sum_i N_i min(s_i A_i, clip(s_i, 1 - clip_low, 1 + clip_high) A_i) / sum_i N_i, s = exp(r / len), A = \
                  (Q - mean Q) / std Q, both over visits",
        source: "GSPO, arXiv:2507.18071; advantages of GRPO, arXiv:2402.03300",
        uses_reference: true,
    };

    fn check(&self) -> Result<(), BadParameter> {
        BadParameter::unless_positive("clip_low", self.clip_low)?;
        BadParameter::unless_positive("clip_high", self.clip_high)
    }

    fn evaluate(&self, x: &ListInputs) -> ListOutput {
        let kind = x.lp.kind();
        let share = &x.n / x.n.sum(kind);
        let mean = (&share * &x.q).sum(kind);
        let centred = &x.q - mean;
        let deviation = (&share * centred.square()).sum(kind).sqrt();
        // Equal rewards: their difference from the mean is rounding, and is not to be divided by rounding.
        let advantage = centred / deviation.clamp_min(1e-6);
        let log_ratio = (&x.lp - &x.reference) / &x.len;
        let ratio = log_ratio.exp();
        let clipped = ratio.clamp(1.0 - self.clip_low, 1.0 + self.clip_high);
        let gain = (&ratio * &advantage).minimum(&(clipped * &advantage));
        ListOutput { loss: -(share * gain).sum(kind), rewards: log_ratio.detach() }
    }
}
