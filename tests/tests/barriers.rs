//! Barriers in command buffers of the caller's own, which it submits by itself.

use std::time::Duration;

use ash::vk;
use lucarne::negotiate::Agreement;
use lucarne::vulkan::{self, Access, Image, SignalSemaphore, SubmitFence, WaitSemaphore};
use lucarne::{Error, Extent, Fence, Format, MemoryPath, Request, Usage, negotiate};
use lucarne_tests::pair::Pair;
use lucarne_tests::reader::Reader;
use lucarne_tests::skip::skip_case;
use lucarne_tests::unsignalled::Source;
use lucarne_tests::{TIMEOUT, pattern};

const FORMAT: Format = Format::XRGB8888;
const EXTENT: Extent = Extent::new(37, 21);
const USAGE: Usage = Usage::TRANSFER_SOURCE.union(Usage::TRANSFER_DESTINATION);
const FROM: Access = Access::TransferSource;
const TO: Access = Access::TransferDestination;

/// Commands, a semaphore for each image that it takes, and a fence: what a renderer has of its own.
struct Engine<'a> {
    vk: &'a vulkan::Device,
    pool: vk::CommandPool,
    commands: vk::CommandBuffer,
    waits: [WaitSemaphore; 2],
    done: SubmitFence,
}

impl<'a> Engine<'a> {
    fn new(vk: &'a vulkan::Device) -> Self {
        let create = vk::CommandPoolCreateInfo::default()
            .flags(vk::CommandPoolCreateFlags::RESET_COMMAND_BUFFER)
            .queue_family_index(vk.queue_family());
        // SAFETY: vkCreateCommandPool with a family of this device.
        let pool = unsafe { vk.raw().create_command_pool(&create, None) }.expect("a pool");
        let allocate = vk::CommandBufferAllocateInfo::default()
            .command_pool(pool)
            .command_buffer_count(1);
        // SAFETY: vkAllocateCommandBuffers from a pool of this test's.
        let buffers = unsafe { vk.raw().allocate_command_buffers(&allocate) }.expect("a buffer");
        Self {
            vk,
            pool,
            commands: buffers[0],
            waits: [(); 2].map(|()| vk.wait_semaphore().expect("a semaphore")),
            done: vk.submit_fence().expect("a fence"),
        }
    }

    fn begin(&self) -> vk::CommandBuffer {
        let begin = vk::CommandBufferBeginInfo::default();
        // SAFETY: vkBeginCommandBuffer: the last submission has finished, and the pool allows resets.
        unsafe { self.vk.raw().begin_command_buffer(self.commands, &begin) }.expect("begun");
        self.commands
    }

    /// Submits and waits: the next turn may reuse everything.
    fn submit(&mut self, waits: &[vk::Semaphore]) -> Fence {
        let raw = self.vk.raw();
        // SAFETY: vkEndCommandBuffer: recording, outside a render pass.
        unsafe { raw.end_command_buffer(self.commands) }.expect("ended");
        let buffers = [self.commands];
        let stages = vec![vk::PipelineStageFlags::TRANSFER; waits.len()];
        let submit = vk::SubmitInfo::default()
            .command_buffers(&buffers)
            .wait_semaphores(waits)
            .wait_dst_stage_mask(&stages);
        // SAFETY: vkQueueSubmit: only this thread uses the queue; the fence is unsignalled.
        unsafe { raw.queue_submit(self.vk.queue(), &[submit], self.done.raw()) }.expect("given");
        // SAFETY: SubmitFence::export: submitted just now.
        let fence = unsafe { self.done.export(TIMEOUT) }.expect("a fence");
        // SAFETY: vkDeviceWaitIdle: only this thread uses the queue.
        unsafe { raw.device_wait_idle() }.expect("an end");
        fence
    }

    /// Takes both images, copies one into the other, and gives both back.
    fn copy(&mut self, from: (&Image, &Fence), to: (&Image, &Fence)) -> Fence {
        let taken = [(from, FROM), (to, TO)];
        let mut semaphores = Vec::new();
        for (((image, fence), _), wait) in taken.iter().zip(&mut self.waits) {
            // SAFETY: WaitSemaphore::import: the last submission has finished; `submit` waits for it.
            let semaphore = unsafe { wait.import(image, fence, TIMEOUT) }.expect("a gate");
            semaphores.extend(semaphore);
        }
        let commands = self.begin();
        for ((image, _), access) in taken {
            acquire(self, image, access).expect("free");
        }
        self.record_copy(from.0, to.0);
        for ((image, _), access) in taken {
            // SAFETY: Image::release_barrier: as for the barrier before; the copy leaves the layouts as they are.
            unsafe { image.release_barrier(commands, access) }.expect("taken");
        }
        self.submit(&semaphores)
    }

    fn record_copy(&self, from: &Image, to: &Image) {
        let layer = vk::ImageSubresourceLayers::default()
            .aspect_mask(vk::ImageAspectFlags::COLOR)
            .layer_count(1);
        let region = vk::ImageCopy::default()
            .src_subresource(layer)
            .dst_subresource(layer)
            .extent(vk::Extent3D {
                width: EXTENT.width,
                height: EXTENT.height,
                depth: 1,
            });
        // SAFETY: vkCmdCopyImage: recording; images of one format and extent, made for this.
        unsafe {
            self.vk.raw().cmd_copy_image(
                self.commands,
                from.raw(),
                vk::ImageLayout::TRANSFER_SRC_OPTIMAL,
                to.raw(),
                vk::ImageLayout::TRANSFER_DST_OPTIMAL,
                &[region],
            );
        }
    }
}

impl Drop for Engine<'_> {
    fn drop(&mut self) {
        // SAFETY: vkDestroyCommandPool: every submission was waited for.
        unsafe { self.vk.raw().destroy_command_pool(self.pool, None) };
    }
}

fn acquire(engine: &Engine<'_>, image: &Image, access: Access) -> Result<(), Error> {
    let family = engine.vk.queue_family();
    // SAFETY: Image::acquire_barrier: recording, outside a render pass, of a pool of this family; what is recorded is
    // submitted after the frame's fence, or the image is dropped.
    unsafe { image.acquire_barrier(engine.commands, family, access) }
}

fn agree(pair: &Pair, path: MemoryPath) -> Option<Agreement> {
    let request = Request::new(EXTENT)
        .formats(&[FORMAT])
        .paths(&[path])
        .usage(USAGE, Usage::SAMPLE);
    let offer = pair.vk.offer(USAGE).expect("an offer");
    let agreed = negotiate(&offer, &pair.consumer(), &request);
    agreed
        .map_err(|refusal| skip_case(path.name(), &refusal.to_string()))
        .ok()
}

/// Three frames: Lucarne's own turn writes one image, the engine copies it into another, and OpenGL shows that.
fn frames(pair: &Pair, path: MemoryPath) {
    let Some(agreement) = agree(pair, path) else {
        return;
    };
    let [from, to] = [(); 2].map(|()| pair.vk.export(&agreement).expect("an image"));
    assert_eq!(to.copies_per_frame(), 0, "{path}");
    let texture = pair.gl.import(to.frame()).expect("a texture");
    let mut engine = Engine::new(&pair.vk);
    let (mut gates, info) = ([Fence::Signaled, Fence::Signaled], FORMAT.info());
    for frame in 0..3 {
        let bytes = pattern::bytes(info.expect("known"), EXTENT, frame);
        let written = pair.vk.upload(&from, &gates[0], TIMEOUT, &bytes);
        let done = engine.copy((&from, &written.expect("a turn")), (&to, &gates[1]));
        pair.gl.read(&texture, &done, TIMEOUT).expect("a turn");
        let pixels = Reader::new(&pair.gl).read(&texture);
        pattern::assert_equal(FORMAT, EXTENT, frame, &pixels);
        gates = [done, pair.gl.fence(TIMEOUT).expect("a fence")];
    }
    let mine = pair.vk.download(&to, &gates[1], TIMEOUT).expect("pixels");
    assert_eq!(mine, pattern::bytes(info.expect("known"), EXTENT, 2));
    drop(engine);
    pair.assert_valid();
}

#[test]
fn a_submission_with_barriers_shows_the_right_pixels() {
    for pair in [Pair::open, Pair::with_driver_fences] {
        let pair = pair();
        for path in MemoryPath::ALL {
            frames(&pair, path);
        }
    }
}

/// What the validation layer says of a copy from an image that was written into one that was not, in which `forget` names
/// the image whose barriers are left out.
fn without_barrier(path: MemoryPath, forget: Option<Access>) -> Option<Vec<String>> {
    let pair = Pair::open();
    let agreement = agree(&pair, path)?;
    let [from, to] = [(); 2].map(|()| pair.vk.export(&agreement).expect("an image"));
    let bytes = pattern::bytes(FORMAT.info().expect("known"), EXTENT, 0);
    let written = pair.vk.upload(&from, &Fence::Signaled, TIMEOUT, &bytes);
    written.expect("a turn").wait(TIMEOUT).expect("an end");
    let mut engine = Engine::new(&pair.vk);
    let commands = engine.begin();
    let taken = [(&from, FROM), (&to, TO)];
    let taken = taken.into_iter().filter(|one| Some(one.1) != forget);
    for (image, access) in taken.clone() {
        acquire(&engine, image, access).expect("free");
    }
    engine.record_copy(&from, &to);
    for (image, access) in taken {
        // SAFETY: Image::release_barrier: as for the barrier before.
        unsafe { image.release_barrier(commands, access) }.expect("taken");
    }
    engine.submit(&[]).wait(TIMEOUT).expect("an end");
    drop(engine);
    pair.is_validated().then(|| pair.messages())
}

/// The layer (1.3.239) follows layouts, so that it sees where a barrier is missing. It does not follow memory that leaves the
/// device: after a release it still has the layout from before, and a copy that happens to want that one passes it, as does a
/// transition by hand without the transfer of ownership. Only a GPU's pixels would tell.
#[test]
fn a_barrier_that_is_left_out_is_caught() {
    for path in MemoryPath::ALL {
        let Some(none) = without_barrier(path, None) else {
            continue;
        };
        assert_eq!(none, [] as [String; 0], "{path}: nothing is left out");
        for (access, layout) in [(FROM, "TRANSFER_SRC_OPTIMAL"), (TO, "TRANSFER_DST_OPTIMAL")] {
            let messages = without_barrier(path, Some(access)).expect("as before");
            let caught = messages.iter().any(|message| {
                let wanted = format!("to be in layout VK_IMAGE_LAYOUT_{layout}");
                message.contains(&wanted) && message.contains("current layout is")
            });
            assert!(caught, "{path}, {access:?}: {messages:#?}");
        }
    }
}

#[test]
fn turns_by_barriers_and_others_do_not_mix() {
    let pair = Pair::open();
    let agreement = agree(&pair, MemoryPath::HostMemory).expect("always there");
    let image = pair.vk.export(&agreement).expect("an image");
    let mut engine = Engine::new(&pair.vk);
    let commands = engine.begin();
    let refused = |result: Result<(), Error>, said: &str| {
        let error = result.expect_err(said).to_string();
        assert!(error.contains(said), "{error}");
    };
    // SAFETY: Image::release_barrier: refused before anything is recorded. So are the others.
    let early = unsafe { image.release_barrier(commands, TO) };
    refused(early, "not taken");
    refused(acquire(&engine, &image, Access::Storage), "made for");
    // SAFETY: as above.
    let family = unsafe { image.acquire_barrier(commands, 99, TO) };
    refused(family, "family");

    acquire(&engine, &image, TO).expect("free");
    refused(acquire(&engine, &image, TO), "taken by");
    let write = |image| pair.vk.write(image, &Fence::Signaled, TIMEOUT, TO, |_| {});
    refused(write(&image).map(drop), "release_barrier");
    // SAFETY: Image::release_barrier: as for the barrier before; nothing has changed the layout.
    unsafe { image.release_barrier(commands, TO) }.expect("taken");
    let done = engine.submit(&[]);
    done.wait(TIMEOUT).expect("an end");
    write(&image)
        .expect("given back")
        .wait(TIMEOUT)
        .expect("an end");
    drop(engine);
    pair.assert_valid();
}

/// A semaphore of one device means nothing to another, whatever kind of memory the image lies in.
#[test]
fn a_semaphore_of_another_device_is_refused() {
    // Opened last: its GL context is the current one.
    let [other, pair] = [Pair::with_driver_fences(), Pair::with_driver_fences()];
    for path in MemoryPath::ALL {
        let Some(agreement) = agree(&pair, path) else {
            continue;
        };
        let image = pair.vk.export(&agreement).expect("an image");
        let mut wait = other.vk.wait_semaphore().expect("a semaphore");
        // SAFETY: WaitSemaphore::import: nothing was submitted with it.
        let given = unsafe { wait.import(&image, &Fence::Signaled, TIMEOUT) };
        let error = given.map(drop).expect_err("of another device");
        assert!(matches!(error, Error::Invalid { .. }), "{path}: {error}");
        assert!(error.to_string().contains("another device"), "{error}");
    }
    pair.assert_valid();
    other.assert_valid();
}

/// An image that is copied cannot be shared by barriers alone.
#[test]
fn images_that_are_copied_are_refused() {
    let pair = Pair::open();
    let adapter = pair.vk.adapter();
    let (queue, family) = (pair.vk.queue(), pair.vk.queue_family());
    // SAFETY: Device::from_raw: the pair's device lives on. Fewer extensions than it has make it do less.
    let vk =
        unsafe { vulkan::Device::from_raw(adapter, pair.vk.raw().clone(), queue, family, &[]) };
    let vk = vk.expect("a device");
    let agreement = agree(&pair, MemoryPath::HostMemory).expect("always there");
    let image = vk.export(&agreement).expect("an image");
    assert_ne!(image.copies_per_frame(), 0);
    let engine = Engine::new(&vk);
    engine.begin();
    let error = acquire(&engine, &image, TO).expect_err("copied");
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    assert!(error.to_string().contains("Device::write"), "{error}");
    drop((engine, image));
    pair.assert_valid();
}

/// Submits nothing but the signal of `semaphore`, and takes its fence.
fn signal(pair: &Pair, semaphore: &mut SignalSemaphore) -> Fence {
    let (signals, values) = ([semaphore.raw()], [semaphore.value().unwrap_or(0)]);
    let mut timeline = vk::TimelineSemaphoreSubmitInfo::default().signal_semaphore_values(&values);
    let submit = vk::SubmitInfo::default()
        .signal_semaphores(&signals)
        .push_next(&mut timeline);
    let raw = pair.vk.raw();
    // SAFETY: vkQueueSubmit: only this thread uses the queue; the semaphore's last signal was exported or waited for.
    unsafe { raw.queue_submit(pair.vk.queue(), &[submit], vk::Fence::null()) }.expect("given");
    // SAFETY: SignalSemaphore::export: submitted just now.
    let fence = unsafe { semaphore.export(TIMEOUT) }.expect("a fence");
    // SAFETY: vkDeviceWaitIdle: as above.
    unsafe { raw.device_wait_idle() }.expect("an end");
    fence
}

/// Where fences pass through the driver the semaphore is binary; elsewhere it is a timeline, for which the CPU waits.
#[test]
fn a_signal_becomes_a_fence_again_and_again() {
    for (pair, binary) in [(Pair::open(), false), (Pair::with_driver_fences(), true)] {
        let fences = pair.vk.offer(USAGE).expect("an offer").fences;
        // SAFETY: Device::signal_semaphore: Lucarne's devices are of Vulkan 1.2 or later and have timelines.
        let mut semaphore = unsafe { pair.vk.signal_semaphore() }.expect("a semaphore");
        if pair.vk.adapter().id().software {
            assert_eq!(fences.export.is_yes(), binary);
        }
        assert_eq!(semaphore.value().is_none(), fences.export.is_yes());
        for turn in 1..=3 {
            assert!(semaphore.value().is_none_or(|value| value == turn));
            let fence = signal(&pair, &mut semaphore);
            fence.wait(TIMEOUT).expect("an end");
            if !fences.export.is_yes() {
                assert!(matches!(fence, Fence::Signaled), "{fence:?}");
            }
        }
        drop(semaphore);
        pair.assert_valid();
    }
}

/// A value that nobody signals is waited for until the deadline, and the next one is another.
#[test]
fn a_signal_that_does_not_come_ends_at_the_deadline() {
    let pair = Pair::open();
    // SAFETY: Device::signal_semaphore: as above.
    let mut semaphore = unsafe { pair.vk.signal_semaphore() }.expect("a semaphore");
    if semaphore.value().is_none() {
        return skip_case(
            "software",
            "a GPU's semaphores are binary, and always exported",
        );
    }
    // SAFETY: SignalSemaphore::export: the breach is the test; a timeline may be waited for before its signal is submitted.
    let late = unsafe { semaphore.export(Duration::from_millis(20)) };
    assert!(matches!(late, Err(Error::Timeout { .. })), "{late:?}");
    assert_eq!(semaphore.value(), Some(2));
    let next = signal(&pair, &mut semaphore);
    next.wait(TIMEOUT).expect("an end");
    drop(semaphore);
    pair.assert_valid();
}

#[test]
fn a_gate_that_does_not_signal_ends_at_the_deadline() {
    for pair in [Pair::open, Pair::with_driver_fences] {
        let pair = pair();
        if !pair.vk.adapter().id().software {
            return skip_case(
                "software",
                "a GPU takes the stand-in for a fence of its own",
            );
        }
        for path in MemoryPath::ALL {
            let Some(agreement) = agree(&pair, path) else {
                continue;
            };
            let image = pair.vk.export(&agreement).expect("an image");
            let mut wait = pair.vk.wait_semaphore().expect("a semaphore");
            let (fence, deadline) = (Source::StandIn.unsignalled(), Duration::from_millis(50));
            // SAFETY: WaitSemaphore::import: nothing was submitted with it.
            let waited = unsafe { wait.import(&image, fence.fence(), deadline) };
            let error = waited.expect_err("never signals");
            assert!(matches!(error, Error::Timeout { .. }), "{path}: {error}");
        }
    }
}
