//! What another policy is asked about a state.

use super::{Reading, State};
use crate::judge::{Judge, NO_ROOM, Place, Sampled, mean_reward};
use crate::request::{Expansion, Finish, StepRequest, Stops, Unit};
use crate::seed::mix;
use crate::wishes::{Told, Wishes};
use espalier_tree::{NodeId, Tree, TreeInfo};
use std::borrow::Cow;

/// A request for nothing but what there is to know of a state.
fn about(state: &State) -> StepRequest<'static> {
    StepRequest {
        ticket: state.ticket,
        tree: state.tree,
        prefix_ids: state.prefix_ids.clone().into(),
        step_ends: state.step_ends.clone().into(),
        k: 0,
        max_tokens: 0,
        unit: Unit::Step,
        stops: Cow::Owned(Stops::default()),
        temperature: 1.0,
        seed: 0,
        want_value: false,
    }
}

/// The value head of a policy, or of a verifier.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadReading;

impl Reading for HeadReading {
    fn request(&mut self, state: &State) -> Result<Option<(StepRequest<'static>, Wishes)>, String> {
        Ok(Some((StepRequest { want_value: true, ..about(state) }, Wishes::default())))
    }

    fn value(&mut self, state: &State, answer: &Expansion, _told: &[Told]) -> Result<f32, String> {
        let length = state.prefix_ids.len();
        answer.value.ok_or_else(|| format!("a state of {length} tokens has no value; it may fill the model's context"))
    }
}

/// How likely a policy finds the last step: the sum of its tokens' natural log-probabilities (nats), which is no value yet; 0 at a
/// prompt.
#[derive(Clone, Copy, Debug, Default)]
pub struct LastStepReading;

impl Reading for LastStepReading {
    fn request(&mut self, state: &State) -> Result<Option<(StepRequest<'static>, Wishes)>, String> {
        let (_, start) = state.last_step();
        // The first token of all follows nothing.
        let wishes = Wishes { prefix: Some(start.max(1)), ..Wishes::default() };
        Ok((start.max(1) < state.prefix_ids.len() && state.depth() > 0).then(|| (about(state), wishes)))
    }

    fn value(&mut self, state: &State, _answer: &Expansion, told: &[Told]) -> Result<f32, String> {
        let (_, start) = state.last_step();
        let step = &state.prefix_ids[start.max(1)..];
        if told.len() != step.len() {
            return Err(format!("of a step of {} tokens it said how likely {} are", step.len(), told.len()));
        }
        Ok(told.iter().map(|token| f64::from(token.logprob)).sum::<f64>() as f32)
    }
}

/// The mean reward of paths that another policy samples from the state to the end: Q under a prover (Setlur et al. 2024,
/// arXiv:2410.08146, where a step is scored by what it changes of it).
pub struct PathsReading<'s, I, D> {
    /// Paths of each state.
    pub count: usize,
    /// Most tokens of a step.
    pub max_step_tokens: usize,
    /// Steps of a whole path before its solution.
    pub max_depth: u16,
    /// Temperature of its sampling.
    pub temperature: f32,
    /// What ends steps and paths.
    pub stops: Stops,
    /// Seed of all its sampling.
    pub seed: u64,
    /// The problem of a tree.
    pub info: I,
    /// The text of tokens.
    pub decode: D,
    /// Who says what a path is worth.
    pub judge: &'s dyn Judge,
}

impl<I, D> Reading for PathsReading<'_, I, D>
where
    I: Fn(u64) -> TreeInfo + Send,
    D: Fn(&[u32]) -> String + Send,
{
    fn request(&mut self, state: &State) -> Result<Option<(StepRequest<'static>, Wishes)>, String> {
        // The state's own tokens make the seed: its value is the same in whichever search it stands.
        let seed = state.prefix_ids.iter().fold(mix(self.seed), |seed, &id| mix(seed ^ u64::from(id)));
        // A path has the remaining steps and one solution, as in the search's own rollouts.
        let steps_left = (usize::from(self.max_depth) + 1).saturating_sub(state.depth()).max(1);
        let request = StepRequest {
            k: self.count,
            max_tokens: self.max_step_tokens.saturating_mul(steps_left),
            unit: Unit::Path,
            stops: Cow::Owned(self.stops.clone()),
            temperature: self.temperature,
            seed,
            ..about(state)
        };
        Ok(Some((request, Wishes::default())))
    }

    /// As of the search's own rollouts.
    fn value(&mut self, state: &State, answer: &Expansion, _told: &[Told]) -> Result<f32, String> {
        if answer.candidates.is_empty() {
            return Ok(NO_ROOM as f32);
        }
        let (prompt, _) = state.last_step();
        let tree = Tree::new((self.info)(state.tree), "", &[]);
        let at = Place { tree: &tree, state: NodeId::ROOT };
        let whole = answer.candidates.iter().filter(|path| path.finish == Finish::Stop);
        let texts = whole.map(|path| {
            let mut text = (self.decode)(&[&state.prefix_ids[prompt..], &path.token_ids].concat());
            text.truncate(self.judge.end(&text).unwrap_or(text.len()));
            Sampled { text: text.into(), is_cut: false }
        });
        let verdicts = self.judge.judge_paths(at, &texts.collect::<Vec<_>>());
        Ok(mean_reward(&verdicts, answer.candidates.len() - verdicts.len()) as f32)
    }
}
