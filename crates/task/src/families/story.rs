//! A story being told: its sentences and, growing with them, the derivation of its answer.

use super::derivation::{Derivation, Op, Term};
use super::told::Told;
use crate::answer::AnswerKind;

/// Sentences and the steps that they call for.
#[derive(Clone, Debug)]
pub(super) struct Story {
    sentences: Vec<String>,
    /// How its answer is calculated.
    pub(super) derivation: Derivation,
    steps: u32,
}

impl Story {
    /// A story that will take `steps` steps.
    pub(super) fn new(steps: u32) -> Self {
        Self { sentences: Vec::new(), derivation: Derivation::default(), steps }
    }

    /// Steps that the story still has to call for.
    pub(super) fn room(&self) -> u32 {
        self.steps.saturating_sub(self.derivation.len())
    }

    /// Adds a sentence.
    pub(super) fn say(&mut self, sentence: String) {
        self.sentences.push(sentence);
    }

    /// Adds a step, see [`Derivation::step`].
    pub(super) fn step(
        &mut self,
        purpose: impl Into<String>,
        left: impl Into<Term>,
        op: Op,
        right: impl Into<Term>,
    ) -> Option<Term> {
        self.derivation.step(purpose, left, op, right)
    }

    /// The whole story; `None` if it is none.
    pub(super) fn told(self) -> Option<Told> {
        Some(Told {
            question: self.question()?,
            answer: self.derivation.answer()?.to_string(),
            kind: AnswerKind::Math,
            worked: self.derivation.worked(),
            mistaken: self.derivation.mistaken().map(|mistaken| mistaken.worked()),
        })
    }

    /// The whole question; `None` if it says the same sentence twice, which reads like a mistake.
    fn question(&self) -> Option<String> {
        let mut rest = self.sentences.iter();
        while let Some(sentence) = rest.next() {
            if rest.as_slice().contains(sentence) {
                return None;
            }
        }
        Some(self.sentences.join(" "))
    }
}
