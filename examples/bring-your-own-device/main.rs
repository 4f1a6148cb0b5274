//! Shares a frame between a Vulkan device and an EGL context that exist already: your renderer's and
//! your toolkit's. `own.rs` stands for those two.

mod own;

use ash::vk;
use glow::HasContext;
use lucarne::vulkan::{Access, Adapter, Device};
use lucarne::{Extent, Format, Pool, Request, Usage, egl, negotiate};
use std::io::{self, Write};
use std::time::Duration;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const TIMEOUT: Duration = Duration::from_secs(60);
const SIZE: Extent = Extent::new(320, 200);

fn main() -> Result<()> {
    let renderer = own::Renderer::new()?;
    // SAFETY: the physical device is this instance's, of Vulkan 1.1; both outlive everything below.
    let adapter =
        unsafe { Adapter::from_raw(&renderer.entry, &renderer.instance, renderer.physical) }?;

    // What to enable when you create your device, beside what you enable anyway. Fewer are fine: each one
    // that is missing costs a way to share, and the offer says which.
    let enable = adapter.device_extensions();
    writeln!(io::stdout(), "enabling {enable:?}")?;
    let (device, queue, family) = renderer.create_device(&enable)?;
    // SAFETY: created from that adapter with exactly these extensions and this queue, used by this thread
    // only, and destroyed below, after everything that Lucarne makes of it.
    let vulkan = unsafe { Device::from_raw(&adapter, device.clone(), queue, family, &enable) }?;

    let toolkit = own::Toolkit::new()?;
    // SAFETY: the toolkit's context is current, and lives until the end of this function.
    let egl = unsafe { egl::Device::from_current() }?;

    let shared = share(&vulkan, &egl);
    drop((egl, vulkan, adapter));
    // SAFETY: VUID-vkDestroyDevice-device-05137: all its objects were Lucarne's, and are gone.
    unsafe { device.destroy_device(None) };
    drop((toolkit, renderer));
    writeln!(io::stdout(), "{}", shared?)?;
    Ok(())
}

/// Fills an image in Vulkan and looks at every pixel in OpenGL.
fn share(vulkan: &Device, egl: &egl::Device) -> Result<String> {
    // Red first in memory: `look` reads bytes as they lie there, which sampling in a shader would not.
    let formats = [Format::XBGR8888, Format::ABGR8888];
    let request = Request::new(SIZE)
        .formats(&formats)
        .usage(Usage::TRANSFER_DESTINATION, Usage::SAMPLE);
    let offer = vulkan.offer(Usage::TRANSFER_DESTINATION)?;
    let agreement = negotiate(&offer, &egl.offer(Usage::SAMPLE)?, &request)?;
    let image = vulkan.export(&agreement)?;
    let pool = Pool::new(vec![image.frame().clone()]);

    let (writing, gate) = pool.acquire().ok_or("the only image is in use")?.acquire();
    let fill = |commands: vk::CommandBuffer| {
        let orange = vk::ClearColorValue {
            float32: [1.0, 0.6, 0.2, 1.0],
        };
        let all = vk::ImageSubresourceRange::default()
            .aspect_mask(vk::ImageAspectFlags::COLOR)
            .level_count(1)
            .layer_count(1);
        let layout = vk::ImageLayout::TRANSFER_DST_OPTIMAL;
        let raw = vulkan.raw();
        // SAFETY: `write` records into `commands` outside a render pass, with the image in this layout; it
        // was made for copies and clears (`Usage::TRANSFER_DESTINATION`).
        unsafe { raw.cmd_clear_color_image(commands, image.raw(), layout, &orange, &[all]) };
    };
    let done = vulkan.write(&image, &gate, TIMEOUT, Access::TransferDestination, fill)?;

    let (reading, done) = writing.send(done).receive().acquire();
    let texture = egl.import(reading.frame())?;
    egl.read(&texture, &done, TIMEOUT)?;
    let pixels = look(egl.glow(), texture.target(), texture.name())?;
    reading.release(egl.fence(TIMEOUT)?);

    match pixels
        .chunks_exact(4)
        .position(|pixel| pixel[..3] != [255, 153, 51])
    {
        None => Ok(format!(
            "{} orange pixels through {}",
            pixels.len() / 4,
            agreement.path()
        )),
        Some(at) => Err(format!("pixel {at} is {:?}, not orange", &pixels[4 * at..][..4]).into()),
    }
}

/// Reads a texture's RGBA bytes.
fn look(gl: &glow::Context, target: u32, texture: glow::Texture) -> Result<Vec<u8>> {
    let mut pixels = vec![0; 4 * SIZE.width as usize * SIZE.height as usize];
    let (width, height) = (i32::try_from(SIZE.width)?, i32::try_from(SIZE.height)?);
    let (framebuffer, color) = (glow::FRAMEBUFFER, glow::COLOR_ATTACHMENT0);
    // SAFETY: glow asks for a current context: main holds the toolkit's. So do the calls below.
    let name = unsafe { gl.create_framebuffer() }?;
    // SAFETY: as above.
    unsafe { gl.bind_framebuffer(framebuffer, Some(name)) };
    // SAFETY: as above; a live texture.
    unsafe { gl.framebuffer_texture_2d(framebuffer, color, target, Some(texture), 0) };
    // SAFETY: as above.
    let status = unsafe { gl.check_framebuffer_status(framebuffer) };
    let into = glow::PixelPackData::Slice(Some(&mut pixels));
    // SAFETY: as above; rows of four-byte pixels are not padded, so all fit in `pixels`.
    unsafe { gl.read_pixels(0, 0, width, height, glow::RGBA, glow::UNSIGNED_BYTE, into) };
    // SAFETY: as above.
    unsafe { gl.delete_framebuffer(name) };
    if status != glow::FRAMEBUFFER_COMPLETE {
        return Err("this driver can only sample the texture, so look at it with a shader".into());
    }
    Ok(pixels)
}
