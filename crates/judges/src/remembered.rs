//! What was judged once is not judged again.
//!
//! ```text
//!  question ──hash──► known: its score
//!                     being asked, by whichever thread: waited for
//!                     new: asked with all that is new in this call, then kept; the oldest go when there are too many
//! ```

use crate::scorer::{Asked, Scope, Scorer};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use espalier_files::fingerprint;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// A judge with a memory, which all threads share. The same question at the same time is asked once.
///
/// What cannot be answered (`None`) is not remembered, and is asked again the next time. A judge whose answer depends on what else is
/// asked in the same call, as [`Compare`](crate::Compare) does, must not be remembered. A judge must not, while it is asked, run
/// other work that asks this memory on the same thread: it would wait for itself.
pub struct Remembered<S> {
    judge: S,
    /// What the judge is called, so that memories can be told apart.
    name: String,
    entries: usize,
    known: DashMap<Key, Known>,
    /// The keys with a score, the oldest first.
    order: Mutex<VecDeque<Key>>,
}

type Key = [u8; 16];

enum Known {
    Score(f32),
    Asked(Arc<Flight>),
}

/// A question on its way.
#[derive(Default)]
struct Flight {
    landed: Mutex<Landed>,
    changed: Condvar,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Landed {
    #[default]
    NotYet,
    With(Option<f32>),
}

impl Flight {
    fn land(&self, score: Option<f32>) {
        let mut landed = self.landed.lock().unwrap_or_else(PoisonError::into_inner);
        // The first landing counts.
        if *landed == Landed::NotYet {
            *landed = Landed::With(score);
        }
        drop(landed);
        self.changed.notify_all();
    }

    fn wait(&self) -> Option<f32> {
        let landed = self.landed.lock().unwrap_or_else(PoisonError::into_inner);
        let is_out = |landed: &mut Landed| *landed == Landed::NotYet;
        match *self.changed.wait_while(landed, is_out).unwrap_or_else(PoisonError::into_inner) {
            Landed::With(score) => score,
            Landed::NotYet => None,
        }
    }
}

/// Lands the questions of a call, whatever becomes of the judge: nobody waits for one that panicked.
struct Departed<'a, S> {
    memory: &'a Remembered<S>,
    flights: Vec<(Key, Arc<Flight>)>,
}

impl<S> Drop for Departed<'_, S> {
    fn drop(&mut self) {
        for (key, flight) in self.flights.drain(..) {
            self.memory.known.remove_if(&key, |_, known| matches!(known, Known::Asked(_)));
            flight.land(None);
        }
    }
}

impl<S: Scorer> Remembered<S> {
    /// A memory for so many scores, of which each takes about a hundred bytes; at least one.
    pub fn new(name: &str, judge: S, entries: usize) -> Remembered<S> {
        Remembered {
            judge,
            name: name.to_owned(),
            entries: entries.max(1),
            known: DashMap::new(),
            order: Mutex::default(),
        }
    }

    /// Scores that it holds now.
    pub fn len(&self) -> usize {
        self.order.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn key(&self, asked: &Asked<'_>) -> Option<Key> {
        let Asked { problem, steps, step, answer, is_end } = *asked;
        let digits = fingerprint(&(&self.name, problem, steps, step, answer, is_end)).ok()?;
        let mut key = Key::default();
        for (byte, pair) in key.iter_mut().zip(digits.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(key)
    }

    /// Keeps a score, and lets the oldest go.
    fn keep(&self, key: Key, score: f32) {
        self.known.insert(key, Known::Score(score));
        let oldest = {
            let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
            order.push_back(key);
            if order.len() > self.entries { order.pop_front() } else { None }
        };
        if let Some(oldest) = oldest {
            self.known.remove(&oldest);
        }
    }
}

impl<S: Scorer> Scorer for Remembered<S> {
    fn scope(&self) -> Scope {
        self.judge.scope()
    }

    fn takes_time(&self) -> bool {
        self.judge.takes_time()
    }

    fn score(&self, asked: &[Asked<'_>]) -> Vec<Option<f32>> {
        let mut scores = vec![None; asked.len()];
        let mut waiting: Vec<(usize, Arc<Flight>)> = Vec::new();
        let mut departed = Departed { memory: self, flights: Vec::new() };
        let mut places = Vec::new();
        for (place, one) in asked.iter().enumerate() {
            // Whatever cannot be written cannot be hashed; no question is like that.
            let Some(key) = self.key(one) else { continue };
            match self.known.entry(key) {
                Entry::Occupied(entry) => match entry.get() {
                    Known::Score(score) => scores[place] = Some(*score),
                    Known::Asked(flight) => waiting.push((place, Arc::clone(flight))),
                },
                Entry::Vacant(entry) => {
                    let flight = Arc::new(Flight::default());
                    entry.insert(Known::Asked(Arc::clone(&flight)));
                    departed.flights.push((key, flight));
                    places.push(place);
                }
            }
        }
        if !places.is_empty() {
            let new: Vec<Asked<'_>> = places.iter().map(|&place| asked[place].clone()).collect();
            let answers = self.judge.score(&new);
            for ((&place, (key, flight)), answer) in places.iter().zip(&departed.flights).zip(answers) {
                scores[place] = answer;
                if let Some(score) = answer {
                    self.keep(*key, score);
                }
                flight.land(answer);
            }
        }
        // What is left has no answer, and is forgotten.
        drop(departed);
        // Only now: two threads that wait for each other's questions have both asked their own.
        for (place, flight) in waiting {
            scores[place] = flight.wait();
        }
        scores
    }

    fn trouble(&self) -> Option<String> {
        self.judge.trouble()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{end, math};
    use std::collections::HashMap;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::Duration;

    /// Counts how often each step was asked about; says nothing of some, and panics at others.
    #[derive(Default)]
    struct Counting {
        asked: Mutex<HashMap<String, usize>>,
        slowly: bool,
    }

    impl Counting {
        fn times(&self, step: &str) -> usize {
            self.asked.lock().unwrap().get(step).copied().unwrap_or(0)
        }
    }

    impl Scorer for Counting {
        fn scope(&self) -> Scope {
            Scope::Step
        }

        fn score(&self, asked: &[Asked<'_>]) -> Vec<Option<f32>> {
            if self.slowly {
                std::thread::sleep(Duration::from_millis(20));
            }
            let score = |one: &Asked<'_>| {
                *self.asked.lock().unwrap().entry(one.step.to_owned()).or_default() += 1;
                assert!(one.step != "panic", "asked to");
                one.step.parse::<f32>().ok().map(|number| number / 1000.0)
            };
            asked.iter().map(score).collect()
        }
    }

    #[test]
    fn a_question_is_asked_once_whoever_asks_and_when() {
        let memory = Remembered::new("j", Counting { slowly: true, ..Counting::default() }, 1000);
        let problem = math("5");
        std::thread::scope(|scope| {
            for thread in 0..16 {
                let (memory, problem) = (&memory, &problem);
                scope.spawn(move || {
                    for round in 0..5 {
                        // Each in another order, and one twice in a call.
                        let steps: Vec<String> =
                            (0..20).map(|index| ((index * 7 + thread + round) % 20).to_string()).collect();
                        let mut asked: Vec<Asked<'_>> = steps.iter().map(|step| end(problem, step, None)).collect();
                        asked.push(asked[0].clone());
                        for (one, score) in asked.iter().zip(memory.score(&asked)) {
                            assert_eq!(score, Some(one.step.parse::<f32>().unwrap() / 1000.0));
                        }
                    }
                });
            }
        });
        assert!((0..20).all(|step| memory.judge.times(&step.to_string()) == 1));
        assert_eq!((memory.len(), memory.known.len()), (20, 20));
    }

    #[test]
    fn another_context_is_another_question() {
        let memory = Remembered::new("j", Counting::default(), 1000);
        let (one, other) = (math("5"), math("6"));
        let asked = [
            end(&one, "1", None),
            end(&other, "1", None),
            end(&one, "1", Some("")),
            Asked { is_end: false, ..end(&one, "1", None) },
            Asked { steps: &["a", "b"], ..end(&one, "1", None) },
            Asked { steps: &["ab"], ..end(&one, "1", None) },
            Asked { steps: &["a"], ..end(&one, "1", None) },
        ];
        memory.score(&asked);
        memory.score(&asked);
        assert_eq!(memory.judge.times("1"), asked.len());
        let keys = |name| Remembered::new(name, Counting::default(), 1).key(&asked[0]);
        assert_ne!(keys("j"), keys("k"));
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_go() {
        let memory = Remembered::new("j", Counting::default(), 3);
        let problem = math("5");
        for step in ["1", "2", "3", "1", "4", "2", "3", "4", "1"] {
            memory.score(&[end(&problem, step, None)]);
            assert!(memory.len() <= 3 && memory.known.len() <= 3);
        }
        // The 1 was the oldest when the 4 came.
        assert_eq!(["1", "2", "3", "4"].map(|step| memory.judge.times(step)), [2, 1, 1, 1]);
    }

    #[test]
    fn what_has_no_answer_is_not_remembered_nor_waited_for() {
        let memory = Remembered::new("j", Counting::default(), 10);
        let problem = math("5");
        let ask = |step| memory.score(&[end(&problem, step, None)])[0];
        assert_eq!([ask("none"), ask("none")], [None, None]);
        assert_eq!((memory.judge.times("none"), memory.known.len(), memory.is_empty()), (2, 0, true));
        let panics = || {
            catch_unwind(AssertUnwindSafe(|| memory.score(&[end(&problem, "7", None), end(&problem, "panic", None)])))
        };
        assert!(panics().is_err() && panics().is_err());
        assert_eq!((memory.known.len(), ask("7")), (0, Some(0.007)));
    }
}
