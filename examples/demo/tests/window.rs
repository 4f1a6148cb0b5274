//! The demo's window, looked at from outside: what a display server shows is what the demo draws off screen.

mod common;

use common::{complaint, demo, file, picture};
use lucarne_examples::picture::Picture;
use lucarne_tests::display::{Backend, Running, SOCKET, Xvfb, weston};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const WIDTH: u32 = 480;
const HEIGHT: u32 = 270;
const FRAMES: u32 = 3;
/// A window's framebuffer is kept the other way up, so edges may be rounded by one step elsewhere.
const TOLERANCE: (u8, usize) = (2, (WIDTH * HEIGHT / 500) as usize);
/// Display servers start at their own pace.
const PATIENCE: Duration = Duration::from_secs(60);

fn size_and_frames(demo: &mut Command) -> &mut Command {
    demo.args([
        "--size",
        &format!("{WIDTH}x{HEIGHT}"),
        "--frames",
        &FRAMES.to_string(),
    ])
}

/// Starts the demo in a window and waits until it holds its last frame there.
fn holding(folder: &Path, display: (&str, &str)) -> Running {
    let mut demo = demo(folder);
    size_and_frames(&mut demo).args(["--hold-at", &FRAMES.to_string()]);
    demo.env(display.0, display.1)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut demo = Running(demo.spawn().expect("cargo built it"));
    let mut said = Vec::new();
    for line in BufReader::new(demo.0.stderr.take().expect("piped")).lines() {
        said.push(line.expect("text"));
        if said
            .last()
            .is_some_and(|line| *line == format!("holding frame {FRAMES}"))
        {
            return demo;
        }
    }
    panic!("the demo did not hold its last frame in a window: {said:?}");
}

/// The last frame as the demo draws it without a display.
fn off_screen(folder: &Path) -> Picture {
    let ended = size_and_frames(&mut demo(folder))
        .output()
        .expect("cargo built it");
    assert!(ended.status.success(), "{}", complaint(&ended));
    let (before, last) = (picture(folder, FRAMES - 1), picture(folder, FRAMES));
    assert!(
        !last.difference(&before).is_some_and(is_small),
        "neighbouring frames look the same"
    );
    last
}

/// Waits until the screen shows the expected picture.
fn expect_on_screen(expected: &Picture, mut screenshot: impl FnMut() -> Option<Picture>) {
    let start = Instant::now();
    let mut last = String::from("no screenshot");
    while start.elapsed() < PATIENCE {
        let difference = screenshot().map(|shown| shown.difference(expected));
        if difference.flatten().is_some_and(is_small) {
            return;
        }
        last = format!("(largest difference, differing pixels): {difference:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
    panic!("the screen does not show what the demo draws off screen: {last}");
}

fn is_small((largest, differing): (u8, usize)) -> bool {
    largest <= TOLERANCE.0 && differing <= TOLERANCE.1
}

#[test]
fn on_x11() {
    let folder = tempfile::tempdir().unwrap();
    let screen = folder.path().join("Xvfb_screen0");
    let Some(xvfb) = Xvfb::start(WIDTH, HEIGHT, Some(folder.path())) else {
        return;
    };

    let windowed = folder.path().join("window");
    let _demo = holding(&windowed, ("DISPLAY", &xvfb.name));
    let expected = off_screen(&folder.path().join("off-screen"));
    assert_eq!(
        picture(&windowed, FRAMES).difference(&expected),
        Some((0, 0))
    );
    expect_on_screen(&expected, || xwd(&std::fs::read(&screen).ok()?));
}

/// Reads an X window dump as Xvfb keeps it: a header of big-endian words, colours, then rows of four-byte pixels
/// with blue first.
fn xwd(dump: &[u8]) -> Option<Picture> {
    let word = |index: usize| {
        let bytes = dump.get(4 * index..4 * index + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    };
    let (header, width, height) = (word(0)?, word(4)?, word(5)?);
    let (bits_per_pixel, row, colors) = (word(11)?, word(12)?, word(19)?);
    assert_eq!(
        (word(1)?, word(7)?, bits_per_pixel),
        (7, 0, 32),
        "not the dump that this reads"
    );
    let start = header as usize + 12 * colors as usize;
    let rows: Vec<&[u8]> = dump
        .get(start..)?
        .chunks_exact(row as usize)
        .take(height as usize)
        .collect();
    let pixels = rows
        .iter()
        .rev()
        .flat_map(|row| row.chunks_exact(4).take(width as usize));
    let rgba: Vec<u8> = pixels
        .flat_map(|bgrx| [bgrx[2], bgrx[1], bgrx[0], 255])
        .collect();
    (rows.len() == height as usize).then(|| Picture::from_bottom_up(width, height, rgba))
}

#[test]
fn on_wayland() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = folder.path();
    // The kiosk shell gives the window the whole screen; screenshots are for debugging only.
    let arguments = [
        "--shell=kiosk",
        "--debug",
        &format!("--width={WIDTH}"),
        &format!("--height={HEIGHT}"),
    ];
    let Some(_weston) = weston(runtime, Backend::Headless, &arguments) else {
        return;
    };

    let windowed = runtime.join("window");
    // By its absolute path the demo finds the socket without XDG_RUNTIME_DIR.
    let socket = runtime.join(SOCKET).display().to_string();
    let _demo = holding(&windowed, ("WAYLAND_DISPLAY", &socket));
    let expected = off_screen(&runtime.join("off-screen"));
    assert_eq!(
        picture(&windowed, FRAMES).difference(&expected),
        Some((0, 0))
    );
    let shots = runtime.join("shots");
    expect_on_screen(&expected, || {
        // Each screenshot is the only file of its folder.
        let _ = std::fs::remove_dir_all(&shots);
        std::fs::create_dir(&shots).ok()?;
        let mut shooter = Command::new("weston-screenshooter");
        shooter
            .current_dir(&shots)
            .env("XDG_RUNTIME_DIR", runtime)
            .env("WAYLAND_DISPLAY", SOCKET);
        shooter.env_remove("XDG_PICTURES_DIR").output().ok()?;
        let shot = std::fs::read_dir(&shots).ok()?.next()?.ok()?;
        Picture::load(&shot.path()).ok()
    });
    assert!(file(&windowed, 0).exists());
}
