//! How fast the search itself is: the policy's answers cost next to nothing, so that the engine is what is timed.
//!
//! `RAYON_NUM_THREADS=1 cargo bench -p espalier-search --bench search` prints simulations a second of one core, and what
//! changed since the last time. Criterion is given the thread's processor time instead of the time on the wall, so that what
//! others do on the machine counts less.

#![allow(missing_docs, reason = "a program")]

use criterion::{Criterion, Throughput};
use espalier_search::{
    About, Candidate, Expansion, Finish, Judge, Place, Policy, PolicyError, SearchConfig, StepRequest, Stops, TreeJob,
    Verdict, search,
};
use espalier_tree::{Ending, Kind, TreeInfo};
use std::collections::VecDeque;
use std::hint::black_box;
use std::time::Duration;

const SIMULATIONS: u32 = 200;
const DEPTH: usize = 6;

fn main() {
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    let mut group = criterion.benchmark_group(format!("search, k 3, depth {DEPTH}, {SIMULATIONS} simulations a tree"));
    for (trees, in_flight) in [(2000, 1), (10_000, 10_000)] {
        group.throughput(Throughput::Elements(simulations(trees, in_flight, 0)));
        group.bench_function(format!("{in_flight} in flight"), |bencher| {
            bencher.iter_custom(|times| {
                let begun = cpu_s();
                for run in 0..times {
                    black_box(simulations(trees, in_flight, run));
                }
                Duration::from_secs_f64(cpu_s() - begun)
            });
        });
    }
    group.finish();
    criterion.final_summary();
}

/// Searches `trees` trees, others for each `run`; the simulations that it took.
fn simulations(trees: u64, in_flight: usize, run: u64) -> u64 {
    let config = SearchConfig { simulations: SIMULATIONS, k: 3, k_root: 3, ..SearchConfig::default() };
    let jobs = (0..trees).map(|index| job(index, run));
    let summary = search(&config, in_flight, &Stops::default(), jobs, &mut Table::default(), &Words, |_, _| Ok(()))
        .expect("a policy that never fails");
    summary.work.simulations
}

/// Seconds that this thread was on a processor: what others do on the machine counts less than by the clock on the wall.
/// Where the system does not tell, the clock on the wall.
fn cpu_s() -> f64 {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    match schedstat.split_whitespace().next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()) {
        Some(nanoseconds) => nanoseconds / 1e9,
        None => std::time::UNIX_EPOCH.elapsed().map_or(0.0, |time| time.as_secs_f64()),
    }
}

fn job(index: u64, run: u64) -> TreeJob {
    let info = TreeInfo {
        run_id: "bench".into(),
        round: 0,
        problem_id: String::new(),
        question: String::new(),
        reference_answer: String::new(),
        tree_seed: (run << 32) + index,
    };
    TreeJob { index, info, prompt: String::new() }
}

/// Answers each request by steps of one token, with a value and priors that follow from the request's seed: at most
/// [`BATCH`] requests at a time, as a model does, and in memory that it used before.
#[derive(Default)]
struct Table {
    pending: VecDeque<Asked>,
    spare: Vec<Expansion>,
}

const BATCH: usize = 256;

/// What of a request decides its answer.
struct Asked {
    ticket: u64,
    seed: u64,
    k: usize,
    steps: usize,
}

impl Policy for Table {
    fn about(&self) -> About {
        About::default()
    }

    fn pending(&self) -> usize {
        self.pending.len()
    }

    fn tokenize(&self, _: &str) -> Result<Vec<u32>, PolicyError> {
        Ok(vec![0])
    }

    fn submit(&mut self, request: StepRequest<'_>) -> Result<(), PolicyError> {
        let StepRequest { ticket, seed, k, .. } = request;
        self.pending.push_back(Asked { ticket, seed, k, steps: request.step_ends.len() });
        Ok(())
    }

    fn poll(&mut self) -> Result<Vec<Expansion>, PolicyError> {
        let count = self.pending.len().min(BATCH);
        let spare = &mut self.spare;
        Ok(self.pending.drain(..count).map(|asked| answer(&asked, spare.pop())).collect())
    }

    fn forget(&mut self, _: u64) {}

    fn reclaim(&mut self, answer: Expansion) {
        self.spare.push(answer);
    }
}

fn answer(asked: &Asked, spare: Option<Expansion>) -> Expansion {
    // Uniform in [0, 1), from the bits of the seed.
    let uniform = |place: usize| f32::from(asked.seed.rotate_left(16 * place as u32) as u16) / 65536.0;
    let mut answer = spare.unwrap_or_else(|| Expansion { ticket: 0, value: None, candidates: Vec::new() });
    answer.ticket = asked.ticket;
    answer.value = Some(2.0 * uniform(3) - 1.0);
    let empty = || Candidate { text: String::new(), token_ids: vec![0], logprobs: vec![0.0], finish: Finish::Stop };
    answer.candidates.resize_with(asked.k, empty);
    let texts = if asked.steps >= DEPTH { LAST } else { STEPS };
    for (place, candidate) in answer.candidates.iter_mut().enumerate() {
        candidate.text.clear();
        candidate.text.push_str(texts[place]);
        candidate.token_ids[0] = place as u32;
        candidate.logprobs[0] = -uniform(place);
    }
    answer
}

const STEPS: [&str; 3] = ["go on 0", "go on 1", "go on 2"];
const LAST: [&str; 3] = ["right 0", "right 1", "right 2"];

/// Reads what [`answer`] writes.
struct Words;

impl Judge for Words {
    fn judge(&self, _: Place<'_>, text: &str) -> Verdict {
        if text.starts_with("right") {
            Verdict::new(Kind::Solution, Ending::Correct, None)
        } else {
            Verdict::new(Kind::Plan, Ending::None, None)
        }
    }

    fn judge_path(&self, at: Place<'_>, text: &str) -> Verdict {
        self.judge(at, text)
    }
}
