//! Samples every pixel of a view in Vulkan, by a compute shader.

use ash::vk;
use lucarne::Extent;

use crate::pair::Pair;

/// A Vulkan call.
#[macro_export]
macro_rules! vk {
    ($device:expr => $call:ident($($argument:expr),* $(,)?)) => {
        // SAFETY: the objects are the test's, of this device and alive; create infos are of locals; nothing is used by
        // two submissions at once, as each is waited for. The validation layer watches.
        unsafe { $device.$call($($argument),*) }
    };
}

/// A buffer with memory that the CPU can map.
#[derive(Debug)]
pub struct Buffer {
    /// The buffer.
    pub buffer: vk::Buffer,
    memory: vk::DeviceMemory,
    bytes: usize,
}

/// Memory for these needs, which the CPU can map where the driver has such.
///
/// # Panics
///
/// When there is none.
pub fn memory(pair: &Pair, needs: vk::MemoryRequirements) -> vk::DeviceMemory {
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
    /// A buffer of this size.
    ///
    /// # Panics
    ///
    /// When the driver refuses.
    pub fn new(pair: &Pair, bytes: usize, usage: vk::BufferUsageFlags) -> Self {
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
    ///
    /// # Panics
    ///
    /// When it cannot be mapped.
    pub fn access(&self, device: &ash::Device, copy: impl FnOnce(&mut [u8])) {
        let flags = vk::MemoryMapFlags::empty();
        let address = vk!(device => map_memory(self.memory, 0, vk::WHOLE_SIZE, flags));
        let address = address.expect("mapped").cast::<u8>();
        // SAFETY: slice::from_raw_parts_mut: the driver mapped as many bytes, nothing else uses them meanwhile.
        copy(unsafe { std::slice::from_raw_parts_mut(address, self.bytes) });
        vk!(device => unmap_memory(self.memory));
    }

    /// Frees both.
    pub fn destroy(self, device: &ash::Device) {
        vk!(device => destroy_buffer(self.buffer, None));
        vk!(device => free_memory(self.memory, None));
    }
}

/// A pipeline that samples each pixel of one view into a buffer.
#[derive(Debug)]
pub struct Sampling {
    set_layouts: [vk::DescriptorSetLayout; 1],
    layout: vk::PipelineLayout,
    pipeline: vk::Pipeline,
    pool: vk::DescriptorPool,
    sets: Vec<vk::DescriptorSet>,
    target: Buffer,
    extent: Extent,
}

impl Sampling {
    /// For one sampler, which conversions make part of the layout. The image is in `SHADER_READ_ONLY_OPTIMAL` when it runs.
    ///
    /// # Panics
    ///
    /// When the driver refuses.
    pub fn new(pair: &Pair, sampler: vk::Sampler, view: vk::ImageView, extent: Extent) -> Self {
        let device = pair.vk.raw();
        let set_layouts = [set_layout(device, sampler)];
        let ranges = [vk::PushConstantRange::default().stage_flags(STAGE).size(8)];
        let create = vk::PipelineLayoutCreateInfo::default()
            .set_layouts(&set_layouts)
            .push_constant_ranges(&ranges);
        let layout = vk!(device => create_pipeline_layout(&create, None)).expect("a layout");
        let count = usize::try_from(extent.width * extent.height).expect("small");
        let target = Buffer::new(pair, count * 16, vk::BufferUsageFlags::STORAGE_BUFFER);
        let (pool, sets) = descriptors(device, &set_layouts, view, &target);
        Self {
            set_layouts,
            layout,
            pipeline: pipeline(device, layout),
            pool,
            sets,
            target,
            extent,
        }
    }

    /// Records the sampling, outside a render pass.
    pub fn record(&self, device: &ash::Device, commands: vk::CommandBuffer) {
        let (point, layout) = (vk::PipelineBindPoint::COMPUTE, self.layout);
        vk!(device => cmd_bind_pipeline(commands, point, self.pipeline));
        vk!(device => cmd_bind_descriptor_sets(commands, point, layout, 0, &self.sets, &[]));
        let size = [self.extent.width, self.extent.height].map(u32::to_ne_bytes);
        vk!(device => cmd_push_constants(commands, layout, STAGE, 0, size.as_flattened()));
        vk!(device => cmd_dispatch(commands, self.extent.width, self.extent.height, 1));
    }

    /// What was sampled, first row first, and the end of everything. The work has finished.
    pub fn pixels(self, device: &ash::Device) -> Vec<[f32; 4]> {
        let mut pixels = Vec::new();
        self.target.access(device, |bytes| {
            let floats = bytes.as_chunks::<4>().0.iter();
            let floats: Vec<f32> = floats.map(|float| f32::from_ne_bytes(*float)).collect();
            pixels = floats.as_chunks::<4>().0.to_vec();
        });
        vk!(device => destroy_descriptor_pool(self.pool, None));
        vk!(device => destroy_pipeline(self.pipeline, None));
        vk!(device => destroy_pipeline_layout(self.layout, None));
        vk!(device => destroy_descriptor_set_layout(self.set_layouts[0], None));
        self.target.destroy(device);
        pixels
    }
}

const STAGE: vk::ShaderStageFlags = vk::ShaderStageFlags::COMPUTE;

fn set_layout(device: &ash::Device, sampler: vk::Sampler) -> vk::DescriptorSetLayout {
    let samplers = [sampler];
    let binding = |number, kind| {
        vk::DescriptorSetLayoutBinding::default()
            .binding(number)
            .descriptor_type(kind)
            .descriptor_count(1)
            .stage_flags(STAGE)
    };
    let bindings = [
        binding(0, vk::DescriptorType::COMBINED_IMAGE_SAMPLER).immutable_samplers(&samplers),
        binding(1, vk::DescriptorType::STORAGE_BUFFER),
    ];
    let create = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
    vk!(device => create_descriptor_set_layout(&create, None)).expect("a layout")
}

fn pipeline(device: &ash::Device, layout: vk::PipelineLayout) -> vk::Pipeline {
    let code = include_bytes!("sampling/sample.spv");
    let words = ash::util::read_spv(&mut std::io::Cursor::new(&code[..])).expect("SPIR-V");
    let create = vk::ShaderModuleCreateInfo::default().code(&words);
    let module = vk!(device => create_shader_module(&create, None)).expect("a module");
    let shader = vk::PipelineShaderStageCreateInfo::default()
        .stage(STAGE)
        .module(module)
        .name(c"main");
    let create = [vk::ComputePipelineCreateInfo::default()
        .stage(shader)
        .layout(layout)];
    let cache = vk::PipelineCache::null();
    let pipelines = vk!(device => create_compute_pipelines(cache, &create, None));
    vk!(device => destroy_shader_module(module, None));
    pipelines.expect("a pipeline")[0]
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
