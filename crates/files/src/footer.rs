//! Parquet of strangers: footers that would keep their reader busy for ever.

use crate::input::open_input;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

/// The footer's length and the mark at the end of a file.
const END_BYTES: u64 = 8;
const MARK: &[u8; 4] = b"PAR1";
/// Structures in structures; a Parquet footer has six.
const MAX_DEPTH: u32 = 64;
/// All lists of a footer together hold at most so many items for each of its bytes: an item of any list takes a byte, and
/// stands in lists in lists.
const ITEMS_PER_BYTE: u64 = 8;

/// Opens a Parquet file to read, if its footer claims no more than it can hold: the library counts the items of a list of
/// booleans one by one, of which none takes a byte, so that some hundred bytes hold it up for hours.
///
/// # Errors
/// As [`open_input`], and [`ErrorKind::InvalidData`] for such a footer. What is no Parquet file is left to its reader.
pub fn open_parquet(path: &Path) -> io::Result<File> {
    let mut file = open_input(path)?;
    let len = file.metadata()?.len();
    let mut end = [0; END_BYTES as usize];
    if len < END_BYTES {
        return Ok(file);
    }
    file.seek(SeekFrom::Start(len - END_BYTES))?;
    file.read_exact(&mut end)?;
    let [a, b, c, d, mark @ ..] = end;
    let footer_len = u64::from(u32::from_le_bytes([a, b, c, d]));
    if mark == *MARK && footer_len + END_BYTES <= len {
        let mut footer = vec![0; footer_len as usize];
        file.seek(SeekFrom::Start(len - END_BYTES - footer_len))?;
        file.read_exact(&mut footer)?;
        check(&footer)?;
    }
    file.rewind()?;
    Ok(file)
}

fn check(footer: &[u8]) -> io::Result<()> {
    let mut walk = Walk { rest: footer, items: ITEMS_PER_BYTE * footer.len() as u64 };
    match walk.skip(STRUCT, MAX_DEPTH) {
        Err(Stop::Items(items)) => {
            let problem = format!("its footer of {} bytes claims a list of {items} items", footer.len());
            Err(io::Error::new(ErrorKind::InvalidData, problem))
        }
        // What is wrong with it otherwise is for the reader to say.
        Ok(()) | Err(Stop::Malformed) => Ok(()),
    }
}

// The types of Thrift's compact protocol that are not whole numbers.
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
const STRUCT: u8 = 12;
const UUID: u8 = 13;

enum Stop {
    Malformed,
    Items(u64),
}

/// A walk over Thrift's compact protocol, as the library reads it.
struct Walk<'a> {
    rest: &'a [u8],
    /// Items that all lists may still have.
    items: u64,
}

impl Walk<'_> {
    fn skip(&mut self, kind: u8, depth: u32) -> Result<(), Stop> {
        let depth = depth.checked_sub(1).ok_or(Stop::Malformed)?;
        match kind {
            TRUE | FALSE => Ok(()),
            BYTE => self.byte().map(drop),
            4..=6 => self.number().map(drop),
            DOUBLE => self.bytes(8),
            UUID => self.bytes(16),
            BINARY => {
                let len = self.number()?;
                self.bytes(len)
            }
            LIST | SET => {
                let head = self.byte()?;
                let items = if head >> 4 == 15 { self.number()? } else { u64::from(head >> 4) };
                self.take(items)?;
                (0..items).try_for_each(|_| self.skip(head & 15, depth))
            }
            MAP => {
                let items = self.number()?;
                self.take(items)?;
                let kinds = if items > 0 { self.byte()? } else { 0 };
                (0..items).try_for_each(|_| {
                    self.skip(kinds >> 4, depth)?;
                    self.skip(kinds & 15, depth)
                })
            }
            STRUCT => loop {
                let head = self.byte()?;
                let kind = head & 15;
                if kind == 0 {
                    return Ok(());
                }
                if head >> 4 == 0 {
                    self.number()?;
                }
                self.skip(kind, depth)?;
            },
            _ => Err(Stop::Malformed),
        }
    }

    fn take(&mut self, items: u64) -> Result<(), Stop> {
        self.items = self.items.checked_sub(items).ok_or(Stop::Items(items))?;
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, Stop> {
        let (&first, rest) = self.rest.split_first().ok_or(Stop::Malformed)?;
        self.rest = rest;
        Ok(first)
    }

    fn bytes(&mut self, len: u64) -> Result<(), Stop> {
        let len = usize::try_from(len).map_err(|_| Stop::Malformed)?;
        self.rest = self.rest.get(len..).ok_or(Stop::Malformed)?;
        Ok(())
    }

    /// A whole number in groups of seven bits, the lowest first.
    fn number(&mut self) -> Result<u64, Stop> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Stop::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(footer: &[u8]) -> io::Result<File> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part.parquet");
        let len = (footer.len() as u32).to_le_bytes();
        std::fs::write(&path, [&MARK[..], footer, &len, MARK].concat()).unwrap();
        open_parquet(&path)
    }

    #[test]
    fn a_list_that_no_footer_could_hold_is_refused_before_it_is_counted() {
        // Field 15 is a list (9) of 2^31 - 1 booleans (1), and field 15 more a map of as many.
        let list = [0xf9, 0xf1, 0xff, 0xff, 0xff, 0xff, 0x07];
        let map = [0xfb, 0xff, 0xff, 0xff, 0xff, 0x07, 0x11];
        for footer in [&[&list[..], &[0]].concat(), &[&map[..], &[0]].concat()] {
            let error = opened(footer).unwrap_err();
            assert!(error.to_string().ends_with("8 bytes claims a list of 2147483647 items"), "{error}");
        }
        // A hundred lists in a list, each of as many booleans as the footer has bytes, are too many together.
        let inner = [0xf1, 0xf4, 0x03].repeat(100);
        let footer = [&[0xf9, 0xf9, 100], &inner[..], &[0; 197]].concat();
        assert!(opened(&footer).is_err());
    }

    #[test]
    fn what_a_footer_can_hold_and_what_is_none_is_left_to_its_reader() {
        // A list of two numbers, a text, and a struct with a byte.
        let footer = [0x19, 0x25, 2, 4, 0x18, 3, b'a', b'b', b'c', 0x1c, 0x13, 9, 0, 0];
        assert!(opened(&footer).is_ok());
        for broken in [&footer[..3], &[], &[0x1f], &[0x0c; 300], &[0x19, 0xf5, 0x80]] {
            assert!(opened(broken).is_ok(), "{broken:?}");
        }
    }
}
