//! What the next writer of a slot waits for: the release fences of its last readers, and not for ever.

use std::time::{Duration, Instant};

use lucarne::Fence;

use crate::wire::MAX_SLOTS;

/// The most fences of one reader that gate one slot at a time. Work that is queued on a GPU may leave two.
const MAX_PENDING: usize = 4;

/// The release fences of each slot that have not signalled yet.
#[derive(Debug)]
pub(super) struct Gates {
    slots: [Vec<Pending>; MAX_SLOTS],
}

/// A release fence.
#[derive(Debug)]
struct Pending {
    fence: Fence,
    /// Whose; nobody's in particular where several are attached to one frame.
    reader: Option<u64>,
    since: Instant,
}

impl Gates {
    pub(super) fn new() -> Self {
        Self {
            slots: [const { Vec::new() }; MAX_SLOTS],
        }
    }

    /// Lets a fence gate a slot. False where its reader has too many there already.
    pub(super) fn add(&mut self, slot: usize, fence: Fence, reader: Option<u64>) -> bool {
        let pending = &mut self.slots[slot];
        let same = pending.iter().filter(|one| one.reader == reader);
        if same.count() >= MAX_PENDING {
            return false;
        }
        pending.push(Pending {
            fence,
            reader,
            since: Instant::now(),
        });
        true
    }

    /// Forgets the fences that have signalled, and those that have not within `patience`. Whose those were is written to `late`.
    pub(super) fn settle(&mut self, patience: Duration, late: &mut Vec<u64>) {
        for pending in self.slots.iter_mut().filter(|slot| !slot.is_empty()) {
            pending.retain(|one| {
                // One that is none gates nothing.
                let over = one.fence.is_signaled().unwrap_or(true);
                let is_late = !over && one.since.elapsed() >= patience;
                if is_late {
                    late.extend(one.reader);
                }
                !over && !is_late
            });
        }
    }

    /// The gate of a slot, whose last writer's fence is `written`.
    pub(super) fn of(&self, slot: usize, written: Fence, patience: Duration) -> Fence {
        let pending = &self.slots[slot];
        // Nothing is allocated for frames whose work is over.
        if pending.is_empty() {
            return written;
        }
        let readers = pending.iter().map(|one| &one.fence);
        let all: Vec<Fence> = readers.cloned().chain([written]).collect();
        Fence::merge(&all).unwrap_or_else(|_| {
            // Fences that cannot be merged are waited for here; a late one gates nothing, and is found by `settle` next.
            let left = pending
                .iter()
                .map(|one| patience.saturating_sub(one.since.elapsed()));
            for (fence, left) in all.iter().zip(left.chain([patience])) {
                let _ = fence.wait(left);
            }
            Fence::Signaled
        })
    }
}
