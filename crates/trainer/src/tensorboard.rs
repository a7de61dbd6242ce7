//! `TensorBoard` event files, scalars only.
//!
//! A file is a sequence of records `[length u64][masked crc32c of length][bytes][masked crc32c of bytes]`; the bytes are
//! an `Event` in protocol-buffer encoding (tensorflow/core/util/event.proto), of which five fields are needed. Writing
//! them by hand takes less than a protocol-buffer compiler in the build.

use crate::TrainerError;
use crate::error::at;
use espalier_files::remove_file;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// How the names of event files begin, for all readers, and how those of this program end.
const PREFIX: &str = "events.out.tfevents.";
const SUFFIX: &str = ".espalier";

/// Bytes of a record around its content.
const FRAME_BYTES: usize = 16;

/// Appends scalars to a new event file.
#[derive(Debug)]
pub(crate) struct EventWriter {
    file: File,
    path: PathBuf,
}

impl EventWriter {
    /// Starts a new file in `folder` for the steps after the saved one, or for all if none is saved. What earlier files say
    /// about steps that come again is cut off; readers that have it already are told to forget it.
    pub fn create(folder: &Path, saved: Option<u64>) -> Result<EventWriter, TrainerError> {
        fs::create_dir_all(folder).map_err(at(folder))?;
        cut_off(folder, saved)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Readers find the files by the first part of the name and order them by the whole.
        let name = format!("{PREFIX}{:010}.{:09}{SUFFIX}", now.as_secs(), now.subsec_nanos());
        let path = folder.join(name);
        let file = File::create_new(&path).map_err(at(&path))?;
        let mut writer = EventWriter { file, path };
        let mut version = Message::event(0);
        version.bytes(3, b"brain.Event:2");
        writer.record(&version.0)?;
        let mut session = Message::default();
        session.varint(1, 1); // SessionLog.status = START
        let mut start = Message::event(saved.map_or(0, |step| step + 1));
        start.bytes(7, &session.0);
        writer.record(&start.0)?;
        Ok(writer)
    }

    /// Writes the values of one step.
    pub fn scalars<'a>(
        &mut self,
        step: u64,
        values: impl IntoIterator<Item = (&'a str, f64)>,
    ) -> Result<(), TrainerError> {
        let mut summary = Message::default();
        for (tag, value) in values {
            let mut entry = Message::default();
            entry.bytes(1, tag.as_bytes());
            entry.float(2, value as f32);
            summary.bytes(1, &entry.0);
        }
        let mut event = Message::event(step);
        event.bytes(5, &summary.0);
        self.record(&event.0)
    }

    fn record(&mut self, bytes: &[u8]) -> Result<(), TrainerError> {
        let length = (bytes.len() as u64).to_le_bytes();
        let mut record = Vec::with_capacity(bytes.len() + FRAME_BYTES);
        record.extend(length);
        record.extend(masked(crc32c(&length)).to_le_bytes());
        record.extend(bytes);
        record.extend(masked(crc32c(bytes)).to_le_bytes());
        self.file.write_all(&record).map_err(at(&self.path))
    }
}

/// Cuts this program's files in `folder` off behind the step `saved`; files with nothing else go.
fn cut_off(folder: &Path, saved: Option<u64>) -> Result<(), TrainerError> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>).map_err(at(folder))?;
    for path in entries.into_iter().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !(name.starts_with(PREFIX) && name.ends_with(SUFFIX)) {
            continue;
        }
        let Some(saved) = saved else {
            remove_file(&path)?;
            continue;
        };
        let bytes = fs::read(&path).map_err(at(&path))?;
        let (mut end, mut records) = (0, 0);
        while let Some((content, next)) = record_at(&bytes, end)
            && step_of(content).is_some_and(|step| step <= saved)
        {
            (end, records) = (next, records + 1);
        }
        // The first record is the format's version, of step 0.
        if records <= 1 {
            remove_file(&path)?;
        } else if end < bytes.len() {
            let file = fs::OpenOptions::new().write(true).open(&path).map_err(at(&path))?;
            file.set_len(end as u64).map_err(at(&path))?;
        }
    }
    Ok(())
}

/// The content of the whole record that begins at `start`, and where the next one does.
fn record_at(bytes: &[u8], start: usize) -> Option<(&[u8], usize)> {
    let length = u64::from_le_bytes(bytes.get(start..start + 8)?.try_into().ok()?);
    let next = start.checked_add(FRAME_BYTES)?.checked_add(usize::try_from(length).ok()?)?;
    let content = bytes.get(start + 12..next - 4)?;
    let crc = u32::from_le_bytes(bytes.get(next - 4..next)?.try_into().ok()?);
    (crc == masked(crc32c(content))).then_some((content, next))
}

/// The step of an event as [`Message::event`] writes it: after the wall time's tag and 8 bytes, and its own tag.
fn step_of(event: &[u8]) -> Option<u64> {
    let mut step = 0;
    for (index, &byte) in event.get(10..)?.iter().enumerate().take(10) {
        step |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Some(step);
        }
    }
    None
}

/// A protocol-buffer message under construction.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    /// An `Event` with its wall time (field 1) and step (field 2).
    fn event(step: u64) -> Message {
        let wall_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let mut event = Message::default();
        event.0.push(1 << 3 | 1);
        event.0.extend(wall_s.to_le_bytes());
        event.varint(2, step);
        event
    }

    fn varint(&mut self, field: u8, value: u64) {
        self.0.push(field << 3);
        self.raw_varint(value);
    }

    fn float(&mut self, field: u8, value: f32) {
        self.0.push(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u8, value: &[u8]) {
        self.0.push(field << 3 | 2);
        self.raw_varint(value.len() as u64);
        self.0.extend(value);
    }

    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// CRC-32C (Castagnoli), reflected, bit by bit: records are short.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 };
        }
    }
    !crc
}

/// The masking of `TFRecord`s, so that the checksum of data that holds checksums stays sound.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_of_the_standard_test_string() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283); // RFC 3720, appendix B.4 polynomial
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa); // RFC 3720, appendix B.4
    }

    #[test]
    fn a_scalar_is_framed_and_encoded() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = EventWriter::create(folder.path(), Some(0)).unwrap();
        writer.scalars(300, [("loss", 0.5)]).unwrap();
        let bytes = fs::read(&writer.path).unwrap();
        let mut records = Vec::new();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            assert_eq!(rest[8..12], masked(crc32c(&rest[..8])).to_le_bytes());
            let record = &rest[12..12 + length];
            assert_eq!(rest[12 + length..16 + length], masked(crc32c(record)).to_le_bytes());
            records.push(record.to_vec());
            rest = &rest[16 + length..];
        }
        assert_eq!(records.len(), 3);
        assert!(records[0].ends_with(b"\x1a\x0dbrain.Event:2"));
        assert_eq!(records[1][9..], [0x10, 1, 0x3a, 2, 8, 1]);
        // step 300; summary { value { tag: "loss", simple_value: 0.5 } }
        let expected = [&[0x10, 0xac, 0x02, 0x2a, 13, 0x0a, 11, 0x0a, 4][..], b"loss", &[0x15, 0, 0, 0, 0x3f]].concat();
        assert_eq!(records[2][9..], expected);
    }

    #[test]
    fn steps_that_come_again_are_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let events = || {
            let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
            names.sort();
            let files = names.iter().map(|path| fs::read(path).unwrap());
            files
                .map(|bytes| {
                    let (mut steps, mut start) = (Vec::new(), 0);
                    while let Some((content, next)) = record_at(&bytes, start) {
                        steps.push(step_of(content).unwrap());
                        start = next;
                    }
                    assert_eq!(start, bytes.len(), "no half record");
                    steps
                })
                .collect::<Vec<_>>()
        };
        let foreign = folder.path().join("events.out.tfevents.9.other");
        fs::File::create_new(&foreign).unwrap();
        let write = |saved, steps: std::ops::Range<u64>| {
            let mut writer = EventWriter::create(folder.path(), saved).unwrap();
            steps.for_each(|step| writer.scalars(step, [("loss", 0.5)]).unwrap());
            writer
        };
        write(None, 0..4);
        // Each file begins with its version, of step 0, and with the step before which readers forget nothing.
        assert_eq!(events(), [vec![0, 0, 0, 1, 2, 3], vec![]]);
        let mut torn = write(Some(1), 2..300);
        torn.file.write_all(&[9, 0, 0]).unwrap();
        write(Some(200), 201..203);
        let second: Vec<u64> = [0, 2].into_iter().chain(2..201).collect();
        assert_eq!(events(), [vec![0, 0, 0, 1], second, vec![0, 201, 201, 202], vec![]]);
        // A file of later steps alone goes.
        write(Some(1), 2..3);
        assert_eq!(events(), [vec![0, 0, 0, 1], vec![0, 2, 2], vec![]]);
        write(None, 0..1);
        assert_eq!(events(), [vec![0, 0, 0], vec![]]);
        assert!(foreign.exists());
    }
}
