//! Hashes of examples, to recognise them after a restart.

use crate::{PreferencePair, SftExample, SiblingList, SiblingStates, ValueExample};
use sha2::{Digest, Sha256};

/// Hashes numbers with their lengths, so that no two lists of examples run into each other.
pub(crate) struct Fingerprint(Sha256);

impl Fingerprint {
    fn ids(&mut self, ids: &[u32]) {
        self.number(ids.len() as u64);
        for id in ids {
            self.0.update(id.to_le_bytes());
        }
    }

    fn floats(&mut self, values: &[f32]) {
        self.number(values.len() as u64);
        for value in values {
            self.0.update(value.to_le_bytes());
        }
    }

    fn number(&mut self, value: u64) {
        self.0.update(value.to_le_bytes());
    }

    /// A state's next steps with what was found of them.
    fn siblings(&mut self, prompt_ids: &[u32], steps: &[Vec<u32>], q: &[f32], visits: &[u32]) {
        self.ids(prompt_ids);
        self.number(steps.len() as u64);
        steps.iter().for_each(|step| self.ids(step));
        self.floats(q);
        self.ids(visits);
    }
}

/// An example that can be hashed.
pub(crate) trait Hashed {
    /// Feeds every number of the example.
    fn feed(&self, to: &mut Fingerprint);
}

impl Hashed for SftExample {
    fn feed(&self, to: &mut Fingerprint) {
        to.ids(&self.ids);
        to.number(self.prompt_len as u64);
    }
}

impl Hashed for PreferencePair {
    fn feed(&self, to: &mut Fingerprint) {
        to.ids(&self.prompt_ids);
        to.ids(&self.chosen_ids);
        to.ids(&self.rejected_ids);
        to.floats(&[self.q_chosen, self.q_rejected, self.weight, self.q_scale]);
        to.ids(&[self.visits_chosen, self.visits_rejected]);
        if let Some(reference) = &self.reference {
            to.floats(reference);
        }
    }
}

impl Hashed for SiblingList {
    fn feed(&self, to: &mut Fingerprint) {
        to.siblings(&self.prompt_ids, &self.steps, &self.q, &self.visits);
        to.floats(&[self.weight, self.q_scale]);
    }
}

impl Hashed for ValueExample {
    fn feed(&self, to: &mut Fingerprint) {
        to.ids(&self.ids);
        to.ids(&self.step_ends);
        to.floats(&self.targets);
    }
}

impl Hashed for SiblingStates {
    fn feed(&self, to: &mut Fingerprint) {
        to.number(self.problem as u64);
        to.siblings(&self.prompt_ids, &self.steps, &self.q, &self.visits);
        to.number(self.pairs.len() as u64);
        for place in self.pairs.iter().flatten() {
            to.number(*place as u64);
        }
    }
}

/// SHA-256 of the examples, in hexadecimal.
pub(crate) fn fingerprint<E: Hashed>(examples: &[E]) -> String {
    let mut hash = Fingerprint(Sha256::new());
    hash.number(examples.len() as u64);
    for example in examples {
        example.feed(&mut hash);
    }
    hex::encode(hash.0.finalize())
}

/// SHA-256 of some texts together, in hexadecimal.
pub(crate) fn key(texts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    hex::encode(hash.finalize())
}
