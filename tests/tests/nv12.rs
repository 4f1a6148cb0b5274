//! Red, green and blue to `Y'CbCr` on the GPU, compared sample by sample with exact arithmetic.

use lucarne::color::{
    ChromaSiting, ColorDescription, Matrix, Subsampling, YcbcrConversion, pixels_to_chroma,
};
use lucarne::cpu::Allocator;
use lucarne::vulkan::{Image, RgbToYcbcr, YcbcrBuffer};
use lucarne::{
    Component, Extent, Fence, Format, FormatInfo, MemoryPath, Request, Usage, negotiate,
};
use lucarne_tests::cpu::{open, read};
use lucarne_tests::pair::Pair;
use lucarne_tests::skip::skip;
use lucarne_tests::yuv::{MATRICES, RANGES};
use lucarne_tests::{TIMEOUT, canary, in_guest};

const SOURCES: [Format; 4] = [
    Format::ABGR8888,
    Format::XRGB8888,
    Format::ABGR2101010,
    Format::ABGR16161616,
];

/// An image to write and to sample, and its pixels as exact numbers.
struct Source {
    image: Image,
    acquire: Fence,
    extent: Extent,
    colors: Vec<[f64; 3]>,
}

impl Source {
    fn new(pair: &Pair, path: MemoryPath, format: Format, extent: Extent, seed: u32) -> Self {
        let usage = Usage::TRANSFER_DESTINATION | Usage::SAMPLE;
        let offer = pair.vk.offer(usage).expect("an offer");
        let request = Request::new(extent)
            .formats(&[format])
            .paths(&[path])
            .usage(usage, Usage::SAMPLE);
        let agreement = negotiate(&offer, &offer, &request).expect("an agreement with itself");
        let image = pair.vk.export(&agreement).expect("an image");
        let info = format.info().expect("known");
        let mut bytes = Vec::new();
        let mut colors = Vec::new();
        for index in 0..extent.width * extent.height {
            let (block, color) = pixel(info, index, seed);
            bytes.extend(block);
            colors.push(color);
        }
        let acquire = pair.vk.upload(&image, &Fence::Signaled, TIMEOUT, &bytes);
        Self {
            image,
            acquire: acquire.expect("a written image"),
            extent,
            colors,
        }
    }

    fn color(&self, x: u32, y: u32) -> [f64; 3] {
        let index = y * self.extent.width + x;
        self.colors[usize::try_from(index).expect("small")]
    }
}

/// A pixel of mixed bits, with black and white among them: its bytes, and the colour that they stand for.
fn pixel(info: &FormatInfo, index: u32, seed: u32) -> (Vec<u8>, [f64; 3]) {
    let plane = &info.planes[0];
    let mut number = 0_u64;
    let mut color = [0.0; 3];
    for (part, channel) in (0_u32..).zip(plane.channels) {
        let max = (1_u64 << channel.bits) - 1;
        let mixed = u64::from(
            (index + 1 + seed * 7919)
                .wrapping_mul(4)
                .wrapping_add(part)
                .wrapping_mul(2_654_435_761),
        );
        let value = match mixed >> 29 {
            0 => 0,
            1 => max,
            _ => (mixed >> 5) & max,
        };
        number |= value << channel.shift;
        let place = match channel.component {
            Component::Red => 0,
            Component::Green => 1,
            Component::Blue => 2,
            _ => continue,
        };
        let value = u32::try_from(value).expect("16 bits at most");
        color[place] = f64::from(value) / f64::from(u32::try_from(max).expect("16 bits at most"));
    }
    let width = usize::from(plane.block_bytes);
    (number.to_le_bytes()[..width].to_vec(), color)
}

/// The sample at an index of a plane, without the bits that carry nothing.
fn sample(bytes: &[u8], info: &FormatInfo, index: usize) -> f64 {
    let width = usize::from(info.planes[0].block_bytes);
    let mut value = 0_u32;
    for (place, byte) in bytes[index * width..(index + 1) * width].iter().enumerate() {
        value |= u32::from(*byte) << (8 * place);
    }
    let shift = info.planes[0].channels[0].shift;
    assert_eq!(
        value & ((1 << shift) - 1),
        0,
        "bits that carry nothing are zero"
    );
    f64::from(value >> shift)
}

/// The most that any sample is off from exact arithmetic, before that is rounded: half a code at best.
fn off(source: &Source, target: &YcbcrBuffer, planes: &[Vec<u8>]) -> f64 {
    let layout = target.frame().layout();
    let (info, color, extent) = (layout.format_info(), layout.color(), layout.extent());
    let conversion = YcbcrConversion::of(info, &color).expect("a matrix");
    let clip = |code: f64| code.clamp(0.0, conversion.max());
    let mut most = 0.0_f64;
    let mut index = 0;
    for y in 0..extent.height {
        for x in 0..extent.width {
            let exact = clip(conversion.codes(source.color(x, y))[0]);
            most = most.max((sample(&planes[0], info, index) - exact).abs());
            index += 1;
        }
    }
    let subsampling = Subsampling::of(info);
    let samples = subsampling.samples(extent);
    let swapped = info.planes[1].channels.last().expect("two").component == Component::Cr
        || info.format == Format::NV21;
    let mut index = 0;
    for y in 0..samples.height {
        for x in 0..samples.width {
            let at = |x, y| source.color(x, y);
            let rgb = pixels_to_chroma((x, y), extent, subsampling, color.siting, at);
            let [_, cb, cr] = conversion.codes(rgb).map(clip);
            let pair = if swapped { [cr, cb] } else { [cb, cr] };
            for exact in pair {
                most = most.max((sample(&planes[1], info, index) - exact).abs());
                index += 1;
            }
        }
    }
    most
}

fn convert(
    pass: &RgbToYcbcr,
    source: &Source,
    format: Format,
    color: ColorDescription,
    path: MemoryPath,
) -> f64 {
    let target = pass
        .export(format, source.extent, color, path)
        .expect("a frame");
    canary::fill(target.frame());
    assert_eq!(target.frame().layout().color(), color);
    let cpu = open(&Allocator::HostMemory);
    let image = cpu.import(target.frame()).expect("a mapped frame");
    let mut gate = Fence::Signaled;
    let mut most = 0.0_f64;
    // Twice: the second turn takes the frame from its reader.
    for _ in 0..2 {
        let (_, acquire) = pass
            .convert(&source.image, &source.acquire, &target, &gate, TIMEOUT)
            .expect("a converted frame");
        let (planes, release) = read(&image, &acquire);
        most = most.max(off(source, &target, &planes));
        gate = release;
    }
    canary::assert_untouched(target.frame(), "converting");
    most
}

/// Half a code for rounding; the rest is single precision, which may turn a tie.
fn limit(format: Format) -> f64 {
    let bits = format.info().expect("known").bits(Component::Luma);
    0.5 + 2e-6 * f64::from(1_u32 << bits)
}

fn every_description(path: MemoryPath) {
    let pair = Pair::open();
    let support = pair.vk.path(path);
    if !support.is_yes() {
        return skip(path.name(), &support.reason());
    }
    let pass = pair.vk.rgb_to_ycbcr().expect("a pass");
    let extent = if in_guest() {
        Extent::new(7, 5)
    } else {
        Extent::new(37, 21)
    };
    // Images that were written by this device can be read by it on the dma-buf path alone.
    let images = pair.vk.path(MemoryPath::DmaBuf);
    let image_path = if images.is_yes() {
        MemoryPath::DmaBuf
    } else {
        MemoryPath::OpaqueFd
    };
    for format in [Format::NV12, Format::NV21, Format::P010, Format::P012] {
        let mut most = 0.0_f64;
        let source = Source::new(&pair, image_path, Format::ABGR8888, extent, 1);
        for matrix in MATRICES {
            for range in RANGES {
                for siting in ChromaSiting::ALL {
                    let color = ColorDescription {
                        matrix,
                        range,
                        siting: *siting,
                        ..ColorDescription::VIDEO
                    };
                    let off = convert(&pass, &source, format, color, path);
                    assert!(off <= limit(format), "{format} {color}: off by {off}");
                    most = most.max(off);
                }
            }
        }
        // Other sizes and other sources, with one description.
        for (width, height) in [(1, 1), (2, 2), (3, 5), (6, 4), (130, 3)] {
            for from in SOURCES {
                let source = Source::new(&pair, image_path, from, Extent::new(width, height), 2);
                let color = ColorDescription::VIDEO;
                let off = convert(&pass, &source, format, color, path);
                assert!(
                    off <= limit(format),
                    "{from} to {format} {width}x{height}: {off}"
                );
                most = most.max(off);
            }
        }
        eprintln!("{format} as {path}: off by {most:.4} of a code at most, before rounding");
    }
    pair.assert_valid();
}

#[test]
fn every_description_in_a_dma_buf() {
    every_description(MemoryPath::DmaBuf);
}

#[test]
fn every_description_in_host_memory() {
    every_description(MemoryPath::HostMemory);
}

#[test]
fn what_cannot_be_converted_is_refused_by_name() {
    let pair = Pair::open();
    let pass = pair.vk.rgb_to_ycbcr().expect("a pass");
    let extent = Extent::new(6, 4);
    let video = ColorDescription::VIDEO;
    let refused = |format, color, path, part: &str| {
        let error = pass.export(format, extent, color, path);
        let error = error.expect_err("refused").to_string();
        assert!(error.contains(part), "{error}: no {part}");
    };
    let host = MemoryPath::HostMemory;
    refused(Format::YUYV, video, host, "NV12");
    refused(Format::XRGB8888, video, host, "format");
    refused(Format::NV12, ColorDescription::SRGB, host, "color.matrix");
    refused(Format::NV12, video, MemoryPath::OpaqueFd, "host-memory");
    let bt601 = ColorDescription {
        matrix: Matrix::Bt601,
        ..video
    };
    let target = pass
        .export(Format::NV12, extent, bt601, host)
        .expect("a frame");
    let other = Extent::new(8, 4);
    let source = Source::new(&pair, MemoryPath::OpaqueFd, Format::ABGR8888, other, 1);
    let error = pass.convert(
        &source.image,
        &source.acquire,
        &target,
        &Fence::Signaled,
        TIMEOUT,
    );
    let error = error.expect_err("another size").to_string();
    assert!(error.contains("8x4") && error.contains("6x4"), "{error}");
    pair.assert_valid();
}
