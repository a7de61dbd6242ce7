//! What a task is called in records of what was made with it, and how policies store it.

use super::shots::{Shot, Shots};
use super::{Format, Granularity, Inner, StepText, Task};
use crate::error::TaskError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use toml::Table;

/// How the prompts of a policy that was trained here are written, as it is stored beside the policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Prompting {
    /// By a built-in task.
    BuiltIn {
        /// Its name.
        format: Format,
        /// What one step is.
        granularity: Granularity,
    },
    /// By a task of one's own, which is stored whole.
    Own {
        /// The text of its file, which names no other file and has no variants.
        task: String,
    },
}

impl Prompting {
    /// The task.
    ///
    /// # Errors
    /// As [`Task::parse`]; the errors name `place`.
    pub fn task(&self, place: &Path) -> Result<Task, TaskError> {
        match self {
            Prompting::BuiltIn { format, granularity } => Ok(Task::built_in(*format, *granularity)),
            Prompting::Own { task } => Task::parse(&place.display().to_string(), task, None, Path::new("")),
        }
    }
}

impl Task {
    /// The names of a built-in task; nothing for a task from a file, or one whose slots were filled.
    pub fn built_in_names(&self) -> Option<(Format, Granularity)> {
        self.inner.built_in
    }

    /// The task's file as a policy stores it.
    pub fn prompting(&self) -> Prompting {
        match self.inner.built_in {
            Some((format, granularity)) => Prompting::BuiltIn { format, granularity },
            None => Prompting::Own { task: self.text() },
        }
    }

    /// The text of a file of this task that names no other file and has no variants. Equal texts are equal tasks, but for
    /// [found shots](Task::with_found), which are not in it.
    pub fn text(&self) -> String {
        self.inner.source.to_string()
    }

    /// The task with other defaults of its slots.
    ///
    /// # Errors
    /// A slot that the task has not.
    pub fn with_slots(&self, values: &BTreeMap<String, String>) -> Result<Task, TaskError> {
        let mut inner = (*self.inner).clone();
        for (name, value) in values {
            let Some(default) = inner.slots.get_mut(name) else {
                let known: Vec<&str> = self.inner.slots.keys().map(String::as_str).collect();
                let known =
                    if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
                return Err(self.failed(format!("there is no slot {name:?}; {known}")));
            };
            default.clone_from(value);
            let slots = inner.source.entry("slots").or_insert_with(|| Table::new().into());
            if let Some(slots) = slots.as_table_mut() {
                slots.insert(name.clone(), value.clone().into());
            }
        }
        Ok(Task { inner: Arc::new(inner) })
    }

    /// How many found paths are shown before a question; 0 where the task shows others, or none.
    pub fn found_shots(&self) -> usize {
        if let Shots::Found(count) = self.inner.shots { count } else { 0 }
    }

    /// The task with correct paths that its shots are picked from: each question and the texts of the steps. The first are
    /// taken, the question's own left out. Paths that the task does not read as solutions are left out, too.
    ///
    /// # Errors
    /// Fewer paths than are shown, and one more for the question's own.
    pub fn with_found(&self, paths: impl IntoIterator<Item = (String, Vec<String>)>) -> Result<Task, TaskError> {
        let mut inner = (*self.inner).clone();
        let reads = |path: &str| matches!(self.read_path(path), StepText::Solution { .. });
        let found = paths.into_iter().filter(|(_, steps)| reads(&steps.concat()));
        let mut shots: Vec<Shot> = Vec::new();
        for (question, steps) in found {
            if shots.iter().all(|shot| shot.question != question) {
                shots.push(Shot::new(&question, steps));
            }
        }
        let wanted = self.found_shots() + 1;
        if shots.len() < wanted {
            return Err(self.failed(format!(
                "shots.count is {}, for which correct paths of {wanted} problems are needed, but the trees have {} that \
                 this task reads",
                self.found_shots(),
                shots.len()
            )));
        }
        shots.truncate(wanted);
        inner.pool = shots;
        Ok(Task { inner: Arc::new(inner) })
    }

    /// What is shown before questions, in the order in which it is taken.
    pub fn shots(&self) -> &[Shot] {
        &self.inner.pool
    }

    fn failed(&self, reason: String) -> TaskError {
        TaskError::Task { place: self.inner.name.clone(), reason }
    }
}

impl Inner {
    /// What a file may have wrong in spite of good keys.
    pub(super) fn check(&self) -> Result<(), String> {
        let Shots::Given(shots) = &self.shots else { return Ok(()) };
        for (at, (_, worked)) in shots.iter().enumerate() {
            let segments = self.segments(worked);
            let last = segments.len().saturating_sub(1);
            for (place, segment) in segments.iter().enumerate() {
                let read = self.read_step(segment);
                let is_solution = matches!(read, Ok(StepText::Solution { .. }));
                let fault = match read {
                    Err(fault) => fault.to_string(),
                    Ok(_) if is_solution != (place == last) => {
                        "a solution is the last step, and only the last".to_owned()
                    }
                    Ok(_) => continue,
                };
                return Err(format!(
                    "shots[{at}] would not be read as it should be, and a model copies what it sees: {segment:?}: {fault}"
                ));
            }
        }
        Ok(())
    }
}
