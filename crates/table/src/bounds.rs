//! What tables may take in memory.

use std::io::{self, ErrorKind};

/// Bytes of all that is read of one table.
const LARGEST_TABLE: u64 = 2 << 30;
/// What a table of other people's may take in memory at a time, in bytes.
const LARGEST_BATCH: u64 = 256 << 20;

/// How many rows of a table may be read at a time, at most `wanted`: a value of a dictionary stands in memory once for
/// each row that names it. `column_bytes` are the sizes of the parts of columns that are read, not compressed.
///
/// # Errors
/// [`ErrorKind::FileTooLarge`] if a part is above 1 GiB, of which a single value could be all.
pub fn rows_at_a_time(column_bytes: impl IntoIterator<Item = i64>, wanted: usize) -> io::Result<usize> {
    let largest = column_bytes.into_iter().max().unwrap_or(0).max(1) as u64;
    if largest > 4 * LARGEST_BATCH {
        return Err(too_large("a column of a row group", 4 * LARGEST_BATCH));
    }
    Ok(wanted.min((LARGEST_BATCH / largest) as usize).max(1))
}

/// What is read of tables, added up.
#[derive(Debug, Default)]
pub struct TableBytes(u64);

impl TableBytes {
    /// Adds a batch of so many bytes.
    ///
    /// # Errors
    /// [`ErrorKind::FileTooLarge`] once all are more than 2 GiB.
    pub fn add(&mut self, bytes: usize) -> io::Result<()> {
        self.0 = self.0.saturating_add(bytes as u64);
        if self.0 > LARGEST_TABLE { Err(too_large("a table in memory", LARGEST_TABLE)) } else { Ok(()) }
    }
}

fn too_large(what: &str, limit: u64) -> io::Error {
    io::Error::new(ErrorKind::FileTooLarge, format!("{what} may have {} MiB at most", limit >> 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_fill_the_memory_is_refused() {
        // 1 MiB in a dictionary: at most 256 rows of it; a few bytes: as many rows as wanted.
        assert_eq!(rows_at_a_time([1 << 20, 5], 1024).unwrap(), 256);
        assert_eq!(rows_at_a_time([100, 5], 1024).unwrap(), 1024);
        assert_eq!(rows_at_a_time([1 << 30], 1024).unwrap(), 1);
        assert_eq!(rows_at_a_time([(1 << 30) + 1], 1024).unwrap_err().kind(), ErrorKind::FileTooLarge);
        let mut bytes = TableBytes::default();
        assert!(bytes.add(2 << 30).is_ok() && bytes.add(1).is_err());
    }
}
