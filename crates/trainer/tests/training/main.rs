//! Whole training stages on a tiny model.

mod preference;
mod resume;
mod sft;
mod toy;
mod value;
