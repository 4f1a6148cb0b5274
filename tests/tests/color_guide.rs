//! The example of docs/color.md, run: an image becomes a video frame in Vulkan, and a picture again in OpenGL.

use lucarne::color::{ColorDescription, Matrix};
use lucarne::vulkan::Image;
use lucarne::{Error, Extent, Fence, Format, MemoryPath, Request, Usage, egl, negotiate, vulkan};
use lucarne_tests::pair::{PRODUCER, Pair};
use lucarne_tests::skip::skip;
use lucarne_tests::{TIMEOUT, fds};

const GUIDE: &str = include_str!("../../docs/color.md");
const THIS: &str = include_str!("color_guide.rs");

// begin
fn to_video_and_back(
    renderer: &vulkan::Device,
    screen: &egl::Device,
    drawn: &Image,
    written: &Fence,
    picture: glow::NativeTexture,
) -> Result<(), Error> {
    // What an encoder is going to be told, too.
    let color = ColorDescription {
        matrix: Matrix::Bt601,
        ..ColorDescription::VIDEO
    };
    let extent = drawn.frame().layout().extent();
    let encode = renderer.rgb_to_ycbcr()?;
    let video = encode.export(Format::NV12, extent, color, MemoryPath::DmaBuf)?;
    let (_release, acquire) = encode.convert(drawn, written, &video, &Fence::Signaled, TIMEOUT)?;

    // Any reader: the frame says how to make colours of it.
    let planes = screen.import_ycbcr(video.frame())?;
    screen.read_ycbcr(&planes, &acquire, TIMEOUT)?;
    screen.ycbcr_to_rgb()?.convert(&planes, picture)?;
    let _release = screen.fence(TIMEOUT)?;
    Ok(())
}
// end

#[test]
fn the_guides_example_is_this_one() {
    let (_, rest) = THIS.split_once("// begin\n").expect("a beginning");
    let (example, _) = rest.split_once("// end\n").expect("an end");
    assert!(GUIDE.contains(example), "docs/color.md has another example");
}

#[test]
fn a_picture_survives_as_video() {
    use glow::HasContext as _;

    let pair = Pair::open();
    let support = pair.vk.path(MemoryPath::DmaBuf);
    if !support.is_yes() {
        return skip("dma-buf", &support.reason());
    }
    let extent = Extent::new(8, 6);
    let usage = PRODUCER | Usage::SAMPLE;
    let offer = pair.vk.offer(usage).expect("an offer");
    let request = Request::new(extent)
        .formats(&[Format::ABGR8888])
        .paths(&[MemoryPath::DmaBuf])
        .usage(usage, Usage::SAMPLE);
    let agreement = negotiate(&offer, &offer, &request).expect("an agreement");
    let image = pair.vk.export(&agreement).expect("an image");
    let pixels: Vec<u8> = (0..48).flat_map(|_| [200, 80, 30, 255]).collect();
    let written = pair.vk.upload(&image, &Fence::Signaled, TIMEOUT, &pixels);
    let written = written.expect("a written image");
    let gl = pair.gl.glow();
    // SAFETY: glGenTextures with a current context.
    let picture = unsafe { gl.create_texture() }.expect("a texture");
    // SAFETY: glBindTexture of a new name.
    unsafe { gl.bind_texture(glow::TEXTURE_2D, Some(picture)) };
    // SAFETY: glTexStorage2D of the texture that is bound.
    unsafe { gl.tex_storage_2d(glow::TEXTURE_2D, 1, glow::RGBA8, 8, 6) };
    to_video_and_back(&pair.vk, &pair.gl, &image, &written, picture).expect("both ways");
    // SAFETY: glGenFramebuffers with a current context.
    let framebuffer = unsafe { gl.create_framebuffer() }.expect("a framebuffer");
    // SAFETY: glBindFramebuffer of a new name.
    unsafe { gl.bind_framebuffer(glow::FRAMEBUFFER, Some(framebuffer)) };
    let (kind, point) = (glow::TEXTURE_2D, glow::COLOR_ATTACHMENT0);
    // SAFETY: glFramebufferTexture2D of the bound framebuffer and a texture with storage.
    unsafe { gl.framebuffer_texture_2d(glow::FRAMEBUFFER, point, kind, Some(picture), 0) };
    let mut read = vec![0; pixels.len()];
    let target = glow::PixelPackData::Slice(Some(&mut read));
    // SAFETY: glReadPixels writes 8 x 6 pixels of four bytes, the slice's length.
    unsafe { gl.read_pixels(0, 0, 8, 6, glow::RGBA, glow::UNSIGNED_BYTE, target) };
    // Half a code of luma and of chroma, times at most about two, and half a step of the result.
    for (read, written) in read.iter().zip(&pixels) {
        assert!(read.abs_diff(*written) <= 2, "{read} instead of {written}");
    }
    // Neither way leaves a descriptor behind.
    let before = fds::list();
    for _ in 0..30 {
        to_video_and_back(&pair.vk, &pair.gl, &image, &written, picture).expect("both ways");
    }
    fds::assert_as_many(&before);
    pair.assert_valid();
}
