//! Frames as other APIs pass them: into a frame and out of it, plane by plane, and what is refused.

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use lucarne::kernel::Memfd;
use lucarne::{
    DeviceId, DmaBufPlane, Error, Extent, Fence, Format, Frame, FrameLayout, Memory, MemoryPath,
    Modifier, Tiling,
};
use lucarne_tests::pair::Pair;
use lucarne_tests::reader::Reader;
use lucarne_tests::skip::skip;
use lucarne_tests::writer::Writer;
use lucarne_tests::{TIMEOUT, fds, pattern};

const LINEAR: Tiling = Tiling::Explicit(Modifier::LINEAR);
const EXTENT: Extent = Extent::new(64, 32);
/// Of NV12 in [`EXTENT`]: rows of brightness, then half as many of colour.
const BRIGHTNESS: u32 = 64 * 32;

/// A buffer as somebody else would pass it: nothing but a descriptor. A sealed memfd stands in for a dma-buf.
fn buffer(bytes: u64) -> OwnedFd {
    let memfd = Memfd::create("elsewhere", bytes).expect("a memfd");
    memfd.as_fd().try_clone_to_owned().expect("a descriptor")
}

fn plane(fd: OwnedFd, offset: u32, pitch: u32) -> DmaBufPlane {
    DmaBufPlane { fd, offset, pitch }
}

fn nv12(planes: Vec<DmaBufPlane>) -> lucarne::Result<Frame> {
    Frame::from_dma_bufs(EXTENT, Format::NV12, LINEAR, planes)
}

/// What another API is told, without descriptors.
fn places(frame: &Frame) -> Vec<(u32, u32)> {
    let planes = frame.dma_buf_planes().expect("dma-bufs");
    planes.iter().map(|one| (one.offset, one.pitch)).collect()
}

#[test]
fn planes_that_share_a_buffer_are_found_by_its_identity() {
    fds::unchanged(|| {
        let one = buffer(4096);
        let same = one.try_clone().expect("a descriptor");
        let before = fds::open();
        let frame = nv12(vec![plane(one, 0, 64), plane(same, BRIGHTNESS, 64)]).expect("a frame");
        assert_eq!(frame.layout().objects(), 1);
        assert_eq!(fds::open(), before - 1, "held once, the duplicate closed");
        assert_eq!(places(&frame), [(0, 64), (BRIGHTNESS, 64)]);
        let planes = frame.dma_buf_planes().expect("dma-bufs");
        assert_eq!(planes[0].fd.as_raw_fd(), planes[1].fd.as_raw_fd());
    });
}

#[test]
fn planes_in_buffers_of_their_own_stay_apart_and_in_order() {
    fds::unchanged(|| {
        let (brightness, color) = (buffer(4096), buffer(8192));
        let numbers = [brightness.as_raw_fd(), color.as_raw_fd()];
        let frame = nv12(vec![plane(brightness, 0, 64), plane(color, 4096, 128)]).expect("a frame");
        assert_eq!(frame.layout().objects(), 2);
        assert_eq!(places(&frame), [(0, 64), (4096, 128)]);
        let planes = frame.dma_buf_planes().expect("dma-bufs");
        assert_eq!([0, 1].map(|at| planes[at].fd.as_raw_fd()), numbers);
        assert_eq!(*frame.device(), DeviceId::default(), "nothing was told");
    });
}

#[test]
fn the_colour_plane_may_come_first_in_the_buffer() {
    let _alone = fds::alone();
    let (one, pages) = (buffer(8192), 4096);
    let same = one.try_clone().expect("a descriptor");
    let frame = nv12(vec![plane(one, pages, 64), plane(same, 0, 64)]).expect("a frame");
    assert_eq!(places(&frame), [(pages, 64), (0, 64)]);
}

#[test]
fn what_does_not_fit_is_refused_by_name_and_every_descriptor_is_closed() {
    let _alone = fds::alone();
    let file = || OwnedFd::from(std::fs::File::open("/proc/self/exe").expect("a file"));
    let broken: [(&str, Vec<DmaBufPlane>); 6] = [
        ("planes.len()", vec![]),
        ("planes.len()", vec![plane(buffer(8192), 0, 64)]),
        (
            "plane.pitch",
            vec![plane(buffer(8192), 0, 64), plane(buffer(8192), 0, 0)],
        ),
        (
            "plane.pitch",
            vec![plane(buffer(8192), 0, 63), plane(buffer(8192), 0, 64)],
        ),
        (
            "plane",
            vec![
                plane(buffer(8192), 0, 64),
                plane(buffer(4096), u32::MAX, 64),
            ],
        ),
        (
            "buffer",
            vec![plane(buffer(8192), 0, 64), plane(file(), 0, 64)],
        ),
    ];
    for (field, planes) in broken {
        let shown = format!("{planes:?}");
        let numbers: Vec<i32> = planes.iter().map(|one| one.fd.as_raw_fd()).collect();
        match nv12(planes) {
            Err(Error::Invalid { field: named, .. }) => {
                assert!(named.starts_with(field), "{named} for {shown}");
            }
            other => panic!("{other:?} for {shown}"),
        }
        for number in numbers {
            let path = format!("/proc/self/fd/{number}");
            assert!(
                std::fs::read_link(&path).is_err(),
                "{path} of {shown} is open"
            );
        }
    }
}

#[test]
fn other_memory_has_no_planes_to_give() {
    let _alone = fds::alone();
    let (layout, size) = FrameLayout::linear(EXTENT, Format::XRGB8888).expect("a layout");
    let memory = Memory::HostMemory(Memfd::create("frame", size).expect("a memfd"));
    let frame = Frame::new(layout, memory, DeviceId::default()).expect("a frame");
    let error = frame.dma_buf_planes().expect_err("no dma-buf").to_string();
    assert!(
        error.contains("host-memory") && error.contains("MemoryPath::DmaBuf"),
        "{error}"
    );
}

/// From Vulkan to planes, as another library would hold them, and from those to OpenGL.
#[test]
fn pixels_survive_the_way_through_another_api() {
    let _alone = fds::alone();
    let pair = Pair::open();
    let format = Format::XRGB8888;
    let agreement = match pair.agree(MemoryPath::DmaBuf, format, EXTENT) {
        Ok(agreement) => agreement,
        Err(refusal) => return skip("dma-buf", &refusal.to_string()),
    };
    let image = pair.vk.export(&agreement).expect("an image");
    let bytes = pattern::bytes(format.info().expect("known"), EXTENT, 7);
    let written = Writer::new(&pair.vk).write(&image, &Fence::Signaled, &bytes);

    let layout = image.frame().layout();
    let planes = image.frame().dma_buf_planes().expect("dma-bufs");
    let elsewhere = planes.iter().map(|one| DmaBufPlane {
        fd: one.fd.try_clone_to_owned().expect("a descriptor"),
        offset: one.offset,
        pitch: one.pitch,
    });
    let (fourcc, modifier) = (layout.format().fourcc(), layout.tiling().code());

    let (format, tiling) = (Format::from_fourcc(fourcc), Tiling::from_code(modifier));
    let frame = Frame::from_dma_bufs(layout.extent(), format, tiling, elsewhere.collect());
    let frame = frame.expect("a frame");
    assert!(frame.same_memory(image.frame()));
    let texture = pair.gl.import(&frame).expect("a texture");
    let read = pair
        .gl
        .read(&texture, &written.expect("a written frame"), TIMEOUT);
    read.expect("a turn to read");
    pattern::assert_equal(format, EXTENT, 7, &Reader::new(&pair.gl).read(&texture));
    pair.assert_valid();
}
