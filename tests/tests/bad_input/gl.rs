//! What OpenGL is asked to import, read and wait for.

use std::fs::File;
use std::rc::Rc;

use glow::HasContext as _;
use lucarne::{Request, Usage, egl, kernel::Memfd, negotiate};

use super::*;

#[test]
fn a_buffer_shorter_than_its_layout_never_reaches_the_driver() {
    with_pair(|pair| {
        // Sixteen pages were claimed, and one came.
        let sizes = [16 * PAGE_BYTES];
        let claimed = FrameLayout::new(
            Extent::new(1024, 16),
            FORMAT,
            LINEAR,
            &[linear_plane(4096)],
            &sizes,
        )
        .expect("as claimed");
        let memory = Memory::DmaBuf(vec![buffer(1)]);
        let frame = Frame::new(claimed, memory, pair.gl.id().clone());
        assert_invalid(
            frame,
            &["plane.offset + plane.pitch * rows", "65536", "4096 bytes"],
        );
    });
}

/// Mesa's software rasteriser reads rows in fours, past the end of a buffer that has no room for that.
#[test]
fn a_tight_buffer_is_refused_where_it_would_end_in_a_signal() {
    with_pair(|pair| {
        if !pair.gl.id().software {
            return skip("software", "this driver is not Mesa's software rasteriser");
        }
        let id = pair.gl.id();
        let frame = |height: u32, pages: u64| {
            let extent = Extent::new(1024, height);
            foreign_frame(extent, LINEAR, linear_plane(4096), pages, id).expect("it fits")
        };
        for (height, tight) in [(1, 1), (5, 5), (6, 6), (7, 7)] {
            let refused = pair.gl.import(&frame(height, tight));
            let bytes = (tight * PAGE_BYTES).to_string();
            let padded = u64::from(height.next_multiple_of(4));
            let (needed, extent) = ((padded * PAGE_BYTES).to_string(), format!("1024x{height} "));
            let layout = [&extent, "pitch 4096", "4 rows"];
            assert_invalid(
                refused,
                &[&["buffer size", &bytes, &needed], &layout[..]].concat(),
            );
            let texture = pair
                .gl
                .import(&frame(height, padded))
                .expect("room for all");
            let pixels = Reader::new(&pair.gl).read(&texture);
            assert!(
                pixels
                    .iter()
                    .all(|pixel| pixel.map(f32::to_bits)[..3] == [0; 3])
            );
        }
    });
}

#[test]
fn a_layout_that_was_not_offered_is_refused_with_those_that_are() {
    with_pair(|pair| {
        let offer = pair.consumer();
        let listed: Vec<Tiling> = offer
            .entries
            .iter()
            .filter(|entry| entry.path == MemoryPath::DmaBuf && entry.format == FORMAT)
            .map(|entry| entry.tiling)
            .collect();
        assert!(!listed.is_empty(), "{} imports dma-bufs", offer.name);
        let codes = [
            0x0100_0000_0000_0001,
            0x0200_0000_2080_1b04,
            0x0300_0000_0060_6014,
        ];
        let tilings = codes.map(|code| Tiling::Explicit(Modifier::new(code).expect("explicit")));
        for tiling in tilings.into_iter().chain([Tiling::Implicit]) {
            if listed.contains(&tiling) {
                continue;
            }
            let plane = linear_plane(4096);
            let frame = foreign_frame(SMALL, tiling, plane, 32, pair.gl.id()).expect("a frame");
            let accepted: Vec<String> = listed.iter().map(ToString::to_string).collect();
            let mut parts: Vec<&str> = accepted.iter().map(String::as_str).collect();
            let tiling = tiling.to_string();
            parts.extend([pair.gl.renderer(), "only as", &tiling]);
            assert_unsupported(pair.gl.import(&frame), &parts);
        }
    });
}

#[test]
fn a_format_that_cannot_be_imported_is_named() {
    with_pair(|pair| {
        let (layout, size) = FrameLayout::linear(SMALL, Format::NV12).expect("a layout");
        let buffers = vec![buffer(size / PAGE_BYTES)];
        let frame = Frame::new(layout, Memory::DmaBuf(buffers), pair.gl.id().clone());
        let refused = pair.gl.import(&frame.expect("a frame"));
        assert_unsupported(refused, &["NV12", "at all", pair.gl.renderer()]);
    });
}

#[test]
fn an_extent_beyond_the_largest_texture_is_refused_with_that() {
    with_pair(|pair| {
        let most = pair.consumer().entries[0].max_extent;
        if most.width >= lucarne::MAX_EXTENT {
            return skip("extent", "this driver has textures of any size");
        }
        let wide = Extent::new(most.width + 1, 4);
        let (layout, size) = FrameLayout::linear(wide, FORMAT).expect("a layout");
        let memory = Memfd::create("lucarne-test", size).expect("memory");
        let frame = Frame::new(layout, Memory::HostMemory(memory), DeviceId::default());
        let refused = pair.gl.import(&frame.expect("a frame"));
        assert_invalid(
            refused,
            &[
                "extent",
                &wide.to_string(),
                &most.to_string(),
                "GL_MAX_TEXTURE_SIZE",
            ],
        );
    });
}

/// Uploads count pitches in pixels; a pitch between two pixels would be read skewed.
#[test]
fn host_memory_with_a_pitch_of_broken_pixels_is_refused() {
    with_pair(|pair| {
        let memory = Memfd::create("lucarne-test", 16_384).expect("memory");
        let layout = FrameLayout::new(SMALL, FORMAT, LINEAR, &[linear_plane(258)], &[16_384]);
        let layout = layout.expect("a layout");
        let frame = Frame::new(layout, Memory::HostMemory(memory), DeviceId::default());
        let refused = pair.gl.import(&frame.expect("a frame"));
        assert_invalid(refused, &["plane.pitch", "258", "4 bytes"]);
    });
}

#[test]
fn memory_of_another_driver_is_foreign() {
    with_pair(|pair| {
        if !can(pair, MemoryPath::OpaqueFd) {
            return;
        }
        let image = export(pair, MemoryPath::OpaqueFd);
        let Memory::OpaqueFd(memory) = image.frame().memory() else {
            panic!("opaque memory was agreed on");
        };
        let mut other_driver = image.frame().device().clone();
        other_driver.driver_uuid = Some([0xab; 16]);
        let mut other_device = image.frame().device().clone();
        other_device.device_uuid = Some([0xcd; 16]);
        for id in [other_driver, other_device, DeviceId::default()] {
            let fd = memory.duplicate().expect("a descriptor");
            let frame = opaque_frame(SMALL, fd, memory.allocation_bytes(), &id);
            let error = pair.gl.import(&frame).expect_err("another driver's memory");
            assert!(matches!(error, Error::ForeignDevice { .. }), "{error}");
            let own = pair.gl.id().to_string();
            assert_says(&error, &["opaque-fd", &id.to_string(), &own]);
        }
        // The very same memory is fine under its own name.
        share(pair, &image, 3);
    });
}

#[test]
fn opaque_garbage_is_the_drivers_error() {
    with_pair(|pair| {
        if !can(pair, MemoryPath::OpaqueFd) {
            return;
        }
        let null = File::open("/dev/null").expect("/dev/null");
        for fd in [memory(65_536), null.into()] {
            let frame = opaque_frame(SMALL, fd, 16_384, pair.gl.id());
            let before = fds::list();
            let error = pair.gl.import(&frame).expect_err("no driver made this");
            if let Error::Invalid { field, .. } = error {
                // Refused before a software driver would have read it.
                assert_eq!(field, "memory object's header");
                continue;
            }
            // Mesa answers the import with success, and refuses the storage.
            let call = matches!(
                error,
                Error::Driver {
                    call: "glImportMemoryFdEXT" | "glTexStorageMem2DEXT",
                    ..
                }
            );
            assert!(call, "{error}");
            assert_says(&error, &["GL_", &SMALL.to_string(), "16384 bytes"]);
            fds::assert_as_many(&before);
            // SAFETY: glGetError with a current context.
            let left = unsafe { pair.gl.glow().get_error() };
            assert_eq!(left, glow::NO_ERROR, "errors are taken away");
        }
        share(pair, &export(pair, MemoryPath::OpaqueFd), 4);
    });
}

/// Memory of the right driver, and too little of it.
#[test]
fn opaque_memory_smaller_than_its_frame_is_refused() {
    with_pair(|pair| {
        if !can(pair, MemoryPath::OpaqueFd) {
            return;
        }
        let image = export(pair, MemoryPath::OpaqueFd);
        let Memory::OpaqueFd(memory) = image.frame().memory() else {
            panic!("opaque memory was agreed on");
        };
        let huge = Extent::new(4096, 4096);
        let fd = memory.duplicate().expect("a descriptor");
        let frame = opaque_frame(huge, fd, memory.allocation_bytes(), image.frame().device());
        let error = pair.gl.import(&frame).expect_err("64 MiB out of 8 KiB");
        let named = matches!(error, Error::Driver { .. } | Error::Invalid { .. });
        assert!(named, "{error}");
        let fd = memory.duplicate().expect("a descriptor");
        let claimed = OpaqueFd::new(fd, 1 << 30).expect_err("1 GiB out of 8 KiB");
        assert_says(
            &claimed,
            &["allocation size", "all that the descriptor has"],
        );
    });
}

/// Textures of one frame: read where its memory is, and uploaded at each read.
struct Textures {
    cached: Rc<egl::Texture>,
    uploaded: egl::Texture,
}

/// Every call that calls into the context, on a thread where it is not current.
fn assert_not_current(
    pair: &Pair,
    textures: &Textures,
    unseen: &Frame,
    agreement: &Agreement,
    found: &str,
) {
    let gl = &pair.gl;
    let Textures { cached, uploaded } = textures;
    let results = [
        ("offer", gl.offer(Usage::SAMPLE).map(drop)),
        ("import", gl.import(unseen).map(drop)),
        ("import_srgb", gl.import_srgb(unseen).map(drop)),
        ("export", gl.export(agreement).map(drop)),
        ("read", gl.read(uploaded, &Fence::Signaled, SHORT)),
        ("upload", gl.upload(cached, &[])),
        ("download", gl.download(cached).map(drop)),
        ("fence", gl.fence(SHORT).map(drop)),
    ];
    for (call, result) in results {
        let error = result.expect_err("the context is not current");
        assert!(matches!(error, Error::NotCurrent { .. }), "{call}: {error}");
        assert_says(&error, &[&format!("egl::Device::{call}"), found]);
    }
}

/// What calls nothing of the context's is not refused; the fence that ends the turn is.
fn assert_late_refusal(pair: &Pair, textures: &Textures, found: &str) {
    let gl = &pair.gl;
    let again = gl.import(textures.cached.frame()).expect("made before");
    assert!(Rc::ptr_eq(&again, &textures.cached));
    gl.wait(&Fence::Signaled, SHORT).expect("nothing to do");
    // Uploaded here too, where this driver does not take a memfd for a dma-buf.
    if again.copies_per_frame() == 0 {
        let read = gl.read(&again, &Fence::Signaled, SHORT);
        read.expect("the pixels are there");
    }
    let error = gl.fence(SHORT).expect_err("whoever drew, drew elsewhere");
    assert!(matches!(error, Error::NotCurrent { .. }), "{error}");
    assert_says(&error, &["egl::Device::fence", found]);
}

fn software_or_first() -> egl::Adapter {
    let adapters = egl::Adapter::enumerate().expect("EGL devices");
    let software = adapters.iter().find(|adapter| adapter.is_software());
    software
        .or(adapters.first())
        .expect("an EGL device")
        .clone()
}

/// Makes nothing current on this thread.
fn release_context() {
    // SAFETY: loads the system's EGL, which is loaded already.
    let egl = unsafe { khronos_egl::DynamicInstance::<khronos_egl::EGL1_4>::load_required() };
    let egl = egl.expect("EGL");
    let display = egl.get_current_display().expect("a display");
    let released = egl.make_current(display, None, None, None);
    released.expect("nothing is current");
}

#[test]
fn calls_without_the_context_current_say_so() {
    with_pair(|pair| {
        let image = export(pair, MemoryPath::HostMemory);
        let unseen = export(pair, MemoryPath::HostMemory);
        let textures = Textures {
            cached: pair.gl.import(image.frame()).expect("a texture"),
            uploaded: pair.gl.import_srgb(image.frame()).expect("a texture"),
        };
        // Needs the context itself, so it comes first.
        let agreement = agreement(pair, MemoryPath::HostMemory);
        let unseen = unseen.frame();
        let other = software_or_first().open().expect("another context");
        assert_not_current(pair, &textures, unseen, &agreement, "another context is");
        assert_late_refusal(pair, &textures, "another context is");
        drop(other);
        release_context();
        assert_not_current(pair, &textures, unseen, &agreement, "no context is");
        assert_late_refusal(pair, &textures, "no context is");
        // SAFETY: nothing is current, so nothing is wrapped.
        let error = unsafe { egl::Device::from_current() }.expect_err("nothing is current");
        assert!(matches!(error, Error::NotCurrent { .. }), "{error}");
        pair.gl.make_current().expect("current again");
        share(pair, &image, 5);
    });
}

/// A texture of GL's own, exported: the only kind that the import cache does not keep alive as well.
fn exported(pair: &Pair) -> Option<egl::Texture> {
    let consumer = pair.vk.offer(Usage::SAMPLE).expect("an offer");
    // In whichever format: OpenGL chooses what an internal format is exported as.
    let request = Request::new(SMALL).paths(&[MemoryPath::DmaBuf]);
    match negotiate(&pair.consumer(), &consumer, &request) {
        Ok(agreement) => Some(pair.gl.export(&agreement).expect("an exported texture")),
        Err(refusal) => {
            skip("udmabuf", &refusal.to_string());
            None
        }
    }
}

#[test]
fn textures_dropped_without_the_context_are_deleted_later() {
    with_pair(|pair| {
        let Some(texture) = exported(pair) else {
            return;
        };
        let name = texture.name();
        let other = software_or_first().open().expect("another context");
        drop(texture);
        pair.gl.make_current().expect("current again");
        let is_texture = || {
            // SAFETY: glIsTexture takes any name, with a current context.
            unsafe { pair.gl.glow().is_texture(name) }
        };
        assert!(is_texture(), "nobody could delete it in the other context");
        forget_imports(pair);
        assert!(!is_texture(), "the next import deletes it");
        drop(other);
        pair.gl.make_current().expect("current again");
    });
}

/// A device that ends while its context is not current deletes what it can: images belong to the display.
#[test]
fn a_device_dropped_without_its_context_leaves_nothing() {
    with_pair(|pair| {
        for path in paths(pair) {
            let image = export(pair, path);
            let gl = software_or_first().open().expect("a context");
            let texture = gl.import(image.frame()).expect("a texture");
            pair.gl.make_current().expect("the first one again");
            drop(gl);
            drop(texture);
            drop(image);
            forget_imports(pair);
        }
    });
}

#[test]
fn a_fence_that_never_signals_ends_a_read_at_its_deadline() {
    with_pair(|pair| {
        if !pair.gl.id().software {
            return skip(
                "software",
                "this driver waits on the GPU, not on an eventfd",
            );
        }
        for path in paths(pair) {
            let image = export(pair, path);
            let texture = pair.gl.import(image.frame()).expect("a texture");
            let (fence, signal) = unsignaled();
            assert_times_out(|| pair.gl.read(&texture, &fence, SHORT));
            assert_times_out(|| pair.gl.wait(&fence, SHORT));
            rustix::io::write(&signal, &1_u64.to_ne_bytes()).expect("a signal");
            let read = pair.gl.read(&texture, &fence, SHORT);
            read.expect("the same fence, signalled");
            drop(texture);
            share(pair, &image, 7);
        }
    });
}

#[test]
fn descriptors_from_drivers_are_not_inherited() {
    with_pair(|pair| {
        let assert_close_on_exec = |fd: std::os::fd::BorrowedFd<'_>| {
            let flags = rustix::io::fcntl_getfd(fd).expect("open");
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC), "{fd:?}");
        };
        use std::os::fd::AsFd as _;
        for path in paths(pair) {
            let image = export(pair, path);
            match image.frame().memory() {
                Memory::DmaBuf(buffers) => {
                    buffers
                        .iter()
                        .for_each(|one| assert_close_on_exec(one.as_fd()));
                }
                Memory::OpaqueFd(memory) => assert_close_on_exec(memory.as_fd()),
                Memory::HostMemory(memory) => assert_close_on_exec(memory.as_fd()),
            }
            let bytes = pattern::bytes(FORMAT.info().expect("known"), SMALL, 0);
            let writer = Writer::new(&pair.vk);
            let acquire = writer.write(&image, &Fence::Signaled, &bytes);
            let release = pair.gl.fence(TIMEOUT);
            for fence in [acquire, release] {
                if let Fence::SyncFile(file) = fence.expect("a fence") {
                    assert_close_on_exec(file.as_fd());
                }
            }
        }
    });
}

/// What a producer sealed against writing is shown all the same: nobody writes when sampling.
#[test]
fn memory_that_is_sealed_against_writing_is_shown() {
    with_pair(|pair| {
        let extent = Extent::new(64, 16);
        let (layout, size) = FrameLayout::linear(extent, Format::ABGR8888).expect("linear");
        let bytes: Vec<u8> = (0..64 * 16 * 4_u32).map(|n| (n % 251) as u8).collect();
        let fd = rustix::fs::memfd_create("lucarne-sealed", MemfdFlags::ALLOW_SEALING);
        let fd = fd.expect("a memfd");
        rustix::fs::ftruncate(&fd, size).expect("a size");
        rustix::io::pwrite(&fd, &bytes, 0).expect("written");
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
        rustix::fs::fcntl_add_seals(&fd, seals).expect("sealed");
        let memory = Memory::DmaBuf(vec![DmaBuf::new(fd).expect("stands in")]);
        let frame = Frame::new(layout, memory, pair.gl.id().clone()).expect("a frame");
        let texture = pair.gl.import(&frame).expect("a texture");
        let turn = pair
            .gl
            .read(&texture, &Fence::Signaled, lucarne_tests::TIMEOUT);
        turn.expect("a turn");
        let pixels = Reader::new(&pair.gl).read(&texture);
        for (pixel, bytes) in pixels.iter().zip(bytes.chunks(4)) {
            let seen = pixel.map(|channel| (channel * 255.0).round());
            let wanted: Vec<f32> = bytes.iter().map(|byte| f32::from(*byte)).collect();
            assert_eq!(seen[..], wanted);
        }
    });
}
