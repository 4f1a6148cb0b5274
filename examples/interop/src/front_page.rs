//! The front page's code, in a program that depends on Lucarne alone.
#![allow(dead_code, reason = "it is compiled, and shown")]

// begin
use std::{error::Error, ffi::CStr, time::Duration};

use lucarne::ash::{self, vk};
use lucarne::{Extent, Pool, Request, Usage, egl, glow, negotiate, vulkan};

const TIMEOUT: Duration = Duration::from_secs(1);

/// Your Vulkan renderer draws, and your toolkit, whose EGL context is current here, shows.
fn share(
    entry: &ash::Entry,
    instance: &ash::Instance,
    gpu: vk::PhysicalDevice,
    create_your_device: impl FnOnce(&[&CStr]) -> (ash::Device, vk::Queue, u32),
    draw_with_vulkan: impl Fn(vk::CommandBuffer, vk::Image),
    draw_with_gl: impl Fn(&glow::Context, glow::NativeTexture, u32),
) -> Result<(), Box<dyn Error>> {
    // Ask before you create your device: these extensions are the ones worth enabling.
    // SAFETY: `gpu` is of `instance`, made for Vulkan 1.1 or later; both outlive this function.
    let adapter = unsafe { vulkan::Adapter::from_raw(entry, instance, gpu) }?;
    let enabled = adapter.device_extensions();
    let (device, queue, family) = create_your_device(&enabled);
    // SAFETY: that device has exactly these extensions; nobody else uses the queue meanwhile.
    let renderer = unsafe { vulkan::Device::from_raw(&adapter, device, queue, family, &enabled) }?;
    // SAFETY: the context and its display outlive this function.
    let screen = unsafe { egl::Device::from_current() }?;

    // What can both do? One answer, and the reason why nothing better was possible.
    let (offer, accept) = (renderer.offer(Usage::RENDER)?, screen.offer(Usage::SAMPLE)?);
    let agreement = negotiate(&offer, &accept, &Request::new(Extent::new(1280, 720)))?;
    for refused in &agreement.refused {
        eprintln!("not {refused}");
    }

    // Three images: one is shown, one is on its way, one is drawn.
    let images: Vec<_> = (0..3).map(|_| renderer.export(&agreement)).collect::<Result<_, _>>()?;
    let pool = Pool::new(images.iter().map(|image| image.frame().clone()).collect());
    for _ in 0..300 {
        // Vulkan's turn: wait until nobody reads this image, draw, pass it on with a fence.
        let (writing, gate) = pool.acquire().ok_or("every image is in use")?.acquire();
        let image = &images[writing.index()];
        let draw = |commands| draw_with_vulkan(commands, image.raw());
        let access = vulkan::Access::ColorAttachment;
        let drawn = renderer.write(image, &gate, TIMEOUT, access, draw)?;

        // GL's turn: wait for that fence, sample the same memory, give it back with another.
        let (reading, drawn) = writing.send(drawn).receive().acquire();
        // Imports once, then finds it again. Sample it: for `glReadPixels`, give Request::usage TRANSFER_SOURCE as well.
        let texture = screen.import(reading.frame())?;
        screen.read(&texture, &drawn, TIMEOUT)?;
        draw_with_gl(screen.glow(), texture.name(), texture.target());
        reading.release(screen.fence(TIMEOUT)?);
    }
    Ok(())
}
// end
