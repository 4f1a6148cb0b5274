//! The consumer's window on an X server: the colours that the producer drew, and no lighter ones.

#[path = "../../tests/common/program.rs"]
mod program;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lucarne_tests::display::{Running, Xvfb};
use program::Program;

const SOON: Duration = Duration::from_secs(60);
/// The scene's background, in codes.
const NIGHT: [u8; 3] = [5, 8, 20];

/// A screen's pixels out of the file that Xvfb keeps (X11/XWDFile.h), red, green, blue, row by row.
fn screen(folder: &Path) -> Option<(usize, Vec<[u8; 3]>)> {
    let bytes = std::fs::read(folder.join("Xvfb_screen0")).ok()?;
    let word = |index: usize| {
        let four = bytes.get(4 * index..4 * index + 4)?;
        usize::try_from(u32::from_be_bytes(four.try_into().ok()?)).ok()
    };
    let (header, width, height, pitch, colors) =
        (word(0)?, word(4)?, word(5)?, word(12)?, word(19)?);
    let rows = bytes
        .get(header + 12 * colors..)?
        .chunks_exact(pitch)
        .take(height);
    let pixels = rows.flat_map(|row| row.chunks_exact(4).take(width));
    Some((
        width,
        pixels.map(|pixel| [pixel[2], pixel[1], pixel[0]]).collect(),
    ))
}

#[test]
fn the_window_shows_the_colours_that_were_drawn() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(xvfb) = Xvfb::start(700, 420, Some(folder.path())) else {
        return;
    };
    let sending = ["--size", "640x360", "--fps", "30", "--patience", "20000"];
    let producer = Program::start(env!("CARGO_BIN_EXE_wgpu-producer"), folder.path(), &sending);
    let consumer = Command::new(env!("CARGO_BIN_EXE_wgpu-consumer"))
        .args(["--window", "--directory"])
        .arg(folder.path().join("socket"))
        .env("DISPLAY", &xvfb.name)
        .env_remove("WAYLAND_DISPLAY")
        .stdout(Stdio::null())
        .spawn();
    let mut consumer = Running(consumer.expect("cargo built it"));

    let near = |pixel: [u8; 3]| (0..3).all(|at| pixel[at].abs_diff(NIGHT[at]) <= 2);
    let begun = Instant::now();
    loop {
        let (width, pixels) = screen(folder.path()).unwrap_or_default();
        let corner = pixels.get(5 * width + 5).copied().unwrap_or_default();
        let bright = pixels
            .iter()
            .filter(|[r, g, b]| r.max(g.max(b)) > &120)
            .count();
        if near(corner) && bright > 1000 {
            break;
        }
        assert!(
            begun.elapsed() < SOON,
            "the corner is {corner:?}, {bright} pixels are bright"
        );
        assert!(
            consumer.0.try_wait().expect("a child").is_none(),
            "the window is gone"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    producer.interrupt();
    assert!(producer.report().frames > 0);
    // The stream's end is the window's.
    assert!(consumer.0.wait().expect("a child").success());
}
