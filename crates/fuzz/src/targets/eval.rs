//! Readers of evaluations: samples, and the journal of answers.

use super::files::with_checksums;
use super::parquet_seed::plain;
use super::{Begun, Target};
use crate::scratch::Scratch;
use espalier_eval::{AnswerJournal, Answered, Sample, Text, compare, read_samples, write_samples};
use espalier_task::Problem;

pub(super) const TARGETS: [Target; 2] = [
    Target { name: "samples", share: 20, words: &["PAR1", "sample", "problem_id", "chosen"], begin: samples },
    Target {
        name: "journal-answers",
        share: 150,
        words: &["ESPANSW1", "\"answered\":", "\"texts\":", "\"problem\":"],
        begin: journal,
    },
];

fn samples(scratch: Scratch) -> Begun {
    let problem = |id: &str| Problem { id: id.into(), question: "Q".into(), answer: "7".into(), ..Problem::default() };
    let problems = ["a", "b", "c"].map(problem);
    let right = Sample { text: "\\boxed{7}".into(), correct: true, chosen: true, weight: 1.0, ..Sample::default() };
    let samples = [vec![right.clone(), Sample::default()], vec![right], Vec::new()];
    let path = scratch.file("eval.samples.parquet");
    write_samples(&path, &["in", "in", "out"], &problems.each_ref(), &samples).expect("samples can be written");
    let mut seeds = plain(&path).to_vec();
    seeds.push(scratch.take("eval.samples.parquet"));
    let valid = read_samples(&path).expect("what was written is read");
    Begun::new(seeds, move |input| {
        let Ok(found) = read_samples(&scratch.put("eval.samples.parquet", input)) else { return false };
        drop(compare(&found, &valid, 1));
        true
    })
}

fn journal(scratch: Scratch) -> Begun {
    let path = scratch.file("answers.journal");
    let (mut journal, _) = AnswerJournal::open(&path, 3).expect("a new journal");
    let text =
        Text { text: "<step>7</step>".into(), tokens: 4, logprob_nats: -1.5, token_ids: vec![1, 2], weight: 1.0 };
    let answered = Answered { texts: vec![text; 2], skipped: None };
    let mut seeds = Vec::new();
    for problem in [2, 0] {
        journal.append(problem, &answered).expect("an answer can be written");
        seeds.push(scratch.take("answers.journal"));
    }
    Begun::new(seeds, move |input| {
        let path = scratch.put("answers.journal", &with_checksums(input));
        AnswerJournal::open(&path, 3).is_ok_and(|(_, answers)| answers.iter().any(Option::is_some))
    })
}
