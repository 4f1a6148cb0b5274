//! Sampler conversions as Lucarne describes them, on images of the test's own: what a sampler reads is what exact arithmetic
//! makes of the samples.

use ash::vk;
use lucarne::color::{ChromaSiting, ColorDescription, Matrix, Subsampling};
use lucarne::{Extent, Format};
use lucarne_tests::pair::Pair;
use lucarne_tests::skip::{skip, skip_case};
use lucarne_tests::yuv::{RANGES, Samples, difference};

/// A Vulkan call.
macro_rules! vk {
    ($device:expr => $call:ident($($argument:expr),* $(,)?)) => {
        // SAFETY: the objects are this test's, of this device and alive; create infos are of locals; nothing is used by
        // two submissions at once, as each is waited for. The validation layer watches.
        unsafe { $device.$call($($argument),*) }
    };
}

/// Mesa reads ten bits as the upper ones of sixteen, so that 1023 is 0.999 and not 1; eight bits are exact but for single
/// precision.
const TOLERANCE: f64 = 1.0 / 255.0;
/// A filter of eight bits, times the largest coefficient of any matrix, about 2.2.
const FILTERED: f64 = 3.0 / 255.0;
const EXTENT: Extent = Extent::new(16, 8);

struct Buffer {
    buffer: vk::Buffer,
    memory: vk::DeviceMemory,
    bytes: usize,
}

fn memory(pair: &Pair, needs: vk::MemoryRequirements) -> vk::DeviceMemory {
    let physical = pair.vk.adapter().raw();
    let types = vk!(pair.instance() => get_physical_device_memory_properties(physical));
    let coherent = vk::MemoryPropertyFlags::HOST_VISIBLE | vk::MemoryPropertyFlags::HOST_COHERENT;
    let usable = |flags| {
        (0_u32..)
            .zip(types.memory_types_as_slice())
            .find(|(index, kind)| {
                needs.memory_type_bits & (1 << index) != 0 && kind.property_flags.contains(flags)
            })
    };
    let found = usable(coherent).or_else(|| usable(vk::MemoryPropertyFlags::empty()));
    let allocate = vk::MemoryAllocateInfo::default()
        .allocation_size(needs.size)
        .memory_type_index(found.expect("a memory type").0);
    vk!(pair.vk.raw() => allocate_memory(&allocate, None)).expect("memory")
}

impl Buffer {
    fn new(pair: &Pair, bytes: usize, usage: vk::BufferUsageFlags) -> Self {
        let device = pair.vk.raw();
        let create = vk::BufferCreateInfo::default()
            .size(bytes as u64)
            .usage(usage);
        let buffer = vk!(device => create_buffer(&create, None)).expect("a buffer");
        let needs = vk!(device => get_buffer_memory_requirements(buffer));
        let memory = memory(pair, needs);
        vk!(device => bind_buffer_memory(buffer, memory, 0)).expect("bound");
        Self {
            buffer,
            memory,
            bytes,
        }
    }

    /// Copies in or out, while it is mapped.
    fn access(&self, device: &ash::Device, copy: impl FnOnce(&mut [u8])) {
        let flags = vk::MemoryMapFlags::empty();
        let address = vk!(device => map_memory(self.memory, 0, vk::WHOLE_SIZE, flags));
        let address = address.expect("mapped").cast::<u8>();
        // SAFETY: slice::from_raw_parts_mut: the driver mapped as many bytes, nothing else uses them meanwhile.
        copy(unsafe { std::slice::from_raw_parts_mut(address, self.bytes) });
        vk!(device => unmap_memory(self.memory));
    }

    fn destroy(self, device: &ash::Device) {
        vk!(device => destroy_buffer(self.buffer, None));
        vk!(device => free_memory(self.memory, None));
    }
}

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
    let count = usize::try_from(EXTENT.width * EXTENT.height).expect("small");
    let target = Buffer::new(pair, count * 16, vk::BufferUsageFlags::STORAGE_BUFFER);
    let copies = regions(format, planes);
    let planar = Planar { image, view };
    run(pair, sampler, planar, &source, &target, &copies);
    let mut pixels = Vec::new();
    target.access(device, |bytes| {
        let floats: Vec<f32> = bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|float| f32::from_ne_bytes(*float))
            .collect();
        pixels = floats.as_chunks::<4>().0.to_vec();
    });
    vk!(device => destroy_image_view(view, None));
    vk!(device => destroy_image(image, None));
    vk!(device => free_memory(image_memory, None));
    vk!(device => destroy_sampler(sampler, None));
    vk!(device => destroy_sampler_ycbcr_conversion(conversion, None));
    source.destroy(device);
    target.destroy(device);
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

/// An image with planes, and how a sampler sees it.
#[derive(Clone, Copy)]
struct Planar {
    image: vk::Image,
    view: vk::ImageView,
}

/// The pipeline for one sampler, which conversions make part of the layout; one submission, waited for.
fn run(
    pair: &Pair,
    sampler: vk::Sampler,
    planar: Planar,
    source: &Buffer,
    target: &Buffer,
    copies: &[vk::BufferImageCopy],
) {
    let Planar { image, view } = planar;
    let device = pair.vk.raw();
    let stage = vk::ShaderStageFlags::COMPUTE;
    let samplers = [sampler];
    let bindings = [
        vk::DescriptorSetLayoutBinding::default()
            .binding(0)
            .descriptor_type(vk::DescriptorType::COMBINED_IMAGE_SAMPLER)
            .descriptor_count(1)
            .stage_flags(stage)
            .immutable_samplers(&samplers),
        vk::DescriptorSetLayoutBinding::default()
            .binding(1)
            .descriptor_type(vk::DescriptorType::STORAGE_BUFFER)
            .descriptor_count(1)
            .stage_flags(stage),
    ];
    let create = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
    let set_layouts =
        [vk!(device => create_descriptor_set_layout(&create, None)).expect("a layout")];
    let ranges = [vk::PushConstantRange::default().stage_flags(stage).size(8)];
    let create = vk::PipelineLayoutCreateInfo::default()
        .set_layouts(&set_layouts)
        .push_constant_ranges(&ranges);
    let layout = vk!(device => create_pipeline_layout(&create, None)).expect("a layout");
    let code = include_bytes!("ycbcr_sampler/sample.spv");
    let words = ash::util::read_spv(&mut std::io::Cursor::new(&code[..])).expect("SPIR-V");
    let create = vk::ShaderModuleCreateInfo::default().code(&words);
    let module = vk!(device => create_shader_module(&create, None)).expect("a module");
    let shader = vk::PipelineShaderStageCreateInfo::default()
        .stage(stage)
        .module(module)
        .name(c"main");
    let create = [vk::ComputePipelineCreateInfo::default()
        .stage(shader)
        .layout(layout)];
    let cache = vk::PipelineCache::null();
    let pipelines = vk!(device => create_compute_pipelines(cache, &create, None));
    let pipeline = pipelines.expect("a pipeline")[0];
    let (sets_pool, sets) = descriptors(device, &set_layouts, view, target);
    let record = |commands| {
        let (undefined, written, read) = (
            vk::ImageLayout::UNDEFINED,
            vk::ImageLayout::TRANSFER_DST_OPTIMAL,
            vk::ImageLayout::SHADER_READ_ONLY_OPTIMAL,
        );
        barrier(device, commands, image, undefined, written);
        vk!(device => cmd_copy_buffer_to_image(commands, source.buffer, image, written, copies));
        barrier(device, commands, image, written, read);
        let point = vk::PipelineBindPoint::COMPUTE;
        vk!(device => cmd_bind_pipeline(commands, point, pipeline));
        vk!(device => cmd_bind_descriptor_sets(commands, point, layout, 0, &sets, &[]));
        let size = [EXTENT.width, EXTENT.height].map(u32::to_ne_bytes);
        vk!(device => cmd_push_constants(commands, layout, stage, 0, size.as_flattened()));
        vk!(device => cmd_dispatch(commands, EXTENT.width, EXTENT.height, 1));
    };
    submit(pair, record);
    vk!(device => destroy_descriptor_pool(sets_pool, None));
    vk!(device => destroy_pipeline(pipeline, None));
    vk!(device => destroy_shader_module(module, None));
    vk!(device => destroy_pipeline_layout(layout, None));
    vk!(device => destroy_descriptor_set_layout(set_layouts[0], None));
}

/// The set that the pipeline reads, and the pool that it lives in.
fn descriptors(
    device: &ash::Device,
    set_layouts: &[vk::DescriptorSetLayout],
    view: vk::ImageView,
    target: &Buffer,
) -> (vk::DescriptorPool, Vec<vk::DescriptorSet>) {
    // Drivers may count several descriptors for one combined image sampler of planes.
    let sizes = [
        vk::DescriptorPoolSize::default()
            .ty(vk::DescriptorType::COMBINED_IMAGE_SAMPLER)
            .descriptor_count(3),
        vk::DescriptorPoolSize::default()
            .ty(vk::DescriptorType::STORAGE_BUFFER)
            .descriptor_count(1),
    ];
    let create = vk::DescriptorPoolCreateInfo::default()
        .max_sets(1)
        .pool_sizes(&sizes);
    let sets_pool = vk!(device => create_descriptor_pool(&create, None)).expect("a pool");
    let allocate = vk::DescriptorSetAllocateInfo::default()
        .descriptor_pool(sets_pool)
        .set_layouts(set_layouts);
    let sets = vk!(device => allocate_descriptor_sets(&allocate)).expect("a set");
    let images = [vk::DescriptorImageInfo::default()
        .image_view(view)
        .image_layout(vk::ImageLayout::SHADER_READ_ONLY_OPTIMAL)];
    let buffers = [vk::DescriptorBufferInfo::default()
        .buffer(target.buffer)
        .range(vk::WHOLE_SIZE)];
    let write = |binding, kind| {
        vk::WriteDescriptorSet::default()
            .dst_set(sets[0])
            .dst_binding(binding)
            .descriptor_type(kind)
    };
    let writes = [
        write(0, vk::DescriptorType::COMBINED_IMAGE_SAMPLER).image_info(&images),
        write(1, vk::DescriptorType::STORAGE_BUFFER).buffer_info(&buffers),
    ];
    vk!(device => update_descriptor_sets(&writes, &[]));
    (sets_pool, sets)
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
