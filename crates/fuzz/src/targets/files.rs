//! Journals of records.

use super::{Begun, Target};
use crate::scratch::Scratch;
use espalier_files::{FilesError, Journal};

const MAGIC: [u8; 8] = *b"ESPFUZZ1";

pub(super) const TARGETS: [Target; 1] =
    [Target { name: "journal-records", share: 200, words: &["ESPFUZZ1"], begin: records }];

fn records(scratch: Scratch) -> Begun {
    let path = scratch.file("records.journal");
    let open = move |found: &mut Vec<Vec<u8>>| {
        Journal::open(&path, MAGIC, |record| {
            found.push(record.to_vec());
            Ok::<_, FilesError>(())
        })
    };
    let mut journal = open(&mut Vec::new()).expect("a new journal");
    let mut seeds = vec![scratch.take("records.journal")];
    for record in [&b"one"[..], b"", &[7; 300]] {
        journal.append(|bytes| bytes.extend(record)).expect("a record can be written");
        seeds.push(scratch.take("records.journal"));
    }
    Begun::new(seeds, move |input| {
        scratch.put("records.journal", &with_checksums(input));
        let mut found = Vec::new();
        let Ok(mut journal) = open(&mut found) else { return false };
        journal.append(|bytes| bytes.extend(b"next")).expect("a record can be written");
        drop(journal);
        found.push(b"next".to_vec());
        let mut again = Vec::new();
        assert!(open(&mut again).is_ok() && again == found, "what was found and added is found again");
        true
    })
}

/// The journal with right checksums in every other record: a reader that stops at the first wrong one tries nothing else.
pub(super) fn with_checksums(input: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    let mut start = MAGIC.len();
    while let Some(frame) = bytes.get(start..start + 8) {
        let len = u32::from_le_bytes([frame[0], frame[1], frame[2], frame[3]]) as usize;
        let (body, is_mended) = (start + 8, frame[4] % 2 == 0);
        let Some(record) = bytes.get(body..body.saturating_add(len)) else { break };
        let checksum = crc32fast::hash(record).to_le_bytes();
        if is_mended {
            bytes[start + 4..body].copy_from_slice(&checksum);
        }
        start = body + len;
    }
    bytes
}
