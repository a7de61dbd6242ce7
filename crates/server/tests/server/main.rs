//! The policy on servers, over the fake server.

#![allow(clippy::disallowed_methods, reason = "tests prepare folders of foreign files")]

mod inventor;
mod policy;
mod pooling;
mod promises;
mod trees;
