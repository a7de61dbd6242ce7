//! Worked problems that are shown before the question.

use super::keys::Keys;
use crate::error::TaskError;
use crate::load::read_worked;
use crate::problem::Worked;
use espalier_settings::OutOfRange;
use serde::Serialize;
use std::path::Path;
use toml::{Table, Value};

const WANTED: &str = "a list of worked problems, or { from = \"FILE.jsonl\" or \"found\", count = N }";
/// The name in the place of a file's where shots are found paths.
const FOUND: &str = "found";

/// A worked problem as a template sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shot {
    /// Its question.
    pub question: String,
    /// All that follows the prompt: the steps with their borders.
    pub path: String,
    /// The steps one by one.
    pub steps: Vec<String>,
}

impl Shot {
    pub(super) fn new(question: &str, steps: Vec<String>) -> Shot {
        Shot { question: question.to_owned(), path: steps.concat(), steps }
    }
}

/// Where the shots of a task come from.
#[derive(Clone, Debug, Default)]
pub(super) enum Shots {
    /// From the task itself, as problems.
    Given(Vec<(String, Worked)>),
    /// So many, picked for each problem among the correct paths of stored trees.
    Found(usize),
    #[default]
    None,
}

impl Shots {
    /// The shots of a file in `folder`.
    pub fn of(keys: &mut Keys, folder: &Path) -> Result<Shots, TaskError> {
        let key = "shots";
        match keys.take(key) {
            None => Ok(Shots::None),
            Some(Value::Array(all)) => {
                let shot = |(at, one): (usize, Value)| given(&keys.name(&format!("{key}[{at}]")), one);
                Ok(Shots::Given(all.into_iter().enumerate().map(shot).collect::<Result<_, _>>()?))
            }
            Some(Value::Table(table)) => {
                let shown = table.to_string().trim_end().replace('\n', " ");
                let known = table.keys().all(|name| name == "from" || name == "count");
                let count = match table.get("count") {
                    None => Some(None),
                    Some(count) => count
                        .as_integer()
                        .and_then(|count| usize::try_from(count).ok())
                        .filter(|&count| count > 0)
                        .map(Some),
                };
                match (table.get("from").and_then(Value::as_str), count) {
                    (Some(FOUND), Some(Some(count))) if known => Ok(Shots::Found(count)),
                    (Some(from), Some(count)) if known && from != FOUND => {
                        let mut all = read_worked(&folder.join(from), count)?;
                        let wanted = count.unwrap_or(all.len());
                        if all.len() < wanted {
                            let found = format!("{wanted} of {from}");
                            let reason = format!("at most {}, which is what the file has", all.len());
                            return Err(keys.wrong("shots.count", found, reason).into());
                        }
                        all.truncate(wanted);
                        Ok(Shots::Given(all))
                    }
                    _ => Err(keys.wrong(key, shown, WANTED).into()),
                }
            }
            Some(other) => Err(keys.wrong(key, other, WANTED).into()),
        }
    }

    /// The value at the key, which names no other file.
    pub fn written(&self) -> Option<Value> {
        let text = |text: &str| Value::String(text.to_owned());
        match self {
            Shots::None => None,
            Shots::Found(count) => {
                let count = i64::try_from(*count).unwrap_or(i64::MAX);
                Some(Table::from_iter([("from".into(), text(FOUND)), ("count".into(), count.into())]).into())
            }
            Shots::Given(all) => {
                let one = |(question, worked): &(String, Worked)| {
                    Value::Table(Table::from_iter([
                        ("question".into(), text(question)),
                        ("plan".into(), worked.plan.iter().map(|step| text(step)).collect::<Vec<_>>().into()),
                        ("solution".into(), text(&worked.solution)),
                    ]))
                };
                Some(Value::Array(all.iter().map(one).collect()))
            }
        }
    }
}

fn given(at: &str, value: Value) -> Result<(String, Worked), OutOfRange> {
    let Value::Table(table) = value else {
        return Err(OutOfRange::new(at, value, "a table of question, plan and solution"));
    };
    let mut keys = Keys::new(table).within(at);
    let question = keys.text("question")?;
    let worked = Worked { plan: keys.texts("plan")?, solution: keys.text("solution")?.unwrap_or_default() };
    let question = question.ok_or_else(|| keys.wrong("question", "left out", "a text"))?;
    keys.finish()?;
    Ok((question, worked))
}
