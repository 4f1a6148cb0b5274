//! A value that one turn at a time uses. Other threads wait for it with a deadline; a turn inside itself is refused.
//!
//! A turn that nobody waits for takes one lock and no more: every frame does that.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use crate::error::{Error, Result};

/// A value that belongs to one turn at a time.
pub(super) struct Exclusive<T> {
    value: Mutex<T>,
    /// The thread whose turn it is, or 0: each thread looks for itself alone.
    holder: AtomicUsize,
    queue: Queue,
}

/// Those who wait for the value.
#[derive(Default)]
struct Queue {
    /// How many: telling nobody would be a system call for each turn.
    waiting: AtomicUsize,
    /// Held from the last look at the value until the sleep begins, and by who tells.
    door: Mutex<()>,
    free: Condvar,
}

/// The value, until this is dropped.
pub(super) struct Held<'a, T> {
    // Dropped in this order: the value is free before anybody is told.
    value: MutexGuard<'a, T>,
    end: End<'a, T>,
}

struct End<'a, T>(&'a Exclusive<T>);

impl<T> Exclusive<T> {
    pub(super) fn new(value: T) -> Self {
        Self {
            value: Mutex::new(value),
            holder: AtomicUsize::new(0),
            queue: Queue::default(),
        }
    }

    /// Takes the value; waits for the turn of another thread, and refuses within this thread's own.
    #[inline]
    pub(super) fn hold(&self, timeout: Duration) -> Result<Held<'_, T>> {
        let value = match self.try_value() {
            Some(value) => value,
            None => self.wait(timeout)?,
        };
        Ok(self.held(value))
    }

    /// Takes the value if nobody has it.
    pub(super) fn try_hold(&self) -> Result<Held<'_, T>> {
        let value = self.try_value().ok_or_else(being_recorded)?;
        Ok(self.held(value))
    }

    pub(super) fn get_mut(&mut self) -> &mut T {
        let value = self.value.get_mut();
        value.unwrap_or_else(PoisonError::into_inner)
    }

    /// Values are consistent between their own calls, whatever panics in a caller's closure.
    #[inline]
    fn try_value(&self) -> Option<MutexGuard<'_, T>> {
        match self.value.try_lock() {
            Ok(value) => Some(value),
            Err(TryLockError::Poisoned(value)) => Some(value.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    #[cold]
    fn wait(&self, timeout: Duration) -> Result<MutexGuard<'_, T>> {
        // Whoever finds its own number wrote it, and takes it away before the value is free.
        if self.holder.load(Ordering::Relaxed) == this_thread() {
            return Err(being_recorded());
        }
        let Queue {
            waiting,
            door,
            free,
        } = &self.queue;
        let mut found = None;
        let door = door.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.fetch_add(1, Ordering::Relaxed);
        // Pairs with the fence of `End`: either this look finds the value free, or who frees it sees that somebody waits.
        fence(Ordering::SeqCst);
        let waited = free.wait_timeout_while(door, timeout, |()| {
            found = self.try_value();
            found.is_none()
        });
        drop(waited);
        waiting.fetch_sub(1, Ordering::Relaxed);
        found.ok_or(Error::Timeout {
            waiting_for: "another thread's turn of the image",
            after: timeout,
        })
    }

    #[inline]
    fn held<'a>(&'a self, value: MutexGuard<'a, T>) -> Held<'a, T> {
        self.holder.store(this_thread(), Ordering::Relaxed);
        Held {
            value,
            end: End(self),
        }
    }
}

impl<T> Drop for Held<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.end.0.holder.store(0, Ordering::Relaxed);
    }
}

impl<T> Drop for End<'_, T> {
    #[inline]
    fn drop(&mut self) {
        fence(Ordering::SeqCst);
        let queue = &self.0.queue;
        if queue.waiting.load(Ordering::Relaxed) > 0 {
            queue.tell();
        }
    }
}

impl Queue {
    #[cold]
    fn tell(&self) {
        // Whoever has looked and does not sleep yet has the door.
        drop(self.door.lock().unwrap_or_else(PoisonError::into_inner));
        self.free.notify_one();
    }
}

impl<T> Deref for Held<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Held<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

/// A number that no other living thread has, and that is not 0: where something lies that each thread has for itself.
#[inline]
fn this_thread() -> usize {
    thread_local! {
        static OWN: Cell<u8> = const { Cell::new(0) };
    }
    OWN.with(|own| ptr::from_ref(own).addr())
}

fn being_recorded() -> Error {
    let limit = "one whose last turn has been recorded: neither inside `record`, nor while another thread records";
    Error::invalid("image", "being recorded", limit)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn threads_that_wait_for_each_other_are_all_told() {
        const EACH: usize = 2000;
        let count = Exclusive::new(0);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..EACH {
                        // Whoever is not told waits for ever.
                        let mut count = count.hold(Duration::MAX).expect("no deadline");
                        thread::yield_now();
                        *count += 1;
                    }
                });
            }
        });
        assert_eq!(*count.hold(Duration::ZERO).expect("it is free"), 3 * EACH);
    }

    #[test]
    fn a_thread_finds_itself_and_no_other() {
        let value = Exclusive::new(());
        let held = value.hold(Duration::ZERO).expect("it is free");
        let own = value
            .hold(Duration::from_millis(1))
            .err()
            .expect("its own turn");
        assert!(matches!(own, Error::Invalid { .. }), "{own}");
        thread::scope(|scope| {
            let other = scope.spawn(|| value.hold(Duration::from_millis(1)).err());
            let other = other.join().expect("no panic").expect("another's turn");
            assert!(matches!(other, Error::Timeout { .. }), "{other}");
        });
        drop(held);
        drop(value.hold(Duration::ZERO).expect("it is free again"));
    }
}
