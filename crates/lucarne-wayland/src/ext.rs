//! `ext-image-copy-capture-v1`.

use std::time::Duration;

use lucarne::{Extent, Format, Result, Tiling};
use wayland_client::protocol::wl_output::WlOutput;
use wayland_client::{Connection, Dispatch, QueueHandle, WEnum, delegate_noop};
use wayland_protocols::ext::image_capture_source::v1::client::ext_image_capture_source_v1::ExtImageCaptureSourceV1;
use wayland_protocols::ext::image_capture_source::v1::client::ext_output_image_capture_source_manager_v1::ExtOutputImageCaptureSourceManagerV1;
use wayland_protocols::ext::image_copy_capture::v1::client::ext_image_copy_capture_frame_v1::{
    self as frame, ExtImageCopyCaptureFrameV1, FailureReason,
};
use wayland_protocols::ext::image_copy_capture::v1::client::ext_image_copy_capture_manager_v1::{
    ExtImageCopyCaptureManagerV1, Options,
};
use wayland_protocols::ext::image_copy_capture::v1::client::ext_image_copy_capture_session_v1::{
    self as session, ExtImageCopyCaptureSessionV1,
};

use crate::capture::{Constraints, Outcome, Progress, end, time};
use crate::convert;
use crate::display::Display;
use crate::error::{invalid, refused};
use crate::events::{Shared, State, lock, shared};
use crate::export::Buffer;
use crate::table;

/// More than any compositor lists.
const MOST_LISTED: usize = 1 << 16;

#[derive(Debug)]
pub(crate) struct ExtSession {
    object: ExtImageCopyCaptureSessionV1,
    source: ExtImageCaptureSourceV1,
    said: Shared<Said>,
    /// A frame that nothing new has come into yet: ended, it could take the next picture with it.
    waiting: Option<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    frame: ExtImageCopyCaptureFrameV1,
    buffer: Buffer,
    progress: Shared<Progress>,
}

/// What the session has said. A compositor's first lie is kept, and is what is heard of it.
#[derive(Debug, Default)]
pub(crate) struct Said {
    next: Constraints,
    done: Option<Constraints>,
    lie: Option<lucarne::Error>,
    is_stopped: bool,
}

impl ExtSession {
    pub(crate) const INTERFACE: &'static str = "ext_image_copy_capture_manager_v1";

    pub(crate) fn begin(display: &Display, output: &WlOutput, with_cursor: bool) -> Result<Self> {
        let sources: ExtOutputImageCaptureSourceManagerV1 = display.bind(1, 1)?;
        let manager: ExtImageCopyCaptureManagerV1 = display.bind(1, 1)?;
        let handle = display.handle();
        let source = sources.create_source(output, handle, ());
        let mut options = Options::empty();
        options.set(Options::PaintCursors, with_cursor);
        let said: Shared<Said> = shared();
        let object = manager.create_session(&source, options, handle, Shared::clone(&said));
        manager.destroy();
        sources.destroy();
        Ok(Self {
            object,
            source,
            said,
            waiting: None,
        })
    }

    pub(crate) fn constraints(&self) -> Option<Result<Constraints>> {
        let mut said = lock(&self.said);
        if let Some(lie) = said.lie.take() {
            return Some(Err(lie));
        }
        if said.is_stopped {
            let help = "capture another one";
            return Some(Err(refused(
                "capturing a screen",
                "the screen has gone",
                help,
            )));
        }
        said.done.clone().map(Ok)
    }

    pub(crate) fn capture(
        &mut self,
        display: &Display,
        buffer: &Buffer,
        what: &'static str,
        timeout: Duration,
    ) -> Result<Progress> {
        let waiting = match self.waiting.take() {
            Some(waiting) if waiting.buffer.is(buffer) => waiting,
            other => {
                // One at a time.
                if let Some(other) = other {
                    other.frame.destroy();
                }
                self.begin_frame(display, buffer)
            }
        };
        let heard = display.until(what, timeout, || lock(&waiting.progress).ended);
        if matches!(heard, Err(lucarne::Error::Timeout { .. })) {
            self.waiting = Some(waiting);
            return heard.map(|_| Progress::default());
        }
        waiting.frame.destroy();
        heard?;
        Ok(std::mem::take(&mut *lock(&waiting.progress)))
    }

    fn begin_frame(&self, display: &Display, buffer: &Buffer) -> Waiting {
        let progress: Shared<Progress> = shared();
        let (handle, data) = (display.handle(), Shared::clone(&progress));
        let frame = self.object.create_frame(handle, data);
        frame.attach_buffer(buffer.object());
        frame.damage_buffer(0, 0, i32::MAX, i32::MAX);
        frame.capture();
        Waiting {
            frame,
            buffer: buffer.clone(),
            progress,
        }
    }

    pub(crate) fn end(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            end(&waiting.frame, ExtImageCopyCaptureFrameV1::destroy);
        }
        end(&self.object, ExtImageCopyCaptureSessionV1::destroy);
        end(&self.source, ExtImageCaptureSourceV1::destroy);
    }
}

impl Said {
    fn hear(&mut self, event: session::Event) -> Result<()> {
        match event {
            session::Event::BufferSize { width, height } => {
                let extent = Extent::new(width, height);
                extent.check()?;
                self.next.extent = Some(extent);
            }
            session::Event::ShmFormat { format } if self.next.shared.len() < MOST_LISTED => {
                self.next.shared.push(convert::format(format));
            }
            session::Event::DmabufDevice { device } => {
                self.next.device = Some(table::device(&device)?);
            }
            session::Event::DmabufFormat { format, modifiers } => {
                let (codes, rest) = modifiers.as_chunks::<8>();
                if !rest.is_empty() || codes.len() + self.next.dma_bufs.len() > MOST_LISTED {
                    let limit = "modifiers of eight bytes, 65536 at most";
                    return Err(invalid("a format's modifiers", modifiers.len(), limit));
                }
                let format = Format::from_fourcc(format);
                let pair = |code: &[u8; 8]| (format, Tiling::from_code(u64::from_ne_bytes(*code)));
                self.next.dma_bufs.extend(codes.iter().map(pair));
            }
            session::Event::Done => self.done = Some(std::mem::take(&mut self.next)),
            session::Event::Stopped => self.is_stopped = true,
            _ => {}
        }
        Ok(())
    }
}

impl Dispatch<ExtImageCopyCaptureSessionV1, Shared<Said>> for State {
    fn event(
        _: &mut Self,
        _: &ExtImageCopyCaptureSessionV1,
        event: session::Event,
        said: &Shared<Said>,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let mut said = lock(said);
        if let Err(lie) = said.hear(event) {
            said.lie.get_or_insert(lie);
        }
    }
}

impl Dispatch<ExtImageCopyCaptureFrameV1, Shared<Progress>> for State {
    fn event(
        _: &mut Self,
        _: &ExtImageCopyCaptureFrameV1,
        event: frame::Event,
        progress: &Shared<Progress>,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let mut progress = lock(progress);
        match event {
            frame::Event::Transform { transform } => {
                progress.orientation = convert::orientation(transform);
            }
            frame::Event::PresentationTime {
                tv_sec_hi,
                tv_sec_lo,
                tv_nsec,
            } => progress.time = time(tv_sec_hi, tv_sec_lo, tv_nsec),
            frame::Event::Ready => progress.ended = Some(Outcome::Ready),
            frame::Event::Failed { reason } => {
                progress.ended = Some(match reason {
                    WEnum::Value(FailureReason::BufferConstraints) => Outcome::Unfit,
                    WEnum::Value(FailureReason::Stopped) => Outcome::Stopped,
                    _ => Outcome::Failed,
                });
            }
            _ => {}
        }
    }
}

delegate_noop!(State: ExtImageCaptureSourceV1);
delegate_noop!(State: ExtOutputImageCaptureSourceManagerV1);
delegate_noop!(State: ExtImageCopyCaptureManagerV1);
delegate_noop!(State: ignore WlOutput);
