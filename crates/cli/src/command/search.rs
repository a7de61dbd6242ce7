//! `mcts-gen search`: problems and a policy in, trees and pairs out.

use super::config_args::{ConfigArgs, Keys};
use super::flag::{Group, flag, group};
use super::keys::{COMMON, JUDGING, PAIRS, RUNTIME_OF_SEARCH, SAMPLING, SEARCH};
use super::policy_flags::PolicyFlags;
use super::problems::ProblemFlags;
use crate::exit::{Outcome, print_result};
use crate::session::{OutputFlags, Session};
use crate::shown::{say, shown};
use anyhow::Result;
use clap::Args;
use espalier_files::ensure_creatable;
use espalier_rounds::stage::{pairs, search};
use std::path::PathBuf;

/// Flags of `mcts-gen search`.
#[derive(Args)]
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
    config: ConfigArgs<SearchArgs>,
}

impl Keys for SearchArgs {
    const FLAGS: &'static [Group] = &[
        COMMON,
        RUNTIME_OF_SEARCH,
        SEARCH,
        group("search.stop_when", &[flag("correct_solutions"), flag("sampled_tokens"), flag("wall_s")]),
        JUDGING,
        SAMPLING,
        PAIRS,
        group("starts", &[flag("states"), flag("share").named("states-share"), flag("from").named("states-from")]),
        group("storage", &[flag("shard_trees")]),
    ];
}

/// Runs the command.
pub fn run(args: &SearchArgs) -> Result<Outcome> {
    let config = args.config.resolve()?;
    // Everything that can be wrong with the inputs is found before anything is written.
    let policy = args.policy.source()?;
    policy.check_evaluation(args.config.flag("search.evaluation").and_then(|value| value.as_str()))?;
    let task = policy.task(&config)?;
    let problems = args.problems.load_for_search(config.seed, &task)?;
    ensure_creatable(&args.out)?;
    let trees = args.out.join("trees");
    let stage = search::Search { problems: &problems, policy: &policy, round: 0, out: &trees };
    let session = Session::new(args.output);
    let context = session.context(&config);
    let searched = search::run(&stage, &context)?;
    let paired = pairs::run(&trees, &args.out.join("pairs"), &context)?;
    config.store(&args.out)?;
    print_result(format_args!(
        "{} trees ({} solved, {} nodes, {} simulations), {} pairs in {}\n",
        searched.trees,
        searched.solved,
        searched.nodes,
        searched.simulations,
        paired.pairs(),
        args.out.display()
    ));
    if searched.unverified > 0 {
        print_result(format_args!(
            "{} solutions are unverified: their problems have no answer, or a judge could not speak\n",
            searched.unverified
        ));
    }
    for line in &searched.diagnosis {
        print_result(format_args!("{}\n", shown(line)));
    }
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
            say(format_args!(
                "{} prompts were read by the servers as another number of tokens than stored",
                servers.recounted
            ));
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
        if time.judge_s > 0.0 {
            print_result(format_args!("{:.2} % waiting for judges\n", share(time.judge_s)));
        }
    }
    for skipped in &searched.skipped {
        say(format_args!("skipped problem {}: {}", skipped.problem_id, skipped.reason));
    }
    // What was found is an outcome; that nothing was, a failure of all items.
    Ok(Outcome::from_failed(searched.skipped.len() + searched.diagnosis.len()))
}
