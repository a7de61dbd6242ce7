//! `mcts-gen search`: problems and a policy in, trees and pairs out.

use super::flags::{CommonFlags, PairFlags, SamplingFlags, number};
use super::policy_flags::PolicyFlags;
use super::problems::ProblemFlags;
use super::{ConfigFile, configure, store_config};
use crate::exit::{Outcome, print_result};
use crate::run::config::RunConfig;
use crate::session::{OutputFlags, Session};
use crate::stage::{pairs, search};
use anyhow::Result;
use clap::Args;
use espalier_files::ensure_creatable;
use serde::Serialize;
use std::path::PathBuf;

/// Flags of `mcts-gen search`.
#[derive(Args, Clone, Debug)]
pub struct SearchArgs {
    #[command(flatten)]
    problems: ProblemFlags,
    #[command(flatten)]
    policy: PolicyFlags,
    /// Output folder: trees/, pairs/, config.toml
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    output: OutputFlags,
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Args, Clone, Debug, Serialize)]
struct Flags {
    #[command(flatten)]
    #[serde(flatten)]
    common: CommonFlags,
    #[command(flatten)]
    search: SearchFlags,
    #[command(flatten)]
    sampling: SamplingFlags,
    #[command(flatten)]
    pairs: PairFlags,
    #[command(flatten)]
    storage: StorageFlags,
}

#[derive(Args, Clone, Debug, Serialize)]
struct SearchFlags {
    /// How a tree is searched: mcts, best_of_n:N, beam:W or best_first [default: mcts]
    #[arg(long)]
    strategy: Option<espalier_search::Strategy>,
    /// Rule of MCTS's selection: puct or uct [default: puct]
    #[arg(long)]
    selection: Option<espalier_search::Selection>,
    /// Exploration constant of UCT [default: 1.4142]
    #[arg(long, value_parser = number::<f64>)]
    c_uct: Option<f64>,
    /// Q of a step that was never visited: a number, or below_parent:R for the parent's Q less R [default: 0]
    #[arg(long, value_name = "Q", allow_hyphen_values = true)]
    first_play: Option<espalier_search::FirstPlay>,
    /// Gumbel top-k with sequential halving at the root, over this many of its steps
    #[arg(long, value_name = "N")]
    gumbel_root: Option<usize>,
    /// Leaves of one tree evaluated at the same time, with virtual loss [default: 1]
    #[arg(long, value_name = "N")]
    leaves_per_tree: Option<usize>,
    /// With several leaves, take answers in their order [default: true]; false is faster and depends on timing
    #[arg(long, value_name = "BOOL")]
    reproducible: Option<bool>,
    #[command(flatten)]
    stop_when: StopFlags,
    /// Simulations a tree: select a leaf, evaluate it, expand it [default: 200]
    #[arg(long)]
    simulations: Option<u32>,
    /// Exploration constant of PUCT [default: 1.5]
    #[arg(long, value_parser = number::<f64>)]
    c_puct: Option<f64>,
    /// Steps sampled at a node [default: 3]
    #[arg(long)]
    k: Option<usize>,
    /// Steps sampled at the root [default: 5]
    #[arg(long)]
    k_root: Option<usize>,
    /// Sampling temperature [default: 0.7]
    #[arg(long, value_parser = number::<f32>)]
    temperature: Option<f32>,
    /// Most tokens of one step [default: 1500]
    #[arg(long)]
    max_step_tokens: Option<usize>,
    /// Most plan steps of a path [default: 6]
    #[arg(long)]
    max_depth: Option<u16>,
    /// Value of a leaf: value_head, rollouts:N or zero [default: value_head, without one zero]
    #[arg(long)]
    evaluation: Option<espalier_search::Evaluation>,
    /// Trees searched at the same time; decides only speed and memory [default: 64]
    #[arg(long, value_name = "N")]
    in_flight: Option<usize>,
}

/// Table `search.stop_when`.
#[derive(Args, Clone, Debug, Serialize)]
struct StopFlags {
    /// Finish a tree at this many correct solutions
    #[arg(long, value_name = "N")]
    correct_solutions: Option<u32>,
    /// Finish a tree that has sampled this many tokens
    #[arg(long, value_name = "N")]
    sampled_tokens: Option<u64>,
    /// Finish a tree after this many seconds; such trees are not reproducible
    #[arg(long, value_name = "SECONDS", value_parser = number::<f64>)]
    wall_s: Option<f64>,
}

#[derive(Args, Clone, Debug, Serialize)]
struct StorageFlags {
    /// Trees in one Parquet shard [default: 64]
    #[arg(long)]
    shard_trees: Option<usize>,
}

/// Runs the command.
pub fn run(args: &SearchArgs) -> Result<Outcome> {
    let config = configure(&RunConfig::default(), &args.file, &args.flags)?;
    // Everything that can be wrong with the inputs is found before anything is written.
    let policy = args.policy.source()?;
    policy.check_evaluation(args.flags.search.evaluation)?;
    let problems = args.problems.load_for_search(config.seed)?;
    ensure_creatable(&args.out)?;
    let trees = args.out.join("trees");
    let stage = search::Search { problems: &problems, policy: &policy, round: 0, out: &trees };
    let session = Session::new(args.output);
    let context = session.context(&config);
    let searched = search::run(&stage, &context)?;
    let paired = pairs::run(&trees, &args.out.join("pairs"), &context)?;
    store_config(&args.out, &config)?;
    print_result(format_args!(
        "{} trees ({} solved, {} nodes, {} simulations), {} pairs in {}\n",
        searched.trees,
        searched.solved,
        searched.nodes,
        searched.simulations,
        paired.pairs(),
        args.out.display()
    ));
    if let Some(ratio) = searched.forwarded_per_token() {
        print_result(format_args!(
            "{} tokens run through the model, {} in the trees: {ratio:.3} for each; {} cached states evicted\n",
            searched.forwarded_tokens, searched.finished_tokens, searched.evictions
        ));
    }
    if let Some(servers) = &searched.servers {
        print_result(format_args!(
            "{} requests to servers, {} of them failed and sent again; {} candidates left out\n",
            servers.requests, servers.failures, servers.unreadable
        ));
        if servers.recounted > 0 {
            eprintln!("{} prompts were read by the servers as another number of tokens than stored", servers.recounted);
        }
    }
    let time = searched.search;
    if time.wall_s > 0.0 {
        let share = |seconds: f64| 100.0 * seconds / time.wall_s;
        print_result(format_args!(
            "{:.1} s of search: {:.2} % in the policy, {:.2} % in storing trees, {:.2} % in the engine itself\n",
            time.wall_s,
            share(time.policy_s),
            share(time.store_s),
            share(time.engine_s)
        ));
    }
    for skipped in &searched.skipped {
        eprintln!("skipped problem {}: {}", skipped.problem_id, skipped.reason);
    }
    Ok(Outcome::from_failed(searched.skipped.len()))
}
