//! What one turn at a time has: other threads wait for it with a deadline, and a turn inside itself is refused.

use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use crate::error::{Error, Result};

/// A value that belongs to one turn at a time.
pub(super) struct Exclusive<T> {
    /// The thread whose turn it is.
    holder: Mutex<Option<ThreadId>>,
    free: Condvar,
    value: Mutex<T>,
}

/// The value, until this is dropped.
pub(super) struct Held<'a, T> {
    // Dropped in this order: the value is free before anybody is told.
    value: MutexGuard<'a, T>,
    _claim: Claim<'a>,
}

struct Claim<'a> {
    holder: &'a Mutex<Option<ThreadId>>,
    free: &'a Condvar,
}

impl<T> Exclusive<T> {
    pub(super) fn new(value: T) -> Self {
        Self {
            holder: Mutex::new(None),
            free: Condvar::new(),
            value: Mutex::new(value),
        }
    }

    /// Takes the value; waits for the turn of another thread, and refuses within this thread's own.
    pub(super) fn hold(&self, timeout: Duration) -> Result<Held<'_, T>> {
        let me = thread::current().id();
        let holder = lock(&self.holder);
        if *holder == Some(me) {
            return Err(being_recorded());
        }
        let waited = self
            .free
            .wait_timeout_while(holder, timeout, |one| one.is_some());
        let (mut holder, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if holder.is_some() {
            return Err(Error::Timeout {
                waiting_for: "another thread's turn of the image",
                after: timeout,
            });
        }
        *holder = Some(me);
        drop(holder);
        Ok(self.held())
    }

    /// Takes the value if nobody has it.
    pub(super) fn try_hold(&self) -> Result<Held<'_, T>> {
        let mut holder = lock(&self.holder);
        if holder.is_some() {
            return Err(being_recorded());
        }
        *holder = Some(thread::current().id());
        drop(holder);
        Ok(self.held())
    }

    pub(super) fn get_mut(&mut self) -> &mut T {
        let value = self.value.get_mut();
        value.unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self) -> Held<'_, T> {
        Held {
            value: lock(&self.value),
            _claim: Claim {
                holder: &self.holder,
                free: &self.free,
            },
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        *lock(self.holder) = None;
        self.free.notify_one();
    }
}

impl<T> Deref for Held<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Held<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

/// Values are consistent between their own calls, whatever panics in a caller's closure.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn being_recorded() -> Error {
    let limit = "one whose last turn has been recorded: neither inside `record`, nor while another thread records";
    Error::invalid("image", "being recorded", limit)
}
