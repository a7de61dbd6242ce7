//! What a run came to: a table for the terminal, a page for the browser.

pub mod curve;
pub mod html;
pub mod table;
