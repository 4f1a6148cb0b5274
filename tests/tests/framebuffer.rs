//! Frames that are read through a framebuffer instead of a shader: `glReadPixels` knows no swizzle.

use glow::HasContext;
use lucarne::egl::{Device, Texture};
use lucarne::negotiate::Reason;
use lucarne::{Extent, Fence, Format, FormatInfo, MemoryPath, Request, Usage, negotiate};
use lucarne_tests::pair::{PRODUCER, Pair};
use lucarne_tests::skip::skip_case;
use lucarne_tests::{TIMEOUT, pattern};

const EXTENT: Extent = Extent::new(32, 24);

/// `glReadPixels` of the texture, as its first attachment.
fn read_pixels(device: &Device, texture: &Texture) -> Vec<[u8; 4]> {
    let (width, height) = (EXTENT.width.cast_signed(), EXTENT.height.cast_signed());
    let mut bytes = vec![[0_u8; 4]; 32 * 24];
    let gl = device.glow();
    let target = glow::PixelPackData::Slice(Some(bytes.as_flattened_mut()));
    // SAFETY: glow: the context of this device is current.
    let framebuffer = unsafe { gl.create_framebuffer() }.expect("a framebuffer");
    // SAFETY: as above; the name is of this context.
    unsafe { gl.bind_framebuffer(glow::FRAMEBUFFER, Some(framebuffer)) };
    let (place, kind) = (glow::COLOR_ATTACHMENT0, texture.target());
    // SAFETY: as above; the texture lives.
    unsafe {
        gl.framebuffer_texture_2d(glow::FRAMEBUFFER, place, kind, Some(texture.name()), 0);
    }
    // SAFETY: as above.
    let status = unsafe { gl.check_framebuffer_status(glow::FRAMEBUFFER) };
    assert_eq!(status, glow::FRAMEBUFFER_COMPLETE);
    let (format, kind) = (glow::RGBA, glow::UNSIGNED_BYTE);
    // SAFETY: as above; the slice is as long as what is read.
    unsafe { gl.read_pixels(0, 0, width, height, format, kind, target) };
    // SAFETY: as above.
    assert_eq!(unsafe { gl.get_error() }, glow::NO_ERROR);
    // SAFETY: as above.
    unsafe { gl.bind_framebuffer(glow::FRAMEBUFFER, None) };
    // SAFETY: as above; nothing is bound to it any more.
    unsafe { gl.delete_framebuffer(framebuffer) };
    bytes
}

/// How many pixels have another red, green or blue than the pattern.
fn wrong(info: &FormatInfo, pixels: &[[u8; 4]]) -> usize {
    let places = (0..EXTENT.height).flat_map(|y| (0..EXTENT.width).map(move |x| (x, y)));
    let differs = |((x, y), pixel): ((u32, u32), &[u8; 4])| {
        let expected = pattern::expected(info, x, y, 0);
        let channels = expected[..3].iter().zip(pixel);
        channels
            .map(|(wanted, read)| (wanted * 255.0 - f32::from(*read)).abs())
            .any(|off| off > 0.5)
    };
    places.zip(pixels).filter(|one| differs(*one)).count()
}

/// Agrees, writes a pattern in Vulkan, and attaches it in OpenGL.
fn share(pair: &Pair, request: &Request) -> Option<(&'static FormatInfo, usize, bool)> {
    let agreement = negotiate(&pair.producer(), &pair.consumer(), request).ok()?;
    let image = pair.vk.export(&agreement).expect("an image");
    let info = agreement.format.info().expect("known");
    let bytes = pattern::bytes(info, EXTENT, 0);
    let written = pair.vk.upload(&image, &Fence::Signaled, TIMEOUT, &bytes);
    let texture = pair.gl.import(image.frame()).expect("a texture");
    let acquire = written.expect("a turn");
    pair.gl.read(&texture, &acquire, TIMEOUT).expect("a turn");
    let pixels = read_pixels(&pair.gl, &texture);
    Some((info, wrong(info, &pixels), texture.is_swizzled()))
}

/// The README's flow, with `glReadPixels` where it says "draw": the formats are those of a request that names none.
#[test]
fn the_default_reads_right_through_a_framebuffer_on_every_path() {
    let pair = Pair::open();
    for path in MemoryPath::ALL {
        let request = Request::new(EXTENT)
            .paths(&[path])
            .usage(PRODUCER, Usage::SAMPLE);
        let Some((info, wrong, swizzled)) = share(&pair, &request) else {
            skip_case(path.name(), "not shared on this machine");
            continue;
        };
        assert_eq!(wrong, 0, "{path}, {}", info.name);
        assert!(!swizzled, "{path}, {}", info.name);
    }
    pair.assert_valid();
}

#[test]
fn a_texture_says_whether_it_is_swizzled() {
    let pair = Pair::open();
    let mut swizzled = 0;
    for path in MemoryPath::ALL {
        for format in [
            Format::XRGB8888,
            Format::XBGR8888,
            Format::ARGB8888,
            Format::ABGR8888,
        ] {
            let request = Request::new(EXTENT)
                .paths(&[path])
                .formats(&[format])
                .usage(PRODUCER, Usage::SAMPLE);
            let Some((info, wrong, told)) = share(&pair, &request) else {
                skip_case(path.name(), "not shared on this machine");
                continue;
            };
            assert_eq!(wrong > 0, told, "{path}, {}: {wrong} pixels", info.name);
            swizzled += usize::from(told);
        }
    }
    assert!(swizzled > 0 || !pair.gl.id().software, "some are here");
}

/// A consumer that says so is given what reads right, or told why there is nothing.
#[test]
fn asking_for_it_leaves_swizzled_formats_out() {
    let pair = Pair::open();
    let framebuffer = Usage::SAMPLE | Usage::TRANSFER_SOURCE;
    for path in [MemoryPath::OpaqueFd, MemoryPath::HostMemory] {
        let request = Request::new(EXTENT)
            .paths(&[path])
            .usage(PRODUCER, framebuffer);
        let blue_first = request.clone().formats(&[Format::XRGB8888]);
        let Err(refusal) = negotiate(&pair.producer(), &pair.consumer(), &blue_first) else {
            panic!("{path}: a swizzle was agreed on");
        };
        if !pair.consumer().path(path).is_yes() || !pair.producer().path(path).is_yes() {
            skip_case(path.name(), &refusal.to_string());
            continue;
        }
        let told = refusal.candidates().any(|(_, candidate)| {
            matches!(&candidate.reason, Reason::Usage { missing, .. } if *missing == Usage::TRANSFER_SOURCE)
        });
        assert!(told, "{refusal}");
        let either = request.formats(&[Format::XRGB8888, Format::XBGR8888]);
        let (info, wrong, _) = share(&pair, &either).expect("red first");
        assert_eq!((info.format, wrong), (Format::XBGR8888, 0), "{path}");
    }
    pair.assert_valid();
}
