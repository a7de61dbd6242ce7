//! Word problems and competition problems, whose answers are numbers and formulas.

use crate::answer::boxed;
use crate::error::TaskError;
use crate::load::Reading;
use crate::load::row::{self, Row};
use crate::problem::{Problem, Worked};
use serde_json::Value;
use std::path::Path;

/// `{"question", "answer": "48 / 2 = <<48/2=24>>24 ...\n#### 24"}`. The worked answer, without its calculator marks and
/// with its last line as a boxed answer, is the solution.
pub(in crate::load) fn gsm8k(row: &Row, stem: &str) -> Result<Problem, String> {
    let (working, answer) = row.text("answer")?.rsplit_once("####").ok_or("`answer` does not end in `#### N`")?;
    let answer = answer.trim();
    let mut solution = String::new();
    let mut rest = working.trim();
    while let Some((before, marked)) = rest.split_once("<<") {
        solution.push_str(before);
        rest = marked.split_once(">>").map_or("", |(_, after)| after);
    }
    solution.push_str(rest);
    solution.push_str(&format!("\nThe final answer is \\boxed{{{answer}}}."));
    Ok(Problem {
        solution: Some(Worked { plan: Vec::new(), solution }),
        ..question(row.id(stem)?, row.text("question")?, answer)?
    })
}

/// `{"problem", "level": "Level 3", "type": "Algebra", "solution": "... \\boxed{..}"}`, or with `answer`, `subject`, and a
/// number for `level`.
pub(in crate::load) fn math(row: &Row, id: &str) -> Result<Problem, String> {
    let solution = row.text("solution")?;
    let answer = match row.get("answer") {
        Some(Value::String(answer)) => answer.as_str().into(),
        _ => boxed(solution).ok_or("`solution` has no boxed answer")?,
    };
    let level = match row.get("level") {
        Some(Value::String(level)) => level.rsplit(' ').next().and_then(|level| level.parse().ok()),
        Some(level) => level.as_u64().and_then(|level| u32::try_from(level).ok()),
        None => None,
    };
    let family = row.text("type").or_else(|_| row.text("subject")).ok().map(str::to_owned);
    let id = match row.get("unique_id") {
        Some(Value::String(id)) => id.clone(),
        _ if row.unit == "line" => row.id(id)?,
        _ => id.to_owned(),
    };
    let is_boxed = boxed(solution).is_some();
    let solution = is_boxed.then(|| Worked { plan: Vec::new(), solution: solution.to_owned() });
    Ok(Problem { family, difficulty: level, solution, ..question(id, row.text("problem")?, &answer)? })
}

/// Names of MATH's files occur once in each subject: `algebra/12`.
pub(in crate::load) fn math_id(root: &Path, file: &Path) -> String {
    let inside = file.strip_prefix(root).unwrap_or(file).with_extension("");
    let inside = if inside.as_os_str().is_empty() { file.file_stem().unwrap_or_default().into() } else { inside };
    inside.to_string_lossy().replace('\\', "/")
}

/// `{"iIndex", "sQuestion", "lSolutions": [8.0]}`, or `{"input", "target"}`.
pub(in crate::load) fn mawps(row: &Row, stem: &str) -> Result<Problem, String> {
    let Some(Value::String(text)) = row.get("sQuestion") else {
        return row.problem(stem, &Reading::default());
    };
    let Some(Value::Array(solutions)) = row.get("lSolutions") else {
        return Err("no `lSolutions` beside `sQuestion`".to_owned());
    };
    let solutions = solutions.iter().map(|value| row::answer("lSolutions", value)).collect::<Result<Vec<_>, _>>()?;
    let id = match row.get("iIndex") {
        Some(Value::Number(index)) => format!("{stem}-{index}"),
        _ => row.id(stem)?,
    };
    question(id, text, &solutions.join(", "))
}

/// `{"ID": "chal-1", "Body", "Question", "Answer": 145.0, "Type": "Subtraction"}`.
pub(in crate::load) fn svamp(row: &Row, stem: &str) -> Result<Problem, String> {
    let answer = row::answer("Answer", row.get("Answer").ok_or("no `Answer`")?)?;
    let id = row.text("ID").map_or_else(|_| row.id(stem), |id| Ok(id.to_owned()))?;
    let family = row.text("Type").ok().map(str::to_owned);
    Ok(Problem { family, ..question(id, &sentences(row.text("Body")?, row.text("Question")?), &answer)? })
}

/// `<Problem ID="nluds-0001" Grade="1"><Body>..</Body><Question>..</Question><Solution-Type>..</Solution-Type>
/// <Answer>9 (apples)</Answer>`. The unit in parentheses goes, several answers become a list.
pub(in crate::load) fn asdiv(path: &Path, limit: usize) -> Result<Vec<Problem>, TaskError> {
    let text =
        espalier_files::read_input_text(path).map_err(|source| TaskError::Read { path: path.to_owned(), source })?;
    let failed = |place: String, reason: String| TaskError::Row { path: path.to_owned(), place, reason };
    let document = roxmltree::Document::parse(&text)
        .map_err(|error| failed(format!("line {}", error.pos().row), format!("broken XML: {error}")))?;
    let problems = document.descendants().filter(|node| node.has_tag_name("Problem")).take(limit);
    problems
        .enumerate()
        .map(|(index, problem)| {
            let place = || format!("problem {}", index + 1);
            let child = |name: &str| {
                let text = problem.children().find(|child| child.has_tag_name(name)).and_then(|child| child.text());
                text.map(str::trim).filter(|text| !text.is_empty())
            };
            let wanted = |name: &str| child(name).ok_or_else(|| failed(place(), format!("no <{name}>")));
            let answers = wanted("Answer")?.split(';').map(|answer| {
                let number = answer.split('(').next().unwrap_or_default().trim();
                if number.is_empty() { answer.trim() } else { number }
            });
            let answer = answers.collect::<Vec<_>>().join(", ");
            let id = problem.attribute("ID").ok_or_else(|| failed(place(), "no ID".to_owned()))?.to_owned();
            let text = sentences(child("Body").unwrap_or_default(), wanted("Question")?);
            Ok(Problem {
                family: child("Solution-Type").map(str::to_owned),
                difficulty: problem.attribute("Grade").and_then(|grade| grade.parse().ok()),
                ..question(id, &text, &answer).map_err(|reason| failed(place(), reason))?
            })
        })
        .collect()
}

/// A body and the question about it.
fn sentences(body: &str, question: &str) -> String {
    let joint = if body.is_empty() || body.ends_with(['.', '!', '?', ',']) { " " } else { ". " };
    format!("{body}{joint}{question}").trim().to_owned()
}

/// A problem of nothing but these three, none of them empty.
pub(in crate::load) fn question(id: String, question: &str, answer: &str) -> Result<Problem, String> {
    let (question, answer) = (question.trim().to_owned(), answer.trim().to_owned());
    match (question.is_empty(), answer.is_empty()) {
        (true, _) => Err("the question is empty".to_owned()),
        (_, true) => Err("the answer is empty".to_owned()),
        _ => Ok(Problem { id, question, answer, ..Problem::default() }),
    }
}
