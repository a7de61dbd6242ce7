//! The search of one tree, as a state machine: it says what it needs to know, and is told.
//!
//! ```text
//!          ┌──── plan: which states to ask about ◄────────────┐
//!          ▼                                                  │
//!   asks (a wave) ── next: Request ──► policy ── answer ──► applied: value, children, rewards
//! ```

mod apply;
mod fetch;
mod overhang;
mod request;

pub use request::RequestBuffer;

use crate::config::SearchConfig;
use crate::error::SearchError;
use crate::expansion::Kept;
use crate::growth::{Ask, Growth};
use crate::judge::Judge;
use crate::limits::Limits;
use crate::request::{Candidate, Expansion, StepRequest};
use crate::seed::Purpose;
use crate::strategy::{Searcher, ValueUse, searcher};
use crate::summary::{SearchWork, Stop};
use espalier_tree::{Tree, TreeInfo};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// What a tree search needs next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next<'a> {
    /// The answer to this request; each is given once.
    Request(StepRequest<'a>),
    /// An answer to one of the requests that it gave.
    Waiting,
    /// Nothing: the tree is finished.
    Finished,
}

/// One tree being searched.
///
/// Call [`next`](TreeSearch::next) until it is waiting, get the requests answered, give the answers to
/// [`answer`](TreeSearch::answer), and so on. Leaf evaluation and expansion are one request; only
/// [`Evaluation::Rollouts`](crate::Evaluation::Rollouts) takes two. The tree depends on the configuration, its own seed and
/// the answers, and on nothing else.
pub struct TreeSearch {
    index: u64,
    growth: Growth,
    strategy: Box<dyn Searcher>,
    next_ticket: u64,
    /// The candidates being added, and the values to be backed up; kept for their memory.
    kept: Vec<Kept>,
    values: Vec<f64>,
}

impl TreeSearch {
    /// A tree with only its root: the prompt as text and as the policy's tokens. `index` names the tree in requests.
    pub fn new(
        config: &Arc<SearchConfig>,
        index: u64,
        info: TreeInfo,
        prompt: &str,
        prompt_ids: &[u32],
    ) -> Result<TreeSearch, SearchError> {
        config.check()?;
        TreeSearch::begin(config, index, info, prompt, prompt_ids)
    }

    /// A tree with only its root, of settings that are checked already: the check costs as much as some simulations.
    pub(crate) fn begin(
        config: &Arc<SearchConfig>,
        index: u64,
        info: TreeInfo,
        prompt: &str,
        prompt_ids: &[u32],
    ) -> Result<TreeSearch, SearchError> {
        let mut limits = Limits::new();
        limits.grow(prompt.len() as u64, prompt_ids.len() as u64)?;
        Ok(TreeSearch {
            index,
            growth: Growth {
                config: Arc::clone(config),
                generator: Box::new(ChaCha8Rng::seed_from_u64(info.tree_seed)),
                tree: Tree::new(info, prompt, prompt_ids),
                asks: Vec::new(),
                path: Vec::new(),
                limits,
            },
            strategy: searcher(config),
            next_ticket: 0,
            kept: Vec::new(),
            values: Vec::new(),
        })
    }

    /// What is needed to go on. A request's tokens are lent from `buffer`.
    pub fn next<'a>(&mut self, buffer: &'a mut RequestBuffer) -> Next<'a> {
        loop {
            if let Some(at) = self.growth.asks.iter().position(|ask| !ask.is_sent) {
                return Next::Request(self.request(at, buffer));
            }
            if self.growth.limits.stop.is_none() && (self.growth.asks.is_empty() || !self.takes_waves()) {
                self.strategy.plan(&mut self.growth);
            }
            if self.growth.asks.iter().any(|ask| !ask.is_sent) {
                continue;
            }
            return if self.growth.asks.is_empty() { Next::Finished } else { Next::Waiting };
        }
    }

    /// Takes in the answer to a request that [`next`](TreeSearch::next) gave. After an error the tree cannot go on.
    pub fn answer(&mut self, answer: &Expansion, judge: &(impl Judge + ?Sized)) -> Result<(), SearchError> {
        let waits = |ask: &Ask| ask.is_sent && ask.ticket == answer.ticket && ask.answer.is_none();
        let Some(at) = self.growth.asks.iter().position(waits) else {
            return Err(SearchError::UnknownTicket { ticket: answer.ticket });
        };
        let Ask { id, purpose, k: wanted, prefix_len, .. } = self.growth.asks[at];
        let got = answer.candidates.len();
        if got > wanted {
            return Err(SearchError::TooManyCandidates { got, wanted });
        }
        let work = &mut self.growth.limits.work;
        work.requests += 1;
        work.prefix_tokens += prefix_len as u64;
        work.sampled_tokens += sampled_tokens(&answer.candidates);
        if purpose == Purpose::Rollouts && self.strategy.value_use(&self.growth.config, id, purpose) == ValueUse::Kept {
            let rollout_value = self.mean_reward(id, &answer.candidates, judge);
            let k = self.growth.step_count(id);
            let ask = &mut self.growth.asks[at];
            (ask.rollout_value, ask.purpose, ask.k, ask.is_sent) = (Some(rollout_value), Purpose::Expansion, k, false);
            return Ok(());
        }
        if self.growth.asks.len() == 1 || !self.takes_waves() {
            let ask = self.growth.asks.remove(at);
            return self.apply(&ask, answer, judge);
        }
        self.growth.asks[at].answer = Some(answer.clone());
        if self.growth.asks.iter().all(|ask| ask.answer.is_some()) {
            for mut ask in std::mem::take(&mut self.growth.asks) {
                if let Some(answer) = ask.answer.take() {
                    self.apply(&ask, &answer, judge)?;
                }
            }
        }
        Ok(())
    }

    /// The tree so far.
    pub fn tree(&self) -> &Tree {
        &self.growth.tree
    }

    /// The tree, finished or not.
    pub fn into_tree(self) -> Tree {
        self.growth.tree
    }

    /// What was done so far.
    pub fn work(&self) -> SearchWork {
        self.growth.limits.work
    }

    /// Why the tree is finished, if it is.
    pub fn stop(&self) -> Option<Stop> {
        self.growth.limits.stop.filter(|_| self.growth.asks.is_empty())
    }

    /// The name of the tree in requests.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Whether a request with this ticket was given and is not answered.
    pub(crate) fn awaits(&self, ticket: u64) -> bool {
        self.growth.asks.iter().any(|ask| ask.is_sent && ask.ticket == ticket && ask.answer.is_none())
    }

    /// Requests that were given and whose answers are not there.
    pub(crate) fn pending(&self) -> usize {
        self.growth.asks.iter().filter(|ask| ask.is_sent && ask.answer.is_none()).count()
    }

    /// Does what [`next`](TreeSearch::next) would do first, if it is to plan: where a request is still to be sent it does
    /// that before.
    pub(crate) fn plan_ahead(&mut self) {
        let asks = &self.growth.asks;
        if asks.is_empty() || !self.takes_waves() && asks.iter().all(|ask| ask.is_sent) {
            self.strategy.plan_ahead(&mut self.growth);
        }
    }

    fn takes_waves(&self) -> bool {
        self.strategy.takes_waves(&self.growth.config)
    }
}

fn sampled_tokens(candidates: &[Candidate]) -> u64 {
    candidates.iter().map(|candidate| candidate.token_ids.len() as u64).sum()
}
