//! Answers on disk while the others are still being made, so that a kill costs only those under way.

use super::answer::Answered;
use anyhow::{Context, Result};
use espalier_files::Journal as Records;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// First bytes of every journal of answers; the digit is the version of the records.
const MAGIC: [u8; 8] = *b"ESPANSW1";

/// Answers with the places of their problems, in the order in which they were made.
pub(super) struct Journal(Records);

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

impl Journal {
    /// Continues a journal, or begins it; also what earlier processes answered, by the place of the problem.
    pub(super) fn open(path: &Path, problems: usize) -> Result<(Journal, Vec<Option<Answered>>)> {
        let mut answered = vec![None; problems];
        let records = Records::open(path, MAGIC, |record| {
            let found: Found = serde_json::from_slice(record)
                .with_context(|| format!("{} holds no answers; remove it", path.display()))?;
            if let Some(slot) = answered.get_mut(found.problem) {
                *slot = Some(found.answered);
            }
            anyhow::Ok(())
        })?;
        Ok((Journal(records), answered))
    }

    pub(super) fn append(&mut self, problem: usize, answered: &Answered) -> Result<()> {
        let line = serde_json::to_vec(&Line { problem, answered })?;
        Ok(self.0.append(|record| record.extend(&line))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::eval::answer::Text;
    use std::fs::OpenOptions;
    use std::io::Write;

    #[test]
    fn what_was_answered_is_found_again_to_the_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("eval.journal");
        // A sum of log-probabilities that a parser without exact rounding reads one unit in the last place off.
        let answered = |text: &str| Answered {
            texts: vec![Text { text: text.to_owned(), tokens: 3, logprob_nats: -105.680_538_654_327_4, weight: 1.0 }],
            skipped: None,
        };
        let (mut journal, found) = Journal::open(&path, 3).unwrap();
        assert_eq!(found, [None, None, None]);
        journal.append(2, &answered("two\n\u{fffd}")).unwrap();
        journal.append(0, &answered("none")).unwrap();
        drop(journal);
        // A kill in the middle of a record.
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"\x40\0\0\0abcd{\"problem\":1,\"ans").unwrap();
        let (mut journal, found) = Journal::open(&path, 3).unwrap();
        assert_eq!(found, [Some(answered("none")), None, Some(answered("two\n\u{fffd}"))]);
        journal.append(1, &answered("one")).unwrap();
        drop(journal);
        assert_eq!(Journal::open(&path, 3).unwrap().1.iter().flatten().count(), 3);
    }
}
