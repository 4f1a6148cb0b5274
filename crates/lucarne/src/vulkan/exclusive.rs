//! A value that one turn at a time uses. Other threads wait for it with a deadline; a turn inside itself is refused.

use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use crate::error::{Error, Result};

/// A value that belongs to one turn at a time.
pub(super) struct Exclusive<T> {
    turn: Mutex<Turn>,
    free: Condvar,
    value: Mutex<T>,
}

#[derive(Default)]
struct Turn {
    /// The thread whose turn it is.
    holder: Option<ThreadId>,
    /// How many others wait: telling nobody would be a system call for each turn.
    waiting: usize,
}

/// The value, until this is dropped.
pub(super) struct Held<'a, T> {
    // Dropped in this order: the value is free before anybody is told.
    value: MutexGuard<'a, T>,
    _claim: Claim<'a>,
}

struct Claim<'a> {
    turn: &'a Mutex<Turn>,
    free: &'a Condvar,
}

impl<T> Exclusive<T> {
    pub(super) fn new(value: T) -> Self {
        Self {
            turn: Mutex::default(),
            free: Condvar::new(),
            value: Mutex::new(value),
        }
    }

    /// Takes the value; waits for the turn of another thread, and refuses within this thread's own.
    pub(super) fn hold(&self, timeout: Duration) -> Result<Held<'_, T>> {
        let me = thread::current().id();
        let mut turn = lock(&self.turn);
        if turn.holder == Some(me) {
            return Err(being_recorded());
        }
        if turn.holder.is_some() {
            turn.waiting += 1;
            let waited = self
                .free
                .wait_timeout_while(turn, timeout, |turn| turn.holder.is_some());
            (turn, _) = waited.unwrap_or_else(PoisonError::into_inner);
            turn.waiting -= 1;
            if turn.holder.is_some() {
                return Err(Error::Timeout {
                    waiting_for: "another thread's turn of the image",
                    after: timeout,
                });
            }
        }
        turn.holder = Some(me);
        drop(turn);
        Ok(self.held())
    }

    /// Takes the value if nobody has it.
    pub(super) fn try_hold(&self) -> Result<Held<'_, T>> {
        let mut turn = lock(&self.turn);
        if turn.holder.is_some() {
            return Err(being_recorded());
        }
        turn.holder = Some(thread::current().id());
        drop(turn);
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
                turn: &self.turn,
                free: &self.free,
            },
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut turn = lock(self.turn);
        turn.holder = None;
        if turn.waiting > 0 {
            self.free.notify_one();
        }
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
