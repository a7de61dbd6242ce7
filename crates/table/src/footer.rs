//! Parquet of strangers: footers and pages that would keep their reader busy for ever.

use espalier_files::open_input;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

/// The footer's length and the mark at the end of a file.
const END_BYTES: u64 = 8;
const MARK: &[u8; 4] = b"PAR1";
/// Bytes that are read of a page to find the end of its head.
const HEAD_BYTES: u64 = 1 << 12;
/// Fields of a page's head: bytes of its body, unpacked and as it stands in the file; the head of a dictionary, and in that
/// the number of values.
const PLAIN_BYTES: u64 = 2;
const BODY_BYTES: u64 = 3;
const DICTIONARY: u64 = 7;
const VALUES: u64 = 1;
/// Values of a dictionary; writers stop at a body of one MiB.
const MAX_VALUES: u64 = 1 << 24;
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
pub(crate) fn open_parquet(path: &Path) -> io::Result<File> {
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

/// Makes sure that no head of a page claims more than it can hold; `chunks` are the beginnings and lengths of the parts of
/// columns, in bytes. Past the end of the file, the library goes on counting items that are not there.
///
/// # Errors
/// The system's, and [`ErrorKind::InvalidData`] for such a head, or one that the file ends in.
pub(crate) fn check_pages(file: &File, chunks: impl IntoIterator<Item = (u64, u64)>) -> io::Result<()> {
    let file_len = file.metadata()?.len();
    for (start, len) in chunks {
        let (mut at, end) = (start, start.saturating_add(len).min(file_len));
        while at < end {
            let Some(page_bytes) = page(file, at, file_len)? else { break };
            at = at.saturating_add(page_bytes);
        }
    }
    Ok(())
}

/// Bytes of the page that begins at `at`, with its head; nothing where there is none.
fn page(mut file: &File, at: u64, file_len: u64) -> io::Result<Option<u64>> {
    // Heads have some dozens of bytes, but with statistics of long texts more.
    for window in [HEAD_BYTES, file_len] {
        let mut head = vec![0; window.min(file_len - at) as usize];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut head)?;
        let mut walk = Walk { rest: &head, items: ITEMS_PER_BYTE * head.len() as u64 };
        match walk.page() {
            Ok(body) => return Ok(Some((head.len() - walk.rest.len()) as u64 + body)),
            Err(Stop::Items(items)) => {
                let problem = format!("a page at byte {at} claims a list of {items} items");
                return Err(io::Error::new(ErrorKind::InvalidData, problem));
            }
            Err(Stop::Malformed) => return Ok(None),
            Err(Stop::End) => {}
        }
    }
    Err(io::Error::new(ErrorKind::InvalidData, format!("the file ends in the head of the page at byte {at}")))
}

fn check(footer: &[u8]) -> io::Result<()> {
    let mut walk = Walk { rest: footer, items: ITEMS_PER_BYTE * footer.len() as u64 };
    match walk.skip(STRUCT, MAX_DEPTH) {
        Err(Stop::Items(items)) => {
            let problem = format!("its footer of {} bytes claims a list of {items} items", footer.len());
            Err(io::Error::new(ErrorKind::InvalidData, problem))
        }
        // What is wrong with it otherwise is for the reader to say.
        Ok(()) | Err(Stop::Malformed | Stop::End) => Ok(()),
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
    /// There are no more bytes.
    End,
    Items(u64),
}

/// A walk over Thrift's compact protocol, as the library reads it.
struct Walk<'a> {
    rest: &'a [u8],
    /// Items that all lists may still have.
    items: u64,
}

impl Walk<'_> {
    /// Passes the head of a page and gives the bytes of its body.
    fn page(&mut self) -> Result<u64, Stop> {
        let (mut id, mut plain, mut body) = (0, 0, 0);
        while let Some(kind) = self.field(&mut id)? {
            match (id, kind) {
                // Whole numbers have their sign in the lowest bit; no page has a negative size.
                (PLAIN_BYTES, 4..=6) => plain = self.number()? >> 1,
                (BODY_BYTES, 4..=6) => body = self.number()? >> 1,
                (DICTIONARY, STRUCT) => self.dictionary(plain)?,
                _ => self.skip(kind, MAX_DEPTH)?,
            }
        }
        Ok(body)
    }

    /// Passes the head of a dictionary. The library makes room for all its values before it looks at the first.
    fn dictionary(&mut self, plain: u64) -> Result<(), Stop> {
        let mut id = 0;
        while let Some(kind) = self.field(&mut id)? {
            if id != VALUES || !(4..=6).contains(&kind) {
                self.skip(kind, MAX_DEPTH)?;
                continue;
            }
            let values = self.number()? >> 1;
            if values > plain.min(MAX_VALUES) {
                return Err(Stop::Items(values));
            }
        }
        Ok(())
    }

    /// The type of the next field of a struct, whose number `id` becomes; nothing at its end.
    fn field(&mut self, id: &mut u64) -> Result<Option<u8>, Stop> {
        let head = self.byte()?;
        match (head & 15, head >> 4) {
            (0, _) => return Ok(None),
            (_, 0) => *id = self.number()? >> 1,
            (_, step) => *id = id.saturating_add(u64::from(step)),
        }
        Ok(Some(head & 15))
    }

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
            STRUCT => {
                while let Some(kind) = self.field(&mut 0)? {
                    self.skip(kind, depth)?;
                }
                Ok(())
            }
            _ => Err(Stop::Malformed),
        }
    }

    fn take(&mut self, items: u64) -> Result<(), Stop> {
        self.items = self.items.checked_sub(items).ok_or(Stop::Items(items))?;
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, Stop> {
        let (&first, rest) = self.rest.split_first().ok_or(Stop::End)?;
        self.rest = rest;
        Ok(first)
    }

    fn bytes(&mut self, len: u64) -> Result<(), Stop> {
        let len = usize::try_from(len).map_err(|_| Stop::Malformed)?;
        self.rest = self.rest.get(len..).ok_or(Stop::End)?;
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

    #[test]
    fn the_head_of_a_page_claims_no_more_than_the_file_can_hold() {
        let checked = |bytes: &[u8]| {
            let mut file = tempfile::tempfile().unwrap();
            std::io::Write::write_all(&mut file, bytes).unwrap();
            check_pages(&file, [(0, bytes.len() as u64)]).map_err(|error| error.to_string())
        };
        // A data page (0) of 2 bytes, packed as 2 (zigzag: 4), and its body; twice.
        let page = [0x15, 0, 0x15, 4, 0x15, 4, 0, b'x', b'y'];
        assert_eq!(checked(&page.repeat(2)), Ok(()));
        // Field 15 of the second is a list of 2^31 - 1 floats, of which the file has none.
        let list = [&page[..], &[0x15, 0, 0xe9, 0xf7, 0xff, 0xff, 0xff, 0xff, 0x07, 0]].concat();
        assert_eq!(checked(&list).unwrap_err(), "a page at byte 9 claims a list of 2147483647 items");
        // A dictionary page (2: zigzag 4) of 2 bytes with 2 values, then one that claims 800 million.
        let dictionary =
            |values: &[u8]| [&[0x15, 4, 0x15, 4, 0x15, 4, 0x4c, 0x15], values, &[0, 0, b'x', b'y']].concat();
        assert_eq!(checked(&dictionary(&[4])), Ok(()));
        let flood = checked(&dictionary(&[0x80, 0xa0, 0xf8, 0xfa, 0x05]));
        assert_eq!(flood.unwrap_err(), "a page at byte 0 claims a list of 800000000 items");
        let cut = [&page[..], &[0x15, 0, 0xe8, 100]].concat();
        assert_eq!(checked(&cut).unwrap_err(), "the file ends in the head of the page at byte 9");
    }
}
