//! A run: its folder, its problems, its rounds.

pub mod folder;
mod gate;
mod improve;
pub mod init;
pub mod manifest;
pub mod problems;
pub mod round;
