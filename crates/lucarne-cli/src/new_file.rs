//! Files that are whole or not there: a full disk leaves nothing cut off, and what was there stays until then. What is there and no
//! file (a pipe, a device) is written to as it is.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::TempPath;

/// A file under a name of its own, beside its place, until it is [finished](Self::finish).
#[derive(Debug)]
pub(crate) struct NewFile {
    place: PathBuf,
    file: BufWriter<File>,
    /// Where it is meanwhile; removed where it is not given its place. `None` for what is no file.
    path: Option<TempPath>,
}

impl NewFile {
    pub(crate) fn create(place: &Path) -> std::io::Result<Self> {
        // A link stays, and what it leads to is replaced.
        let place = &std::fs::canonicalize(place).unwrap_or_else(|_| place.to_owned());
        if std::fs::metadata(place).is_ok_and(|there| !there.is_file() && !there.is_dir()) {
            return Ok(Self {
                place: place.to_owned(),
                file: BufWriter::new(File::options().write(true).open(place)?),
                path: None,
            });
        }
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
            path: Some(path),
        })
    }

    /// Gives it its place.
    pub(crate) fn finish(self) -> std::io::Result<()> {
        let written = self.file.into_inner();
        written.map_err(std::io::IntoInnerError::into_error)?;
        if let Some(path) = self.path {
            path.persist(self.place)?;
        }
        Ok(())
    }
}

impl NewFile {
    /// Gives it its place after a failure, cut off where `whole` says for the length that it has. Without anything whole there is
    /// no file. Says how much was kept; nothing of what is no file.
    pub(crate) fn keep(mut self, whole: impl FnOnce(u64) -> u64) -> std::io::Result<u64> {
        // As far as there is room.
        let _ = self.file.flush();
        let (file, _left) = self.file.into_parts();
        let Some(path) = self.path else {
            return Ok(0);
        };
        let kept = whole(file.metadata()?.len());
        if kept > 0 {
            file.set_len(kept)?;
            path.persist(self.place)?;
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileTypeExt as _;

    use rustix::fs::{CWD, FileType, Mode};

    use super::*;

    #[test]
    fn what_is_no_file_stays_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::read_to_string(pipe).unwrap()
        });
        let mut file = NewFile::create(&pipe).unwrap();
        file.write_all(b"frames").unwrap();
        file.finish().unwrap();
        assert_eq!(reader.join().unwrap(), "frames");
        assert!(std::fs::metadata(&pipe).unwrap().file_type().is_fifo());
    }

    /// As a disk that is full when the last bytes come to it: so few that they have waited until then.
    fn full(place: &Path) -> NewFile {
        let mut new = NewFile::create(place).unwrap();
        let disk = File::options().write(true).open("/dev/full").unwrap();
        new.file = BufWriter::new(disk);
        new.write_all(b"after").unwrap();
        new
    }

    fn names(folder: &Path) -> Vec<std::ffi::OsString> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn a_disk_that_is_full_at_the_end_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("file");
        std::fs::write(&place, "before").unwrap();
        let error = full(&place).finish().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        assert_eq!(full(&place).keep(|length| length).unwrap(), 0);
        assert_eq!(std::fs::read_to_string(&place).unwrap(), "before");
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn a_place_that_cannot_be_taken_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("file");
        let mut new = NewFile::create(&place).unwrap();
        new.write_all(b"after").unwrap();
        // Renaming fails: a folder has come there meanwhile.
        std::fs::create_dir(&place).unwrap();
        let error = new.finish().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::IsADirectory);
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn a_link_stays_and_its_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link] = ["file", "link"].map(|name| folder.path().join(name));
        std::fs::write(&file, "before").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let mut new = NewFile::create(&link).unwrap();
        new.write_all(b"after").unwrap();
        new.finish().unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "after");
    }
}
