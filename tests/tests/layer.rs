//! Lucarne's Vulkan layer under the system's loader: an engine that enables nothing shares its frames.

#[path = "layer/engine.rs"]
mod engine;
#[path = "layer/manifest.rs"]
mod manifest;

use std::process::Output;

use engine::{Engine, agree, share};
use lucarne::MemoryPath;
use lucarne::vulkan::{Instance, InstanceOptions};
use lucarne_conformance::validation;
use lucarne_tests::skip::{skip, skip_case};
use lucarne_tests::{child, fds};
use manifest::{LAYER, Manifest};

const VALIDATION: &str = "VK_LAYER_KHRONOS_validation";
const PATHS: [MemoryPath; 2] = [MemoryPath::OpaqueFd, MemoryPath::DmaBuf];

fn instance(validation: bool) -> Instance {
    let options = InstanceOptions {
        application: "an engine".to_owned(),
        validation,
    };
    Instance::new(&options).expect("a Vulkan loader")
}

/// What the child says on standard error, with its skips passed on.
fn said(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{out}");
    for line in said.lines().filter(|line| line.starts_with("skipped")) {
        eprintln!("{line}");
    }
    said
}

/// How often the layer was loaded into an instance, as its log tells.
fn loaded(said: &str) -> usize {
    said.matches("lucarne-layer: loaded into a program").count()
}

#[test]
fn an_engines_device_shares_with_the_layer() {
    const ME: &str = "an_engines_device_shares_with_the_layer";
    if child::is(ME) {
        let instance = instance(false);
        // The driver keeps descriptors of its own from the first time on.
        share_on_each_path(&instance);
        return fds::unchanged(|| share_on_each_path(&instance));
    }
    let layer = Manifest::new();
    let said = said(&child::run(ME, &layer.explicit(LAYER)));
    assert_eq!(loaded(&said), 1, "{said}");
    let mut added = said.lines().filter(|line| line.contains(": adding "));
    assert!(
        added.all(|line| line.contains("VK_KHR_external_memory_fd")),
        "{said}"
    );
}

/// Two engines' devices, of one process.
fn share_on_each_path(instance: &Instance) {
    let engines = [(); 2].map(|()| Engine::new(instance, &[]));
    let devices = engines.each_ref().map(Engine::wrap);
    let mut shared = 0;
    for path in PATHS {
        match agree(&devices[0], &devices[1], path) {
            Ok(agreement) => {
                share(&devices[0], &devices[1], &agreement);
                shared += 1;
            }
            // The driver's own want: the extensions are all there.
            Err(refusal) => {
                assert!(!refusal.contains("enable it"), "{refusal}");
                skip_case(path.name(), &refusal.replace('\n', " "));
            }
        }
    }
    assert!(shared > 0, "no path at all");
    drop(devices);
}

#[test]
fn without_the_layer_it_is_refused_by_name() {
    let instance = instance(false);
    let engines = [(); 2].map(|()| Engine::new(&instance, &[]));
    assert_eq!(engines[0].enabled(), None);
    let devices = engines.each_ref().map(Engine::wrap);
    for path in PATHS {
        let refusal = agree(&devices[0], &devices[1], path).expect_err("nothing is enabled");
        for words in ["VK_KHR_external_memory_fd", "enable it"] {
            assert!(refusal.contains(words), "{refusal}");
        }
    }
}

/// As a package installs it: in a folder of implicit layers.
#[test]
fn the_variable_turns_it_on_and_another_off() {
    const ME: &str = "the_variable_turns_it_on_and_another_off";
    if child::is(ME) {
        let instance = instance(false);
        let engine = Engine::new(&instance, &[]);
        return eprintln!("enabled: {}", engine.enabled().is_some());
    }
    let layer = Manifest::installed();
    let on = ("LUCARNE_EXTENSIONS", "1");
    let off = ("LUCARNE_EXTENSIONS_DISABLE", "1");
    let both = layer.explicit(LAYER);
    for (variables, times) in [
        (&[][..], 0),
        (&[on][..], 1),
        (&[("LUCARNE_EXTENSIONS", "0")][..], 0),
        (&[on, off][..], 0),
        // Named and installed: the loader takes it once.
        (&both[..], 1),
    ] {
        let variables = [&layer.implicit()[..], variables].concat();
        let said = said(&child::run(ME, &variables));
        assert_eq!(loaded(&said), times, "{variables:?}: {said}");
        assert!(said.contains(&format!("enabled: {}", times > 0)), "{said}");
    }
}

#[test]
fn a_device_that_has_all_gets_nothing() {
    const ME: &str = "a_device_that_has_all_gets_nothing";
    if child::is(ME) {
        let instance = instance(false);
        let adapters = instance.adapters().expect("a driver");
        let device = adapters[0].open().expect("a device");
        // SAFETY: Adapter::enabled_extensions: of this adapter, and alive.
        #[expect(unsafe_code, reason = "the device is Lucarne's own")]
        let told = unsafe { adapters[0].enabled_extensions(device.raw()) };
        let told = told.expect("known").expect("the layer");
        let wanted = adapters[0].device_extensions();
        assert!(wanted.iter().all(|name| told.contains(&(*name).to_owned())));
        return;
    }
    let layer = Manifest::new();
    let said = said(&child::run(ME, &layer.explicit(LAYER)));
    assert!(said.contains("nothing to add"), "{said}");
    assert!(!said.contains(": adding "), "{said}");
}

/// Without its log the layer says only why it did not do its work.
#[test]
fn it_is_silent_but_for_what_it_cannot_do() {
    const ME: &str = "it_is_silent_but_for_what_it_cannot_do";
    if child::is(ME) {
        let old = std::env::var_os("LUCARNE_TEST_OLD").is_some();
        let engine = instance(false);
        if old {
            (0..2).for_each(|_| old_program(engine.entry()));
        } else {
            drop(Engine::new(&engine, &[]));
        }
        return;
    }
    let layer = Manifest::new();
    let mut quiet = layer.explicit(LAYER).to_vec();
    quiet.retain(|(name, _)| *name != "LUCARNE_LAYER_LOG");
    let modern = said(&child::run(ME, &quiet));
    assert!(!modern.contains("lucarne-layer"), "{modern}");
    quiet.push(("LUCARNE_TEST_OLD", "1"));
    let old = said(&child::run(ME, &quiet));
    let lines: Vec<_> = old
        .lines()
        .filter(|line| line.contains("lucarne-layer: "))
        .collect();
    assert_eq!(lines.len(), 1, "{old}");
    assert!(
        lines[0].contains("nothing is added") && lines[0].contains("Vulkan 1.0"),
        "{old}"
    );
}

/// An instance of Vulkan 1.0 and a device.
#[expect(unsafe_code, reason = "Lucarne creates none of Vulkan 1.0")]
fn old_program(entry: &ash::Entry) {
    use ash::vk;
    let info = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_0);
    let create = vk::InstanceCreateInfo::default().application_info(&info);
    // SAFETY: vkCreateInstance: all pointers are locals.
    let instance = unsafe { entry.create_instance(&create, None) }.expect("an instance");
    // SAFETY: the instance above; so below.
    let devices = unsafe { instance.enumerate_physical_devices() }.expect("devices");
    let queues = [vk::DeviceQueueCreateInfo::default().queue_priorities(&[1.0])];
    let create = vk::DeviceCreateInfo::default().queue_create_infos(&queues);
    // SAFETY: vkCreateDevice: every device has a first family with a queue.
    let device = unsafe { instance.create_device(devices[0], &create, None) }.expect("a device");
    // SAFETY: nothing was made of it.
    unsafe { device.destroy_device(None) };
    // SAFETY: its device is gone.
    unsafe { instance.destroy_instance(None) };
}

/// Above the validation layer, which then sees what was added; and below it.
#[test]
fn the_validation_layer_has_nothing_to_say() {
    const ME: &str = "the_validation_layer_has_nothing_to_say";
    if child::is(ME) {
        return validated();
    }
    let options = InstanceOptions {
        application: String::new(),
        validation: true,
    };
    if let Err(error) = Instance::new(&options) {
        return skip("validation", &error.to_string());
    }
    let layer = Manifest::new();
    for order in [[LAYER, VALIDATION], [VALIDATION, LAYER]] {
        let order = order.join(":");
        let said = said(&child::run(ME, &layer.explicit(&order)));
        assert_eq!(loaded(&said), 1, "{order}: {said}");
    }
}

fn validated() {
    let instance = instance(true);
    let above = std::env::var("VK_INSTANCE_LAYERS").is_ok_and(|order| order.starts_with(LAYER));
    if above {
        share_on_each_path(&instance);
    } else {
        // The validation layer does not know of extensions that are added below it, and blames who uses them.
        let engine = Engine::new(&instance, &[]);
        assert!(engine.enabled().is_some());
    }
    let adapters = instance.adapters().expect("a driver");
    let messages = validation::messages(&instance, &adapters[0]);
    assert!(messages.is_empty(), "{messages:#?}");
}

/// An overlay stands in the row too.
#[test]
fn it_shares_beside_mangohud() {
    const ME: &str = "it_shares_beside_mangohud";
    if child::is(ME) {
        return share_on_each_path(&instance(false));
    }
    let layer = Manifest::new();
    let debug = [("MANGOHUD", "1"), ("VK_LOADER_DEBUG", "layer")];
    let variables = [&layer.explicit(LAYER)[..], &debug].concat();
    let said = said(&child::run(ME, &variables));
    // The loader tells which layers it has called.
    if !said.contains("VK_LAYER_MANGOHUD_overlay") {
        let reason = "the loader finds no such layer (package mangohud)";
        return skip("mangohud", reason);
    }
    assert_eq!(loaded(&said), 1, "{said}");
}

/// The system's loader, many instances and devices at once.
#[test]
fn threads_have_devices_of_their_own() {
    const ME: &str = "threads_have_devices_of_their_own";
    if child::is(ME) {
        return std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..3 {
                        let instance = instance(false);
                        let mine = [ash::khr::external_memory_fd::NAME];
                        let (with, without) =
                            (Engine::new(&instance, &mine), Engine::new(&instance, &[]));
                        let told = with.enabled().expect("the layer");
                        assert_eq!(told[0].as_c_str(), mine[0]);
                        drop(with);
                        let told = without.enabled().expect("the layer");
                        assert_eq!(
                            told.iter()
                                .filter(|name| name.as_c_str() == mine[0])
                                .count(),
                            1
                        );
                    }
                });
            }
        });
    }
    let layer = Manifest::new();
    let said = said(&child::run(ME, &layer.explicit(LAYER)));
    assert_eq!(loaded(&said), 12, "{said}");
}
