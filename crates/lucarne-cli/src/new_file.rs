//! Files that are whole or not there: a full disk leaves nothing cut off, and what was there stays until then.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::TempPath;

/// A file under a name of its own, beside its place, until it is [finished](Self::finish).
#[derive(Debug)]
pub(crate) struct NewFile {
    place: PathBuf,
    file: BufWriter<File>,
    /// Where it is meanwhile; removed where it is not given its place.
    path: TempPath,
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
        // Apart, as its own errors name a path that nobody knows.
        let (file, path) = file.into_parts();
        Ok(Self {
            place: place.to_owned(),
            file: BufWriter::new(file),
            path,
        })
    }

    /// Gives it its place.
    pub(crate) fn finish(self) -> std::io::Result<()> {
        let written = self.file.into_inner();
        written.map_err(std::io::IntoInnerError::into_error)?;
        self.path.persist(self.place)?;
        Ok(())
    }
}

impl NewFile {
    /// Gives it its place after a failure, cut off where `whole` says for the length that it has. Without anything whole there is
    /// no file. Says how much was kept.
    pub(crate) fn keep(mut self, whole: impl FnOnce(u64) -> u64) -> std::io::Result<u64> {
        // As far as there is room.
        let _ = self.file.flush();
        let (file, _left) = self.file.into_parts();
        let kept = whole(file.metadata()?.len());
        if kept > 0 {
            file.set_len(kept)?;
            self.path.persist(self.place)?;
        }
        Ok(kept)
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
