//! The GL side by itself: both kinds of textures, and which way is up.

use glow::HasContext;
use lucarne::egl;
use lucarne_examples::screen::{Screen, Shown, Surface};
use lucarne_tests::skip::skip;

/// `GL_OES_EGL_image_external`.
const TEXTURE_EXTERNAL: u32 = 0x8D65;
/// `GL_RGBA8` and `GL_NEAREST`, signed as their functions want them.
const RGBA8: i32 = 0x8058;
const NEAREST: i32 = 0x2600;
/// Wide enough for the screen's middle to be in the picture's.
const SIZE: (u32, u32) = (160, 90);

/// The software device where there is one: it is the same on every machine.
fn device() -> egl::Device {
    let adapters = egl::Adapter::enumerate().expect("EGL lists its devices");
    let software = adapters.iter().find(|adapter| adapter.is_software());
    let adapter = software.or(adapters.first()).expect("an EGL device");
    adapter.open().expect("an OpenGL ES 3 context")
}

/// A texture of two rows: red above, blue below, as Vulkan counts.
fn red_over_blue(gl: &glow::Context) -> glow::Texture {
    let rows = [[255, 0, 0, 255], [0, 0, 255, 255]].concat();
    // SAFETY: glow asks for a current context: `device` made its own current on this thread.
    let texture = unsafe { gl.create_texture() }.expect("a texture");
    // SAFETY: as above.
    unsafe { gl.bind_texture(glow::TEXTURE_2D, Some(texture)) };
    let pixels = glow::PixelUnpackData::Slice(Some(&rows));
    let (format, kind) = (glow::RGBA, glow::UNSIGNED_BYTE);
    // SAFETY: as above; two pixels of four bytes are there.
    unsafe { gl.tex_image_2d(glow::TEXTURE_2D, 0, RGBA8, 1, 2, 0, format, kind, pixels) };
    for filter in [glow::TEXTURE_MIN_FILTER, glow::TEXTURE_MAG_FILTER] {
        // SAFETY: as above.
        unsafe { gl.tex_parameter_i32(glow::TEXTURE_2D, filter, NEAREST) };
    }
    texture
}

#[test]
fn the_first_row_is_on_top() {
    let device = device();
    let gl = device.glow();
    // SAFETY: the device's context is current on this thread until the device is dropped, at the end.
    let screen = unsafe { Screen::new(gl, glow::TEXTURE_2D) }.unwrap();
    let canvas = screen.canvas(SIZE.0, SIZE.1).unwrap();
    let shown = Shown {
        texture: red_over_blue(gl),
        target: glow::TEXTURE_2D,
        size: SIZE,
    };
    screen.draw(Surface::Canvas(&canvas), shown, 0).unwrap();
    let picture = canvas.read();
    let upper = picture.pixel(SIZE.0 / 2, SIZE.1 / 4);
    let lower = picture.pixel(SIZE.0 / 2, SIZE.1 * 5 / 8);
    assert_eq!((upper, lower), ([255, 0, 0, 255], [0, 0, 255, 255]));
}

#[test]
fn external_textures_have_a_program_too() {
    let device = device();
    let gl = device.glow();
    if !gl
        .supported_extensions()
        .contains("GL_OES_EGL_image_external_essl3")
    {
        // Such a driver imports no frame as an external texture, either.
        skip("driver", "no GL_OES_EGL_image_external_essl3");
        return;
    }
    // SAFETY: the device's context is current on this thread until the device is dropped, at the end.
    unsafe { Screen::new(gl, TEXTURE_EXTERNAL) }.unwrap();
}
