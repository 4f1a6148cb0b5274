//! Draws images into rectangles of the window.
#![allow(
    unsafe_code,
    reason = "Vulkan's functions are unsafe without exception"
)]

use std::rc::Rc;

use ash::vk;

use super::device::{Device, refused};
use super::swapchain::{self, Pass, Target};
use crate::Failure;
use crate::view::scale::{Corners, float};
use crate::view::screen::PANELS;

/// Rectangles of one picture: the frame and the panels.
const QUADS: usize = 1 + PANELS;
/// What the shaders know of a rectangle: three vectors of four floats.
const QUAD_BYTES: u32 = 48;

/// A rectangle to draw.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quad {
    pub(super) view: vk::ImageView,
    /// Left, top, right and bottom from -1 to 1, upwards.
    pub(super) place: [f32; 4],
    pub(super) corners: Corners,
    pub(super) is_sharp: bool,
    /// Whether colours are to be multiplied by alpha yet.
    pub(super) multiply: bool,
}

impl Quad {
    fn bytes(&self) -> Vec<u8> {
        let Corners {
            corner,
            across,
            down,
        } = self.corners;
        let multiply = f32::from(u8::from(self.multiply));
        let rest = [
            corner[0], corner[1], across[0], across[1], down[0], down[1], multiply, 0.0,
        ];
        let floats = self.place.into_iter().chain(rest);
        floats.flat_map(f32::to_ne_bytes).collect()
    }
}

/// A pipeline and what it needs. Everything waits for its use when it ends.
pub(super) struct Painter {
    pass: vk::RenderPass,
    /// The format that the pass draws into.
    format: vk::SurfaceFormatKHR,
    samplers: [vk::Sampler; 2],
    set_layout: vk::DescriptorSetLayout,
    pool: vk::DescriptorPool,
    sets: Vec<vk::DescriptorSet>,
    layout: vk::PipelineLayout,
    pipeline: vk::Pipeline,
    device: Rc<Device>,
}

impl Painter {
    pub(super) fn new(device: &Rc<Device>) -> Result<Self, Failure> {
        let mut painter = Self {
            pass: vk::RenderPass::null(),
            format: swapchain::format(device)?,
            samplers: [vk::Sampler::null(); 2],
            set_layout: vk::DescriptorSetLayout::null(),
            pool: vk::DescriptorPool::null(),
            sets: Vec::new(),
            layout: vk::PipelineLayout::null(),
            pipeline: vk::Pipeline::null(),
            device: Rc::clone(device),
        };
        painter.create_pass()?;
        painter.create_samplers()?;
        painter.create_sets()?;
        painter.create_layout()?;
        painter.create_pipeline()?;
        Ok(painter)
    }

    pub(super) fn pass(&self) -> Pass {
        Pass {
            raw: self.pass,
            format: self.format,
        }
    }

    /// Records a picture: black, and the rectangles on it, the lowest first. The last picture is done.
    pub(super) fn record(&self, commands: vk::CommandBuffer, target: &Target, quads: &[Quad]) {
        let raw = self.device.raw();
        for (set, quad) in self.sets.iter().zip(quads) {
            self.describe(*set, quad);
        }
        let area = vk::Rect2D::default().extent(target.extent);
        let black = vk::ClearValue {
            color: vk::ClearColorValue {
                float32: [0.0, 0.0, 0.0, 1.0],
            },
        };
        let begin = vk::RenderPassBeginInfo::default()
            .render_pass(self.pass)
            .framebuffer(target.framebuffer)
            .render_area(area)
            .clear_values(std::slice::from_ref(&black));
        let inline = vk::SubpassContents::INLINE;
        // SAFETY: vkCmdBeginRenderPass: recording outside a render pass, for a graphics queue; pass and framebuffer fit.
        unsafe { raw.cmd_begin_render_pass(commands, &begin, inline) };
        let graphics = vk::PipelineBindPoint::GRAPHICS;
        // SAFETY: vkCmdBindPipeline: a pipeline of this pass.
        unsafe { raw.cmd_bind_pipeline(commands, graphics, self.pipeline) };
        let viewport = vk::Viewport {
            x: 0.0,
            y: 0.0,
            width: float(target.extent.width),
            height: float(target.extent.height),
            min_depth: 0.0,
            max_depth: 1.0,
        };
        // SAFETY: vkCmdSetViewport: one, as the pipeline has.
        unsafe { raw.cmd_set_viewport(commands, 0, &[viewport]) };
        // SAFETY: vkCmdSetScissor: as above.
        unsafe { raw.cmd_set_scissor(commands, 0, &[area]) };
        for (set, quad) in self.sets.iter().zip(quads) {
            self.draw(commands, *set, quad);
        }
        // SAFETY: vkCmdEndRenderPass: begun above.
        unsafe { raw.cmd_end_render_pass(commands) };
    }

    fn draw(&self, commands: vk::CommandBuffer, set: vk::DescriptorSet, quad: &Quad) {
        let (raw, layout) = (self.device.raw(), self.layout);
        let graphics = vk::PipelineBindPoint::GRAPHICS;
        // SAFETY: vkCmdBindDescriptorSets: a set of this layout, described by `record`.
        unsafe { raw.cmd_bind_descriptor_sets(commands, graphics, layout, 0, &[set], &[]) };
        let (stages, bytes) = (both_stages(), quad.bytes());
        // SAFETY: vkCmdPushConstants: as many bytes as the layout's range has, for its stages.
        unsafe { raw.cmd_push_constants(commands, layout, stages, 0, &bytes) };
        // SAFETY: vkCmdDraw: inside the pass, with everything bound that the pipeline uses. The image is in the layout that the
        // set says: a frame by its turn, a panel by its upload.
        unsafe { raw.cmd_draw(commands, 4, 1, 0, 0) };
    }

    /// Makes a set name the rectangle's image and sampler.
    fn describe(&self, set: vk::DescriptorSet, quad: &Quad) {
        let image = [vk::DescriptorImageInfo::default()
            .image_view(quad.view)
            .image_layout(vk::ImageLayout::SHADER_READ_ONLY_OPTIMAL)];
        let sampler = [
            vk::DescriptorImageInfo::default().sampler(self.samplers[usize::from(quad.is_sharp)])
        ];
        let write = |binding, kind| {
            vk::WriteDescriptorSet::default()
                .dst_set(set)
                .dst_binding(binding)
                .descriptor_type(kind)
        };
        let writes = [
            write(0, vk::DescriptorType::SAMPLED_IMAGE).image_info(&image),
            write(1, vk::DescriptorType::SAMPLER).image_info(&sampler),
        ];
        // SAFETY: vkUpdateDescriptorSets: the set is not in use, as the last picture is done; view and sampler are alive.
        unsafe { self.device.raw().update_descriptor_sets(&writes, &[]) };
    }

    fn create_pass(&mut self) -> Result<(), Failure> {
        let attachments = [vk::AttachmentDescription::default()
            .format(self.format.format)
            .samples(vk::SampleCountFlags::TYPE_1)
            .load_op(vk::AttachmentLoadOp::CLEAR)
            .store_op(vk::AttachmentStoreOp::STORE)
            .stencil_load_op(vk::AttachmentLoadOp::DONT_CARE)
            .stencil_store_op(vk::AttachmentStoreOp::DONT_CARE)
            .initial_layout(vk::ImageLayout::UNDEFINED)
            .final_layout(vk::ImageLayout::PRESENT_SRC_KHR)];
        let layout = vk::ImageLayout::COLOR_ATTACHMENT_OPTIMAL;
        let colors = [vk::AttachmentReference::default().layout(layout)];
        let subpasses = [vk::SubpassDescription::default()
            .pipeline_bind_point(vk::PipelineBindPoint::GRAPHICS)
            .color_attachments(&colors)];
        let info = vk::RenderPassCreateInfo::default()
            .attachments(&attachments)
            .subpasses(&subpasses);
        // SAFETY: vkCreateRenderPass: one attachment, which the one subpass draws into.
        let pass = unsafe { self.device.raw().create_render_pass(&info, None) };
        self.pass = pass.map_err(refused("vkCreateRenderPass"))?;
        Ok(())
    }

    /// The smooth one first.
    fn create_samplers(&mut self) -> Result<(), Failure> {
        let edge = vk::SamplerAddressMode::CLAMP_TO_EDGE;
        let filters = [vk::Filter::LINEAR, vk::Filter::NEAREST];
        for (sampler, filter) in self.samplers.iter_mut().zip(filters) {
            let info = vk::SamplerCreateInfo::default()
                .mag_filter(filter)
                .min_filter(filter)
                .address_mode_u(edge)
                .address_mode_v(edge)
                .address_mode_w(edge);
            // SAFETY: vkCreateSampler: nothing that needs a feature.
            let made = unsafe { self.device.raw().create_sampler(&info, None) };
            *sampler = made.map_err(refused("vkCreateSampler"))?;
        }
        Ok(())
    }

    fn create_sets(&mut self) -> Result<(), Failure> {
        let raw = self.device.raw();
        let kinds = [
            vk::DescriptorType::SAMPLED_IMAGE,
            vk::DescriptorType::SAMPLER,
        ];
        let bindings = [0, 1].map(|number| {
            vk::DescriptorSetLayoutBinding::default()
                .binding(number)
                .descriptor_type(kinds[number as usize])
                .descriptor_count(1)
                .stage_flags(vk::ShaderStageFlags::FRAGMENT)
        });
        let info = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
        // SAFETY: vkCreateDescriptorSetLayout: two bindings with numbers of their own.
        let layout = unsafe { raw.create_descriptor_set_layout(&info, None) };
        self.set_layout = layout.map_err(refused("vkCreateDescriptorSetLayout"))?;
        let count = u32::try_from(QUADS).unwrap_or(u32::MAX);
        let sizes = kinds.map(|kind| {
            vk::DescriptorPoolSize::default()
                .ty(kind)
                .descriptor_count(count)
        });
        let info = vk::DescriptorPoolCreateInfo::default()
            .max_sets(count)
            .pool_sizes(&sizes);
        // SAFETY: vkCreateDescriptorPool: numbers above zero.
        let pool = unsafe { raw.create_descriptor_pool(&info, None) };
        self.pool = pool.map_err(refused("vkCreateDescriptorPool"))?;
        let layouts = [self.set_layout; QUADS];
        let info = vk::DescriptorSetAllocateInfo::default()
            .descriptor_pool(self.pool)
            .set_layouts(&layouts);
        // SAFETY: vkAllocateDescriptorSets: the pool has room for exactly these.
        let sets = unsafe { raw.allocate_descriptor_sets(&info) };
        self.sets = sets.map_err(refused("vkAllocateDescriptorSets"))?;
        Ok(())
    }

    fn create_layout(&mut self) -> Result<(), Failure> {
        let layouts = [self.set_layout];
        let ranges = [vk::PushConstantRange::default()
            .stage_flags(both_stages())
            .size(QUAD_BYTES)];
        let info = vk::PipelineLayoutCreateInfo::default()
            .set_layouts(&layouts)
            .push_constant_ranges(&ranges);
        // SAFETY: vkCreatePipelineLayout: below the 128 bytes that every driver has.
        let layout = unsafe { self.device.raw().create_pipeline_layout(&info, None) };
        self.layout = layout.map_err(refused("vkCreatePipelineLayout"))?;
        Ok(())
    }

    fn create_pipeline(&mut self) -> Result<(), Failure> {
        let code = include_bytes!("view.spv");
        let words = ash::util::read_spv(&mut std::io::Cursor::new(&code[..]))?;
        let info = vk::ShaderModuleCreateInfo::default().code(&words);
        let raw = self.device.raw();
        // SAFETY: vkCreateShaderModule: SPIR-V that was compiled from shaders/view.wgsl, and checked by its compiler.
        let module = unsafe { raw.create_shader_module(&info, None) };
        let module = module.map_err(refused("vkCreateShaderModule"))?;
        let made = self.pipeline_of(module);
        // SAFETY: vkDestroyShaderModule: pipelines do not need it once they are made.
        unsafe { raw.destroy_shader_module(module, None) };
        self.pipeline = made?;
        Ok(())
    }

    fn pipeline_of(&self, module: vk::ShaderModule) -> Result<vk::Pipeline, Failure> {
        let stage = |stage, name| {
            vk::PipelineShaderStageCreateInfo::default()
                .stage(stage)
                .module(module)
                .name(name)
        };
        let stages = [
            stage(vk::ShaderStageFlags::VERTEX, c"place"),
            stage(vk::ShaderStageFlags::FRAGMENT, c"paint"),
        ];
        let vertices = vk::PipelineVertexInputStateCreateInfo::default();
        let assembly = vk::PipelineInputAssemblyStateCreateInfo::default()
            .topology(vk::PrimitiveTopology::TRIANGLE_STRIP);
        let viewport = vk::PipelineViewportStateCreateInfo::default()
            .viewport_count(1)
            .scissor_count(1);
        let raster = vk::PipelineRasterizationStateCreateInfo::default().line_width(1.0);
        let samples = vk::PipelineMultisampleStateCreateInfo::default()
            .rasterization_samples(vk::SampleCountFlags::TYPE_1);
        // Colours are multiplied by alpha.
        let (one, rest) = (vk::BlendFactor::ONE, vk::BlendFactor::ONE_MINUS_SRC_ALPHA);
        let blends = [vk::PipelineColorBlendAttachmentState::default()
            .blend_enable(true)
            .src_color_blend_factor(one)
            .dst_color_blend_factor(rest)
            .src_alpha_blend_factor(one)
            .dst_alpha_blend_factor(rest)
            .color_write_mask(vk::ColorComponentFlags::RGBA)];
        let blend = vk::PipelineColorBlendStateCreateInfo::default().attachments(&blends);
        let states = [vk::DynamicState::VIEWPORT, vk::DynamicState::SCISSOR];
        let dynamic = vk::PipelineDynamicStateCreateInfo::default().dynamic_states(&states);
        let info = vk::GraphicsPipelineCreateInfo::default()
            .stages(&stages)
            .vertex_input_state(&vertices)
            .input_assembly_state(&assembly)
            .viewport_state(&viewport)
            .rasterization_state(&raster)
            .multisample_state(&samples)
            .color_blend_state(&blend)
            .dynamic_state(&dynamic)
            .layout(self.layout)
            .render_pass(self.pass);
        let (raw, cache) = (self.device.raw(), vk::PipelineCache::null());
        // SAFETY: vkCreateGraphicsPipelines: the module has both entry points, whose inputs the layout describes.
        let made = unsafe { raw.create_graphics_pipelines(cache, &[info], None) };
        let made = made.map_err(|(_, code)| refused("vkCreateGraphicsPipelines")(code))?;
        Ok(made[0])
    }
}

fn both_stages() -> vk::ShaderStageFlags {
    vk::ShaderStageFlags::VERTEX | vk::ShaderStageFlags::FRAGMENT
}

impl Drop for Painter {
    fn drop(&mut self) {
        self.device.wait_idle();
        let raw = self.device.raw();
        // SAFETY: vkDestroyPipeline: nothing is under way that uses it. Null is allowed, here and below.
        unsafe { raw.destroy_pipeline(self.pipeline, None) };
        // SAFETY: vkDestroyPipelineLayout: as above.
        unsafe { raw.destroy_pipeline_layout(self.layout, None) };
        // SAFETY: vkDestroyDescriptorPool: as above; its sets go with it.
        unsafe { raw.destroy_descriptor_pool(self.pool, None) };
        // SAFETY: vkDestroyDescriptorSetLayout: as above.
        unsafe { raw.destroy_descriptor_set_layout(self.set_layout, None) };
        for sampler in self.samplers {
            // SAFETY: vkDestroySampler: as above.
            unsafe { raw.destroy_sampler(sampler, None) };
        }
        // SAFETY: vkDestroyRenderPass: as above.
        unsafe { raw.destroy_render_pass(self.pass, None) };
    }
}
