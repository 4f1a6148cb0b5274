//! A peer that sends what it likes.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::Ordering;

use lucarne::{
    Usage,
    kernel::{Memfd, SharedWords},
};
use lucarne_stream::Delivery;
use lucarne_stream::wire::{Configure, Farewell, Hello, Message};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};

use super::common::{offer, until};

fn seqpacket() -> OwnedFd {
    let flags = SocketFlags::CLOEXEC;
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
        .expect("a socket")
}

/// A connection without any manners.
#[derive(Debug)]
pub(crate) struct Raw {
    socket: OwnedFd,
}

impl Raw {
    /// Connects to a producer, and says nothing.
    pub(crate) fn connect(folder: &Path) -> Self {
        let socket = seqpacket();
        let address = SocketAddrUnix::new(folder.join("scene")).expect("short enough");
        rustix::net::connect(&socket, &address).expect("somebody listens");
        Self { socket }
    }

    /// Takes a producer's place.
    pub(crate) fn listen(folder: &Path) -> OwnedFd {
        let socket = seqpacket();
        let address = SocketAddrUnix::new(folder.join("scene")).expect("short enough");
        rustix::net::bind(&socket, &address).expect("bound");
        rustix::net::listen(&socket, 8).expect("listens");
        socket
    }

    pub(crate) fn accept(listener: &OwnedFd) -> Self {
        let socket = rustix::net::accept(listener).expect("somebody connects");
        Self { socket }
    }

    /// Sends anything. False where the other side has hung up or does not read.
    pub(crate) fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> bool {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(fds)));
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        rustix::net::sendmsg(&self.socket, &[IoSlice::new(bytes)], &mut control, flags).is_ok()
    }

    pub(crate) fn say(&self, message: &Message) -> bool {
        self.send(&message.encode().expect("a message"), &[])
    }

    pub(crate) fn hello(&self, delivery: Delivery) {
        let hello = Hello {
            lowest: 1,
            highest: 1,
            delivery,
            usage: Usage::SAMPLE,
            offer: offer(Usage::SAMPLE),
        };
        assert!(self.say(&Message::Hello(Box::new(hello))));
    }

    /// The next message, if there is one; `Err` once the other side has hung up.
    pub(crate) fn hear(&self) -> Result<Option<(Message, Vec<OwnedFd>)>, ()> {
        let mut bytes = vec![0; 65_536];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let received = rustix::net::recvmsg(&self.socket, &mut parts, &mut control, flags);
        let length = match received {
            Ok(received) => received.bytes,
            Err(rustix::io::Errno::AGAIN) => return Ok(None),
            Err(_) => return Err(()),
        };
        if length == 0 {
            return Err(());
        }
        let mut fds = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        let message = Message::decode(&bytes[..length]).expect("honest messages are right");
        Ok(Some((message, fds)))
    }

    /// Waits for the other side's farewell and its hang-up, while `serve` keeps that side going.
    pub(crate) fn farewell(&self, mut serve: impl FnMut()) -> Option<Farewell> {
        let mut last = None;
        until("the other side hangs up", || {
            serve();
            match self.hear() {
                Ok(Some((Message::Refused(farewell) | Message::Goodbye(farewell), _))) => {
                    last = Some(farewell);
                    false
                }
                Ok(_) => false,
                Err(()) => true,
            }
        });
        last
    }

    /// Waits for a Configure, and gives it with its ring.
    pub(crate) fn configure(&self, mut serve: impl FnMut()) -> (Configure, Ring) {
        let mut found = None;
        until("a Configure comes", || {
            serve();
            if let Ok(Some((Message::Configure(configure), fds))) = self.hear() {
                found = Some((*configure, Ring::of_configure(fds)));
            }
            found.is_some()
        });
        found.expect("it came")
    }
}

/// A ring in the hands of somebody who writes what they like. Words as docs/protocol.md numbers them.
#[derive(Debug)]
pub(crate) struct Ring {
    words: SharedWords<512>,
}

impl Ring {
    pub(crate) fn new() -> (Memfd, Self) {
        let memory = Memfd::create("ring", 4096).expect("a memfd");
        let words = SharedWords::new(&memory).expect("mapped");
        (memory, Self { words })
    }

    /// The ring that came with a Configure.
    pub(crate) fn of_configure(fds: Vec<OwnedFd>) -> Self {
        let ring = fds.into_iter().next().expect("the ring comes first");
        let words = Memfd::new(ring).expect("sealed");
        let words = SharedWords::new(&words).expect("mapped");
        Self { words }
    }

    pub(crate) fn get(&self, word: usize) -> u64 {
        self.words.word(word).load(Ordering::Acquire)
    }

    pub(crate) fn set(&self, word: usize, value: u64) {
        self.words.word(word).store(value, Ordering::Release);
    }

    /// The slot that was published under the newest number, if it still is.
    pub(crate) fn published(&self) -> Option<(usize, u64)> {
        let head = self.get(24);
        let state = |slot: &usize| self.get(64 + 8 * slot) == head << 4 | 1;
        (0..16).find(state).map(|slot| (slot, head))
    }
}

/// The descriptors of frames, for a Configure.
pub(crate) fn of(memory: &[Memfd]) -> Vec<BorrowedFd<'_>> {
    memory.iter().map(|memfd| memfd.as_fd()).collect()
}
