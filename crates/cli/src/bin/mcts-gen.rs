//! `mcts-gen`: from problems and a policy to search trees and step pairs.

use clap::{Parser, Subcommand};
use espalier_cli::command::config_args::print_config;
#[cfg(feature = "local")]
use espalier_cli::command::score;
use espalier_cli::command::{complete, pairs, search, serve, show, solve, task};
use espalier_cli::exit::run;
use espalier_cli::log::LogFlags;
use espalier_cli::parse::parse;
use std::process::ExitCode;

/// Tree search over reasoning steps: from problems and a policy to trees and step-level preference pairs.
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
    /// Search a tree for each problem; write trees and pairs as Parquet
    Search(search::SearchArgs),
    /// Select step pairs from stored trees by other rules, without searching again
    Pairs(pairs::PairsArgs),
    /// Sample continuations of a prompt; print each as a line of JSON
    Complete(complete::CompleteArgs),
    #[cfg(feature = "local")]
    /// Print how likely the policy finds given completions, each as a line of JSON
    Score(score::ScoreArgs),
    /// Serve a policy to clients of OpenAI's API, with values and, if wanted, tree search
    Serve(serve::ServeArgs),
    /// Print stored trees, or check their invariants
    Show(show::ShowArgs),
    /// Search a tree for one question; print the steps of the answer that its solutions vote for
    Solve(solve::SolveArgs),
    /// Try a task of your own on a few problems, or print a built-in one
    Task(task::TaskArgs),
}

fn main() -> ExitCode {
    let cli: Cli = match parse(&[
        ("search", print_config::<search::SearchArgs>),
        ("pairs", print_config::<pairs::PairsArgs>),
        ("serve", print_config::<serve::ServeArgs>),
        ("complete", print_config::<complete::CompleteArgs>),
        ("solve", print_config::<solve::SolveArgs>),
        ("task", task::print_try_config),
        #[cfg(feature = "local")]
        ("score", print_config::<score::ScoreArgs>),
    ]) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    cli.log.start();
    run(|| match cli.command {
        Command::Search(args) => search::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Pairs(args) => pairs::run(&args),
        Command::Complete(args) => complete::run(&args),
        #[cfg(feature = "local")]
        Command::Score(args) => score::run(&args),
        Command::Show(args) => show::run(&args),
        Command::Solve(args) => solve::run(&args),
        Command::Task(args) => task::run(&args),
    })
}
