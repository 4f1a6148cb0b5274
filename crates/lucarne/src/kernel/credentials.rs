//! Who is at the other end of a Unix socket (`SO_PEERCRED`).

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use crate::error::{Error, Result};

/// The process that connected to a socket, or that listened on it, as the kernel noted it then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerCredentials {
    /// The process's number; `None` for a process outside of this process's PID namespace, which has no number here. The
    /// process may have died since, and another process may have its number.
    pub pid: Option<u32>,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

impl PeerCredentials {
    /// Asks the kernel. Does not block.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when it is not a connected Unix socket.
    #[doc(alias = "SO_PEERCRED")]
    pub fn of(socket: impl AsFd) -> Result<Self> {
        // Not through rustix, whose process number cannot hold the kernel's 0.
        let mut peer = libc::ucred {
            pid: 0,
            uid: 0,
            gid: 0,
        };
        // Twelve bytes.
        let mut length = libc::socklen_t::try_from(size_of::<libc::ucred>()).unwrap_or(0);
        // SAFETY: getsockopt(2): the descriptor is open for the call; SO_PEERCRED writes one `struct ucred` (unix(7)), at
        // most `length` bytes, to `peer`; both pointers are to locals that live through the call.
        let result = unsafe {
            libc::getsockopt(
                socket.as_fd().as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERCRED,
                (&raw mut peer).cast(),
                &raw mut length,
            )
        };
        if result != 0 {
            return Err(Error::os("SO_PEERCRED", io::Error::last_os_error()));
        }
        Ok(Self {
            pid: u32::try_from(peer.pid).ok().filter(|pid| *pid != 0),
            uid: peer.uid,
            gid: peer.gid,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn the_other_end_of_a_pair_is_this_process() {
        let (here, there) = UnixStream::pair().expect("sockets");
        let peer = PeerCredentials::of(&here).expect("connected");
        assert_eq!(peer.pid, Some(std::process::id()));
        assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
        assert_eq!(PeerCredentials::of(&there).expect("connected"), peer);
    }

    #[test]
    fn what_is_no_socket_is_an_error() {
        let file = std::fs::File::open("/dev/null").expect("a device");
        let error = PeerCredentials::of(&file).expect_err("no socket");
        assert!(error.to_string().contains("SO_PEERCRED"), "{error}");
    }
}
