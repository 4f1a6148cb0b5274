//! What must happen before the other side may touch a frame.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
#[cfg(feature = "drm")]
use crate::kernel::TimelinePoint;
use crate::kernel::{FenceStatus, SyncFile};

/// When a frame may be touched.
///
/// An *acquire fence* gates the reader: it signals when the writer's work is done. A *release fence* gates the
/// writer: it signals when the last reader's work is done. Nobody passes a frame without one.
///
/// Cloning shares the kernel object.
///
/// ```
/// use std::time::Duration;
///
/// use lucarne::Fence;
///
/// // Both readers are done: what gates the writer has signalled.
/// let release = Fence::merge(&[Fence::Signaled, Fence::Signaled])?;
/// release.wait(Duration::from_millis(10))?;
/// assert!(release.is_signaled()?);
/// # Ok::<(), lucarne::Error>(())
/// ```
///
/// # References
///
/// `VK_KHR_external_semaphore_fd` and `EGL_ANDROID_native_fence_sync`, which make and take sync_files.
#[doc(alias = "explicit sync")]
#[doc(alias = "sync_file")]
#[derive(Clone, Debug)]
#[must_use = "a fence that nobody waits for protects nothing"]
#[non_exhaustive]
pub enum Fence {
    /// Now. The work had finished when the frame was passed on, for instance because the CPU waited for it.
    Signaled,
    /// When this kernel fence signals.
    SyncFile(Arc<SyncFile>),
    /// When a timeline has come to this point.
    #[cfg(feature = "drm")]
    TimelinePoint(TimelinePoint),
}

/// The name that merged fences have in debugfs.
const MERGED: &str = "lucarne";

impl Fence {
    /// A fence that signals when `file` does.
    pub fn sync_file(file: SyncFile) -> Self {
        Self::SyncFile(Arc::new(file))
    }

    /// Blocks this thread until the fence has signalled, `timeout` at most.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`](crate::Error::Timeout) when it did not signal in time;
    /// [`Error::FenceFailed`](crate::Error::FenceFailed) when the work behind it has ended in an error;
    /// [`Error::Os`](crate::Error::Os) when its descriptor is no fence.
    pub fn wait(&self, timeout: Duration) -> Result<()> {
        match self {
            Self::Signaled => Ok(()),
            Self::SyncFile(file) => file.wait(timeout),
            #[cfg(feature = "drm")]
            Self::TimelinePoint(point) => point.wait(timeout),
        }
    }

    /// Whether the fence has signalled. Does not block.
    ///
    /// # Errors
    ///
    /// [`Error::Os`](crate::Error::Os) when its descriptor is no fence.
    pub fn is_signaled(&self) -> Result<bool> {
        match self {
            Self::Signaled => Ok(true),
            Self::SyncFile(file) => file.is_signaled(),
            #[cfg(feature = "drm")]
            Self::TimelinePoint(point) => point.is_signaled(),
        }
    }

    /// One fence that signals once all of `fences` have signalled. Use it to make one release fence of the fences of
    /// several readers. An empty list gives [`Fence::Signaled`]. Does not block.
    ///
    /// Fences that have signalled already are left out. If only such fences are left and one of them failed, that one is
    /// returned.
    ///
    /// # Errors
    ///
    /// [`Error::Os`](crate::Error::Os) when a fence that has not signalled is none of the kernel's, or the process has no
    /// descriptor left; [`Error::Timeout`](crate::Error::Timeout) for a timeline point, among other fences, that nobody
    /// has submitted work for.
    pub fn merge(fences: &[Fence]) -> Result<Fence> {
        let mut failed = None;
        let mut pending = Vec::new();
        for fence in fences {
            match fence.status()? {
                FenceStatus::Active => pending.push(fence),
                FenceStatus::Signaled => {}
                FenceStatus::Failed(_) => failed = Some(fence),
            }
        }
        match pending[..] {
            [] => Ok(failed.cloned().unwrap_or(Self::Signaled)),
            [one] => Ok(one.clone()),
            [first, ref others @ ..] => merge_pending(first, others),
        }
    }

    /// The same fence as a sync_file, or `None` for [`Fence::Signaled`].
    ///
    /// Does not block, except for a timeline point that nobody has submitted work for yet: `timeout` at most.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`](crate::Error::Timeout) for a timeline point that stays without work;
    /// [`Error::Os`](crate::Error::Os) when the process has no descriptor left.
    #[cfg_attr(
        not(feature = "drm"),
        expect(
            unused_variables,
            reason = "only timeline points need to be waited for"
        )
    )]
    pub fn to_sync_file(&self, timeout: Duration) -> Result<Option<Arc<SyncFile>>> {
        match self {
            Self::Signaled => Ok(None),
            Self::SyncFile(file) => Ok(Some(Arc::clone(file))),
            #[cfg(feature = "drm")]
            Self::TimelinePoint(point) => Ok(Some(Arc::new(point.sync_file(timeout)?))),
        }
    }

    fn status(&self) -> Result<FenceStatus> {
        match self {
            Self::SyncFile(file) => file.status(),
            _ if self.is_signaled()? => Ok(FenceStatus::Signaled),
            _ => Ok(FenceStatus::Active),
        }
    }
}

fn merge_pending(first: &Fence, others: &[&Fence]) -> Result<Fence> {
    let file = |fence: &Fence| fence.to_sync_file(Duration::ZERO);
    let mut merged = file(first)?;
    for other in others {
        merged = match (merged, file(other)?) {
            (Some(one), Some(two)) => Some(Arc::new(one.merge(&two, MERGED)?)),
            (one, two) => one.or(two),
        };
    }
    Ok(merged.map_or(Fence::Signaled, Fence::SyncFile))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stand_in(count: u32) -> Fence {
        let flags = rustix::event::EventfdFlags::CLOEXEC;
        let fd = rustix::event::eventfd(count, flags).expect("an eventfd");
        Fence::sync_file(SyncFile::stand_in(fd))
    }

    #[test]
    fn what_has_signalled_adds_nothing() {
        let none = Fence::merge(&[]).expect("nothing to wait for");
        assert!(matches!(none, Fence::Signaled));
        let over = [Fence::Signaled, stand_in(1)];
        let none = Fence::merge(&over).expect("nothing left to wait for");
        assert!(matches!(none, Fence::Signaled));
    }

    #[test]
    fn the_only_pending_fence_is_shared_not_merged() {
        let Fence::SyncFile(pending) = stand_in(0) else {
            unreachable!("made of a sync_file");
        };
        let fences = [Fence::Signaled, Fence::SyncFile(Arc::clone(&pending))];
        let merged = Fence::merge(&fences).expect("one fence");
        let Fence::SyncFile(merged) = merged else {
            panic!("a fence that is pending: {merged:?}");
        };
        assert!(Arc::ptr_eq(&merged, &pending));
    }

    #[test]
    fn fences_that_are_none_do_not_merge() {
        let error = Fence::merge(&[stand_in(0), stand_in(0)]);
        let error = error.expect_err("eventfds are no kernel fences");
        assert!(error.to_string().contains("SYNC_IOC_MERGE"), "{error}");
    }
}
