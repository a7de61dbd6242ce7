//! Tests of the journal: what comes back after any cut and any damaged byte.

use super::*;
use crate::grown::{any_tree, grown};
use espalier_files::FilesError;
use proptest::prelude::*;
use std::fs;

/// A journal of small trees with the indices 10, 11, ..; its bytes and where each record ends, the magic's end first.
fn journal_of(path: &Path, trees: &[Tree]) -> (Vec<u8>, Vec<usize>) {
    let (mut journal, found) = Journal::open(path).unwrap();
    assert!(found.is_empty());
    let mut ends = vec![MAGIC.len()];
    for (index, tree) in (10..).zip(trees) {
        journal.append(index, tree).unwrap();
        ends.push(fs::metadata(path).unwrap().len() as usize);
    }
    (fs::read(path).unwrap(), ends)
}

fn indexed(trees: &[Tree]) -> Vec<(u64, Tree)> {
    (10..).zip(trees.iter().cloned()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn trees_come_back_from_a_journal(trees in prop::collection::vec((any::<u64>(), any_tree()), 0..4)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.bin");
        let (mut journal, _) = Journal::open(&path).unwrap();
        for (index, tree) in &trees {
            journal.append(*index, tree).unwrap();
        }
        // Not closed: what was appended is there all the same, as after a kill.
        prop_assert_eq!(Journal::open(&path).unwrap().1, trees);
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(tree in any_tree(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = Vec::new();
        codec::encode(&tree, &mut bytes);
        let at = at.index(bytes.len());
        let same = bytes[at] == byte;
        bytes[at] = byte;
        let decoded = codec::decode(&bytes);
        prop_assert!(!same || decoded.is_ok_and(|back| back == tree));
        prop_assert!(codec::decode(&bytes[..at]).is_err());
    }
}

#[test]
fn a_journal_torn_at_any_byte_keeps_every_whole_record_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.bin");
    let trees = [grown(1, 2), grown(2, 1), grown(3, 2)];
    let later = grown(4, 2);
    let (bytes, ends) = journal_of(&path, &trees);
    for cut in 0..=bytes.len() {
        fs::write(&path, &bytes[..cut]).unwrap();
        let whole = ends.iter().skip(1).filter(|&&end| end <= cut).count();
        let (mut journal, found) = Journal::open(&path).unwrap();
        assert_eq!(found, indexed(&trees[..whole]), "cut at {cut}");
        assert_eq!(fs::metadata(&path).unwrap().len() as usize, ends[whole], "cut at {cut}");
        journal.append(99, &later).unwrap();
        drop(journal);
        let mut expected = indexed(&trees[..whole]);
        expected.push((99, later.clone()));
        assert_eq!(Journal::open(&path).unwrap().1, expected, "cut at {cut}");
    }
}

#[test]
fn a_damaged_byte_costs_its_record_and_those_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.bin");
    let trees = [grown(1, 2), grown(2, 1), grown(3, 2)];
    let (bytes, ends) = journal_of(&path, &trees);
    for at in MAGIC.len()..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x40;
        fs::write(&path, &damaged).unwrap();
        let before = ends.iter().skip(1).filter(|&&end| end <= at).count();
        let (_, found) = Journal::open(&path).unwrap();
        assert_eq!(found, indexed(&trees[..before]), "damaged at {at}");
    }
}

#[test]
fn a_tail_of_zeros_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.bin");
    let trees = [grown(1, 2)];
    let (mut bytes, ends) = journal_of(&path, &trees);
    bytes.resize(bytes.len() + 4096, 0);
    fs::write(&path, &bytes).unwrap();
    assert_eq!(Journal::open(&path).unwrap().1, indexed(&trees));
    assert_eq!(fs::metadata(&path).unwrap().len() as usize, ends[1]);
}

#[test]
fn a_file_that_is_no_journal_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.bin");
    for foreign in [&b"PAR1 and more"[..], b"x", b"ESPJRNL9", b"ESPx"] {
        fs::write(&path, foreign).unwrap();
        let error = Journal::open(&path).err().unwrap();
        assert!(matches!(error, TreeError::Files(FilesError::NotAJournal { .. })), "{error}");
        assert!(error.to_string().contains("journal.bin"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), foreign);
    }
}

#[test]
fn a_whole_record_without_a_tree_is_an_error_and_not_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.bin");
    let (mut bytes, _) = journal_of(&path, &[grown(1, 1)]);
    let payload = b"01234567and no tree at all";
    bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
    bytes.extend_from_slice(payload);
    fs::write(&path, &bytes).unwrap();
    let error = Journal::open(&path).err().unwrap();
    assert!(matches!(error, TreeError::Record { record: 1, .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_journal_in_no_folder_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none/journal.bin");
    let error = Journal::open(&path).err().unwrap();
    assert!(error.to_string().starts_with(&format!("cannot write {}", path.display())), "{error}");
}

#[test]
fn a_record_holds_what_judges_said_and_is_as_before_where_they_said_nothing() {
    let mut tree = grown(1, 5);
    let mut plain = Vec::new();
    codec::encode(&tree, &mut plain);
    tree.set_judges(["answer".to_owned(), "equations".to_owned()].into());
    tree.set_scores(crate::NodeId(2), &[0.5, f32::NAN]);
    let mut judged = Vec::new();
    codec::encode(&tree, &mut judged);
    assert_eq!(judged[..plain.len()], plain);
    assert_eq!(codec::decode(&judged).unwrap(), tree);
    for at in plain.len() + 1..judged.len() {
        assert!(codec::decode(&judged[..at]).is_err(), "cut at {at}");
    }
    for at in plain.len()..judged.len() {
        judged[at] ^= 0xff;
        let _ = codec::decode(&judged);
        judged[at] ^= 0xff;
    }
}
