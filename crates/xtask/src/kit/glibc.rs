//! Which version of the C library a program asks for.

use std::path::Path;

use crate::error::{Error, Result};

/// The oldest C library that a kit must start with: Debian 12's.
pub(crate) const OLDEST: (u32, u32) = (2, 36);

/// The newest version that a program names. Its file holds them as text, `GLIBC_2.34` for instance, in the table of strings that
/// the loader reads.
pub(crate) fn newest_named(program: &[u8]) -> Option<(u32, u32)> {
    const MARK: &[u8] = b"GLIBC_";
    let mut newest = None;
    for at in 0..program.len().saturating_sub(MARK.len()) {
        if program[at..].starts_with(MARK) {
            newest = newest.max(version(&program[at + MARK.len()..]));
        }
    }
    newest
}

/// `2.34` or `2.2.5`, up to the zero.
fn version(text: &[u8]) -> Option<(u32, u32)> {
    let end = text.iter().position(|&byte| byte == 0)?;
    let mut parts = std::str::from_utf8(&text[..end]).ok()?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Refuses a program that would not start with [`OLDEST`].
pub(crate) fn check(path: &Path, program: &[u8]) -> Result<()> {
    match newest_named(program) {
        Some(newest) if newest > OLDEST => Err(Error::unable(format!(
            "{} asks for glibc {}.{}, but a kit must start with {}.{}: build it on Debian 12",
            path.display(),
            newest.0,
            newest.1,
            OLDEST.0,
            OLDEST.1
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_counts() {
        let program = b"x\0GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_PRIVATE\0GLIBC_2.4\0GLIBC_";
        assert_eq!(newest_named(program), Some((2, 34)));
        assert_eq!(newest_named(b"GLIBCXX_3.4\0"), None);
        assert!(check(Path::new("x"), program).is_ok());
        let newer = check(Path::new("x"), b"GLIBC_2.38\0").unwrap_err();
        assert!(newer.to_string().contains("glibc 2.38"), "{newer}");
    }
}
