//! What Vulkan's validation layer finds, less what it is certainly wrong about.

use lucarne::vulkan;

/// The reports that came in on an instance, whose device `adapter` is.
///
/// Two kinds are left out, each by a check of the layer's own mistake (docs/adr/0005-validation-exception.md): that a
/// modifier's image lacks a feature, on a driver that hides its modifiers' features from the layer; and that imported memory
/// has not the size of memory of 0 bytes, which no memory has: the layer knows descriptors by their numbers, and the number
/// was another descriptor's before.
pub fn messages(instance: &vulkan::Instance, adapter: &vulkan::Adapter) -> Vec<String> {
    let hidden = adapter.hides_modifier_features();
    instance
        .validation_messages()
        .into_iter()
        .filter(|message| !(hidden && blames_modifier_features(message)))
        .filter(|message| !compares_with_no_memory(message))
        .collect()
}

/// A report that a modifier's image lacks a feature because the layer found no features at all.
fn blames_modifier_features(message: &str) -> bool {
    message.contains("VkFormatFeatureFlags (0x0)")
        && message.contains("VK_IMAGE_TILING_DRM_FORMAT_MODIFIER_EXT")
}

/// `vkAllocateMemory` importing descriptor N, of which the layer remembers an allocation of 0 bytes.
fn compares_with_no_memory(message: &str) -> bool {
    message.contains("VUID-VkMemoryAllocateInfo-allocationSize-01742")
        && message.contains(") allocationSize (0)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_allocation_of_nothing_is_the_layers_mistake() {
        let report = |size: u32| {
            format!(
                "vkAllocateMemory(): pAllocateInfo->allocationSize allocationSize (1536) does not match \
                 pAllocateInfo->pNext<VkImportMemoryFdInfoKHR>.fd (40) allocationSize ({size}). \
                 VUID-VkMemoryAllocateInfo-allocationSize-01742"
            )
        };
        assert!(compares_with_no_memory(&report(0)));
        assert!(!compares_with_no_memory(&report(1024)));
        assert!(!compares_with_no_memory(&report(10)));
    }
}
