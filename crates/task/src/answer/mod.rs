//! Finding a model's answer and deciding whether it equals the reference.

mod boxed;

pub use boxed::boxed;
