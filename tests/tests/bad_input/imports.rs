//! What Vulkan is asked to import.

use std::fs::File;

use lucarne::{Usage, kernel::Memfd};

use super::*;

const READ: Usage = Usage::TRANSFER_SOURCE;

fn dma_bufs(pair: &Pair) -> bool {
    let support = pair.vk.path(MemoryPath::DmaBuf);
    if !support.is_yes() {
        skip("udmabuf", &support.reason());
    }
    support.is_yes()
}

#[test]
fn a_buffer_with_less_than_the_driver_needs_is_refused_with_both_numbers() {
    with_pair(|pair| {
        if !dma_bufs(pair) {
            return;
        }
        let id = pair.vk.adapter().id();
        // Five rows, which Mesa's software driver rounds up to eight.
        let extent = Extent::new(1024, 5);
        let frame = |pages| foreign_frame(extent, LINEAR, linear_plane(4096), pages, id);
        let tight = pair.vk.import(&frame(5).expect("it fits"), READ);
        if id.software {
            assert_invalid(
                tight,
                &["buffer size", "20480", "32768", &extent.to_string()],
            );
        }
        let image = pair
            .vk
            .import(&frame(8).expect("it fits"), READ)
            .expect("room for all");
        let pixels = pair
            .vk
            .download(&image, &Fence::Signaled, TIMEOUT)
            .expect("pixels");
        assert_eq!(pixels, vec![0; 1024 * 5 * 4]);
    });
}

#[test]
fn a_layout_that_the_device_cannot_import_is_refused_with_those_it_can() {
    with_pair(|pair| {
        if !dma_bufs(pair) {
            return;
        }
        // Nobody has assigned this vendor.
        let invented = Tiling::Explicit(Modifier::new(0x7700_0000_0000_0001).expect("explicit"));
        let name = pair.vk.adapter().name();
        for tiling in [invented, Tiling::Implicit] {
            let id = pair.vk.adapter().id();
            let frame = foreign_frame(SMALL, tiling, linear_plane(256), 32, id).expect("a frame");
            let parts = [name, "only as", "linear", &tiling.to_string()];
            assert_unsupported(pair.vk.import(&frame, READ), &parts);
        }
    });
}

#[test]
fn a_tiled_buffer_of_another_device_is_foreign() {
    with_pair(|pair| {
        if !dma_bufs(pair) {
            return;
        }
        // An AMD layout of a GPU that this machine does not have.
        let tiling = Tiling::Explicit(Modifier::new(0x0200_0000_2080_1b04).expect("explicit"));
        let gpu = DeviceId {
            device_uuid: Some([0xcd; 16]),
            software: !pair.vk.adapter().id().software,
            ..DeviceId::default()
        };
        let frame = foreign_frame(SMALL, tiling, linear_plane(256), 32, &gpu).expect("a frame");
        let error = pair.vk.import(&frame, READ).expect_err("another device's");
        let named = matches!(
            error,
            Error::ForeignDevice { .. } | Error::Unsupported { .. }
        );
        assert!(named, "{error}");
    });
}

#[test]
fn a_format_that_cannot_be_imported_is_named() {
    with_pair(|pair| {
        if !dma_bufs(pair) {
            return;
        }
        let (layout, size) = FrameLayout::linear(SMALL, Format::NV12).expect("a layout");
        let buffers = vec![buffer(size / PAGE_BYTES)];
        let frame = Frame::new(layout, Memory::DmaBuf(buffers), DeviceId::default());
        let refused = pair.vk.import(&frame.expect("a frame"), READ);
        assert_unsupported(refused, &["NV12", pair.vk.adapter().name()]);
    });
}

#[test]
fn opaque_memory_of_another_driver_or_usage_is_refused() {
    with_pair(|pair| {
        if !can(pair, MemoryPath::OpaqueFd) {
            return;
        }
        let image = export(pair, MemoryPath::OpaqueFd);
        let Memory::OpaqueFd(memory) = image.frame().memory() else {
            panic!("opaque memory was agreed on");
        };
        let bytes = memory.allocation_bytes();
        let copy = || memory.duplicate().expect("a descriptor");
        let other = DeviceId {
            driver_uuid: Some([0xab; 16]),
            ..image.frame().device().clone()
        };
        let frame = opaque_frame(SMALL, copy(), bytes, &other);
        let error = pair.vk.import(&frame, READ).expect_err("another driver's");
        assert!(matches!(error, Error::ForeignDevice { .. }), "{error}");
        let id = image.frame().device();
        let larger = opaque_frame(Extent::new(4096, 4096), copy(), bytes, id);
        let parts = ["allocation size", &bytes.to_string(), "same usage"];
        assert_invalid(pair.vk.import(&larger, READ), &parts);
    });
}

/// Mesa's software driver closes what it does not take, which is not its to close: nobody else's goes with it.
#[test]
fn opaque_garbage_is_the_drivers_error_and_stays_the_callers() {
    with_pair(|pair| {
        if !can(pair, MemoryPath::OpaqueFd) {
            return;
        }
        let image = export(pair, MemoryPath::OpaqueFd);
        let Memory::OpaqueFd(real) = image.frame().memory() else {
            panic!("opaque memory was agreed on");
        };
        let null = File::open("/dev/null").expect("/dev/null");
        let usage = lucarne_tests::pair::PRODUCER | READ | Usage::SAMPLE;
        for fd in [memory(65_536), null.into()] {
            for usage in [lucarne_tests::pair::PRODUCER, usage] {
                let fd = fd.try_clone().expect("a descriptor");
                let id = image.frame().device();
                let frame = opaque_frame(SMALL, fd, real.allocation_bytes(), id);
                let before = fds::list();
                let error = pair
                    .vk
                    .import(&frame, usage)
                    .expect_err("no driver made this");
                let named = matches!(error, Error::Driver { .. } | Error::Invalid { .. });
                assert!(named, "{error}");
                assert_eq!(fds::list(), before, "the very same descriptors");
            }
        }
        share(pair, &image, 13);
    });
}

/// A memory file of the driver's own kind, whose header says more than there is.
fn forged(real: &OpaqueFd, size: u64, offset: u64) -> OwnedFd {
    let copy = real.duplicate().expect("a descriptor");
    let bytes = rustix::fs::fstat(&copy).expect("a file").st_size;
    let bytes = usize::try_from(bytes).expect("a size");
    let mut contents = vec![0; bytes];
    let read = rustix::io::pread(&copy, &mut contents, 0).expect("the driver's memory");
    assert_eq!(read, bytes);
    contents[..8].copy_from_slice(&size.to_ne_bytes());
    contents[8..16].copy_from_slice(&offset.to_ne_bytes());
    let fd = memory(bytes as u64);
    let written = rustix::io::pwrite(&fd, &contents, 0).expect("room for it");
    assert_eq!(written, bytes);
    fd
}

/// Without the check, the driver maps what the header says and the process ends in SIGBUS when it touches the end.
#[test]
fn a_forged_header_is_refused_before_the_driver_believes_it() {
    with_pair(|pair| {
        if !can(pair, MemoryPath::OpaqueFd) {
            return;
        }
        if !pair.vk.adapter().id().software {
            return skip(
                "software",
                "other drivers' descriptors have no header to forge",
            );
        }
        let image = export(pair, MemoryPath::OpaqueFd);
        let Memory::OpaqueFd(real) = image.frame().memory() else {
            panic!("opaque memory was agreed on");
        };
        let id = image.frame().device();
        let file = rustix::fs::fstat(real).expect("a file").st_size;
        let file = u64::try_from(file).expect("a size");
        let usage = lucarne_tests::pair::PRODUCER | Usage::SAMPLE;
        for (size, offset) in [
            (1 << 40, 64),
            (file + 1, 64),
            (file, file),
            (file, u64::MAX),
            (0, 0),
        ] {
            let fd = forged(real, size, offset);
            let frame = opaque_frame(SMALL, fd, real.allocation_bytes(), id);
            let before = fds::list();
            for refused in [
                pair.vk.import(&frame, usage).map(drop),
                pair.gl.import(&frame).map(drop),
            ] {
                let error = refused.expect_err("more than there is");
                assert_says(&error, &["memory object's header", &size.to_string()]);
            }
            assert_eq!(fds::list(), before, "the very same descriptors");
        }
        share(pair, &image, 14);
    });
}

#[test]
fn host_memory_with_rows_between_pixels_is_refused() {
    with_pair(|pair| {
        for (offset, pitch, field) in [(0, 258, "plane.pitch"), (2, 256, "plane.offset")] {
            let memory = Memfd::create("lucarne-test", 16_384).expect("memory");
            let plane = Plane {
                object: 0,
                offset,
                pitch,
            };
            let layout = FrameLayout::new(SMALL, FORMAT, LINEAR, &[plane], &[16_384]);
            let memory = Memory::HostMemory(memory);
            let frame = Frame::new(layout.expect("it fits"), memory, DeviceId::default());
            let refused = pair.vk.import(&frame.expect("a frame"), READ);
            assert_invalid(refused, &[field, "a multiple of 4 bytes"]);
        }
    });
}

#[test]
fn an_extent_beyond_the_largest_image_is_refused_with_that() {
    with_pair(|pair| {
        let wide = Extent::new(lucarne::MAX_EXTENT, 1);
        let offer = pair.vk.offer(READ).expect("an offer");
        let host = offer
            .entries
            .iter()
            .find(|entry| entry.path == MemoryPath::HostMemory && entry.format == FORMAT);
        let most = host.expect("host memory is always there").max_extent;
        if wide.fits(most) {
            return skip("extent", "this driver has images of any size");
        }
        let (layout, size) = FrameLayout::linear(wide, FORMAT).expect("a layout");
        let memory = Memory::HostMemory(Memfd::create("lucarne-test", size).expect("memory"));
        let frame = Frame::new(layout, memory, DeviceId::default()).expect("a frame");
        let parts = ["extent", &wide.to_string(), &most.to_string()];
        assert_invalid(pair.vk.import(&frame, READ), &parts);
    });
}

#[test]
fn a_fence_that_never_signals_ends_a_read_at_its_deadline() {
    with_pair(|pair| {
        if !pair.vk.adapter().id().software {
            return skip(
                "software",
                "this driver waits on the GPU, not on an eventfd",
            );
        }
        let access = lucarne::vulkan::Access::TransferSource;
        for path in paths(pair) {
            if path == MemoryPath::OpaqueFd {
                continue;
            }
            let written = export(pair, path);
            share(pair, &written, 14);
            let image = pair.vk.import(written.frame(), READ).expect("an image");
            let (fence, signal) = unsignaled();
            let no_commands = |_| panic!("nothing may be recorded before the fence signals");
            for _ in 0..2 {
                assert_times_out(|| pair.vk.read(&image, &fence, SHORT, access, no_commands));
            }
            drop(signal);
            let pixels = pair
                .vk
                .download(&image, &Fence::Signaled, TIMEOUT)
                .expect("pixels");
            assert_eq!(
                pixels,
                pattern::bytes(FORMAT.info().expect("known"), SMALL, 14)
            );
        }
    });
}
