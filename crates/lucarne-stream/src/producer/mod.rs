//! The end of a stream that makes frames.

mod arrangement;
mod conduct;
mod flights;
mod gates;
mod generations;
mod joint_offer;
mod listener;
mod options;
mod party;
mod peer;
mod peers;
mod place;
mod reserve;
mod session;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use lucarne::kernel::PeerCredentials;
use lucarne::{Extent, Fence, Format, Offer, Request, Rung};
use rustix::event::epoll;

use crate::deadline::{Deadline, Tick};
use crate::discovery;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::generation::{Allocate, SlotWriting, Slots};
use crate::ring::Damage;
use crate::wire::{Delivery, Message};

use arrangement::Arrangement;
use conduct::Conduct;
use flights::Flights;
use listener::Listener;
pub use options::{MAX_CONSUMERS, ProducerOptions};
use peers::Peers;

/// How long a producer that never sleeps leaves newcomers waiting.
const HOUSEKEEPING: Duration = Duration::from_millis(50);

/// Something that happened to a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProducerEvent {
    /// A consumer has imported everything, and gets frames from now on.
    Joined {
        /// Its number. A stream never uses a number twice.
        consumer: u64,
        /// Its process, as the kernel knows it.
        credentials: PeerCredentials,
        /// Its device's name.
        name: String,
        /// Which frames it gets.
        delivery: Delivery,
    },
    /// A consumer is gone, or was refused.
    Left {
        /// Its number.
        consumer: u64,
        /// Why.
        reason: String,
    },
    /// Frames are made differently from now on.
    Generation {
        /// Its number.
        number: u64,
        /// The frames' size.
        extent: Extent,
        /// Their format.
        format: Format,
        /// The rung of the ladder, which says the memory path.
        rung: Rung,
    },
}

/// The producer of a named stream.
///
/// It has no thread: everything happens within [`acquire`](Self::acquire), [`send`](Self::send) and
/// [`dispatch`](Self::dispatch). An event loop polls [`as_fd`](AsFd::as_fd) for reading, and calls `dispatch` then.
///
/// ```no_run
/// use std::time::Duration;
///
/// use lucarne::{Agreement, Extent, Usage, cpu};
/// use lucarne_stream::{Producer, ProducerOptions};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = cpu::Adapter::new(cpu::Allocator::HostMemory).open()?;
/// let options = ProducerOptions::new(Extent::new(640, 480));
/// let allocate = |agreement: &Agreement| {
///     let image = device.export(agreement)?;
///     let frame = image.frame().clone();
///     Ok((image, frame))
/// };
/// let mut producer = Producer::bind("scene", &device.offer(Usage::RENDER)?, options, allocate)?;
/// let time = Duration::from_secs(1);
/// loop {
///     // Consumers are served while it waits.
///     let slot = producer.acquire(time)?;
///     let row = vec![255; slot.image().row_bytes(0)];
///     let drawn = slot.image().write(slot.gate(), time, |rows| rows.write_row(0, 0, &row))?;
///     producer.send(slot, drawn, lucarne_stream::now())?;
/// }
/// # }
/// ```
///
/// # References
///
/// docs/protocol.md of the repository, for every byte; unix(7) for `SOCK_SEQPACKET` and `SCM_RIGHTS`.
#[derive(Debug)]
pub struct Producer<A: Allocate> {
    allocate: A,
    options: ProducerOptions,
    listener: Listener,
    epoll: OwnedFd,
    peers: Peers,
    arrangement: Arrangement<Slots<A::Image>>,
    flights: Flights,
    conduct: Conduct,
    sequence: u64,
    paused: bool,
    /// When the sockets were served last.
    looked: Tick,
    events: Events<ProducerEvent>,
}

impl<A: Allocate> Producer<A> {
    /// Takes a name. Consumers may connect from now on; the first one decides what frames look like.
    ///
    /// `offer` is what the producer's device can do. `allocate` makes one image at a time, when something was agreed on.
    ///
    /// # Errors
    ///
    /// [`Error::Name`]; [`Error::InUse`] while another producer has the name; [`Error::Invalid`] and [`Error::Core`] for
    /// options out of their limits; [`Error::Path`] where something else lies at the socket's path, or the folder will not do;
    /// [`Error::Os`].
    pub fn bind(name: &str, offer: &Offer, options: ProducerOptions, allocate: A) -> Result<Self> {
        options.check()?;
        let folder = match &options.directory {
            Some(folder) => folder.clone(),
            None => discovery::directory()?,
        };
        let mut listener = Listener::bind(&folder, name)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)
            .map_err(|errno| Error::os("epoll_create1", errno))?;
        listener.watch(&epoll)?;
        let request = options.request.clone();
        Ok(Self {
            allocate,
            arrangement: Arrangement::new(offer.clone(), request, options.patience),
            conduct: Conduct::new(options.patience),
            options,
            listener,
            epoll,
            peers: Peers::new(),
            flights: Flights::new(),
            sequence: 0,
            paused: false,
            looked: Tick::now(),
            events: Events::new(),
        })
    }

    /// A slot to write into, or `None` while nobody has connected yet, or all slots are with consumers. Does not block.
    ///
    /// After `None`, the descriptor becomes readable when something has come; so does it with every slot that comes back, until
    /// [`dispatch`](Self::dispatch) is called.
    ///
    /// # Errors
    ///
    /// [`Error::Os`].
    pub fn try_acquire(&mut self) -> Result<Option<SlotWriting<A::Image>>> {
        self.acquire_now()
    }

    #[inline(always)]
    fn acquire_now(&mut self) -> Result<Option<SlotWriting<A::Image>>> {
        if Tick::now().is_after(self.looked, HOUSEKEEPING) {
            self.dispatch()?;
        }
        if let Some(slot) = self.free_slot() {
            self.flights.feed();
            return Ok(Some(slot));
        }
        self.acquire_before_sleep()
    }

    /// A slot that comes back at the last moment.
    #[cold]
    fn acquire_before_sleep(&mut self) -> Result<Option<SlotWriting<A::Image>>> {
        if self.arrangement.current().is_some() {
            self.cut_off_the_slowest();
        }
        self.peers.announce_sleep();
        // Whatever came back before the announcement is seen here; whatever comes after wakes.
        let slot = self.another_slot();
        if slot.is_some() {
            self.awake();
        }
        Ok(slot)
    }

    /// As [`try_acquire`](Self::try_acquire), but waits for a slot, `timeout` at most. Before the first consumer has
    /// connected there is no slot, so the first call also waits for that one.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`]; [`Error::Os`].
    pub fn acquire(&mut self, timeout: Duration) -> Result<SlotWriting<A::Image>> {
        match self.acquire_now()? {
            Some(slot) => Ok(slot),
            None => self.wait(timeout),
        }
    }

    #[cold]
    fn wait(&mut self, timeout: Duration) -> Result<SlotWriting<A::Image>> {
        let until = Deadline::new(timeout);
        loop {
            if let Some(slot) = self.try_acquire()? {
                return Ok(slot);
            }
            if until.is_over() {
                return Err(until.error("a free slot"));
            }
            self.sleep(&until)?;
        }
    }

    /// Serves sockets until something may have changed, or the time is over.
    fn sleep(&mut self, until: &Deadline) -> Result<()> {
        self.peers.announce_sleep();
        // Whatever came back before the announcement is seen here; whatever comes after wakes.
        let free = self.another_slot().is_some();
        let time = if free {
            Some(Duration::ZERO)
        } else {
            [until.left(), self.timeout()].into_iter().flatten().min()
        };
        self.serve(time)?;
        self.awake();
        Ok(())
    }

    pub(crate) fn awake(&self) {
        self.peers.awake();
    }

    /// Passes a slot to every consumer; `acquire` signals when the writing is done, `timestamp` is on `CLOCK_MONOTONIC`
    /// ([`now`](crate::now)). Says how many consumers got it. Does not block, except for a fence that cannot travel.
    ///
    /// A slot of a generation that is over is sent to nobody.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] for a descriptor that is not a fence.
    #[inline]
    pub fn send(
        &mut self,
        slot: SlotWriting<A::Image>,
        acquire: Fence,
        timestamp: Duration,
    ) -> Result<usize> {
        self.publish(slot, acquire, timestamp, None)
    }

    /// As [`send`](Self::send), and says which parts of the frame differ from the frame before. More than
    /// [`MAX_DAMAGE`](crate::MAX_DAMAGE) rectangles, or empty ones, count as a change of everything.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub fn send_with_damage(
        &mut self,
        slot: SlotWriting<A::Image>,
        acquire: Fence,
        timestamp: Duration,
        damage: &[Damage],
    ) -> Result<usize> {
        self.publish(slot, acquire, timestamp, Some(damage))
    }

    /// Asks for other frames: another size or format, for instance. A new generation follows; until every consumer has
    /// imported it, slots are of the old one. Does not block.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] for an extent out of its limits.
    pub fn reconfigure(&mut self, request: Request) -> Result<()> {
        request.extent.check()?;
        self.arrangement.renew(request);
        self.arrange();
        Ok(())
    }

    /// Tells consumers that no frames come for a while.
    pub fn pause(&mut self) {
        self.paused = true;
        self.broadcast(&Message::Pause);
    }

    /// Tells consumers that frames come again.
    pub fn resume(&mut self) {
        self.paused = false;
        self.broadcast(&Message::Resume);
    }

    /// Ends the stream: consumers hear so, and can still take what was sent. The name is free afterwards.
    pub fn end(mut self) {
        self.broadcast(&Message::End);
    }

    /// The next thing that happened, if any.
    pub fn event(&mut self) -> Option<ProducerEvent> {
        self.events.next()
    }

    /// How many consumers get frames.
    pub fn consumers(&self) -> usize {
        self.peers.served()
    }

    /// The number of the last frame that was sent; 0 before the first.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// When [`dispatch`](Self::dispatch) should be called at the latest, if nothing is readable before.
    pub fn timeout(&self) -> Option<Duration> {
        let now = Instant::now();
        let parts = [
            self.peers.timeout(),
            self.listener.timeout(),
            self.flights
                .timeout(self.least_patience(now), self.options.patience),
            self.arrangement.timeout(now),
            self.admission(now),
        ];
        parts.into_iter().flatten().min()
    }
}

impl<A: Allocate> AsFd for Producer<A> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}
