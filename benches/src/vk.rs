//! What is drawn, and into what: the same for every variant.
//!
//! A frame is cleared once. After that each one gets a square that moves, and its number in two corners, all three copied from
//! a small buffer: so little that the hand-off is not drowned in a software driver's drawing.

#![expect(unsafe_code, reason = "calls Vulkan")]

use std::cell::Cell;
use std::rc::Rc;

use ash::vk;
use lucarne::Extent;
use lucarne::vulkan::{Adapter, Device, Instance, InstanceOptions};

use crate::Result;
use crate::stamp::Stamp;

/// Longer than any driver takes for one frame, and than a program takes to start in callgrind on a busy machine.
pub(crate) const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);
/// A side of the square that moves.
const SQUARE: u32 = 32;
/// A side of a stamp, in whose middle it is read.
pub(crate) const CORNER: u32 = 8;
const SQUARE_BYTES: u64 = 4 * (SQUARE * SQUARE) as u64;
const CORNER_PIXELS: usize = (CORNER * CORNER) as usize;
/// The smallest frame: the corners, and room for the square to move between them.
pub(crate) const SMALLEST: u32 = 64;

/// A Vulkan device. Both ways of drawing use the same one, opened by Lucarne: nothing of that is measured.
#[derive(Debug)]
pub(crate) struct Vulkan {
    // Dropped in this order.
    pub(crate) device: Device,
    adapter: Adapter,
    memory: vk::PhysicalDeviceMemoryProperties,
    instance: Instance,
}

impl Vulkan {
    pub(crate) fn open() -> Result<Rc<Self>> {
        let options = InstanceOptions {
            application: "lucarne bench".into(),
            validation: false,
        };
        let instance = Instance::new(&options)?;
        let adapters = instance.adapters()?;
        let adapter = adapters.first().ok_or("there is no Vulkan device")?.clone();
        let device = adapter.open()?;
        let raw = instance.raw();
        // SAFETY: vkGetPhysicalDeviceMemoryProperties: a physical device of this instance.
        let memory = unsafe { raw.get_physical_device_memory_properties(adapter.raw()) };
        Ok(Rc::new(Self {
            device,
            adapter,
            memory,
            instance,
        }))
    }

    /// The device and its driver, as they call themselves.
    pub(crate) fn title(&self) -> String {
        format!("{}, {}", self.adapter.name(), self.adapter.driver())
    }

    pub(crate) fn raw(&self) -> &ash::Device {
        self.device.raw()
    }

    pub(crate) fn instance(&self) -> &ash::Instance {
        self.instance.raw()
    }

    /// The first memory type out of `bits` that has `wanted`.
    pub(crate) fn memory_type(&self, bits: u32, wanted: vk::MemoryPropertyFlags) -> Result<u32> {
        let types = (0..self.memory.memory_type_count).zip(&self.memory.memory_types);
        types
            .filter(|(index, _)| bits >> index & 1 == 1)
            .find(|(_, kind)| kind.property_flags.contains(wanted))
            .map(|(index, _)| index)
            .ok_or_else(|| "no memory type does".into())
    }
}

/// A buffer that the CPU can read and write, mapped as long as it lives.
#[derive(Debug)]
pub(crate) struct HostBuffer {
    pub(crate) raw: vk::Buffer,
    memory: vk::DeviceMemory,
    pub(crate) address: *mut u8,
    vulkan: Rc<Vulkan>,
}

impl HostBuffer {
    pub(crate) fn new(vulkan: &Rc<Vulkan>, size: u64, usage: vk::BufferUsageFlags) -> Result<Self> {
        let device = vulkan.raw();
        let info = vk::BufferCreateInfo::default().size(size).usage(usage);
        // SAFETY: VUID-VkBufferCreateInfo-size-00912: not empty; exclusive sharing.
        let raw = unsafe { device.create_buffer(&info, None) }?;
        // SAFETY: vkGetBufferMemoryRequirements: a live buffer of this device.
        let needs = unsafe { device.get_buffer_memory_requirements(raw) };
        let wanted = vk::MemoryPropertyFlags::HOST_VISIBLE | vk::MemoryPropertyFlags::HOST_COHERENT;
        let info = vk::MemoryAllocateInfo::default()
            .allocation_size(needs.size)
            .memory_type_index(vulkan.memory_type(needs.memory_type_bits, wanted)?);
        // SAFETY: VUID-vkAllocateMemory-pAllocateInfo-01714: one of the device's memory types.
        let memory = unsafe { device.allocate_memory(&info, None) }?;
        // SAFETY: VUID-vkBindBufferMemory-*: a fresh buffer, memory of its own requirements, offset 0.
        unsafe { device.bind_buffer_memory(raw, memory, 0) }?;
        let flags = vk::MemoryMapFlags::empty();
        // SAFETY: VUID-vkMapMemory-memory-00682: host-visible, not mapped yet.
        let address = unsafe { device.map_memory(memory, 0, vk::WHOLE_SIZE, flags) }?;
        Ok(Self {
            raw,
            memory,
            address: address.cast(),
            vulkan: Rc::clone(vulkan),
        })
    }

    /// Copies `bytes` to `offset`, which lies within the buffer; no submitted work uses them.
    fn write(&self, offset: u64, bytes: &[u8]) {
        let offset = usize::try_from(offset).unwrap_or_default();
        // SAFETY: pointer::add: the callers' offsets lie within the size that the buffer was made with.
        let to = unsafe { self.address.add(offset) };
        // SAFETY: ptr::copy_nonoverlapping: as many bytes are mapped from there on, and nobody else looks at them.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }
}

impl Drop for HostBuffer {
    fn drop(&mut self) {
        let device = self.vulkan.raw();
        // SAFETY: vkDeviceWaitIdle: nobody else uses the queue, which belongs to this thread. A device that is lost ends its
        // work too.
        let _ = unsafe { device.device_wait_idle() };
        // SAFETY: vkDestroyBuffer: created on this device, destroyed once, and idle.
        unsafe { device.destroy_buffer(self.raw, None) };
        // SAFETY: vkFreeMemory: as above; nothing is bound to it any more.
        unsafe { device.free_memory(self.memory, None) };
    }
}

/// What draws into one image.
#[derive(Debug)]
pub(crate) struct Marks {
    buffer: HostBuffer,
    extent: Extent,
    cleared: Cell<bool>,
}

impl Marks {
    pub(crate) fn new(vulkan: &Rc<Vulkan>, extent: Extent) -> Result<Self> {
        let size = SQUARE_BYTES + 4 * CORNER_PIXELS as u64;
        let buffer = HostBuffer::new(vulkan, size, vk::BufferUsageFlags::TRANSFER_SRC)?;
        let shade = |at: u32| (8 * at).to_le_bytes()[0];
        let square: Vec<u8> = (0..SQUARE * SQUARE)
            .flat_map(|at| [shade(at % SQUARE), shade(at / SQUARE), 128, 255])
            .collect();
        buffer.write(0, &square);
        Ok(Self {
            buffer,
            extent,
            cleared: Cell::new(false),
        })
    }

    /// Records the drawing of one frame into `image`, which is in `TRANSFER_DST_OPTIMAL` and stays there. The image's last turn
    /// is over, `commands` are recording outside a render pass. Callgrind leaves it out by its name.
    #[inline(never)]
    pub(crate) fn record(
        &self,
        device: &ash::Device,
        commands: vk::CommandBuffer,
        image: vk::Image,
        stamp: Stamp,
    ) {
        if !self.cleared.replace(true) {
            clear(device, commands, image);
        }
        let mut corner = [0; 4 * CORNER_PIXELS];
        for pixel in corner.chunks_exact_mut(4) {
            pixel.copy_from_slice(&stamp.pixel());
        }
        self.buffer.write(SQUARE_BYTES, &corner);
        let Extent { width, height } = self.extent;
        let x = CORNER + stamp.count * 5 % (width - SQUARE - 2 * CORNER + 1);
        let y = CORNER + stamp.count * 3 % (height - SQUARE - 2 * CORNER + 1);
        let regions = [
            region(SQUARE_BYTES, (0, 0), CORNER),
            region(0, (x, y), SQUARE),
            region(SQUARE_BYTES, (width - CORNER, height - CORNER), CORNER),
        ];
        let layout = vk::ImageLayout::TRANSFER_DST_OPTIMAL;
        // SAFETY: vkCmdCopyBufferToImage (VUID-vkCmdCopyBufferToImage-*): the image is in this layout by this function's
        // contract; every region lies within the image, and its pixels within the buffer.
        unsafe {
            device.cmd_copy_buffer_to_image(commands, self.buffer.raw, image, layout, &regions)
        };
    }
}

fn region(offset: u64, (x, y): (u32, u32), side: u32) -> vk::BufferImageCopy {
    vk::BufferImageCopy::default()
        .buffer_offset(offset)
        .image_subresource(layers())
        .image_offset(vk::Offset3D {
            x: x.cast_signed(),
            y: y.cast_signed(),
            z: 0,
        })
        .image_extent(vk::Extent3D {
            width: side,
            height: side,
            depth: 1,
        })
}

/// The only layer of a colour image.
pub(crate) fn layers() -> vk::ImageSubresourceLayers {
    vk::ImageSubresourceLayers::default()
        .aspect_mask(vk::ImageAspectFlags::COLOR)
        .layer_count(1)
}

/// All of a colour image.
pub(crate) fn whole() -> vk::ImageSubresourceRange {
    vk::ImageSubresourceRange::default()
        .aspect_mask(vk::ImageAspectFlags::COLOR)
        .level_count(1)
        .layer_count(1)
}

fn clear(device: &ash::Device, commands: vk::CommandBuffer, image: vk::Image) {
    let layout = vk::ImageLayout::TRANSFER_DST_OPTIMAL;
    let color = vk::ClearColorValue {
        float32: [0.1, 0.2, 0.3, 1.0],
    };
    // SAFETY: vkCmdClearColorImage: a colour image in this layout, by the contract of `Marks::record`.
    unsafe { device.cmd_clear_color_image(commands, image, layout, &color, &[whole()]) };
    let write = vk::AccessFlags::TRANSFER_WRITE;
    let barrier = vk::MemoryBarrier::default()
        .src_access_mask(write)
        .dst_access_mask(write);
    let stage = vk::PipelineStageFlags::TRANSFER;
    let flags = vk::DependencyFlags::empty();
    // SAFETY: vkCmdPipelineBarrier: recording outside a render pass; the accesses belong to the stage.
    unsafe { device.cmd_pipeline_barrier(commands, stage, stage, flags, &[barrier], &[], &[]) };
}
