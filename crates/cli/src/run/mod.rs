//! A run: its folder, its configuration, its rounds.

pub mod folder;
pub mod problems;
pub mod report;
pub mod round;
