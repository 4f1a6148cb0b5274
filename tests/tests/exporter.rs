//! dma-bufs of a driver that we know in full: the kernel module lucarne_exporter (docs/kernel-exporter.md), in the guest.

use std::sync::Once;
use std::time::{Duration, Instant};

use lucarne::{
    DeviceId, Error, Extent, Fence, Format, Frame, FrameLayout, Memory, Modifier, Plane, Tiling,
    Usage,
    kernel::{DmaBuf, DmaBufKind, DmaBufMapping, FenceRole, FenceStatus},
};
use lucarne_tests::exporter::{
    ALWAYS, Behaviour, Buffer, Call, Counters, Exporter, READ_ONLY, SCATTERED, pattern,
};
use lucarne_tests::pair::Pair;
use lucarne_tests::skip::skip;
use lucarne_tests::{TIMEOUT, child, fds, in_guest, module, vgem};
use rustix::io::Errno;

#[path = "exporter/ends.rs"]
mod ends;
#[path = "exporter/failures.rs"]
mod failures;

const PAGE: u64 = 4096;
const LIMIT: Duration = Duration::from_millis(300);

/// Whether the kernel has warned of something, or has died in part (Documentation/admin-guide/tainted-kernels.rst).
fn complaints() -> u64 {
    const DIE: u64 = 1 << 7;
    const WARN: u64 = 1 << 9;
    let text = std::fs::read_to_string("/proc/sys/kernel/tainted").expect("/proc");
    text.trim().parse::<u64>().expect("a number") & (DIE | WARN)
}

/// Runs `body` alone, and fails when it leaves a descriptor, or anything in the module, or the kernel complained.
fn flat(body: impl FnOnce(&Exporter)) {
    counted(|exporter| {
        let complained = complaints();
        body(exporter);
        assert_eq!(complaints(), complained, "{}", warnings());
    });
}

/// As [`flat`], where the kernel will complain.
fn counted(body: impl FnOnce(&Exporter)) {
    fds::unchanged(|| {
        let exporter = match Exporter::open() {
            Ok(exporter) => exporter,
            Err(reason) => return skip("exporter", &reason),
        };
        let before = Counters::now();
        body(&exporter);
        before.assert_again();
    });
}

/// The kernel's words, where they may be read.
fn warnings() -> String {
    let output = std::process::Command::new("dmesg").output();
    let text = output.map_or_else(
        |error| error.to_string(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    );
    let lines = text
        .lines()
        .filter(|line| line.contains("WARNING: ") || line.contains("BUG: "));
    lines.collect::<Vec<_>>().join("\n")
}

/// As [`flat`], with drivers. What they open once for the whole process is open before.
fn flat_with_drivers(body: impl FnOnce(&Exporter, &Pair)) {
    static OPENED: Once = Once::new();
    let alone = fds::alone();
    if Exporter::open().is_ok() {
        OPENED.call_once(|| drop(Pair::open()));
    }
    drop(alone);
    flat(|exporter| {
        let pair = Pair::open();
        body(exporter, &pair);
        pair.assert_valid();
    });
}

fn read(buffer: &DmaBuf) -> Vec<u8> {
    let mapping = DmaBufMapping::new(buffer).expect("a mapping");
    let mut bytes = vec![0; mapping.len()];
    let access = mapping.read(TIMEOUT).expect("a turn to read");
    access.copy_out(0, &mut bytes).expect("read");
    access.end().expect("the end of the turn");
    bytes
}

fn fails(error: Errno, times: u32) -> Behaviour {
    Behaviour {
        error: Some(error),
        delay: Duration::ZERO,
        times,
    }
}

/// The error names the operation, and holds what the driver answered.
#[track_caller]
fn assert_os<T: std::fmt::Debug>(result: lucarne::Result<T>, what: &str, errno: Errno) {
    let error = result.expect_err("this must be refused");
    let Error::Os {
        operation, source, ..
    } = &error
    else {
        panic!("{error}");
    };
    assert!(operation.contains(what), "{error}");
    assert_eq!(source.raw_os_error(), Some(errno.raw_os_error()), "{error}");
}

#[test]
fn the_kernel_writes_and_a_program_reads() {
    flat(|exporter| {
        for flags in [0, SCATTERED, READ_ONLY] {
            let buffer = exporter.allocate(5 * PAGE - 1, flags).expect("memory");
            let dma_buf = buffer.dma_buf();
            assert_eq!(dma_buf.kind(), DmaBufKind::Kernel);
            assert_eq!(dma_buf.size(), 5 * PAGE, "whole pages");
            assert!(read(&dma_buf).iter().all(|byte| *byte == 0), "fresh memory");
            buffer.fill(40 + flags).expect("filled");
            assert_eq!(read(&dma_buf), pattern(40 + flags, 5 * 4096));
        }
    });
}

#[test]
fn a_program_writes_and_the_kernel_reads() {
    flat(|exporter| {
        for flags in [0, SCATTERED] {
            let buffer = exporter.allocate(3 * PAGE, flags).expect("memory");
            let bytes = pattern(9, 3 * 4096);
            let mut mapping = DmaBufMapping::new(&buffer.dma_buf()).expect("a mapping");
            let mut access = mapping.write(TIMEOUT).expect("a turn to write");
            access.copy_in(0, &bytes).expect("written");
            access.end().expect("the end of the turn");
            assert_eq!(buffer.read(0, bytes.len()).expect("read"), bytes);
            // Across two pages, which need not be neighbours.
            let part = buffer.read(4090, 12).expect("read");
            assert_eq!(part, bytes[4090..4102]);
        }
    });
}

/// A descriptor for reading only is one that nobody can write through.
#[test]
fn a_read_only_descriptor_is_one() {
    flat(|exporter| {
        let buffer = exporter.allocate(PAGE, READ_ONLY).expect("memory");
        let mut mapping = DmaBufMapping::new(&buffer.dma_buf()).expect("a mapping");
        assert!(!mapping.is_writable());
        let refused = mapping.write(TIMEOUT).expect_err("reading only");
        assert!(matches!(refused, Error::Invalid { .. }), "{refused}");
    });
}

/// The module's own checks: what it is told is bounded.
#[test]
fn what_the_module_cannot_do_it_refuses() {
    flat(|exporter| {
        for (size, flags) in [
            (0, 0),
            (u64::MAX, 0),
            (u64::MAX, SCATTERED),
            ((4 << 20) + 1, 0),
            ((64 << 20) + 1, SCATTERED),
            (PAGE, 1 << 31),
        ] {
            let refused = exporter.allocate(size, flags).err();
            assert_eq!(refused, Some(Errno::INVAL), "{size} bytes, flags {flags}");
        }
        let buffer = exporter.allocate(PAGE, 0).expect("memory");
        for (offset, length) in [(0, 4097), (4096, 1), (u64::MAX, 1), (1, 4096)] {
            let refused = buffer.read(offset, length).err();
            assert_eq!(refused, Some(Errno::INVAL), "{offset}, {length}");
        }
        for deadline in [Duration::ZERO, Duration::from_millis(60_001)] {
            assert_eq!(buffer.fence(true, deadline).err(), Some(Errno::INVAL));
        }
        let late = Behaviour {
            delay: Duration::from_millis(10_001),
            ..fails(Errno::IO, 1)
        };
        assert_eq!(buffer.behave(Call::Map, late).err(), Some(Errno::INVAL));
        // So many numbers has an opening, one of which is taken.
        let more: Vec<Buffer> = (1..1024)
            .map(|_| exporter.allocate(PAGE, 0).expect("memory"))
            .collect();
        assert_eq!(exporter.allocate(PAGE, 0).err(), Some(Errno::BUSY));
        drop(more);
        exporter.allocate(PAGE, 0).expect("a number is free again");
    });
}

#[test]
fn pages_lie_together_or_apart_and_who_is_attached_is_told() {
    let Some(vgem) = vgem::node() else { return };
    flat(|exporter| {
        let before = Counters::now();
        for (flags, together) in [(0, true), (SCATTERED, false)] {
            let buffer = exporter.allocate(64 * PAGE, flags).expect("memory");
            let report = buffer.report().expect("a report");
            assert_eq!(report.size, 64 * PAGE);
            assert_eq!(report.segments == 1, together, "{report:?}");
            assert!(together || report.segments > 16, "{report:?}");
            assert!(report.attached.is_empty(), "{report:?}");

            let handle = vgem.import(&buffer.dma_buf()).expect("a handle");
            let report = buffer.report().expect("a report");
            assert_eq!(report.attached.len(), 1, "{report:?}");
            assert!(report.attached[0].contains("vgem"), "{report:?}");
            let now = Counters::now();
            assert_eq!(now.attachments, before.attachments + 1);
            assert_eq!(now.mappings, before.mappings + 1);
            drop(handle);
            let report = buffer.report().expect("a report");
            assert!(report.attached.is_empty(), "{report:?}");
        }
    });
}

/// Number, descriptor, mapping and device each keep the memory, whichever goes first.
#[test]
fn the_last_to_go_frees_the_memory() {
    let Some(vgem) = vgem::node() else { return };
    flat(|exporter| {
        let before = Counters::now().buffers;
        let buffer = exporter.allocate(PAGE, 0).expect("memory");
        buffer.fill(3).expect("filled");
        let dma_buf = buffer.dma_buf();
        drop(buffer);
        let handle = vgem.import(&dma_buf).expect("a handle");
        let mapping = DmaBufMapping::new(&dma_buf).expect("a mapping");
        drop(dma_buf);
        drop(handle);
        assert_eq!(Counters::now().buffers, before + 1);
        let mut bytes = [0; 4096];
        let access = mapping.read(TIMEOUT).expect("a turn");
        access.copy_out(0, &mut bytes).expect("read");
        access.end().expect("the end of the turn");
        assert_eq!(bytes[..], pattern(3, 4096));
        drop(mapping);
        assert_eq!(Counters::now().buffers, before);
    });
}

const FORMAT: Format = Format::ABGR8888;
const EXTENT: Extent = Extent::new(64, 48);

/// The buffer as a picture, row after row.
fn frame(buffer: &Buffer) -> Frame {
    let plane = Plane {
        object: 0,
        offset: 0,
        pitch: 64 * 4,
    };
    let dma_buf = buffer.dma_buf();
    let tiling = Tiling::Explicit(Modifier::LINEAR);
    let layout = FrameLayout::new(EXTENT, FORMAT, tiling, &[plane], &[dma_buf.size()]);
    let device = DeviceId {
        software: true,
        ..DeviceId::default()
    };
    Frame::new(
        layout.expect("a layout"),
        Memory::DmaBuf(vec![dma_buf]),
        device,
    )
    .expect("a frame")
}

/// Room behind the last row, as drivers read beyond it.
const FRAME_BYTES: u64 = 64 * 4 * 48 + PAGE;

/// Vulkan reads, and writes, the kernel's pages.
#[test]
fn vulkan_sees_what_the_kernel_wrote_and_the_kernel_what_vulkan_wrote() {
    const BYTES: usize = 64 * 4 * 48;
    let usage = Usage::TRANSFER_SOURCE | Usage::TRANSFER_DESTINATION;
    flat_with_drivers(|exporter, pair| {
        for flags in [0, SCATTERED] {
            let buffer = exporter.allocate(FRAME_BYTES, flags).expect("memory");
            buffer.fill(11).expect("filled");
            let image = pair.vk.import(&frame(&buffer), usage).expect("an image");
            let seen = pair.vk.download(&image, &Fence::Signaled, TIMEOUT);
            let expected = pattern(11, BYTES);
            assert!(seen.expect("pixels") == expected, "of {BYTES} bytes");

            let other = pattern(12, BYTES);
            let written = pair.vk.upload(&image, &Fence::Signaled, TIMEOUT, &other);
            written.expect("written").wait(TIMEOUT).expect("finished");
            assert!(buffer.read(0, BYTES).expect("read") == other);
        }
    });
}

/// OpenGL samples the kernel's pages; each pixel is compared.
#[test]
fn opengl_sees_what_the_kernel_wrote() {
    flat_with_drivers(|exporter, pair| {
        for flags in [0, SCATTERED] {
            let buffer = exporter.allocate(FRAME_BYTES, flags).expect("memory");
            buffer.fill(21).expect("filled");
            let texture = pair.gl.import(&frame(&buffer)).expect("a texture");
            let turn = pair.gl.read(&texture, &Fence::Signaled, TIMEOUT);
            turn.expect("a turn");
            let pixels = pair.gl.download(&texture).expect("pixels");
            assert_eq!(pixels.len(), 64 * 48);
            let expected = pattern(21, 64 * 4 * 48);
            for (number, (pixel, bytes)) in pixels.iter().zip(expected.chunks(4)).enumerate() {
                let seen = pixel.map(|channel| (channel * 255.0).round());
                let wanted: Vec<f32> = bytes.iter().map(|byte| f32::from(*byte)).collect();
                assert_eq!(seen[..], wanted, "pixel {number}");
            }
        }
    });
}

#[test]
fn a_thousand_buffers_leave_nothing() {
    let Some(vgem) = vgem::node() else { return };
    flat(|exporter| {
        let before = Counters::now();
        for number in 0..1000 {
            let flags = if number % 2 == 0 { 0 } else { SCATTERED };
            let buffer = exporter.allocate(2 * PAGE, flags).expect("memory");
            let dma_buf = buffer.dma_buf();
            let held = buffer.fence(false, TIMEOUT).expect("a fence");
            let handle = vgem.import(&dma_buf).expect("a handle");
            let now = Counters::now();
            assert_eq!(now.buffers, before.buffers + 1, "cycle {number}");
            assert_eq!(now.attachments, before.attachments + 1, "cycle {number}");
            assert_eq!(now.mappings, before.mappings + 1, "cycle {number}");
            held.signal(None).expect("in time");
            drop(handle);
        }
    });
}
