//! Fences that are held back, and ends that nobody asked for: a kill, the module unloaded.

use super::*;

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
    flat_with_drivers(|exporter, pair| {
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
    });
}

/// Whoever is killed leaves nothing: buffers, fences that nobody will signal, mappings.
#[test]
fn a_program_that_is_killed_leaves_nothing() {
    const TEST: &str = "ends::a_program_that_is_killed_leaves_nothing";
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

/// Buffers and fences hold the module: what would call into it must not find it gone.
#[test]
fn the_module_goes_once_nothing_of_it_is_left() {
    const NAME: &str = "lucarne_exporter";
    let _alone = fds::alone();
    let complained = complaints();
    if !in_guest() {
        return skip("exporter", "a machine's modules are its owner's affair");
    }
    for _ in 0..20 {
        let exporter = match Exporter::open() {
            Ok(exporter) => exporter,
            Err(reason) => return skip("exporter", &reason),
        };
        let buffer = exporter.allocate(PAGE, 0).expect("memory");
        let dma_buf = buffer.dma_buf();
        let held = buffer.fence(true, TIMEOUT).expect("a fence");
        let fence = dma_buf.export_sync_file(FenceRole::Acquire);
        let fence = fence.expect("its fence");
        drop(buffer);
        module::remove(NAME).expect_err("the node is open");
        drop((held, exporter));
        module::remove(NAME).expect_err("a buffer is left");
        drop(dma_buf);
        module::remove(NAME).expect_err("a fence is left");
        // Nobody is left who could signal it but the node's end.
        let ended = fence.wait(TIMEOUT).expect_err("an error");
        assert!(matches!(ended, Error::FenceFailed { .. }), "{ended}");
        drop(fence);
        let begun = Instant::now();
        while let Err(reason) = module::remove(NAME) {
            assert!(begun.elapsed() < TIMEOUT, "{reason}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    assert_eq!(complaints(), complained, "{}", warnings());
}
