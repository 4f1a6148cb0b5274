//! The demo's core: renders three frames in Vulkan, shows them in OpenGL, saves a picture, checks a pixel.

use ash::vk::{CommandBuffer, Extent2D};
use lucarne::vulkan::{Access, Instance, InstanceOptions};
use lucarne::{Extent, Pool, Request, Usage, egl, negotiate};
use lucarne_examples::scene::Scene;
use lucarne_examples::screen::{Screen, Shown, Surface};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(60);
const SIZE: Extent = Extent::new(640, 360);
const FRAMES: u32 = 3;

/// The sun, which stands in the upper left; drivers round differently.
const SUN: ((u32, u32), [u8; 3]) = ((145, 65), [255, 243, 190]);
const TOLERANCE: u8 = 6;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Two devices, each opened by its own API: here the first GPU, or the software one, on both sides.
    let instance = Instance::new(&InstanceOptions::default())?;
    let adapters = instance.adapters()?;
    let adapter = adapters.first().ok_or("no Vulkan device")?;
    let vulkan = adapter.open()?;
    let same_kind = |other: &egl::Adapter| other.is_software() == adapter.id().software;
    let others = egl::Adapter::enumerate()?;
    let other = others.into_iter().find(same_kind);
    let egl = other.ok_or("no EGL device")?.open()?;

    // What can both do? The answer is fixed once; the frames' memory is made and imported once, too.
    let (producer, consumer) = (vulkan.offer(Usage::RENDER)?, egl.offer(Usage::SAMPLE)?);
    let agreement = negotiate(&producer, &consumer, &Request::new(SIZE))?;
    let images: Vec<_> = (0..3)
        .map(|_| vulkan.export(&agreement))
        .collect::<Result<_, _>>()?;
    let pool = Pool::new(images.iter().map(|image| image.frame().clone()).collect());

    // What to draw: a scene in Vulkan, a screen that shows it in OpenGL.
    let extent = Extent2D {
        width: SIZE.width,
        height: SIZE.height,
    };
    let raw = instance.raw();
    // SAFETY: vkGetPhysicalDeviceMemoryProperties: a physical device of this instance.
    let memory = unsafe { raw.get_physical_device_memory_properties(adapter.raw()) };
    // SAFETY: the device outlives the scene, and both sides agreed on drawing into such images.
    let mut scene = unsafe { Scene::new(vulkan.raw(), memory, images[0].vk_format(), extent) }?;
    for image in &images {
        // SAFETY: an image of that device, format and extent, which outlives the scene.
        unsafe { scene.add_target(&image.view_info(Access::ColorAttachment)) }?;
    }
    let target = egl.import(images[0].frame())?.target();
    // SAFETY: opening the device made its context current on this thread, where it stays.
    let screen = unsafe { Screen::new(egl.glow(), target) }?;
    let canvas = screen.canvas(SIZE.width, SIZE.height)?;

    for frame in 0..FRAMES {
        // Vulkan's turn: wait for the last reader of this image, draw, pass it on with a fence.
        let (writing, gate) = pool.acquire().ok_or("no image is free")?.acquire();
        let index = writing.index();
        let draw = |commands: CommandBuffer| {
            // SAFETY: `write` records into `commands` outside a render pass, for a graphics queue.
            unsafe { scene.record(commands, index, frame) }
        };
        let done = vulkan.write(
            &images[index],
            &gate,
            TIMEOUT,
            Access::ColorAttachment,
            draw,
        )?;
        let sent = writing.send(done);

        // OpenGL's turn: wait for that fence, sample the same memory, give it back with another fence.
        let (reading, done) = sent.receive().acquire();
        let texture = egl.import(reading.frame())?;
        egl.read(&texture, &done, TIMEOUT)?;
        let size = (SIZE.width, SIZE.height);
        let shown = Shown {
            texture: texture.name(),
            target: texture.target(),
            size,
        };
        screen.draw(Surface::Canvas(&canvas), shown, frame)?;
        reading.release(egl.fence(TIMEOUT)?);
    }

    let picture = canvas.read();
    let path = std::env::args_os()
        .nth(1)
        .unwrap_or("target/render-then-share.png".into());
    let path = PathBuf::from(path);
    picture.save(&path)?;
    let ((x, y), expected) = SUN;
    let [red, green, blue, _] = picture.pixel(x, y);
    let got = [red, green, blue];
    if got
        .iter()
        .zip(expected)
        .any(|(got, wanted)| got.abs_diff(wanted) > TOLERANCE)
    {
        return Err(format!("pixel ({x}, {y}) is {got:?}, not {expected:?}").into());
    }
    let (memory, imports) = (agreement.path(), egl.imports());
    writeln!(
        io::stdout(),
        "{FRAMES} frames through {memory}, {imports} imports, {}",
        path.display()
    )?;
    Ok(())
}
