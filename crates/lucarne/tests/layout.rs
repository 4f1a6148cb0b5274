//! Geometry from outside: what is refused, with which words, and what the crate allocates itself.

use std::os::fd::{AsFd, OwnedFd};

use lucarne::{
    DeviceId, Error, Extent, Format, Frame, FrameLayout, LINEAR_HEIGHT_ALIGNMENT,
    LINEAR_PITCH_ALIGNMENT, LINEAR_TAIL_BYTES, MAX_EXTENT, MAX_REACH, Memory, Modifier, OpaqueFd,
    PAGE_BYTES, Plane, Result, Tiling,
    kernel::{DmaBuf, Memfd},
};
use proptest::prelude::*;
use rustix::fs::{MemfdFlags, SealFlags};

const LINEAR: Tiling = Tiling::Explicit(Modifier::LINEAR);
const SMALL: Extent = Extent::new(64, 32);

fn plane(object: usize, offset: u64, pitch: u64) -> Plane {
    Plane {
        object,
        offset,
        pitch,
    }
}

fn tiled(code: u64) -> Tiling {
    Tiling::Explicit(Modifier::new(code).expect("an explicit layout"))
}

/// A layout in XRGB8888 and LINEAR, four bytes a pixel.
fn linear(extent: Extent, planes: &[Plane], sizes: &[u64]) -> Result<FrameLayout> {
    FrameLayout::new(extent, Format::XRGB8888, LINEAR, planes, sizes)
}

/// The result is an [`Error::Invalid`] for `field`, whose message also names the value and its limit.
#[track_caller]
fn assert_refused<T: std::fmt::Debug>(result: Result<T>, field: &str, value: &str, limit: &str) {
    let error = result.expect_err("this must be refused");
    let text = error.to_string();
    let Error::Invalid {
        field: named,
        got,
        limit: named_limit,
    } = error
    else {
        panic!("another kind of error: {text}");
    };
    assert_eq!(named, field, "{text}");
    assert!(got.contains(value), "{value:?} is missing in: {text}");
    assert!(
        named_limit.contains(limit),
        "{limit:?} is missing in: {text}"
    );
    for part in [field, value, limit] {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
}

#[test]
fn a_layout_that_fits_keeps_what_it_was_given() {
    let planes = [plane(0, 128, 256)];
    let layout = linear(SMALL, &planes, &[128 + 256 * 32]).expect("it fits");
    assert_eq!(layout.extent(), SMALL);
    assert_eq!(layout.format(), Format::XRGB8888);
    assert_eq!(layout.tiling(), LINEAR);
    assert_eq!(layout.planes(), planes);
    assert_eq!(layout.objects(), 1);
}

#[test]
fn extents_of_zero_or_beyond_the_largest_are_refused() {
    let limit = "1 to 32768 pixels";
    let planes = [plane(0, 0, 256)];
    for (extent, field, value) in [
        (Extent::new(0, 32), "extent.width", "0"),
        (Extent::new(64, 0), "extent.height", "0"),
        (Extent::new(MAX_EXTENT + 1, 32), "extent.width", "32769"),
        (Extent::new(64, u32::MAX), "extent.height", "4294967295"),
    ] {
        assert_refused(linear(extent, &planes, &[1 << 20]), field, value, limit);
        let opaque = FrameLayout::opaque(extent, Format::XRGB8888);
        assert_refused(opaque, field, value, limit);
        let own = FrameLayout::linear(extent, Format::XRGB8888);
        assert_refused(own, field, value, limit);
    }
}

#[test]
fn the_largest_linear_buffer_ends_below_two_gigabytes() {
    let row = 4 * u64::from(MAX_EXTENT);
    let most = Extent::new(MAX_EXTENT, MAX_EXTENT / 2 - 16);
    let (layout, size) = FrameLayout::linear(most, Format::XRGB8888).expect("just below");
    assert_eq!(size, row * u64::from(most.height) + PAGE_BYTES);
    assert_eq!(layout.planes()[0].pitch, row);
    for height in [most.height + 1, MAX_EXTENT / 2, MAX_EXTENT] {
        let extent = Extent::new(MAX_EXTENT, height);
        let own = FrameLayout::linear(extent, Format::XRGB8888);
        assert_refused(own, "extent", &extent.to_string(), "2 GiB");
    }
}

#[test]
fn unknown_formats_are_refused() {
    let planes = [plane(0, 0, 256)];
    for code in [0, 0xffff_ffff, u32::from_le_bytes(*b"ZZ99")] {
        let format = Format::from_fourcc(code);
        let name = format.to_string();
        let layout = FrameLayout::new(SMALL, format, LINEAR, &planes, &[1 << 20]);
        assert_refused(layout, "format", &name, "one of Format::ALL");
        let opaque = FrameLayout::opaque(SMALL, format);
        assert_refused(opaque, "format", &name, "one of Format::ALL");
        let own = FrameLayout::linear(SMALL, format);
        assert_refused(own, "format", &name, "one of Format::ALL");
    }
}

#[test]
fn a_pitch_below_the_row_is_refused() {
    let size = [1 << 20];
    let short = linear(SMALL, &[plane(0, 0, 255)], &size);
    assert_refused(short, "plane.pitch", "255", "at least 256 bytes");
    linear(SMALL, &[plane(0, 0, 256)], &size).expect("a row exactly");
    // A tiled layout has the same rows.
    let x_tiled = FrameLayout::new(
        SMALL,
        Format::XRGB8888,
        tiled(0x0100_0000_0000_0001),
        &[plane(0, 0, 255)],
        &size,
    );
    assert_refused(x_tiled, "plane.pitch", "255", "at least 256 bytes");
}

#[test]
fn a_plane_that_ends_beyond_its_buffer_is_refused() {
    // The last row need not be padded.
    let exact = 100 + 512 * 31 + 256;
    linear(SMALL, &[plane(0, 100, 512)], &[exact]).expect("it fits to the byte");
    let short = linear(SMALL, &[plane(0, 100, 512)], &[exact - 1]);
    let (value, limit) = (
        format!("{exact}"),
        format!("buffer's size of {} bytes", exact - 1),
    );
    assert_refused(short, "plane.offset + plane.pitch * rows", &value, &limit);
}

#[test]
fn a_plane_that_starts_at_the_end_of_its_buffer_is_refused() {
    for offset in [8192, 8193, 1 << 30] {
        let outside = linear(SMALL, &[plane(0, offset, 256)], &[8192]);
        let limit = "below the buffer's size of 8192 bytes";
        assert_refused(outside, "plane.offset", &offset.to_string(), limit);
    }
    let empty = linear(SMALL, &[plane(0, 0, 256)], &[0]);
    assert_refused(empty, "plane.offset", "0", "size of 0 bytes");
}

#[test]
fn a_plane_left_empty_is_a_hole() {
    let nv12 = |planes: &[Plane]| FrameLayout::new(SMALL, Format::NV12, LINEAR, planes, &[1 << 20]);
    let first = nv12(&[plane(0, 0, 0), plane(0, 4096, 64)]);
    assert_refused(first, "plane.pitch", "0 in plane 0 of 2", "no holes");
    let last = nv12(&[plane(0, 0, 64), plane(0, 0, 0)]);
    assert_refused(last, "plane.pitch", "0 in plane 1 of 2", "no holes");
}

#[test]
fn more_planes_than_the_layout_has_are_refused() {
    let size = [1 << 20];
    let planes = |count: usize| vec![plane(0, 0, 256); count];
    let cases = [
        (Format::XRGB8888, LINEAR, 2, "1 for"),
        (Format::XRGB8888, Tiling::Implicit, 2, "1 for"),
        (Format::NV12, LINEAR, 3, "2 for"),
        // Y tiled: no auxiliary planes; CCS: one; CCS with clear colour: two.
        (Format::XRGB8888, tiled(0x0100_0000_0000_0002), 2, "1 for"),
        (
            Format::XRGB8888,
            tiled(0x0100_0000_0000_0006),
            3,
            "1 to 2 for",
        ),
        (
            Format::XRGB8888,
            tiled(0x0100_0000_0000_0008),
            4,
            "1 to 3 for",
        ),
        (
            Format::XRGB8888,
            tiled(0x0200_0000_2086_bf04),
            3,
            "1 to 2 for",
        ),
        (Format::XRGB8888, tiled(0x0300_0000_0060_6014), 2, "1 for"),
        // Nobody knows this one; but no interface has room for five.
        (
            Format::XRGB8888,
            tiled(0x7700_0000_0000_0001),
            5,
            "1 to 4 for",
        ),
        (Format::NV12, tiled(0x0100_0000_0000_0007), 5, "2 to 4 for"),
    ];
    for (format, tiling, count, limit) in cases {
        let many = FrameLayout::new(SMALL, format, tiling, &planes(count), &size);
        assert_refused(many, "planes.len()", &count.to_string(), limit);
        FrameLayout::new(SMALL, format, tiling, &planes(count - 1), &size)
            .expect("one plane less is right");
    }
}

#[test]
fn fewer_planes_than_the_format_has_are_refused() {
    let none = linear(SMALL, &[], &[]);
    assert_refused(none, "planes.len()", "0", "1 for XR24 XRGB8888");
    let one = FrameLayout::new(SMALL, Format::NV12, LINEAR, &[plane(0, 0, 64)], &[1 << 20]);
    assert_refused(one, "planes.len()", "1", "2 for NV12");
    let two = FrameLayout::new(
        SMALL,
        Format::YUV420,
        LINEAR,
        &[plane(0, 0, 64); 2],
        &[1 << 20],
    );
    assert_refused(two, "planes.len()", "2", "3 for YU12");
}

#[test]
fn object_numbers_must_exist_and_each_object_be_used() {
    let outside = linear(SMALL, &[plane(1, 0, 256)], &[1 << 20]);
    assert_refused(outside, "plane.object", "1", "below 1");
    let huge = linear(SMALL, &[plane(usize::MAX, 0, 256)], &[1 << 20]);
    assert_refused(huge, "plane.object", "18446744073709551615", "below 1");
    let nowhere = linear(SMALL, &[plane(0, 0, 256)], &[]);
    assert_refused(nowhere, "plane.object", "0", "below 0");
    let unused = linear(SMALL, &[plane(0, 0, 256)], &[1 << 20, 1 << 20]);
    assert_refused(unused, "object_sizes.len()", "2", "none uses object 1");
}

#[test]
fn what_31_bits_cannot_hold_is_refused_and_nothing_overflows() {
    let most = MAX_REACH;
    let limit = format!("at most {most} bytes");
    for value in [most + 1, 1 << 32, 1 << 40, u64::MAX - 1, u64::MAX] {
        let offset = linear(SMALL, &[plane(0, value, 256)], &[u64::MAX]);
        assert_refused(offset, "plane.offset", &value.to_string(), &limit);
    }
    // However much memory there is, and with the height padded, which drivers do.
    let field = "plane.offset + plane.pitch * rows";
    let room = most - 256 * 32;
    linear(SMALL, &[plane(0, room, 256)], &[u64::MAX]).expect("its last byte is the last");
    let beyond = linear(SMALL, &[plane(0, room + 1, 256)], &[u64::MAX]);
    assert_refused(beyond, field, &(most + 1).to_string(), &limit);
    let padded = linear(Extent::new(64, 31), &[plane(0, room + 1, 256)], &[u64::MAX]);
    assert_refused(padded, field, &(most + 1).to_string(), "32 rows");
    // The same for planes that have no rows of their own.
    let ccs = tiled(0x0100_0000_0000_0006);
    let planes = [plane(0, 0, 256), plane(0, room + 1, 256)];
    let auxiliary = FrameLayout::new(SMALL, Format::XRGB8888, ccs, &planes, &[u64::MAX]);
    assert_refused(auxiliary, field, "in plane 1", &limit);
}

#[test]
fn a_pitch_beyond_what_any_image_needs_is_refused() {
    for (format, most) in [(Format::XRGB8888, 524_288), (Format::R8, 131_072)] {
        let layout =
            |pitch| FrameLayout::new(SMALL, format, LINEAR, &[plane(0, 0, pitch)], &[u64::MAX]);
        layout(most).expect("four rows of the widest image");
        for pitch in [most + 1, 1 << 30, 1 << 31, 1 << 32, u64::MAX] {
            let limit = format!("at most {most} bytes");
            assert_refused(layout(pitch), "plane.pitch", &pitch.to_string(), &limit);
        }
    }
    // Arm's compressed formats count other rows, and have the same limit.
    let afbc = tiled(0x0800_0000_0000_0001);
    let pitch = [plane(0, 0, 1 << 30)];
    let compressed = FrameLayout::new(SMALL, Format::XRGB8888, afbc, &pitch, &[u64::MAX]);
    assert_refused(compressed, "plane.pitch", "1073741824", "524288");
}

#[test]
fn nv12_counts_the_second_plane_in_half_rows() {
    let extent = Extent::new(37, 21);
    let layout = |planes: &[Plane], sizes: &[u64]| {
        FrameLayout::new(extent, Format::NV12, LINEAR, planes, sizes)
    };
    // 37 luma samples a row; 19 pairs of chroma samples a row, in 11 rows.
    let luma = 64 * 20 + 37;
    let chroma = 64 * 10 + 38;
    layout(
        &[plane(0, 0, 64), plane(0, 64 * 21, 64)],
        &[64 * 21 + chroma],
    )
    .expect("one buffer");
    layout(&[plane(0, 0, 64), plane(1, 0, 64)], &[luma, chroma]).expect("two buffers");
    assert_refused(
        layout(&[plane(0, 0, 64), plane(1, 0, 64)], &[luma, chroma - 1]),
        "plane.offset + plane.pitch * rows",
        &format!("{chroma} in plane 1"),
        &format!("{} bytes", chroma - 1),
    );
    assert_refused(
        layout(&[plane(0, 0, 64), plane(1, 0, 37)], &[luma, chroma]),
        "plane.pitch",
        "37 in plane 1",
        "at least 38 bytes",
    );
}

#[test]
fn auxiliary_planes_need_no_row_but_a_place() {
    let ccs = tiled(0x0100_0000_0000_0006);
    let with = |auxiliary: Plane, size| {
        FrameLayout::new(
            SMALL,
            Format::XRGB8888,
            ccs,
            &[plane(0, 0, 256), auxiliary],
            &[size],
        )
    };
    with(plane(0, 8192, 64), 8193).expect("its size is the vendor's business");
    assert_refused(
        with(plane(0, 8192, 64), 8192),
        "plane.offset",
        "8192 in plane 1",
        "8192 bytes",
    );
}

/// Sizes at which a buffer of rows alone ends with a page: Broadcom's driver asks for 64 bytes more, rounded up to pages.
#[test]
fn linear_buffers_have_a_tail() {
    let mut tight = 0;
    for (width, height) in [
        (1280, 1440),
        (640, 480),
        (1280, 720),
        (1920, 1088),
        (2560, 1440),
        (3840, 2160),
    ] {
        let linear = FrameLayout::linear(Extent::new(width, height), Format::XRGB8888);
        let (layout, size) = linear.expect("a size of every day");
        let rows = layout.planes()[0].pitch * u64::from(height);
        tight += u32::from(rows.is_multiple_of(PAGE_BYTES));
        let needed = (rows + 64).next_multiple_of(PAGE_BYTES);
        assert!(size >= needed, "{width}x{height}: {size} of {needed}");
    }
    assert_eq!(tight, 6, "else the size would say nothing");
}

fn any_known_format() -> impl Strategy<Value = Format> {
    proptest::sample::select(Format::ALL).prop_map(|info| info.format)
}

proptest! {
    #[test]
    fn what_the_crate_allocates_is_aligned_and_fits(
        format in any_known_format(),
        width in 1..4096_u32,
        height in 1..4096_u32,
    ) {
        let extent = Extent::new(width, height);
        let (layout, size) = FrameLayout::linear(extent, format).expect("a size of every day");
        let info = layout.format_info();
        prop_assert_eq!(layout.tiling(), LINEAR);
        prop_assert_eq!(layout.planes().len(), info.planes.len());
        prop_assert!(size.is_multiple_of(PAGE_BYTES));
        let padded = height.next_multiple_of(LINEAR_HEIGHT_ALIGNMENT);
        let mut end = 0;
        for (index, plane) in layout.planes().iter().enumerate() {
            prop_assert!(plane.pitch.is_multiple_of(LINEAR_PITCH_ALIGNMENT));
            prop_assert!(plane.pitch >= u64::from(info.row_bytes(index, width).expect("fits")));
            prop_assert_eq!(plane.offset, end, "planes follow one another");
            // Room for the padded height, not just for the rows.
            end += plane.pitch * u64::from(info.rows(index, padded).expect("a plane"));
        }
        // Broadcom's driver asks for 64 bytes behind them.
        let slack = size - end;
        prop_assert!((LINEAR_TAIL_BYTES..LINEAR_TAIL_BYTES + PAGE_BYTES).contains(&slack), "{end} of {size}");
        let sizes = [size];
        let again = FrameLayout::new(extent, format, LINEAR, layout.planes(), &sizes);
        prop_assert_eq!(again.expect("its own size"), layout);
    }

    /// Whatever numbers come in, the answer is a layout that fits or an error, and the arithmetic does not overflow.
    #[test]
    fn a_layout_that_is_accepted_lies_within_its_buffers(
        format in any_known_format(),
        size in (any::<u32>(), any::<u32>()),
        planes in proptest::collection::vec((0..3_usize, any::<u64>(), any::<u64>()), 3),
        shift in (0..64_u32, 0..64_u32),
        sizes in proptest::collection::vec(any::<u64>(), 1..3),
    ) {
        let extent = Extent::new(size.0 >> (shift.0 % 32), size.1 >> (shift.1 % 32));
        let count = format.info().expect("known").planes.len();
        let planes: Vec<Plane> = planes[..count]
            .iter()
            .map(|(object, offset, pitch)| {
                plane(object % sizes.len(), offset >> shift.0, pitch >> shift.1)
            })
            .collect();
        let Ok(layout) = FrameLayout::new(extent, format, LINEAR, &planes, &sizes) else {
            return Ok(());
        };
        for (index, plane) in layout.planes().iter().enumerate() {
            let info = layout.format_info();
            let row = u128::from(info.row_bytes(index, extent.width).expect("accepted"));
            let rows = u128::from(info.rows(index, extent.height).expect("accepted"));
            let end = u128::from(plane.offset) + u128::from(plane.pitch) * (rows - 1) + row;
            prop_assert!(end <= u128::from(sizes[plane.object]));
            prop_assert!(end <= u128::from(MAX_REACH));
        }
    }
}

/// A memfd that passes for a dma-buf, as emulated ones do.
fn buffer(bytes: u64) -> DmaBuf {
    DmaBuf::new(sealed(bytes)).expect("a sealed memfd stands in for a dma-buf")
}

fn sealed(bytes: u64) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = rustix::fs::memfd_create("lucarne-test", flags).expect("a memfd");
    rustix::fs::ftruncate(&fd, bytes).expect("memory");
    rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK).expect("a seal");
    fd
}

fn frame(layout: &FrameLayout, memory: Memory) -> Result<Frame> {
    Frame::new(layout.clone(), memory, DeviceId::default())
}

#[test]
fn a_frame_is_checked_against_the_real_size_of_its_memory() {
    // Somebody claimed a whole megabyte.
    let claimed = linear(SMALL, &[plane(0, 0, 256)], &[1 << 20]).expect("as claimed");
    let limit = "at most the buffer's size of 4096 bytes";
    let field = "plane.offset + plane.pitch * rows";
    let short = frame(&claimed, Memory::DmaBuf(vec![buffer(4096)]));
    assert_refused(short, field, "8192 in plane 0", limit);
    let memfd = Memfd::create("lucarne-test", 4096).expect("a memfd");
    let short = frame(&claimed, Memory::HostMemory(memfd));
    assert_refused(short, field, "8192 in plane 0", limit);
    frame(&claimed, Memory::DmaBuf(vec![buffer(8192)])).expect("large enough");
}

#[test]
fn one_kernel_buffer_is_held_once() {
    let planes = [plane(0, 0, 64), plane(1, 2048, 64)];
    let layout =
        FrameLayout::new(SMALL, Format::NV12, LINEAR, &planes, &[4096, 4096]).expect("two buffers");
    let first = buffer(4096);
    let again = DmaBuf::new(first.duplicate().expect("a descriptor")).expect("the same buffer");
    let twice = frame(&layout, Memory::DmaBuf(vec![first, again]));
    assert_refused(
        twice,
        "buffers",
        "the same kernel buffer twice, at 1",
        "each kernel buffer once",
    );
    let two = vec![buffer(4096), buffer(4096)];
    frame(&layout, Memory::DmaBuf(two)).expect("two different ones");
}

#[test]
fn a_frame_has_as_many_objects_as_its_layout() {
    let one = linear(SMALL, &[plane(0, 0, 256)], &[8192]).expect("one buffer");
    let two = frame(&one, Memory::DmaBuf(vec![buffer(8192), buffer(8192)]));
    assert_refused(two, "object_sizes.len()", "2", "none uses object 1");
    let none = frame(&one, Memory::DmaBuf(Vec::new()));
    assert_refused(none, "memory", "dma-buf", "XRGB8888");
}

#[test]
fn memory_must_be_of_the_kind_that_the_layout_describes() {
    let planes = linear(SMALL, &[plane(0, 0, 256)], &[8192]).expect("planes");
    let opaque = FrameLayout::opaque(SMALL, Format::XRGB8888).expect("no planes");
    let object = || Memory::OpaqueFd(OpaqueFd::new(sealed(8192), 8192).expect("open"));
    frame(&opaque, object()).expect("no planes, no sizes");
    assert_refused(frame(&planes, object()), "memory", "opaque-fd", "plane 0");
    let with_buffer = frame(&opaque, Memory::DmaBuf(vec![buffer(8192)]));
    assert_refused(with_buffer, "memory", "dma-buf", "implicit");
    let without = frame(&opaque, Memory::DmaBuf(Vec::new()));
    assert_refused(without, "memory", "dma-buf", "implicit");
    let memfd = Memfd::create("lucarne-test", 8192).expect("a memfd");
    let host = frame(&opaque, Memory::HostMemory(memfd));
    assert_refused(host, "memory", "host-memory", "implicit");
}

#[test]
fn frames_of_one_buffer_are_the_same_memory_however_often_it_was_duplicated() {
    let layout = linear(SMALL, &[plane(0, 0, 256)], &[8192]).expect("a layout");
    let other = linear(SMALL, &[plane(0, 0, 256)], &[8192 + 1]).expect("equal to the first");
    let shifted = linear(SMALL, &[plane(0, 4, 256)], &[8192 + 256]).expect("another place");
    let fd = sealed(16_384);
    let of = |layout: &FrameLayout| {
        let fd = fd.as_fd().try_clone_to_owned().expect("a descriptor");
        let buffer = DmaBuf::new(fd).expect("a buffer");
        frame(layout, Memory::DmaBuf(vec![buffer])).expect("a frame")
    };
    let a = of(&layout);
    assert!(a.same_memory(&a.clone()));
    assert!(a.same_memory(&of(&other)));
    assert!(!a.same_memory(&of(&shifted)), "another picture in it");
    let elsewhere = frame(&layout, Memory::DmaBuf(vec![buffer(16_384)])).expect("a frame");
    assert!(!a.same_memory(&elsewhere));
    assert_ne!(a.identity(), elsewhere.identity());
}
