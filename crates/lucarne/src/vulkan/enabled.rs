//! What is enabled on a device that an engine created: Lucarne's Vulkan layer knows.

use std::ffi::{CStr, CString};
use std::mem;

use ash::vk;

use super::failed;
use super::inner::Adapter;
use crate::error::Result;

/// The layer's entry point (docs/layer.md): `vkEnumerateDeviceExtensionProperties`, with a device and for what is enabled.
const NAME: &CStr = c"vkEnumerateEnabledExtensionsLUCARNE";
type EnabledExtensions =
    unsafe extern "system" fn(vk::Device, *mut u32, *mut vk::ExtensionProperties) -> vk::Result;

impl Adapter {
    /// The extensions that `device` was created with: those that its program asked for, and those that Lucarne's Vulkan layer
    /// added. `None` without the layer, as nobody else can tell.
    ///
    /// For a device of an engine that does not say what it has enabled. The answer goes to
    /// [`Device::from_raw`](super::Device::from_raw).
    ///
    /// # Errors
    ///
    /// [`Error::Driver`](crate::Error::Driver) when the layer does not know the device.
    ///
    /// # Safety
    ///
    /// `device` must have been created from this adapter's physical device, and be alive.
    pub unsafe fn enabled_extensions(&self, device: &ash::Device) -> Result<Option<Vec<CString>>> {
        let instance = &self.inner().instance;
        let handle = device.handle();
        // SAFETY: vkGetDeviceProcAddr with a device of this instance (the caller's promise) and a NUL-terminated name.
        let found = unsafe { instance.get_device_proc_addr(handle, NAME.as_ptr()) };
        let Some(found) = found else {
            return Ok(None);
        };
        // SAFETY: PFN_vkVoidFunction is cast to the type of the function that was asked for; nobody else has one of this name.
        let ask =
            unsafe { mem::transmute::<unsafe extern "system" fn(), EnabledExtensions>(found) };
        let mut count = 0;
        // SAFETY: the layer writes the count alone where there is no array.
        let answer = unsafe { ask(handle, &raw mut count, std::ptr::null_mut()) };
        answer
            .result()
            .map_err(failed("vkEnumerateEnabledExtensionsLUCARNE"))?;
        let room = usize::try_from(count).unwrap_or(0);
        let mut list = vec![vk::ExtensionProperties::default(); room];
        // SAFETY: the layer writes at most `count` elements, and the array has as many.
        let answer = unsafe { ask(handle, &raw mut count, list.as_mut_ptr()) };
        answer
            .result()
            .map_err(failed("vkEnumerateEnabledExtensionsLUCARNE"))?;
        list.truncate(usize::try_from(count).unwrap_or(0));
        let names = list
            .iter()
            .filter_map(|one| one.extension_name_as_c_str().ok());
        Ok(Some(names.map(CStr::to_owned).collect()))
    }
}
