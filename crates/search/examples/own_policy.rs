//! A search with a policy and a judge of your own: which coins make 45?
//!
//! `cargo run --release -p espalier-search --example own_policy`

use espalier_search::{
    About, Candidate, Evaluation, Expansion, Finish, Judge, Place, Policy, PolicyError, SearchConfig, StepRequest,
    Stops, TreeJob, Verdict, search,
};
use espalier_tree::{Ending, Kind, TreeInfo};
use std::cmp::Ordering;
use std::error::Error;

/// Adds a coin of 5, 10 or 20 at each step, each as likely as the others; the text is the sum so far.
#[derive(Default)]
struct Coins {
    waiting: Vec<Expansion>,
}

const COINS: [u32; 3] = [5, 10, 20];

impl Policy for Coins {
    fn about(&self) -> About {
        About { policy_hash: "coins".into(), ..About::default() }
    }

    fn tokenize(&self, prompt: &str) -> Result<Vec<u32>, PolicyError> {
        Ok(prompt.bytes().map(u32::from).collect())
    }

    /// A policy of a model would put the request into its batch; the answer may depend on the request alone.
    fn submit(&mut self, request: StepRequest<'_>) -> Result<(), PolicyError> {
        // The path's tokens follow the prompt's; here each token is a coin.
        let spent: u32 = request.prefix_ids[request.step_ends[0] as usize..].iter().sum();
        let candidate = |&coin: &u32| Candidate {
            text: (spent + coin).to_string(),
            token_ids: vec![coin],
            logprobs: vec![-(COINS.len() as f32).ln()],
            finish: Finish::Stop,
        };
        let candidates = COINS.iter().take(request.k).map(candidate).collect();
        self.waiting.push(Expansion { ticket: request.ticket, value: None, candidates });
        Ok(())
    }

    fn pending(&self) -> usize {
        self.waiting.len()
    }

    fn poll(&mut self) -> Result<Vec<Expansion>, PolicyError> {
        Ok(std::mem::take(&mut self.waiting))
    }

    fn forget(&mut self, _tree: u64) {}
}

/// A path ends where its sum reaches the reference: right if it is met, wrong if it is passed.
struct Sum;

impl Judge for Sum {
    fn judge(&self, at: Place<'_>, text: &str) -> Verdict {
        let (sum, wanted) = (text.parse::<u32>().ok(), at.info().reference_answer.parse::<u32>().ok());
        let (kind, ending) = match sum.cmp(&wanted) {
            Ordering::Less => (Kind::Plan, Ending::None),
            Ordering::Equal => (Kind::Solution, Ending::Correct),
            Ordering::Greater => (Kind::Solution, Ending::Wrong),
        };
        Verdict::new(kind, ending, (kind == Kind::Solution).then(|| text.to_owned()))
    }

    fn judge_path(&self, at: Place<'_>, text: &str) -> Verdict {
        self.judge(at, text)
    }
}

/// Searches one tree and prints the first ways that it found.
///
/// # Errors
/// None of this policy.
pub fn main() -> Result<(), Box<dyn Error>> {
    let job = TreeJob {
        index: 0,
        info: TreeInfo {
            run_id: "example".into(),
            round: 0,
            problem_id: "coins".into(),
            question: "Which coins make 45?".into(),
            reference_answer: "45".into(),
            tree_seed: 1,
        },
        prompt: "coins: ".into(),
    };
    let config = SearchConfig { simulations: 30, k_root: 3, evaluation: Evaluation::Zero, ..SearchConfig::default() };
    let mut trees = Vec::new();
    search(&config, 1, &Stops::default(), [job], &mut Coins::default(), &Sum, |_, tree| {
        trees.push(tree);
        Ok(())
    })?;
    let tree = trees.first().ok_or("one job gives one tree")?;
    let found = tree.ids().filter(|&id| tree.node(id).ending == Ending::Correct);
    for end in found.take(3) {
        let sums: Vec<&str> = tree.path(end).into_iter().skip(1).map(|node| tree.text(node)).collect();
        println!("{}", sums.join(" -> "));
    }
    Ok(())
}
