//! Frames drawn as red, green and blue, at any size: what a program does that passes one stream on as another.

mod pass;
mod source;

pub use source::RedrawSource;

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::access::Access;
use super::barrier::{record_acquire, record_release};
use super::device::Device;
use super::exclusive::Held;
use super::gate::both;
use super::image::Image;
use super::owner::Owner;
use super::submission::{Commands, Finish, InUse};
use crate::error::{Error, Result};
use crate::frame::Fence;
use crate::negotiate::Usage;
use pass::{Pass, Pending, State};

/// A pass that draws frames as red, green and blue: of any RGB format or, plane by plane, of Y'CbCr; at the target's size.
///
/// Matrix, range and siting are those of the source's colour description. Nothing else of it is touched: numbers stay encoded as they
/// are, with their primaries, alpha and orientation, so the target's description is the source's with the matrix
/// [`Identity`](crate::color::Matrix::Identity) and full range. Pixels between others are interpolated. Where the target is smaller, down to a
/// sixteenth, each of its pixels has the mean of those that it covers: exact for even ratios, the same on both axes, of an RGB source;
/// near it otherwise. Computed in the shader, and not by samplers, whose places have few bits. A source without alpha gives alpha 1.
///
/// Several passes of a device may draw one source: each waits for the drawing before, whoever began it.
pub struct Redraw {
    objects: InUse<Objects>,
    device: Device,
}

/// Dropped in this order.
struct Objects {
    state: Mutex<State>,
    pass: Pass,
}

impl Finish for Objects {
    fn finish(&mut self, timeout: Duration) -> Result<()> {
        self.state.finish(timeout)
    }
}

impl Device {
    /// Makes the pass: compiles its shaders, once for any number of sources and targets.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`](crate::Error::Unsupported) when the queue's family cannot draw; [`Error::Driver`].
    pub fn redraw(&self) -> Result<Redraw> {
        let pass = Pass::new(self.inner())?;
        let state = Mutex::new(State::new(self.inner(), &pass)?);
        Ok(Redraw {
            objects: InUse::new(Objects { state, pass }),
            device: self.clone(),
        })
    }
}

impl Redraw {
    /// Draws a source into a target, and takes the turns of both: waits for `acquire`, the source's acquire fence, and for `gate`,
    /// the target's release fence. Returns the target's acquire fence.
    ///
    /// Blocks until this pass's last drawing, the source's last, and then this one, have finished; each wait ends after `timeout`.
    /// The target needs [`Usage::RENDER`].
    ///
    /// The source is done with when this returns `Ok`, and only then: give it back with [`Fence::Signaled`]. After an error, a
    /// timeout among others, the device may still read it. Keep it until a later `draw`, by this pass or of this source, has
    /// returned `Ok`: both wait for the drawing before.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for another device's source or target; [`Error::Timeout`] also while the last drawing has not finished;
    /// otherwise as for [`Device::write`].
    pub fn draw(
        &self,
        source: &RedrawSource,
        acquire: &Fence,
        target: &Image,
        gate: &Fence,
        timeout: Duration,
    ) -> Result<Fence> {
        let inner = self.device.inner();
        target.check_device(inner)?;
        if !target.usage().contains(Usage::RENDER) {
            let limit = "made for rendering too";
            return Err(Error::invalid("target.usage", target.usage(), limit));
        }
        let state = self.objects.state.lock();
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        // Before anything of the source's is touched: a drawing that came late may still read the same buffers.
        state.finish(timeout)?;
        let mut drawn = source.drawn(timeout)?;
        drawn.finish(timeout)?;
        let mut taken = take(source, inner, acquire, timeout)?;
        let both = both(acquire, gate, timeout)?;
        let pass = &self.objects.pass;
        let to = pass.target(&mut state, target)?;
        pass.describe(&state, source.views());
        state.keep(Pending::new(source, &to));
        let family = self.device.queue_family();
        let mut recorded = false;
        let access = Access::ColorAttachment;
        let written = self
            .device
            .write(target, &both, timeout, access, |commands| {
                recorded = true;
                for (image, own) in source.images().iter().zip(&taken) {
                    record_acquire(commands, image, Access::Sampled, own.owner(), family);
                }
                pass.record(commands, &state, source, &to);
                for image in source.images() {
                    record_release(commands, image, Access::Sampled, family);
                }
            });
        if recorded {
            for own in &mut taken {
                own.set_owner(Owner::Others);
            }
            // After everything that the queue was given so far.
            drawn.set()?;
        }
        let fence = written?;
        drawn.finish(timeout)?;
        state.finished();
        Ok(fence)
    }
}

/// Takes the turns of a source's images, without a submission of their own. The source's last drawing has finished, whichever
/// pass it was: the image's own commands know nothing of it.
fn take<'a>(
    source: &'a RedrawSource,
    device: &std::sync::Arc<super::inner::DeviceInner>,
    acquire: &Fence,
    timeout: Duration,
) -> Result<Vec<Held<'a, Commands>>> {
    let images = source.images().iter();
    let taken = images.map(|image| {
        image.check_device(device)?;
        let mut own = image.commands(timeout)?;
        own.owner().check_free()?;
        own.finish(timeout)?;
        match image.staging() {
            Some(staging) => {
                // The copy command or the CPU reads the frame: its writer must have finished.
                acquire.wait(timeout)?;
                staging.copy_from_frame()?;
            }
            // As in a turn of its own: what is submitted afterwards sees what others wrote.
            None if image.in_host_memory() => acquire.wait(timeout)?,
            None => {}
        }
        Ok(own)
    });
    taken.collect()
}

impl fmt::Debug for Redraw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redraw").finish_non_exhaustive()
    }
}
