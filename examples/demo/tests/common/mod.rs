//! Running the demo, and skipping aloud.

#![allow(dead_code, reason = "each test program uses a part of it")]

use lucarne_examples::picture::Picture;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The demo, without a display unless the test gives it one.
pub(crate) fn demo(output: &Path) -> Command {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_demo"));
    demo.arg("--output").arg(output);
    for name in [
        "DISPLAY",
        "WAYLAND_DISPLAY",
        "WAYLAND_SOCKET",
        "LUCARNE_VALIDATION",
    ] {
        demo.env_remove(name);
    }
    demo
}

/// The picture of a frame in the folder that the demo was given.
pub(crate) fn picture(output: &Path, frame: u32) -> Picture {
    Picture::load(&file(output, frame)).expect("the demo saved this frame")
}

/// Where the demo saves a frame.
pub(crate) fn file(output: &Path, frame: u32) -> PathBuf {
    output.join(format!("frame-{frame:03}.png"))
}

/// What the demo wrote to standard error.
pub(crate) fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
