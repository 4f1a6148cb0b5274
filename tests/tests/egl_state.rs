//! What EGL keeps for a toolkit's thread (the bound API, the current context, its surfaces) is as it was after Lucarne's calls.

use lucarne::{Error, Usage, egl};
use lucarne_tests::child;
use lucarne_tests::toolkit::Toolkit;

/// The toolkit's device: a skip has said where there is none.
fn software() -> egl::Adapter {
    let adapters = egl::Adapter::enumerate().expect("EGL devices");
    let mut adapters = adapters.into_iter();
    let found = adapters.find(egl::Adapter::is_software);
    found.expect("the toolkit found it too")
}

#[test]
fn a_toolkits_thread_is_as_it_was_once_a_device_is_dropped() {
    let Some(toolkit) = Toolkit::desktop() else {
        return;
    };
    let before = toolkit.thread_state();
    assert_ne!(before.draw, before.read);
    for _ in 0..2 {
        let device = software().open().expect("a context");
        let opened = toolkit.thread_state();
        assert_eq!(opened.api, before.api, "the bound API");
        assert_ne!(opened.context, before.context, "the device's is current");
        toolkit
            .next_context()
            .expect("for the toolkit's next window");
        // Tries things out.
        device.offer(Usage::SAMPLE).expect("an offer");
        drop(device);
        assert_eq!(toolkit.thread_state(), before);
    }
}

#[test]
fn a_thread_without_a_context_is_left_without_one() {
    let Some(toolkit) = Toolkit::desktop() else {
        return;
    };
    toolkit.release();
    let before = toolkit.thread_state();
    assert_eq!(before.context, None);
    drop(software().open().expect("a context"));
    assert_eq!(toolkit.thread_state(), before);
}

/// What was current when a device was made current last is what its end brings back.
#[test]
fn making_a_device_current_and_dropping_it_changes_nothing() {
    let device = egl::Adapter::enumerate().expect("EGL devices")[0].open();
    let device = device.expect("a context");
    let Some(toolkit) = Toolkit::desktop() else {
        return;
    };
    let before = toolkit.thread_state();
    device.make_current().expect("the device's");
    let made = toolkit.thread_state();
    assert_ne!(made.context, before.context);
    assert_eq!(made.api, before.api, "the bound API");
    device.make_current().expect("current already");
    drop(device);
    assert_eq!(toolkit.thread_state(), before);
}

/// Neither wrapping a toolkit's context nor making it current takes its surfaces away.
#[test]
fn a_borrowed_context_keeps_its_surfaces() {
    let Some(toolkit) = Toolkit::desktop() else {
        return;
    };
    let before = toolkit.thread_state();
    // SAFETY: the toolkit outlives the device.
    #[expect(unsafe_code, reason = "wrapping a context")]
    let device = unsafe { egl::Device::from_current() }.expect("a device");
    device.offer(Usage::SAMPLE).expect("an offer");
    device.make_current().expect("current already");
    assert_eq!(toolkit.thread_state(), before);
    drop(device);
    assert_eq!(toolkit.thread_state(), before);
}

/// The toolkit's context is gone by then: EGL says so, and nothing is current.
#[test]
fn a_context_that_was_destroyed_meanwhile_is_not_put_back() {
    let Some(toolkit) = Toolkit::desktop() else {
        return;
    };
    let device = software().open().expect("a context");
    let api = toolkit.thread_state().api;
    drop(toolkit);
    drop(device);
    let other = Toolkit::desktop().expect("as before");
    other.release();
    let state = other.thread_state();
    assert_eq!((state.api, state.context), (api, None));
}

#[test]
fn a_device_that_does_not_open_changes_nothing() {
    const TEST: &str = "a_device_that_does_not_open_changes_nothing";
    if !child::is(TEST) {
        // What is wrong with it is found when the device's context is current already.
        let output = child::run(TEST, &[("LUCARNE_QUIRKS", "+no-such-quirk")]);
        let said = String::from_utf8_lossy(&output.stderr);
        eprint!("{said}");
        assert!(output.status.success(), "{said}");
        return;
    }
    let Some(toolkit) = Toolkit::desktop() else {
        return;
    };
    let before = toolkit.thread_state();
    let error = software().open().expect_err("no such quirk");
    assert!(matches!(error, Error::Invalid { .. }), "{error}");
    assert_eq!(toolkit.thread_state(), before);
    toolkit
        .next_context()
        .expect("for the toolkit's next window");
}
