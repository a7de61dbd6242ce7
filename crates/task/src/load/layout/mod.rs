//! One function a published set: from a row as its publisher has it to a problem.

pub(super) mod bbh;
pub(super) mod choices;
pub(super) mod code;
pub(super) mod words;
