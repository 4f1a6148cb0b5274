//! The demo's animated scene, drawn by Vulkan 1.1 as it always was: vertex and index buffers, depth,
//! push constants, a render pass.
//!
//! Frame `n` is a pure function of `n`: no clock is read, so the pictures can be compared.

mod choreography;
mod gpu;
mod mesh;
mod pipeline;

use crate::math::{ClipDepth, Mat4};
use ash::vk;
use choreography::{Parts, Solid};
use gpu::{Buffer, DepthImage, Gpu, Owned};
use pipeline::{DEPTH_FORMAT, PUSH_BYTES, Pipelines};
use std::rc::Rc;

/// Half the side of the ground, far enough to end in the haze.
const GROUND: f32 = 60.0;

/// The scene, ready to be drawn into images of one format and extent.
///
/// Dropping it waits for the device; it must go before the device does.
pub struct Scene {
    // Dropped in this order: what uses comes before what is used.
    targets: Vec<Target>,
    pipelines: Pipelines,
    layout: Owned<vk::PipelineLayout>,
    pass: Owned<vk::RenderPass>,
    vertices: Buffer,
    indices: Buffer,
    depth: DepthImage,
    parts: Parts,
    format: vk::Format,
    extent: vk::Extent2D,
    gpu: Rc<Gpu>,
}

struct Target {
    framebuffer: Owned<vk::Framebuffer>,
    _view: Owned<vk::ImageView>,
}

impl std::fmt::Debug for Scene {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scene")
            .field("format", &self.format.as_raw())
            .field("extent", &(self.extent.width, self.extent.height))
            .field("targets", &self.targets.len())
            .finish_non_exhaustive()
    }
}

impl Scene {
    /// Builds pipelines and meshes for images of `format` and `extent`.
    ///
    /// # Errors
    ///
    /// What the driver answered.
    ///
    /// # Safety
    ///
    /// `device` is a live device of Vulkan 1.1 or newer that outlives the scene, `memory` describes its
    /// memory, and it can draw into images of this format and extent.
    pub unsafe fn new(
        device: &ash::Device,
        memory: vk::PhysicalDeviceMemoryProperties,
        format: vk::Format,
        extent: vk::Extent2D,
    ) -> Result<Self, vk::Result> {
        let gpu = Rc::new(Gpu {
            device: device.clone(),
            memory,
        });
        let (mesh, parts) = choreography::build();
        let vertices: Vec<u8> = mesh
            .vertices
            .iter()
            .flatten()
            .flat_map(|float| float.to_ne_bytes())
            .collect();
        let indices: Vec<u8> = mesh
            .indices
            .iter()
            .flat_map(|index| index.to_ne_bytes())
            .collect();
        let pass = pipeline::render_pass(&gpu, format)?;
        let layout = pipeline::layout(&gpu)?;
        Ok(Self {
            targets: Vec::new(),
            pipelines: Pipelines::new(&gpu, layout.raw(), pass.raw())?,
            layout,
            pass,
            vertices: Buffer::new(&gpu, vk::BufferUsageFlags::VERTEX_BUFFER, &vertices)?,
            indices: Buffer::new(&gpu, vk::BufferUsageFlags::INDEX_BUFFER, &indices)?,
            depth: DepthImage::new(&gpu, DEPTH_FORMAT, extent)?,
            parts,
            format,
            extent,
            gpu,
        })
    }

    /// Makes the viewed image one that frames can be drawn into; the answer is its number in [`Scene::record`].
    ///
    /// # Errors
    ///
    /// What the driver answered.
    ///
    /// # Safety
    ///
    /// `target` views all of a bound, single-sampled 2D image of the scene's device, format and extent with
    /// COLOR_ATTACHMENT usage, which outlives the scene.
    pub unsafe fn add_target(
        &mut self,
        target: &vk::ImageViewCreateInfo<'_>,
    ) -> Result<usize, vk::Result> {
        let view = gpu::view(&self.gpu, target)?;
        let views = [view.raw(), self.depth.view.raw()];
        let info = vk::FramebufferCreateInfo::default()
            .render_pass(self.pass.raw())
            .attachments(&views)
            .width(self.extent.width)
            .height(self.extent.height)
            .layers(1);
        // SAFETY: VUID-VkFramebufferCreateInfo-*: two views of this extent in the pass's order, with its
        // formats.
        let framebuffer = unsafe { self.gpu.device.create_framebuffer(&info, None) }?;
        let framebuffer = Owned::new(&self.gpu, framebuffer);
        self.targets.push(Target {
            framebuffer,
            _view: view,
        });
        Ok(self.targets.len() - 1)
    }

    /// Records the drawing of frame `frame` into a target, whose image is and stays in
    /// COLOR_ATTACHMENT_OPTIMAL.
    ///
    /// # Panics
    ///
    /// If `target` is not a number that [`Scene::add_target`] gave.
    ///
    /// # Safety
    ///
    /// `commands` is being recorded, outside a render pass, for a queue of the scene's device that can
    /// draw; all frames go to one queue.
    pub unsafe fn record(&self, commands: vk::CommandBuffer, target: usize, frame: u32) {
        let device = &self.gpu.device;
        let area = vk::Rect2D {
            offset: vk::Offset2D::default(),
            extent: self.extent,
        };
        let far = vk::ClearDepthStencilValue {
            depth: 1.0,
            stencil: 0,
        };
        let clears = [
            vk::ClearValue::default(),
            vk::ClearValue { depth_stencil: far },
        ];
        let begin = vk::RenderPassBeginInfo::default()
            .render_pass(self.pass.raw())
            .framebuffer(self.targets[target].framebuffer.raw())
            .render_area(area)
            .clear_values(&clears);
        let inline = vk::SubpassContents::INLINE;
        // SAFETY: VUID-vkCmdBeginRenderPass-*: recording and outside a pass (contract of this
        // function); framebuffer and pass were made for each other, the depth's clear value is there.
        unsafe { device.cmd_begin_render_pass(commands, &begin, inline) };
        let recorder = Recorder {
            scene: self,
            commands,
        };
        recorder.prepare(area);
        recorder.frame(frame);
        // SAFETY: VUID-vkCmdEndRenderPass-None-00910: inside the only subpass, begun above.
        unsafe { device.cmd_end_render_pass(commands) };
    }

    fn aspect(&self) -> f32 {
        float(self.extent.width) / float(self.extent.height.max(1))
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // SAFETY: VUID-vkDeviceWaitIdle: the device is alive (contract of `new`), and the demo uses its
        // queue from this thread only. An error means the device is lost: nothing runs then either.
        let _ = unsafe { self.gpu.device.device_wait_idle() };
    }
}

/// Sizes of images are far below what a float counts exactly.
fn float(pixels: u32) -> f32 {
    f32::from(u16::try_from(pixels).unwrap_or(u16::MAX))
}

/// A command buffer within the scene's render pass: made only between its begin and its end.
struct Recorder<'s> {
    scene: &'s Scene,
    commands: vk::CommandBuffer,
}

impl Recorder<'_> {
    fn prepare(&self, area: vk::Rect2D) {
        let device = &self.scene.gpu.device;
        let viewport = vk::Viewport {
            width: float(area.extent.width),
            height: float(area.extent.height),
            max_depth: 1.0,
            ..vk::Viewport::default()
        };
        // SAFETY: recording (`Recorder`); VUID-VkViewport-*: an image's extent is in the limits.
        unsafe { device.cmd_set_viewport(self.commands, 0, &[viewport]) };
        // SAFETY: recording; the offset is zero.
        unsafe { device.cmd_set_scissor(self.commands, 0, &[area]) };
        let vertices = [self.scene.vertices.raw.raw()];
        // SAFETY: recording; one live vertex buffer of this device, from its start.
        unsafe { device.cmd_bind_vertex_buffers(self.commands, 0, &vertices, &[0]) };
        let (indices, kind) = (self.scene.indices.raw.raw(), vk::IndexType::UINT32);
        // SAFETY: recording; a live index buffer of this device, from its start.
        unsafe { device.cmd_bind_index_buffer(self.commands, indices, 0, kind) };
    }

    fn frame(&self, frame: u32) {
        let (pipelines, parts) = (&self.scene.pipelines, &self.scene.parts);
        let camera = choreography::camera(frame, self.scene.aspect());
        let (forward, right, up) = camera.axes();
        let across = |v: [f32; 3], by: f32| [v[0] * by, v[1] * by, v[2] * by, 0.0];
        self.bind(&pipelines.sky);
        self.push(&[
            across(forward, 1.0),
            across(right, camera.half_height * camera.aspect),
            across(up, camera.half_height),
        ]);
        // SAFETY: recording inside the pass with a pipeline bound that reads no vertex buffer.
        unsafe { self.scene.gpu.device.cmd_draw(self.commands, 3, 1, 0, 0) };

        let seen = camera.view_projection(ClipDepth::ZeroToOne);
        let solids = choreography::solids(parts, frame);
        self.bind(&pipelines.floor);
        let ground = Solid {
            indices: parts.ground.clone(),
            place: [0.0; 3],
            size: GROUND,
            turn: [0.0, 0.0, 0.0, 1.0],
            color: [1.0; 3],
            rainbow: 0.0,
        };
        self.draw(&seen, camera.eye, 1.0, &ground);
        self.bind(&pipelines.mirrored);
        solids
            .iter()
            .for_each(|solid| self.draw(&seen, camera.eye, -1.0, solid));
        self.bind(&pipelines.solid);
        solids
            .iter()
            .for_each(|solid| self.draw(&seen, camera.eye, 1.0, solid));
    }

    fn bind(&self, pipeline: &Owned<vk::Pipeline>) {
        let (device, point) = (&self.scene.gpu.device, vk::PipelineBindPoint::GRAPHICS);
        // SAFETY: recording; a live graphics pipeline made for this render pass.
        unsafe { device.cmd_bind_pipeline(self.commands, point, pipeline.raw()) };
    }

    /// Pushes vectors of four, from the start of the range.
    fn push(&self, vectors: &[[f32; 4]]) {
        let bytes: Vec<u8> = vectors
            .iter()
            .flatten()
            .flat_map(|f| f.to_ne_bytes())
            .collect();
        debug_assert!(
            bytes.len() <= PUSH_BYTES as usize,
            "the range has {PUSH_BYTES} bytes"
        );
        let stages = vk::ShaderStageFlags::VERTEX | vk::ShaderStageFlags::FRAGMENT;
        let (device, layout) = (&self.scene.gpu.device, self.scene.layout.raw());
        // SAFETY: VUID-vkCmdPushConstants-*: within the layout's one range, for exactly its stages.
        unsafe { device.cmd_push_constants(self.commands, layout, stages, 0, &bytes) };
    }

    fn draw(&self, seen: &Mat4, eye: [f32; 3], mirror: f32, solid: &Solid) {
        let with = |v: [f32; 3], w: f32| [v[0], v[1], v[2], w];
        let [a, b, c, d] = *seen;
        let place = with(solid.place, solid.size);
        let color = with(solid.color, solid.rainbow);
        self.push(&[a, b, c, d, place, solid.turn, color, with(eye, mirror)]);
        let (first, count) = (solid.indices.start, solid.indices.end - solid.indices.start);
        let device = &self.scene.gpu.device;
        // SAFETY: recording inside the pass; pipeline, buffers and push constants are bound, and the
        // range lies in the index buffer, whose indices lie in the vertex buffer (`choreography`).
        unsafe { device.cmd_draw_indexed(self.commands, count, 1, first, 0, 0) };
    }
}
