//! The window on Wayland: Weston without a screen, or in a window of an X server, which has a keyboard and a pointer.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::served::{Picture, Served, view};
use super::support::{Running, server};
use super::x11::{Shot, X11, until};
use super::{APIS, Placed, differences, key};

/// Beside another one in a window, neither Weston is given keys and clicks.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A key by its X11 name.
const ESCAPE: u32 = 0xff1b;

/// Starts Weston, and waits until it is there.
fn weston(runtime: &Path, backend: &[&str], display: &str) -> Option<Running> {
    let mut weston = std::process::Command::new("weston");
    weston.args(["--socket=lucarne", "--no-config", "--idle-time=0"]);
    weston.args(["--width=640", "--height=480"]).args(backend);
    weston
        .env("XDG_RUNTIME_DIR", runtime)
        .env("DISPLAY", display);
    let mut weston = server(&mut weston, "weston")?;
    until("weston's start", || {
        let ended = weston.0.try_wait().expect("a child");
        assert!(ended.is_none(), "weston ended at its start: {ended:?}");
        runtime.join("lucarne").exists().then_some(())
    });
    Some(weston)
}

#[test]
fn a_compositor_that_goes_is_told() {
    for api in APIS {
        let runtime = tempfile::tempdir().expect("a folder");
        let backend = ["--backend=headless-backend.so", "--use-gl"];
        let Some(mut weston) = weston(runtime.path(), &backend, "") else {
            return;
        };
        let served = Served::start(&["--size", "160x90"]);
        let mut view = view(&served, &["--api", api, "--json"]);
        view.command
            .env("XDG_RUNTIME_DIR", runtime.path())
            .env("WAYLAND_DISPLAY", "lucarne");
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

/// A row of the picture's middle.
fn row(picture: &Picture) -> Vec<[u8; 3]> {
    (0..100).map(|x| picture.at(x, 60)).collect()
}

/// Where the picture is in its own size, judged by that row: its left and its top.
fn place(shot: &Shot, picture: &Picture) -> Option<[u32; 2]> {
    let row = row(picture);
    let found = shot
        .pixels
        .windows(row.len())
        .position(|some| some == row)?;
    let found = u32::try_from(found).expect("a small screen");
    Some([found % shot.width, (found / shot.width).checked_sub(60)?])
}

fn is_somewhere(shot: &Shot, picture: &Picture) -> bool {
    place(shot, picture).is_some()
}

/// How often each pixel of that row is repeated, where the picture is magnified.
fn magnified(shot: &Shot, picture: &Picture) -> Option<usize> {
    let row = row(picture);
    let mut rows = shot.pixels.chunks_exact(shot.width as usize);
    rows.find_map(|shown| {
        let first = shown.iter().position(|pixel| *pixel == row[0])?;
        let mut several = shown[first..].to_vec();
        let repeated = several.iter().take_while(|pixel| **pixel == row[0]);
        let repeated = repeated.count();
        several.dedup();
        (several.starts_with(&row) && repeated > 1).then_some(repeated)
    })
}

/// The height of the bar above a window that is as wide as the screen: the toolkit draws it in one colour.
fn bar(shot: &Shot) -> Option<u32> {
    let rows = shot.pixels.chunks_exact(shot.width as usize);
    let of_bar = |row: &[[u8; 3]]| row.iter().filter(|pixel| **pixel == [0x3a; 3]).count();
    let mut rows = (0..).zip(rows);
    rows.find(|(_, row)| of_bar(row) > row.len() / 2)
        .map(|(y, _)| y + 12)
}

#[test]
fn on_wayland_it_fills_the_screen_and_comes_back() {
    let _alone = alone();
    for api in APIS {
        let Some(x11) = X11::start(640, 480) else {
            return;
        };
        let runtime = tempfile::tempdir().expect("a folder");
        // In a window of an X server, so that it has a keyboard.
        let backend = ["--backend=x11-backend.so"];
        let Some(_weston) = weston(runtime.path(), &backend, &x11.name) else {
            return;
        };
        x11.window("Weston");
        let picture = Picture::of_many_colours(160, 120);
        let served = Served::picture(&picture);
        let mut viewer = view(&served, &["--api", api, "--json", "--filter", "nearest"]);
        viewer
            .command
            .env("XDG_RUNTIME_DIR", runtime.path())
            .env("WAYLAND_DISPLAY", "lucarne");
        let mut viewer = viewer.start();
        let whole = Placed {
            left: 0,
            top: 0,
            scale: 4,
        };
        x11.hide_pointer();
        // All but what the pointer covers.
        let fills = || differences(&x11.shot(640, 480), [640, 480], &picture, &whole) < 100;
        // Weston gives the keyboard to a window that it shows.
        until(&format!("{api}: a window"), || {
            is_somewhere(&x11.shot(640, 480), &picture).then_some(())
        });
        x11.press_below(key('f'));
        until(&format!("{api}: full screen"), || fills().then_some(()));
        x11.press_below(ESCAPE);
        until(&format!("{api}: the window again"), || {
            is_somewhere(&x11.shot(640, 480), &picture).then_some(())
        });
        x11.press_below(key('q'));
        assert_eq!(viewer.ended(0)["ended"], "the window was closed");
        // And from the beginning.
        let mut view = view(
            &served,
            &["--api", api, "--filter", "nearest", "--fullscreen"],
        );
        view.command
            .env("XDG_RUNTIME_DIR", runtime.path())
            .env("WAYLAND_DISPLAY", "lucarne");
        let mut viewer = view.start();
        until(&format!("{api}: --fullscreen"), || fills().then_some(()));
        viewer.interrupt();
        viewer.answer(0);
    }
}

#[test]
fn on_wayland_it_is_resized_and_closed_by_its_frame() {
    let _alone = alone();
    for api in APIS {
        let Some(x11) = X11::start(640, 480) else {
            return;
        };
        let runtime = tempfile::tempdir().expect("a folder");
        let Some(_weston) = weston(runtime.path(), &["--backend=x11-backend.so"], &x11.name) else {
            return;
        };
        x11.window("Weston");
        let picture = Picture::of_many_colours(160, 120);
        let served = Served::picture(&picture);
        let mut viewer = view(&served, &["--api", api, "--json", "--filter", "nearest"]);
        viewer
            .command
            .env("XDG_RUNTIME_DIR", runtime.path())
            .env("WAYLAND_DISPLAY", "lucarne");
        let mut viewer = viewer.start();
        x11.hide_pointer();
        let shot = || x11.shot(640, 480);
        let [left, top] = until(&format!("{api}: a window"), || place(&shot(), &picture));
        // The second button of its bar, from the right: as large as the screen.
        x11.click(left + 160 - 36, top - 12);
        x11.hide_pointer();
        until(&format!("{api}: a large window"), || {
            magnified(&shot(), &picture).filter(|times| *times >= 3)
        });
        // And back.
        let height = until(&format!("{api}: its bar"), || bar(&shot()));
        x11.click(640 - 36, height);
        x11.hide_pointer();
        let [left, top] = until(&format!("{api}: the window again"), || {
            place(&shot(), &picture)
        });
        x11.click(left + 160 - 12, top - 12);
        let report = viewer.ended(0);
        assert_eq!(report["ended"], "the window was closed", "{api}: {report}");
        assert_eq!(report["lost"], 0, "{api}: {report}");
    }
}
