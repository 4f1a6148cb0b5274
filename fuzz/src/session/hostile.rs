//! The peer: a socket and a ring in the hands of a script.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::Ordering;

use lucarne::negotiate::{Strike, StrikeReason};
use lucarne::{
    Usage,
    kernel::{Memfd, SharedWords},
};
use lucarne_stream::Delivery;
use lucarne_stream::wire::{Farewell, FarewellReason, FenceFor, Hello, ImportFailed, Message};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};

/// More descriptors than any message has.
const MOST: usize = 80;

/// The bytes that decide.
#[derive(Debug)]
pub(super) struct Script<'a> {
    bytes: &'a [u8],
    steps: usize,
}

impl<'a> Script<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, steps: 0 }
    }

    /// The next step's byte, until the bytes are over, or it has been enough for one run.
    pub(super) fn next(&mut self) -> Option<u8> {
        self.steps += 1;
        (self.steps <= 64 && !self.bytes.is_empty()).then(|| self.byte())
    }

    pub(super) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else {
            return 0;
        };
        self.bytes = rest;
        *first
    }

    pub(super) fn number(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.bytes.split_at(count.min(self.bytes.len()));
        self.bytes = rest;
        taken
    }
}

pub(super) fn seqpacket() -> OwnedFd {
    let flags = SocketFlags::CLOEXEC;
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
        .expect("a socket")
}

/// A connection without manners.
#[derive(Debug)]
pub(super) struct Hostile {
    socket: OwnedFd,
    /// The ring that was given out last, and its generation.
    pub(super) ring: Option<SharedWords<512>>,
    generation: u64,
}

impl Hostile {
    pub(super) fn connect(folder: &Path) -> Self {
        let socket = seqpacket();
        let address = SocketAddrUnix::new(folder.join("scene")).expect("short enough");
        rustix::net::connect(&socket, &address).expect("somebody listens");
        Self::of(socket)
    }

    pub(super) fn of(socket: OwnedFd) -> Self {
        Self {
            socket,
            ring: None,
            generation: 1,
        }
    }

    /// Sends anything; the other side may not read, or have hung up.
    pub(super) fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(fds)));
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let parts = [IoSlice::new(bytes)];
        let _ = rustix::net::sendmsg(&self.socket, &parts, &mut control, flags);
    }

    fn say(&self, message: &Message, fds: &[BorrowedFd<'_>]) {
        self.send(&message.encode().expect("a message"), fds);
    }

    /// Reads what came; keeps the newest ring.
    pub(super) fn hear(&mut self) {
        let mut bytes = vec![0; 65_536];
        for _ in 0..64 {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
            let mut parts = [IoSliceMut::new(&mut bytes)];
            let received = rustix::net::recvmsg(&self.socket, &mut parts, &mut control, flags);
            let Ok(received) = received.map(|received| received.bytes) else {
                return;
            };
            if received == 0 {
                return;
            }
            let mut fds: Vec<OwnedFd> = Vec::new();
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(rights) = message {
                    fds.extend(rights);
                }
            }
            let message = Message::decode(&bytes[..received]).expect("honest messages are right");
            if let Message::Configure(configure) = message {
                let memory = Memfd::new(fds.swap_remove(0)).expect("sealed");
                self.ring = Some(SharedWords::new(&memory).expect("mapped"));
                self.generation = configure.generation;
            }
        }
    }

    /// The slot of the newest frame, and its number.
    fn published(&self) -> (usize, u64) {
        let Some(ring) = &self.ring else {
            return (0, 1);
        };
        let get = |word: usize| ring.word(word).load(Ordering::Acquire);
        let head = get(24);
        let slot = (0..16).find(|slot| get(64 + 8 * slot) == head << 4 | 1);
        (slot.unwrap_or(0), head)
    }

    /// What a consumer says, when the script says so.
    fn message(&self, act: u8, script: &mut Script<'_>) -> Message {
        let (slot, sequence) = self.published();
        let generation = match script.byte() {
            0 => script.number(),
            _ => self.generation,
        };
        match act % 16 {
            0 => {
                let mut offer = super::offer(Usage::SAMPLE);
                let keep = usize::from(script.byte());
                offer.entries.truncate(keep.max(1));
                let delivery = if act & 16 == 0 {
                    Delivery::Latest
                } else {
                    Delivery::Every
                };
                Message::Hello(Box::new(Hello {
                    lowest: 1,
                    highest: 1 + u32::from(act >> 5),
                    delivery,
                    usage: Usage::SAMPLE,
                    offer,
                }))
            }
            1 => Message::Ready(generation),
            2 => Message::Fence(FenceFor {
                generation,
                sequence,
                slot,
            }),
            3 => Message::ImportFailed(ImportFailed {
                generation,
                strike: Strike {
                    path: lucarne::MemoryPath::HostMemory,
                    format: (act & 16 == 0).then_some(lucarne::Format::XRGB8888),
                    modifier: (act & 32 == 0).then_some(lucarne::Modifier::LINEAR),
                    reason: StrikeReason::ImportFailed("does not want to".to_owned()),
                },
            }),
            4 => Message::Drained(generation),
            5 => Message::Wake,
            6 => Message::Goodbye(Farewell::new(FarewellReason::Done, "")),
            _ => Message::Describe(1, 1),
        }
    }

    /// One step of the script: as a consumer would, and not.
    pub(super) fn act(&mut self, act: u8, script: &mut Script<'_>) {
        match act % 16 {
            0..=6 => {
                let message = self.message(act, script);
                let count = message.descriptors();
                self.with_descriptors(count, if act & 128 == 0 { 0 } else { 1 }, |fds| {
                    self.say(&message, fds);
                });
            }
            // The same, and some bytes of it changed, with other descriptors.
            7 | 8 => {
                let kind = script.byte();
                let mut bytes = self.message(kind, script).encode().expect("a message");
                for _ in 0..1 + act / 64 {
                    let at = usize::from(script.byte()) * usize::from(1 + kind / 64) % bytes.len();
                    bytes[at] ^= script.byte();
                }
                let count = usize::from(script.byte() % 4);
                self.with_descriptors(count, script.byte(), |fds| self.send(&bytes, fds));
            }
            9 => {
                let count = usize::from(script.byte());
                let bytes = script.take(count);
                let count = usize::from(script.byte()) % MOST;
                self.with_descriptors(count, act / 16, |fds| self.send(bytes, fds));
            }
            10 | 11 => self.write(act, script),
            12 => {
                let how = [rustix::net::Shutdown::Read, rustix::net::Shutdown::Write];
                let _ = rustix::net::shutdown(&self.socket, how[usize::from(act >> 7)]);
            }
            _ => self.hear(),
        }
    }

    /// A word of the ring: a state that is right for the newest frame, or anything.
    pub(super) fn write(&self, act: u8, script: &mut Script<'_>) {
        let (slot, sequence) = self.published();
        let Some(ring) = &self.ring else {
            return;
        };
        let (word, value) = if act & 16 == 0 {
            (64 + 8 * slot, sequence << 4 | u64::from(act >> 5))
        } else {
            let word = usize::from(script.byte()) * 2 + usize::from(act >> 7);
            (word, script.number() >> (script.byte() % 64))
        };
        ring.word(word).store(value, Ordering::Release);
    }

    /// So many descriptors of a kind: eventfds, one of them many times, pipes, memory that may shrink, or memory.
    pub(super) fn with_descriptors(
        &self,
        count: usize,
        kind: u8,
        send: impl FnOnce(&[BorrowedFd<'_>]),
    ) {
        let flags = rustix::event::EventfdFlags::CLOEXEC;
        let event =
            |_| rustix::event::eventfd(u32::from(kind & 1 == 0), flags).expect("an eventfd");
        let flags = rustix::fs::MemfdFlags::CLOEXEC | rustix::fs::MemfdFlags::ALLOW_SEALING;
        let one: Vec<OwnedFd> = match kind % 5 {
            0 | 1 => (0..count).map(event).collect(),
            2 => vec![rustix::pipe::pipe().expect("a pipe").0],
            3 => vec![rustix::fs::memfd_create("loose", flags).expect("a memfd")],
            _ => vec![event(0)],
        };
        let all = one
            .iter()
            .cycle()
            .take(if one.is_empty() { 0 } else { count });
        let all: Vec<BorrowedFd<'_>> = all.map(AsFd::as_fd).collect();
        send(&all);
    }
}
