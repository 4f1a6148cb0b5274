//! DRM syncobj: timelines, whose points are reached one after the other (`drm/drm.h`).
//!
//! A timeline outlives the work on it: a point may be waited for before anybody has submitted the work that will
//! signal it, and one descriptor, passed once, stands for every frame to come.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use drm::control::Device as _;
use drm::control::syncobj::Handle;
use drm::{Device as _, DriverCapability};
use rustix::io::Errno;
use rustix::ioctl::{Opcode, Updater, opcode};

use super::sync_file::SyncFile;
use crate::error::{Error, Requirement, Result, Support};

/// A DRM node whose driver has timelines.
///
/// Cloning shares the open node, to which its timelines belong.
#[derive(Clone, Debug)]
pub struct TimelineDevice {
    node: Arc<Node>,
}

/// A sequence of points, each signalled by work, or by [`Timeline::signal`].
///
/// Points start at 1 and are added in rising order. A point is reached when its work and all work before it are done.
/// Cloning shares the kernel object, which lives until its last owner, in any process, has closed it.
#[derive(Clone, Debug)]
pub struct Timeline {
    syncobj: Arc<Syncobj>,
}

/// One point of a [`Timeline`].
#[derive(Clone, Debug)]
#[must_use = "a fence that nobody waits for protects nothing"]
pub struct TimelinePoint {
    timeline: Timeline,
    point: u64,
}

impl TimelineDevice {
    /// Takes an open DRM node, `/dev/dri/renderD128` for instance.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] when its driver has no timelines, or it is no DRM node; it is closed then.
    pub fn new(node: OwnedFd) -> Result<Self> {
        let node = Node(node);
        node.timelines().require("DRM timelines")?;
        Ok(Self {
            node: Arc::new(node),
        })
    }

    /// Whether the driver behind an open DRM node has timelines, and if not, why. Lends the descriptor.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when the process has no descriptor left.
    pub fn probe(node: impl AsFd) -> Result<Support> {
        let node = super::fd::duplicate(node, "duplicating a DRM node's descriptor")?;
        Ok(Node(node).timelines())
    }

    /// A new timeline, at point 0.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when the kernel has no memory left.
    #[doc(alias = "DRM_IOCTL_SYNCOBJ_CREATE")]
    pub fn create(&self) -> Result<Timeline> {
        Ok(Timeline {
            syncobj: Arc::new(Syncobj::create(&self.node)?),
        })
    }

    /// The timeline behind a descriptor that [`Timeline::export`] gave, here or in another process. Lends it.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when the descriptor is no syncobj.
    #[doc(alias = "DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE")]
    pub fn import(&self, fd: impl AsFd) -> Result<Timeline> {
        let handle = self
            .node
            .fd_to_syncobj(fd.as_fd(), false)
            .map_err(|error| Error::os("DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE", error))?;
        Ok(Timeline {
            syncobj: Arc::new(Syncobj {
                node: Arc::clone(&self.node),
                handle,
            }),
        })
    }
}

impl Timeline {
    /// This timeline's point `point`, which need not have been submitted yet.
    pub fn at(&self, point: u64) -> TimelinePoint {
        TimelinePoint {
            timeline: self.clone(),
            point,
        }
    }

    /// A descriptor for the timeline, close-on-exec, owned by the caller; it can be sent to another process.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when the process has no descriptor left.
    #[doc(alias = "DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD")]
    pub fn export(&self) -> Result<OwnedFd> {
        self.syncobj.to_fd(false)
    }

    /// The last point that was reached.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when the kernel does not answer.
    #[doc(alias = "DRM_IOCTL_SYNCOBJ_QUERY")]
    pub fn reached(&self) -> Result<u64> {
        self.query(false)
    }

    /// The last point that has work behind it, reached or not.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when the kernel does not answer.
    pub fn submitted(&self) -> Result<u64> {
        self.query(true)
    }

    /// Adds a point that the CPU has reached. It counts once all points before it are reached too.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when the timeline has come further already; [`Error::Os`] when the kernel refuses.
    #[doc(alias = "DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL")]
    pub fn signal(&self, point: u64) -> Result<()> {
        self.must_be_next(point)?;
        self.syncobj
            .node
            .syncobj_timeline_signal(&[self.syncobj.handle], &[point])
            .map_err(|error| Error::os("DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL", error))
    }

    /// Adds a point that is reached when `file` signals. Lends its descriptor.
    ///
    /// # Errors
    ///
    /// As for [`Timeline::signal`], and [`Error::Os`] when `file` is no sync_file.
    pub fn attach(&self, point: u64, file: &SyncFile) -> Result<()> {
        self.must_be_next(point)?;
        let binary = Syncobj::create(&self.syncobj.node)?;
        binary.import_sync_file(file)?;
        transfer(&binary, 0, &self.syncobj, point)
    }

    /// Adds `point` to this timeline, reached with `from`, which must have been submitted.
    ///
    /// # Errors
    ///
    /// As for [`Timeline::signal`]; [`Error::Invalid`] when the two timelines are not of the same open node.
    #[doc(alias = "DRM_IOCTL_SYNCOBJ_TRANSFER")]
    pub fn transfer(&self, point: u64, from: &TimelinePoint) -> Result<()> {
        let source = &from.timeline.syncobj;
        if !Arc::ptr_eq(&source.node, &self.syncobj.node) {
            return Err(Error::invalid(
                "timeline",
                "of another node",
                "of the same TimelineDevice; export and import it",
            ));
        }
        self.must_be_next(point)?;
        transfer(source, from.point, &self.syncobj, point)
    }

    fn query(&self, last_submitted: bool) -> Result<u64> {
        let mut point = [0];
        self.syncobj
            .node
            .syncobj_timeline_query(&[self.syncobj.handle], &mut point, last_submitted)
            .map_err(|error| Error::os("DRM_IOCTL_SYNCOBJ_QUERY", error))?;
        Ok(point[0])
    }

    /// The kernel takes points in any order, and then gives wrong answers.
    fn must_be_next(&self, point: u64) -> Result<()> {
        let last = self.submitted()?;
        if point <= last {
            return Err(Error::invalid(
                "timeline point",
                point,
                format!("above {last}, the last that was submitted"),
            ));
        }
        Ok(())
    }
}

impl TimelinePoint {
    /// The timeline.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// The point's number.
    pub fn point(&self) -> u64 {
        self.point
    }

    /// Blocks this thread until the timeline has come to this point, `timeout` at most. The work for it may be submitted
    /// later. A timeline does not say whether that work failed.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] when it did not in time; [`Error::Os`] when the kernel refuses.
    #[doc(alias = "DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT")]
    pub fn wait(&self, timeout: Duration) -> Result<()> {
        self.wait_for("a timeline's point", timeout, false)
    }

    /// Blocks this thread until work has been submitted that will reach this point, `timeout` at most.
    ///
    /// # Errors
    ///
    /// As for [`TimelinePoint::wait`].
    pub fn wait_submitted(&self, timeout: Duration) -> Result<()> {
        self.wait_for("work for a timeline's point", timeout, true)
    }

    /// Whether the timeline has come to this point. Does not block.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when the kernel does not answer.
    pub fn is_signaled(&self) -> Result<bool> {
        Ok(self.timeline.reached()? >= self.point)
    }

    /// Makes the kernel add one to `eventfd` once the timeline has come to this point, so that an event loop can wait
    /// for it among other things. Lends the descriptor; the kernel holds the eventfd until then. Needs Linux 6.6.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when the kernel is older, or the descriptor is no eventfd.
    #[doc(alias = "DRM_IOCTL_SYNCOBJ_EVENTFD")]
    pub fn notify(&self, eventfd: impl AsFd) -> Result<()> {
        let syncobj = &self.timeline.syncobj;
        syncobj
            .node
            .syncobj_eventfd(syncobj.handle, self.point, eventfd.as_fd(), false)
            .map_err(|error| Error::Os {
                operation: "DRM_IOCTL_SYNCOBJ_EVENTFD",
                source: error,
                help: "needs Linux 6.6 or newer",
            })
    }

    /// This point as a sync_file, once work has been submitted for it: blocks for that, `timeout` at most.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] when nobody submits work for it in time; [`Error::Os`] when the process has no descriptor
    /// left.
    pub fn sync_file(&self, timeout: Duration) -> Result<SyncFile> {
        self.wait_submitted(timeout)?;
        let source = &self.timeline.syncobj;
        let binary = Syncobj::create(&source.node)?;
        transfer(source, self.point, &binary, 0)?;
        Ok(SyncFile::given(binary.to_fd(true)?))
    }

    fn wait_for(&self, what: &'static str, timeout: Duration, submitted: bool) -> Result<()> {
        let syncobj = &self.timeline.syncobj;
        let deadline = absolute(timeout);
        loop {
            let result = syncobj.node.syncobj_timeline_wait(
                &[syncobj.handle],
                &[self.point],
                deadline,
                true,
                true,
                submitted,
            );
            let Err(error) = result else { return Ok(()) };
            match Errno::from_io_error(&error) {
                Some(Errno::INTR) => {}
                Some(Errno::TIME) => {
                    return Err(Error::Timeout {
                        waiting_for: what,
                        after: timeout,
                    });
                }
                _ => return Err(Error::os("DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT", error)),
            }
        }
    }
}

/// When `timeout` from now is, in nanoseconds of `CLOCK_MONOTONIC`, which the kernel compares with; or never.
fn absolute(timeout: Duration) -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let now = i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec);
    let timeout = i128::try_from(timeout.as_nanos()).unwrap_or(i128::MAX);
    i64::try_from(now.saturating_add(timeout)).unwrap_or(i64::MAX)
}

#[derive(Debug)]
struct Node(OwnedFd);

impl Node {
    fn timelines(&self) -> Support {
        match self.get_driver_capability(DriverCapability::TimelineSyncObj) {
            Ok(1..) => Support::Yes(()),
            Ok(_) => {
                let driver = self
                    .get_driver()
                    .map(|driver| format!(" {}", driver.name().to_string_lossy()))
                    .unwrap_or_default();
                let name = "DRM_CAP_SYNCOBJ_TIMELINE";
                let effect = format!("the driver{driver} has no {name}");
                Support::no(Requirement::capability(name, effect))
            }
            Err(error) => Support::no(Requirement::other(format!("no DRM node: {error}"))),
        }
    }
}

impl AsFd for Node {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl drm::Device for Node {}
impl drm::control::Device for Node {}

/// A syncobj of this process, destroyed on drop.
#[derive(Debug)]
struct Syncobj {
    node: Arc<Node>,
    handle: Handle,
}

impl Syncobj {
    fn create(node: &Arc<Node>) -> Result<Self> {
        let handle = node
            .create_syncobj(false)
            .map_err(|error| Error::os("DRM_IOCTL_SYNCOBJ_CREATE", error))?;
        Ok(Self {
            node: Arc::clone(node),
            handle,
        })
    }

    fn to_fd(&self, as_sync_file: bool) -> Result<OwnedFd> {
        self.node
            .syncobj_to_fd(self.handle, as_sync_file)
            .map_err(|error| Error::os("DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD", error))
    }

    /// Puts `file`'s fence into this syncobj.
    fn import_sync_file(&self, file: &SyncFile) -> Result<()> {
        let mut argument = FdToHandle {
            handle: self.handle.into(),
            flags: IMPORT_SYNC_FILE,
            fd: file.as_fd().as_raw_fd(),
            pad: 0,
        };
        // Crate drm (0.15) makes this call without the handle that it needs.
        // SAFETY: Updater::new: DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE reads and writes one `struct drm_syncobj_handle`, which
        // `FdToHandle` is, in the form that every kernel takes (size and opcode are tested).
        let request = unsafe { Updater::<FD_TO_HANDLE, FdToHandle>::new(&mut argument) };
        // SAFETY: ioctl(2): the request points at a value that lives through the call, and its descriptor is open.
        unsafe { rustix::ioctl::ioctl(self.node.as_fd(), request) }.map_err(|errno| Error::Os {
            operation: "DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE",
            source: errno.into(),
            help: if errno == Errno::INVAL {
                "the fence's descriptor is no sync_file"
            } else {
                ""
            },
        })
    }
}

impl Drop for Syncobj {
    fn drop(&mut self) {
        // It can only fail for a handle that is not ours.
        _ = self.node.destroy_syncobj(self.handle);
    }
}

/// Gives `to` the fence at `from`'s point; point 0 stands for a syncobj that is no timeline.
fn transfer(from: &Syncobj, point: u64, to: &Syncobj, to_point: u64) -> Result<()> {
    let result: io::Result<()> =
        to.node
            .syncobj_timeline_transfer(from.handle, to.handle, point, to_point);
    result.map_err(|error| Error::os("DRM_IOCTL_SYNCOBJ_TRANSFER", error))
}

const IMPORT_SYNC_FILE: u32 = 1;
const FD_TO_HANDLE: Opcode = opcode::read_write::<FdToHandle>(b'd', 0xc2);

/// `struct drm_syncobj_handle`, without the field that Linux 6.16 added at its end.
#[repr(C)]
struct FdToHandle {
    handle: u32,
    flags: u32,
    fd: i32,
    pad: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_number_is_the_kernels() {
        assert_eq!(size_of::<FdToHandle>(), 16);
        assert_eq!(FD_TO_HANDLE, 0xc010_64c2);
    }

    #[test]
    fn deadlines_are_absolute_and_end_at_never() {
        assert!(absolute(Duration::ZERO) > 0);
        let later = absolute(Duration::from_secs(5)) - absolute(Duration::ZERO);
        assert!((4_999_000_000..=5_000_000_000).contains(&later), "{later}");
        assert_eq!(absolute(Duration::MAX), i64::MAX);
    }

    #[test]
    fn what_is_no_drm_node_says_so() {
        let flags = rustix::event::EventfdFlags::CLOEXEC;
        let fd = rustix::event::eventfd(0, flags).expect("an eventfd");
        let support = TimelineDevice::probe(&fd).expect("an answer");
        assert!(support.reason().contains("no DRM node"), "{support:?}");
        let error = TimelineDevice::new(fd).expect_err("an eventfd");
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    }
}
