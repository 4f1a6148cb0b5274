//! One consumer, as its producer sees it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use lucarne::negotiate::Strike;
use lucarne::{
    Fence,
    kernel::{Memfd, PeerCredentials, SharedWords, SyncFile},
};
use rustix::event::epoll;

use super::session::Kept;
use crate::deadline::Deadline;
use crate::descriptor;
use crate::error::{Error, Result};
use crate::ring::{Bed, FenceRoute, FrameNote, RING_BYTES, RingProducer};
use crate::socket::{Inbox, Socket};
use crate::wire::{Delivery, FenceFor, Hello, MAX_SLOTS, Message};

/// The most fences that are kept for frames which have not come back.
const MAX_FENCES: usize = 2 * MAX_SLOTS;

/// The most fences that are sent to a consumer which takes no frame.
const MAX_UNREAD: usize = 4 * MAX_SLOTS;

/// How far a consumer has come.
#[derive(Debug)]
pub(super) enum Stage {
    /// It has said nothing yet.
    Greeting,
    /// It wants frames.
    Joined(Box<Joined>),
}

#[derive(Debug)]
pub(super) struct Joined {
    pub(super) hello: Hello,
    pub(super) struck: Vec<Strike>,
    pub(super) rounds: usize,
}

#[derive(Debug)]
pub(super) struct Ring {
    pub(super) generation: u64,
    pub(super) end: RingProducer<SharedWords>,
    pub(super) memory: Memfd,
    pub(super) ready: bool,
}

impl Ring {
    pub(super) fn new(generation: u64, slots: usize) -> Result<Self> {
        let memory = Memfd::create("lucarne-ring", RING_BYTES)?;
        let words = SharedWords::new(&memory)?;
        Ok(Self {
            generation,
            end: RingProducer::new(words, generation, slots),
            memory,
            ready: false,
        })
    }
}

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: u64,
    pub(super) socket: Socket,
    pub(super) credentials: PeerCredentials,
    pub(super) stage: Stage,
    /// When it must have answered.
    pub(super) deadline: Option<Deadline>,
    /// The ring in use, and the one that it is being configured for.
    pub(super) rings: Vec<Ring>,
    fences: Vec<(FenceFor, SyncFile)>,
    /// Messages that came while a fence was looked for.
    pub(super) kept: Kept,
    /// Fences that were sent since a frame came back: descriptors that lie in the socket, and count against this user.
    unread: usize,
}

impl Peer {
    pub(super) fn new(
        id: u64,
        socket: Socket,
        credentials: PeerCredentials,
        patience: Duration,
    ) -> Self {
        Self {
            id,
            socket,
            credentials,
            stage: Stage::Greeting,
            deadline: Some(Deadline::new(patience)),
            rings: Vec::new(),
            fences: Vec::new(),
            kept: Kept::new(),
            unread: 0,
        }
    }

    pub(super) fn token(&self) -> epoll::EventData {
        epoll::EventData::new_u64(self.id)
    }

    pub(super) fn joined(&self) -> Option<&Joined> {
        match &self.stage {
            Stage::Greeting => None,
            Stage::Joined(joined) => Some(joined),
        }
    }

    /// The newest generation that it was configured for.
    pub(super) fn newest(&self) -> Option<u64> {
        self.rings.iter().map(|ring| ring.generation).max()
    }

    /// Its ring of a generation, once it is ready.
    pub(super) fn serving(&mut self, generation: u64) -> Option<&mut Ring> {
        let mut rings = self.rings.iter_mut();
        rings.find(|ring| ring.generation == generation && ring.ready)
    }

    /// Sends a message, and tells a consumer that is awake to look for it.
    pub(super) fn send(&mut self, message: &Message, fds: &[BorrowedFd<'_>]) -> Result<()> {
        self.socket.send(message, fds)?;
        for ring in &mut self.rings {
            ring.end.mailed();
            // A fence goes before its frame, which wakes.
            if !matches!(message, Message::Fence(_)) {
                ring.end.wake_for_mail();
            }
        }
        Ok(())
    }

    /// Publishes a frame. Says which older frames came back, as slots; `None` where this one did not go out.
    pub(super) fn publish(
        &mut self,
        generation: u64,
        (slot, sequence): (usize, u64),
        note: &FrameNote,
        fence: Option<&SyncFile>,
        back: &mut Vec<usize>,
    ) -> Result<bool> {
        let delivery = self.joined().map(|joined| joined.hello.delivery);
        let Some(delivery) = delivery else {
            return Ok(false);
        };
        if self.serving(generation).is_none() {
            return Ok(false);
        }
        if let (FenceRoute::Mailed, Some(fence)) = (note.fence, fence) {
            let message = Message::Fence(FenceFor {
                generation,
                sequence,
                slot,
            });
            let full = delivery == Delivery::Latest && self.unread >= MAX_UNREAD;
            let sent = if full {
                Err(Error::SocketFull)
            } else {
                self.send(&message, &[fence.as_fd()])
            };
            match sent {
                Ok(()) => self.unread += 1,
                // A display misses a frame; a recorder must not.
                Err(Error::SocketFull) if delivery == Delivery::Latest => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        let Some(ring) = self.serving(generation) else {
            return Ok(false);
        };
        let asleep = ring.end.publish(slot, sequence, note);
        if delivery == Delivery::Latest {
            for older in 0..MAX_SLOTS {
                if older != slot && ring.end.take_back(older) {
                    back.push(older);
                }
            }
        }
        match asleep {
            Some(Bed::Word) => ring.end.wake_at_word(),
            Some(Bed::Socket) => self.socket.wake(),
            None => {}
        }
        Ok(true)
    }

    /// A frame has come back: it reads what it is sent.
    pub(super) fn is_reading(&mut self) {
        self.unread = 0;
    }

    /// Keeps the release fence of a frame that will come back.
    pub(super) fn keep_fence(&mut self, of: FenceFor, fd: OwnedFd) -> Result<()> {
        let out = self.rings.iter().any(|ring| {
            ring.generation == of.generation && ring.end.out(of.slot) == Some(of.sequence)
        });
        // A frame that was cut off meanwhile, or of a generation that is over, needs none.
        if !out {
            return Ok(());
        }
        let again = self.fences.iter().any(|(kept, _)| *kept == of);
        if again || self.fences.len() >= MAX_FENCES {
            return Err(Error::Unexpected {
                message: "Fence",
                expected: "one for each frame that is out",
            });
        }
        self.fences.push((of, descriptor::accept_fence(fd)?));
        Ok(())
    }

    /// The fence that came for a frame, or lies in the socket: it was sent before the frame was released.
    pub(super) fn take_fence(&mut self, of: FenceFor, inbox: &mut Inbox) -> Result<Fence> {
        if let Some(at) = self.fences.iter().position(|(kept, _)| *kept == of) {
            return Ok(Fence::sync_file(self.fences.swap_remove(at).1));
        }
        while self.kept.len() < MAX_FENCES {
            match self.socket.receive(inbox)? {
                Some((Message::Fence(came), mut fds)) if came == of => {
                    if let Some(fd) = fds.pop() {
                        return Ok(Fence::sync_file(descriptor::accept_fence(fd)?));
                    }
                }
                Some((Message::Fence(came), mut fds)) => {
                    if let Some(fd) = fds.pop() {
                        self.keep_fence(came, fd)?;
                    }
                }
                // There is more to say than that it is awake, and that is being read.
                Some((Message::Wake, _)) => {}
                Some((other, fds)) if fds.is_empty() => self.kept.push_back((other, fds)),
                Some((other, _)) => {
                    return Err(Error::Unexpected {
                        message: other.name(),
                        expected: "a message of a consumer's",
                    });
                }
                None => break,
            }
        }
        Err(Error::Unexpected {
            message: "a release that names a Fence",
            expected: "the Fence, before it",
        })
    }

    /// Closes the rings that are not to be kept.
    pub(super) fn drop_rings(&mut self, keep: impl Fn(u64) -> bool) {
        self.rings.retain(|ring| keep(ring.generation));
    }
}
