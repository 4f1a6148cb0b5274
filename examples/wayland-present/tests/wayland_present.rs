//! The example's window in Weston: every pixel of its last frame is on the screen.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use lucarne_tests::display::{Backend, Running, SOCKET, until, weston};
use lucarne_tests::picture::{Picture, weston_shot};

const SIZE: [u32; 2] = [320, 240];

/// What the example draws.
fn pattern(number: u32) -> Picture {
    let low = |value: u32| value.to_le_bytes()[0];
    let rows = (0..SIZE[1]).flat_map(|y| (0..SIZE[0]).map(move |x| (x, y)));
    let pixel = |(x, y): (u32, u32)| [low((x ^ y) + 2 * number), low(y), low(x + number)];
    Picture {
        width: SIZE[0],
        height: SIZE[1],
        pixels: rows.map(pixel).collect(),
    }
}

#[test]
fn the_last_frame_stays_in_the_window() {
    for backend in [Backend::Headless, Backend::Pixman] {
        let runtime = tempfile::tempdir().expect("a folder");
        let arguments = ["--debug", "--width=640", "--height=480"];
        let Some(weston) = weston(runtime.path(), backend, &arguments) else {
            return;
        };
        let mut child = Command::new(env!("CARGO_BIN_EXE_wayland-present"))
            .args(["--frames", "20"])
            .env("XDG_RUNTIME_DIR", runtime.path())
            .env("WAYLAND_DISPLAY", SOCKET)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example runs");
        let said = child.stdout.take().expect("a pipe");
        let mut child = Running(child);
        let mut line = String::new();
        // Open until the end: it says more.
        let mut said = BufReader::new(said);
        said.read_line(&mut line).expect("a line");
        assert!(line.starts_with("shows "), "{line}");
        let last = pattern(19);
        until("the last frame on the screen", || {
            let shot = weston_shot(runtime.path());
            shot.holds(&last).then_some(())
        });
        // A compositor that goes ends it with an error, and at once.
        drop(weston);
        let ended = until("the example's end", || child.0.try_wait().expect("a child"));
        assert_eq!(ended.code(), Some(1));
    }
}
