//! Frames on their way: out to consumers, and back into the pool once the last reader is done.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lucarne::{Fence, Frame, Free, MemoryPath, Pool, Sent, kernel::FenceRole};

use super::Producer;
use super::gates::{Gates, ReleaseFence};
use super::peer::{Outgoing, Peer};
use super::peers::Broken;
use crate::error::Result;
use crate::generation::{Allocate, SlotWriting};
use crate::ring::{Damage, DamageList, FenceRoute, FrameNote};
use crate::wire::{FarewellReason, FenceFor, MAX_SEQUENCE, MAX_SLOTS};

/// The slots of the generation in use: which are out, and what gates those that came back.
#[derive(Debug)]
pub(super) struct Flights {
    slots: [Option<Flight>; MAX_SLOTS],
    gates: Gates,
    /// Since when no slot is free.
    starved: Option<Instant>,
}

/// A frame that some consumers have.
#[derive(Debug)]
struct Flight {
    sent: Sent,
    readers: usize,
}

impl Flights {
    pub(super) fn new() -> Self {
        Self {
            slots: [const { None }; MAX_SLOTS],
            gates: Gates::new(),
            starved: None,
        }
    }

    /// Begins again, with the slots of another generation.
    pub(super) fn restart(&mut self, epoll: &OwnedFd) {
        self.slots = [const { None }; MAX_SLOTS];
        self.gates.clear(epoll);
    }

    /// A slot of the pool whose readers are done. Those that are still being read go back behind the others.
    fn acquire(&self, pool: &Pool) -> Option<(lucarne::Writing, Fence)> {
        let first = pool.acquire()?;
        if self.gates.is_open(first.index()) {
            return Some(first.acquire());
        }
        self.acquire_another(pool, first)
    }

    #[cold]
    fn acquire_another(&self, pool: &Pool, first: Free) -> Option<(lucarne::Writing, Fence)> {
        let mut closed = [const { None }; MAX_SLOTS];
        closed[0] = Some(first);
        for aside in &mut closed[1..] {
            let free = pool.acquire()?;
            if self.gates.is_open(free.index()) {
                return Some(free.acquire());
            }
            *aside = Some(free);
        }
        None
    }

    /// Some readers fewer. Without any, the frame goes back into its pool.
    fn take_back(&mut self, slot: usize, readers: usize) {
        let Some(flight) = self.slots.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        flight.readers = flight.readers.saturating_sub(readers);
        if flight.readers == 0
            && let Some(flight) = self.slots[slot].take()
        {
            // Its own writing gates the next one; what its readers have still to do, the gates know.
            drop(flight.sent);
        }
    }

    fn release(&mut self, slot: usize, reader: u64, fence: Option<Fence>, epoll: &OwnedFd) {
        if let Some(fence) = fence {
            let since = Instant::now();
            let release = ReleaseFence {
                fence,
                reader,
                since,
            };
            self.gates.add(slot, release, epoll);
        }
        self.take_back(slot, 1);
    }

    /// Takes back what a reader has that is gone.
    pub(super) fn forget(&mut self, reader: &Peer, generation: u64, epoll: &OwnedFd) {
        for slot in reader.out_of(generation) {
            self.take_back(slot, 1);
        }
        self.gates.forget(reader.id, epoll);
    }

    /// A slot was free.
    pub(super) fn feed(&mut self) {
        self.starved = None;
    }

    /// No slot is free: notes when that began.
    pub(super) fn starve(&mut self) {
        self.starved.get_or_insert_with(Instant::now);
    }

    /// Whether no slot has been free for that long.
    pub(super) fn is_starved(&self, patience: Duration) -> bool {
        self.starved
            .is_some_and(|since| since.elapsed() >= patience)
    }

    /// How long until somebody has kept a slot, or a release fence has been pending, for too long.
    pub(super) fn timeout(&self, patience: Duration) -> Option<Duration> {
        let starved = self.starved;
        let starved = starved.map(|since| patience.saturating_sub(since.elapsed()));
        let fences = self.gates.timeout(patience);
        starved.into_iter().chain(fences).min()
    }
}

impl<A: Allocate> Producer<A> {
    /// A slot that is free, after looking what has come back.
    pub(super) fn free_slot(&mut self) -> Option<SlotWriting<A::Image>> {
        self.collect();
        let generation = self.arrangement.current()?;
        let (turn, gate) = self.flights.acquire(&generation.slots.pool)?;
        Some(SlotWriting {
            turn,
            gate,
            generation: generation.clone(),
        })
    }

    /// Takes back what consumers have released.
    fn collect(&mut self) {
        let Some(generation) = self.arrangement.current() else {
            return;
        };
        let number = generation.number;
        let (flights, epoll) = (&mut self.flights, &self.epoll);
        let broken = self.peers.each(|peer, inbox| {
            let reader = peer.id;
            let released = |slot, fence| flights.release(slot, reader, fence, epoll);
            peer.collect(number, inbox, released)
        });
        let late = self.flights.gates.sweep(self.options.patience, &self.epoll);
        self.hang_up_on(broken);
        for id in late {
            let text = "its release fence did not signal in time";
            self.dismiss(id, FarewellReason::TooSlow, text);
        }
    }

    pub(super) fn publish(
        &mut self,
        slot: SlotWriting<A::Image>,
        acquire: Fence,
        timestamp: Duration,
        damage: Option<&[Damage]>,
    ) -> Result<usize> {
        // Another producer's slot has numbers like ours.
        let current = self.arrangement.current();
        let is_current = current.is_some_and(|current| Arc::ptr_eq(current, &slot.generation));
        if !is_current || self.sequence >= MAX_SEQUENCE {
            return Ok(0);
        }
        // Closed at the end, when the frame is on its way: that is a system call.
        let _kept = acquire.clone();
        let (acquire, route) = choose_route(slot.frame(), acquire, self.options.patience)?;
        self.sequence += 1;
        let note = FrameNote {
            timestamp: u64::try_from(timestamp.as_nanos()).unwrap_or(u64::MAX),
            fence: route,
            damage: damage.and_then(DamageList::new),
        };
        let (readers, broken) = self.send_to_all(&slot, &acquire, note);
        let index = slot.index();
        let sent = slot.turn.send(acquire);
        // Without a reader it goes back at once, and still gates whoever writes it next.
        if readers > 0 {
            self.flights.slots[index] = Some(Flight { sent, readers });
        }
        self.hang_up_on(broken);
        Ok(readers)
    }

    /// Publishes a frame for everybody who gets frames of its generation. Says for how many, and with whom it failed.
    fn send_to_all(
        &mut self,
        slot: &SlotWriting<A::Image>,
        acquire: &Fence,
        note: FrameNote,
    ) -> (usize, Broken) {
        let outgoing = Outgoing {
            of: FenceFor {
                generation: slot.generation(),
                sequence: self.sequence,
                slot: slot.index(),
            },
            mailed: match (acquire, note.fence) {
                (Fence::SyncFile(file), FenceRoute::Mailed) => Some(file),
                _ => None,
            },
            note,
        };
        let mut readers = 0;
        let mut back = [0_u8; MAX_SLOTS];
        let broken = self.peers.each(|peer, _| {
            readers += usize::from(peer.publish(&outgoing, &mut back)?);
            Ok(())
        });
        if back != [0; MAX_SLOTS] {
            for (older, readers) in back.into_iter().enumerate().filter(|(_, back)| *back > 0) {
                self.flights.take_back(older, readers.into());
            }
        }
        (readers, broken)
    }

    /// After the configured patience, cuts off whoever keeps most of the slots.
    pub(super) fn cut_off_the_slowest(&mut self) {
        self.flights.starve();
        if !self.flights.is_starved(self.options.patience) {
            return;
        }
        // From now on again, so that who waits here sleeps meanwhile.
        self.flights.feed();
        self.flights.starve();
        for id in self.peers.slowest() {
            let text = "it kept a frame while the producer had no free slot";
            self.dismiss(id, FarewellReason::TooSlow, text);
        }
    }
}

/// How an acquire fence gets to consumers. One that cannot travel is waited for.
fn choose_route(frame: &Frame, fence: Fence, patience: Duration) -> Result<(Fence, FenceRoute)> {
    if matches!(fence, Fence::Signaled) || fence.is_signaled()? {
        return Ok((Fence::Signaled, FenceRoute::Signaled));
    }
    // Other memory is not asked: its reasons are written down for people, which would be an allocation for each frame.
    let attaches = frame.memory().path() == MemoryPath::DmaBuf && frame.implicit_sync().is_yes();
    let role = FenceRole::Acquire;
    if attaches && frame.attach_fence(role, &fence, patience).is_ok() {
        return Ok((fence, FenceRoute::Attached));
    }
    match fence.to_sync_file(patience)? {
        None => Ok((Fence::Signaled, FenceRoute::Signaled)),
        Some(file) => Ok((Fence::SyncFile(file), FenceRoute::Mailed)),
    }
}
