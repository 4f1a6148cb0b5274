//! Closing what a peer sent, where that may take for ever.
//!
//! To close a file of a file system in user space (FUSE) is to wait for its server, which may be the peer; a TCP socket of
//! the peer's may linger. Neither has a deadline. So whatever is of no kind that the protocol knows is closed on a thread of
//! its own, which begins with the first of them and ends with the last: honest peers never send one.

use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

/// With so many to close no further connection is made: more than a hostile peer can send on one.
const MOST: usize = 256;

#[derive(Debug)]
struct Closer {
    fds: Vec<OwnedFd>,
    at_work: bool,
}

static CLOSER: Mutex<Closer> = Mutex::new(Closer {
    fds: Vec::new(),
    at_work: false,
});

fn closer() -> MutexGuard<'static, Closer> {
    // Valid after every single operation on it.
    CLOSER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Closes a descriptor of any kind, sooner or later. Does not block.
pub(crate) fn close(fd: OwnedFd) {
    let mut closer = closer();
    closer.fds.push(fd);
    if !closer.at_work {
        // Without a thread they wait for the next one, which is tried with the next descriptor.
        let thread = Builder::new().name("lucarne-close".to_owned());
        closer.at_work = thread.spawn(close_all).is_ok();
    }
}

fn close_all() {
    loop {
        let next = {
            let mut closer = closer();
            let next = closer.fds.pop();
            closer.at_work = next.is_some();
            next
        };
        match next {
            Some(fd) => drop(fd),
            None => return,
        }
    }
}

/// Whether so many wait to be closed that a peer may be at work on it.
pub(crate) fn is_backed_up() -> bool {
    closer().fds.len() >= MOST
}
