//! The path of a stream's socket: what may be replaced there, and what is left behind.

use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::discovery::{address, open_socket, what_is};
use crate::error::{Error, Result};

/// Device and inode of a file.
pub(super) type Identity = (u64, u64);

pub(super) fn identity(path: &Path) -> std::io::Result<Identity> {
    let found = std::fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

/// Whether a socket can be put there: nothing is there (false), or a socket that nobody listens on (true).
///
/// # Errors
///
/// [`Error::Path`] for anything else.
pub(super) fn check(path: &Path) -> Result<bool> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Error::at(path, "looking at a stream's socket", error)),
    };
    let refused = |what: &str| Error::Path {
        path: path.to_owned(),
        problem: format!("it is {what}; only a socket that nobody listens on is replaced"),
    };
    if !found.file_type().is_socket() {
        return Err(refused(what_is(found.file_type())));
    }
    match rustix::net::connect(&open_socket()?, &address(path)?) {
        Err(Errno::CONNREFUSED) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(Errno::ACCESS | Errno::PERM) => Err(refused("a socket of somebody else's")),
        _ => Err(refused("a socket on which somebody listens")),
    }
}

/// A socket under the name that it has until it listens. Dropped, it is removed.
#[derive(Debug)]
pub(super) struct Unready {
    /// Empty once it has its own name.
    path: PathBuf,
}

impl Unready {
    pub(super) fn bind(socket: &OwnedFd, path: PathBuf) -> Result<Self> {
        if check(&path)? {
            rustix::fs::unlink(&path)
                .map_err(|errno| Error::at(&path, "removing a stale socket", errno))?;
        }
        rustix::net::bind(socket, &address(&path)?)
            .map_err(|errno| Error::at(&path, "bind", errno))?;
        Ok(Self { path })
    }

    /// Gives it its name, and says which file it is.
    pub(super) fn rename(mut self, to: &Path) -> Result<Identity> {
        let identity = identity(&self.path)
            .map_err(|error| Error::at(&self.path, "looking at a new socket", error))?;
        rustix::fs::rename(&self.path, to)
            .map_err(|errno| Error::at(to, "naming a stream's socket", errno))?;
        self.path.clear();
        Ok(identity)
    }
}

impl Drop for Unready {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            // The error that brings it here says more than another would.
            let _ = rustix::fs::unlink(&self.path);
        }
    }
}
