//! Parquet as others write it: pages that are not compressed, in which a changed byte is a changed value.

use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::path::Path;

/// The same table and metadata, with and without dictionaries, not compressed.
///
/// # Panics
/// When the file is no Parquet file: a writer of the project has failed.
pub fn plain(path: &Path) -> [Vec<u8>; 2] {
    [true, false].map(|dictionary| {
        let file = File::open(path).expect("a file that was just written");
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file");
        let metadata = builder.metadata().file_metadata().key_value_metadata().cloned();
        let metadata = metadata.map(|all| all.into_iter().filter(|pair| pair.key != "ARROW:schema").collect());
        let properties = WriterProperties::builder()
            .set_compression(Compression::UNCOMPRESSED)
            .set_dictionary_enabled(dictionary)
            .set_key_value_metadata(metadata)
            .build();
        let schema = builder.schema().clone();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, schema, Some(properties)).expect("a schema that was read");
        for batch in builder.build().expect("a Parquet file") {
            writer.write(&batch.expect("a batch of the file")).expect("a batch that was read");
        }
        writer.close().expect("a table that was read");
        bytes
    })
}
