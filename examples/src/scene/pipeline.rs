//! The render pass, and the four pipelines that differ in a handful of settings.

use super::gpu::{Gpu, Owned};
use super::mesh::VERTEX_FLOATS;
use ash::vk;
use std::ffi::CStr;
use std::io::Cursor;
use std::rc::Rc;

/// Required of every implementation as a depth attachment.
pub(crate) const DEPTH_FORMAT: vk::Format = vk::Format::D16_UNORM;
/// Bytes of push constants: no implementation has fewer.
pub(crate) const PUSH_BYTES: u32 = 128;

static SHADERS: &[u8] = include_bytes!("../../../shaders/compiled/scene.spv");

/// Draws into the shared image, which enters and leaves as a colour attachment, with a depth attachment.
pub(crate) fn render_pass(
    gpu: &Rc<Gpu>,
    format: vk::Format,
) -> Result<Owned<vk::RenderPass>, vk::Result> {
    let color = vk::ImageLayout::COLOR_ATTACHMENT_OPTIMAL;
    let depth = vk::ImageLayout::DEPTH_STENCIL_ATTACHMENT_OPTIMAL;
    let one = vk::AttachmentDescription::default()
        .samples(vk::SampleCountFlags::TYPE_1)
        .stencil_load_op(vk::AttachmentLoadOp::DONT_CARE)
        .stencil_store_op(vk::AttachmentStoreOp::DONT_CARE);
    let attachments = [
        // The sky covers every pixel: what was there need not be loaded.
        one.format(format)
            .load_op(vk::AttachmentLoadOp::DONT_CARE)
            .store_op(vk::AttachmentStoreOp::STORE)
            .initial_layout(color)
            .final_layout(color),
        one.format(DEPTH_FORMAT)
            .load_op(vk::AttachmentLoadOp::CLEAR)
            .store_op(vk::AttachmentStoreOp::DONT_CARE)
            .final_layout(depth),
    ];
    let reference = |attachment, layout| vk::AttachmentReference { attachment, layout };
    let (colors, depths) = ([reference(0, color)], reference(1, depth));
    let subpasses = [vk::SubpassDescription::default()
        .pipeline_bind_point(vk::PipelineBindPoint::GRAPHICS)
        .color_attachments(&colors)
        .depth_stencil_attachment(&depths)];
    // All frames share the depth image: the next one starts to write it when the last one has done so.
    let stages = vk::PipelineStageFlags::COLOR_ATTACHMENT_OUTPUT
        | vk::PipelineStageFlags::EARLY_FRAGMENT_TESTS
        | vk::PipelineStageFlags::LATE_FRAGMENT_TESTS;
    let writes =
        vk::AccessFlags::COLOR_ATTACHMENT_WRITE | vk::AccessFlags::DEPTH_STENCIL_ATTACHMENT_WRITE;
    let reads =
        vk::AccessFlags::COLOR_ATTACHMENT_READ | vk::AccessFlags::DEPTH_STENCIL_ATTACHMENT_READ;
    let dependencies = [vk::SubpassDependency::default()
        .src_subpass(vk::SUBPASS_EXTERNAL)
        .src_stage_mask(stages)
        .dst_stage_mask(stages)
        .src_access_mask(writes)
        .dst_access_mask(writes | reads)];
    let info = vk::RenderPassCreateInfo::default()
        .attachments(&attachments)
        .subpasses(&subpasses)
        .dependencies(&dependencies);
    // SAFETY: VUID-VkRenderPassCreateInfo-*: the references name the two attachments above, whose
    // formats fit their use.
    let pass = unsafe { gpu.device.create_render_pass(&info, None) }?;
    Ok(Owned::new(gpu, pass))
}

/// One range of push constants for both stages, and nothing else.
pub(crate) fn layout(gpu: &Rc<Gpu>) -> Result<Owned<vk::PipelineLayout>, vk::Result> {
    let ranges = [vk::PushConstantRange::default()
        .stage_flags(vk::ShaderStageFlags::VERTEX | vk::ShaderStageFlags::FRAGMENT)
        .size(PUSH_BYTES)];
    let info = vk::PipelineLayoutCreateInfo::default().push_constant_ranges(&ranges);
    // SAFETY: VUID-VkPushConstantRange-size-00298: 128 bytes is the least limit there is.
    let layout = unsafe { gpu.device.create_pipeline_layout(&info, None) }?;
    Ok(Owned::new(gpu, layout))
}

/// The pipelines, in the order in which a frame uses them.
pub(crate) struct Pipelines {
    pub(crate) sky: Owned<vk::Pipeline>,
    pub(crate) floor: Owned<vk::Pipeline>,
    pub(crate) mirrored: Owned<vk::Pipeline>,
    pub(crate) solid: Owned<vk::Pipeline>,
}

impl Pipelines {
    pub(crate) fn new(
        gpu: &Rc<Gpu>,
        layout: vk::PipelineLayout,
        pass: vk::RenderPass,
    ) -> Result<Self, vk::Result> {
        let code = ash::util::read_spv(&mut Cursor::new(SHADERS))
            .map_err(|_| vk::Result::ERROR_INVALID_SHADER_NV)?;
        let info = vk::ShaderModuleCreateInfo::default().code(&code);
        // SAFETY: VUID-VkShaderModuleCreateInfo-pCode-*: SPIR-V 1.0 that spirv-val accepts.
        let module = unsafe { gpu.device.create_shader_module(&info, None) }?;
        let module = Owned::new(gpu, module);
        let make = |recipe: &Recipe| recipe.build(gpu, layout, pass, module.raw());
        let solid = Recipe {
            vertex: c"solid_vertex",
            fragment: c"solid_fragment",
            reads_mesh: true,
            depth: true,
            front: vk::FrontFace::COUNTER_CLOCKWISE,
        };
        // What lies farther away than everything else is drawn first, without depth.
        let floor = Recipe {
            fragment: c"floor_fragment",
            depth: false,
            ..solid
        };
        let sky = Recipe {
            vertex: c"sky_vertex",
            fragment: c"sky_fragment",
            reads_mesh: false,
            depth: false,
            ..solid
        };
        // A mirror turns every winding around.
        let mirrored = Recipe {
            fragment: c"mirrored_fragment",
            front: vk::FrontFace::CLOCKWISE,
            ..solid
        };
        Ok(Self {
            sky: make(&sky)?,
            floor: make(&floor)?,
            mirrored: make(&mirrored)?,
            solid: make(&solid)?,
        })
    }
}

/// What the pipelines differ in.
#[derive(Clone, Copy)]
struct Recipe {
    vertex: &'static CStr,
    fragment: &'static CStr,
    reads_mesh: bool,
    depth: bool,
    front: vk::FrontFace,
}

impl Recipe {
    fn build(
        &self,
        gpu: &Rc<Gpu>,
        layout: vk::PipelineLayout,
        pass: vk::RenderPass,
        module: vk::ShaderModule,
    ) -> Result<Owned<vk::Pipeline>, vk::Result> {
        let stage = |stage, name| {
            vk::PipelineShaderStageCreateInfo::default()
                .stage(stage)
                .module(module)
                .name(name)
        };
        let stages = [
            stage(vk::ShaderStageFlags::VERTEX, self.vertex),
            stage(vk::ShaderStageFlags::FRAGMENT, self.fragment),
        ];
        let (bindings, attributes) = vertex_layout();
        let mut vertices = vk::PipelineVertexInputStateCreateInfo::default();
        if self.reads_mesh {
            vertices = vertices
                .vertex_binding_descriptions(&bindings)
                .vertex_attribute_descriptions(&attributes);
        }
        let assembly = vk::PipelineInputAssemblyStateCreateInfo::default()
            .topology(vk::PrimitiveTopology::TRIANGLE_LIST);
        let viewport = vk::PipelineViewportStateCreateInfo::default()
            .viewport_count(1)
            .scissor_count(1);
        let raster = vk::PipelineRasterizationStateCreateInfo::default()
            .cull_mode(if self.depth {
                vk::CullModeFlags::BACK
            } else {
                vk::CullModeFlags::NONE
            })
            .front_face(self.front)
            .line_width(1.0);
        let samples = vk::PipelineMultisampleStateCreateInfo::default()
            .rasterization_samples(vk::SampleCountFlags::TYPE_1);
        let depth = vk::PipelineDepthStencilStateCreateInfo::default()
            .depth_test_enable(self.depth)
            .depth_write_enable(self.depth)
            .depth_compare_op(vk::CompareOp::LESS);
        let blends = [vk::PipelineColorBlendAttachmentState::default()
            .color_write_mask(vk::ColorComponentFlags::RGBA)];
        let blend = vk::PipelineColorBlendStateCreateInfo::default().attachments(&blends);
        let states = [vk::DynamicState::VIEWPORT, vk::DynamicState::SCISSOR];
        let dynamic = vk::PipelineDynamicStateCreateInfo::default().dynamic_states(&states);
        let infos = [vk::GraphicsPipelineCreateInfo::default()
            .stages(&stages)
            .vertex_input_state(&vertices)
            .input_assembly_state(&assembly)
            .viewport_state(&viewport)
            .rasterization_state(&raster)
            .multisample_state(&samples)
            .depth_stencil_state(&depth)
            .color_blend_state(&blend)
            .dynamic_state(&dynamic)
            .layout(layout)
            .render_pass(pass)];
        let cache = vk::PipelineCache::null();
        // SAFETY: VUID-VkGraphicsPipelineCreateInfo-*: both stages come from the module, whose inputs
        // the vertex layout feeds; one colour blend state and the sample count match the pass.
        let made = unsafe { gpu.device.create_graphics_pipelines(cache, &infos, None) };
        match made {
            Ok(pipelines) => Ok(Owned::new(gpu, pipelines[0])),
            Err((_, error)) => Err(error),
        }
    }
}

fn vertex_layout() -> (
    [vk::VertexInputBindingDescription; 1],
    [vk::VertexInputAttributeDescription; 3],
) {
    const FLOAT: u32 = 4;
    let binding = vk::VertexInputBindingDescription::default()
        .stride(FLOAT * VERTEX_FLOATS)
        .input_rate(vk::VertexInputRate::VERTEX);
    let attribute = |location, format, floats| {
        vk::VertexInputAttributeDescription::default()
            .location(location)
            .format(format)
            .offset(floats * FLOAT)
    };
    let three = vk::Format::R32G32B32_SFLOAT;
    (
        [binding],
        [
            attribute(0, three, 0),
            attribute(1, three, 3),
            attribute(2, vk::Format::R32_SFLOAT, 6),
        ],
    )
}
