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
use crate::tree_search::{Next, RequestBuffer, TreeSearch};
use espalier_tree::{Tree, TreeInfo};
use rayon::prelude::*;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Answers that are worked on before their trees' next requests are sent.
const GROUP: usize = 16;
/// The rest of a batch goes to all threads if it would take longer than this on one. To wake them takes tens of
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
        config: Arc::new(*config),
        policy,
        judge,
        jobs: jobs.into_iter().fuse(),
        on_tree,
        slots: Vec::new(),
        turns: Vec::new(),
        buffer: RequestBuffer::default(),
        pending: 0,
        summary: SearchSummary::default(),
    };
    engine.fill()?;
    while engine.pending > 0 {
        engine.turn()?;
        engine.summary.wall_s = began.elapsed().as_secs_f64();
        on_progress(&engine.summary);
    }
    engine.summary.wall_s = began.elapsed().as_secs_f64();
    Ok(engine.summary)
}

struct Engine<'a, P, J: ?Sized, I, F> {
    config: Arc<SearchConfig>,
    policy: &'a mut P,
    judge: &'a J,
    jobs: I,
    on_tree: F,
    slots: Vec<Slot>,
    /// Empty between batches; kept for its memory.
    turns: Vec<Turn>,
    buffer: RequestBuffer,
    /// Requests without an answer.
    pending: usize,
    summary: SearchSummary,
}

/// A place for a tree in flight. The ticket of a pending request is `serial * in_flight + place`, so that the ticket
/// alone leads to the slot.
#[derive(Default)]
struct Slot {
    tree: Option<Box<TreeSearch>>,
    /// Serial of the next request.
    serial: u64,
    /// Serial of the tree's first request.
    first_serial: u64,
    /// Requests that the policy still has of a tree that was given up, and that tree.
    abandoned: usize,
    given_up: u64,
    /// Where the tree is among the turns, while it is not here.
    turn: usize,
}

/// A tree with its answers, taken out of its slot so that trees can be worked on in parallel.
struct Turn {
    place: usize,
    tree: Box<TreeSearch>,
    answers: Answers,
    work: SearchWork,
    outcome: Result<(), SearchError>,
}

/// Mostly one.
struct Answers {
    first: Expansion,
    more: Vec<Expansion>,
}

impl Turn {
    fn answer(&mut self, judge: &(impl Judge + ?Sized)) {
        let before = self.tree.work();
        self.outcome = self.tree.answer(&self.answers.first, judge);
        for answer in &self.answers.more {
            if self.outcome.is_ok() {
                self.outcome = self.tree.answer(answer, judge);
            }
        }
        if self.outcome.is_ok() {
            self.tree.descend_ahead();
        }
        self.work = self.tree.work().since(before);
    }
}

/// Works on one group. The selection belongs to it, so that threads share that too.
fn run_group(turns: &mut [Turn], judge: &(impl Judge + ?Sized)) {
    turns.iter_mut().for_each(|turn| turn.answer(judge));
}

/// Works on several groups, on all threads.
fn run_groups(turns: &mut [Turn], judge: &(impl Judge + ?Sized)) {
    turns.par_chunks_mut(GROUP).for_each(|group| run_group(group, judge));
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

    /// Puts the next job that can be searched into a slot, if it is free.
    fn start_next(&mut self, place: usize) -> Result<(), SearchError> {
        while self.slots[place].tree.is_none() && self.slots[place].abandoned == 0 {
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
            match TreeSearch::new(&self.config, index, info, &prompt, &prompt_ids) {
                Ok(tree) => {
                    self.slots[place].first_serial = self.slots[place].serial;
                    self.proceed(place, Box::new(tree))?;
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
                let Some(place) = error.tree().and_then(|tree| self.slot_of(tree)) else { return Err(error.into()) };
                self.pending -= 1;
                match self.slots[place].tree.take() {
                    Some(tree) => self.give_up(place, tree, 1, error.reason()),
                    None => self.lose_one(place),
                }
                return self.start_next(place);
            }
        };
        if answers.is_empty() {
            return Err(SearchError::NoAnswer { pending: self.pending });
        }
        let mut answers = answers.into_iter();
        let mut turns = std::mem::take(&mut self.turns);
        let mut size = GROUP;
        while answers.len() > 0 {
            let began = Instant::now();
            for answer in answers.by_ref().take(size) {
                self.take_turn(answer, &mut turns)?;
            }
            if size == GROUP {
                run_group(&mut turns, self.judge);
            } else {
                run_groups(&mut turns, self.judge);
            }
            // What a turn takes is mostly up to the judge.
            if began.elapsed() * (answers.len() / GROUP) as u32 >= PARALLEL_FROM {
                size = usize::MAX;
            }
            for turn in turns.drain(..) {
                self.end_turn(turn)?;
            }
        }
        self.turns = turns;
        Ok(())
    }

    fn end_turn(&mut self, turn: Turn) -> Result<(), SearchError> {
        let Turn { place, tree, work, outcome, answers } = turn;
        self.summary.work += work;
        self.policy.reclaim(answers.first);
        answers.more.into_iter().for_each(|answer| self.policy.reclaim(answer));
        match outcome {
            Ok(()) => self.proceed(place, tree)?,
            // It would be the same for every tree.
            Err(error @ SearchError::NoValue) => return Err(error),
            Err(error) => self.give_up(place, tree, 0, error.reason()),
        }
        self.start_next(place)
    }

    /// Adds an answer to its tree's turn.
    fn take_turn(&mut self, mut answer: Expansion, turns: &mut Vec<Turn>) -> Result<(), SearchError> {
        let unknown = SearchError::UnknownTicket { ticket: answer.ticket };
        let in_flight = self.config.in_flight as u64;
        let place = (answer.ticket % in_flight) as usize;
        let serial = answer.ticket / in_flight;
        let Some(slot) = self.slots.get_mut(place).filter(|slot| serial < slot.serial) else { return Err(unknown) };
        if slot.abandoned > 0 {
            self.pending -= 1;
            self.lose_one(place);
            self.policy.reclaim(answer);
            return self.start_next(place);
        }
        let Some(ticket) = serial.checked_sub(slot.first_serial) else { return Err(unknown) };
        answer.ticket = ticket;
        if let Some(tree) = slot.tree.take_if(|tree| tree.awaits(ticket)) {
            slot.turn = turns.len();
            let (answers, work) = (Answers { first: answer, more: Vec::new() }, SearchWork::default());
            turns.push(Turn { place, tree, answers, work, outcome: Ok(()) });
        } else {
            let turn = turns.get_mut(slot.turn).filter(|turn| turn.place == place);
            let knows = |turn: &&mut Turn| {
                let answers = &turn.answers;
                let is_new = answers.first.ticket != ticket && answers.more.iter().all(|more| more.ticket != ticket);
                is_new && turn.tree.awaits(ticket)
            };
            let Some(turn) = turn.filter(knows) else { return Err(unknown) };
            turn.answers.more.push(answer);
        }
        self.pending -= 1;
        Ok(())
    }

    /// Sends a tree's requests and puts the tree into its slot, or hands the finished tree over.
    fn proceed(&mut self, place: usize, mut tree: Box<TreeSearch>) -> Result<(), SearchError> {
        loop {
            match tree.next(&mut self.buffer) {
                Next::Request(mut request) => {
                    let slot = &mut self.slots[place];
                    request.ticket = slot.serial * self.config.in_flight as u64 + place as u64;
                    slot.serial += 1;
                    match self.policy.submit(request) {
                        Ok(()) => self.pending += 1,
                        Err(error) if error.tree() == Some(tree.index()) => {
                            self.give_up(place, tree, 1, error.reason());
                            return Ok(());
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
                Next::Waiting => {
                    self.slots[place].tree = Some(tree);
                    return Ok(());
                }
                Next::Finished => {
                    let index = tree.index();
                    self.policy.forget(index);
                    let stop = tree.stop().unwrap_or(Stop::Simulations);
                    let tree = tree.into_tree();
                    self.summary.add_tree(&tree, stop);
                    return (self.on_tree)(index, tree);
                }
            }
        }
    }

    /// Gives a tree up. Of its pending requests the policy has given up `lost`; the slot waits for the answers to the
    /// others.
    fn give_up(&mut self, place: usize, tree: Box<TreeSearch>, lost: usize, reason: String) {
        let index = tree.index();
        let slot = &mut self.slots[place];
        (slot.abandoned, slot.given_up) = (tree.pending().saturating_sub(lost), index);
        if slot.abandoned == 0 {
            self.policy.forget(index);
        }
        self.skip(index, tree.into_tree().info.problem_id, reason);
    }

    /// One request less is pending of the tree that was given up here.
    fn lose_one(&mut self, place: usize) {
        let slot = &mut self.slots[place];
        slot.abandoned -= 1;
        if slot.abandoned == 0 {
            self.policy.forget(slot.given_up);
        }
    }

    fn skip(&mut self, index: u64, problem_id: String, reason: String) {
        tracing::warn!(index, problem_id, reason, "skipped a problem");
        self.summary.skipped.push(Skipped { index, problem_id, reason });
    }

    fn slot_of(&self, index: u64) -> Option<usize> {
        self.slots.iter().position(|slot| match &slot.tree {
            Some(tree) => tree.index() == index,
            None => slot.abandoned > 0 && slot.given_up == index,
        })
    }
}
