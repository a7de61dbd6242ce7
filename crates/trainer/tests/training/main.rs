//! Whole training stages on a tiny model.

#![allow(clippy::disallowed_methods, reason = "tests make and break files")]

mod held_out;
mod joint;
mod memory;
mod preference;
mod resume;
mod sft;
mod toy;
mod value;
