//! Decoding with kept keys and values.
//!
//! ```text
//!   group     ┌────────── prefix ──────────┬── own, row 0 ──┐       blocks of 16 tokens from one pool;
//!             │ segment │ segment │ segment├── own, row 1 ──┤       the prefix's are its siblings', too
//!             └─────────┴─────────┴────────┴── own, row 2 ──┘
//!   position    0 ..                    P-1  P ..
//! ```
//!
//! One pass ([`Decoder::extend`]) takes the new tokens of many groups: each linear map, and attention in each layer, is one call
//! for all of them. Nothing is copied when a prefix is taken up or a sibling ends: blocks are shared, and return to the
//! pool with their last owner.

mod blocks;
mod decoder;
mod device;
mod group;
mod host;
mod plan;
mod states;
#[cfg(test)]
mod tests;

pub use blocks::{KvSegment, Pool};
pub use decoder::{Decoder, Numerics};
pub use group::DecodeGroup;
pub use states::States;
