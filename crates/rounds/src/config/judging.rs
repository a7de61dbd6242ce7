//! Table `judging`: who judges steps and paths, and what rewards their numbers make.

use espalier_eval::RewardRule;
use espalier_judges::ServerJudgeConfig;
use espalier_settings::range::{above, not_empty};
use espalier_settings::{OutOfRange, settings};

settings! {
    /// Who judges steps and paths. Each judge but a lone `answer` has a column in the trees.
    pub struct JudgingConfig {
        /// Judges: answer, format, equations, tests, choices, refusal, compare, countdown, route, command:PROG, sandboxed:FILE.py or server:URL[#MODEL], each as NAME=JUDGE where its column is to have another name.
        ///
        /// `command:PROG` is a program that reads questions and writes numbers, a line of JSON each; `sandboxed:FILE.py` is one of
        /// standard Python that is kept from the machine; `server:URL` is a model behind an HTTP server, or behind several, with
        /// blanks between their addresses. If the list is the default, a task's own judges come in its place.
        pub judges: Vec<String> = vec!["answer".into()], not_empty();
        /// What their numbers make of a path that ends.
        pub reward: RewardRule = RewardRule::All;
        /// Weights of the judges under the rule weighted, in their order; 1 each if left out.
        pub weights: Vec<f32> = Vec::new();
        /// Whether programs are asked about every step, and not only about paths that end; servers have their own scope.
        pub judges_steps: bool = false;
        /// Seconds that a program has for one question; the first one of each process may take two minutes more.
        pub time_limit_s: f64 = 60.0, above(0);
        /// Processes of each program; 0 takes one for each core. It decides only how fast judgements come.
        pub processes: usize = 0;
        /// Judges that are models on servers.
        pub server: ServerJudgeConfig = ServerJudgeConfig::default();
    }
    together: JudgingConfig::every_judge_has_a_weight;
}

impl JudgingConfig {
    /// Whether nothing was chosen; such a table is not written.
    pub(crate) fn is_default(&self) -> bool {
        *self == JudgingConfig::default()
    }

    fn every_judge_has_a_weight(&self) -> Result<(), OutOfRange> {
        let is_weight = |weight: &f32| weight.is_finite() && *weight >= 0.0;
        let fits = self.weights.is_empty()
            || self.weights.len() == self.judges.len()
                && self.weights.iter().all(is_weight)
                && self.weights.iter().sum::<f32>() > 0.0;
        if fits {
            return Ok(());
        }
        let weights: Vec<String> = self.weights.iter().map(f32::to_string).collect();
        let range = format!("one for each of the {} judges, none below 0 and not all 0", self.judges.len());
        Err(OutOfRange::new("weights", weights.join(","), range))
    }
}
