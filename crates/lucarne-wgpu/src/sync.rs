//! Turns between wgpu's submissions: barriers in command buffers of wgpu's, and its semaphores.

use std::iter;
use std::sync::Arc;
use std::time::Duration;

use lucarne::{Fence, MemoryPath, Result};
use wgpu::{CommandBuffer, CommandEncoder, CommandEncoderDescriptor, TextureTransition};

use crate::device::Device;
use crate::error::lost;
use crate::ffi::Wait;
use crate::scope::caught;
use crate::texture::{Texture, Turn};
use crate::{ffi, scope};

const SUBMIT: &str = "wgpu::Queue::submit";

impl Device {
    /// One turn: takes `textures` from others once `gate` has signalled, runs `commands`, and gives them back. Returns the
    /// fence for whoever is next.
    ///
    /// `gate` is the fence that came with the frame: the release fence of its readers before it is drawn, the acquire fence of
    /// its writer before it is read. All of it is one submission, and an empty one that signals the fence.
    ///
    /// What `wgpu::Queue::write_texture` and its kin have staged runs *before* a submission's command buffers, and so before
    /// the textures are taken: write to them by commands, or between [`Device::acquire`] and [`Device::release`].
    ///
    /// Blocks, each time for `timeout` at most, where [`vulkan::WaitSemaphore::import`](lucarne::vulkan::WaitSemaphore::import)
    /// and [`vulkan::SignalSemaphore::export`](lucarne::vulkan::SignalSemaphore::export) do: not on a GPU with dma-bufs and
    /// the extensions of [`request_device`](crate::request_device). Never polls wgpu's device.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](lucarne::Error::Invalid) for a texture of another device, one that is taken, and one whose last
    /// submission failed; [`Error::Timeout`](lucarne::Error::Timeout); [`Error::Driver`](lucarne::Error::Driver) for whatever
    /// wgpu has against the commands, and for a device that is lost. wgpu's handler of uncaptured errors is not called. After
    /// an error of wgpu's the textures have to be made anew; after one in a wait they can be used again.
    pub fn submit<'a>(
        &self,
        textures: impl IntoIterator<Item = &'a Texture>,
        gate: &Fence,
        timeout: Duration,
        commands: impl IntoIterator<Item = CommandBuffer>,
    ) -> Result<Fence> {
        let textures = self.own(textures)?;
        let wait = self.close(&textures, gate, timeout)?;
        begin(&textures, Turn::Free)?;
        let mut buffers = vec![self.taking(&textures)?];
        buffers.extend(commands);
        buffers.extend(self.giving(&textures)?);
        self.hand_in(buffers, wait, &textures)?;
        set(&textures, Turn::Free);
        self.signal(timeout)
    }

    /// Takes `textures` from others once `gate` has signalled: what is submitted to wgpu's queue from now on finds them as
    /// wgpu's own. For programs whose engine submits by itself; [`Device::submit`] costs less.
    ///
    /// # Errors
    ///
    /// As [`Device::submit`].
    pub fn acquire<'a>(
        &self,
        textures: impl IntoIterator<Item = &'a Texture>,
        gate: &Fence,
        timeout: Duration,
    ) -> Result<()> {
        let textures = self.own(textures)?;
        let wait = self.close(&textures, gate, timeout)?;
        begin(&textures, Turn::Free)?;
        let taking = self.taking(&textures)?;
        self.hand_in(vec![taking], wait, &textures)?;
        set(&textures, Turn::Taken);
        Ok(())
    }

    /// Gives `textures` back after everything that was submitted to wgpu's queue, and returns the fence for whoever is next.
    ///
    /// # Errors
    ///
    /// As [`Device::submit`], and [`Error::Invalid`](lucarne::Error::Invalid) for a texture that is not taken.
    pub fn release<'a>(
        &self,
        textures: impl IntoIterator<Item = &'a Texture>,
        timeout: Duration,
    ) -> Result<Fence> {
        let textures = self.own(textures)?;
        begin(&textures, Turn::Taken)?;
        let giving = self.giving(&textures)?;
        self.hand_in(giving.into(), None, &textures)?;
        set(&textures, Turn::Free);
        self.signal(timeout)
    }

    fn own<'a>(&self, textures: impl IntoIterator<Item = &'a Texture>) -> Result<Vec<&'a Texture>> {
        let textures: Vec<&Texture> = textures.into_iter().collect();
        let inner = self.inner();
        textures
            .iter()
            .try_for_each(|one| one.check_device(inner))?;
        Ok(textures)
    }

    /// What the submission that takes `textures` waits for: one semaphore holds all of it back, or the CPU has waited, as it must
    /// where one of them is in host memory.
    fn close(
        &self,
        textures: &[&Texture],
        gate: &Fence,
        timeout: Duration,
    ) -> Result<Option<Wait>> {
        let in_host = |one: &&&Texture| one.frame().memory().path() == MemoryPath::HostMemory;
        let strictest = textures.iter().find(in_host).or(textures.first());
        let (Some(texture), false) = (strictest, matches!(gate, Fence::Signaled)) else {
            return Ok(None);
        };
        let inner = self.inner();
        ffi::import_fence(inner, texture.image(), gate, timeout)
    }

    /// The barriers that take textures from others. The state that wgpu knows them in is the one they arrive in.
    fn taking(&self, textures: &[&Texture]) -> Result<CommandBuffer> {
        let family = self.inner().vulkan.queue_family();
        let record = |encoder: &mut CommandEncoder| ffi::acquire(encoder, textures, family);
        self.record("lucarne: acquire", record)
    }

    /// What brings the textures back into that state, by wgpu's own tracking, and the barriers that give them to others.
    /// wgpu's commands and raw ones do not go into one encoder.
    fn giving(&self, textures: &[&Texture]) -> Result<[CommandBuffer; 2]> {
        let state = self.record("lucarne: state", |encoder| {
            let transitions = textures.iter().map(|texture| TextureTransition {
                texture: texture.texture(),
                selector: None,
                state: texture.state(),
            });
            encoder.transition_resources(iter::empty(), transitions);
            Ok(())
        })?;
        let record = |encoder: &mut CommandEncoder| ffi::release(encoder, textures);
        Ok([state, self.record("lucarne: release", record)?])
    }

    fn record(
        &self,
        label: &str,
        body: impl FnOnce(&mut CommandEncoder) -> Result<()>,
    ) -> Result<CommandBuffer> {
        let descriptor = CommandEncoderDescriptor { label: Some(label) };
        let wgpu = self.wgpu();
        scope::caught(wgpu, "wgpu::CommandEncoder::finish", || {
            let mut encoder = wgpu.create_command_encoder(&descriptor);
            body(&mut encoder)?;
            Ok(encoder.finish())
        })?
    }

    /// Submits. Whichever submission comes next waits for the semaphore: another thread's then waits, and this one waits for it.
    fn hand_in(
        &self,
        buffers: Vec<CommandBuffer>,
        wait: Option<Wait>,
        textures: &[&Texture],
    ) -> Result<()> {
        let queue = self.queue();
        if let Some(wait) = &wait {
            ffi::add_wait(queue, wait)?;
        }
        let submitted = caught(self.wgpu(), SUBMIT, || queue.submit(buffers));
        if let Some(wait) = &wait
            && ffi::remove_wait(queue, wait)?
        {
            submitted?;
            return Err(lost(SUBMIT));
        }
        let images: Vec<_> = textures.iter().map(|one| Arc::clone(one.image())).collect();
        let semaphores = Arc::clone(&self.inner().semaphores);
        // Barriers are nothing that wgpu keeps a texture for.
        queue.on_submitted_work_done(move || {
            drop(images);
            if let Some(wait) = wait {
                wait.put_back(&semaphores.waits);
            }
        });
        submitted.map(drop)
    }

    /// A fence that signals when everything that was submitted so far has finished. The signal has a submission of its own:
    /// attached to one with work, another thread's could take it, and signal too early. In this order it can only be late.
    fn signal(&self, timeout: Duration) -> Result<Fence> {
        let (inner, queue) = (self.inner(), self.queue());
        let mut semaphore = inner.semaphores.signal(&inner.vulkan)?;
        ffi::add_signal(queue, &semaphore)?;
        let submitted = caught(self.wgpu(), SUBMIT, || queue.submit(iter::empty()));
        let left = ffi::remove_signal(self.wgpu(), queue, &semaphore)?;
        let fence = submitted.and_then(|_| match left {
            true => Err(lost(SUBMIT)),
            false => ffi::export_fence(&mut semaphore, timeout),
        });
        let usable = fence.is_ok();
        let semaphores = Arc::clone(&inner.semaphores);
        queue.on_submitted_work_done(move || {
            if usable {
                semaphores.put_signal(semaphore);
            }
        });
        fence
    }
}

/// Begins what ends with [`set`]; after a refusal none has begun.
fn begin(textures: &[&Texture], from: Turn) -> Result<()> {
    for (index, texture) in textures.iter().enumerate() {
        if let Err(refused) = texture.begin(from) {
            set(&textures[..index], from);
            return Err(refused);
        }
    }
    Ok(())
}

fn set(textures: &[&Texture], turn: Turn) {
    for texture in textures {
        texture.set_turn(turn);
    }
}
