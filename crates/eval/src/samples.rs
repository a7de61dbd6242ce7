//! All samples of an evaluation as Parquet: one row a sample, those of a problem together.

use crate::error::EvalError;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::{Float64Type, UInt32Type};
use espalier_files::{FilesError, publish_bytes};
use espalier_table::{TableError, batches, open_table};
use espalier_task::Problem;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One graded answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// All that was sampled after the prompt.
    pub text: String,
    /// The answer found in it.
    pub answer: Option<String>,
    /// Whether that is right.
    pub correct: bool,
    /// Tokens sampled.
    pub tokens: u32,
    /// Sum of their log-probabilities, before temperature.
    pub logprob_nats: f64,
    /// What its vote counts.
    pub weight: f64,
    /// Whether it is the policy's answer: the only one, or the first of those that won the vote.
    pub chosen: bool,
    /// What a verifier makes of it, in [0, 1], where one was asked and could say something.
    pub score: Option<f64>,
}

/// The samples of one problem, as read back.
#[derive(Clone, Debug, PartialEq)]
pub struct ProblemSamples {
    /// The group that the problem was evaluated in.
    pub group: String,
    /// Its id.
    pub problem_id: String,
    /// Its family, where it has one.
    pub family: Option<String>,
    /// The question.
    pub question: String,
    /// Its samples; none if it was skipped.
    pub samples: Vec<Sample>,
}

struct Row<'a> {
    group: &'a str,
    problem: &'a Problem,
    /// Counted from 0 in its problem.
    place: Option<u32>,
    sample: &'a Sample,
}

/// `eval.samples.parquet` for `eval.json`.
pub fn samples_beside(report: &Path) -> PathBuf {
    report.with_extension("samples.parquet")
}

/// Writes the samples of all problems, each with the name of its group. A problem without samples has one row in which
/// `sample` is null.
///
/// # Errors
/// A file that cannot be written.
pub fn write_samples(
    path: &Path,
    groups: &[&str],
    problems: &[&Problem],
    samples: &[Vec<Sample>],
) -> Result<(), EvalError> {
    let none = Sample::default();
    let rows: Vec<Row> = (groups.iter().zip(problems).zip(samples))
        .flat_map(|((&group, &problem), samples)| {
            let row = move |(index, sample)| Row { group, problem, place: Some(index as u32), sample };
            let nothing = samples.is_empty().then_some(Row { group, problem, place: None, sample: &none });
            samples.iter().enumerate().map(row).chain(nothing)
        })
        .collect();
    let text = |of: for<'a> fn(&Row<'a>) -> Option<&'a str>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<StringArray>())
    };
    let flag = |of: fn(&Sample) -> bool| -> ArrayRef {
        Arc::new(rows.iter().map(|row| Some(of(row.sample))).collect::<BooleanArray>())
    };
    let number = |of: fn(&Sample) -> f64| -> ArrayRef {
        Arc::new(rows.iter().map(|row| Some(of(row.sample))).collect::<Float64Array>())
    };
    let count = |of: fn(&Row) -> Option<u32>| -> ArrayRef { Arc::new(rows.iter().map(of).collect::<UInt32Array>()) };
    let mut columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("group", text(|row| Some(row.group)), false),
        ("problem_id", text(|row| Some(&row.problem.id)), false),
        ("family", text(|row| row.problem.family.as_deref()), true),
        ("question", text(|row| Some(&row.problem.question)), false),
        ("reference_answer", text(|row| Some(&row.problem.answer)), false),
        ("sample", count(|row| row.place), true),
        ("text", text(|row| Some(&row.sample.text)), false),
        ("answer", text(|row| row.sample.answer.as_deref()), true),
        ("correct", flag(|sample| sample.correct), false),
        ("tokens", count(|row| Some(row.sample.tokens)), false),
        ("logprob_nats", number(|sample| sample.logprob_nats), false),
        ("weight", number(|sample| sample.weight), false),
        ("chosen", flag(|sample| sample.chosen), false),
    ];
    if rows.iter().any(|row| row.sample.score.is_some()) {
        let scores: Float64Array = rows.iter().map(|row| row.sample.score).collect();
        columns.push(("verifier_score", Arc::new(scores), true));
    }
    let batch = RecordBatch::try_from_iter_with_nullable(columns).map_err(failed(path, "written"))?;
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let mut bytes = Vec::new();
    let mut writer =
        ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).map_err(failed(path, "written"))?;
    writer.write(&batch).and_then(|()| writer.close().map(drop)).map_err(failed(path, "written"))?;
    Ok(publish_bytes(path, &bytes)?)
}

/// Reads the samples of all problems, in their order.
///
/// # Errors
/// A file that cannot be read, lacks a column or holds no sample.
pub fn read_samples(path: &Path) -> Result<Vec<ProblemSamples>, EvalError> {
    let builder = open_table(path).map_err(|error| match error {
        TableError::Read(source) => FilesError::Read { path: path.to_owned(), source }.into(),
        TableError::Decode(source) => failed(path, "read")(source),
    })?;
    let mut problems: Vec<ProblemSamples> = Vec::new();
    for batch in batches(builder).map_err(failed(path, "read"))? {
        let batch = batch.map_err(failed(path, "read"))?;
        let lacks = |column, wanted| EvalError::Column { path: path.to_owned(), column, wanted };
        let column = |name| batch.column_by_name(name);
        let text = |name| {
            let found = column(name).and_then(|column| column.as_string_opt::<i32>());
            found.ok_or_else(|| lacks(name, "texts"))
        };
        let flag = |name| {
            let found = column(name).and_then(|column| column.as_boolean_opt());
            found.ok_or_else(|| lacks(name, "booleans"))
        };
        let number = |name| {
            let found = column(name).and_then(|column| column.as_primitive_opt::<Float64Type>());
            found.ok_or_else(|| lacks(name, "64-bit floats"))
        };
        let count = |name| {
            let found = column(name).and_then(|column| column.as_primitive_opt::<UInt32Type>());
            found.ok_or_else(|| lacks(name, "32-bit counts"))
        };
        let (groups, ids, families, questions) =
            (text("group")?, text("problem_id")?, text("family")?, text("question")?);
        let (texts, answers) = (text("text")?, text("answer")?);
        let (places, tokens) = (count("sample")?, count("tokens")?);
        let (correct, chosen) = (flag("correct")?, flag("chosen")?);
        let (logprobs, weights) = (number("logprob_nats")?, number("weight")?);
        let scores = column("verifier_score").is_some().then(|| number("verifier_score")).transpose()?;
        let optional = |texts: &StringArray, row: usize| texts.is_valid(row).then(|| texts.value(row).to_owned());
        for row in 0..batch.num_rows() {
            let is_next =
                problems.last().is_none_or(|last| last.problem_id != ids.value(row) || last.group != groups.value(row));
            if is_next {
                problems.push(ProblemSamples {
                    group: groups.value(row).to_owned(),
                    problem_id: ids.value(row).to_owned(),
                    family: optional(families, row),
                    question: questions.value(row).to_owned(),
                    samples: Vec::new(),
                });
            }
            if places.is_null(row) {
                continue;
            }
            let sample = Sample {
                text: texts.value(row).to_owned(),
                answer: optional(answers, row),
                correct: correct.value(row),
                tokens: tokens.value(row),
                logprob_nats: logprobs.value(row),
                weight: weights.value(row),
                chosen: chosen.value(row),
                score: scores.filter(|scores| scores.is_valid(row)).map(|scores| scores.value(row)),
            };
            if let Some(last) = problems.last_mut() {
                last.samples.push(sample);
            }
        }
    }
    if problems.is_empty() {
        return Err(EvalError::NoSample { path: path.to_owned() });
    }
    Ok(problems)
}

/// What went wrong while the file was being `action`.
fn failed<E: Error + Send + Sync + 'static>(path: &Path, action: &'static str) -> impl FnOnce(E) -> EvalError {
    move |source| EvalError::Samples { path: path.to_owned(), action, source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = samples_beside(&folder.path().join("eval.json"));
        assert!(path.ends_with("eval.samples.parquet"));
        let problem = |id: &str, family: Option<&str>| Problem {
            id: id.to_owned(),
            question: format!("{id}?"),
            answer: "1".to_owned(),
            family: family.map(str::to_owned),
            ..Problem::default()
        };
        let (one, two) = (problem("a", Some("f")), problem("b", None));
        let sample = |answer: Option<&str>, chosen| Sample {
            text: "so \\boxed{1}".to_owned(),
            answer: answer.map(str::to_owned),
            correct: chosen,
            tokens: 7,
            logprob_nats: -1.5,
            weight: 0.5,
            chosen,
            score: None,
        };
        let mut samples =
            vec![vec![sample(Some("1"), true), sample(None, false)], Vec::new(), vec![sample(Some("1"), true)]];
        let write = |samples: &[Vec<Sample>]| write_samples(&path, &["x", "x", "y"], &[&one, &two, &one], samples);
        write(&samples).unwrap();
        assert_eq!(read_samples(&path).unwrap()[0].samples, samples[0]);
        samples[0][1].score = Some(0.125);
        write(&samples).unwrap();
        let read = read_samples(&path).unwrap();
        let ids: Vec<_> = read.iter().map(|problem| (problem.group.as_str(), problem.problem_id.as_str())).collect();
        assert_eq!(ids, [("x", "a"), ("x", "b"), ("y", "a")]);
        assert_eq!(read.iter().map(|problem| problem.samples.clone()).collect::<Vec<_>>(), samples);
        assert_eq!((read[0].family.as_deref(), read[1].question.as_str()), (Some("f"), "b?"));
    }

    #[test]
    fn a_footer_with_one_wrong_byte_is_an_error_or_a_table_and_never_a_panic() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("eval.samples.parquet");
        write_samples(&path, &["in"], &[&Problem::default()], &[vec![Sample::default()]]).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let footer = bytes.len() - 8 - u32::from_le_bytes(bytes[bytes.len() - 8..][..4].try_into().unwrap()) as usize;
        let mut refused = 0;
        for place in (footer..bytes.len() - 8).step_by(3) {
            for value in [0, bytes[place] ^ 1] {
                let mut damaged = bytes.clone();
                damaged[place] = value;
                std::fs::write(&path, damaged).unwrap();
                refused += usize::from(read_samples(&path).is_err());
            }
        }
        // The library itself panics where a part of a column would begin before the file, or divides by a length of 0.
        assert!(refused > 100, "{refused}");
    }
}
