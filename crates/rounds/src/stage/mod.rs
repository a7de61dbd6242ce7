//! One unit of work each: inputs, a resolved configuration, an output that is published whole.

#[cfg(feature = "local")]
pub mod compare;
pub mod eval;
#[cfg(feature = "local")]
pub mod extrapolate;
#[cfg(feature = "local")]
pub mod pair_data;
pub mod pairs;
pub mod policy_folder;
#[cfg(feature = "local")]
pub mod policy_model;
pub mod policy_source;
#[cfg(feature = "local")]
pub mod prefer;
pub mod search;
mod serving;
pub mod shards;
mod shots;
pub mod starts;
pub mod tasks;
#[cfg(feature = "local")]
pub mod train;
pub mod values;
#[cfg(feature = "local")]
pub mod verifier;
