//! The layer below: it hands over to the real loader and driver, writes down what arrives, and fails or hides things when told.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_void};
use std::mem;

use ash::vk;
use lucarne_layer::ffi::{DeviceLink, LayerCreateInfo};

/// A `vkCreateDevice` as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrived {
    /// The address of its `VkDeviceCreateInfo`: the program's own, or another.
    pub(crate) info: usize,
    pub(crate) extensions: Vec<CString>,
    /// Types and addresses of the structures in its chain.
    pub(crate) chain: Vec<(vk::StructureType, usize)>,
    /// What the structures say of `timelineSemaphore` and `samplerYcbcrConversion`, in the order of the chain.
    pub(crate) features: Vec<(&'static str, bool)>,
}

/// How the layer below behaves, on this thread.
#[derive(Default)]
pub(crate) struct Below {
    /// The real loader's.
    pub(crate) real: Option<ash::StaticFn>,
    /// Answers to the next calls of `vkCreateDevice`, first call first; then the driver is asked.
    pub(crate) answers: Vec<vk::Result>,
    /// Extensions that the driver has and does not show.
    pub(crate) hidden: Vec<&'static CStr>,
    /// Functions that are not there.
    pub(crate) absent: Vec<&'static CStr>,
    pub(crate) arrived: Vec<Arrived>,
}

thread_local! {
    pub(crate) static BELOW: RefCell<Below> = RefCell::default();
}

/// Where the link of the layer below points: the layer above must have moved it there before each call.
pub(crate) const BEYOND: usize = 0x1000;

fn real(instance: vk::Instance, name: &CStr) -> vk::PFN_vkVoidFunction {
    let real = BELOW.with_borrow(|below| below.real.clone()).expect("set");
    // SAFETY: vkGetInstanceProcAddr of the real loader; the instance is one of its own, or null.
    unsafe { (real.get_instance_proc_addr)(instance, name.as_ptr()) }
}

/// A function of the real loader, as the type that belongs to its name.
macro_rules! real {
    ($instance:expr, $name:literal as $function:ty) => {{
        let found = real($instance, $name).expect("the loader has it");
        // SAFETY: PFN_vkVoidFunction is cast to the type of the function that was asked for.
        unsafe { mem::transmute::<unsafe extern "system" fn(), $function>(found) }
    }};
}

macro_rules! void {
    ($function:path as $of_type:ty) => {{
        let function: $of_type = $function;
        // SAFETY: cast back by whoever asked for it by name.
        Some(unsafe { mem::transmute::<$of_type, unsafe extern "system" fn()>(function) })
    }};
}

/// `vkGetInstanceProcAddr`.
pub(crate) unsafe extern "system" fn get_instance_proc_addr(
    instance: vk::Instance,
    name: *const c_char,
) -> vk::PFN_vkVoidFunction {
    // SAFETY: a NUL-terminated name.
    let name = unsafe { CStr::from_ptr(name) };
    if BELOW.with_borrow(|below| below.absent.contains(&name)) {
        return None;
    }
    match name.to_bytes() {
        b"vkCreateDevice" => {
            INSTANCE.set(instance);
            void!(create_device as vk::PFN_vkCreateDevice)
        }
        b"vkEnumerateDeviceExtensionProperties" => {
            INSTANCE.set(instance);
            void!(extensions as vk::PFN_vkEnumerateDeviceExtensionProperties)
        }
        _ => real(instance, name),
    }
}

thread_local! {
    /// Whose functions were asked for last: a thread uses one instance at a time.
    static INSTANCE: std::cell::Cell<vk::Instance> = const { std::cell::Cell::new(vk::Instance::null()) };
}

/// `vkGetDeviceProcAddr`.
pub(crate) unsafe extern "system" fn get_device_proc_addr(
    device: vk::Device,
    name: *const c_char,
) -> vk::PFN_vkVoidFunction {
    let call = real!(
        INSTANCE.get(),
        c"vkGetDeviceProcAddr" as vk::PFN_vkGetDeviceProcAddr
    );
    // SAFETY: the caller's own arguments.
    unsafe { call(device, name) }
}

unsafe extern "system" fn extensions(
    physical: vk::PhysicalDevice,
    layer: *const c_char,
    count: *mut u32,
    properties: *mut vk::ExtensionProperties,
) -> vk::Result {
    type Function = vk::PFN_vkEnumerateDeviceExtensionProperties;
    let call = real!(
        INSTANCE.get(),
        c"vkEnumerateDeviceExtensionProperties" as Function
    );
    // SAFETY: the caller's own arguments.
    let answer = unsafe { call(physical, layer, count, properties) };
    let hidden = BELOW.with_borrow(|below| below.hidden.clone());
    if answer != vk::Result::SUCCESS || properties.is_null() {
        return answer;
    }
    // SAFETY: vkEnumerateDeviceExtensionProperties has written it.
    let count = unsafe { count.read() } as usize;
    // SAFETY: it has written that many.
    let listed = unsafe { std::slice::from_raw_parts_mut(properties, count) };
    for one in listed {
        let name = one.extension_name_as_c_str().expect("a name");
        if hidden.contains(&name) {
            *one = vk::ExtensionProperties::default()
                .extension_name(c"VK_TEST_hidden")
                .expect("short");
        }
    }
    answer
}

unsafe extern "system" fn create_device(
    physical: vk::PhysicalDevice,
    info: *const vk::DeviceCreateInfo<'_>,
    allocator: *const vk::AllocationCallbacks<'_>,
    device: *mut vk::Device,
) -> vk::Result {
    // SAFETY: valid, from the layer above.
    let arrived = unsafe { read(info) };
    BELOW.with_borrow_mut(|below| below.arrived.push(arrived));
    let refusal = BELOW.with_borrow_mut(|below| {
        let any = !below.answers.is_empty();
        any.then(|| below.answers.remove(0))
    });
    match refusal {
        Some(answer) if answer != vk::Result::SUCCESS => answer,
        _ => {
            let call = real!(INSTANCE.get(), c"vkCreateDevice" as vk::PFN_vkCreateDevice);
            // SAFETY: the caller's own arguments. The loader goes by the first link of a chain, which is its own.
            unsafe { call(physical, info, allocator, device) }
        }
    }
}

/// # Safety
///
/// `info` must be valid, with a link in its chain.
unsafe fn read(info: *const vk::DeviceCreateInfo<'_>) -> Arrived {
    // SAFETY: the caller's promise.
    let asked = unsafe { &*info };
    let count = asked.enabled_extension_count as usize;
    let names = if count == 0 {
        &[]
    } else {
        // SAFETY: an array of that many.
        unsafe { std::slice::from_raw_parts(asked.pp_enabled_extension_names, count) }
    };
    let mut arrived = Arrived {
        info: info.addr(),
        // SAFETY: NUL-terminated names.
        extensions: names
            .iter()
            .map(|&name| unsafe { CStr::from_ptr(name) }.to_owned())
            .collect(),
        chain: Vec::new(),
        features: Vec::new(),
    };
    let mut next: *const c_void = asked.p_next;
    while !next.is_null() {
        // SAFETY: each structure of a chain begins so.
        let one = unsafe { &*next.cast::<vk::BaseInStructure<'_>>() };
        arrived.chain.push((one.s_type, next.addr()));
        // SAFETY: whole structures of the types that they name.
        unsafe { look(one.s_type, next, &mut arrived.features) };
        next = one.p_next.cast();
    }
    arrived
}

/// # Safety
///
/// `at` must be a structure of this type.
unsafe fn look(
    s_type: vk::StructureType,
    at: *const c_void,
    features: &mut Vec<(&'static str, bool)>,
) {
    const TIMELINE: &str = "timelineSemaphore";
    const YCBCR: &str = "samplerYcbcrConversion";
    match s_type {
        vk::StructureType::LOADER_DEVICE_CREATE_INFO => {
            let link = at.cast_mut().cast::<LayerCreateInfo<DeviceLink>>();
            // SAFETY: the test's own structure.
            let link = unsafe { &mut *link };
            assert_eq!(link.link.addr(), BEYOND, "the link was not moved on");
            // As a layer does.
            link.link = std::ptr::null_mut();
        }
        vk::StructureType::PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES => {
            // SAFETY: of this type.
            let one = unsafe { &*at.cast::<vk::PhysicalDeviceTimelineSemaphoreFeatures<'_>>() };
            features.push((TIMELINE, one.timeline_semaphore == vk::TRUE));
        }
        vk::StructureType::PHYSICAL_DEVICE_SAMPLER_YCBCR_CONVERSION_FEATURES => {
            // SAFETY: of this type.
            let one =
                unsafe { &*at.cast::<vk::PhysicalDeviceSamplerYcbcrConversionFeatures<'_>>() };
            features.push((YCBCR, one.sampler_ycbcr_conversion == vk::TRUE));
        }
        vk::StructureType::PHYSICAL_DEVICE_VULKAN_1_1_FEATURES => {
            // SAFETY: of this type.
            let one = unsafe { &*at.cast::<vk::PhysicalDeviceVulkan11Features<'_>>() };
            features.push((YCBCR, one.sampler_ycbcr_conversion == vk::TRUE));
        }
        vk::StructureType::PHYSICAL_DEVICE_VULKAN_1_2_FEATURES => {
            // SAFETY: of this type.
            let one = unsafe { &*at.cast::<vk::PhysicalDeviceVulkan12Features<'_>>() };
            features.push((TIMELINE, one.timeline_semaphore == vk::TRUE));
        }
        _ => {}
    }
}
