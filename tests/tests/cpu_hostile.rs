//! The CPU and what it must refuse: short, truncated, opaque and read-only memory, bad flags, misuse, waits without end.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use lucarne::cpu::{self, Adapter, Allocator};
use lucarne::{
    DeviceId, Error, Extent, Fence, Format, Frame, FrameLayout, Memory, Modifier, OpaqueFd, Plane,
    Tiling, Usage,
    kernel::{DmaBuf, DmaBufKind, DmaBufMapping, SyncFile, Udmabuf},
    negotiate,
};
use lucarne_tests::{TIMEOUT, memory};
use rustix::event::EventfdFlags;
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;
use rustix::ioctl::opcode;

const EXTENT: Extent = Extent::new(16, 16);
const FORMAT: Format = Format::XRGB8888;

fn host() -> cpu::Device {
    Adapter::new(Allocator::HostMemory)
        .open()
        .expect("host memory")
}

/// A frame of the CPU's in host memory.
fn image() -> cpu::Image {
    let offer = host().offer(Usage::RENDER).expect("an offer");
    let request = lucarne::Request::new(EXTENT).formats(&[FORMAT]);
    let agreement = negotiate(&offer, &offer, &request).expect("an agreement");
    host().export(&agreement).expect("an allocated frame")
}

fn dma_buf(bytes: u64) -> Option<DmaBuf> {
    if !memory::can(&Allocator::Udmabuf) {
        return None;
    }
    let udmabuf = Udmabuf::open().expect("/dev/udmabuf");
    Some(udmabuf.create(bytes).expect("a dma-buf"))
}

fn linear(pitch: u64, claimed: u64) -> FrameLayout {
    let plane = Plane {
        object: 0,
        offset: 0,
        pitch,
    };
    let tiling = Tiling::Explicit(Modifier::LINEAR);
    FrameLayout::new(EXTENT, FORMAT, tiling, &[plane], &[claimed]).expect("as claimed, it fits")
}

/// The CPU's turns have ended when they return, and say so.
fn assert_finished(turn: lucarne::Result<Fence>) {
    let fence = turn.expect("a turn");
    assert!(matches!(fence, Fence::Signaled), "{fence:?}");
}

fn field(error: &Error) -> &'static str {
    match error {
        Error::Invalid { field, .. } => field,
        other => panic!("not a value out of its limits: {other}"),
    }
}

/// A layout that was checked against a size that somebody claimed does not get past the buffer's real size.
#[test]
fn a_buffer_shorter_than_claimed_is_refused() {
    let Some(buffer) = dma_buf(4096) else { return };
    let layout = linear(4096, 16 * 4096);
    let refused = Frame::new(layout, Memory::DmaBuf(vec![buffer]), DeviceId::default());
    let refused = refused.expect_err("15 pages are missing");
    assert_eq!(field(&refused), "plane.offset + plane.pitch * rows");
}

#[test]
fn no_copy_leaves_the_buffer() {
    let Some(buffer) = dma_buf(4096) else { return };
    let mut mapping = DmaBufMapping::new(&buffer).expect("a mapping");
    assert_eq!(mapping.len(), 4096);
    let mut two = [0; 2];
    let access = mapping.read(TIMEOUT).expect("a turn");
    access.copy_out(4094, &mut two).expect("the last two bytes");
    for offset in [4095, 4096, usize::MAX] {
        let refused = access
            .copy_out(offset, &mut two)
            .expect_err("beyond the end");
        assert_eq!(field(&refused), "offset + length");
    }
    access.end().expect("the end");
    let mut access = mapping.write(TIMEOUT).expect("a turn");
    for offset in [4095, 4096, usize::MAX] {
        let refused = access.copy_in(offset, &two).expect_err("beyond the end");
        assert_eq!(field(&refused), "offset + length");
    }
    access.end().expect("the end");
}

/// A memfd that could be truncated under the mapping never becomes a buffer, and one that is one cannot be truncated.
#[test]
fn memory_that_can_be_truncated_is_refused() {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = rustix::fs::memfd_create("lucarne-hostile", flags).expect("a memfd");
    rustix::fs::ftruncate(&fd, 4096).expect("a size");
    let peer = rustix::io::fcntl_dupfd_cloexec(&fd, 3).expect("a descriptor");
    let refused = DmaBuf::new(fd).expect_err("it may still shrink");
    assert_eq!(field(&refused), "buffer");

    rustix::fs::fcntl_add_seals(&peer, SealFlags::SHRINK).expect("a seal");
    let again = rustix::io::fcntl_dupfd_cloexec(&peer, 3).expect("a descriptor");
    let buffer = DmaBuf::new(again).expect("sealed, so it can stand in for a dma-buf");
    assert_eq!(buffer.kind(), DmaBufKind::Emulated);
    let mapping = DmaBufMapping::new(&buffer).expect("a mapping");
    assert_eq!(rustix::fs::ftruncate(&peer, 0), Err(Errno::PERM));
    let mut bytes = [1; 4096];
    let access = mapping.read(TIMEOUT).expect("a turn");
    access.copy_out(0, &mut bytes).expect("all pages are there");
    assert_eq!(bytes, [0; 4096]);
}

/// A descriptor that allows reading only: it is read, and writing is refused instead of ending in SIGSEGV.
#[test]
fn a_read_only_buffer_can_be_read() {
    let image = image();
    let (layout, size) = FrameLayout::linear(EXTENT, FORMAT).expect("a layout");
    let Memory::HostMemory(memfd) = image.frame().memory() else {
        panic!("host memory was agreed on");
    };
    assert_finished(image.write(&Fence::Signaled, TIMEOUT, |rows| {
        rows.write_row(0, 3, &[7; 64])
    }));
    let path = format!("/proc/self/fd/{}", memfd.as_fd().as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let read_only: OwnedFd = rustix::fs::open(path, flags, Mode::empty()).expect("opened again");
    let buffer = DmaBuf::new(read_only).expect("a sealed memfd");
    assert_eq!(buffer.size(), size);
    let frame = Frame::new(layout, Memory::DmaBuf(vec![buffer]), host().id()).expect("a frame");
    let mapped = host().import(&frame).expect("a mapped frame");
    let mut row = [0; 64];
    assert_finished(mapped.read(&Fence::Signaled, TIMEOUT, |rows| {
        rows.read_row(0, 3, &mut row)
    }));
    assert_eq!(row, [7; 64]);
    let refused = mapped.write(&Fence::Signaled, TIMEOUT, |_| Ok(()));
    assert_eq!(field(&refused.expect_err("read-only")), "buffer");
}

/// What the kernel answers to flags that it does not know, and that ours are right.
#[test]
fn sync_flags_are_checked_by_the_kernel() {
    let Some(buffer) = dma_buf(4096) else { return };
    const SYNC: rustix::ioctl::Opcode = opcode::write::<u64>(b'b', 0);
    let sync = |flags: u64| {
        // Through the C library, in front of which the emulation stands.
        // SAFETY: ioctl(3): DMA_BUF_IOCTL_SYNC reads a `struct dma_buf_sync`, one 64-bit number.
        let answer =
            unsafe { libc::ioctl(buffer.as_fd().as_raw_fd(), SYNC.into(), &raw const flags) };
        if answer == 0 {
            return Ok(());
        }
        Err(Errno::from_io_error(&std::io::Error::last_os_error()).expect("an error number"))
    };
    for flags in [1, 3, 4 | 1, 4 | 3] {
        assert_eq!(sync(flags), Ok(()), "flags {flags}");
    }
    for flags in [0, 4, 8, 8 | 3, u64::MAX, 1 << 32 | 1] {
        assert_eq!(sync(flags), Err(Errno::INVAL), "flags {flags}");
    }
}

#[test]
fn opaque_memory_is_refused_with_a_reason() {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = rustix::fs::memfd_create("lucarne-opaque", flags).expect("a memfd");
    rustix::fs::ftruncate(&fd, 4096).expect("memory");
    rustix::fs::fcntl_add_seals(&fd, rustix::fs::SealFlags::SHRINK).expect("a seal");
    let layout = FrameLayout::opaque(EXTENT, FORMAT).expect("a layout");
    let memory = Memory::OpaqueFd(OpaqueFd::new(fd, 4096).expect("opaque memory"));
    let frame = Frame::new(layout, memory, DeviceId::default()).expect("a frame");
    let refused = host().import(&frame).expect_err("opaque").to_string();
    assert!(refused.contains("only the driver that made"), "{refused}");
}

#[test]
fn tiled_memory_is_refused_with_a_reason() {
    let Some(buffer) = dma_buf(16 * 4096) else {
        return;
    };
    let plane = Plane {
        object: 0,
        offset: 0,
        pitch: 4096,
    };
    let tiled = Tiling::Explicit(Modifier::new(1 << 56 | 1).expect("Intel X-tiled"));
    let layout = FrameLayout::new(EXTENT, FORMAT, tiled, &[plane], &[buffer.size()]);
    let memory = Memory::DmaBuf(vec![buffer]);
    let frame = Frame::new(layout.expect("fits"), memory, DeviceId::default()).expect("a frame");
    let refused = host().import(&frame).expect_err("tiled").to_string();
    assert!(refused.contains("only as LINEAR"), "{refused}");
}

#[test]
fn rows_planes_and_lengths_are_checked() {
    let image = image();
    let (mut row, mut short) = ([0; 64], [0; 63]);
    let mut plane = vec![0; image.plane_bytes(0) + 1];
    assert_finished(image.read(&Fence::Signaled, TIMEOUT, |rows| {
        for (what, refused) in [
            ("row", rows.read_row(0, 16, &mut row)),
            ("row", rows.read_row(0, usize::MAX, &mut row)),
            ("plane", rows.read_row(1, 0, &mut row)),
            ("slice length", rows.read_row(0, 0, &mut short)),
            ("slice length", rows.read_row(0, 0, &mut [])),
            ("slice length", rows.read_plane(0, &mut plane)),
            ("plane", rows.read_plane(1, &mut [])),
        ] {
            assert_eq!(field(&refused.expect_err(what)), what);
        }
        Ok(())
    }));
    assert_finished(image.write(&Fence::Signaled, TIMEOUT, |rows| {
        for (what, refused) in [
            ("row", rows.write_row(0, 16, &row)),
            ("plane", rows.write_row(1, 0, &row)),
            ("slice length", rows.write_row(0, 0, &short)),
            ("slice length", rows.write_plane(0, &plane)),
        ] {
            assert_eq!(field(&refused.expect_err(what)), what);
        }
        Ok(())
    }));
    assert_eq!((image.rows(1), image.row_bytes(1)), (0, 0));
}

/// A closure that uses its own image is told so, instead of waiting for itself for ever; and an error in a closure
/// ends the turn.
#[test]
fn an_image_in_use_is_refused_and_usable_again() {
    let image = image();
    let failed = image.write(&Fence::Signaled, TIMEOUT, |_| {
        image
            .read(&Fence::Signaled, TIMEOUT, |_| Ok(()))
            .map(|_| ())
    });
    assert_eq!(field(&failed.expect_err("in use")), "image");
    let failed = image.read(&Fence::Signaled, TIMEOUT, |_| {
        // Two may read at once.
        assert_finished(image.read(&Fence::Signaled, TIMEOUT, |_| Ok(())));
        image
            .write(&Fence::Signaled, TIMEOUT, |_| Ok(()))
            .map(|_| ())
    });
    assert_eq!(field(&failed.expect_err("in use")), "image");
    assert_finished(image.write(&Fence::Signaled, TIMEOUT, |_| Ok(())));
}

/// An eventfd stands in for a fence that never signals: it is poll(2) that counts.
#[test]
fn a_fence_that_never_signals_ends_at_the_deadline() {
    let image = image();
    let never = rustix::event::eventfd(0, EventfdFlags::CLOEXEC).expect("an eventfd");
    let never = Fence::sync_file(SyncFile::stand_in(never));
    let limit = Duration::from_millis(50);
    let begun = Instant::now();
    let mut ran = false;
    for result in [
        image.write(&never, limit, |_| {
            ran = true;
            Ok(())
        }),
        image.read(&never, limit, |_| Ok(())),
    ] {
        let error = result.expect_err("it never signals");
        assert!(matches!(error, Error::Timeout { .. }), "{error}");
    }
    assert!(!ran, "written before the gate had signalled");
    assert!(begun.elapsed() >= 2 * limit);
    assert_finished(image.write(&Fence::Signaled, TIMEOUT, |_| Ok(())));
}

/// An agreement is plain data: one that this device did not offer is refused.
#[test]
fn an_agreement_of_another_device_is_refused() {
    if !memory::can(&Allocator::Udmabuf) {
        return;
    }
    let udmabuf = Adapter::new(Allocator::Udmabuf).open().expect("udmabuf");
    let request = lucarne::Request::new(EXTENT).usage(Usage::RENDER, Usage::SAMPLE);
    let from = udmabuf.offer(Usage::RENDER).expect("an offer");
    let to = host().offer(Usage::SAMPLE).expect("an offer");
    let mut agreement = negotiate(&from, &to, &request).expect("an agreement");
    let refused = host().export(&agreement).expect_err("no dma-bufs here");
    assert_eq!(field(&refused), "agreement");
    agreement.modifiers.clear();
    let refused = udmabuf.export(&agreement).expect_err("without LINEAR");
    assert_eq!(field(&refused), "agreement.modifiers");
    agreement.modifiers = vec![Modifier::LINEAR];
    agreement.extent = Extent::new(0, 16);
    let refused = udmabuf.export(&agreement).expect_err("empty");
    assert_eq!(field(&refused), "extent.width");
    agreement.rung = lucarne::Rung::OpaqueFd;
    let refused = udmabuf.export(&agreement).expect_err("opaque");
    assert!(matches!(refused, Error::Unsupported { .. }), "{refused}");
}

/// Every allocator is listed; each that is missing says what to do.
#[test]
fn every_allocator_is_listed_with_its_reason() {
    let adapters = Adapter::enumerate();
    let names: Vec<String> = adapters
        .iter()
        .map(|adapter| adapter.allocator().to_string())
        .collect();
    assert_eq!(names[..2], ["udmabuf", "dma_heap/system"]);
    assert_eq!(names.last().map(String::as_str), Some("host memory"));
    for adapter in &adapters {
        let support = adapter.support();
        eprintln!("{}: {}", adapter.allocator(), support.reason());
        assert_eq!(adapter.open().is_ok(), support.is_yes());
        assert_eq!(support.reason().is_empty(), support.is_yes());
    }
}
