//! Inputs that others wrote: regular files, read within bounds.

use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Largest file that is read whole, in bytes.
const LARGEST_FILE: u64 = 2 << 30;
/// Longest line, in bytes.
const LONGEST_LINE: u64 = 256 << 20;

/// Opens a file to read. A device or a pipe, which may have no end, is none.
///
/// # Errors
/// The system's, and [`ErrorKind::InvalidInput`] for what is no regular file.
pub fn open_input(path: &Path) -> io::Result<File> {
    // Opening a pipe would wait for a writer, so its kind is asked for before.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "not a regular file"));
    }
    File::open(path)
}

/// The bytes of a regular file.
///
/// # Errors
/// As [`open_input`], and [`ErrorKind::FileTooLarge`] above 2 GiB.
pub fn read_input(path: &Path) -> io::Result<Vec<u8>> {
    bounded(open_input(path)?, LARGEST_FILE)
}

/// The name that the content of a file has: that of gzip (`.gz`) without its ending, any other as it is.
pub fn name_inside(path: &Path) -> PathBuf {
    if has_extension(path, "gz") { path.with_extension("") } else { path.to_owned() }
}

/// Whether the name has this extension, in small or in capital letters.
pub fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|own| own.eq_ignore_ascii_case(extension))
}

/// The text of a regular file, unpacked where it is gzip.
///
/// # Errors
/// As [`read_input`], the bound being that of the unpacked text, and [`ErrorKind::InvalidData`] for what is no UTF-8.
pub fn read_input_text(path: &Path) -> io::Result<String> {
    text(bounded(unpacked(open_input(path)?)?, LARGEST_FILE)?)
}

/// The text of a file or of a pipe, up to its end.
///
/// # Errors
/// As [`read_input_text`], but for pipes.
pub fn read_stream_text(path: &Path) -> io::Result<String> {
    text(bounded(unpacked(File::open(path)?)?, LARGEST_FILE)?)
}

/// A text without the byte order mark that some programs put before it.
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// The lines of a regular file, without their ends, unpacked where it is gzip.
///
/// # Errors
/// As [`read_input_text`], also while the lines are read, and [`ErrorKind::FileTooLarge`] for a line above 256 MiB.
pub fn input_lines(path: &Path) -> io::Result<impl Iterator<Item = io::Result<String>>> {
    lines_up_to(LONGEST_LINE, path)
}

/// As [`input_lines`], for lines of fewer bytes than `longest`.
fn lines_up_to(longest: u64, path: &Path) -> io::Result<impl Iterator<Item = io::Result<String>>> {
    let mut reader = BufReader::new(unpacked(open_input(path)?)?);
    Ok(std::iter::from_fn(move || {
        let mut line = Vec::new();
        match reader.by_ref().take(longest).read_until(b'\n', &mut line) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(error) => return Some(Err(error)),
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.len() as u64 >= longest {
            return Some(Err(too_large("a line", longest)));
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Some(text(line))
    }))
}

/// The file's bytes, or what they are the gzip of. No text in UTF-8 begins as gzip does.
fn unpacked(file: File) -> io::Result<Box<dyn Read>> {
    let mut reader = BufReader::new(file);
    Ok(if reader.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        Box::new(MultiGzDecoder::new(reader))
    } else {
        Box::new(reader)
    })
}

fn bounded(file: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(too_large("a file that is read whole", limit)) } else { Ok(bytes) }
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| io::Error::new(ErrorKind::InvalidData, "stream did not contain valid UTF-8"))
}

fn too_large(what: &str, limit: u64) -> io::Error {
    io::Error::new(ErrorKind::FileTooLarge, format!("{what} may have {} MiB at most", limit >> 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_unpacked_within_their_bound() {
        use std::io::Write;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.jsonl.gz");
        let packed = |texts: &[&str]| {
            let mut bytes = Vec::new();
            for text in texts {
                let mut encoder = flate2::write::GzEncoder::new(&mut bytes, flate2::Compression::default());
                encoder.write_all(text.as_bytes()).unwrap();
                encoder.finish().unwrap();
            }
            bytes
        };
        // Two members one after the other are one text.
        std::fs::write(&path, packed(&["one\ntwo", "\nthree\n"])).unwrap();
        assert_eq!(read_input_text(&path).unwrap(), "one\ntwo\nthree\n");
        assert_eq!(input_lines(&path).unwrap().map(Result::unwrap).collect::<Vec<_>>(), ["one", "two", "three"]);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 9]).unwrap();
        assert_eq!(read_input_text(&path).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        // A line of 1 MiB in a kilobyte: what is bounded is the text.
        std::fs::write(&path, packed(&["x".repeat(1 << 20).as_str()])).unwrap();
        let longest = |bytes| lines_up_to(bytes, &path).unwrap().next().unwrap().map_err(|error| error.kind());
        assert_eq!(longest(1 << 20), Err(ErrorKind::FileTooLarge));
        assert_eq!(longest((1 << 20) + 1).unwrap().len(), 1 << 20);
    }

    #[test]
    fn the_name_of_the_content_is_that_without_gzip() {
        for (name, inside) in [("a.jsonl.gz", "a.jsonl"), ("b/a.csv.GZ", "b/a.csv"), ("a.json", "a.json"), ("gz", "gz")]
        {
            assert_eq!(name_inside(Path::new(name)), Path::new(inside));
        }
        assert!(has_extension(Path::new("a.JSON"), "json") && !has_extension(Path::new("json"), "json"));
    }

    #[test]
    fn devices_and_folders_are_no_inputs() {
        let folder = tempfile::tempdir().unwrap();
        for path in [Path::new("/dev/zero"), folder.path()] {
            for error in [open_input(path).unwrap_err(), read_input_text(path).unwrap_err()] {
                assert_eq!(error.to_string(), "not a regular file");
            }
            assert!(input_lines(path).is_err());
        }
        assert_eq!(open_input(&folder.path().join("none")).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn lines_are_those_of_the_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        for content in ["", "a", "a\n", "a\r\n\nb", "\n\n"] {
            std::fs::write(&path, content).unwrap();
            let lines: Vec<String> = input_lines(&path).unwrap().map(Result::unwrap).collect();
            assert_eq!(lines, content.lines().collect::<Vec<_>>(), "{content:?}");
            assert_eq!(read_input_text(&path).unwrap(), content);
        }
        std::fs::write(&path, b"a\n\xff\n").unwrap();
        assert!(input_lines(&path).unwrap().nth(1).unwrap().is_err());
    }

    #[test]
    fn what_would_fill_the_memory_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sparse");
        File::create(&path).unwrap().set_len(LONGEST_LINE + 1).unwrap();
        let error = input_lines(&path).unwrap().next().unwrap().unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string()),
            (ErrorKind::FileTooLarge, "a line may have 256 MiB at most".into())
        );
    }
}
