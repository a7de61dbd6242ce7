//! From the text of a task's file to a task.

use super::border::{Border, Side};
use super::heading::Heading;
use super::keys::Keys;
use super::names::{Format, Granularity};
use super::place::AnswerPlace;
use super::prompt::Words;
use super::shots::{Shot, Shots};
use super::{Inner, Solution, Step, Task};
use crate::error::TaskError;
use espalier_files::{read_input_text, without_mark};
use espalier_settings::{Choice, OutOfRange};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use toml::{Table, Value};

const VARIANTS: &str = "variants";

/// The built-in tasks by name and granularity.
static BUILT_IN: LazyLock<Vec<((Format, Granularity), Task)>> = LazyLock::new(|| {
    let both = |format| Granularity::values().map(move |granularity| (format, granularity));
    let made = |(format, granularity): (Format, Granularity)| {
        let task = parse(format.name(), format.file(), Some(granularity), Path::new(""));
        let mut inner = task.expect("a test reads the embedded text");
        inner.built_in = Some((format, granularity));
        ((format, granularity), Task { inner: Arc::new(inner) })
    };
    Format::values().flat_map(both).map(made).collect()
});

impl Task {
    /// The built-in task of a name.
    ///
    /// # Panics
    /// Never: a test reads the embedded texts.
    pub fn built_in(format: Format, granularity: Granularity) -> Task {
        let found = BUILT_IN.iter().find(|(names, _)| *names == (format, granularity));
        found.map(|(_, task)| task.clone()).expect("all of both are made")
    }

    /// Reads a task's file. Of a file with variants, `granularity` names the one that is meant; if it is left out, the
    /// first one.
    ///
    /// # Errors
    /// A file that cannot be read or is no TOML; a key that is none, or whose value is not what it should be; templates
    /// that are none; shots that would not be read as solutions.
    pub fn load(path: &Path, granularity: Option<Granularity>) -> Result<Task, TaskError> {
        let text = read_input_text(path).map_err(|source| TaskError::Read { path: path.to_owned(), source })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Task::parse(&path.display().to_string(), without_mark(&text), granularity, folder)
    }

    /// As [`load`](Task::load), with the text of a file in `folder`, which errors name `place`.
    ///
    /// # Errors
    /// As [`load`](Task::load).
    pub fn parse(place: &str, text: &str, granularity: Option<Granularity>, folder: &Path) -> Result<Task, TaskError> {
        let inner = parse(place, text, granularity, folder)?;
        if Format::of_name(&inner.name).is_ok() {
            let reason = format!("name is {:?}, but that is a built-in task's; take another", inner.name);
            return Err(TaskError::Task { place: place.to_owned(), reason });
        }
        Ok(Task { inner: Arc::new(inner) })
    }
}

fn parse(place: &str, text: &str, granularity: Option<Granularity>, folder: &Path) -> Result<Inner, TaskError> {
    let failed = |reason: String| TaskError::Task { place: place.to_owned(), reason };
    let table: Table = toml::from_str(text).map_err(|error| failed(not_toml(&error, text)))?;
    let table = chosen(table, granularity).map_err(|error| failed(error.to_string()))?;
    let stem = Path::new(place).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let inner = read(table, stem.unwrap_or_default(), folder).map_err(|error| match error {
        TaskError::Setting(error) => failed(error.to_string()),
        other => other,
    })?;
    inner.check().map_err(failed)?;
    Ok(inner)
}

/// What the parser says, in one line with its place.
fn not_toml(error: &toml::de::Error, text: &str) -> String {
    let line = error.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count()) + 1;
    format!("not valid TOML in line {line}: {}", error.message().replace('\n', " "))
}

/// The table of the variant: its keys over those of the file.
fn chosen(mut file: Table, granularity: Option<Granularity>) -> Result<Table, OutOfRange> {
    let variants = match (file.remove(VARIANTS), granularity) {
        (None, None) => return Ok(file),
        (None, Some(asked)) => {
            let wanted = "left out: the task has no variants";
            return Err(OutOfRange::new("granularity", format!("{:?}", asked.name()), wanted));
        }
        (Some(Value::Table(variants)), _) => variants,
        (Some(other), _) => return Err(OutOfRange::new(VARIANTS, other, "a table of tables")),
    };
    let names: Vec<&str> = Granularity::values().map(Granularity::name).collect();
    if let Some(strange) = variants.keys().find(|name| !names.contains(&name.as_str())) {
        let wanted = format!("one of {}", names.join(", "));
        return Err(OutOfRange::new(VARIANTS, format!("{strange:?}"), wanted));
    }
    let asked = granularity.map_or(names, |asked| vec![asked.name()]);
    match asked.iter().find_map(|name| variants.get(*name)) {
        Some(Value::Table(variant)) => {
            lay_over(&mut file, variant);
            Ok(file)
        }
        Some(other) => Err(OutOfRange::new(VARIANTS, other, "a table of tables")),
        None => {
            let has = variants.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let wanted = format!("one of the task's variants: {has}");
            Err(OutOfRange::new("granularity", format!("{:?}", asked.join(", ")), wanted))
        }
    }
}

fn lay_over(below: &mut Table, above: &Table) {
    for (key, value) in above {
        match (below.get_mut(key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => lay_over(below, above),
            _ => drop(below.insert(key.clone(), value.clone())),
        }
    }
}

fn read(table: Table, stem: String, folder: &Path) -> Result<Inner, TaskError> {
    let mut source = table.clone();
    let mut keys = Keys::new(table);
    let name = keys.text("name")?.unwrap_or(stem);
    let about = keys.text("about")?.unwrap_or_default();
    let shots = Shots::of(&mut keys, folder)?;
    let slots = slots(&mut keys)?;
    let words = Words::of(&mut keys, &slots)?;
    let answer = AnswerPlace::of(&mut keys)?;
    let (stop, never) = (keys.texts("stop")?, keys.texts("never")?);
    let (tags, judges) = (keys.texts("tags")?, keys.texts("judges")?);
    let step = step(&mut keys)?;
    let solution = solution(&mut keys)?;
    keys.finish()?;
    // What the file says in itself, without other files.
    source.insert("name".into(), name.clone().into());
    match shots.written() {
        Some(shots) => drop(source.insert("shots".into(), shots)),
        None => drop(source.remove("shots")),
    }
    let path_ends = each_once([&solution.end.text].into_iter().chain(&stop));
    let ends = each_once([&step.end.text].into_iter().chain(&path_ends));
    let foreign = each_once(ends.iter().chain(&tags).chain(&never));
    let mut inner = Inner {
        name,
        about,
        built_in: None,
        source,
        words,
        shots,
        pool: Vec::new(),
        slots,
        chat: None,
        answer,
        step,
        solution,
        ends,
        path_ends,
        foreign,
        tags,
        judges,
    };
    if let Shots::Given(all) = &inner.shots {
        inner.pool = all.iter().map(|(question, worked)| Shot::new(question, inner.segments(worked))).collect();
    }
    Ok(inner)
}

/// The texts that are not empty, each where it comes first.
fn each_once<'a>(texts: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for text in texts.filter(|text| !text.is_empty()) {
        if !all.contains(text) {
            all.push(text.clone());
        }
    }
    all
}

fn step(keys: &mut Keys) -> Result<Step, OutOfRange> {
    let mut keys = keys.table("step")?;
    let kind = match keys.text("kind")? {
        None => Granularity::Step,
        Some(name) => {
            Granularity::of_name(&name).map_err(|error| keys.wrong("kind", format!("{name:?}"), error.range))?
        }
    };
    let step = Step {
        kind,
        begin: Border::of(&mut keys, "begin", Side::Begin)?,
        end: Border::of(&mut keys, "end", Side::End)?,
        heading: Heading::of(&mut keys)?,
        max_tokens: keys.count("max_tokens")?,
    };
    if step.end.text.is_empty() {
        return Err(keys.wrong("end", "left out", "the text that a step ends with, as \"</step>\" or \"\\n\\n\""));
    }
    keys.finish()?;
    Ok(step)
}

fn solution(keys: &mut Keys) -> Result<Solution, OutOfRange> {
    let mut keys = keys.table("solution")?;
    let solution = Solution {
        begin: Border::of(&mut keys, "begin", Side::Begin)?,
        end: Border::of(&mut keys, "end", Side::End)?,
        max_tokens: keys.count("max_tokens")?,
    };
    keys.finish()?;
    Ok(solution)
}

/// Slots with their defaults, which are texts; numbers and switches are taken as they are written.
fn slots(keys: &mut Keys) -> Result<BTreeMap<String, String>, OutOfRange> {
    let table = keys.named("slots")?;
    let mut slots = BTreeMap::new();
    for (name, value) in table {
        let default = match value {
            Value::String(text) => text,
            Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => value.to_string(),
            other => return Err(OutOfRange::new(format!("slots.{name}"), other, "a text: the slot's default")),
        };
        slots.insert(name, default);
    }
    Ok(slots)
}
