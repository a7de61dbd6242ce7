//! Table `round`: what a CPL round trains.

use espalier_settings::range::{at_least, not_empty};
use espalier_settings::{OutOfRange, choices, settings};

settings! {
    /// What a CPL round trains, one policy from the other.
    pub struct RoundConfig {
        /// The stages, in order, each at most once.
        pub stages: Vec<RoundStage> = vec![RoundStage::Sft, RoundStage::Prefer, RoundStage::Value], not_empty();
        /// Gamma of extrapolation between rounds; 0 leaves the weights.
        ///
        /// After the last stage but the value head's the weights go on by gamma times what changed since the round before,
        /// theta + gamma (theta - theta') (arXiv:2410.06293).
        pub extrapolation: f64 = 0.0, at_least(0);
    }
    together: RoundConfig::stages_differ, RoundConfig::extrapolates_a_policy;
}

choices! {
    /// A training stage of a CPL round.
    #[derive(PartialOrd, Ord)]
    pub enum RoundStage {
        /// Supervised training on found paths.
        Sft = "sft",
        /// Preference training on pairs.
        Prefer = "prefer",
        /// Regression of the value head on the Q of all states.
        Value = "value",
    }
}

impl RoundConfig {
    /// The stage whose policy is extrapolated: the last that changes the policy's own weights.
    pub fn extrapolated(&self) -> Option<RoundStage> {
        let changes = self.stages.iter().copied().rfind(|&stage| stage != RoundStage::Value);
        changes.filter(|_| self.extrapolation > 0.0)
    }

    fn stages_differ(&self) -> Result<(), OutOfRange> {
        let twice = self.stages.iter().enumerate().find(|(at, stage)| self.stages[..*at].contains(stage));
        let Some((_, stage)) = twice else { return Ok(()) };
        let names: Vec<&str> = self.stages.iter().map(|stage| stage.name()).collect();
        Err(OutOfRange::new("stages", names.join(","), format!("without {stage} twice")))
    }

    fn extrapolates_a_policy(&self) -> Result<(), OutOfRange> {
        if self.extrapolation > 0.0 && self.extrapolated().is_none() {
            let range = "0 where stages trains only the value head";
            return Err(OutOfRange::new("extrapolation", self.extrapolation, range));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        toml::from_str::<RoundConfig>(text).unwrap().check().unwrap_err().to_string()
    }

    #[test]
    fn stages_are_any_of_the_three_once_each() {
        let config: RoundConfig = toml::from_str(r#"stages = ["prefer"]"#).unwrap();
        assert!(config.check().is_ok() && config.extrapolation == 0.0);
        assert!(refused("stages = []").contains("empty"));
        assert!(refused(r#"stages = ["sft", "value", "sft"]"#).contains("sft twice"));
    }

    #[test]
    fn extrapolation_needs_a_policy_that_changes() {
        assert!(refused("extrapolation = -0.5").contains("-0.5"));
        assert!(refused("stages = [\"value\"]\nextrapolation = 0.5").contains("value head"));
    }
}
