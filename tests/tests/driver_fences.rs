//! Fences and semaphores of drivers, for programs that submit on their own: `VkFence`s as sync_files, and semaphores that
//! only one driver understands.

use std::time::{Duration, Instant};

use lucarne::vulkan::{Access, SubmitFence};
use lucarne::{
    DeviceId, Error, Extent, Fence, Format, MemoryPath, OpaqueSemaphore, Requirement, Support,
    Usage,
};
use lucarne_tests::pair::Pair;
use lucarne_tests::pattern;
use lucarne_tests::reader::Reader;
use lucarne_tests::skip::{skip, skip_case};
use lucarne_tests::unsignalled::Source;
use lucarne_tests::{TIMEOUT, child, fds};

const SHORT: Duration = Duration::from_millis(60);

/// Submits nothing, and has `fence` signal when it is done.
fn submit(pair: &Pair, fence: &SubmitFence) {
    let device = pair.vk.raw();
    // SAFETY: vkQueueSubmit: the queue is this test's alone; the fence is unsignalled and in no other submission.
    unsafe { device.queue_submit(pair.vk.queue(), &[], fence.raw()) }.expect("a submission");
}

/// A pair whose Vulkan passes fences as sync_files, or a skip.
fn pair() -> Option<Pair> {
    let pair = Pair::with_driver_fences();
    let support = pair.vk.submit_fences();
    let reasons = [support.export.reason(), support.import.reason()].concat();
    if reasons.is_empty() {
        return Some(pair);
    }
    assert!(
        reasons.contains("VK_KHR_external_fence_fd") || reasons.contains("SYNC_FD"),
        "{reasons}"
    );
    let mut fence = pair.vk.submit_fence().expect("a fence for the CPU");
    // SAFETY: SubmitFence::import: it was never submitted.
    let error = unsafe { fence.import(&Fence::Signaled, TIMEOUT) }.expect_err("it cannot");
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    submit(&pair, &fence);
    // SAFETY: SubmitFence::export: submitted just now.
    let fence = unsafe { fence.export(TIMEOUT) }.expect("the CPU waits");
    assert!(matches!(fence, Fence::Signaled), "{fence:?}");
    skip("udmabuf", &reasons);
    None
}

/// Runs `body` once for what drivers open at their first use only, and once more to count.
fn unchanged(body: impl Fn()) {
    body();
    let before = fds::list();
    body();
    fds::assert_as_many(&before);
}

#[test]
fn a_submission_becomes_a_fence_again_and_again() {
    let _alone = fds::alone();
    let Some(pair) = pair() else { return };
    unchanged(|| {
        let mut fence = pair.vk.submit_fence().expect("a fence");
        let error = fence.wait(SHORT).expect_err("nothing was submitted");
        assert!(matches!(error, Error::Timeout { .. }), "{error}");
        for _ in 0..3 {
            submit(&pair, &fence);
            // SAFETY: SubmitFence::export: submitted just now.
            let exported = unsafe { fence.export(TIMEOUT) }.expect("a sync_file");
            assert!(matches!(exported, Fence::SyncFile(_)), "{exported:?}");
            exported.wait(TIMEOUT).expect("an empty submission ends");
        }
        // Not exported, it is waited for in Vulkan.
        submit(&pair, &fence);
        fence.wait(TIMEOUT).expect("an empty submission ends");
        submit(&pair, &fence);
        fence.wait(TIMEOUT).expect("unsignalled by the wait before");
    });
    pair.assert_valid();
}

#[test]
fn a_fence_is_waited_for_in_vulkan() {
    let _alone = fds::alone();
    let Some(pair) = pair() else { return };
    unchanged(|| {
        let (one, other) = (pair.vk.submit_fence(), pair.vk.submit_fence());
        let (mut one, mut other) = (one.expect("a fence"), other.expect("a fence"));
        submit(&pair, &one);
        // SAFETY: SubmitFence::export: submitted just now.
        let exported = unsafe { one.export(TIMEOUT) }.expect("a sync_file");
        for fence in [&exported, &Fence::Signaled, &exported] {
            // SAFETY: SubmitFence::import: it was never submitted.
            unsafe { other.import(fence, TIMEOUT) }.expect("a driver that imports");
            other.wait(TIMEOUT).expect("it has signalled");
        }
        // The import was for one wait: the fence's own state is back, and unsignalled.
        let error = other.wait(SHORT).expect_err("nothing was submitted");
        assert!(matches!(error, Error::Timeout { .. }), "{error}");
        submit(&pair, &other);
        other.wait(TIMEOUT).expect("its own submission");
    });
    pair.assert_valid();
}

#[test]
fn an_imported_fence_that_does_not_signal_ends_at_the_deadline() {
    let _alone = fds::alone();
    let Some(pair) = pair() else { return };
    let Some(source) = Source::kernel() else {
        return;
    };
    let mut fence = pair.vk.submit_fence().expect("a fence");
    let unsignalled = source.unsignalled();
    // SAFETY: SubmitFence::import: it was never submitted.
    unsafe { fence.import(unsignalled.fence(), TIMEOUT) }.expect("a driver that imports");
    let start = Instant::now();
    let error = fence.wait(Duration::from_millis(300)).expect_err("not yet");
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "the driver's own wait has a deadline"
    );
    unsignalled.signal();
    fence.wait(TIMEOUT).expect("it has signalled");
    pair.assert_valid();
}

/// A turn that writes nothing, and its acquire fence.
fn turn(pair: &Pair) -> Fence {
    let extent = Extent::new(16, 16);
    let agreement = pair.agree(MemoryPath::HostMemory, Format::XRGB8888, extent);
    let image = pair.vk.export(&agreement.expect("an agreement"));
    let (image, access) = (image.expect("an image"), Access::TransferDestination);
    let written = pair
        .vk
        .write(&image, &Fence::Signaled, TIMEOUT, access, |_| {});
    written.expect("a turn")
}

/// Frame by frame, and nobody waits but for the fence; OpenGL sees what the last of the copies wrote. All before it write
/// other bytes: a fence of an earlier copy could show those, and copies in another order would.
fn begin_uploads(pair: &Pair, path: MemoryPath) {
    let (format, extent) = (Format::XRGB8888, Extent::new(37, 21));
    let Ok(agreement) = pair.agree(path, format, extent) else {
        skip_case(path.name(), "this machine's drivers do not share it");
        return;
    };
    let image = pair.vk.export(&agreement).expect("an image");
    let texture = pair.gl.import(image.frame()).expect("a texture");
    let mut gate = Fence::Signaled;
    for (frame, times) in (0..).zip([1, 0, 2, 5]) {
        let bytes = pattern::bytes(format.info().expect("known"), extent, frame);
        let upload = pair.vk.begin_upload(&image, &gate, TIMEOUT, &bytes, times);
        let upload = upload.expect("a turn");
        pair.gl
            .read(&texture, upload.fence(), TIMEOUT)
            .expect("a turn");
        let pixels = Reader::new(&pair.gl).read(&texture);
        pattern::assert_equal(format, extent, frame, &pixels);
        gate = pair.gl.fence(TIMEOUT).expect("a fence");
    }
    let short = pair.vk.begin_upload(&image, &gate, TIMEOUT, &[0; 4], 1);
    let error = short.map(drop).expect_err("no frame").to_string();
    assert!(error.contains("pixels.len() is 4"), "{error}");
}

#[test]
fn an_upload_that_is_begun_is_there_after_its_fence() {
    let _alone = fds::alone();
    for pair in [Pair::open, Pair::with_driver_fences] {
        let pair = pair();
        unchanged(|| {
            for path in MemoryPath::ALL {
                begin_uploads(&pair, path);
            }
        });
        pair.assert_valid();
    }
}

/// What [`SubmitFence::export`] does is what `submit_fences` says.
fn submit_fences(pair: &Pair) -> Support {
    let mut fence = pair.vk.submit_fence().expect("a fence");
    submit(pair, &fence);
    // SAFETY: SubmitFence::export: submitted just now.
    let exported = unsafe { fence.export(TIMEOUT) }.expect("a fence");
    let support = pair.vk.submit_fences().export;
    assert_eq!(
        matches!(exported, Fence::SyncFile(_)),
        support.is_yes(),
        "{exported:?}, {support:?}"
    );
    support
}

/// The software driver's fences have always signalled: the CPU waits, unless it is told otherwise.
#[test]
fn software_fences_are_waits_of_the_cpu() {
    const ME: &str = "software_fences_are_waits_of_the_cpu";
    let _alone = fds::alone();
    let pair = Pair::open();
    if !pair.vk.adapter().id().software {
        skip("software", "this machine's Vulkan is a GPU's");
        return;
    }
    let (offer, fence) = (pair.producer(), turn(&pair));
    let own = submit_fences(&pair);
    let extent = Extent::new(16, 16);
    let agreement = pair.agree(MemoryPath::HostMemory, Format::XRGB8888, extent);
    let acquire = agreement.expect("an agreement").acquire.to_string();
    // Opened last: its GL context is the current one.
    let exported = Pair::with_driver_fences();
    let can = exported.producer().fences.export.is_yes();
    assert_eq!(matches!(turn(&exported), Fence::SyncFile(_)), can);
    submit_fences(&exported);
    if child::is(ME) {
        assert_eq!(own.is_yes(), exported.vk.submit_fences().export.is_yes());
        assert_eq!(offer.fences, exported.producer().fences);
        assert_eq!(matches!(fence, Fence::SyncFile(_)), can);
        return;
    }
    assert!(matches!(fence, Fence::Signaled), "{fence:?}");
    assert!(acquire.starts_with("CPU wait (Vulkan on "), "{acquire}");
    let adapter = pair.vk.adapter().offer(Usage::RENDER).expect("an offer");
    assert_eq!(adapter.fences, offer.fences, "asked before it is open");
    if can {
        for support in [&offer.fences.export, &own] {
            let Support::No(missing) = support else {
                panic!("the CPU waits: {support:?}");
            };
            let [Requirement::Quirk { name, .. }] = &missing[..] else {
                panic!("a quirk: {missing:?}");
            };
            assert_eq!(*name, quirk());
        }
        let reason = offer.fences.export.reason();
        for word in ["is software", quirk(), "with_driver_fences"] {
            assert!(
                reason.contains(word) && acquire.contains(word),
                "{word}: {reason}, {acquire}"
            );
        }
        let images = pair.vk.clone();
        let error = images.with_driver_fences().map(drop);
        let error = error.expect_err("shared already").to_string();
        assert!(error.contains("before it is cloned"), "{error}");
    }
    let off = format!("-{}", quirk());
    let output = child::run(ME, &[("LUCARNE_QUIRKS", &off)]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    pair.assert_valid();
    exported.assert_valid();
}

fn quirk() -> &'static str {
    lucarne::quirks::SOFTWARE_FENCES_HAVE_SIGNALLED.name
}

/// No driver here has them: what can be shown is that they are refused with the reason, and what a descriptor may be.
#[test]
fn opaque_semaphores_are_offered_only_where_the_driver_has_them() {
    let _alone = fds::alone();
    let pair = Pair::open();
    let (vulkan, opengl) = (pair.vk.opaque_semaphores(), pair.gl.opaque_semaphores());
    if vulkan.is_yes() {
        let (semaphore, shared) = pair.vk.export_semaphore().expect("it says that it can");
        // SAFETY: Device::signal: new, so that there is no signal before this one.
        unsafe { pair.vk.signal(&semaphore, TIMEOUT) }.expect("a signal");
        let again = pair.vk.import_semaphore(&shared).expect("its own");
        // SAFETY: Device::wait_for: signalled just now, by the same semaphore.
        unsafe { pair.vk.wait_for(&again, TIMEOUT) }.expect("a wait");
    } else {
        let Support::No(missing) = &vulkan else {
            panic!("it is no yes");
        };
        let told = |one: &Requirement| {
            matches!(
                one,
                Requirement::Extension { .. } | Requirement::Capability { .. }
            )
        };
        assert!(missing.iter().all(told), "{missing:?}");
        let reason = vulkan.reason();
        let error = pair
            .vk
            .export_semaphore()
            .map(drop)
            .expect_err("it says that it cannot");
        assert!(error.to_string().contains(&reason), "{error}");
        skip_case("opaque-semaphore", &reason);
    }
    let fd = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).expect("an eventfd");
    let foreign = OpaqueSemaphore::new(fd, DeviceId::default()).expect("a kernel object");
    let error = pair.gl.import_semaphore(&foreign).map(drop);
    let error = error.expect_err("of nobody's driver");
    if opengl.is_yes() {
        assert!(matches!(error, Error::ForeignDevice { .. }), "{error}");
    } else {
        assert!(
            opengl.reason().contains("GL_EXT_semaphore"),
            "{}",
            opengl.reason()
        );
        assert!(error.to_string().contains(&opengl.reason()), "{error}");
        skip_case("opaque-semaphore", &opengl.reason());
    }
    pair.assert_valid();
}

#[test]
fn files_and_pipes_are_no_semaphores() {
    fds::unchanged(|| {
        let flags = rustix::pipe::PipeFlags::CLOEXEC;
        let (reader, _writer) = rustix::pipe::pipe_with(flags).expect("a pipe");
        let memory = lucarne::kernel::Memfd::create("lucarne-test", 4096).expect("memory");
        let memory = rustix::io::fcntl_dupfd_cloexec(&memory, 3).expect("a descriptor");
        for (fd, name) in [(reader, "a pipe"), (memory, "a memfd")] {
            let error = OpaqueSemaphore::new(fd, DeviceId::default()).expect_err(name);
            let text = error.to_string();
            assert!(
                text.contains("semaphore is ") && text.contains(name),
                "{text}"
            );
        }
    });
}
