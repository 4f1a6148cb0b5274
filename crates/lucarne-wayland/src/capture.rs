//! What a screen shows, written by the compositor into frames of ours: `ext-image-copy-capture-v1`, or `wlr-screencopy` where only that is.

use std::time::Duration;

use lucarne::color::Orientation;
use lucarne::kernel::FenceRole;
use lucarne::negotiate::{FenceSupport, OfferEntry};
use lucarne::{
    Extent, Fence, Format, MemoryPath, Modifier, Offer, Requirement, Result, Support, Tiling, Usage,
};
use wayland_client::Proxy;
use wayland_client::protocol::wl_output::WlOutput;

use crate::convert;
use crate::display::Display;
use crate::error::{invalid, lacks, refused, unsupported};
use crate::export::Buffer;
use crate::ext::ExtSession;
use crate::wlr::WlrSession;

/// A screen whose pictures a compositor writes into frames: the producer of a stream, for instance.
///
/// Allocate frames as [`Capture::offer`] allows, make a [`Buffer`] of each ([`Display::export`]), and give them to [`Capture::capture`] in turn.
#[derive(Debug)]
pub struct Capture {
    display: Display,
    session: Session,
    constraints: Constraints,
}

#[derive(Debug)]
enum Session {
    Ext(ExtSession),
    Wlr(WlrSession),
}

/// What a buffer must be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Constraints {
    pub(crate) extent: Option<Extent>,
    /// The distance of rows in host memory, where it is not free.
    pub(crate) shared_pitch: Option<u32>,
    pub(crate) shared: Vec<Format>,
    pub(crate) dma_bufs: Vec<(Format, Tiling)>,
    pub(crate) device: Option<u64>,
}

/// A picture that was captured.
#[derive(Clone, Debug)]
pub struct Captured {
    /// Signals when the compositor has written it.
    pub fence: Fence,
    /// How it is turned in the frame.
    pub orientation: Orientation,
    /// When it was on the screen, on the clock that the compositor presents with, most often `CLOCK_MONOTONIC`.
    pub time: Option<Duration>,
}

/// What has come of a frame so far.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) orientation: Option<Orientation>,
    pub(crate) time: Option<Duration>,
    pub(crate) ended: Option<Outcome>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ready,
    /// Another buffer is needed: the screen's size has changed, for instance.
    Unfit,
    /// There will be no other picture.
    Stopped,
    Failed,
}

impl Display {
    /// Begins to capture a screen: `output` of this connection, or the first that the compositor lists. Asks what frames must be: `timeout` at
    /// most.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`](lucarne::Error::Unsupported) where the compositor has neither protocol, or no output;
    /// [`Error::Timeout`](lucarne::Error::Timeout) where it does not answer in time; those of [`Display::dispatch`].
    #[doc(alias = "screencopy")]
    pub fn capture(
        &self,
        output: Option<&WlOutput>,
        with_cursor: bool,
        timeout: Duration,
    ) -> Result<Capture> {
        let output = match output {
            Some(output) => output.clone(),
            None => self.bind(1, 1)?,
        };
        let has = |interface: &str| self.version(interface).is_some();
        let session = if has(ExtSession::INTERFACE) {
            Session::Ext(ExtSession::begin(self, &output, with_cursor)?)
        } else if has(WlrSession::INTERFACE) {
            Session::Wlr(WlrSession::begin(self, &output, with_cursor)?)
        } else {
            let missing = lacks(&[ExtSession::INTERFACE, WlrSession::INTERFACE]);
            return Err(unsupported("capturing a screen", missing));
        };
        let constraints = self.until(
            "what the compositor asks of captured frames",
            timeout,
            || session.constraints(self),
        )?;
        Ok(Capture {
            display: self.clone(),
            session,
            constraints: constraints?,
        })
    }
}

impl Session {
    fn constraints(&self, display: &Display) -> Option<Result<Constraints>> {
        match self {
            Self::Ext(session) => session.constraints(),
            Self::Wlr(session) => session.constraints(display),
        }
    }
}

impl Capture {
    /// The protocol that is used.
    pub fn protocol(&self) -> &'static str {
        match self.session {
            Session::Ext(_) => ExtSession::INTERFACE,
            Session::Wlr(_) => WlrSession::INTERFACE,
        }
    }

    /// The size that frames must have.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](lucarne::Error::Invalid) where the compositor has named none.
    pub fn extent(&self) -> Result<Extent> {
        let said = self.constraints.extent;
        said.ok_or_else(|| invalid("the size of captured frames", "none", "said before `done`"))
    }

    /// What can be captured into memory of `memory`'s making: that offer's exportable entries that the compositor can write. Negotiate it in the
    /// producer's place, for [`Usage::RENDER`], and have the device behind `memory` make the frames.
    pub fn offer(&self, memory: &Offer) -> Offer {
        let entries = memory.standing().filter(|entry| entry.exportable);
        let entries = entries.filter(|entry| self.takes(entry));
        let none = || {
            let why = "the compositor has written a frame when it says so";
            Support::no(Requirement::other(why))
        };
        Offer {
            name: format!(
                "the Wayland compositor's screen, in memory of {}",
                memory.name
            ),
            device: memory.device.clone(),
            paths: memory.paths.clone(),
            entries: entries
                .map(|entry| OfferEntry {
                    usage: entry.usage | Usage::RENDER,
                    importable: false,
                    ..entry.clone()
                })
                .collect(),
            withdrawn: Vec::new(),
            fences: FenceSupport {
                export: none(),
                import: none(),
            },
        }
    }

    fn takes(&self, entry: &OfferEntry) -> bool {
        let taken = self.display.taken().borrow();
        let (format, tiling) = (entry.format, entry.tiling);
        match entry.path {
            MemoryPath::DmaBuf => {
                let listed = self.constraints.dma_bufs.contains(&(format, tiling));
                listed && taken.dma_buf(format, tiling)
            }
            MemoryPath::HostMemory => {
                let is_linear = tiling == Tiling::Explicit(Modifier::LINEAR);
                let listed = self.constraints.shared.contains(&format);
                is_linear && listed && taken.shared(format) && entry.planes == 1
            }
            MemoryPath::OpaqueFd => false,
        }
    }

    /// Has the compositor write the next picture into a frame that nobody reads after `gate`. Waits for `gate`, and then until the picture is
    /// there, `timeout` at most each. The first picture comes at once; later ones when something has changed on the screen. `None` where nothing
    /// has in time: the compositor may still write into the frame. Give it the same buffer again; another one may miss a picture.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](lucarne::Error::Invalid) for a frame of another size, format or distance of rows than the compositor asked for; [`Error::Driver`](lucarne::Error::Driver)
    /// where the screen has changed so that frames of another kind are needed (begin anew), or has gone; [`Error::Timeout`](lucarne::Error::Timeout) for a gate that does
    /// not signal; those of [`Display::dispatch`].
    pub fn capture(
        &mut self,
        buffer: &Buffer,
        gate: &Fence,
        timeout: Duration,
    ) -> Result<Option<Captured>> {
        self.check(buffer)?;
        gate.wait(timeout)?;
        let (display, what) = (&self.display, "a picture of the screen");
        let progress = match &mut self.session {
            Session::Ext(session) => session.capture(display, buffer, what, timeout),
            Session::Wlr(session) => session.capture(display, buffer, what, timeout),
        };
        let progress = match progress {
            Err(lucarne::Error::Timeout { .. }) => return Ok(None),
            other => other?,
        };
        match progress.ended {
            Some(Outcome::Ready) => Ok(Some(Captured {
                fence: written(buffer),
                orientation: progress.orientation.unwrap_or(Orientation::Normal),
                time: progress.time,
            })),
            other => Err(not_captured(other)),
        }
    }

    fn check(&self, buffer: &Buffer) -> Result<()> {
        let layout = buffer.frame().layout();
        let extent = self.extent()?;
        if layout.extent() != extent {
            return Err(invalid("extent", layout.extent(), extent));
        }
        let (format, tiling) = (layout.format(), layout.tiling());
        let constraints = &self.constraints;
        let listed = if buffer.is_dma_buf() {
            constraints.dma_bufs.contains(&(format, tiling))
        } else {
            constraints.shared.contains(&format)
        };
        if !listed {
            let limit = "one of Capture::offer";
            return Err(invalid(
                "format",
                format_args!("{format} with {tiling}"),
                limit,
            ));
        }
        let pitch = layout.planes()[0].pitch;
        match constraints.shared_pitch {
            Some(must) if !buffer.is_dma_buf() && pitch != u64::from(must) => {
                let limit = format!("{must} bytes, as {} asks", self.protocol());
                Err(invalid("plane.pitch", pitch, limit))
            }
            _ => Ok(()),
        }
    }
}

/// Where the kernel keeps fences with the memory, the compositor's GPU may still be at work.
fn written(buffer: &Buffer) -> Fence {
    let frame = buffer.frame();
    let kept = frame.implicit_sync().is_yes();
    let kept = kept.then(|| frame.implicit_fence(FenceRole::Acquire).ok());
    kept.flatten().unwrap_or(Fence::Signaled)
}

fn not_captured(outcome: Option<Outcome>) -> lucarne::Error {
    let (answer, help) = match outcome {
        Some(Outcome::Unfit) => (
            "frames of this size or format do not fit any more",
            "the screen has changed: begin to capture anew",
        ),
        Some(Outcome::Stopped) => ("the screen has gone", "capture another one"),
        _ => ("failed", "try again"),
    };
    refused("capturing a screen", answer, help)
}

/// The time of three words, as Wayland passes it.
pub(crate) fn time(high: u32, low: u32, nanoseconds: u32) -> Option<Duration> {
    let seconds = convert::join(high, low);
    (nanoseconds < 1_000_000_000).then(|| Duration::new(seconds, nanoseconds))
}

impl Drop for Session {
    fn drop(&mut self) {
        match self {
            Self::Ext(session) => session.end(),
            Self::Wlr(session) => session.end(),
        }
    }
}

/// Ends an object that is still there.
pub(crate) fn end<P: Proxy>(object: &P, destroy: impl FnOnce(&P)) {
    if object.is_alive() {
        destroy(object);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_checked() {
        let second = Duration::from_secs(1);
        assert_eq!(time(0, 1, 5), Some(second + Duration::from_nanos(5)));
        assert_eq!(time(1, 0, 0), Some(second * u32::MAX + second));
        assert_eq!(time(0, 0, 1_000_000_000), None);
    }

    #[test]
    fn each_outcome_says_what_to_do() {
        for (outcome, help) in [
            (Outcome::Unfit, "begin to capture anew"),
            (Outcome::Stopped, "capture another one"),
            (Outcome::Failed, "try again"),
        ] {
            let text = not_captured(Some(outcome)).to_string();
            assert!(text.contains(help), "{text}");
        }
    }
}
