//! Slots that came back while their readers' work still goes on: they are free when their release fences have signalled, and
//! no later than the producer's patience allows.

use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use lucarne::Fence;
use rustix::event::epoll;

use crate::wire::MAX_SLOTS;

/// What the epoll set tells of a fence that has signalled: no consumer has this number.
pub(super) const FENCE: u64 = u64::MAX;

/// The release fences of each slot that have not signalled yet.
#[derive(Debug)]
pub(super) struct Gates {
    slots: [Vec<Pending>; MAX_SLOTS],
}

/// A release fence.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) fence: Fence,
    pub(super) reader: u64,
    pub(super) since: Instant,
}

impl Pending {
    fn left(&self, patience: Duration) -> Duration {
        patience.saturating_sub(self.since.elapsed())
    }
}

impl Gates {
    pub(super) fn new() -> Self {
        Self {
            slots: [const { Vec::new() }; MAX_SLOTS],
        }
    }

    /// Keeps a slot closed until a fence has signalled, which `epoll` tells once.
    pub(super) fn add(&mut self, slot: usize, pending: Pending, epoll: &OwnedFd) {
        // One that is none gates nothing.
        if pending.fence.is_signaled().unwrap_or(true) {
            return;
        }
        if let Fence::SyncFile(file) = &pending.fence {
            let token = epoll::EventData::new_u64(FENCE);
            let flags = epoll::EventFlags::IN | epoll::EventFlags::ONESHOT;
            // Without it the slot is found free at the next look, which comes at the fence's deadline at the latest.
            let _ = epoll::add(epoll, file.as_fd(), token, flags);
        }
        self.slots[slot].push(pending);
    }

    pub(super) fn is_open(&self, slot: usize) -> bool {
        self.slots[slot].is_empty()
    }

    /// Forgets the fences that have signalled, and those that have not within `patience`. Whose those were is written to `late`.
    pub(super) fn settle(&mut self, patience: Duration, epoll: &OwnedFd, late: &mut Vec<u64>) {
        for pending in self.slots.iter_mut().filter(|slot| !slot.is_empty()) {
            retain(pending, epoll, |one| {
                let is_over = one.fence.is_signaled().unwrap_or(true);
                let is_late = !is_over && one.left(patience).is_zero();
                if is_late {
                    late.push(one.reader);
                }
                !is_over && !is_late
            });
        }
    }

    /// Forgets what a reader that is gone had still to do.
    pub(super) fn forget(&mut self, reader: u64, epoll: &OwnedFd) {
        for pending in self.slots.iter_mut().filter(|slot| !slot.is_empty()) {
            retain(pending, epoll, |one| one.reader != reader);
        }
    }

    /// How long the first fence has left.
    pub(super) fn timeout(&self, patience: Duration) -> Option<Duration> {
        let pending = self.slots.iter().flatten();
        pending.map(|one| one.left(patience)).min()
    }
}

fn retain(pending: &mut Vec<Pending>, epoll: &OwnedFd, mut keep: impl FnMut(&Pending) -> bool) {
    pending.retain(|one| {
        let keeps = keep(one);
        if !keeps && let Fence::SyncFile(file) = &one.fence {
            // Another process may still have the file, so that closing it here would not end it.
            let _ = epoll::delete(epoll, file.as_fd());
        }
        keeps
    });
}
