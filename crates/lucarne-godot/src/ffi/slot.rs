//! An image of ours that Godot copies into, and the two submissions around that.

use std::cell::RefCell;
use std::time::Duration;

use ash::vk;
use ash::vk::Handle;
use godot::classes::RenderingDevice;
use godot::classes::rendering_device::{TextureSamples, TextureType, TextureUsageBits};
use godot::prelude::{Gd, Rid};
use lucarne::vulkan::{Access, Device, Image, SubmitFence, WaitSemaphore};
use lucarne::{Agreement, Error, Fence, Requirement, Result};

use crate::{convert, gpu};

/// What copies do with the image, for both barriers.
const ACCESS: Access = Access::TransferDestination;

/// One slot of a stream: a shared image that is a texture of Godot's, too.
///
/// Godot knows it as a texture to copy into, and so keeps it in the layout for that. Each turn [`Slot::take`] brings it there from
/// whoever has read it, and [`Slot::give`] passes it on. Dropping it leaves the rest to [`gpu::retire`].
pub(crate) struct Slot {
    /// Until it is dropped.
    parts: Option<Parts>,
    rid: Rid,
}

/// What lives until Godot's frames that are under way have finished with it.
struct Parts {
    // Dropped in this order: what refers to something goes before it.
    turn: RefCell<Turn>,
    take: vk::CommandBuffer,
    give: vk::CommandBuffer,
    pool: vk::CommandPool,
    image: Image,
    device: Device,
    godot: Gd<RenderingDevice>,
}

struct Turn {
    wait: WaitSemaphore,
    done: SubmitFence,
    /// Signals when the last turn's submissions have finished.
    last: Fence,
    /// Godot may have a copy into it that is not submitted yet.
    taken: bool,
}

/// A slot that nobody but Godot's frames uses any more. Drop it when they have finished.
pub(crate) struct Retired {
    parts: Parts,
}

impl Retired {
    /// Whether a frame of Godot's that is not submitted yet may use it.
    pub(crate) fn is_taken(&self) -> bool {
        self.parts.turn.borrow().taken
    }
}

impl Slot {
    pub(crate) fn new(
        godot: &Gd<RenderingDevice>,
        device: &Device,
        agreement: &Agreement,
    ) -> Result<Self> {
        let image = device.export(agreement)?;
        let format = agreement.format;
        let texture = convert::sent_format(format).ok_or_else(|| {
            let what = format!("{format} in Godot");
            unsupported(what, "is none of the formats that Godot's textures have")
        })?;
        let turn = Turn {
            wait: device.wait_semaphore()?,
            done: device.submit_fence()?,
            last: Fence::Signaled,
            taken: false,
        };
        let (pool, take, give) = commands(device)?;
        let mut parts = Parts {
            turn: RefCell::new(turn),
            take,
            give,
            pool,
            image,
            device: device.clone(),
            godot: godot.clone(),
        };
        let extent = agreement.extent;
        let raw = parts.image.raw().as_raw();
        let rid = parts.godot.texture_create_from_extension(
            TextureType::TYPE_2D,
            texture,
            TextureSamples::SAMPLES_1,
            TextureUsageBits::CAN_COPY_TO_BIT | TextureUsageBits::SAMPLING_BIT,
            raw,
            extent.width.into(),
            extent.height.into(),
            1,
            1,
        );
        if rid.is_invalid() {
            let what = format!("a texture of {} over shared memory", agreement.extent);
            return Err(unsupported(what, "was refused by Godot"));
        }
        Ok(Self {
            parts: Some(parts),
            rid,
        })
    }

    /// What others see of it.
    pub(crate) fn frame(&self) -> Result<&lucarne::Frame> {
        Ok(self.parts()?.image.frame())
    }

    /// The texture that Godot copies into, between [`take`](Self::take) and [`give`](Self::give).
    pub(crate) fn rid(&self) -> Rid {
        self.rid
    }

    /// Whether the last turn has finished on the GPU. Does not block.
    pub(crate) fn is_idle(&self) -> Result<bool> {
        self.parts()?.turn.borrow().last.is_signaled()
    }

    /// Takes the image from its readers: a submission before Godot's next. Call it when the slot is idle and `gate` has signalled;
    /// `timeout` is for drivers that cannot tell.
    pub(crate) fn take(&self, gate: &Fence, timeout: Duration) -> Result<()> {
        let parts = self.parts()?;
        let turn = &mut *parts.turn.borrow_mut();
        // SAFETY: WaitSemaphore::import: the last turn has finished (`is_idle`), and the submission below waits for it.
        let semaphore = unsafe { turn.wait.import(&parts.image, gate, timeout) }?;
        parts.record(parts.take, || {
            let family = parts.device.queue_family();
            // SAFETY: Image::acquire_barrier: recording, outside a render pass, for this family; submitted below.
            unsafe { parts.image.acquire_barrier(parts.take, family, ACCESS) }
        })?;
        parts.submit(parts.take, semaphore, vk::Fence::null())?;
        turn.taken = true;
        Ok(())
    }

    /// Passes the image on, behind what Godot has submitted by now; returns the fence for its readers. On software drivers
    /// the CPU waits for it, `timeout` at most.
    pub(crate) fn give(&self, timeout: Duration) -> Result<Fence> {
        let parts = self.parts()?;
        let turn = &mut *parts.turn.borrow_mut();
        parts.record(parts.give, || {
            // SAFETY: Image::release_barrier: recording, outside a render pass; Godot has copied into the image and leaves it in
            // the layout for that.
            unsafe { parts.image.release_barrier(parts.give, ACCESS) }
        })?;
        parts.submit(parts.give, None, turn.done.raw())?;
        // SAFETY: SubmitFence::export: submitted just now.
        let fence = unsafe { turn.done.export(timeout) }?;
        turn.last = fence.clone();
        turn.taken = false;
        Ok(fence)
    }

    fn parts(&self) -> Result<&Parts> {
        let missing = || unsupported("a turn".to_owned(), "comes after the slot's end");
        self.parts.as_ref().ok_or_else(missing)
    }
}

impl Parts {
    fn record(&self, commands: vk::CommandBuffer, body: impl FnOnce() -> Result<()>) -> Result<()> {
        let raw = self.device.raw();
        let begin = vk::CommandBufferBeginInfo::default()
            .flags(vk::CommandBufferUsageFlags::ONE_TIME_SUBMIT);
        // SAFETY: vkBeginCommandBuffer: of a pool that resets, and its last submission has finished (`Slot::is_idle`).
        unsafe { raw.begin_command_buffer(commands, &begin) }
            .map_err(driver("vkBeginCommandBuffer"))?;
        body()?;
        // SAFETY: vkEndCommandBuffer: recording.
        unsafe { raw.end_command_buffer(commands) }.map_err(driver("vkEndCommandBuffer"))
    }

    fn submit(
        &self,
        commands: vk::CommandBuffer,
        wait: Option<vk::Semaphore>,
        fence: vk::Fence,
    ) -> Result<()> {
        let buffers = [commands];
        let waits = wait.map_or(Vec::new(), |semaphore| vec![semaphore]);
        let stages = vec![vk::PipelineStageFlags::ALL_COMMANDS; waits.len()];
        let submit = vk::SubmitInfo::default()
            .command_buffers(&buffers)
            .wait_semaphores(&waits)
            .wait_dst_stage_mask(&stages);
        let queue = self.device.queue();
        // SAFETY: vkQueueSubmit: nobody else uses the queue now (docs/adr/0017-godots-queue.md); all pointers are locals; the
        // fence is null or unsignalled.
        unsafe { self.device.raw().queue_submit(queue, &[submit], fence) }
            .map_err(driver("vkQueueSubmit"))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(mut parts) = self.parts.take() {
            // Godot destroys its view after the frames that are under way; the image has to live as long.
            parts.godot.free_rid(self.rid);
            gpu::retire(Retired { parts });
        }
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        // SAFETY: vkDestroyCommandPool: of this device; its submissions have finished (`gpu::retire`).
        unsafe { self.device.raw().destroy_command_pool(self.pool, None) };
    }
}

/// A pool, and two buffers of it.
fn commands(device: &Device) -> Result<(vk::CommandPool, vk::CommandBuffer, vk::CommandBuffer)> {
    let raw = device.raw();
    let create = vk::CommandPoolCreateInfo::default()
        .flags(vk::CommandPoolCreateFlags::RESET_COMMAND_BUFFER)
        .queue_family_index(device.queue_family());
    // SAFETY: vkCreateCommandPool: a family of this device.
    let pool =
        unsafe { raw.create_command_pool(&create, None) }.map_err(driver("vkCreateCommandPool"))?;
    let allocate = vk::CommandBufferAllocateInfo::default()
        .command_pool(pool)
        .command_buffer_count(2);
    // SAFETY: vkAllocateCommandBuffers: from a pool of this device.
    let buffers = unsafe { raw.allocate_command_buffers(&allocate) };
    match buffers.as_deref() {
        Ok(&[take, give]) => Ok((pool, take, give)),
        other => {
            let answer = other.err().copied().unwrap_or(vk::Result::ERROR_UNKNOWN);
            // SAFETY: vkDestroyCommandPool: made above, and never used.
            unsafe { raw.destroy_command_pool(pool, None) };
            Err(driver("vkAllocateCommandBuffers")(answer))
        }
    }
}

fn driver(call: &'static str) -> impl FnOnce(vk::Result) -> Error {
    move |answer| Error::Driver {
        call,
        code: answer.to_string(),
        help: String::new(),
    }
}

fn unsupported(what: String, missing: &str) -> Error {
    Error::Unsupported {
        what,
        missing: vec![Requirement::other(missing)],
    }
}
