//! Settings of judges that are models on servers.

use crate::scorer::Scope;
use espalier_server::{Posts, ServerConfig, ServerError, Servers};
use espalier_settings::range::{above, at_least};
use espalier_settings::{choices, settings};
use std::time::Duration;

choices! {
    /// Which of a server's endpoints is asked.
    pub enum Endpoint {
        /// Chat completions: the model writes, and its last line holds a grade.
        Chat = "chat",
        /// Chat completions: the probability of Yes against that of No as the first token.
        YesNo = "yes_no",
        /// A reward model behind vLLM's /pooling.
        Pooling = "pooling",
        /// A classifier behind vLLM's /classify.
        Classify = "classify",
        /// A cross-encoder behind vLLM's /score, given the question and the text.
        Score = "score",
        /// A reward model behind SGLang's own /classify.
        SglangClassify = "sglang_classify",
        /// The probability of one token against that of another, by SGLang's /v1/score.
        SglangScore = "sglang_score",
    }
}

choices! {
    /// What the numbers of a reward model are.
    pub enum Output {
        /// Logits: one is mapped by the sigmoid, several by the softmax.
        Logit = "logit",
        /// Probabilities, from 0 to 1.
        Probability = "probability",
    }
}

settings! {
    /// A judge that is a model on a server.
    pub struct ServerJudgeConfig {
        /// What it looks at.
        pub scope: Scope = Scope::Step;
        /// Which of the server's endpoints is asked.
        pub endpoint: Endpoint = Endpoint::Chat;
        /// Jinja template of the prompt, or of the text that a reward model reads; the endpoint's own if there is none.
        ///
        /// It is given `question`, `reference`, `steps` (those before), `step`, `answer`, `is_end`, `mark` (letters and digits
        /// that stand in none of these texts), and, for rewards of steps, `steps` (all of them) and `step_end`.
        pub template: Option<String> = None;
        /// Regular expression that the last line of an answer has to match; its first group is the grade, in words or numbers.
        pub verdict: String = DEFAULT_VERDICT.to_owned();
        /// The grade that counts as 1.
        pub full_marks: f64 = 10.0, above(0);
        /// Most tokens of an answer.
        pub max_tokens: usize = 1024, at_least(1);
        /// What the numbers of a reward model are: vLLM gives probabilities of itself, SGLang logits.
        pub output: Output = Output::Probability;
        /// Of several numbers the one that says that a text is good, counted from 0; the last if it is not given.
        pub label: Option<usize> = None;
        /// Ids of the tokens that say yes and no, for SGLang's /v1/score.
        pub yes_no_tokens: Vec<u32> = Vec::new();
        /// What ends a step in the text that a process reward model reads.
        pub step_end: String = "<extra_0>".to_owned();
        /// Texts in one request, where the endpoint takes several.
        pub batch: usize = 16, at_least(1);
        /// Requests at a time.
        pub max_requests: usize = 16, at_least(1);
        /// Seconds after which a request counts as failed.
        pub timeout_s: f64 = 300.0, above(0);
        /// Seconds that a request is tried again, while no server answers.
        pub patience_s: f64 = 600.0, above(0);
        /// Failures in a row after which it is asked no more.
        pub failures: u32 = 20, at_least(1);
    }
}

/// `Grade: 7`, `**Grade: 7/10**`.
const DEFAULT_VERDICT: &str = r"(?i)^[\s*_#>]*grade[\s*_:=]*(\d+(?:\.\d+)?)(?:\s*/\s*10)?[\s*_.]*$";

/// No request is waited for longer, whatever is set.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

impl ServerJudgeConfig {
    /// The same with the defaults of all that decides only how fast a judge speaks, or when it is given up.
    #[must_use]
    pub fn deciding(&self) -> ServerJudgeConfig {
        let ServerJudgeConfig { batch, max_requests, timeout_s, patience_s, failures, .. } = Self::default();
        ServerJudgeConfig { batch, max_requests, timeout_s, patience_s, failures, ..self.clone() }
    }

    /// Meets servers, to be asked as often and as patiently as is set here. `connection` has what they are reached by: key, backoff
    /// and patience at the start.
    ///
    /// # Errors
    /// As [`Posts::open`].
    pub fn posts(
        &self,
        servers: &Servers,
        connection: &ServerConfig,
        notice: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Posts, ServerError> {
        let (timeout, max_requests) = (bounded(self.timeout_s), self.max_requests);
        let connection = ServerConfig { timeout, max_requests, ..connection.clone() };
        Posts::open(servers, &connection, bounded(self.patience_s), notice)
    }
}

fn bounded(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST).min(LONGEST)
}
