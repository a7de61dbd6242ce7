//! What a run or an experiment came to: tables for the terminal, pages for the browser.

pub mod curve;
pub mod experiment;
pub mod html;
pub mod table;
pub mod verifier;
