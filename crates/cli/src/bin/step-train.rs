//! `step-train`: from step pairs to weights, and the rounds of a run.

use clap::{Parser, Subcommand};
use espalier_cli::command::config_args::print_config;
use espalier_cli::command::{
    compare, compare_evals, eval, experiment, init, judge, objective, prefer, report, round, settings, sft, value,
    verifier,
};
use espalier_cli::exit::run;
use espalier_cli::log::LogFlags;
use espalier_cli::parse::parse;
use std::process::ExitCode;

/// Training on search trees: supervised, on step preferences, of the value head; and whole rounds of a run.
#[derive(Parser)]
#[command(version, about, max_term_width = 110)]
struct Cli {
    #[command(flatten)]
    log: LogFlags,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a run: its problems, its configuration, the policy it starts from
    Init(init::InitArgs),
    /// Run the next round of a run: search, pairs, sft, prefer, value, eval
    Round(round::RoundArgs),
    /// Print the table of a run's rounds and write report.html
    Report(report::ReportArgs),
    /// Supervised training on correct paths of trees, or on worked solutions
    Sft(sft::SftArgs),
    /// Preference training on step pairs
    Prefer(prefer::PreferArgs),
    /// Train a policy by each objective on the same pairs; a table of losses and held-out rankings
    Compare(compare::CompareArgs),
    /// List the objectives of preference training, or evaluate them on given numbers
    Objective(objective::ObjectiveArgs),
    /// Train the value head on the Q of trees
    Value(value::ValueArgs),
    /// Make a verifier of trees, a scorer of states that is not the policy, and measure it on held-out problems
    Verifier(verifier::VerifierArgs),
    /// How well a policy answers problems: greedy, pass@k, majority@k or by tree search, with 95 % intervals
    Eval(eval::EvalArgs),
    /// Compare two evaluations of the same problems, problem by problem
    CompareEvals(compare_evals::CompareEvalsArgs),
    /// Judge answers of any origin against references
    Judge(judge::JudgeArgs),
    /// Print every setting: key, default, values, meaning
    Settings(settings::SettingsArgs),
    /// Compare training methods on equal trees, over seeds and granularities
    Experiment(experiment::ExperimentArgs),
}

fn main() -> ExitCode {
    let cli: Cli = match parse(&[
        ("init", print_config::<init::InitArgs>),
        ("round", print_config::<round::RoundArgs>),
        ("sft", print_config::<sft::SftArgs>),
        ("prefer", print_config::<prefer::PreferArgs>),
        ("compare", print_config::<compare::CompareArgs>),
        ("value", print_config::<value::ValueArgs>),
        ("verifier", print_config::<verifier::VerifierArgs>),
        ("eval", print_config::<eval::EvalArgs>),
        ("experiment", print_config::<experiment::ExperimentArgs>),
    ]) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    cli.log.start();
    run(|| match cli.command {
        Command::Init(args) => init::run(&args),
        Command::Round(args) => round::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Sft(args) => sft::run(&args),
        Command::Prefer(args) => prefer::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Objective(args) => objective::run(&args),
        Command::Value(args) => value::run(&args),
        Command::Verifier(args) => verifier::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::CompareEvals(args) => compare_evals::run(&args),
        Command::Judge(args) => judge::run(&args),
        Command::Settings(args) => settings::run(&args),
        Command::Experiment(args) => experiment::run(&args),
    })
}
