//! Which examples cannot be trained on, and why.

use crate::{PreferencePair, SftExample, SiblingList, SiblingStates, ValueExample};
use espalier_model::Transformer;
use serde::{Deserialize, Serialize};

/// An example that was left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SkippedRow {
    /// Its index among those given.
    pub row: usize,
    /// Why.
    pub reason: SkipReason,
}

/// Why an example was left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// A token that the model does not have.
    #[error("token {id} is not below the vocabulary size {vocab_size}")]
    TokenOutOfVocabulary {
        /// The token.
        id: u32,
        /// Tokens of the model.
        vocab_size: usize,
    },
    /// No token that could carry a loss.
    #[error("it has no token to learn")]
    EmptyStep,
    /// No token before the steps.
    #[error("its prompt is empty")]
    EmptyPrompt,
    /// More tokens than the model's context.
    #[error("its {tokens} tokens exceed the context of {context}")]
    TooLong {
        /// Tokens of the example.
        tokens: usize,
        /// Longest context of the model.
        context: usize,
    },
    /// A number is NaN or infinite.
    #[error("its {field} is {value}")]
    NotFinite {
        /// The number's name.
        field: String,
        /// The number as text, since JSON has no NaN.
        value: String,
    },
    /// Lists of one example that should be equally long are not, or positions do not rise within the tokens.
    #[error("its {field} do not fit its tokens")]
    Inconsistent {
        /// The list's name.
        field: String,
    },
    /// A list of fewer than two steps ranks nothing.
    #[error("it has fewer than two steps")]
    TooFewSteps,
}

/// What the model can read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// V.
    pub vocab_size: usize,
    /// Longest context in tokens.
    pub context: usize,
}

impl Limits {
    /// Those of `model`.
    pub fn of(model: &Transformer) -> Limits {
        let shape = model.config();
        Limits { vocab_size: shape.vocab_size, context: shape.max_position_embeddings }
    }

    fn tokens(self, ids: &[u32]) -> Result<(), SkipReason> {
        match ids.iter().find(|&&id| id as usize >= self.vocab_size) {
            Some(&id) => Err(SkipReason::TokenOutOfVocabulary { id, vocab_size: self.vocab_size }),
            None => Ok(()),
        }
    }

    fn length(self, tokens: usize) -> Result<(), SkipReason> {
        if tokens > self.context { Err(SkipReason::TooLong { tokens, context: self.context }) } else { Ok(()) }
    }
}

/// An example that can be checked before training.
pub(crate) trait Checked {
    /// Why it cannot be trained on, if it cannot.
    fn check(&self, limits: Limits) -> Result<(), SkipReason>;
}

impl Checked for SftExample {
    fn check(&self, limits: Limits) -> Result<(), SkipReason> {
        limits.tokens(&self.ids)?;
        limits.length(self.ids.len())?;
        // The very first token has nothing before it that could predict it.
        if self.ids.len() <= self.prompt_len.max(1) { Err(SkipReason::EmptyStep) } else { Ok(()) }
    }
}

impl Checked for PreferencePair {
    fn check(&self, limits: Limits) -> Result<(), SkipReason> {
        check_steps(limits, &self.prompt_ids, [&self.chosen_ids, &self.rejected_ids])?;
        finite("q_chosen", self.q_chosen)?;
        finite("q_rejected", self.q_rejected)?;
        finite("weight", self.weight)?;
        finite("q_scale", self.q_scale)?;
        self.reference.iter().flatten().try_for_each(|&logprob| finite("reference", logprob))
    }
}

impl Checked for SiblingList {
    fn check(&self, limits: Limits) -> Result<(), SkipReason> {
        for (field, numbers) in [("q", self.q.len()), ("visits", self.visits.len())] {
            if self.steps.len() != numbers {
                return Err(SkipReason::Inconsistent { field: field.into() });
            }
        }
        if self.steps.len() < 2 {
            return Err(SkipReason::TooFewSteps);
        }
        check_steps(limits, &self.prompt_ids, &self.steps)?;
        self.q.iter().try_for_each(|&q| finite("q", q))?;
        finite("weight", self.weight)?;
        finite("q_scale", self.q_scale)
    }
}

impl Checked for ValueExample {
    fn check(&self, limits: Limits) -> Result<(), SkipReason> {
        limits.tokens(&self.ids)?;
        limits.length(self.ids.len())?;
        let (Some(&first), Some(&last)) = (self.step_ends.first(), self.step_ends.last()) else {
            return Err(SkipReason::EmptyStep);
        };
        if self.step_ends.len() != self.targets.len() {
            return Err(SkipReason::Inconsistent { field: "targets".into() });
        }
        let rising = self.step_ends.windows(2).all(|pair| pair[0] < pair[1]);
        if !rising || first == 0 || last as usize > self.ids.len() {
            return Err(SkipReason::Inconsistent { field: "step_ends".into() });
        }
        self.targets.iter().try_for_each(|&target| finite("target", target))
    }
}

impl Checked for SiblingStates {
    fn check(&self, limits: Limits) -> Result<(), SkipReason> {
        for (field, numbers) in [("q", self.q.len()), ("visits", self.visits.len())] {
            if self.steps.len() != numbers {
                return Err(SkipReason::Inconsistent { field: field.into() });
            }
        }
        if self.pairs.iter().flatten().any(|&place| place >= self.steps.len()) {
            return Err(SkipReason::Inconsistent { field: "pairs".into() });
        }
        if self.steps.is_empty() {
            return Err(SkipReason::EmptyStep);
        }
        check_steps(limits, &self.prompt_ids, &self.steps)?;
        self.q.iter().try_for_each(|&q| finite("q", q))
    }
}

fn check_steps<'a>(
    limits: Limits,
    prompt: &[u32],
    steps: impl IntoIterator<Item = &'a Vec<u32>>,
) -> Result<(), SkipReason> {
    limits.tokens(prompt)?;
    if prompt.is_empty() {
        return Err(SkipReason::EmptyPrompt);
    }
    for step in steps {
        limits.tokens(step)?;
        limits.length(prompt.len() + step.len())?;
        if step.is_empty() {
            return Err(SkipReason::EmptyStep);
        }
    }
    Ok(())
}

fn finite(field: &str, value: f32) -> Result<(), SkipReason> {
    if value.is_finite() {
        Ok(())
    } else {
        Err(SkipReason::NotFinite { field: field.into(), value: value.to_string() })
    }
}

/// Separates the examples that can be trained on, by index, from those that cannot.
pub(crate) fn sift<E: Checked>(examples: &[E], limits: Limits) -> (Vec<usize>, Vec<SkippedRow>) {
    let (mut kept, mut skipped) = (Vec::with_capacity(examples.len()), Vec::new());
    for (row, example) in examples.iter().enumerate() {
        match example.check(limits) {
            Ok(()) => kept.push(row),
            Err(reason) => skipped.push(SkippedRow { row, reason }),
        }
    }
    (kept, skipped)
}
