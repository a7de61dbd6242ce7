//! Answers on disk while the others are still being made, so that a kill costs only those under way.

use crate::answer::Answered;
use crate::error::EvalError;
use espalier_files::Journal;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// First bytes of every journal of answers; the digit is the version of the records.
const MAGIC: [u8; 8] = *b"ESPANSW1";

/// Answers with the places of their problems, in the order in which they were made.
pub struct AnswerJournal(Journal);

#[derive(Deserialize)]
struct Found {
    problem: usize,
    answered: Answered,
}

#[derive(Serialize)]
struct Line<'a> {
    problem: usize,
    answered: &'a Answered,
}

impl AnswerJournal {
    /// Continues a journal, or begins it; also what earlier processes answered, by the place of the problem.
    ///
    /// # Errors
    /// A file that cannot be read or written, or holds something else.
    pub fn open(path: &Path, problems: usize) -> Result<(AnswerJournal, Vec<Option<Answered>>), EvalError> {
        let mut answered = vec![None; problems];
        let records = Journal::open(path, MAGIC, |record| {
            let found: Found = serde_json::from_slice(record)
                .map_err(|source| EvalError::Journal { path: path.to_owned(), source })?;
            if let Some(slot) = answered.get_mut(found.problem) {
                *slot = Some(found.answered);
            }
            Ok::<_, EvalError>(())
        })?;
        Ok((AnswerJournal(records), answered))
    }

    /// Adds the answers to the problem of this place.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn append(&mut self, problem: usize, answered: &Answered) -> Result<(), EvalError> {
        let line = serde_json::to_vec(&Line { problem, answered }).map_err(EvalError::Encode)?;
        Ok(self.0.append(|record| record.extend(&line))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Text;
    use std::fs::OpenOptions;
    use std::io::Write;

    #[test]
    fn what_was_answered_is_found_again_to_the_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("eval.journal");
        // A sum of log-probabilities that a parser without exact rounding reads one unit in the last place off.
        let answered = |text: &str| Answered {
            texts: vec![Text {
                text: text.to_owned(),
                tokens: 3,
                logprob_nats: -105.680_538_654_327_4,
                token_ids: vec![5, 9],
                weight: 1.0,
            }],
            skipped: None,
        };
        let (mut journal, found) = AnswerJournal::open(&path, 3).unwrap();
        assert_eq!(found, [None, None, None]);
        journal.append(2, &answered("two\n\u{fffd}")).unwrap();
        journal.append(0, &answered("none")).unwrap();
        drop(journal);
        // A kill in the middle of a record.
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"\x40\0\0\0abcd{\"problem\":1,\"ans").unwrap();
        let (mut journal, found) = AnswerJournal::open(&path, 3).unwrap();
        assert_eq!(found, [Some(answered("none")), None, Some(answered("two\n\u{fffd}"))]);
        journal.append(1, &answered("one")).unwrap();
        drop(journal);
        assert_eq!(AnswerJournal::open(&path, 3).unwrap().1.iter().flatten().count(), 3);
    }
}
