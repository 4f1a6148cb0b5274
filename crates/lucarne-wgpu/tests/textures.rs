//! Frames that wgpu draws and others show, and the other way round, pixel for pixel.

mod common;

use common::paint::{Painter, reader};
use common::{Bench, DRAWN, EXTENT, agree, import_usage};
use lucarne::{Agreement, Fence, Format, Frame, MemoryPath, Usage};
use lucarne_tests::engine::{self, Direction, Seen};
use lucarne_tests::reader::Reader;
use lucarne_tests::skip::skip;
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

/// What a case leaves for the table of engines: how it was agreed, copies for each frame, and emulated memory.
type Case = (Agreement, u32, bool);

/// A row of the table for each path that was gone, with all formats' pixels.
fn tell(direction: Direction, cases: &[Case]) {
    // "wgpu", or "wgpu-29": each is a package.
    let engine = env!("CARGO_PKG_NAME").trim_start_matches("lucarne-");
    for path in MemoryPath::ALL {
        let all = || cases.iter().filter(|case| case.0.path() == path);
        let Some((agreement, copies, emulated)) = all().next() else {
            continue;
        };
        assert!(all().all(|case| case.1 == *copies), "{path}: {cases:?}");
        let pixels = all().count() as u64 * u64::from(FRAMES * EXTENT.width * EXTENT.height);
        let info = common::adapter().get_info();
        engine::record(&Seen {
            engine: engine.to_owned(),
            version: env!("CARGO_PKG_VERSION_MAJOR").to_owned(),
            direction,
            path,
            fences: engine::fences(agreement),
            copies: *copies,
            pixels,
            driver: engine::driver(&info.driver_info, *emulated),
        });
    }
}

fn drawn_by_wgpu(bench: &Bench, path: MemoryPath, format: Format) -> Option<Case> {
    let (wgpu, gl) = (&bench.wgpu, &bench.pair.gl);
    let offer = wgpu.offer(DRAWN).expect("an offer");
    let accept = gl.offer(Usage::SAMPLE).expect("an offer");
    let agreement = agree(&offer, &accept, (path, format), (DRAWN, Usage::SAMPLE))?;
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
    let emulated = texture.frame().is_emulated();
    Some((agreement, shown.copies_per_frame(), emulated))
}

/// All paths and formats, with both openings; the rows are those of the drivers as they are.
fn each_way(direction: Direction, case: fn(&Bench, MemoryPath, Format) -> Option<Case>) {
    for (index, open) in OPENINGS.into_iter().enumerate() {
        let bench = open();
        let all = MemoryPath::ALL
            .iter()
            .flat_map(|path| FORMATS.map(|format| (*path, format)));
        let cases: Vec<Case> = all
            .filter_map(|(path, format)| case(&bench, path, format))
            .collect();
        bench.assert_valid();
        if index == 0 {
            tell(direction, &cases);
        }
    }
}

#[test]
fn opengl_shows_what_wgpu_draws() {
    each_way(Direction::Export, drawn_by_wgpu);
}

/// OpenGL's own textures, which only some drivers export.
fn drawn_by_opengl(bench: &Bench, path: MemoryPath, format: Format) -> bool {
    let (wgpu, gl) = (&bench.wgpu, &bench.pair.gl);
    let offer = gl.offer(Usage::RENDER).expect("an offer");
    let accept = wgpu.offer(Usage::SAMPLE).expect("an offer");
    let usages = (Usage::RENDER, Usage::SAMPLE);
    let Some(agreement) = agree(&offer, &accept, (path, format), usages) else {
        return false;
    };
    let drawn = gl.export(&agreement).expect("a texture");
    let usage = import_usage(&agreement);
    let texture = wgpu.import(drawn.frame(), usage).expect("a texture");
    let info = format.info().expect("known");
    let mut gate = Fence::Signaled;
    for frame in 0..FRAMES {
        gl.wait(&gate, TIMEOUT).expect("its turn");
        let bytes = pattern::bytes(info, EXTENT, frame);
        gl.upload(&drawn, &bytes).expect("pixels");
        let ready = gl.fence(TIMEOUT).expect("a fence");
        let (seen, read) = texels(wgpu, &texture, &ready);
        pattern::assert_equal(format, EXTENT, frame, &seen);
        gate = read;
    }
    true
}

#[test]
fn wgpu_shows_what_opengl_draws() {
    for open in OPENINGS {
        let bench = open();
        let offer = bench.pair.gl.offer(Usage::RENDER).expect("an offer");
        let path = MemoryPath::DmaBuf;
        let support = offer.path(path);
        if !support.is_yes() {
            return skip(path.name(), &support.reason());
        }
        // Some drivers export no blue-first formats.
        let exports = |format: &&Format| {
            let mut entries = offer.entries.iter();
            entries.any(|entry| entry.format == **format && entry.exportable)
        };
        let drawn: Vec<bool> = FORMATS
            .iter()
            .filter(exports)
            .map(|format| drawn_by_opengl(&bench, path, *format))
            .collect();
        assert!(
            drawn.len() >= 3 && drawn.iter().all(|done| *done),
            "{drawn:?}"
        );
        bench.assert_valid();
    }
}

fn drawn_by_vulkan(bench: &Bench, path: MemoryPath, format: Format) -> Option<Case> {
    let (wgpu, vk) = (&bench.wgpu, &bench.pair.vk);
    let written = Usage::TRANSFER_DESTINATION;
    let offer = vk.offer(written).expect("an offer");
    let accept = wgpu.offer(Usage::SAMPLE).expect("an offer");
    let agreement = agree(&offer, &accept, (path, format), (written, Usage::SAMPLE))?;
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
    let emulated = image.frame().is_emulated();
    Some((agreement, image.copies_per_frame(), emulated))
}

#[test]
fn wgpu_shows_what_vulkan_writes() {
    each_way(Direction::Import, drawn_by_vulkan);
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
