//! Which GPU, and which driver of it.

use std::fmt;

/// A DRM device node's number (`st_rdev` of `/dev/dri/…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DrmNode {
    /// The device's major number; 226 for DRM.
    pub major: u32,
    /// The device's minor number; 128 and up for render nodes.
    pub minor: u32,
}

/// What identifies a device across APIs and processes, as far as its driver says.
///
/// Vulkan answers `VkPhysicalDeviceIDProperties` and `VkPhysicalDeviceDrmPropertiesEXT`; GL answers
/// `GL_DEVICE_UUID_EXT` and `GL_DRIVER_UUID_EXT` where it has `GL_EXT_memory_object`; EGL names DRM nodes
/// where it has `EGL_EXT_device_drm(_render_node)`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct DeviceId {
    /// `deviceUUID`.
    pub device_uuid: Option<[u8; 16]>,
    /// `driverUUID`: equal only for the same build of the same driver.
    pub driver_uuid: Option<[u8; 16]>,
    /// The render node.
    pub render_node: Option<DrmNode>,
    /// The primary ("card") node.
    pub primary_node: Option<DrmNode>,
    /// A software rasteriser: no device at all, only this machine's memory.
    pub software: bool,
}

/// The answer to "is it the same one?".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// Certainly the same.
    Same,
    /// Certainly another.
    Different,
    /// The drivers did not tell enough to say.
    Unknown,
}

impl DeviceId {
    /// Whether both are the same device, whatever drives it.
    pub fn compare(&self, other: &Self) -> Comparison {
        if self.software != other.software {
            return Comparison::Different;
        }
        let answers = [
            same(self.render_node.as_ref(), other.render_node.as_ref()),
            same(self.primary_node.as_ref(), other.primary_node.as_ref()),
            same(self.device_uuid.as_ref(), other.device_uuid.as_ref()),
        ];
        // A node or UUID that agrees proves identity; UUIDs may differ between two drivers of one device.
        if answers.contains(&Comparison::Same) {
            Comparison::Same
        } else if answers.contains(&Comparison::Different) {
            Comparison::Different
        } else {
            Comparison::Unknown
        }
    }

    /// Whether both are the same device driven by the same build of the same driver, as `OPAQUE_FD` handles
    /// require (`VkExternalMemoryHandleTypeFlagBits`: "driverUUID must match, deviceUUID must match").
    pub fn compare_driver(&self, other: &Self) -> Comparison {
        let driver = same(self.driver_uuid.as_ref(), other.driver_uuid.as_ref());
        let device = same(self.device_uuid.as_ref(), other.device_uuid.as_ref());
        match (driver, device) {
            (Comparison::Same, Comparison::Same) => Comparison::Same,
            (Comparison::Different, _) | (_, Comparison::Different) => Comparison::Different,
            _ => Comparison::Unknown,
        }
    }
}

fn same<T: PartialEq>(a: Option<&T>, b: Option<&T>) -> Comparison {
    match (a, b) {
        (Some(a), Some(b)) if a == b => Comparison::Same,
        (Some(_), Some(_)) => Comparison::Different,
        _ => Comparison::Unknown,
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.software {
            "a software device"
        } else if *self == Self::default() {
            "a device that nothing is known of"
        } else {
            "a GPU"
        })?;
        if let Some(node) = self.render_node.or(self.primary_node) {
            write!(f, ", DRM node {}:{}", node.major, node.minor)?;
        }
        if let Some(uuid) = self.device_uuid {
            write!(f, ", device UUID {}", hex(&uuid))?;
        }
        if let Some(uuid) = self.driver_uuid {
            write!(f, ", driver UUID {}", hex(&uuid))?;
        }
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(device: u8, driver: u8) -> DeviceId {
        DeviceId {
            device_uuid: Some([device; 16]),
            driver_uuid: Some([driver; 16]),
            ..DeviceId::default()
        }
    }

    #[test]
    fn equal_uuids_are_the_same_device_and_driver() {
        assert_eq!(id(1, 2).compare(&id(1, 2)), Comparison::Same);
        assert_eq!(id(1, 2).compare_driver(&id(1, 2)), Comparison::Same);
    }

    #[test]
    fn another_driver_of_the_same_device_is_no_match_for_opaque_handles() {
        assert_eq!(id(1, 2).compare(&id(1, 3)), Comparison::Same);
        assert_eq!(id(1, 2).compare_driver(&id(1, 3)), Comparison::Different);
    }

    #[test]
    fn a_shared_render_node_outweighs_differing_uuids() {
        let node = Some(DrmNode {
            major: 226,
            minor: 128,
        });
        let mut a = id(1, 1);
        let mut b = id(2, 2);
        a.render_node = node;
        b.render_node = node;
        assert_eq!(a.compare(&b), Comparison::Same);
    }

    #[test]
    fn silence_is_unknown_and_software_is_never_hardware() {
        let silent = DeviceId::default();
        assert_eq!(silent.compare(&id(1, 1)), Comparison::Unknown);
        let software = DeviceId {
            software: true,
            ..id(1, 1)
        };
        assert_eq!(software.compare(&id(1, 1)), Comparison::Different);
    }
}
