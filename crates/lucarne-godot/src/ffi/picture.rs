//! A texture of Godot's own that frames are copied into.

use std::time::Duration;

use ash::vk;
use ash::vk::Handle;
use godot::builtin::{Array, PackedByteArray};
use godot::classes::rendering_device::{DriverResource, TextureUsageBits};
use godot::classes::{RdTextureFormat, RdTextureView, RenderingDevice};
use godot::obj::NewGd;
use godot::prelude::{Gd, Rid};
use lucarne::vulkan::{Access, Device, Image};
use lucarne::{Extent, Fence, Format};

use crate::convert;

/// A texture that Godot only ever samples: made with contents and for nothing else, so that it stays in the layout for that
/// (`VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL`) and Godot has no barriers for it. Dropping it frees it.
pub(crate) struct Picture {
    godot: Gd<RenderingDevice>,
    rid: Rid,
    raw: vk::Image,
    extent: Extent,
    format: Format,
}

impl Picture {
    /// A black one. It may be copied into once Godot has drawn a frame.
    pub(crate) fn new(
        godot: &Gd<RenderingDevice>,
        extent: Extent,
        format: Format,
    ) -> Result<Self, String> {
        let texture_format = convert::data_format(format)
            .ok_or_else(|| format!("Godot has no texture format for {format}"))?;
        let mut description = RdTextureFormat::new_gd();
        description.set_format(texture_format);
        description.set_width(extent.width);
        description.set_height(extent.height);
        description.set_usage_bits(TextureUsageBits::SAMPLING_BIT);
        if let Some(srgb) = convert::srgb(texture_format) {
            description.add_shareable_format(texture_format);
            description.add_shareable_format(srgb);
        }
        let bytes_each = if format == Format::ABGR16161616F {
            8
        } else {
            4
        };
        let mut black = PackedByteArray::new();
        let pixels = usize::try_from(extent.width)
            .ok()
            .zip(usize::try_from(extent.height).ok())
            .and_then(|(width, height)| width.checked_mul(height)?.checked_mul(bytes_each));
        black.resize(pixels.ok_or_else(|| format!("{extent} is too large"))?);
        let mut contents: Array<PackedByteArray> = Array::new();
        contents.push(&black);
        let mut godot = godot.clone();
        let rid = godot
            .texture_create_ex(&description, &RdTextureView::new_gd())
            .data(&contents)
            .done();
        if rid.is_invalid() {
            return Err(format!("Godot made no texture of {extent} in {format}"));
        }
        let raw = godot.get_driver_resource(DriverResource::TEXTURE, rid, 0);
        let picture = Self {
            godot,
            rid,
            raw: vk::Image::from_raw(raw),
            extent,
            format,
        };
        if raw == 0 {
            return Err("Godot does not tell a texture's VkImage".to_owned());
        }
        Ok(picture)
    }

    pub(crate) fn rid(&self) -> Rid {
        self.rid
    }

    pub(crate) fn fits(&self, extent: Extent, format: Format) -> bool {
        self.extent == extent && self.format == format
    }

    /// Copies a frame into it, as one submission before Godot's next; returns the fence for the frame's way back.
    ///
    /// Call it when `ready` has signalled. It waits where [`Device::read`] does, `timeout` at most each time: on software drivers
    /// for the copy.
    pub(crate) fn copy(
        &self,
        device: &Device,
        image: &Image,
        ready: &Fence,
        timeout: Duration,
    ) -> lucarne::Result<Fence> {
        let layout = image.frame().layout();
        if !self.fits(layout.extent(), layout.format()) {
            return Err(lucarne::Error::Invalid {
                field: "frame",
                got: layout.to_string(),
                limit: format!("of {} in {}", self.extent, self.format),
            });
        }
        device.read(image, ready, timeout, Access::TransferSource, |commands| {
            self.record(device.raw(), commands, image.raw());
        })
    }

    fn record(&self, device: &ash::Device, commands: vk::CommandBuffer, frame: vk::Image) {
        let sampled = (
            vk::ImageLayout::SHADER_READ_ONLY_OPTIMAL,
            vk::AccessFlags::SHADER_READ,
        );
        let written = (
            vk::ImageLayout::TRANSFER_DST_OPTIMAL,
            vk::AccessFlags::TRANSFER_WRITE,
        );
        self.barrier(device, commands, sampled, written);
        let layers = vk::ImageSubresourceLayers::default()
            .aspect_mask(vk::ImageAspectFlags::COLOR)
            .layer_count(1);
        let region = vk::ImageCopy::default()
            .src_subresource(layers)
            .dst_subresource(layers)
            .extent(vk::Extent3D {
                width: self.extent.width,
                height: self.extent.height,
                depth: 1,
            });
        // SAFETY: vkCmdCopyImage: recording outside a render pass. The frame is in the layout of `Access::TransferSource`, the
        // texture in that of the barrier above; `copy` has compared size and format.
        unsafe {
            device.cmd_copy_image(
                commands,
                frame,
                vk::ImageLayout::TRANSFER_SRC_OPTIMAL,
                self.raw,
                vk::ImageLayout::TRANSFER_DST_OPTIMAL,
                &[region],
            );
        }
        self.barrier(device, commands, written, sampled);
    }

    fn barrier(
        &self,
        device: &ash::Device,
        commands: vk::CommandBuffer,
        from: (vk::ImageLayout, vk::AccessFlags),
        to: (vk::ImageLayout, vk::AccessFlags),
    ) {
        let whole = vk::ImageSubresourceRange::default()
            .aspect_mask(vk::ImageAspectFlags::COLOR)
            .level_count(1)
            .layer_count(1);
        let barrier = vk::ImageMemoryBarrier::default()
            .old_layout(from.0)
            .src_access_mask(from.1)
            .new_layout(to.0)
            .dst_access_mask(to.1)
            .src_queue_family_index(vk::QUEUE_FAMILY_IGNORED)
            .dst_queue_family_index(vk::QUEUE_FAMILY_IGNORED)
            .image(self.raw)
            .subresource_range(whole);
        // Godot's draws of frames before and after are among all commands.
        let all = vk::PipelineStageFlags::ALL_COMMANDS;
        let none = vk::DependencyFlags::empty();
        // SAFETY: vkCmdPipelineBarrier: recording outside a render pass; the texture lives until `drop`, and Godot destroys it
        // only after the frames that are under way.
        unsafe { device.cmd_pipeline_barrier(commands, all, all, none, &[], &[], &[barrier]) };
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        self.godot.free_rid(self.rid);
    }
}
