//! The policy's answer among several.

use crate::samples::Sample;
use espalier_task::equivalent;

/// The sample that stands for the answer with the largest weight of votes, the first of equals; samples without an answer
/// do not vote. `None` if none votes. Answers that are the same in different spellings vote together.
pub(super) fn winner(samples: &[Sample]) -> Option<usize> {
    winner_by(samples, |sample| sample.weight)
}

/// As [`winner`], with votes of other weights.
pub(super) fn winner_by(samples: &[Sample], weight: impl Fn(&Sample) -> f64) -> Option<usize> {
    let mut parties: Vec<(usize, &str, f64)> = Vec::new();
    for (index, sample) in samples.iter().enumerate() {
        let Some(answer) = sample.answer.as_deref() else { continue };
        let same = |other: &str| other == answer || equivalent(other, answer) || equivalent(answer, other);
        match parties.iter_mut().find(|(_, other, _)| same(other)) {
            Some((_, _, votes)) => *votes += weight(sample),
            None => parties.push((index, answer, weight(sample))),
        }
    }
    let most = parties.iter().map(|&(_, _, votes)| votes).fold(f64::NEG_INFINITY, f64::max);
    parties.iter().find(|&&(_, _, votes)| votes == most).map(|&(index, _, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(answers: &[(Option<&str>, f64)]) -> Vec<Sample> {
        let sample = |&(answer, weight): &(Option<&str>, f64)| Sample {
            answer: answer.map(str::to_owned),
            weight,
            ..Sample::default()
        };
        answers.iter().map(sample).collect()
    }

    #[test]
    fn spellings_vote_together_and_silence_does_not() {
        let votes = samples(&[(Some("3"), 1.0), (Some("0.5"), 1.0), (None, 9.0), (Some(r"\frac{1}{2}"), 1.0)]);
        assert_eq!(winner(&votes), Some(1));
        assert_eq!(winner(&samples(&[(Some("3"), 1.0), (Some("4"), 1.0)])), Some(0), "the first of equals");
        assert_eq!(winner(&samples(&[(Some("3"), 0.4), (Some("4"), 0.5)])), Some(1), "weights count");
        assert_eq!(winner(&samples(&[(None, 1.0)])), None);
        assert_eq!(winner(&[]), None);
    }
}
