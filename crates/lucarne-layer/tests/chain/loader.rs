//! The loader's part, and a program's: instances and devices made through the layer, with `below` under it.

use std::ffi::{CStr, CString, c_char, c_void};
use std::mem;
use std::ptr;

use ash::vk;
use lucarne_layer::ffi::{
    DeviceLink, InstanceLink, LAYER_LINK_INFO, LAYER_NEGOTIATE_INTERFACE_STRUCT, LayerCreateInfo,
    NegotiateLayerInterface,
};

use crate::below::{self, BELOW, BEYOND, Below};

/// `vkEnumerateDeviceExtensionProperties` with a device: docs/layer.md.
pub(crate) type Ask =
    unsafe extern "system" fn(vk::Device, *mut u32, *mut vk::ExtensionProperties) -> vk::Result;

pub(crate) fn interface(s_type: i32, version: u32) -> NegotiateLayerInterface {
    NegotiateLayerInterface {
        s_type,
        p_next: ptr::null_mut(),
        version,
        get_instance_proc_addr: None,
        get_device_proc_addr: None,
        get_physical_device_proc_addr: None,
    }
}

/// What the layer answers to the loader's first call.
pub(crate) fn negotiate() -> NegotiateLayerInterface {
    let mut asked = interface(LAYER_NEGOTIATE_INTERFACE_STRUCT, 2);
    // SAFETY: a structure of this function's.
    let answer = unsafe { lucarne_layer::vkNegotiateLoaderLayerInterfaceVersion(&raw mut asked) };
    assert_eq!(answer, vk::Result::SUCCESS);
    asked
}

/// A function of the layer's or of what is below it, as the type that belongs to its name.
macro_rules! function {
    ($lookup:expr, $of:expr, $name:expr, $function:ty) => {{
        // SAFETY: a live handle or null, and a NUL-terminated name.
        let found = unsafe { $lookup($of, $name.as_ptr()) };
        found.map(|found| {
            // SAFETY: PFN_vkVoidFunction is cast to the type of the function that was asked for.
            unsafe { mem::transmute::<unsafe extern "system" fn(), $function>(found) }
        })
    }};
}

/// A program with one instance.
pub(crate) struct Program {
    // Keeps the loader in memory.
    _entry: ash::Entry,
    pub(crate) instance: ash::Instance,
    physical: vk::PhysicalDevice,
    gipa: vk::PFN_vkGetInstanceProcAddr,
    gdpa: vk::PFN_vkGetDeviceProcAddr,
}

impl Program {
    /// With an instance of this version; 0 gives no application info at all.
    pub(crate) fn new(version: u32) -> Self {
        Self::over(version, Below::default())
    }

    /// As [`Program::new`], over a layer that behaves so.
    pub(crate) fn over(version: u32, behaves: Below) -> Self {
        // SAFETY: the system's Vulkan loader has sound initialisers.
        let entry = unsafe { ash::Entry::load() }.expect("a Vulkan loader");
        BELOW.set(Below {
            real: Some(entry.static_fn().clone()),
            ..behaves
        });
        let layer = negotiate();
        let gipa = layer.get_instance_proc_addr.expect("a layer's function");
        let gdpa = layer.get_device_proc_addr.expect("a layer's function");
        let mut link = InstanceLink {
            next: ptr::null_mut(),
            get_instance_proc_addr: below::get_instance_proc_addr,
            get_physical_device_proc_addr: None,
        };
        let chained = LayerCreateInfo {
            s_type: vk::StructureType::LOADER_INSTANCE_CREATE_INFO,
            p_next: ptr::null(),
            function: LAYER_LINK_INFO,
            link: &raw mut link,
        };
        let chained = Box::into_raw(Box::new(chained));
        // Another structure of the loader's, which is no link.
        let other = LayerCreateInfo::<InstanceLink> {
            s_type: vk::StructureType::LOADER_INSTANCE_CREATE_INFO,
            p_next: chained.cast(),
            function: LAYER_LINK_INFO + 1,
            link: ptr::without_provenance_mut(1),
        };
        let application = vk::ApplicationInfo::default().api_version(version);
        let mut info = vk::InstanceCreateInfo::default();
        if version != 0 {
            info = info.application_info(&application);
        }
        info.p_next = (&raw const other).cast();
        let create = function!(
            gipa,
            vk::Instance::null(),
            c"vkCreateInstance",
            vk::PFN_vkCreateInstance
        );
        let mut handle = vk::Instance::null();
        // SAFETY: locals, and the box.
        let answer =
            unsafe { create.expect("its own")(&raw const info, ptr::null(), &raw mut handle) };
        assert_eq!(answer, vk::Result::SUCCESS);
        // SAFETY: made above, used in that call alone.
        let chained = unsafe { Box::from_raw(chained) };
        assert!(chained.link.is_null(), "the link was not moved on");
        let functions = ash::StaticFn {
            get_instance_proc_addr: gipa,
        };
        // SAFETY: the instance of this function.
        let instance = unsafe { ash::Instance::load(&functions, handle) };
        // SAFETY: as above.
        let devices = unsafe { instance.enumerate_physical_devices() }.expect("devices");
        Self {
            _entry: entry,
            instance,
            physical: *devices.first().expect("a Vulkan driver"),
            gipa,
            gdpa,
        }
    }

    /// Those of `names` that the driver lists.
    pub(crate) fn listed(&self, names: &[&'static CStr]) -> Vec<&'static CStr> {
        // SAFETY: a physical device of this instance.
        let listed = unsafe {
            self.instance
                .enumerate_device_extension_properties(self.physical)
        };
        let listed = listed.expect("extensions");
        let has = |name: &&CStr| {
            let mut listed = listed.iter();
            listed.any(|one| one.extension_name_as_c_str() == Ok(*name))
        };
        names.iter().copied().filter(has).collect()
    }

    /// A device with these extensions and this chain; the address of the program's `VkDeviceCreateInfo` too.
    pub(crate) fn device(
        &self,
        extensions: &[&CStr],
        chain: *const c_void,
    ) -> (usize, Result<Opened, vk::Result>) {
        let mut link = DeviceLink {
            next: ptr::without_provenance_mut(BEYOND),
            get_instance_proc_addr: below::get_instance_proc_addr,
            get_device_proc_addr: below::get_device_proc_addr,
        };
        let chained = Box::into_raw(Box::new(LayerCreateInfo {
            s_type: vk::StructureType::LOADER_DEVICE_CREATE_INFO,
            p_next: chain,
            function: LAYER_LINK_INFO,
            link: &raw mut link,
        }));
        let names: Vec<*const c_char> = extensions.iter().map(|name| name.as_ptr()).collect();
        let queues = [vk::DeviceQueueCreateInfo::default()
            .queue_family_index(0)
            .queue_priorities(&[1.0])];
        let mut info = vk::DeviceCreateInfo::default()
            .queue_create_infos(&queues)
            .enabled_extension_names(&names);
        info.p_next = chained.cast();
        let instance = self.instance.handle();
        let create = function!(
            (self.gipa),
            instance,
            c"vkCreateDevice",
            vk::PFN_vkCreateDevice
        );
        let create = create.expect("its own");
        let mut device = vk::Device::null();
        // SAFETY: locals, and the box.
        let answer =
            unsafe { create(self.physical, &raw const info, ptr::null(), &raw mut device) };
        // SAFETY: made above, used in that call alone.
        drop(unsafe { Box::from_raw(chained) });
        let opened = Opened {
            device,
            gdpa: self.gdpa,
        };
        let address = (&raw const info).addr();
        (address, answer.result_with_success(opened))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: tests drop their devices first.
        unsafe { self.instance.destroy_instance(None) };
    }
}

/// A device that was made through the layer.
pub(crate) struct Opened {
    pub(crate) device: vk::Device,
    gdpa: vk::PFN_vkGetDeviceProcAddr,
}

impl Opened {
    /// The address of a function, or `None`.
    pub(crate) fn address(&self, name: &CStr) -> Option<usize> {
        // SAFETY: a live device, and a NUL-terminated name.
        let found = unsafe { (self.gdpa)(self.device, name.as_ptr()) };
        found.map(|found| found as usize)
    }

    pub(crate) fn asks(&self, name: &CStr) -> Ask {
        function!((self.gdpa), self.device, name, Ask).expect("the layer's own")
    }

    fn list(&self, name: &CStr) -> Vec<CString> {
        let ask = self.asks(name);
        let mut count = 0;
        // SAFETY: docs/layer.md: no array.
        let answer = unsafe { ask(self.device, &raw mut count, ptr::null_mut()) };
        assert_eq!(answer, vk::Result::SUCCESS);
        let mut list = vec![vk::ExtensionProperties::default(); count as usize];
        // SAFETY: docs/layer.md: an array of that many.
        let answer = unsafe { ask(self.device, &raw mut count, list.as_mut_ptr()) };
        assert_eq!((answer, count as usize), (vk::Result::SUCCESS, list.len()));
        let name = |one: &vk::ExtensionProperties| {
            let name = one.extension_name_as_c_str();
            name.expect("a name").to_owned()
        };
        list.iter().map(name).collect()
    }

    /// What a submission of nothing, and both waits for it, answer.
    pub(crate) fn submit_and_wait(&self) -> [vk::Result; 3] {
        let (gdpa, device) = (self.gdpa, self.device);
        let queue_of = function!(gdpa, device, c"vkGetDeviceQueue", vk::PFN_vkGetDeviceQueue);
        let submit = function!(gdpa, device, c"vkQueueSubmit", vk::PFN_vkQueueSubmit);
        let idle = function!(gdpa, device, c"vkQueueWaitIdle", vk::PFN_vkQueueWaitIdle);
        let all_idle = function!(gdpa, device, c"vkDeviceWaitIdle", vk::PFN_vkDeviceWaitIdle);
        let (submit, idle) = (submit.expect("a queue's"), idle.expect("a queue's"));
        let mut queue = vk::Queue::null();
        // SAFETY: the device was created with this queue.
        unsafe { queue_of.expect("a device's")(device, 0, 0, &raw mut queue) };
        let info = vk::SubmitInfo::default();
        [
            // SAFETY: a queue of this thread's, and a submission of nothing.
            unsafe { submit(queue, 1, &raw const info, vk::Fence::null()) },
            // SAFETY: as above.
            unsafe { idle(queue) },
            // SAFETY: a live device, whose only queue is this thread's.
            unsafe { all_idle.expect("a device's")(device) },
        ]
    }

    pub(crate) fn added(&self) -> Vec<CString> {
        self.list(c"vkEnumerateAddedExtensionsLUCARNE")
    }

    pub(crate) fn enabled(&self) -> Vec<CString> {
        self.list(c"vkEnumerateEnabledExtensionsLUCARNE")
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let destroy = function!(
            (self.gdpa),
            self.device,
            c"vkDestroyDevice",
            vk::PFN_vkDestroyDevice
        );
        // SAFETY: nothing was made of it.
        unsafe { destroy.expect("its own")(self.device, ptr::null()) };
    }
}
