//! The compositor's table of formats and modifiers, and what points into it: memory and bytes of another process, checked.

use std::fs::File;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;

use lucarne::{Format, Result, Tiling};

use crate::error::{invalid, os};

/// One row: a format's code, four bytes of padding, a modifier's code, in the machine's byte order.
const ROW: usize = 16;
/// Rows are numbered with 16 bits.
const LARGEST: u32 = (1 << 16) * 16;

/// The table's rows.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<(Format, Tiling)>);

impl Table {
    /// Reads what the compositor calls a table of `size` bytes. Copied, not mapped: who shrinks a mapped file kills its readers.
    pub(crate) fn read(fd: BorrowedFd<'_>, size: u32) -> Result<Self> {
        let wrong = |limit: String| invalid("the compositor's table of formats", size, limit);
        if size > LARGEST {
            return Err(wrong(format!("{LARGEST} bytes at most")));
        }
        if !(size as usize).is_multiple_of(ROW) {
            return Err(wrong("rows of 16 bytes".to_owned()));
        }
        let unreadable = |error: std::io::Error| os("reading the compositor's table", error);
        let file = File::from(fd.try_clone_to_owned().map_err(unreadable)?);
        let there = file.metadata().map_err(unreadable)?.len();
        if there < u64::from(size) {
            return Err(wrong(format!("within its file, which has {there} bytes")));
        }
        let mut bytes = vec![0; size as usize];
        file.read_exact_at(&mut bytes, 0).map_err(unreadable)?;
        let (rows, _) = bytes.as_chunks::<ROW>();
        Ok(Self(rows.iter().map(row).collect()))
    }

    /// The rows that these numbers of 16 bits name.
    pub(crate) fn pairs(&self, indices: &[u8]) -> Result<Vec<(Format, Tiling)>> {
        let (numbers, rest) = indices.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(invalid(
                "the length of a tranche",
                indices.len(),
                "numbers of two bytes",
            ));
        }
        let rows = self.0.len();
        let numbers = numbers.iter().map(|bytes| u16::from_ne_bytes(*bytes));
        numbers
            .map(|number| {
                let limit = || format!("below {rows}, the rows of the compositor's table");
                let found = self.0.get(usize::from(number)).copied();
                found.ok_or_else(|| invalid("a tranche's row", number, limit()))
            })
            .collect()
    }
}

fn row(bytes: &[u8; ROW]) -> (Format, Tiling) {
    let [f0, f1, f2, f3, _, _, _, _, modifier @ ..] = *bytes;
    (
        Format::from_fourcc(u32::from_ne_bytes([f0, f1, f2, f3])),
        Tiling::from_code(u64::from_ne_bytes(modifier)),
    )
}

/// A device's number, a `dev_t`.
pub(crate) fn device(bytes: &[u8]) -> Result<u64> {
    let number = bytes.try_into().map(u64::from_ne_bytes);
    number.map_err(|_| {
        invalid(
            "the length of a device's number",
            bytes.len(),
            format!("{} bytes", size_of::<u64>()),
        )
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;

    use super::*;

    const ROWS: [(u32, u64); 2] = [(0x3432_5258, 0), (0x3432_4241, 0x0100_0000_0000_0009)];

    fn pair(at: usize) -> (Format, Tiling) {
        let (format, modifier) = ROWS[at];
        (Format::from_fourcc(format), Tiling::from_code(modifier))
    }

    fn file() -> File {
        let mut file = tempfile::tempfile().expect("a file");
        for (format, modifier) in ROWS {
            let row = [
                &format.to_ne_bytes()[..],
                &[0xff; 4],
                &modifier.to_ne_bytes(),
            ]
            .concat();
            file.write_all(&row).expect("written");
        }
        file
    }

    #[test]
    fn rows_are_found_by_their_numbers() {
        let table = Table::read(file().as_fd(), 32).expect("two rows");
        let indices = [1_u16, 0, 1].map(u16::to_ne_bytes);
        let pairs = table.pairs(indices.as_flattened()).expect("rows");
        assert_eq!(pairs, [pair(1), pair(0), pair(1)]);
        assert_eq!(device(&7_u64.to_ne_bytes()).ok(), Some(7));
    }

    #[test]
    fn lies_are_named_with_their_limits() {
        let file = file();
        for (size, limit) in [
            (LARGEST + 16, "1048576 bytes at most"),
            (31, "rows of 16"),
            (48, "within its file, which has 32"),
        ] {
            let error = Table::read(file.as_fd(), size)
                .expect_err(limit)
                .to_string();
            assert!(error.contains(limit), "{error}");
        }
        let (reader, _writer) = rustix::pipe::pipe().expect("a pipe");
        let error = Table::read(reader.as_fd(), 16)
            .expect_err("a pipe has no size")
            .to_string();
        assert!(error.contains("which has 0"), "{error}");
        let table = Table::read(file.as_fd(), 32).expect("two rows");
        let error = table
            .pairs(&2_u16.to_ne_bytes())
            .expect_err("two rows")
            .to_string();
        assert!(
            error.contains("row is 2") && error.contains("below 2"),
            "{error}"
        );
        let error = table.pairs(&[0; 3]).expect_err("half a number").to_string();
        assert!(
            error.contains("is 3, but must be numbers of two"),
            "{error}"
        );
        let error = device(&[0; 4]).expect_err("half a number").to_string();
        assert!(error.contains("is 4, but must be 8 bytes"), "{error}");
    }
}
