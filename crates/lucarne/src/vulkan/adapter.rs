//! What a physical device could do, asked before anything is opened.

use std::ffi::CStr;
use std::sync::Arc;

use ash::vk;

use super::failed;
use super::inner::{Adapter, AdapterInner};
use super::instance::{Instance, InstanceInner, no_driver};
use crate::device_id::{DeviceId, DrmNode};
use crate::error::{Error, Requirement, Result};
use crate::quirks::{self, Active, Driver, Quirks};

impl Instance {
    /// Every physical device, in the loader's order.
    ///
    /// # Errors
    ///
    /// [`Error::Driver`] when the loader cannot enumerate; [`Error::Unsupported`] when there is none.
    pub fn adapters(&self) -> Result<Vec<Adapter>> {
        // SAFETY: vkEnumeratePhysicalDevices needs a valid instance, which `inner` owns.
        let devices = unsafe { self.inner.instance.enumerate_physical_devices() }
            .map_err(failed("vkEnumeratePhysicalDevices"))?;
        if devices.is_empty() {
            return Err(no_driver());
        }
        devices
            .into_iter()
            .map(|device| Adapter::of_instance(&self.inner, device))
            .collect()
    }
}

impl Adapter {
    /// Wraps the caller's physical device.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] for a device or instance below Vulkan 1.1; [`Error::Driver`] when the driver does not
    /// answer.
    ///
    /// # Safety
    ///
    /// `physical` must come from `instance`, which must have been created with `apiVersion` 1.1 or later through
    /// `entry`, and must stay alive until the adapter, and every device and image made of it, is dropped.
    pub unsafe fn from_raw(
        entry: &ash::Entry,
        instance: &ash::Instance,
        physical: vk::PhysicalDevice,
    ) -> Result<Self> {
        Self::query(entry.clone(), instance.clone(), physical, None)
    }

    fn of_instance(owner: &Arc<InstanceInner>, physical: vk::PhysicalDevice) -> Result<Self> {
        let entry = owner.entry.clone();
        let instance = owner.instance.clone();
        Self::query(entry, instance, physical, Some(Arc::clone(owner)))
    }

    fn query(
        entry: ash::Entry,
        instance: ash::Instance,
        physical: vk::PhysicalDevice,
        owner: Option<Arc<InstanceInner>>,
    ) -> Result<Self> {
        // SAFETY: vkGetPhysicalDeviceProperties needs a physical device of this instance: `from_raw`'s contract.
        let properties = unsafe { instance.get_physical_device_properties(physical) };
        if properties.api_version < vk::API_VERSION_1_1 {
            return Err(Error::unsupported(
                "sharing Vulkan memory",
                vec![Requirement::Version {
                    api: "Vulkan",
                    at_least: "1.1",
                    found: version(properties.api_version),
                }],
            ));
        }
        // SAFETY: vkEnumerateDeviceExtensionProperties, as above.
        let extensions = unsafe { instance.enumerate_device_extension_properties(physical) }
            .map_err(failed("vkEnumerateDeviceExtensionProperties"))?
            .iter()
            .filter_map(|extension| extension.extension_name_as_c_str().ok())
            .map(CStr::to_owned)
            .collect();
        // SAFETY: vkGetPhysicalDeviceMemoryProperties, as above.
        let memory = unsafe { instance.get_physical_device_memory_properties(physical) };
        let mut inner = AdapterInner {
            _entry: entry,
            instance,
            physical,
            memory,
            extensions,
            host_pointer_alignment: 0,
            name: text(properties.device_name_as_c_str()),
            driver: String::new(),
            id: DeviceId::default(),
            quirks: Quirks::default(),
            _instance: owner,
        };
        let driver = inner.identify(&properties);
        inner.quirks = Quirks::of(&driver, &inner.observed())?;
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// `VkPhysicalDeviceProperties::deviceName`.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The driver's name and version (`VkPhysicalDeviceDriverProperties`), or nothing below Vulkan 1.2.
    pub fn driver(&self) -> &str {
        &self.inner.driver
    }

    /// The driver faults that are worked around on this device, and why each.
    pub fn quirks(&self) -> &[Active] {
        self.inner.quirks.active()
    }

    /// The device's identity.
    pub fn id(&self) -> &DeviceId {
        &self.inner.id
    }

    /// The physical device.
    pub fn raw(&self) -> vk::PhysicalDevice {
        self.inner.physical
    }

    /// Whether the driver has `VK_KHR_format_feature_flags2` but leaves `VkDrmFormatModifierPropertiesList2EXT` empty
    /// while it has modifiers, as Mesa's software driver does (25.0.7). The validation layer (1.3.239) reads features
    /// there, finds none, and reports every use of such an image: reports of features `(0x0)` with
    /// `VK_IMAGE_TILING_DRM_FORMAT_MODIFIER_EXT` are then about the driver, not about the program.
    pub fn hides_modifier_features(&self) -> bool {
        self.inner.quirks.has(&quirks::HIDES_MODIFIER_FEATURES)
    }
}

impl AdapterInner {
    /// The quirks that the device itself shows.
    fn observed(&self) -> Vec<&'static quirks::Quirk> {
        let mut observed = Vec::new();
        if self.id.software {
            observed.push(&quirks::SOFTWARE_WAITS_FOR_EVER);
            observed.push(&quirks::SOFTWARE_FENCES_HAVE_SIGNALLED);
        }
        if self.has(ash::ext::image_drm_format_modifier::NAME) && self.leaves_list_2_empty() {
            observed.push(&quirks::HIDES_MODIFIER_FEATURES);
        }
        observed
    }

    fn leaves_list_2_empty(&self) -> bool {
        let mut list = vk::DrmFormatModifierPropertiesList2EXT::default();
        let mut properties = vk::FormatProperties2::default().push_next(&mut list);
        let format = vk::Format::B8G8R8A8_UNORM;
        // SAFETY: vkGetPhysicalDeviceFormatProperties2 (Vulkan 1.1) with structures of our own; with a null array only
        // the count is written.
        unsafe {
            self.instance.get_physical_device_format_properties2(
                self.physical,
                format,
                &mut properties,
            );
        }
        list.drm_format_modifier_count == 0
    }

    fn identify(&mut self, device: &vk::PhysicalDeviceProperties) -> Driver {
        let mut ids = vk::PhysicalDeviceIDProperties::default();
        let mut driver = vk::PhysicalDeviceDriverProperties::default();
        let mut drm = vk::PhysicalDeviceDrmPropertiesEXT::default();
        let mut host = vk::PhysicalDeviceExternalMemoryHostPropertiesEXT::default();
        let mut properties = vk::PhysicalDeviceProperties2::default()
            .push_next(&mut ids)
            .push_next(&mut driver);
        let has_drm = self.has(ash::ext::physical_device_drm::NAME);
        if has_drm {
            properties = properties.push_next(&mut drm);
        }
        if self.has(ash::ext::external_memory_host::NAME) {
            properties = properties.push_next(&mut host);
        }
        // SAFETY: vkGetPhysicalDeviceProperties2 (Vulkan 1.1, checked by the caller) fills structures it knows and
        // leaves others as they are; all are locals and initialised.
        unsafe {
            self.instance
                .get_physical_device_properties2(self.physical, &mut properties);
        }
        self.host_pointer_alignment = host.min_imported_host_pointer_alignment;
        self.driver = [
            text(driver.driver_name_as_c_str()),
            text(driver.driver_info_as_c_str()),
        ]
        .join(" ")
        .trim()
        .to_owned();
        self.id = DeviceId {
            device_uuid: Some(ids.device_uuid),
            driver_uuid: Some(ids.driver_uuid),
            render_node: node(
                has_drm && drm.has_render == vk::TRUE,
                drm.render_major,
                drm.render_minor,
            ),
            primary_node: node(
                has_drm && drm.has_primary == vk::TRUE,
                drm.primary_major,
                drm.primary_minor,
            ),
            software: device.device_type == vk::PhysicalDeviceType::CPU,
        };
        let info = text(driver.driver_info_as_c_str());
        Driver::of_vulkan(driver.driver_id.as_raw(), &info, device.driver_version)
    }
}

fn node(present: bool, major: i64, minor: i64) -> Option<DrmNode> {
    let major = u32::try_from(major).ok()?;
    let minor = u32::try_from(minor).ok()?;
    present.then_some(DrmNode { major, minor })
}

fn text<E>(name: Result<&CStr, E>) -> String {
    name.map_or_else(
        |_| String::new(),
        |name| name.to_string_lossy().into_owned(),
    )
}

fn version(version: u32) -> String {
    format!(
        "{}.{}",
        vk::api_version_major(version),
        vk::api_version_minor(version)
    )
}
