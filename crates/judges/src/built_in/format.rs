//! `format`: a path that ends has an answer.

use super::each;
use crate::scorer::{Asked, Scope, Scorer};

/// Whether an end has an answer at all.
#[derive(Clone, Copy, Debug)]
pub struct Format;

impl Scorer for Format {
    fn scope(&self) -> Scope {
        Scope::Path
    }

    fn score(&self, asked: &[Asked<'_>]) -> Vec<Option<f32>> {
        each(asked, |one| one.is_end.then(|| one.answer.is_some_and(|answer| !answer.trim().is_empty())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{end, math};

    #[test]
    fn an_end_has_an_answer() {
        let problem = math("");
        let asked = [
            end(&problem, "", Some("wrong, but an answer")),
            end(&problem, "", Some(" ")),
            end(&problem, "no box", None),
            Asked { is_end: false, ..end(&problem, "", None) },
        ];
        assert_eq!(Format.score(&asked), [Some(1.0), Some(0.0), Some(0.0), None]);
    }
}
