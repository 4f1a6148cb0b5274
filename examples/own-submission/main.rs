//! Renders with a queue, command buffers and a timeline of your own, and OpenGL looks: Lucarne records two barriers into your
//! commands, and submits nothing. `own.rs` stands for your engine.

mod own;

use ash::vk;
use lucarne::vulkan::{Access, Adapter, Device, Image, SubmitFence, WaitSemaphore};
use lucarne::{Extent, Fence, Pool, Request, Usage, egl, negotiate};
use std::io::{self, Write};
use std::time::Duration;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const TIMEOUT: Duration = Duration::from_secs(60);
const SIZE: Extent = Extent::new(320, 200);
const FRAMES: u8 = 9;
const ACCESS: Access = Access::TransferDestination;

/// An image of the pool, and what your engine needs to use it again and again.
struct Slot {
    image: Image,
    wait: WaitSemaphore,
    done: SubmitFence,
    commands: vk::CommandBuffer,
    /// Your timeline's value when the slot's last submission has finished.
    last: u64,
}

fn main() -> Result<()> {
    let mut engine = own::Engine::new(|entry, instance, physical| {
        // SAFETY: the physical device is this instance's, of Vulkan 1.2; the engine outlives the adapter.
        let adapter = unsafe { Adapter::from_raw(entry, instance, physical) }?;
        let extensions = adapter.device_extensions();
        Ok((adapter, extensions))
    })?;
    let (device, queue, family) = (engine.device.clone(), engine.queue, engine.family);
    // SAFETY: created from that adapter with exactly these extensions; Lucarne submits nothing here. The engine destroys it
    // last.
    let vulkan =
        unsafe { Device::from_raw(&engine.adapter, device, queue, family, &engine.enabled) }?;
    let software = engine.adapter.id().software;
    let mut others = egl::Adapter::enumerate()?.into_iter();
    let other = others.find(|other| other.is_software() == software);
    let egl = other.ok_or("no EGL device")?.open()?;

    let shared = share(&mut engine, &vulkan, &egl);
    drop(vulkan);
    writeln!(io::stdout(), "{}", shared?)?;
    Ok(())
}

fn share(engine: &mut own::Engine, vulkan: &Device, egl: &egl::Device) -> Result<String> {
    let request = Request::new(SIZE).usage(Usage::TRANSFER_DESTINATION, Usage::SAMPLE);
    let offer = vulkan.offer(Usage::TRANSFER_DESTINATION)?;
    let agreement = negotiate(&offer, &egl.offer(Usage::SAMPLE)?, &request)?;
    let new = |_| {
        Ok(Slot {
            image: vulkan.export(&agreement)?,
            wait: vulkan.wait_semaphore()?,
            done: vulkan.submit_fence()?,
            commands: engine.allocate()?,
            last: 0,
        })
    };
    let mut slots: Vec<Slot> = (0..3).map(new).collect::<Result<_>>()?;
    let frames = slots.iter().map(|slot| slot.image.frame().clone());
    let pool = Pool::new(frames.collect());

    let mut right = 0;
    for frame in 0..FRAMES {
        let (writing, gate) = pool.acquire().ok_or("no image is free")?.acquire();
        let color = [20 * frame, 255 - 20 * frame, 90];
        let drawn = draw(engine, &mut slots[writing.index()], &gate, color);
        // What was submitted must end before anything of it is dropped, whatever became of the frame.
        let drawn = drawn.inspect_err(|_| engine.wait_for_all())?;

        let (reading, drawn) = writing.send(drawn).receive().acquire();
        let texture = egl.import(reading.frame())?;
        egl.read(&texture, &drawn, TIMEOUT)?;
        let wanted = color.map(|value| f32::from(value) / 255.0);
        let is_right = |pixel: &&[f32; 4]| {
            let near = |(one, other): (&f32, f32)| (one - other).abs() < 0.02;
            pixel.iter().zip(wanted).all(near)
        };
        right += egl.download(&texture)?.iter().filter(is_right).count();
        reading.release(egl.fence(TIMEOUT)?);
    }
    engine.wait_for_all();
    let (path, fence) = (agreement.path(), &agreement.acquire);
    if right != usize::from(FRAMES) * SIZE.width as usize * SIZE.height as usize {
        return Err(
            format!("only {right} pixels of {FRAMES} frames through {path} are right").into(),
        );
    }
    Ok(format!(
        "{right} pixels of {FRAMES} frames through {path}, fences by {fence}"
    ))
}

/// One turn: your commands between two barriers, gated by the fence that came with the frame.
fn draw(engine: &mut own::Engine, slot: &mut Slot, gate: &Fence, color: [u8; 3]) -> Result<Fence> {
    // Your own way to know that commands, semaphore and fence of this slot are not in use any more.
    engine.wait(slot.last, TIMEOUT)?;
    // SAFETY: its last submission has finished, and the one below waits for what is returned.
    let semaphore = unsafe { slot.wait.import(&slot.image, gate, TIMEOUT) }?;
    engine.begin(slot.commands)?;
    // SAFETY: recording, outside a render pass, for a graphics queue of this family; submitted below.
    unsafe {
        slot.image
            .acquire_barrier(slot.commands, engine.family, ACCESS)
    }?;
    engine.clear(slot.commands, slot.image.raw(), color);
    // SAFETY: as above; the image is still in the layout that `ACCESS` names.
    unsafe { slot.image.release_barrier(slot.commands, ACCESS) }?;
    slot.last = engine.submit(slot.commands, semaphore, slot.done.raw())?;
    // SAFETY: submitted just now. Waits only where nothing can be exported.
    Ok(unsafe { slot.done.export(TIMEOUT) }?)
}
