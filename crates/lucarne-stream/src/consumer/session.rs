//! What happens on the consumer's socket.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use lucarne::negotiate::{Strike, StrikeReason};
use lucarne::{Extent, Rung, kernel::Memfd};
use rustix::event::epoll;
use rustix::io::Errno;

use super::incoming::Incoming;
use super::{Coming, Consumer, ConsumerEvent, LATENCY_DUE, LOOKS, Link};
use crate::descriptor;
use crate::error::{Error, Result};
use crate::frame_message;
use crate::generation::Import;
use crate::ring::{RING_BYTES, RingConsumer, RingWords};
use crate::wire::{
    Configure, Delivery, Farewell, FenceFor, ImportFailed, MAX_SLOTS, Malformed, Message, VERSIONS,
};

/// Messages that are handled before frames have their turn again.
const MESSAGES: usize = 256;
/// The most fences that are kept for frames which have not been taken.
const MAX_FENCES: usize = 2 * MAX_SLOTS;
/// The most generations that a producer can have under way at once.
const MAX_GENERATIONS: usize = 8;

impl<A: Import> Consumer<A> {
    pub(super) fn watch_socket(&self) -> Result<()> {
        let flags = epoll::EventFlags::IN | epoll::EventFlags::RDHUP;
        let token = epoll::EventData::new_u64(0);
        epoll::add(&self.epoll, &*self.socket, token, flags)
            .map_err(|errno| Error::os("epoll_ctl", errno))
    }

    /// Serves the socket: new generations, farewells. Does not block, except for the imports of a new generation.
    ///
    /// # Errors
    ///
    /// Those of the protocol that [`try_receive`](Self::try_receive) names; [`Error::Os`].
    pub fn dispatch(&mut self) -> Result<()> {
        self.serve(true)
    }

    /// As [`dispatch`](Self::dispatch), where no frame waits that a Wake may be for: wake-ups do not pile up in the socket.
    pub(super) fn read_everything(&mut self) -> Result<()> {
        self.serve(false)
    }

    fn serve(&mut self, to_wake: bool) -> Result<()> {
        self.looks = (self.looks + 1) % LOOKS;
        // It stays due until there is a frame: many looks may come before.
        let is_due = self.looks == 0 || self.unlooked >= LATENCY_DUE;
        self.unlooked = if is_due { LATENCY_DUE } else { 0 };
        self.unread = false;
        self.read_socket(to_wake)?;
        self.drain();
        Ok(())
    }

    /// Handles the messages that have come; up to a Wake if told so, as what that is for comes first.
    pub(super) fn read_socket(&mut self, to_wake: bool) -> Result<()> {
        for _ in 0..MESSAGES {
            if matches!(self.link, Link::Lost(_)) || self.is_behind() {
                return Ok(());
            }
            let handled = match self.socket.receive(&mut self.inbox) {
                Ok(Some((Message::Wake, _))) if to_wake => return Ok(()),
                Ok(Some((Message::Wake, _))) => Ok(()),
                Ok(Some((message, fds))) => {
                    for coming in &mut self.comings {
                        coming.mail += 1;
                    }
                    self.handle(message, fds)
                }
                Ok(None) => return Ok(()),
                Err(Error::PeerGone) => {
                    self.lose(None, "the producer is gone");
                    return Ok(());
                }
                Err(error) => Err(error),
            };
            if let Err(error) = handled {
                self.hang_up(&error);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Whether frames of Every have to be taken first: out of generations that are over, of which there are as many as can
    /// be. The fence of such a frame has come before its generation was over.
    fn is_behind(&self) -> bool {
        let untaken = |coming: &Coming<A::Image>| {
            coming.retired && coming.incoming.ring.has_more(coming.last)
        };
        self.options.delivery == Delivery::Every
            && self.comings.len() >= MAX_GENERATIONS
            && self.comings.iter().any(untaken)
    }

    /// Latest misses frames of a generation that is over rather than what comes after it: the fence of the next frame may be
    /// behind another Configure.
    fn make_room(&mut self) {
        let goes =
            |coming: &Coming<A::Image>| coming.retired && Arc::strong_count(&coming.incoming) == 1;
        if self.options.delivery == Delivery::Latest
            && self.comings.len() >= MAX_GENERATIONS
            && let Some(at) = self.comings.iter().position(goes)
        {
            self.let_go(at);
        }
    }

    /// Closes a generation, and says so.
    fn let_go(&mut self, at: usize) {
        let coming = self.comings.remove(at);
        let generation = coming.incoming.configure.generation;
        drop(coming);
        // A producer that does not read it does not need it.
        let _ = self.socket.send(&Message::Drained(generation), &[]);
    }

    fn handle(&mut self, message: Message, mut fds: Vec<OwnedFd>) -> Result<()> {
        match message {
            Message::Configure(configure) => self.configure(*configure, fds),
            Message::Retire(generation) => {
                for coming in &mut self.comings {
                    coming.retired |= coming.incoming.configure.generation <= generation;
                }
                Ok(())
            }
            Message::Fence(of) => match fds.pop() {
                Some(fd) => self.keep_fence(of, fd),
                None => Ok(()),
            },
            Message::Pause => {
                self.events.report(ConsumerEvent::Paused);
                Ok(())
            }
            Message::Resume => {
                self.events.report(ConsumerEvent::Resumed);
                Ok(())
            }
            Message::End => {
                self.events.report(ConsumerEvent::Ended);
                self.link = Link::Ended;
                Ok(())
            }
            Message::Refused(farewell) | Message::Goodbye(farewell) => {
                let text = farewell.text.clone();
                self.lose(Some(farewell), &text);
                Ok(())
            }
            other => Err(Error::Unexpected {
                message: other.name(),
                expected: "Configure, Retire, Fence, Pause, Resume, End, Refused or Goodbye",
            }),
        }
    }

    fn keep_fence(&mut self, of: FenceFor, fd: OwnedFd) -> Result<()> {
        let of_its =
            |coming: &&Coming<A::Image>| coming.incoming.configure.generation == of.generation;
        let Some(coming) = self.comings.iter().find(of_its) else {
            // No frame of that generation comes, or comes any more.
            return Ok(());
        };
        of.check_slot(coming.incoming.frames.len())?;
        // It has been dropped, or came before this consumer did.
        if of.sequence <= self.last {
            return Ok(());
        }
        let mut kept = self.fences.iter().map(|(kept, _)| kept);
        if kept.any(|kept| kept.sequence == of.sequence) {
            return Err(Error::Unexpected {
                message: "Fence",
                expected: "one for each frame",
            });
        }
        // A frame that was taken back leaves its fence behind: the oldest are of no use.
        if self.fences.len() >= MAX_FENCES {
            drop(self.fences.remove(0));
        }
        self.fences.push((of, descriptor::accept_fence(fd)?));
        Ok(())
    }

    /// Imports a generation, and tells the producer whether that worked.
    fn configure(&mut self, configure: Configure, fds: Vec<OwnedFd>) -> Result<()> {
        if configure.generation <= self.newest {
            let limit = format!("more than {}", self.newest);
            let got = configure.generation;
            return Err(Malformed::new("configure.generation", got, limit).into());
        }
        if !(VERSIONS.0..=VERSIONS.1).contains(&configure.version) {
            let limit = format!("{} to {}", VERSIONS.0, VERSIONS.1);
            let got = configure.version;
            return Err(Malformed::new("configure.version", got, limit).into());
        }
        self.check_offered(&configure)?;
        self.drop_superseded();
        self.make_room();
        if self.comings.len() >= MAX_GENERATIONS {
            return Err(Error::Unexpected {
                message: "Configure",
                expected: "Retire of earlier generations",
            });
        }
        let generation = configure.generation;
        self.newest = generation;
        let answer = match self.take_in(configure, fds)? {
            Ok(incoming) => {
                self.welcome(incoming);
                Message::Ready(generation)
            }
            Err(strike) => {
                self.events.report(ConsumerEvent::ImportFailed {
                    number: generation,
                    reason: strike.reason.to_string(),
                });
                Message::ImportFailed(ImportFailed { generation, strike })
            }
        };
        match self.socket.send(&answer, &[]) {
            // What it has sent before it went is still to be read.
            Err(Error::PeerGone) => Ok(()),
            other => other,
        }
    }

    /// Refuses what this consumer never offered: nothing else may reach its driver.
    fn check_offered(&self, configure: &Configure) -> Result<()> {
        let (path, usage) = (configure.rung.path(), self.options.usage);
        let Extent { width, height } = configure.extent;
        for slot in &configure.slots {
            let offered = self.offer.standing().any(|entry| {
                (entry.path, entry.format, entry.tiling) == (path, configure.format, slot.tiling)
                    && entry.usage.contains(usage)
                    && width <= entry.max_extent.width
                    && height <= entry.max_extent.height
            });
            if !offered || configure.consumer_usage != usage {
                let got = format!(
                    "{width}x{height} {} in {path}, {}, for {:?}",
                    configure.format, slot.tiling, configure.consumer_usage
                );
                return Err(Malformed::new("configure", got, "what this consumer offered").into());
            }
        }
        Ok(())
    }

    /// Lets go of generations that were never in use: the first that is not over may be, and the newest that has come; those
    /// between them the producer has given up.
    fn drop_superseded(&mut self) {
        let mut first = true;
        self.comings
            .retain(|coming| coming.retired || std::mem::take(&mut first));
    }

    /// Checks what came, and imports it. The inner error is the import's: something else may work.
    fn take_in(
        &mut self,
        configure: Configure,
        fds: Vec<OwnedFd>,
    ) -> Result<std::result::Result<Incoming<A::Image>, Strike>> {
        let mut fds = fds.into_iter();
        let ring = fds.next().ok_or_else(|| {
            Malformed::new("descriptors", "none", "the ring's, and those of the slots")
        })?;
        let ring = self.open_ring(ring, &configure)?;
        let path = configure.rung.path();
        let mut frames = Vec::new();
        let mut images = Vec::new();
        for slot in &configure.slots {
            let own: Vec<OwnedFd> = fds.by_ref().take(slot.objects).collect();
            let frame = frame_message::assemble(&configure.frame(slot), own)?;
            match self.import.import(&frame) {
                Ok(image) => images.push(image),
                // Not the frame's fault: others can import it.
                Err(error) if crate::error::is_shortage(&error) => return Err(error.into()),
                Err(error) => {
                    return Ok(Err(Strike {
                        path,
                        format: Some(configure.format),
                        modifier: slot.tiling.modifier(),
                        reason: StrikeReason::ImportFailed(error.to_string()),
                    }));
                }
            }
            frames.push(frame);
        }
        Ok(Ok(Incoming {
            configure,
            frames,
            images,
            ring,
            notes: Default::default(),
            socket: self.socket.clone(),
            patience: self.options.patience,
        }))
    }

    fn open_ring(&self, fd: OwnedFd, configure: &Configure) -> Result<RingConsumer<RingWords>> {
        descriptor::check_memory(&fd)?;
        let memory = Memfd::new(fd).map_err(Error::of_peers_memory)?;
        descriptor::check_writable(&memory)?;
        if memory.size() != RING_BYTES {
            let limit = format!("{RING_BYTES} bytes");
            return Err(Malformed::new("the ring's size", memory.size(), limit).into());
        }
        let words = RingWords::new(&memory).map_err(Error::of_peers_memory)?;
        let slots = configure.slots.len();
        Ok(RingConsumer::new(words, configure.generation, slots)?)
    }

    fn welcome(&mut self, incoming: Incoming<A::Image>) {
        let configure = &incoming.configure;
        let is_refused = |rung| configure.refused.iter().any(|one| one.rung == rung);
        let event = ConsumerEvent::Generation {
            number: configure.generation,
            extent: configure.extent,
            format: configure.format,
            color: configure.color,
            rung: configure.rung,
            refused: configure.refused.clone(),
            needs_trust: self.withholds && is_refused(Rung::OpaqueFd),
            acquire: configure.acquire.clone(),
            release: configure.release.clone(),
        };
        self.events.report(event);
        self.comings.push(Coming {
            incoming: Arc::new(incoming),
            last: 0,
            guess: 0,
            mail: 0,
            retired: false,
        });
        // The new ring says nothing of latency yet: the next look at the socket is followed by that.
        self.looks = LOOKS - 1;
    }

    /// Lets go of generations that are over and that nobody holds a frame of.
    pub(super) fn drain(&mut self) {
        let over = |coming: &Coming<A::Image>| {
            coming.retired
                && Arc::strong_count(&coming.incoming) == 1
                && !coming.incoming.ring.has_more(coming.last)
        };
        while let Some(at) = self.comings.iter().position(over) {
            self.let_go(at);
        }
    }

    /// Ends the connection because of what the producer did.
    pub(super) fn hang_up(&mut self, error: &Error) {
        let text = error.to_string();
        let farewell = Farewell::new(error.farewell_reason(), &text);
        // It may be gone, or not reading.
        let _ = self.socket.send(&Message::Goodbye(farewell), &[]);
        self.close();
        self.lose(None, &text);
    }

    /// The connection is over. What was published can still be taken.
    fn lose(&mut self, farewell: Option<Farewell>, reason: &str) {
        if matches!(self.link, Link::Lost(_)) {
            return;
        }
        let result = epoll::delete(&self.epoll, &*self.socket);
        debug_assert!(matches!(result, Ok(()) | Err(Errno::NOENT)), "{result:?}");
        if self.link == Link::Ended {
            return;
        }
        self.link = Link::Lost(farewell);
        self.events.report(ConsumerEvent::Lost {
            reason: reason.to_owned(),
        });
    }

    /// Lets go of every generation; frames that are held keep theirs.
    pub(super) fn forget(&mut self) {
        self.comings.clear();
        self.fences.clear();
    }

    /// Lets go of every generation and of the socket; frames that are held keep theirs.
    pub(super) fn close(&mut self) {
        self.forget();
        let result = epoll::delete(&self.epoll, &*self.socket);
        debug_assert!(matches!(result, Ok(()) | Err(Errno::NOENT)), "{result:?}");
        // Held frames keep the socket open for their release fences; the producer must see the end now.
        let _ = rustix::net::shutdown(&*self.socket, rustix::net::Shutdown::Both);
    }
}
