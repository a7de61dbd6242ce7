//! The policy over a tiny random model.

#![allow(clippy::disallowed_methods, reason = "tests make and break files")]

mod cache;
mod fake_server;
mod invariance;
mod reference;
mod remote;
mod text;
mod tiny;
