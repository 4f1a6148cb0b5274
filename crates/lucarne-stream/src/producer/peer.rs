//! One connection, as the producer sees it.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use lucarne::{
    Fence, Frame,
    kernel::{Memfd, PeerCredentials, SyncFile},
};

use rustix::event::epoll;

use crate::deadline::Deadline;
use crate::descriptor;
use crate::error::{Error, Result};
use crate::frame_message;
use crate::ring::{Bed, Collected, FrameNote, RING_BYTES, RingProducer, RingWords, slots_of};
use crate::socket::{Inbox, Socket};
use crate::wire::{
    Configure, ConsumerDetails, DETAILS_VERSION, Delivery, Farewell, FenceFor, Hello, MAX_SLOTS,
    Malformed, Message,
};

/// The most fences that are kept for frames which have not come back.
const MAX_FENCES: usize = 2 * MAX_SLOTS;

/// The most fences that are sent to a consumer which takes no frame.
const MAX_UNREAD: usize = 4 * MAX_SLOTS;

/// A consumer that wants frames.
#[derive(Debug)]
pub(super) struct Joined {
    /// Its device's name.
    pub(super) name: String,
    pub(super) delivery: Delivery,
    /// The protocol version that both speak.
    pub(super) version: u32,
}

#[derive(Debug)]
struct Ring {
    generation: u64,
    end: RingProducer<RingWords>,
    memory: Memfd,
}

impl Ring {
    fn new(generation: u64, slots: usize) -> Result<Self> {
        let memory = Memfd::create("lucarne-ring", RING_BYTES)?;
        let words = RingWords::new(&memory)?;
        Ok(Self {
            generation,
            end: RingProducer::new(words, generation, slots),
            memory,
        })
    }
}

/// A frame on its way to every consumer.
#[derive(Debug)]
pub(super) struct Outgoing<'a> {
    pub(super) of: FenceFor,
    pub(super) note: FrameNote,
    /// The acquire fence, where it goes by mail.
    pub(super) mailed: Option<&'a SyncFile>,
}

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: u64,
    socket: Socket,
    pub(super) credentials: PeerCredentials,
    /// Until its Hello it has said nothing.
    pub(super) joined: Option<Joined>,
    /// What it has greeted with, while it waits to be let in.
    pub(super) waiting: Option<Box<Hello>>,
    /// Frames that it has to give back before it has the whole patience for good, and those that it has.
    pub(super) proof: u32,
    returned: u32,
    /// The stream's last frame before its first, and how many it missed since.
    begun: u64,
    dropped: u64,
    /// When it must have answered.
    pub(super) deadline: Option<Deadline>,
    /// Those that it is ready for: the ring in use, and perhaps the one after it.
    rings: Vec<Ring>,
    /// The one that it is being configured for.
    trial: Option<Ring>,
    /// The newest generation that it was sent; 0 before the first.
    sent: u64,
    fences: Vec<(FenceFor, SyncFile)>,
    /// Messages that came while a fence was looked for.
    kept: VecDeque<(Message, Vec<OwnedFd>)>,
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
            joined: None,
            waiting: None,
            proof: 0,
            returned: 0,
            begun: 0,
            dropped: 0,
            deadline: Some(Deadline::new(patience)),
            rings: Vec::new(),
            trial: None,
            sent: 0,
            // Room for all: none is made while frames go out.
            fences: Vec::with_capacity(MAX_FENCES),
            kept: VecDeque::new(),
            unread: 0,
        }
    }

    /// Whether it gets frames, now or from the next generation on.
    pub(super) fn is_served(&self) -> bool {
        !self.rings.is_empty()
    }

    /// Whether it has given back so many frames that its patience is its own.
    pub(super) fn is_proven(&self) -> bool {
        self.returned >= self.proof
    }

    /// It gets frames from now on: the stream's last one is `sequence`.
    pub(super) fn begin(&mut self, sequence: u64) {
        self.begun = sequence;
        self.dropped = 0;
    }

    /// How it fares, on a stream whose last frame is `sequence`. `None` for one that has not greeted.
    pub(super) fn details(&self, sequence: u64) -> Option<ConsumerDetails> {
        let joined = self.joined.as_ref()?;
        let newest = self.rings.last();
        let latency = newest.filter(|_| joined.version >= DETAILS_VERSION);
        let latency = latency.map_or(0, |ring| ring.end.latency());
        let frames = newest.map_or(0, |_| sequence.saturating_sub(self.begun));
        Some(ConsumerDetails {
            number: self.id,
            frames,
            dropped: self.dropped.min(frames),
            latency: (latency != 0).then(|| Duration::from_nanos(latency)),
            pid: self.credentials.pid,
            delivery: joined.delivery,
            held: self.out().count(),
            is_served: self.is_served(),
            name: joined.name.clone(),
        })
    }

    /// Has `epoll` tell of its messages, or only of its end.
    pub(super) fn hear(&self, epoll: &OwnedFd, messages: bool) -> Result<()> {
        let mut flags = epoll::EventFlags::RDHUP;
        flags.set(epoll::EventFlags::IN, messages);
        epoll::modify(
            epoll,
            &self.socket,
            epoll::EventData::new_u64(self.id),
            flags,
        )
        .map_err(|errno| Error::os("epoll_ctl", errno))
    }

    fn every_ring(&self) -> impl Iterator<Item = &Ring> {
        self.rings.iter().chain(&self.trial)
    }

    pub(super) fn announce_sleep(&self) {
        for ring in self.every_ring() {
            ring.end.announce_sleep();
        }
    }

    pub(super) fn awake(&self) {
        for ring in self.every_ring() {
            ring.end.awake();
        }
    }

    /// Sends it a generation to import, with a ring of its own. What it was configured for before and is not `current` will
    /// never be in use.
    pub(super) fn configure(
        &mut self,
        configure: Configure,
        frames: &[Frame],
        current: Option<u64>,
    ) -> Result<()> {
        let generation = configure.generation;
        let ring = Ring::new(generation, frames.len())?;
        let mut fds = vec![ring.memory.as_fd()];
        fds.extend(frames.iter().flat_map(frame_message::borrow_descriptors));
        self.send(&Message::Configure(Box::new(configure)), &fds)?;
        self.rings.retain(|ring| Some(ring.generation) == current);
        self.trial = Some(ring);
        self.sent = generation;
        Ok(())
    }

    /// Refuses a message about a generation that it was never sent.
    pub(super) fn check_sent(&self, message: &Message) -> Result<()> {
        let generation = match message {
            Message::Ready(generation) | Message::Drained(generation) => *generation,
            Message::ImportFailed(failed) => failed.generation,
            Message::Fence(of) => of.generation,
            _ => return Ok(()),
        };
        // Before its Hello none of these is expected, whatever it says.
        if generation <= self.sent || self.joined.is_none() {
            return Ok(());
        }
        let limit = format!("at most {}, the newest that was sent", self.sent);
        Err(Malformed::new("generation", generation, limit).into())
    }

    /// It has answered: it is ready for the generation that it was configured for, or could not import it.
    pub(super) fn end_trial(&mut self, is_ready: bool) {
        self.deadline = None;
        let ring = self.trial.take();
        self.rings.extend(ring.filter(|_| is_ready));
    }

    /// Goes over to a generation. Frames of earlier ones, which some may have imported before another could not, come no more.
    pub(super) fn move_on(&mut self, generation: u64) -> Result<()> {
        self.rings.retain(|ring| ring.generation >= generation);
        self.trial = self
            .trial
            .take()
            .filter(|ring| ring.generation >= generation);
        match generation {
            ..=1 => Ok(()),
            _ if self.joined.is_none() => Ok(()),
            _ => self.send(&Message::Retire(generation - 1), &[]),
        }
    }

    /// Tells it something about the stream, once it was sent a generation.
    pub(super) fn tell(&mut self, message: &Message) -> Result<()> {
        if self.every_ring().next().is_none() {
            return Ok(());
        }
        self.send(message, &[])
    }

    /// Sends what ends the connection. It may not be reading any more; the hang-up tells it as well.
    pub(super) fn send_farewell(&mut self, farewell: Farewell) {
        let message = if self.is_served() {
            Message::Goodbye(farewell)
        } else {
            Message::Refused(farewell)
        };
        let _ = self.send(&message, &[]);
    }

    /// Sends a message, and tells a consumer that is awake to look for it.
    pub(super) fn send(&mut self, message: &Message, fds: &[BorrowedFd<'_>]) -> Result<()> {
        self.socket.send(message, fds)?;
        for ring in self.rings.iter_mut().chain(&mut self.trial) {
            ring.end.mailed();
            // A fence goes before its frame, which wakes.
            if !matches!(message, Message::Fence(_)) && ring.end.mail_wakes() {
                ring.end.wake_at_word();
            }
        }
        Ok(())
    }

    /// The next message. Does not block.
    pub(super) fn receive(&mut self, inbox: &mut Inbox) -> Result<Option<(Message, Vec<OwnedFd>)>> {
        match self.kept.pop_front() {
            Some(kept) => Ok(Some(kept)),
            None => self.socket.receive(inbox),
        }
    }

    /// Whether messages have been read and not handled.
    pub(super) fn has_kept(&self) -> bool {
        !self.kept.is_empty()
    }

    /// Publishes a frame, if it gets frames of that generation: true if it did. `back` hears of each older frame that it did
    /// not take, by slot.
    #[inline]
    pub(super) fn publish(
        &mut self,
        frame: &Outgoing<'_>,
        mut back: impl FnMut(usize),
    ) -> Result<bool> {
        let FenceFor {
            generation,
            sequence,
            slot,
        } = frame.of;
        let is_latest = match &self.joined {
            Some(joined) => joined.delivery == Delivery::Latest,
            None => return Ok(false),
        };
        let Some(at) = self.ring_of(generation) else {
            self.dropped += 1;
            return Ok(false);
        };
        if let Some(fence) = frame.mailed {
            match self.send_fence(frame.of, fence, is_latest) {
                Ok(()) => {}
                // A display misses a frame; a recorder must not.
                Err(Error::SocketFull) if is_latest => {
                    self.dropped += 1;
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        let ring = &mut self.rings[at].end;
        let asleep = ring.publish(slot, sequence, &frame.note);
        if is_latest {
            for older in ring.take_back_all_but(slot) {
                self.dropped += 1;
                back(older);
            }
        }
        match asleep {
            Some(Bed::Word) => ring.wake_at_word(),
            Some(Bed::Socket) => self.socket.wake(),
            None => {}
        }
        Ok(true)
    }

    fn send_fence(&mut self, of: FenceFor, fence: &SyncFile, is_latest: bool) -> Result<()> {
        if is_latest && self.unread >= MAX_UNREAD {
            return Err(Error::SocketFull);
        }
        self.send(&Message::Fence(of), &[fence.as_fd()])?;
        self.unread += 1;
        Ok(())
    }

    #[inline]
    fn ring_of(&self, generation: u64) -> Option<usize> {
        let mut rings = self.rings.iter();
        rings.position(|ring| ring.generation == generation)
    }

    /// Every frame that it has, as slot and sequence number.
    pub(super) fn out(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.rings.iter().flat_map(|ring| ring.end.all_out())
    }

    /// The slots that it has of a generation.
    pub(super) fn out_of(&self, generation: u64) -> impl Iterator<Item = usize> + '_ {
        let rings = self.rings.iter();
        let rings = rings.filter(move |ring| ring.generation == generation);
        rings
            .flat_map(|ring| ring.end.all_out())
            .map(|(slot, _)| slot)
    }

    /// Looks which slots of a generation have come back from it. `released` hears of each, with the fence that says when the
    /// reading ends, if it has not: the slot is back, whatever becomes of its fence.
    #[inline]
    pub(super) fn collect(
        &mut self,
        generation: u64,
        inbox: &mut Inbox,
        mut released: impl FnMut(usize, Option<Fence>),
    ) -> Result<()> {
        let Some(at) = self.ring_of(generation) else {
            return Ok(());
        };
        let (back, others) = self.rings[at].end.collect_released();
        if back != 0 {
            // It reads what it is sent.
            self.unread = 0;
        }
        for slot in slots_of(back) {
            released(slot, None);
        }
        if others == 0 {
            return Ok(());
        }
        self.collect_others(at, others, inbox, released)
    }

    /// Slots that come back with a fence, or against the protocol.
    #[cold]
    fn collect_others(
        &mut self,
        at: usize,
        others: u32,
        inbox: &mut Inbox,
        mut released: impl FnMut(usize, Option<Fence>),
    ) -> Result<()> {
        for slot in slots_of(others) {
            let ring = &mut self.rings[at];
            let (generation, sequence) = (ring.generation, ring.end.out(slot).unwrap_or_default());
            let fence = match ring.end.collect(slot)? {
                Collected::Held => continue,
                Collected::Released => None,
                Collected::ReleasedMailed => {
                    let of = FenceFor {
                        generation,
                        sequence,
                        slot,
                    };
                    let taken = self.take_fence(of, inbox);
                    Some(taken.inspect_err(|_| released(slot, None))?)
                }
            };
            self.unread = 0;
            self.returned = self.returned.saturating_add(1);
            released(slot, fence);
        }
        Ok(())
    }

    /// Keeps the release fence of a frame that will come back.
    pub(super) fn keep_fence(&mut self, of: FenceFor, fd: OwnedFd) -> Result<()> {
        // A frame of a generation that is over needs none.
        let Some(at) = self.ring_of(of.generation) else {
            return Ok(());
        };
        let ring = &self.rings[at].end;
        of.check_slot(ring.slots())?;
        let is_out = ring.out(of.slot) == Some(of.sequence);
        let again = self.fences.iter().any(|(kept, _)| *kept == of);
        if !is_out || again || self.fences.len() >= MAX_FENCES {
            return Err(Error::Unexpected {
                message: "Fence",
                expected: "one for each frame that is out",
            });
        }
        self.fences.push((of, descriptor::accept_fence(fd)?));
        Ok(())
    }

    /// The fence that came for a frame, or lies in the socket: it was sent before the frame was released.
    fn take_fence(&mut self, of: FenceFor, inbox: &mut Inbox) -> Result<Fence> {
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
}
