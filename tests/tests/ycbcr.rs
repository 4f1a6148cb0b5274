//! `Y'CbCr` frames in Vulkan, plane by plane, and what sampler conversions are told.

use ash::vk;
use lucarne::color::{ChromaLocation, ChromaSiting, ColorDescription, Matrix};
use lucarne::cpu::Allocator;
use lucarne::{Extent, Fence, Format, Usage};
use lucarne_tests::cpu::can;
use lucarne_tests::pair::Pair;
use lucarne_tests::yuv::{FOREIGN, OURS, Samples};
use lucarne_tests::{TIMEOUT, canary};

/// What the views of a frame hold: planes as they are; of packed frames luma's rows without half a block, and all.
fn view_bytes(samples: &Samples, format: Format, extent: Extent) -> Vec<Vec<u8>> {
    let planes = samples.bytes();
    let info = format.info().expect("known");
    if info.planes.len() > 1 {
        return planes;
    }
    let row = usize::try_from(info.row_bytes(0, extent.width).expect("a row")).expect("small");
    let width = usize::try_from(extent.width * 2).expect("small");
    let rows = planes[0].chunks_exact(row);
    let luma = rows.flat_map(|row| row[..width].to_vec()).collect();
    vec![luma, planes[0].clone()]
}

fn planes(allocator: &Allocator) {
    let pair = Pair::open();
    let usage = Usage::TRANSFER_SOURCE;
    if !can(allocator, &pair.vk.offer(usage).expect("an offer")) {
        return;
    }
    for format in [
        Format::NV12,
        Format::NV21,
        Format::P010,
        Format::YUV420,
        Format::YVU420,
        Format::YUYV,
        Format::UYVY,
    ] {
        for extent in [Extent::new(37, 21), Extent::new(6, 4), Extent::new(1, 1)] {
            for placement in [OURS, FOREIGN] {
                let frame = placement.frame(allocator, extent, format);
                canary::fill(&frame);
                let samples = Samples::new(format, extent, 5);
                let acquire = samples.write(&frame);
                let images = pair.vk.import_ycbcr(&frame, usage).expect("planes");
                let expected = view_bytes(&samples, format, extent);
                assert_eq!(images.len(), expected.len(), "{format}");
                for (image, expected) in images.iter().zip(&expected) {
                    let read = pair.vk.download(image, &acquire, TIMEOUT).expect("pixels");
                    assert!(&read == expected, "{format} {extent} {placement:?}");
                }
                canary::assert_untouched(&frame, "reading planes");
            }
        }
    }
    pair.assert_valid();
}

#[test]
fn planes_in_udmabuf() {
    planes(&Allocator::Udmabuf);
}

#[test]
fn planes_in_host_memory() {
    planes(&Allocator::HostMemory);
}

/// A GPU's program writes the planes, the CPU reads the frame.
#[test]
fn planes_are_written() {
    let pair = Pair::open();
    let usage = Usage::TRANSFER_DESTINATION;
    if !can(
        &Allocator::Udmabuf,
        &pair.vk.offer(usage).expect("an offer"),
    ) {
        return;
    }
    let extent = Extent::new(37, 21);
    let frame = FOREIGN.frame(&Allocator::Udmabuf, extent, Format::NV12);
    canary::fill(&frame);
    let samples = Samples::new(Format::NV12, extent, 6);
    let images = pair.vk.import_ycbcr(&frame, usage).expect("planes");
    let mut fences = Vec::new();
    for (image, bytes) in images.iter().zip(samples.bytes()) {
        let fence = pair.vk.upload(image, &Fence::Signaled, TIMEOUT, &bytes);
        fences.push(fence.expect("a written plane"));
    }
    let acquire = Fence::merge(&fences).expect("one fence");
    let cpu = lucarne_tests::cpu::open(&Allocator::HostMemory);
    let image = cpu.import(&frame).expect("a mapped frame");
    let (read, _) = lucarne_tests::cpu::read(&image, &acquire);
    assert!(read == samples.bytes());
    canary::assert_untouched(&frame, "writing planes");
    pair.assert_valid();
}

#[test]
fn conversions_are_described_in_vulkans_terms() {
    let pair = Pair::open();
    let adapter = pair.vk.adapter();
    let support = adapter.ycbcr_conversion();
    if !support.is_yes() {
        return lucarne_tests::skip::skip("ycbcr", &support.reason());
    }
    // Drivers have one siting or the other, or both.
    let with = |siting: &ChromaSiting| {
        let color = ColorDescription {
            siting: *siting,
            ..ColorDescription::VIDEO
        };
        let info = adapter.ycbcr_conversion_info(Format::NV21, &color, vk::Filter::NEAREST);
        if let Err(error) = &info {
            assert!(error.to_string().contains("CHROMA_SAMPLES"), "{error}");
        }
        info.ok().map(|info| (color, info))
    };
    let (color, info) = ChromaSiting::ALL.iter().find_map(with).expect("one siting");
    assert_eq!(info.format, vk::Format::G8_B8R8_2PLANE_420_UNORM);
    assert_eq!(info.ycbcr_model, vk::SamplerYcbcrModelConversion::YCBCR_709);
    assert_eq!(info.ycbcr_range, vk::SamplerYcbcrRange::ITU_NARROW);
    assert_eq!(info.components.r, vk::ComponentSwizzle::B);
    assert_eq!(info.components.b, vk::ComponentSwizzle::R);
    let midpoint = color.siting.horizontal == ChromaLocation::Midpoint;
    assert_eq!(
        info.x_chroma_offset == vk::ChromaLocation::MIDPOINT,
        midpoint
    );
    // The driver takes it, and the validation layer has nothing to say.
    // SAFETY: vkCreateSamplerYcbcrConversion: the device has the feature enabled, and `info` is what Lucarne says of it.
    let made = unsafe { pair.vk.raw().create_sampler_ycbcr_conversion(&info, None) };
    let made = made.expect("a conversion");
    // SAFETY: destroying what was made just now, and is in no use.
    unsafe { pair.vk.raw().destroy_sampler_ycbcr_conversion(made, None) };
    let fcc = ColorDescription {
        matrix: Matrix::Fcc,
        ..color
    };
    for (format, color, part) in [
        (Format::NV12, fcc, "color.matrix"),
        (Format::XRGB8888, ColorDescription::SRGB, "no format"),
        (Format::NV12, ColorDescription::SRGB, "color.matrix"),
        (Format::NV42, color, "NV42"),
    ] {
        let error = adapter.ycbcr_conversion_info(format, &color, vk::Filter::NEAREST);
        let error = error.expect_err("no conversion").to_string();
        assert!(error.contains(part), "{error}");
    }
    pair.assert_valid();
}
