//! dma-bufs of a driver that we know in full: the kernel module lucarne_exporter (docs/kernel-exporter.md), in the guest.

use std::time::{Duration, Instant};

use lucarne::{
    DeviceId, Error, Extent, Fence, Format, Frame, FrameLayout, Memory, Modifier, Plane, Tiling,
    Usage,
    kernel::{DmaBuf, DmaBufKind, DmaBufMapping, DrmFile, FenceRole, FenceStatus},
};
use lucarne_tests::exporter::{
    ALWAYS, Behaviour, Buffer, Call, Counters, Exporter, READ_ONLY, SCATTERED, pattern,
};
use lucarne_tests::pair::Pair;
use lucarne_tests::skip::skip;
use lucarne_tests::{TIMEOUT, child, fds, module};
use rustix::io::Errno;

const PAGE: u64 = 4096;
const LIMIT: Duration = Duration::from_millis(300);

/// Runs `body` alone, and fails when it leaves a descriptor, or anything in the module.
fn flat(body: impl FnOnce(&Exporter)) {
    let exporter = match Exporter::open() {
        Ok(exporter) => exporter,
        Err(reason) => return skip("exporter", &reason),
    };
    let mut before = None;
    fds::unchanged(|| {
        before = Some(Counters::now());
        body(&exporter);
    });
    before.expect("counted").assert_again();
}

/// The primary node of vgem, whose driver attaches and maps what it imports.
fn vgem() -> Option<DrmFile> {
    if let Err(reason) = module::load("vgem") {
        skip("vgem", &reason);
        return None;
    }
    let found = DrmFile::paths()
        .into_iter()
        .filter(|path| path.to_string_lossy().contains("card"))
        .filter_map(|path| DrmFile::open(&path).ok())
        .find(|file| file.driver().is_ok_and(|driver| driver == "vgem"));
    if found.is_none() {
        skip("vgem", "no node of driver vgem in /dev/dri can be opened");
    }
    found
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
    let Some(vgem) = vgem() else { return };
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
    let Some(vgem) = vgem() else { return };
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
    let pair = Pair::open();
    flat(|exporter| {
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
        pair.assert_valid();
    });
}

/// OpenGL samples the kernel's pages; each pixel is compared.
#[test]
fn opengl_sees_what_the_kernel_wrote() {
    let pair = Pair::open();
    flat(|exporter| {
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

/// A driver that cannot map for the CPU: the software drivers need that, and say so by name.
#[test]
fn a_buffer_that_cannot_be_mapped_is_refused_by_name() {
    let pair = Pair::open();
    flat(|exporter| {
        let buffer = exporter.allocate(FRAME_BYTES, 0).expect("memory");
        let frame = frame(&buffer);
        let never = fails(Errno::NODEV, ALWAYS);
        buffer.behave(Call::Mmap, never).expect("told");
        let Memory::DmaBuf(buffers) = frame.memory() else {
            panic!("a dma-buf was made");
        };
        assert_os(DmaBufMapping::new(&buffers[0]), "mmap", Errno::NODEV);
        for refused in [
            pair.vk.import(&frame, Usage::TRANSFER_SOURCE).err(),
            pair.gl.import(&frame).err(),
        ] {
            let error = refused.expect("a software driver needs a mapping");
            assert!(
                matches!(error, Error::Driver { .. } | Error::Os { .. }),
                "{error}"
            );
        }
        buffer
            .behave(Call::Mmap, fails(Errno::NODEV, 0))
            .expect("told");
        pair.gl.import(&frame).expect("a texture");
    });
}

#[test]
fn devices_that_cannot_be_attached_or_map_are_named_errors() {
    let Some(vgem) = vgem() else { return };
    flat(|exporter| {
        let buffer = exporter.allocate(PAGE, SCATTERED).expect("memory");
        let dma_buf = buffer.dma_buf();
        let before = Counters::now();
        for call in [Call::Attach, Call::Map] {
            for errno in [Errno::BUSY, Errno::NOMEM, Errno::NODEV] {
                buffer.behave(call, fails(errno, 1)).expect("told");
                assert_os(vgem.import(&dma_buf), "PRIME_FD_TO_HANDLE", errno);
                assert_eq!(Counters::now(), before, "{call:?} {errno}");
            }
            // Told of one call only, the next one succeeds.
            vgem.import(&dma_buf).expect("a handle");
        }
    });
}

#[test]
fn the_cpus_turn_that_fails_is_a_named_error() {
    flat(|exporter| {
        let buffer = exporter.allocate(PAGE, 0).expect("memory");
        let mut mapping = DmaBufMapping::new(&buffer.dma_buf()).expect("a mapping");
        let begin = "DMA_BUF_IOCTL_SYNC to begin";
        let broken = fails(Errno::IO, 2);
        buffer.behave(Call::BeginCpuAccess, broken).expect("told");
        assert_os(mapping.read(TIMEOUT), begin, Errno::IO);
        assert_os(mapping.write(TIMEOUT), begin, Errno::IO);
        mapping.read(TIMEOUT).expect("a turn").end().expect("over");
        // The kernel's own way in.
        buffer
            .behave(Call::BeginCpuAccess, fails(Errno::IO, 1))
            .expect("told");
        assert_eq!(buffer.fill(1).err(), Some(Errno::IO));
        buffer
            .behave(Call::Vmap, fails(Errno::NOMEM, 1))
            .expect("told");
        assert_eq!(buffer.read(0, 16).err(), Some(Errno::NOMEM));
        assert_eq!(buffer.read(0, 16).expect("read"), [0; 16]);
    });
}

/// "Repeat the request", as the kernel says when a signal came: a few times it is done, and not for ever.
#[test]
fn a_request_to_repeat_is_met_and_not_for_ever() {
    flat(|exporter| {
        let buffer = exporter.allocate(PAGE, 0).expect("memory");
        let mapping = DmaBufMapping::new(&buffer.dma_buf()).expect("a mapping");
        let begin = Call::BeginCpuAccess;
        for errno in [Errno::AGAIN, Errno::INTR] {
            buffer.behave(begin, fails(errno, 3)).expect("told");
            mapping.read(TIMEOUT).expect("a turn").end().expect("over");
            buffer.behave(begin, fails(errno, ALWAYS)).expect("told");
            assert_os(mapping.read(TIMEOUT), "SYNC to begin", errno);
        }
    });
}

/// A driver that takes its time is waited for.
#[test]
fn delays_are_delays() {
    let Some(vgem) = vgem() else { return };
    flat(|exporter| {
        let buffer = exporter.allocate(PAGE, 0).expect("memory");
        let dma_buf = buffer.dma_buf();
        let slow = Behaviour {
            error: None,
            delay: LIMIT,
            times: 1,
        };
        let takes = |call: Call, body: &dyn Fn()| {
            buffer.behave(call, slow).expect("told");
            let begun = Instant::now();
            body();
            assert!(begun.elapsed() >= LIMIT, "{call:?}: {:?}", begun.elapsed());
        };
        takes(Call::Attach, &|| {
            drop(vgem.import(&dma_buf).expect("a handle"))
        });
        takes(Call::Map, &|| {
            drop(vgem.import(&dma_buf).expect("a handle"))
        });
        takes(Call::Mmap, &|| {
            drop(DmaBufMapping::new(&dma_buf).expect("a mapping"));
        });
        let mapping = DmaBufMapping::new(&dma_buf).expect("a mapping");
        takes(Call::BeginCpuAccess, &|| {
            mapping.read(TIMEOUT).expect("a turn").end().expect("over");
        });
        takes(Call::Vmap, &|| drop(buffer.read(0, 1).expect("read")));
    });
}

#[test]
fn a_fence_that_never_signals_meets_deadlines() {
    flat(|exporter| {
        let buffer = exporter.allocate(PAGE, 0).expect("memory");
        let dma_buf = buffer.dma_buf();
        let held = buffer.fence(true, TIMEOUT).expect("a fence");
        let mut mapping = DmaBufMapping::new(&dma_buf).expect("a mapping");
        let sync_file = dma_buf
            .export_sync_file(FenceRole::Acquire)
            .expect("its fence");
        assert_eq!(sync_file.status().expect("a status"), FenceStatus::Active);
        let begun = Instant::now();
        for refused in [
            mapping.read(LIMIT).err(),
            mapping.write(LIMIT).err(),
            sync_file.wait(LIMIT).err(),
        ] {
            let error = refused.expect("a device writes");
            assert!(matches!(error, Error::Timeout { .. }), "{error}");
        }
        let waited = begun.elapsed();
        assert!(waited >= 3 * LIMIT && waited < TIMEOUT / 2, "{waited:?}");

        held.signal(None).expect("in time");
        sync_file.wait(LIMIT).expect("signalled");
        mapping.read(LIMIT).expect("a turn").end().expect("over");
        mapping.write(LIMIT).expect("a turn").end().expect("over");
    });
}

/// Other readers need not wait for a reader; a writer must.
#[test]
fn a_readers_fence_gates_writers_alone() {
    flat(|exporter| {
        let buffer = exporter.allocate(PAGE, 0).expect("memory");
        let mut mapping = DmaBufMapping::new(&buffer.dma_buf()).expect("a mapping");
        let held = buffer.fence(false, TIMEOUT).expect("a fence");
        mapping.read(LIMIT).expect("a turn").end().expect("over");
        let refused = mapping.write(LIMIT).expect_err("a device reads");
        assert!(matches!(refused, Error::Timeout { .. }), "{refused}");
        held.signal(None).expect("in time");
        mapping.write(LIMIT).expect("a turn").end().expect("over");
    });
}

/// Work that ends in an error, or at the module's own deadline: the fence says which.
#[test]
fn fences_end_by_themselves_and_in_errors() {
    flat(|exporter| {
        let buffer = exporter.allocate(PAGE, 0).expect("memory");
        let dma_buf = buffer.dma_buf();
        let fence = |deadline| {
            let held = buffer.fence(true, deadline).expect("a fence");
            let file = dma_buf.export_sync_file(FenceRole::Acquire);
            (held, file.expect("its fence"))
        };
        let failed = |error: Error, errno: Errno| {
            let Error::FenceFailed { source } = &error else {
                panic!("{error}");
            };
            assert_eq!(source.raw_os_error(), Some(errno.raw_os_error()));
        };

        let (held, file) = fence(TIMEOUT);
        held.signal(Some(Errno::IO)).expect("in time");
        failed(file.wait(TIMEOUT).expect_err("an error"), Errno::IO);

        let (held, file) = fence(LIMIT);
        let begun = Instant::now();
        failed(file.wait(TIMEOUT).expect_err("too late"), Errno::TIMEDOUT);
        assert!(begun.elapsed() < TIMEOUT / 2, "{:?}", begun.elapsed());
        assert_eq!(held.signal(None).err(), Some(Errno::TIMEDOUT));
        assert_eq!(buffer.read(0, 4).expect("the kernel's turn"), [0; 4]);
    });
}

/// Drivers wait without a deadline; Lucarne waits before them.
#[test]
fn a_frame_whose_writer_never_ends_is_a_timeout_in_vulkan_and_opengl() {
    let pair = Pair::open();
    flat(|exporter| {
        let buffer = exporter.allocate(FRAME_BYTES, 0).expect("memory");
        buffer.fill(5).expect("filled");
        let frame = frame(&buffer);
        let image = pair.vk.import(&frame, Usage::TRANSFER_SOURCE);
        let image = image.expect("an image");
        let texture = pair.gl.import(&frame).expect("a texture");
        let held = buffer.fence(true, TIMEOUT).expect("a fence");
        let acquire = frame.implicit_fence(FenceRole::Acquire).expect("its fence");
        for refused in [
            pair.vk.download(&image, &acquire, LIMIT).err(),
            pair.gl.read(&texture, &acquire, LIMIT).err(),
        ] {
            let error = refused.expect("a device writes");
            assert!(matches!(error, Error::Timeout { .. }), "{error}");
        }
        held.signal(None).expect("in time");
        let seen = pair.vk.download(&image, &acquire, TIMEOUT).expect("pixels");
        assert!(seen == pattern(5, 64 * 4 * 48));
        pair.assert_valid();
    });
}

/// Whoever is killed leaves nothing: buffers, fences that nobody will signal, mappings.
#[test]
fn a_program_that_is_killed_leaves_nothing() {
    const TEST: &str = "a_program_that_is_killed_leaves_nothing";
    if child::is(TEST) {
        let exporter = Exporter::open().expect("the module is loaded");
        let buffer = exporter.allocate(PAGE, 0).expect("memory");
        let _mapping = DmaBufMapping::new(&buffer.dma_buf()).expect("a mapping");
        let _held = buffer.fence(true, TIMEOUT).expect("a fence");
        let now = Counters::now();
        eprintln!("buffers {}, fences {}", now.buffers, now.fences);
        let own = rustix::process::getpid();
        let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
        return;
    }
    flat(|_| {
        let before = Counters::now();
        let ended = child::run(TEST, &[]);
        let said = String::from_utf8_lossy(&ended.stderr);
        let (buffers, fences) = (before.buffers + 1, before.fences + 1);
        let told = format!("buffers {buffers}, fences {fences}");
        assert!(said.contains(&told), "{told} is missing in: {said}");
        assert!(!ended.status.success(), "it was killed");
    });
}

#[test]
fn a_thousand_buffers_leave_nothing() {
    let Some(vgem) = vgem() else { return };
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
