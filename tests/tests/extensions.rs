//! The extensions that Lucarne makes use of: whether it says of each what the drivers here say.

use std::collections::BTreeSet;

use lucarne::glow::HasContext as _;
use lucarne::negotiate::Offer;
use lucarne::{Extension, Requirement, Support, Usage, egl, vulkan};

/// What a device says that it lacks, anywhere in its offer.
fn lacked(offer: &Offer) -> BTreeSet<&'static str> {
    let fences = [&offer.fences.export, &offer.fences.import];
    let paths = offer.paths.iter().map(|(_, support)| support);
    let missing = paths.chain(fences).flat_map(|support| match support {
        Support::Yes(()) => &[],
        Support::No(missing) => &missing[..],
    });
    let extensions = missing.filter_map(|one| match one {
        Requirement::Extension { name, .. } => Some(*name),
        _ => None,
    });
    extensions.collect()
}

/// What is said to be missing is told as absent.
fn assert_told(all: &[Extension], offer: &Offer) {
    for name in lacked(offer) {
        let told = all.iter().find(|one| one.name == name);
        let told = told.unwrap_or_else(|| panic!("{name}: {all:?}"));
        assert!(!told.present, "{}: {told:?}", offer.name);
    }
}

#[test]
fn vulkans_are_there_as_the_driver_lists_them() {
    let instance = vulkan::Instance::new(&vulkan::InstanceOptions::default()).expect("Vulkan");
    for adapter in instance.adapters().expect("a device") {
        // SAFETY: vkEnumerateDeviceExtensionProperties: the physical device is of this instance.
        let listed = unsafe {
            instance
                .raw()
                .enumerate_device_extension_properties(adapter.raw())
        };
        let listed = listed.expect("extensions");
        let listed: BTreeSet<&str> = listed
            .iter()
            .filter_map(|one| one.extension_name_as_c_str().ok()?.to_str().ok())
            .collect();
        let all = adapter.extensions();
        for one in &all {
            assert_eq!(one.api, "Vulkan device");
            assert_eq!(one.present, listed.contains(one.name), "{}", one.name);
        }
        let there = |name: &str| all.iter().any(|one| one.name == name && one.present);
        for name in adapter.device_extensions() {
            assert!(there(name.to_str().expect("UTF-8")), "{name:?}");
        }
        assert_told(&all, &adapter.offer(Usage::SAMPLE).expect("an offer"));
    }
}

#[test]
fn opengls_are_there_as_the_context_lists_them() {
    for adapter in egl::Adapter::enumerate().expect("EGL") {
        let device = adapter.open().expect("a context");
        let listed = device.glow().supported_extensions();
        let all = device.extensions();
        let of_gl = all.iter().filter(|one| one.api == "OpenGL");
        for one in of_gl {
            assert_eq!(one.present, listed.contains(one.name), "{}", one.name);
        }
        // Without these it could not have been opened.
        for name in ["EGL_EXT_platform_device", "EGL_KHR_surfaceless_context"] {
            let told = all.iter().find(|one| one.name == name);
            assert!(told.is_some_and(|one| one.present), "{name}");
        }
        assert_told(&all, &device.offer(Usage::SAMPLE).expect("an offer"));
    }
}
