//! What is added to a `VkDeviceCreateInfo`.

use std::ffi::CStr;
use std::fmt;

use ash::vk;
use lucarne::vulkan::DeviceFeatures;

use crate::convert::{self, Asked, Says};

/// What Lucarne wants and the program has not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Additions {
    pub(crate) extensions: Vec<&'static CStr>,
    timeline_semaphore: bool,
    sampler_ycbcr_conversion: bool,
}

impl Additions {
    /// `extensions` and `features` are those that Lucarne wants and the driver has.
    ///
    /// A feature is added only where the program says nothing about it: structures that it gave stay as they are, and a second
    /// one with the same feature is forbidden (VUID-VkDeviceCreateInfo-pNext-02829 and -02830).
    pub(crate) fn new(
        mut extensions: Vec<&'static CStr>,
        features: DeviceFeatures,
        asked: &Asked<'_>,
    ) -> Self {
        let adds = |has: bool, says: Says| has && says == Says::Nothing;
        if features.timeline_semaphore && asked.timeline_semaphore != Says::Off {
            extensions.push(ash::khr::timeline_semaphore::NAME);
        }
        extensions.retain(|name| !asked.extensions.contains(name));
        Self {
            extensions,
            timeline_semaphore: adds(features.timeline_semaphore, asked.timeline_semaphore),
            sampler_ycbcr_conversion: adds(
                features.sampler_ycbcr_conversion,
                asked.sampler_ycbcr_conversion,
            ),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Calls `create` with a copy of `info` that has the additions. The program's own structures are in it as they are, behind
    /// those that were added.
    pub(crate) fn with<T>(
        &self,
        info: &vk::DeviceCreateInfo<'_>,
        create: impl FnOnce(&vk::DeviceCreateInfo<'_>) -> T,
    ) -> T {
        let mut names = convert::names(info).to_vec();
        names.extend(self.extensions.iter().map(|name| name.as_ptr()));
        let mut timeline =
            vk::PhysicalDeviceTimelineSemaphoreFeatures::default().timeline_semaphore(true);
        let mut ycbcr = vk::PhysicalDeviceSamplerYcbcrConversionFeatures::default()
            .sampler_ycbcr_conversion(true);
        let mut copy = info.enabled_extension_names(&names);
        if self.timeline_semaphore {
            timeline.p_next = copy.p_next.cast_mut();
            copy.p_next = (&raw const timeline).cast();
        }
        if self.sampler_ycbcr_conversion {
            ycbcr.p_next = copy.p_next.cast_mut();
            copy.p_next = (&raw const ycbcr).cast();
        }
        create(&copy)
    }
}

impl fmt::Display for Additions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words: Vec<_> = self
            .extensions
            .iter()
            .map(|name| name.to_string_lossy())
            .collect();
        let features = [
            (self.timeline_semaphore, "the feature timelineSemaphore"),
            (
                self.sampler_ycbcr_conversion,
                "the feature samplerYcbcrConversion",
            ),
        ];
        let added = features.into_iter().filter(|(added, _)| *added);
        words.extend(added.map(|(_, name)| name.into()));
        f.write_str(&words.join(", "))
    }
}
