//! What a program that hands frames over by hand writes once: a socket, and a page of counters beside it.
//!
//! The counters say how many frames were published and how many are done with. A side that sleeps says so in the page, looks
//! once more, and blocks in `recv`; the other sends it one byte then. Nothing is checked and nothing is agreed on: both
//! ends are the same program.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::{Duration, Instant};

use lucarne::kernel::{Memfd, SharedWords};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sockopt,
};

use crate::Result;

/// Frames that may be under way.
pub(crate) const SLOTS: usize = 3;
/// Nobody waits for longer than this: the other side has died.
const PATIENCE: Duration = Duration::from_secs(60);

// Words of the page, each in a cache line of its own.
const PUBLISHED: usize = 0;
const DONE: usize = 8;
const PRODUCER_SLEEPS: usize = 16;
const CONSUMER_SLEEPS: usize = 24;

/// One end.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) socket: OwnedFd,
    page: SharedWords<512>,
}

impl Link {
    /// Waits for the consumer at `path`, and gives it the page and `fds` with `message`.
    pub(crate) fn listen(path: &Path, message: &[u8], fds: &[BorrowedFd<'_>]) -> Result<Self> {
        let listener = socket()?;
        rustix::net::bind(&listener, &SocketAddrUnix::new(path)?)?;
        rustix::net::listen(&listener, 1)?;
        let flags = SocketFlags::CLOEXEC;
        let socket = rustix::net::accept_with(&listener, flags)?;
        be_patient(&socket)?;
        let memory = Memfd::create("lucarne-bench", 4096)?;
        let page = SharedWords::new(&memory)?;
        let all: Vec<_> = std::iter::once(memory.as_fd())
            .chain(fds.iter().copied())
            .collect();
        send(&socket, message, &all)?;
        Ok(Self { socket, page })
    }

    /// Connects to the producer at `path`; its message and descriptors come back.
    pub(crate) fn connect(path: &Path, message: &mut [u8]) -> Result<(Self, Vec<OwnedFd>)> {
        let until = Instant::now() + PATIENCE;
        let socket = socket()?;
        let address = SocketAddrUnix::new(path)?;
        while let Err(error) = rustix::net::connect(&socket, &address) {
            if Instant::now() >= until {
                return Err(error.into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        be_patient(&socket)?;
        let (_, mut fds) = receive(&socket, message)?;
        if fds.is_empty() {
            return Err("the producer has sent no page".into());
        }
        let memory = Memfd::new(fds.remove(0))?;
        let page = SharedWords::new(&memory)?;
        Ok((Self { socket, page }, fds))
    }

    /// Waits until the slot of the next frame is free, and gives its number.
    pub(crate) fn acquire(&self) -> Result<usize> {
        let published = self.word(PUBLISHED).load(Ordering::Relaxed);
        let free = || published - self.word(DONE).load(Ordering::Acquire) < SLOTS as u64;
        self.wait(PRODUCER_SLEEPS, free)?;
        Ok(slot(published))
    }

    /// Publishes the slot that was acquired.
    pub(crate) fn publish(&self) -> Result<()> {
        self.count(PUBLISHED, CONSUMER_SLEEPS)
    }

    /// Waits for the next frame, and gives its slot.
    pub(crate) fn next(&self) -> Result<usize> {
        let done = self.word(DONE).load(Ordering::Relaxed);
        let there = || self.word(PUBLISHED).load(Ordering::Acquire) > done;
        self.wait(CONSUMER_SLEEPS, there)?;
        Ok(slot(done))
    }

    /// Gives the slot of the frame back.
    pub(crate) fn release(&self) -> Result<()> {
        self.count(DONE, PRODUCER_SLEEPS)
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        self.page.word(index)
    }

    fn count(&self, counter: usize, sleeps: usize) -> Result<()> {
        let counter = self.word(counter);
        let next = counter.load(Ordering::Relaxed) + 1;
        counter.store(next, Ordering::Release);
        fence(Ordering::SeqCst);
        let sleeps = self.word(sleeps);
        if sleeps.load(Ordering::Relaxed) != 0 && sleeps.swap(0, Ordering::Relaxed) != 0 {
            rustix::net::send(&self.socket, &[0], SendFlags::NOSIGNAL)?;
        }
        Ok(())
    }

    fn wait(&self, sleeps: usize, ready: impl Fn() -> bool) -> Result<()> {
        let sleeps = self.word(sleeps);
        while !ready() {
            sleeps.store(1, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            if !ready() {
                let mut byte = [0];
                let (got, _) = rustix::net::recv(&self.socket, &mut byte, RecvFlags::empty())?;
                if got == 0 {
                    return Err("the other side is gone".into());
                }
            }
            sleeps.store(0, Ordering::Relaxed);
        }
        Ok(())
    }
}

fn slot(frame: u64) -> usize {
    usize::try_from(frame % SLOTS as u64).unwrap_or_default()
}

fn socket() -> Result<OwnedFd> {
    let kind = SocketType::SEQPACKET;
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, kind, flags, None)?;
    Ok(socket)
}

fn be_patient(socket: &OwnedFd) -> Result<()> {
    sockopt::set_socket_timeout(socket, sockopt::Timeout::Recv, Some(PATIENCE))?;
    Ok(())
}

/// Sends one message with descriptors, which stay the caller's.
pub(crate) fn send(socket: &OwnedFd, message: &[u8], fds: &[BorrowedFd<'_>]) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SLOTS + 1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err("more descriptors than there is room for".into());
    }
    let parts = [IoSlice::new(message)];
    rustix::net::sendmsg(socket, &parts, &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Waits for one message, and gives its length and descriptors.
pub(crate) fn receive(socket: &OwnedFd, message: &mut [u8]) -> Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SLOTS + 1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(message)];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = rustix::net::recvmsg(socket, &mut parts, &mut control, flags)?;
    if received.bytes == 0 {
        return Err("the other side is gone".into());
    }
    let mut fds = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = part {
            fds.extend(rights);
        }
    }
    Ok((received.bytes, fds))
}
