//! The objects of the pass: shaders, pipelines for each format, and what one drawing uses.

use std::sync::Arc;
use std::time::Duration;

use ash::vk;

use super::source::{Planes, RedrawSource};
use crate::error::{Error, Requirement, Result};
use crate::layout::Extent;
use crate::vulkan::access::Access;
use crate::vulkan::image::Image;
use crate::vulkan::inner::DeviceInner;
use crate::vulkan::object::Owned;
use crate::vulkan::submission::Finish;
use crate::vulkan::{failed, shader};

/// Bytes of the shader's `Redraw`: every device has room for 128.
const PUSH_BYTES: u8 = 80;
/// Textures that the shader knows: a plane each.
const TEXTURES: [vk::DescriptorType; 3] = [vk::DescriptorType::SAMPLED_IMAGE; 3];
/// The most samples along each axis of a pixel, each the mean of two: down to a sixteenth of the source's size, all of it counts.
const MOST_TAPS: u32 = 8;

/// Dropped in this order.
pub(super) struct Pass {
    module: Owned<vk::ShaderModule>,
    layout: Owned<vk::PipelineLayout>,
    set_layout: Owned<vk::DescriptorSetLayout>,
    device: Arc<DeviceInner>,
}

/// How targets of one format are drawn into. Dropped in this order.
struct Way {
    format: vk::Format,
    pipeline: Owned<vk::Pipeline>,
    render_pass: Owned<vk::RenderPass>,
}

/// What changes with each drawing.
pub(super) struct State {
    pending: Option<Pending>,
    ways: Vec<Way>,
    _pool: Owned<vk::DescriptorPool>,
    set: vk::DescriptorSet,
}

/// What a drawing uses until it has finished. Dropped in this order.
pub(super) struct Pending {
    _framebuffer: Arc<Framebuffer>,
    /// They know when it has finished.
    planes: Arc<Planes>,
}

struct Framebuffer {
    raw: Owned<vk::Framebuffer>,
    _view: Owned<vk::ImageView>,
}

/// Where a drawing goes.
pub(super) struct Target {
    framebuffer: Arc<Framebuffer>,
    render_pass: vk::RenderPass,
    pipeline: vk::Pipeline,
    pub(super) extent: Extent,
}

impl Pending {
    pub(super) fn new(source: &RedrawSource, target: &Target) -> Self {
        Self {
            _framebuffer: Arc::clone(&target.framebuffer),
            planes: source.shared(),
        }
    }
}

impl State {
    pub(super) fn new(device: &Arc<DeviceInner>, pass: &Pass) -> Result<Self> {
        let (pool, set) = shader::descriptor_set(device, &pass.set_layout, &TEXTURES)?;
        Ok(Self {
            pending: None,
            ways: Vec::new(),
            _pool: pool,
            set,
        })
    }

    /// Keeps what a drawing uses that is about to be submitted. The one before has finished.
    pub(super) fn keep(&mut self, pending: Pending) {
        self.pending = Some(pending);
    }

    /// The drawing has finished.
    pub(super) fn finished(&mut self) {
        self.pending = None;
    }
}

impl Finish for State {
    fn finish(&mut self, timeout: Duration) -> Result<()> {
        if let Some(pending) = &self.pending {
            pending.planes.drawn(timeout)?.finish(timeout)?;
        }
        self.finished();
        Ok(())
    }
}

impl Pass {
    pub(super) fn new(device: &Arc<DeviceInner>) -> Result<Self> {
        check_queue(device)?;
        let stage = vk::ShaderStageFlags::FRAGMENT;
        let set_layout = shader::set_layout(device, stage, &TEXTURES)?;
        Ok(Self {
            module: shader::module(device, include_bytes!("redraw.spv"))?,
            layout: shader::pipeline_layout(device, &set_layout, stage, PUSH_BYTES)?,
            set_layout,
            device: Arc::clone(device),
        })
    }

    /// The image as something to draw into. Its format's pipeline is made once.
    pub(super) fn target(&self, state: &mut State, image: &Image) -> Result<Target> {
        let format = image.vk_format();
        let known = state.ways.iter().position(|way| way.format == format);
        let at = match known {
            Some(at) => at,
            None => {
                state.ways.push(self.way(format)?);
                state.ways.len() - 1
            }
        };
        let way = &state.ways[at];
        let extent = image.frame().layout().extent();
        let raw = &self.device.device;
        let view = image.view(Access::ColorAttachment)?;
        let views = [view.raw()];
        let create = vk::FramebufferCreateInfo::default()
            .render_pass(way.render_pass.raw())
            .attachments(&views)
            .width(extent.width)
            .height(extent.height)
            .layers(1);
        // SAFETY: vkCreateFramebuffer: one attachment of the render pass's format and of the image's size.
        let framebuffer = unsafe { raw.create_framebuffer(&create, None) }
            .map_err(failed("vkCreateFramebuffer"))?;
        let framebuffer = Framebuffer {
            raw: Owned::new(&self.device, framebuffer),
            _view: view,
        };
        Ok(Target {
            framebuffer: Arc::new(framebuffer),
            render_pass: way.render_pass.raw(),
            pipeline: way.pipeline.raw(),
            extent,
        })
    }

    fn way(&self, format: vk::Format) -> Result<Way> {
        let render_pass = render_pass(&self.device, format)?;
        Ok(Way {
            format,
            pipeline: self.pipeline(render_pass.raw())?,
            render_pass,
        })
    }

    /// Puts the source into the descriptor set, which no pending commands use.
    pub(super) fn describe(&self, state: &State, views: &[Owned<vk::ImageView>]) {
        // A frame of fewer planes fills the other places with its last.
        let images: Vec<_> = (0..TEXTURES.len())
            .filter_map(|at| views.get(at).or(views.last()))
            .map(|view| {
                vk::DescriptorImageInfo::default()
                    .image_view(view.raw())
                    .image_layout(vk::ImageLayout::SHADER_READ_ONLY_OPTIMAL)
            })
            .collect();
        // Consecutive bindings are written in one go.
        let write = vk::WriteDescriptorSet::default()
            .dst_set(state.set)
            .descriptor_type(vk::DescriptorType::SAMPLED_IMAGE)
            .image_info(&images);
        // SAFETY: vkUpdateDescriptorSets: no pending commands use the set, as the last drawing has finished; the bindings from
        // 0 on have one descriptor each, of the same kind and for the same stage.
        unsafe { self.device.device.update_descriptor_sets(&[write], &[]) };
    }

    /// Records the drawing, into a target that is in `COLOR_ATTACHMENT_OPTIMAL`.
    pub(super) fn record(
        &self,
        commands: vk::CommandBuffer,
        state: &State,
        source: &RedrawSource,
        target: &Target,
    ) {
        let raw = &self.device.device;
        let area = vk::Rect2D::default().extent(vk::Extent2D {
            width: target.extent.width,
            height: target.extent.height,
        });
        let begin = vk::RenderPassBeginInfo::default()
            .render_pass(target.render_pass)
            .framebuffer(target.framebuffer.raw.raw())
            .render_area(area);
        // SAFETY: vkCmdBeginRenderPass: recording outside a render pass; the framebuffer was made for this one, and its image
        // is in the layout that the pass begins with.
        unsafe { raw.cmd_begin_render_pass(commands, &begin, vk::SubpassContents::INLINE) };
        let point = vk::PipelineBindPoint::GRAPHICS;
        // SAFETY: vkCmdBindPipeline with a pipeline of this render pass.
        unsafe { raw.cmd_bind_pipeline(commands, point, target.pipeline) };
        let layout = self.layout.raw();
        // SAFETY: vkCmdBindDescriptorSets with a set of this layout, which is not updated before these commands have finished.
        unsafe { raw.cmd_bind_descriptor_sets(commands, point, layout, 0, &[state.set], &[]) };
        let bytes = constants(source, target.extent);
        // SAFETY: vkCmdPushConstants with as many bytes as the layout's range, for its stage.
        unsafe {
            raw.cmd_push_constants(commands, layout, vk::ShaderStageFlags::FRAGMENT, 0, &bytes)
        };
        #[expect(clippy::cast_precision_loss, reason = "extents end at 32768")]
        let viewport = vk::Viewport::default()
            .width(target.extent.width as f32)
            .height(target.extent.height as f32)
            .max_depth(1.0);
        // SAFETY: vkCmdSetViewport: the pipeline's only dynamic viewport, within every device's limits.
        unsafe { raw.cmd_set_viewport(commands, 0, &[viewport]) };
        // SAFETY: vkCmdSetScissor: the pipeline's only dynamic scissor, within the framebuffer.
        unsafe { raw.cmd_set_scissor(commands, 0, &[area]) };
        // SAFETY: vkCmdDraw: pipeline, set, constants and dynamic state are there, and the shader reads no vertices.
        unsafe { raw.cmd_draw(commands, 3, 1, 0, 0) };
        // SAFETY: vkCmdEndRenderPass: begun above.
        unsafe { raw.cmd_end_render_pass(commands) };
    }

    fn pipeline(&self, render_pass: vk::RenderPass) -> Result<Owned<vk::Pipeline>> {
        let stage = |stage, name| {
            vk::PipelineShaderStageCreateInfo::default()
                .stage(stage)
                .module(self.module.raw())
                .name(name)
        };
        let stages = [
            stage(vk::ShaderStageFlags::VERTEX, c"vertex"),
            stage(vk::ShaderStageFlags::FRAGMENT, c"fragment"),
        ];
        let vertices = vk::PipelineVertexInputStateCreateInfo::default();
        let assembly = vk::PipelineInputAssemblyStateCreateInfo::default()
            .topology(vk::PrimitiveTopology::TRIANGLE_LIST);
        let viewports = vk::PipelineViewportStateCreateInfo::default()
            .viewport_count(1)
            .scissor_count(1);
        let raster = vk::PipelineRasterizationStateCreateInfo::default().line_width(1.0);
        let samples = vk::PipelineMultisampleStateCreateInfo::default()
            .rasterization_samples(vk::SampleCountFlags::TYPE_1);
        let attachments = [vk::PipelineColorBlendAttachmentState::default()
            .color_write_mask(vk::ColorComponentFlags::RGBA)];
        let blend = vk::PipelineColorBlendStateCreateInfo::default().attachments(&attachments);
        let dynamic = [vk::DynamicState::VIEWPORT, vk::DynamicState::SCISSOR];
        let dynamic = vk::PipelineDynamicStateCreateInfo::default().dynamic_states(&dynamic);
        let create = vk::GraphicsPipelineCreateInfo::default()
            .stages(&stages)
            .vertex_input_state(&vertices)
            .input_assembly_state(&assembly)
            .viewport_state(&viewports)
            .rasterization_state(&raster)
            .multisample_state(&samples)
            .color_blend_state(&blend)
            .dynamic_state(&dynamic)
            .layout(self.layout.raw())
            .render_pass(render_pass);
        let cache = vk::PipelineCache::null();
        let raw = &self.device.device;
        // SAFETY: vkCreateGraphicsPipelines: the module has both entry points, the layout their bindings and constants, and the
        // render pass one colour attachment.
        let made = unsafe { raw.create_graphics_pipelines(cache, &[create], None) };
        let made = made.map_err(|(_, result)| failed("vkCreateGraphicsPipelines")(result))?;
        let pipeline = made.first().ok_or_else(|| {
            Error::driver("vkCreateGraphicsPipelines", "success, but no pipeline")
        })?;
        Ok(Owned::new(&self.device, *pipeline))
    }
}

fn check_queue(device: &DeviceInner) -> Result<()> {
    let flags = crate::vulkan::device::queue_flags(device);
    if flags.contains(vk::QueueFlags::GRAPHICS) {
        return Ok(());
    }
    let what = format!("drawing on {}", device.adapter.name());
    let missing = Requirement::QueueFamily { kind: "graphics" };
    Err(Error::unsupported(what, vec![missing]))
}

/// All of the target is drawn, so that what was there before does not matter.
fn render_pass(device: &Arc<DeviceInner>, format: vk::Format) -> Result<Owned<vk::RenderPass>> {
    let layout = vk::ImageLayout::COLOR_ATTACHMENT_OPTIMAL;
    let attachments = [vk::AttachmentDescription::default()
        .format(format)
        .samples(vk::SampleCountFlags::TYPE_1)
        .load_op(vk::AttachmentLoadOp::DONT_CARE)
        .store_op(vk::AttachmentStoreOp::STORE)
        .stencil_load_op(vk::AttachmentLoadOp::DONT_CARE)
        .stencil_store_op(vk::AttachmentStoreOp::DONT_CARE)
        .initial_layout(layout)
        .final_layout(layout)];
    let colours = [vk::AttachmentReference::default().layout(layout)];
    let subpasses = [vk::SubpassDescription::default()
        .pipeline_bind_point(vk::PipelineBindPoint::GRAPHICS)
        .color_attachments(&colours)];
    let create = vk::RenderPassCreateInfo::default()
        .attachments(&attachments)
        .subpasses(&subpasses);
    // SAFETY: vkCreateRenderPass: one attachment, of a format that images are rendered to in.
    let render_pass = unsafe { device.device.create_render_pass(&create, None) }
        .map_err(failed("vkCreateRenderPass"))?;
    Ok(Owned::new(device, render_pass))
}

/// What the shader is told, in the order of its `Redraw`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "shaders compute in 32 bits"
)]
fn constants(source: &RedrawSource, target: Extent) -> [u8; PUSH_BYTES as usize] {
    let from = source.frame().layout().extent();
    let taps = |from: u32, to: u32| from.div_ceil(2 * to);
    let taps = taps(from.width, target.width).max(taps(from.height, target.height));
    let pixel = [(from.width, target.width), (from.height, target.height)]
        .map(|(from, to)| f64::from(from) / f64::from(to));
    let numbers = source.rows.as_flattened().iter().chain(&source.chroma);
    let words = numbers
        .chain(&pixel)
        .map(|number| (*number as f32).to_ne_bytes());
    let last = [taps.clamp(1, MOST_TAPS), source.places].map(u32::to_ne_bytes);
    let mut bytes = [0; PUSH_BYTES as usize];
    for (place, word) in bytes.chunks_exact_mut(4).zip(words.chain(last)) {
        place.copy_from_slice(&word);
    }
    bytes
}
