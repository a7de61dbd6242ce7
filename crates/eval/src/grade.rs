//! From answers as texts to graded samples.

use crate::answer::Answered;
use crate::error::EvalError;
use crate::samples::Sample;
use crate::vote;
use espalier_task::{Grader, Problem};

/// Grades what was answered to a problem, and says which of it is the policy's answer.
///
/// # Errors
/// A text that cannot be judged: code where no sandbox can be started.
pub fn grade(grader: &Grader, problem: &Problem, answered: &Answered) -> Result<Vec<Sample>, EvalError> {
    let graded = answered.texts.iter().map(|text| {
        let grade = grader.grade(problem, &text.text)?;
        Ok(Sample {
            text: text.text.clone(),
            answer: grade.answer,
            correct: grade.correct,
            tokens: text.tokens,
            logprob_nats: text.logprob_nats,
            weight: text.weight,
            chosen: false,
            score: None,
        })
    });
    let mut samples = graded
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| EvalError::Grade { problem_id: problem.id.clone(), source })?;
    if let Some(chosen) = vote::winner(&samples) {
        samples[chosen].chosen = true;
    }
    Ok(samples)
}
