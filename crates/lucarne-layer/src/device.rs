//! Devices: `vkCreateDevice` with what Lucarne wants.

use std::ffi::{CStr, CString, c_char};
use std::mem;

use ash::vk;

use crate::additions::Additions;
use crate::convert::Asked;
use crate::ffi::{self, DeviceLink, LayerCreateInfo};
use crate::instance::{INSTANCES, Instance};
use crate::queue::Queues;
use crate::registry::{Key, Registry};
use crate::{answer, guarded, log, queue};

pub(crate) static DEVICES: Registry<Device> = Registry::new();

/// What the layer keeps of a device.
pub(crate) struct Device {
    /// The next layer's.
    next: vk::PFN_vkGetDeviceProcAddr,
    destroy: Option<vk::PFN_vkDestroyDevice>,
    pub(crate) added: Vec<CString>,
    pub(crate) enabled: Vec<CString>,
    pub(crate) queues: Queues,
}

/// `vkGetDeviceProcAddr`.
pub(crate) unsafe extern "system" fn get_device_proc_addr(
    device: vk::Device,
    name: *const c_char,
) -> vk::PFN_vkVoidFunction {
    guarded(None, || {
        if name.is_null() {
            return None;
        }
        // SAFETY: VUID-vkGetDeviceProcAddr-pName-parameter: a NUL-terminated string.
        let own = own(unsafe { CStr::from_ptr(name) });
        if own.is_some() {
            return own;
        }
        // SAFETY: VUID-vkGetDeviceProcAddr-device-parameter: alive.
        let known = DEVICES.find(unsafe { Key::of(device) }?)?;
        // SAFETY: the program's own arguments, to the next layer.
        unsafe { queue::instead_of(known.next, device, name) }
    })
}

/// The layer's own functions among those of a device, but for those of its queues.
fn own(name: &CStr) -> vk::PFN_vkVoidFunction {
    match name.to_bytes() {
        b"vkGetDeviceProcAddr" => void!(get_device_proc_addr as vk::PFN_vkGetDeviceProcAddr),
        b"vkDestroyDevice" => void!(destroy_device as vk::PFN_vkDestroyDevice),
        // Loaders from 1.3.260 on do not ask for names that begin otherwise.
        b"vkEnumerateAddedExtensionsLUCARNE" => void!(answer::added as answer::Ask),
        b"vkEnumerateEnabledExtensionsLUCARNE" => void!(answer::enabled as answer::Ask),
        _ => None,
    }
}

pub(crate) unsafe extern "system" fn create_device(
    physical: vk::PhysicalDevice,
    info: *const vk::DeviceCreateInfo<'_>,
    allocator: *const vk::AllocationCallbacks<'_>,
    device: *mut vk::Device,
) -> vk::Result {
    guarded(vk::Result::ERROR_INITIALIZATION_FAILED, || {
        // SAFETY: vkCreateDevice's own rules, and the loader's for layers.
        unsafe { create(physical, info, allocator, device) }
            .unwrap_or(vk::Result::ERROR_INITIALIZATION_FAILED)
    })
}

/// `None` where the loader has not kept its side: an unknown instance, no link, or nothing behind it.
///
/// # Safety
///
/// As for `vkCreateDevice`, with the loader's link in the chain of `info`.
unsafe fn create(
    physical: vk::PhysicalDevice,
    info: *const vk::DeviceCreateInfo<'_>,
    allocator: *const vk::AllocationCallbacks<'_>,
    device: *mut vk::Device,
) -> Option<vk::Result> {
    // SAFETY: VUID-vkCreateDevice-physicalDevice-parameter: alive.
    let instance = INSTANCES.find(unsafe { Key::of(physical) }?)?;
    // SAFETY: VUID-vkCreateDevice-pCreateInfo-parameter: valid.
    let info = unsafe { info.as_ref() }?;
    // SAFETY: the loader's chain; `device` may be written.
    let creation = unsafe { Creation::new(&instance, physical, info, allocator, device) }?;
    // SAFETY: as for `info`.
    let asked = unsafe { Asked::read(info) };
    // SAFETY: one of this instance's: they have the key in common.
    let mut additions = unsafe { plan(&instance, physical, &asked) };
    // SAFETY: the program's own arguments.
    let result = unsafe { creation.with(info, &mut additions) };
    if result == vk::Result::SUCCESS {
        // SAFETY: created just now.
        unsafe { creation.remember(&asked, &additions) };
    }
    Some(result)
}

/// What to add; nothing, and that is said, where the core cannot look at the device.
///
/// # Safety
///
/// `physical` must be one of the instance's.
unsafe fn plan(instance: &Instance, physical: vk::PhysicalDevice, asked: &Asked<'_>) -> Additions {
    let failed = Err("the layer has failed in itself".to_owned());
    let planned = guarded(failed, || {
        // SAFETY: the caller's promise.
        let adapter = unsafe { instance.adapter(physical) }?;
        let extensions = adapter.device_extensions();
        let additions = Additions::new(extensions, adapter.device_features(), asked);
        log::note(|| {
            let name = adapter.name();
            if additions.is_empty() {
                format!("{name}: nothing to add, the program asks for all that this driver has")
            } else {
                format!("{name}: adding {additions}")
            }
        });
        Ok(additions)
    });
    planned.unwrap_or_else(|reason| {
        log::problem(&format!("nothing is added: {reason}"));
        Additions::default()
    })
}

/// One `vkCreateDevice` on its way down.
struct Creation {
    call: vk::PFN_vkCreateDevice,
    next: vk::PFN_vkGetDeviceProcAddr,
    link: *mut LayerCreateInfo<DeviceLink>,
    below: *mut DeviceLink,
    physical: vk::PhysicalDevice,
    allocator: *const vk::AllocationCallbacks<'static>,
    device: *mut vk::Device,
}

impl Creation {
    /// # Safety
    ///
    /// As for [`create`].
    unsafe fn new(
        instance: &Instance,
        physical: vk::PhysicalDevice,
        info: &vk::DeviceCreateInfo<'_>,
        allocator: *const vk::AllocationCallbacks<'_>,
        device: *mut vk::Device,
    ) -> Option<Self> {
        let s_type = vk::StructureType::LOADER_DEVICE_CREATE_INFO;
        // SAFETY: the loader's chain.
        let link = unsafe { ffi::link::<DeviceLink>(info.p_next, s_type) }?;
        // SAFETY: the loader's structure; nobody else looks at it during this call.
        let here = unsafe { link.as_ref() }.link;
        // SAFETY: the loader's link of this layer.
        let here = unsafe { here.as_ref() }?;
        let below = here.get_instance_proc_addr;
        // SAFETY: vkGetInstanceProcAddr of the next layer, with its instance.
        let function = unsafe { below(instance.handle(), c"vkCreateDevice".as_ptr()) }?;
        Some(Self {
            // SAFETY: PFN_vkVoidFunction is cast to the type of the function that was asked for.
            call: unsafe {
                mem::transmute::<unsafe extern "system" fn(), vk::PFN_vkCreateDevice>(function)
            },
            next: here.get_device_proc_addr,
            link: link.as_ptr(),
            below: here.next,
            physical,
            allocator: allocator.cast(),
            device,
        })
    }

    /// Creates the device with the additions, or else as the program asked: then they are emptied.
    ///
    /// # Safety
    ///
    /// `info` must be the one that this was made for.
    unsafe fn with(
        &self,
        info: &vk::DeviceCreateInfo<'_>,
        additions: &mut Additions,
    ) -> vk::Result {
        if !additions.is_empty() {
            let result = additions.with(info, |copy| {
                // SAFETY: the program's own arguments, with extensions that the driver lists and features that it has.
                unsafe { self.once(copy) }
            });
            if result == vk::Result::SUCCESS {
                return result;
            }
            log::problem(&format!(
                "nothing is added: the driver answers VK_{result:?} to a device with {additions}; it is asked for what the \
                 program wants"
            ));
            *additions = Additions::default();
        }
        // SAFETY: the program's own arguments.
        unsafe { self.once(info) }
    }

    /// # Safety
    ///
    /// As for `vkCreateDevice`.
    unsafe fn once(&self, info: &vk::DeviceCreateInfo<'_>) -> vk::Result {
        // Layers below move it on, in an attempt that fails too.
        // SAFETY: the loader's structure, which layers are meant to write; nobody else looks at it now.
        let link = unsafe { &mut *self.link };
        link.link = self.below;
        // SAFETY: the caller's promise.
        unsafe { (self.call)(self.physical, info, self.allocator, self.device) }
    }

    /// # Safety
    ///
    /// The device must have been created.
    unsafe fn remember(&self, asked: &Asked<'_>, additions: &Additions) {
        // SAFETY: vkCreateDevice has written it.
        let device = unsafe { self.device.read() };
        // SAFETY: created just now.
        let Some(key) = (unsafe { Key::of(device) }) else {
            return;
        };
        // SAFETY: vkGetDeviceProcAddr of the next layer, with its device.
        let destroy = unsafe { (self.next)(device, c"vkDestroyDevice".as_ptr()) };
        let destroy = destroy.map(|function| {
            // SAFETY: PFN_vkVoidFunction is cast to the type of the function that was asked for.
            unsafe {
                mem::transmute::<unsafe extern "system" fn(), vk::PFN_vkDestroyDevice>(function)
            }
        });
        let queues = Queues::new(|name| {
            // SAFETY: as above.
            unsafe { (self.next)(device, name.as_ptr()) }
        });
        let owned = |names: &[&CStr]| -> Vec<CString> {
            names.iter().map(|name| (*name).to_owned()).collect()
        };
        let added = owned(&additions.extensions);
        let mut enabled = owned(&asked.extensions);
        enabled.extend_from_slice(&added);
        DEVICES.insert(
            key,
            Device {
                next: self.next,
                destroy,
                added,
                enabled,
                queues,
            },
        );
    }
}

pub(crate) unsafe extern "system" fn destroy_device(
    device: vk::Device,
    allocator: *const vk::AllocationCallbacks<'_>,
) {
    guarded((), || {
        // SAFETY: VUID-vkDestroyDevice-device-parameter: null or alive.
        let key = unsafe { Key::of(device) };
        // Forgotten before it is destroyed: afterwards another device may have the same key.
        let known = key.and_then(|key| DEVICES.remove(key));
        if let Some(destroy) = known.and_then(|known| known.destroy) {
            // SAFETY: the program's own arguments, to the next layer.
            unsafe { destroy(device, allocator) };
        }
    });
}
