//! Two commands beside each other: one serves, another watches.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
use common::terminal::Terminal;
use common::*;

#[test]
fn a_pattern_is_served_seen_and_recorded() {
    let mut served = Served::start(&["--pattern", "stamp", "--size", "128x16", "--rate", "200"]);
    let folder = served.folder.path().join("frames");
    let output = served.run(&[
        "record",
        "test",
        folder.to_str().expect("UTF-8"),
        "--frames",
        "5",
        "--json",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (report["frames"].as_u64(), report["dropped"].as_u64()),
        (Some(5), Some(0)),
        "{report}"
    );
    let numbers = (1..=5).map(|number| {
        let (width, height, pixels) = pixels(&folder.join(format!("{number:06}.png")));
        assert_eq!((width, height, pixels.len()), (128, 16, 128 * 16 * 3));
        // Two columns a bit, the highest first.
        (0..64).fold(0_u64, |number, bit| {
            number << 1 | u64::from(pixels[bit * 6] > 127)
        })
    });
    let numbers: Vec<u64> = numbers.collect();
    assert!(
        numbers.windows(2).all(|two| two[1] == two[0] + 1),
        "every frame, in order: {numbers:?}"
    );
    let said = served.interrupt();
    for event in ["joined", "agreed", "left", "ended"] {
        assert!(
            said.contains(&format!("\"event\":\"{event}\"")),
            "{event}: {said}"
        );
    }
}

#[test]
fn a_video_file_is_whole_when_the_stream_ends() {
    let served = Served::start(&[
        "--pattern",
        "bars",
        "--size",
        "64x8",
        "--frames",
        "20",
        "--rate",
        "100",
    ]);
    let file = served.folder.path().join("out.y4m");
    let output = served.run(&["record", "test", file.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(
        text(&output.stdout).contains("the stream ended"),
        "{}",
        text(&output.stdout)
    );
    let bytes = std::fs::read(&file).expect("a file");
    let header = b"YUV4MPEG2 W64 H8 F60000:1000 Ip A1:1 C444 XCOLORRANGE=LIMITED\n";
    assert_eq!(&bytes[..header.len()], header);
    let frame = b"FRAME\n".len() + 3 * 64 * 8;
    let frames = (bytes.len() - header.len()) / frame;
    assert_eq!((bytes.len() - header.len()) % frame, 0, "whole frames");
    assert!((1..=20).contains(&frames), "{frames}");
    let left = std::fs::read_dir(served.folder.path())
        .expect("a folder")
        .flatten();
    let left: Vec<_> = left
        .map(|entry| entry.file_name())
        .filter(|name| name.to_string_lossy().contains("tmp"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_picture_is_served_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let logo = folder.path().join("logo.png");
    let drawn = [10, 20, 30, 200, 100, 50];
    picture(&logo, 2, 1, &drawn);
    let served = Served::start(&["--image", logo.to_str().expect("UTF-8")]);
    let seen = served.folder.path().join("seen.png");
    let output = served.run(&["snapshot", "test", seen.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(pixels(&seen), (2, 1, drawn.to_vec()));
}

/// Each API has images of its own, and consumers see the same pixels.
#[test]
fn every_api_serves_the_same_pixels() {
    let folder = tempfile::tempdir().expect("a folder");
    let drawn: Vec<u8> = (0..33 * 9 * 3_u32)
        .map(|at| u8::try_from(at * 89 % 251).expect("a byte"))
        .collect();
    let logo = folder.path().join("logo.png");
    picture(&logo, 33, 9, &drawn);
    let logo = logo.to_str().expect("UTF-8");
    for (api, device) in [("vulkan", "Vulkan on "), ("gl", "OpenGL"), ("cpu", "CPU")] {
        for format in ["XRGB8888", "ABGR8888"] {
            let tried = Served::try_start(&["--image", logo, "--api", api, "--format", format]);
            let served = match tried {
                Ok(served) => served,
                Err(said) if api == "gl" && said.contains("for others") => {
                    lucarne_tests::skip::skip("mesa", &said);
                    continue;
                }
                Err(said) => panic!("{api}: {said}"),
            };
            let seen = served.folder.path().join("seen.png");
            let output = served.run(&["snapshot", "test", seen.to_str().expect("UTF-8")]);
            assert_eq!(
                output.status.code(),
                Some(0),
                "{api}: {}",
                text(&output.stderr)
            );
            let (width, height, mut pixels) = pixels(&seen);
            if format == "ABGR8888" {
                pixels = pixels
                    .chunks(4)
                    .flat_map(|pixel| pixel[..3].to_vec())
                    .collect();
            }
            assert_eq!((width, height), (33, 9));
            assert!(pixels == drawn, "{api} {format}: other pixels");
            let listed = served.run(&["list", "--json"]);
            let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("JSON");
            let name = listed[0]["device"].as_str().expect("a name");
            assert!(name.contains(device), "{api}: {name}");
        }
    }
}

#[test]
fn a_producer_says_which_api_it_has() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = lucarne(folder.path(), &["serve", "x", "--frames", "0"]).output();
    let output = output.expect("lucarne runs");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    // The first that there is.
    assert!(
        text(&output.stdout).contains("\"x\" is on, with Vulkan ("),
        "{}",
        text(&output.stdout)
    );
    let output = lucarne(folder.path(), &["serve", "x", "--frames", "0"])
        .env("VK_DRIVER_FILES", "/nowhere")
        .env("VK_ICD_FILENAMES", "/nowhere")
        .output()
        .expect("lucarne runs");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains("not with Vulkan: "),
        "{}",
        text(&output.stderr)
    );
    assert!(
        !text(&output.stdout).contains("with Vulkan"),
        "{}",
        text(&output.stdout)
    );
    let output = lucarne(
        folder.path(),
        &["serve", "x", "--frames", "0", "--api", "vulkan"],
    )
    .env("VK_DRIVER_FILES", "/nowhere")
    .env("VK_ICD_FILENAMES", "/nowhere")
    .output()
    .expect("lucarne runs");
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));
}

#[test]
fn arrivals_and_departures_are_told() {
    let mut served = Served::start(&["--size", "16x16"]);
    let mut watcher = lucarne(served.folder.path(), &["list", "--watch", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("lucarne runs");
    let mut said = BufReader::new(watcher.stdout.take().expect("a pipe"));
    let mut next = || {
        let mut line = String::new();
        said.read_line(&mut line).expect("a line");
        serde_json::from_str::<serde_json::Value>(&line).expect("JSON")
    };
    let arrived = next();
    assert_eq!(
        (arrived["event"].as_str(), arrived["name"].as_str()),
        (Some("arrived"), Some("test"))
    );
    assert_eq!(arrived["stream"]["width"], 16);
    served.interrupt();
    let departed = next();
    assert_eq!(
        (departed["event"].as_str(), departed["name"].as_str()),
        (Some("departed"), Some("test"))
    );
    watcher.kill().expect("it runs");
    watcher.wait().expect("a child");
}

#[test]
fn mistakes_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let complaint = |arguments: &[&str]| complaint(folder.path(), arguments);
    let said = complaint(&["serve", "../x"]);
    assert!(
        said.contains("../x") && said.contains("begins with a dot"),
        "{said}"
    );
    let said = complaint(&["serve", "x", "--format", "NV12"]);
    assert!(said.contains("one plane"), "{said}");
    let said = complaint(&["serve", "x", "--rate", "nan"]);
    assert!(said.contains("0.1 to 1000"), "{said}");
    let said = complaint(&["record", "x", "out.mp4"]);
    assert!(said.contains("neither a .y4m file nor a folder"), "{said}");
}

const SERVED: [&str; 8] = [
    "--size",
    "64x32",
    "--rate",
    "100",
    "--pattern",
    "bars",
    "--api",
    "cpu",
];

/// What begins the line of a progress anew.
const LINE: &str = "\r\x1b[2K";

/// Who watches is told how far it is; who reads the output is not.
#[test]
fn a_recording_tells_its_progress_in_a_terminal_alone() {
    let served = Served::start(&SERVED);
    let folder = served.folder.path();
    let command = format!(
        "trap : INT; '{}' record test '{}' --folder '{}'; echo status $?",
        env!("CARGO_BIN_EXE_lucarne"),
        folder.join("out.y4m").display(),
        folder.display()
    );
    let Some(mut terminal) = Terminal::open(&command) else {
        return;
    };
    terminal.until(LINE);
    // One line, written again and again.
    let mut seconds = Vec::new();
    while seconds.len() < 3 {
        let line = terminal.until(LINE);
        let line = line.strip_suffix(LINE).expect("the next line's beginning");
        let (frames, time) = line.split_once(" frames, ").expect("a count and a time");
        assert!(frames.parse::<u64>().is_ok(), "{line:?}");
        let time = time
            .strip_suffix(" s")
            .and_then(|time| time.parse::<f64>().ok());
        seconds.push(time.expect("seconds"));
    }
    assert!(
        seconds.is_sorted() && seconds[0] < seconds[2],
        "{seconds:?}"
    );
    assert!(seconds[0] < 2.0, "soon: {seconds:?}");
    terminal.press("\x03");
    let rest = terminal.until("status 0");
    let last = rest.rsplit(LINE).next().expect("text");
    assert!(last.starts_with("wrote "), "no progress is left: {last:?}");
    // A pipe.
    let output = served.run(&[
        "record",
        "test",
        folder.join("piped.y4m").to_str().expect("UTF-8"),
        "--seconds",
        "1",
    ]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stderr), "");
    assert_eq!(text(&output.stdout).lines().count(), 1);
}

/// Programs are written for these names: one that goes, or becomes something else, breaks them.
#[test]
fn reports_have_the_fields_that_programs_know() {
    let served = Served::start(&SERVED);
    let report = |arguments: &[&str]| -> serde_json::Value {
        let output = served.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("one document")
    };
    let kinds = |value: &serde_json::Value| -> Vec<String> {
        let fields = value.as_object().expect("an object").iter();
        let kind = |value: &serde_json::Value| match value {
            serde_json::Value::Null => "null",
            serde_json::Value::Bool(_) => "bool",
            serde_json::Value::Number(_) => "number",
            serde_json::Value::String(_) => "text",
            _ => "more",
        };
        let fields = fields.map(|(name, value)| format!("{name} {}", kind(value)));
        let mut fields: Vec<String> = fields.collect();
        fields.sort();
        fields
    };
    let path = |name: &str| served.folder.path().join(name).display().to_string();
    let (video, picture) = (path("out.y4m"), path("seen.png"));
    let recorded = report(&["record", "test", &video, "--frames", "3", "--json"]);
    let known = [
        "dropped number",
        "ended text",
        "frames number",
        "height number",
        "stream text",
        "to text",
        "width number",
    ];
    assert_eq!(kinds(&recorded), known);
    assert_eq!(
        (&recorded["frames"], &recorded["to"]),
        (&3.into(), &video.into())
    );
    let seen = report(&["snapshot", "test", &picture, "--json"]);
    let known = [
        "file text",
        "format text",
        "height number",
        "sequence number",
        "stream text",
        "width number",
    ];
    assert_eq!(kinds(&seen), known);
    assert_eq!(
        (&seen["width"], &seen["file"]),
        (&64.into(), &picture.into())
    );
    let listed = report(&["list", "--json"]);
    let known = [
        "age_seconds number",
        "consumers number",
        "device text",
        "format text",
        "frames number",
        "height number",
        "memory text",
        "name text",
        "pid number",
        "state text",
        "width number",
    ];
    assert_eq!(kinds(&listed[0]), known);
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
}
