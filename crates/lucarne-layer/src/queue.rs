//! Queues: one submission at a time to each, whoever makes it.
//!
//! Vulkan leaves it to the program that a queue is used by one thread at a time. An engine keeps to that with locks of its own, which a
//! plug-in in the same process cannot take. Here both come by, so both take this one.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ash::vk;
use ash::vk::Handle;

use crate::device::DEVICES;
use crate::guarded;
use crate::registry::Key;

/// A device's queues, and the next layer's functions that use them.
#[derive(Default)]
pub(crate) struct Queues {
    /// By handle; each is here from its first use on.
    locks: Mutex<BTreeMap<u64, Arc<Mutex<()>>>>,
    submit: Option<vk::PFN_vkQueueSubmit>,
    submit2: Option<vk::PFN_vkQueueSubmit2>,
    bind_sparse: Option<vk::PFN_vkQueueBindSparse>,
    present: Option<vk::PFN_vkQueuePresentKHR>,
    wait_idle: Option<vk::PFN_vkQueueWaitIdle>,
    device_wait_idle: Option<vk::PFN_vkDeviceWaitIdle>,
}

/// A function of the next layer as its type, if it has one.
macro_rules! next {
    ($find:expr, $name:literal as $of_type:ty) => {
        $find($name).map(|function| {
            // SAFETY: PFN_vkVoidFunction is cast to the type of the function that was asked for.
            unsafe { mem::transmute::<unsafe extern "system" fn(), $of_type>(function) }
        })
    };
}

impl Queues {
    /// `find` asks the next layer.
    pub(crate) fn new(find: impl Fn(&CStr) -> vk::PFN_vkVoidFunction) -> Self {
        Self {
            locks: Mutex::default(),
            submit: next!(find, c"vkQueueSubmit" as vk::PFN_vkQueueSubmit),
            // One function under two names (VK_KHR_synchronization2).
            submit2: next!(find, c"vkQueueSubmit2" as vk::PFN_vkQueueSubmit2)
                .or_else(|| next!(find, c"vkQueueSubmit2KHR" as vk::PFN_vkQueueSubmit2)),
            bind_sparse: next!(find, c"vkQueueBindSparse" as vk::PFN_vkQueueBindSparse),
            present: next!(find, c"vkQueuePresentKHR" as vk::PFN_vkQueuePresentKHR),
            wait_idle: next!(find, c"vkQueueWaitIdle" as vk::PFN_vkQueueWaitIdle),
            device_wait_idle: next!(find, c"vkDeviceWaitIdle" as vk::PFN_vkDeviceWaitIdle),
        }
    }

    fn lock_of(&self, queue: vk::Queue) -> Arc<Mutex<()>> {
        let mut locks = held(&self.locks);
        Arc::clone(locks.entry(queue.as_raw()).or_default())
    }

    /// Runs `call` while nobody else uses the queue.
    fn alone(&self, queue: vk::Queue, call: impl FnOnce() -> vk::Result) -> vk::Result {
        let lock = self.lock_of(queue);
        let _held = held(&lock);
        call()
    }

    /// Runs `call` while nobody else uses any queue of the device.
    fn all_alone(&self, call: impl FnOnce() -> vk::Result) -> vk::Result {
        let locks: Vec<Arc<Mutex<()>>> = held(&self.locks).values().map(Arc::clone).collect();
        // In the order of their handles, in which everybody takes several.
        let _held: Vec<MutexGuard<'_, ()>> = locks.iter().map(|lock| held(lock)).collect();
        call()
    }
}

/// There is nothing under these locks that a panic could leave half done.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The layer's own functions among those that use queues; where the next layer lacks one, so does this.
pub(crate) fn own(name: &CStr) -> vk::PFN_vkVoidFunction {
    match name.to_bytes() {
        b"vkQueueSubmit" => void!(submit as vk::PFN_vkQueueSubmit),
        b"vkQueueSubmit2" | b"vkQueueSubmit2KHR" => void!(submit2 as vk::PFN_vkQueueSubmit2),
        b"vkQueueBindSparse" => void!(bind_sparse as vk::PFN_vkQueueBindSparse),
        b"vkQueuePresentKHR" => void!(present as vk::PFN_vkQueuePresentKHR),
        b"vkQueueWaitIdle" => void!(wait_idle as vk::PFN_vkQueueWaitIdle),
        b"vkDeviceWaitIdle" => void!(device_wait_idle as vk::PFN_vkDeviceWaitIdle),
        _ => None,
    }
}

/// Finds the device by one of its dispatchable handles, and runs `call` with its queues. A device that the layer did not see
/// created, or a function that was not there, is the program's mistake: it hears `VK_ERROR_UNKNOWN`.
///
/// # Safety
///
/// `handle` must be a live device or queue.
unsafe fn with(
    handle: impl Handle,
    call: impl FnOnce(&Queues) -> Option<vk::Result>,
) -> vk::Result {
    let unknown = vk::Result::ERROR_UNKNOWN;
    guarded(unknown, || {
        // SAFETY: the caller's promise.
        let known = unsafe { Key::of(handle) }.and_then(|key| DEVICES.find(key));
        known
            .and_then(|known| call(&known.queues))
            .unwrap_or(unknown)
    })
}

unsafe extern "system" fn submit(
    queue: vk::Queue,
    count: u32,
    submits: *const vk::SubmitInfo<'_>,
    fence: vk::Fence,
) -> vk::Result {
    let call = |queues: &Queues| {
        let next = queues.submit?;
        // SAFETY: the program's own arguments, to the next layer.
        Some(queues.alone(queue, || unsafe { next(queue, count, submits, fence) }))
    };
    // SAFETY: VUID-vkQueueSubmit-queue-parameter: alive.
    unsafe { with(queue, call) }
}

unsafe extern "system" fn submit2(
    queue: vk::Queue,
    count: u32,
    submits: *const vk::SubmitInfo2<'_>,
    fence: vk::Fence,
) -> vk::Result {
    let call = |queues: &Queues| {
        let next = queues.submit2?;
        // SAFETY: the program's own arguments, to the next layer.
        Some(queues.alone(queue, || unsafe { next(queue, count, submits, fence) }))
    };
    // SAFETY: VUID-vkQueueSubmit2-queue-parameter: alive.
    unsafe { with(queue, call) }
}

unsafe extern "system" fn bind_sparse(
    queue: vk::Queue,
    count: u32,
    binds: *const vk::BindSparseInfo<'_>,
    fence: vk::Fence,
) -> vk::Result {
    let call = |queues: &Queues| {
        let next = queues.bind_sparse?;
        // SAFETY: the program's own arguments, to the next layer.
        Some(queues.alone(queue, || unsafe { next(queue, count, binds, fence) }))
    };
    // SAFETY: VUID-vkQueueBindSparse-queue-parameter: alive.
    unsafe { with(queue, call) }
}

unsafe extern "system" fn present(
    queue: vk::Queue,
    info: *const vk::PresentInfoKHR<'_>,
) -> vk::Result {
    let call = |queues: &Queues| {
        let next = queues.present?;
        // SAFETY: the program's own arguments, to the next layer.
        Some(queues.alone(queue, || unsafe { next(queue, info) }))
    };
    // SAFETY: VUID-vkQueuePresentKHR-queue-parameter: alive.
    unsafe { with(queue, call) }
}

unsafe extern "system" fn wait_idle(queue: vk::Queue) -> vk::Result {
    let call = |queues: &Queues| {
        let next = queues.wait_idle?;
        // SAFETY: the program's own argument, to the next layer.
        Some(queues.alone(queue, || unsafe { next(queue) }))
    };
    // SAFETY: VUID-vkQueueWaitIdle-queue-parameter: alive.
    unsafe { with(queue, call) }
}

unsafe extern "system" fn device_wait_idle(device: vk::Device) -> vk::Result {
    let call = |queues: &Queues| {
        let next = queues.device_wait_idle?;
        // SAFETY: the program's own argument, to the next layer.
        Some(queues.all_alone(|| unsafe { next(device) }))
    };
    // SAFETY: VUID-vkDeviceWaitIdle-device-parameter: alive.
    unsafe { with(device, call) }
}

/// What `vkGetDeviceProcAddr` answers for a name: the layer's own where the next layer has the function, too.
///
/// # Safety
///
/// `next` must be the next layer's, and `device` its device.
pub(crate) unsafe fn instead_of(
    next: vk::PFN_vkGetDeviceProcAddr,
    device: vk::Device,
    name: *const c_char,
) -> vk::PFN_vkVoidFunction {
    // SAFETY: the caller's promise.
    let theirs = unsafe { next(device, name) }?;
    // SAFETY: as above: a NUL-terminated string.
    own(unsafe { CStr::from_ptr(name) }).or(Some(theirs))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// How many of these calls ran at the same time, at most.
    fn most_at_once(queues: &Queues, handles: [u64; 4]) -> u32 {
        let (now, most) = (AtomicU32::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            for handle in handles {
                let (now, most) = (&now, &most);
                scope.spawn(move || {
                    let result = queues.alone(vk::Queue::from_raw(handle), || {
                        most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                        thread::sleep(Duration::from_millis(50));
                        now.fetch_sub(1, SeqCst);
                        vk::Result::INCOMPLETE
                    });
                    assert_eq!(result, vk::Result::INCOMPLETE);
                });
            }
        });
        most.into_inner()
    }

    #[test]
    fn one_at_a_time_to_a_queue_and_two_queues_at_once() {
        let queues = Queues::default();
        assert_eq!(most_at_once(&queues, [8, 8, 8, 8]), 1);
        // Both sleep 50 ms.
        assert_eq!(most_at_once(&queues, [8, 16, 8, 16]), 2);
    }

    #[test]
    fn who_waits_for_the_device_waits_for_every_queue() {
        let queues = Queues::default();
        let handles = [8, 16].map(vk::Queue::from_raw);
        for queue in handles {
            assert_eq!(
                queues.alone(queue, || vk::Result::SUCCESS),
                vk::Result::SUCCESS
            );
        }
        let idle = queues.all_alone(|| {
            for queue in handles {
                assert!(queues.lock_of(queue).try_lock().is_err(), "{queue:?}");
            }
            vk::Result::SUCCESS
        });
        assert_eq!(idle, vk::Result::SUCCESS);
    }

    #[test]
    fn what_is_below_is_the_types_and_nothing_else() {
        let names = [c"vkQueueSubmit", c"vkQueueSubmit2KHR", c"vkQueuePresentKHR"];
        assert!(names.iter().all(|name| own(name).is_some()));
        assert!(own(c"vkQueueSubmit3").is_none());
        let nothing = Queues::new(|_| None);
        assert!(nothing.submit.is_none() && nothing.device_wait_idle.is_none());
    }
}
