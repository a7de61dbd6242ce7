//! What of a file of problems was not used, and what was assumed: said once, not for each row.

use super::row::{ANSWER, OPTIONAL, QUESTION, Row};
use crate::answer::{AnswerKind, boxed};
use crate::problem::{CodeTests, Problem};
use serde_json::Value;
use std::collections::BTreeSet;

/// Columns that are named at most.
const NAMED: usize = 12;

/// What rows had, summed.
#[derive(Default)]
pub(super) struct Notices {
    /// The columns that questions and answers came from, where they are not called so.
    questions: BTreeSet<&'static str>,
    answers: BTreeSet<&'static str>,
    unused: BTreeSet<String>,
    kinds: BTreeSet<String>,
    solutions: u64,
    tests: u64,
    boxed: u64,
    marked: u64,
    without_answer: u64,
    rows: u64,
}

impl Notices {
    /// Takes in a row and what became of it; `slots` are used, too.
    pub fn add(&mut self, row: &Row, problem: &Problem, slots: &[String]) {
        self.rows += 1;
        self.questions.extend(row.first(&QUESTION).map(|(name, _)| name));
        let answer = row.first(&ANSWER);
        match answer {
            Some((name, value)) => {
                self.answers.insert(name);
                self.marked += u64::from(value.as_str().is_some_and(|text| text.contains("####")));
            }
            None if problem.answer.is_empty() => {}
            None => self.boxed += 1,
        }
        self.without_answer += u64::from(problem.answer.is_empty());
        for name in row.fields.keys().filter(|name| row.get(name).is_some()) {
            let is_taken = [row.first(&QUESTION), answer].iter().flatten().any(|(taken, _)| taken == name);
            let is_known = OPTIONAL.contains(&name.as_str()) || slots.contains(name);
            if !is_taken && !is_known {
                self.unused.insert(name.clone());
            }
        }
        if let Some(kind) = row.get("kind").filter(|_| row.typed::<AnswerKind>("kind").is_none()) {
            self.kinds.insert(kind.to_string());
        }
        if row.get("tests").is_some() && row.typed::<CodeTests>("tests").is_none() {
            self.tests += 1;
        }
        let is_unboxed = |text: &str| boxed(text).is_none();
        self.solutions += u64::from(row.get("solution").and_then(Value::as_str).is_some_and(is_unboxed));
    }

    /// Columns of a table that were not even read.
    pub fn unread(&mut self, names: impl IntoIterator<Item = String>) {
        self.unused.extend(names);
    }

    /// The notices, a line each.
    pub fn lines(&self) -> Vec<String> {
        let of_rows = |count: u64| {
            if count == self.rows { "all rows".to_owned() } else { format!("{count} of {} rows", self.rows) }
        };
        let mut lines = Vec::new();
        if !self.unused.is_empty() {
            let shown = self.unused.iter().take(NAMED).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let more = self.unused.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let is_choice = |name: &String| matches!(name.as_str(), "choices" | "options");
            let hint = if self.unused.iter().any(is_choice) {
                "; the question is asked without its choices, unless it has them in its text (--dataset reads published sets)"
            } else {
                ""
            };
            lines.push(format!("not used: {shown}{more}{hint}"));
        }
        if !self.kinds.is_empty() {
            let kinds = self.kinds.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
            lines.push(format!("kind {kinds} is none of math, choice, code, countdown, route; taken as math"));
        }
        if self.tests > 0 {
            lines.push(format!("`tests` of {} has not entry_point and check; not used", of_rows(self.tests)));
        }
        if self.solutions > 0 {
            lines.push(format!("`solution` of {} has no boxed answer; not trained on", of_rows(self.solutions)));
        }
        let other = |names: &BTreeSet<&'static str>, usual: &str| {
            let strange: Vec<String> =
                names.iter().filter(|name| **name != usual).map(|name| format!("`{name}`")).collect();
            (!strange.is_empty()).then(|| strange.join(" or "))
        };
        let mut assumed = Vec::new();
        assumed.extend(other(&self.questions, "question").map(|names| format!("{names} is the question")));
        assumed.extend(other(&self.answers, "answer").map(|names| format!("{names} is the answer")));
        if self.boxed > 0 {
            assumed.push(format!("the answer of {} is what `solution` boxes", of_rows(self.boxed)));
        }
        if self.marked > 0 {
            assumed.push(format!("the answer of {} is what follows ####", of_rows(self.marked)));
        }
        if !assumed.is_empty() {
            lines.push(format!("assumed: {}", assumed.join("; ")));
        }
        if self.without_answer > 0 {
            lines.push(format!("{} have no answer; their solutions stay unverified", of_rows(self.without_answer)));
        }
        lines
    }
}
