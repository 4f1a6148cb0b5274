//! The window on Wayland: Weston without a screen, or in a window of an X server, which has a keyboard and a pointer.

use std::time::{Duration, Instant};

use super::served::{Picture, Served, view};
use super::x11::{Shot, X11};
use super::{APIS, Placed, differences, key};
use lucarne_tests::display::{Backend, SOCKET, until, weston};
use x11rb::protocol::xproto::Window;

/// Shift and Super, and then M.
const MAXIMIZE: [u32; 3] = [0xffe1, 0xffeb, 'm' as u32];

/// The pixels of Weston's pointer: it is 24 wide and high.
const POINTER: usize = 24 * 24;

pub(super) const SIZE: [&str; 2] = ["--width=640", "--height=480"];

/// A key by its X11 name.
pub(super) const ESCAPE: u32 = 0xff1b;

#[test]
fn a_compositor_that_goes_is_told() {
    for api in APIS.into_iter().chain(["wayland"]) {
        let runtime = tempfile::tempdir().expect("a folder");
        let Some(mut weston) = weston(runtime.path(), Backend::Headless, &SIZE) else {
            return;
        };
        let served = Served::start(&["--size", "160x90"]);
        let mut view = view(&served, &["--api", api, "--json"]);
        view.command
            .env("XDG_RUNTIME_DIR", runtime.path())
            .env("WAYLAND_DISPLAY", SOCKET);
        let mut viewer = view.start();
        served.wait_for_a_consumer();
        weston.0.kill().expect("it runs");
        weston.0.wait().expect("a child");
        let said = viewer.complaint();
        let lines: Vec<&str> = said.lines().collect();
        assert!(
            matches!(lines[..], [line] if line.contains("the display has gone")),
            "{api}: {said}"
        );
    }
}

/// Whether the picture is there in its own size, judged by a row of its middle.
pub(super) fn is_somewhere(shot: &Shot, picture: &Picture) -> bool {
    let row: Vec<[u8; 3]> = (0..100).map(|x| picture.at(x, 60)).collect();
    shot.pixels.windows(row.len()).any(|pixels| pixels == row)
}

/// Whether the picture's upper left part is there, each pixel three times at least.
fn is_magnified(shot: &Shot, picture: &Picture) -> bool {
    let row: Vec<[u8; 3]> = (0..50).map(|x| picture.at(x, 60)).collect();
    let mut rows = shot.pixels.chunks_exact(shot.width as usize);
    rows.any(|shown| {
        let begins = shown.iter().position(|pixel| *pixel == row[0]);
        let from = begins.map_or(&[][..], |at| &shown[at..]);
        let times = from.iter().take_while(|pixel| **pixel == row[0]).count();
        let mut once = from.to_vec();
        once.dedup();
        times >= 3 && once.starts_with(&row)
    })
}

/// Presses the last of some keys, with the others held, until that has done what it does. Weston in a window loses keys until it has heard that the keyboard is its own,
/// and nothing tells when that is.
pub(super) fn press(x11: &X11, screen: Window, keys: &[u32], what: &str, done: impl Fn() -> bool) {
    let (last, held) = keys.split_last().expect("a key");
    for _ in 0..4 {
        x11.press_with(screen, held, *last);
        let pressed = Instant::now();
        while pressed.elapsed() < Duration::from_secs(10) {
            if done() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    panic!("no key brings {what}");
}

#[test]
fn on_wayland_it_fills_the_screen_and_comes_back() {
    for api in APIS {
        let Some(x11) = X11::start(640, 480) else {
            return;
        };
        let runtime = tempfile::tempdir().expect("a folder");
        // In a window of an X server, so that it has a keyboard.
        let Some(_weston) = weston(runtime.path(), Backend::X11(&x11.name), &SIZE) else {
            return;
        };
        let screen = x11.window("Weston");
        let picture = Picture::of_many_colours(160, 120);
        let served = Served::picture(&picture);
        let mut viewer = view(&served, &["--api", api, "--json", "--filter", "nearest"]);
        viewer
            .command
            .env("XDG_RUNTIME_DIR", runtime.path())
            .env("WAYLAND_DISPLAY", SOCKET);
        let mut viewer = viewer.start();
        let whole = Placed {
            left: 0,
            top: 0,
            scale: 4,
        };
        x11.hide_pointer();
        // All but what the pointer covers: it may be anywhere, as Weston in a window does not hear of every motion.
        let fills = || differences(&x11.shot(640, 480), [640, 480], &picture, &whole) < POINTER;
        // Weston gives the keyboard to a window that it shows.
        until(&format!("{api}: a window"), || {
            is_somewhere(&x11.shot(640, 480), &picture).then_some(())
        });
        let is_window = || is_somewhere(&x11.shot(640, 480), &picture);
        press(&x11, screen, &[key('f')], "full screen", fills);
        press(&x11, screen, &[ESCAPE], "the window again", is_window);
        // Weston's own keys: as large as the screen, with the bar above it, and back.
        let large = || is_magnified(&x11.shot(640, 480), &picture);
        press(&x11, screen, &MAXIMIZE, "a large window", large);
        press(&x11, screen, &MAXIMIZE, "the small window", is_window);
        press(&x11, screen, &[key('q')], "its end", || !is_window());
        assert_eq!(viewer.ended(0)["ended"], "the window was closed");
        // And from the beginning.
        let mut view = view(
            &served,
            &["--api", api, "--filter", "nearest", "--fullscreen"],
        );
        view.command
            .env("XDG_RUNTIME_DIR", runtime.path())
            .env("WAYLAND_DISPLAY", SOCKET);
        let mut viewer = view.start();
        until(&format!("{api}: --fullscreen"), || fills().then_some(()));
        viewer.interrupt();
        viewer.answer(0);
    }
}
