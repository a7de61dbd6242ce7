//! Our own server over loopback, with fake policies behind it.

#![allow(clippy::disallowed_methods, reason = "tests prepare folders of foreign files")]

mod chat;
mod completions;
mod gradual;
mod hostile;
mod house;
#[path = "../server/inventor.rs"]
#[expect(dead_code, reason = "the other tests use the rest")]
mod inventor;
mod lifecycle;
mod own_client;
mod searched;
mod streaming;
#[path = "../server/trees.rs"]
mod trees;
mod values;
