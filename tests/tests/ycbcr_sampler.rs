//! Sampler conversions as Lucarne describes them, on images of the test's own: what a sampler reads is what exact arithmetic
//! makes of the samples.

use ash::vk;
use lucarne::color::{ChromaSiting, ColorDescription, Matrix, Subsampling};
use lucarne::{Extent, Format};
use lucarne_tests::pair::Pair;
use lucarne_tests::sampling::{Buffer, Sampling, memory};
use lucarne_tests::skip::{skip, skip_case};
use lucarne_tests::vk;
use lucarne_tests::yuv::{RANGES, Samples, difference};

/// Mesa reads ten bits as the upper ones of sixteen, so that 1023 is 0.999 and not 1; eight bits are exact but for single
/// precision.
const TOLERANCE: f64 = 1.0 / 255.0;
/// A filter of eight bits, times the largest coefficient of any matrix, about 2.2.
const FILTERED: f64 = 3.0 / 255.0;
const EXTENT: Extent = Extent::new(16, 8);

/// Copies the planes into an image, samples each pixel, and returns what was read.
fn sample(
    pair: &Pair,
    info: &vk::SamplerYcbcrConversionCreateInfo<'_>,
    format: Format,
    planes: &[Vec<u8>],
) -> Vec<[f32; 4]> {
    let device = pair.vk.raw();
    let conversion =
        vk!(device => create_sampler_ycbcr_conversion(info, None)).expect("a conversion");
    let mut chained = vk::SamplerYcbcrConversionInfo::default().conversion(conversion);
    // Without VK_FORMAT_FEATURE_SAMPLED_IMAGE_YCBCR_CONVERSION_SEPARATE_RECONSTRUCTION_FILTER_BIT all are the same.
    let create = vk::SamplerCreateInfo::default()
        .mag_filter(info.chroma_filter)
        .min_filter(info.chroma_filter)
        .address_mode_u(vk::SamplerAddressMode::CLAMP_TO_EDGE)
        .address_mode_v(vk::SamplerAddressMode::CLAMP_TO_EDGE)
        .address_mode_w(vk::SamplerAddressMode::CLAMP_TO_EDGE)
        .push_next(&mut chained);
    let sampler = vk!(device => create_sampler(&create, None)).expect("a sampler");
    let extent = vk::Extent3D {
        width: EXTENT.width,
        height: EXTENT.height,
        depth: 1,
    };
    let create = vk::ImageCreateInfo::default()
        .image_type(vk::ImageType::TYPE_2D)
        .format(info.format)
        .extent(extent)
        .mip_levels(1)
        .array_layers(1)
        .samples(vk::SampleCountFlags::TYPE_1)
        .usage(vk::ImageUsageFlags::SAMPLED | vk::ImageUsageFlags::TRANSFER_DST);
    let image = vk!(device => create_image(&create, None)).expect("an image");
    let image_memory = memory(pair, vk!(device => get_image_memory_requirements(image)));
    vk!(device => bind_image_memory(image, image_memory, 0)).expect("bound");
    let range = vk::ImageSubresourceRange::default()
        .aspect_mask(vk::ImageAspectFlags::COLOR)
        .level_count(1)
        .layer_count(1);
    let mut chained = vk::SamplerYcbcrConversionInfo::default().conversion(conversion);
    let create = vk::ImageViewCreateInfo::default()
        .image(image)
        .view_type(vk::ImageViewType::TYPE_2D)
        .format(info.format)
        .subresource_range(range)
        .push_next(&mut chained);
    let view = vk!(device => create_image_view(&create, None)).expect("a view");
    let source = Buffer::new(
        pair,
        planes
            .iter()
            .map(|plane| plane.len().next_multiple_of(16))
            .sum(),
        vk::BufferUsageFlags::TRANSFER_SRC,
    );
    source.access(device, |bytes| {
        let mut at = 0;
        for plane in planes {
            bytes[at..at + plane.len()].copy_from_slice(plane);
            at += plane.len().next_multiple_of(16);
        }
    });
    let copies = regions(format, planes);
    let sampling = Sampling::new(pair, sampler, view, EXTENT);
    let record = |commands| {
        let (undefined, written, read) = (
            vk::ImageLayout::UNDEFINED,
            vk::ImageLayout::TRANSFER_DST_OPTIMAL,
            vk::ImageLayout::SHADER_READ_ONLY_OPTIMAL,
        );
        barrier(device, commands, image, undefined, written);
        vk!(device => cmd_copy_buffer_to_image(commands, source.buffer, image, written, &copies));
        barrier(device, commands, image, written, read);
        sampling.record(device, commands);
    };
    submit(pair, record);
    let pixels = sampling.pixels(device);
    vk!(device => destroy_image_view(view, None));
    vk!(device => destroy_image(image, None));
    vk!(device => free_memory(image_memory, None));
    vk!(device => destroy_sampler(sampler, None));
    vk!(device => destroy_sampler_ycbcr_conversion(conversion, None));
    source.destroy(device);
    pixels
}

fn regions(format: Format, planes: &[Vec<u8>]) -> Vec<vk::BufferImageCopy> {
    let info = format.info().expect("known");
    let aspects = [
        vk::ImageAspectFlags::PLANE_0,
        vk::ImageAspectFlags::PLANE_1,
        vk::ImageAspectFlags::PLANE_2,
    ];
    let mut offset = 0_u64;
    let mut regions = Vec::new();
    for (index, plane) in planes.iter().enumerate() {
        let packed = planes.len() == 1;
        let aspect = if packed {
            vk::ImageAspectFlags::COLOR
        } else {
            aspects[index]
        };
        let subsampled = Extent::new(
            EXTENT.width / u32::from(info.planes[index].horizontal_subsampling),
            EXTENT.height / u32::from(info.planes[index].vertical_subsampling),
        );
        let region = vk::BufferImageCopy::default()
            .buffer_offset(offset)
            .image_subresource(
                vk::ImageSubresourceLayers::default()
                    .aspect_mask(aspect)
                    .layer_count(1),
            )
            .image_extent(vk::Extent3D {
                width: subsampled.width,
                height: subsampled.height,
                depth: 1,
            });
        regions.push(region);
        offset += plane.len().next_multiple_of(16) as u64;
    }
    regions
}

fn submit(pair: &Pair, record: impl FnOnce(vk::CommandBuffer)) {
    let device = pair.vk.raw();
    let create = vk::CommandPoolCreateInfo::default().queue_family_index(pair.vk.queue_family());
    let pool = vk!(device => create_command_pool(&create, None)).expect("a pool");
    let allocate = vk::CommandBufferAllocateInfo::default()
        .command_pool(pool)
        .command_buffer_count(1);
    let commands = vk!(device => allocate_command_buffers(&allocate)).expect("commands");
    let begin = vk::CommandBufferBeginInfo::default();
    vk!(device => begin_command_buffer(commands[0], &begin)).expect("begun");
    record(commands[0]);
    vk!(device => end_command_buffer(commands[0])).expect("ended");
    let submit = [vk::SubmitInfo::default().command_buffers(&commands)];
    let fence = vk::Fence::null();
    vk!(device => queue_submit(pair.vk.queue(), &submit, fence)).expect("submitted");
    vk!(device => queue_wait_idle(pair.vk.queue())).expect("finished");
    vk!(device => destroy_command_pool(pool, None));
}

fn barrier(
    device: &ash::Device,
    commands: vk::CommandBuffer,
    image: vk::Image,
    from: vk::ImageLayout,
    to: vk::ImageLayout,
) {
    let all = vk::PipelineStageFlags::ALL_COMMANDS;
    let range = vk::ImageSubresourceRange::default()
        .aspect_mask(vk::ImageAspectFlags::COLOR)
        .level_count(1)
        .layer_count(1);
    let barrier = vk::ImageMemoryBarrier::default()
        .old_layout(from)
        .new_layout(to)
        .src_access_mask(vk::AccessFlags::MEMORY_WRITE)
        .dst_access_mask(vk::AccessFlags::MEMORY_READ | vk::AccessFlags::MEMORY_WRITE)
        .src_queue_family_index(vk::QUEUE_FAMILY_IGNORED)
        .dst_queue_family_index(vk::QUEUE_FAMILY_IGNORED)
        .image(image)
        .subresource_range(range);
    let flags = vk::DependencyFlags::empty();
    vk!(device => cmd_pipeline_barrier(commands, all, all, flags, &[], &[], &[barrier]));
}

#[test]
fn samplers_read_what_the_description_says() {
    let pair = Pair::open();
    let support = pair.vk.adapter().ycbcr_conversion();
    if !support.is_yes() {
        return skip("ycbcr", &support.reason());
    }
    for format in [
        Format::NV12,
        Format::NV21,
        Format::YUV420,
        Format::YVU420,
        Format::P010,
    ] {
        let samples = Samples::new(format, EXTENT, 9);
        let info = format.info().expect("known");
        assert_eq!(Subsampling::of(info).samples(EXTENT), Extent::new(8, 4));
        let mut most = 0.0_f64;
        let mut compared = 0;
        for matrix in [Matrix::Bt601, Matrix::Bt709, Matrix::Bt2020] {
            for range in RANGES {
                for (siting, filter) in ChromaSiting::ALL.iter().flat_map(|siting| {
                    [vk::Filter::NEAREST, vk::Filter::LINEAR].map(|filter| (*siting, filter))
                }) {
                    let color = ColorDescription {
                        matrix,
                        range,
                        siting,
                        ..ColorDescription::VIDEO
                    };
                    let adapter = pair.vk.adapter();
                    let Ok(info) = adapter.ycbcr_conversion_info(format, &color, filter) else {
                        continue;
                    };
                    let mut read = sample(&pair, &info, format, &samples.bytes());
                    for value in read.as_flattened_mut() {
                        *value = value.clamp(0.0, 1.0);
                    }
                    // Which of two samples is the nearest to a pixel between them depends on how drivers
                    // reconstruct (Vulkan, "Chroma Reconstruction").
                    let expected = if filter == vk::Filter::LINEAR {
                        vec![samples.colors(&color)]
                    } else {
                        [true, false]
                            .map(|blocks| samples.unfiltered_colors(&color, blocks))
                            .to_vec()
                    };
                    let off = expected
                        .iter()
                        .map(|expected| difference(&read, expected))
                        .fold(f64::INFINITY, f64::min);
                    let linear = filter == vk::Filter::LINEAR;
                    assert!(
                        off <= if linear { FILTERED } else { TOLERANCE },
                        "{format} {filter:?} {color}: off by {off}"
                    );
                    most = most.max(off);
                    compared += 1;
                }
            }
        }
        if compared == 0 {
            skip_case(
                "ycbcr",
                &format!("the driver has no conversion of {format}"),
            );
        }
        eprintln!(
            "{format}: {compared} conversions, off by {:.4} of 255",
            most * 255.0
        );
    }
    pair.assert_valid();
}
