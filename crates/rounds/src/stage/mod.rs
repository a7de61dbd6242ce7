//! One unit of work each: inputs, a resolved configuration, an output that is published whole.

pub mod compare;
pub mod eval;
pub mod extrapolate;
pub mod pair_data;
pub mod pairs;
pub mod policy_folder;
pub mod prefer;
pub mod sampler;
pub mod search;
pub mod shards;
pub mod train;
