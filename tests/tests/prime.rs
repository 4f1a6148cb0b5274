//! DRM PRIME on vgem, in the guest: handles to dma-bufs and back, mapped by the CPU; and waits for a fence of vgem's.

use std::time::{Duration, Instant};

use lucarne::cpu::{Adapter, Allocator};
use lucarne::{
    Error, Extent, Fence, Format, Frame, FrameLayout, Memory, Modifier, Plane, Tiling,
    kernel::{DmaBuf, DmaBufKind, DmaBufMapping, DmaHeap, DrmFile, Udmabuf},
};
use lucarne_tests::{TIMEOUT, vgem};
use rustix::ioctl::{Opcode, Updater, opcode};

fn write(buffer: &DmaBuf, offset: usize, bytes: &[u8]) {
    let mut mapping = DmaBufMapping::new(buffer).expect("a mapping");
    let mut access = mapping.write(TIMEOUT).expect("a turn to write");
    access.copy_in(offset, bytes).expect("written");
    access.end().expect("the end of the turn");
}

fn read(buffer: &DmaBuf, offset: usize, count: usize) -> Vec<u8> {
    let mapping = DmaBufMapping::new(buffer).expect("a mapping");
    let access = mapping.read(TIMEOUT).expect("a turn to read");
    let mut bytes = vec![0; count];
    access.copy_out(offset, &mut bytes).expect("read");
    access.end().expect("the end of the turn");
    bytes
}

/// Dumb buffer, dma-buf, mapping, and back to the same handle.
#[test]
fn a_dumb_buffer_goes_out_and_comes_back() {
    let Some(file) = vgem::node() else { return };
    let extent = Extent::new(37, 21);
    let dumb = file.create_dumb(extent, 32).expect("a dumb buffer");
    assert!(dumb.pitch >= 37 * 4, "{dumb:?}");
    let buffer = dumb.handle.export().expect("a dma-buf");
    assert_eq!(buffer.kind(), DmaBufKind::Kernel);
    assert!(buffer.size() >= dumb.pitch * 21, "{dumb:?} {buffer:?}");

    let plane = Plane {
        object: 0,
        offset: 0,
        pitch: dumb.pitch,
    };
    let tiling = Tiling::Explicit(Modifier::LINEAR);
    let sizes = [buffer.size()];
    let layout = FrameLayout::new(extent, Format::XRGB8888, tiling, &[plane], &sizes);
    let again = DmaBuf::new(buffer.duplicate().expect("a descriptor")).expect("a dma-buf");
    let device = Adapter::new(Allocator::HostMemory).open().expect("a CPU");
    let memory = Memory::DmaBuf(vec![again]);
    let frame = Frame::new(layout.expect("a layout"), memory, device.id()).expect("a frame");
    let image = device.import(&frame).expect("a mapped frame");
    let bytes: Vec<u8> = (0..37 * 21 * 4_u32).map(|n| (n % 251) as u8).collect();
    let written = image.write(&Fence::Signaled, TIMEOUT, |rows| {
        rows.write_plane(0, &bytes)
    });
    assert!(matches!(written, Ok(Fence::Signaled)), "{written:?}");
    let offset = usize::try_from(dumb.pitch * 20).expect("small");
    assert_eq!(read(&buffer, offset, 37 * 4), bytes[20 * 37 * 4..]);

    let back = file.import(&buffer).expect("a handle");
    assert_eq!(back.raw(), dumb.handle.raw(), "one buffer, one handle");
    // Two hold the number: dropping one must not close it for the other.
    drop(back);
    let still = dumb.handle.export().expect("the handle is still open");
    assert_eq!(still.identity(), buffer.identity());
    drop(dumb);
    // The memory lives on in the dma-buf.
    assert_eq!(read(&buffer, offset, 37 * 4), bytes[20 * 37 * 4..]);
}

/// Another opening of the node, and memory of another origin: handles of their own for the same bytes.
#[test]
fn foreign_buffers_come_in() {
    let Some(file) = vgem::node() else { return };
    let udmabuf = Udmabuf::open().expect("/dev/udmabuf");
    let heap = DmaHeap::open(DmaHeap::SYSTEM).expect("the system heap");
    for buffer in [
        udmabuf.create(2 * 4096).expect("a udmabuf"),
        heap.create(2 * 4096).expect("a heap's buffer"),
    ] {
        write(&buffer, 4094, b"across two pages");
        let handle = file.import(&buffer).expect("a handle");
        let twice = file.import(&buffer).expect("the same handle");
        assert_eq!(handle.raw(), twice.raw());
        let out = handle.export().expect("a dma-buf");
        assert_eq!(out.identity(), buffer.identity(), "the very same buffer");
        assert_eq!(read(&out, 4094, 16), b"across two pages");
    }
}

/// A thousand handles in and out: neither descriptors nor handles pile up.
#[test]
fn handles_are_closed() {
    let Some(file) = vgem::node() else { return };
    let first = file.create_dumb(Extent::new(8, 8), 32).expect("a buffer");
    let number = first.handle.raw();
    drop(first);
    for _ in 0..1000 {
        let dumb = file.create_dumb(Extent::new(8, 8), 32).expect("a buffer");
        let buffer = dumb.handle.export().expect("a dma-buf");
        let handle = file.import(&buffer).expect("a handle");
        assert_eq!(handle.raw(), dumb.handle.raw());
    }
    let last = file.create_dumb(Extent::new(8, 8), 32).expect("a buffer");
    // The kernel gives the lowest free number again.
    assert_eq!(last.handle.raw(), number, "{file:?}");
}

#[test]
fn an_emulated_buffer_is_no_business_of_a_driver() {
    let Some(file) = vgem::node() else { return };
    let memfd = rustix::fs::memfd_create("lucarne-prime", rustix::fs::MemfdFlags::ALLOW_SEALING);
    let memfd = memfd.expect("a memfd");
    rustix::fs::ftruncate(&memfd, 4096).expect("a size");
    rustix::fs::fcntl_add_seals(&memfd, rustix::fs::SealFlags::SHRINK).expect("a seal");
    let buffer = DmaBuf::new(memfd).expect("an emulated dma-buf");
    let refused = file.import(&buffer).expect_err("not the kernel's");
    assert!(matches!(refused, Error::Invalid { .. }), "{refused}");
}

/// `struct drm_vgem_fence_attach` (drm/vgem_drm.h).
#[repr(C)]
struct FenceAttach {
    handle: u32,
    flags: u32,
    out_fence: u32,
    pad: u32,
}

/// `DRM_IOCTL_VGEM_FENCE_ATTACH`: a fence that nobody signals ends by itself after ten seconds.
fn attach_write_fence(file: &DrmFile, handle: u32) {
    const WRITE: u32 = 1;
    const ATTACH: Opcode = opcode::read_write::<FenceAttach>(b'd', 0x41);
    let mut attach = FenceAttach {
        handle,
        flags: WRITE,
        out_fence: 0,
        pad: 0,
    };
    // SAFETY: Updater::new: the request reads and writes one `struct drm_vgem_fence_attach`, which `FenceAttach` is.
    let request = unsafe { Updater::<ATTACH, FenceAttach>::new(&mut attach) };
    // SAFETY: ioctl(2) with that request on a node of vgem.
    unsafe { rustix::ioctl::ioctl(file, request) }.expect("a fence");
}

/// While a device writes, the kernel would hold `DMA_BUF_IOCTL_SYNC` back for as long as it takes: ours ends in time.
#[test]
fn the_cpu_waits_for_a_device_and_not_for_ever() {
    let Some(file) = vgem::node() else { return };
    let dumb = file.create_dumb(Extent::new(8, 8), 32).expect("a buffer");
    let buffer = dumb.handle.export().expect("a dma-buf");
    attach_write_fence(&file, dumb.handle.raw());
    let mut mapping = DmaBufMapping::new(&buffer).expect("a mapping");
    let limit = Duration::from_millis(300);
    let begun = Instant::now();
    let refused = mapping.read(limit).expect_err("a device writes");
    assert!(matches!(refused, Error::Timeout { .. }), "{refused}");
    let refused = mapping.write(limit).expect_err("a device writes");
    assert!(matches!(refused, Error::Timeout { .. }), "{refused}");
    let waited = begun.elapsed();
    assert!(
        waited >= 2 * limit && waited < Duration::from_secs(5),
        "{waited:?}"
    );
    // vgem gives up after ten seconds, and then the turn is ours.
    mapping
        .read(TIMEOUT)
        .expect("a turn to read")
        .end()
        .expect("the end of the turn");
    assert!(
        begun.elapsed() > Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
}
