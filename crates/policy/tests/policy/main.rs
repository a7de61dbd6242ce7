//! The policy over a tiny random model.

#![allow(clippy::disallowed_methods, reason = "tests make and break files")]

mod cache;
mod devices;
mod invariance;
mod promises;
mod reference;
mod served;
mod text;
mod tiny;
mod verifier;
mod wishes;
