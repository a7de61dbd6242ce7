//! `step-train judge`: answers against references, one verdict a row.

use crate::exit::Outcome;
use crate::shown::say;
use anyhow::{Context, Result, bail};
use clap::Args;
use espalier_files::{publish_bytes, read_stream_text, refuse_existing, without_mark};
use espalier_task::{AnswerKind, FoundBy, equivalent, extract};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;

/// Flags of `step-train judge`.
#[derive(Args, Clone, Debug)]
pub struct JudgeArgs {
    /// JSON Lines with a `reference`, and an `answer` as it stands or a `text` to find it in
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Where to write the verdicts, one JSON line a row [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The answers of texts are letters of a multiple choice
    #[arg(long)]
    choice: bool,
}

#[derive(Deserialize)]
struct Row {
    reference: Value,
    /// Null is no answer, which is wrong.
    #[serde(default, deserialize_with = "given")]
    answer: Option<Value>,
    text: Option<String>,
}

/// A field that is there, also as null.
fn given<'de, D: serde::Deserializer<'de>>(field: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(field).map(Some)
}

/// Text, or a number as it is written.
fn words(name: &str, value: Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        _ => bail!("its {name} is neither text nor a number"),
    }
}

#[derive(Serialize)]
struct Verdict {
    correct: bool,
    answer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    found_by: Option<FoundBy>,
}

/// Runs the command.
pub fn run(args: &JudgeArgs) -> Result<Outcome> {
    args.out.as_deref().map_or(Ok(()), refuse_existing)?;
    let shown = args.input.display();
    let input = read_stream_text(&args.input).with_context(|| format!("cannot read {shown}"))?;
    let kind = if args.choice { AnswerKind::Choice } else { AnswerKind::Math };
    let (mut rows, mut correct) = (0_usize, 0_usize);
    let mut verdicts = Vec::new();
    let input = without_mark(&input);
    for (index, line) in input.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = || format!("{shown}:{}", index + 1);
        let row: Row = serde_json::from_str(line).with_context(place)?;
        let verdict = judge(row, kind).with_context(place)?;
        rows += 1;
        correct += usize::from(verdict.correct);
        serde_json::to_writer(&mut verdicts, &verdict)?;
        verdicts.push(b'\n');
    }
    if rows == 0 {
        bail!("{shown} holds no row");
    }
    match &args.out {
        Some(out) => publish_bytes(out, &verdicts)?,
        None => std::io::stdout().write_all(&verdicts).context("cannot write the verdicts")?,
    }
    say(format_args!("{correct} of {rows} correct ({:.2} %)", 100.0 * correct as f64 / rows as f64));
    Ok(Outcome::Clean)
}

fn judge(row: Row, kind: AnswerKind) -> Result<Verdict> {
    let (answer, found_by) = match (row.answer, row.text) {
        (Some(Value::Null), None) => (None, None),
        (Some(answer), None) => (Some(words("answer", answer)?), None),
        (None, Some(text)) => extract(&text, kind).unzip(),
        _ => bail!("a row has either an answer or a text"),
    };
    let reference = words("reference", row.reference)?;
    let correct = answer.as_ref().is_some_and(|answer| equivalent(&reference, answer));
    Ok(Verdict { correct, answer, found_by })
}
