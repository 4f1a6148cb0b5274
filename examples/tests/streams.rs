//! Streams between processes: everybody sees the same pictures, and finds the producer again.

#[path = "common/program.rs"]
mod program;

use lucarne_examples::picture::Picture;
use lucarne_examples::stream::Report;
use lucarne_tests::skip::skip;
use program::Program;
use rustix::process::{Resource, Rlimit, getrlimit, prlimit};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

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

#[test]
fn where_one_cannot_agree_all_three_end() {
    let folder = tempfile::tempdir().expect("a folder");
    // The CPU cannot read opaque memory, and the consumer does not trust the producer as that needs: whoever is told first.
    let output = Command::new(env!("CARGO_BIN_EXE_two-processes"))
        .args(["--json", "--size", SIZE, "--path", "opaque-fd", "--output"])
        .arg(folder.path())
        .output()
        .expect("cargo built it");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        complaint.contains("cannot share 97x55 frames"),
        "{complaint}"
    );
    assert!(complaint.contains("failed: exit status"), "{complaint}");
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
        &["--size", SIZE, "--wait-for", "2", "--patience", "20000"],
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

#[test]
fn every_kind_of_consumer_sees_every_frame() {
    let folder = tempfile::tempdir().expect("a folder");
    let start = |program, arguments: &[&str]| Program::start(program, folder.path(), arguments);
    let watching = ["--every", "--pictures", "1,6"];
    let programs = [
        env!("CARGO_BIN_EXE_consumer"),
        env!("CARGO_BIN_EXE_consumer-vulkan"),
        env!("CARGO_BIN_EXE_cpu-reader"),
    ];
    let consumers = programs.map(|program| start(program, &watching));
    let sending = "--frames 6 --fps 0 --wait-for 3 --patience 20000 --pictures 1,6 --size";
    let mut sending: Vec<&str> = sending.split(' ').collect();
    sending.push(SIZE);
    let producer = start(env!("CARGO_BIN_EXE_producer"), &sending).report();
    assert_eq!(producer.frames, 6);
    let load = |(number, path): &(u64, PathBuf)| (*number, Picture::load(path).expect("saved"));
    let sent: Vec<_> = producer.pictures.iter().map(load).collect();
    assert_eq!(sent.len(), 2);
    for consumer in consumers {
        let report = consumer.report();
        assert_eq!((report.frames, report.dropped), (6, 0), "{report:?}");
        let seen: Vec<_> = report.pictures.iter().map(load).collect();
        assert!(seen == sent, "other pictures than sent: {report:?}");
    }
}

/// Lets a program open no further descriptors for a while.
fn without_descriptors(program: &Program, time: Duration) {
    let none = Rlimit {
        current: Some(3),
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    let before = prlimit(Some(program.pid()), Resource::Nofile, none).expect("it runs");
    std::thread::sleep(time);
    prlimit(Some(program.pid()), Resource::Nofile, before).expect("it runs");
}

#[test]
fn a_producer_without_descriptors_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let start = |program, arguments: &[&str]| Program::start(program, folder.path(), arguments);
    let producer = start(
        env!("CARGO_BIN_EXE_producer"),
        &["--size", SIZE, "--fps", "50"],
    );
    let watching = ["--every", "--pictures", "1", "--frames", "60"];
    let reader = start(env!("CARGO_BIN_EXE_cpu-reader"), &watching);
    let begun = Instant::now();
    while !folder.path().join("cpu-reader/frame-000001.png").exists() {
        assert!(begun.elapsed() < Duration::from_secs(120), "no frame");
        std::thread::sleep(Duration::from_millis(5));
    }
    // Fences need descriptors, where they travel.
    without_descriptors(&producer, Duration::from_millis(400));
    let seen = reader.report();
    assert_eq!(
        (seen.frames, seen.dropped, seen.lost),
        (60, 0, 0),
        "{seen:?}"
    );
    producer.interrupt();
    assert!(producer.report().frames >= 60);
}

#[test]
fn ctrl_c_ends_each_in_good_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let start = |program, arguments: &[&str]| Program::start(program, folder.path(), arguments);
    let watching = ["--pictures", "1", "--every"];
    let programs = [
        env!("CARGO_BIN_EXE_consumer"),
        env!("CARGO_BIN_EXE_consumer-vulkan"),
        env!("CARGO_BIN_EXE_cpu-reader"),
    ];
    let consumers = programs.map(|program| start(program, &watching));
    let survivor = Program::start(programs[2], &folder.path().join("survivor"), &watching);
    let sending = ["--size", SIZE, "--wait-for", "3", "--patience", "20000"];
    let producer = start(env!("CARGO_BIN_EXE_producer"), &sending);
    // All of them are at work once the first frame is saved.
    let begun = Instant::now();
    for program in programs {
        let name = Path::new(program).file_name().expect("a program's path");
        while !folder.path().join(name).join("frame-000001.png").exists() {
            assert!(begun.elapsed() < Duration::from_secs(120), "{name:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    // One that waits for a producer, too.
    survivor.interrupt();
    assert_eq!(survivor.report().frames, 0);
    for consumer in consumers {
        consumer.interrupt();
        let report = consumer.report();
        assert!(report.frames > 0, "{report:?}");
    }
    producer.interrupt();
    assert!(producer.report().frames > 0);
    let names = std::fs::read_dir(folder.path().join("socket")).expect("the streams' folder");
    let names: Vec<_> = names
        .map(|one| one.expect("an entry").file_name())
        .collect();
    // The lock stays: whoever comes next may have it open already.
    assert_eq!(names, [".scene.lock"], "no socket is left behind");
}
