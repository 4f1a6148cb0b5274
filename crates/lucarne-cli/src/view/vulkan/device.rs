//! A Vulkan device that can show something in a window: created here, as Lucarne's own has no need of windows, and wrapped.
#![allow(
    unsafe_code,
    reason = "Vulkan's functions are unsafe without exception"
)]

use std::ffi::{CStr, c_char};
use std::rc::Rc;

use ash::vk;
use lucarne::{MemoryPath, vulkan};
use winit::raw_window_handle::{HasDisplayHandle, HasWindowHandle};
use winit::window::Window;

use crate::Failure;

/// What Vulkan answered to a call.
pub(super) fn refused(call: &'static str) -> impl Fn(vk::Result) -> String {
    move |code| format!("{call}: {code:?}")
}

/// A window's device. It waits for its work when it ends.
pub(in crate::view) struct Device {
    // Dropped in this order: Lucarne's part, the device, the instance.
    lucarne: vulkan::Device,
    pub(super) swapchains: ash::khr::swapchain::Device,
    raw: Raw,
    base: Base,
}

/// The instance and the window's surface.
struct Base {
    surfaces: ash::khr::surface::Instance,
    surface: vk::SurfaceKHR,
    instance: ash::Instance,
    entry: ash::Entry,
    window: Window,
}

/// The device itself.
struct Raw(ash::Device);

impl Device {
    pub(super) fn open(window: Window) -> Result<Self, Failure> {
        let base = Base::new(window)?;
        let (adapter, family) = base.adapter()?;
        let mut enabled = adapter.device_extensions();
        enabled.push(ash::khr::swapchain::NAME);
        let raw = Raw(base.device(&adapter, family, &enabled)?);
        // SAFETY: vkGetDeviceQueue: the device was created with queue 0 of this family.
        let queue = unsafe { raw.0.get_device_queue(family, 0) };
        // SAFETY: `vulkan::Device::from_raw`: created from that adapter with exactly these extensions and this queue, which this
        // thread alone uses. The device is destroyed after Lucarne's part (`Device`'s fields), and every image holds it.
        let lucarne =
            unsafe { vulkan::Device::from_raw(&adapter, raw.0.clone(), queue, family, &enabled) }?;
        Ok(Self {
            lucarne,
            swapchains: ash::khr::swapchain::Device::new(&base.instance, &raw.0),
            raw,
            base,
        })
    }

    pub(in crate::view) fn window(&self) -> &Window {
        &self.base.window
    }

    pub(super) fn lucarne(&self) -> &vulkan::Device {
        &self.lucarne
    }

    pub(super) fn raw(&self) -> &ash::Device {
        &self.raw.0
    }

    pub(super) fn surface(&self) -> vk::SurfaceKHR {
        self.base.surface
    }

    pub(super) fn surface_capabilities(&self) -> Result<vk::SurfaceCapabilitiesKHR, Failure> {
        let (surfaces, physical) = (&self.base.surfaces, self.physical());
        // SAFETY: vkGetPhysicalDeviceSurfaceCapabilitiesKHR: both are alive, and of one instance.
        let answer =
            unsafe { surfaces.get_physical_device_surface_capabilities(physical, self.surface()) };
        Ok(answer.map_err(refused("vkGetPhysicalDeviceSurfaceCapabilitiesKHR"))?)
    }

    pub(super) fn surface_formats(&self) -> Result<Vec<vk::SurfaceFormatKHR>, Failure> {
        let (surfaces, physical) = (&self.base.surfaces, self.physical());
        // SAFETY: vkGetPhysicalDeviceSurfaceFormatsKHR: both are alive, and of one instance.
        let answer =
            unsafe { surfaces.get_physical_device_surface_formats(physical, self.surface()) };
        Ok(answer.map_err(refused("vkGetPhysicalDeviceSurfaceFormatsKHR"))?)
    }

    pub(super) fn present_modes(&self) -> Result<Vec<vk::PresentModeKHR>, Failure> {
        let (surfaces, physical) = (&self.base.surfaces, self.physical());
        // SAFETY: vkGetPhysicalDeviceSurfacePresentModesKHR: both are alive, and of one instance.
        let answer =
            unsafe { surfaces.get_physical_device_surface_present_modes(physical, self.surface()) };
        Ok(answer.map_err(refused("vkGetPhysicalDeviceSurfacePresentModesKHR"))?)
    }

    /// A type of memory among those of `bits` that has `wanted`.
    pub(super) fn memory_type(
        &self,
        bits: u32,
        wanted: vk::MemoryPropertyFlags,
    ) -> Result<u32, Failure> {
        let physical = self.physical();
        // SAFETY: vkGetPhysicalDeviceMemoryProperties: a physical device of this instance.
        let memory = unsafe {
            self.base
                .instance
                .get_physical_device_memory_properties(physical)
        };
        let types = (0..).zip(memory.memory_types_as_slice());
        let mut fit = types.filter(|(number, kind)| {
            bits & (1 << number) != 0 && kind.property_flags.contains(wanted)
        });
        let found = fit.next().map(|(number, _)| number);
        Ok(found.ok_or_else(|| format!("Vulkan has no memory of the kind {wanted:?}"))?)
    }

    /// Whether a frame's image can be sampled smoothly.
    pub(super) fn can_smooth(&self, image: &vulkan::Image) -> bool {
        let linear = vk::FormatFeatureFlags::SAMPLED_IMAGE_FILTER_LINEAR;
        let (format, frame) = (image.vk_format(), image.frame());
        let modifier = frame.layout().tiling().modifier();
        let modifier = modifier.filter(|_| frame.memory().path() == MemoryPath::DmaBuf);
        let Some(modifier) = modifier else {
            let mut found = vk::FormatProperties2::default();
            self.format_properties(format, &mut found);
            // How Lucarne lays out an image of its own is its own affair.
            let found = found.format_properties;
            return (found.optimal_tiling_features & found.linear_tiling_features).contains(linear);
        };
        let mut count = vk::DrmFormatModifierPropertiesListEXT::default();
        let mut found = vk::FormatProperties2::default().push_next(&mut count);
        self.format_properties(format, &mut found);
        let all = count.drm_format_modifier_count as usize;
        let mut entries = vec![vk::DrmFormatModifierPropertiesEXT::default(); all];
        let mut list = vk::DrmFormatModifierPropertiesListEXT::default()
            .drm_format_modifier_properties(&mut entries);
        let mut found = vk::FormatProperties2::default().push_next(&mut list);
        self.format_properties(format, &mut found);
        entries.iter().any(|entry| {
            entry.drm_format_modifier == modifier.code()
                && entry.drm_format_modifier_tiling_features.contains(linear)
        })
    }

    fn format_properties(&self, format: vk::Format, into: &mut vk::FormatProperties2<'_>) {
        let (instance, physical) = (&self.base.instance, self.physical());
        // SAFETY: vkGetPhysicalDeviceFormatProperties2, of Vulkan 1.1: a list of modifiers says truly how long it is.
        unsafe { instance.get_physical_device_format_properties2(physical, format, into) };
    }

    fn physical(&self) -> vk::PhysicalDevice {
        self.lucarne.adapter().raw()
    }

    /// Waits for everything that was submitted, as far as the driver can.
    pub(super) fn wait_idle(&self) {
        // A device that is lost does nothing any more either.
        // SAFETY: vkDeviceWaitIdle: this thread alone uses the device and its queue.
        let _ = unsafe { self.raw.0.device_wait_idle() };
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: VUID-vkDestroyDevice-device-05137: whatever was made of it holds the `Device`, or went before it in there.
        unsafe { self.0.destroy_device(None) };
    }
}

impl Base {
    fn new(window: Window) -> Result<Self, Failure> {
        // SAFETY: loads the system's Vulkan loader, which is trusted to initialise soundly.
        let entry = unsafe { ash::Entry::load() }
            .map_err(|error| format!("there is no Vulkan: {error}"))?;
        let handle = window.display_handle().map_err(|error| error.to_string())?;
        let needed = ash_window::enumerate_required_extensions(handle.as_raw())
            .map_err(refused("finding extensions for windows"))?;
        let application = vk::ApplicationInfo::default()
            .application_name(c"lucarne view")
            .api_version(vk::API_VERSION_1_1);
        let create = vk::InstanceCreateInfo::default()
            .application_info(&application)
            .enabled_extension_names(needed);
        // SAFETY: vkCreateInstance: all pointers are locals or literals, which outlive the call.
        let instance =
            unsafe { entry.create_instance(&create, None) }.map_err(|code| match code {
                vk::Result::ERROR_EXTENSION_NOT_PRESENT => {
                    format!("Vulkan lacks what windows need: {}", names(needed))
                }
                vk::Result::ERROR_INCOMPATIBLE_DRIVER => "there is no Vulkan driver".to_owned(),
                code => refused("vkCreateInstance")(code),
            })?;
        let surfaces = ash::khr::surface::Instance::new(&entry, &instance);
        let mut base = Self {
            surfaces,
            surface: vk::SurfaceKHR::null(),
            instance,
            entry,
            window,
        };
        base.surface = base.create_surface()?;
        Ok(base)
    }

    fn create_surface(&self) -> Result<vk::SurfaceKHR, Failure> {
        let display = self
            .window
            .display_handle()
            .map_err(|error| error.to_string())?;
        let window = self
            .window
            .window_handle()
            .map_err(|error| error.to_string())?;
        let (entry, instance) = (&self.entry, &self.instance);
        let (display, window) = (display.as_raw(), window.as_raw());
        // SAFETY: `ash_window::create_surface`: the instance has the extensions for this display, and the window outlives the
        // surface (`Base`'s drop).
        let surface = unsafe { ash_window::create_surface(entry, instance, display, window, None) };
        Ok(surface.map_err(refused("creating a surface for the window"))?)
    }

    /// The first device that can draw into the window, a GPU if there is one, and the family of its queue.
    fn adapter(&self) -> Result<(vulkan::Adapter, u32), Failure> {
        // SAFETY: vkEnumeratePhysicalDevices of a live instance.
        let devices = unsafe { self.instance.enumerate_physical_devices() };
        let devices = devices.map_err(refused("vkEnumeratePhysicalDevices"))?;
        let mut found = Vec::new();
        for physical in devices {
            let Some(family) = self.family(physical) else {
                continue;
            };
            let (entry, instance) = (&self.entry, &self.instance);
            // SAFETY: `Adapter::from_raw`: the physical device is this instance's, of Vulkan 1.1. Both outlive what is made of
            // them (`Device`'s fields).
            let adapter = unsafe { vulkan::Adapter::from_raw(entry, instance, physical) };
            found.extend(adapter.ok().map(|adapter| (adapter, family)));
        }
        let best = found
            .into_iter()
            .min_by_key(|(adapter, _)| adapter.id().software);
        Ok(best.ok_or("no Vulkan device here can draw into this window (VK_KHR_swapchain)")?)
    }

    /// A family of queues that draw and show, of a device that has swapchains.
    fn family(&self, physical: vk::PhysicalDevice) -> Option<u32> {
        let instance = &self.instance;
        // SAFETY: vkEnumerateDeviceExtensionProperties: a physical device of this instance.
        let extensions = unsafe { instance.enumerate_device_extension_properties(physical) };
        let is_swapchain = |extension: &vk::ExtensionProperties| {
            extension.extension_name_as_c_str() == Ok(ash::khr::swapchain::NAME)
        };
        if !extensions.ok()?.iter().any(is_swapchain) {
            return None;
        }
        // SAFETY: vkGetPhysicalDeviceQueueFamilyProperties: as above.
        let families = unsafe { instance.get_physical_device_queue_family_properties(physical) };
        let draws = |family: &vk::QueueFamilyProperties| {
            family.queue_flags.contains(vk::QueueFlags::GRAPHICS)
        };
        let shows = |family: u32| {
            let surfaces = &self.surfaces;
            // SAFETY: vkGetPhysicalDeviceSurfaceSupportKHR: a family of this device, and a surface of this instance.
            let answer = unsafe {
                surfaces.get_physical_device_surface_support(physical, family, self.surface)
            };
            answer.unwrap_or(false)
        };
        let mut known = (0..).zip(&families);
        known
            .find(|(number, family)| draws(family) && shows(*number))
            .map(|(number, _)| number)
    }

    fn device(
        &self,
        adapter: &vulkan::Adapter,
        family: u32,
        extensions: &[&CStr],
    ) -> Result<ash::Device, Failure> {
        let queues = [vk::DeviceQueueCreateInfo::default()
            .queue_family_index(family)
            .queue_priorities(&[1.0])];
        let names: Vec<_> = extensions.iter().map(|name| name.as_ptr()).collect();
        let create = vk::DeviceCreateInfo::default()
            .queue_create_infos(&queues)
            .enabled_extension_names(&names);
        // SAFETY: vkCreateDevice: the family exists, the driver lists the extensions, all pointers are locals.
        let device = unsafe { self.instance.create_device(adapter.raw(), &create, None) };
        Ok(device.map_err(refused("vkCreateDevice"))?)
    }
}

/// Names of extensions that ash knows, for people.
fn names(pointers: &[*const c_char]) -> String {
    let text = |pointer: &*const c_char| {
        // SAFETY: CStr::from_ptr: ash_window gives literals that end in a zero.
        let name = unsafe { CStr::from_ptr(*pointer) };
        name.to_string_lossy().into_owned()
    };
    pointers.iter().map(text).collect::<Vec<_>>().join(", ")
}

impl Drop for Base {
    fn drop(&mut self) {
        // SAFETY: vkDestroySurfaceKHR: its swapchains are gone with what holds the `Device`. Null is allowed.
        unsafe { self.surfaces.destroy_surface(self.surface, None) };
        // SAFETY: VUID-vkDestroyInstance-instance-00629: the device was destroyed before (`Device`'s fields).
        unsafe { self.instance.destroy_instance(None) };
    }
}

/// An image's view, which waits for its use when it ends.
pub(super) struct View {
    raw: vk::ImageView,
    device: Rc<Device>,
}

impl View {
    /// The image must outlive it.
    pub(super) fn new(
        device: &Rc<Device>,
        info: &vk::ImageViewCreateInfo<'_>,
    ) -> lucarne::Result<Self> {
        // SAFETY: vkCreateImageView: the image is alive: whoever has the view keeps it behind the view.
        let raw = unsafe { device.raw().create_image_view(info, None) };
        let raw = raw.map_err(|code| lucarne::Error::Driver {
            call: "vkCreateImageView",
            code: format!("{code:?}"),
            help: String::new(),
        })?;
        Ok(Self {
            raw,
            device: Rc::clone(device),
        })
    }

    pub(super) fn raw(&self) -> vk::ImageView {
        self.raw
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.device.wait_idle();
        // SAFETY: VUID-vkDestroyImageView-imageView-01026: nothing is under way that uses it.
        unsafe { self.device.raw().destroy_image_view(self.raw, None) };
    }
}
