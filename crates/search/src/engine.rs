//! Many trees in flight over one policy.
//!
//! ```text
//!            ┌──────────── slot 0: TreeSearch ─┐   request                  ┌────────┐
//! jobs ──►   │             slot 1: TreeSearch  ├──────────────► submit ──►  │ Policy │
//!            │             ..                  │                            │        │
//!            └─────────────slot n: TreeSearch ◄┘◄── answers ◄── poll ◄────  └────────┘
//!                              │ finished: on_tree, and the slot takes the next job at once
//! ```

use crate::config::SearchConfig;
use crate::error::SearchError;
use crate::judge::Judge;
use crate::policy::{Expansion, Policy};
use crate::summary::{SearchSummary, SearchWork, Skipped, Stop};
use crate::tree_search::{Next, TreeSearch};
use espalier_tree::{Tree, TreeInfo};
use rayon::prelude::*;
use std::time::{Duration, Instant};

/// So many answers of each batch are worked on first, and timed: what a turn takes is mostly up to the judge.
const PROBED_TURNS: usize = 8;
/// The rest of the batch goes to all threads if it would take longer than this on one. To wake them takes tens of
/// microseconds.
const PARALLEL_FROM: Duration = Duration::from_micros(200);

/// A tree to be searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeJob {
    /// Names the tree; unique within one search.
    pub index: u64,
    /// Where the tree comes from, and its seed.
    pub info: TreeInfo,
    /// The rendered prompt.
    pub prompt: String,
}

/// Searches one tree for each job, `config.in_flight` of them at a time, and hands each to `on_tree` when it is
/// finished: in the order of completion, which is not that of the jobs.
///
/// A tree is the same whatever `in_flight` is, in whatever order the policy answers, and on any number of threads. Memory
/// is that of the trees in flight, however many jobs there are. A problem that fails by itself is skipped and reported
/// in [`SearchSummary::skipped`].
///
/// # Errors
/// When a setting is out of range, the policy fails altogether or breaks its contract, or `on_tree` fails. The policy
/// may then be left with unanswered requests and is not to be searched with again.
pub fn search<P: Policy, J: Judge + ?Sized>(
    config: &SearchConfig,
    jobs: impl IntoIterator<Item = TreeJob>,
    policy: &mut P,
    judge: &J,
    on_tree: impl FnMut(u64, Tree) -> Result<(), SearchError>,
) -> Result<SearchSummary, SearchError> {
    search_with_progress(config, jobs, policy, judge, on_tree, |_| ())
}

/// [`search`], with `on_progress` called on the totals so far each time that answers have been taken in.
pub fn search_with_progress<P: Policy, J: Judge + ?Sized>(
    config: &SearchConfig,
    jobs: impl IntoIterator<Item = TreeJob>,
    policy: &mut P,
    judge: &J,
    on_tree: impl FnMut(u64, Tree) -> Result<(), SearchError>,
    mut on_progress: impl FnMut(&SearchSummary),
) -> Result<SearchSummary, SearchError> {
    config.validate()?;
    let began = Instant::now();
    let mut engine = Engine {
        config,
        policy,
        judge,
        jobs: jobs.into_iter().fuse(),
        on_tree,
        slots: Vec::new(),
        active: 0,
        summary: SearchSummary::default(),
    };
    engine.fill()?;
    while engine.active > 0 {
        engine.turn()?;
        engine.summary.wall_s = began.elapsed().as_secs_f64();
        on_progress(&engine.summary);
    }
    engine.summary.wall_s = began.elapsed().as_secs_f64();
    Ok(engine.summary)
}

struct Engine<'a, P, J: ?Sized, I, F> {
    config: &'a SearchConfig,
    policy: &'a mut P,
    judge: &'a J,
    jobs: I,
    on_tree: F,
    slots: Vec<Slot>,
    /// Slots with a tree.
    active: usize,
    summary: SearchSummary,
}

/// A place for a tree in flight. The ticket of its pending request is `serial * in_flight + place`, so that the ticket
/// alone leads to the slot.
#[derive(Default)]
struct Slot {
    tree: Option<Box<TreeSearch>>,
    serial: u64,
}

/// A tree with its answer, taken out of its slot so that trees can be worked on in parallel.
struct Turn {
    slot: usize,
    tree: Box<TreeSearch>,
    answer: Option<Expansion>,
    work: SearchWork,
    outcome: Result<Next, SearchError>,
}

impl Turn {
    fn run(&mut self, judge: &(impl Judge + ?Sized)) {
        let before = self.tree.work();
        if let Some(answer) = self.answer.take() {
            self.outcome = self.tree.answer(answer, judge).map(|()| self.tree.next());
        }
        self.work = self.tree.work().since(before);
    }
}

/// Runs the turns, on all threads if that is worth it.
fn run_turns(turns: &mut [Turn], judge: &(impl Judge + ?Sized)) {
    let (probed, rest) = turns.split_at_mut(PROBED_TURNS.min(turns.len()));
    let began = Instant::now();
    for turn in probed {
        turn.run(judge);
    }
    let rest_on_one_thread = began.elapsed() * rest.len() as u32 / PROBED_TURNS as u32;
    if rest_on_one_thread >= PARALLEL_FROM {
        rest.par_iter_mut().for_each(|turn| turn.run(judge));
    } else {
        for turn in rest {
            turn.run(judge);
        }
    }
}

impl<P, J, I, F> Engine<'_, P, J, I, F>
where
    P: Policy,
    J: Judge + ?Sized,
    I: Iterator<Item = TreeJob>,
    F: FnMut(u64, Tree) -> Result<(), SearchError>,
{
    /// Starts as many trees as may be in flight. Slots are made one by one, so that a large `in_flight` costs nothing
    /// where there are few jobs.
    fn fill(&mut self) -> Result<(), SearchError> {
        while self.slots.len() < self.config.in_flight {
            self.slots.push(Slot::default());
            self.start_next(self.slots.len() - 1)?;
            if self.slots.last().is_some_and(|slot| slot.tree.is_none()) {
                break;
            }
        }
        Ok(())
    }

    /// Puts the next job that can be searched into a free slot.
    fn start_next(&mut self, slot: usize) -> Result<(), SearchError> {
        while self.slots[slot].tree.is_none() {
            let Some(TreeJob { index, info, prompt }) = self.jobs.next() else { break };
            let prompt_ids = match self.policy.tokenize(&prompt) {
                Ok(prompt_ids) => prompt_ids,
                Err(error) => {
                    let reason = format!("the prompt cannot be used: {}", error.reason());
                    self.skip(index, info.problem_id, reason);
                    continue;
                }
            };
            let problem_id = info.problem_id.clone();
            match TreeSearch::new(self.config, index, info, &prompt, &prompt_ids) {
                Ok(mut tree) => {
                    let next = tree.next();
                    self.proceed(slot, Box::new(tree), next)?;
                }
                Err(error) => self.skip(index, problem_id, error.reason()),
            }
        }
        Ok(())
    }

    /// Waits for answers and works on the trees that got one.
    fn turn(&mut self) -> Result<(), SearchError> {
        let answers = match self.policy.poll() {
            Ok(answers) => answers,
            Err(error) => {
                let Some(slot) = error.tree().and_then(|tree| self.slot_of(tree)) else { return Err(error.into()) };
                let tree = self.slots[slot].tree.take();
                self.active -= 1;
                self.give_up(tree, error.reason());
                return self.start_next(slot);
            }
        };
        if answers.is_empty() {
            return Err(SearchError::NoAnswer { pending: self.active });
        }
        let mut turns = answers.into_iter().map(|answer| self.take_turn(answer)).collect::<Result<Vec<_>, _>>()?;
        run_turns(&mut turns, self.judge);
        for Turn { slot, tree, work, outcome, .. } in turns {
            self.summary.work += work;
            match outcome {
                Ok(next) => self.proceed(slot, tree, next)?,
                // It would be the same for every tree.
                Err(error @ SearchError::NoValue) => return Err(error),
                Err(error) => self.give_up(Some(tree), error.reason()),
            }
            self.start_next(slot)?;
        }
        Ok(())
    }

    fn take_turn(&mut self, mut answer: Expansion) -> Result<Turn, SearchError> {
        let unknown = SearchError::UnknownTicket { ticket: answer.ticket };
        let in_flight = self.config.in_flight as u64;
        let place = (answer.ticket % in_flight) as usize;
        let Some(slot) = self.slots.get_mut(place).filter(|slot| slot.serial == answer.ticket / in_flight) else {
            return Err(unknown);
        };
        let Some(tree) = slot.tree.take() else { return Err(unknown) };
        self.active -= 1;
        answer.ticket = tree.ticket();
        let work = SearchWork::default();
        Ok(Turn { slot: place, tree, answer: Some(answer), work, outcome: Ok(Next::Finished) })
    }

    /// Sends a tree's next request and puts the tree into its slot, or hands the finished tree over.
    fn proceed(&mut self, place: usize, tree: Box<TreeSearch>, next: Next) -> Result<(), SearchError> {
        match next {
            Next::Request(mut request) => {
                let slot = &mut self.slots[place];
                slot.serial += 1;
                request.ticket = slot.serial * self.config.in_flight as u64 + place as u64;
                match self.policy.submit(request) {
                    Ok(()) => {
                        slot.tree = Some(tree);
                        self.active += 1;
                    }
                    Err(error) if error.tree() == Some(tree.index()) => self.give_up(Some(tree), error.reason()),
                    Err(error) => return Err(error.into()),
                }
                Ok(())
            }
            Next::Finished => {
                let index = tree.index();
                self.policy.forget(index);
                let stop = tree.stop().unwrap_or(Stop::Simulations);
                let tree = tree.into_tree();
                self.summary.add_tree(&tree, stop);
                (self.on_tree)(index, tree)
            }
        }
    }

    fn give_up(&mut self, tree: Option<Box<TreeSearch>>, reason: String) {
        if let Some(tree) = tree {
            let index = tree.index();
            self.policy.forget(index);
            self.skip(index, tree.into_tree().info.problem_id, reason);
        }
    }

    fn skip(&mut self, index: u64, problem_id: String, reason: String) {
        tracing::warn!(index, problem_id, reason, "skipped a problem");
        self.summary.skipped.push(Skipped { index, problem_id, reason });
    }

    fn slot_of(&self, index: u64) -> Option<usize> {
        self.slots.iter().position(|slot| slot.tree.as_ref().is_some_and(|tree| tree.index() == index))
    }
}
