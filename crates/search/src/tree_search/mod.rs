//! The search of one tree, as a state machine: it says what it needs to know, and is told.
//!
//! ```text
//!          ┌──── plan: which states to ask about ◄────────────┐
//!          ▼                                                  │
//!   asks (a wave) ── next: Request ──► policy ── answer ──► applied: value, children, rewards
//! ```

mod apply;
mod chains;
mod fetch;
mod frontier;
mod mcts;
mod request;
mod stop;

pub use request::RequestBuffer;

use crate::config::{SearchConfig, Strategy};
use crate::error::SearchError;
use crate::expansion::{Kept, reward_of};
use crate::judge::Judge;
use crate::request::{Candidate, Expansion, Finish, StepRequest};
use crate::seed::Purpose;
use crate::summary::{SearchWork, Stop};
use chains::Chains;
use espalier_tree::{Ending, NodeId, Tree, TreeInfo};
use frontier::Frontier;
use mcts::Mcts;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use std::time::Instant;

/// Value of a state after which there is no room for a further step, so that no path from it can be completed.
const NO_ROOM: f64 = -1.0;

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
    config: Arc<SearchConfig>,
    index: u64,
    tree: Tree,
    /// Boxed: ties are rare, and what is used at each simulation then lies together.
    generator: Box<ChaCha8Rng>,
    plan: Plan,
    /// Requests without an applied answer, in their order.
    asks: Vec<Ask>,
    next_ticket: u64,
    stop: Option<Stop>,
    began: Instant,
    work: SearchWork,
    correct_solutions: u32,
    /// The root's Q at the last look for convergence, and whether it had settled by then.
    last_look: Option<f64>,
    has_settled: bool,
    /// Bytes of text and tokens in the tree.
    text_bytes: u64,
    tokens: u64,
    /// From the root to the leaf that was selected last.
    path: Vec<NodeId>,
    /// The candidates being added, and the values to be backed up; kept for their memory.
    kept: Vec<Kept>,
    values: Vec<f64>,
}

/// The strategy's own state.
enum Plan {
    Mcts(Mcts),
    Chains(Chains),
    Frontier(Frontier),
}

/// A question about one node.
struct Ask {
    ticket: u64,
    id: NodeId,
    purpose: Purpose,
    /// Candidates wanted.
    k: usize,
    is_sent: bool,
    prefix_len: usize,
    /// The mean reward of the rollouts, once they are made.
    rollout_value: Option<f64>,
    /// An answer that waits for those before it.
    answer: Option<Expansion>,
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
        config.validate()?;
        let (text_bytes, tokens) = (prompt.len() as u64, prompt_ids.len() as u64);
        check_pools(text_bytes, tokens)?;
        Ok(TreeSearch {
            index,
            generator: Box::new(ChaCha8Rng::seed_from_u64(info.tree_seed)),
            tree: Tree::new(info, prompt, prompt_ids),
            plan: match config.strategy {
                Strategy::Mcts => Plan::Mcts(Mcts::default()),
                Strategy::BestOfN { count } => Plan::Chains(Chains::new(count)),
                Strategy::Beam { width } => Plan::Frontier(Frontier::new(Some(width))),
                Strategy::BestFirst => Plan::Frontier(Frontier::new(None)),
            },
            config: Arc::clone(config),
            asks: Vec::new(),
            next_ticket: 0,
            stop: None,
            began: Instant::now(),
            work: SearchWork::default(),
            correct_solutions: 0,
            last_look: None,
            has_settled: false,
            text_bytes,
            tokens,
            path: Vec::new(),
            kept: Vec::new(),
            values: Vec::new(),
        })
    }

    /// What is needed to go on. A request's tokens are lent from `buffer`.
    pub fn next<'a>(&mut self, buffer: &'a mut RequestBuffer) -> Next<'a> {
        loop {
            if let Some(at) = self.asks.iter().position(|ask| !ask.is_sent) {
                return Next::Request(self.request(at, buffer));
            }
            if self.stop.is_none() && (self.asks.is_empty() || !self.takes_waves()) {
                self.plan_asks();
            }
            if self.asks.iter().any(|ask| !ask.is_sent) {
                continue;
            }
            return if self.asks.is_empty() { Next::Finished } else { Next::Waiting };
        }
    }

    /// Takes in the answer to a request that [`next`](TreeSearch::next) gave. After an error the tree cannot go on.
    pub fn answer(&mut self, answer: &Expansion, judge: &(impl Judge + ?Sized)) -> Result<(), SearchError> {
        let waits = |ask: &Ask| ask.is_sent && ask.ticket == answer.ticket && ask.answer.is_none();
        let Some(at) = self.asks.iter().position(waits) else {
            return Err(SearchError::UnknownTicket { ticket: answer.ticket });
        };
        let Ask { purpose, k: wanted, prefix_len, .. } = self.asks[at];
        let got = answer.candidates.len();
        if got > wanted {
            return Err(SearchError::TooManyCandidates { got, wanted });
        }
        self.work.requests += 1;
        self.work.prefix_tokens += prefix_len as u64;
        self.work.sampled_tokens += sampled_tokens(&answer.candidates);
        if purpose == Purpose::Rollouts && self.expands_after_rollouts() {
            let rollout_value = self.mean_reward(&answer.candidates, judge);
            let k = self.step_count(self.asks[at].id);
            let ask = &mut self.asks[at];
            (ask.rollout_value, ask.purpose, ask.k, ask.is_sent) = (Some(rollout_value), Purpose::Expansion, k, false);
            return Ok(());
        }
        if self.asks.len() == 1 || !self.takes_waves() {
            let ask = self.asks.remove(at);
            return self.apply(&ask, answer, judge);
        }
        self.asks[at].answer = Some(answer.clone());
        if self.asks.iter().all(|ask| ask.answer.is_some()) {
            for mut ask in std::mem::take(&mut self.asks) {
                if let Some(answer) = ask.answer.take() {
                    self.apply(&ask, &answer, judge)?;
                }
            }
        }
        Ok(())
    }

    /// The tree so far.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The tree, finished or not.
    pub fn into_tree(self) -> Tree {
        self.tree
    }

    /// What was done so far.
    pub fn work(&self) -> SearchWork {
        self.work
    }

    /// Why the tree is finished, if it is.
    pub fn stop(&self) -> Option<Stop> {
        self.stop.filter(|_| self.asks.is_empty())
    }

    /// The name of the tree in requests.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Whether a request with this ticket was given and is not answered.
    pub(crate) fn awaits(&self, ticket: u64) -> bool {
        self.asks.iter().any(|ask| ask.is_sent && ask.ticket == ticket && ask.answer.is_none())
    }

    /// Requests that were given and whose answers are not there.
    pub(crate) fn pending(&self) -> usize {
        self.asks.iter().filter(|ask| ask.is_sent && ask.answer.is_none()).count()
    }

    /// Whether answers are taken in together, in the order of the requests.
    fn takes_waves(&self) -> bool {
        self.config.reproducible || !matches!(self.plan, Plan::Mcts(_))
    }

    fn expands_after_rollouts(&self) -> bool {
        matches!(self.plan, Plan::Mcts(_))
    }

    /// Plans what to ask next, or why to stop. Nothing of either: it waits for the answers that are pending.
    fn plan_asks(&mut self) {
        match &self.plan {
            Plan::Mcts(_) => self.plan_simulations(),
            Plan::Chains(_) => self.plan_chains(),
            Plan::Frontier(_) => self.plan_frontier(),
        }
    }

    fn ask(&mut self, id: NodeId, purpose: Purpose, k: usize) {
        let (ticket, rollout_value, answer) = (0, None, None);
        self.asks.push(Ask { ticket, id, purpose, k, is_sent: false, prefix_len: 0, rollout_value, answer });
    }

    fn mean_reward(&self, candidates: &[Candidate], judge: &(impl Judge + ?Sized)) -> f64 {
        if candidates.is_empty() {
            return NO_ROOM;
        }
        let reward = |candidate: &Candidate| match candidate.finish {
            Finish::Stop => reward_of(judge.judge_path(&self.tree.info, &candidate.text).ending),
            Finish::Length => reward_of(Ending::Length),
        };
        candidates.iter().map(reward).map(f64::from).sum::<f64>() / candidates.len() as f64
    }
}

fn sampled_tokens(candidates: &[Candidate]) -> u64 {
    candidates.iter().map(|candidate| candidate.token_ids.len() as u64).sum()
}

/// The tree's pools are addressed by 32 bits.
fn check_pools(text_bytes: u64, tokens: u64) -> Result<(), SearchError> {
    if text_bytes.max(tokens) > u64::from(u32::MAX) { Err(SearchError::TooLarge) } else { Ok(()) }
}
