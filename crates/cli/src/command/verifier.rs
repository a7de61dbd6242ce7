//! `step-train verifier`: a scorer of states that is not the policy, made of stored trees and measured on held-out problems.

use super::config_args::{ConfigArgs, Keys};
use super::flag::{Group, flag, group};
use super::keys::{COMMON, MODEL, OPTIMISATION, RUNTIME};
use crate::exit::{Outcome, print_result};
use crate::report::verifier::table;
use crate::session::{OutputFlags, Session};
use anyhow::Result;
use clap::Args;
use espalier_files::ensure_creatable;
use espalier_rounds::stage::policy_folder::PolicyFolder;
use espalier_rounds::stage::train::{Training, work_folder};
use espalier_rounds::stage::verifier::VerifierTrees;
use espalier_rounds::stage::verifier::report::{self, Reporting};
use std::path::PathBuf;

/// Flags of `step-train verifier`.
#[derive(Args)]
pub struct VerifierArgs {
    /// The policy whose transformer the verifier begins as; it stays as it is, and its own value head is measured, too
    #[arg(long, value_name = "DIR")]
    policy: PathBuf,
    /// Folders with the shards of searches
    #[arg(long, value_name = "DIR", required = true, num_args = 1..)]
    trees: Vec<PathBuf>,
    /// Trees of problems that are held out, in place of --held-out-fraction of those of --trees
    #[arg(long, value_name = "DIR")]
    held_out: Option<PathBuf>,
    /// More trees to measure the verifier on, such as the newest policy's; problems that it was made of are left out
    #[arg(long, value_name = "DIR")]
    also: Option<PathBuf>,
    /// The verifier to make, a policy's folder with its heads in value_head.safetensors; metrics go to DIR-train
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The report to write [default: report.json in DIR-train]; another one measures a verifier that is made already on other trees
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    #[command(flatten)]
    output: OutputFlags,
    #[command(flatten)]
    config: ConfigArgs<VerifierArgs>,
}

impl Keys for VerifierArgs {
    const FLAGS: &'static [Group] = &[
        COMMON,
        RUNTIME,
        group(
            "verifier",
            &[
                flag("heads"),
                flag("trunk"),
                flag("objective"),
                flag("regression_weight"),
                flag("held_out_fraction").apart_from("held_out"),
            ],
        ),
        group("verifier.pairs", &[flag("rule"), flag("min_margin"), flag("min_visits"), flag("max_pairs_per_problem")]),
        group("verifier.train", &OPTIMISATION),
        group("verifier.train", &MODEL),
    ];
}

/// Runs the command.
pub fn run(args: &VerifierArgs) -> Result<Outcome> {
    let config = args.config.resolve()?;
    PolicyFolder::open(&args.policy)?;
    ensure_creatable(&args.out)?;
    args.report.iter().try_for_each(|path| ensure_creatable(path))?;
    let material = VerifierTrees { trees: &args.trees, held_out: args.held_out.as_deref(), also: args.also.as_deref() };
    let work = work_folder(&args.out);
    let session = Session::new(args.output);
    let context = session.context(&config);
    let training = Training { title: "verifier", policy: &args.policy, out: &args.out, work: &work };
    let trained = training.verifier(material, &context)?;
    let out = args.report.clone().unwrap_or_else(|| work.join("report.json"));
    let reporting = Reporting { verifier: &args.out, policy: &args.policy, material, out: &out };
    print_result(format_args!("{}", table(&report::run(&reporting, &context)?)));
    Ok(Outcome::from_failed(trained.skipped.len()))
}
