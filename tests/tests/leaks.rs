//! Ten thousand export-import-drop cycles on each path, failing ones among them, leave the process as they found it.
//!
//! The guest does 500 on each.

use std::os::fd::OwnedFd;

use lucarne::vulkan::Access;
use lucarne::{
    DeviceId, Extent, Fence, Format, Frame, FrameLayout, Memory, MemoryPath, Modifier, OpaqueFd,
    Plane, Tiling, Usage, kernel::Memfd, vulkan,
};
use lucarne_tests::memory::resident;
use lucarne_tests::pair::Pair;
use lucarne_tests::skip::skip_case;
use lucarne_tests::{TIMEOUT, fds, in_guest};

const EXTENT: Extent = Extent::new(48, 48);
const FORMAT: Format = Format::XRGB8888;

/// What the process may grow by in the second half of a path's cycles: less than a leaked buffer for each cycle would
/// take, more than what allocators and drivers come to hold.
const GROWTH: u64 = 4 << 20;

fn cycles() -> usize {
    if in_guest() { 500 } else { 10_000 }
}

/// Mappings, of which a leaked buffer leaves one even where it was never touched.
fn mappings() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("/proc");
    maps.lines().count()
}

/// One frame, written, read, and gone.
fn succeed(pair: &Pair, image: &vulkan::Image) {
    let access = Access::TransferDestination;
    let acquire = pair
        .vk
        .write(image, &Fence::Signaled, TIMEOUT, access, |_| {});
    let texture = pair.gl.import(image.frame()).expect("a texture");
    let read = pair.gl.read(&texture, &acquire.expect("a turn"), TIMEOUT);
    read.expect("a turn to read");
    let release = pair.gl.fence(TIMEOUT).expect("a release fence");
    release.wait(TIMEOUT).expect("an end");
    // A memory object is laid out by its usage, and can be imported for no other.
    if image.frame().memory().path() != MemoryPath::OpaqueFd {
        let again = pair.vk.import(image.frame(), Usage::SAMPLE);
        drop(again.expect("the same memory, back in Vulkan"));
    }
}

/// Everything here fails, at one place or another.
fn fail(pair: &Pair, path: MemoryPath, step: usize) {
    let linear = Tiling::Explicit(Modifier::LINEAR);
    let id = pair.gl.id().clone();
    match step % 5 {
        0 => {
            let mut agreement = pair.agree(path, FORMAT, EXTENT).expect("an agreement");
            agreement.extent = Extent::new(32_768, 32_768);
            pair.vk.export(&agreement).expect_err("too large");
        }
        1 => {
            let frame = host_frame(Extent::new(48, 48), linear, 194);
            pair.gl.import(&frame).expect_err("half a pixel");
            pair.vk
                .import(&frame, Usage::SAMPLE)
                .expect_err("half a pixel");
        }
        2 => {
            let tiled = Modifier::new(0x7700_0000_0000_0001).expect("explicit");
            let frame = host_frame(EXTENT, Tiling::Explicit(tiled), 256);
            pair.gl.import(&frame).expect_err("nobody's modifier");
        }
        3 => {
            let frame = opaque_frame(memory(), id);
            pair.gl.import(&frame).expect_err("nobody exported this");
            pair.vk
                .import(&frame, Usage::SAMPLE)
                .expect_err("nobody exported this");
        }
        _ => {
            let layout = FrameLayout::opaque(EXTENT, FORMAT).expect("a layout");
            let memory = Memory::HostMemory(Memfd::create("lucarne-test", 4096).expect("memory"));
            Frame::new(layout, memory, id).expect_err("memory without planes");
        }
    }
}

fn memory() -> OwnedFd {
    use std::os::fd::AsFd as _;
    let memory = Memfd::create("lucarne-test", 16_384).expect("memory");
    memory.as_fd().try_clone_to_owned().expect("a descriptor")
}

fn host_frame(extent: Extent, tiling: Tiling, pitch: u64) -> Frame {
    let plane = Plane {
        object: 0,
        offset: 0,
        pitch,
    };
    let layout = FrameLayout::new(extent, FORMAT, tiling, &[plane], &[16_384]);
    let memory = Memory::HostMemory(Memfd::new(memory()).expect("sealed"));
    Frame::new(layout.expect("it fits"), memory, DeviceId::default()).expect("a frame")
}

fn opaque_frame(fd: OwnedFd, device: DeviceId) -> Frame {
    let layout = FrameLayout::opaque(EXTENT, FORMAT).expect("a layout");
    let memory = Memory::OpaqueFd(OpaqueFd::new(fd, 16_384).expect("memory"));
    Frame::new(layout, memory, device).expect("a frame")
}

/// Exports and imports, both sides, and every fifth time fails as well.
fn run(pair: &Pair, path: MemoryPath, count: usize) {
    let agreement = pair.agree(path, FORMAT, EXTENT).expect("an agreement");
    for step in 0..count {
        let image = pair.vk.export(&agreement).expect("an image");
        succeed(pair, &image);
        if step % 5 == 0 {
            fail(pair, path, step / 5);
        }
    }
    // Lets the last texture go.
    let frame = opaque_frame(memory(), DeviceId::default());
    pair.gl.import(&frame).expect_err("nobody's memory");
}

#[test]
fn cycles_leave_no_descriptor_and_no_memory_behind() {
    let _alone = fds::alone();
    let pair = Pair::open();
    let (paths, missing): (Vec<_>, Vec<_>) = MemoryPath::ALL
        .into_iter()
        .partition(|path| pair.agree(*path, FORMAT, EXTENT).is_ok());
    for path in missing {
        let kind = if path == MemoryPath::DmaBuf {
            "udmabuf"
        } else {
            path.name()
        };
        skip_case(kind, &format!("the cycles of {path}"));
    }
    let count = cycles() / 2;
    for path in paths {
        let start = std::time::Instant::now();
        // Whatever drivers allocate once and keep.
        run(&pair, path, 25);
        let open = fds::list();
        run(&pair, path, count);
        let (memory, maps) = (resident(), mappings());
        run(&pair, path, count);
        fds::assert_as_many(&open);
        let grown = resident().saturating_sub(memory);
        eprintln!(
            "{path}: {} cycles in {:.1?}, {} descriptors throughout, {} KiB more in the second half",
            2 * count,
            start.elapsed(),
            open.len(),
            grown / 1024
        );
        assert!(
            grown < GROWTH,
            "{path}: {grown} bytes more after {count} cycles"
        );
        let more = mappings().saturating_sub(maps);
        assert!(
            more < 100,
            "{path}: {more} mappings more after {count} cycles"
        );
    }
    pair.assert_valid();
}
