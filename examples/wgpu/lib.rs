//! What the wgpu examples share: a device, and pictures of chosen frames.

use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};

use lucarne_examples::picture::Picture;
use lucarne_examples::stream::{Result, TIMEOUT};
use lucarne_wgpu::{Device, Texture};

/// An instance of wgpu that draws with Vulkan; a window's system is needed only where there is a window.
pub fn instance(display: Option<winit::event_loop::OwnedDisplayHandle>) -> wgpu::Instance {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    if let Some(display) = display {
        descriptor = wgpu::InstanceDescriptor::new_with_display_handle(Box::new(display));
    }
    // The only backend whose memory Lucarne can share.
    descriptor.backends = wgpu::Backends::VULKAN;
    wgpu::Instance::new(descriptor)
}

/// A device of the first adapter whose name contains `wanted`, and that can show `surface` where there is one, with all that
/// sharing can use.
///
/// # Errors
///
/// If there is none, or the driver refuses.
pub fn open(
    instance: &wgpu::Instance,
    surface: Option<&wgpu::Surface<'_>>,
    wanted: Option<&str>,
) -> Result<(wgpu::Adapter, Device)> {
    let part = wanted.unwrap_or_default().to_lowercase();
    let adapters = now(instance.enumerate_adapters(wgpu::Backends::VULKAN))?;
    let fits = |adapter: &wgpu::Adapter| {
        let named = adapter.get_info().name.to_lowercase().contains(&part);
        named && surface.is_none_or(|surface| adapter.is_surface_supported(surface))
    };
    let adapter = adapters.into_iter().find(fits);
    let adapter = adapter.ok_or("no Vulkan device of this name, for this window")?;
    let descriptor = wgpu::DeviceDescriptor {
        required_limits: adapter.limits(),
        ..Default::default()
    };
    let (device, queue) = lucarne_wgpu::request_device(&adapter, &descriptor)?;
    let device = Device::wrap(&device, &queue)?;
    Ok((adapter, device))
}

/// The result of a future of wgpu's: outside browsers it is ready at once.
fn now<T>(future: impl Future<Output = T>) -> Result<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Ok(value),
        Poll::Pending => Err("wgpu would wait".into()),
    }
}

/// Waits until the device has done everything that was submitted to it.
///
/// # Errors
///
/// If it takes too long.
pub fn finish(device: &Device) -> Result<()> {
    device.wgpu().poll(wgpu::PollType::Wait {
        submission_index: None,
        timeout: Some(TIMEOUT),
    })?;
    Ok(())
}

/// A copy of a frame's bytes, on its way into memory of the CPU's: for pictures only.
#[derive(Debug)]
pub struct Snapshot {
    buffer: wgpu::Buffer,
    /// A row's bytes without and with padding.
    row: u32,
    pitch: u32,
}

impl Snapshot {
    /// Commands that copy a texture which was made for `COPY_SRC`, for the turn in which it is drawn or read.
    pub fn record(device: &Device, texture: &Texture) -> (wgpu::CommandBuffer, Self) {
        let texture = texture.texture();
        let (size, format) = (texture.size(), texture.format());
        let row = size.width * format.block_copy_size(None).unwrap_or_default();
        let pitch = row.next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT);
        let buffer = device.wgpu().create_buffer(&wgpu::BufferDescriptor {
            label: Some("snapshot"),
            size: u64::from(pitch) * u64::from(size.height),
            usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
            mapped_at_creation: false,
        });
        let mut encoder = device.wgpu().create_command_encoder(&Default::default());
        let layout = wgpu::TexelCopyBufferLayout {
            offset: 0,
            bytes_per_row: Some(pitch),
            rows_per_image: None,
        };
        let target = wgpu::TexelCopyBufferInfo {
            buffer: &buffer,
            layout,
        };
        encoder.copy_texture_to_buffer(texture.as_image_copy(), target, size);
        (encoder.finish(), Self { buffer, row, pitch })
    }

    /// The copied bytes, rows without padding, once the turn has been submitted. Waits for it.
    ///
    /// # Errors
    ///
    /// If wgpu cannot map the copy.
    pub fn bytes(self, device: &Device) -> Result<Vec<u8>> {
        let (send, mapped) = mpsc::channel();
        self.buffer
            .map_async(wgpu::MapMode::Read, .., move |result| {
                // Nobody waits any more where the poll has failed.
                let _ = send.send(result);
            });
        finish(device)?;
        mapped.recv()??;
        let view = self.buffer.get_mapped_range(..)?;
        let rows = view.chunks_exact(self.pitch as usize);
        Ok(rows
            .flat_map(|padded| &padded[..self.row as usize])
            .copied()
            .collect())
    }

    /// The same as a picture.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::bytes`].
    pub fn picture(self, device: &Device, texture: &Texture) -> Result<Picture> {
        let bytes = self.bytes(device)?;
        let layout = texture.frame().layout();
        Ok(Picture::from_frame(
            layout.extent(),
            layout.format(),
            bytes,
        )?)
    }
}
