//! Semaphores that wait for their next turn.

use std::sync::{Mutex, MutexGuard, PoisonError};

use lucarne::Result;
use lucarne::vulkan::{Device, SignalSemaphore, WaitSemaphore};

use crate::ffi;

/// Those that no submission uses: each goes back here when its own has finished, so that frames make no new ones.
#[derive(Debug, Default)]
pub(crate) struct Semaphores {
    waits: Mutex<Vec<WaitSemaphore>>,
    signals: Mutex<Vec<SignalSemaphore>>,
}

impl Semaphores {
    pub(crate) fn wait(&self, device: &Device) -> Result<WaitSemaphore> {
        let idle = held(&self.waits).pop();
        idle.map_or_else(|| device.wait_semaphore(), Ok)
    }

    pub(crate) fn signal(&self, device: &Device) -> Result<SignalSemaphore> {
        let idle = held(&self.signals).pop();
        idle.map_or_else(|| ffi::signal_semaphore(device), Ok)
    }

    pub(crate) fn put_wait(&self, done: WaitSemaphore) {
        held(&self.waits).push(done);
    }

    pub(crate) fn put_signal(&self, done: SignalSemaphore) {
        held(&self.signals).push(done);
    }
}

/// A panic elsewhere says nothing against what is in the list.
fn held<T>(list: &Mutex<T>) -> MutexGuard<'_, T> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}
