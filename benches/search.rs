//! How fast the search itself is: the policy's answers cost next to nothing, so that the engine is what is timed.
//!
//! `cargo bench --bench search` prints the median of five runs for each setting.

#![allow(missing_docs, reason = "a program")]

use espalier_search::{
    Candidate, Expansion, Finish, Judge, Policy, PolicyError, SearchConfig, StepRequest, TreeJob, Verdict, search,
};
use espalier_tree::{Ending, Kind, TreeInfo};
use std::error::Error;
use std::time::Instant;

const SIMULATIONS: u32 = 200;
const DEPTH: usize = 6;

fn main() -> Result<(), Box<dyn Error>> {
    for (trees, in_flight) in [(2000, 1), (10_000, 10_000)] {
        let config = SearchConfig { simulations: SIMULATIONS, k: 3, k_root: 3, in_flight, ..SearchConfig::default() };
        let mut rates = Vec::new();
        for run in 0..5 {
            let begun = Instant::now();
            let jobs = (0..trees).map(|index| job(index, run));
            let summary = search(&config, jobs, &mut Table::default(), &Words, |_, _| Ok(()))?;
            rates.push(summary.work.simulations as f64 / begun.elapsed().as_secs_f64());
        }
        rates.sort_by(f64::total_cmp);
        println!(
            "search: {:.2} million simulations/s (one core, answers at no cost, k = 3, depth {DEPTH}, {SIMULATIONS} \
             simulations a tree, {trees} trees, {in_flight} in flight)",
            rates[2] / 1e6
        );
    }
    Ok(())
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

/// Answers each request by steps of one token, with a value and priors that follow from the request's seed.
#[derive(Default)]
struct Table {
    pending: Vec<StepRequest>,
}

impl Policy for Table {
    fn tokenize(&self, _: &str) -> Result<Vec<u32>, PolicyError> {
        Ok(vec![0])
    }

    fn submit(&mut self, request: StepRequest) -> Result<(), PolicyError> {
        self.pending.push(request);
        Ok(())
    }

    fn poll(&mut self) -> Result<Vec<Expansion>, PolicyError> {
        Ok(self.pending.drain(..).map(|request| answer(&request)).collect())
    }

    fn forget(&mut self, _: u64) {}
}

fn answer(request: &StepRequest) -> Expansion {
    // Uniform in [0, 1), from the bits of the seed.
    let uniform = |place: usize| f32::from(request.seed.rotate_left(16 * place as u32) as u16) / 65536.0;
    let last = request.step_ends.len() >= DEPTH;
    let candidate = |place: usize| Candidate {
        text: format!("{} {place}", if last { "right" } else { "go on" }),
        token_ids: vec![place as u32],
        logprobs: vec![-uniform(place)],
        finish: Finish::Stop,
    };
    Expansion {
        ticket: request.ticket,
        value: Some(2.0 * uniform(3) - 1.0),
        candidates: (0..request.k).map(candidate).collect(),
    }
}

/// Reads what [`answer`] writes.
struct Words;

impl Judge for Words {
    fn judge(&self, _: &TreeInfo, text: &str) -> Verdict {
        if text.starts_with("right") {
            Verdict { kind: Kind::Solution, ending: Ending::Correct, answer: None }
        } else {
            Verdict { kind: Kind::Plan, ending: Ending::None, answer: None }
        }
    }

    fn judge_path(&self, info: &TreeInfo, text: &str) -> Verdict {
        self.judge(info, text)
    }
}
