//! Frames that are sRGB-encoded, decoded when they are sampled.

use lucarne::color::{ColorDescription, Range, Transfer};
use lucarne::cpu::Allocator;
use lucarne::{Extent, Fence, Format, Frame, MemoryPath, Usage};
use lucarne_tests::TIMEOUT;
use lucarne_tests::cpu::{can, open, read, write};
use lucarne_tests::pair::Pair;
use lucarne_tests::yuv::OURS;

/// Every code once, in all three colours.
const EXTENT: Extent = Extent::new(16, 16);

/// IEC 61966-2-1.
fn light(code: u8) -> f64 {
    let encoded = f64::from(code) / 255.0;
    if encoded <= 0.04045 {
        encoded / 12.92
    } else {
        ((encoded + 0.055) / 1.055).powf(2.4)
    }
}

fn greys(allocator: &Allocator, format: Format) -> (Frame, Fence) {
    let frame = OURS.frame(allocator, EXTENT, format);
    let image = open(&Allocator::HostMemory)
        .import(&frame)
        .expect("a mapped frame");
    let bytes: Vec<u8> = (0..=255)
        .flat_map(|code: u8| [code, code, code, 85])
        .collect();
    let acquire = write(&image, &Fence::Signaled, &[bytes]);
    (frame, acquire)
}

/// Half a step of eight bits at the encoded end, in light: drivers may look it up in tables of that precision.
const TOLERANCE: f64 = 0.5 / 255.0;

#[test]
fn opengl_decodes_host_memory() {
    let pair = Pair::open();
    for format in [
        Format::ABGR8888,
        Format::XBGR8888,
        Format::ARGB8888,
        Format::XRGB8888,
    ] {
        let (frame, acquire) = greys(&Allocator::HostMemory, format);
        let texture = pair.gl.import_srgb(&frame).expect("a texture");
        pair.gl
            .read(&texture, &acquire, TIMEOUT)
            .expect("a turn to read");
        let pixels = pair.gl.download(&texture).expect("pixels");
        let alpha = if format.info().expect("known").alpha {
            85.0 / 255.0
        } else {
            1.0
        };
        let mut most = 0.0_f64;
        for (code, pixel) in (0..=255_u8).zip(&pixels) {
            for channel in &pixel[..3] {
                most = most.max((f64::from(*channel) - light(code)).abs());
            }
            assert!(
                (f64::from(pixel[3]) - alpha).abs() < 1e-6,
                "{format}: alpha is not encoded"
            );
        }
        assert!(most <= TOLERANCE, "{format}: off by {most}");
        eprintln!("OpenGL, {format}: off by {most:.6} at most");
    }
}

fn vulkan(allocator: &Allocator) {
    let pair = Pair::open();
    if !can(allocator, &pair.vk.offer(Usage::SAMPLE).expect("an offer")) {
        return;
    }
    let pass = pair.vk.rgb_to_ycbcr().expect("a pass");
    // Luma of 16 bits over the full range is what the sampler read, exactly enough.
    let deep = ColorDescription {
        range: Range::Full,
        ..ColorDescription::VIDEO
    };
    for format in [Format::ABGR8888, Format::XRGB8888] {
        let (frame, acquire) = greys(allocator, format);
        let image = pair
            .vk
            .import_srgb(&frame, Usage::SAMPLE)
            .expect("an image");
        let target = pass.export(Format::P016, EXTENT, deep, MemoryPath::HostMemory);
        let target = target.expect("a frame");
        let (_, written) = pass
            .convert(&image, &acquire, &target, &Fence::Signaled, TIMEOUT)
            .expect("a converted frame");
        let cpu = open(&Allocator::HostMemory).import(target.frame());
        let (planes, _) = read(&cpu.expect("a mapped frame"), &written);
        let mut most = 0.0_f64;
        for (code, luma) in (0..=255_u8).zip(planes[0].as_chunks::<2>().0) {
            let read = f64::from(u16::from_le_bytes(*luma)) / 65535.0;
            most = most.max((read - light(code)).abs());
        }
        assert!(most <= TOLERANCE, "{format}: off by {most}");
        eprintln!("Vulkan, {format}: off by {most:.6} at most");
    }
    pair.assert_valid();
}

#[test]
fn vulkan_decodes_a_dma_buf() {
    vulkan(&Allocator::Udmabuf);
}

#[test]
fn vulkan_decodes_host_memory() {
    vulkan(&Allocator::HostMemory);
}

#[test]
fn what_is_not_srgb_is_refused_by_name() {
    let pair = Pair::open();
    let (frame, _) = greys(&Allocator::HostMemory, Format::ABGR8888);
    let linear = ColorDescription {
        transfer: Transfer::Linear,
        ..frame.layout().color()
    };
    let linear = frame.with_color(linear).expect("it fits");
    let errors = [
        pair.gl.import_srgb(&linear).map(|_| ()),
        pair.vk.import_srgb(&linear, Usage::SAMPLE).map(|_| ()),
    ];
    for error in errors {
        let error = error.expect_err("linear").to_string();
        assert!(
            error.contains("color.transfer") && error.contains("sRGB"),
            "{error}"
        );
    }
    let deep = OURS.frame(&Allocator::HostMemory, EXTENT, Format::ABGR2101010);
    let error = pair.vk.import_srgb(&deep, Usage::SAMPLE).map(|_| ());
    assert!(
        error
            .expect_err("no sibling")
            .to_string()
            .contains("sibling")
    );
    let error = pair.gl.import_srgb(&deep).map(|_| ());
    assert!(
        error
            .expect_err("no sibling")
            .to_string()
            .contains("sibling")
    );
}
