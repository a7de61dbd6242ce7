//! Values of a model behind a server: our own server's value head, a value or reward head behind vLLM, a process reward model, or a
//! language model that is asked for a grade.

use super::Searched;
use super::retold::step_texts;
use crate::config::{RunConfig, ValueInput};
use crate::stage::policy_source::connection;
use anyhow::{Result, bail};
use espalier_judges::{Asked, Scorer, ServerJudge, ServerJudgeConfig};
use espalier_search::{InBatches, Score, State, ValueError, ValueSource};
use espalier_server::{PoolInput, PostError, Posts, Servers};
use espalier_task::Problem;
use espalier_tokenizer::Tokenizer;
use serde_json::json;
use std::sync::Arc;

/// Threads that ask for grades, each with a batch of states of its own; the judge behind them bounds the requests.
const GRADING: usize = 4;

/// Opens the valuers of servers.
pub(super) fn open<'s>(
    servers: &Servers,
    searched: Searched<'s>,
    tokenizer: Arc<Tokenizer>,
    config: &RunConfig,
    notice: fn(&str),
) -> Result<ValueSource<'s>> {
    let settings = &config.values.server;
    if config.values.reads == ValueInput::Tokens {
        let posts = settings.posts(servers, &connection(), notice)?;
        let heads = Arc::new(Heads { path: path_of(&posts, &tokenizer)?, posts, config: settings.clone() });
        let hands = (0..settings.max_requests).map(|_| Hand(Arc::clone(&heads)));
        return Ok(hands.map(|hand| Box::new(InBatches::new(hand)) as Box<_>).collect());
    }
    let told = Arc::new(move |line: &str| notice(&format!("values: {line}")));
    let judge = Arc::new(ServerJudge::open(servers, settings, &connection(), told)?);
    let by_step = config.values.reads == ValueInput::Steps;
    let grader = || Grader { judge: Arc::clone(&judge), searched, tokenizer: Arc::clone(&tokenizer), by_step };
    Ok((0..GRADING).map(|_| Box::new(InBatches::new(grader())) as Box<_>).collect())
}

/// Which endpoint of a server has the values of token ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    /// Our own servers': values as they are.
    Value,
    /// vLLM's: what the numbers are is a setting.
    Pooling,
}

/// Tries both endpoints with a token, so that a server that has neither is refused before anything is searched.
fn path_of(posts: &Posts, tokenizer: &Tokenizer) -> Result<Endpoint> {
    let text = match tokenizer.prompt_start() {
        [] => vec![0],
        start => start.to_vec(),
    };
    match posts.post(VALUE, &json!({ "model": posts.model(), "prompt": [text] })) {
        Ok(_) => Ok(Endpoint::Value),
        // 404 of a server that has no such endpoint.
        Err(PostError::Refused(own) | PostError::Fatal(own)) => match posts.pool(PoolInput::Tokens(&[&text])) {
            Ok(_) => Ok(Endpoint::Pooling),
            Err(PostError::Refused(other) | PostError::Fatal(other)) => {
                bail!("the server says no values of token ids: {own}; {other}")
            }
            Err(error) => Err(error.into()),
        },
        Err(error) => Err(error.into()),
    }
}

const VALUE: &str = "/value";

/// A head over the policy's own tokens.
struct Heads {
    posts: Posts,
    path: Endpoint,
    config: ServerJudgeConfig,
}

impl Heads {
    fn ask(&self, states: &[Arc<State>]) -> Result<Vec<f64>, PostError> {
        let ids: Vec<&[u32]> = states.iter().map(|state| state.prefix_ids.as_slice()).collect();
        let wrong = |problem: String| PostError::Refused(problem);
        if self.path == Endpoint::Value {
            let answer = self.posts.post(VALUE, &json!({ "model": self.posts.model(), "prompt": ids }))?;
            let all = espalier_server::results(&answer, ids.len()).map_err(wrong)?;
            let value = |one: &serde_json::Value| one["values"].get(0)?.as_f64();
            return all
                .into_iter()
                .map(|one| value(one).ok_or_else(|| wrong(espalier_server::no_number(one))))
                .collect();
        }
        let pooled = self.posts.pool(PoolInput::Tokens(&ids))?;
        // Of a model that says something of each token, what it says of the last.
        let row = |rows: Vec<Vec<f64>>| rows.into_iter().next_back().unwrap_or_default();
        let value = |rows| self.config.score(&row(rows)).map(|score| 2.0 * f64::from(score) - 1.0);
        pooled.into_iter().map(|rows| value(rows).map_err(wrong)).collect()
    }
}

/// One thread's hand on the head that all share.
struct Hand(Arc<Heads>);

impl Score for Hand {
    fn score(&mut self, states: &[Arc<State>]) -> Vec<Result<f32, ValueError>> {
        match self.0.ask(states) {
            Ok(values) => values.into_iter().map(|value| Ok(value as f32)).collect(),
            // One state that is not taken must not cost the others.
            Err(PostError::Refused(_)) if states.len() > 1 => {
                states.chunks(1).flat_map(|one| self.score(one)).collect()
            }
            Err(PostError::Refused(problem)) => vec![Err(ValueError::State(problem))],
            Err(PostError::Away(problem) | PostError::Fatal(problem)) => {
                vec![Err(ValueError::Source(problem)); states.len()]
            }
        }
    }

    fn batch(&self) -> usize {
        self.0.config.batch
    }
}

/// A model that reads texts, and grades the last step.
struct Grader<'s> {
    judge: Arc<ServerJudge>,
    searched: Searched<'s>,
    tokenizer: Arc<Tokenizer>,
    by_step: bool,
}

impl Grader<'_> {
    fn grades(&self, problems: &[&(Problem, Vec<String>)]) -> Vec<Option<f32>> {
        let steps: Vec<Vec<&str>> =
            problems.iter().map(|(_, steps)| steps.iter().map(String::as_str).collect()).collect();
        if self.by_step {
            let paths: Vec<(&str, &[&str])> = problems
                .iter()
                .zip(&steps)
                .map(|((problem, _), steps)| (problem.question.as_str(), &steps[..]))
                .collect();
            let rewards = self.judge.step_rewards(&paths);
            return rewards.into_iter().map(|rewards| rewards?.last().copied()).collect();
        }
        let asked: Vec<Asked<'_>> = problems
            .iter()
            .zip(&steps)
            .map(|((problem, _), steps)| {
                let (step, before) = steps.split_last().unwrap_or((&"", &[]));
                Asked { problem, steps: before, step, answer: None, is_end: false }
            })
            .collect();
        self.judge.score(&asked)
    }
}

impl Score for Grader<'_> {
    fn score(&mut self, states: &[Arc<State>]) -> Vec<Result<f32, ValueError>> {
        let told = |state: &Arc<State>| {
            let info = (self.searched.info)(state.tree);
            let given = (self.searched.start)(state.tree);
            let given = (!given.is_empty()).then_some(given);
            let steps = given.into_iter().chain(step_texts(state, &self.tokenizer)).collect::<Vec<String>>();
            let problem = Problem {
                id: info.problem_id,
                question: info.question,
                answer: info.reference_answer,
                ..Problem::default()
            };
            (problem, steps)
        };
        let all: Vec<(Problem, Vec<String>)> = states.iter().map(told).collect();
        // Nothing was done yet at a question.
        let asked: Vec<&(Problem, Vec<String>)> = all.iter().filter(|(_, steps)| !steps.is_empty()).collect();
        let mut grades = self.grades(&asked).into_iter();
        let value = |(_, steps): &(Problem, Vec<String>)| {
            if steps.is_empty() {
                return Ok(0.0);
            }
            let silent = || {
                let why = self.judge.trouble().unwrap_or_else(|| "it gave no grade".to_owned());
                if self.judge.is_given_up() { ValueError::Source(why) } else { ValueError::State(why) }
            };
            grades.next().flatten().map(|grade| 2.0 * grade - 1.0).ok_or_else(silent)
        };
        all.iter().map(value).collect()
    }

    fn batch(&self) -> usize {
        16
    }
}
