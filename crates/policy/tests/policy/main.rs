//! The policy over a tiny random model.

mod cache;
mod invariance;
mod promises;
mod reference;
mod served;
mod text;
mod tiny;
