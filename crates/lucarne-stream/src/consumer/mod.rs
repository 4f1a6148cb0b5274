//! The end of a stream that watches.

mod incoming;
mod options;
mod session;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lucarne::color::ColorDescription;
use lucarne::negotiate::{FencePath, RefusedRung};
use lucarne::{
    Extent, Fence, Format, Offer, Rung,
    kernel::{FenceRole, PeerCredentials, SyncFile},
};
use rustix::event::{PollFlags, epoll};

use crate::deadline::{Deadline, poll};
use crate::discovery;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::generation::Import;
use crate::ring::{Bed, Breach, FenceRoute, Taken};
use crate::socket::{Inbox, Socket};
use crate::wire::{Delivery, Farewell, FarewellReason, FenceFor, Hello, Message, VERSIONS};

use incoming::Incoming;
pub use incoming::{Reading, Received, StreamFrame};
pub use options::ConsumerOptions;

/// How many frames a consumer that never sleeps takes before it looks whether its producer is gone.
const HOUSEKEEPING: u32 = 16;
/// What `unlooked` is when the next frame's latency is to be told: beyond what it ever counts to.
const LATENCY_DUE: u32 = 1 << 16;
/// Of how many looks at the socket one is followed by that.
const LOOKS: u32 = 16;
/// How long lies between two looks for a stream that is not there yet.
const LOOK: Duration = Duration::from_millis(20);
/// The longest sleep at the ring, where the end of the producer does not wake.
const DOZE: Duration = Duration::from_millis(50);

/// Something that happened to a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsumerEvent {
    /// Frames are made differently from now on, and have been imported.
    Generation {
        /// Its number.
        number: u64,
        /// The frames' size.
        extent: Extent,
        /// Their format.
        format: Format,
        /// What their numbers mean.
        color: ColorDescription,
        /// The rung of the ladder, which says the memory path.
        rung: Rung,
        /// Each better rung, and why it was refused.
        refused: Vec<RefusedRung>,
        /// Whether opaque memory, which is among them, was refused because this consumer does not trust the producer:
        /// [`ConsumerOptions::trust_producer`] may give a better rung.
        needs_trust: bool,
        /// How acquire fences come.
        acquire: FencePath,
        /// How release fences go.
        release: FencePath,
    },
    /// Something could not be imported; the producer was told and tries something else.
    ImportFailed {
        /// Of which generation.
        number: u64,
        /// Why.
        reason: String,
    },
    /// No frames for a while.
    Paused,
    /// Frames again.
    Resumed,
    /// The producer has ended the stream.
    Ended,
    /// The connection is over: the producer died, hung up, or broke the protocol.
    Lost {
        /// Why.
        reason: String,
    },
}

/// How the connection is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Link {
    Up,
    /// The producer said that no more frames come.
    Ended,
    /// Gone, and why, where the producer told.
    Lost(Option<Farewell>),
}

/// A generation that frames can come from.
#[derive(Debug)]
struct Coming<I> {
    incoming: Arc<Incoming<I>>,
    /// The last frame that was taken from it.
    last: u64,
    /// The slot that the next one probably is in: slots are used in turn.
    guess: usize,
    /// Messages received since its Configure.
    mail: u64,
    retired: bool,
}

impl<I> Coming<I> {
    /// Whether the producer says that it has sent more than was read.
    #[inline]
    fn has_mail(&self) -> bool {
        self.incoming.ring.mail() != self.mail
    }

    /// Whether there is something to look at: a frame, or a message.
    #[inline]
    fn has_news(&self) -> bool {
        self.incoming.ring.has_frame_after(self.last) || self.has_mail()
    }
}

/// A consumer of a named stream.
///
/// It has no thread: everything happens within [`receive`](Self::receive) and [`dispatch`](Self::dispatch). An event loop
/// polls [`as_fd`](AsFd::as_fd) for reading after [`try_receive`](Self::try_receive) had nothing.
///
/// ```no_run
/// use std::time::Duration;
///
/// use lucarne::{Frame, Usage, cpu};
/// use lucarne_stream::{Consumer, Delivery};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = cpu::Adapter::new(cpu::Allocator::HostMemory).open()?;
/// let import = |frame: &Frame| device.import(frame);
/// let mut consumer = Consumer::connect("scene", &device.offer(Usage::SAMPLE)?, Delivery::Latest, import)?;
/// let time = Duration::from_secs(1);
/// loop {
///     let (reading, acquire) = consumer.receive(time)?.acquire();
///     let mut row = vec![0; reading.image().row_bytes(0)];
///     let read = reading.image().read(&acquire, time, |rows| rows.read_row(0, 0, &mut row))?;
///     reading.release(read)?;
/// }
/// # }
/// ```
///
/// # References
///
/// docs/protocol.md of the repository, for every byte; unix(7) for `SOCK_SEQPACKET` and `SCM_RIGHTS`.
#[derive(Debug)]
pub struct Consumer<A: Import> {
    import: A,
    name: String,
    folder: PathBuf,
    offer: Offer,
    /// Whether the device could do more than is offered.
    withholds: bool,
    options: ConsumerOptions,
    epoll: OwnedFd,
    socket: Arc<Socket>,
    producer: PeerCredentials,
    link: Link,
    comings: Vec<Coming<A::Image>>,
    fences: Vec<(FenceFor, SyncFile)>,
    last: u64,
    /// The newest generation that came on this connection, also where it could not be imported.
    newest: u64,
    /// Frames since the socket was looked at; [`LATENCY_DUE`] and more where the next one's latency is to be told.
    unlooked: u32,
    /// Looks at the socket since a latency was due; more for a generation that has none yet.
    looks: u32,
    /// The socket was readable, and was not read since.
    unread: bool,
    inbox: Inbox,
    events: Events<ConsumerEvent>,
}

impl<A: Import> Consumer<A> {
    /// Connects to a stream. What `import` makes of each slot is kept as long as the producer uses the slot.
    ///
    /// `options` is a [`Delivery`] or more. Does not wait for the producer's answer: that comes with the first frame.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] while there is no such stream; [`Error::Name`]; [`Error::User`]; [`Error::Malformed`] for an
    /// offer of too many entries; [`Error::Os`].
    pub fn connect(
        name: &str,
        offer: &Offer,
        options: impl Into<ConsumerOptions>,
        import: A,
    ) -> Result<Self> {
        Self::connect_wait(name, offer, options, import, Duration::ZERO)
    }

    /// As [`connect`](Self::connect), but waits for the stream, `timeout` at most: producer and consumer may be started in any
    /// order. Looks for it every 20 ms, and blocks meanwhile.
    ///
    /// # Errors
    ///
    /// As for `connect`. [`Error::NotFound`] when the time is over names the folder, and says what is there.
    pub fn connect_wait(
        name: &str,
        offer: &Offer,
        options: impl Into<ConsumerOptions>,
        import: A,
        timeout: Duration,
    ) -> Result<Self> {
        let options = options.into();
        let folder = match &options.directory {
            Some(folder) => folder.clone(),
            None => discovery::directory()?,
        };
        let withholds = options.withholds(offer);
        let offer = options.narrow(offer.clone());
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)
            .map_err(|errno| Error::os("epoll_create1", errno))?;
        let until = Deadline::new(timeout);
        let (socket, producer) = loop {
            match greet(&folder, name, &offer, &options) {
                Err(Error::NotFound { .. }) if !until.is_over() => {
                    std::thread::sleep(until.left().map_or(LOOK, |left| left.min(LOOK)));
                }
                greeted => break greeted?,
            }
        };
        let consumer = Self {
            import,
            name: name.to_owned(),
            folder,
            offer,
            withholds,
            options,
            epoll,
            socket: Arc::new(socket),
            producer,
            link: Link::Up,
            comings: Vec::new(),
            fences: Vec::new(),
            last: 0,
            newest: 0,
            unlooked: 0,
            looks: 0,
            unread: false,
            inbox: Inbox::new(),
            events: Events::new(),
        };
        consumer.watch_socket()?;
        Ok(consumer)
    }

    /// Connects again after the producer was lost, to the producer that has the name now. Frames that are held stay as they
    /// are.
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect).
    pub fn reconnect(&mut self) -> Result<()> {
        let (socket, producer) = greet(&self.folder, &self.name, &self.offer, &self.options)?;
        self.close();
        self.socket = Arc::new(socket);
        self.producer = producer;
        self.link = Link::Up;
        self.last = 0;
        self.newest = 0;
        self.watch_socket()
    }

    /// The next frame, or `None` where there is none yet. Does not block.
    ///
    /// After `None`, the descriptor becomes readable when something has come. Once the producer is gone and everything was taken,
    /// nothing of it is kept, but for frames that are held.
    ///
    /// # Errors
    ///
    /// [`Error::Ended`] once the producer has ended the stream and everything was taken; [`Error::Refused`] when the
    /// producer refused; [`Error::PeerGone`] once it is gone and everything was taken; [`Error::Malformed`],
    /// [`Error::Breach`] and [`Error::Unexpected`] when it broke the protocol, which ends the connection.
    pub fn try_receive(&mut self) -> Result<Option<Received<A::Image>>> {
        if let Some(received) = self.next_frame()? {
            return Ok(Some(received));
        }
        if self.unread {
            self.read_everything()?;
        }
        self.announce_sleep(Bed::Socket);
        // What was published before the announcement is seen here; what comes after wakes.
        let received = self.take()?;
        if received.is_some() {
            self.awake();
            return Ok(received);
        }
        // Whatever wakes it lies in the socket, also for a program that polls by itself and asks again.
        self.unread = true;
        let over = match &self.link {
            Link::Up => return Ok(None),
            Link::Ended => Error::Ended,
            Link::Lost(None) => Error::PeerGone,
            Link::Lost(Some(farewell)) => Error::Refused(farewell.clone()),
        };
        // Everything was taken: it may be long until there is another producer.
        self.forget();
        Err(over)
    }

    /// As [`try_receive`](Self::try_receive), but waits for a frame: `timeout` at most, or up to 50 ms more when the producer
    /// has something else to say meanwhile.
    ///
    /// # Errors
    ///
    /// As for `try_receive`; [`Error::Timeout`].
    #[inline]
    pub fn receive(&mut self, timeout: Duration) -> Result<Received<A::Image>> {
        let slept = self.doze(timeout)?;
        match self.next_frame()? {
            Some(received) => Ok(received),
            None => self.wait(timeout, slept),
        }
    }

    /// The next frame that is there, with a look at the socket now and then.
    #[inline(never)]
    fn next_frame(&mut self) -> Result<Option<Received<A::Image>>> {
        self.unlooked += 1;
        if self.unlooked >= HOUSEKEEPING || self.mail_waits() {
            return self.look_and_take();
        }
        self.take()
    }

    /// Looks at the socket, or tells the next frame's latency, or both: what is not done for each frame.
    #[cold]
    fn look_and_take(&mut self) -> Result<Option<Received<A::Image>>> {
        if self.unlooked < LATENCY_DUE || self.mail_waits() {
            self.dispatch()?;
        }
        let received = self.take()?;
        if self.unlooked >= LATENCY_DUE
            && let Some(received) = &received
        {
            self.unlooked = 0;
            received.tell_latency();
        }
        Ok(received)
    }

    /// Sleeps for the moment that lies between the frames of a stream that runs, at the ring: the producer wakes with half the
    /// work that a message is. Nothing else wakes here, so that it is not for long. Says how long it surely took.
    #[inline]
    fn doze(&mut self, timeout: Duration) -> Result<Duration> {
        let awake = Ok(Duration::ZERO);
        // What it was woken for at its socket, and has not read since.
        if self.unread {
            self.read_everything()?;
        }
        let [coming] = &self.comings[..] else {
            return awake;
        };
        if coming.has_news() || coming.retired || !matches!(self.link, Link::Up) {
            return awake;
        }
        let ring = &coming.incoming.ring;
        ring.announce_sleep(Bed::Word);
        // What was published before the announcement is seen here; what comes after wakes.
        if coming.has_news() {
            ring.awake();
            return awake;
        }
        let time = timeout.min(DOZE);
        let woken = ring.sleep(time);
        ring.awake();
        if woken? {
            return awake;
        }
        Ok(time)
    }

    /// Waits at the socket, where everything wakes, after it slept at the ring.
    #[cold]
    fn wait(&mut self, timeout: Duration, slept: Duration) -> Result<Received<A::Image>> {
        let until = Deadline::new(timeout.saturating_sub(slept));
        // Its producer may have gone meanwhile.
        self.unread = true;
        loop {
            if let Some(received) = self.try_receive()? {
                return Ok(received);
            }
            if until.is_over() {
                return Err(Error::Timeout {
                    waiting_for: "a frame's arrival",
                    after: timeout,
                });
            }
            // The socket itself, as the epoll descriptor holds nothing else: one wait less for the kernel to pass on.
            poll(self.socket.as_fd(), PollFlags::IN, until.left())?;
            self.awake();
            // What this was woken for comes first; what lies in the socket is read before the next sleep.
            self.unread = true;
        }
    }

    /// The next thing that happened, if any.
    pub fn event(&mut self) -> Option<ConsumerEvent> {
        self.events.next()
    }

    /// The producer's process, as the kernel knows it.
    pub fn producer(&self) -> PeerCredentials {
        self.producer
    }

    fn announce_sleep(&self, bed: Bed) {
        for coming in &self.comings {
            coming.incoming.ring.announce_sleep(bed);
        }
    }

    pub(crate) fn awake(&self) {
        for coming in &self.comings {
            coming.incoming.ring.awake();
        }
    }

    /// Whether the producer says that it has sent more than was read.
    fn mail_waits(&self) -> bool {
        matches!(self.link, Link::Up)
            && self
                .comings
                .iter()
                .any(|coming| !coming.retired && coming.has_mail())
    }

    #[inline(always)]
    fn take(&mut self) -> Result<Option<Received<A::Image>>> {
        let found = match &self.comings[..] {
            [only] if !only.retired => self.take_of(0),
            _ => self.look(),
        };
        found.map_err(|error| self.end_for(error))
    }

    /// Ends the connection because of what the producer did.
    #[cold]
    fn end_for(&mut self, error: Error) -> Error {
        self.hang_up(&error);
        error
    }

    /// Looks through all rings: Latest wants the newest generation's frames, Every the oldest's first.
    #[cold]
    fn look(&mut self) -> Result<Option<Received<A::Image>>> {
        let count = self.comings.len();
        for step in 0..count {
            let at = match self.options.delivery {
                Delivery::Latest => count - 1 - step,
                Delivery::Every => step,
            };
            if let Some(received) = self.take_of(at)? {
                return Ok(Some(received));
            }
        }
        self.drain();
        Ok(None)
    }

    /// The next frame of one ring.
    #[inline(always)]
    fn take_of(&mut self, at: usize) -> Result<Option<Received<A::Image>>> {
        let coming = &mut self.comings[at];
        let ring = &coming.incoming.ring;
        let Some(taken) = ring.take(self.options.delivery, coming.last, coming.guess)? else {
            return Ok(None);
        };
        coming.last = taken.sequence;
        coming.guess = coming.incoming.after(taken.slot);
        let lent = coming.incoming.lend(taken);
        if taken.sequence <= self.last {
            // An older generation's, after a newer one's.
            drop(Received::new(lent, Fence::Signaled));
            return Ok(None);
        }
        let acquire = match lent.incoming.note(taken, self.last)? {
            FenceRoute::Signaled if self.fences.is_empty() => Fence::Signaled,
            route => self.acquire_fence(&lent.incoming, taken, route)?,
        };
        self.last = taken.sequence;
        Ok(Some(Received::new(lent, acquire)))
    }

    fn acquire_fence(
        &mut self,
        incoming: &Incoming<A::Image>,
        taken: Taken,
        route: FenceRoute,
    ) -> Result<Fence> {
        let of = FenceFor {
            generation: incoming.configure.generation,
            sequence: taken.sequence,
            slot: taken.slot,
        };
        let fence = match route {
            FenceRoute::Signaled => Fence::Signaled,
            FenceRoute::Attached => attached_fence(incoming, taken.slot)?,
            FenceRoute::Mailed => {
                if !self.fences.iter().any(|(kept, _)| *kept == of) {
                    self.read_socket(false)?;
                }
                let at = self.fences.iter().position(|(kept, _)| *kept == of);
                let at = at.ok_or(Error::Unexpected {
                    message: "a frame that names a Fence",
                    expected: "the Fence, before it",
                })?;
                Fence::sync_file(self.fences.swap_remove(at).1)
            }
        };
        // Fences of frames that were dropped are of no use.
        self.fences
            .retain(|(kept, _)| kept.sequence > taken.sequence);
        Ok(fence)
    }
}

/// The fence that the kernel keeps with the frame's dma-bufs. Other memory has none.
#[cold]
fn attached_fence<I>(incoming: &Incoming<I>, slot: usize) -> Result<Fence> {
    let fence = incoming.frames[slot].implicit_fence(FenceRole::Acquire);
    fence.map_err(|error| match error {
        lucarne::Error::Unsupported { .. } => Error::Breach(Breach {
            word: "flags",
            slot: Some(slot),
            // The bits of it that say so.
            got: FenceRoute::Attached as u64,
            limit: "of a fence that this memory can carry: only the kernel's dma-bufs have fences attached",
        }),
        other => other.into(),
    })
}

/// Connects and says hello.
fn greet(
    folder: &std::path::Path,
    name: &str,
    offer: &Offer,
    options: &ConsumerOptions,
) -> Result<(Socket, PeerCredentials)> {
    let socket = discovery::connect(folder, name)?;
    let producer = socket.check_user(options.other_users)?;
    let hello = Hello {
        lowest: VERSIONS.0,
        highest: VERSIONS.1,
        delivery: options.delivery,
        usage: options.usage,
        offer: offer.clone(),
    };
    match socket.send(&Message::Hello(Box::new(hello)), &[]) {
        // Refused before it could say anything: the reason is there to be read.
        Ok(()) | Err(Error::PeerGone) => Ok((socket, producer)),
        Err(error) => Err(error),
    }
}

impl<A: Import> AsFd for Consumer<A> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

impl<A: Import> Drop for Consumer<A> {
    fn drop(&mut self) {
        if self.link == Link::Up {
            let message = Message::Goodbye(Farewell::new(FarewellReason::Done, ""));
            // The hang-up says the same.
            let _ = self.socket.send(&message, &[]);
        }
        self.close();
    }
}
