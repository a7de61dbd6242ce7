//! What a policy answers.

use crate::config::{EvalConfig, Method};
use crate::error::EvalError;
use crate::judge::{BlindJudge, FormatJudge, stops};
use crate::samples::Sample;
use crate::vote;
use espalier_files::seed_from;
use espalier_search::{
    Expansion, Policy, SearchConfig, SearchError, SearchEvent, StepRequest, StopWhen, Stops, Strategy, TreeJob, Unit,
    ask_all, last_stop, search_with_events,
};
use espalier_task::{AnswerKind, Problem, Task};
use espalier_tree::{Ending, NodeId, Tree, TreeInfo};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// All answers to one problem.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// In the order of sampling.
    pub texts: Vec<Text>,
    /// Why there are none.
    pub skipped: Option<String>,
}

/// One answer as it was sampled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Text {
    /// All that follows the prompt.
    pub text: String,
    /// Its tokens.
    pub tokens: u32,
    /// Sum of their log-probabilities, before temperature.
    pub logprob_nats: f64,
    /// The sampled tokens, of one that was sampled in one go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_ids: Vec<u32>,
    /// What its vote counts: 1, or for a tree's solution (1 + V) / 2 of the state that it was sampled at.
    pub weight: f64,
}

/// Which problems are to be answered, and how.
pub struct Answering<'a> {
    /// All problems.
    pub problems: &'a [&'a Problem],
    /// The indices of those without an answer yet.
    pub todo: &'a [usize],
    /// How prompts and steps are written and read.
    pub task: &'a Task,
    /// The method, and how much of it.
    pub eval: &'a EvalConfig,
    /// The temperature of sampled answers, and the trees of the methods that search; its strategy is the method's.
    pub search: SearchConfig,
    /// Trees at a time of the methods that search.
    pub in_flight: usize,
    /// The run, as trees name it.
    pub run_id: &'a str,
    /// Seed of everything sampled.
    pub seed: u64,
}

/// Takes the answers to the problem of an index.
pub type Sink<'a> = dyn FnMut(usize, Answered) -> Result<(), EvalError> + 'a;

impl Answering<'_> {
    /// Answers the problems; in which order depends on which are done first.
    ///
    /// # Errors
    /// A policy that fails altogether, and what `sink` returns. A problem that fails by itself is answered by its reason.
    pub fn run(&self, policy: &mut dyn Policy, sink: &mut Sink) -> Result<(), EvalError> {
        match self.eval.method {
            Method::Greedy => self.sample(policy, 1, 0.0, sink),
            Method::Sample => self.sample(policy, self.eval.samples, self.search.temperature, sink),
            Method::Beam => self.search(policy, Strategy::Beam { width: self.eval.beam_width }, sink),
            Method::Mcts => self.search(policy, Strategy::Mcts, sink),
        }
    }

    /// The question in the task's words; the head of a function is a prompt of its own.
    ///
    /// # Errors
    /// A template that fails.
    pub fn prompt(&self, problem: &Problem) -> Result<String, String> {
        let prompt = match problem.kind {
            AnswerKind::Code => Ok(problem.question.clone()),
            AnswerKind::Math | AnswerKind::Choice | AnswerKind::Countdown | AnswerKind::Route => {
                self.task.prompt(problem)
            }
        };
        prompt.map_err(|error| error.to_string())
    }

    fn seed(&self, problem: &Problem) -> u64 {
        seed_from(&[&self.seed, &"eval", &problem.id])
    }

    /// Independent answers to the end of the path.
    fn sample(&self, policy: &mut dyn Policy, k: usize, temperature: f32, sink: &mut Sink) -> Result<(), EvalError> {
        let stops = stops(self.task);
        // Each prompt is a tree of its own.
        let mut prompts = Vec::with_capacity(self.todo.len());
        for &index in self.todo {
            let prompt = self.prompt(self.problems[index]);
            match prompt.and_then(|prompt| policy.tokenize(&prompt).map_err(|error| error.to_string())) {
                Ok(prefix_ids) => prompts.push((index, prefix_ids)),
                Err(error) => sink(index, skipped(&format!("the prompt cannot be used: {error}")))?,
            }
        }
        let requests = prompts.into_iter().map(|(index, prefix_ids)| StepRequest {
            ticket: index as u64,
            tree: index as u64,
            step_ends: vec![prefix_ids.len() as u32].into(),
            prefix_ids: prefix_ids.into(),
            k,
            max_tokens: self.eval.max_tokens,
            unit: Unit::Path,
            stops: Cow::Borrowed(&stops),
            temperature,
            seed: self.seed(self.problems[index]),
            want_value: false,
        });
        ask_all(policy, requests, |index, answer| match answer {
            Ok(answer) => sink(index as usize, texts_of(answer, &stops)),
            Err(error) => sink(index as usize, skipped(&error.reason())),
        })
    }

    /// What the tree of a problem is told of it.
    pub fn tree_info(&self, problem: &Problem) -> TreeInfo {
        TreeInfo {
            run_id: self.run_id.to_owned(),
            round: 0,
            problem_id: problem.id.clone(),
            question: problem.question.clone(),
            // What is not there cannot be looked at.
            reference_answer: String::new(),
            tree_seed: self.seed(problem),
        }
    }

    /// A tree each, searched without the reference; every solution in it is an answer.
    fn search(&self, policy: &mut dyn Policy, strategy: Strategy, sink: &mut Sink) -> Result<(), EvalError> {
        // A step is part of an answer.
        let max_step_tokens = self.search.max_step_tokens.min(self.eval.max_tokens);
        // To the blind judge the first solution is correct; a search that ends there would not be guided at all.
        let stop_when = StopWhen { correct_solutions: None, ..self.search.stop_when };
        let settings = SearchConfig { max_step_tokens, strategy, stop_when, ..self.search.clone() };
        let mut prompts = Vec::with_capacity(self.todo.len());
        for &index in self.todo {
            match self.prompt(self.problems[index]) {
                Ok(prompt) => prompts.push((index, prompt)),
                Err(error) => sink(index, skipped(&format!("the prompt cannot be used: {error}")))?,
            }
        }
        let jobs = prompts.into_iter().map(|(index, prompt)| TreeJob {
            index: index as u64,
            info: self.tree_info(self.problems[index]),
            prompt,
        });
        let stops = stops(self.task);
        let judge = BlindJudge(FormatJudge { task: self.task.clone() });
        search_with_events(&settings, self.in_flight, &stops, jobs, policy, &judge, |event| {
            let stored = match event {
                SearchEvent::Finished { index, tree } => sink(index as usize, solutions(&tree)),
                SearchEvent::Skipped(skip) => sink(skip.index as usize, skipped(&skip.reason)),
                SearchEvent::Advanced(_) => Ok(()),
            };
            stored.map_err(|error| SearchError::Sink(error.into()))
        })?;
        Ok(())
    }
}

fn skipped(reason: &str) -> Answered {
    Answered { texts: Vec::new(), skipped: Some(reason.to_owned()) }
}

/// The answers, without what their last tokens have beyond the stop string.
fn texts_of(answer: Expansion, stops: &Stops) -> Answered {
    let texts = answer.candidates.into_iter().map(|mut candidate| {
        candidate.text.truncate(last_stop(&candidate.text, &stops.path).unwrap_or(candidate.text.len()));
        Text {
            tokens: candidate.token_ids.len() as u32,
            logprob_nats: candidate.logprobs.iter().map(|&logprob| f64::from(logprob)).sum(),
            text: candidate.text,
            token_ids: candidate.token_ids,
            weight: 1.0,
        }
    });
    Answered { texts: texts.collect(), skipped: None }
}

/// The solution of a tree that was searched without the reference which its solutions vote for, each with the weight
/// (1 + V) / 2 of the state that it was sampled at.
pub fn best_solution(tree: &Tree) -> Option<NodeId> {
    let ends: Vec<NodeId> = tree.ids().filter(|&id| tree.node(id).ending == Ending::Correct).collect();
    let sample = |&id: &NodeId| Sample {
        answer: tree.answer(id).map(str::to_owned),
        weight: weight(tree, id),
        ..Sample::default()
    };
    vote::winner(&ends.iter().map(sample).collect::<Vec<_>>()).map(|index| ends[index])
}

/// What the vote of a solution counts.
fn weight(tree: &Tree, id: NodeId) -> f64 {
    let value = tree.parent(id).and_then(|parent| tree.node(parent).value_estimate());
    value.map_or(1.0, |value| f64::midpoint(1.0, f64::from(value)))
}

/// The paths to the tree's solutions, in the order in which they were found.
fn solutions(tree: &Tree) -> Answered {
    let ends = tree.ids().filter(|&id| tree.node(id).ending == Ending::Correct);
    Answered { texts: ends.map(|id| path_to(tree, id)).collect(), skipped: None }
}

/// The path to a solution.
pub(crate) fn path_to(tree: &Tree, id: NodeId) -> Text {
    let path: Vec<NodeId> = tree.path(id).into_iter().filter(|&node| tree.parent(node).is_some()).collect();
    Text {
        text: path.iter().map(|&node| tree.text(node)).collect(),
        tokens: path.iter().map(|&node| tree.token_ids(node).len() as u32).sum(),
        logprob_nats: path.iter().flat_map(|&node| tree.logprobs(node)).map(|&logprob| f64::from(logprob)).sum(),
        token_ids: Vec::new(),
        weight: weight(tree, id),
    }
}
