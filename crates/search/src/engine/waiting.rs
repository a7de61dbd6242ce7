//! Trees whose judges take time: each waits for its own on a thread, while the policy and the other trees go on.
//!
//! ```text
//!   answers ──► turns ──► asked ──► thread: judge ─┐
//!                         asked ──► thread: judge ─┤──► judged ──► the trees' next requests
//! ```

use super::turn::Turn;
use crate::judge::Judge;
use crate::request::Expansion;
use crossbeam::channel::{Receiver, Sender, unbounded};
use std::collections::HashMap;
use std::thread::Scope;
use std::time::Instant;

/// Threads that wait for judges at most. They sleep; what bounds them is the memory of their stacks and the judges' patience.
const MOST_THREADS: usize = 256;

/// What came for a tree while it was with its judges.
#[derive(Default)]
struct Away {
    index: u64,
    answers: Vec<Expansion>,
    /// Why the policy gave requests of it up, once for each.
    failures: Vec<String>,
}

/// The trees that are with their judges.
pub(super) struct Waiting {
    ask: Sender<Turn>,
    asked: Receiver<Turn>,
    judged: Receiver<Turn>,
    /// By place.
    away: HashMap<usize, Away>,
}

/// A tree that is back, and what came for it meanwhile.
pub(super) struct Back {
    pub(super) turn: Turn,
    pub(super) answers: Vec<Expansion>,
    pub(super) failures: Vec<String>,
}

impl Waiting {
    /// Starts as many threads as trees may wait at a time. They end when this is dropped.
    pub(super) fn start<'scope, J: Judge + ?Sized>(
        scope: &'scope Scope<'scope, '_>,
        in_flight: usize,
        judge: &'scope J,
    ) -> Waiting {
        let (ask, asked) = unbounded::<Turn>();
        let (back, judged) = unbounded();
        for _ in 0..in_flight.min(MOST_THREADS) {
            let (asked, back) = (asked.clone(), back.clone());
            scope.spawn(move || {
                for mut turn in asked {
                    turn.answer(judge);
                    if back.send(turn).is_err() {
                        return;
                    }
                }
            });
        }
        Waiting { ask, asked, judged, away: HashMap::new() }
    }

    /// Hands a tree with its answers to its judges.
    pub(super) fn send(&mut self, turn: Turn) {
        self.away.insert(turn.place, Away { index: turn.tree.index(), ..Away::default() });
        // The receiver lives as long as this.
        let _ = self.ask.send(turn);
    }

    /// Trees that are with their judges.
    pub(super) fn len(&self) -> usize {
        self.away.len()
    }

    /// Takes an answer for the tree of this place, or gives it back if that is not with its judges.
    pub(super) fn keep(&mut self, place: usize, answer: Expansion) -> Option<Expansion> {
        match self.away.get_mut(&place) {
            Some(away) => {
                away.answers.push(answer);
                None
            }
            None => Some(answer),
        }
    }

    /// Notes that the policy gave up a request of this tree. False if it is not with its judges.
    pub(super) fn fail(&mut self, index: u64, reason: String) -> bool {
        let away = self.away.values_mut().find(|away| away.index == index);
        away.map(|away| away.failures.push(reason)).is_some()
    }

    /// The trees that are back, if any; waits for one where `waits`. The seconds that it waited come with them.
    pub(super) fn back(&mut self, waits: bool) -> (Vec<Back>, f64) {
        let began = Instant::now();
        let first = if waits && !self.away.is_empty() { self.judged.recv().ok() } else { None };
        let waited_s = if first.is_some() { began.elapsed().as_secs_f64() } else { 0.0 };
        let turns: Vec<Turn> = first.into_iter().chain(self.judged.try_iter()).collect();
        let back = turns.into_iter().map(|turn| {
            let Away { answers, failures, .. } = self.away.remove(&turn.place).unwrap_or_default();
            Back { turn, answers, failures }
        });
        (back.collect(), waited_s)
    }
}

impl Drop for Waiting {
    /// Trees that no thread has begun with are dropped, so that an error ends the search at once.
    fn drop(&mut self) {
        self.asked.try_iter().for_each(drop);
    }
}
