//! Where wgpu's raw handles are met: with `hooks.rs`, which is another one for each release of wgpu, the only file with
//! unsafe code.
//!
//! The functions that record and that touch semaphores ask of their caller, which is `sync.rs` alone: each command buffer is
//! submitted once, to the device's own queue, or its textures are never used again; images and semaphores live until that
//! submission has finished.

mod hooks;

use std::ffi::CStr;
use std::sync::Arc;
use std::time::Duration;

use lucarne::ash::vk;
use lucarne::vulkan::{self, Image, SignalSemaphore};
use lucarne::{Error, Fence, Requirement, Result};
use wgpu::TextureUses;
use wgpu::hal::api::Vulkan;
use wgpu::hal::{self, vulkan as raw};

use crate::error::{invalid, lost, refused};
use crate::texture::Texture;

pub(crate) use hooks::{Wait, Waits, add_wait, import_fence, remove_signal, remove_wait};

/// The Vulkan device behind a wgpu device.
pub(crate) fn open(device: &wgpu::Device, queue: &wgpu::Queue) -> Result<vulkan::Device> {
    let backend = || other_backend("device", device.adapter_info().backend);
    // SAFETY: wgpu::Device::as_hal: nothing is destroyed by hand.
    let hal = unsafe { device.as_hal::<Vulkan>() }.ok_or_else(backend)?;
    let adapter = wrap_adapter(hal.shared_instance(), hal.raw_physical_device())?;
    // SAFETY: wgpu::Queue::as_hal: as above.
    let given = unsafe { queue.as_hal::<Vulkan>() };
    if given.is_none_or(|given| given.raw_device().handle() != hal.raw_device().handle()) {
        let limit = "the one that came with the device";
        return Err(invalid("queue", "of another device", limit));
    }
    let raw = hal.raw_device().clone();
    // SAFETY: vulkan::Device::from_raw: wgpu made the device of this adapter with these extensions, and the queue of this
    // family; `Inner` keeps wgpu's device, and drops it after what was made of it. Nothing here calls `write` or `read`,
    // which submit.
    unsafe {
        vulkan::Device::from_raw(
            &adapter,
            raw,
            hal.raw_queue(),
            hal.queue_family_index(),
            hal.enabled_device_extensions(),
        )
    }
}

/// The physical device behind an adapter. Not to be kept longer than the adapter.
pub(crate) fn adapter(adapter: &wgpu::Adapter) -> Result<vulkan::Adapter> {
    // SAFETY: wgpu::Adapter::as_hal: nothing is destroyed by hand.
    let hal = unsafe { adapter.as_hal::<Vulkan>() };
    let hal = hal.ok_or_else(|| other_backend("adapter", adapter.get_info().backend))?;
    wrap_adapter(hal.shared_instance(), hal.raw_physical_device())
}

/// Adds the extensions that sharing can use, and this adapter's driver has, to those that a device is created with.
pub(crate) fn add_extensions(
    adapter: &raw::Adapter,
    extensions: &mut Vec<&'static CStr>,
) -> Result<()> {
    let adapter = wrap_adapter(adapter.shared_instance(), adapter.raw_physical_device())?;
    for name in adapter.device_extensions() {
        if !extensions.contains(&name) {
            extensions.push(name);
        }
    }
    Ok(())
}

fn other_backend(field: &'static str, backend: wgpu::Backend) -> Error {
    let limit = "of Vulkan: wgpu::Backends::VULKAN in the InstanceDescriptor leaves no other";
    invalid(field, format!("of {backend:?}"), limit)
}

fn wrap_adapter(
    instance: &raw::InstanceShared,
    physical: vk::PhysicalDevice,
) -> Result<vulkan::Adapter> {
    let functions = instance.raw_instance();
    // SAFETY: vkGetPhysicalDeviceProperties: a physical device of this instance.
    let properties = unsafe { functions.get_physical_device_properties(physical) };
    let version = properties.api_version.min(instance.instance_api_version());
    // Of 1.2 are the timelines with which wgpu counts, and which the CPU can wait for.
    if version < vk::API_VERSION_1_2 {
        let (major, minor) = (
            vk::api_version_major(version),
            vk::api_version_minor(version),
        );
        return Err(Error::Unsupported {
            what: "sharing wgpu's textures".to_owned(),
            missing: vec![Requirement::Version {
                api: "Vulkan",
                at_least: "1.2",
                found: format!("{major}.{minor}"),
            }],
        });
    }
    // SAFETY: vulkan::Adapter::from_raw: of this instance, of version 1.2 or later; wgpu's device or adapter keeps the
    // instance, and is kept by whoever keeps this.
    unsafe { vulkan::Adapter::from_raw(instance.entry(), functions, physical) }
}

/// Opens a device with what sharing can use. The features and limits are the adapter's.
pub(crate) fn request_device(
    adapter: &wgpu::Adapter,
    descriptor: &wgpu::DeviceDescriptor<'_>,
) -> Result<(wgpu::Device, wgpu::Queue)> {
    // SAFETY: wgpu::Adapter::as_hal: nothing is destroyed by hand.
    let hal = unsafe { adapter.as_hal::<Vulkan>() };
    let hal = hal.ok_or_else(|| other_backend("adapter", adapter.get_info().backend))?;
    let mut added = Ok(());
    let add = |arguments: raw::CreateDeviceCallbackArgs<'_, '_, '_>| {
        added = add_extensions(&hal, arguments.extensions);
    };
    // SAFETY: open_with_callback: the callback only adds extensions, which this driver has and which need no features.
    let open = unsafe {
        hal.open_with_callback(
            descriptor.required_features,
            &descriptor.required_limits,
            &descriptor.memory_hints,
            Some(Box::new(add)),
        )
    };
    let open = open.map_err(|error| refused("vkCreateDevice", error, ""))?;
    added?;
    // SAFETY: wgpu::Adapter::create_device_from_hal: opened just now, of this adapter and with these features.
    unsafe { adapter.create_device_from_hal(open, descriptor) }
        .map_err(|error| refused("wgpu::Adapter::create_device_from_hal", error, ""))
}

/// A texture of wgpu's that is `image`, and keeps it until wgpu needs it no more. It is first used when it has been brought into
/// the state `first`.
pub(crate) fn texture(
    (device, queue): (&wgpu::Device, &wgpu::Queue),
    image: &Arc<Image>,
    descriptor: &wgpu::TextureDescriptor<'_>,
    uses: TextureUses,
    first: TextureUses,
) -> Result<wgpu::Texture> {
    let described = hal::TextureDescriptor {
        label: descriptor.label,
        size: descriptor.size,
        mip_level_count: descriptor.mip_level_count,
        sample_count: descriptor.sample_count,
        dimension: descriptor.dimension,
        format: descriptor.format,
        usage: uses,
        memory_flags: hal::MemoryFlags::empty(),
        view_formats: Vec::new(),
    };
    let kept = Arc::clone(image);
    let give_back: hal::DropCallback = Box::new(move || drop(kept));
    let memory = raw::TextureMemory::External;
    // SAFETY: wgpu::Device::as_hal: nothing is destroyed by hand.
    let hal = unsafe { device.as_hal::<Vulkan>() };
    let hal = hal.ok_or_else(|| lost("wgpu::Device::as_hal"))?;
    // SAFETY: texture_from_raw: the image was created as described, of this device, with no view formats; the callback keeps
    // it and its memory until wgpu calls it.
    let made = unsafe { hal.texture_from_raw(image.raw(), &described, Some(give_back), memory) };
    // SAFETY: hooks::texture: of this device, as described. `sync.rs` brings it into this state before anything uses it: until
    // then nobody owns its contents.
    unsafe { hooks::texture((device, queue), made, descriptor, first) }
}

/// Records the barriers that take textures from others.
pub(crate) fn acquire(
    encoder: &mut wgpu::CommandEncoder,
    textures: &[&Texture],
    family: u32,
) -> Result<()> {
    with_commands(encoder, |commands| {
        textures.iter().try_for_each(|texture| {
            // SAFETY: Image::acquire_barrier: wgpu's encoder is recording outside a pass, for its queue's family, which can do
            // all; the rest is this module's contract.
            unsafe {
                texture
                    .image()
                    .acquire_barrier(commands, family, texture.access())
            }
        })
    })
}

/// Records the barriers that give textures to others.
pub(crate) fn release(encoder: &mut wgpu::CommandEncoder, textures: &[&Texture]) -> Result<()> {
    with_commands(encoder, |commands| {
        textures.iter().try_for_each(|texture| {
            // SAFETY: Image::release_barrier: as above; wgpu's tracking has brought the texture into this layout in the command
            // buffer before this one.
            unsafe { texture.image().release_barrier(commands, texture.access()) }
        })
    })
}

fn with_commands(
    encoder: &mut wgpu::CommandEncoder,
    body: impl FnOnce(vk::CommandBuffer) -> Result<()>,
) -> Result<()> {
    let record = |hal: Option<&mut raw::CommandEncoder>| {
        let hal = hal.ok_or_else(|| lost("wgpu::CommandEncoder::as_hal_mut"))?;
        // SAFETY: raw_handle: it is not destroyed by hand.
        let commands = unsafe { hal.raw_handle() };
        body(commands)
    };
    // SAFETY: wgpu::CommandEncoder::as_hal_mut: commands are recorded, and nothing else is done with the encoder meanwhile.
    unsafe { encoder.as_hal_mut::<Vulkan, _, _>(record) }
}

pub(crate) fn signal_semaphore(device: &vulkan::Device) -> Result<SignalSemaphore> {
    // SAFETY: vulkan::Device::signal_semaphore: `open` has seen Vulkan 1.2, whose devices wgpu creates with timelines.
    unsafe { device.signal_semaphore() }
}

/// The fence of a signal.
pub(crate) fn export_fence(semaphore: &mut SignalSemaphore, timeout: Duration) -> Result<Fence> {
    // SAFETY: SignalSemaphore::export: wgpu has submitted the signal, as it is no more among those that are to come.
    unsafe { semaphore.export(timeout) }
}

fn with_queue<T>(queue: &wgpu::Queue, body: impl FnOnce(&raw::Queue) -> T) -> Result<T> {
    // SAFETY: wgpu::Queue::as_hal: nothing is destroyed by hand.
    let hal = unsafe { queue.as_hal::<Vulkan>() };
    let hal = hal.ok_or_else(|| lost("wgpu::Queue::as_hal"))?;
    Ok(body(&hal))
}

/// Makes the next submission signal.
pub(crate) fn add_signal(queue: &wgpu::Queue, semaphore: &SignalSemaphore) -> Result<()> {
    with_queue(queue, |queue| {
        queue.add_signal_semaphore(semaphore.raw(), semaphore.value());
    })
}
