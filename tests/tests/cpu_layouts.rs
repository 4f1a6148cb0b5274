//! Layouts that others chose and that the matrix of lucarne-conformance leaves out: tight heights, buffers per plane.

use lucarne::cpu::Allocator;
use lucarne::{Extent, Fence, Format, Frame, Memory, MemoryPath, Usage};
use lucarne_tests::cpu::{can, open, path, plane_bytes, read, system_heap, write};
use lucarne_tests::memory::{self, Placement};
use lucarne_tests::pair::Pair;
use lucarne_tests::reader::Reader;
use lucarne_tests::{TIMEOUT, canary, pattern};

/// A buffer that ends with its last row, at a height that software drivers round up: refused by name, not by a signal.
/// Drivers that take it must show it. The CPU takes every height.
fn tight_heights(allocator: &Allocator) {
    let pair = Pair::open();
    let (reads, writes) = (pair.consumer(), pair.producer());
    if !can(allocator, &reads) || !can(allocator, &writes) {
        return;
    }
    let info = Format::XRGB8888.info().expect("known");
    // A row is a page, so that the buffer's whole pages hide no rows.
    let tight = Placement {
        offset: 0,
        pitch_alignment: 4096,
        pitch_extra: 0,
        height_alignment: 1,
    };
    for height in [1, 3, 5, 20, 21] {
        let extent = Extent::new(1024, height);
        let frame = tight
            .frame(allocator, extent, info.format)
            .expect("a frame");
        let device = open(&Allocator::HostMemory);
        let image = device.import(&frame).expect("a mapped frame");
        let bytes = pattern::bytes(info, extent, 1);
        let acquire = write(&image, &Fence::Signaled, std::slice::from_ref(&bytes));
        let (read, _) = read(&image, &acquire);
        assert!(read == [bytes.clone()], "the CPU at {extent}");
        let padded = height % 4 == 0;
        let must_fail = |software| software && !padded && path(allocator) == MemoryPath::DmaBuf;
        match pair.gl.import(&frame) {
            Ok(texture) => {
                assert!(!must_fail(pair.gl.id().software), "GL took {extent}");
                pair.gl.read(&texture, &acquire, TIMEOUT).expect("a turn");
                let pixels = Reader::new(&pair.gl).read(&texture);
                pattern::assert_equal(info.format, extent, 1, &pixels);
            }
            Err(error) => assert_short(&error, padded, extent),
        }
        match pair.vk.import(&frame, Usage::TRANSFER_SOURCE) {
            Ok(imported) => {
                assert!(
                    !must_fail(pair.vk.adapter().id().software),
                    "Vulkan took {extent}"
                );
                let read = pair.vk.download(&imported, &acquire, TIMEOUT);
                let read = read.expect("a read frame");
                assert!(read == bytes, "Vulkan at {extent}");
            }
            Err(error) => assert_short(&error, padded, extent),
        }
    }
    pair.assert_valid();
}

fn assert_short(error: &lucarne::Error, padded: bool, extent: Extent) {
    assert!(!padded, "{extent}: {error}");
    match error {
        lucarne::Error::Invalid { field, .. } => assert_eq!(*field, "buffer size", "{error}"),
        other => panic!("{extent}: {other}"),
    }
}

#[test]
fn tight_heights_in_udmabuf() {
    tight_heights(&Allocator::Udmabuf);
}

#[test]
fn tight_heights_in_a_dma_heap() {
    tight_heights(&system_heap());
}

#[test]
fn tight_heights_in_host_memory() {
    tight_heights(&Allocator::HostMemory);
}

/// Frames whose planes lie in buffers of their own.
#[test]
fn planes_in_separate_buffers() {
    let allocator = Allocator::Udmabuf;
    if !memory::can(&allocator) {
        return;
    }
    let extent = Extent::new(37, 21);
    let (joined, _) = lucarne::FrameLayout::linear(extent, Format::YUV420).expect("a layout");
    let mut planes = joined.planes().to_vec();
    let mut buffers = Vec::new();
    for (index, plane) in planes.iter_mut().enumerate() {
        (plane.object, plane.offset) = (index, 64 * index as u64);
        let Memory::DmaBuf(memory) = memory::allocate(&allocator, 16 * 4096) else {
            panic!("udmabuf makes dma-bufs");
        };
        buffers.extend(memory);
    }
    let sizes: Vec<u64> = buffers.iter().map(lucarne::kernel::DmaBuf::size).collect();
    let layout =
        lucarne::FrameLayout::new(extent, Format::YUV420, joined.tiling(), &planes, &sizes)
            .expect("a layout");
    let device = open(&allocator);
    let frame = Frame::new(layout, Memory::DmaBuf(buffers), device.id()).expect("a frame");
    canary::fill(&frame);
    let image = device.import(&frame).expect("a mapped frame");
    let planes: Vec<Vec<u8>> = (0..3).map(|plane| plane_bytes(&image, plane, 1)).collect();
    let acquire = write(&image, &Fence::Signaled, &planes);
    assert!(read(&image, &acquire).0 == planes);
    canary::assert_untouched(&frame, "three buffers");
}
