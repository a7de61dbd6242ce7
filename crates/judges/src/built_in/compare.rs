//! `compare`: how many of its siblings an answer agrees with.

use crate::scorer::{Asked, Scope, Scorer};
use espalier_task::equivalent;

/// Self-consistency (Wang et al. 2022, arXiv:2203.11171) among the ends that are asked about together: each gets the share of
/// the other ends of its problem whose answer is the same. An end without an answer agrees with none; one that is alone cannot be
/// compared.
///
/// What it says depends on who is asked about in the same call, so it must not be remembered.
#[derive(Clone, Copy, Debug)]
pub struct Compare;

/// Of each answer the share of the others that are the same; `None` if there are no others.
pub fn agreement(answers: &[Option<&str>]) -> Option<Vec<f32>> {
    let others = answers.len().checked_sub(1).filter(|&others| others > 0)?;
    let mut agree = vec![0_usize; answers.len()];
    for one in 0..answers.len() {
        for other in one + 1..answers.len() {
            let same = |a: &str, b: &str| !a.trim().is_empty() && (equivalent(a, b) || equivalent(b, a));
            if let (Some(a), Some(b)) = (answers[one], answers[other])
                && same(a, b)
            {
                agree[one] += 1;
                agree[other] += 1;
            }
        }
    }
    Some(agree.into_iter().map(|count| count as f32 / others as f32).collect())
}

impl Scorer for Compare {
    fn scope(&self) -> Scope {
        Scope::Path
    }

    fn score(&self, asked: &[Asked<'_>]) -> Vec<Option<f32>> {
        let mut scores = vec![None; asked.len()];
        for first in 0..asked.len() {
            let is_sibling = |one: &Asked<'_>| one.is_end && one.problem == asked[first].problem;
            // The first of a problem's ends stands for all of them.
            if !is_sibling(&asked[first]) || asked[..first].iter().any(is_sibling) {
                continue;
            }
            let siblings: Vec<usize> = (first..asked.len()).filter(|&index| is_sibling(&asked[index])).collect();
            let answers: Vec<Option<&str>> = siblings.iter().map(|&index| asked[index].answer).collect();
            for (index, share) in siblings.iter().zip(agreement(&answers).into_iter().flatten()) {
                scores[*index] = Some(share);
            }
        }
        scores
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{end, math};
    use espalier_task::Problem;

    #[test]
    fn siblings_vote_for_each_other() {
        let (one, other) = (math(""), Problem { id: "other".into(), ..math("") });
        let answers = [(&one, Some("1/2")), (&other, Some("3")), (&one, Some("0.5")), (&one, Some("3")), (&one, None)];
        let mut asked: Vec<Asked<'_>> = answers.iter().map(|(problem, answer)| end(problem, "", *answer)).collect();
        asked.push(Asked { is_end: false, ..end(&one, "a step", None) });
        // Of three others, one half agrees with the other half; the 3 is of another problem; what has no answer has no friends.
        let third = 1.0 / 3.0;
        assert_eq!(Compare.score(&asked), [Some(third), None, Some(third), Some(0.0), Some(0.0), None]);
        assert_eq!(agreement(&[Some("7")]), None);
        assert_eq!(
            agreement(&[Some("7"), Some("7"), Some("8"), Some("7.0")]),
            Some(vec![2.0 / 3.0, 2.0 / 3.0, 0.0, 2.0 / 3.0])
        );
        assert_eq!(agreement(&[Some(" "), Some(" ")]), Some(vec![0.0, 0.0]));
    }
}
