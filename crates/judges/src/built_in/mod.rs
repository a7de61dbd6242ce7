//! Judges by rule, in this process.

mod answer;
mod choices;
mod code;
mod compare;
mod countdown;
mod equations;
mod format;
mod refusal;
mod route;

pub use answer::Answer;
pub use choices::Choices;
pub use code::Tests;
pub use compare::{Compare, agreement};
pub use countdown::Countdown;
pub use equations::Equations;
pub use format::Format;
pub use refusal::Refusal;
pub use route::Route;

use crate::scorer::Asked;

/// 1 for yes, 0 for no.
fn verdict(passes: bool) -> f32 {
    f32::from(u8::from(passes))
}

/// Each question by itself.
fn each(asked: &[Asked<'_>], judge: impl Fn(&Asked<'_>) -> Option<bool>) -> Vec<Option<f32>> {
    asked.iter().map(|one| judge(one).map(verdict)).collect()
}
