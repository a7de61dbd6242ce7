//! From the command line to a command, or to the configuration that it would run with.

use crate::exit::print_result;
use anyhow::Result;
use clap::error::ErrorKind;
use clap::{ArgMatches, Parser};
use std::process::ExitCode;

/// What prints the configuration of a command, see [`print_config`](crate::command::config_args::print_config).
pub type Printer = fn(&ArgMatches) -> Result<Option<String>>;

/// Parses the command line. With `--print-config` the command's configuration is printed instead, for which none of its
/// other arguments are needed; `printers` are by the commands' names.
///
/// # Errors
/// The exit code, when nothing is left to do.
pub fn parse<C: Parser>(printers: &[(&str, Printer)]) -> Result<C, ExitCode> {
    let asks = std::env::args_os().any(|word| word == "--print-config");
    let matches = match C::command().try_get_matches() {
        // Whatever else is wrong is found before what is missing.
        Err(error) if asks && error.kind() == ErrorKind::MissingRequiredArgument => {
            C::command().ignore_errors(true).get_matches()
        }
        Err(error) => error.exit(),
        Ok(matches) => matches,
    };
    if let Some((name, given)) = matches.subcommand().filter(|_| asks)
        && let Some((_, printer)) = printers.iter().find(|(known, _)| *known == name)
    {
        match printer(given) {
            Ok(Some(text)) => {
                print_result(format_args!("{text}"));
                return Err(ExitCode::SUCCESS);
            }
            Ok(None) => {}
            Err(error) => return Err(crate::exit::finish(Err(error))),
        }
    }
    C::from_arg_matches(&matches).map_err(|error| error.exit())
}
