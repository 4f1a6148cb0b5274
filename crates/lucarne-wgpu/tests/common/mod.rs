//! wgpu on this machine's first Vulkan device, watched by the validation layer, beside Lucarne's own Vulkan and OpenGL.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod paint;
pub(crate) mod reports;

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use lucarne::{Agreement, Extent, Format, MemoryPath, Offer, Request, Usage, negotiate};
use lucarne_tests::pair::Pair;
use lucarne_tests::skip::skip_case;
use lucarne_wgpu::{Device, lucarne};

/// What the tests' textures are for that wgpu draws.
pub(crate) const DRAWN: Usage = Usage::RENDER;

pub(crate) const EXTENT: Extent = Extent::new(37, 21);

/// Both ends: wgpu's device, and Lucarne's own.
pub(crate) struct Bench {
    // Dropped in this order.
    pub(crate) wgpu: Device,
    pub(crate) pair: Pair,
}

/// Waits for a future of wgpu's, which is ready where there is no browser.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("wgpu lets nobody wait outside browsers"),
    }
}

/// wgpu's first adapter of Vulkan.
pub(crate) fn adapter() -> wgpu::Adapter {
    reports::collect();
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::VULKAN;
    // DEBUG as well: without it the reports go to nobody.
    descriptor.flags = wgpu::InstanceFlags::VALIDATION | wgpu::InstanceFlags::DEBUG;
    let instance = wgpu::Instance::new(descriptor);
    let adapters = now(instance.enumerate_adapters(wgpu::Backends::VULKAN));
    adapters.into_iter().next().expect("a Vulkan driver")
}

/// What the tests ask of a device.
pub(crate) fn descriptor(adapter: &wgpu::Adapter) -> wgpu::DeviceDescriptor<'static> {
    let wanted = wgpu::Features::TEXTURE_FORMAT_16BIT_NORM
        | wgpu::Features::TEXTURE_ADAPTER_SPECIFIC_FORMAT_FEATURES;
    wgpu::DeviceDescriptor {
        required_features: adapter.features() & wanted,
        ..wgpu::DeviceDescriptor::default()
    }
}

/// A device with all that sharing can use, and what the tests ask.
pub(crate) fn wgpu_device() -> Device {
    let adapter = adapter();
    request_device(&adapter, &descriptor(&adapter))
}

/// A device with all that sharing can use, and what `descriptor` asks.
pub(crate) fn request_device(
    adapter: &wgpu::Adapter,
    descriptor: &wgpu::DeviceDescriptor<'_>,
) -> Device {
    let opened = lucarne_wgpu::request_device(adapter, descriptor);
    let (device, queue) = opened.expect("a device");
    Device::wrap(&device, &queue).expect("a device of Vulkan")
}

impl Bench {
    pub(crate) fn open() -> Self {
        Self {
            wgpu: wgpu_device(),
            pair: Pair::open(),
        }
    }

    /// As on a GPU: fences pass through both drivers.
    pub(crate) fn with_driver_fences() -> Self {
        Self {
            wgpu: wgpu_device().with_driver_fences().expect("a new device"),
            pair: Pair::with_driver_fences(),
        }
    }

    /// Fails the test on anything that the validation layer has reported, of wgpu's instance or of Lucarne's. Where there is
    /// none, opening the pair has said so.
    pub(crate) fn assert_valid(&self) {
        self.pair.assert_valid();
        let reports = reports::taken(self.pair.vk.adapter());
        assert!(reports.is_empty(), "wgpu's instance: {reports:#?}");
    }
}

/// What both agree on for one path and one format, or a skip.
pub(crate) fn agree(
    from: &Offer,
    to: &Offer,
    (path, format): (MemoryPath, Format),
    (producer, consumer): (Usage, Usage),
) -> Option<Agreement> {
    let request = Request::new(EXTENT)
        .formats(&[format])
        .paths(&[path])
        .usage(producer, consumer);
    let agreed = negotiate(from, to, &request);
    agreed
        .map_err(|refusal| skip_case(path.name(), &format!("{format}: {refusal}")))
        .ok()
}

/// What the consumer imports for. Memory objects do not say what they are for: there both sides name what both do.
pub(crate) fn import_usage(agreement: &Agreement) -> Usage {
    match agreement.path() {
        MemoryPath::OpaqueFd => agreement.producer | agreement.consumer,
        _ => agreement.consumer,
    }
}

/// The `VkFormat` that wgpu makes of a texture format on this adapter.
pub(crate) fn raw_format(adapter: &wgpu::Adapter, format: wgpu::TextureFormat) -> i32 {
    // SAFETY: wgpu::Adapter::as_hal: nothing is destroyed by hand.
    let hal = unsafe { adapter.as_hal::<wgpu::hal::api::Vulkan>() };
    hal.expect("of Vulkan")
        .texture_format_as_raw(format)
        .as_raw()
}
