//! Tests of shards: round trips through files, identical bytes, and files that are no shards.

use super::*;
use crate::grown::{any_tree, grown};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use std::fs;

fn shard_info() -> ShardInfo {
    ShardInfo {
        config: "name = \"run\"\nseed = 3\n".into(),
        policy_hash: "abc".into(),
        program_version: "0.1.0".into(),
        git_revision: "deadbeef".into(),
        judges: Vec::new(),
    }
}

fn write(folder: &Path, name: &str, trees: &[Tree]) -> PathBuf {
    let path = folder.join(name);
    write_shard(&path, trees, &shard_info()).unwrap();
    path
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn trees_come_back_from_a_shard(trees in prop::collection::vec(any_tree(), 0..4)) {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), "part-00000.parquet", &trees);
        prop_assert_eq!(read_shard(&path).unwrap(), trees);
    }
}

#[test]
fn more_rows_than_a_batch_come_back_in_order() {
    let folder = tempfile::tempdir().unwrap();
    // Over 4096 rows written in several batches and read in batches of 1024, whose borders fall inside trees.
    let trees: Vec<Tree> = (0..60).map(|seed| grown(seed, 100)).collect();
    let nodes: usize = trees.iter().map(Tree::len).sum();
    assert!(nodes > 2 * BATCH_ROWS, "{nodes}");
    let path = write(folder.path(), "part-00000.parquet", &trees);
    assert!(read_trees(folder.path()).unwrap().map(Result::unwrap).eq(trees.iter().cloned()));
    let counts = ShardCounts { trees: 60, nodes: nodes as u64 };
    assert_eq!(read_shard_info(&path).unwrap(), (shard_info(), counts));
}

#[test]
fn the_same_trees_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let trees: Vec<Tree> = (0..20).map(|seed| grown(seed, 50)).collect();
    let first = fs::read(write(folder.path(), "a.parquet", &trees)).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(5));
    let other_thread = std::thread::scope(|scope| {
        scope.spawn(|| fs::read(write(folder.path(), "b.parquet", &trees)).unwrap()).join().unwrap()
    });
    assert!(first == other_thread);
    let other = fs::read(write(folder.path(), "c.parquet", &trees[1..])).unwrap();
    assert!(first != other);
}

#[test]
fn a_shard_says_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "part-00000.parquet", &[grown(1, 10)]);
    let file = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(&path).unwrap()).unwrap();
    assert_eq!(file.schema().fields(), trees_schema(&[]).fields());
    let metadata = file.metadata().file_metadata().key_value_metadata().unwrap();
    let keys: Vec<&str> = metadata.iter().map(|entry| entry.key.as_str()).filter(|key| key.contains('.')).collect();
    assert_eq!(
        keys,
        [
            "espalier.format_version",
            "espalier.config",
            "espalier.policy_hash",
            "espalier.program_version",
            "espalier.git_revision",
            "espalier.trees",
            "espalier.nodes"
        ]
    );
}

#[test]
fn a_shard_appears_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("part-00000.parquet");
    let mut writer = ShardWriter::create(&path, &shard_info()).unwrap();
    writer.append(&grown(1, 10)).unwrap();
    assert!(!path.exists());
    // What is being written is no part of the folder yet.
    assert!(matches!(read_trees(folder.path()), Err(TreeError::NoShards { .. })));
    drop(writer);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn shards_are_read_by_number() {
    let folder = tempfile::tempdir().unwrap();
    let trees: Vec<Tree> = (0..3).map(|seed| grown(seed, 5)).collect();
    for (name, tree) in ["part-100000.parquet", "part-00002.parquet", "part-99999.parquet"].into_iter().zip(&trees) {
        write(folder.path(), name, std::slice::from_ref(tree));
    }
    fs::write(folder.path().join("part-x.parquet"), "no part").unwrap();
    fs::write(folder.path().join("manifest.json"), "{}").unwrap();
    let read: Vec<Tree> = read_trees(folder.path()).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(read, [trees[1].clone(), trees[2].clone(), trees[0].clone()]);
}

#[test]
fn a_shard_cut_short_anywhere_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read(write(folder.path(), "part-00000.parquet", &[grown(1, 3)])).unwrap();
    let path = folder.path().join("part-00001.parquet");
    for len in 0..whole.len() {
        fs::write(&path, &whole[..len]).unwrap();
        let error = read_shard(&path).expect_err("a part of a shard is none");
        assert!(matches!(error, TreeError::Parquet { .. }), "{len}: {error}");
        assert!(error.to_string().contains("part-00001.parquet is cut short"), "{error}");
    }
    // The whole first part is still read before the second is found wanting, and nothing after it.
    let mut reader = read_trees(folder.path()).unwrap();
    assert!(reader.next().unwrap().is_ok());
    assert!(reader.next().unwrap().is_err());
    assert!(reader.next().is_none());
}

#[test]
fn files_that_are_no_shards_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let message = |path: &Path| read_shard(path).unwrap_err().to_string();
    let path = folder.path().join("part-00000.parquet");
    assert!(message(&path).starts_with("cannot read "), "{}", message(&path));

    fs::write(&path, "{\"question\": \"no Parquet at all, but long enough\"}\n").unwrap();
    assert!(message(&path).contains("not Parquet"), "{}", message(&path));

    let sink = |metadata: &[(&'static str, String)]| {
        RowSink::create(&path, trees_schema(&[]), metadata, |properties| properties).unwrap().publish().unwrap();
    };
    sink(&[]);
    assert!(message(&path).ends_with("does not say that it holds trees; give a file that this program wrote"));
    sink(&[(FORMAT_VERSION_KEY, "2".into())]);
    assert!(message(&path).ends_with("has format version 2, but this program reads version 1"));

    // A file is no folder, also for root.
    let error = write_shard(&path.join("part-00000.parquet"), &[], &shard_info()).unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot write {}", path.display())), "{error}");
}

#[cfg(unix)]
#[test]
fn a_published_shard_is_as_open_as_any_other_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain");
    fs::write(&plain, "").unwrap();
    let shard = write(folder.path(), "part-00000.parquet", &[]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&shard), mode(&plain));
}

#[test]
fn a_footer_with_one_wrong_byte_is_an_error_or_a_table_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "part-00000.parquet", &[grown(1, 3)]);
    let bytes = fs::read(&path).unwrap();
    let footer = bytes.len() - 8 - u32::from_le_bytes(bytes[bytes.len() - 8..][..4].try_into().unwrap()) as usize;
    let mut refused = 0;
    for place in (footer..bytes.len() - 8).step_by(3) {
        for value in [0, bytes[place] ^ 1] {
            let mut damaged = bytes.clone();
            damaged[place] = value;
            fs::write(&path, damaged).unwrap();
            refused += usize::from(read_shard(&path).is_err());
        }
    }
    // The library itself panics where a part of a column would begin before the file, or divides by a length of 0.
    assert!(refused > 100, "{refused}");
}
