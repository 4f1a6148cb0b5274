//! An open Vulkan device, the caller's or Lucarne's.

use std::ffi::CStr;
use std::sync::{Arc, Mutex};

use ash::vk;

use super::inner::{Adapter, AdapterInner, DeviceInner};
use super::{failed, support};
use crate::error::{Error, Requirement, Result};
use crate::quirks::{self, Active};

/// A `VkDevice` and one of its queues. Cloning shares it; images keep it alive.
///
/// ```no_run
/// # use lucarne::{Usage, vulkan::{Instance, InstanceOptions}};
/// # fn f() -> Result<(), Box<dyn std::error::Error>> {
/// // For those who have none: your own goes to `Device::from_raw`.
/// let instance = Instance::new(&InstanceOptions::default())?;
/// let adapters = instance.adapters()?;
/// let device = adapters.first().ok_or("no Vulkan device")?.open()?;
/// let offer = device.offer(Usage::RENDER)?;
/// println!("{}: fences as sync_files: {:?}", offer.name, offer.fences.export);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Device {
    inner: Arc<DeviceInner>,
}

impl Adapter {
    /// Creates a device with one graphics queue and every extension that sharing can use.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] without a graphics queue, [`Error::Driver`] when creation fails.
    pub fn open(&self) -> Result<Device> {
        Device::create(self)
    }
}

impl Device {
    /// Wraps the caller's device.
    ///
    /// `enabled` are the extensions it was created with; [`Adapter::device_extensions`] says which to enable. Any of
    /// them may be missing: [`Device::offer`] then says which paths are lost, and why. Where an engine created the device and
    /// does not tell, [`Adapter::enabled_extensions`] asks Lucarne's Vulkan layer.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a queue family the device does not have, or one without graphics or compute.
    ///
    /// # Safety
    ///
    /// `device` must come from `adapter`, must have been created with exactly the extensions `enabled`, and `queue`
    /// must be one of its queues, of family `queue_family`. Both must stay alive until the returned value and every
    /// image made of it is dropped. While a call of this crate submits ([`Device::write`]), nobody else may use the queue.
    pub unsafe fn from_raw(
        adapter: &Adapter,
        device: ash::Device,
        queue: vk::Queue,
        queue_family: u32,
        enabled: &[&CStr],
    ) -> Result<Self> {
        let families = queue_families(adapter.inner());
        let known = usize::try_from(queue_family)
            .ok()
            .and_then(|index| families.get(index));
        let useful = vk::QueueFlags::GRAPHICS | vk::QueueFlags::COMPUTE;
        if known.is_none_or(|family| !family.queue_flags.intersects(useful)) {
            return Err(Error::invalid(
                "queue_family",
                queue_family,
                format!(
                    "one of the {} families of {} with graphics or compute",
                    families.len(),
                    adapter.name()
                ),
            ));
        }
        Ok(Self::wrap(
            adapter,
            device,
            queue,
            queue_family,
            enabled,
            false,
        ))
    }

    fn create(adapter: &Adapter) -> Result<Self> {
        let inner = adapter.inner();
        let family = queue_families(inner)
            .iter()
            .position(|family| family.queue_flags.contains(vk::QueueFlags::GRAPHICS))
            .and_then(|index| u32::try_from(index).ok())
            .ok_or_else(|| {
                Error::unsupported(
                    format!("rendering on {}", adapter.name()),
                    vec![Requirement::QueueFamily { kind: "graphics" }],
                )
            })?;
        let mut names = adapter.device_extensions();
        let features = adapter.device_features();
        if features.timeline_semaphore {
            names.push(ash::khr::timeline_semaphore::NAME);
        }
        let pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
        let queues = [vk::DeviceQueueCreateInfo::default()
            .queue_family_index(family)
            .queue_priorities(&[1.0])];
        let mut ycbcr = vk::PhysicalDeviceSamplerYcbcrConversionFeatures::default()
            .sampler_ycbcr_conversion(features.sampler_ycbcr_conversion);
        let create = vk::DeviceCreateInfo::default()
            .queue_create_infos(&queues)
            .enabled_extension_names(&pointers)
            .push_next(&mut ycbcr);
        let mut timeline =
            vk::PhysicalDeviceTimelineSemaphoreFeatures::default().timeline_semaphore(true);
        let create = if features.timeline_semaphore {
            create.push_next(&mut timeline)
        } else {
            create
        };
        // SAFETY: vkCreateDevice: the family exists, the driver lists every extension, all pointers are locals.
        let device = unsafe { inner.instance.create_device(inner.physical, &create, None) }
            .map_err(failed("vkCreateDevice"))?;
        // SAFETY: vkGetDeviceQueue: the device was created with queue 0 of this family.
        let queue = unsafe { device.get_device_queue(family, 0) };
        Ok(Self::wrap(adapter, device, queue, family, &names, true))
    }

    fn wrap(
        adapter: &Adapter,
        device: ash::Device,
        queue: vk::Queue,
        queue_family: u32,
        enabled: &[&CStr],
        owned: bool,
    ) -> Self {
        let instance = &adapter.inner().instance;
        let quirks = &adapter.inner().quirks;
        let on = |name: &CStr| enabled.contains(&name);
        let inner = DeviceInner {
            memory_fd: on(ash::khr::external_memory_fd::NAME)
                .then(|| ash::khr::external_memory_fd::Device::new(instance, &device)),
            semaphore_fd: on(ash::khr::external_semaphore_fd::NAME)
                .then(|| ash::khr::external_semaphore_fd::Device::new(instance, &device)),
            fence_fd: on(ash::khr::external_fence_fd::NAME)
                .then(|| ash::khr::external_fence_fd::Device::new(instance, &device)),
            modifier: on(ash::ext::image_drm_format_modifier::NAME)
                .then(|| ash::ext::image_drm_format_modifier::Device::new(instance, &device)),
            memory_host: on(ash::ext::external_memory_host::NAME)
                .then(|| ash::ext::external_memory_host::Device::new(instance, &device)),
            queue_families: u32::try_from(queue_families(adapter.inner()).len())
                .unwrap_or(u32::MAX),
            fences: support::fences_of_turns(adapter.inner(), &on),
            cpu_fences: support::waits_on_cpu(adapter.inner()),
            waits_for_ever: quirks.has(&quirks::SOFTWARE_WAITS_FOR_EVER),
            enabled: enabled.iter().map(|name| (*name).to_owned()).collect(),
            adapter: adapter.clone(),
            device,
            queue,
            submitting: Mutex::new(()),
            queue_family,
            owned,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The device's functions. Lucarne's own device must not be destroyed by the caller.
    pub fn raw(&self) -> &ash::Device {
        &self.inner.device
    }

    /// The queue that [`Device::write`] submits to.
    pub fn queue(&self) -> vk::Queue {
        self.inner.queue
    }

    /// The queue's family.
    pub fn queue_family(&self) -> u32 {
        self.inner.queue_family
    }

    /// The adapter it was opened from.
    pub fn adapter(&self) -> &Adapter {
        &self.inner.adapter
    }

    /// The driver faults that are worked around on this device, and why each.
    pub fn quirks(&self) -> &[Active] {
        self.inner.adapter.quirks()
    }

    pub(super) fn inner(&self) -> &Arc<DeviceInner> {
        &self.inner
    }

    /// Unless it is shared.
    pub(super) fn inner_mut(&mut self) -> Option<&mut DeviceInner> {
        Arc::get_mut(&mut self.inner)
    }

    pub(super) fn of_inner(inner: &Arc<DeviceInner>) -> Self {
        Self {
            inner: Arc::clone(inner),
        }
    }
}

/// What the device's queue can do.
pub(super) fn queue_flags(device: &DeviceInner) -> vk::QueueFlags {
    let families = queue_families(device.adapter.inner());
    let known = usize::try_from(device.queue_family).ok();
    let family = known.and_then(|index| families.get(index));
    family.map_or(vk::QueueFlags::empty(), |family| family.queue_flags)
}

fn queue_families(adapter: &AdapterInner) -> Vec<vk::QueueFamilyProperties> {
    // SAFETY: vkGetPhysicalDeviceQueueFamilyProperties needs a valid physical device.
    unsafe {
        adapter
            .instance
            .get_physical_device_queue_family_properties(adapter.physical)
    }
}
