//! The policy over a tiny random model.

mod cache;
mod invariance;
mod reference;
mod text;
mod tiny;
