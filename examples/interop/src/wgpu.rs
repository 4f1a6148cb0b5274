//! wgpu 30: a frame of one plane as a texture of wgpu's.

// begin
use std::error::Error;

use lucarne::Frame;
use wgpu::hal::{self, api::Vulkan};
use wgpu::{Device, TextureDescriptor, TextureUses};

/// A texture in the frame's memory. The device needs `Features::VULKAN_EXTERNAL_MEMORY_DMA_BUF`.
///
/// wgpu takes no fence and does no queue-family transfer here: wait for the frame's fence first, and give the frame back
/// after `Device::poll` has seen your submission end.
pub fn texture(
    device: &Device,
    frame: &Frame,
    descriptor: &TextureDescriptor<'_>,
) -> Result<wgpu::Texture, Box<dyn Error>> {
    let layout = frame.layout();
    let modifier = layout.tiling().modifier().ok_or("wgpu needs a modifier")?;
    let planes = frame.dma_buf_planes()?;
    let [plane] = &planes[..] else {
        return Err("wgpu takes dma-bufs of one plane".into());
    };
    let extent = layout.extent();
    let size = [descriptor.size.width, descriptor.size.height];
    if size != [extent.width, extent.height] || descriptor.size.depth_or_array_layers != 1 {
        return Err("the descriptor's size is not the frame's".into());
    }
    let hal_descriptor = hal::TextureDescriptor {
        label: descriptor.label,
        size: descriptor.size,
        mip_level_count: 1,
        sample_count: 1,
        dimension: descriptor.dimension,
        format: descriptor.format,
        usage: TextureUses::RESOURCE,
        memory_flags: hal::MemoryFlags::empty(),
        view_formats: vec![],
    };
    // SAFETY: nothing of it is destroyed here.
    let hal_device = unsafe { device.as_hal::<Vulkan>() }.ok_or("wgpu is not on Vulkan")?;
    let (pitch, offset) = (plane.pitch.into(), plane.offset.into());
    // wgpu takes a descriptor of its own, and closes it when it fails.
    let fd = plane.fd.try_clone_to_owned()?;
    let code = modifier.code();
    // SAFETY: the frame's layout was checked against its dma-buf, and is what the descriptor says.
    let texture =
        unsafe { hal_device.texture_from_dmabuf_fd(fd, &hal_descriptor, code, pitch, offset) }?;
    let state = TextureUses::UNINITIALIZED;
    // SAFETY: made from this device, with this descriptor.
    Ok(unsafe { device.create_texture_from_hal::<Vulkan>(texture, descriptor, state) })
}
// end
