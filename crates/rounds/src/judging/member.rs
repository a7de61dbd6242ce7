//! One judge, as flags and files name it.

use crate::config::JudgingConfig;
use anyhow::{Context, Result, anyhow, bail};
use espalier_files::fingerprint;
use espalier_judges::{
    Answer, Choices, Command, CommandConfig, Compare, Countdown, Equations, Format, Refusal, Scope, Scorer, Tests,
};
use std::path::Path;
use std::time::Duration;

/// Judges that are built in, and the form of the others.
const KNOWN: &str = "answer, format, equations, tests, choices, refusal, compare, countdown or command:PROG";

/// A judge that was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spec {
    /// Its column's name.
    pub(super) name: String,
    /// What stands before the colon.
    kind: String,
    /// What stands behind it.
    place: String,
}

impl Spec {
    pub(super) fn answer() -> Spec {
        Spec { name: "answer".into(), kind: "answer".into(), place: String::new() }
    }

    /// Reads `JUDGE` or `NAME=JUDGE`.
    pub(super) fn read(text: &str) -> Result<Spec> {
        let is_name = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_lowercase())
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        // A name is told from a command that has an equals sign by the colon before it.
        let (name, judge) = match text.split_once('=') {
            Some((name, judge)) if is_name(name) => (Some(name), judge),
            _ => (None, text),
        };
        let (kind, place) = judge.split_once(':').map_or((judge, ""), |(kind, place)| (kind, place.trim()));
        let has_place = kind == "command";
        let is_built_in = matches!(
            kind,
            "answer" | "format" | "equations" | "tests" | "choices" | "refusal" | "compare" | "countdown"
        );
        if !(has_place && !place.is_empty() || is_built_in && place.is_empty()) {
            bail!(
                "{text:?} is no judge; judges are {KNOWN}, each as NAME=JUDGE if its column is to be named otherwise"
            );
        }
        Ok(Spec { name: name.unwrap_or(kind).to_owned(), kind: kind.to_owned(), place: place.to_owned() })
    }

    /// The judge itself.
    pub(super) fn open(&self, config: &JudgingConfig) -> Result<Box<dyn Scorer>> {
        Ok(match self.kind.as_str() {
            "answer" => Box::new(Answer),
            "format" => Box::new(Format),
            "equations" => Box::new(Equations),
            "choices" => Box::new(Choices),
            "refusal" => Box::new(Refusal),
            "compare" => Box::new(Compare),
            "countdown" => Box::new(Countdown),
            "tests" => Box::new(Tests::open()?),
            "command" => Box::new(self.command(config)?),
            kind => bail!("the judge {kind} is not there"),
        })
    }

    fn command(&self, config: &JudgingConfig) -> Result<Command> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let settings = CommandConfig {
            processes: if config.processes == 0 { cores } else { config.processes },
            time_limit: Duration::try_from_secs_f64(config.time_limit_s).unwrap_or(Duration::MAX),
            scope: if config.judges_steps { Scope::Step } else { Scope::Path },
        };
        Command::open(&self.place, &settings).map_err(|problem| anyhow!("the judge {}: {problem}", self.name))
    }

    /// The files that decide what the judge says, with hashes of what is in them.
    pub(super) fn files(&self) -> Result<Vec<(String, String)>> {
        let words = self.place.split_whitespace().filter(|word| Path::new(word).is_file());
        let mut files: Vec<&str> = words.collect();
        files.dedup();
        let hashed = |file: &str| {
            let content = std::fs::read(file).with_context(|| format!("cannot read {file}"))?;
            let name = Path::new(file).file_name().unwrap_or_default().to_string_lossy().into_owned();
            Ok((name, fingerprint(&content)?))
        };
        files.into_iter().map(hashed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judges_are_read_with_and_without_a_name() {
        let read = |text: &str| {
            let Spec { name, kind, place } = Spec::read(text).unwrap();
            (name, kind, place)
        };
        let words = |name: &str, kind: &str, place: &str| (name.to_owned(), kind.to_owned(), place.to_owned());
        assert_eq!(read("equations"), words("equations", "equations", ""));
        assert_eq!(read("sums=equations"), words("sums", "equations", ""));
        assert_eq!(read("command:python3 judge.py --x=1"), words("command", "command", "python3 judge.py --x=1"));
        assert_eq!(read("grader=command:grade --a=b"), words("grader", "command", "grade --a=b"));
        // What the error offers is taken.
        for known in KNOWN.split(", ").flat_map(|names| names.split(" or ")) {
            assert!(Spec::read(known).is_ok(), "{known}");
        }
        for text in ["judge", "command:", "answer:x", "Name=answer", "=answer", "server", ""] {
            let error = Spec::read(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{text:?} is no judge")), "{error}");
        }
    }
}
