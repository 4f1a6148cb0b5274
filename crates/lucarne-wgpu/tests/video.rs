//! sRGB and `Y'CbCr` in wgpu: light and codes, sample by sample.

mod common;

use common::paint::reader;
use common::{Bench, DRAWN, agree};
use lucarne::cpu::Allocator;
use lucarne::{Extent, Fence, Format, Frame, MemoryPath, Usage};
use lucarne_tests::cpu::{open, plane_bytes, write};
use lucarne_tests::yuv::OURS;
use lucarne_tests::{TIMEOUT, memory};
use lucarne_wgpu::{Device, Texture, lucarne};

const ALLOCATORS: [Allocator; 2] = [Allocator::HostMemory, Allocator::Udmabuf];

/// What wgpu reads of each texture, in one turn.
fn texels(device: &Device, textures: &[Texture], ready: &Fence) -> Vec<Vec<[f32; 4]>> {
    let reader = reader(device);
    let extents = textures.iter().map(|one| one.frame().layout().extent());
    let exact: Vec<_> = extents.map(|extent| reader.exact(extent)).collect();
    let pairs = textures.iter().zip(&exact);
    let commands: Vec<_> = pairs
        .map(|(one, exact)| reader.copy(one.texture(), exact))
        .collect();
    let read = device.submit(textures, ready, TIMEOUT, commands);
    read.expect("a turn").wait(TIMEOUT).expect("an end");
    exact.iter().map(|one| reader.read(one)).collect()
}

/// IEC 61966-2-1.
fn light(code: u8) -> f32 {
    let encoded = f32::from(code) / 255.0;
    if encoded <= 0.04045 {
        encoded / 12.92
    } else {
        ((encoded + 0.055) / 1.055).powf(2.4)
    }
}

/// Half a step of eight bits at the encoded end: drivers may look it up in tables of that precision.
const TOLERANCE: f32 = 0.5 / 255.0;

/// Whether wgpu can lay textures over what `allocator` makes; a skip says why not.
fn can(bench: &Bench, allocator: &Allocator) -> bool {
    let offer = bench.wgpu.offer(Usage::SAMPLE).expect("an offer");
    lucarne_tests::cpu::can(allocator, &offer)
}

/// As wide that a driver places the rows of host memory where we do.
const GREYS: Extent = Extent::new(64, 4);

/// Every code once, in all three colours.
fn greys(allocator: &Allocator, format: Format) -> (Frame, Fence) {
    let frame = OURS.frame(allocator, GREYS, format);
    let image = open(&Allocator::HostMemory)
        .import(&frame)
        .expect("a mapped frame");
    let bytes = (0..=255)
        .flat_map(|code: u8| [code, code, code, 85])
        .collect();
    let ready = write(&image, &Fence::Signaled, &[bytes]);
    (frame, ready)
}

#[test]
fn an_srgb_texture_reads_light() {
    let bench = Bench::open();
    for allocator in ALLOCATORS {
        if !can(&bench, &allocator) {
            continue;
        }
        for format in [Format::ABGR8888, Format::ARGB8888] {
            let (frame, ready) = greys(&allocator, format);
            let texture = bench
                .wgpu
                .import_srgb(&frame, Usage::SAMPLE)
                .expect("a texture");
            assert!(texture.texture().format().is_srgb());
            let seen = texels(&bench.wgpu, &[texture], &ready).remove(0);
            for (code, texel) in (0..=255).zip(&seen) {
                let near = |value: &f32| (value - light(code)).abs() <= TOLERANCE;
                assert!(texel[..3].iter().all(near), "{format}, {code}: {texel:?}");
                assert!(
                    (texel[3] - 85.0 / 255.0).abs() < 1e-6,
                    "alpha is not encoded"
                );
            }
        }
    }
    bench.assert_valid();
}

/// wgpu encodes what it draws into the sRGB sibling of a frame of its own; whoever reads the frame finds codes.
#[test]
fn drawing_light_leaves_codes() {
    let bench = Bench::open();
    let format = Format::ABGR8888;
    let offer = bench.wgpu.offer(DRAWN).expect("an offer");
    for path in [MemoryPath::DmaBuf, MemoryPath::HostMemory] {
        let Some(agreement) = agree(&offer, &offer, (path, format), (DRAWN, DRAWN)) else {
            continue;
        };
        let frame = bench
            .wgpu
            .export(&agreement)
            .expect("a texture")
            .frame()
            .clone();
        let texture = bench.wgpu.import_srgb(&frame, DRAWN).expect("a texture");
        let painter = common::paint::Painter::new(&bench.wgpu, texture.texture().format());
        let extent = agreement.extent;
        let count = (extent.width * extent.height) as usize;
        let codes: Vec<u8> = (0..=255).cycle().take(count).collect();
        let picture: Vec<_> = codes
            .iter()
            .map(|code| [light(*code), light(*code), 1.0, 0.5])
            .collect();
        let drawing = painter.draw(&picture, texture.texture());
        let drawn = bench
            .wgpu
            .submit([&texture], &Fence::Signaled, TIMEOUT, [drawing]);
        let image = bench
            .pair
            .vk
            .import(&frame, Usage::TRANSFER_SOURCE)
            .expect("an image");
        let bytes = bench
            .pair
            .vk
            .download(&image, &drawn.expect("a turn"), TIMEOUT);
        for (code, found) in codes.iter().zip(bytes.expect("pixels").chunks_exact(4)) {
            let wrong = found[0].abs_diff(*code).max(found[1].abs_diff(*code));
            assert!(wrong <= 1, "{path}: {code} was drawn, {found:?} is there");
            assert_eq!((found[2], found[3]), (255, 128));
        }
    }
    bench.assert_valid();
}

/// Each plane is a texture; its texels are the codes of that plane.
#[test]
fn planes_of_video_are_read_code_by_code() {
    let bench = Bench::open();
    let extent = Extent::new(64, 36);
    for allocator in ALLOCATORS {
        if !can(&bench, &allocator) || !memory::can(&allocator) {
            continue;
        }
        for (format, textures) in [(Format::NV12, 2), (Format::YUV420, 3), (Format::P010, 2)] {
            let frame = OURS.frame(&allocator, extent, format);
            let image = open(&Allocator::HostMemory)
                .import(&frame)
                .expect("a mapped frame");
            let bytes: Vec<_> = (0..image.planes())
                .map(|plane| plane_bytes(&image, plane, 3))
                .collect();
            let ready = write(&image, &Fence::Signaled, &bytes);
            let planes = bench.wgpu.import_planes(&frame, Usage::SAMPLE);
            let planes = match planes {
                Ok(planes) => planes,
                // Where the driver would place the rows of host memory differently it would have to copy.
                Err(error) if allocator == Allocator::HostMemory => {
                    assert!(error.to_string().contains("would copy"), "{error}");
                    lucarne_tests::skip::skip_case("mesa", &format!("{format}: {error}"));
                    continue;
                }
                Err(error) => panic!("{format}: {error}"),
            };
            assert_eq!(planes.textures().len(), textures, "{format}");
            assert_eq!(planes.components().places()[0].view, 0);
            let seen = texels(&bench.wgpu, planes.textures(), &ready);
            for (plane, (seen, bytes)) in seen.iter().zip(&bytes).enumerate() {
                let channels =
                    usize::from(planes.textures()[plane].texture().format().components());
                let wanted = codes(bytes, format == Format::P010);
                let found: Vec<f32> = seen
                    .iter()
                    .flat_map(|texel| &texel[..channels])
                    .copied()
                    .collect();
                assert_eq!(found.len(), wanted.len(), "{format}, plane {plane}");
                let off = found
                    .iter()
                    .zip(&wanted)
                    .find(|(found, wanted)| (*found - *wanted).abs() > 1e-6);
                assert_eq!(off, None, "{format}, plane {plane}");
            }
        }
    }
    bench.assert_valid();
}

/// What a sampler reads of a plane's bytes, as parts of one.
fn codes(bytes: &[u8], wide: bool) -> Vec<f32> {
    if !wide {
        return bytes.iter().map(|code| f32::from(*code) / 255.0).collect();
    }
    let pairs = bytes.chunks_exact(2);
    pairs
        .map(|two| f32::from(u16::from_le_bytes([two[0], two[1]])) / 65535.0)
        .collect()
}
