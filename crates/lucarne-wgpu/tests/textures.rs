//! Frames that wgpu draws and others show, and the other way round, pixel for pixel.

mod common;

use common::paint::{Painter, reader};
use common::{Bench, DRAWN, EXTENT, agree, import_usage};
use lucarne::{Fence, Format, Frame, MemoryPath, Usage};
use lucarne_tests::reader::Reader;
use lucarne_tests::{TIMEOUT, pattern};
use lucarne_wgpu::{Device, Texture, convert, lucarne};

const FORMATS: [Format; 5] = [
    Format::XRGB8888,
    Format::ABGR8888,
    Format::XBGR2101010,
    Format::ABGR16161616,
    Format::ABGR16161616F,
];
const FRAMES: u32 = 3;

/// One after the other: a context of OpenGL's is current while its bench is open.
const OPENINGS: [fn() -> Bench; 2] = [Bench::open, Bench::with_driver_fences];

fn picture(format: Format, frame: u32) -> Vec<[f32; 4]> {
    let info = format.info().expect("known");
    let rows = 0..EXTENT.height;
    let places = rows.flat_map(|y| (0..EXTENT.width).map(move |x| (x, y)));
    places
        .map(|(x, y)| pattern::expected(info, x, y, frame))
        .collect()
}

/// What wgpu reads of a texture; padding counts as alpha 1.
fn texels(device: &Device, texture: &Texture, ready: &Fence) -> (Vec<[f32; 4]>, Fence) {
    let reader = reader(device);
    let exact = reader.exact(texture.frame().layout().extent());
    let copy = reader.copy(texture.texture(), &exact);
    let read = device
        .submit([texture], ready, TIMEOUT, [copy])
        .expect("a turn");
    let mut texels = reader.read(&exact);
    if texture.has_padding() {
        texels.iter_mut().for_each(|texel| texel[3] = 1.0);
    }
    (texels, read)
}

fn drawn_by_wgpu(bench: &Bench, path: MemoryPath, format: Format) {
    let (wgpu, gl) = (&bench.wgpu, &bench.pair.gl);
    let offer = wgpu.offer(DRAWN).expect("an offer");
    let accept = gl.offer(Usage::SAMPLE).expect("an offer");
    let Some(agreement) = agree(&offer, &accept, (path, format), (DRAWN, Usage::SAMPLE)) else {
        return;
    };
    let texture = wgpu.export(&agreement).expect("a texture");
    assert_eq!(texture.frame().memory().path(), path);
    let painter = Painter::new(wgpu, texture.texture().format());
    let shown = gl.import(texture.frame()).expect("a GL texture");
    let mut gate = Fence::Signaled;
    for frame in 0..FRAMES {
        let drawing = painter.draw(&picture(format, frame), texture.texture());
        let drawn = wgpu
            .submit([&texture], &gate, TIMEOUT, [drawing])
            .expect("a turn");
        gl.read(&shown, &drawn, TIMEOUT).expect("a turn");
        pattern::assert_equal(format, EXTENT, frame, &Reader::new(gl).read(&shown));
        gate = gl.fence(TIMEOUT).expect("a fence");
    }
}

#[test]
fn opengl_shows_what_wgpu_draws() {
    for open in OPENINGS {
        let bench = open();
        for path in MemoryPath::ALL {
            for format in FORMATS {
                drawn_by_wgpu(&bench, path, format);
            }
        }
        bench.assert_valid();
    }
}

fn drawn_by_vulkan(bench: &Bench, path: MemoryPath, format: Format) {
    let (wgpu, vk) = (&bench.wgpu, &bench.pair.vk);
    let written = Usage::TRANSFER_DESTINATION;
    let offer = vk.offer(written).expect("an offer");
    let accept = wgpu.offer(Usage::SAMPLE).expect("an offer");
    let Some(agreement) = agree(&offer, &accept, (path, format), (written, Usage::SAMPLE)) else {
        return;
    };
    let image = vk.export(&agreement).expect("an image");
    let usage = import_usage(&agreement);
    let texture = wgpu.import(image.frame(), usage).expect("a texture");
    let info = format.info().expect("known");
    let mut gate = Fence::Signaled;
    for frame in 0..FRAMES {
        let bytes = pattern::bytes(info, EXTENT, frame);
        let ready = vk.upload(&image, &gate, TIMEOUT, &bytes).expect("a turn");
        let (seen, read) = texels(wgpu, &texture, &ready);
        pattern::assert_equal(format, EXTENT, frame, &seen);
        gate = read;
    }
}

#[test]
fn wgpu_shows_what_vulkan_writes() {
    for open in OPENINGS {
        let bench = open();
        for path in MemoryPath::ALL {
            for format in FORMATS {
                drawn_by_vulkan(&bench, path, format);
            }
        }
        bench.assert_valid();
    }
}

/// Two devices of wgpu's, and turns by `acquire` and `release` between submissions of the program's own.
#[test]
fn wgpu_shows_what_wgpu_has_written_between_its_own_submissions() {
    for open in OPENINGS {
        let bench = open();
        let other = common::wgpu_device();
        let written = Usage::TRANSFER_DESTINATION | Usage::TRANSFER_SOURCE;
        let offer = bench.wgpu.offer(written).expect("an offer");
        let accept = other.offer(Usage::SAMPLE).expect("an offer");
        let format = Format::ABGR8888;
        for path in MemoryPath::ALL {
            let usages = (written, Usage::SAMPLE);
            let Some(agreement) = agree(&offer, &accept, (path, format), usages) else {
                continue;
            };
            let texture = bench.wgpu.export(&agreement).expect("a texture");
            let usage = import_usage(&agreement);
            let shown = other.import(texture.frame(), usage).expect("a texture");
            let mut gate = Fence::Signaled;
            for frame in 0..FRAMES {
                bench
                    .wgpu
                    .acquire([&texture], &gate, TIMEOUT)
                    .expect("taken");
                write(&bench.wgpu, &texture, frame);
                let ready = bench.wgpu.release([&texture], TIMEOUT).expect("given");
                let (seen, read) = texels(&other, &shown, &ready);
                pattern::assert_equal(format, EXTENT, frame, &seen);
                gate = read;
            }
        }
        bench.assert_valid();
    }
}

/// The way of `wgpu::Queue::write_texture`, whose copy runs before a submission's command buffers.
fn write(device: &Device, texture: &Texture, frame: u32) {
    let format = texture.frame().layout().format();
    let bytes = pattern::bytes(format.info().expect("known"), EXTENT, frame);
    let layout = wgpu::TexelCopyBufferLayout {
        offset: 0,
        bytes_per_row: Some(EXTENT.width * 4),
        rows_per_image: None,
    };
    let target = texture.texture().as_image_copy();
    device
        .queue()
        .write_texture(target, &bytes, layout, texture.texture().size());
    device.queue().submit([]);
}

/// What the CPU and Lucarne's Vulkan read in memory that wgpu has drawn into.
#[test]
fn the_bytes_are_those_of_the_format() {
    let bench = Bench::open();
    let (wgpu, vk) = (&bench.wgpu, &bench.pair.vk);
    let usage = Usage::TRANSFER_SOURCE;
    let offer = wgpu.offer(DRAWN).expect("an offer");
    let accept = vk.offer(usage).expect("an offer");
    for (path, format) in [
        (MemoryPath::DmaBuf, Format::ARGB8888),
        (MemoryPath::DmaBuf, Format::R8),
        (MemoryPath::HostMemory, Format::ABGR2101010),
    ] {
        let Some(agreement) = agree(&offer, &accept, (path, format), (DRAWN, usage)) else {
            continue;
        };
        let texture = wgpu.export(&agreement).expect("a texture");
        let painter = Painter::new(wgpu, texture.texture().format());
        let drawing = painter.draw(&picture(format, 5), texture.texture());
        let drawn = wgpu.submit([&texture], &Fence::Signaled, TIMEOUT, [drawing]);
        let drawn = drawn.expect("a turn");
        let image = vk.import(texture.frame(), usage).expect("an image");
        let bytes = vk.download(&image, &drawn, TIMEOUT).expect("pixels");
        let wanted = pattern::bytes(format.info().expect("known"), EXTENT, 5);
        assert!(bytes == wanted, "{path}, {format}: other bytes than drawn");
        assert!(
            cpu_reads(texture.frame()) == wanted,
            "{path}, {format}: the CPU reads others"
        );
    }
    bench.assert_valid();
}

fn cpu_reads(frame: &Frame) -> Vec<u8> {
    use lucarne::cpu::Allocator;
    let image = lucarne_tests::cpu::open(&Allocator::HostMemory)
        .import(frame)
        .expect("a mapping");
    let (planes, _) = lucarne_tests::cpu::read(&image, &Fence::Signaled);
    planes.into_iter().next().expect("one plane")
}

/// Each format of ours is the `VkFormat` that wgpu makes of its own for it.
#[test]
fn formats_are_the_same_in_vulkan() {
    let adapter = common::adapter();
    let mut compared = 0;
    for info in Format::ALL {
        let format = info.format;
        let Some(texture) = convert::texture_format(format) else {
            continue;
        };
        assert_eq!(
            Some(common::raw_format(&adapter, texture)),
            info.vk,
            "{format}"
        );
        let encoded = texture.add_srgb_suffix();
        if encoded.is_srgb() {
            assert_eq!(
                Some(common::raw_format(&adapter, encoded)),
                info.vk_srgb,
                "{format}"
            );
        }
        compared += 1;
    }
    assert_eq!(compared, 14);
}
