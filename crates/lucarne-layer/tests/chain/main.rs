//! The layer between a program and a layer below, both of this test: what arrives there, and what the program is told.

mod below;
mod loader;

use std::ffi::{CStr, CString, c_void};
use std::ptr;

use ash::vk;
use below::{Arrived, BELOW, Below};
use loader::Program;
use lucarne_layer::ffi::LAYER_NEGOTIATE_INTERFACE_STRUCT;

/// What Lucarne is documented to want, written out: the layer has its list from the core.
const WANTED: [&CStr; 8] = [
    c"VK_KHR_external_memory_fd",
    c"VK_EXT_external_memory_dma_buf",
    c"VK_KHR_image_format_list",
    c"VK_EXT_image_drm_format_modifier",
    c"VK_EXT_queue_family_foreign",
    c"VK_KHR_external_semaphore_fd",
    c"VK_KHR_external_fence_fd",
    c"VK_EXT_external_memory_host",
];
const TIMELINE: &CStr = c"VK_KHR_timeline_semaphore";
const NO_CHAIN: *const c_void = ptr::null();

/// What arrived below, once.
fn arrived() -> Arrived {
    let mut all = BELOW.with_borrow_mut(|below| std::mem::take(&mut below.arrived));
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn owned(names: &[&CStr]) -> Vec<CString> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// What the layer adds to a device with nothing, on this driver.
fn all(program: &Program) -> Vec<&'static CStr> {
    let mut names = program.listed(&WANTED);
    assert!(names.contains(&WANTED[0]), "{names:?}: is this a driver?");
    names.extend(program.listed(&[TIMELINE]));
    names
}

#[test]
fn a_device_with_nothing_gets_what_lucarne_wants() {
    let program = Program::new(vk::API_VERSION_1_1);
    let wanted = owned(&all(&program));
    let (info, device) = program.device(&[], NO_CHAIN);
    let device = device.expect("a device");
    let arrived = arrived();
    assert_ne!(arrived.info, info, "the program's own was changed");
    assert_eq!(arrived.extensions, wanted);
    assert_eq!(device.added(), wanted);
    assert_eq!(device.enabled(), wanted);
    let mut features = arrived.features;
    features.sort_unstable();
    assert_eq!(
        features,
        [
            ("samplerYcbcrConversion", true),
            ("timelineSemaphore", true)
        ]
    );
    // The last is the loader's.
    let types: Vec<_> = arrived.chain.iter().map(|(s_type, _)| *s_type).collect();
    assert_eq!(types[2..], [vk::StructureType::LOADER_DEVICE_CREATE_INFO]);
}

#[test]
fn a_program_that_asks_for_all_by_itself_is_passed_on_untouched() {
    let program = Program::new(vk::API_VERSION_1_2);
    let wanted = all(&program);
    let mut eleven = vk::PhysicalDeviceVulkan11Features::default().sampler_ycbcr_conversion(true);
    let mut twelve = vk::PhysicalDeviceVulkan12Features::default().timeline_semaphore(true);
    twelve.p_next = (&raw mut eleven).cast();
    let (info, device) = program.device(&wanted, (&raw const twelve).cast());
    let device = device.expect("a device");
    let arrived = arrived();
    assert_eq!(arrived.info, info);
    assert_eq!(arrived.extensions, owned(&wanted));
    assert_eq!(device.added(), owned(&[]));
    assert_eq!(device.enabled(), owned(&wanted));
}

#[test]
fn what_is_asked_for_stands_first_and_comes_once() {
    let program = Program::new(vk::API_VERSION_1_1);
    let wanted = all(&program);
    let mine = [c"VK_KHR_maintenance2", WANTED[5], WANTED[0]];
    assert_eq!(program.listed(&mine), mine);
    let (_, device) = program.device(&mine, NO_CHAIN);
    let device = device.expect("a device");
    let mut rest = wanted;
    rest.retain(|name| !mine.contains(name));
    assert_eq!(device.added(), owned(&rest));
    let whole = owned(&[&mine[..], &rest].concat());
    assert_eq!(arrived().extensions, whole);
    assert_eq!(device.enabled(), whole);
}

#[test]
fn structures_of_the_program_stay_and_decide() {
    let program = Program::new(vk::API_VERSION_1_2);
    for asks in [false, true] {
        let mut eleven =
            vk::PhysicalDeviceVulkan11Features::default().sampler_ycbcr_conversion(asks);
        let mut twelve = vk::PhysicalDeviceVulkan12Features::default().timeline_semaphore(asks);
        let mut features = vk::PhysicalDeviceFeatures2::default();
        eleven.p_next = (&raw mut features).cast();
        twelve.p_next = (&raw mut eleven).cast();
        let (_, device) = program.device(&[], (&raw const twelve).cast());
        let device = device.expect("a device");
        let arrived = arrived();
        let names = arrived.extensions.iter();
        let timeline = names.filter(|name| **name == *TIMELINE).count();
        assert_eq!(
            timeline,
            usize::from(asks),
            "the extension goes with the feature"
        );
        assert_eq!(device.added(), arrived.extensions);
        assert_eq!(
            arrived.features,
            [
                ("timelineSemaphore", asks),
                ("samplerYcbcrConversion", asks)
            ]
        );
        // The loader's structure, then the program's own, each where it was.
        let addresses: Vec<usize> = arrived.chain.iter().map(|(_, at)| *at).collect();
        let mine = [
            (&raw const twelve).addr(),
            (&raw const eleven).addr(),
            (&raw const features).addr(),
        ];
        assert_eq!(addresses[1..], mine);
    }
    // Structures of one feature each say as much.
    let mut ycbcr = vk::PhysicalDeviceSamplerYcbcrConversionFeatures::default();
    let timeline = vk::PhysicalDeviceTimelineSemaphoreFeatures {
        p_next: (&raw mut ycbcr).cast(),
        ..Default::default()
    };
    let (_, device) = program.device(&[], (&raw const timeline).cast());
    assert!(
        !device
            .expect("a device")
            .enabled()
            .contains(&TIMELINE.to_owned())
    );
    let features = arrived().features;
    assert_eq!(
        features,
        [
            ("timelineSemaphore", false),
            ("samplerYcbcrConversion", false)
        ]
    );
}

#[test]
fn the_extension_alone_gets_its_feature() {
    let program = Program::new(vk::API_VERSION_1_1);
    let (_, device) = program.device(&[TIMELINE], NO_CHAIN);
    assert!(
        !device
            .expect("a device")
            .added()
            .contains(&TIMELINE.to_owned())
    );
    assert!(arrived().features.contains(&("timelineSemaphore", true)));
}

#[test]
fn vulkan_1_0_gets_nothing() {
    for version in [0, vk::API_VERSION_1_0] {
        let program = Program::new(version);
        let (info, device) = program.device(&[], NO_CHAIN);
        let device = device.expect("a device");
        let arrived = arrived();
        assert_eq!((arrived.info, arrived.chain.len()), (info, 1));
        assert_eq!(device.added(), owned(&[]));
    }
}

#[test]
fn an_instance_without_the_functions_of_1_1_gets_nothing() {
    let program = Program::over(
        vk::API_VERSION_1_1,
        Below {
            absent: vec![c"vkGetPhysicalDeviceProperties2"],
            ..Below::default()
        },
    );
    let (info, device) = program.device(&[], NO_CHAIN);
    assert_eq!(device.expect("a device").added(), owned(&[]));
    assert_eq!(arrived().info, info);
}

#[test]
fn what_the_driver_lacks_is_not_asked_for_nor_what_needs_it() {
    let lacks = [
        (WANTED[1], WANTED[1]),
        (WANTED[2], WANTED[3]),
        (WANTED[0], WANTED[1]),
        (TIMELINE, TIMELINE),
    ];
    for (hidden, without) in lacks {
        let below = Below {
            hidden: vec![hidden],
            ..Below::default()
        };
        let program = Program::over(vk::API_VERSION_1_1, below);
        let (_, device) = program.device(&[], NO_CHAIN);
        let added = device.expect("a device").added();
        let arrived = arrived();
        assert_eq!(arrived.extensions, added);
        for name in [hidden, without] {
            assert!(!added.contains(&name.to_owned()), "{hidden:?}: {added:?}");
        }
        assert!(added.contains(&WANTED[5].to_owned()), "{added:?}");
        let timeline = arrived.features.contains(&("timelineSemaphore", true));
        assert_eq!(timeline, hidden != TIMELINE);
    }
}

/// As a driver may that has had the feature since Vulkan 1.2, and lists its extension no more.
#[test]
fn a_feature_of_the_programs_brings_no_extension_that_is_not_listed() {
    let below = Below {
        hidden: vec![TIMELINE],
        ..Below::default()
    };
    let program = Program::over(vk::API_VERSION_1_2, below);
    let twelve = vk::PhysicalDeviceVulkan12Features::default().timeline_semaphore(true);
    let (_, device) = program.device(&[], (&raw const twelve).cast());
    let added = device.expect("a device").added();
    assert_eq!(arrived().extensions, added);
    assert!(!added.contains(&TIMELINE.to_owned()), "{added:?}");
    assert!(added.contains(&WANTED[5].to_owned()), "{added:?}");
}

/// The driver lists what it then refuses.
#[test]
fn a_device_that_is_refused_is_created_as_the_program_asked() {
    for refusal in [
        vk::Result::ERROR_EXTENSION_NOT_PRESENT,
        vk::Result::ERROR_FEATURE_NOT_PRESENT,
        vk::Result::ERROR_INITIALIZATION_FAILED,
    ] {
        let below = Below {
            answers: vec![refusal],
            ..Below::default()
        };
        let program = Program::over(vk::API_VERSION_1_1, below);
        let mine = [c"VK_KHR_maintenance2"];
        let (info, device) = program.device(&mine, NO_CHAIN);
        let device = device.expect("a device");
        let all = BELOW.with_borrow_mut(|below| std::mem::take(&mut below.arrived));
        // That the link was moved on both times is checked there.
        assert_eq!(all.len(), 2);
        assert!(all[0].extensions.len() > 1 && all[0].info != info);
        assert_eq!((all[1].info, &all[1].extensions), (info, &owned(&mine)));
        assert_eq!(device.added(), owned(&[]));
        assert_eq!(device.enabled(), owned(&mine));
    }
}

#[test]
fn a_program_hears_its_own_error() {
    let below = Below {
        answers: vec![
            vk::Result::ERROR_EXTENSION_NOT_PRESENT,
            vk::Result::ERROR_TOO_MANY_OBJECTS,
        ],
        ..Below::default()
    };
    let program = Program::over(vk::API_VERSION_1_1, below);
    let (_, device) = program.device(&[], NO_CHAIN);
    assert_eq!(device.err(), Some(vk::Result::ERROR_TOO_MANY_OBJECTS));
    // And may try again.
    BELOW.with_borrow_mut(|below| below.arrived.clear());
    let (_, device) = program.device(&[], NO_CHAIN);
    assert_eq!(device.expect("a device").added(), arrived().extensions);
}

#[test]
fn instances_and_devices_on_many_threads_are_told_apart() {
    std::thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                for round in 0..4 {
                    let one = Program::new(vk::API_VERSION_1_1);
                    let names = all(&one);
                    let mine = &names[..(thread + round) % names.len()];
                    let (_, with) = one.device(mine, NO_CHAIN);
                    let (_, without) = one.device(&[], NO_CHAIN);
                    let (with, without) = (with.expect("one"), without.expect("two"));
                    assert_eq!(with.added(), owned(&names[mine.len()..]));
                    assert_eq!(without.added(), owned(&names));
                    drop(with);
                    assert_eq!(without.enabled(), owned(&names));
                }
            });
        }
    });
}

#[test]
fn everything_else_is_passed_through() {
    let program = Program::new(vk::API_VERSION_1_1);
    let (_, device) = program.device(&[], NO_CHAIN);
    let device = device.expect("a device");
    for name in [c"vkResetFences", c"vkCreateImage", c"vkGetMemoryFdKHR"] {
        // SAFETY: a live device, and a NUL-terminated name.
        let below = unsafe { below::get_device_proc_addr(device.device, name.as_ptr()) };
        let below = below.map(|function| function as usize);
        assert!(below.is_some(), "{name:?}");
        assert_eq!(device.address(name), below, "{name:?}");
    }
    assert_eq!(device.address(c"vkNoSuchFunction"), None);
    // A device has no functions of an instance.
    assert_eq!(device.address(c"vkCreateInstance"), None);
}

#[test]
fn submissions_go_by_the_layer_and_arrive() {
    let program = Program::new(vk::API_VERSION_1_1);
    let (_, device) = program.device(&[], NO_CHAIN);
    let device = device.expect("a device");
    for name in [c"vkQueueSubmit", c"vkQueueWaitIdle", c"vkDeviceWaitIdle"] {
        // SAFETY: a live device, and a NUL-terminated name.
        let below = unsafe { below::get_device_proc_addr(device.device, name.as_ptr()) };
        let below = below.map(|function| function as usize);
        assert!(device.address(name).is_some(), "{name:?}");
        assert_ne!(device.address(name), below, "{name:?}");
    }
    // Not enabled here, so that there is nothing to stand before.
    assert_eq!(device.address(c"vkQueuePresentKHR"), None);
    let answers = device.submit_and_wait();
    assert_eq!(answers, [vk::Result::SUCCESS; 3]);
}

#[test]
fn answers_fit_the_room_that_there_is() {
    let program = Program::new(vk::API_VERSION_1_1);
    let (_, device) = program.device(&[], NO_CHAIN);
    let device = device.expect("a device");
    let ask = device.asks(c"vkEnumerateAddedExtensionsLUCARNE");
    let before = vk::ExtensionProperties::default().extension_name(c"untouched");
    let mut list = [before.expect("short"); 3];
    let mut count = 2;
    // SAFETY: docs/layer.md: an array of at least that many.
    let answer = unsafe { ask(device.device, &raw mut count, list.as_mut_ptr()) };
    assert_eq!((answer, count), (vk::Result::INCOMPLETE, 2));
    assert_eq!(list[1].extension_name_as_c_str(), Ok(WANTED[1]));
    assert_eq!(list[2].extension_name_as_c_str(), Ok(c"untouched"));
    // SAFETY: no device is refused; so is no count.
    let answer = unsafe { ask(vk::Device::null(), &raw mut count, ptr::null_mut()) };
    assert_eq!(answer, vk::Result::ERROR_UNKNOWN);
    // SAFETY: as above.
    let answer = unsafe { ask(device.device, ptr::null_mut(), ptr::null_mut()) };
    assert_eq!(answer, vk::Result::ERROR_UNKNOWN);
}

#[test]
fn only_this_negotiation_is_understood() {
    let asked = |mut interface: lucarne_layer::ffi::NegotiateLayerInterface| {
        let at = &raw mut interface;
        // SAFETY: a structure of this test's.
        let answer = unsafe { lucarne_layer::vkNegotiateLoaderLayerInterfaceVersion(at) };
        (answer, interface.version)
    };
    let ours = LAYER_NEGOTIATE_INTERFACE_STRUCT;
    let failed = vk::Result::ERROR_INITIALIZATION_FAILED;
    assert_eq!(asked(loader::interface(ours, 1)), (failed, 1));
    assert_eq!(asked(loader::interface(ours + 1, 2)), (failed, 2));
    // A newer loader goes back to what the layer knows.
    assert_eq!(asked(loader::interface(ours, 7)), (vk::Result::SUCCESS, 2));
    // SAFETY: null is refused.
    let nothing = unsafe { lucarne_layer::vkNegotiateLoaderLayerInterfaceVersion(ptr::null_mut()) };
    assert_eq!(nothing, failed);
}
