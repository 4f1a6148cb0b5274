//! A screen of sway's, which has `wlr-screencopy` and draws with the CPU. It refuses to run as root, and CI is root: it runs as nobody then.

mod common;

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lucarne::cpu::Allocator;
use lucarne::{Extent, Fence};
use lucarne_tests::display::{Running, server, until};
use lucarne_tests::picture::Picture;
use lucarne_tests::{TIMEOUT, fds};
use lucarne_wayland::Display;
use tempfile::TempDir;

use common::{SHORT, Show, allocate, connect, read};

const NOBODY: u32 = 65534;

struct Sway {
    runtime: TempDir,
    _running: Running,
}

impl Sway {
    fn start(width: u32, height: u32) -> Option<Self> {
        let runtime = tempfile::tempdir().expect("a folder");
        let config = runtime.path().join("config");
        let text = format!(
            "output HEADLESS-1 resolution {width}x{height} position 0 0\ndefault_border none\nxwayland disable\n"
        );
        std::fs::write(&config, text).expect("written");
        let mut command = if rustix::process::geteuid().is_root() {
            for path in [runtime.path(), &config] {
                chown(path, Some(NOBODY), Some(NOBODY)).expect("root may");
            }
            let mut command = Command::new("setpriv");
            command.args([
                &format!("--reuid={NOBODY}"),
                &format!("--regid={NOBODY}"),
                "--clear-groups",
                "sway",
            ]);
            command
        } else {
            Command::new("sway")
        };
        command.arg("--config").arg(&config).current_dir("/");
        command
            .env("XDG_RUNTIME_DIR", runtime.path())
            .env("HOME", runtime.path())
            .env("WLR_BACKENDS", "headless")
            .env("WLR_RENDERER", "pixman")
            .env("WLR_LIBINPUT_NO_DEVICES", "1")
            .env_remove("WAYLAND_DISPLAY")
            .env_remove("DISPLAY")
            .stdout(Stdio::null());
        if !is_installed() {
            lucarne_tests::skip::skip("window", "sway: not found (package sway)");
            return None;
        }
        let mut running = server(&mut command, "sway")?;
        until("sway's start", || {
            let ended = running.0.try_wait().expect("a child");
            assert!(ended.is_none(), "sway ended at its start: {ended:?}");
            std::os::unix::net::UnixStream::connect(socket(runtime.path())).ok()
        });
        Some(Self {
            runtime,
            _running: running,
        })
    }
}

/// `setpriv` would be found, and would not find it.
fn is_installed() -> bool {
    let asked = Command::new("sway").arg("--version").output();
    asked.is_ok_and(|output| output.status.success())
}

fn socket(runtime: &Path) -> PathBuf {
    runtime.join("wayland-1")
}

#[test]
fn a_window_of_sways_is_captured_pixel_by_pixel() {
    let _alone = fds::alone();
    let (width, height) = (640, 479);
    let Some(sway) = Sway::start(width, height) else {
        return;
    };
    let socket = socket(sway.runtime.path());
    let window = common::window(&socket);
    let extent = Extent::new(width, height);
    let mut show = Show::begin(&window, &Allocator::HostMemory, extent, 3);
    let display = Display::wrap(&connect(&socket), TIMEOUT).expect("a display");
    let mut capture = display.capture(None, false, TIMEOUT).expect("a screen");
    assert_eq!(capture.protocol(), "zwlr_screencopy_manager_v1");
    assert_eq!(capture.extent().expect("a size"), extent);
    let device = lucarne_tests::cpu::open(&Allocator::HostMemory);
    let (image, buffer) = allocate(&display, &capture, &device);
    for seed in 0..3 {
        let picture = Picture::of_many_colours(width, height, seed);
        show.show(&picture);
        until("the window on the captured screen", || {
            let captured = capture.capture(&buffer, &Fence::Signaled, SHORT);
            let captured = captured.expect("a compositor")?;
            let upside_down = captured.orientation != lucarne::color::Orientation::Normal;
            assert!(!upside_down, "sway's CPU renderer does not turn pictures");
            let bytes = read(&image, &captured.fence);
            let colours = |bytes: &[u8]| -> Vec<[u8; 3]> {
                let (pixels, _) = bytes.as_chunks::<4>();
                pixels.iter().map(|[b, g, r, _]| [*r, *g, *b]).collect()
            };
            (colours(&bytes) == picture.pixels).then_some(())
        });
    }
}
