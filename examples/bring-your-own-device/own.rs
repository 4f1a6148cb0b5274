//! What your program has already: a Vulkan instance and device, and a current EGL context. Nothing in this
//! file knows of Lucarne.

use super::Result;
use ash::vk;
use khronos_egl as egl;
use std::ffi::CStr;

/// `EGL_MESA_platform_surfaceless`: a context without a window system. Toolkits have their own.
const PLATFORM_SURFACELESS: egl::Enum = 0x31DD;

/// A renderer's instance and the physical device that it chose.
pub(crate) struct Renderer {
    pub(crate) entry: ash::Entry,
    pub(crate) instance: ash::Instance,
    pub(crate) physical: vk::PhysicalDevice,
}

impl Renderer {
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: loads the system's Vulkan loader, which is trusted to initialise soundly.
        let entry = unsafe { ash::Entry::load() }?;
        // Lucarne needs Vulkan 1.1, and no instance extension.
        let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_1);
        let create = vk::InstanceCreateInfo::default().application_info(&application);
        // SAFETY: vkCreateInstance: all pointers are locals that outlive the call.
        let instance = unsafe { entry.create_instance(&create, None) }?;
        // SAFETY: vkEnumeratePhysicalDevices of a live instance.
        let devices = unsafe { instance.enumerate_physical_devices() };
        let physical = devices?.first().copied().ok_or("no Vulkan device")?;
        Ok(Self {
            entry,
            instance,
            physical,
        })
    }

    /// A device with one graphics queue.
    pub(crate) fn create_device(
        &self,
        extensions: &[&CStr],
    ) -> Result<(ash::Device, vk::Queue, u32)> {
        let instance = &self.instance;
        // SAFETY: vkGetPhysicalDeviceQueueFamilyProperties: a physical device of this instance.
        let families =
            unsafe { instance.get_physical_device_queue_family_properties(self.physical) };
        let graphics = |family: &vk::QueueFamilyProperties| {
            family.queue_flags.contains(vk::QueueFlags::GRAPHICS)
        };
        let family = families
            .iter()
            .position(graphics)
            .ok_or("no queue with graphics")?;
        let family = u32::try_from(family)?;
        let queues = [vk::DeviceQueueCreateInfo::default()
            .queue_family_index(family)
            .queue_priorities(&[1.0])];
        let names: Vec<_> = extensions.iter().map(|name| name.as_ptr()).collect();
        let create = vk::DeviceCreateInfo::default()
            .queue_create_infos(&queues)
            .enabled_extension_names(&names);
        // SAFETY: vkCreateDevice: the family exists, the driver has the extensions (`Adapter` says so).
        let device = unsafe { instance.create_device(self.physical, &create, None) }?;
        // SAFETY: vkGetDeviceQueue: the device was created with queue 0 of this family.
        let queue = unsafe { device.get_device_queue(family, 0) };
        Ok((device, queue, family))
    }
}

impl Drop for Renderer {
    fn drop(&mut self) {
        // SAFETY: VUID-vkDestroyInstance-instance-00629: main has destroyed its device.
        unsafe { self.instance.destroy_instance(None) };
    }
}

/// A toolkit's context, current on the thread that made it.
pub(crate) struct Toolkit {
    egl: egl::DynamicInstance<egl::EGL1_5>,
    display: egl::Display,
    context: egl::Context,
}

impl Toolkit {
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: loads the system's libEGL, which is trusted to initialise soundly.
        let egl = unsafe { egl::DynamicInstance::<egl::EGL1_5>::load_required() }?;
        let none = [egl::ATTRIB_NONE];
        // SAFETY: eglGetPlatformDisplay: surfaceless takes EGL_DEFAULT_DISPLAY and an ended list.
        let display =
            unsafe { egl.get_platform_display(PLATFORM_SURFACELESS, egl::DEFAULT_DISPLAY, &none) }?;
        egl.initialize(display)?;
        egl.bind_api(egl::OPENGL_ES_API)?;
        let config = [
            egl::RENDERABLE_TYPE,
            egl::OPENGL_ES3_BIT,
            egl::SURFACE_TYPE,
            0,
            egl::NONE,
        ];
        let config = egl
            .choose_first_config(display, &config)?
            .ok_or("no OpenGL ES 3 configuration")?;
        let version = [egl::CONTEXT_CLIENT_VERSION, 3, egl::NONE];
        let context = egl.create_context(display, config, None, &version)?;
        egl.make_current(display, None, None, Some(context))?;
        Ok(Self {
            egl,
            display,
            context,
        })
    }
}

impl Drop for Toolkit {
    fn drop(&mut self) {
        // What cannot be taken down ends with the process.
        let _ = self.egl.make_current(self.display, None, None, None);
        let _ = self.egl.destroy_context(self.display, self.context);
    }
}
