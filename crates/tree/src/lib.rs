//! What a search tree is and how it is stored.

pub mod arena;

pub use arena::{Ending, Kind, NewNode, Node, NodeId, Tree, TreeInfo};
