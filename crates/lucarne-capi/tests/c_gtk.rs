//! `examples/gtk4-viewer`: compiled by the line of its README, and looked at, from inside its window and from outside.

mod common;
mod desktop;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{Installed, exists, has_packages, root, succeed, told};
use desktop::{HEIGHT, Picture, Served, WIDTH, Weston};
use lucarne::MemoryPath;
use lucarne_tests::display::{Running, Xvfb, until};
use lucarne_tests::skip::{skip, skip_case};

/// Text covers no row above this one.
const CLEAR_OF_TEXT: u32 = HEIGHT / 2;

/// Compiles the viewer; `None` (said aloud) where GTK's headers are missing.
fn compile(installed: &Installed, compiler: &str) -> Option<PathBuf> {
    if !has_packages(&["gtk4", "epoxy"]) {
        skip("gtk", "pkg-config finds no gtk4 (package libgtk-4-dev)");
        return None;
    }
    let folder = root().join("examples/gtk4-viewer");
    let page = std::fs::read_to_string(folder.join("README.md")).expect("the README");
    let line = page
        .lines()
        .find(|line| line.starts_with("cc "))
        .expect("a line");
    let place = installed.path().join("gtk4-viewer");
    let line = line.replacen("cc ", &format!("{compiler} "), 1);
    let line = line.replace("-o gtk4-viewer", &format!("-o '{}'", place.display()));
    let mut shell = Command::new("sh");
    shell.args(["-c", &line]).current_dir(folder);
    succeed(shell.env("PREFIX", installed.path()));
    Some(place)
}

/// The viewer of the stream "scene" that fills the screen, not started yet.
fn viewer(installed: &Installed, program: &Path, streams: &Path) -> Command {
    let mut command = installed.command(program);
    command
        .arg("--folder")
        .arg(streams)
        .args(["--fullscreen", "scene"]);
    // Neither settings nor a bus of whoever runs this.
    command
        .env("HOME", installed.path())
        .env("GSETTINGS_BACKEND", "memory")
        .env("GTK_A11Y", "none")
        .env_remove("DBUS_SESSION_BUS_ADDRESS");
    command
}

#[test]
fn each_compiler_takes_it_without_a_warning() {
    for kind in ["gcc", "clang"] {
        if !exists(kind) {
            skip_case(kind, &format!("{kind} is not installed"));
        } else if compile(&Installed::new(), kind).is_none() {
            return;
        }
    }
}

/// After some frames the window has the stream's picture and nothing else. What the viewer said of them.
fn every_pixel_is_right(
    installed: &Installed,
    program: &Path,
    show: impl FnOnce(&mut Command),
) -> String {
    let streams = installed.path().join("streams");
    let picture = Picture::of_many_colours(WIDTH, HEIGHT, 0);
    let _served = Served::start(&streams, &picture);
    let mut viewer = viewer(installed, program, &streams);
    show(&mut viewer);
    let file = installed.path().join("shot.ppm");
    viewer.args(["--frames", "10", "--shot"]).arg(&file);
    let said = told(&succeed(&mut viewer));
    let shot = Picture::of_ppm(&file);
    assert_eq!(picture.differences(&shot, 0..HEIGHT), 0, "{said}");
    let (_, copies) = said.split_once("copies a frame: ").expect("told");
    let copies = copies.lines().next().and_then(|number| number.parse().ok());
    let path = match said.contains("dma-buf") {
        true => MemoryPath::DmaBuf,
        false => MemoryPath::HostMemory,
    };
    desktop::record("GTK", "gtk4", path, copies.expect("a number"));
    said
}

#[test]
fn every_pixel_is_right_on_wayland() {
    let installed = Installed::new();
    let Some(program) = compile(&installed, "cc") else {
        return;
    };
    let Some(weston) = Weston::start() else {
        return;
    };
    let said = every_pixel_is_right(&installed, &program, |viewer| {
        weston.shows(viewer);
    });
    if !said.contains("dma-buf") {
        skip_case(
            "dma-buf",
            &format!("the window has frames in other memory: {said}"),
        );
    }
}

#[test]
fn every_pixel_is_right_on_x11() {
    let installed = Installed::new();
    let Some(program) = compile(&installed, "cc") else {
        return;
    };
    let Some(xvfb) = Xvfb::start(WIDTH, HEIGHT, None) else {
        return;
    };
    every_pixel_is_right(&installed, &program, |viewer| {
        viewer
            .env("DISPLAY", &xvfb.name)
            .env_remove("WAYLAND_DISPLAY");
    });
}

/// Until the compositor shows these rows of the picture.
fn shown(weston: &Weston, what: &str, picture: &Picture, rows: std::ops::Range<u32>) {
    until(what, || {
        let shot = weston.shot();
        (picture.differences(&shot, rows.clone()) == 0).then_some(())
    });
}

#[test]
fn the_last_picture_stays_until_the_producer_is_back() {
    let installed = Installed::new();
    let Some(program) = compile(&installed, "cc") else {
        return;
    };
    let Some(weston) = Weston::start() else {
        return;
    };
    let streams = installed.path().join("streams");
    let said = installed.path().join("said");
    let mut viewer = viewer(&installed, &program, &streams);
    let output = std::fs::File::create(&said).expect("a file");
    weston
        .shows(&mut viewer)
        .stdin(Stdio::null())
        .stderr(output);
    let mut viewer = Running(viewer.spawn().expect("it runs"));
    let says = |text: &str| {
        until(text, || {
            let said = std::fs::read_to_string(&said).expect("text");
            said.contains(text).then_some(())
        });
    };
    says("There is no stream \"scene\" yet");

    let [first, second] = [1, 2].map(|seed| Picture::of_many_colours(WIDTH, HEIGHT, seed));
    let served = Served::start(&streams, &first);
    shown(&weston, "the first picture", &first, 0..HEIGHT);
    drop(served);
    says("this is its last picture. Start it again");
    shown(
        &weston,
        "the last picture, and text below",
        &first,
        0..CLEAR_OF_TEXT,
    );
    until("text over the picture", || {
        let covered = first.differences(&weston.shot(), CLEAR_OF_TEXT..HEIGHT);
        (covered > 100).then_some(())
    });

    let served = Served::start(&streams, &second);
    shown(&weston, "the second picture", &second, 0..HEIGHT);
    drop(served);
    // Other proportions: black beside it, and its rows doubled.
    let narrow = Picture::of_many_colours(WIDTH / 4, HEIGHT / 2, 3);
    let _served = Served::start(&streams, &narrow);
    until("a narrow picture in the middle", || {
        let shot = weston.shot();
        let at = |x: u32, y: u32| shot.pixels[(y * WIDTH + x) as usize];
        let is_black = |x: u32| (0..HEIGHT).all(|y| at(x, y) == [0; 3]);
        let sides = is_black(WIDTH / 4 - 1) && is_black(3 * WIDTH / 4);
        (sides && !is_black(WIDTH / 4) && !is_black(3 * WIDTH / 4 - 1)).then_some(())
    });
    assert!(viewer.0.try_wait().expect("a child").is_none(), "it ended");
}
