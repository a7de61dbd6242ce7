//! Table `values`: how values from elsewhere than the policy's own head are made.

use espalier_judges::ServerJudgeConfig;
use espalier_settings::range::{above, between, not_empty};
use espalier_settings::{choices, settings};

choices! {
    /// What a server of values is sent of a state.
    #[derive(Default)]
    pub enum ValueInput {
        /// The policy's own token ids: to /value of our servers, or to vLLM's /pooling, whose model has the policy's tokenizer.
        #[default]
        Tokens = "tokens",
        /// The question and the steps as a process reward model reads them; the value is the reward of the last step.
        Steps = "steps",
        /// The text of a judge's template, by any of a judge's endpoints; the value is the verdict on the last step.
        Text = "text",
    }
}

settings! {
    /// How values are made where `search.evaluation` takes them from elsewhere: server:URL, folder:DIR, implicit:DIR, prover:DIR, prover:URL, self.
    pub struct ValuesConfig {
        /// Where the models of values run, as runtime.device says; if left out, where the policy does. It decides only how fast values come.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub device: Option<String> = None;
        /// With server:URL, what the server is sent of a state. A number from 0 to 1 is a value from -1 to 1.
        pub reads: ValueInput = ValueInput::Tokens;
        /// With server:URL, how it is asked: what its numbers are, and the rest as of a judge on a server.
        #[serde(skip_serializing_if = "is_default")]
        pub server: ServerJudgeConfig = ServerJudgeConfig::default();
        /// With implicit:DIR, beta of the log-probability ratio of the last step, which is the value.
        ///
        /// arXiv:2409.09345.
        pub beta: f64 = 0.1, above(0);
        /// With implicit:DIR, the folder of the reference; if left out, the policy that samples.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub reference: Option<String> = None;
        /// With prover:DIR or prover:URL, paths that the prover samples from each state; their mean reward is the value.
        ///
        /// arXiv:2410.08146.
        pub paths: usize = 4, between(1, 65_535);
        /// With prover:URL, the folder of the servers' tokenizer; if left out, the policy's.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub tokenizer: Option<String> = None;
        /// With self, what is asked behind a state; the value is P(yes) against P(no) of the next token, less in the depth.
        ///
        /// arXiv:2405.00451.
        pub question: String = "\n\nIs the last step right? Answer Yes or No.\nAnswer:".to_owned(), not_empty();
        /// With self, words that say yes; the first token of each counts.
        pub yes: Vec<String> = [" Yes", " yes", "Yes", "yes"].map(String::from).to_vec(), not_empty();
        /// With self, words that say no.
        pub no: Vec<String> = [" No", " no", "No", "no"].map(String::from).to_vec(), not_empty();
    }
}

fn is_default(config: &ServerJudgeConfig) -> bool {
    *config == ServerJudgeConfig::default()
}

impl ValuesConfig {
    /// Whether nothing was chosen; such a table is not written.
    pub(crate) fn is_default(&self) -> bool {
        *self == ValuesConfig::default()
    }
}
