//! `server:URL`: a judge that is a model behind an HTTP server: a language model that is asked, or a reward model.
//!
//! ```text
//!  score ──► template ──► batches ──► bounded queue ──► max_requests threads ──► whichever server is there ──► numbers, or a text
//!                                                            ▲ 429, 5xx, away: later, or another one ◄──┘       with a grade
//! ```
//!
//! Nothing that a model writes is trusted: of a text only the last line counts, and only in the form that was asked for; numbers
//! are those of the form that the endpoint has. What a solution says to its judge stands in a frame whose mark it cannot know.

mod chat;
mod config;
mod reward;
mod template;
#[cfg(test)]
mod tests;

pub use config::{Endpoint, Output, ServerJudgeConfig};

use crate::crew::Crew;
use crate::error::JudgeError;
use crate::scorer::{Asked, Scope, Scorer};
use crate::standing::{Notice, Standing};
use espalier_server::{PostError, Posts, ServerConfig, Servers};
use regex::Regex;
use reward::Text;
use std::sync::Arc;
use template::Template;

/// Longest regular expression, compiled.
const PATTERN_BYTES: usize = 1 << 20;
/// Batches that wait for each thread.
const WAITING: usize = 2;

/// A judge that is a model on servers.
pub struct ServerJudge {
    crew: Crew<Work, Done>,
    shared: Arc<Shared>,
}

struct Shared {
    posts: Posts,
    config: ServerJudgeConfig,
    verdict: Regex,
    template: Template,
    of_steps: Template,
    standing: Standing,
}

/// What a thread is asked for.
enum Work {
    Scores(Vec<Text>),
    /// A path's text, and the number of its steps.
    Steps(String, usize),
}

enum Done {
    Scores(Vec<Option<f32>>),
    Steps(Option<Vec<f32>>),
}

/// Why a request came to nothing.
enum Failure {
    /// It has no answer; the next may have one.
    Failed(String),
    /// The server does not take this text.
    Refused(String),
    /// No request will have an answer.
    Fatal(String),
}

impl From<PostError> for Failure {
    fn from(error: PostError) -> Self {
        match error {
            PostError::Refused(problem) => Failure::Refused(problem),
            PostError::Away(problem) => Failure::Failed(problem),
            PostError::Fatal(problem) => Failure::Fatal(problem),
        }
    }
}

impl ServerJudge {
    /// Meets the servers. `connection` has what they are reached by: key, backoff and patience at the start.
    ///
    /// # Errors
    /// A setting out of range; a template or a regular expression that cannot be read; servers that do not answer or have
    /// not the model.
    pub fn open(
        servers: &Servers,
        config: &ServerJudgeConfig,
        connection: &ServerConfig,
        notice: Notice,
    ) -> Result<ServerJudge, JudgeError> {
        config.check()?;
        if config.endpoint == Endpoint::SglangScore && config.yes_no_tokens.len() != 2 {
            let given = format!("{:?}", config.yes_no_tokens);
            return Err(espalier_settings::OutOfRange::new(
                "yes_no_tokens",
                given,
                "the ids of two tokens, yes and no",
            )
            .into());
        }
        let verdict = regex::RegexBuilder::new(&config.verdict).size_limit(PATTERN_BYTES).build();
        let verdict = verdict.map_err(|error| JudgeError::Pattern { problem: error.to_string() })?;
        let (template, of_steps) = (
            Template::new(config.template.as_deref(), config.endpoint)?,
            Template::of_steps(config.template.as_deref())?,
        );
        let told = Arc::clone(&notice);
        let posts = config.posts(servers, connection, move |line: &str| told(line))?;
        let standing = Standing::new(config.failures, notice);
        let shared = Arc::new(Shared { posts, config: config.clone(), verdict, template, of_steps, standing });
        let hands = (0..config.max_requests).map(|_| {
            let shared = Arc::clone(&shared);
            move |work: Work| shared.answer(work)
        });
        let crew = Crew::start(hands, WAITING * config.max_requests).map_err(JudgeError::Thread)?;
        Ok(ServerJudge { crew, shared })
    }

    /// Whether it is asked no more, after too many failures in a row.
    pub fn is_given_up(&self) -> bool {
        self.shared.standing.is_given_up()
    }

    /// The rewards of all steps of paths, by a process reward model behind vLLM's /pooling: one number from 0 to 1 for each step
    /// of each path, which is a question and its steps. `None` for a path that has no answer.
    pub fn step_rewards(&self, paths: &[(&str, &[&str])]) -> Vec<Option<Vec<f32>>> {
        let shared = &self.shared;
        let texts: Vec<Option<String>> = paths
            .iter()
            .map(|(question, steps)| {
                let text = shared.of_steps.path(question, steps, &shared.config.step_end);
                text.map_err(|problem| shared.standing.failed(&problem)).ok()
            })
            .collect();
        let counts = paths.iter().map(|(_, steps)| steps.len());
        let work = texts.iter().zip(counts).filter_map(|(text, count)| Some(Work::Steps(text.clone()?, count)));
        let mut done = self.crew.ask(work).into_iter();
        let answer = |text: &Option<String>| match (text, text.as_ref().and_then(|_| done.next()).flatten()) {
            (Some(_), Some(Done::Steps(rewards))) => rewards,
            _ => None,
        };
        texts.iter().map(answer).collect()
    }
}

impl Scorer for ServerJudge {
    fn scope(&self) -> Scope {
        self.shared.config.scope
    }

    fn takes_time(&self) -> bool {
        true
    }

    fn score(&self, asked: &[Asked<'_>]) -> Vec<Option<f32>> {
        let shared = &self.shared;
        let mut scores = vec![None; asked.len()];
        let (mut places, mut texts) = (Vec::new(), Vec::new());
        for (place, one) in asked.iter().enumerate().filter(|_| !shared.standing.is_given_up()) {
            match shared.template.text(one) {
                Ok(text) => {
                    places.push(place);
                    texts.push(Text { question: one.problem.question.clone(), text });
                }
                Err(problem) => shared.standing.failed(&problem),
            }
        }
        let size = match shared.config.endpoint {
            Endpoint::Chat | Endpoint::YesNo => 1,
            _ => shared.config.batch,
        };
        let done = self.crew.ask(texts.chunks(size).map(|some| Work::Scores(some.to_vec())));
        for (places, done) in places.chunks(size).zip(done) {
            let Some(Done::Scores(some)) = done else { continue };
            for (&place, score) in places.iter().zip(some) {
                scores[place] = score;
            }
        }
        scores
    }

    fn trouble(&self) -> Option<String> {
        self.shared.standing.trouble()
    }
}

impl Shared {
    fn answer(&self, work: Work) -> Done {
        match work {
            Work::Scores(texts) => Done::Scores(self.scores(&texts)),
            Work::Steps(text, count) => Done::Steps(self.counted(1, self.steps(text, count))),
        }
    }

    fn scores(&self, texts: &[Text]) -> Vec<Option<f32>> {
        if self.standing.is_given_up() {
            return vec![None; texts.len()];
        }
        match self.try_scores(texts) {
            // One text that is not taken must not cost the others.
            Err(Failure::Refused(_)) if texts.len() > 1 => texts.chunks(1).flat_map(|one| self.scores(one)).collect(),
            outcome => self.counted(texts.len(), outcome).unwrap_or_else(|| vec![None; texts.len()]),
        }
    }

    /// An outcome of so many questions, in the account.
    fn counted<T>(&self, questions: usize, outcome: Result<T, Failure>) -> Option<T> {
        for _ in 0..questions {
            match &outcome {
                Ok(_) => self.standing.succeeded(),
                Err(Failure::Failed(problem)) => self.standing.failed(problem),
                Err(Failure::Refused(problem)) => self.standing.passed_over(problem),
                Err(Failure::Fatal(problem)) => self.standing.give_up(problem),
            }
        }
        outcome.ok()
    }

    fn try_scores(&self, texts: &[Text]) -> Result<Vec<Option<f32>>, Failure> {
        let Shared { posts, config, .. } = self;
        let failed = Failure::Failed;
        let prompt = texts.first().map_or("", |one| &one.text);
        match config.endpoint {
            Endpoint::Chat => {
                let answer = posts.post(CHAT, &chat::ask(posts.model(), prompt, config.max_tokens))?;
                let grade = chat::grade(&answer, &self.verdict, config.full_marks).map_err(failed)?;
                Ok(vec![Some(grade)])
            }
            Endpoint::YesNo => {
                let answer = posts.post(CHAT, &chat::ask_yes_no(posts.model(), prompt))?;
                Ok(vec![chat::yes_no(&answer).map_err(failed)?])
            }
            _ => {
                let (path, body) = reward::ask(config, posts.model(), texts);
                let answer = posts.post(path, &body)?;
                let scores = reward::scores(config, &answer, texts.len()).map_err(failed)?;
                Ok(scores.into_iter().map(Some).collect())
            }
        }
    }

    fn steps(&self, text: String, count: usize) -> Result<Vec<f32>, Failure> {
        if self.standing.is_given_up() {
            return Err(Failure::Failed("it is given up".to_owned()));
        }
        let config = ServerJudgeConfig { endpoint: Endpoint::Pooling, ..self.config.clone() };
        let (path, body) = reward::ask(&config, self.posts.model(), &[Text { question: String::new(), text }]);
        let answer = self.posts.post(path, &body)?;
        reward::of_steps(&config, &answer, count).map_err(Failure::Failed)
    }
}

const CHAT: &str = "/v1/chat/completions";
