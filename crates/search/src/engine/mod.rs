//! Many trees in flight over one policy.
//!
//! ```text
//!            ┌──────────── slot 0: TreeSearch ─┐   request                  ┌────────┐
//! jobs ──►   │             slot 1: TreeSearch  ├──────────────► submit ──►  │ Policy │
//!            │             ..                  │                            │        │
//!            └─────────────slot n: TreeSearch ◄┘◄── answers ◄── poll ◄────  └────────┘
//!                              │ finished or skipped: on_event, and the slot takes the next job at once
//! ```

mod event;
mod give_up;
mod slots;
mod turn;
mod waiting;

use crate::config::SearchConfig;
use crate::error::SearchError;
use crate::judge::Judge;
use crate::policy::{LOOK, Policy};
use crate::request::{Expansion, Stops};
use crate::summary::{SearchSummary, Stop};
use crate::tree_search::{Next, RequestBuffer, TreeSearch};
use espalier_settings::range::at_least;
use espalier_tree::{Tree, TreeInfo};
pub use event::SearchEvent;
use slots::{Owner, Slots};
use std::sync::Arc;
use std::time::{Duration, Instant};
use turn::{GROUP, Turn, run_group, run_groups};
use waiting::{Back, Waiting};

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

/// Searches one tree for each job, `in_flight` of them at a time, and hands each to `on_tree` when it is finished: in the
/// order of completion, which is not that of the jobs. `stops` are the strings that end a step and a path in the jobs'
/// format.
///
/// A tree is the same whatever `in_flight` is, in whatever order the policy answers, and on any number of threads. Memory
/// is that of the trees in flight, however many jobs there are. A problem that fails by itself is skipped and reported
/// in [`SearchSummary::skipped`]; [`search_with_events`] reports it when it happens.
///
/// # Errors
/// When a setting is out of range, the policy fails altogether or breaks its contract, or `on_tree` fails. The policy
/// may then be left with unanswered requests and is not to be searched with again.
pub fn search<P: Policy + ?Sized, J: Judge + ?Sized>(
    config: &SearchConfig,
    in_flight: usize,
    stops: &Stops,
    jobs: impl IntoIterator<Item = TreeJob>,
    policy: &mut P,
    judge: &J,
    mut on_tree: impl FnMut(u64, Tree) -> Result<(), SearchError>,
) -> Result<SearchSummary, SearchError> {
    search_with_events(config, in_flight, stops, jobs, policy, judge, |event| match event {
        SearchEvent::Finished { index, tree } => on_tree(index, tree),
        SearchEvent::Skipped(_) | SearchEvent::Advanced(_) => Ok(()),
    })
}

/// [`search`], with `on_event` told what happens when it happens: each job ends in one [`SearchEvent::Finished`] or
/// [`SearchEvent::Skipped`].
///
/// # Errors
/// Those of [`search`], and the first error of `on_event`.
pub fn search_with_events<P: Policy + ?Sized, J: Judge + ?Sized>(
    config: &SearchConfig,
    in_flight: usize,
    stops: &Stops,
    jobs: impl IntoIterator<Item = TreeJob>,
    policy: &mut P,
    judge: &J,
    on_event: impl FnMut(SearchEvent<'_>) -> Result<(), SearchError>,
) -> Result<SearchSummary, SearchError> {
    config.check()?;
    at_least(1).check("in_flight", &in_flight)?;
    let mut engine = Engine {
        began: Instant::now(),
        config: Arc::new(config.clone()),
        policy,
        judge,
        jobs: jobs.into_iter().fuse(),
        on_event,
        slots: Slots::new(in_flight),
        turns: Vec::new(),
        buffer: RequestBuffer::new(stops),
        pending: 0,
        waiting: None,
        summary: SearchSummary::default(),
    };
    if !judge.takes_time() {
        return engine.run();
    }
    std::thread::scope(|scope| {
        engine.waiting = Some(Waiting::start(scope, in_flight, judge));
        engine.run()
    })
}

struct Engine<'a, P: ?Sized, J: ?Sized, I, F> {
    began: Instant,
    config: Arc<SearchConfig>,
    policy: &'a mut P,
    judge: &'a J,
    jobs: I,
    on_event: F,
    slots: Slots,
    /// Empty between batches; kept for its memory.
    turns: Vec<Turn>,
    buffer: RequestBuffer,
    /// Requests without an answer.
    pending: usize,
    /// Trees that are with their judges, where these take time.
    waiting: Option<Waiting>,
    summary: SearchSummary,
}

impl<P, J, I, F> Engine<'_, P, J, I, F>
where
    P: Policy + ?Sized,
    J: Judge + ?Sized,
    I: Iterator<Item = TreeJob>,
    F: FnMut(SearchEvent<'_>) -> Result<(), SearchError>,
{
    fn run(mut self) -> Result<SearchSummary, SearchError> {
        self.fill()?;
        while self.pending > 0 || self.judging() > 0 {
            self.turn()?;
            (self.on_event)(SearchEvent::Advanced(&self.summary))?;
        }
        self.summary.wall_s = self.began.elapsed().as_secs_f64();
        Ok(self.summary)
    }

    /// Trees that are with their judges.
    fn judging(&self) -> usize {
        self.waiting.as_ref().map_or(0, Waiting::len)
    }

    /// Starts as many trees as may be in flight.
    fn fill(&mut self) -> Result<(), SearchError> {
        while let Some(place) = self.slots.open() {
            self.start_next(place)?;
            if self.slots.is_free(place) {
                break;
            }
        }
        Ok(())
    }

    /// Puts the next job that can be searched into a slot, if it is free.
    fn start_next(&mut self, place: usize) -> Result<(), SearchError> {
        while self.slots.is_free(place) {
            let Some(TreeJob { index, info, prompt }) = self.jobs.next() else { break };
            let began = Instant::now();
            let tokenized = self.policy.tokenize(&prompt);
            self.summary.policy_s += began.elapsed().as_secs_f64();
            let prompt_ids = match tokenized {
                Ok(prompt_ids) => prompt_ids,
                Err(error) => {
                    let reason = format!("the prompt cannot be used: {}", error.reason());
                    self.skip(index, info.problem_id, reason)?;
                    continue;
                }
            };
            let problem_id = info.problem_id.clone();
            match TreeSearch::begin(&self.config, index, info, &prompt, &prompt_ids) {
                Ok(tree) => {
                    self.slots.begin(place);
                    self.proceed(place, Box::new(tree))?;
                }
                Err(error) => self.skip(index, problem_id, error.reason())?,
            }
        }
        Ok(())
    }

    /// Waits for answers and works on the trees that got one.
    fn turn(&mut self) -> Result<(), SearchError> {
        self.take_judged()?;
        let may_wait = self.judging() == 0;
        if self.pending == 0 {
            return Ok(());
        }
        // The clock is read per turn, not per request.
        let began = Instant::now();
        let polled = if may_wait { self.policy.poll() } else { self.policy.poll_for(LOOK) };
        let answered = Instant::now();
        self.summary.policy_s += (answered - began).as_secs_f64();
        self.summary.wall_s = (answered - self.began).as_secs_f64();
        let answers = match polled {
            Ok(answers) => answers,
            Err(error) => {
                let Some(tree) = error.tree() else { return Err(error.into()) };
                if self.waiting.as_mut().is_some_and(|waiting| waiting.fail(tree, error.reason())) {
                    self.pending -= 1;
                    return Ok(());
                }
                let Some(place) = self.slots.place_of(tree) else { return Err(error.into()) };
                self.pending -= 1;
                match self.slots.take(place) {
                    Some(tree) => self.give_up(place, tree, 1, error.reason())?,
                    None => self.lose_one(place),
                }
                return self.start_next(place);
            }
        };
        if answers.is_empty() {
            return if may_wait { Err(SearchError::NoAnswer { pending: self.pending }) } else { Ok(()) };
        }
        let count = answers.len();
        let mut answers = answers.into_iter();
        let mut turns = std::mem::take(&mut self.turns);
        let mut size = GROUP;
        while answers.len() > 0 {
            self.fetch(&answers.as_slice()[..answers.len().min(GROUP)]);
            for answer in answers.by_ref().take(size) {
                self.take_turn(answer, &mut turns)?;
            }
            if let Some(waiting) = &mut self.waiting {
                turns.drain(..).for_each(|turn| waiting.send(turn));
            } else if size == GROUP {
                run_group(&mut turns, self.judge);
            } else {
                run_groups(&mut turns, self.judge);
            }
            for turn in turns.drain(..) {
                self.end_turn(turn)?;
            }
            let left = answers.len();
            // What a turn takes is mostly up to the judge.
            if left > 0 && answered.elapsed() * left as u32 >= PARALLEL_FROM * (count - left) as u32 {
                size = usize::MAX;
            }
        }
        self.turns = turns;
        Ok(())
    }

    /// Goes on with the trees that are back from their judges; waits for one where nothing else is to be waited for.
    fn take_judged(&mut self) -> Result<(), SearchError> {
        let waits = self.pending == 0;
        let Some(waiting) = &mut self.waiting else { return Ok(()) };
        let (all, waited_s) = waiting.back(waits);
        self.summary.judge_s += waited_s;
        for Back { turn, answers, failures } in all {
            // The requests whose answers came meanwhile are pending again until the tree takes them.
            self.pending += answers.len();
            let place = turn.place;
            let lost = failures.len();
            if let Some(reason) = failures.into_iter().next() {
                let (_, tree, work, _) = turn.end(self.policy);
                self.summary.work += work;
                self.give_up(place, tree, lost, reason)?;
                self.start_next(place)?;
            } else {
                self.end_turn(turn)?;
            }
            let mut turns = Vec::new();
            for answer in answers {
                self.take_turn(answer, &mut turns)?;
            }
            if let Some(waiting) = &mut self.waiting {
                turns.into_iter().for_each(|turn| waiting.send(turn));
            }
        }
        Ok(())
    }

    /// Reads a little of each tree that is about to have its turn, all of them at the same time. Thousands of trees are
    /// more than the caches hold, and each would wait for its own memory otherwise.
    fn fetch(&self, answers: &[Expansion]) {
        let trees = || answers.iter().filter_map(|answer| self.slots.waiting(answer.ticket));
        let read = trees().fold(0, |read, tree| read ^ tree.fetch());
        std::hint::black_box(trees().fold(read, |read, tree| read ^ tree.fetch_path()));
    }

    fn end_turn(&mut self, turn: Turn) -> Result<(), SearchError> {
        let (place, tree, work, outcome) = turn.end(self.policy);
        self.summary.work += work;
        match outcome {
            Ok(()) => self.proceed(place, tree)?,
            // It would be the same for every tree.
            Err(error @ SearchError::NoValue) => return Err(error),
            Err(error) => self.give_up(place, tree, 0, error.reason())?,
        }
        self.start_next(place)
    }

    /// Adds an answer to its tree's turn.
    fn take_turn(&mut self, mut answer: Expansion, turns: &mut Vec<Turn>) -> Result<(), SearchError> {
        let unknown = SearchError::UnknownTicket { ticket: answer.ticket };
        match self.slots.owner(answer.ticket) {
            None => return Err(unknown),
            Some(Owner::Abandoned { place }) => {
                self.pending -= 1;
                self.lose_one(place);
                self.policy.reclaim(answer);
                return self.start_next(place);
            }
            Some(Owner::Tree { place, ticket }) => {
                if let Some(waiting) = &mut self.waiting {
                    let Some(other) = waiting.keep(place, answer) else {
                        self.pending -= 1;
                        return Ok(());
                    };
                    answer = other;
                }
                answer.ticket = ticket;
                if let Some(tree) = self.slots.take_if_awaits(place, ticket, turns.len()) {
                    turns.push(Turn::new(place, tree, answer));
                } else {
                    let turn = turns.get_mut(self.slots.turn(place)).filter(|turn| turn.place == place);
                    if !turn.is_some_and(|turn| turn.add(answer)) {
                        return Err(unknown);
                    }
                }
            }
        }
        self.pending -= 1;
        Ok(())
    }

    /// Sends a tree's requests and puts the tree into its slot, or hands the finished tree over.
    fn proceed(&mut self, place: usize, mut tree: Box<TreeSearch>) -> Result<(), SearchError> {
        loop {
            match tree.next(&mut self.buffer) {
                Next::Request(mut request) => {
                    request.ticket = self.slots.issue(place);
                    match self.policy.submit(request) {
                        Ok(()) => self.pending += 1,
                        Err(error) if error.tree() == Some(tree.index()) => {
                            return self.give_up(place, tree, 1, error.reason());
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
                Next::Waiting => {
                    self.slots.put(place, tree);
                    return Ok(());
                }
                Next::Finished => {
                    let index = tree.index();
                    self.policy.forget(index);
                    let stop = tree.stop().unwrap_or(Stop::Simulations);
                    let tree = tree.into_tree();
                    self.summary.add_tree(&tree, stop);
                    let began = Instant::now();
                    let stored = (self.on_event)(SearchEvent::Finished { index, tree });
                    self.summary.store_s += began.elapsed().as_secs_f64();
                    return stored;
                }
            }
        }
    }
}
