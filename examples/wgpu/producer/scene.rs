//! A ring of lit cubes, drawn by wgpu into whatever texture it is given.

use std::cell::RefCell;

use wgpu::{BindGroup, Buffer, CommandBuffer, Device, Queue, RenderPipeline, TextureFormat};

const DEPTH: TextureFormat = TextureFormat::Depth32Float;
const CUBES: u32 = 24;
const CORNERS: u32 = 36;
/// A whole turn takes this many frames.
const PERIOD: u64 = 600;
const NIGHT: wgpu::Color = wgpu::Color {
    r: 0.02,
    g: 0.03,
    b: 0.08,
    a: 1.0,
};

/// Pipelines for one format; frames may be of any size.
pub(crate) struct Scene {
    device: Device,
    format: TextureFormat,
    pipeline: RenderPipeline,
    bound: BindGroup,
    moment: Buffer,
    depth: RefCell<Option<wgpu::Texture>>,
}

impl Scene {
    pub(crate) fn new(device: &Device, format: TextureFormat) -> Self {
        let moment = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("moment"),
            size: 16,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let pipeline = pipeline(device, format);
        let bound = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &[wgpu::BindGroupEntry {
                binding: 0,
                resource: moment.as_entire_binding(),
            }],
        });
        Self {
            device: device.clone(),
            format,
            pipeline,
            bound,
            moment,
            depth: RefCell::default(),
        }
    }

    /// Of the textures that it draws into.
    pub(crate) fn format(&self) -> TextureFormat {
        self.format
    }

    /// Commands that draw the scene as it is at frame `number`.
    #[expect(clippy::cast_precision_loss, reason = "small numbers, for a picture")]
    pub(crate) fn draw(&self, queue: &Queue, target: &wgpu::Texture, number: u64) -> CommandBuffer {
        let angle = (number % PERIOD) as f32 / PERIOD as f32 * std::f32::consts::TAU;
        let aspect = target.width() as f32 / target.height() as f32;
        let bytes: Vec<u8> = [angle, aspect, 0.0, 0.0]
            .iter()
            .flat_map(|one| one.to_le_bytes())
            .collect();
        queue.write_buffer(&self.moment, 0, &bytes);

        let depth = self.depth(target.size());
        let [view, depth] = [target, &depth].map(|one| one.create_view(&Default::default()));
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            label: Some("scene"),
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view: &view,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations {
                    load: wgpu::LoadOp::Clear(NIGHT),
                    store: wgpu::StoreOp::Store,
                },
            })],
            depth_stencil_attachment: Some(wgpu::RenderPassDepthStencilAttachment {
                view: &depth,
                depth_ops: Some(wgpu::Operations {
                    load: wgpu::LoadOp::Clear(1.0),
                    store: wgpu::StoreOp::Discard,
                }),
                stencil_ops: None,
            }),
            ..Default::default()
        });
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bound, &[]);
        pass.draw(0..CORNERS, 0..CUBES);
        drop(pass);
        encoder.finish()
    }

    /// A depth buffer of this size, the last one where it fits.
    fn depth(&self, size: wgpu::Extent3d) -> wgpu::Texture {
        let mut depth = self.depth.borrow_mut();
        if let Some(known) = depth.as_ref().filter(|known| known.size() == size) {
            return known.clone();
        }
        let made = self.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("depth"),
            size,
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: DEPTH,
            usage: wgpu::TextureUsages::RENDER_ATTACHMENT,
            view_formats: &[],
        });
        depth.insert(made).clone()
    }
}

fn pipeline(device: &Device, format: TextureFormat) -> RenderPipeline {
    let module = device.create_shader_module(wgpu::include_wgsl!("scene.wgsl"));
    let options = wgpu::PipelineCompilationOptions::default();
    device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
        label: Some("scene"),
        layout: None,
        vertex: wgpu::VertexState {
            module: &module,
            entry_point: None,
            compilation_options: options.clone(),
            buffers: &[],
        },
        primitive: wgpu::PrimitiveState::default(),
        depth_stencil: Some(wgpu::DepthStencilState {
            format: DEPTH,
            depth_write_enabled: Some(true),
            depth_compare: Some(wgpu::CompareFunction::Less),
            stencil: wgpu::StencilState::default(),
            bias: wgpu::DepthBiasState::default(),
        }),
        multisample: wgpu::MultisampleState::default(),
        fragment: Some(wgpu::FragmentState {
            module: &module,
            entry_point: None,
            compilation_options: options,
            targets: &[Some(format.into())],
        }),
        multiview_mask: None,
        cache: None,
    })
}
