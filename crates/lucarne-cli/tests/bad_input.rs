//! What goes wrong in the middle: streams that end, disks that are full, Ctrl-C. Files are whole, or not there.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use lucarne::{Agreement, Extent, Format, Request, Usage, cpu};
use lucarne_stream::{Producer, ProducerOptions};

#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
use common::*;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const SERVED: [&str; 8] = [
    "--size",
    "64x32",
    "--rate",
    "200",
    "--pattern",
    "noise",
    "--api",
    "cpu",
];
const HEADER: &[u8] = b"YUV4MPEG2 W64 H32 F60000:1000 Ip A1:1 C444 XCOLORRANGE=LIMITED\n";
const FRAME: usize = b"FRAME\n".len() + 3 * 64 * 32;

/// How many frames a video file has, none of which is cut off.
fn whole_frames(path: &Path) -> usize {
    let bytes = std::fs::read(path).expect("a file");
    assert!(bytes.starts_with(HEADER));
    let frames = bytes[HEADER.len()..].chunks(FRAME);
    for frame in frames.clone() {
        assert_eq!(frame.len(), FRAME, "cut off");
        assert!(frame.starts_with(b"FRAME\n"));
    }
    frames.len()
}

/// The files in a folder that are nobody's: neither sockets and locks nor those that are named.
fn left_over(folder: &Path, known: &[&str]) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let is_known =
        |name: &String| known.contains(&name.as_str()) || name == "test" || name == ".test.lock";
    names.filter(|name| !is_known(name)).collect()
}

#[test]
fn ctrl_c_leaves_a_whole_recording() {
    let served = Served::start(&SERVED);
    let folder = served.folder.path().join("video");
    std::fs::create_dir(&folder).expect("a folder");
    for stop in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
        let file = folder.join("out.y4m");
        let child = lucarne(served.folder.path(), &["record", "test"])
            .arg(&file)
            .stdout(Stdio::piped())
            .spawn()
            .expect("lucarne runs");
        let begun = Instant::now();
        let is_growing = |entry: std::fs::DirEntry| {
            entry.path() != file
                && entry
                    .metadata()
                    .is_ok_and(|known| known.len() > 8 * FRAME as u64)
        };
        while !std::fs::read_dir(&folder)
            .expect("a folder")
            .flatten()
            .any(is_growing)
        {
            assert!(begun.elapsed() < PATIENCE, "it records nothing");
            std::thread::sleep(Duration::from_millis(5));
        }
        signal(&child, stop);
        let output = child.wait_with_output().expect("a child");
        assert_eq!(output.status.code(), Some(0));
        let said = text(&output.stdout);
        let frames = whole_frames(&file);
        assert!(
            frames >= 8 && said.contains(&format!("{frames} frames")),
            "{said}"
        );
        assert!(said.contains("asked to"), "{said}");
        assert_eq!(left_over(&folder, &["out.y4m"]), [""; 0]);
    }
}

#[test]
fn a_stream_that_ends_before_a_frame_is_told_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let device = cpu::Adapter::new(cpu::Allocator::HostMemory)
        .open()
        .expect("host memory");
    let offer = device.offer(Usage::RENDER).expect("an offer");
    let request = Request::new(Extent::new(8, 8)).formats(&[Format::XRGB8888]);
    let options = ProducerOptions::of(request).directory(folder.path());
    let allocate = move |agreement: &Agreement| {
        let image = device.export(agreement)?;
        let frame = image.frame().clone();
        Ok((image, frame))
    };
    let mut producer = Producer::bind("test", &offer, options, allocate).expect("the name is free");
    let file = folder.path().join("picture.png");
    let child = lucarne(folder.path(), &["snapshot", "test", "--timeout", "60"])
        .arg(&file)
        .stderr(Stdio::piped())
        .spawn()
        .expect("lucarne runs");
    let begun = Instant::now();
    while producer.consumers() == 0 {
        producer.dispatch().expect("served");
        assert!(begun.elapsed() < PATIENCE, "it does not come");
        std::thread::sleep(Duration::from_millis(1));
    }
    producer.end();
    let output = child.wait_with_output().expect("a child");
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(
        said.contains("the stream \"test\" ended before a frame came"),
        "{said}"
    );
    assert_eq!(left_over(folder.path(), &[]), [""; 0]);
}

/// Runs a script with a disk of its own at `disk`, of 300 kB, which nobody else sees. `None`, and a line that says so, where that
/// needs more rights.
fn with_small_disk(disk: &Path, script: &str) -> Option<Output> {
    let program = env!("CARGO_BIN_EXE_lucarne");
    let script = format!(
        "mount -t tmpfs -o size=300k lucarne '{}' || exit 77\nlucarne() {{ '{program}' \"$@\"; }}\n{script}",
        disk.display()
    );
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", &script])
        .output();
    match output {
        Ok(output)
            if output.status.code() == Some(77) || text(&output.stderr).starts_with("unshare:") =>
        {
            lucarne_tests::skip::skip(
                "privilege",
                &format!("no disk of its own: {}", text(&output.stderr).trim()),
            );
            None
        }
        Ok(output) => Some(output),
        Err(error) => {
            lucarne_tests::skip::skip("tool", &format!("unshare: {error}"));
            None
        }
    }
}

#[test]
fn a_full_disk_keeps_what_was_recorded() {
    let served = Served::start(&SERVED);
    let streams = served.folder.path().display().to_string();
    let disk = served.folder.path().join("disk");
    std::fs::create_dir(&disk).expect("a folder");
    let copy = served.folder.path().join("copy");
    std::fs::create_dir(&copy).expect("a folder");
    let (disk_name, copy_name) = (disk.display(), copy.display());
    let script = format!(
        "lucarne record test '{disk_name}/out.y4m' --folder '{streams}'; echo status $?; ls -A '{disk_name}'; \
         cp '{disk_name}/out.y4m' '{copy_name}'"
    );
    let Some(output) = with_small_disk(&disk, &script) else {
        return;
    };
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    assert!(
        said.contains("status 2\nout.y4m\n") && said.lines().count() == 2,
        "{said}{complained}"
    );
    let frames = whole_frames(&copy.join("out.y4m"));
    let kept = format!("out.y4m has the {frames} frames that are whole");
    assert!(
        complained.contains("out.y4m: No space left on device (os error 28); ")
            && complained.contains(&kept),
        "{complained}"
    );
    assert_eq!(
        frames,
        (300 * 1024 - HEADER.len()) / FRAME,
        "as many as fit"
    );
    // One frame too many, the end of which waits in memory until the recording ends.
    let frames = (300 * 1024 - HEADER.len()) / FRAME;
    let script = format!(
        "lucarne record test '{disk_name}/out.y4m' --frames {} --folder '{streams}'; echo status $?; ls -A '{disk_name}'; \
         cp '{disk_name}/out.y4m' '{copy_name}'",
        frames + 1
    );
    let output = with_small_disk(&disk, &script).expect("as before");
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(said, "status 2\nout.y4m\n", "{complained}");
    assert_eq!(whole_frames(&copy.join("out.y4m")), frames, "{complained}");
    // Pictures: each is whole.
    let script = format!(
        "lucarne record test '{disk_name}/frames' --folder '{streams}'; echo status $?; cp -r '{disk_name}/frames' '{copy_name}'"
    );
    let output = with_small_disk(&disk, &script).expect("as before");
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    assert!(said.contains("status 2"), "{said}{complained}");
    assert!(
        complained.contains("No space left on device"),
        "{complained}"
    );
    let files: Vec<_> = std::fs::read_dir(copy.join("frames"))
        .expect("a folder")
        .flatten()
        .collect();
    assert!(files.len() > 20, "{} files", files.len());
    for file in files {
        assert_eq!(
            pixels(&file.path()).2.len(),
            64 * 32 * 3,
            "{:?}",
            file.file_name()
        );
    }
}

#[test]
fn a_full_disk_leaves_the_picture_that_was_there() {
    let served = Served::start(&SERVED);
    let streams = served.folder.path().display().to_string();
    let disk = served.folder.path().join("disk");
    std::fs::create_dir(&disk).expect("a folder");
    let name = disk.display();
    let script = format!(
        "echo precious > '{name}/p.png'; dd if=/dev/zero of='{name}/fill' 2> '{name}/../dd'; \
         lucarne snapshot test '{name}/p.png' --folder '{streams}'; echo status $?; cat '{name}/p.png'; ls -A '{name}'"
    );
    let Some(output) = with_small_disk(&disk, &script) else {
        return;
    };
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(said, "status 2\nprecious\nfill\np.png\n", "{complained}");
    assert!(
        complained.contains("p.png: No space left on device"),
        "{complained}"
    );
}

#[test]
fn a_wrong_format_has_neighbours() {
    let folder = tempfile::tempdir().expect("a folder");
    let complaint = |arguments: &[&str]| complaint(folder.path(), arguments);
    let said = complaint(&["serve", "x", "--format", "XRGB888"]);
    assert!(said.contains("did you mean XRGB8888"), "{said}");
    let said = complaint(&["serve", "x", "--format", "ABGR16161616F"]);
    assert!(said.contains("such as ABGR16161616,"), "{said}");
    let said = complaint(&["relay", "x", "y", "--format", "XRGB888"]);
    assert!(said.contains("did you mean XRGB8888"), "{said}");
    for command in ["snapshot", "record", "relay"] {
        let said = complaint(&[command, "x", "y"]);
        assert!(
            said.contains("there is no stream \"x\", and none at all in "),
            "{said}"
        );
    }
}
