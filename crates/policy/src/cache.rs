//! Keys and values of the prefixes of every living tree, by node.
//!
//! An entry belongs to one state and holds what its last step added: the keys and values from the end of the entry
//! before it up to the state's end. So siblings share all that lies above them, and a new child costs one token.
//!
//! ```text
//!  ids   [ prompt ............ ][ step 1 ...... ][ step 2 .. ]
//!  entry   of ids[..e0]           of ids[..e1]     of ids[..e2]: one token short, the last sampled token was never
//!                                                               fed to the model; the child's own request adds it
//! ```

use espalier_model::KvSegment;
use std::cmp::Reverse;
use std::collections::HashMap;
use tch::Tensor;

/// The longest part of a prefix that is cached.
#[derive(Default)]
pub(crate) struct Cached {
    /// Its keys and values in order.
    pub segments: Vec<KvSegment>,
    /// Tokens in `segments`.
    pub tokens: usize,
    /// The model's output `[1, H]` at the last token, if the whole prefix is there.
    pub hidden: Option<Tensor>,
}

impl Cached {
    /// Leaves at most the first `tokens` tokens.
    pub fn truncate(&mut self, tokens: usize) {
        while self.tokens > tokens
            && let Some(last) = self.segments.pop()
        {
            let start = self.tokens - last.len();
            if start < tokens {
                self.segments.push(last.narrow(0..tokens - start));
            }
            self.tokens = start.max(tokens);
        }
    }
}

/// What is kept for one state.
struct Entry {
    /// Place of the first token of `segments` in the prefix.
    start: usize,
    /// Place after the last one: the state's end, or one before it.
    end: usize,
    segments: Vec<KvSegment>,
    hidden: Option<Tensor>,
    bytes: usize,
    /// The tree's request that used it last.
    last_used: u64,
}

/// The states of one tree, keyed by all their token ids: no two states can be mistaken for each other.
#[derive(Default)]
struct TreeCache {
    entries: HashMap<Box<[u32]>, Entry>,
    bytes: usize,
    /// Its request that began last, counted over all trees.
    request: u64,
}

/// The caches of all trees. What is kept of a tree depends on this tree's requests alone, as long as all trees together
/// are within their budget.
pub(crate) struct PrefixCache {
    trees: HashMap<u64, TreeCache>,
    tree_bytes: usize,
    all_bytes: usize,
    bytes: usize,
    requests: u64,
    evictions: u64,
}

impl PrefixCache {
    /// A cache that keeps at most `tree_bytes` for each tree and `all_bytes` for all of them.
    pub fn new(tree_bytes: usize, all_bytes: usize) -> PrefixCache {
        PrefixCache { trees: HashMap::new(), tree_bytes, all_bytes, bytes: 0, requests: 0, evictions: 0 }
    }

    /// What is there of the prefix `ids`, whose steps end at `ends`. Begins a request of the tree: all that is touched or
    /// added before the next one begins is equally old.
    pub fn begin(&mut self, tree: u64, ids: &[u32], ends: &[u32]) -> Cached {
        let tree = self.trees.entry(tree).or_default();
        self.requests += 1;
        tree.request = self.requests;
        let mut found = Cached::default();
        for &end in ends {
            let Some(entry) = tree.entries.get_mut(&ids[..end as usize]) else { continue };
            if entry.start != found.tokens || entry.end == entry.start {
                continue;
            }
            entry.last_used = tree.request;
            found.segments.extend(entry.segments.iter().map(KvSegment::shallow_clone));
            found.tokens = entry.end;
            found.hidden = entry.hidden.as_ref().filter(|_| entry.end == ids.len()).map(Tensor::shallow_clone);
        }
        found
    }

    /// Keeps the keys and values of the tokens from place `start` on of the state `ids`, and the model's output at its
    /// last token if that is among them. Goes on with the state's entry where it has one that ends at `start`.
    pub fn keep(&mut self, tree: u64, ids: &[u32], start: usize, segment: KvSegment, hidden: Option<Tensor>) {
        let Some(tree) = self.trees.get_mut(&tree) else { return };
        let before = tree.bytes;
        let end = start + segment.len();
        let hidden_bytes = |hidden: &Option<Tensor>| hidden.as_ref().map_or(0, |hidden| 4 * hidden.numel());
        if let Some(entry) = tree.entries.get_mut(ids) {
            entry.last_used = tree.request;
            let mut added = 0;
            if entry.end == start && end > start {
                added += segment.bytes();
                entry.end = end;
                entry.segments.push(segment);
            }
            if entry.end == ids.len() && entry.hidden.is_none() {
                added += hidden_bytes(&hidden);
                entry.hidden = hidden;
            }
            entry.bytes += added;
            tree.bytes += added;
        } else if end > start {
            let bytes = segment.bytes() + hidden_bytes(&hidden) + size_of_val(ids);
            let entry = Entry { start, end, segments: vec![segment], hidden, bytes, last_used: tree.request };
            tree.entries.insert(ids.into(), entry);
            tree.bytes += bytes;
        }
        while tree.bytes > self.tree_bytes && tree.evict() {
            self.evictions += 1;
        }
        self.bytes = self.bytes - before + tree.bytes;
        while self.bytes > self.all_bytes {
            let with_age = self.trees.values_mut().filter_map(|tree| Some((tree.oldest()?, tree)));
            let Some((_, tree)) = with_age.min_by_key(|&(age, _)| age) else { break };
            let before = tree.bytes;
            tree.evict();
            self.bytes -= before - tree.bytes;
            self.evictions += 1;
        }
    }

    /// Drops a tree.
    pub fn forget(&mut self, tree: u64) {
        if let Some(tree) = self.trees.remove(&tree) {
            self.bytes -= tree.bytes;
        }
    }

    /// Entries dropped to keep within the budgets.
    pub fn evictions(&self) -> u64 {
        self.evictions
    }

    /// Bytes held for all trees.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl TreeCache {
    /// When the entry was used that was used longest ago.
    fn oldest(&self) -> Option<u64> {
        self.entries.values().map(|entry| entry.last_used).min()
    }

    /// Drops the least recently used entry; of equally old ones the deepest, so that no entry outlives what it continues.
    /// False if there is none.
    fn evict(&mut self) -> bool {
        let oldest = self.entries.iter().min_by_key(|(ids, entry)| (entry.last_used, Reverse((entry.start, *ids))));
        let Some(ids) = oldest.map(|(ids, _)| ids.clone()) else { return false };
        if let Some(entry) = self.entries.remove(&ids) {
            self.bytes -= entry.bytes;
        }
        true
    }
}
