//! What a format means is the same on both sides: a frame that is sampled in Vulkan reads as it does in OpenGL, channel by
//! channel.

use ash::vk;
use lucarne::vulkan::{Access, Image};
use lucarne::{
    ColorKind, Extent, Fence, Format, FormatInfo, MemoryPath, Request, Usage, negotiate,
};
use lucarne_tests::pair::{PRODUCER, Pair};
use lucarne_tests::reader::Reader;
use lucarne_tests::sampling::Sampling;
use lucarne_tests::skip::{skip, skip_case};
use lucarne_tests::{TIMEOUT, pattern, vk};

const EXTENT: Extent = Extent::new(16, 8);
/// Mesa's software driver samples channels of five bits as if they had eight.
const STEP: f32 = 1.0 / 255.0;

fn nearest(device: &ash::Device) -> vk::Sampler {
    let edge = vk::SamplerAddressMode::CLAMP_TO_EDGE;
    let create = vk::SamplerCreateInfo::default()
        .address_mode_u(edge)
        .address_mode_v(edge)
        .address_mode_w(edge);
    vk!(device => create_sampler(&create, None)).expect("a sampler")
}

/// What a shader reads of each pixel, through the view that the image asks for.
fn sample(pair: &Pair, image: &Image, acquire: &Fence) -> Vec<[f32; 4]> {
    let device = pair.vk.raw();
    let sampler = nearest(device);
    let view = vk!(device => create_image_view(&image.view_info(Access::Sampled), None));
    let view = view.expect("a view");
    let sampling = Sampling::new(pair, sampler, view, EXTENT);
    let record = |commands| sampling.record(device, commands);
    let read = pair
        .vk
        .read(image, acquire, TIMEOUT, Access::Sampled, record);
    read.expect("a turn").wait(TIMEOUT).expect("an end");
    vk!(device => queue_wait_idle(pair.vk.queue())).expect("finished");
    let pixels = sampling.pixels(device);
    vk!(device => destroy_image_view(view, None));
    vk!(device => destroy_sampler(sampler, None));
    pixels
}

/// Writes a pattern in which padding is never 1 throughout, and reads it on both sides; whether there was anything to read.
fn compare(pair: &Pair, path: MemoryPath, info: &FormatInfo) -> bool {
    let uses = PRODUCER | Usage::SAMPLE;
    let request = Request::new(EXTENT)
        .formats(&[info.format])
        .paths(&[path])
        .usage(uses, Usage::SAMPLE);
    let offer = pair.vk.offer(uses).expect("an offer");
    let Ok(agreement) = negotiate(&offer, &pair.consumer(), &request) else {
        return false;
    };
    let image = pair.vk.export(&agreement).expect("an image");
    let bytes = pattern::bytes(info, EXTENT, 0);
    let written = pair.vk.upload(&image, &Fence::Signaled, TIMEOUT, &bytes);
    let written = written.expect("a turn");
    let texture = pair.gl.import(image.frame()).expect("a texture");
    pair.gl.read(&texture, &written, TIMEOUT).expect("a turn");
    let opengl = Reader::new(&pair.gl).read(&texture);
    pattern::assert_equal(info.format, EXTENT, 0, &opengl);
    let vulkan = if image.copies_per_frame() == 0 {
        sample(pair, &image, &written)
    } else {
        let other = pair.vk.import(image.frame(), Usage::SAMPLE);
        sample(pair, &other.expect("an image"), &written)
    };
    for (index, (left, right)) in vulkan.iter().zip(&opengl).enumerate() {
        let same = left.iter().zip(right).all(|(a, b)| (a - b).abs() <= STEP);
        let name = info.name;
        assert!(
            same,
            "{path}, {name}, pixel {index}: Vulkan {left:?}, OpenGL {right:?}"
        );
    }
    assert_eq!(vulkan.len(), opengl.len());
    true
}

#[test]
fn both_sides_sample_the_same() {
    let pair = Pair::open();
    for path in MemoryPath::ALL {
        let formats = Format::ALL
            .iter()
            .filter(|info| info.color == ColorKind::Rgb && info.vk.is_some());
        let mut compared = Vec::new();
        for info in formats {
            if compare(&pair, path, info) {
                compared.push(info.name);
            }
        }
        if compared.is_empty() {
            let support = pair.vk.offer(Usage::SAMPLE).expect("an offer").path(path);
            skip_case(path.name(), &support.reason());
            continue;
        }
        let padded = ["XRGB8888", "XBGR8888"].map(|name| compared.contains(&name));
        assert_eq!(padded, [true; 2], "{path}: only {compared:?}");
        eprintln!("{path}: {}", compared.join(" "));
    }
    pair.assert_valid();
}

/// A texture of the same driver's own, whose storage has alpha where the format has padding.
#[test]
fn an_exported_texture_reads_padding_as_one() {
    let pair = Pair::open();
    let request = Request::new(EXTENT)
        .paths(&[MemoryPath::DmaBuf])
        .formats(&[Format::XBGR8888, Format::XRGB8888])
        .usage(Usage::RENDER, Usage::SAMPLE);
    let offer = pair.gl.offer(Usage::RENDER).expect("an offer");
    let agreement = match negotiate(&offer, &pair.consumer(), &request) {
        Ok(agreement) => agreement,
        Err(refusal) => return skip("dma-buf", &refusal.to_string()),
    };
    let texture = pair.gl.export(&agreement).expect("a texture");
    let info = agreement.format.info().expect("known");
    let bytes = pattern::bytes(info, EXTENT, 0);
    pair.gl.upload(&texture, &bytes).expect("pixels");
    let read = Reader::new(&pair.gl).read(&texture);
    pattern::assert_equal(agreement.format, EXTENT, 0, &read);
}

/// Vulkan demands it: VUID-VkRenderPassAttachmentBeginInfo, VUID-VkFramebufferCreateInfo-pAttachments-00884 and
/// VUID-VkWriteDescriptorSet-descriptorType-00336.
#[test]
fn only_sampled_views_map_anything() {
    let pair = Pair::open();
    let agreement = pair.agree(MemoryPath::HostMemory, Format::XRGB8888, EXTENT);
    let image = pair.vk.export(&agreement.expect("always there"));
    let image = image.expect("an image");
    let alpha = |access| image.view_info(access).components.a;
    assert_eq!(alpha(Access::Sampled), vk::ComponentSwizzle::ONE);
    for access in [
        Access::ColorAttachment,
        Access::Storage,
        Access::TransferSource,
        Access::TransferDestination,
    ] {
        let mapped = image.view_info(access).components;
        let all = [mapped.r, mapped.g, mapped.b, mapped.a];
        assert_eq!(all, [vk::ComponentSwizzle::IDENTITY; 4], "{access:?}");
    }
}
