//! Parquet files as this crate writes and reads them: compressed, described by metadata, published by rename.

use crate::error::TreeError;
use crate::schema::FORMAT_VERSION_KEY;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use espalier_files::Unpublished;
use espalier_table::{TableError, batches, open_table};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The metadata in which a file of trees or pairs names the policy that sampled them.
pub(crate) const POLICY_HASH_KEY: &str = "espalier.policy_hash";

/// Rows of a row group at most: tens of MiB while one is written, and enough groups for a reader with many threads.
const GROUP_ROWS: usize = 32_768;

/// Rows that are decoded at a time.
const READ_ROWS: usize = 1024;

/// A Parquet file that is being written.
pub(crate) struct RowSink {
    path: PathBuf,
    writer: ArrowWriter<Unpublished>,
}

impl RowSink {
    /// Begins a file with these columns and this metadata; `encodings` may choose other than the default ones.
    pub(crate) fn create(
        path: &Path,
        schema: SchemaRef,
        metadata: &[(&'static str, String)],
        encodings: fn(WriterPropertiesBuilder) -> WriterPropertiesBuilder,
    ) -> Result<RowSink, TreeError> {
        let metadata = metadata.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone())).collect();
        let properties = encodings(
            WriterProperties::builder()
                .set_compression(Compression::ZSTD(ZstdLevel::default()))
                .set_max_row_group_row_count(Some(GROUP_ROWS))
                .set_key_value_metadata(Some(metadata)),
        );
        let file = Unpublished::create(path)?;
        let writer = ArrowWriter::try_new(file, schema, Some(properties.build())).map_err(TreeError::encode(path))?;
        Ok(RowSink { path: path.to_owned(), writer })
    }

    /// The path the file will appear at.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends rows.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), TreeError> {
        self.writer.write(batch).map_err(TreeError::encode(&self.path))
    }

    /// Adds a count to the file's metadata.
    pub(crate) fn describe(&mut self, key: &'static str, count: u64) {
        self.writer.append_key_value_metadata(KeyValue::new(key.to_owned(), count.to_string()));
    }

    /// Completes the file and gives it its name.
    pub(crate) fn publish(self) -> Result<(), TreeError> {
        Ok(self.writer.into_inner().map_err(TreeError::encode(&self.path))?.publish()?)
    }
}

/// A Parquet file whose footer was read.
pub(crate) struct ParquetFile {
    path: PathBuf,
    builder: ParquetRecordBatchReaderBuilder<File>,
}

impl ParquetFile {
    /// Opens a file and reads its footer.
    pub(crate) fn open(path: &Path) -> Result<ParquetFile, TreeError> {
        let builder = open_table(path).map_err(|error| match error {
            TableError::Read(source) => TreeError::read(path)(source),
            TableError::Decode(source) => TreeError::decode(path)(source),
        })?;
        Ok(ParquetFile { path: path.to_owned(), builder })
    }

    /// A value of the file's metadata.
    pub(crate) fn metadata(&self, key: &str) -> Option<&str> {
        let entries = self.builder.metadata().file_metadata().key_value_metadata()?;
        entries.iter().find(|entry| entry.key == key)?.value.as_deref()
    }

    /// Makes sure that the file says it holds this version of a table.
    pub(crate) fn check_version(&self, table: &'static str, expected: u32) -> Result<(), TreeError> {
        match self.metadata(FORMAT_VERSION_KEY) {
            Some(found) if found == expected.to_string() => Ok(()),
            Some(found) => Err(TreeError::Version { path: self.path.clone(), found: found.to_owned(), expected }),
            None => Err(TreeError::Foreign { path: self.path.clone(), table }),
        }
    }

    /// The rows.
    pub(crate) fn batches(self) -> Result<Batches, TreeError> {
        let path = self.path;
        let batches = batches(self.builder.with_batch_size(READ_ROWS)).map_err(TreeError::decode(&path))?;
        Ok(Batches { path, batches })
    }
}

/// The rows of a file, batch by batch.
pub(crate) struct Batches {
    path: PathBuf,
    batches: espalier_table::Batches,
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, TreeError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.batches.next()?.map_err(TreeError::decode(&self.path)))
    }
}

/// Hash of the weights of the policy that sampled what is in a folder of trees or of pairs, or in one file; nothing if a
/// part does not say or they differ.
pub fn policy_hash(path: &Path) -> Result<Option<String>, TreeError> {
    common_metadata(path, POLICY_HASH_KEY)
}

/// What the parts of a folder, or one file, say under this key; nothing if a part does not say or they differ.
pub(crate) fn common_metadata(path: &Path, key: &str) -> Result<Option<String>, TreeError> {
    let mut values = Vec::new();
    for part in parts(path)? {
        values.push(ParquetFile::open(&part)?.metadata(key).map(str::to_owned));
    }
    let first = values.first().cloned().flatten();
    Ok(first.filter(|value| values.iter().all(|other| other.as_ref() == Some(value))))
}

/// The parts of a folder by rising number, or the file itself if `path` is one.
pub(crate) fn parts(path: &Path) -> Result<Vec<PathBuf>, TreeError> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut parts = Vec::new();
    for entry in fs::read_dir(path).map_err(TreeError::read(path))? {
        let entry = entry.map_err(TreeError::read(path))?.path();
        let number = entry.file_name().and_then(|name| name.to_str()).and_then(|name| {
            let digits = name.strip_prefix("part-")?.strip_suffix(".parquet")?;
            digits.parse::<u64>().ok()
        });
        parts.extend(number.map(|number| (number, entry)));
    }
    if parts.is_empty() {
        return Err(TreeError::NoShards { path: path.to_owned() });
    }
    parts.sort();
    Ok(parts.into_iter().map(|(_, path)| path).collect())
}
