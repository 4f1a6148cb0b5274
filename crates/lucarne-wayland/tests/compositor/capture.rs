//! `ext-image-copy-capture-v1`: the screen is a picture that the test names.

use std::sync::Mutex;

use lucarne::{Fence, Format, Frame, Tiling};
use lucarne_tests::picture::Picture;
use wayland_protocols::ext::image_capture_source::v1::server::ext_image_capture_source_v1::{
    self as source, ExtImageCaptureSourceV1,
};
use wayland_protocols::ext::image_capture_source::v1::server::ext_output_image_capture_source_manager_v1::{
    self as sources, ExtOutputImageCaptureSourceManagerV1,
};
use wayland_protocols::ext::image_copy_capture::v1::server::ext_image_copy_capture_frame_v1::{
    self as frame, ExtImageCopyCaptureFrameV1, FailureReason,
};
use wayland_protocols::ext::image_copy_capture::v1::server::ext_image_copy_capture_manager_v1::{
    self as manager, ExtImageCopyCaptureManagerV1,
};
use wayland_protocols::ext::image_copy_capture::v1::server::ext_image_copy_capture_session_v1::{
    self as session, ExtImageCopyCaptureSessionV1,
};
use wayland_server::protocol::wl_buffer::WlBuffer;
use wayland_server::protocol::wl_output::{self, Transform, WlOutput};
use wayland_server::{Client, DataInit, Dispatch, DisplayHandle, GlobalDispatch, New, Resource};

use super::Server;

/// What is captured.
#[derive(Debug)]
pub(crate) struct Screen {
    pub(crate) picture: Picture,
    /// It is another one since the last capture.
    pub(crate) is_new: bool,
    pub(crate) device: u64,
    pub(crate) pairs: Vec<(Format, Tiling)>,
}

/// What a frame is captured into.
pub(super) type Attached = Mutex<Option<WlBuffer>>;

impl Server {
    fn constrain(&self, session: &ExtImageCopyCaptureSessionV1) {
        let told = self.told.lock().expect("no panic");
        let Some(screen) = &told.screen else {
            return session.stopped();
        };
        session.buffer_size(screen.picture.width, screen.picture.height);
        session.dmabuf_device(screen.device.to_ne_bytes().to_vec());
        for (format, tiling) in &screen.pairs {
            let modifiers = tiling.code().to_ne_bytes().to_vec();
            session.dmabuf_format(format.fourcc(), modifiers);
        }
        session.done();
    }

    /// Captures what is there, if it is new. Frames that wait are asked for again.
    pub(super) fn capture(&mut self) {
        let mut told = self.told.lock().expect("no panic");
        let Some(screen) = told.screen.as_mut().filter(|screen| screen.is_new) else {
            return;
        };
        for (frame, buffer) in self.capturing.drain(..) {
            if !frame.is_alive() {
                continue;
            }
            let memory = buffer.data::<Frame>().expect("a buffer of ours");
            let extent = memory.layout().extent();
            let (width, height) = (screen.picture.width, screen.picture.height);
            if (extent.width, extent.height) != (width, height) {
                frame.failed(FailureReason::BufferConstraints);
                continue;
            }
            let image = self.cpu.import(memory).expect("linear rows");
            let _written =
                lucarne_tests::cpu::write(&image, &Fence::Signaled, &[screen.picture.xrgb8888()]);
            screen.is_new = false;
            frame.transform(Transform::Flipped180);
            frame.presentation_time(0, 7, 5);
            frame.ready();
        }
    }
}

macro_rules! global {
    ($($interface:ty),+) => {$(
        impl GlobalDispatch<$interface, ()> for Server {
            fn bind(
                _: &mut Self,
                _: &DisplayHandle,
                _: &Client,
                resource: New<$interface>,
                (): &(),
                init: &mut DataInit<'_, Self>,
            ) {
                init.init(resource, ());
            }
        }
    )+};
}

global!(
    WlOutput,
    ExtOutputImageCaptureSourceManagerV1,
    ExtImageCopyCaptureManagerV1
);

impl Dispatch<WlOutput, ()> for Server {
    fn request(
        _: &mut Self,
        _: &Client,
        _: &WlOutput,
        _: wl_output::Request,
        (): &(),
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
    }
}

impl Dispatch<ExtOutputImageCaptureSourceManagerV1, ()> for Server {
    fn request(
        _: &mut Self,
        _: &Client,
        _: &ExtOutputImageCaptureSourceManagerV1,
        request: sources::Request,
        (): &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        if let sources::Request::CreateSource { source, .. } = request {
            init.init(source, ());
        }
    }
}

impl Dispatch<ExtImageCaptureSourceV1, ()> for Server {
    fn request(
        _: &mut Self,
        _: &Client,
        _: &ExtImageCaptureSourceV1,
        _: source::Request,
        (): &(),
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
    }
}

impl Dispatch<ExtImageCopyCaptureManagerV1, ()> for Server {
    fn request(
        server: &mut Self,
        _: &Client,
        _: &ExtImageCopyCaptureManagerV1,
        request: manager::Request,
        (): &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        if let manager::Request::CreateSession { session, .. } = request {
            server.constrain(&init.init(session, ()));
        }
    }
}

impl Dispatch<ExtImageCopyCaptureSessionV1, ()> for Server {
    fn request(
        _: &mut Self,
        _: &Client,
        _: &ExtImageCopyCaptureSessionV1,
        request: session::Request,
        (): &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        if let session::Request::CreateFrame { frame } = request {
            init.init(frame, Attached::default());
        }
    }
}

impl Dispatch<ExtImageCopyCaptureFrameV1, Attached> for Server {
    fn request(
        server: &mut Self,
        _: &Client,
        frame: &ExtImageCopyCaptureFrameV1,
        request: frame::Request,
        attached: &Attached,
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
        let mut attached = attached.lock().expect("no panic");
        match request {
            frame::Request::AttachBuffer { buffer } => *attached = Some(buffer),
            frame::Request::Capture => match attached.take() {
                Some(buffer) => server.capturing.push((frame.clone(), buffer)),
                None => frame.post_error(frame::Error::NoBuffer, "no buffer"),
            },
            _ => {}
        }
    }
}
