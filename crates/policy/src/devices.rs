//! Models on the devices of this machine, each owned by a thread, behind one [`Policy`].
//!
//! ```text
//!                   ┌─ requests of its trees ─► thread, model, cache on device 0 ─┐
//!   the search ─────┤                                                            ├─► answers ─► the search
//!                   └─ requests of its trees ─► thread, model, cache on device 1 ─┘
//! ```
//!
//! The search selects, judges and writes while the devices compute. A tree stays on the device that its first request went to,
//! where its prefixes are: that with the fewest living trees.

use crate::error::ModelPolicyError;
use crate::policy::ModelPolicy;
use crate::request::{check, tokenize};
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, TrySendError, bounded, unbounded};
use espalier_search::{
    About, Expansion, Policy, PolicyError, PolicyStats, Report, StepRequest, Wish, Wishes, asked_beside,
};
use espalier_tokenizer::Tokenizer;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Requests that wait at a device's door; what is beyond waits here.
const DOOR: usize = 1024;

/// Several models that are the same, each on its device.
pub struct DevicesPolicy {
    about: About,
    vocab_size: usize,
    tokenizer: Arc<Tokenizer>,
    workers: Vec<Worker>,
    answers: Receiver<Done>,
    /// The device of each living tree, and whether the tree counts among those that it has.
    device_of: HashMap<u64, (usize, bool)>,
    /// Errors that wait until the answers that came with them are given.
    failed: VecDeque<PolicyError>,
    reports: Vec<Report>,
    pending: usize,
}

/// What is said to a device.
enum Order {
    Answer(StepRequest<'static>, Wishes),
    CutShort(u64),
    Forget(u64),
}

/// What a device says.
struct Done {
    device: usize,
    outcome: Result<Vec<Expansion>, PolicyError>,
    /// What was drawn and read until then.
    reports: Vec<Report>,
    stats: PolicyStats,
}

struct Worker {
    /// `None` once the thread is to end.
    door: Option<Sender<Order>>,
    /// Orders that did not fit through the door yet, the oldest first.
    waiting: VecDeque<Order>,
    thread: Option<JoinHandle<()>>,
    trees: usize,
    stats: PolicyStats,
}

impl DevicesPolicy {
    /// A policy over models that are the same, one for each device.
    ///
    /// # Errors
    /// [`ModelPolicyError::Devices`] for none, or for models that differ.
    ///
    /// # Panics
    /// When the system has no thread left.
    pub fn new(policies: Vec<ModelPolicy>) -> Result<DevicesPolicy, ModelPolicyError> {
        let first = policies.first().ok_or(ModelPolicyError::Devices { problem: "there is none".to_owned() })?;
        let (about, vocab_size, tokenizer) = (first.about(), first.vocab_size(), Arc::clone(first.tokenizer()));
        if let Some(other) = policies.iter().find(|policy| policy.about() != about) {
            let problem = format!("one has the policy {}, another {}", about.policy_hash, other.about().policy_hash);
            return Err(ModelPolicyError::Devices { problem });
        }
        // Answers that the search has not read hold no device up: there are no more of them than requests.
        let (done, answers) = unbounded();
        let workers = policies.into_iter().enumerate().map(|(device, policy)| {
            let (door, orders) = bounded(DOOR);
            let done = done.clone();
            let thread = std::thread::Builder::new().name(format!("device {device}"));
            let serve = move || {
                let farewell = Farewell { device, done };
                // The thread is one of those that compute: it hands nothing over, and waits for nobody but them.
                let pool = rayon::ThreadPoolBuilder::new().num_threads(policy.threads()).use_current_thread().build();
                let _pool = pool.expect("threads that compute");
                serve(policy, device, &orders, &farewell.done);
            };
            let thread = thread.spawn(serve).expect("a thread for each device");
            Worker {
                door: Some(door),
                waiting: VecDeque::new(),
                thread: Some(thread),
                trees: 0,
                stats: PolicyStats::default(),
            }
        });
        Ok(DevicesPolicy {
            about,
            vocab_size,
            tokenizer,
            workers: workers.collect(),
            answers,
            device_of: HashMap::new(),
            failed: VecDeque::new(),
            reports: Vec::new(),
            pending: 0,
        })
    }

    fn send(&mut self, device: usize, order: Order) {
        let worker = &mut self.workers[device];
        worker.waiting.push_back(order);
        worker.send_on();
    }

    fn take(&mut self, done: Done, answered: &mut Vec<Expansion>) {
        self.workers[done.device].stats = done.stats;
        self.reports.extend(done.reports);
        match done.outcome {
            Ok(mut more) => {
                self.pending -= more.len();
                answered.append(&mut more);
            }
            Err(error) => {
                self.pending -= 1;
                self.failed.push_back(error);
            }
        }
    }

    /// Hands answers on; what has failed waits until there are none.
    fn give(&mut self, answered: Vec<Expansion>) -> Result<Vec<Expansion>, PolicyError> {
        self.workers.iter_mut().for_each(Worker::send_on);
        match self.failed.pop_front() {
            Some(error) if answered.is_empty() => Err(error),
            waits => {
                waits.into_iter().for_each(|error| self.failed.push_front(error));
                Ok(answered)
            }
        }
    }
}

/// No thread is left that could answer.
fn ended() -> PolicyError {
    PolicyError::new(ModelPolicyError::Devices { problem: "their threads have ended".to_owned() })
}

impl Worker {
    /// Sends what the door has room for.
    fn send_on(&mut self) {
        let Some(door) = &self.door else { return };
        while let Some(order) = self.waiting.pop_front() {
            // A thread that has gone is noticed where its answers are missing.
            if let Err(TrySendError::Full(order) | TrySendError::Disconnected(order)) = door.try_send(order) {
                self.waiting.push_front(order);
                return;
            }
        }
    }
}

/// Says that a device's thread has panicked: who waits for its answers would wait for ever.
struct Farewell {
    device: usize,
    done: Sender<Done>,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let problem = format!("the thread of device {} has panicked", self.device);
            let outcome = Err(PolicyError::new(ModelPolicyError::Devices { problem }));
            // Nobody listens any more where this fails.
            let done = Done { device: self.device, outcome, reports: Vec::new(), stats: PolicyStats::default() };
            let _ = self.done.send(done);
        }
    }
}

/// A device's thread: takes in what there is, does a pass, and says what came of it.
fn serve(mut policy: ModelPolicy, device: usize, orders: &Receiver<Order>, done: &Sender<Done>) {
    let send = |policy: &mut ModelPolicy, outcome: Result<Vec<Expansion>, PolicyError>| {
        let reports = policy.reports();
        // A pass of which nothing is to be said.
        if reports.is_empty() && outcome.as_ref().is_ok_and(Vec::is_empty) {
            return true;
        }
        done.send(Done { device, outcome, reports, stats: policy.stats() }).is_ok()
    };
    loop {
        let next = if policy.pending() == 0 {
            orders.recv().map_err(|_| TryRecvError::Disconnected)
        } else {
            orders.try_recv()
        };
        match next {
            Ok(Order::Answer(request, wishes)) => {
                if let Err(error) = policy.submit_with(request, &wishes)
                    && !send(&mut policy, Err(error))
                {
                    return;
                }
            }
            Ok(Order::CutShort(ticket)) => policy.cut_short(ticket),
            Ok(Order::Forget(tree)) => policy.forget(tree),
            Err(TryRecvError::Disconnected) => return,
            Err(TryRecvError::Empty) => {
                let outcome = policy.poll_for(Duration::ZERO);
                // An error without a tree is the model's: whatever waits would meet it, too.
                let is_over = outcome.as_ref().is_err_and(|error| error.tree().is_none());
                if !send(&mut policy, outcome) || is_over {
                    return;
                }
            }
        }
    }
}

impl Policy for DevicesPolicy {
    fn about(&self) -> About {
        self.about.clone()
    }

    fn stats(&self) -> PolicyStats {
        self.workers.iter().fold(PolicyStats::default(), |sum, worker| sum.plus(&worker.stats))
    }

    fn pending(&self) -> usize {
        self.pending + self.failed.len()
    }

    fn tokenize(&self, prompt: &str) -> Result<Vec<u32>, PolicyError> {
        tokenize(&self.tokenizer, prompt, self.about.max_context_tokens)
    }

    fn submit(&mut self, request: StepRequest<'_>) -> Result<(), PolicyError> {
        self.submit_with(request, &Wishes::default())
    }

    fn poll(&mut self) -> Result<Vec<Expansion>, PolicyError> {
        let mut answered = Vec::new();
        while let Ok(done) = self.answers.try_recv() {
            self.take(done, &mut answered);
        }
        while answered.is_empty() && self.failed.is_empty() && self.pending > 0 {
            self.workers.iter_mut().for_each(Worker::send_on);
            let Ok(done) = self.answers.recv() else { return Err(ended()) };
            self.take(done, &mut answered);
        }
        self.give(answered)
    }

    fn can(&self, _wish: Wish) -> bool {
        true
    }

    fn submit_with(&mut self, request: StepRequest<'_>, wishes: &Wishes) -> Result<(), PolicyError> {
        check(&request, wishes, self.vocab_size).map_err(|error| PolicyError::of_tree(request.tree, error))?;
        let workers = &mut self.workers;
        // What is asked beside a tree goes to where its prefixes are.
        let beside = asked_beside(request.tree).and_then(|tree| self.device_of.get(&tree)).map(|&(device, _)| device);
        let (device, _) = *self.device_of.entry(request.tree).or_insert_with(|| {
            if let Some(device) = beside {
                return (device, false);
            }
            let device = (0..workers.len()).min_by_key(|&device| workers[device].trees).unwrap_or(0);
            workers[device].trees += 1;
            (device, true)
        });
        self.pending += 1;
        self.send(device, Order::Answer(request.into_owned(), wishes.clone()));
        Ok(())
    }

    fn poll_for(&mut self, at_most: Duration) -> Result<Vec<Expansion>, PolicyError> {
        let mut answered = Vec::new();
        self.workers.iter_mut().for_each(Worker::send_on);
        if self.failed.is_empty() && self.pending > 0 {
            match self.answers.recv_timeout(at_most) {
                Ok(done) => self.take(done, &mut answered),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(ended()),
            }
        }
        while let Ok(done) = self.answers.try_recv() {
            self.take(done, &mut answered);
        }
        self.give(answered)
    }

    fn reports(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.reports)
    }

    fn cut_short(&mut self, ticket: u64) {
        // Whichever device has it; the others do not know the ticket.
        for device in 0..self.workers.len() {
            self.send(device, Order::CutShort(ticket));
        }
    }

    fn forget(&mut self, tree: u64) {
        if let Some((device, counts)) = self.device_of.remove(&tree) {
            self.workers[device].trees -= usize::from(counts);
            self.send(device, Order::Forget(tree));
        }
    }
}

impl Drop for DevicesPolicy {
    fn drop(&mut self) {
        self.workers.iter_mut().for_each(|worker| worker.door = None);
        for thread in self.workers.iter_mut().filter_map(|worker| worker.thread.take()) {
            // What a thread that panicked had to say is printed already.
            let _ = thread.join();
        }
    }
}
