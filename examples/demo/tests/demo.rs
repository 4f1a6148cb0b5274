//! The demo as a program: every memory path shows the same pictures, and the report is true.

mod common;

use common::{complaint, demo, file, picture};
use lucarne_tests::skip::skip;
use serde_json::Value;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::process::Output;

/// An odd size, so that no row is a whole number of anything.
const SIZE: &str = "97x55";
const FRAMES: u32 = 4;
const PICTURES: [u32; 4] = [0, 1, 2, 4];
const PATHS: [&str; 3] = ["dma-buf", "opaque-fd", "host-memory"];

fn run(output: &Path, arguments: &[&str]) -> Output {
    let mut demo = demo(output);
    demo.args(["--size", SIZE, "--frames", &FRAMES.to_string()])
        .args(arguments);
    demo.output().expect("cargo built it")
}

fn report(output: &Output) -> Value {
    assert!(output.status.success(), "{}", complaint(output));
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// Runs the demo on a path; `None` (said aloud) where this machine has no way to make a dma-buf.
fn on_path(output: &Path, path: &str, validate: bool) -> Option<Value> {
    let mut demo = demo(output);
    demo.args([
        "--size",
        SIZE,
        "--frames",
        &FRAMES.to_string(),
        "--path",
        path,
        "--json",
    ]);
    if validate {
        demo.env("LUCARNE_VALIDATION", "1");
    }
    let ended = demo.output().expect("cargo built it");
    let complaint = complaint(&ended);
    if !ended.status.success() && path == "dma-buf" && complaint.contains("/dev/udmabuf (") {
        skip("udmabuf", "no /dev/udmabuf here, neither real nor emulated");
        return None;
    }
    if !ended.status.success() && complaint.contains("needs VK_LAYER_KHRONOS_validation") {
        skip(
            "validation",
            "no VK_LAYER_KHRONOS_validation here (package vulkan-validationlayers)",
        );
        return None;
    }
    Some(report(&ended))
}

#[test]
fn all_paths_show_the_same_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let mut shown = Vec::new();
    for path in PATHS {
        let output = folder.path().join(path);
        let Some(report) = on_path(&output, path, false) else {
            continue;
        };
        assert_eq!(report["path"], path);
        assert_eq!(report["frames"], FRAMES);
        assert_eq!(report["imports"], 3, "three images, each imported once");
        let copies = report["copies_per_frame"].as_u64().unwrap();
        // Software rasterisers work in host memory itself; a graphics card copies to and from it.
        let software = report["gl_renderer"].as_str().unwrap().contains("llvmpipe");
        let free = path != "host-memory" || software;
        assert!(copies == 0 || !free, "{copies} copies on {path}");
        // The emulation answers `open`, never `stat`.
        let device = std::fs::metadata("/dev/udmabuf");
        let real = device.is_ok_and(|device| device.file_type().is_char_device());
        let software = report["vulkan_device"]
            .as_str()
            .unwrap()
            .contains("llvmpipe");
        if software {
            assert_eq!(report["emulated"], path == "dma-buf" && !real);
        }
        let images: Vec<&str> = report["images"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one.as_str().unwrap())
            .collect();
        assert_eq!(
            images,
            PICTURES.map(|frame| file(&output, frame).display().to_string())
        );
        shown.push((path, PICTURES.map(|frame| picture(&output, frame))));
    }
    let (first, pictures) = &shown[0];
    assert_eq!((pictures[0].width(), pictures[0].height()), (97, 55));
    assert_ne!(
        pictures[0].difference(&pictures[3]),
        Some((0, 0)),
        "the scene does not move"
    );
    assert!(shown.len() >= 2, "nothing to compare {first} with");
    for (path, others) in &shown[1..] {
        for (frame, (one, other)) in PICTURES.iter().zip(pictures.iter().zip(others)) {
            let same = Some((0, 0));
            assert_eq!(
                one.difference(other),
                same,
                "frame {frame} differs: {first} and {path}"
            );
        }
    }
}

#[test]
fn the_validation_layer_has_nothing_to_say() {
    for path in PATHS {
        let folder = tempfile::tempdir().unwrap();
        // A complaint of the layer's ends the demo with status 1, which `report` refuses.
        if on_path(folder.path(), path, true).is_none() {
            continue;
        }
    }
}

#[test]
fn without_emulation_nothing_is_emulated() {
    let folder = tempfile::tempdir().unwrap();
    let report = report(&run(folder.path(), &["--no-emulation", "--json"]));
    assert_eq!(report["emulated"], false);
    assert_eq!(report["emulated_fences"], false);
}

#[test]
fn the_report_is_for_people_too() {
    let folder = tempfile::tempdir().unwrap();
    let ended = run(folder.path(), &["--path", "host-memory"]);
    let text = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{}", complaint(&ended));
    assert!(text.contains("host-memory, rung 4 of 4"), "{text}");
    assert!(
        text.contains("refused   rung 1 and 2, dma-buf: not among the paths asked for"),
        "{text}"
    );
    assert!(
        text.contains("off screen: neither WAYLAND_DISPLAY nor DISPLAY is set"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "colours in a pipe:\n{text}");
}

#[test]
fn what_cannot_be_ends_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, status, reason) in [
        (&["--size", "0x9"][..], 2, "--size"),
        (&["--path", "telepathy"], 2, "opaque-fd"),
        (&["--format", "NV12"], 1, "NV12"),
        (&["--device", "no such device"], 1, "there are: "),
    ] {
        let mut demo = demo(folder.path());
        let ended = demo
            .args(["--frames", "1"])
            .args(arguments)
            .output()
            .unwrap();
        assert_eq!(
            ended.status.code(),
            Some(status),
            "{arguments:?}: {}",
            complaint(&ended)
        );
        assert!(
            complaint(&ended).contains(reason),
            "{arguments:?}: {}",
            complaint(&ended)
        );
    }
    let nowhere = demo(Path::new("/dev/null/nowhere"))
        .arg("--frames=1")
        .output()
        .unwrap();
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(
        complaint(&nowhere).contains("/dev/null/nowhere"),
        "{}",
        complaint(&nowhere)
    );
}
