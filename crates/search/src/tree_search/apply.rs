//! What an answer changes in the tree: the value of the state, its children, their rewards.

use super::overhang::Reader;
use super::{TreeSearch, sampled_tokens};
use crate::config::Evaluation;
use crate::error::SearchError;
use crate::expansion::merge;
use crate::growth::Ask;
use crate::judge::{Judge, NO_ROOM, Place, Sampled, Verdict, mean_reward, reward_of};
use crate::request::{Candidate, Expansion, Finish};
use crate::seed::Purpose;
use crate::strategy::ValueUse;
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
        if self.growth.path.last() == Some(&ask.id) {
            self.growth.tree.back_up_path(&self.growth.path, &self.values);
        } else {
            self.growth.tree.back_up_all(ask.id, &self.values);
        }
        self.strategy.answered(&self.growth.tree, ask.id, ask.purpose);
        if ask.purpose == Purpose::Expansion {
            self.growth.end_simulation();
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
        match self.strategy.value_use(&self.growth.config, ask.id, ask.purpose) {
            ValueUse::Ignored => return Ok(None),
            ValueUse::Noted => {
                if let Some(value) = checked(answer.value)? {
                    self.growth.tree.set_value_estimate(ask.id, value);
                }
                return Ok(None);
            }
            ValueUse::BackedUp | ValueUse::Kept if ask.purpose == Purpose::Rollouts => {
                return Ok(Some(self.mean_reward(ask.id, &answer.candidates, judge)));
            }
            ValueUse::BackedUp | ValueUse::Kept => {}
        }
        match (&self.growth.config.evaluation, checked(answer.value)?) {
            (Evaluation::Zero, _) => Ok(Some(0.0)),
            (Evaluation::Rollouts { .. }, _) => Ok(Some(ask.rollout_value.unwrap_or(NO_ROOM))),
            (Evaluation::ValueHead | Evaluation::Outside(_), Some(value)) => {
                self.growth.tree.set_value_estimate(ask.id, value);
                Ok(Some(f64::from(value)))
            }
            // A prefix that fills the context is not read by the model at all, so there is no value either.
            (Evaluation::ValueHead | Evaluation::Outside(_), None) if sampled_tokens(&answer.candidates) == 0 => {
                Ok(Some(NO_ROOM))
            }
            (Evaluation::ValueHead | Evaluation::Outside(_), None) => Err(SearchError::NoValue),
        }
    }

    /// Adds the candidates below the node; the rewards of those that end their path are collected to be backed up.
    fn expand(&mut self, id: NodeId, answer: &Expansion, judge: &(impl Judge + ?Sized)) -> Result<(), SearchError> {
        let candidates = &answer.candidates;
        let text_bytes = candidates.iter().map(|candidate| candidate.text.len() as u64).sum();
        self.growth.limits.grow(text_bytes, sampled_tokens(candidates))?;

        let mut kept = std::mem::take(&mut self.kept);
        let reader = Reader::below(&self.growth.tree, id, judge);
        merge(candidates, self.growth.config.prior, |text| reader.end(text), &mut kept)?;
        self.growth.limits.work.duplicates += (candidates.len() - kept.len()) as u64;
        if kept.is_empty() {
            // Nothing can follow: all of its no children are terminal. Else it would be selected for ever.
            self.growth.tree.set_ending(id, Ending::Exhausted);
        }
        let is_beyond = self.growth.tree.node(id).depth + 1 > self.growth.config.max_depth;
        let counts_samples = self.strategy.counts_samples();
        if id == NodeId::ROOT {
            self.growth.tree.set_judges(judge.columns());
        }
        let mut together = if judge.takes_siblings() {
            let sampled = kept.iter().map(|one| {
                let candidate = &candidates[one.index];
                Sampled {
                    text: reader.read(&candidate.text[..one.end as usize]),
                    is_cut: candidate.finish == Finish::Length,
                }
            });
            judge.judge_siblings(Place { tree: &self.growth.tree, state: id }, &sampled.collect::<Vec<_>>())
        } else {
            Vec::new()
        }
        .into_iter();
        for one in &kept {
            let candidate = &candidates[one.index];
            let Verdict { kind, ending, answer, reward, scores } = together.next().unwrap_or_else(|| {
                let text = reader.read(&candidate.text[..one.end as usize]);
                judge.judge(Place { tree: &self.growth.tree, state: id }, &text)
            });
            let (ending, reward) = match (candidate.finish, ending) {
                // Whatever the text looks like, its end is missing.
                (Finish::Length, _) => (Ending::Length, reward_of(Ending::Length)),
                (Finish::Stop, Ending::None) if is_beyond => (Ending::TooDeep, reward_of(Ending::TooDeep)),
                (Finish::Stop, ending) => (ending, reward),
            };
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
            let child = self.growth.tree.append(id, &step);
            if !scores.is_empty() {
                self.growth.tree.set_scores(child, &scores);
            }
            let count = if counts_samples { one.count } else { 1 };
            if let Some(reward) = reward.map(f64::from) {
                self.growth.tree.set_statistics(child, count, f64::from(count) * reward);
                self.values.extend((0..count).map(|_| reward));
            } else if !ending.is_terminal() {
                self.strategy.opened(child, one.count);
            }
            self.growth.limits.correct_solutions += u32::from(ending == Ending::Correct);
        }
        self.kept = kept;
        Ok(())
    }

    /// The mean reward of paths that were sampled below a node, of those that have one; 0 where none has.
    pub(super) fn mean_reward(&self, id: NodeId, paths: &[Candidate], judge: &(impl Judge + ?Sized)) -> f64 {
        if paths.is_empty() {
            return NO_ROOM;
        }
        let reader = Reader::below(&self.growth.tree, id, judge);
        let at = Place { tree: &self.growth.tree, state: id };
        let whole = paths.iter().filter(|path| path.finish == Finish::Stop);
        let read = whole.map(|path| reader.read(&path.text[..reader.end(&path.text)]));
        let verdicts: Vec<Verdict> = if judge.takes_siblings() {
            judge.judge_paths(at, &read.map(|text| Sampled { text, is_cut: false }).collect::<Vec<_>>())
        } else {
            read.map(|text| judge.judge_path(at, &text)).collect()
        };
        mean_reward(&verdicts, paths.len() - verdicts.len())
    }
}

/// A value in its range.
fn checked(value: Option<f32>) -> Result<Option<f32>, SearchError> {
    match value {
        Some(value) if !(-1.0..=1.0).contains(&value) => Err(SearchError::Value { value }),
        value => Ok(value),
    }
}
