//! The device extensions that this backend makes use of.

use std::ffi::CStr;

use super::inner::Adapter;
use crate::extension::Extension;

/// One of them.
struct Used {
    name: &'static CStr,
    /// Whether [`Adapter::device_extensions`] names it.
    enable: bool,
    purpose: &'static str,
    cost: &'static str,
}

const fn enable(name: &'static CStr, purpose: &'static str, cost: &'static str) -> Used {
    Used {
        name,
        enable: true,
        purpose,
        cost,
    }
}

/// Not among those to enable: it needs a feature structure, or only to be listed.
const fn ask(name: &'static CStr, purpose: &'static str, cost: &'static str) -> Used {
    Used {
        enable: false,
        ..enable(name, purpose, cost)
    }
}

/// All of them, in the order in which to enable them.
const USED: [Used; 10] = [
    enable(
        ash::khr::external_memory_fd::NAME,
        "memory as file descriptors",
        "neither dma-bufs nor opaque memory: every frame goes through host memory",
    ),
    enable(
        ash::ext::external_memory_dma_buf::NAME,
        "memory as dma-bufs",
        "no dma-bufs: frames go to other drivers through host memory, with copies",
    ),
    enable(
        ash::khr::image_format_list::NAME,
        "what images with modifiers build on",
        "nothing by itself: VK_EXT_image_drm_format_modifier wants it before Vulkan 1.2",
    ),
    enable(
        ash::ext::image_drm_format_modifier::NAME,
        "layouts that both sides know",
        "no dma-bufs, tiled or linear: nobody could tell how a picture lies in one",
    ),
    enable(
        ash::ext::queue_family_foreign::NAME,
        "handing an image to another driver",
        "handed over as to another Vulkan: what is not Vulkan may find it still compressed",
    ),
    enable(
        ash::khr::external_semaphore_fd::NAME,
        "fences as sync_files",
        "no fence passes: the CPU waits for each frame before it is handed over",
    ),
    enable(
        ash::khr::external_fence_fd::NAME,
        "fences for programs that submit by themselves (SubmitFence)",
        "programs that submit by themselves wait on the CPU",
    ),
    enable(
        ash::ext::external_memory_host::NAME,
        "host memory in its place",
        "one more copy of each frame that goes through host memory",
    ),
    ask(
        ash::khr::timeline_semaphore::NAME,
        "timelines of a program's own (Timelines)",
        "programs gate turns among their own commands without timelines",
    ),
    ask(
        ash::ext::physical_device_drm::NAME,
        "which node the device is",
        "two APIs are known to be on the same GPU by their UUIDs alone",
    ),
];

/// Those that need another of them on Vulkan 1.1, which every adapter has: an extension, and what it needs.
const NEEDS: [(&CStr, &CStr); 2] = [
    (
        ash::ext::external_memory_dma_buf::NAME,
        ash::khr::external_memory_fd::NAME,
    ),
    (
        ash::ext::image_drm_format_modifier::NAME,
        ash::khr::image_format_list::NAME,
    ),
];

impl Adapter {
    /// The device extensions to enable at device creation: those that sharing can use and the driver has. What one of them
    /// needs is among them too.
    ///
    /// None of them needs a feature structure; [`Adapter::device_features`] has what does. Fewer may be enabled:
    /// [`Device::offer`](super::Device::offer) then says what is lost.
    pub fn device_extensions(&self) -> Vec<&'static CStr> {
        usable(|name| self.inner.has(name))
    }

    /// Every device extension that Lucarne makes use of: whether the driver has it, and what that means.
    ///
    /// Besides those of [`Adapter::device_extensions`] there are some that only need to be listed, or a feature structure of
    /// the caller's.
    pub fn extensions(&self) -> Vec<Extension> {
        let told = |one: &Used| Extension {
            api: "Vulkan device",
            name: one.name.to_str().unwrap_or("(not UTF-8)"),
            present: self.inner.has(one.name),
            purpose: one.purpose,
            cost: one.cost,
        };
        USED.iter().map(told).collect()
    }
}

/// Those to enable that `has` knows, with all that they need.
fn usable(has: impl Fn(&CStr) -> bool) -> Vec<&'static CStr> {
    let complete = |name: &CStr| {
        let mut needs = NEEDS.iter().filter(|(one, _)| *one == name);
        has(name) && needs.all(|(_, needed)| has(needed))
    };
    let enabled = USED.iter().filter(|one| one.enable);
    let names = enabled.map(|one| one.name);
    names.filter(|name| complete(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_without_what_it_needs_is_left_out() {
        let all = usable(|_| true);
        assert_eq!(all.len(), 8);
        for (name, needed) in NEEDS {
            let without = usable(|one| one != needed);
            assert!(!without.contains(&name), "{name:?}");
            assert_eq!(without.len(), all.len() - 2, "{name:?}");
        }
        assert_eq!(usable(|_| false), [c""; 0]);
    }

    #[test]
    fn what_this_backend_asks_for_is_in_the_table() {
        // ash's name for an extension, in the files that ask whether it is there or enabled.
        let files = [
            include_str!("adapter.rs"),
            include_str!("device.rs"),
            include_str!("features.rs"),
            include_str!("fence.rs"),
            include_str!("handoff.rs"),
            include_str!("host.rs"),
            include_str!("owner.rs"),
            include_str!("support.rs"),
        ];
        let table = include_str!("extensions.rs");
        let (table, _) = table.split_once("impl Adapter").expect("the table");
        let mut found = 0;
        for file in files {
            for (before, _) in file
                .match_indices("::NAME")
                .map(|(at, _)| file.split_at(at))
            {
                let begin = before.rfind("ash::").expect("a name of ash's");
                let name = &before[begin..];
                assert!(
                    table.contains(&format!("{name}::NAME")),
                    "{name} is not told"
                );
                found += 1;
            }
        }
        assert!(found > 10, "{found}");
    }

    #[test]
    fn each_is_told_once_and_says_what_it_costs() {
        for (index, one) in USED.iter().enumerate() {
            assert!(one.name.to_bytes().starts_with(b"VK_"), "{:?}", one.name);
            assert!(!one.purpose.is_empty() && !one.cost.is_empty());
            let again = USED[..index].iter().any(|other| other.name == one.name);
            assert!(!again, "{:?} stands twice", one.name);
        }
    }
}
