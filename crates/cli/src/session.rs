//! One command given at a terminal: the program that runs it, and the person who watches.

use crate::shown::say;
use crate::terminal::Terminal;
use clap::Args;
use espalier_rounds::config::RunConfig;
use espalier_rounds::context::{Context, Program};

/// Flags of every command that makes an output.
#[derive(Args, Clone, Copy, Debug)]
pub struct OutputFlags {
    /// Begin anew where the same command made something else earlier; nothing but its own files is removed
    #[arg(long)]
    pub overwrite: bool,
}

/// A command while it runs.
#[derive(Debug)]
pub struct Session {
    program: Program,
    terminal: Terminal,
    overwrite: bool,
}

impl Session {
    /// The session of a command with these flags.
    pub fn new(output: OutputFlags) -> Session {
        let program = Program {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: env!("ESPALIER_GIT_REVISION").to_owned(),
            libtorch: env!("ESPALIER_LIBTORCH").to_owned(),
            tokenizers: env!("ESPALIER_TOKENIZERS").to_owned(),
            command: std::env::args().collect(),
        };
        Session { program, terminal: Terminal::default(), overwrite: output.overwrite }
    }

    /// What the command's stages are given.
    pub fn context<'a>(&'a self, config: &'a RunConfig) -> Context<'a> {
        Context {
            config,
            program: &self.program,
            observer: &self.terminal,
            notice: print_notice,
            overwrite: self.overwrite,
        }
    }
}

/// Prints what happens to servers.
pub fn print_notice(line: &str) {
    say(format_args!("{line}"));
}
