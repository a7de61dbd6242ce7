//! Finding a model's answer and deciding whether it equals the reference.

mod boxed;
mod equivalent;
mod latex;
mod quantity;
mod rational;
#[cfg(test)]
mod tests;

pub use boxed::boxed;
pub use equivalent::equivalent;
