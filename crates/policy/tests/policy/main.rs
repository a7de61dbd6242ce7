//! The policy over a tiny random model.

mod cache;
mod fake_server;
mod invariance;
mod reference;
mod remote;
mod text;
mod tiny;
