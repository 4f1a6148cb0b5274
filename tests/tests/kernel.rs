//! Kernel objects: what is taken for a buffer and what is not, who holds which descriptor, and nothing inherited.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use lucarne::{
    Error, OpaqueFd, PAGE_BYTES,
    kernel::{DmaBuf, DmaBufKind, Mapping, Memfd, SyncFile, Udmabuf},
};
use lucarne_tests::skip::{skip, skip_case};
use lucarne_tests::{child, fds, in_guest};
use rustix::event::EventfdFlags;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::{Errno, FdFlags};

fn memfd(bytes: u64, seals: SealFlags) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = rustix::fs::memfd_create("lucarne-test", flags).expect("a memfd");
    rustix::fs::ftruncate(&fd, bytes).expect("memory");
    rustix::fs::fcntl_add_seals(&fd, seals).expect("seals");
    fd
}

fn sealed(bytes: u64) -> OwnedFd {
    memfd(bytes, SealFlags::SHRINK)
}

fn pipe() -> OwnedFd {
    let (reader, _) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("a pipe");
    reader
}

fn socket() -> OwnedFd {
    let (one, _) = std::os::unix::net::UnixStream::pair().expect("sockets");
    one.into()
}

fn eventfd() -> OwnedFd {
    rustix::event::eventfd(0, EventfdFlags::CLOEXEC).expect("an eventfd")
}

fn open(path: &str) -> OwnedFd {
    File::open(path)
        .unwrap_or_else(|error| panic!("{path}: {error}"))
        .into()
}

/// A file on a disk: on a memory file system it would have seals.
fn regular_file() -> OwnedFd {
    let program = std::env::current_exe().expect("this program");
    open(program.to_str().expect("UTF-8"))
}

/// An open descriptor that the kernel lets nobody use (`open(2)`, `O_PATH`): most calls answer as if it were closed.
fn path_only() -> OwnedFd {
    let flags = rustix::fs::OFlags::PATH.bits().cast_signed();
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(flags).open("/dev/null");
    file.expect("/dev/null").into()
}

/// Everything that is no memory at all, and how an error names it.
fn strangers() -> Vec<(&'static str, OwnedFd)> {
    vec![
        ("a pipe", pipe()),
        ("a socket", socket()),
        ("a directory", open("/")),
        ("a character device", open("/dev/null")),
        ("a regular file", regular_file()),
        ("an anonymous kernel object", eventfd()),
        ("a character device", path_only()),
    ]
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(result: lucarne::Result<T>, parts: &[&str]) {
    let error = result.expect_err("this must be refused");
    let text = error.to_string();
    assert!(matches!(error, Error::Invalid { .. }), "{text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
}

#[test]
fn what_is_no_memory_is_refused_by_name() {
    fds::unchanged(|| {
        for (name, fd) in strangers() {
            assert_refused(DmaBuf::new(fd), &["buffer", name, "a dma-buf"]);
        }
        for (name, fd) in strangers() {
            assert_refused(Memfd::new(fd), &["memory", name, "a memfd"]);
        }
    });
}

#[test]
fn memory_that_may_still_shrink_is_refused() {
    fds::unchanged(|| {
        let parts = ["may still shrink", "F_SEAL_SHRINK", "SIGBUS"];
        for seals in [SealFlags::empty(), SealFlags::GROW, SealFlags::SEAL] {
            assert_refused(DmaBuf::new(memfd(4096, seals)), &parts);
            assert_refused(Memfd::new(memfd(4096, seals)), &parts);
        }
        // A file on a memory file system answers for seals like a memfd, and can shrink like any file.
        let Ok(file) = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(rustix::fs::OFlags::TMPFILE.bits().cast_signed())
            .open("/dev/shm")
        else {
            return;
        };
        let copy = || OwnedFd::from(file.try_clone().expect("a descriptor"));
        assert_refused(DmaBuf::new(copy()), &["F_SEAL_SHRINK"]);
        assert_refused(Memfd::new(copy()), &["memfd"]);
    });
}

#[test]
fn empty_memory_is_refused() {
    fds::unchanged(|| {
        let empty = || sealed(0);
        assert_refused(DmaBuf::new(empty()), &["size is 0", "at least one byte"]);
        assert_refused(Memfd::new(empty()), &["size is 0", "at least one byte"]);
        assert_refused(Memfd::create("lucarne-test", 0), &["size is 0"]);
        assert_refused(OpaqueFd::new(sealed(1), 0), &["allocation size is 0"]);
    });
}

/// A driver may read what it is given, and a pipe would make it wait for ever.
#[test]
fn an_opaque_descriptor_must_be_something_a_driver_exports() {
    fds::unchanged(|| {
        for (name, fd) in [
            ("a pipe", pipe()),
            ("a socket", socket()),
            ("a directory", open("/")),
            ("an anonymous kernel object", eventfd()),
        ] {
            assert_refused(OpaqueFd::new(fd, 4096), &["memory", name, "a driver"]);
        }
        let program = std::env::current_exe().expect("a path");
        let file = open(program.to_str().expect("UTF-8"));
        assert_refused(
            OpaqueFd::new(file, 1),
            &["a regular file that may still shrink"],
        );
        let unsealed = rustix::fs::memfd_create(
            "lucarne-test",
            MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
        );
        let unsealed = unsealed.expect("a memfd");
        rustix::fs::ftruncate(&unsealed, 4096).expect("memory");
        assert_refused(
            OpaqueFd::new(unsealed, 4096),
            &["a memfd that may still shrink", "F_SEAL_SHRINK"],
        );
        let parts = ["allocation size is 4097", "at most 4096 bytes"];
        assert_refused(OpaqueFd::new(sealed(4096), 4097), &parts);
        OpaqueFd::new(sealed(4096), 4096).expect("software drivers export memfds");
        OpaqueFd::new(open("/dev/null"), 4096).expect("NVIDIA exports character devices");
    });
}

/// Three planes, two of them in one buffer: its second descriptor is not kept.
#[test]
fn planes_that_share_a_buffer_hold_it_once() {
    fds::unchanged(|| {
        let (one, two) = (sealed(4096), sealed(8192));
        let again = one.try_clone().expect("a descriptor");
        let before = fds::open();
        let (buffers, objects) = DmaBuf::of_planes(vec![one, two, again]).expect("stand-ins");
        assert_eq!(objects, [0, 1, 0]);
        let sizes: Vec<u64> = buffers.iter().map(DmaBuf::size).collect();
        assert_eq!(sizes, [4096, 8192]);
        assert_eq!(fds::open(), before - 1, "the copy is closed");
        drop(buffers);
        let bad = DmaBuf::of_planes(vec![sealed(4096), pipe()]);
        assert_refused(bad, &["buffer is a pipe"]);
    });
}

/// What another process may send in a fence's place.
#[test]
fn a_fence_from_elsewhere_must_be_a_sync_file() {
    fds::unchanged(|| {
        for (name, fd) in [
            ("a pipe", pipe()),
            ("a socket", socket()),
            ("a directory", open("/")),
            ("a character device", open("/dev/null")),
            ("a memfd", sealed(4096)),
            ("an anonymous kernel object", eventfd()),
        ] {
            assert_refused(SyncFile::new(fd), &["fence", name, "a sync_file"]);
        }
        let Ok(device) = Udmabuf::open() else {
            return skip_case("udmabuf", "no sync_file to take");
        };
        let buffer = device.create(PAGE_BYTES).expect("a dma-buf");
        match buffer.export_sync_file(lucarne::kernel::FenceRole::Acquire) {
            Ok(file) => {
                let fd = file.duplicate().expect("a descriptor");
                let again = SyncFile::new(fd).expect("the kernel's own");
                assert!(
                    again.is_signaled().expect("an answer"),
                    "nobody uses the buffer"
                );
            }
            Err(error) => skip_case("udmabuf", &error.to_string()),
        }
    });
}

#[test]
fn buffers_keep_the_kernels_size_and_not_the_offset() {
    fds::unchanged(|| {
        let fd = sealed(12_345);
        rustix::fs::seek(&fd, rustix::fs::SeekFrom::Start(77)).expect("a seek");
        let copy = fd.try_clone().expect("a descriptor");
        let buffer = DmaBuf::new(fd).expect("a buffer");
        assert_eq!(buffer.size(), 12_345);
        assert_eq!(buffer.kind(), DmaBufKind::Emulated);
        let offset = rustix::fs::tell(&copy).expect("an offset");
        assert_eq!(offset, 0, "drivers expect the start");
        let memfd = Memfd::new(copy).expect("a memfd");
        assert_eq!(memfd.size(), 12_345);
        assert_eq!(memfd.identity(), buffer.identity());
    });
}

/// The number of a descriptor that has just been closed, as an `OwnedFd`: what a caller's double close leads to.
fn closed() -> OwnedFd {
    let open = sealed(4096);
    let number = open.as_raw_fd();
    drop(open);
    // SAFETY: OwnedFd::from_raw_fd wants an open descriptor, and this one is not: the mistake under test. Nothing else
    // runs in this process that could own the number by now.
    unsafe { OwnedFd::from_raw_fd(number) }
}

const CLOSED: &str = "a_closed_descriptor_is_an_error_or_the_abort_of_the_standard_library";

/// In a process of its own: where debug assertions are on, the standard library ends a process that closes a
/// descriptor twice (as the owner of the dead number must), and says so. Otherwise our error is seen.
#[test]
fn a_closed_descriptor_is_an_error_or_the_abort_of_the_standard_library() {
    if child::is(CLOSED) {
        let answer = rustix::fs::fstat(closed_but_not_dropped());
        assert_eq!(answer.err(), Some(Errno::BADF));
        let error = DmaBuf::new(closed()).expect_err("it is closed");
        let by_kernel = matches!(&error, Error::Os { source, .. }
            if source.raw_os_error() == Some(Errno::BADF.raw_os_error()));
        std::process::exit(if by_kernel { 42 } else { 43 });
    }
    fds::unchanged(|| {
        let output = child::run(CLOSED, &[]);
        let text = String::from_utf8_lossy(&output.stderr);
        let aborted = output.status.signal() == Some(Errno::IO.raw_os_error() + 1);
        if aborted {
            assert!(text.contains("file descriptor already closed"), "{text}");
        } else {
            assert_eq!(output.status.code(), Some(42), "{text}");
        }
    });
}

/// The same number, lent: nobody closes it again.
fn closed_but_not_dropped() -> std::os::fd::BorrowedFd<'static> {
    let number = std::mem::ManuallyDrop::new(closed()).as_raw_fd();
    // SAFETY: BorrowedFd::borrow_raw wants an open descriptor, and this one is not: as above; it is not -1.
    unsafe { std::os::fd::BorrowedFd::borrow_raw(number) }
}

#[test]
fn a_memfd_of_ours_can_change_its_size_no_more() {
    fds::unchanged(|| {
        let memory = Memfd::create("lucarne-test", 10_000).expect("a memfd");
        assert_eq!(memory.size(), 10_000);
        for size in [0, 9_999, 10_001] {
            assert_eq!(rustix::fs::ftruncate(&memory, size), Err(Errno::PERM));
        }
        let more = rustix::fs::fcntl_add_seals(&memory, SealFlags::WRITE);
        assert_eq!(more, Err(Errno::PERM), "and its seals are final");
        let mut bytes = vec![1; 10_000];
        let mapping = Mapping::new(&memory).expect("a mapping");
        mapping.copy_out(0, &mut bytes).expect("all of it");
        assert!(bytes.iter().all(|byte| *byte == 0), "zeroed");
    });
}

#[test]
fn memory_that_nobody_has_is_the_kernels_error() {
    fds::unchanged(|| {
        for size in [u64::MAX, 1 << 63] {
            let error = Memfd::create("lucarne-test", size).expect_err("too much");
            let text = error.to_string();
            assert!(matches!(error, Error::Os { .. }), "{text}");
            assert!(text.contains("ftruncate"), "{text}");
        }
        // A sparse file may have any size; an address space has not.
        let memory = Memfd::create("lucarne-test", 1 << 62).expect("nothing is allocated yet");
        let error = Mapping::new(&memory).expect_err("no such address space");
        assert!(error.to_string().contains("mmap"), "{error}");
    });
}

#[test]
fn mappings_share_memory_and_keep_within_it() {
    fds::unchanged(|| {
        let memory = Memfd::create("lucarne-test", 100).expect("a memfd");
        let mut one = Mapping::new(&memory).expect("a mapping");
        let two = Mapping::new(&memory).expect("another");
        drop(memory);
        assert_eq!((one.len(), two.len()), (100, 100));
        one.copy_in(90, &[7; 10]).expect("the last ten bytes");
        one.copy_in(100, &[]).expect("nothing at the end");
        let mut read = [0; 10];
        two.copy_out(90, &mut read).expect("the last ten bytes");
        assert_eq!(read, [7; 10]);
        for offset in [91, 100, 101, usize::MAX - 4, usize::MAX] {
            let parts = ["offset + length", &offset.to_string(), "100 bytes"];
            assert_refused(one.copy_in(offset, &[0; 10]), &parts);
            assert_refused(two.copy_out(offset, &mut read), &parts);
        }
        let moved = std::thread::spawn(move || {
            let mut read = [0; 1];
            two.copy_out(99, &mut read).map(|()| read)
        });
        assert_eq!(moved.join().expect("no panic").expect("in range"), [7]);
    });
}

#[test]
fn a_mapping_is_gone_when_it_is_dropped() {
    let name = "lucarne-mapped-once";
    let mapped = || {
        let maps = std::fs::read_to_string("/proc/self/maps").expect("/proc");
        maps.matches(name).count()
    };
    fds::unchanged(|| {
        let memory = Memfd::create(name, 4096).expect("a memfd");
        assert_eq!(mapped(), 0);
        let mapping = Mapping::new(&memory).expect("a mapping");
        assert_eq!(mapped(), 1);
        drop(memory);
        assert_eq!(mapped(), 1, "the mapping holds the memory");
        drop(mapping);
        assert_eq!(mapped(), 0);
    });
}

/// The device, or a skip that says why there is none.
fn udmabuf() -> Option<Udmabuf> {
    match Udmabuf::open() {
        Ok(device) => {
            assert!(Udmabuf::probe().is_yes());
            Some(device)
        }
        Err(error) => {
            assert!(!Udmabuf::probe().is_yes());
            skip("udmabuf", &error.to_string());
            None
        }
    }
}

#[test]
fn udmabufs_are_whole_pages() {
    fds::unchanged(|| {
        let Some(device) = udmabuf() else { return };
        for size in [0, 1, PAGE_BYTES - 1, PAGE_BYTES + 1, u64::MAX] {
            let parts = ["udmabuf size", &size.to_string(), "multiple of 4096"];
            assert_refused(device.create(size), &parts);
        }
        for pages in [1, 3, 256] {
            let buffer = device.create(pages * PAGE_BYTES).expect("a dma-buf");
            assert_eq!(buffer.size(), pages * PAGE_BYTES);
            if in_guest() {
                assert_eq!(buffer.kind(), DmaBufKind::Kernel);
            }
        }
    });
}

#[test]
fn a_udmabuf_beyond_the_limit_says_where_the_limit_is() {
    fds::unchanged(|| {
        let Some(device) = udmabuf() else { return };
        // The default of the module's parameter; a machine may allow more.
        let limit = std::fs::read_to_string("/sys/module/udmabuf/parameters/size_limit_mb")
            .ok()
            .and_then(|text| text.trim().parse::<u64>().ok())
            .unwrap_or(64);
        let error = device
            .create((limit << 20) + PAGE_BYTES)
            .expect_err("too large");
        let text = error.to_string();
        assert!(matches!(error, Error::Os { .. }), "{text}");
        for part in ["UDMABUF_CREATE", "size_limit_mb"] {
            assert!(text.contains(part), "{text}");
        }
    });
}

#[test]
fn a_buffer_is_known_by_its_identity() {
    fds::unchanged(|| {
        let Some(device) = udmabuf() else { return };
        let one = device.create(PAGE_BYTES).expect("a dma-buf");
        let two = device.create(PAGE_BYTES).expect("another");
        let again = DmaBuf::new(one.duplicate().expect("a descriptor")).expect("the same");
        assert_eq!(one.identity(), again.identity());
        assert_eq!(one.kind(), again.kind());
        assert_ne!(one.identity(), two.identity());
        assert_ne!(one.as_fd().as_raw_fd(), again.as_fd().as_raw_fd());
    });
}

const ABSENT: &str = "without_the_device_the_error_says_what_to_do";

#[test]
fn without_the_device_the_error_says_what_to_do() {
    if child::is(ABSENT) {
        let (text, reasons) = match Udmabuf::open() {
            Ok(_) => std::process::exit(44),
            Err(error) => (error.to_string(), Udmabuf::probe().reason()),
        };
        // Absent, or there and not for us.
        let parts = ["/dev/udmabuf", "kvm"];
        let named = parts
            .iter()
            .all(|part| text.contains(part) && reasons.contains(part));
        let help = text.contains("modprobe udmabuf") || text.contains("usermod");
        eprintln!("{text}");
        std::process::exit(if named && help { 42 } else { 43 });
    }
    fds::unchanged(|| {
        let output = child::run(ABSENT, &[("LUCARNE_NO_EMULATION", "1")]);
        let text = String::from_utf8_lossy(&output.stderr);
        match output.status.code() {
            Some(42) => {}
            Some(44) => assert!(
                std::fs::metadata("/dev/udmabuf").is_ok(),
                "opened without the device and without the emulation: {text}"
            ),
            other => panic!("{other:?}: {text}"),
        }
    });
}

#[track_caller]
fn assert_close_on_exec(fd: impl AsFd) {
    let flags = rustix::io::fcntl_getfd(fd).expect("open");
    assert!(flags.contains(FdFlags::CLOEXEC));
}

/// A program started now has none of our descriptors, whichever call made them.
#[test]
fn nothing_is_inherited() {
    fds::unchanged(|| {
        let device = Udmabuf::open().ok();
        if device.is_none() {
            skip_case("udmabuf", "a sealed memfd takes the dma-buf's place");
        }
        let buffer = match &device {
            Some(device) => device.create(PAGE_BYTES).expect("a dma-buf"),
            None => DmaBuf::new(sealed(PAGE_BYTES)).expect("a stand-in"),
        };
        let memory = Memfd::create("lucarne-frame", 4096).expect("a memfd");
        let opaque = OpaqueFd::new(sealed(4096), 4096).expect("memory");
        let fence = SyncFile::stand_in(eventfd());
        for copy in [buffer.duplicate(), opaque.duplicate(), fence.duplicate()] {
            assert_close_on_exec(copy.expect("a descriptor"));
        }
        assert_close_on_exec(&buffer);
        assert_close_on_exec(&memory);
        let copies = [buffer.duplicate(), opaque.duplicate(), fence.duplicate()];
        // Shows that the listing below would show a descriptor that is inherited.
        let inherited = rustix::fs::memfd_create("control", MemfdFlags::empty()).expect("a memfd");
        let listing = Command::new("ls").args(["-l", "/proc/self/fd"]).output();
        let listing = listing.expect("ls");
        let listing = String::from_utf8_lossy(&listing.stdout);
        assert!(listing.contains("memfd:control"), "{listing}");
        for ours in ["lucarne", "dmabuf", "eventfd"] {
            assert!(!listing.contains(ours), "{listing}");
        }
        drop((inherited, copies, device));
    });
}
