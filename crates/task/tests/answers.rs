//! The judge of answers against a table of labelled pairs: how often it errs, and in which direction.

use espalier_task::equivalent;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A line each: `same` or `different`, what kind of answer, reference, answer.
const TABLE: &str = include_str!("answers.tsv");

/// Pairs that are the same and that the judge takes for different. These are left on purpose:
/// - `\over` is plain TeX that nobody writes any more;
/// - `\log 100`: the base of `\log` is 10 for some and e for others;
/// - the root of a number of more than six digits: rounding could pass for equality.
const FALSE_NEGATIVES: usize = 3;

#[derive(Default)]
struct Tally {
    same: usize,
    different: usize,
    false_negatives: Vec<(&'static str, &'static str)>,
    false_positives: Vec<(&'static str, &'static str)>,
}

#[test]
fn no_wrong_answer_passes_and_few_right_ones_fail() {
    let mut kinds: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut slowest = (Duration::ZERO, "");
    for line in TABLE.lines() {
        let [label, kind, reference, answer] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("not four columns: {line}");
        };
        let tally = kinds.entry(kind).or_default();
        let began = Instant::now();
        let verdict = equivalent(reference, answer);
        slowest = slowest.max((began.elapsed(), line));
        match label {
            "same" => {
                tally.same += 1;
                if !verdict {
                    tally.false_negatives.push((reference, answer));
                }
            }
            "different" => {
                tally.different += 1;
                if verdict {
                    tally.false_positives.push((reference, answer));
                }
            }
            other => panic!("unknown label {other}"),
        }
    }
    println!("{:<16} {:>5} {:>10} {:>16} {:>16}", "kind", "same", "different", "false negatives", "false positives");
    let row = |name: &str, same: usize, different: usize, negatives: usize, positives: usize| {
        println!("{name:<16} {same:>5} {different:>10} {negatives:>16} {positives:>16}");
    };
    for (kind, tally) in &kinds {
        row(kind, tally.same, tally.different, tally.false_negatives.len(), tally.false_positives.len());
    }
    let sum = |count: &dyn Fn(&Tally) -> usize| kinds.values().map(count).sum::<usize>();
    let (same, different) = (sum(&|tally| tally.same), sum(&|tally| tally.different));
    let negatives = sum(&|tally| tally.false_negatives.len());
    let positives = sum(&|tally| tally.false_positives.len());
    row("all", same, different, negatives, positives);
    println!(
        "false-positive rate {:.2} %, false-negative rate {:.2} %, slowest comparison {:?}: {}",
        100.0 * positives as f64 / different as f64,
        100.0 * negatives as f64 / same as f64,
        slowest.0,
        slowest.1
    );
    for tally in kinds.values() {
        for (reference, answer) in &tally.false_negatives {
            println!("same, but judged different: {reference}   {answer}");
        }
        for (reference, answer) in &tally.false_positives {
            println!("different, but judged the same: {reference}   {answer}");
        }
    }
    assert!(same >= 150 && different >= 150, "{same} and {different} pairs are too few");
    assert_eq!(positives, 0, "false positives");
    assert_eq!(negatives, FALSE_NEGATIVES, "false negatives");
    assert!(slowest.0 < Duration::from_millis(200), "{slowest:?}");
}
