//! What a CPL round trains.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

/// What a CPL round trains, one policy from the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoundConfig {
    /// The stages, in order, each at most once.
    pub stages: Vec<RoundStage>,
    /// gamma: after the last stage but the value head's the weights go on by gamma times what changed since the round
    /// before, theta + gamma (theta - theta') (arXiv:2410.06293); 0 leaves them.
    pub extrapolation: f64,
}

/// A training stage of a CPL round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoundStage {
    /// Supervised training on found paths.
    Sft,
    /// Preference training on pairs.
    Prefer,
    /// Regression of the value head on the Q of all states.
    Value,
}

impl RoundStage {
    /// Name in folders, manifests and tables.
    pub fn name(self) -> &'static str {
        match self {
            RoundStage::Sft => "sft",
            RoundStage::Prefer => "prefer",
            RoundStage::Value => "value",
        }
    }
}

impl Default for RoundConfig {
    fn default() -> Self {
        RoundConfig { stages: vec![RoundStage::Sft, RoundStage::Prefer, RoundStage::Value], extrapolation: 0.0 }
    }
}

impl RoundConfig {
    /// The stage whose policy is extrapolated: the last that changes the policy's own weights.
    pub fn extrapolated(&self) -> Option<RoundStage> {
        let changes = self.stages.iter().copied().rfind(|&stage| stage != RoundStage::Value);
        changes.filter(|_| self.extrapolation > 0.0)
    }

    pub(super) fn validate(&self) -> Result<()> {
        if self.stages.is_empty() {
            bail!("round.stages is empty; name at least one of sft, prefer, value");
        }
        for (at, stage) in self.stages.iter().enumerate() {
            if self.stages[..at].contains(stage) {
                bail!("round.stages names {} twice", stage.name());
            }
        }
        let gamma = self.extrapolation;
        if !(gamma.is_finite() && gamma >= 0.0) {
            bail!("round.extrapolation is {gamma}, but must be a number of at least 0");
        }
        if gamma > 0.0 && self.extrapolated().is_none() {
            bail!("round.extrapolation is {gamma}, but round.stages trains only the value head");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        toml::from_str::<RoundConfig>(text).unwrap().validate().unwrap_err().to_string()
    }

    #[test]
    fn stages_are_any_of_the_three_once_each() {
        let config: RoundConfig = toml::from_str(r#"stages = ["prefer"]"#).unwrap();
        assert!(config.validate().is_ok() && config.extrapolation == 0.0);
        assert!(refused("stages = []").contains("empty"));
        assert!(refused(r#"stages = ["sft", "value", "sft"]"#).contains("sft twice"));
    }

    #[test]
    fn extrapolation_needs_a_policy_that_changes() {
        assert!(refused("extrapolation = -0.5").contains("-0.5"));
        assert!(refused("stages = [\"value\"]\nextrapolation = 0.5").contains("value head"));
    }
}
