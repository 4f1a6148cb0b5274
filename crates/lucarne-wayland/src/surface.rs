//! Frames on a surface: attached, and given back when the compositor has read them.

use std::fmt;
use std::time::Duration;

use lucarne::kernel::TimelinePoint;
use lucarne::{Fence, Lent, Offer, PoolFrame, Reading, Received, Result};
use wayland_client::Proxy;
use wayland_client::protocol::wl_output::Transform;
use wayland_client::protocol::wl_surface::WlSurface;
use wayland_protocols::wp::linux_dmabuf::zv1::client::zwp_linux_dmabuf_feedback_v1::ZwpLinuxDmabufFeedbackV1;

use crate::convert;
use crate::display::{Display, WITH_FEEDBACK};
use crate::error::invalid;
use crate::events::{Shared, lock, shared};
use crate::export::Buffer;
use crate::feedback::{Collecting, Feedback};
use crate::sync::{self, Points};

/// How long a surface that is dropped waits for the compositor to give its frames back.
const FAREWELL: Duration = Duration::from_millis(200);

/// A surface that shows frames of a [`Pool`](lucarne::Pool), a stream, or another lender.
///
/// The `wl_surface` is yours: its role, its size, its place and its frame callbacks are your affair. This attaches buffers to it, and commits.
/// What you have set on the surface before [`Surface::present`] takes effect with it.
///
/// Each frame stays lent until the compositor has released it. Dropping this takes the last frame off the surface, and waits for its release,
/// a fifth of a second at most.
pub struct Surface<L: Lent = PoolFrame> {
    display: Display,
    object: WlSurface,
    told: Option<Told>,
    feedback: Feedback,
    points: Option<Points>,
    shown: Vec<Shown<L>>,
}

/// What the compositor says of this surface.
struct Told {
    object: ZwpLinuxDmabufFeedbackV1,
    said: Shared<Collecting>,
}

/// A frame that the compositor has.
struct Shown<L: Lent> {
    buffer: Buffer,
    reading: Reading<L>,
    /// Where fences go with it.
    release: Option<TimelinePoint>,
}

impl Display {
    /// Takes a surface of this display's connection to show frames on. Asks what the compositor takes there: `timeout` at most.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`](lucarne::Error::Timeout) and [`Error::Invalid`](lucarne::Error::Invalid) as for [`Display::wrap`]; those of
    /// [`Display::dispatch`].
    pub fn surface<L: Lent>(&self, object: &WlSurface, timeout: Duration) -> Result<Surface<L>> {
        let with_feedback = self.dmabuf().filter(|one| one.version() >= WITH_FEEDBACK);
        let told = with_feedback.map(|dmabuf| {
            let said: Shared<Collecting> = shared();
            let object = dmabuf.get_surface_feedback(object, self.handle(), Shared::clone(&said));
            Told { object, said }
        });
        let mut surface = Surface {
            display: self.clone(),
            object: object.clone(),
            feedback: self.feedback().clone(),
            told,
            points: None,
            shown: Vec::new(),
        };
        if let Some(told) = &surface.told {
            let said = self.until("the compositor's feedback of a surface", timeout, || {
                lock(&told.said).take()
            })?;
            surface.heed(said?);
        }
        Ok(surface)
    }
}

impl<L: Lent> Surface<L> {
    /// The surface.
    pub fn object(&self) -> &WlSurface {
        &self.object
    }

    /// What the compositor can show on this surface, for [`negotiate`](lucarne::negotiate()).
    pub fn offer(&self) -> Offer {
        self.display.offer_of(&self.feedback)
    }

    /// The new offer, where the compositor has changed what it says of this surface: it was moved to another GPU's screen, or fills one.
    /// Negotiate again then; frames of before may still be shown.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](lucarne::Error::Invalid) where what it says is not so; those of [`Display::dispatch`].
    pub fn changed_offer(&mut self) -> Result<Option<Offer>> {
        self.display.dispatch()?;
        let news = self.told.as_ref().and_then(|told| lock(&told.said).take());
        let Some(feedback) = news.transpose()? else {
            return Ok(None);
        };
        let is_new = feedback != self.feedback;
        self.heed(feedback);
        Ok(is_new.then(|| self.offer()))
    }

    fn heed(&mut self, feedback: Feedback) {
        self.display.taken().borrow_mut().add(&feedback);
        self.feedback = feedback;
    }

    /// Shows a frame: attaches its buffer, turned as the frame says, declares all of it damaged, and commits the surface. The frame is the compositor's until
    /// [`Surface::give_back`] has given it back.
    ///
    /// Where the compositor takes fences, the frame's goes with it. Else the kernel keeps it with the memory, where it does so, and else this
    /// waits for it: `timeout` at most.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](lucarne::Error::Invalid) for a buffer of another frame, or one that the compositor has already;
    /// [`Error::Timeout`](lucarne::Error::Timeout) where the frame's fence did not signal in time. The frame then goes back unread.
    pub fn present(
        &mut self,
        buffer: &Buffer,
        received: Received<L>,
        timeout: Duration,
    ) -> Result<()> {
        let (reading, acquire) = received.acquire();
        if !Lent::frame(&*reading).same_memory(buffer.frame()) {
            return Err(invalid(
                "buffer",
                "of another frame",
                "of the frame that is shown",
            ));
        }
        if buffer.is_lent() {
            return Err(invalid(
                "buffer",
                "with the compositor already",
                "released before it is shown again",
            ));
        }
        let orientation = buffer.frame().layout().color().orientation;
        let transform = convert::transform(orientation).unwrap_or(Transform::Normal);
        let release = self.pass(buffer, &acquire, timeout)?;
        self.object.attach(Some(buffer.object()), 0, 0);
        if self.object.version() >= 2 {
            self.object.set_buffer_transform(transform);
        }
        if self.object.version() >= 4 {
            self.object.damage_buffer(0, 0, i32::MAX, i32::MAX);
        } else {
            self.object.damage(0, 0, i32::MAX, i32::MAX);
        }
        self.object.commit();
        buffer.lending().begin();
        self.shown.push(Shown {
            buffer: buffer.clone(),
            reading,
            release,
        });
        self.display.dispatch()
    }

    fn pass(
        &mut self,
        buffer: &Buffer,
        acquire: &Fence,
        timeout: Duration,
    ) -> Result<Option<TimelinePoint>> {
        let timelines = self.display.timelines().filter(|_| buffer.is_dma_buf());
        let Some(timelines) = timelines else {
            // A surface with points takes dma-bufs only.
            self.points = None;
            sync::pass_implicitly(buffer.frame(), acquire, timeout)?;
            return Ok(None);
        };
        let points = match &mut self.points {
            Some(points) => points,
            none => none.insert(Points::new(&self.display, timelines, &self.object)?),
        };
        points.set(acquire, timeout).map(Some)
    }

    /// Gives back each frame that the compositor is done with, and returns what their lenders say. Does not block. Call it once per frame, and when
    /// the [`Display`]'s descriptor is readable.
    ///
    /// # Errors
    ///
    /// Those of [`Display::dispatch`].
    pub fn give_back(&mut self) -> Result<Vec<L::Returned>> {
        self.display.dispatch()?;
        Ok(self.return_released())
    }

    /// How many frames the compositor has: the one that it shows, and those before that it has not released.
    pub fn shown(&self) -> usize {
        self.shown.len()
    }

    fn return_released(&mut self) -> Vec<L::Returned> {
        let mut answers = Vec::new();
        let mut at = 0;
        while let Some(shown) = self.shown.get(at) {
            let Some(release) = shown.released() else {
                at += 1;
                continue;
            };
            let Shown {
                buffer, reading, ..
            } = self.shown.remove(at);
            buffer.lending().end();
            answers.push(reading.release(release));
        }
        answers
    }

    /// Takes the frame off the surface, so that nothing is shown there, and waits until the compositor has given everything back: `timeout` at
    /// most.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`](lucarne::Error::Timeout) where the compositor keeps a frame for longer; those of [`Display::dispatch`].
    pub fn clear(&mut self, timeout: Duration) -> Result<Vec<L::Returned>> {
        if self.shown.is_empty() {
            return Ok(Vec::new());
        }
        if self.object.is_alive() {
            self.object.attach(None, 0, 0);
            self.object.commit();
        }
        let display = self.display.clone();
        let mut answers = Vec::new();
        display.until("the release of frames that were shown", timeout, || {
            answers.append(&mut self.return_released());
            self.shown.is_empty().then_some(())
        })?;
        Ok(answers)
    }
}

impl<L: Lent> Shown<L> {
    fn released(&self) -> Option<Fence> {
        match &self.release {
            Some(point) => sync::reached(point),
            None => (!self.buffer.is_lent()).then(|| sync::released(self.buffer.frame())),
        }
    }
}

impl<L: Lent> Drop for Surface<L> {
    fn drop(&mut self) {
        // A compositor that does not answer, or is gone, reads no more than what the kernel knows of.
        let _heard = self.clear(FAREWELL);
        for Shown {
            buffer, reading, ..
        } in self.shown.drain(..)
        {
            buffer.lending().end();
            let _nobody_hears = reading.release(sync::released(buffer.frame()));
        }
        if let Some(told) = &self.told {
            told.object.destroy();
        }
        // What was asked for is sent.
        let _sent = self.display.dispatch();
    }
}

impl<L: Lent> fmt::Debug for Surface<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surface")
            .field("object", &self.object.id())
            .field("shown", &self.shown.len())
            .field("has_points", &self.points.is_some())
            .finish_non_exhaustive()
    }
}
