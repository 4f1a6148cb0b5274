//! What Vulkan's validation layer finds, less what it is certainly wrong about.

use lucarne::vulkan;

/// The reports that came in on an instance, whose device `adapter` is.
///
/// Two kinds are left out, each by a check of the layer's own mistake (docs/adr/0005-validation-exception.md): that a
/// modifier's image lacks a feature, on a driver that hides its modifiers' features from the layer; and that a descriptor that
/// is imported was exported differently: newer layers know descriptors by their numbers, and a number may have been another
/// descriptor's before.
pub fn messages(instance: &vulkan::Instance, adapter: &vulkan::Adapter) -> Vec<String> {
    let messages = instance.validation_messages().into_iter();
    messages.filter(|one| !is_mistaken(one, adapter)).collect()
}

/// Whether a report on a device of `adapter` is of one of those kinds: for instances that are not Lucarne's.
pub fn is_mistaken(message: &str, adapter: &vulkan::Adapter) -> bool {
    let hidden = adapter.hides_modifier_features();
    hidden && blames_modifier_features(message) || goes_by_a_number(message)
}

/// A report that a modifier's image lacks a feature because the layer found no features at all.
fn blames_modifier_features(message: &str) -> bool {
    // As layers of 1.3.239 and of 1.4.309 write it.
    let none = [
        "VkFormatFeatureFlags (0x0)",
        "VkFormatFeatureFlags2 (VkFormatFeatureFlags2(0))",
    ];
    none.iter().any(|none| message.contains(none))
        && message.contains("VK_IMAGE_TILING_DRM_FORMAT_MODIFIER_EXT")
}

/// A report on what the layer remembers of the descriptor with an imported one's number.
fn goes_by_a_number(message: &str) -> bool {
    message.contains("pNext<VkImportMemoryFdInfoKHR>.fd (")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reports_of_no_features_at_all_are_the_drivers_mistake() {
        let report = |features: &str| {
            format!(
                "tiling VK_IMAGE_TILING_DRM_FORMAT_MODIFIER_EXT which have {features} which in turn is missing"
            )
        };
        for none in [
            "VkFormatFeatureFlags (0x0)",
            "VkFormatFeatureFlags2 (VkFormatFeatureFlags2(0))",
        ] {
            assert!(blames_modifier_features(&report(none)), "{none}");
        }
        let some = "VkFormatFeatureFlags2 (VK_FORMAT_FEATURE_2_TRANSFER_SRC_BIT)";
        assert!(!blames_modifier_features(&report(some)));
    }

    #[test]
    fn only_reports_on_numbers_are_the_layers_mistake() {
        let stale = "vkAllocateMemory(): pAllocateInfo->pNext<VkMemoryDedicatedAllocateInfo>.image is VkImage 0x1 but \
                     pAllocateInfo->pNext<VkImportMemoryFdInfoKHR>.fd (40) was not created with a dedicated image.";
        assert!(goes_by_a_number(stale));
        let ours = "vkAllocateMemory(): pAllocateInfo->pNext<VkImportMemoryFdInfoKHR>.handleType (0x2) is not supported.";
        assert!(!goes_by_a_number(ours));
    }
}
