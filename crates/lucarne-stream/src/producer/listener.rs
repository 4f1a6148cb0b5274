//! A stream's name, and those who connect to it.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::SocketFlags;

use super::HOUSEKEEPING;
use super::place::{self, Identity, Unready};
use crate::discovery::{self, check_name, lock, open_socket, prepare};
use crate::error::{Error, Result};
use crate::socket::Socket;

/// The listener's place in the epoll set; consumers begin at 1.
pub(super) const LISTENER: u64 = 0;
/// How long a producer waits for a lock that is only looked at.
const MOMENT: Duration = Duration::from_millis(2);
const MOMENTS: usize = 5;
/// Connections that wait to be accepted; beyond these, connecting fails at once.
const BACKLOG: i32 = 128;

/// A bound name: the listening socket and the lock that says somebody listens. Both go when it is dropped.
#[derive(Debug)]
pub(super) struct Listener {
    socket: OwnedFd,
    path: PathBuf,
    /// Which file it is: another one at the path is somebody else's.
    identity: Identity,
    /// When the name was taken: nanoseconds on `CLOCK_MONOTONIC`.
    since: u64,
    /// Since when nobody is let in, for want of descriptors.
    deaf: Option<Instant>,
    // Held, not read: closing it gives the lock up, which must come last.
    _lock: OwnedFd,
}

impl Listener {
    /// Takes a name, from a producer that died if need be.
    pub(super) fn bind(folder: &Path, name: &str) -> Result<Self> {
        check_name(name)?;
        prepare(folder)?;
        let lock = take_lock(&folder.join(format!(".{name}.lock")), name)?;
        let path = folder.join(name);
        place::check(&path)?;
        let socket = open_socket()?;
        // Under another name until it listens: whoever sees the name can connect. What a dead producer left there is
        // replaced in the same step; it held the lock, and is gone.
        let unready = Unready::bind(&socket, folder.join(format!(".{name}.new")))?;
        rustix::net::listen(&socket, BACKLOG).map_err(|errno| Error::os("listen", errno))?;
        let identity = unready.rename(&path)?;
        Ok(Self {
            socket,
            path,
            identity,
            since: discovery::now(),
            deaf: None,
            _lock: lock,
        })
    }

    /// The next connection, or `None` where nobody waits. Does not block.
    pub(super) fn accept(&self) -> Result<Option<Socket>> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        match rustix::net::accept_with(&self.socket, flags) {
            Ok(fd) => Ok(Some(Socket::new(fd))),
            // The peer may have gone between its connecting and this.
            Err(Errno::AGAIN | Errno::CONNABORTED | Errno::INTR) => Ok(None),
            Err(errno) => Err(Error::os("accept", errno)),
        }
    }

    pub(super) fn since(&self) -> u64 {
        self.since
    }

    /// Has `epoll` tell of connections, as [`LISTENER`].
    pub(super) fn watch(&mut self, epoll: &OwnedFd) -> Result<()> {
        let token = epoll::EventData::new_u64(LISTENER);
        epoll::add(epoll, &self.socket, token, epoll::EventFlags::IN)
            .map_err(|errno| Error::os("epoll_ctl", errno))?;
        self.deaf = None;
        Ok(())
    }

    /// Out of descriptors: newcomers wait in the queue until there are some again. Meanwhile they must not wake whoever waits
    /// for something else.
    pub(super) fn rest(&mut self, epoll: &OwnedFd) {
        if epoll::delete(epoll, &self.socket).is_ok() {
            self.deaf = Some(Instant::now());
        }
    }

    /// Watches again after a rest.
    pub(super) fn wake(&mut self, epoll: &OwnedFd) {
        if self.timeout().is_some_and(|left| left.is_zero()) && self.watch(epoll).is_err() {
            self.deaf = Some(Instant::now());
        }
    }

    /// Whether it rests.
    pub(super) fn is_deaf(&self) -> bool {
        self.deaf.is_some()
    }

    /// How long a rest still takes.
    pub(super) fn timeout(&self) -> Option<Duration> {
        let since = self.deaf?;
        Some(HOUSEKEEPING.saturating_sub(since.elapsed()))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // If it cannot be removed, the next producer of that name does it.
        if place::identity(&self.path).is_ok_and(|found| found == self.identity) {
            let _ = rustix::fs::unlink(&self.path);
        }
    }
}

/// The lock of a name, for a producer. Who lists streams has it for a moment.
fn take_lock(path: &Path, name: &str) -> Result<OwnedFd> {
    for _ in 0..MOMENTS {
        match lock(path, name) {
            Err(Error::InUse { .. }) => std::thread::sleep(MOMENT),
            other => return other,
        }
    }
    lock(path, name)
}
