//! Published problem sets by name, from files as their publishers lay them out.

use super::layout::{bbh, choices, code, words};
use super::row::Row;
use super::{json, parquet, table};
use crate::error::TaskError;
use crate::problem::Problem;
use crate::sandbox::Sandbox;
use espalier_files::{has_extension, name_inside};
use espalier_settings::choices;
use std::path::{Path, PathBuf};

choices! {
    /// A published problem set.
    pub enum Dataset {
        /// Grade-school word problems (arXiv:2110.14168): JSON Lines, worked answers ending in `#### N`.
        Gsm8k = "gsm8k",
        /// Competition problems (arXiv:2103.03874): a folder of JSON files by subject, or JSON Lines.
        Math = "math",
        /// Word problems of several sources (NAACL 2016, N16-1136): a JSON array with `sQuestion`, or JSON Lines with `input`.
        Mawps = "mawps",
        /// Variations of word problems (arXiv:2103.07191): a JSON array with `Body` and `Question`.
        Svamp = "svamp",
        /// Diverse word problems (ACL 2020, 2020.acl-main.92): XML.
        Asdiv = "asdiv",
        /// Algebra questions with five options (arXiv:1705.04146): JSON Lines.
        Aqua = "aqua",
        /// Science questions with up to five choices (arXiv:1803.05457): JSON Lines.
        ArcChallenge = "arc_c",
        /// Questions of 57 subjects (arXiv:2009.03300): headerless CSV, one file or a folder of them.
        Mmlu = "mmlu",
        /// The 19 subjects of MMLU on science and technology.
        MmluStem = "mmlu_stem",
        /// Graduate-level questions (arXiv:2311.12022): CSV; the order of the choices is drawn from a seed.
        Gpqa = "gpqa",
        /// Tasks that were hard for models (arXiv:2210.09261): a JSON file a task, one file or a folder of them.
        Bbh = "bbh",
        /// Python functions to complete (arXiv:2107.03374): JSON Lines. Needs a sandbox on this machine.
        HumanEval = "humaneval",
    }
}

/// Subjects of MMLU that its authors group as STEM.
const STEM: [&str; 19] = [
    "abstract_algebra",
    "anatomy",
    "astronomy",
    "college_biology",
    "college_chemistry",
    "college_computer_science",
    "college_mathematics",
    "college_physics",
    "computer_security",
    "conceptual_physics",
    "electrical_engineering",
    "elementary_mathematics",
    "high_school_biology",
    "high_school_chemistry",
    "high_school_computer_science",
    "high_school_mathematics",
    "high_school_physics",
    "high_school_statistics",
    "machine_learning",
];

/// Reads at most `limit` problems of a published set, in the order of its files' names and their rows. Nothing is
/// downloaded. `seed` draws the order of choices where the publisher leaves it open (GPQA).
///
/// Choices become part of the question, one line a choice, and the answer is a letter. Ids are the publisher's, else
/// made as [`load_problems`](crate::load_problems) makes them; families are the publisher's categories.
///
/// # Errors
/// Any [`TaskError`] about files, and for HumanEval [`TaskError::Sandbox`] where code cannot be run safely.
pub fn load_dataset(path: &Path, dataset: Dataset, limit: Option<usize>, seed: u64) -> Result<Vec<Problem>, TaskError> {
    if dataset == Dataset::HumanEval {
        Sandbox::open()?;
    }
    let limit = limit.unwrap_or(usize::MAX);
    let mut problems = Vec::new();
    for file in files(path, dataset)? {
        let left = limit - problems.len();
        if left == 0 {
            break;
        }
        problems.extend(load_file(path, &file, dataset, left, seed)?);
    }
    super::checked(path, problems, limit)
}

fn load_file(root: &Path, file: &Path, dataset: Dataset, limit: usize, seed: u64) -> Result<Vec<Problem>, TaskError> {
    let named = name_inside(file);
    let stem = named.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let rows = match dataset {
        _ if has_extension(file, "parquet") => parquet::read_all(file, limit)?,
        Dataset::Asdiv => return words::asdiv(file, limit),
        Dataset::Bbh => bbh::rows(file, limit)?,
        Dataset::Mmlu | Dataset::MmluStem => table::headerless(file, &choices::MMLU_COLUMNS, limit)?,
        Dataset::Gpqa => table::with_header(file, limit)?,
        Dataset::Math if has_extension(&named, "json") => json::read_value(file, limit)?,
        _ => json::read_any(file, limit)?,
    };
    let read = |row: &Row| match dataset {
        Dataset::Gsm8k => words::gsm8k(row, &stem),
        Dataset::Math => words::math(row, &words::math_id(&name_inside(root), &named)),
        Dataset::Mawps => words::mawps(row, &stem),
        Dataset::Svamp => words::svamp(row, &stem),
        Dataset::Aqua => choices::aqua(row, &stem),
        Dataset::ArcChallenge => choices::arc(row, &stem),
        Dataset::Mmlu | Dataset::MmluStem => choices::mmlu(row, &stem),
        Dataset::Gpqa => choices::gpqa(row, &stem, seed),
        Dataset::Bbh => bbh::bbh(row, &stem),
        Dataset::HumanEval => code::humaneval(row),
        Dataset::Asdiv => Err("ASDiv is XML".to_owned()),
    };
    rows.iter()
        .map(|row| read(row).map_err(|reason| TaskError::Row { path: file.to_owned(), place: row.place(), reason }))
        .collect()
}

/// The file, or the files in the folder and the folders in it that the set is made of, by name.
fn files(path: &Path, dataset: Dataset) -> Result<Vec<PathBuf>, TaskError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let extensions: &[&str] = match dataset {
        Dataset::Mmlu | Dataset::MmluStem | Dataset::Gpqa => &["csv"],
        Dataset::Asdiv => &["xml"],
        Dataset::Bbh => &["json"],
        _ => &["jsonl", "json", "parquet"],
    };
    let mut found = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = |source| TaskError::Read { path: folder.clone(), source };
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?.path();
            let named = name_inside(&entry);
            if entry.is_dir() {
                folders.push(entry);
            } else if extensions.iter().any(|extension| has_extension(&named, extension)) {
                found.push(entry);
            }
        }
    }
    if dataset == Dataset::MmluStem {
        let stem = |file: &PathBuf| name_inside(file).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        found.retain(|file| STEM.contains(&choices::subject(&stem(file))));
    }
    found.sort();
    if found.is_empty() {
        return Err(TaskError::Empty { path: path.to_owned() });
    }
    Ok(found)
}
