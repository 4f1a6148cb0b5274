//! GBM as the allocator of both sides: its buffers, written by Vulkan, read by GL and by the processor, pixel by pixel; and
//! what is said where there is none.
//!
//! In the guest the tests load vgem and virtio-gpu, on which Mesa's software GBM allocates; elsewhere they take the devices
//! there are.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lucarne::negotiate::{Agreement, Offer, OfferEntry};
use lucarne::{
    Error, Extent, Fence, Format, Frame, LINEAR_HEIGHT_ALIGNMENT, LINEAR_PITCH_ALIGNMENT, Memory,
    MemoryPath, Modifier, Request, Rung, Usage, gbm,
    kernel::{DmaBuf, DmaBufKind},
    negotiate,
};
use lucarne_tests::pair::{PRODUCER, Pair};
use lucarne_tests::reader::Reader;
use lucarne_tests::skip::skip;
use lucarne_tests::writer::Writer;
use lucarne_tests::{TIMEOUT, fds, in_guest, module, pattern};
use rustix::fs::OFlags;
use rustix::io::FdFlags;
use rustix::mm::{MapFlags, ProtFlags};

/// Tells this program that it is the child of `a_program_starts_and_reports_without_libgbm`.
const WITHOUT: &str = "LUCARNE_TEST_WITHOUT_LIBGBM";

/// One test at a time: some count this process's descriptors.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every device on which GBM allocates; a skip says why there is none.
fn devices() -> Vec<gbm::Device> {
    for name in ["vgem", "virtio_gpu"] {
        // What a kernel does not have cannot be loaded; what is left is enumerated.
        if let Err(error) = module::load(name) {
            eprintln!("{error}");
        }
    }
    let adapters = match gbm::Adapter::enumerate() {
        Ok(adapters) => adapters,
        Err(error) => {
            skip("gbm", &error.to_string());
            return Vec::new();
        }
    };
    let mut devices = Vec::new();
    for adapter in adapters {
        match adapter.open() {
            Ok(device) => {
                eprintln!("{adapter:?}\n{device:?}, backend {}", device.backend());
                devices.push(device);
            }
            Err(error) => eprintln!("skipped case: gbm: {error}"),
        }
    }
    if devices.is_empty() {
        skip("gbm", "no DRM device on which GBM allocates");
    }
    devices
}

/// Both ends share a device's memory, as in `Pair::agree`.
fn agree(pair: &Pair, device: &gbm::Device, format: Format, extent: Extent) -> Agreement {
    let request = Request::new(extent)
        .formats(&[format])
        .paths(&[MemoryPath::DmaBuf])
        .usage(PRODUCER, Usage::SAMPLE);
    let producer = device.offer_for(&pair.producer(), PRODUCER);
    negotiate(&producer, &pair.consumer(), &request)
        .unwrap_or_else(|refusal| panic!("{format} {extent}: {refusal}"))
}

fn linear(format: Format, extent: Extent) -> Agreement {
    let entry = OfferEntry {
        path: MemoryPath::DmaBuf,
        format,
        tiling: lucarne::Tiling::Explicit(Modifier::LINEAR),
        planes: 1,
        usage: Usage::all(),
        max_extent: extent,
        exportable: true,
        importable: true,
        dedicated_only: false,
        external_only: false,
    };
    let yes = || lucarne::Support::Yes(());
    let side = Offer {
        name: "anybody".to_owned(),
        device: lucarne::DeviceId::default(),
        paths: vec![(MemoryPath::DmaBuf, yes())],
        entries: vec![entry],
        withdrawn: Vec::new(),
        fences: lucarne::negotiate::FenceSupport {
            export: yes(),
            import: yes(),
        },
    };
    negotiate(&side, &side, &Request::new(extent).formats(&[format])).expect("the same offer twice")
}

fn buffers(frame: &Frame) -> &[DmaBuf] {
    match frame.memory() {
        Memory::DmaBuf(buffers) => buffers,
        other => panic!("a dma-buf was agreed on: {other:?}"),
    }
}

/// The frame's rows without padding, as the processor sees them.
fn rows(frame: &Frame) -> Vec<u8> {
    let layout = frame.layout();
    let [plane] = layout.planes() else {
        panic!("one plane: {layout}");
    };
    let [buffer] = buffers(frame) else {
        panic!("one buffer: {layout}");
    };
    let bytes = usize::try_from(buffer.size()).expect("fits memory");
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    let (none, shared) = (std::ptr::null_mut(), MapFlags::SHARED);
    // SAFETY: mmap(2) with a null hint replaces no mapping.
    let address = unsafe { rustix::mm::mmap(none, bytes, protection, shared, buffer.as_fd(), 0) }
        .expect("a mapping for reading and writing");
    let mut whole = vec![0_u8; bytes];
    // SAFETY: the mapping is `bytes` long, as the kernel has said; a copy makes no reference of it.
    unsafe { std::ptr::copy_nonoverlapping(address.cast(), whole.as_mut_ptr(), bytes) };
    // SAFETY: munmap(2) of what was mapped above.
    unsafe { rustix::mm::munmap(address, bytes) }.expect("unmapped");
    let extent = layout.extent();
    let row = layout.format_info().row_bytes(0, extent.width);
    let row = usize::try_from(row.expect("fits 32 bits")).expect("fits memory");
    let at = usize::try_from(plane.offset).expect("fits memory");
    let pitch = usize::try_from(plane.pitch).expect("fits memory");
    let height = usize::try_from(extent.height).expect("fits memory");
    (0..height)
        .flat_map(|y| whole[at + y * pitch..][..row].to_vec())
        .collect()
}

/// Vulkan and GL both import one buffer; two different frames pass through it.
fn share(pair: &Pair, device: &gbm::Device, format: Format, extent: Extent) {
    let agreement = agree(pair, device, format, extent);
    let buffer = device.export(&agreement).expect("a buffer");
    let frame = buffer.frame();
    check_frame(frame, extent);
    let image = pair.vk.import(frame, PRODUCER).expect("an image over it");
    let reader = Reader::new(&pair.gl);
    let mut gate = Fence::Signaled;
    for number in 0..2 {
        let bytes = pattern::bytes(format.info().expect("known"), extent, number);
        let writer = Writer::new(&pair.vk);
        let acquire = writer
            .write(&image, &gate, &bytes)
            .expect("a written frame");
        let texture = pair.gl.import(frame).expect("a texture");
        pair.gl
            .read(&texture, &acquire, TIMEOUT)
            .expect("a turn to read");
        pattern::assert_equal(format, extent, number, &reader.read(&texture));
        if agreement.rung == Rung::LinearDmaBuf {
            assert!(rows(frame) == bytes, "{format} {extent}: the mapped bytes");
        }
        gate = pair.gl.fence(TIMEOUT).expect("a release fence");
    }
    pair.assert_valid();
}

fn check_frame(frame: &Frame, extent: Extent) {
    let layout = frame.layout();
    assert_eq!(layout.extent(), extent, "not the padded one");
    for buffer in buffers(frame) {
        assert_eq!(buffer.kind(), DmaBufKind::Kernel);
        let flags = rustix::io::fcntl_getfd(buffer.as_fd()).expect("open");
        assert!(flags.contains(FdFlags::CLOEXEC), "close-on-exec");
        let mode = rustix::fs::fcntl_getfl(buffer.as_fd()).expect("open");
        let mode = mode & OFlags::ACCMODE;
        assert_eq!(mode, OFlags::RDWR, "importers map it for writing");
    }
    if layout.tiling().modifier() == Some(Modifier::LINEAR) {
        let plane = layout.planes()[0];
        assert_eq!(plane.pitch % LINEAR_PITCH_ALIGNMENT, 0, "{layout}");
        let rows = u64::from(extent.height.next_multiple_of(LINEAR_HEIGHT_ALIGNMENT));
        let size = buffers(frame)[plane.object].size();
        assert!(plane.offset + plane.pitch * rows <= size, "{layout}");
    }
}

#[test]
fn every_format_of_both_sides_in_memory_of_gbm() {
    let _one = alone();
    for device in devices() {
        let pair = Pair::open();
        let producer = device.offer_for(&pair.producer(), PRODUCER);
        let consumer = pair.consumer();
        let of = |offer: &Offer| -> BTreeSet<Format> {
            let entries = offer.entries.iter();
            let of_path = entries.filter(|entry| entry.path == MemoryPath::DmaBuf);
            of_path.map(|entry| entry.format).collect()
        };
        let common: Vec<Format> = of(&producer)
            .intersection(&of(&consumer))
            .copied()
            .collect();
        assert!(common.contains(&Format::XRGB8888), "{common:?}");
        assert!(common.contains(&Format::ABGR8888), "{common:?}");
        for format in &common {
            share(&pair, &device, *format, Extent::new(37, 21));
        }
        let names: Vec<&str> = common.iter().filter_map(|format| format.name()).collect();
        eprintln!("{}: {}", producer.name, names.join(" "));
    }
}

#[test]
fn odd_sizes_in_memory_of_gbm() {
    let _one = alone();
    for device in devices() {
        let pair = Pair::open();
        for extent in [
            Extent::new(1, 1),
            Extent::new(3, 5),
            Extent::new(257, 67),
            Extent::new(640, 34),
        ] {
            share(&pair, &device, Format::XRGB8888, extent);
            share(&pair, &device, Format::ABGR8888, extent);
        }
    }
}

#[test]
fn an_offer_lists_what_was_allocated() {
    let _one = alone();
    for device in devices() {
        let before = fds::open();
        let offer = device.offer(Usage::RENDER).expect("an offer");
        assert_eq!(
            fds::open(),
            before,
            "trials leave nothing: {:?}",
            fds::list()
        );
        eprintln!("{}: {:?}", offer.name, offer.entries);
        let linear = |entry: &&OfferEntry| {
            entry.format == Format::XRGB8888 && entry.tiling.modifier() == Some(Modifier::LINEAR)
        };
        assert_eq!(offer.entries.iter().filter(linear).count(), 1);
        for entry in &offer.entries {
            assert!(entry.exportable && !entry.importable, "{entry:?}");
        }
        assert!(offer.path(MemoryPath::DmaBuf).is_yes());
        assert!(!offer.path(MemoryPath::OpaqueFd).is_yes());
        assert!(!offer.path(MemoryPath::HostMemory).is_yes());
        assert!(!offer.fences.export.is_yes() && !offer.fences.import.is_yes());
    }
}

#[test]
fn a_side_is_offered_what_it_imports() {
    let _one = alone();
    for device in devices() {
        let mut side = device.offer(PRODUCER).expect("an offer");
        for entry in &mut side.entries {
            entry.importable = true;
        }
        let entries = device.offer_for(&side, PRODUCER).entries;
        assert_eq!(entries, side.entries, "all of it was allocated here before");
        for entry in &mut side.entries {
            entry.importable = false;
        }
        assert_eq!(device.offer_for(&side, PRODUCER).entries, []);
    }
}

#[test]
fn buffers_come_and_go_without_a_trace() {
    let _one = alone();
    for device in devices() {
        let agreement = linear(Format::XRGB8888, Extent::new(64, 64));
        drop(device.export(&agreement).expect("a buffer"));
        let before = fds::open();
        for _ in 0..200 {
            let buffer = device.export(&agreement).expect("a buffer");
            assert_eq!(buffers(buffer.frame()).len(), 1);
            assert_eq!(fds::open(), before + 1, "one descriptor each");
        }
        assert_eq!(fds::open(), before, "{:?}", fds::list());
        let (a, b) = (device.export(&agreement), device.export(&agreement));
        let (a, b) = (a.expect("a buffer"), b.expect("another"));
        assert!(!a.frame().same_memory(b.frame()), "memory of its own");
    }
}

#[test]
fn devices_come_and_go_without_a_trace() {
    let _one = alone();
    // Drivers keep caches of their own: the first round may leave some.
    if devices().is_empty() {
        return;
    }
    let before = fds::open();
    for _ in 0..5 {
        drop(devices());
    }
    assert_eq!(fds::open(), before, "{:?}", fds::list());
}

#[test]
fn what_cannot_be_allocated_is_refused_by_name() {
    let _one = alone();
    for device in devices() {
        let good = linear(Format::XRGB8888, Extent::new(64, 64));
        let before = fds::open();
        let refused = |change: &dyn Fn(&mut Agreement)| {
            let mut agreement = good.clone();
            change(&mut agreement);
            let error = device.export(&agreement).expect_err("refused");
            eprintln!("{error}");
            error
        };
        let error = refused(&|agreement| agreement.rung = Rung::HostMemory);
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
        let error = refused(&|agreement| agreement.modifiers.clear());
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
        let error = refused(&|agreement| agreement.extent = Extent::new(0, 1));
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
        let error = refused(&|agreement| agreement.format = Format::from_fourcc(0x3f3f_3f3f));
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
        // No vendor has this number.
        let error = refused(&|agreement| {
            agreement.modifiers = vec![Modifier::new(0xfe00_0000_0000_0001).expect("valid")];
        });
        assert!(matches!(error, Error::Driver { .. }), "{error}");
        assert_eq!(fds::open(), before, "{:?}", fds::list());
    }
}

#[test]
fn a_wrapped_device_stays_its_owners() {
    let _one = alone();
    for device in devices() {
        let agreement = linear(Format::XRGB8888, Extent::new(64, 64));
        // SAFETY: a live gbm_device, which outlives the wrapper and is used by this thread alone.
        let wrapped = unsafe { gbm::Device::from_raw(device.raw()) }.expect("a wrapped device");
        assert_eq!(wrapped.id(), device.id());
        let buffer = wrapped.export(&agreement).expect("a buffer");
        check_frame(buffer.frame(), Extent::new(64, 64));
        drop((buffer, wrapped));
        let buffer = device.export(&agreement).expect("still alive");
        // The frame outlives its buffer, and the buffer its device.
        let frame = buffer.frame().clone();
        drop(device);
        drop(buffer);
        assert_eq!(rows(&frame), vec![0; 64 * 64 * 4], "zeroed by the kernel");
    }
}

/// Whoever opens a primary node first rules the display: an allocator must not.
#[test]
fn an_allocator_does_not_rule_the_display() {
    let _one = alone();
    if !in_guest() {
        skip(
            "gbm",
            "asking who rules a display would disturb the desktop",
        );
        return;
    }
    for device in devices() {
        let node = device.id().primary_node.expect("vgem has one");
        let path = format!("/dev/char/{}:{}", node.major, node.minor);
        let by_name = format!("/dev/dri/card{}", node.minor);
        let other = std::fs::File::open(&path).or_else(|_| std::fs::File::open(&by_name));
        let other = other.expect("root opens it");
        // SAFETY: NoArg::new: DRM_IOCTL_SET_MASTER takes no argument.
        let request =
            unsafe { rustix::ioctl::NoArg::<{ rustix::ioctl::opcode::none(b'd', 0x1e) }>::new() };
        // SAFETY: ioctl(2) with a request that touches no memory of ours.
        let answer = unsafe { rustix::ioctl::ioctl(&other, request) };
        assert_eq!(answer, Ok(()), "{} rules {path}", device.id());
    }
}

/// A file that is no library stands where the linker looks first. A program linked against libgbm would not even start.
#[test]
fn a_program_starts_and_reports_without_libgbm() {
    if std::env::var_os(WITHOUT).is_some() {
        report();
        return;
    }
    let _one = alone();
    let folder = std::env::temp_dir().join(format!("lucarne-no-gbm-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("libgbm.so.1"), "not a library").expect("a file");
    let mut search = OsString::from(&folder);
    if let Some(more) = std::env::var_os("LD_LIBRARY_PATH") {
        search.push(":");
        search.push(more);
    }
    let child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "a_program_starts_and_reports_without_libgbm"])
        .arg("--nocapture")
        .env("LD_LIBRARY_PATH", search)
        .env(WITHOUT, "1")
        .output()
        .expect("this program starts");
    std::fs::remove_dir_all(&folder).expect("removed");
    let said = String::from_utf8_lossy(&child.stdout);
    let complained = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{said}{complained}");
    assert!(said.contains("1 passed"), "{said}{complained}");
    assert!(complained.contains("libgbm.so.1"), "{complained}");
}

/// What the child finds.
fn report() {
    let support = gbm::Adapter::probe();
    assert!(!support.is_yes());
    let reason = support.reason();
    eprintln!("{reason}");
    assert!(reason.contains("libgbm1"), "names the package: {reason}");
    let error = gbm::Adapter::enumerate().expect_err("no libgbm");
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    assert!(error.to_string().contains(&reason), "{error}");
}

/// Where there is no device, everything that is missing is named, and a device otherwise opens without privileges
/// beyond its node's.
#[test]
fn probing_and_enumerating_agree() {
    let _one = alone();
    let support = gbm::Adapter::probe();
    match gbm::Adapter::enumerate() {
        Ok(adapters) => {
            assert!(support.is_yes());
            assert!(!adapters.is_empty());
            for adapter in adapters {
                assert!(!adapter.nodes().is_empty(), "{adapter:?}");
            }
        }
        Err(error) => {
            assert!(error.to_string().contains(&support.reason()), "{error}");
            assert!(
                support.reason().contains("/dev/dri") || support.reason().contains("libgbm1"),
                "{error}"
            );
        }
    }
}
