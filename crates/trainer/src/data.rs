//! Examples, and why some of them cannot be trained on.

use crate::batch::Group;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// A text to imitate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SftExample {
    /// The prompt's tokens and those of the path.
    pub ids: Vec<u32>,
    /// Tokens of the prompt; they carry no loss.
    pub prompt_len: usize,
}

/// Two steps from one state, one better than the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PreferencePair {
    /// The state's tokens; they carry no loss.
    pub prompt_ids: Vec<u32>,
    /// The better step's tokens.
    pub chosen_ids: Vec<u32>,
    /// The worse step's tokens.
    pub rejected_ids: Vec<u32>,
    /// Q of the better step, in [-1, 1].
    pub q_chosen: f32,
    /// Q of the worse step, in [-1, 1].
    pub q_rejected: f32,
    /// Visits of the better step.
    pub visits_chosen: u32,
    /// Visits of the worse step.
    pub visits_rejected: u32,
    /// Multiplies the pair's loss.
    pub weight: f32,
    /// Multiplies both Q (0.3 for solutions in CPL).
    pub q_scale: f32,
    /// Log-probabilities of the chosen and the rejected step, in nats, under the policy that training starts from, if they
    /// are known.
    pub reference: Option<[f32; 2]>,
}

impl PreferencePair {
    pub(crate) fn group(&self) -> Group<'_> {
        Group { prompt: &self.prompt_ids, steps: vec![&self.chosen_ids, &self.rejected_ids] }
    }
}

/// All K steps from one state, for the losses over lists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SiblingList {
    /// The state's tokens; they carry no loss.
    pub prompt_ids: Vec<u32>,
    /// Each step's tokens.
    pub steps: Vec<Vec<u32>>,
    /// Q of each step, in [-1, 1].
    pub q: Vec<f32>,
    /// Multiplies the list's loss.
    pub weight: f32,
}

impl SiblingList {
    /// The siblings that `pairs` of one state name, in the order in which they come, each once; a list a state. A list's
    /// weight is the mean of its pairs'. Steps that are in no pair are unknown here.
    pub fn of_pairs(pairs: &[PreferencePair]) -> Vec<SiblingList> {
        let mut lists: Vec<(SiblingList, usize)> = Vec::new();
        let mut place: HashMap<&[u32], usize> = HashMap::new();
        for pair in pairs {
            let at = *place.entry(&pair.prompt_ids).or_insert_with(|| {
                let prompt_ids = pair.prompt_ids.clone();
                lists.push((SiblingList { prompt_ids, steps: Vec::new(), q: Vec::new(), weight: 0.0 }, 0));
                lists.len() - 1
            });
            let (list, count) = &mut lists[at];
            *count += 1;
            list.weight += pair.weight;
            for (step, q) in [(&pair.chosen_ids, pair.q_chosen), (&pair.rejected_ids, pair.q_rejected)] {
                if !list.steps.contains(step) {
                    list.steps.push(step.clone());
                    list.q.push(q * pair.q_scale);
                }
            }
        }
        lists.into_iter().map(|(list, count)| SiblingList { weight: list.weight / count as f32, ..list }).collect()
    }
}

/// A path and the values of its states.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValueExample {
    /// The path's tokens.
    pub ids: Vec<u32>,
    /// Index of the last token of each state, rising.
    pub ends: Vec<u32>,
    /// The value of each state, in [-1, 1]; as long as `ends`.
    pub targets: Vec<f32>,
}

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
    /// The prompt's tokens are not the first ones of the prompt and a step together.
    #[error("the tokens of its prompt are not the first ones of prompt + {step}; end the prompt where a token ends")]
    PrefixMismatch {
        /// `chosen` or `rejected`.
        step: String,
    },
    /// A field is missing or of the wrong type.
    #[error("{problem}")]
    BadField {
        /// What is wrong.
        problem: String,
    },
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
        if self.steps.len() != self.q.len() {
            return Err(SkipReason::Inconsistent { field: "q".into() });
        }
        if self.steps.len() < 2 {
            return Err(SkipReason::TooFewSteps);
        }
        check_steps(limits, &self.prompt_ids, &self.steps)?;
        self.q.iter().try_for_each(|&q| finite("q", q))?;
        finite("weight", self.weight)
    }
}

impl Checked for ValueExample {
    fn check(&self, limits: Limits) -> Result<(), SkipReason> {
        limits.tokens(&self.ids)?;
        limits.length(self.ids.len())?;
        if self.ends.is_empty() {
            return Err(SkipReason::EmptyStep);
        }
        if self.ends.len() != self.targets.len() {
            return Err(SkipReason::Inconsistent { field: "targets".into() });
        }
        let rising = self.ends.windows(2).all(|pair| pair[0] < pair[1]);
        if !rising || self.ends.last().is_some_and(|&end| end as usize >= self.ids.len()) {
            return Err(SkipReason::Inconsistent { field: "ends".into() });
        }
        self.targets.iter().try_for_each(|&target| finite("target", target))
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
