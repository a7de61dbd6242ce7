//! What the libraries warn of, on the standard error.

use clap::{Args, ValueEnum};
use tracing::level_filters::LevelFilter;

/// Flags of both programs, for every command.
#[derive(Args, Clone, Copy, Debug)]
pub struct LogFlags {
    /// The least severe messages of the libraries that are shown
    #[arg(long, global = true, value_enum, default_value_t = Level::Warn)]
    log_level: Level,
    /// How they are written: lines for people, or a JSON object a line
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    log_format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Level {
    Off,
    Error,
    Warn,
    Info,
    Debug,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

impl LogFlags {
    /// Shows messages from here on.
    pub fn start(self) {
        let level = match self.log_level {
            Level::Off => LevelFilter::OFF,
            Level::Error => LevelFilter::ERROR,
            Level::Warn => LevelFilter::WARN,
            Level::Info => LevelFilter::INFO,
            Level::Debug => LevelFilter::DEBUG,
        };
        let lines = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr);
        match self.log_format {
            Format::Text => lines.with_ansi(false).with_target(false).init(),
            Format::Json => lines.json().init(),
        }
    }
}
