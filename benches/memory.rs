//! Memory does not grow with the number of problems: many of them are searched with a fake policy, their trees written to
//! shards, and the largest resident set is printed.
//!
//! `cargo bench --bench memory` takes 1,000,000 problems (about 13 million nodes, a few GiB in a temporary folder) and fails at
//! 1 GiB; `cargo bench --bench memory -- 20000` takes as many as it says.

#![allow(missing_docs, reason = "a program")]

use espalier_rounds::stage::shards::Shards;
use espalier_search::{
    About, Candidate, Expansion, Finish, Judge, Place, Policy, PolicyError, SearchConfig, SearchError, StepRequest,
    Stops, TreeJob, Verdict, search,
};
use espalier_tree::{Ending, Kind, ShardInfo, TreeInfo};
use std::collections::VecDeque;
use std::error::Error;
use std::time::Instant;

const LIMIT_KIB: u64 = 1 << 20;
/// Trees searched at the same time.
const IN_FLIGHT: usize = 1000;

fn main() -> Result<(), Box<dyn Error>> {
    let problems = std::env::args().skip(1).find_map(|word| word.parse::<u64>().ok()).unwrap_or(1_000_000);
    let folder = tempfile::tempdir()?;
    let config = SearchConfig { simulations: 4, ..SearchConfig::default() };
    let mut shards = Shards::open(folder.path(), ShardInfo::default(), 1000, problems as usize)?;
    let begun = Instant::now();
    let on_tree = |index, tree| shards.add(index, &tree).map_err(|error| SearchError::Sink(error.into()));
    let summary =
        search(&config, IN_FLIGHT, &Stops::default(), (0..problems).map(job), &mut Steps::default(), &Words, on_tree)?;
    shards.close()?;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    let peak: u64 = peak.ok_or("the system does not tell the largest resident set")?;
    println!(
        "memory: {} trees of {} nodes in {:.0} s, {} in flight: at most {:.0} MiB resident",
        summary.trees,
        summary.nodes,
        begun.elapsed().as_secs_f64(),
        IN_FLIGHT,
        peak as f64 / 1024.0
    );
    if peak >= LIMIT_KIB { Err("more than 1 GiB".into()) } else { Ok(()) }
}

fn job(index: u64) -> TreeJob {
    let info = TreeInfo {
        run_id: "bench".into(),
        round: 1,
        problem_id: format!("problem-{index}"),
        question: format!("Tom has {index} apples and buys 7 more. How many has he?"),
        reference_answer: (index + 7).to_string(),
        tree_seed: index,
    };
    TreeJob { index, prompt: info.question.clone(), info }
}

/// Three steps of eight tokens for every request, a few of them solutions.
#[derive(Default)]
struct Steps {
    /// Ticket, seed and K.
    pending: VecDeque<(u64, u64, usize)>,
}

impl Policy for Steps {
    fn about(&self) -> About {
        About::default()
    }

    fn pending(&self) -> usize {
        self.pending.len()
    }

    fn tokenize(&self, prompt: &str) -> Result<Vec<u32>, PolicyError> {
        Ok(prompt.bytes().map(u32::from).collect())
    }

    fn submit(&mut self, request: StepRequest<'_>) -> Result<(), PolicyError> {
        self.pending.push_back((request.ticket, request.seed, request.k));
        Ok(())
    }

    fn poll(&mut self) -> Result<Vec<Expansion>, PolicyError> {
        let count = self.pending.len().min(256);
        Ok(self.pending.drain(..count).map(|(ticket, seed, k)| answer(ticket, seed, k)).collect())
    }

    fn forget(&mut self, _: u64) {}
}

fn answer(ticket: u64, seed: u64, k: usize) -> Expansion {
    let candidate = |place: usize| Candidate {
        text: format!("{} {}", if place == 2 { "so it is" } else { "now add" }, (seed >> (8 * place)) % 97),
        token_ids: (0..8).map(|token| token + place as u32).collect(),
        logprobs: vec![-0.3; 8],
        finish: Finish::Stop,
    };
    let value = Some((seed % 2001) as f32 / 1000.0 - 1.0);
    Expansion { ticket, value, candidates: (0..k.min(3)).map(candidate).collect() }
}

struct Words;

impl Judge for Words {
    fn judge(&self, _: Place<'_>, text: &str) -> Verdict {
        let (kind, ending) =
            if text.starts_with("so") { (Kind::Solution, Ending::Wrong) } else { (Kind::Plan, Ending::None) };
        Verdict::new(kind, ending, None)
    }

    fn judge_path(&self, at: Place<'_>, text: &str) -> Verdict {
        self.judge(at, text)
    }
}
