//! `mcts-gen task`: a task of one's own tried before anything is spent, and the built-in ones as files.

use super::choice;
use super::config_args::print_config;
use super::task_try::{self, TryArgs};
use crate::exit::{Outcome, print_result};
use anyhow::Result;
use clap::{ArgMatches, Args, Subcommand};
use espalier_task::Format;

/// Flags of `mcts-gen task`.
#[derive(Args)]
pub struct TaskArgs {
    #[command(subcommand)]
    command: TaskCommand,
}

#[derive(Subcommand)]
enum TaskCommand {
    /// Print the prompt with its tokens, sample four first steps of a few problems, and say how each was cut, read and judged
    Try(TryArgs),
    /// Print the file of a built-in task, to begin one's own with
    Show(ShowTaskArgs),
}

/// Flags of `mcts-gen task show`.
#[derive(Args)]
struct ShowTaskArgs {
    /// The task's name
    #[arg(value_name = "NAME", value_parser = choice::<Format>())]
    name: Format,
}

/// Runs the command.
pub fn run(args: &TaskArgs) -> Result<Outcome> {
    match &args.command {
        TaskCommand::Try(args) => task_try::run(args),
        TaskCommand::Show(args) => {
            print_result(format_args!("{}", args.name.file()));
            Ok(Outcome::Clean)
        }
    }
}

/// What `mcts-gen task try` would run with; nothing if that was not asked for.
///
/// # Errors
/// As [`print_config`].
pub fn print_try_config(given: &ArgMatches) -> Result<Option<String>> {
    match given.subcommand() {
        Some(("try", given)) => print_config::<TryArgs>(given),
        _ => Ok(None),
    }
}
