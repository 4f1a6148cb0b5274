//! What Vulkan is asked to wrap, export, and write.

use std::ffi::CStr;

use lucarne::negotiate::Rung;
use lucarne::vulkan::{Access, Device};
use lucarne::{Offer, Usage};
use lucarne_tests::bare::Bare;
use lucarne_tests::pair::PRODUCER;

use super::*;

/// A caller's own device with these extensions, wrapped.
struct Wrapped {
    // Dropped in this order.
    device: Device,
    _raw: Bare,
}

impl Wrapped {
    fn new(pair: &Pair, extensions: &[&CStr]) -> Self {
        let raw = Bare::new(pair.instance(), pair.vk.adapter(), extensions);
        Self {
            device: raw.wrap(extensions),
            _raw: raw,
        }
    }
}

const NEEDED_FOR_DMA_BUFS: [&CStr; 3] = [
    ash::khr::external_memory_fd::NAME,
    ash::ext::external_memory_dma_buf::NAME,
    ash::ext::image_drm_format_modifier::NAME,
];

/// The requirement names the extension, and says rightly whether enabling it is all.
fn assert_lists(pair: &Pair, missing: &[Requirement], name: &'static CStr) {
    let available = pair.vk.adapter().device_extensions().contains(&name);
    let wanted = Requirement::Extension {
        api: "Vulkan device",
        name: name.to_str().expect("ASCII"),
        available,
    };
    let as_is = missing
        .iter()
        .find(|one| one.to_string() == wanted.to_string());
    assert!(as_is.is_some(), "{wanted} is missing in {missing:?}");
    assert_eq!(available, wanted.to_string().contains("enable it"));
}

#[test]
fn a_device_without_the_extensions_lists_each_of_them() {
    with_pair(|pair| {
        let bare = Wrapped::new(pair, &[]);
        let offer: Offer = bare.device.offer(PRODUCER).expect("an offer");
        let agreed = |path| agreement(pair, path);
        for path in paths(pair) {
            let needed: &[&'static CStr] = match path {
                MemoryPath::DmaBuf => &NEEDED_FOR_DMA_BUFS,
                MemoryPath::OpaqueFd => &NEEDED_FOR_DMA_BUFS[..1],
                MemoryPath::HostMemory => continue,
            };
            let lucarne::Support::No(missing) = offer.path(path) else {
                panic!("{path} without its extensions");
            };
            let error = bare
                .device
                .export(&agreed(path))
                .expect_err("no extensions");
            let Error::Unsupported {
                missing: again,
                what,
            } = &error
            else {
                panic!("{error}");
            };
            assert_eq!(*what, format!("exporting frames as {path}"));
            assert_eq!(&missing, again, "the offer and the error agree");
            for name in needed {
                assert_lists(pair, &missing, name);
                assert_says(&error, &[name.to_str().expect("ASCII")]);
            }
            assert!(offer.entries.iter().all(|entry| entry.path != path));
        }
        // What needs no extension works.
        let image = bare.device.export(&agreed(MemoryPath::HostMemory));
        drop(image.expect("an image in host memory"));
        assert!(!offer.fences.export.is_yes() && !offer.fences.import.is_yes());
        let reason = offer.fences.export.reason();
        assert!(reason.contains("VK_KHR_external_semaphore_fd"), "{reason}");
        let copies = bare.device.host_memory_in_place().reason();
        let words = ["VK_EXT_external_memory_host", "a graphics card would copy"];
        assert!(words.iter().any(|why| copies.contains(why)), "{copies}");
    });
}

#[test]
fn one_extension_that_is_missing_is_the_one_that_is_named() {
    with_pair(|pair| {
        if !can(pair, MemoryPath::DmaBuf) {
            return;
        }
        let bare = Wrapped::new(pair, &NEEDED_FOR_DMA_BUFS[..2]);
        let agreement = agreement(pair, MemoryPath::DmaBuf);
        let error = bare.device.export(&agreement).expect_err("no modifiers");
        let Error::Unsupported { missing, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(missing.len(), 1, "{error}");
        assert_lists(pair, missing, NEEDED_FOR_DMA_BUFS[2]);
    });
}

#[test]
fn a_queue_family_that_is_not_there_is_refused() {
    with_pair(|pair| {
        for family in [99, u32::MAX] {
            let raw = pair.vk.raw().clone();
            let adapter = pair.vk.adapter();
            // SAFETY: Device::from_raw, but for the family, which is the mistake under test.
            let result = unsafe { Device::from_raw(adapter, raw, pair.vk.queue(), family, &[]) };
            let number = family.to_string();
            assert_invalid(result, &["queue_family", &number, adapter.name()]);
        }
    });
}

#[test]
fn an_image_of_another_device_is_not_written() {
    with_pair(|pair| {
        let other = Wrapped::new(pair, &[]);
        let agreement = agreement(pair, MemoryPath::HostMemory);
        let image = other.device.export(&agreement).expect("an image");
        let access = Access::TransferDestination;
        let no_commands = |_| panic!("nothing may be recorded");
        let written = pair
            .vk
            .write(&image, &Fence::Signaled, TIMEOUT, access, no_commands);
        assert_invalid(written, &["image", "of another device"]);
        let read = Access::TransferSource;
        let result = pair
            .vk
            .read(&image, &Fence::Signaled, TIMEOUT, read, no_commands);
        assert_invalid(result, &["image", "of another device"]);
    });
}

#[test]
fn an_access_that_goes_the_other_way_is_refused() {
    with_pair(|pair| {
        let image = export(pair, MemoryPath::HostMemory);
        let no_commands = |_| panic!("nothing may be recorded");
        let gate = Fence::Signaled;
        let reads = pair
            .vk
            .write(&image, &gate, TIMEOUT, Access::Sampled, no_commands);
        assert_invalid(reads, &["access", "Sampled"]);
        let access = Access::TransferDestination;
        let writes = pair.vk.read(&image, &gate, TIMEOUT, access, no_commands);
        assert_invalid(writes, &["access", "TransferDestination"]);
    });
}

/// An agreement is plain data, and need not come from this adapter, or from any.
#[test]
fn agreements_that_the_device_never_offered_are_refused() {
    with_pair(|pair| {
        let name = pair.vk.adapter().name();
        for path in paths(pair) {
            let good = agreement(pair, path);
            let alter = |change: &dyn Fn(&mut Agreement)| {
                let mut altered = good.clone();
                change(&mut altered);
                pair.vk.export(&altered)
            };
            let zero = alter(&|one| one.extent = Extent::new(0, 7));
            assert_invalid(zero, &["extent.width", "0", "1 to 32768"]);
            let huge = alter(&|one| one.extent = Extent::new(7, 40_000));
            assert_invalid(huge, &["extent.height", "40000", "1 to 32768"]);
            let wide = alter(&|one| one.extent = Extent::new(32_768, 1));
            assert_invalid(wide, &["agreement", "32768x1", name]);
            let unknown = alter(&|one| one.format = Format::from_fourcc(7));
            assert_invalid(unknown, &["format", "Format::ALL"]);
            let yuv = alter(&|one| one.format = Format::NV12);
            assert_invalid(yuv, &["agreement", "NV12", name]);
            share(pair, &pair.vk.export(&good).expect("the good one"), 8);
        }
    });
}

#[test]
fn invented_modifiers_are_refused() {
    with_pair(|pair| {
        if !can(pair, MemoryPath::DmaBuf) {
            return;
        }
        let name = pair.vk.adapter().name();
        // Nobody has assigned this vendor.
        let invented = Modifier::new(0x7700_0000_0000_0001).expect("explicit");
        let mut agreement = agreement(pair, MemoryPath::DmaBuf);
        agreement.modifiers.push(invented);
        let refused = pair.vk.export(&agreement);
        assert_invalid(refused, &["agreement", &invented.to_string(), name]);
        agreement.modifiers = vec![invented];
        agreement.rung = Rung::TiledDmaBuf;
        let refused = pair.vk.export(&agreement);
        assert_invalid(refused, &["agreement", &invented.to_string(), name]);
        agreement.modifiers.clear();
        let refused = pair.vk.export(&agreement);
        assert_invalid(refused, &["agreement", "without any modifier"]);
    });
}

#[test]
fn a_gate_that_never_signals_ends_a_write_at_its_deadline() {
    with_pair(|pair| {
        if !pair.vk.adapter().id().software {
            return skip(
                "software",
                "this driver waits on the GPU, not on an eventfd",
            );
        }
        let access = Access::TransferDestination;
        let no_commands = |_| panic!("nothing may be recorded before the gate has opened");
        for path in paths(pair) {
            let image = export(pair, path);
            let (gate, _signal) = unsignaled();
            for _ in 0..2 {
                assert_times_out(|| pair.vk.write(&image, &gate, SHORT, access, no_commands));
            }
            share(pair, &image, 9);
            assert_times_out(|| pair.vk.write(&image, &gate, SHORT, access, no_commands));
            share(pair, &image, 10);
        }
    });
}

/// What polls like a fence and is none: wherever the driver gets to see it, its refusal is an error like any other.
#[test]
fn a_gate_that_is_no_sync_file_is_an_error_or_a_wait() {
    with_pair(|pair| {
        if !pair.vk.adapter().id().software {
            return skip("software", "other drivers take any descriptor on trust");
        }
        let access = Access::TransferDestination;
        for path in paths(pair) {
            let image = export(pair, path);
            let (gate, signal) = unsignaled();
            rustix::io::write(&signal, &1_u64.to_ne_bytes()).expect("a signal");
            let before = fds::list();
            match pair.vk.write(&image, &gate, TIMEOUT, access, |_| {}) {
                Ok(fence) => fence.wait(TIMEOUT).expect("an end"),
                Err(Error::Driver { call, .. }) => assert_eq!(call, "vkImportSemaphoreFdKHR"),
                Err(other) => panic!("{path}: {other}"),
            }
            fds::assert_as_many(&before);
            share(pair, &image, 11);
        }
    });
}

#[test]
fn a_closure_that_panics_leaves_the_image_as_good_as_new() {
    with_pair(|pair| {
        let access = Access::TransferDestination;
        for path in paths(pair) {
            let image = export(pair, path);
            let attempt = std::panic::AssertUnwindSafe(|| {
                pair.vk
                    .write(&image, &Fence::Signaled, TIMEOUT, access, |_| {
                        // Like a panic, without the message.
                        std::panic::resume_unwind(Box::new(()))
                    })
            });
            assert!(std::panic::catch_unwind(attempt).is_err());
            share(pair, &image, 12);
        }
    });
}

/// Usage is part of what is looked up again.
#[test]
fn a_usage_that_a_format_does_not_have_is_refused() {
    with_pair(|pair| {
        let offer = pair.vk.offer(Usage::STORAGE).expect("an offer");
        let without = offer
            .entries
            .iter()
            .find(|entry| !entry.usage.contains(Usage::STORAGE) && entry.exportable);
        let Some(entry) = without else {
            return skip("format", "every format of this driver has every usage");
        };
        let mut agreement = agreement(pair, MemoryPath::HostMemory);
        agreement.rung = match entry.path {
            MemoryPath::DmaBuf => Rung::LinearDmaBuf,
            MemoryPath::OpaqueFd => Rung::OpaqueFd,
            MemoryPath::HostMemory => Rung::HostMemory,
        };
        agreement.format = entry.format;
        agreement.producer = Usage::STORAGE;
        let format = entry.format.to_string();
        assert_invalid(
            pair.vk.export(&agreement),
            &["agreement", "STORAGE", &format],
        );
    });
}
