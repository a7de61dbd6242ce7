//! Shards: Parquet files of trees, written once and published by rename.
//!
//! The bytes of a shard depend on its trees and its [`ShardInfo`] only, not on the clock, the machine or the number of
//! threads: the same seed gives the same file.

use crate::arena::Tree;
use crate::error::TreeError;
use crate::parquet_file::{self, ParquetFile, RowSink};
use crate::rows::{Assembler, TreeRows};
use crate::schema::{FORMAT_VERSION_KEY, TREES_FORMAT_VERSION, trees_schema};
use parquet::basic::Encoding;
use parquet::file::properties::WriterPropertiesBuilder;
use parquet::schema::types::ColumnPath;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

/// Rows that are encoded at a time.
const BATCH_ROWS: usize = 4096;

/// Key of the judges' names in a shard's metadata.
const JUDGES_KEY: &str = "espalier.judges";

/// What made the trees of a shard; it becomes the file's metadata, under `espalier.` and the field's name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardInfo {
    /// The resolved configuration, as text. Nothing in it may depend on the clock.
    pub config: String,
    /// Hash of the policy that sampled.
    pub policy_hash: String,
    /// Version of the program.
    pub program_version: String,
    /// Revision of its source.
    pub git_revision: String,
    /// The judges that have columns, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judges: Vec<String>,
}

impl ShardInfo {
    fn entries(&self) -> [(&'static str, &str); 4] {
        [
            ("espalier.config", &self.config),
            ("espalier.policy_hash", &self.policy_hash),
            ("espalier.program_version", &self.program_version),
            ("espalier.git_revision", &self.git_revision),
        ]
    }
}

/// What a shard holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardCounts {
    /// Number of trees.
    pub trees: u64,
    /// Number of nodes, roots included: the number of rows.
    pub nodes: u64,
}

/// Writes trees into a shard that appears when it is [finished](Self::finish), and not before.
pub struct ShardWriter {
    sink: RowSink,
    rows: TreeRows,
    counts: ShardCounts,
}

impl ShardWriter {
    /// Begins the shard at `path`, whose folder must be there.
    pub fn create(path: &Path, info: &ShardInfo) -> Result<ShardWriter, TreeError> {
        let mut metadata = vec![(FORMAT_VERSION_KEY, TREES_FORMAT_VERSION.to_string())];
        metadata.extend(info.entries().map(|(key, value)| (key, value.to_owned())));
        if !info.judges.is_empty() {
            metadata.push((JUDGES_KEY, info.judges.join(",")));
        }
        let sink = RowSink::create(path, trees_schema(&info.judges), &metadata, encodings)?;
        Ok(ShardWriter { sink, rows: TreeRows::new(&info.judges), counts: ShardCounts::default() })
    }

    /// Adds a tree.
    pub fn append(&mut self, tree: &Tree) -> Result<(), TreeError> {
        self.rows.append(tree).map_err(TreeError::encode(self.sink.path()))?;
        self.counts.trees += 1;
        self.counts.nodes += tree.len() as u64;
        if self.rows.rows() >= BATCH_ROWS {
            self.write_batch()?;
        }
        Ok(())
    }

    /// Publishes the shard.
    pub fn finish(mut self) -> Result<ShardCounts, TreeError> {
        self.write_batch()?;
        self.sink.describe("espalier.trees", self.counts.trees);
        self.sink.describe("espalier.nodes", self.counts.nodes);
        self.sink.publish()?;
        Ok(self.counts)
    }

    fn write_batch(&mut self) -> Result<(), TreeError> {
        if self.rows.rows() == 0 {
            return Ok(());
        }
        let batch = self.rows.take().map_err(TreeError::encode(self.sink.path()))?;
        self.sink.write(&batch)
    }
}

/// Dictionaries where values repeat; elsewhere they only cost time.
fn encodings(mut properties: WriterPropertiesBuilder) -> WriterPropertiesBuilder {
    for column in ["text", "value_sum", "prior", "q", "v", "advantage", "value_estimate"] {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(column), false);
    }
    for column in ["node_id", "parent_id"] {
        properties = properties
            .set_column_dictionary_enabled(ColumnPath::from(column), false)
            .set_column_encoding(ColumnPath::from(column), Encoding::DELTA_BINARY_PACKED);
    }
    let logprobs = ColumnPath::new(["logprobs", "list", "element"].map(String::from).to_vec());
    properties
        .set_column_dictionary_enabled(logprobs.clone(), false)
        .set_column_encoding(logprobs, Encoding::BYTE_STREAM_SPLIT)
}

/// Writes a whole shard.
pub fn write_shard(path: &Path, trees: &[Tree], info: &ShardInfo) -> Result<ShardCounts, TreeError> {
    let mut writer = ShardWriter::create(path, info)?;
    for tree in trees {
        writer.append(tree)?;
    }
    writer.finish()
}

/// Reads all trees of one shard, in the order in which they were written.
pub fn read_shard(path: &Path) -> Result<Vec<Tree>, TreeError> {
    TreeReader::new(vec![path.to_owned()]).collect()
}

/// Reads what a shard says about itself, without its rows.
pub fn read_shard_info(path: &Path) -> Result<(ShardInfo, ShardCounts), TreeError> {
    let file = open(path)?;
    let text = |key| file.metadata(key).unwrap_or_default().to_owned();
    let count = |key| file.metadata(key).and_then(|value| value.parse().ok()).unwrap_or_default();
    let info = ShardInfo {
        config: text("espalier.config"),
        policy_hash: text("espalier.policy_hash"),
        program_version: text("espalier.program_version"),
        git_revision: text("espalier.git_revision"),
        judges: file.metadata(JUDGES_KEY).into_iter().flat_map(|names| names.split(',')).map(str::to_owned).collect(),
    };
    Ok((info, ShardCounts { trees: count("espalier.trees"), nodes: count("espalier.nodes") }))
}

/// Reads the trees of a folder of shards (`part-*.parquet`, by rising number), or of a single shard, one after the other.
///
/// Only a batch of rows is in memory at a time. After an error the iterator ends.
pub fn read_trees(path: &Path) -> Result<TreeReader, TreeError> {
    Ok(TreeReader::new(parquet_file::parts(path)?))
}

fn open(path: &Path) -> Result<ParquetFile, TreeError> {
    let file = ParquetFile::open(path)?;
    file.check_version("trees", TREES_FORMAT_VERSION)?;
    Ok(file)
}

/// Trees from shards, as they are asked for; see [`read_trees`].
pub struct TreeReader {
    shards: std::vec::IntoIter<PathBuf>,
    open: Option<OpenShard>,
    ready: VecDeque<Tree>,
}

struct OpenShard {
    path: PathBuf,
    batches: parquet_file::Batches,
    assembler: Assembler,
}

impl TreeReader {
    fn new(shards: Vec<PathBuf>) -> TreeReader {
        TreeReader { shards: shards.into_iter(), open: None, ready: VecDeque::new() }
    }

    /// Reads on until a tree is ready; false at the end of the last shard.
    fn fill(&mut self) -> Result<bool, TreeError> {
        while self.ready.is_empty() {
            let Some(shard) = &mut self.open else {
                let Some(path) = self.shards.next() else { return Ok(false) };
                let batches = open(&path)?.batches()?;
                self.open = Some(OpenShard { path, batches, assembler: Assembler::default() });
                continue;
            };
            if let Some(batch) = shard.batches.next() {
                shard.assembler.add(&batch?, &shard.path, &mut self.ready)?;
            } else {
                self.ready.extend(shard.assembler.finish());
                self.open = None;
            }
        }
        Ok(true)
    }
}

impl Iterator for TreeReader {
    type Item = Result<Tree, TreeError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.fill() {
            Ok(_) => self.ready.pop_front().map(Ok),
            Err(error) => {
                self.shards = Vec::new().into_iter();
                self.open = None;
                Some(Err(error))
            }
        }
    }
}

#[cfg(test)]
mod tests;
