//! Rows of tokens in which no token stands twice: a forest of the sequences' common beginnings.
//!
//! ```text
//!   a b c | d e        node:    0 1 2 3 4 5 6      fed:     a b c d f g h       (the last token of a step is not fed
//!   a b c | f          parent:  - 0 1 2 2 4 5                                    unless another sequence goes on)
//!   a b c f | g h i    position 0 1 2 3 3 4 5      edges:   2>d 3>e 2>f 4>g 5>h 6>i   (tokens to predict, each once)
//! ```

use std::collections::HashMap;

/// The parent of a first token.
const NONE: usize = usize::MAX;

/// One row.
#[derive(Debug, Default)]
pub(super) struct Forest {
    pub ids: Vec<i64>,
    pub positions: Vec<i64>,
    parents: Vec<usize>,
    nodes: HashMap<(usize, u32), usize>,
    /// Token that predicts (index into the row), token predicted.
    pub edges: Vec<(usize, i64)>,
    edge_of: HashMap<(usize, u32), usize>,
}

impl Forest {
    /// Adds a step below its prompt; gives the edges that predict its tokens.
    pub fn insert(&mut self, prompt: &[u32], step: &[u32]) -> Vec<usize> {
        let end = prompt.iter().fold(NONE, |parent, &id| self.node(parent, id));
        let mut edges = Vec::with_capacity(step.len());
        let mut parent = end;
        for (j, &id) in step.iter().enumerate() {
            edges.push(self.edge(parent, id));
            if j + 1 < step.len() {
                parent = self.node(parent, id);
            }
        }
        edges
    }

    /// Adds a sequence of which nothing is predicted.
    pub fn insert_plain(&mut self, ids: &[u32]) {
        ids.iter().fold(NONE, |parent, &id| self.node(parent, id));
    }

    fn node(&mut self, parent: usize, id: u32) -> usize {
        if let Some(&node) = self.nodes.get(&(parent, id)) {
            return node;
        }
        let node = self.ids.len();
        self.ids.push(i64::from(id));
        self.positions.push(if parent == NONE { 0 } else { self.positions[parent] + 1 });
        self.parents.push(parent);
        self.nodes.insert((parent, id), node);
        node
    }

    fn edge(&mut self, parent: usize, id: u32) -> usize {
        let next = self.edges.len();
        let edge = *self.edge_of.entry((parent, id)).or_insert(next);
        if edge == next {
            self.edges.push((parent, i64::from(id)));
        }
        edge
    }

    /// Tokens of the row.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether every token's parent is the token before it.
    pub fn is_plain(&self) -> bool {
        self.parents.iter().enumerate().all(|(i, &parent)| if i == 0 { parent == NONE } else { parent == i - 1 })
    }

    /// Writes 0 into `square` `[width, width]`, row by row, where token j is visible to token i: its ancestors within the
    /// window, and itself. A pad token sees itself, since a row without any visible token has no softmax.
    pub fn mask(&self, square: &mut [f32], width: usize, window: Option<usize>) {
        for i in 0..width {
            let (before, rest) = square.split_at_mut(i * width);
            let line = &mut rest[..width];
            line[i] = 0.0;
            let Some(&parent) = self.parents.get(i).filter(|&&parent| parent != NONE) else { continue };
            line[..i].copy_from_slice(&before[parent * width..parent * width + i]);
            if let Some(window) = window.filter(|&window| self.positions[i] as usize >= window) {
                // The parent saw `window` tokens; the first of them is now out of sight.
                let left = (0..window).fold(i, |node, _| self.parents[node]);
                line[left] = f32::NEG_INFINITY;
            }
        }
    }
}

/// Which prompts, with the `widths` tokens below each, share a row.
///
/// Prompts in the order of their tokens; two neighbours share a row if half of the shorter one's tokens begin the longer
/// one, up to `row_tokens` distinct tokens a row. Gives rows of indices.
pub(crate) fn rows(prompts: &[&[u32]], widths: &[usize], row_tokens: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..prompts.len()).collect();
    order.sort_by(|&a, &b| prompts[a].cmp(prompts[b]).then(a.cmp(&b)));
    let mut rows: Vec<Vec<usize>> = Vec::new();
    let mut tokens = 0;
    for (place, &this) in order.iter().enumerate() {
        let own = prompts[this].len() + widths[this];
        let shared = place.checked_sub(1).map_or(0, |before| common(prompts[order[before]], prompts[this]));
        let near = place > 0 && 2 * shared >= prompts[order[place - 1]].len().min(prompts[this].len());
        match rows.last_mut() {
            Some(row) if near && tokens + own - shared <= row_tokens => {
                row.push(this);
                tokens += own - shared;
            }
            _ => {
                rows.push(vec![this]);
                tokens = own;
            }
        }
    }
    rows
}

/// Tokens with which both begin.
fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_token_stands_twice() {
        let mut forest = Forest::default();
        assert_eq!(forest.insert(&[1, 2, 3], &[4, 5]), [0, 1]);
        assert_eq!(forest.insert(&[1, 2, 3], &[6]), [2]);
        // A deeper state of the same tree: the step [6] is now a part of the prompt, and is fed.
        assert_eq!(forest.insert(&[1, 2, 3, 6], &[7, 8, 9]), [3, 4, 5]);
        // The first step once more, in another pair.
        assert_eq!(forest.insert(&[1, 2, 3], &[4, 5]), [0, 1]);
        assert_eq!(forest.ids, [1, 2, 3, 4, 6, 7, 8]);
        assert_eq!(forest.positions, [0, 1, 2, 3, 3, 4, 5]);
        assert_eq!(forest.edges, [(2, 4), (3, 5), (2, 6), (4, 7), (5, 8), (6, 9)]);
        assert!(!forest.is_plain());
    }

    #[test]
    fn a_token_sees_its_ancestors_within_the_window() {
        for window in [None, Some(2)] {
            let mut forest = Forest::default();
            forest.insert(&[1, 2, 3], &[4, 5]);
            forest.insert(&[1, 2, 3, 6], &[7, 8]);
            let width = forest.len() + 1;
            let mut square = vec![f32::NEG_INFINITY; width * width];
            forest.mask(&mut square, width, window);
            for i in 0..forest.len() {
                let mut ancestors = vec![i];
                while forest.parents[*ancestors.last().unwrap()] != NONE {
                    ancestors.push(forest.parents[*ancestors.last().unwrap()]);
                }
                ancestors.truncate(window.unwrap_or(usize::MAX));
                let seen: Vec<usize> = (0..width).filter(|j| square[i * width + j] == 0.0).collect();
                ancestors.sort_unstable();
                assert_eq!(seen, ancestors, "token {i}, window {window:?}");
            }
            assert_eq!(square[width * width - 1], 0.0, "a pad token sees itself");
        }
    }

    #[test]
    fn states_of_a_tree_share_a_row_as_far_as_it_holds_them() {
        let root: Vec<u32> = (0..20).collect();
        let deeper = [&root[..], &[50, 51, 52]].concat();
        let other: Vec<u32> = (100..120).collect();
        let prompts = [&other[..], &deeper, &root, &root];
        let widths = [5; 4];
        assert_eq!(rows(&prompts, &widths, 100), [vec![2, 3, 1], vec![0]]);
        // root and its steps: 25 tokens, and 5 more; the deeper state would add 3 + 5.
        assert_eq!(rows(&prompts, &widths, 32), [vec![2, 3], vec![1], vec![0]]);
    }
}
