//! Instances: how the layer gets into the chain, and what it asks of those below.

use std::ffi::{CStr, c_char};
use std::mem;

use ash::vk;
use lucarne::vulkan::Adapter;

use crate::ffi::{self, InstanceLink, LayerCreateInfo};
use crate::registry::{Key, Registry};
use crate::{convert, device, guarded, log};

pub(crate) static INSTANCES: Registry<Instance> = Registry::new();

/// What the layer keeps of an instance.
pub(crate) struct Instance {
    handle: vk::Instance,
    /// The next layer's.
    next: vk::PFN_vkGetInstanceProcAddr,
    destroy: Option<vk::PFN_vkDestroyInstance>,
    /// The next layer's functions for the core, or why the core cannot work here.
    functions: Result<ash::Instance, String>,
}

/// Functions of Vulkan 1.1 that the core calls: an instance without them is not asked, as ash ends the process when a function
/// is missing.
const NEEDED: [&CStr; 3] = [
    c"vkGetPhysicalDeviceFeatures2",
    c"vkGetPhysicalDeviceProperties2",
    c"vkGetPhysicalDeviceFormatProperties2",
];

impl Instance {
    /// # Safety
    ///
    /// `handle` must be an instance that the layer with `next` has created, with this `version`.
    unsafe fn new(handle: vk::Instance, next: vk::PFN_vkGetInstanceProcAddr, version: u32) -> Self {
        // SAFETY: vkGetInstanceProcAddr of the next layer, with its instance.
        let destroy = unsafe { next(handle, c"vkDestroyInstance".as_ptr()) };
        let destroy = destroy.map(|function| {
            // SAFETY: PFN_vkVoidFunction is cast to the type of the function that was asked for.
            unsafe {
                mem::transmute::<unsafe extern "system" fn(), vk::PFN_vkDestroyInstance>(function)
            }
        });
        Self {
            handle,
            next,
            destroy,
            // SAFETY: the caller's promise.
            functions: unsafe { functions(handle, next, version) },
        }
    }

    /// The physical device as the core sees it, or why it cannot be used.
    ///
    /// # Safety
    ///
    /// `physical` must be one of this instance's.
    pub(crate) unsafe fn adapter(&self, physical: vk::PhysicalDevice) -> Result<Adapter, String> {
        let functions = self.functions.as_ref().map_err(String::clone)?;
        let nothing = ash::StaticFn {
            get_instance_proc_addr: nothing,
        };
        // SAFETY: Entry::from_static_fn: the core only keeps it, and calls nothing of it. With the loader's own, the layer would
        // call itself.
        let entry = unsafe { ash::Entry::from_static_fn(nothing) };
        // SAFETY: Adapter::from_raw: of this instance, created with Vulkan 1.1 or later (`functions`), which outlives this
        // call's answer: the layer drops that before vkCreateDevice returns.
        let adapter = unsafe { Adapter::from_raw(&entry, functions, physical) };
        adapter.map_err(|error| error.to_string())
    }

    pub(crate) fn handle(&self) -> vk::Instance {
        self.handle
    }
}

/// What an instance of this version has for the core, or why the core cannot work there.
///
/// # Safety
///
/// As for [`Instance::new`].
unsafe fn functions(
    handle: vk::Instance,
    next: vk::PFN_vkGetInstanceProcAddr,
    version: u32,
) -> Result<ash::Instance, String> {
    if version < vk::API_VERSION_1_1 {
        let words = "the program asked for Vulkan 1.0, and sharing frames needs an instance of 1.1";
        return Err(words.to_owned());
    }
    for name in NEEDED {
        // SAFETY: vkGetInstanceProcAddr of the next layer, with its instance.
        if unsafe { next(handle, name.as_ptr()) }.is_none() {
            let name = name.to_string_lossy();
            return Err(format!("a layer or driver below has no {name}"));
        }
    }
    let next = ash::StaticFn {
        get_instance_proc_addr: next,
    };
    // SAFETY: the next layer's vkGetInstanceProcAddr, with its instance.
    Ok(unsafe { ash::Instance::load(&next, handle) })
}

/// A `vkGetInstanceProcAddr` that has nothing.
unsafe extern "system" fn nothing(_: vk::Instance, _: *const c_char) -> vk::PFN_vkVoidFunction {
    None
}

/// `vkGetInstanceProcAddr`.
pub(crate) unsafe extern "system" fn get_instance_proc_addr(
    instance: vk::Instance,
    name: *const c_char,
) -> vk::PFN_vkVoidFunction {
    guarded(None, || {
        if name.is_null() {
            return None;
        }
        // SAFETY: VUID-vkGetInstanceProcAddr-pName-parameter: a NUL-terminated string.
        let own = own(unsafe { CStr::from_ptr(name) });
        if own.is_some() {
            return own;
        }
        // SAFETY: VUID-vkGetInstanceProcAddr-instance-parameter: null or alive.
        let known = INSTANCES.find(unsafe { Key::of(instance) }?)?;
        // SAFETY: the program's own arguments, to the next layer.
        unsafe { (known.next)(instance, name) }
    })
}

/// The layer's own functions among those of an instance.
fn own(name: &CStr) -> vk::PFN_vkVoidFunction {
    match name.to_bytes() {
        b"vkGetInstanceProcAddr" => void!(get_instance_proc_addr as vk::PFN_vkGetInstanceProcAddr),
        b"vkCreateInstance" => void!(create_instance as vk::PFN_vkCreateInstance),
        b"vkDestroyInstance" => void!(destroy_instance as vk::PFN_vkDestroyInstance),
        b"vkCreateDevice" => void!(device::create_device as vk::PFN_vkCreateDevice),
        b"vkGetDeviceProcAddr" => {
            void!(device::get_device_proc_addr as vk::PFN_vkGetDeviceProcAddr)
        }
        b"vkDestroyDevice" => void!(device::destroy_device as vk::PFN_vkDestroyDevice),
        _ => None,
    }
}

unsafe extern "system" fn create_instance(
    info: *const vk::InstanceCreateInfo<'_>,
    allocator: *const vk::AllocationCallbacks<'_>,
    instance: *mut vk::Instance,
) -> vk::Result {
    guarded(vk::Result::ERROR_INITIALIZATION_FAILED, || {
        // SAFETY: vkCreateInstance's own rules, and the loader's for layers.
        unsafe { create(info, allocator, instance) }
            .unwrap_or(vk::Result::ERROR_INITIALIZATION_FAILED)
    })
}

/// `None` where the loader has not kept its side: no link, or nothing behind it.
///
/// # Safety
///
/// As for `vkCreateInstance`, with the loader's link in the chain of `info`.
unsafe fn create(
    info: *const vk::InstanceCreateInfo<'_>,
    allocator: *const vk::AllocationCallbacks<'_>,
    instance: *mut vk::Instance,
) -> Option<vk::Result> {
    // SAFETY: VUID-vkCreateInstance-pCreateInfo-parameter: valid.
    let asked = unsafe { info.as_ref() }?;
    let s_type = vk::StructureType::LOADER_INSTANCE_CREATE_INFO;
    // SAFETY: the loader's chain.
    let mut link = unsafe { ffi::link::<InstanceLink>(asked.p_next, s_type) }?;
    // SAFETY: the loader's structure, which layers are meant to write; nobody else looks at it during this call.
    let link: &mut LayerCreateInfo<InstanceLink> = unsafe { link.as_mut() };
    // SAFETY: the loader's link of this layer.
    let here = unsafe { link.link.as_ref() }?;
    let next = here.get_instance_proc_addr;
    // SAFETY: vkGetInstanceProcAddr of the next layer, for a function that needs no instance.
    let function = unsafe { next(vk::Instance::null(), c"vkCreateInstance".as_ptr()) }?;
    // SAFETY: PFN_vkVoidFunction is cast to the type of the function that was asked for.
    let call = unsafe {
        mem::transmute::<unsafe extern "system" fn(), vk::PFN_vkCreateInstance>(function)
    };
    link.link = here.next;
    // SAFETY: the program's own arguments, with the link moved on.
    let result = unsafe { call(info, allocator, instance) };
    if result != vk::Result::SUCCESS {
        return Some(result);
    }
    // SAFETY: vkCreateInstance has written it.
    let created = unsafe { instance.read() };
    // SAFETY: as for `info` above.
    let version = unsafe { convert::api_version(asked) };
    // SAFETY: created just now.
    if let Some(key) = unsafe { Key::of(created) } {
        // SAFETY: created by the next layer.
        INSTANCES.insert(key, unsafe { Instance::new(created, next, version) });
    }
    let (major, minor) = (
        vk::api_version_major(version),
        vk::api_version_minor(version),
    );
    log::note(|| format!("loaded into a program that asks for Vulkan {major}.{minor}"));
    Some(result)
}

unsafe extern "system" fn destroy_instance(
    instance: vk::Instance,
    allocator: *const vk::AllocationCallbacks<'_>,
) {
    guarded((), || {
        // SAFETY: VUID-vkDestroyInstance-instance-parameter: null or alive.
        let key = unsafe { Key::of(instance) };
        // Forgotten before it is destroyed: afterwards another instance may have the same key.
        let known = key.and_then(|key| INSTANCES.remove(key));
        if let Some(destroy) = known.and_then(|known| known.destroy) {
            // SAFETY: the program's own arguments, to the next layer.
            unsafe { destroy(instance, allocator) };
        }
    });
}
