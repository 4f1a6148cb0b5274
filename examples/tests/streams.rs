//! Streams between processes: everybody sees the same pictures, and finds the producer again.

mod common;

use common::skip;
use lucarne_examples::picture::Picture;
use lucarne_examples::stream::Report;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const SIZE: &str = "97x55";

fn two_processes(path: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_two-processes"))
        .args(["--json", "--size", SIZE, "--frames", "12", "--path", path])
        .args(["--resize-every", "5", "--output"])
        .arg(folder.path())
        .output()
        .expect("cargo built it");
    let complaint = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() && path == "dma-buf" && complaint.contains("needs /dev/udmabuf (") {
        skip("udmabuf", "no /dev/udmabuf here, neither real nor emulated");
        return;
    }
    assert!(output.status.success(), "{complaint}");
    let reports: Vec<Report> = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(reports.len(), 3);
    for report in &reports {
        assert!(report.rung.contains(path), "{report:?}");
        assert_eq!((report.frames, report.dropped), (12, 0), "{report:?}");
        assert!(report.generations >= 2, "it was resized: {report:?}");
        let numbers: Vec<u64> = report.pictures.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [1, 4, 8, 12]);
    }
    // The program has compared the pictures with each other. They also show something, and not the same thing.
    let picture = |number: usize| Picture::load(&reports[2].pictures[number].1).expect("saved");
    assert_eq!(picture(0).width(), 97);
    let (_, differing) = picture(0).difference(&picture(1)).expect("one size");
    assert!(differing > 100, "the scene moves: {differing}");
}

#[test]
fn three_processes_see_the_same_pictures_in_dma_bufs() {
    two_processes("dma-buf");
}

#[test]
fn three_processes_see_the_same_pictures_in_host_memory() {
    two_processes("host-memory");
}

/// Ended when dropped.
struct Program(Child);

impl Program {
    fn start(program: &str, folder: &Path, arguments: &[&str]) -> Self {
        let child = Command::new(program)
            .args(["--json", "--directory"])
            .arg(folder.join("socket"))
            .arg("--output")
            .arg(folder)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn();
        Self(child.expect("cargo built it"))
    }

    fn report(mut self) -> Report {
        let out = self.0.stdout.take().expect("piped");
        let text = std::io::read_to_string(out).expect("text");
        assert!(self.0.wait().expect("a child").success());
        serde_json::from_str(&text).expect("JSON")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_consumer_comes_first_and_outlives_a_killed_producer() {
    let folder = tempfile::tempdir().expect("a folder");
    let start = |program, arguments: &[&str]| Program::start(program, folder.path(), arguments);
    // Before there is any producer.
    let reader = start(env!("CARGO_BIN_EXE_cpu-reader"), &["--last"]);
    let vulkan = start(env!("CARGO_BIN_EXE_consumer-vulkan"), &["--frames", "5"]);
    let endless = start(
        env!("CARGO_BIN_EXE_producer"),
        &["--size", SIZE, "--wait-for", "2"],
    );
    // Enough of it, and its producer dies without a word.
    assert_eq!(vulkan.report().frames, 5);
    drop(endless);
    let ending = ["--size", SIZE, "--frames", "7", "--fps", "0"];
    let producer = start(env!("CARGO_BIN_EXE_producer"), &ending);
    assert_eq!(producer.report().frames, 7);
    let seen = reader.report();
    // More than once where it found the killed one while the kernel was still taking that down.
    assert!(seen.lost >= 1, "{seen:?}");
    let [(number, path)] = &seen.pictures[..] else {
        panic!("one picture: {seen:?}");
    };
    assert_eq!(*number, 7, "the second producer's last frame");
    assert_eq!(Picture::load(path).expect("saved").height(), 55);
}
