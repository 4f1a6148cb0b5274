//! The compositor's table of formats and modifiers, and what points into it: memory and bytes of another process, checked.

use std::fs::File;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;

/// One row: a format's code, four bytes of padding, a modifier's code, in the machine's byte order.
const ROW: usize = 16;
/// Rows are numbered with 16 bits.
const LARGEST: u32 = (1 << 16) * 16;

/// A format and a modifier, by their codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) format: u32,
    pub(super) modifier: u64,
}

impl Pair {
    /// In a layout that only the driver knows.
    pub(super) fn implicit(format: u32) -> Self {
        Self {
            format,
            modifier: lucarne::Tiling::Implicit.code(),
        }
    }
}

/// The table's rows.
#[derive(Debug, Default)]
pub(super) struct Table(Vec<Pair>);

impl Table {
    /// Reads what the compositor calls a table of `size` bytes. Copied, not mapped: who shrinks a mapped file kills its readers.
    pub(super) fn read(fd: BorrowedFd<'_>, size: u32) -> Result<Self, String> {
        let wrong = |limit: &str| {
            format!("the compositor's table of formats has {size} bytes, must {limit}")
        };
        if size > LARGEST {
            return Err(wrong(&format!("have {LARGEST} at most")));
        }
        if !(size as usize).is_multiple_of(ROW) {
            return Err(wrong("be rows of 16"));
        }
        let unreadable =
            |error: std::io::Error| format!("reading the compositor's table of formats: {error}");
        let file = File::from(fd.try_clone_to_owned().map_err(unreadable)?);
        let there = file.metadata().map_err(unreadable)?.len();
        if there < u64::from(size) {
            return Err(wrong(&format!("fit its file, which has {there}")));
        }
        let mut bytes = vec![0; size as usize];
        file.read_exact_at(&mut bytes, 0).map_err(unreadable)?;
        let (rows, _) = bytes.as_chunks::<ROW>();
        Ok(Self(rows.iter().map(row).collect()))
    }

    /// The rows that these numbers of 16 bits name.
    pub(super) fn pairs(&self, indices: &[u8]) -> Result<Vec<Pair>, String> {
        let (numbers, rest) = indices.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(format!(
                "a tranche of the compositor's names {} bytes of rows, must be numbers of two",
                indices.len()
            ));
        }
        let rows = self.0.len();
        let numbers = numbers.iter().map(|bytes| u16::from_ne_bytes(*bytes));
        numbers
            .map(|number| {
                self.0.get(usize::from(number)).copied().ok_or_else(|| {
                    format!(
                        "a tranche of the compositor's names row {number} of its table, must be below {rows}"
                    )
                })
            })
            .collect()
    }
}

fn row(bytes: &[u8; ROW]) -> Pair {
    let [f0, f1, f2, f3, _, _, _, _, modifier @ ..] = *bytes;
    Pair {
        format: u32::from_ne_bytes([f0, f1, f2, f3]),
        modifier: u64::from_ne_bytes(modifier),
    }
}

/// A device's number.
pub(super) fn device(bytes: &[u8]) -> Result<u64, String> {
    let number = bytes.try_into().map(u64::from_ne_bytes);
    number.map_err(|_| {
        format!(
            "a device of the compositor's has {} bytes, must have 8",
            bytes.len()
        )
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;

    use super::*;

    const ROWS: [Pair; 2] = [
        Pair {
            format: 0x3432_5258,
            modifier: 0,
        },
        Pair {
            format: 0x3432_4241,
            modifier: 0x0100_0000_0000_0009,
        },
    ];

    fn file() -> File {
        let mut file = tempfile::tempfile().expect("a file");
        for pair in ROWS {
            let modifier = pair.modifier.to_ne_bytes();
            let row = [&pair.format.to_ne_bytes()[..], &[0xff; 4], &modifier].concat();
            file.write_all(&row).expect("written");
        }
        file
    }

    #[test]
    fn rows_are_found_by_their_numbers() {
        let table = Table::read(file().as_fd(), 32).expect("two rows");
        let indices = [1_u16, 0, 1].map(u16::to_ne_bytes);
        let pairs = table.pairs(indices.as_flattened()).expect("rows");
        assert_eq!(pairs, [ROWS[1], ROWS[0], ROWS[1]]);
        assert_eq!(device(&7_u64.to_ne_bytes()), Ok(7));
    }

    #[test]
    fn lies_are_named_with_their_limits() {
        let file = file();
        for (size, limit) in [
            (LARGEST + 16, "1048576 at most"),
            (31, "rows of 16"),
            (48, "fit its file, which has 32"),
        ] {
            let error = Table::read(file.as_fd(), size).expect_err(limit);
            assert!(error.contains(limit), "{error}");
        }
        let (reader, _writer) = rustix::pipe::pipe().expect("a pipe");
        let error = Table::read(reader.as_fd(), 16).expect_err("a pipe has no size");
        assert!(error.contains("which has 0"), "{error}");
        let table = Table::read(file.as_fd(), 32).expect("two rows");
        let error = table.pairs(&2_u16.to_ne_bytes()).expect_err("two rows");
        assert!(
            error.contains("row 2") && error.contains("below 2"),
            "{error}"
        );
        let error = table.pairs(&[0; 3]).expect_err("half a number");
        assert!(error.contains("3 bytes"), "{error}");
        let error = device(&[0; 4]).expect_err("half a number");
        assert!(error.contains("4 bytes, must have 8"), "{error}");
    }
}
