//! A run: its folder, its problems, its rounds.

pub mod folder;
pub mod init;
pub mod problems;
pub mod round;
