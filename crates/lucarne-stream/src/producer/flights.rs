//! Frames on their way: out to consumers, and back into the pool once the last reader is done.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lucarne::{Fence, Frame, MemoryPath, Pool, Sent, Writing, kernel::FenceRole};

use super::Producer;
use super::conduct::Stall;
use super::gates::{Gates, ReleaseFence};
use super::peer::{Outgoing, Peer};
use crate::error::Result;
use crate::generation::{Allocate, SlotWriting};
use crate::ring::{Damage, DamageList, FenceRoute, FrameNote};
use crate::wire::{FarewellReason, FenceFor, MAX_SEQUENCE, MAX_SLOTS};

/// The slots of the generation in use: who has each, and what gates those that came back.
#[derive(Debug)]
pub(super) struct Flights {
    /// Those that the program has not. One that it drops goes into its pool instead, which has a lock: any thread may drop it.
    slots: [Option<Sent>; MAX_SLOTS],
    /// How many consumers have each.
    readers: [usize; MAX_SLOTS],
    /// Those that nobody has.
    back: Queue,
    gates: Gates,
    /// Since when no slot is free.
    starved: Option<Instant>,
}

/// Slots in the order in which they came back: four bits for each, the first one lowest.
#[derive(Debug, Default)]
struct Queue {
    slots: u64,
    count: u32,
}

const _: () = assert!(MAX_SLOTS == 16);

impl Queue {
    /// A slot that is not in it yet.
    #[inline]
    fn push(&mut self, slot: usize) {
        self.slots |= ((slot % MAX_SLOTS) as u64) << (4 * self.count);
        self.count += 1;
    }

    #[inline]
    fn pop(&mut self) -> Option<usize> {
        if self.count == 0 {
            return None;
        }
        let slot = usize::try_from(self.slots % MAX_SLOTS as u64).unwrap_or_default();
        self.slots >>= 4;
        self.count -= 1;
        Some(slot)
    }
}

impl Flights {
    pub(super) fn new() -> Self {
        Self {
            slots: [const { None }; MAX_SLOTS],
            readers: [0; MAX_SLOTS],
            back: Queue::default(),
            gates: Gates::new(),
            starved: None,
        }
    }

    /// Begins again, with the slots of another generation.
    pub(super) fn restart(&mut self, pool: &Pool, epoll: &OwnedFd) {
        self.let_go();
        self.gates.clear(epoll);
        self.take_dropped(pool);
    }

    /// Lets go of the slots: their generation is over.
    pub(super) fn let_go(&mut self) {
        self.slots = [const { None }; MAX_SLOTS];
        self.readers = [0; MAX_SLOTS];
        self.back = Queue::default();
    }

    /// Takes what the program has dropped.
    fn take_dropped(&mut self, pool: &Pool) {
        while let Some(free) = pool.acquire() {
            let (turn, gate) = free.acquire();
            self.set_out(turn.send(gate), 0);
        }
    }

    /// A slot that so many consumers have now.
    #[inline]
    fn set_out(&mut self, sent: Sent, readers: usize) {
        let slot = sent.index() % MAX_SLOTS;
        self.slots[slot] = Some(sent);
        self.readers[slot] = readers;
        if readers == 0 {
            self.back.push(slot);
        }
    }

    /// A slot whose readers are done. Those that are still being read go back behind the others.
    #[inline]
    fn acquire(&mut self, pool: &Pool) -> Option<Writing> {
        if self.gates.are_all_open()
            && let Some(first) = self.back.pop()
        {
            return self.take(first);
        }
        self.acquire_open(pool)
    }

    #[cold]
    fn acquire_open(&mut self, pool: &Pool) -> Option<Writing> {
        self.take_dropped(pool);
        for _ in 0..self.back.count {
            let slot = self.back.pop()?;
            if self.gates.is_open(slot) {
                return self.take(slot);
            }
            self.back.push(slot);
        }
        None
    }

    /// Its own writing gates the next one; what its readers have still to do, the gates know.
    #[inline]
    fn take(&mut self, slot: usize) -> Option<Writing> {
        let sent = self.slots[slot].take()?;
        Some(sent.take_back().acquire().0)
    }

    /// A reader fewer. Without any, the slot is back.
    #[inline]
    fn take_back(&mut self, slot: usize) {
        let readers = &mut self.readers[slot % MAX_SLOTS];
        if *readers == 0 {
            return;
        }
        *readers -= 1;
        if *readers == 0 {
            self.back.push(slot);
        }
    }

    #[inline]
    fn release(&mut self, slot: usize, reader: u64, fence: Option<Fence>, epoll: &OwnedFd) {
        if let Some(fence) = fence {
            self.close(slot, reader, fence, epoll);
        }
        self.take_back(slot);
    }

    /// Keeps a slot closed until its reader's work is done.
    #[cold]
    fn close(&mut self, slot: usize, reader: u64, fence: Fence, epoll: &OwnedFd) {
        let since = Instant::now();
        let release = ReleaseFence {
            fence,
            reader,
            since,
        };
        self.gates.add(slot, release, epoll);
    }

    /// Takes back what a reader has that is gone.
    pub(super) fn forget(&mut self, reader: &Peer, generation: u64, epoll: &OwnedFd) {
        for slot in reader.out_of(generation) {
            self.take_back(slot);
        }
        self.gates.forget(reader.id, epoll);
    }

    /// A slot was free.
    #[inline]
    pub(super) fn feed(&mut self) {
        self.starved = None;
    }

    /// No slot is free: notes when that began.
    pub(super) fn starve(&mut self) {
        self.starved.get_or_insert_with(Instant::now);
    }

    /// Whether no slot is free.
    pub(super) fn starves(&self) -> bool {
        self.starved.is_some()
    }

    /// Since when no slot has been free, and how long that is.
    pub(super) fn stall(&self, now: Instant) -> Option<Stall> {
        let since = self.starved?;
        let length = now.saturating_duration_since(since);
        Some(Stall { since, length })
    }

    /// How many slots a reader keeps that has given them back.
    fn gated(&self, reader: u64) -> usize {
        self.gates.kept_by(reader)
    }

    /// How long until somebody has kept a slot for `least`, or a release fence has been pending for `patience`.
    pub(super) fn timeout(&self, least: Duration, patience: Duration) -> Option<Duration> {
        let starved = self.starved;
        let starved = starved.map(|since| least.saturating_sub(since.elapsed()));
        let fences = self.gates.timeout(patience);
        starved.into_iter().chain(fences).min()
    }
}

impl<A: Allocate> Producer<A> {
    /// As `free_slot`, for those who do not ask for each frame.
    #[inline(never)]
    pub(super) fn another_slot(&mut self) -> Option<SlotWriting<A::Image>> {
        self.free_slot()
    }

    /// A slot that is free, after looking what has come back.
    #[inline(always)]
    pub(super) fn free_slot(&mut self) -> Option<SlotWriting<A::Image>> {
        let generation = self.arrangement.current()?;
        let number = generation.number;
        let (flights, epoll) = (&mut self.flights, &self.epoll);
        let collected = self.peers.each(|peer, inbox| {
            let reader = peer.id;
            let released = |slot, fence| flights.release(slot, reader, fence, epoll);
            peer.collect(number, inbox, released)
        });
        if collected.is_err() || !flights.gates.are_all_open() {
            return self.sweep();
        }
        let turn = flights.acquire(&generation.slots.pool)?;
        Some(SlotWriting {
            turn,
            generation: generation.clone(),
        })
    }

    /// Opens the gates whose fences have signalled, and parts with whoever broke the protocol or is late. A slot that is free
    /// then.
    #[cold]
    fn sweep(&mut self) -> Option<SlotWriting<A::Image>> {
        let late = self.flights.gates.sweep(self.options.patience, &self.epoll);
        self.hang_up_on_broken();
        for id in late {
            let text = "its release fence did not signal in time";
            self.dismiss(id, FarewellReason::TooSlow, text);
        }
        let generation = self.arrangement.current()?;
        Some(SlotWriting {
            turn: self.flights.acquire(&generation.slots.pool)?,
            generation: generation.clone(),
        })
    }

    #[inline]
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
        // What was given is closed at the end, when the frame is on its way: that is a system call.
        let (passed, route) = match &acquire {
            Fence::Signaled => (Fence::Signaled, FenceRoute::Signaled),
            pending => choose_route(slot.frame(), pending, self.options.patience)?,
        };
        self.sequence += 1;
        let outgoing = Outgoing {
            of: FenceFor {
                generation: slot.generation(),
                sequence: self.sequence,
                slot: slot.index(),
            },
            mailed: match &passed {
                Fence::SyncFile(file) if route == FenceRoute::Mailed => Some(file),
                _ => None,
            },
            note: FrameNote {
                timestamp: nanoseconds(timestamp),
                fence: route,
                damage: damage.and_then(DamageList::new),
            },
        };
        let (flights, mut readers) = (&mut self.flights, 0);
        let all = self.peers.each(|peer, _| {
            readers += usize::from(peer.publish(&outgoing, |older| flights.take_back(older))?);
            Ok(())
        });
        // Without a reader it is back at once, and still gates whoever writes it next.
        flights.set_out(slot.turn.send(passed), readers);
        if all.is_err() {
            self.hang_up_on_broken();
        }
        Ok(readers)
    }

    /// Cuts off whoever keeps most of the slots, out of those who have kept the others waiting for as long as they may.
    pub(super) fn cut_off_the_slowest(&mut self) {
        self.flights.starve();
        let now = Instant::now();
        let Some(Stall { length, .. }) = self.long_stall(now) else {
            return;
        };
        let is_over = |peer: &Peer| self.patience_with(peer, now) <= length;
        let slowest = self.peers.slowest(is_over, |id| self.flights.gated(id));
        for id in &slowest {
            let text = "it kept a frame while the producer had no free slot";
            self.dismiss(*id, FarewellReason::TooSlow, text);
        }
        if !slowest.is_empty() || length >= self.options.patience {
            // From now on again, so that who waits here sleeps meanwhile.
            self.flights.feed();
            self.flights.starve();
        }
    }

    /// The stall that there is, once somebody has less patience left than it has taken.
    pub(super) fn long_stall(&self, now: Instant) -> Option<Stall> {
        let stall = self.flights.stall(now)?;
        (stall.length >= self.least_patience(now)).then_some(stall)
    }

    /// How long a consumer may keep the others waiting.
    fn patience_with(&self, peer: &Peer, now: Instant) -> Duration {
        if peer.is_proven() {
            self.options.patience
        } else {
            self.conduct.patience(peer.credentials, now)
        }
    }

    /// The least that any consumer has. One that is alone keeps nobody waiting but the producer.
    pub(super) fn least_patience(&self, now: Instant) -> Duration {
        let patience = self.options.patience;
        if self.conduct.is_clean() || self.peers.served() < 2 {
            return patience;
        }
        let peers = self.peers.iter().filter(|peer| peer.is_served());
        let each = peers.map(|peer| self.patience_with(peer, now));
        each.min().unwrap_or(patience)
    }

    /// Whoever leaves while nothing is free, and keeps a slot, has kept the others waiting.
    pub(super) fn charge(&mut self, peer: &Peer) {
        let now = Instant::now();
        if let Some(stall) = self.flights.stall(now)
            && (peer.out().next().is_some() || self.flights.gated(peer.id) > 0)
        {
            self.conduct.charge(peer.credentials, stall, now);
        }
    }
}

/// A time, as it travels: the highest number for one beyond it.
#[inline]
fn nanoseconds(time: Duration) -> u64 {
    let seconds = time.as_secs().checked_mul(1_000_000_000);
    let all = seconds.and_then(|seconds| seconds.checked_add(time.subsec_nanos().into()));
    all.unwrap_or(u64::MAX)
}

/// How an acquire fence gets to consumers. One that cannot travel is waited for.
fn choose_route(frame: &Frame, fence: &Fence, patience: Duration) -> Result<(Fence, FenceRoute)> {
    if fence.is_signaled()? {
        return Ok((Fence::Signaled, FenceRoute::Signaled));
    }
    // Other memory is not asked: its reasons are written down for people, which would be an allocation for each frame.
    let attaches = frame.memory().path() == MemoryPath::DmaBuf && frame.implicit_sync().is_yes();
    let role = FenceRole::Acquire;
    if attaches && frame.attach_fence(role, fence, patience).is_ok() {
        return Ok((fence.clone(), FenceRoute::Attached));
    }
    match fence.to_sync_file(patience)? {
        None => Ok((Fence::Signaled, FenceRoute::Signaled)),
        Some(file) => Ok((Fence::SyncFile(file), FenceRoute::Mailed)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_come_out_in_the_order_in_which_they_went_in() {
        let mut queue = Queue::default();
        for slot in (0..MAX_SLOTS).rev() {
            queue.push(slot);
        }
        assert_eq!(queue.pop(), Some(MAX_SLOTS - 1));
        queue.push(MAX_SLOTS - 1);
        let all: Vec<usize> = std::iter::from_fn(|| queue.pop()).collect();
        let (last, others) = all.split_last().expect("all of them");
        assert!(others.iter().copied().eq((0..MAX_SLOTS - 1).rev()));
        assert_eq!(*last, MAX_SLOTS - 1);
    }
}
