//! What loader and layers tell each other: the structures of `vulkan/vk_layer.h`, which ash does not have.

use std::ffi::{c_char, c_int, c_void};
use std::ptr::NonNull;

use ash::vk;

/// `LAYER_NEGOTIATE_INTERFACE_STRUCT`.
pub const LAYER_NEGOTIATE_INTERFACE_STRUCT: c_int = 1;
/// `VK_LAYER_LINK_INFO`: a [`LayerCreateInfo`] that names the next layer.
pub const LAYER_LINK_INFO: c_int = 0;

/// `PFN_GetPhysicalDeviceProcAddr`.
pub type GetPhysicalDeviceProcAddr =
    unsafe extern "system" fn(vk::Instance, *const c_char) -> vk::PFN_vkVoidFunction;

/// `VkNegotiateLayerInterface`.
#[derive(Debug)]
#[repr(C)]
pub struct NegotiateLayerInterface {
    /// [`LAYER_NEGOTIATE_INTERFACE_STRUCT`].
    pub s_type: c_int,
    /// Null.
    pub p_next: *mut c_void,
    /// The loader's newest version; then the layer's choice.
    pub version: u32,
    /// Written by the layer.
    pub get_instance_proc_addr: Option<vk::PFN_vkGetInstanceProcAddr>,
    /// Written by the layer.
    pub get_device_proc_addr: Option<vk::PFN_vkGetDeviceProcAddr>,
    /// Written by the layer.
    pub get_physical_device_proc_addr: Option<GetPhysicalDeviceProcAddr>,
}

/// `VkLayerInstanceCreateInfo` and `VkLayerDeviceCreateInfo`, as far as a layer that wants its link reads them: the union that
/// they end in is larger, so this is only ever pointed at.
#[derive(Debug)]
#[repr(C)]
pub struct LayerCreateInfo<L> {
    /// `VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO` or `VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO`.
    pub s_type: vk::StructureType,
    /// The rest of the chain.
    pub p_next: *const c_void,
    /// [`LAYER_LINK_INFO`]; with another value, `link` is something else.
    pub function: c_int,
    /// The link of the layer that is called; it moves this on to the next one's.
    pub link: *mut L,
}

/// `VkLayerInstanceLink`.
#[derive(Debug)]
#[repr(C)]
pub struct InstanceLink {
    /// The link of the layer below.
    pub next: *mut InstanceLink,
    /// Its `vkGetInstanceProcAddr`.
    pub get_instance_proc_addr: vk::PFN_vkGetInstanceProcAddr,
    /// Its function for physical devices, if it has one.
    pub get_physical_device_proc_addr: Option<GetPhysicalDeviceProcAddr>,
}

/// `VkLayerDeviceLink`.
#[derive(Debug)]
#[repr(C)]
pub struct DeviceLink {
    /// The link of the layer below.
    pub next: *mut DeviceLink,
    /// Its `vkGetInstanceProcAddr`.
    pub get_instance_proc_addr: vk::PFN_vkGetInstanceProcAddr,
    /// Its `vkGetDeviceProcAddr`.
    pub get_device_proc_addr: vk::PFN_vkGetDeviceProcAddr,
}

/// The structures of a `pNext` chain, from the first to the last: the type of each and where it is.
///
/// # Safety
///
/// `first` must be null or begin a chain of Vulkan structures that stays as it is while this is used.
pub(crate) unsafe fn chain(
    first: *const c_void,
) -> impl Iterator<Item = (vk::StructureType, *const c_void)> {
    let mut next = first.cast::<vk::BaseInStructure<'_>>();
    std::iter::from_fn(move || {
        if next.is_null() {
            return None;
        }
        let here = next;
        // SAFETY: every structure of a chain begins as VkBaseInStructure does (fundamentals, pNext chains), and this one is valid
        // by the caller's promise.
        let begins = unsafe { here.read() };
        next = begins.p_next;
        Some((begins.s_type, here.cast()))
    })
}

/// Where the loader has put this layer's link. `s_type` is the one that belongs to `L`.
///
/// # Safety
///
/// As for [`chain`], from the loader.
pub(crate) unsafe fn link<L>(
    first: *const c_void,
    s_type: vk::StructureType,
) -> Option<NonNull<LayerCreateInfo<L>>> {
    // SAFETY: the caller's promise.
    let structures = unsafe { chain(first) };
    let mut of_loader = structures.filter(|(found, _)| *found == s_type);
    of_loader.find_map(|(_, at)| {
        let info = at.cast_mut().cast::<LayerCreateInfo<L>>();
        // SAFETY: structures of this type begin as LayerCreateInfo does (vk_layer.h).
        let function = unsafe { &*info }.function;
        let ours = function == LAYER_LINK_INFO;
        ours.then(|| NonNull::new(info)).flatten()
    })
}
