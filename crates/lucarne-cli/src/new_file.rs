//! Files that are whole or not there: a full disk leaves nothing cut off, and what was there stays until then.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A file under a name of its own, beside its place, until it is [finished](Self::finish).
#[derive(Debug)]
pub(crate) struct NewFile {
    place: PathBuf,
    file: BufWriter<NamedTempFile>,
}

impl NewFile {
    pub(crate) fn create(place: &Path) -> std::io::Result<Self> {
        let folder = match place.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // What any program's new file may be, before the user's umask.
        let plain = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        let file = tempfile::Builder::new()
            .permissions(plain)
            .tempfile_in(folder)?;
        Ok(Self {
            place: place.to_owned(),
            file: BufWriter::new(file),
        })
    }

    /// Gives it its place.
    pub(crate) fn finish(self) -> std::io::Result<()> {
        let file = self
            .file
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)?;
        file.persist(self.place)?;
        Ok(())
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}
