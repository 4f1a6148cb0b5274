//! Fences that have not signalled: who is handed one waits, up to a deadline.
//!
//! Software drivers pass only fences that have signalled, so these come from vgem, in the guest. What can be shown with a
//! stand-in, an eventfd, is shown everywhere.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use lucarne::vulkan::{Access, Image};
use lucarne::{
    Error, Extent, Fence, Format, MemoryPath, Pool, Usage,
    kernel::{DmaBuf, FenceRole, FenceStatus, SyncFile, Udmabuf},
};
use lucarne_tests::pair::Pair;
use lucarne_tests::reader::Reader;
use lucarne_tests::skip::skip;
use lucarne_tests::unsignalled::{Source, Unsignalled};
use lucarne_tests::vgem::Vgem;
use lucarne_tests::writer::Writer;
use lucarne_tests::{TIMEOUT, fds, pattern};

const FORMAT: Format = Format::ABGR8888;
const EXTENT: Extent = Extent::new(19, 11);

/// How long a fence is held back, which is ample for a side that does not wait to show itself.
const HELD: Duration = Duration::from_millis(400);

/// Our deadline for fences that never signal.
const DEADLINE: Duration = Duration::from_millis(300);

/// One shared image with its texture, and the bytes of frames 0 and 1.
struct Shared<'a> {
    pair: &'a Pair,
    path: MemoryPath,
    image: Image,
    writer: Writer,
    reader: Reader<'a>,
    texture: std::rc::Rc<lucarne::egl::Texture>,
    frames: [Vec<u8>; 2],
}

impl<'a> Shared<'a> {
    /// An image that holds frame 0, which GL has read.
    fn new(pair: &'a Pair, path: MemoryPath) -> Self {
        let agreement = pair.agree(path, FORMAT, EXTENT).expect("an agreement");
        let image = pair.vk.export(&agreement).expect("an exported image");
        let info = FORMAT.info().expect("known");
        let frames = [0, 1].map(|frame| pattern::bytes(info, EXTENT, frame));
        let shared = Self {
            pair,
            path,
            writer: Writer::new(&pair.vk),
            reader: Reader::new(&pair.gl),
            texture: pair.gl.import(image.frame()).expect("a texture"),
            image,
            frames,
        };
        let acquire = shared
            .writer
            .write(&shared.image, &Fence::Signaled, &shared.frames[0]);
        let acquire = acquire.expect("a written frame");
        pair.gl
            .read(&shared.texture, &acquire, TIMEOUT)
            .expect("a turn to read");
        shared.assert_shows(0);
        shared
    }

    fn assert_shows(&self, frame: u32) {
        let pixels = self.reader.read(&self.texture);
        pattern::assert_equal(FORMAT, EXTENT, frame, &pixels);
    }
}

/// The paths that both sides have.
fn paths(pair: &Pair) -> Vec<MemoryPath> {
    let offers = [pair.producer(), pair.consumer()];
    let paths: Vec<MemoryPath> = MemoryPath::ALL
        .into_iter()
        .filter(|path| offers.iter().all(|offer| offer.path(*path).is_yes()))
        .collect();
    assert!(paths.contains(&MemoryPath::HostMemory), "always there");
    paths
}

/// Frame 1 is written only while GL is already waiting for its fence.
fn a_gl_reader_waits(source: &Source) {
    let pair = Pair::with_driver_fences();
    for path in paths(&pair) {
        let shared = Shared::new(&pair, path);
        let unsignalled = source.unsignalled();
        let signalled = AtomicBool::new(false);
        let Shared { writer, image, .. } = &shared;
        let frame = &shared.frames[1];
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(HELD);
                let written = writer.write(image, &Fence::Signaled, frame);
                written
                    .expect("a written frame")
                    .wait(TIMEOUT)
                    .expect("done");
                signalled.store(true, Ordering::SeqCst);
                unsignalled.signal();
            });
            let read = pair.gl.read(&shared.texture, unsignalled.fence(), TIMEOUT);
            assert!(
                signalled.load(Ordering::SeqCst),
                "{path}: the turn to read began before the fence signalled"
            );
            read.expect("a turn to read");
            shared.assert_shows(1);
        });
        pair.assert_valid();
    }
}

#[test]
fn a_gl_reader_waits_for_an_unsignalled_fence() {
    if let Some(source) = Source::kernel() {
        a_gl_reader_waits(&source);
    }
}

#[test]
fn a_gl_reader_waits_for_a_stand_in() {
    a_gl_reader_waits(&Source::StandIn);
}

/// While a reader's release fence is held back, frame 1 stays unwritten and the reader sees frame 0.
fn a_vulkan_writer_waits(source: &Source) {
    let pair = Pair::with_driver_fences();
    for path in paths(&pair) {
        let shared = Shared::new(&pair, path);
        let release = source.unsignalled();
        held_back(&shared, release.fence(), &[&release]);
    }
}

/// Frame 1, gated by `gate`, is written after the last of `releases` has signalled, and not before.
fn held_back(shared: &Shared<'_>, gate: &Fence, releases: &[&Unsignalled]) {
    let (pair, path) = (shared.pair, shared.path);
    let written = AtomicBool::new(false);
    let Shared { writer, image, .. } = shared;
    let frame = &shared.frames[1];
    let acquire = thread::scope(|scope| {
        let write = scope.spawn(|| {
            let acquire = writer.write(image, gate, frame);
            written.store(true, Ordering::SeqCst);
            acquire
        });
        for release in releases {
            thread::sleep(HELD);
            let early = written.load(Ordering::SeqCst);
            assert!(!early, "{path}: written while a reader had it");
            shared.assert_shows(0);
            release.signal();
        }
        write.join().expect("no panic").expect("a written frame")
    });
    pair.gl
        .read(&shared.texture, &acquire, TIMEOUT)
        .expect("a turn to read");
    shared.assert_shows(1);
    pair.assert_valid();
}

#[test]
fn a_vulkan_writer_waits_for_an_unsignalled_fence() {
    if let Some(source) = Source::kernel() {
        a_vulkan_writer_waits(&source);
    }
}

/// Software drivers poll what they are given, so that the stand-in gets as far as they do.
#[test]
fn a_vulkan_writer_waits_for_a_stand_in() {
    a_vulkan_writer_waits(&Source::StandIn);
}

/// Commands that read are not even recorded before the fence has signalled.
fn a_vulkan_reader_waits(source: &Source) {
    let pair = Pair::with_driver_fences();
    for path in [MemoryPath::DmaBuf, MemoryPath::HostMemory] {
        if !paths(&pair).contains(&path) {
            continue;
        }
        let shared = Shared::new(&pair, path);
        let usage = Usage::TRANSFER_SOURCE;
        let imported = pair.vk.import(shared.image.frame(), usage);
        let imported = imported.expect("an imported image");
        let unsignalled = source.unsignalled();
        let signalled = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(HELD);
                signalled.store(true, Ordering::SeqCst);
                unsignalled.signal();
            });
            let access = Access::TransferSource;
            let fence = unsignalled.fence();
            let read = pair.vk.read(&imported, fence, TIMEOUT, access, |_| {
                let over = signalled.load(Ordering::SeqCst);
                assert!(over, "{path}: read before the fence signalled");
            });
            read.expect("a turn to read").wait(TIMEOUT).expect("done");
        });
        pair.assert_valid();
    }
}

#[test]
fn a_vulkan_reader_waits_for_an_unsignalled_fence() {
    if let Some(source) = Source::kernel() {
        a_vulkan_reader_waits(&source);
    }
}

#[test]
fn a_vulkan_reader_waits_for_a_stand_in() {
    a_vulkan_reader_waits(&Source::StandIn);
}

/// Expects that `call` gives up at our deadline. Should it not, the fence is signalled after five seconds, so that the
/// test fails and does not hang.
fn gives_up<T>(
    who: &str,
    unsignalled: &Unsignalled,
    call: impl FnOnce(&Fence) -> Result<T, Error>,
) {
    let (over, is_over) = mpsc::channel::<()>();
    let result = thread::scope(|scope| {
        scope.spawn(move || {
            if is_over.recv_timeout(Duration::from_secs(5)).is_err() {
                unsignalled.signal();
            }
        });
        let began = Instant::now();
        let result = call(unsignalled.fence());
        let took = began.elapsed();
        over.send(()).ok();
        assert!(took >= DEADLINE, "{who}: was back after {took:?}");
        result
    });
    match result {
        Err(Error::Timeout { after, .. }) => assert_eq!(after, DEADLINE, "{who}"),
        Err(other) => panic!("{who}: {other}, not a timeout"),
        Ok(_) => panic!("{who} went on although the fence had not signalled at the deadline"),
    }
}

/// Each side gives up at the deadline, and the next turn works.
fn never_signals(source: &Source) {
    let pair = Pair::with_driver_fences();
    for path in paths(&pair) {
        let shared = Shared::new(&pair, path);
        let gl = format!("{path}: the GL reader");
        gives_up(&gl, &source.unsignalled(), |fence| {
            pair.gl.read(&shared.texture, fence, DEADLINE)
        });
        let vk = format!("{path}: the Vulkan writer");
        gives_up(&vk, &source.unsignalled(), |fence| {
            let access = Access::TransferDestination;
            pair.vk
                .write(&shared.image, fence, DEADLINE, access, |_| {})
        });
        shared.assert_shows(0);
        if path != MemoryPath::OpaqueFd {
            let usage = Usage::TRANSFER_SOURCE;
            let imported = pair.vk.import(shared.image.frame(), usage);
            let imported = imported.expect("an imported image");
            let vk = format!("{path}: the Vulkan reader");
            gives_up(&vk, &source.unsignalled(), |fence| {
                let access = Access::TransferSource;
                pair.vk.read(&imported, fence, DEADLINE, access, |_| {})
            });
        }
        let acquire = shared
            .writer
            .write(&shared.image, &Fence::Signaled, &shared.frames[1]);
        let acquire = acquire.expect("the next turn works");
        pair.gl
            .read(&shared.texture, &acquire, TIMEOUT)
            .expect("and so does the one after it");
        shared.assert_shows(1);
        pair.assert_valid();
    }
}

#[test]
fn a_fence_that_never_signals_ends_in_a_timeout() {
    if let Some(source) = Source::kernel() {
        never_signals(&source);
    }
}

#[test]
fn a_stand_in_that_never_signals_ends_in_a_timeout() {
    never_signals(&Source::StandIn);
}

/// Two readers have a frame; its slot's next writer waits for both, whichever of them ends last.
#[test]
fn two_readers_gate_the_writer() {
    let Some(source) = Source::kernel() else {
        return;
    };
    let pair = Pair::with_driver_fences();
    let path = *paths(&pair).first().expect("at least host memory");
    for last in [0, 1] {
        let shared = Shared::new(&pair, path);
        let pool = Pool::new(vec![shared.image.frame().clone()]);
        let (writing, gate) = pool.acquire().expect("a free frame").acquire();
        assert!(matches!(gate, Fence::Signaled), "{gate:?}");
        let (reading, _) = writing.send(Fence::Signaled).receive().acquire();
        let readers = [source.unsignalled(), source.unsignalled()];
        let releases = readers.each_ref().map(|reader| reader.fence().clone());
        reading.release(Fence::merge(&releases).expect("one fence of two"));
        let (_writing, gate) = pool.acquire().expect("a free frame").acquire();
        held_back(&shared, &gate, &[&readers[1 - last], &readers[last]]);
    }
}

#[test]
fn a_merged_fence_signals_with_the_last_of_its_parts() {
    let Some(source) = Source::kernel() else {
        return;
    };
    let parts: Vec<Unsignalled> = (0..3).map(|_| source.unsignalled()).collect();
    let mut fences: Vec<Fence> = parts.iter().map(|part| part.fence().clone()).collect();
    fences.push(Fence::Signaled);
    let merged = Fence::merge(&fences).expect("one fence of three");
    let Fence::SyncFile(file) = &merged else {
        panic!("three pending fences are a sync_file: {merged:?}");
    };
    let info = file.info().expect("a sync_file");
    assert_eq!(info.fences.len(), 3, "{info:?}");
    assert_eq!(info.name, "lucarne");
    assert_eq!(info.status, FenceStatus::Active);
    for part in parts.iter().rev() {
        assert!(!merged.is_signaled().expect("an answer"));
        assert!(matches!(
            merged.wait(Duration::from_millis(20)),
            Err(Error::Timeout { .. })
        ));
        part.signal();
    }
    merged.wait(TIMEOUT).expect("all three have signalled");
    assert_eq!(file.status().expect("an answer"), FenceStatus::Signaled);
    let again = Fence::merge(&fences).expect("nothing is left");
    assert!(matches!(again, Fence::Signaled), "{again:?}");
}

#[test]
fn the_kernel_tells_what_a_fence_is() {
    let Some(source) = Source::kernel() else {
        return;
    };
    let unsignalled = source.unsignalled();
    let Fence::SyncFile(file) = unsignalled.fence() else {
        panic!("vgem's are sync_files");
    };
    let info = file.info().expect("a sync_file");
    eprintln!("{info:?}");
    let [fence] = &info.fences[..] else {
        panic!("one fence: {info:?}");
    };
    assert_eq!(fence.driver, "vgem");
    assert!(!fence.timeline.is_empty());
    assert_eq!(fence.status, FenceStatus::Active);
    assert_eq!(fence.signaled_at, None);
    unsignalled.signal();
    let info = file.info().expect("a sync_file");
    let fence = &info.fences[0];
    assert_eq!(info.status, FenceStatus::Signaled);
    assert_eq!(fence.status, FenceStatus::Signaled);
    assert!(fence.signaled_at.is_some_and(|at| at > Duration::ZERO));
}

/// vgem signals by itself after ten seconds. The kernel then tells no error, and neither do we; only vgem says so.
#[test]
fn an_expired_fence_counts_as_signalled() {
    let vgem = match Vgem::open() {
        Ok(vgem) => vgem,
        Err(reason) => return skip("vgem", &reason),
    };
    let mut fence = vgem.fence();
    let file = fence.sync_file();
    let began = Instant::now();
    let early = file.wait(Duration::from_secs(5));
    assert!(matches!(early, Err(Error::Timeout { .. })), "{early:?}");
    file.wait(TIMEOUT).expect("expired");
    let took = began.elapsed();
    assert!(took > Duration::from_secs(8), "expired after {took:?}");
    assert_eq!(file.status().expect("an answer"), FenceStatus::Signaled);
    assert_eq!(fence.signal(), Err(rustix::io::Errno::TIMEDOUT));
}

/// A buffer of the kernel's, which keeps fences.
fn udmabuf() -> DmaBuf {
    let device = Udmabuf::open().expect("the guest has it");
    device.create(4096).expect("a page")
}

/// A file's fence after the buffer has kept it.
fn kept(buffer: &DmaBuf, role: FenceRole) -> SyncFile {
    buffer.export_sync_file(role).expect("a fence")
}

#[test]
fn a_dma_buf_keeps_fences_by_role() {
    let Some(source) = Source::kernel() else {
        return;
    };
    let buffer = udmabuf();
    assert!(buffer.implicit_sync().is_yes());
    let pending = |role| !kept(&buffer, role).is_signaled().expect("an answer");
    assert!(!pending(FenceRole::Acquire) && !pending(FenceRole::Release));
    let file = |unsignalled: &Unsignalled| unsignalled.fence().to_sync_file(TIMEOUT);

    // A reader's work gates writers, and no other reader.
    let reads = source.unsignalled();
    let fence = file(&reads).expect("a fence").expect("not signalled");
    buffer
        .import_sync_file(&fence, FenceRole::Release)
        .expect("kept");
    assert!(!pending(FenceRole::Acquire), "readers gate no readers");
    assert!(pending(FenceRole::Release), "readers gate writers");
    // A writer's work gates both.
    let writes = source.unsignalled();
    let fence = file(&writes).expect("a fence").expect("not signalled");
    buffer
        .import_sync_file(&fence, FenceRole::Acquire)
        .expect("kept");
    assert!(pending(FenceRole::Acquire), "writers gate readers");
    let both = kept(&buffer, FenceRole::Release)
        .info()
        .expect("a sync_file");
    assert_eq!(both.fences.len(), 2, "{both:?}");

    reads.signal();
    assert!(pending(FenceRole::Acquire) && pending(FenceRole::Release));
    writes.signal();
    assert!(!pending(FenceRole::Acquire) && !pending(FenceRole::Release));
}

/// The fence reaches the reader through the frame's memory alone.
#[test]
fn a_reader_waits_for_the_fence_that_its_frame_carries() {
    let Some(source) = Source::kernel() else {
        return;
    };
    let pair = Pair::with_driver_fences();
    if !paths(&pair).contains(&MemoryPath::DmaBuf) {
        return skip("udmabuf", "a side offers no dma-bufs");
    }
    let shared = Shared::new(&pair, MemoryPath::DmaBuf);
    let frame = shared.image.frame();
    assert!(frame.implicit_sync().is_yes());
    let unsignalled = source.unsignalled();
    frame
        .attach_fence(FenceRole::Acquire, unsignalled.fence(), TIMEOUT)
        .expect("kept by the kernel");
    let acquire = frame.implicit_fence(FenceRole::Acquire).expect("a fence");
    let error = pair.gl.read(&shared.texture, &acquire, DEADLINE);
    assert!(matches!(error, Err(Error::Timeout { .. })), "{error:?}");
    let acquire = frame.implicit_fence(FenceRole::Acquire).expect("a fence");
    unsignalled.signal();
    pair.gl
        .read(&shared.texture, &acquire, TIMEOUT)
        .expect("a turn to read");
    shared.assert_shows(0);
    let none = frame.implicit_fence(FenceRole::Release).expect("a fence");
    assert!(matches!(none, Fence::Signaled), "{none:?}");
}

/// Frames whose memory keeps no fences say why.
#[test]
fn memory_that_keeps_no_fences_says_so() {
    let pair = Pair::with_driver_fences();
    for path in paths(&pair) {
        let shared = Shared::new(&pair, path);
        let frame = shared.image.frame();
        let support = frame.implicit_sync();
        let error = frame.implicit_fence(FenceRole::Acquire);
        if path == MemoryPath::DmaBuf && !frame.is_emulated() {
            assert!(support.is_yes(), "{support:?}");
            continue;
        }
        let reason = if path == MemoryPath::DmaBuf {
            "stands in for a dma-buf"
        } else {
            "needs dma-bufs"
        };
        assert!(support.reason().contains(reason), "{path}: {support:?}");
        let error = error.expect_err("no fences there");
        assert!(error.to_string().contains(reason), "{path}: {error}");
        let attached = frame.attach_fence(FenceRole::Acquire, &Fence::Signaled, TIMEOUT);
        attached.expect_err("no fences there");
    }
}

#[test]
fn fences_leak_no_descriptor() {
    let Some(source) = Source::kernel() else {
        return;
    };
    let buffer = udmabuf();
    let parts = [source.unsignalled(), source.unsignalled()];
    let fences = parts.each_ref().map(|part| part.fence().clone());
    let turn = || {
        let merged = Fence::merge(&fences).expect("one fence of two");
        let file = merged.to_sync_file(TIMEOUT).expect("a sync_file");
        let file = file.expect("not signalled");
        buffer
            .import_sync_file(&file, FenceRole::Acquire)
            .expect("kept");
        let back = kept(&buffer, FenceRole::Release);
        assert_eq!(back.info().expect("a sync_file").fences.len(), 2);
    };
    turn();
    let before = of_fences();
    for _ in 0..100 {
        turn();
    }
    assert_eq!(of_fences(), before, "{:#?}", fds::list());
}

/// Open sync_files. Other tests of this program run at the same time and have some too, in passing, so only a growth
/// beyond what they can have is a leak.
fn of_fences() -> usize {
    let files = fds::list();
    let files = files.iter().filter(|file| file.contains("sync_file"));
    // Rounded down: a leak of one in each of a hundred turns cannot hide in it.
    files.count() / 50
}
