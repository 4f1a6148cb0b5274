//! Each call of the dma-buf that can fail or take its time.

use super::*;

/// A driver that cannot map for the CPU: the software drivers need that, and say so by name.
#[test]
fn a_buffer_that_cannot_be_mapped_is_refused_by_name() {
    flat_with_drivers(|exporter, pair| {
        let buffer = exporter.allocate(FRAME_BYTES, 0).expect("memory");
        let frame = frame(&buffer);
        let never = fails(Errno::NODEV, ALWAYS);
        buffer.behave(Call::Mmap, never).expect("told");
        let Memory::DmaBuf(buffers) = frame.memory() else {
            panic!("a dma-buf was made");
        };
        assert_os(DmaBufMapping::new(&buffers[0]), "mmap", Errno::NODEV);
        let image = pair.vk.import(&frame, Usage::TRANSFER_SOURCE);
        let error = image.expect_err("a software driver needs a mapping");
        assert!(matches!(error, Error::Driver { .. }), "{error}");
        // llvmpipe would take it, and end in a signal at its first use.
        assert_os(pair.gl.import(&frame), "mmap", Errno::NODEV);
        buffer
            .behave(Call::Mmap, fails(Errno::NODEV, 0))
            .expect("told");
        pair.gl.import(&frame).expect("a texture");
    });
}

#[test]
fn devices_that_cannot_be_attached_or_map_are_named_errors() {
    let Some(vgem) = vgem::node() else { return };
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
    });
}

/// The kernel's own way in. Of an exporter that cannot map, the core of dma-buf warns.
#[test]
fn the_kernels_turn_that_fails_is_told_too() {
    counted(|exporter| {
        let buffer = exporter.allocate(PAGE, 0).expect("memory");
        let broken = fails(Errno::IO, 1);
        buffer.behave(Call::BeginCpuAccess, broken).expect("told");
        assert_eq!(buffer.fill(1).err(), Some(Errno::IO));
        let broken = fails(Errno::NOMEM, 1);
        buffer.behave(Call::Vmap, broken).expect("told");
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
    let Some(vgem) = vgem::node() else { return };
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
