//! What the layer keeps of each instance and each device, found by any handle that belongs to it.

use std::collections::BTreeMap;
use std::ptr;
use std::sync::{Arc, PoisonError, RwLock};

use ash::vk::Handle;

/// Values by dispatch key. Nothing of it is locked while the next layer is called.
#[derive(Debug)]
pub(crate) struct Registry<T>(RwLock<BTreeMap<Key, Arc<T>>>);

/// The first word of a dispatchable handle: where the loader keeps its table. An instance and its physical devices have one in
/// common, as have a device and its queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(usize);

impl Key {
    /// `None` for a null handle.
    ///
    /// # Safety
    ///
    /// `handle` must be null or a live dispatchable handle.
    pub(crate) unsafe fn of(handle: impl Handle) -> Option<Self> {
        let address = usize::try_from(handle.as_raw()).unwrap_or(0);
        if address == 0 {
            return None;
        }
        let object = ptr::with_exposed_provenance::<usize>(address);
        // SAFETY: a dispatchable handle points to an object whose first word is its dispatch table (LoaderDriverInterface.md,
        // Creating Dispatchable Objects); it is alive by the caller's promise.
        Some(Self(unsafe { object.read() }))
    }
}

impl<T> Registry<T> {
    pub(crate) const fn new() -> Self {
        Self(RwLock::new(BTreeMap::new()))
    }

    pub(crate) fn insert(&self, key: Key, value: T) {
        // A map is whole after any panic; so below.
        let mut map = self.0.write().unwrap_or_else(PoisonError::into_inner);
        map.insert(key, Arc::new(value));
    }

    pub(crate) fn find(&self, key: Key) -> Option<Arc<T>> {
        let map = self.0.read().unwrap_or_else(PoisonError::into_inner);
        map.get(&key).map(Arc::clone)
    }

    pub(crate) fn remove(&self, key: Key) -> Option<Arc<T>> {
        let mut map = self.0.write().unwrap_or_else(PoisonError::into_inner);
        map.remove(&key)
    }
}
