//! Table `round`: what a CPL round trains.

use espalier_settings::range::{at_least, between, not_empty};
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
        /// Do not publish a policy that is worse than the round's first: it answers fewer of the validation problems right, with a p of McNemar's exact test of at most this. 0 asks nothing, 1 refuses whatever answers fewer.
        ///
        /// In the place of a policy that is worse comes the mean of its weights and the first's, or else the first.
        pub gate: f64 = 0.0, between(0, 1);
    }
    together: RoundConfig::stages_differ, RoundConfig::changes_a_policy;
}

choices! {
    /// A stage of a CPL round, after its search.
    #[derive(PartialOrd, Ord)]
    pub enum RoundStage {
        /// Supervised training on found paths.
        Sft = "sft",
        /// Supervised training on worked solutions in the place of found paths, on as many examples: the control.
        Worked = "worked",
        /// The round's problems are searched again, by the policy as it is by then; the stages behind it learn from these trees.
        Search = "search",
        /// Preference training on pairs.
        Prefer = "prefer",
        /// Regression of the value head on the Q of all states.
        Value = "value",
    }
}

impl RoundConfig {
    /// The stage whose policy is extrapolated.
    pub fn extrapolated(&self) -> Option<RoundStage> {
        self.last_change().filter(|_| self.extrapolation > 0.0)
    }

    /// The last stage that changes the policy's own weights.
    pub fn last_change(&self) -> Option<RoundStage> {
        self.stages.iter().copied().rfind(|&stage| !matches!(stage, RoundStage::Value | RoundStage::Search))
    }

    fn stages_differ(&self) -> Result<(), OutOfRange> {
        let twice = self.stages.iter().enumerate().find(|(at, stage)| self.stages[..*at].contains(stage));
        let Some((_, stage)) = twice else { return Ok(()) };
        let names: Vec<&str> = self.stages.iter().map(|stage| stage.name()).collect();
        Err(OutOfRange::new("stages", names.join(","), format!("without {stage} twice")))
    }

    fn changes_a_policy(&self) -> Result<(), OutOfRange> {
        for (key, value) in [("extrapolation", self.extrapolation), ("gate", self.gate)] {
            if value > 0.0 && self.last_change().is_none() {
                return Err(OutOfRange::new(key, value, "0 where stages trains only the value head"));
            }
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
    fn stages_are_any_of_them_once_each() {
        let config: RoundConfig = toml::from_str(r#"stages = ["prefer"]"#).unwrap();
        assert!(config.check().is_ok() && config.extrapolation == 0.0);
        assert!(refused("stages = []").contains("empty"));
        assert!(refused(r#"stages = ["sft", "value", "sft"]"#).contains("sft twice"));
    }

    #[test]
    fn extrapolation_needs_a_policy_that_changes() {
        assert!(refused("extrapolation = -0.5").contains("-0.5"));
        assert!(refused("stages = [\"value\"]\nextrapolation = 0.5").contains("value head"));
        assert!(refused("stages = [\"search\", \"value\"]\ngate = 0.5").contains("value head"));
    }
}
