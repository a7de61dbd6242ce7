//! The search of one tree, as a state machine: it says what it needs to know, and is told.

use crate::config::{Converged, Evaluation, SearchConfig};
use crate::error::SearchError;
use crate::expansion::{reward_of, steps_from};
use crate::judge::Judge;
use crate::policy::{Candidate, Expansion, Finish, StepRequest, Unit};
use crate::seed::{Purpose, request_seed};
use crate::selection::select_child;
use crate::summary::{SearchWork, Stop};
use espalier_tree::{Ending, NewNode, NodeId, Tree, TreeInfo};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Value of a state after which there is no room for a further step, so that no path from it can be completed.
const NO_ROOM: f64 = -1.0;

/// What a tree search needs next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// The answer to this request.
    Request(StepRequest),
    /// Nothing: the tree is finished.
    Finished,
}

/// One tree being searched.
///
/// Call [`next`](TreeSearch::next), get the request answered, give the answer to [`answer`](TreeSearch::answer), and so
/// on. Leaf evaluation and expansion are one request; only [`Evaluation::Rollouts`] takes two. The tree depends on the
/// configuration, its own seed and the answers, and on nothing else.
pub struct TreeSearch {
    config: SearchConfig,
    index: u64,
    tree: Tree,
    generator: ChaCha8Rng,
    state: State,
    work: SearchWork,
    correct_solutions: u32,
    /// The root's Q at the last look for convergence, and whether it had settled by then.
    last_look: Option<f64>,
    has_settled: bool,
    /// Bytes of text and tokens in the tree.
    text_bytes: u64,
    tokens: u64,
    /// From the root to the selected leaf; kept to allocate nothing during selection.
    path: Vec<NodeId>,
    /// The steps being added; kept for its memory.
    steps: Vec<NewNode>,
}

#[derive(Clone, Copy)]
enum State {
    /// A simulation can begin.
    Ready,
    /// The leaf at the end of `path` is being evaluated and expanded.
    Waiting(Leaf),
    Finished(Stop),
}

#[derive(Clone, Copy)]
struct Leaf {
    id: NodeId,
    purpose: Purpose,
    prefix_len: usize,
    /// The mean reward of the rollouts, once they are made.
    rollout_value: Option<f64>,
}

impl TreeSearch {
    /// A tree with only its root: the prompt as text and as the policy's tokens. `index` names the tree in requests.
    pub fn new(
        config: &SearchConfig,
        index: u64,
        info: TreeInfo,
        prompt: &str,
        prompt_ids: &[u32],
    ) -> Result<TreeSearch, SearchError> {
        config.validate()?;
        let (text_bytes, tokens) = (prompt.len() as u64, prompt_ids.len() as u64);
        check_pools(text_bytes, tokens)?;
        Ok(TreeSearch {
            config: *config,
            index,
            generator: ChaCha8Rng::seed_from_u64(info.tree_seed),
            tree: Tree::new(info, prompt, prompt_ids),
            state: State::Ready,
            work: SearchWork::default(),
            correct_solutions: 0,
            last_look: None,
            has_settled: false,
            text_bytes,
            tokens,
            path: Vec::with_capacity(usize::from(config.max_depth) + 2),
            steps: Vec::new(),
        })
    }

    /// What is needed to go on. Until it is answered, the same request is given again.
    #[expect(clippy::should_implement_trait, reason = "an iterator ends, and does not wait for answers in between")]
    pub fn next(&mut self) -> Next {
        if let State::Ready = self.state {
            self.state = self.begin_simulations();
        }
        match self.state {
            State::Waiting(leaf) => Next::Request(self.request(leaf)),
            State::Ready | State::Finished(_) => Next::Finished,
        }
    }

    /// Takes in the answer to the request that [`next`](TreeSearch::next) gave. After an error the tree cannot go on.
    pub fn answer(&mut self, answer: Expansion, judge: &(impl Judge + ?Sized)) -> Result<(), SearchError> {
        let State::Waiting(leaf) = self.state else {
            return Err(SearchError::UnknownTicket { ticket: answer.ticket });
        };
        if answer.ticket != self.ticket() {
            return Err(SearchError::UnknownTicket { ticket: answer.ticket });
        }
        let (got, wanted) = (answer.candidates.len(), self.wanted(leaf));
        if got > wanted {
            return Err(SearchError::TooManyCandidates { got, wanted });
        }
        self.work.requests += 1;
        self.work.prefix_tokens += leaf.prefix_len as u64;
        self.work.sampled_tokens += sampled_tokens(&answer.candidates);
        self.state = match leaf.purpose {
            Purpose::Rollouts => {
                let rollout_value = Some(self.mean_reward(&answer.candidates, judge));
                State::Waiting(Leaf { purpose: Purpose::Expansion, rollout_value, ..leaf })
            }
            Purpose::Expansion => {
                let value = self.leaf_value(leaf, &answer)?;
                self.tree.back_up(leaf.id, value);
                self.expand(leaf.id, answer.candidates, judge)?;
                self.end_simulation();
                State::Ready
            }
        };
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
        match self.state {
            State::Finished(stop) => Some(stop),
            State::Ready | State::Waiting(_) => None,
        }
    }

    /// The name of the tree in requests.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The ticket that the next answer must carry.
    pub(crate) fn ticket(&self) -> u64 {
        self.work.requests
    }

    /// Runs simulations until one needs an answer or the tree is finished. Simulations that end at an exhausted node
    /// need none.
    fn begin_simulations(&mut self) -> State {
        loop {
            if let Some(stop) = self.reason_to_stop() {
                return State::Finished(stop);
            }
            if let Some(id) = self.select_leaf() {
                let purpose = match self.config.evaluation {
                    Evaluation::Rollouts { .. } => Purpose::Rollouts,
                    Evaluation::ValueHead | Evaluation::Zero => Purpose::Expansion,
                };
                let prefix_len = self.path.iter().map(|&at| self.tree.token_ids(at).len()).sum();
                return State::Waiting(Leaf { id, purpose, prefix_len, rollout_value: None });
            }
            self.end_simulation();
        }
    }

    /// Goes down to a leaf. `None` if the way ends at a node whose children are all terminal, which is then exhausted.
    fn select_leaf(&mut self) -> Option<NodeId> {
        let mut at = NodeId::ROOT;
        self.path.clear();
        self.path.push(at);
        while self.tree.node(at).is_expanded() {
            let Some(child) = select_child(&self.tree, at, self.config.c_puct, &mut self.generator) else {
                self.tree.set_ending(at, Ending::Exhausted);
                return None;
            };
            at = child;
            self.path.push(at);
        }
        Some(at)
    }

    fn request(&self, leaf: Leaf) -> StepRequest {
        let mut prefix_ids = Vec::with_capacity(leaf.prefix_len);
        let mut step_ends = Vec::with_capacity(self.path.len());
        for &at in &self.path {
            prefix_ids.extend_from_slice(self.tree.token_ids(at));
            step_ends.push(prefix_ids.len() as u32);
        }
        // A path from here has the remaining steps and one solution.
        let steps_left = usize::from(self.config.max_depth) + 1 - usize::from(self.tree.node(leaf.id).depth);
        let (unit, max_tokens) = match leaf.purpose {
            Purpose::Expansion => (Unit::Step, self.config.max_step_tokens),
            Purpose::Rollouts => (Unit::Path, self.config.max_step_tokens.saturating_mul(steps_left)),
        };
        StepRequest {
            ticket: self.ticket(),
            tree: self.index,
            prefix_ids,
            step_ends,
            k: self.wanted(leaf),
            max_tokens,
            unit,
            temperature: self.config.temperature,
            seed: request_seed(self.tree.info.tree_seed, leaf.id, leaf.purpose),
            want_value: self.config.evaluation == Evaluation::ValueHead,
        }
    }

    /// Candidates asked for.
    fn wanted(&self, leaf: Leaf) -> usize {
        match (leaf.purpose, self.config.evaluation) {
            (Purpose::Rollouts, Evaluation::Rollouts { count }) => count,
            _ if leaf.id == NodeId::ROOT => self.config.k_root,
            _ => self.config.k,
        }
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

    /// V of the leaf.
    fn leaf_value(&mut self, leaf: Leaf, answer: &Expansion) -> Result<f64, SearchError> {
        match (self.config.evaluation, answer.value) {
            (Evaluation::Zero, _) => Ok(0.0),
            (Evaluation::Rollouts { .. }, _) => Ok(leaf.rollout_value.unwrap_or(NO_ROOM)),
            (Evaluation::ValueHead, Some(value)) if (-1.0..=1.0).contains(&value) => {
                self.tree.set_value_estimate(leaf.id, value);
                Ok(f64::from(value))
            }
            (Evaluation::ValueHead, Some(value)) => Err(SearchError::Value { value }),
            // A prefix that fills the context is not read by the model at all, so there is no value either.
            (Evaluation::ValueHead, None) if sampled_tokens(&answer.candidates) == 0 => Ok(NO_ROOM),
            (Evaluation::ValueHead, None) => Err(SearchError::NoValue),
        }
    }

    /// Adds the candidates below the leaf and backs the rewards of those that end their path up, each when created.
    fn expand(
        &mut self,
        leaf: NodeId,
        candidates: Vec<Candidate>,
        judge: &(impl Judge + ?Sized),
    ) -> Result<(), SearchError> {
        let text_bytes = self.text_bytes + candidates.iter().map(|c| c.text.len() as u64).sum::<u64>();
        let tokens = self.tokens + sampled_tokens(&candidates);
        check_pools(text_bytes, tokens)?;
        (self.text_bytes, self.tokens) = (text_bytes, tokens);

        let count = candidates.len();
        let depth = self.tree.node(leaf).depth + 1;
        self.steps.clear();
        steps_from(candidates, depth, &self.config, &self.tree.info, judge, &mut self.steps)?;
        self.work.duplicates += (count - self.steps.len()) as u64;
        if self.steps.is_empty() {
            // Nothing can follow: all of its no children are terminal. Else it would be selected for ever.
            self.tree.set_ending(leaf, Ending::Exhausted);
            return Ok(());
        }
        let children = self.tree.expand(leaf, &self.steps);
        for (child, step) in children.zip(&self.steps) {
            if let Some(reward) = step.reward {
                self.tree.back_up(NodeId(child), f64::from(reward));
            }
            self.correct_solutions += u32::from(step.ending == Ending::Correct);
        }
        Ok(())
    }

    fn end_simulation(&mut self) {
        self.work.simulations += 1;
        if let Some(Converged { window, tolerance }) = self.config.stop_when.converged
            && self.work.simulations.is_multiple_of(u64::from(window))
        {
            let q = self.tree.node(NodeId::ROOT).q();
            self.has_settled = self.last_look.is_some_and(|before| (q - before).abs() <= tolerance);
            self.last_look = Some(q);
        }
    }

    fn reason_to_stop(&self) -> Option<Stop> {
        let rules = &self.config.stop_when;
        if self.tree.node(NodeId::ROOT).ending.is_terminal() {
            Some(Stop::Exhausted)
        } else if self.work.simulations >= u64::from(self.config.simulations) {
            Some(Stop::Simulations)
        } else if rules.correct_solutions.is_some_and(|enough| self.correct_solutions >= enough) {
            Some(Stop::Solved)
        } else if rules.sampled_tokens.is_some_and(|enough| self.work.sampled_tokens >= enough) {
            Some(Stop::Tokens)
        } else if self.has_settled {
            Some(Stop::Converged)
        } else {
            None
        }
    }
}

fn sampled_tokens(candidates: &[Candidate]) -> u64 {
    candidates.iter().map(|candidate| candidate.token_ids.len() as u64).sum()
}

/// The tree's pools are addressed by 32 bits.
fn check_pools(text_bytes: u64, tokens: u64) -> Result<(), SearchError> {
    if text_bytes.max(tokens) > u64::from(u32::MAX) { Err(SearchError::TooLarge) } else { Ok(()) }
}
