//! Fences and semaphores of drivers, for programs that submit on their own: `VkFence`s as sync_files, and semaphores that
//! only one driver understands.

use std::time::{Duration, Instant};

use lucarne::vulkan::SubmitFence;
use lucarne::{DeviceId, Error, Fence, OpaqueSemaphore};
use lucarne_tests::pair::Pair;
use lucarne_tests::skip::{skip, skip_case};
use lucarne_tests::unsignalled::Source;
use lucarne_tests::{TIMEOUT, fds};

const SHORT: Duration = Duration::from_millis(60);

/// Submits nothing, and has `fence` signal when it is done.
fn submit(pair: &Pair, fence: &SubmitFence) {
    let device = pair.vk.raw();
    // SAFETY: vkQueueSubmit: the queue is this test's alone; the fence is unsignalled and in no other submission.
    unsafe { device.queue_submit(pair.vk.queue(), &[], fence.raw()) }.expect("a submission");
}

/// A pair whose Vulkan passes fences as sync_files, or a skip.
fn pair() -> Option<Pair> {
    let pair = Pair::open();
    let support = pair.vk.submit_fences();
    let reasons = [support.export.reason(), support.import.reason()].concat();
    if reasons.is_empty() {
        return Some(pair);
    }
    let error = pair
        .vk
        .submit_fence()
        .map(drop)
        .expect_err("it says that it cannot");
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    assert!(
        reasons.contains("VK_KHR_external_fence_fd") || reasons.contains("SYNC_FD"),
        "{reasons}"
    );
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
            let exported = unsafe { fence.export() }.expect("a sync_file");
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
        let exported = unsafe { one.export() }.expect("a sync_file");
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
