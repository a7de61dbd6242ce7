//! Two evaluations of the same problems against each other.

use crate::error::EvalError;
use crate::samples::ProblemSamples;
use crate::score::{Estimate, Score};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};

/// What the comparison of two evaluations came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Over all problems that both answered.
    pub all: Paired,
    /// By group.
    pub groups: BTreeMap<String, Paired>,
    /// By family, where problems have one.
    pub families: BTreeMap<String, Paired>,
    /// Problems of only one of the two, left out.
    pub unpaired: usize,
}

/// Paired outcomes of some problems.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Paired {
    /// Accuracy of the first.
    pub first: Score,
    /// Accuracy of the second.
    pub second: Score,
    /// Problems that only the first answered correctly.
    pub only_first: usize,
    /// Problems that only the second answered correctly.
    pub only_second: usize,
    /// Accuracy of the second less the first's, with the 95 % interval of the bootstrap over problems.
    pub difference: Estimate,
    /// Two-sided p of McNemar's exact test that both are equally good.
    pub p: f64,
    /// With several samples a problem: the difference of the mean shares of right samples, pass@1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass_at_1_difference: Option<Estimate>,
}

/// One problem's outcome in both.
struct Outcome<'a> {
    group: &'a str,
    family: Option<&'a str>,
    correct: [bool; 2],
    share: [f64; 2],
    several: bool,
}

/// Pairs the problems by id, and where an id is used in several groups, by group too: a file that was evaluated alone has
/// another name than the group of a run that it came from.
///
/// # Errors
/// No common problem; one id with two questions.
pub fn compare(first: &[ProblemSamples], second: &[ProblemSamples], seed: u64) -> Result<Comparison, EvalError> {
    let has_unique_ids = |all: &[ProblemSamples]| {
        all.iter().map(|problem| &problem.problem_id).collect::<HashSet<_>>().len() == all.len()
    };
    let by_group = !(has_unique_ids(first) && has_unique_ids(second));
    let key = |problem: &ProblemSamples| (by_group.then(|| problem.group.clone()), problem.problem_id.clone());
    let others: HashMap<_, _> = second.iter().map(|problem| (key(problem), problem)).collect();
    let mut outcomes = Vec::new();
    for one in first {
        let Some(other) = others.get(&key(one)) else { continue };
        if one.question != other.question {
            return Err(EvalError::OtherQuestion { problem_id: one.problem_id.clone() });
        }
        let correct = |problem: &ProblemSamples| problem.samples.iter().any(|sample| sample.chosen && sample.correct);
        let share = |problem: &ProblemSamples| {
            let right = problem.samples.iter().filter(|sample| sample.correct).count();
            right as f64 / problem.samples.len().max(1) as f64
        };
        outcomes.push(Outcome {
            group: &one.group,
            family: one.family.as_deref(),
            correct: [correct(one), correct(other)],
            share: [share(one), share(other)],
            several: one.samples.len() > 1 || other.samples.len() > 1,
        });
    }
    if outcomes.is_empty() {
        return Err(EvalError::NothingInCommon);
    }
    let unpaired = first.len() + second.len() - 2 * outcomes.len();
    let mut groups: BTreeMap<String, Vec<&Outcome>> = BTreeMap::new();
    let mut families: BTreeMap<String, Vec<&Outcome>> = BTreeMap::new();
    for outcome in &outcomes {
        groups.entry(outcome.group.to_owned()).or_default().push(outcome);
        if let Some(family) = outcome.family {
            families.entry(family.to_owned()).or_default().push(outcome);
        }
    }
    let paired = |by: BTreeMap<String, Vec<&Outcome>>| {
        by.into_iter().map(|(name, outcomes)| (name, Paired::new(&outcomes, seed))).collect()
    };
    Ok(Comparison {
        all: Paired::new(&outcomes.iter().collect::<Vec<_>>(), seed),
        groups: paired(groups),
        families: paired(families),
        unpaired,
    })
}

impl Paired {
    fn new(outcomes: &[&Outcome], seed: u64) -> Paired {
        let side = |side: usize| outcomes.iter().map(|outcome| outcome.correct[side]).collect::<Vec<bool>>();
        let shares: Vec<f64> = outcomes.iter().map(|outcome| outcome.share[1] - outcome.share[0]).collect();
        let several = outcomes.iter().any(|outcome| outcome.several);
        Paired {
            pass_at_1_difference: several.then(|| Estimate::new(&shares, seed)),
            ..Paired::of(&side(0), &side(1), seed)
        }
    }

    /// Of one answer each to the same problems: which of them are right.
    pub(crate) fn of(first: &[bool], second: &[bool], seed: u64) -> Paired {
        let right = |side: &[bool]| Score::new(side.iter().filter(|&&right| right).count(), side.len());
        let only = |one: &[bool], other: &[bool]| one.iter().zip(other).filter(|&(&one, &other)| one && !other).count();
        let (only_first, only_second) = (only(first, second), only(second, first));
        let points = |right: bool| f64::from(u8::from(right));
        let differences: Vec<f64> =
            first.iter().zip(second).map(|(&first, &second)| points(second) - points(first)).collect();
        Paired {
            first: right(first),
            second: right(second),
            only_first,
            only_second,
            difference: Estimate::new(&differences, seed),
            p: mcnemar(only_first, only_second),
            pass_at_1_difference: None,
        }
    }
}

/// McNemar's test (1947) in its exact form: were both equally good, each problem that only one of them answered correctly
/// would be either's with equal chance.
fn mcnemar(only_first: usize, only_second: usize) -> f64 {
    let (n, fewer) = (only_first + only_second, only_first.min(only_second));
    // The logarithm of C(n, k) / 2^n, from k = 0 on.
    let mut log_term = -(n as f64) * std::f64::consts::LN_2;
    let mut tail = log_term.exp();
    for k in 1..=fewer {
        log_term += ((n - k + 1) as f64 / k as f64).ln();
        tail += log_term.exp();
    }
    (2.0 * tail).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Sample;

    #[test]
    fn mcnemar_by_hand() {
        // 1 of 10: 2 * (1 + 10) / 1024.
        assert!((mcnemar(1, 9) - 22.0 / 1024.0).abs() < 1e-12);
        assert!((mcnemar(9, 1) - 22.0 / 1024.0).abs() < 1e-12);
        assert!((mcnemar(0, 5) - 2.0 / 32.0).abs() < 1e-12);
        assert_eq!(mcnemar(0, 0), 1.0);
        assert_eq!(mcnemar(7, 7), 1.0);
        // scipy.stats.binomtest(40, 100).pvalue
        assert!((mcnemar(40, 60) - 0.056_887_933_640_981_43).abs() < 1e-10);
        assert!(mcnemar(10_000, 11_000) < 1e-11);
    }

    fn problem(id: usize, correct: bool) -> ProblemSamples {
        let sample = Sample { correct, chosen: true, ..Sample::default() };
        ProblemSamples {
            group: "g".into(),
            problem_id: id.to_string(),
            family: Some(if id.is_multiple_of(2) { "even" } else { "odd" }.into()),
            question: "q".into(),
            samples: vec![sample],
        }
    }

    #[test]
    fn problems_are_paired_by_id() {
        let first: Vec<_> = (0..20).map(|id| problem(id, id < 10)).collect();
        // The other way round, two problems fewer, one more that the first never had.
        let second: Vec<_> = (2..21).rev().map(|id| problem(id, id < 16)).collect();
        let compared = compare(&first, &second, 0).unwrap();
        assert_eq!(compared.unpaired, 3);
        assert_eq!((compared.all.first.correct, compared.all.second.correct), (8, 14));
        assert_eq!((compared.all.only_first, compared.all.only_second), (0, 6));
        assert!((compared.all.difference.mean - 6.0 / 18.0).abs() < 1e-12);
        assert!(compared.all.difference.low > 0.0 && compared.all.difference.high < 0.6);
        assert!((compared.all.p - 2.0 / 64.0).abs() < 1e-12);
        assert_eq!(compared.families["even"].first.problems, 9);
        assert_eq!(compared.all.pass_at_1_difference, None);
        let mut elsewhere = second.clone();
        elsewhere.iter_mut().for_each(|problem| problem.group = "file".into());
        assert_eq!(compare(&first, &elsewhere, 0).unwrap(), compared);
        // An id in two groups: then the groups have to agree.
        elsewhere.push(ProblemSamples { group: "g".into(), ..problem(5, true) });
        assert_eq!(compare(&first, &elsewhere, 0).unwrap().all.first.problems, 1);
        let mut changed = second.clone();
        changed[3].question = "another".into();
        assert!(compare(&first, &changed, 0).unwrap_err().to_string().contains("another in the second"));
        assert!(compare(&first, &[problem(99, true)], 0).is_err());
    }
}
