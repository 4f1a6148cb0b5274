//! Arrivals and departures of streams.

use std::collections::BTreeSet;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::inotify;
use rustix::io::Errno;

use crate::discovery::{check_name, connect, directory, prepare};
use crate::error::{Error, Result};

/// Something that happened in the folder of streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A producer has taken this name.
    Arrived(String),
    /// The producer of this name is gone: it ended the stream, or another removed what it left behind.
    Departed(String),
}

/// Watches the streams of this user come and go, through inotify.
///
/// A producer that is killed leaves its socket behind, of which the folder says nothing; whoever watches the stream itself sees
/// it at once, and the watcher when it [`refresh`](Self::refresh)es.
///
/// # References
///
/// inotify(7).
#[derive(Debug)]
pub struct Watcher {
    inotify: OwnedFd,
    folder: PathBuf,
    known: BTreeSet<String>,
}

impl Watcher {
    /// Watches the folder of this user's streams, which it makes where it is missing.
    ///
    /// # Errors
    ///
    /// As for [`directory`](crate::directory()); [`Error::Os`].
    pub fn new() -> Result<Self> {
        Self::of(&directory()?)
    }

    /// Watches a folder of the caller's choice. What is there already is reported as having arrived, by the first
    /// [`refresh`](Self::refresh).
    ///
    /// # Errors
    ///
    /// [`Error::Os`].
    pub fn of(folder: &Path) -> Result<Self> {
        prepare(folder)?;
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let inotify = inotify::init(flags).map_err(|errno| Error::os("inotify_init1", errno))?;
        let events = inotify::WatchFlags::CREATE
            | inotify::WatchFlags::DELETE
            | inotify::WatchFlags::MOVED_TO
            | inotify::WatchFlags::MOVED_FROM;
        inotify::add_watch(&inotify, folder, events).map_err(|errno| {
            Error::at(folder, "watching the folder of streams (inotify)", errno)
        })?;
        Ok(Self {
            inotify,
            folder: folder.to_owned(),
            known: BTreeSet::new(),
        })
    }

    /// What has changed since the last call. Does not block; call it when the descriptor is readable.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] when the folder cannot be read, as it was removed for instance; [`Error::Os`].
    pub fn changes(&mut self) -> Result<Vec<Change>> {
        if self.drain()? {
            return self.refresh();
        }
        Ok(Vec::new())
    }

    /// As [`changes`](Self::changes), but looks at every stream, and so finds producers that were killed too. Connects to
    /// each of them for a moment.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] when the folder cannot be read, as it was removed for instance.
    pub fn refresh(&mut self) -> Result<Vec<Change>> {
        let entries = std::fs::read_dir(&self.folder)
            .map_err(|error| Error::at(&self.folder, "reading the folder of streams", error))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let alive = |name: &String| {
            // A connection that is refused for now comes from somebody who is there.
            let gone = |error: &Error| matches!(error, Error::NotFound { .. });
            check_name(name).is_ok()
                && !connect(&self.folder, name).is_err_and(|error| gone(&error))
        };
        let now: BTreeSet<String> = names.filter(alive).collect();
        let departed = self.known.difference(&now).cloned().map(Change::Departed);
        let arrived = now.difference(&self.known).cloned().map(Change::Arrived);
        let changes = departed.chain(arrived).collect();
        self.known = now;
        Ok(changes)
    }

    /// Reads what inotify has to say; true where there was anything. Which names it was about is not believed: the folder
    /// itself is looked at.
    fn drain(&self) -> Result<bool> {
        let mut buffer = [const { MaybeUninit::uninit() }; 4096];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        let mut any = false;
        loop {
            match reader.next() {
                Ok(_) => any = true,
                Err(Errno::AGAIN) => return Ok(any),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::os("reading inotify", errno)),
            }
        }
    }
}

impl AsFd for Watcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}
