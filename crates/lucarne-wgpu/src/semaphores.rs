//! Semaphores that wait for their next turn.

use std::sync::{Mutex, MutexGuard, PoisonError};

use lucarne::Result;
use lucarne::vulkan::{Device, SignalSemaphore};

use crate::ffi::{self, Waits};

/// Those that no submission uses: each goes back here when its own has finished, so that frames make no new ones.
#[derive(Debug, Default)]
pub(crate) struct Semaphores {
    pub(crate) waits: Waits,
    signals: Mutex<Vec<SignalSemaphore>>,
}

impl Semaphores {
    pub(crate) fn signal(&self, device: &Device) -> Result<SignalSemaphore> {
        let idle = held(&self.signals).pop();
        idle.map_or_else(|| ffi::signal_semaphore(device), Ok)
    }

    pub(crate) fn put_signal(&self, done: SignalSemaphore) {
        held(&self.signals).push(done);
    }
}

/// A panic elsewhere says nothing against what is in the list.
pub(crate) fn held<T>(list: &Mutex<T>) -> MutexGuard<'_, T> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}
