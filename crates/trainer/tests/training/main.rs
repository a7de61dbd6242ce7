//! Whole training stages on a tiny model.

mod held_out;
mod memory;
mod preference;
mod resume;
mod sft;
mod toy;
mod value;
