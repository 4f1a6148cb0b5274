//! The pipelines of docs/gstreamer.md, run by `gst-launch-1.0` as they stand there.

mod common;

use std::path::Path;
use std::process::Command;

use common::{Feed, Peer, Watcher, command, folder, stamps};
use lucarne::{Extent, Format};
use lucarne_tests::fds;

const PAGE: &str = include_str!("../../../docs/gstreamer.md");

/// The pipeline under this name in the page: the text between `<!-- pipeline: NAME -->` and the end of the block after it. Names of
/// files and streams are put into the test's own folder.
fn pipeline(name: &str, folder: &Path) -> String {
    let mark = format!("<!-- pipeline: {name} -->");
    let (_, rest) = PAGE
        .split_once(&mark)
        .unwrap_or_else(|| panic!("{mark} in the page"));
    let block = rest.split("```").nth(1).expect("a block");
    let text = block.trim_start_matches("sh").replace("\\\n", " ");
    let text = text
        .trim()
        .trim_start_matches("gst-launch-1.0 -e")
        .trim_start_matches("gst-launch-1.0");
    let words = text.split_whitespace().map(|word| {
        let place = folder.display();
        match word.split_once('=') {
            Some(("stream", _)) => format!("{word} directory={place}"),
            Some(("location", file)) => format!("location={place}/{file}"),
            // As a shell does.
            _ => word.replace(['"', '\''], ""),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn every_pipeline_of_the_page_is_run() {
    let source = include_str!("pipelines.rs");
    let names = PAGE.split("<!-- pipeline: ").skip(1);
    let mut count = 0;
    for name in names.filter_map(|rest| rest.split(" -->").next()) {
        assert!(source.contains(&format!("\"{name}\"")), "{name} is not run");
        count += 1;
    }
    assert!(count >= 5, "{count} pipelines");
}

/// Frames that an encoder does not spoil: smooth, and moving slowly.
fn draw(folder: &Path, name: &str) -> Peer {
    Peer::launch(
        &format!(
            "videotestsrc is-live=true pattern=ball ! \
             video/x-raw,format=I420,width=320,height=240,framerate=30/1 ! \
             lucarnesink stream={name} directory={}",
            folder.display()
        ),
        folder,
    )
}

fn has_ffmpeg() -> bool {
    let has = |program: &&str| Command::new(program).arg("-version").output().is_ok();
    let all = ["ffmpeg", "ffprobe"].iter().all(has);
    if !all {
        lucarne_tests::skip::skip("gst", "there is no ffmpeg or ffprobe");
    }
    all
}

fn probe(file: &Path, entry: &str) -> String {
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-select_streams",
            "v:0",
            "-count_frames",
            "-show_entries",
        ])
        .arg(format!("stream={entry}"))
        .args(["-of", "csv=p=0"])
        .arg(file)
        .output()
        .expect("ffprobe");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .trim()
        .trim_end_matches(',')
        .to_owned()
}

/// The mean square of the differences, of every `step`th byte.
fn error(one: &[u8], other: &[u8], step: usize) -> f64 {
    assert_eq!(one.len(), other.len());
    let pairs = one.iter().zip(other).step_by(step);
    let squares = pairs.map(|(one, other)| u64::from(one.abs_diff(*other)).pow(2));
    squares.sum::<u64>() as f64 / (one.len() / step) as f64
}

/// In decibels, over all planes of I420.
fn psnr(one: &[u8], other: &[u8]) -> f64 {
    10.0 * (255.0 * 255.0 / error(one, other, 1).max(1e-9)).log10()
}

/// What `videotestsrc` draws: each decoded frame is the nearest of these.
fn drawn(folder: &Path) -> Vec<Vec<u8>> {
    let file = folder.join("drawn.raw");
    Peer::launch(
        &format!(
            "videotestsrc pattern=ball num-buffers=300 ! \
             video/x-raw,format=I420,width=320,height=240,framerate=30/1 ! filesink location={}",
            file.display()
        ),
        folder,
    )
    .finish();
    frames(&file)
}

fn frames(file: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(file).expect("a file");
    bytes
        .chunks_exact(320 * 240 * 3 / 2)
        .map(<[u8]>::to_vec)
        .collect()
}

fn decoded(file: &Path, folder: &Path) -> Vec<Vec<u8>> {
    let raw = folder.join("decoded.raw");
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-i"])
        .arg(file)
        .args([
            "-f",
            "rawvideo",
            "-pix_fmt",
            "yuv420p",
            "-fps_mode",
            "passthrough",
        ])
        .arg(&raw)
        .output()
        .expect("ffmpeg");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    frames(&raw)
}

fn assert_close(seen: &[Vec<u8>], drawn: &[Vec<u8>], what: &str) {
    assert!(seen.len() >= 20, "{what}: {} frames", seen.len());
    for (number, frame) in seen.iter().enumerate() {
        let far = |one: &[u8]| error(frame, one, 61);
        let nearest = drawn
            .iter()
            .min_by(|one, other| far(one).total_cmp(&far(other)));
        let nearest = nearest.expect("frames were drawn");
        let best = psnr(frame, nearest);
        assert!(best >= 35.0, "{what}, frame {number}: {best:.1} dB");
    }
}

fn encodes(name: &str, file: &str) {
    let _alone = fds::alone();
    let elements = [
        "x264enc",
        "openh264enc",
        "h264parse",
        "mp4mux",
        "matroskamux",
    ];
    if !common::can(&elements) || !has_ffmpeg() {
        return;
    }
    let folder = folder();
    let drawn = drawn(folder.path());
    let drawing = draw(folder.path(), "scene");
    Peer::launch(&pipeline(name, folder.path()), folder.path()).finish();
    drop(drawing);
    let file = folder.path().join(file);
    assert_eq!(probe(&file, "codec_name,width,height"), "h264,320,240");
    assert_close(&decoded(&file, folder.path()), &drawn, name);
}

#[test]
fn a_stream_is_recorded_with_x264() {
    encodes("x264", "scene.mp4");
}

#[test]
fn a_stream_is_recorded_with_openh264() {
    encodes("openh264", "scene.mkv");
}

#[test]
fn a_stream_goes_over_the_network_and_becomes_one_again() {
    let _alone = fds::alone();
    if !common::can(&[
        "x264enc",
        "rtph264pay",
        "rtpjitterbuffer",
        "udpsink",
        "avdec_h264",
    ]) {
        return;
    }
    let folder = folder();
    let drawn = drawn(folder.path());
    let _drawing = draw(folder.path(), "scene");
    let _receiving = Peer::launch(&pipeline("rtp-receive", folder.path()), folder.path());
    let _sending = Peer::launch(&pipeline("rtp-send", folder.path()), folder.path());
    let mut watcher = Watcher::connect("there", folder.path());
    let mut seen = Vec::new();
    while seen.len() < 30 {
        let frame = watcher.see().expect("a frame");
        assert_eq!(frame.layout.extent(), Extent::new(320, 240));
        seen.push(frame.planes.concat());
    }
    assert_close(&seen, &drawn, "rtp");
}

#[test]
fn what_a_test_source_draws_is_a_stream() {
    let _alone = fds::alone();
    if !common::can(&[]) {
        return;
    }
    let folder = folder();
    let _drawing = Peer::launch(&pipeline("publish", folder.path()), folder.path());
    let mut watcher = Watcher::connect("camera", folder.path());
    for _ in 0..5 {
        let seen = watcher.see().expect("a frame");
        assert_eq!(seen.layout.extent(), Extent::new(640, 480));
        assert!(seen.planes[0].iter().any(|byte| *byte != seen.planes[0][0]));
    }
}

#[test]
fn raw_frames_are_the_streams_own_bytes() {
    let _alone = fds::alone();
    if !common::can(&[]) {
        return;
    }
    let folder = folder();
    let extent = Extent::new(70, 34);
    let feeder = Feed::new("scene", extent, Format::NV12).start(folder.path());
    Peer::launch(&pipeline("raw", folder.path()), folder.path()).finish();
    let sent = feeder.stop();
    let bytes = std::fs::read(folder.path().join("scene.raw")).expect("a file");
    // GStreamer's own strides: rows of 70 bytes take 72.
    let size = 72 * (34 + 17);
    assert_eq!(bytes.len(), 30 * size, "thirty frames");
    for frame in bytes.chunks_exact(size) {
        let rows: Vec<u8> = frame
            .chunks_exact(72)
            .flat_map(|row| row[..70].to_vec())
            .collect();
        let (luma, chroma) = rows.split_at(70 * 34);
        let seen = [luma.to_vec(), chroma.to_vec()];
        let number = (1..=sent).find(|number| stamps(Format::NV12, extent, *number) == seen);
        assert!(number.is_some(), "no frame that was sent");
    }
}

#[test]
fn gst_inspect_tells_what_the_properties_are() {
    let folder = folder();
    for (element, words) in [
        (
            "lucarnesrc",
            ["stream", "on-end", "What happens when the producer ends"],
        ),
        (
            "lucarnesink",
            ["stream", "max-wait", "elements upstream may hold some"],
        ),
    ] {
        let output = command("gst-inspect-1.0", folder.path())
            .arg(element)
            .output();
        let output = output.expect("gst-inspect-1.0");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}");
        for word in words {
            assert!(text.contains(word), "{element}: {word}: {text}");
        }
    }
}
