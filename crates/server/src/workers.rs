//! Threads that each keep one request on its way: so many requests are out at a time, and no more.

use crate::call::{Caller, Failure};
use crate::candidate::{Model, Reply, Sampled, Wanted};
use crate::endpoints::Endpoints;
use crate::error::ServerError;
use crate::handshake::{complete, is_well};
use crate::wire::Ask;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// A request that gets so many unusable answers is not asked any more: the same seed mostly gets the same answer.
const UNUSABLE_ANSWERS: u32 = 5;
/// A request that fails this often, while a server that fails at it answers another, is itself what it fails at.
const FAILURES_OF_ONE: u32 = 10;

/// A candidate to be sampled.
#[derive(Debug)]
pub(crate) struct Job {
    pub ticket: u64,
    pub wanted: Wanted,
}

/// A job that is over.
#[derive(Debug)]
pub(crate) struct Done {
    pub ticket: u64,
    pub index: usize,
    pub outcome: Result<Sampled, Ended>,
}

/// Why a job has no candidate.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The server does not answer this request.
    Request(ServerError),
    /// The server does not answer any request.
    Server(ServerError),
    /// The policy was dropped.
    Closed,
}

/// Counters of all threads.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub sent: AtomicU64,
    pub failed: AtomicU64,
    /// Requests whose prompt the server counted otherwise.
    pub recounted: AtomicU64,
}

/// What the threads share.
pub(crate) struct Shared {
    pub model: Model,
    pub caller: Caller,
    pub endpoints: Endpoints,
    pub counters: Counters,
    queue: Mutex<Queue>,
    filled: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    is_closed: bool,
}

impl Shared {
    pub fn new(model: Model, caller: Caller, endpoints: Endpoints) -> Shared {
        Shared {
            model,
            caller,
            endpoints,
            counters: Counters::default(),
            queue: Mutex::default(),
            filled: Condvar::new(),
        }
    }

    /// Starts threads, which end when [`close`](Self::close) is called; their results come out of the receiver.
    pub fn start(self: &Arc<Self>, threads: usize) -> Result<Receiver<Done>, ServerError> {
        let (sender, results) = channel();
        for index in 0..threads {
            let (shared, sender) = (Arc::clone(self), sender.clone());
            let thread = std::thread::Builder::new().name(format!("server-{index}"));
            thread.spawn(move || shared.work(&sender)).map_err(ServerError::Thread)?;
        }
        Ok(results)
    }

    pub fn push(&self, job: Job) {
        self.lock().jobs.push_back(job);
        self.filled.notify_one();
    }

    /// Ends all threads. One whose request is out ends when that is answered or times out.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.filled.notify_all();
        self.endpoints.close();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Job> {
        let queue = self.lock();
        let waiting = |queue: &mut Queue| queue.jobs.is_empty() && !queue.is_closed;
        let mut queue = self.filled.wait_while(queue, waiting).unwrap_or_else(PoisonError::into_inner);
        if queue.is_closed { None } else { queue.jobs.pop_front() }
    }

    fn work(&self, results: &Sender<Done>) {
        while let Some(Job { ticket, wanted }) = self.next() {
            let outcome = self.model.sample(&wanted, |ask, tokens| self.send(ask, tokens));
            if results.send(Done { ticket, index: wanted.index, outcome }).is_err() {
                return;
            }
        }
    }

    /// Sends a request, to whichever server is there, until one answers it.
    fn send(&self, ask: &Ask, prompt_tokens: usize) -> Result<Reply, Ended> {
        let (mut failures, mut failures_alone, mut unusable) = (0, 0, 0);
        loop {
            let Some(permit) = self.endpoints.acquire() else { return Err(Ended::Closed) };
            let url = self.endpoints.url(&permit);
            self.counters.sent.fetch_add(1, Ordering::Relaxed);
            let reply = complete(&self.caller, url, ask).and_then(|answer| {
                let counted = answer.usage.as_ref().and_then(|usage| usage.prompt_tokens);
                let is_recounted = counted.is_some_and(|counted| counted != prompt_tokens);
                self.counters.recounted.fetch_add(u64::from(is_recounted), Ordering::Relaxed);
                self.model.reply(&answer, ask.stop)
            });
            if let Err(Failure::Passing { .. } | Failure::Unusable(_)) = reply {
                self.counters.failed.fetch_add(1, Ordering::Relaxed);
            }
            match &reply {
                Err(Failure::Passing { .. }) => {
                    failures += 1;
                    failures_alone += u32::from(failures > 1 && is_well(&self.caller, url, &self.model));
                }
                Err(Failure::Unusable(_)) => unusable += 1,
                _ => {}
            }
            self.endpoints.release(&permit, reply.as_ref().err());
            let error = |problem| ServerError::Server { url: url.to_owned(), problem };
            match reply {
                Ok(reply) => return Ok(reply),
                Err(Failure::TooLong(said)) => return Ok(Reply::NoRoom(said)),
                Err(Failure::Refused(problem)) => return Err(Ended::Request(error(problem))),
                Err(Failure::Fatal(problem)) => return Err(Ended::Server(error(problem))),
                Err(Failure::Passing { problem, .. }) if failures_alone >= FAILURES_OF_ONE => {
                    let problem = format!("{problem}; the request failed {failures} times while others were answered");
                    return Err(Ended::Request(error(problem)));
                }
                Err(Failure::Unusable(problem)) if unusable >= UNUSABLE_ANSWERS => {
                    return Err(Ended::Request(error(format!("{problem}; so it was {unusable} times"))));
                }
                Err(Failure::Passing { .. } | Failure::Unusable(_)) => {}
            }
        }
    }
}
