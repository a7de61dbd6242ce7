//! Multiple choice: the choices become lines of the question, the answer a letter.

use super::words::question;
use crate::answer::AnswerKind;
use crate::load::row::Row;
use crate::problem::Problem;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// A question with lettered choices; `right` counts from 0.
fn choice(id: String, stem: &str, choices: &[&str], right: usize) -> Result<Problem, String> {
    if right >= choices.len() || choices.len() < 2 {
        return Err(format!("the right choice is number {} of {}", right + 1, choices.len()));
    }
    let letter = |index: usize| char::from(b'A' + index as u8);
    let mut text = stem.trim().to_owned();
    for (index, choice) in choices.iter().enumerate() {
        text.push_str(&format!("\n({}) {}", letter(index), choice.trim()));
    }
    let last = letter(choices.len() - 1);
    text.push_str(&format!("\nAnswer with a letter from A to {last}."));
    Ok(Problem { kind: AnswerKind::Choice, ..question(id, &text, &letter(right).to_string())? })
}

/// The place of `label` among letters, or among numbers counted from 1.
fn place(label: &str) -> Option<usize> {
    match label.trim().as_bytes() {
        [letter @ b'A'..=b'Z'] => Some(usize::from(letter - b'A')),
        [digit @ b'1'..=b'9'] => Some(usize::from(digit - b'1')),
        _ => None,
    }
}

/// `{"question", "options": ["A)21", ...], "rationale", "correct": "A"}`.
pub(in crate::load) fn aqua(row: &Row, stem: &str) -> Result<Problem, String> {
    let Some(Value::Array(options)) = row.get("options") else {
        return Err("no `options`, a list of texts".to_owned());
    };
    let bare = |option: &Value| {
        let option = option.as_str().ok_or("an option is no text")?;
        // `A)text`, but not `f(3)`.
        let text =
            option.split_once(')').filter(|(letter, _)| letter.trim().len() == 1).map_or(option, |(_, text)| text);
        Ok(text.trim().to_owned())
    };
    let options = options.iter().map(bare).collect::<Result<Vec<_>, String>>()?;
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let right = place(row.text("correct")?).ok_or("`correct` is no letter")?;
    choice(row.id(stem)?, row.text("question")?, &options, right)
}

/// `{"id", "question": {"stem", "choices": [{"text", "label"}]}, "answerKey"}`, or flat with
/// `"choices": {"text": [], "label": []}`. Labels are letters or numbers.
pub(in crate::load) fn arc(row: &Row, stem: &str) -> Result<Problem, String> {
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or("a choice without text or label".to_owned());
    let (asked, texts, labels) = match (row.get("question"), row.get("choices")) {
        (Some(Value::Object(question)), _) => {
            let choices = question.get("choices").and_then(Value::as_array).ok_or("no `choices` in `question`")?;
            let column = |name: &str| choices.iter().map(|choice| text(&choice[name])).collect::<Result<Vec<_>, _>>();
            let asked = question.get("stem").and_then(Value::as_str).ok_or("no `stem` in `question`")?;
            (asked, column("text")?, column("label")?)
        }
        (Some(Value::String(asked)), Some(choices)) => {
            let column = |name: &str| {
                let items = choices.get(name).and_then(Value::as_array).ok_or(format!("no `{name}` in `choices`"))?;
                items.iter().map(text).collect::<Result<Vec<_>, _>>()
            };
            (asked.as_str(), column("text")?, column("label")?)
        }
        _ => return Err("no `question` with `choices`".to_owned()),
    };
    let key = row.text("answerKey")?;
    let right = labels.iter().position(|label| label == key).ok_or(format!("`answerKey` {key} is no label"))?;
    choice(row.id(stem)?, asked, &texts.iter().map(String::as_str).collect::<Vec<_>>(), right)
}

/// MMLU's columns, which its files do not name.
pub(in crate::load) const MMLU_COLUMNS: [&str; 6] = ["question", "A", "B", "C", "D", "answer"];

/// The subject that MMLU's files are named by: `abstract_algebra_test`.
pub(in crate::load) fn subject(stem: &str) -> &str {
    ["_test", "_val", "_dev"].into_iter().find_map(|split| stem.strip_suffix(split)).unwrap_or(stem)
}

/// `question,A,B,C,D,answer`. The family is the subject.
pub(in crate::load) fn mmlu(row: &Row, stem: &str) -> Result<Problem, String> {
    let choices = ["A", "B", "C", "D"].map(|column| row.text(column));
    let choices = choices.into_iter().collect::<Result<Vec<_>, _>>()?;
    let right = place(row.text("answer")?).ok_or("the last column is no letter from A to D")?;
    let problem = choice(row.id(stem)?, row.text("question")?, &choices, right)?;
    Ok(Problem { family: Some(subject(stem).to_owned()), ..problem })
}

/// Columns `Question`, `Correct Answer`, `Incorrect Answer 1` to `3`, `Record ID`, `High-level domain`. The order of the
/// choices is drawn from the seed and the record, so that it is the same for any subset.
pub(in crate::load) fn gpqa(row: &Row, stem: &str, seed: u64) -> Result<Problem, String> {
    let asked = row.text("Question")?;
    let id = row.text("Record ID").ok().filter(|id| !id.is_empty());
    let id = id.map_or_else(|| row.id(stem), |id| Ok(id.to_owned()))?;
    let columns = ["Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3"];
    let choices = columns.into_iter().map(|column| row.text(column)).collect::<Result<Vec<_>, _>>()?;
    let mut order = [0, 1, 2, 3];
    let digest = Sha256::digest(format!("gpqa\0{seed}\0{id}"));
    order.shuffle(&mut ChaCha8Rng::from_seed(digest.into()));
    let right = order.iter().position(|&index| index == 0).unwrap_or_default();
    let problem = choice(id, asked, &order.map(|index| choices[index]), right)?;
    Ok(Problem { family: row.text("High-level domain").ok().map(str::to_owned), ..problem })
}
