//! Fences of a surface: points of two timelines where the compositor has `wp_linux_drm_syncobj_v1`, else fences that the kernel
//! keeps with the memory, else a wait.

use std::os::fd::AsFd;
use std::time::Duration;

use lucarne::kernel::{DrmFile, FenceRole, SyncFile, Timeline, TimelineDevice, TimelinePoint};
use lucarne::{Fence, Frame, Requirement, Result};
use rustix::fs::{Mode, OFlags};
use wayland_client::Proxy;
use wayland_client::protocol::wl_surface::WlSurface;
use wayland_protocols::wp::linux_drm_syncobj::v1::client::{
    wp_linux_drm_syncobj_manager_v1::WpLinuxDrmSyncobjManagerV1,
    wp_linux_drm_syncobj_surface_v1::WpLinuxDrmSyncobjSurfaceV1,
    wp_linux_drm_syncobj_timeline_v1::WpLinuxDrmSyncobjTimelineV1,
};

use crate::convert::halves;
use crate::display::Display;

/// What timelines are made with: the compositor's interface, and a node that has timelines.
#[derive(Debug)]
pub(crate) struct Timelines {
    manager: WpLinuxDrmSyncobjManagerV1,
    device: TimelineDevice,
}

impl Timelines {
    /// On the compositor's main device, or, where that is not known, on the first node that has timelines.
    pub(crate) fn open(
        manager: WpLinuxDrmSyncobjManagerV1,
        main: Option<u64>,
    ) -> Result<Self, Requirement> {
        let mut missing = Requirement::other("there is no DRM node to make timelines on");
        for path in DrmFile::paths() {
            let Ok(stat) = rustix::fs::stat(&path) else {
                continue;
            };
            if main.is_some_and(|main| main != stat.st_rdev) {
                continue;
            }
            let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
            let node = rustix::fs::open(&path, flags, Mode::empty());
            let problem = match node {
                Ok(node) => match TimelineDevice::new(node) {
                    Ok(device) => return Ok(Self { manager, device }),
                    Err(error) => error.to_string(),
                },
                Err(errno) => errno.to_string(),
            };
            missing = Requirement::other(format!("{}: {problem}", path.display()));
        }
        Err(missing)
    }
}

/// A timeline, and the compositor's object for it.
#[derive(Debug)]
struct Shared {
    timeline: Timeline,
    object: WpLinuxDrmSyncobjTimelineV1,
}

impl Shared {
    fn new(display: &Display, timelines: &Timelines) -> Result<Self> {
        let timeline = timelines.device.create()?;
        let fd = timeline.export()?;
        let manager = &timelines.manager;
        Ok(Self {
            object: manager.import_timeline(fd.as_fd(), display.handle(), ()),
            timeline,
        })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.object.destroy();
    }
}

/// The two timelines of a surface: one that we signal, and one that the compositor signals.
#[derive(Debug)]
pub(crate) struct Points {
    object: WpLinuxDrmSyncobjSurfaceV1,
    acquire: Shared,
    release: Shared,
    last: u64,
}

impl Points {
    pub(crate) fn new(
        display: &Display,
        timelines: &Timelines,
        surface: &WlSurface,
    ) -> Result<Self> {
        let (acquire, release) = (
            Shared::new(display, timelines)?,
            Shared::new(display, timelines)?,
        );
        Ok(Self {
            object: timelines.manager.get_surface(surface, display.handle(), ()),
            acquire,
            release,
            last: 0,
        })
    }

    /// Sets the points of the next commit. Returns the one that the compositor reaches when it is done.
    pub(crate) fn set(&mut self, acquire: &Fence, timeout: Duration) -> Result<TimelinePoint> {
        self.last += 1;
        let (high, low) = halves(self.last);
        match acquire.to_sync_file(timeout)? {
            Some(file) => self.acquire.timeline.attach(self.last, &file)?,
            None => self.acquire.timeline.signal(self.last)?,
        }
        self.object
            .set_acquire_point(&self.acquire.object, high, low);
        self.object
            .set_release_point(&self.release.object, high, low);
        Ok(self.release.timeline.at(self.last))
    }
}

impl Drop for Points {
    fn drop(&mut self) {
        if self.object.is_alive() {
            self.object.destroy();
        }
    }
}

/// Lets a compositor that takes no fences wait all the same: the kernel keeps the fence with the memory, or this waits.
pub(crate) fn pass_implicitly(frame: &Frame, acquire: &Fence, timeout: Duration) -> Result<()> {
    if frame.implicit_sync().is_yes() {
        return frame.attach_fence(FenceRole::Acquire, acquire, timeout);
    }
    acquire.wait(timeout)
}

/// What gates the next writer once the compositor has released a frame without a fence. Its GPU may still read: the kernel
/// knows of that, where it keeps fences with the memory.
pub(crate) fn released(frame: &Frame) -> Fence {
    let kept = frame.implicit_sync().is_yes();
    let kept = kept.then(|| frame.implicit_fence(FenceRole::Release).ok());
    kept.flatten().unwrap_or(Fence::Signaled)
}

/// The compositor's fence, once it has given one.
pub(crate) fn reached(point: &TimelinePoint) -> Option<Fence> {
    let file: SyncFile = point.sync_file(Duration::ZERO).ok()?;
    Some(Fence::sync_file(file))
}
