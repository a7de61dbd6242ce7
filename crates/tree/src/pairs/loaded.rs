//! What a training reads: stored pairs and stored lists, each with the row it came from.

use super::{RankedList, StepPair, read_pairs};
use crate::error::TreeError;
use espalier_files::{input_lines, without_mark};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The examples of a file, N of them, and the rows that are none.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded<E> {
    /// The examples. Length N.
    pub examples: Vec<E>,
    /// Where each came from. Length N.
    pub origins: Vec<Origin>,
    /// The rows that could not be used, rising.
    pub skipped: Vec<UnusedRow>,
}

/// Where an example came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its row in the file, counted from 0; blank lines are no rows.
    pub row: usize,
    /// What examples of one problem, or of one prompt, have in common.
    pub family: String,
}

/// A row that no example was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnusedRow {
    /// The row in the file, counted from 0.
    pub row: usize,
    /// Why, as the end of a sentence about the row.
    pub reason: String,
}

impl<E> Default for Loaded<E> {
    fn default() -> Self {
        Loaded { examples: Vec::new(), origins: Vec::new(), skipped: Vec::new() }
    }
}

impl<E> Loaded<E> {
    /// Adds what was made of `row`: an example, or the reason why there is none.
    pub fn push(&mut self, row: usize, family: impl FnOnce(&E) -> String, made: Result<E, String>) {
        match made {
            Ok(example) => {
                self.origins.push(Origin { row, family: family(&example) });
                self.examples.push(example);
            }
            Err(reason) => self.skipped.push(UnusedRow { row, reason }),
        }
    }

    /// Adds what another file holds; its rows are counted on from those that are here.
    pub fn append(&mut self, other: Loaded<E>) {
        let before = self.examples.len() + self.skipped.len();
        self.examples.extend(other.examples);
        self.origins.extend(other.origins.into_iter().map(|origin| Origin { row: before + origin.row, ..origin }));
        self.skipped.extend(other.skipped.into_iter().map(|row| UnusedRow { row: before + row.row, ..row }));
    }

    /// Every example in another form.
    pub fn map<F>(self, form: impl FnMut(E) -> F) -> Loaded<F> {
        let examples = self.examples.into_iter().map(form).collect();
        Loaded { examples, origins: self.origins, skipped: self.skipped }
    }

    /// Takes out the examples of the families that `goes` names; the others stay in their order.
    pub fn take_families(&mut self, goes: impl Fn(&str) -> bool) -> Vec<E> {
        let all = std::mem::take(&mut self.examples).into_iter().zip(std::mem::take(&mut self.origins));
        let mut taken = Vec::new();
        for (example, origin) in all {
            if goes(&origin.family) {
                taken.push(example);
            } else {
                self.examples.push(example);
                self.origins.push(origin);
            }
        }
        taken
    }
}

/// The pairs of a folder or of a file, as [`read_pairs`] takes them; the pairs of one problem are a family.
pub fn load_pairs(path: &Path) -> Result<Loaded<StepPair>, TreeError> {
    let mut loaded = Loaded::default();
    for (row, pair) in read_pairs(path)?.into_iter().enumerate() {
        loaded.push(row, |pair| pair.problem_id.clone(), Ok(pair));
    }
    Ok(loaded)
}

/// The lists of a file of [`write_ranked_lists`](super::write_ranked_lists); the lists of one problem are a family. An
/// object that is no list, or no ranked one, is skipped.
///
/// # Errors
/// When the file cannot be read, and when a line is no JSON.
pub fn load_ranked_lists(path: &Path) -> Result<Loaded<RankedList>, TreeError> {
    let mut loaded = Loaded::default();
    let lines = input_lines(path).map_err(TreeError::read(path))?;
    let mut row = 0;
    for line in lines {
        let line = line.map_err(TreeError::read(path))?;
        let line = without_mark(&line);
        if line.trim().is_empty() {
            continue;
        }
        let list = match serde_json::from_str::<RankedList>(line) {
            Ok(list) => list.checked().map_err(str::to_owned),
            Err(error) if error.is_data() => Err(error.to_string()),
            Err(error) => {
                return Err(TreeError::Row { path: path.to_owned(), row: row as u64, reason: error.to_string() });
            }
        };
        loaded.push(row, |list| list.problem_id.clone(), list);
        row += 1;
    }
    Ok(loaded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::Kind;

    fn list(problem: &str, q: &[f32]) -> String {
        let list = RankedList {
            problem_id: problem.into(),
            prompt: String::new(),
            prompt_ids: vec![7],
            responses: vec![String::new(); q.len()],
            response_ids: (0..q.len() as u32).map(|id| vec![id]).collect(),
            q: q.to_vec(),
            visits: vec![2; q.len()],
            kind: Kind::Solution,
            depth: 1,
            state_node: 0,
        };
        serde_json::to_string(&list).unwrap()
    }

    fn written(folder: &Path, lines: &[&str]) -> std::path::PathBuf {
        let path = folder.join("lists.jsonl");
        espalier_files::publish_bytes(&path, lines.join("\n").as_bytes()).unwrap();
        path
    }

    #[test]
    fn a_list_keeps_its_row_and_what_is_no_ranked_list_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (good, rising) = (list("p", &[1.0, 1.0, 0.5]), list("q", &[0.0, 1.0]));
        let short = good.replace("\"visits\":[2,2,2]", "\"visits\":[2]");
        let path = written(folder.path(), &[&format!("\u{feff}{rising}"), "", "{\"prompt\":\"Q\"}", &short, &good]);
        let loaded = load_ranked_lists(&path).unwrap();
        assert_eq!(loaded.origins, [Origin { row: 3, family: "p".into() }]);
        assert_eq!(loaded.examples[0].visits, [2, 2, 2]);
        let reasons: Vec<_> = loaded.skipped.iter().map(|skipped| (skipped.row, skipped.reason.as_str())).collect();
        assert_eq!(reasons[0], (0, "its q does not fall"));
        assert!(reasons[1].0 == 1 && reasons[1].1.contains("missing field"), "{reasons:?}");
        assert_eq!(reasons[2], (2, "its response_ids, q and visits are not equally long"));
    }

    #[test]
    fn a_line_that_is_no_json_is_an_error_that_names_its_row() {
        let folder = tempfile::tempdir().unwrap();
        let good = list("p", &[1.0, 0.5]);
        let path = written(folder.path(), &[&good, &good[..20]]);
        let error = load_ranked_lists(&path).unwrap_err();
        assert!(matches!(error, TreeError::Row { row: 1, .. }), "{error}");
    }

    #[test]
    fn rows_are_counted_on_from_file_to_file() {
        let of = |made: [Result<char, String>; 2]| {
            let mut loaded = Loaded::default();
            made.into_iter().enumerate().for_each(|(row, made)| loaded.push(row, char::to_string, made));
            loaded
        };
        let mut all = of([Err("bad".into()), Ok('a')]);
        all.append(of([Ok('b'), Err("worse".into())]));
        assert_eq!(all.examples, ['a', 'b']);
        assert_eq!(all.origins.iter().map(|origin| origin.row).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(all.skipped[1], UnusedRow { row: 3, reason: "worse".into() });
    }

    #[test]
    fn families_go_as_a_whole() {
        let mut loaded = Loaded::default();
        for (row, name) in ["a", "b", "a", "c"].iter().enumerate() {
            loaded.push(row, |_| (*name).to_owned(), Ok(row));
        }
        assert_eq!(loaded.take_families(|family| family == "a"), [0, 2]);
        assert_eq!(loaded.examples, [1, 3]);
        assert_eq!(loaded.origins.iter().map(|origin| origin.row).collect::<Vec<_>>(), [1, 3]);
    }
}
