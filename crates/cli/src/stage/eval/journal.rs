//! Answers on disk while the others are still being made, so that a kill costs only those under way.

use super::answer::Answered;
use anyhow::{Context, Result, bail};
use espalier_files::publish_bytes;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A line with the identity, then one line a problem, in the order in which they were answered.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    found: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    problem: usize,
    answered: Answered,
}

impl Journal {
    /// Continues the journal beside `out`, or begins it.
    ///
    /// # Errors
    /// A journal of other problems, another policy or another configuration.
    pub(super) fn open(out: &Path, identity: &str) -> Result<Journal> {
        let path = out.with_extension("partial.jsonl");
        let shown = path.display().to_string();
        let mut found = Vec::new();
        let mut kept = format!("{identity:?}\n");
        if path.exists() {
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {shown}"))?;
            // The kill may have cut the last line.
            let mut lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            if lines.next().is_some_and(|first| first != kept) {
                bail!("{shown} holds half of another evaluation; choose another --out or remove it");
            }
            for line in lines {
                let read = serde_json::from_str(line).with_context(|| format!("{shown} is damaged; remove it"))?;
                found.push(read);
                kept.push_str(line);
            }
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("cannot create the folder {}", folder.display()))?;
        }
        publish_bytes(&path, kept.as_bytes())?;
        let file = OpenOptions::new().append(true).open(&path).with_context(|| format!("cannot write {shown}"))?;
        Ok(Journal { path, file, found })
    }

    /// What an earlier process answered, by problem.
    pub(super) fn take_found(&mut self, problems: usize) -> Vec<Option<Answered>> {
        let mut answered = vec![None; problems];
        for line in std::mem::take(&mut self.found) {
            if let Some(slot) = answered.get_mut(line.problem) {
                *slot = Some(line.answered);
            }
        }
        answered
    }

    pub(super) fn append(&mut self, problem: usize, answered: &Answered) -> Result<()> {
        let mut line = serde_json::to_vec(&Line { problem, answered: answered.clone() })?;
        line.push(b'\n');
        self.file.write_all(&line).with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// Removes the journal, once all that it holds is published.
    pub(super) fn remove(self) -> Result<()> {
        drop(self.file);
        fs::remove_file(&self.path).with_context(|| format!("cannot remove {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::eval::answer::Text;

    #[test]
    fn what_was_answered_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("deep/eval.json");
        let answered = |text: &str| Answered {
            texts: vec![Text { text: text.to_owned(), tokens: 3, logprob_nats: -0.125, weight: 1.0 }],
            skipped: None,
        };
        let mut journal = Journal::open(&out, "one").unwrap();
        journal.append(2, &answered("two\n")).unwrap();
        journal.append(0, &answered("none")).unwrap();
        let path = journal.path.clone();
        drop(journal);
        // A kill in the middle of a line.
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"problem\":1,\"ans").unwrap();
        let mut journal = Journal::open(&out, "one").unwrap();
        assert_eq!(journal.take_found(3), [Some(answered("none")), None, Some(answered("two\n"))]);
        journal.append(1, &answered("one")).unwrap();
        drop(journal);
        assert!(Journal::open(&out, "other").is_err());
        let mut journal = Journal::open(&out, "one").unwrap();
        assert_eq!(journal.take_found(3).iter().flatten().count(), 3);
        journal.remove().unwrap();
        assert!(!path.exists());
    }
}
