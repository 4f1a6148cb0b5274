//! What a device has at all: paths, fences, and which extensions are missing.

use std::ffi::CStr;

use ash::vk;

use super::inner::AdapterInner;
use crate::error::{Requirement, Support};
use crate::kernel::Udmabuf;
use crate::negotiate::{FenceSupport, MemoryPath};
use crate::quirks;

/// Tells whether an extension is enabled.
pub(super) type Enabled<'a> = &'a dyn Fn(&CStr) -> bool;

/// Whether images of `path` can be shared at all.
pub(super) fn path(adapter: &AdapterInner, enabled: Enabled<'_>, path: MemoryPath) -> Support {
    let needed: &[&'static CStr] = match path {
        MemoryPath::DmaBuf => &[
            ash::khr::external_memory_fd::NAME,
            ash::ext::external_memory_dma_buf::NAME,
            ash::ext::image_drm_format_modifier::NAME,
        ],
        MemoryPath::OpaqueFd => &[ash::khr::external_memory_fd::NAME],
        MemoryPath::HostMemory => &[],
    };
    let mut missing: Vec<Requirement> = needed
        .iter()
        .filter(|name| !enabled(name))
        .map(|name| extension(adapter, name))
        .collect();
    let lacks_modifiers = !adapter.has(ash::ext::image_drm_format_modifier::NAME);
    if path == MemoryPath::DmaBuf && lacks_modifiers && adapter.id().software {
        // Mesa's software driver allocates dma-bufs from there, and hides the extension without it: the cause comes first.
        if let Support::No(nodes) = Udmabuf::probe() {
            missing.splice(..0, nodes);
        }
    }
    if missing.is_empty() {
        Support::Yes(())
    } else {
        Support::No(missing)
    }
}

/// An extension that is not enabled.
pub(super) fn extension(adapter: &AdapterInner, name: &'static CStr) -> Requirement {
    Requirement::Extension {
        api: "Vulkan device",
        name: name.to_str().unwrap_or("(not UTF-8)"),
        available: adapter.has(name),
    }
}

/// Whether the fences of turns pass as sync_files, unless the device is told otherwise.
pub(super) fn fences_of_turns(adapter: &AdapterInner, enabled: Enabled<'_>) -> FenceSupport {
    unless_cpu_waits(fences_of_driver(adapter, enabled), waits_on_cpu(adapter))
}

/// What remains of `fences` where the CPU waits instead of exporting one.
pub(super) fn unless_cpu_waits(mut fences: FenceSupport, cpu_waits: bool) -> FenceSupport {
    if cpu_waits && fences.export.is_yes() {
        fences.export = Support::no(Requirement::Quirk {
            name: quirks::SOFTWARE_FENCES_HAVE_SIGNALLED.name,
            effect: "its driver is software, whose sync_files have always signalled; Device::with_driver_fences has them \
                     all the same"
                .to_owned(),
        });
    }
    fences
}

/// Whether the CPU waits where the driver's fences could be passed.
pub(super) fn waits_on_cpu(adapter: &AdapterInner) -> bool {
    adapter.quirks.has(&quirks::SOFTWARE_FENCES_HAVE_SIGNALLED)
}

/// Whether the driver passes semaphores as sync_files.
pub(super) fn fences_of_driver(adapter: &AdapterInner, enabled: Enabled<'_>) -> FenceSupport {
    let name = ash::khr::external_semaphore_fd::NAME;
    if !enabled(name) {
        return no_fences(Support::no(extension(adapter, name)));
    }
    let features = semaphore_features(adapter, vk::ExternalSemaphoreHandleTypeFlags::SYNC_FD);
    fence_support(
        features.contains(vk::ExternalSemaphoreFeatureFlags::EXPORTABLE),
        features.contains(vk::ExternalSemaphoreFeatureFlags::IMPORTABLE),
        "semaphores",
        "VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_SYNC_FD_BIT",
    )
}

/// `what` are the objects that the driver was asked about, and `name` is their handle type.
pub(super) fn fence_support(
    export: bool,
    import: bool,
    what: &str,
    name: &'static str,
) -> FenceSupport {
    let answer = |can: bool, verb| {
        if can {
            return Support::Yes(());
        }
        let effect = format!("its driver cannot {verb} SYNC_FD {what}");
        Support::no(Requirement::capability(name, effect))
    };
    FenceSupport {
        export: answer(export, "export"),
        import: answer(import, "import"),
    }
}

pub(super) fn no_fences(no: Support) -> FenceSupport {
    FenceSupport {
        export: no.clone(),
        import: no,
    }
}

/// What binary semaphores can do as `handle`.
pub(super) fn semaphore_features(
    adapter: &AdapterInner,
    handle: vk::ExternalSemaphoreHandleTypeFlags,
) -> vk::ExternalSemaphoreFeatureFlags {
    let info = vk::PhysicalDeviceExternalSemaphoreInfo::default().handle_type(handle);
    let mut properties = vk::ExternalSemaphoreProperties::default();
    // SAFETY: vkGetPhysicalDeviceExternalSemaphoreProperties (Vulkan 1.1) with structures of our own.
    unsafe {
        adapter
            .instance
            .get_physical_device_external_semaphore_properties(
                adapter.physical,
                &info,
                &mut properties,
            );
    }
    properties.external_semaphore_features
}
