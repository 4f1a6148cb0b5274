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
    slots: [Vec<ReleaseFence>; MAX_SLOTS],
    /// How many there are in all.
    count: usize,
}

/// What a reader has still to do with a slot.
#[derive(Debug)]
pub(super) struct ReleaseFence {
    pub(super) fence: Fence,
    pub(super) reader: u64,
    pub(super) since: Instant,
}

impl ReleaseFence {
    fn left(&self, patience: Duration) -> Duration {
        patience.saturating_sub(self.since.elapsed())
    }
}

impl Gates {
    pub(super) fn new() -> Self {
        Self {
            slots: [const { Vec::new() }; MAX_SLOTS],
            count: 0,
        }
    }

    /// Keeps a slot closed until a fence has signalled, which `epoll` tells once.
    pub(super) fn add(&mut self, slot: usize, release: ReleaseFence, epoll: &OwnedFd) {
        // One that is none gates nothing.
        if release.fence.is_signaled().unwrap_or(true) {
            return;
        }
        if let Fence::SyncFile(file) = &release.fence {
            let token = epoll::EventData::new_u64(FENCE);
            let flags = epoll::EventFlags::IN | epoll::EventFlags::ONESHOT;
            // Without it the slot is found free at the next look, which comes at the fence's deadline at the latest.
            let _ = epoll::add(epoll, file.as_fd(), token, flags);
        }
        self.slots[slot].push(release);
        self.count += 1;
    }

    #[inline]
    pub(super) fn are_all_open(&self) -> bool {
        self.count == 0
    }

    pub(super) fn is_open(&self, slot: usize) -> bool {
        self.slots[slot].is_empty()
    }

    /// Forgets the fences that have signalled, and those that have not within `patience`. Says whose those were.
    pub(super) fn sweep(&mut self, patience: Duration, epoll: &OwnedFd) -> Vec<u64> {
        let mut late = Vec::new();
        self.retain(epoll, |one| {
            let is_over = one.fence.is_signaled().unwrap_or(true);
            let is_late = !is_over && one.left(patience).is_zero();
            if is_late {
                late.push(one.reader);
            }
            !is_over && !is_late
        });
        late
    }

    /// How many slots a reader keeps closed.
    pub(super) fn kept_by(&self, reader: u64) -> usize {
        if self.count == 0 {
            return 0;
        }
        let keeps = |slot: &&Vec<ReleaseFence>| slot.iter().any(|one| one.reader == reader);
        self.slots.iter().filter(keeps).count()
    }

    /// Forgets what a reader that is gone had still to do.
    pub(super) fn forget(&mut self, reader: u64, epoll: &OwnedFd) {
        self.retain(epoll, |one| one.reader != reader);
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self, epoll: &OwnedFd) {
        self.retain(epoll, |_| false);
    }

    fn retain(&mut self, epoll: &OwnedFd, mut keeps: impl FnMut(&ReleaseFence) -> bool) {
        if self.count == 0 {
            return;
        }
        for slot in &mut self.slots {
            slot.retain(|one| {
                let is_kept = keeps(one);
                if !is_kept && let Fence::SyncFile(file) = &one.fence {
                    // Another process may still have the file, so that closing it here would not end it.
                    let _ = epoll::delete(epoll, file.as_fd());
                }
                is_kept
            });
        }
        self.count = self.slots.iter().map(Vec::len).sum();
    }

    /// How long the first fence has left.
    pub(super) fn timeout(&self, patience: Duration) -> Option<Duration> {
        let fences = self.slots.iter().flatten();
        fences.map(|one| one.left(patience)).min()
    }
}
