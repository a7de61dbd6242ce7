//! One judge, as flags and files name it.

use crate::config::JudgingConfig;
use crate::stage::policy_source::connection;
use anyhow::{Context, Result, anyhow, bail};
use espalier_files::fingerprint;
use espalier_judges::{
    Answer, Choices, CommandConfig, Compare, Countdown, Equations, Format, Notice, Program, Refusal, Remembered, Route,
    Scope, Scorer, ServerJudge, Tests,
};
use espalier_server::Servers;
use std::path::Path;
use std::sync::Arc;

/// Judges that are built in, and the forms of the others.
const KNOWN: &str = "answer, format, equations, tests, choices, refusal, compare, countdown, route, command:PROG, sandboxed:FILE.py \
                     or server:URL[#MODEL]";
/// Verdicts of a judge that are kept, of about a hundred bytes each.
const MEMORY: usize = 100_000;

/// A judge that was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spec {
    /// Its column's name.
    pub(super) name: String,
    /// What stands before the colon.
    kind: String,
    /// What stands behind it: a command, a file, an address.
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
        let has_place = matches!(kind, "command" | "sandboxed" | "server");
        let is_built_in = matches!(
            kind,
            "answer" | "format" | "equations" | "tests" | "choices" | "refusal" | "compare" | "countdown" | "route"
        );
        if !(has_place && !place.is_empty() || is_built_in && place.is_empty()) {
            bail!(
                "{text:?} is no judge; judges are {KNOWN}, each as NAME=JUDGE if its column is to be named otherwise"
            );
        }
        Ok(Spec { name: name.unwrap_or(kind).to_owned(), kind: kind.to_owned(), place: place.to_owned() })
    }

    /// The judge itself. What happens to one that takes time is said to `notice`, a line each; what it said once is kept.
    pub(super) fn open(&self, config: &JudgingConfig, notice: fn(&str)) -> Result<Box<dyn Scorer>> {
        let name = self.name.clone();
        let notice: Notice = Arc::new(move |line: &str| notice(&format!("the judge {name}: {line}")));
        let opened: Result<Box<dyn Scorer>> = match self.kind.as_str() {
            "answer" => Ok(Box::new(Answer)),
            "format" => Ok(Box::new(Format)),
            "equations" => Ok(Box::new(Equations)),
            "choices" => Ok(Box::new(Choices)),
            "refusal" => Ok(Box::new(Refusal)),
            "compare" => Ok(Box::new(Compare)),
            "countdown" => Ok(Box::new(Countdown)),
            "route" => Ok(Box::new(Route)),
            "tests" => Tests::open().map(|judge| self.remembered(judge)).map_err(Into::into),
            "command" => {
                let judge = Program::open(&self.place, &command_config(config), notice);
                judge.map(|judge| self.remembered(judge)).map_err(Into::into)
            }
            "sandboxed" => {
                let judge = Program::open_sandboxed(Path::new(&self.place), &command_config(config), notice);
                judge.map(|judge| self.remembered(judge)).map_err(Into::into)
            }
            "server" => self.server(config, notice).map(|judge| self.remembered(judge)),
            kind => Err(anyhow!("{kind} is not there")),
        };
        opened.with_context(|| format!("the judge {}", self.name))
    }

    /// One question asks for one verdict, however often and by however many trees it is asked.
    fn remembered(&self, judge: impl Scorer + 'static) -> Box<dyn Scorer> {
        Box::new(Remembered::new(&self.name, judge, MEMORY))
    }

    fn server(&self, config: &JudgingConfig, notice: Notice) -> Result<ServerJudge> {
        // A list of judges has commas between; addresses of one judge have blanks.
        let servers = Servers::parse(self.place.split_whitespace())?;
        Ok(ServerJudge::open(&servers, &config.server, &connection(), notice)?)
    }

    /// The files that decide what the judge says, with hashes of what is in them.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(super) fn files(&self) -> Result<Vec<(String, String)>> {
        let files: Vec<String> = match self.kind.as_str() {
            "sandboxed" => vec![self.place.clone()],
            "command" => {
                let words = shlex::split(&self.place).unwrap_or_default();
                words.into_iter().filter(|word| Path::new(word).is_file()).collect()
            }
            _ => Vec::new(),
        };
        let hashed = |file: &String| {
            let content =
                std::fs::read(file).with_context(|| format!("the judge {}: cannot read {file}", self.name))?;
            let name = Path::new(file).file_name().unwrap_or_default().to_string_lossy().into_owned();
            Ok((name, fingerprint(&content)?))
        };
        files.iter().map(hashed).collect()
    }
}

fn command_config(config: &JudgingConfig) -> CommandConfig {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    CommandConfig {
        processes: if config.processes == 0 { cores } else { config.processes },
        timeout_s: config.time_limit_s,
        scope: if config.judges_steps { Scope::Step } else { Scope::Path },
        ..CommandConfig::default()
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
        for text in ["judge", "command:", "sandboxed:", "server", "server: ", "answer:x", "Name=answer", "=answer", ""]
        {
            let error = Spec::read(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{text:?} is no judge")), "{error}");
        }
    }

    #[test]
    fn what_cannot_be_opened_is_said_with_its_name() {
        let open = |text: &str| {
            let opened = Spec::read(text).unwrap().open(&JudgingConfig::default(), |_| {});
            opened.err().map(|error| format!("{error:#}")).unwrap_or_default()
        };
        for (text, words) in [
            ("j=server:localhost:8000", "the judge j: \"localhost:8000\" is no address of a server"),
            ("server:http://a http://a", "it is there twice"),
            ("j=sandboxed:nowhere/judge.py", "the judge j: the judge nowhere/judge.py cannot be read"),
            ("command:no-such-program-anywhere x", "there is no such program"),
            ("command:python3 'x", "quote"),
        ] {
            let error = open(text);
            assert!(error.contains(words), "{words} is not in: {error}");
        }
    }

    #[test]
    fn files_of_commands_and_of_the_sandbox_decide() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a judge.py");
        let shown = file.display();
        let specs = [format!("command:python3 '{shown}' --strict"), format!("sandboxed:{shown}")];
        let specs = specs.map(|text| Spec::read(&text).unwrap());
        assert!(specs[0].files().unwrap().is_empty() && specs[1].files().is_err());
        let mut seen = Vec::new();
        for content in ["one", "two"] {
            espalier_files::publish_bytes(&file, content.as_bytes()).unwrap();
            let files = specs.each_ref().map(|spec| spec.files().unwrap());
            assert!(files[0].len() == 1 && files[0] == files[1] && files[0][0].0 == "a judge.py", "{files:?}");
            seen.extend(files);
        }
        assert_ne!(seen[0], seen[2]);
    }
}
