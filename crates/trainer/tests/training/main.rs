//! Whole training stages on a tiny model.

mod held_out;
mod joint;
mod memory;
mod preference;
mod resume;
mod sft;
mod toy;
mod value;
