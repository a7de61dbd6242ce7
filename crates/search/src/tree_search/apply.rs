//! What an answer changes in the tree: the value of the state, its children, their rewards.

use super::{Ask, NO_ROOM, Plan, TreeSearch, check_pools, sampled_tokens};
use crate::config::Evaluation;
use crate::error::SearchError;
use crate::expansion::{merge, reward_of};
use crate::judge::{Judge, Verdict};
use crate::request::{Expansion, Finish};
use crate::seed::Purpose;
use espalier_tree::{Ending, NewStep, NodeId};

impl TreeSearch {
    /// Takes an answer into the tree.
    pub(super) fn apply(
        &mut self,
        ask: &Ask,
        answer: &Expansion,
        judge: &(impl Judge + ?Sized),
    ) -> Result<(), SearchError> {
        self.values.clear();
        if let Some(value) = self.value_of(ask, answer, judge)? {
            self.values.push(value);
        }
        if ask.purpose == Purpose::Expansion {
            self.expand(ask.id, answer, judge)?;
        }
        if self.path.last() == Some(&ask.id) {
            self.tree.back_up_path(&self.path, &self.values);
        } else {
            self.tree.back_up_all(ask.id, &self.values);
        }
        match &mut self.plan {
            Plan::Mcts(mcts) => mcts.release(&self.tree, ask.id),
            Plan::Frontier(frontier) if ask.purpose != Purpose::Expansion => frontier.evaluated(&self.tree, ask.id),
            Plan::Frontier(_) | Plan::Chains(_) => {}
        }
        if ask.purpose == Purpose::Expansion {
            self.end_simulation();
        }
        Ok(())
    }

    /// V of the state, if this answer is what evaluates it.
    fn value_of(
        &mut self,
        ask: &Ask,
        answer: &Expansion,
        judge: &(impl Judge + ?Sized),
    ) -> Result<Option<f64>, SearchError> {
        match (&self.plan, ask.purpose) {
            // A solution's value is noted; its reward is what counts.
            (Plan::Chains(_), Purpose::Value) => {
                if let Some(value) = checked(answer.value)? {
                    self.tree.set_value_estimate(ask.id, value);
                }
                return Ok(None);
            }
            (Plan::Chains(_), _) => return Ok(None),
            (Plan::Frontier(_), Purpose::Rollouts) => return Ok(Some(self.mean_reward(&answer.candidates, judge))),
            (Plan::Frontier(_), Purpose::Expansion) if !self.wants_value(ask.id, ask.purpose) => return Ok(None),
            (Plan::Mcts(_) | Plan::Frontier(_), _) => {}
        }
        match (self.config.evaluation, checked(answer.value)?) {
            (Evaluation::Zero, _) => Ok(Some(0.0)),
            (Evaluation::Rollouts { .. }, _) => Ok(Some(ask.rollout_value.unwrap_or(NO_ROOM))),
            (Evaluation::ValueHead, Some(value)) => {
                self.tree.set_value_estimate(ask.id, value);
                Ok(Some(f64::from(value)))
            }
            // A prefix that fills the context is not read by the model at all, so there is no value either.
            (Evaluation::ValueHead, None) if sampled_tokens(&answer.candidates) == 0 => Ok(Some(NO_ROOM)),
            (Evaluation::ValueHead, None) => Err(SearchError::NoValue),
        }
    }

    /// Adds the candidates below the node; the rewards of those that end their path are collected to be backed up.
    fn expand(&mut self, id: NodeId, answer: &Expansion, judge: &(impl Judge + ?Sized)) -> Result<(), SearchError> {
        let candidates = &answer.candidates;
        let text_bytes = self.text_bytes + candidates.iter().map(|c| c.text.len() as u64).sum::<u64>();
        let tokens = self.tokens + sampled_tokens(candidates);
        check_pools(text_bytes, tokens)?;
        (self.text_bytes, self.tokens) = (text_bytes, tokens);

        let mut kept = std::mem::take(&mut self.kept);
        merge(candidates, self.config.prior, &mut kept)?;
        self.work.duplicates += (candidates.len() - kept.len()) as u64;
        if kept.is_empty() {
            // Nothing can follow: all of its no children are terminal. Else it would be selected for ever.
            self.tree.set_ending(id, Ending::Exhausted);
        }
        let is_beyond = self.tree.node(id).depth + 1 > self.config.max_depth;
        for one in &kept {
            let candidate = &candidates[one.index];
            let Verdict { kind, ending, answer } = judge.judge(&self.tree.info, &candidate.text);
            let ending = match (candidate.finish, ending) {
                // Whatever the text looks like, its end is missing.
                (Finish::Length, _) => Ending::Length,
                (Finish::Stop, Ending::None) if is_beyond => Ending::TooDeep,
                (Finish::Stop, ending) => ending,
            };
            let reward = ending.has_reward().then(|| reward_of(ending));
            let step = NewStep {
                kind,
                text: &candidate.text,
                token_ids: &candidate.token_ids,
                logprobs: &candidate.logprobs,
                prior: one.prior,
                ending,
                reward,
                answer: answer.as_deref(),
            };
            let child = self.tree.append(id, &step);
            // Samples that say the same count each where samples are counted, and once where steps are.
            let count = if let Plan::Chains(_) = self.plan { one.count } else { 1 };
            if let Some(reward) = reward.map(f64::from) {
                self.tree.set_statistics(child, count, f64::from(count) * reward);
                self.values.extend((0..count).map(|_| reward));
            } else {
                match &mut self.plan {
                    Plan::Chains(chains) => chains.opened(child, count),
                    Plan::Frontier(frontier) => frontier.opened(child),
                    Plan::Mcts(_) => {}
                }
            }
            self.correct_solutions += u32::from(ending == Ending::Correct);
        }
        self.kept = kept;
        Ok(())
    }
}

/// A value in its range.
fn checked(value: Option<f32>) -> Result<Option<f32>, SearchError> {
    match value {
        Some(value) if !(-1.0..=1.0).contains(&value) => Err(SearchError::Value { value }),
        value => Ok(value),
    }
}
