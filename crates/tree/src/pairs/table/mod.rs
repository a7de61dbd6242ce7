//! The `pairs` table: Parquet that Hugging Face `datasets` and TRL's `DPOTrainer` read as it is.

use super::StepPair;
use crate::arena::Kind;
use crate::columns::Columns;
use crate::error::TreeError;
use crate::names::Named;
use crate::parquet_file::{self, POLICY_HASH_KEY, ParquetFile, RowSink};
use crate::schema::{FORMAT_VERSION_KEY, PAIRS_FORMAT_VERSION, element, pairs_schema};
use arrow::array::{
    ArrayRef, Float32Array, Float32Builder, ListBuilder, RecordBatch, StringArray, UInt16Array, UInt32Array,
    UInt32Builder,
};
use arrow::datatypes::{DataType, Float32Type, UInt16Type, UInt32Type};
use arrow::error::ArrowError;
use parquet::file::properties::WriterPropertiesBuilder;
use parquet::schema::types::ColumnPath;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

/// The file metadata that holds the rules.
const RULES_KEY: &str = "espalier.rules";

/// Rows that are encoded at a time.
const BATCH_ROWS: usize = 4096;

/// What made the pairs of a file; it becomes the file's metadata, under `espalier.` and the field's name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairInfo {
    /// The [`PairRules`](crate::PairRules), as text.
    pub rules: String,
    /// Version of the program.
    pub program_version: String,
    /// Hash of the weights of the policy that sampled the steps, if all are of one.
    pub policy_hash: Option<String>,
}

/// Writes pairs as one Parquet file, which appears when it is whole.
pub fn write_pairs(path: &Path, pairs: &[StepPair], info: &PairInfo) -> Result<(), TreeError> {
    let mut metadata = vec![
        (FORMAT_VERSION_KEY, PAIRS_FORMAT_VERSION.to_string()),
        (RULES_KEY, info.rules.clone()),
        ("espalier.program_version", info.program_version.clone()),
        ("espalier.pairs", pairs.len().to_string()),
    ];
    metadata.extend(info.policy_hash.clone().map(|hash| (POLICY_HASH_KEY, hash)));
    let mut sink = RowSink::create(path, pairs_schema(), &metadata, encodings)?;
    for pairs in pairs.chunks(BATCH_ROWS) {
        sink.write(&batch_of(pairs).map_err(TreeError::encode(path))?)?;
    }
    sink.publish()
}

/// Reads the pairs of a folder (`part-*.parquet`, by rising number), or of a single file.
///
/// Only the columns must be right: pairs that another program filtered or weighted are welcome.
pub fn read_pairs(path: &Path) -> Result<Vec<StepPair>, TreeError> {
    let mut pairs = Vec::new();
    for path in parquet_file::parts(path)? {
        let file = ParquetFile::open(&path)?;
        if file.metadata(FORMAT_VERSION_KEY).is_some() {
            file.check_version("pairs", PAIRS_FORMAT_VERSION)?;
        }
        let mut first_row = 0;
        for batch in file.batches()? {
            let batch = batch?;
            read_batch(&batch, &path, first_row, &mut pairs)?;
            first_row += batch.num_rows() as u64;
        }
    }
    Ok(pairs)
}

/// The rules that selected the pairs of a folder, or of a single file, as [`PairInfo::rules`] has them; nothing if a part does
/// not say or they differ.
pub fn pair_rules(path: &Path) -> Result<Option<String>, TreeError> {
    parquet_file::common_metadata(path, RULES_KEY)
}

/// Log-probabilities repeat too rarely for a dictionary; texts and tokens of a state do not.
fn encodings(mut properties: WriterPropertiesBuilder) -> WriterPropertiesBuilder {
    for column in ["chosen_logprobs", "rejected_logprobs"] {
        let path = ColumnPath::new([column, "list", "element"].map(String::from).to_vec());
        properties = properties.set_column_dictionary_enabled(path, false);
    }
    properties
}

fn batch_of(pairs: &[StepPair]) -> Result<RecordBatch, ArrowError> {
    let texts =
        |field: fn(&StepPair) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(pairs.iter().map(field))) };
    let words =
        |field: fn(&StepPair) -> u32| -> ArrayRef { Arc::new(UInt32Array::from_iter_values(pairs.iter().map(field))) };
    let floats =
        |field: fn(&StepPair) -> f32| -> ArrayRef { Arc::new(Float32Array::from_iter_values(pairs.iter().map(field))) };
    let id_lists = |field: fn(&StepPair) -> &[u32]| -> ArrayRef {
        let mut lists = ListBuilder::new(UInt32Builder::new()).with_field(element(DataType::UInt32));
        for pair in pairs {
            lists.values().append_slice(field(pair));
            lists.append(true);
        }
        Arc::new(lists.finish())
    };
    let logprob_lists = |field: fn(&StepPair) -> &[f32]| -> ArrayRef {
        let mut lists = ListBuilder::new(Float32Builder::new()).with_field(element(DataType::Float32));
        for pair in pairs {
            lists.values().append_slice(field(pair));
            lists.append(true);
        }
        Arc::new(lists.finish())
    };
    let columns = vec![
        texts(|pair| &pair.prompt),
        texts(|pair| &pair.chosen),
        texts(|pair| &pair.rejected),
        id_lists(|pair| &pair.prompt_ids),
        id_lists(|pair| &pair.chosen_ids),
        id_lists(|pair| &pair.rejected_ids),
        logprob_lists(|pair| &pair.chosen_logprobs),
        logprob_lists(|pair| &pair.rejected_logprobs),
        floats(|pair| pair.q_chosen),
        floats(|pair| pair.q_rejected),
        floats(|pair| pair.advantage_chosen),
        floats(|pair| pair.advantage_rejected),
        words(|pair| pair.visits_chosen),
        words(|pair| pair.visits_rejected),
        floats(|pair| pair.weight),
        Kind::column(pairs.iter().map(|pair| pair.kind.code()).collect())?,
        Arc::new(UInt16Array::from_iter_values(pairs.iter().map(|pair| pair.depth))),
        texts(|pair| &pair.problem_id),
        words(|pair| pair.round),
        words(|pair| pair.state_node),
        words(|pair| pair.chosen_node),
        words(|pair| pair.rejected_node),
    ];
    RecordBatch::try_new(pairs_schema(), columns)
}

fn read_batch(batch: &RecordBatch, path: &Path, first_row: u64, pairs: &mut Vec<StepPair>) -> Result<(), TreeError> {
    let columns = Columns { batch, path };
    let [prompt, chosen, rejected] =
        [columns.strings("prompt")?, columns.strings("chosen")?, columns.strings("rejected")?];
    let prompt_ids = columns.lists::<UInt32Type>("prompt_ids")?;
    let chosen_ids = columns.lists::<UInt32Type>("chosen_ids")?;
    let rejected_ids = columns.lists::<UInt32Type>("rejected_ids")?;
    let chosen_logprobs = columns.lists::<Float32Type>("chosen_logprobs")?;
    let rejected_logprobs = columns.lists::<Float32Type>("rejected_logprobs")?;
    let q_chosen = columns.numbers::<Float32Type>("q_chosen")?;
    let q_rejected = columns.numbers::<Float32Type>("q_rejected")?;
    let advantage_chosen = columns.numbers::<Float32Type>("advantage_chosen")?;
    let advantage_rejected = columns.numbers::<Float32Type>("advantage_rejected")?;
    let visits_chosen = columns.numbers::<UInt32Type>("visits_chosen")?;
    let visits_rejected = columns.numbers::<UInt32Type>("visits_rejected")?;
    let weight = columns.numbers::<Float32Type>("weight")?;
    let kind = columns.strings("kind")?;
    let depth = columns.numbers::<UInt16Type>("depth")?;
    let problem_id = columns.strings("problem_id")?;
    let round = columns.numbers::<UInt32Type>("round")?;
    let state_node = columns.numbers::<UInt32Type>("state_node")?;
    let chosen_node = columns.numbers::<UInt32Type>("chosen_node")?;
    let rejected_node = columns.numbers::<UInt32Type>("rejected_node")?;
    for row in 0..batch.num_rows() {
        let wrong = |reason: String| TreeError::Row { path: path.to_owned(), row: first_row + row as u64, reason };
        let pair = StepPair {
            prompt: prompt.value(row).to_owned(),
            chosen: chosen.value(row).to_owned(),
            rejected: rejected.value(row).to_owned(),
            prompt_ids: prompt_ids.get(row).to_vec(),
            chosen_ids: chosen_ids.get(row).to_vec(),
            rejected_ids: rejected_ids.get(row).to_vec(),
            chosen_logprobs: chosen_logprobs.get(row).to_vec(),
            rejected_logprobs: rejected_logprobs.get(row).to_vec(),
            q_chosen: q_chosen[row],
            q_rejected: q_rejected[row],
            advantage_chosen: advantage_chosen[row],
            advantage_rejected: advantage_rejected[row],
            visits_chosen: visits_chosen[row],
            visits_rejected: visits_rejected[row],
            weight: weight[row],
            kind: Kind::from_name(kind.value(row))
                .filter(|kind| *kind != Kind::Root)
                .ok_or_else(|| wrong(format!("{:?} is no kind of a step", kind.value(row))))?,
            depth: depth[row],
            problem_id: problem_id.value(row).to_owned(),
            round: round[row],
            state_node: state_node[row],
            chosen_node: chosen_node[row],
            rejected_node: rejected_node[row],
        };
        if pair.chosen_ids.len() != pair.chosen_logprobs.len()
            || pair.rejected_ids.len() != pair.rejected_logprobs.len()
        {
            return Err(wrong("tokens and log-probabilities differ in number".to_owned()));
        }
        pairs.push(pair);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
