//! The journal's own form of a tree: little-endian, no alignment, node after node.
//!
//! Only one version of the program reads a journal, and only to go on where it was stopped, so the form is as plain as
//! it can be fast. Every length is checked on reading.

use crate::arena::{Ending, Kind, NodeId, StoredStep, Tree, TreeInfo};
use crate::names::Named;

/// Appends a tree's bytes.
pub(crate) fn encode(tree: &Tree, out: &mut Vec<u8>) {
    let info = &tree.info;
    for text in [&info.run_id, &info.problem_id, &info.question, &info.reference_answer] {
        put_text(text, out);
    }
    out.extend_from_slice(&info.round.to_le_bytes());
    out.extend_from_slice(&info.tree_seed.to_le_bytes());
    out.extend_from_slice(&(tree.len() as u32).to_le_bytes());
    for id in tree.ids() {
        let node = tree.node(id);
        // NaN stands for a number that is not there, as in the arena.
        let [value_estimate, reward] = [node.value_estimate(), node.reward()].map(|x| x.unwrap_or(f32::NAN));
        out.extend_from_slice(&tree.parent(id).map_or(u32::MAX, |parent| parent.0).to_le_bytes());
        out.extend_from_slice(&node.visits.to_le_bytes());
        out.extend_from_slice(&node.value_sum.to_le_bytes());
        out.extend_from_slice(&node.prior.to_le_bytes());
        out.extend_from_slice(&value_estimate.to_le_bytes());
        out.extend_from_slice(&reward.to_le_bytes());
        out.extend_from_slice(&[node.kind.code() as u8, node.ending.code() as u8, u8::from(tree.answer(id).is_some())]);
        put_text(tree.text(id), out);
        put_words(tree.token_ids(id), u32::to_le_bytes, out);
        put_words(tree.logprobs(id), f32::to_le_bytes, out);
        if let Some(answer) = tree.answer(id) {
            put_text(answer, out);
        }
    }
    // Nothing where nobody but the answer was asked: such records are as they were before there were judges.
    if !tree.judges().is_empty() {
        out.extend_from_slice(&(tree.judges().len() as u32).to_le_bytes());
        tree.judges().iter().for_each(|name| put_text(name, out));
        tree.ids().for_each(|id| put_words(tree.scores(id), f32::to_le_bytes, out));
    }
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    // A text is part of a record, whose length the journal holds to 32 bits.
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn put_words<T: Copy>(words: &[T], to_bytes: fn(T) -> [u8; 4], out: &mut Vec<u8>) {
    out.extend_from_slice(&(words.len() as u32).to_le_bytes());
    let start = out.len();
    out.resize(start + 4 * words.len(), 0);
    for (place, &word) in out[start..].chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&to_bytes(word));
    }
}

/// Reads a tree that takes up all of `bytes`.
///
/// # Errors
/// What is wrong with the bytes; any bytes may be given.
pub(crate) fn decode(bytes: &[u8]) -> Result<Tree, &'static str> {
    let mut input = Input(bytes);
    let [run_id, problem_id, question, reference_answer] =
        [input.text()?, input.text()?, input.text()?, input.text()?].map(str::to_owned);
    let round = u32::from_le_bytes(input.array()?);
    let tree_seed = u64::from_le_bytes(input.array()?);
    let info = TreeInfo { run_id, round, problem_id, question, reference_answer, tree_seed };
    let nodes = u32::from_le_bytes(input.array()?);

    let (mut token_ids, mut logprobs) = (Vec::new(), Vec::new());
    let root = input.node(&mut token_ids, &mut logprobs)?;
    if nodes == 0 || root.parent != u32::MAX || root.kind != Kind::Root {
        return Err("the first node is no root");
    }
    let mut tree = Tree::new(info, root.text, root.token_ids);
    tree.set_statistics(NodeId::ROOT, root.visits, root.value_sum);
    tree.set_ending(NodeId::ROOT, root.ending);
    if let Some(value) = root.value_estimate {
        tree.set_value_estimate(NodeId::ROOT, value);
    }
    for _ in 1..nodes {
        let step = input.node(&mut token_ids, &mut logprobs)?;
        tree.restore_step(&step)?;
    }
    if !input.0.is_empty() {
        input.scores(&mut tree)?;
    }
    if input.0.is_empty() { Ok(tree) } else { Err("bytes follow the last node") }
}

/// The bytes that are still to be read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], &'static str> {
        let (head, rest) = self.0.split_at_checked(len).ok_or("it ends too early")?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let (head, rest) = self.0.split_first_chunk().ok_or("it ends too early")?;
        self.0 = rest;
        Ok(*head)
    }

    fn len(&mut self) -> Result<usize, &'static str> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    fn text(&mut self) -> Result<&'a str, &'static str> {
        let len = self.len()?;
        std::str::from_utf8(self.take(len)?).map_err(|_| "a text is not UTF-8")
    }

    fn words<T>(&mut self, from_bytes: fn([u8; 4]) -> T, out: &mut Vec<T>) -> Result<(), &'static str> {
        let len = self.len()?;
        let bytes = self.take(len.checked_mul(4).ok_or("it ends too early")?)?;
        out.clear();
        let (words, _) = bytes.as_chunks::<4>();
        out.extend(words.iter().map(|&word| from_bytes(word)));
        Ok(())
    }

    /// What judges said of the tree's nodes.
    fn scores(&mut self, tree: &mut Tree) -> Result<(), &'static str> {
        let count = self.len()?;
        // Each name takes at least its length.
        if count == 0 || count > self.0.len() / 4 {
            return Err("the number of judges is wrong");
        }
        let names = (0..count).map(|_| self.text().map(str::to_owned)).collect::<Result<Vec<_>, _>>()?;
        tree.set_judges(names.into());
        let mut scores = Vec::new();
        for id in tree.ids() {
            self.words(f32::from_le_bytes, &mut scores)?;
            if scores.len() != count {
                return Err("a node has not one score for each judge");
            }
            tree.set_scores(id, &scores);
        }
        Ok(())
    }

    fn name<T: Named>(&mut self) -> Result<T, &'static str> {
        let [code] = self.array()?;
        T::from_code(code as i8).ok_or("a kind or an ending has an unknown code")
    }

    /// A node; its tokens and log-probabilities go into the two buffers, which are used again for the next node.
    fn node<'b>(
        &mut self,
        token_ids: &'b mut Vec<u32>,
        logprobs: &'b mut Vec<f32>,
    ) -> Result<StoredStep<'b>, &'static str>
    where
        'a: 'b,
    {
        let parent = u32::from_le_bytes(self.array()?);
        let visits = u32::from_le_bytes(self.array()?);
        let value_sum = f64::from_le_bytes(self.array()?);
        let prior = f32::from_le_bytes(self.array()?);
        let value_estimate = f32::from_le_bytes(self.array()?);
        let reward = f32::from_le_bytes(self.array()?);
        let kind = self.name()?;
        let ending = self.name::<Ending>()?;
        let [has_answer] = self.array()?;
        let text = self.text()?;
        self.words(u32::from_le_bytes, token_ids)?;
        self.words(f32::from_le_bytes, logprobs)?;
        let answer = if has_answer == 0 { None } else { Some(self.text()?) };
        Ok(StoredStep {
            parent,
            kind,
            ending,
            text,
            token_ids,
            logprobs,
            prior,
            visits,
            value_sum,
            value_estimate: (!value_estimate.is_nan()).then_some(value_estimate),
            reward: (!reward.is_nan()).then_some(reward),
            answer,
        })
    }
}
