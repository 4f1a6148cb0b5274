//! wgpu's device, as Lucarne sees it.

use std::ffi::CStr;
use std::fmt;
use std::sync::Arc;

use lucarne::{Extent, Format, MemoryPath, Offer, Result, Usage, vulkan};
use wgpu::TextureFormat;

use crate::error::invalid;
use crate::semaphores::Semaphores;
use crate::{convert, ffi};

/// A `wgpu::Device` and its queue, which were the program's before and stay so. Cloning shares it; textures keep it alive.
///
/// ```no_run
/// use lucarne_wgpu::lucarne::{Extent, Offer, Request, Result, Usage, negotiate};
/// use lucarne_wgpu::{Device, Texture};
///
/// /// A texture to render into, whose memory the other side can use.
/// fn share(device: &wgpu::Device, queue: &wgpu::Queue, other: &Offer) -> Result<Texture, Box<dyn std::error::Error>> {
///     let device = Device::wrap(device, queue)?;
///     let offer = device.offer(Usage::RENDER)?;
///     let agreement = negotiate(&offer, other, &Request::new(Extent::new(1280, 720)))?;
///     Ok(device.export(&agreement)?)
/// }
/// ```
///
/// # Threads
///
/// It may be used from any thread, and other threads may submit to the queue meanwhile.
#[derive(Clone, Debug)]
pub struct Device {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    // What was made of wgpu's device goes before it.
    pub(crate) semaphores: Arc<Semaphores>,
    pub(crate) vulkan: vulkan::Device,
    pub(crate) wgpu: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
}

/// Opens a device with every extension that sharing can use, besides what `descriptor` asks for: in the place of
/// `wgpu::Adapter::request_device`.
///
/// # Errors
///
/// [`Error::Invalid`](lucarne::Error::Invalid) for an adapter of another backend than Vulkan, and for features and limits that
/// it does not have; [`Error::Driver`](lucarne::Error::Driver) where the driver refuses.
pub fn request_device(
    adapter: &wgpu::Adapter,
    descriptor: &wgpu::DeviceDescriptor<'_>,
) -> Result<(wgpu::Device, wgpu::Queue)> {
    let missing = descriptor.required_features - adapter.features();
    if !missing.is_empty() {
        let limit = format!("of those of the adapter, which lacks {missing:?}");
        return Err(invalid("required_features", "more", limit));
    }
    let (wanted, found) = (&descriptor.required_limits, adapter.limits());
    if !wanted.check_limits(&found) {
        let limit = format!("within those of the adapter: {found:?}");
        return Err(invalid("required_limits", "beyond them", limit));
    }
    ffi::request_device(adapter, descriptor)
}

/// The device extensions that sharing can use and this adapter's driver has, for programs that open their device by
/// `wgpu::hal::vulkan::Adapter::open_with_callback` or by hand. None of them needs a feature structure.
///
/// # Errors
///
/// [`Error::Invalid`](lucarne::Error::Invalid) for an adapter of another backend than Vulkan;
/// [`Error::Unsupported`](lucarne::Error::Unsupported) below Vulkan 1.2.
pub fn device_extensions(adapter: &wgpu::Adapter) -> Result<Vec<&'static CStr>> {
    Ok(ffi::adapter(adapter)?.device_extensions())
}

/// Adds the same to the extensions that a device is about to be created with, for programs that only have wgpu's callback:
/// `wgpu::hal::vulkan::Adapter::open_with_callback`, Bevy's `RawVulkanInitSettings`.
///
/// # Errors
///
/// [`Error::Unsupported`](lucarne::Error::Unsupported) below Vulkan 1.2.
pub fn add_device_extensions(
    adapter: &wgpu::hal::vulkan::Adapter,
    extensions: &mut Vec<&'static CStr>,
) -> Result<()> {
    ffi::add_extensions(adapter, extensions)
}

impl Device {
    /// Wraps the program's device. Any device of Vulkan will do; one of [`request_device`] can do more, and
    /// [`Device::offer`] says what.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](lucarne::Error::Invalid) for a device of another backend, and for a queue that is not the
    /// device's; [`Error::Unsupported`](lucarne::Error::Unsupported) below Vulkan 1.2;
    /// [`Error::Driver`](lucarne::Error::Driver) when the driver does not answer.
    pub fn wrap(device: &wgpu::Device, queue: &wgpu::Queue) -> Result<Self> {
        let vulkan = ffi::open(device, queue)?;
        Ok(Self::of(vulkan, device.clone(), queue.clone()))
    }

    fn of(vulkan: vulkan::Device, wgpu: wgpu::Device, queue: wgpu::Queue) -> Self {
        let inner = Inner {
            semaphores: Arc::default(),
            vulkan,
            wgpu,
            queue,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Passes fences through the driver also where it is software, as
    /// [`vulkan::Device::with_driver_fences`](lucarne::vulkan::Device::with_driver_fences): for tests.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](lucarne::Error::Invalid) for a device that is shared already, by a clone or a texture.
    pub fn with_driver_fences(self) -> Result<Self> {
        let Some(inner) = Arc::into_inner(self.inner) else {
            let limit = "called before it is cloned and before anything is made of it";
            return Err(invalid("device", "shared", limit));
        };
        let vulkan = inner.vulkan.with_driver_fences()?;
        Ok(Self::of(vulkan, inner.wgpu, inner.queue))
    }

    /// What this device can share, for textures that are used as `usage` says: what Vulkan offers, less what wgpu has no
    /// texture format for, does not allow on this device, or would have to copy.
    ///
    /// # Errors
    ///
    /// [`Error::Driver`](lucarne::Error::Driver) when the driver does not answer.
    pub fn offer(&self, usage: Usage) -> Result<Offer> {
        let mut offer = self.inner.vulkan.offer(usage)?;
        offer.name = format!("wgpu: {}", offer.name);
        // wgpu's commands are no place for copies.
        let in_place = self.inner.vulkan.host_memory_in_place();
        if !in_place.is_yes() {
            let is_host = |path| path == MemoryPath::HostMemory;
            offer.entries.retain(|one| !is_host(one.path));
            let mut paths = offer.paths.iter_mut();
            if let Some((_, support)) = paths.find(|(path, _)| is_host(*path)) {
                *support = in_place;
            }
        }
        let side = self.inner.wgpu.limits().max_texture_dimension_2d;
        let features = self.inner.wgpu.features();
        offer.entries.retain_mut(|entry| {
            let texture = convert::texture_format(entry.format);
            let Some(allowed) = texture.and_then(|one| convert::allowed(one, features)) else {
                return false;
            };
            entry.usage &= allowed;
            let Extent { width, height } = entry.max_extent;
            entry.max_extent = Extent::new(width.min(side), height.min(side));
            entry.usage.contains(usage)
        });
        Ok(offer)
    }

    /// The program's device.
    pub fn wgpu(&self) -> &wgpu::Device {
        &self.inner.wgpu
    }

    /// The program's queue.
    pub fn queue(&self) -> &wgpu::Queue {
        &self.inner.queue
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    /// The texture format for a frame, or what wgpu or this device lacks for it.
    pub(crate) fn texture_format(
        &self,
        (format, texture): (Format, Option<TextureFormat>),
        extent: Extent,
        usage: Usage,
    ) -> Result<TextureFormat> {
        let side = self.inner.wgpu.limits().max_texture_dimension_2d;
        if !extent.fits(Extent::new(side, side)) {
            let limit = format!("at most {side} each way, the device's max_texture_dimension_2d");
            return Err(invalid("extent", extent, limit));
        }
        convert::require(format, texture, usage, self.inner.wgpu.features())
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("vulkan", &self.vulkan)
            .finish_non_exhaustive()
    }
}
