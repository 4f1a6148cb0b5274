//! Surfaces: what is committed is read, and the buffer before it released. `wp_linux_drm_syncobj_v1` where there are timelines.

use std::sync::Mutex;

use lucarne::kernel::{Timeline, TimelinePoint};
use lucarne::{Fence, Frame};

use lucarne_wayland::convert;
use wayland_protocols::wp::linux_drm_syncobj::v1::server::{
    wp_linux_drm_syncobj_manager_v1::{self as manager, WpLinuxDrmSyncobjManagerV1},
    wp_linux_drm_syncobj_surface_v1::{self as points, WpLinuxDrmSyncobjSurfaceV1},
    wp_linux_drm_syncobj_timeline_v1::{self as timeline, WpLinuxDrmSyncobjTimelineV1},
};
use wayland_server::protocol::wl_buffer::WlBuffer;
use wayland_server::protocol::wl_callback::{self, WlCallback};
use wayland_server::protocol::wl_compositor::{self, WlCompositor};
use wayland_server::protocol::wl_region::{self, WlRegion};
use wayland_server::protocol::wl_surface::{self, WlSurface};
use wayland_server::{
    Client, DataInit, Dispatch, DisplayHandle, GlobalDispatch, New, Resource, Weak,
};

use super::{Seen, Server};

/// What a surface's requests have set.
#[derive(Debug, Default)]
pub(super) struct Content {
    attached: Option<Option<WlBuffer>>,
    transform: u32,
    acquire: Option<TimelinePoint>,
    release: Option<TimelinePoint>,
    shown: Option<Shown>,
}

/// What it shows, to be released when the next comes.
#[derive(Debug)]
struct Shown {
    buffer: WlBuffer,
    release: Option<TimelinePoint>,
}

impl Shown {
    fn release(self) {
        match self.release {
            Some(point) => point.timeline().signal(point.point()).expect("a new point"),
            None if self.buffer.is_alive() => self.buffer.release(),
            None => {}
        }
    }
}

impl Server {
    fn commit(&self, content: &mut Content) {
        let Some(attached) = content.attached.take() else {
            return;
        };
        let (acquire, release) = (content.acquire.take(), content.release.take());
        if let Some(buffer) = &attached {
            let frame = buffer.data::<Frame>().expect("a buffer of ours");
            let seen = self.read(frame, acquire, content.transform);
            self.told.lock().expect("no panic").seen.push(seen);
        }
        let next = attached.map(|buffer| Shown { buffer, release });
        if let Some(before) = std::mem::replace(&mut content.shown, next) {
            before.release();
        }
    }

    fn read(&self, frame: &Frame, acquire: Option<TimelinePoint>, transform: u32) -> Seen {
        let layout = frame.layout();
        let image = self.cpu.import(frame).expect("linear rows");
        let has_points = acquire.is_some();
        let gate = acquire.map_or(Fence::Signaled, Fence::TimelinePoint);
        let (mut planes, _read) = lucarne_tests::cpu::read(&image, &gate);
        let orientation = wayland_client::protocol::wl_output::Transform::try_from(transform);
        let orientation = orientation
            .ok()
            .and_then(|one| convert::orientation(wayland_client::WEnum::Value(one)));
        Seen {
            extent: layout.extent(),
            format: layout.format(),
            orientation: orientation.expect("a transform"),
            bytes: planes.swap_remove(0),
            has_points,
        }
    }
}

impl GlobalDispatch<WlCompositor, ()> for Server {
    fn bind(
        _: &mut Self,
        _: &DisplayHandle,
        _: &Client,
        resource: New<WlCompositor>,
        (): &(),
        init: &mut DataInit<'_, Self>,
    ) {
        init.init(resource, ());
    }
}

impl Dispatch<WlCompositor, ()> for Server {
    fn request(
        _: &mut Self,
        _: &Client,
        _: &WlCompositor,
        request: wl_compositor::Request,
        (): &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        match request {
            wl_compositor::Request::CreateSurface { id } => {
                init.init(id, Mutex::new(Content::default()));
            }
            wl_compositor::Request::CreateRegion { id } => {
                init.init(id, ());
            }
            _ => {}
        }
    }
}

impl Dispatch<WlSurface, Mutex<Content>> for Server {
    fn request(
        server: &mut Self,
        _: &Client,
        _: &WlSurface,
        request: wl_surface::Request,
        content: &Mutex<Content>,
        _: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        let mut content = content.lock().expect("no panic");
        match request {
            wl_surface::Request::Attach { buffer, .. } => content.attached = Some(buffer),
            wl_surface::Request::SetBufferTransform { transform } => {
                content.transform = transform.into();
            }
            wl_surface::Request::Commit => server.commit(&mut content),
            wl_surface::Request::Frame { callback } => {
                init.init(callback, ());
            }
            _ => {}
        }
    }
}

impl Dispatch<WlCallback, ()> for Server {
    fn request(
        _: &mut Self,
        _: &Client,
        _: &WlCallback,
        _: wl_callback::Request,
        (): &(),
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
    }
}

impl Dispatch<WlRegion, ()> for Server {
    fn request(
        _: &mut Self,
        _: &Client,
        _: &WlRegion,
        _: wl_region::Request,
        (): &(),
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
    }
}

impl GlobalDispatch<WpLinuxDrmSyncobjManagerV1, ()> for Server {
    fn bind(
        _: &mut Self,
        _: &DisplayHandle,
        _: &Client,
        resource: New<WpLinuxDrmSyncobjManagerV1>,
        (): &(),
        init: &mut DataInit<'_, Self>,
    ) {
        init.init(resource, ());
    }
}

impl Dispatch<WpLinuxDrmSyncobjManagerV1, ()> for Server {
    fn request(
        server: &mut Self,
        _: &Client,
        resource: &WpLinuxDrmSyncobjManagerV1,
        request: manager::Request,
        (): &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        match request {
            manager::Request::GetSurface { id, surface } => {
                init.init(id, surface.downgrade());
            }
            manager::Request::ImportTimeline { id, fd } => {
                let device = server.timelines.as_ref().expect("a node with timelines");
                match device.import(&fd) {
                    Ok(timeline) => {
                        init.init(id, timeline);
                    }
                    Err(error) => {
                        let code = manager::Error::InvalidTimeline;
                        resource.post_error(code, error.to_string());
                    }
                }
            }
            _ => {}
        }
    }
}

impl Dispatch<WpLinuxDrmSyncobjTimelineV1, Timeline> for Server {
    fn request(
        _: &mut Self,
        _: &Client,
        _: &WpLinuxDrmSyncobjTimelineV1,
        _: timeline::Request,
        _: &Timeline,
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
    }
}

impl Dispatch<WpLinuxDrmSyncobjSurfaceV1, Weak<WlSurface>> for Server {
    fn request(
        _: &mut Self,
        _: &Client,
        _: &WpLinuxDrmSyncobjSurfaceV1,
        request: points::Request,
        surface: &Weak<WlSurface>,
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
        let Ok(surface) = surface.upgrade() else {
            return;
        };
        let content = surface.data::<Mutex<Content>>().expect("a surface of ours");
        let mut content = content.lock().expect("no panic");
        let at = |timeline: &WpLinuxDrmSyncobjTimelineV1, high: u32, low: u32| {
            let timeline = timeline.data::<Timeline>().expect("a timeline of ours");
            timeline.at(u64::from(high) << 32 | u64::from(low))
        };
        match request {
            points::Request::SetAcquirePoint {
                timeline,
                point_hi,
                point_lo,
            } => content.acquire = Some(at(&timeline, point_hi, point_lo)),
            points::Request::SetReleasePoint {
                timeline,
                point_hi,
                point_lo,
            } => content.release = Some(at(&timeline, point_hi, point_lo)),
            _ => {}
        }
    }
}
