//! Decoding with kept keys and values.
//!
//! ```text
//!   group     ┌────────── prefix ──────────┬── suffix, row 0 ──┬ free ┐     one copy of the prefix,
//!             │ segment │ segment │ segment├── suffix, row 1 ──┼ free ┤     K siblings that extend it
//!             └─────────┴─────────┴────────┴── suffix, row 2 ──┴ free ┘
//!   position    0 ..                    P-1  P ..
//! ```
//!
//! One pass ([`Transformer::extend`]) takes the new tokens of many groups. Linear maps see the rows of all groups at once;
//! attention is computed group by group, the prefix being read once for all siblings.

mod extend;
mod group;
#[cfg(test)]
mod tests;

pub use group::{DecodeGroup, KvSegment};
