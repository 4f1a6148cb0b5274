//! Files for people: whole, or as they were.

use std::fs;
use std::path::Path;

use crate::error::{Error, Result};

/// Writes a file. What was there stays until the whole of it is written: a full disk leaves nothing cut off.
pub(crate) fn replace(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let written = fs::write(&new, content).and_then(|()| fs::rename(&new, path));
    written
        .inspect_err(|_| drop(fs::remove_file(&new)))
        .map_err(|e| Error::io("writing", path, &e))
}

#[cfg(test)]
mod tests {
    use super::replace;
    use std::fs;

    #[test]
    fn a_full_disk_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page.md");
        replace(&path, "old").unwrap();
        let full = folder.path().join("page.md.new");
        std::os::unix::fs::symlink("/dev/full", &full).unwrap();
        let error = replace(&path, "new").unwrap_err().to_string();
        assert!(error.contains("page.md"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert!(fs::symlink_metadata(&full).is_err(), "nothing is left over");
    }
}
