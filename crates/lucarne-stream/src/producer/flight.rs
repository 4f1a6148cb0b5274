//! Frames on their way: out to consumers, and back into the pool once the last reader is done.

use std::cmp::Reverse;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lucarne::{Fence, Frame, Sent, kernel::FenceRole};

use super::gates::{Gates, Pending};
use super::peer::Peer;
use super::{Active, Producer, ProducerEvent};
use crate::error::{Error, Result};
use crate::generation::{Allocate, Writing};
use crate::ring::{Collected, Damage, DamageList, FenceRoute, FrameNote, MAX_SEQUENCE};
use crate::socket::Inbox;
use crate::wire::{Farewell, FenceFor, MAX_SLOTS, Message, Reason};

/// The slots of a generation: which are out, and what gates those that came back.
#[derive(Debug)]
pub(super) struct Flights {
    slots: [Option<Flight>; MAX_SLOTS],
    gates: Gates,
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
        }
    }

    /// One reader fewer. Without any, the frame goes back into its pool.
    pub(super) fn back(&mut self, slot: usize) {
        let Some(flight) = self.slots.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        flight.readers = flight.readers.saturating_sub(1);
        if flight.readers == 0
            && let Some(flight) = self.slots[slot].take()
        {
            let (reading, acquire) = flight.sent.receive().acquire();
            reading.release(acquire);
        }
    }

    fn released(&mut self, slot: usize, reader: u64, fence: Option<Fence>, epoll: &OwnedFd) {
        if let Some(fence) = fence {
            let since = Instant::now();
            let pending = Pending {
                fence,
                reader,
                since,
            };
            self.gates.add(slot, pending, epoll);
        }
        self.back(slot);
    }

    /// How long the first release fence has left.
    pub(super) fn timeout(&self, patience: Duration) -> Option<Duration> {
        self.gates.timeout(patience)
    }
}

impl<A: Allocate> Producer<A> {
    /// A slot that is free, after looking what has come back.
    pub(super) fn free_slot(&mut self) -> Option<Writing<A::Image>> {
        self.collect();
        let active = self.active.as_ref()?;
        // Those that are still being read go back behind the others.
        let mut closed = [const { None }; MAX_SLOTS];
        for aside in &mut closed {
            let free = active.generation.pool.acquire()?;
            if active.flights.gates.is_open(free.index()) {
                let (turn, gate) = free.acquire();
                return Some(Writing {
                    turn,
                    gate,
                    generation: active.generation.clone(),
                });
            }
            *aside = Some(free);
        }
        None
    }

    /// Takes back what consumers have released.
    fn collect(&mut self) {
        let Some(active) = &mut self.active else {
            return;
        };
        let mut broken = Vec::new();
        for peer in &mut self.peers {
            if let Err(error) = collect_from(peer, active, &mut self.inbox, &self.epoll) {
                broken.push((peer.id, error));
            }
        }
        let mut late = Vec::new();
        let gates = &mut active.flights.gates;
        gates.settle(self.options.patience, &self.epoll, &mut late);
        for (id, error) in broken {
            self.hang_up(id, &error);
        }
        for id in late {
            let text = "its release fence did not signal in time";
            self.part(id, Some(Farewell::new(Reason::TooSlow, text)), text);
        }
    }

    pub(super) fn publish(
        &mut self,
        slot: Writing<A::Image>,
        acquire: Fence,
        timestamp: Duration,
        damage: Option<&[Damage]>,
    ) -> Result<usize> {
        let generation = slot.generation.number;
        let index = slot.index();
        let frame = slot.frame().clone();
        // Another producer's slot has numbers like ours.
        let is_active = self
            .active
            .as_ref()
            .is_some_and(|active| Arc::ptr_eq(&active.generation, &slot.generation));
        if !is_active || self.sequence >= MAX_SEQUENCE {
            return Ok(0);
        }
        let patience = self.options.patience;
        // Closed at the end, when the frame is on its way: that is a system call.
        let _kept = acquire.clone();
        let (acquire, route) = route(&frame, acquire, patience)?;
        self.sequence += 1;
        let note = FrameNote {
            timestamp: u64::try_from(timestamp.as_nanos()).unwrap_or(u64::MAX),
            fence: route,
            damage: damage.and_then(DamageList::new),
        };
        let file = match (&acquire, route) {
            (Fence::SyncFile(file), FenceRoute::Mailed) => Some(file.as_ref()),
            _ => None,
        };
        let mut readers = 0;
        let mut broken = Vec::new();
        let mut back = std::mem::take(&mut self.back);
        for peer in &mut self.peers {
            let what = (index, self.sequence);
            match peer.publish(generation, what, &note, file, &mut back) {
                Ok(true) => readers += 1,
                Ok(false) => {}
                Err(error) => broken.push((peer.id, error)),
            }
        }
        let sent = slot.turn.send(acquire.clone());
        if let Some(active) = &mut self.active {
            if readers > 0 {
                active.flights.slots[index] = Some(Flight { sent, readers });
            }
            for older in back.drain(..) {
                active.flights.back(older);
            }
        }
        self.back = back;
        for (id, error) in broken {
            self.hang_up(id, &error);
        }
        Ok(readers)
    }

    /// After the configured patience, cuts off whoever keeps most of the slots.
    pub(super) fn cut_off_the_slowest(&mut self) {
        let since = *self.starved.get_or_insert_with(Instant::now);
        if since.elapsed() < self.options.patience {
            return;
        }
        // Who keeps most, and among those who keeps the oldest.
        let kept = |peer: &Peer| {
            let out = || peer.rings.iter().flat_map(|ring| ring.end.all_out());
            let oldest = out().map(|(_, sequence)| sequence).min();
            oldest.map(|oldest| (out().count(), Reverse(oldest)))
        };
        // From now on again, so that who waits here sleeps meanwhile.
        self.starved = Some(Instant::now());
        // Nobody: the program itself has all slots.
        let Some(most) = self.peers.iter().filter_map(kept).max() else {
            return;
        };
        let slowest = self
            .peers
            .iter()
            .filter(|peer| kept(peer) == Some(most))
            .map(|peer| peer.id)
            .collect::<Vec<u64>>();
        for id in slowest {
            let text = "it kept a frame while the producer had no free slot";
            self.part(id, Some(Farewell::new(Reason::TooSlow, text)), text);
        }
    }

    /// Ends a connection because of an error.
    pub(super) fn hang_up(&mut self, id: u64, error: &Error) {
        let text = error.to_string();
        let farewell = match error {
            Error::PeerGone => None,
            Error::SocketFull | Error::Timeout { .. } => Some(Reason::TooSlow),
            error if error.is_breach() => Some(Reason::Protocol),
            _ => Some(Reason::Resources),
        };
        self.part(
            id,
            farewell.map(|reason| Farewell::new(reason, &text)),
            &text,
        );
    }

    /// Ends a connection: its slots are free at once.
    pub(super) fn part(&mut self, id: u64, farewell: Option<Farewell>, reason: &str) {
        let Some(at) = self.peers.iter().position(|peer| peer.id == id) else {
            return;
        };
        let mut peer = self.peers.swap_remove(at);
        if let Some(farewell) = farewell {
            let never_served = peer.rings.iter().all(|ring| !ring.ready);
            let message = if never_served {
                Message::Refused(farewell)
            } else {
                Message::Goodbye(farewell)
            };
            // It may not be reading any more; the hang-up tells it as well.
            let _ = peer.send(&message, &[]);
        }
        if let Some(active) = &mut self.active {
            let number = active.generation.number;
            let rings = peer.rings.iter().filter(|ring| ring.generation == number);
            for (slot, _) in rings.flat_map(|ring| ring.end.all_out()) {
                active.flights.back(slot);
            }
            active.flights.gates.forget(id, &self.epoll);
        }
        if peer.joined().is_some() {
            // A generation that was made for it may not be needed any more, and others may do better without it.
            self.stale = true;
            self.climb = true;
            self.report(ProducerEvent::Left {
                consumer: id,
                reason: reason.to_owned(),
            });
        }
    }
}

fn collect_from<I>(
    peer: &mut Peer,
    active: &mut Active<I>,
    inbox: &mut Inbox,
    epoll: &OwnedFd,
) -> Result<()> {
    let generation = active.generation.number;
    for slot in 0..active.generation.images.len() {
        let Some(ring) = peer.serving(generation) else {
            return Ok(());
        };
        let Some(sequence) = ring.end.out(slot) else {
            continue;
        };
        let fence = match ring.end.collect(slot)? {
            Collected::Held => continue,
            Collected::Released => None,
            Collected::ReleasedMailed => {
                let of = FenceFor {
                    generation,
                    sequence,
                    slot,
                };
                match peer.take_fence(of, inbox) {
                    Ok(fence) => Some(fence),
                    Err(error) => {
                        // The ring has given it back already, whatever becomes of its reader.
                        active.flights.back(slot);
                        return Err(error);
                    }
                }
            }
        };
        peer.is_reading();
        active.flights.released(slot, peer.id, fence, epoll);
    }
    Ok(())
}

/// How an acquire fence gets to consumers. One that cannot travel is waited for.
fn route(frame: &Frame, fence: Fence, patience: Duration) -> Result<(Fence, FenceRoute)> {
    if matches!(fence, Fence::Signaled) || fence.is_signaled()? {
        return Ok((Fence::Signaled, FenceRoute::Signaled));
    }
    if frame.implicit_sync().is_yes()
        && frame
            .attach_fence(FenceRole::Acquire, &fence, patience)
            .is_ok()
    {
        return Ok((fence, FenceRoute::Attached));
    }
    match fence.to_sync_file(patience)? {
        None => Ok((Fence::Signaled, FenceRoute::Signaled)),
        Some(file) => Ok((Fence::SyncFile(file), FenceRoute::Mailed)),
    }
}
