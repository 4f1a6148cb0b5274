//! An engine with no hook: it creates its own device with what it needs itself, and Lucarne wraps that.

use std::ffi::{CStr, CString};

use lucarne::negotiate::Agreement;
use lucarne::vulkan::{self, Adapter};
use lucarne::{Extent, Fence, Format, MemoryPath, Request, Usage, negotiate};
use lucarne_tests::TIMEOUT;
use lucarne_tests::bare::Bare;

const EXTENT: Extent = Extent::new(61, 37);
const FORMAT: Format = Format::XRGB8888;
const USAGE: Usage = Usage::TRANSFER_SOURCE.union(Usage::TRANSFER_DESTINATION);

/// A device of the engine's.
pub(crate) struct Engine {
    adapter: Adapter,
    device: Bare,
    /// What the engine has enabled by itself.
    mine: Vec<&'static CStr>,
}

impl Engine {
    /// On the first physical device of `instance`.
    pub(crate) fn new(instance: &vulkan::Instance, mine: &[&'static CStr]) -> Self {
        let adapters = instance.adapters().expect("a Vulkan driver");
        let adapter = adapters.first().expect("never empty").clone();
        Self {
            device: Bare::new(instance.raw(), &adapter, mine),
            adapter,
            mine: mine.to_vec(),
        }
    }

    /// What the layer says is enabled; `None` without the layer.
    pub(crate) fn enabled(&self) -> Option<Vec<CString>> {
        // SAFETY: Adapter::enabled_extensions: this adapter's, and alive.
        let enabled = unsafe { self.adapter.enabled_extensions(self.device.raw()) };
        enabled.expect("the layer knows it")
    }

    /// The device as Lucarne's, with what the layer says, or else with what the engine knows.
    pub(crate) fn wrap(&self) -> vulkan::Device {
        let told = self.enabled();
        match &told {
            Some(names) => {
                let names: Vec<&CStr> = names.iter().map(CString::as_c_str).collect();
                self.device.wrap(&names)
            }
            None => self.device.wrap(&self.mine),
        }
    }
}

/// What two devices agree on, on this path; or why not, in words.
pub(crate) fn agree(
    from: &vulkan::Device,
    to: &vulkan::Device,
    path: MemoryPath,
) -> Result<Agreement, String> {
    let request = Request::new(EXTENT)
        .formats(&[FORMAT])
        .paths(&[path])
        .usage(USAGE, USAGE);
    let offers = [from, to].map(|device| device.offer(USAGE).expect("an offer"));
    negotiate(&offers[0], &offers[1], &request).map_err(|refusal| refusal.to_string())
}

/// Writes a frame on one device and reads it on the other: every byte is compared.
pub(crate) fn share(from: &vulkan::Device, to: &vulkan::Device, agreement: &Agreement) {
    let image = from.export(agreement).expect("an image");
    let bytes: Vec<u8> = (0..EXTENT.width * EXTENT.height * 4)
        .map(|at| u8::try_from(at * 7 % 251).expect("below 251"))
        .collect();
    let written = from
        .upload(&image, &Fence::Signaled, TIMEOUT, &bytes)
        .expect("written");
    let other = to.import(image.frame(), USAGE).expect("imported");
    let read = to.download(&other, &written, TIMEOUT).expect("read");
    assert!(read == bytes, "other pixels than were written");
}
