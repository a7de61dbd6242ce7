//! States in the tokens of another model.

use espalier_search::{State, ValueError, Valued, Valuer};
use espalier_tokenizer::Tokenizer;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

/// The texts of a state's steps.
pub(super) fn step_texts(state: &State, tokenizer: &Tokenizer) -> Vec<String> {
    let text = |pair: &[u32]| {
        let (start, end) = (pair[0] as usize, pair[1] as usize);
        // What a decoder leaves out of a text's beginning is there behind another text.
        let [so_far, whole] = [start, end].map(|end| tokenizer.decode(&state.prefix_ids[..end]));
        let step = whole.strip_prefix(so_far.as_str()).map(str::to_owned);
        step.unwrap_or_else(|| tokenizer.decode(&state.prefix_ids[start..end]))
    };
    state.step_ends.windows(2).map(text).collect()
}

/// A valuer that is given each state in its own tokens: its own prompt, then the texts of the steps.
pub(super) struct Retold<V, F> {
    valuer: V,
    from: Arc<Tokenizer>,
    to: Arc<Tokenizer>,
    /// The prompt of a tree in the valuer's tokens.
    prompt: F,
    prompts: HashMap<u64, Vec<u32>>,
    failed: Vec<Valued>,
}

impl<V: Valuer, F: Fn(u64, &Tokenizer) -> Result<Vec<u32>, String> + Send> Retold<V, F> {
    pub(super) fn new(valuer: V, from: Arc<Tokenizer>, to: Arc<Tokenizer>, prompt: F) -> Retold<V, F> {
        Retold { valuer, from, to, prompt, prompts: HashMap::new(), failed: Vec::new() }
    }

    fn retell(&mut self, state: &State) -> Result<State, String> {
        let Retold { from, to, prompt, prompts, .. } = self;
        let mut ids = match prompts.entry(state.tree) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(new) => new.insert(prompt(state.tree, to)?).clone(),
        };
        let mut ends = vec![ids.len() as u32];
        let mut before = to.decode(&ids);
        for step in step_texts(state, from) {
            ids.extend(to.encode_after(&before, &ids, &step).map_err(|error| error.to_string())?);
            before.push_str(&step);
            ends.push(ids.len() as u32);
        }
        Ok(State { ticket: state.ticket, tree: state.tree, prefix_ids: ids, step_ends: ends })
    }
}

impl<V: Valuer, F: Fn(u64, &Tokenizer) -> Result<Vec<u32>, String> + Send> Valuer for Retold<V, F> {
    fn submit(&mut self, state: Arc<State>) {
        match self.retell(&state) {
            Ok(retold) => self.valuer.submit(Arc::new(retold)),
            Err(reason) => self.failed.push((state.ticket, Err(ValueError::State(reason)))),
        }
    }

    fn pending(&self) -> usize {
        self.valuer.pending() + self.failed.len()
    }

    fn room(&self) -> usize {
        self.valuer.room()
    }

    fn poll(&mut self, at_most: Duration) -> Vec<Valued> {
        if self.failed.is_empty() { self.valuer.poll(at_most) } else { std::mem::take(&mut self.failed) }
    }

    fn forget(&mut self, tree: u64) {
        self.prompts.remove(&tree);
        self.valuer.forget(tree);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps what it is given.
    #[derive(Default)]
    struct Keeping(Vec<State>);

    impl Valuer for Keeping {
        fn submit(&mut self, state: Arc<State>) {
            self.0.push(state.as_ref().clone());
        }

        fn pending(&self) -> usize {
            0
        }

        fn room(&self) -> usize {
            9
        }

        fn poll(&mut self, _at_most: Duration) -> Vec<Valued> {
            Vec::new()
        }
    }

    #[test]
    fn a_state_keeps_its_steps_in_other_tokens() {
        let texts = ["What is 3 + 4? so 3 + 4 = 7\n", "the answer is 7, since 3 and 4 make 7\n"];
        let train = |size| Arc::new(Tokenizer::train_bpe(texts, size, &["<s>"]).unwrap());
        let (from, to) = (train(300), train(270));
        let mut retold = Retold::new(Keeping::default(), Arc::clone(&from), Arc::clone(&to), |tree, to: &Tokenizer| {
            if tree == 9 { Err("no such tree".to_owned()) } else { Ok(to.encode("Another prompt:").unwrap()) }
        });
        let pieces = ["What is 3 + 4?", " so 3 + 4 = 7\n", "the answer is 7\n"];
        let (mut prefix_ids, mut step_ends) = (Vec::new(), Vec::new());
        for piece in pieces {
            prefix_ids.extend(from.encode(piece).unwrap());
            step_ends.push(prefix_ids.len() as u32);
        }
        let state = State { ticket: 4, tree: 2, prefix_ids, step_ends };
        retold.submit(Arc::new(state.clone()));
        retold.submit(Arc::new(State { tree: 9, ..state.clone() }));
        let told = retold.valuer.0[0].clone();
        let text = |range: std::ops::Range<usize>| to.decode(&told.prefix_ids[range]);
        let ends: Vec<usize> = told.step_ends.iter().map(|&end| end as usize).collect();
        assert_eq!((told.ticket, told.tree, ends.len()), (4, 2, 3));
        assert_eq!(
            [text(0..ends[0]), text(ends[0]..ends[1]), text(ends[1]..ends[2])],
            ["Another prompt:", pieces[1], pieces[2]]
        );
        assert_ne!(told.prefix_ids.len(), state.prefix_ids.len());
        assert_eq!(retold.poll(Duration::ZERO), [(4, Err(ValueError::State("no such tree".to_owned())))]);
    }
}
