//! Threads that each answer one question at a time: so many are out at once, and no more wait than fit.

use crossbeam::channel::{Receiver, Sender, bounded, unbounded};
use std::io;
use std::thread::{Builder, JoinHandle};

struct Job<Q, R> {
    index: usize,
    question: Q,
    reply: Sender<(usize, R)>,
}

/// Threads with a bounded queue before them: who asks waits until there is room.
pub(crate) struct Crew<Q, R> {
    queue: Option<Sender<Job<Q, R>>>,
    threads: Vec<JoinHandle<()>>,
}

impl<Q: Send + 'static, R: Send + 'static> Crew<Q, R> {
    /// One thread for each hand. `waiting` questions fit before them.
    pub fn start<H>(hands: impl IntoIterator<Item = H>, waiting: usize) -> io::Result<Crew<Q, R>>
    where
        H: FnMut(Q) -> R + Send + 'static,
    {
        let (queue, jobs) = bounded(waiting);
        let mut crew = Crew { queue: Some(queue), threads: Vec::new() };
        for (index, hand) in hands.into_iter().enumerate() {
            let jobs = jobs.clone();
            crew.threads.push(Builder::new().name(format!("judge-{index}")).spawn(move || work(&jobs, hand))?);
        }
        Ok(crew)
    }

    /// The answers to questions, in their order; `None` where a thread is gone. Each question is made when there is room for it.
    pub fn ask(&self, questions: impl IntoIterator<Item = Q>) -> Vec<Option<R>> {
        let (reply, replies) = unbounded();
        let mut answers = Vec::new();
        for (index, question) in questions.into_iter().enumerate() {
            answers.push(None);
            if let Some(queue) = &self.queue {
                drop(queue.send(Job { index, question, reply: reply.clone() }));
            }
        }
        drop(reply);
        for (index, answer) in replies {
            answers[index] = Some(answer);
        }
        answers
    }

    /// Ends the threads when they have answered what they are at.
    pub fn end(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

impl<Q, R> Drop for Crew<Q, R> {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

fn work<Q, R>(jobs: &Receiver<Job<Q, R>>, mut hand: impl FnMut(Q) -> R) {
    for Job { index, question, reply } in jobs {
        drop(reply.send((index, hand(question))));
    }
}
