//! Keys and values of all that was read, by its tokens: a tree of prefixes for all searched trees together.
//!
//! ```text
//!   ids   [ few-shot head ........ ][ question 1 ][ step 1 .. ][ step 2 .. ]
//!                                   │             └[ step 1' . ]
//!                                   └[ question 2 ][ step 1 .. ]
//! ```
//!
//! A node holds what its tokens add to those above it, so that whatever begins alike is there once, in whichever trees it
//! stands. What is dropped is computed again, with the same bits in the invariant numerics.

use espalier_model::{KvSegment, States};
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};

/// The longest part of a prefix that is kept.
#[derive(Default)]
pub(crate) struct Cached {
    /// Its keys and values in order.
    pub segments: Vec<KvSegment>,
    /// Tokens in `segments`.
    pub tokens: usize,
    /// The model's output `[1, H]` at the last token, if the whole prefix is there.
    pub state: Option<States>,
    /// The node that the last of them are in.
    pub node: Option<NodeId>,
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

/// A node's name; never given again.
pub(crate) type NodeId = u64;

struct Node {
    parent: Option<NodeId>,
    /// What it adds, at least one token but for the root.
    ids: Vec<u32>,
    segment: KvSegment,
    /// The model's output at the last token.
    state: Option<States>,
    /// By their first token.
    children: HashMap<u32, NodeId>,
    /// Searched trees that have used it and live.
    trees: HashSet<u64>,
    last_used: u64,
    /// Running requests that hold its memory, so that nothing would be gained by dropping it.
    pins: u32,
}

impl Node {
    fn is_loose(&self) -> bool {
        self.children.is_empty() && self.pins == 0
    }
}

const ROOT: NodeId = 0;

/// The order in which nodes go: the longest unused first, of equally old ones the newest, which is the deepest.
type Age = (u64, Reverse<NodeId>);

/// What is kept for all trees.
pub(crate) struct PrefixCache {
    nodes: HashMap<NodeId, Node>,
    /// Nodes without children and pins but the root: what may go.
    leaves: BTreeSet<Age>,
    /// The nodes of each searched tree.
    of_tree: HashMap<u64, HashSet<NodeId>>,
    next: NodeId,
    clock: u64,
    evictions: u64,
}

impl PrefixCache {
    /// With nothing in it.
    pub fn new() -> PrefixCache {
        let root = Node {
            parent: None,
            ids: Vec::new(),
            segment: KvSegment::default(),
            state: None,
            children: HashMap::new(),
            trees: HashSet::new(),
            last_used: 0,
            pins: 0,
        };
        PrefixCache {
            nodes: HashMap::from([(ROOT, root)]),
            leaves: BTreeSet::new(),
            of_tree: HashMap::new(),
            next: ROOT + 1,
            clock: 0,
            evictions: 0,
        }
    }

    /// What is there of the prefix `ids`, for a request of `tree`.
    pub fn find(&mut self, tree: u64, ids: &[u32]) -> Cached {
        self.clock += 1;
        let mut found = Cached::default();
        for (id, taken) in self.path(ids) {
            self.touch(id, tree);
            let node = &self.nodes[&id];
            found.segments.push(node.segment.narrow(0..taken));
            found.tokens += taken;
            found.node = Some(id);
            if taken == node.ids.len() && found.tokens == ids.len() {
                found.state = node.state.as_ref().map(|state| state.narrow(0..1));
            }
        }
        found
    }

    /// Tokens of the prefix `ids` that are there.
    pub fn known(&self, ids: &[u32]) -> usize {
        self.path(ids).iter().map(|&(_, taken)| taken).sum()
    }

    /// Keeps the keys and values of the last `segment.len()` tokens of `ids`, and the model's output at the last of them, for a
    /// request of `tree`. What stands before them has to be there, else nothing is kept. The node that the last of them is in.
    pub fn keep(&mut self, tree: u64, ids: &[u32], segment: &KvSegment, state: Option<States>) -> Option<NodeId> {
        let start = ids.len() - segment.len();
        let path = self.path(ids);
        let known: usize = path.iter().map(|&(_, taken)| taken).sum();
        if known < start {
            return None;
        }
        let mut at = ROOT;
        for (id, taken) in path {
            at = if taken < self.nodes[&id].ids.len() { self.split(id, taken) } else { id };
            self.touch(at, tree);
        }
        if known < ids.len() {
            at = self.add(at, ids[known..].to_vec(), segment.narrow(known - start..segment.len()));
            self.touch(at, tree);
        }
        let node = self.nodes.get_mut(&at).filter(|_| at != ROOT)?;
        node.state = state.or(node.state.take());
        Some(at)
    }

    /// Says that a running request holds the memory of a node, and so that of those above it.
    pub fn pin(&mut self, id: NodeId) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.pins += 1;
            self.leaves.remove(&(node.last_used, Reverse(id)));
        }
    }

    /// Takes back a [`pin`](Self::pin).
    pub fn unpin(&mut self, id: NodeId) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.pins -= 1;
            if node.is_loose() {
                self.leaves.insert((node.last_used, Reverse(id)));
            }
        }
    }

    /// Drops what was used longest ago and is no part of anything else. False if there is nothing left.
    pub fn evict(&mut self) -> bool {
        let Some(&(_, Reverse(id))) = self.leaves.first() else { return false };
        self.remove(id);
        self.evictions += 1;
        true
    }

    /// Drops what only this tree has used.
    pub fn forget(&mut self, tree: u64) {
        let Some(nodes) = self.of_tree.remove(&tree) else { return };
        for &id in &nodes {
            if let Some(node) = self.nodes.get_mut(&id) {
                node.trees.remove(&tree);
            }
        }
        for id in nodes {
            let mut at = Some(id);
            while let Some(id) = at.filter(|&id| id != ROOT)
                && let Some(node) = self.nodes.get(&id)
                && node.trees.is_empty()
                && node.is_loose()
            {
                at = node.parent;
                self.remove(id);
            }
        }
    }

    /// Nodes dropped for want of memory.
    pub fn evictions(&self) -> u64 {
        self.evictions
    }

    /// The nodes along `ids`, the root aside, and how many of their tokens are among them: all but for the last.
    fn path(&self, ids: &[u32]) -> Vec<(NodeId, usize)> {
        let (mut at, mut rest, mut path) = (ROOT, ids, Vec::new());
        while let Some(first) = rest.first()
            && let Some(&id) = self.nodes[&at].children.get(first)
        {
            let own = &self.nodes[&id].ids;
            let taken = own.iter().zip(rest).take_while(|(own, id)| own == id).count();
            path.push((id, taken));
            if taken < own.len() {
                break;
            }
            (at, rest) = (id, &rest[taken..]);
        }
        path
    }

    fn touch(&mut self, id: NodeId, tree: u64) {
        let Some(node) = self.nodes.get_mut(&id).filter(|_| id != ROOT) else { return };
        if node.is_loose() {
            self.leaves.remove(&(node.last_used, Reverse(id)));
            self.leaves.insert((self.clock, Reverse(id)));
        }
        node.last_used = self.clock;
        if node.trees.insert(tree) {
            self.of_tree.entry(tree).or_default().insert(id);
        }
    }

    fn add(&mut self, parent: NodeId, ids: Vec<u32>, segment: KvSegment) -> NodeId {
        let id = self.next;
        self.next += 1;
        if let Some(above) = self.nodes.get_mut(&parent) {
            self.leaves.remove(&(above.last_used, Reverse(parent)));
            above.children.insert(ids[0], id);
        }
        let (children, trees) = (HashMap::new(), HashSet::new());
        let node =
            Node { parent: Some(parent), ids, segment, state: None, children, trees, last_used: self.clock, pins: 0 };
        self.nodes.insert(id, node);
        self.leaves.insert((self.clock, Reverse(id)));
        id
    }

    /// Cuts a node after its first `tokens` tokens; the node that has them, which is a new one above it.
    fn split(&mut self, id: NodeId, tokens: usize) -> NodeId {
        let upper = self.next;
        self.next += 1;
        let Some(node) = self.nodes.get_mut(&id) else { return id };
        let rest = node.ids.split_off(tokens);
        let ids = std::mem::replace(&mut node.ids, rest);
        let segment = node.segment.narrow(0..tokens);
        node.segment = node.segment.narrow(tokens..node.segment.len());
        let parent = node.parent.replace(upper);
        let (first, trees, last_used) = (ids[0], node.trees.clone(), node.last_used);
        let children = HashMap::from([(node.ids[0], id)]);
        for tree in &trees {
            self.of_tree.entry(*tree).or_default().insert(upper);
        }
        self.nodes.insert(upper, Node { parent, ids, segment, state: None, children, trees, last_used, pins: 0 });
        if let Some(above) = parent.and_then(|parent| self.nodes.get_mut(&parent)) {
            above.children.insert(first, upper);
        }
        upper
    }

    /// Removes a node without children.
    fn remove(&mut self, id: NodeId) {
        let Some(node) = self.nodes.remove(&id) else { return };
        self.leaves.remove(&(node.last_used, Reverse(id)));
        for tree in &node.trees {
            if let Some(nodes) = self.of_tree.get_mut(tree) {
                nodes.remove(&id);
            }
        }
        let Some(parent) = node.parent else { return };
        if let Some(above) = self.nodes.get_mut(&parent) {
            above.children.remove(&node.ids[0]);
            if above.is_loose() && parent != ROOT {
                self.leaves.insert((above.last_used, Reverse(parent)));
            }
        }
    }
}
