//! Pictures into textures and out of them, texel by texel, through a shader of wgpu's.

use std::sync::mpsc;

use lucarne_wgpu::lucarne::Extent;
use wgpu::util::DeviceExt as _;
use wgpu::{CommandBuffer, Device, Queue, Texture, TextureFormat, TextureUsages};

/// What a texel is read as, and in which any format's values are exact.
const EXACT: TextureFormat = TextureFormat::Rgba32Float;
const EXACT_BYTES: u32 = 16;

/// A pipeline that copies texels into textures of one format.
pub(crate) struct Painter {
    device: Device,
    queue: Queue,
    pipeline: wgpu::RenderPipeline,
}

impl Painter {
    pub(crate) fn new(device: &lucarne_wgpu::Device, target: TextureFormat) -> Self {
        let queue = device.queue().clone();
        let device = device.wgpu().clone();
        let module = device.create_shader_module(wgpu::include_wgsl!("paint.wgsl"));
        let options = wgpu::PipelineCompilationOptions::default();
        let pipeline = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: None,
            layout: None,
            vertex: wgpu::VertexState {
                module: &module,
                entry_point: None,
                compilation_options: options.clone(),
                buffers: &[],
            },
            primitive: wgpu::PrimitiveState::default(),
            depth_stencil: None,
            multisample: wgpu::MultisampleState::default(),
            fragment: Some(wgpu::FragmentState {
                module: &module,
                entry_point: None,
                compilation_options: options,
                targets: &[Some(target.into())],
            }),
            multiview_mask: None,
            cache: None,
        });
        Self {
            device,
            queue,
            pipeline,
        }
    }

    /// Commands that draw `source` over all of `target`.
    pub(crate) fn copy(&self, source: &Texture, target: &Texture) -> CommandBuffer {
        let bound = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &self.pipeline.get_bind_group_layout(0),
            entries: &[wgpu::BindGroupEntry {
                binding: 0,
                resource: wgpu::BindingResource::TextureView(
                    &source.create_view(&Default::default()),
                ),
            }],
        });
        let view = target.create_view(&Default::default());
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view: &view,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations {
                    load: wgpu::LoadOp::Clear(wgpu::Color::BLACK),
                    store: wgpu::StoreOp::Store,
                },
            })],
            ..Default::default()
        });
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &bound, &[]);
        pass.draw(0..3, 0..1);
        drop(pass);
        encoder.finish()
    }

    /// Commands that draw these texels over all of `target`.
    pub(crate) fn draw(&self, texels: &[[f32; 4]], target: &Texture) -> CommandBuffer {
        let descriptor = self.descriptor(target.size(), TextureUsages::TEXTURE_BINDING);
        let bytes: Vec<u8> = texels
            .iter()
            .flatten()
            .flat_map(|one| one.to_le_bytes())
            .collect();
        let order = wgpu::util::TextureDataOrder::LayerMajor;
        let source = self
            .device
            .create_texture_with_data(&self.queue, &descriptor, order, &bytes);
        self.copy(&source, target)
    }

    /// A texture to copy into that holds any format's values, when `self` draws into such.
    pub(crate) fn exact(&self, extent: Extent) -> Texture {
        let usage = TextureUsages::RENDER_ATTACHMENT | TextureUsages::COPY_SRC;
        let size = wgpu::Extent3d {
            width: extent.width,
            height: extent.height,
            depth_or_array_layers: 1,
        };
        self.device.create_texture(&self.descriptor(size, usage))
    }

    fn descriptor(
        &self,
        size: wgpu::Extent3d,
        usage: TextureUsages,
    ) -> wgpu::TextureDescriptor<'static> {
        wgpu::TextureDescriptor {
            label: None,
            size,
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: EXACT,
            usage,
            view_formats: &[],
        }
    }

    /// What such a texture holds.
    pub(crate) fn read(&self, exact: &Texture) -> Vec<[f32; 4]> {
        let bytes = read_back(&self.device, &self.queue, exact, EXACT_BYTES);
        let float = |four: &[u8]| f32::from_le_bytes(four.try_into().expect("four"));
        let texel = |bytes: &[u8]| {
            let mut four = bytes.chunks_exact(4).map(float);
            [(); 4].map(|()| four.next().expect("sixteen bytes"))
        };
        bytes.chunks_exact(16).map(texel).collect()
    }
}

/// A painter whose target is [`Painter::exact`].
pub(crate) fn reader(device: &lucarne_wgpu::Device) -> Painter {
    Painter::new(device, EXACT)
}

/// The bytes of a texture, rows without padding: the way in which pixels leave wgpu without Lucarne.
pub(crate) fn read_back(device: &Device, queue: &Queue, texture: &Texture, texel: u32) -> Vec<u8> {
    let size = texture.size();
    let row = size.width * texel;
    let pitch = row.next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT);
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: u64::from(pitch) * u64::from(size.height),
        usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
        mapped_at_creation: false,
    });
    let mut encoder = device.create_command_encoder(&Default::default());
    encoder.copy_texture_to_buffer(
        texture.as_image_copy(),
        wgpu::TexelCopyBufferInfo {
            buffer: &buffer,
            layout: wgpu::TexelCopyBufferLayout {
                offset: 0,
                bytes_per_row: Some(pitch),
                rows_per_image: None,
            },
        },
        size,
    );
    queue.submit([encoder.finish()]);
    let (send, mapped) = mpsc::channel();
    buffer.map_async(wgpu::MapMode::Read, .., move |result| {
        send.send(result).expect("somebody waits");
    });
    device
        .poll(wgpu::PollType::wait_indefinitely())
        .expect("an end");
    mapped.recv().expect("an answer").expect("mapped");
    let view = buffer.get_mapped_range(..).bytes();
    let rows = view.chunks_exact(pitch as usize);
    rows.flat_map(|whole| &whole[..row as usize])
        .copied()
        .collect()
}

/// What a mapped buffer gives: wgpu 29 the bytes, later ones a result with them.
trait Mapped {
    fn bytes(self) -> wgpu::BufferView;
}

impl Mapped for wgpu::BufferView {
    fn bytes(self) -> wgpu::BufferView {
        self
    }
}

impl<E: std::fmt::Debug> Mapped for Result<wgpu::BufferView, E> {
    fn bytes(self) -> wgpu::BufferView {
        self.expect("mapped")
    }
}
