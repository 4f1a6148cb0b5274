//! Frames drawn as red, green and blue at any size, compared pixel by pixel with exact arithmetic.

use std::time::Duration;

use lucarne::color::ColorDescription;
use lucarne::cpu::Allocator;
use lucarne::vulkan::{Access, Device, Image, Redraw, RedrawSource};
use lucarne::{Error, Extent, Fence, Format, Frame, MemoryPath, Request, Usage, negotiate};
use lucarne_tests::TIMEOUT;
use lucarne_tests::cpu::{can, open, read, write};
use lucarne_tests::pair::Pair;
use lucarne_tests::yuv::{FOREIGN, MATRICES, OURS, RANGES, Samples};

/// An image in host memory to draw into.
fn target(pair: &Pair, extent: Extent, format: Format) -> Image {
    target_for(&pair.vk, extent, format, Usage::RENDER)
}

fn target_for(vk: &Device, extent: Extent, format: Format, usage: Usage) -> Image {
    let offer = vk.offer(usage).expect("an offer");
    let cpu = open(&Allocator::HostMemory);
    let reader = cpu.offer(Usage::SAMPLE).expect("an offer");
    let request = Request::new(extent)
        .formats(&[format])
        .paths(&[MemoryPath::HostMemory])
        .usage(usage, Usage::SAMPLE);
    let agreement = negotiate(&offer, &reader, &request).expect("host memory");
    vk.export(&agreement).expect("an image")
}

/// What is drawn of a frame, as bytes.
fn drawn(redraw: &Redraw, frame: &Frame, acquire: &Fence, target: &Image) -> Vec<u8> {
    let source = redraw.import(frame).expect("an import");
    let cpu = open(&Allocator::HostMemory);
    let reader = cpu.import(target.frame()).expect("a mapped frame");
    let mut gate = Fence::Signaled;
    let mut seen = Vec::new();
    // Twice: the second turn takes both frames from others.
    for _ in 0..2 {
        let done = redraw.draw(&source, acquire, target, &gate, TIMEOUT);
        let (mut planes, release) = read(&reader, &done.expect("drawn"));
        gate = release;
        let plane = planes.remove(0);
        assert!(
            seen.is_empty() || seen == plane,
            "both drawings are the same"
        );
        seen = plane;
    }
    seen
}

/// Bytes that all differ from their neighbours.
fn noise(count: usize) -> Vec<u8> {
    let bytes = (0..count).map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()[1]);
    bytes.collect()
}

/// A frame of one plane with these bytes.
fn frame_of(allocator: &Allocator, extent: Extent, format: Format, bytes: &[u8]) -> (Frame, Fence) {
    let frame = OURS.frame(allocator, extent, format);
    let image = open(&Allocator::HostMemory).import(&frame).expect("mapped");
    let acquire = write(&image, &Fence::Signaled, &[bytes.to_vec()]);
    (frame, acquire)
}

#[test]
fn the_same_size_and_format_is_the_same() {
    let pair = Pair::open();
    let redraw = pair.vk.redraw().expect("a pass");
    let extent = Extent::new(37, 21);
    for format in [
        Format::ABGR8888,
        Format::ARGB8888,
        Format::RGB565,
        Format::ABGR2101010,
    ] {
        let block = usize::from(format.info().expect("known").planes[0].block_bytes);
        let bytes = noise(37 * 21 * block);
        let (frame, acquire) = frame_of(&Allocator::HostMemory, extent, format, &bytes);
        let seen = drawn(&redraw, &frame, &acquire, &target(&pair, extent, format));
        assert_eq!(seen, bytes, "{format}");
    }
    pair.assert_valid();
}

#[test]
fn channels_find_their_places_and_padding_is_opaque() {
    let pair = Pair::open();
    let redraw = pair.vk.redraw().expect("a pass");
    let extent = Extent::new(5, 3);
    // Blue, green, red, and padding that is no alpha.
    let (frame, acquire) = frame_of(
        &Allocator::HostMemory,
        extent,
        Format::XRGB8888,
        &[1, 2, 3, 4].repeat(15),
    );
    let seen = drawn(
        &redraw,
        &frame,
        &acquire,
        &target(&pair, extent, Format::ABGR8888),
    );
    assert_eq!(seen, [3, 2, 1, 255].repeat(15));
    pair.assert_valid();
}

/// The mean of the pixels that one of the target's covers, per channel.
fn mean(bytes: &[u8], width: usize, at: (usize, usize), factor: usize) -> [f64; 4] {
    let mut sums = [0.0; 4];
    for (y, x) in (0..factor).flat_map(|y| (0..factor).map(move |x| (y, x))) {
        let pixel = ((at.1 * factor + y) * width + at.0 * factor + x) * 4;
        for (sum, byte) in sums.iter_mut().zip(&bytes[pixel..pixel + 4]) {
            *sum += f64::from(*byte);
        }
    }
    let count = u32::try_from(factor * factor).expect("small");
    sums.map(|sum| sum / f64::from(count))
}

#[test]
fn a_smaller_target_has_the_means() {
    let pair = Pair::open();
    let redraw = pair.vk.redraw().expect("a pass");
    let (width, height) = (32, 16);
    let bytes = noise(width * height * 4);
    let extent = Extent::new(32, 16);
    let (frame, acquire) = frame_of(&Allocator::HostMemory, extent, Format::ABGR8888, &bytes);
    for factor in [2, 4, 16] {
        let side = u32::try_from(factor).expect("small");
        let small = Extent::new(32 / side, 16 / side);
        let seen = drawn(
            &redraw,
            &frame,
            &acquire,
            &target(&pair, small, Format::ABGR8888),
        );
        for (index, pixel) in seen.chunks_exact(4).enumerate() {
            let at = (index % (width / factor), index / (width / factor));
            for (got, exact) in pixel.iter().zip(mean(&bytes, width, at, factor)) {
                let off = (f64::from(*got) - exact).abs();
                assert!(off <= 0.51, "1/{factor} at {at:?}: {got} for {exact}");
            }
        }
    }
    pair.assert_valid();
}

#[test]
fn a_larger_target_goes_from_pixel_to_pixel() {
    let pair = Pair::open();
    let redraw = pair.vk.redraw().expect("a pass");
    let extent = Extent::new(2, 1);
    let (frame, acquire) = frame_of(
        &Allocator::HostMemory,
        extent,
        Format::ABGR8888,
        &[0, 80, 200, 255, 240, 80, 0, 255],
    );
    let large = Extent::new(8, 3);
    let seen = drawn(
        &redraw,
        &frame,
        &acquire,
        &target(&pair, large, Format::ABGR8888),
    );
    // Between the two centres, at a quarter and at three quarters, red rises by 240 in four pixels.
    let exact = [0.0, 0.0, 30.0, 90.0, 150.0, 210.0, 240.0, 240.0];
    for row in seen.chunks_exact(8 * 4) {
        for (pixel, exact) in row.chunks_exact(4).zip(exact) {
            assert!((f64::from(pixel[0]) - exact).abs() <= 0.51, "{row:?}");
            assert_eq!((pixel[1], pixel[3]), (80, 255), "{row:?}");
        }
    }
    pair.assert_valid();
}

/// The most that a channel is off, in codes of 255.
fn off(seen: &[u8], exact: &[[f64; 3]]) -> f64 {
    let pixels = seen.chunks_exact(4).zip(exact);
    let offs = pixels.flat_map(|(pixel, exact)| {
        let channels = pixel.iter().zip(exact);
        channels.map(|(got, exact)| (f64::from(*got) - exact * 255.0).abs())
    });
    offs.fold(0.0, f64::max)
}

fn ycbcr(allocator: &Allocator) {
    let pair = Pair::open();
    let redraw = pair.vk.redraw().expect("a pass");
    let extent = Extent::new(22, 14);
    let target = target(&pair, extent, Format::ABGR8888);
    for format in [
        Format::NV12,
        Format::NV21,
        Format::P010,
        Format::YUV420,
        Format::YUYV,
        Format::YUV444,
    ] {
        let samples = Samples::new(format, extent, 3);
        let mut most = 0.0_f64;
        for (matrix, range) in MATRICES
            .into_iter()
            .flat_map(|matrix| RANGES.map(|range| (matrix, range)))
        {
            let color = ColorDescription {
                matrix,
                range,
                ..ColorDescription::VIDEO
            };
            for planes in [OURS, FOREIGN] {
                let frame = planes.frame(allocator, extent, format);
                let frame = frame.with_color(color).expect("colours that fit");
                let acquire = samples.write(&frame);
                let seen = drawn(&redraw, &frame, &acquire, &target);
                most = most.max(off(&seen, &samples.colors(&color)));
                assert!(seen.chunks_exact(4).all(|pixel| pixel[3] == 255), "opaque");
            }
        }
        eprintln!("{format}: off by {most:.2} of 255 at most");
        // Rounding, and single precision, which may turn a tie.
        assert!(most <= 0.51, "{format}: off by {most}");
    }
    pair.assert_valid();
}

#[test]
fn colours_of_ycbcr_in_host_memory() {
    ycbcr(&Allocator::HostMemory);
}

#[test]
fn colours_of_ycbcr_in_a_dma_buf() {
    let pair = Pair::open();
    if can(
        &Allocator::Udmabuf,
        &pair.vk.offer(Usage::SAMPLE).expect("an offer"),
    ) {
        ycbcr(&Allocator::Udmabuf);
    }
}

#[test]
fn what_can_be_drawn_is_offered() {
    let pair = Pair::open();
    let offer = pair.vk.redraw().expect("a pass").offer().expect("an offer");
    for format in [Format::XRGB8888, Format::NV12, Format::P010, Format::YUYV] {
        let on_host = offer.entries.iter().any(|entry| {
            entry.format == format && entry.path == MemoryPath::HostMemory && entry.importable
        });
        assert!(on_host, "{format}");
    }
}

#[test]
fn what_cannot_be_drawn_into_is_refused_by_name() {
    let pair = Pair::open();
    let redraw = pair.vk.redraw().expect("a pass");
    let extent = Extent::new(8, 8);
    let (frame, acquire) = frame_of(
        &Allocator::HostMemory,
        extent,
        Format::ABGR8888,
        &noise(256),
    );
    let source = redraw.import(&frame).expect("an import");
    let draw = |redraw: &Redraw, target: &Image| {
        let drawn = redraw.draw(&source, &acquire, target, &Fence::Signaled, TIMEOUT);
        drawn.expect_err("refused").to_string()
    };
    let copied = target_for(
        &pair.vk,
        extent,
        Format::ABGR8888,
        Usage::TRANSFER_DESTINATION,
    );
    assert!(
        draw(&redraw, &copied).contains("made for rendering"),
        "{}",
        draw(&redraw, &copied)
    );
    let other = Pair::open();
    let foreign = target(&other, extent, Format::ABGR8888);
    assert!(draw(&redraw, &foreign).contains("another device"));
    // Still of use after that.
    let own = target(&pair, extent, Format::ABGR8888);
    let done = redraw.draw(&source, &acquire, &own, &Fence::Signaled, TIMEOUT);
    assert!(done.expect("drawn").is_signaled().expect("a fence"));
    pair.assert_valid();
}

/// Passes of a device that copies host memory by the CPU, into buffers that it reads later.
struct Late<'a> {
    vk: &'a Device,
    passes: [Redraw; 3],
}

const FORMAT: Format = Format::ABGR8888;
const SMALL: Extent = Extent::new(8, 8);
/// Takes a device longer than the few calls that are made meanwhile.
const LARGE: Extent = Extent::new(1024, 1024);
/// A busy machine may take the processor away in between.
const ATTEMPTS: usize = 20;

impl Late<'_> {
    /// Whether it has not finished at once.
    fn begin(&self, pass: usize, source: &RedrawSource, to: &Image) -> bool {
        let acquire = Fence::Signaled;
        let drawn = self.passes[pass].draw(source, &acquire, to, &Fence::Signaled, Duration::ZERO);
        match drawn {
            Ok(_) => false,
            Err(Error::Timeout { .. }) => true,
            Err(error) => panic!("{error}"),
        }
    }

    /// What was drawn into an image, once it is.
    fn seen(&self, image: &Image) -> Vec<u8> {
        let access = Access::ColorAttachment;
        let done = self
            .vk
            .write(image, &Fence::Signaled, TIMEOUT, access, |_| {});
        let reader = open(&Allocator::HostMemory).import(image.frame());
        let (mut planes, _) = read(&reader.expect("a mapped frame"), &done.expect("a turn"));
        planes.remove(0)
    }

    /// What the first of two passes drew of one source, when the second one comes before the device has begun; `None` where it had.
    fn two_passes(&self) -> Option<[Vec<u8>; 2]> {
        let pixels = [[10_u8; 4], [200; 4]].map(|pixel| pixel.repeat(64));
        let (frame, _) = frame_of(&Allocator::HostMemory, SMALL, FORMAT, &pixels[0]);
        let source = self.passes[1].import(&frame).expect("an import");
        assert_eq!(source.copies_per_frame(), 2, "the CPU copies it");
        let (other, _) = frame_of(&Allocator::HostMemory, SMALL, FORMAT, &pixels[0]);
        let other = self.passes[0].import(&other).expect("an import");
        let image = |extent| target_for(self.vk, extent, FORMAT, Usage::RENDER);
        let (large, first, second) = (image(LARGE), image(SMALL), image(SMALL));
        let mapped = open(&Allocator::HostMemory).import(&frame).expect("mapped");

        let is_late = self.begin(0, &other, &large) && self.begin(1, &source, &first);
        // Nobody may write it yet. It shows who reads it.
        let _ = write(&mapped, &Fence::Signaled, &[pixels[1].clone()]);
        let is_late = is_late && self.begin(2, &source, &second);
        let acquire = Fence::Signaled;
        let drawn = self.passes[2].draw(&source, &acquire, &second, &Fence::Signaled, TIMEOUT);
        let _ = drawn.expect("a drawing after the one before");
        let seen = [&first, &second].map(|image| self.seen(image));
        is_late.then_some(seen)
    }
}

/// The device reads what the CPU has copied for it, some time after a drawing was given up on.
#[test]
#[expect(unsafe_code, reason = "wraps a device that lacks extensions")]
fn a_source_is_left_alone_until_every_pass_has_drawn_it() {
    let pair = Pair::open();
    let adapter = pair.vk.adapter();
    let (queue, family) = (pair.vk.queue(), pair.vk.queue_family());
    // SAFETY: Device::from_raw: the pair's device lives on. Fewer extensions than it has make it do less.
    let vk = unsafe { Device::from_raw(adapter, pair.vk.raw().clone(), queue, family, &[]) };
    let vk = vk.expect("a device");
    let passes = [(); 3].map(|()| vk.redraw().expect("a pass"));
    let late = Late { vk: &vk, passes };
    let seen = (0..ATTEMPTS).find_map(|_| late.two_passes());
    let [first, second] = seen.expect("the device is never late");
    assert_eq!(first, [10].repeat(256), "as it was when it was drawn");
    assert_eq!(second, [200].repeat(256), "as it is now");
    drop(late);
    drop(vk);
    pair.assert_valid();
}
