//! How full the policy's batch is when some requests take very much longer than others.

use super::job;
use espalier_search::fake::{FakeJudge, FakeSource, FakeTexts};
use espalier_search::{Expansion, Policy, PolicyError, SearchConfig, StepRequest, search};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

/// Rows of the batch.
const ROWS: usize = 64;

/// A policy with a clock of its own: `ROWS` requests run at a time, each for a heavy-tailed time (Pareto, shape 1.2: a
/// mean of 6 units, but one in 250 takes over 100), the others queue.
struct Simulated {
    texts: FakeTexts,
    queue: VecDeque<StepRequest<'static>>,
    /// By the time at which they end, in thousandths.
    running: BinaryHeap<Reverse<(u64, u64)>>,
    requests: HashMap<u64, StepRequest<'static>>,
    now: u64,
    /// Row-time that was used, up to now.
    used: u64,
    /// When the queue ran dry for good, and the row-time used until then: all jobs are begun by then.
    last_full: (u64, u64),
}

impl Simulated {
    fn new() -> Simulated {
        Simulated {
            texts: FakeTexts::new(1),
            queue: VecDeque::new(),
            running: BinaryHeap::new(),
            requests: HashMap::new(),
            now: 0,
            used: 0,
            last_full: (0, 0),
        }
    }

    fn admit(&mut self) {
        while self.running.len() < ROWS
            && let Some(request) = self.queue.pop_front()
        {
            let uniform = ((request.seed >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
            let duration = (1000.0 * uniform.powf(-1.0 / 1.2)) as u64;
            self.running.push(Reverse((self.now + duration, request.ticket)));
            self.requests.insert(request.ticket, request);
        }
        if self.running.len() == ROWS {
            self.last_full = (self.now, self.used);
        }
    }
}

impl Policy for Simulated {
    fn tokenize(&self, prompt: &str) -> Result<Vec<u32>, PolicyError> {
        Ok(prompt.bytes().map(u32::from).collect())
    }

    fn submit(&mut self, request: StepRequest<'_>) -> Result<(), PolicyError> {
        self.queue.push_back(request.into_owned());
        Ok(())
    }

    fn poll(&mut self) -> Result<Vec<Expansion>, PolicyError> {
        self.admit();
        let Some(Reverse((ends, ticket))) = self.running.pop() else { return Ok(Vec::new()) };
        self.used += (ends - self.now) * (self.running.len() as u64 + 1);
        self.now = ends;
        let request = self.requests.remove(&ticket).ok_or_else(|| PolicyError::new("no such request"))?;
        Ok(vec![self.texts.answer(&request)])
    }

    fn forget(&mut self, _: u64) {}
}

/// The share of the row-time that was used until the jobs ran out.
fn fill(in_flight: usize) -> f64 {
    let config = SearchConfig { simulations: 30, ..SearchConfig::default() };
    let mut policy = Simulated::new();
    search(&config, in_flight, (0..1500).map(job), &mut policy, &FakeJudge, |_, _| Ok(())).expect("the search runs");
    let (time, used) = policy.last_full;
    used as f64 / (time * ROWS as u64) as f64
}

#[test]
fn a_heavy_tail_leaves_the_batch_full() {
    let enough = fill(2 * ROWS);
    assert!(enough > 0.9, "{enough}");
    // With just as many trees as rows the batch is full too, since a tree's next request follows at once.
    let just = fill(ROWS);
    assert!(just > 0.9, "{just}");
    // The measure can fail: half the trees fill half the rows and never all of them.
    assert!(fill(ROWS / 2).is_nan());
}

/// What waiting for the slowest of each wave would cost with the same times: this is why trees never wait.
#[test]
fn waves_would_leave_it_empty() {
    let mut policy = Simulated::new();
    let config = SearchConfig { simulations: 30, ..SearchConfig::default() };
    let (mut time, mut used) = (0, 0);
    let mut wave = Vec::new();
    search(
        &config,
        ROWS,
        (0..300).map(job),
        &mut Waves { policy: &mut policy, wave: &mut wave, time: &mut time, used: &mut used },
        &FakeJudge,
        |_, _| Ok(()),
    )
    .expect("the search runs");
    let fill = used as f64 / (time * ROWS as u64) as f64;
    assert!(fill < 0.3, "{fill}");
}

/// The same times, but everything pending is answered together when the slowest is done.
struct Waves<'a> {
    policy: &'a mut Simulated,
    wave: &'a mut Vec<StepRequest<'static>>,
    time: &'a mut u64,
    used: &'a mut u64,
}

impl Policy for Waves<'_> {
    fn tokenize(&self, prompt: &str) -> Result<Vec<u32>, PolicyError> {
        self.policy.tokenize(prompt)
    }

    fn submit(&mut self, request: StepRequest<'_>) -> Result<(), PolicyError> {
        self.wave.push(request.into_owned());
        Ok(())
    }

    fn poll(&mut self) -> Result<Vec<Expansion>, PolicyError> {
        let mut answers = Vec::new();
        let begun = (self.policy.now, self.policy.used);
        for request in self.wave.drain(..) {
            self.policy.submit(request)?;
        }
        loop {
            let answer = self.policy.poll()?;
            if answer.is_empty() {
                break;
            }
            answers.extend(answer);
        }
        *self.time += self.policy.now - begun.0;
        *self.used += self.policy.used - begun.1;
        Ok(answers)
    }

    fn forget(&mut self, _: u64) {}
}
