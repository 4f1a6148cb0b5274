//! `wlr-screencopy-unstable-v1`, which compositors of wlroots have had for longer.

use std::time::Duration;

use lucarne::color::Orientation;
use lucarne::{Extent, Format, Result};
use wayland_client::protocol::wl_output::WlOutput;
use wayland_client::{Connection, Dispatch, QueueHandle, WEnum, delegate_noop};
use wayland_protocols_wlr::screencopy::v1::client::zwlr_screencopy_frame_v1::{
    self as frame, Flags, ZwlrScreencopyFrameV1,
};
use wayland_protocols_wlr::screencopy::v1::client::zwlr_screencopy_manager_v1::ZwlrScreencopyManagerV1;

use crate::capture::{Constraints, Outcome, Progress, end, time};
use crate::convert;
use crate::display::Display;
use crate::events::{Shared, State, lock, shared};
use crate::export::Buffer;

/// From this version on the end of what a buffer must be is told, and dma-bufs are taken.
const VERSION: u32 = 3;

#[derive(Debug)]
pub(crate) struct WlrSession {
    manager: ZwlrScreencopyManagerV1,
    output: WlOutput,
    with_cursor: bool,
    /// Asked what buffers must be, and kept for the first picture.
    asked: Option<Asked>,
    /// Later pictures wait for something to change.
    has_captured: bool,
}

#[derive(Debug)]
struct Asked {
    object: ZwlrScreencopyFrameV1,
    said: Shared<Said>,
    /// What it was told to copy into. It waits for something to change then: ended, it could take the next picture with it.
    into: Option<Buffer>,
}

/// What a frame has said.
#[derive(Debug, Default)]
pub(crate) struct Said {
    constraints: Constraints,
    formats: Vec<Format>,
    is_complete: bool,
    progress: Progress,
    lie: Option<lucarne::Error>,
}

impl WlrSession {
    pub(crate) const INTERFACE: &'static str = "zwlr_screencopy_manager_v1";

    pub(crate) fn begin(display: &Display, output: &WlOutput, with_cursor: bool) -> Result<Self> {
        let mut session = Self {
            manager: display.bind(VERSION, VERSION)?,
            output: output.clone(),
            with_cursor,
            asked: None,
            has_captured: false,
        };
        session.asked = Some(session.ask(display));
        Ok(session)
    }

    fn ask(&self, display: &Display) -> Asked {
        let said: Shared<Said> = shared();
        let (cursor, data) = (i32::from(self.with_cursor), Shared::clone(&said));
        let manager = &self.manager;
        let object = manager.capture_output(cursor, &self.output, display.handle(), data);
        Asked {
            object,
            said,
            into: None,
        }
    }

    pub(crate) fn constraints(&self, display: &Display) -> Option<Result<Constraints>> {
        let asked = self.asked.as_ref()?;
        let mut said = lock(&asked.said);
        if let Some(lie) = said.lie.take() {
            return Some(Err(lie));
        }
        if !said.is_complete {
            return None;
        }
        let mut constraints = said.constraints.clone();
        // It names formats of dma-bufs and no modifiers: those are the compositor's own.
        let taken = display.taken().borrow();
        for format in &said.formats {
            let tilings = taken.tilings(*format).into_iter();
            constraints
                .dma_bufs
                .extend(tilings.map(|tiling| (*format, tiling)));
        }
        Some(Ok(constraints))
    }

    pub(crate) fn capture(
        &mut self,
        display: &Display,
        buffer: &Buffer,
        what: &'static str,
        timeout: Duration,
    ) -> Result<Progress> {
        let mut asked = match self.asked.take() {
            Some(asked) if asked.into.as_ref().is_none_or(|into| into.is(buffer)) => asked,
            other => {
                if let Some(other) = other {
                    other.object.destroy();
                }
                self.ask(display)
            }
        };
        let heard = self.copy(display, &mut asked, buffer, what, timeout);
        if matches!(heard, Err(lucarne::Error::Timeout { .. })) {
            self.asked = Some(asked);
            return heard.map(|_| Progress::default());
        }
        asked.object.destroy();
        self.has_captured |= heard? == Outcome::Ready;
        Ok(std::mem::take(&mut lock(&asked.said).progress))
    }

    fn copy(
        &self,
        display: &Display,
        asked: &mut Asked,
        buffer: &Buffer,
        what: &'static str,
        timeout: Duration,
    ) -> Result<Outcome> {
        let said = &asked.said;
        display.until(what, timeout, || {
            let said = lock(said);
            (said.is_complete || said.progress.ended.is_some()).then_some(())
        })?;
        if asked.into.is_none() {
            if self.has_captured {
                asked.object.copy_with_damage(buffer.object());
            } else {
                asked.object.copy(buffer.object());
            }
            asked.into = Some(buffer.clone());
        }
        display.until(what, timeout, || lock(said).progress.ended)
    }

    pub(crate) fn end(&mut self) {
        if let Some(asked) = self.asked.take() {
            end(&asked.object, ZwlrScreencopyFrameV1::destroy);
        }
        end(&self.manager, ZwlrScreencopyManagerV1::destroy);
    }
}

impl Said {
    fn hear(&mut self, event: frame::Event) -> Result<()> {
        match event {
            frame::Event::Buffer {
                format,
                width,
                height,
                stride,
            } => {
                let extent = Extent::new(width, height);
                extent.check()?;
                self.constraints.extent = Some(extent);
                self.constraints.shared_pitch = Some(stride);
                self.constraints.shared = vec![convert::format(format)];
            }
            frame::Event::LinuxDmabuf { format, .. } => {
                self.formats = vec![Format::from_fourcc(format)];
            }
            frame::Event::BufferDone => self.is_complete = true,
            frame::Event::Flags { flags } => {
                let is_inverted =
                    matches!(flags, WEnum::Value(flags) if flags.contains(Flags::YInvert));
                let inverted = is_inverted.then_some(Orientation::Flipped180);
                self.progress.orientation = inverted;
            }
            frame::Event::Ready {
                tv_sec_hi,
                tv_sec_lo,
                tv_nsec,
            } => {
                self.progress.time = time(tv_sec_hi, tv_sec_lo, tv_nsec);
                self.progress.ended = Some(Outcome::Ready);
            }
            frame::Event::Failed => self.progress.ended = Some(Outcome::Failed),
            _ => {}
        }
        Ok(())
    }
}

impl Dispatch<ZwlrScreencopyFrameV1, Shared<Said>> for State {
    fn event(
        _: &mut Self,
        _: &ZwlrScreencopyFrameV1,
        event: frame::Event,
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

delegate_noop!(State: ZwlrScreencopyManagerV1);
