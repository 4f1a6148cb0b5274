//! `lucarne relay`: a stream in, another out.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use lucarne::color::{ColorDescription, Matrix, Range, YcbcrConversion};
use lucarne::{Agreement, Extent, Format, Request, Usage, cpu};
use lucarne_stream::{Producer, ProducerOptions};

#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
use common::*;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A relay in a process of its own.
struct Relayed {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Relayed {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut child = lucarne(folder, &["relay", "--json"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("lucarne runs");
        let said = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut relayed = Self { child, said };
        relayed.until("device");
        relayed
    }

    /// Waits for an event, and gives it.
    fn until(&mut self, event: &str) -> serde_json::Value {
        let begun = Instant::now();
        let mut line = String::new();
        while begun.elapsed() < PATIENCE {
            line.clear();
            let length = self.said.read_line(&mut line).expect("a line");
            assert!(length > 0, "it ended without {event}");
            let told: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            if told["event"] == event {
                return told;
            }
        }
        panic!("no {event}")
    }

    /// As Ctrl-C does.
    fn end(mut self) -> serde_json::Value {
        interrupt(&self.child);
        let told = self.until("ended");
        assert_eq!(self.child.wait().expect("a child").code(), Some(0));
        told
    }
}

impl Drop for Relayed {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A stream that comes a moment after its relay was started.
fn snapshot(folder: &Path, name: &str) -> (u32, u32, Vec<u8>) {
    let seen = folder.join(format!("{name}.png"));
    let begun = Instant::now();
    loop {
        let output = lucarne(folder, &["snapshot", name]).arg(&seen).output();
        let output = output.expect("lucarne runs");
        if output.status.success() {
            return pixels(&seen);
        }
        let said = text(&output.stderr);
        assert!(begun.elapsed() < PATIENCE, "{said}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Four pixels of a colour each, and twice as wide.
const FOUR: [u8; 12] = [250, 0, 0, 0, 240, 0, 0, 0, 230, 200, 210, 220];

fn four(folder: &Path) -> String {
    let path = folder.join("four.png");
    picture(&path, 4, 1, &FOUR);
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn frames_pass_as_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let image = four(folder.path());
    let served =
        Served::start_in(folder, "in", &["--image", &image, "--api", "cpu"]).expect("it starts");
    let folder = served.folder.path();
    let mut relayed = Relayed::start(folder, &["in", "out"]);
    assert_eq!(snapshot(folder, "out"), (4, 1, FOUR.to_vec()));
    let told = relayed.until("in");
    assert_eq!(
        (told["width"].as_u64(), told["height"].as_u64()),
        (Some(4), Some(1))
    );
    assert!(
        told["copies"].is_u64() && told["rung"].is_string(),
        "{told}"
    );
    let out = relayed.until("out");
    assert_eq!(out["format"], told["format"], "{out}");
    let rate = relayed.until("rate");
    assert!(rate["rate"].is_f64(), "{rate}");
    let ended = relayed.end();
    assert!(ended["frames"].as_u64() > Some(0), "{ended}");
}

#[test]
fn size_and_format_are_those_that_were_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let image = four(folder.path());
    let served =
        Served::start_in(folder, "in", &["--image", &image, "--api", "cpu"]).expect("it starts");
    let folder = served.folder.path();
    let mut relayed = Relayed::start(
        folder,
        &["in", "out", "--size", "2x1", "--format", "ABGR8888"],
    );
    let (width, height, pixels) = snapshot(folder, "out");
    assert_eq!((width, height, pixels.len()), (2, 1, 8), "with alpha");
    // The means of two pixels each; alpha 1, whatever the padding was.
    let exact = [125, 120, 0, 255, 100, 105, 225, 255];
    for (got, exact) in pixels.iter().zip(exact) {
        assert!(got.abs_diff(exact) <= 1, "{pixels:?}");
    }
    assert_eq!(relayed.until("out")["format"], "ABGR8888");
    relayed.end();
}

/// A stream of Y'CbCr, of one colour, that is served while `step` goes on.
fn serve_ycbcr(folder: &Path, codes: [u8; 3], mut step: impl FnMut() -> bool) {
    let device = cpu::Adapter::new(cpu::Allocator::HostMemory).open();
    let device = device.expect("host memory");
    let offer = device.offer(Usage::RENDER).expect("an offer");
    let request = Request::new(Extent::new(16, 8)).formats(&[Format::NV12]);
    let options = ProducerOptions::of(request).directory(folder);
    let allocate = move |agreement: &Agreement| {
        let image = device.export(agreement)?;
        let frame = image.frame().with_color(ColorDescription::VIDEO)?;
        Ok((image, frame))
    };
    let mut producer = Producer::bind("in", &offer, options, allocate).expect("the name is free");
    let begun = Instant::now();
    while !step() {
        assert!(begun.elapsed() < PATIENCE, "the command hangs");
        producer.dispatch().expect("served");
        let Some(slot) = producer.try_acquire().expect("slots") else {
            std::thread::sleep(Duration::from_millis(2));
            continue;
        };
        let image: &cpu::Image = slot.image();
        let [luma, cb, cr] = codes;
        let done = image.write(slot.gate(), PATIENCE, |rows| {
            rows.write_plane(0, &[luma].repeat(image.plane_bytes(0)))?;
            rows.write_plane(1, &[cb, cr].repeat(image.plane_bytes(1) / 2))
        });
        let now = lucarne_stream::now();
        producer
            .send(slot, done.expect("written"), now)
            .expect("sent");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn ycbcr_becomes_red_green_and_blue() {
    let folder = tempfile::tempdir().expect("a folder");
    let codes = [145, 54, 34];
    let mut shown: Option<std::thread::JoinHandle<_>> = None;
    let mut relayed = None;
    let mut seen = None;
    let path = folder.path().to_owned();
    serve_ycbcr(folder.path(), codes, || {
        relayed.get_or_insert_with(|| Relayed::start(&path, &["in", "out"]));
        let path = path.clone();
        let shown_now =
            shown.get_or_insert_with(|| std::thread::spawn(move || snapshot(&path, "out")));
        if shown_now.is_finished() {
            seen = shown.take().map(|shown| shown.join().expect("a picture"));
        }
        seen.is_some()
    });
    let (width, height, pixels) = seen.expect("a picture");
    assert_eq!((width, height), (16, 8));
    let conversion = YcbcrConversion::new(Matrix::Bt709, Range::Limited, 8).expect("a matrix");
    let exact = conversion
        .rgb(codes.map(f64::from))
        .map(|value| value.clamp(0.0, 1.0) * 255.0);
    for pixel in pixels.chunks_exact(3) {
        for (got, exact) in pixel.iter().zip(exact) {
            assert!(
                (f64::from(*got) - exact).abs() <= 0.51,
                "{pixel:?} for {exact}"
            );
        }
    }
    let mut relayed = relayed.expect("it was started");
    assert_eq!(relayed.until("in")["format"], "NV12");
}

#[test]
fn it_follows_its_stream() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut relayed = Relayed::start(folder.path(), &["in", "out", "--wait"]);
    let arguments = |size| ["--size", size, "--api", "cpu", "--pattern", "bars"];
    let mut served = Served::start_in(folder, "in", &arguments("32x16")).expect("it starts");
    assert_eq!(snapshot(served.folder.path(), "out").0, 32);
    served.interrupt();
    relayed.until("gone");
    // OUT stays, and waits.
    let listed = served.run(&["list", "--json"]);
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    assert_eq!(
        (&listed[0]["name"], &listed[0]["state"]),
        (&"out".into(), &"paused".into())
    );
    let folder = std::mem::replace(&mut served.folder, tempfile::tempdir().expect("a folder"));
    let again = Served::start_in(folder, "in", &arguments("48x24")).expect("it starts");
    relayed.until("back");
    let begun = Instant::now();
    while snapshot(again.folder.path(), "out").0 != 48 {
        assert!(begun.elapsed() < PATIENCE, "it has its old size");
    }
    relayed.end();
}

#[test]
fn what_cannot_be_relayed_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let complaint = |arguments: &[&str]| {
        let output = lucarne(folder.path(), &["relay"]).args(arguments).output();
        let output = output.expect("lucarne runs");
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));
        text(&output.stderr).to_owned()
    };
    let said = complaint(&["a", "a"]);
    assert!(said.contains("OUT needs another name"), "{said}");
    let said = complaint(&["a", "b"]);
    assert!(
        said.contains("no stream \"a\"") && said.contains("--wait"),
        "{said}"
    );
    let said = complaint(&["a", "b", "--format", "NV12"]);
    assert!(
        said.contains("does not draw frames of NV12; it does of "),
        "{said}"
    );
    let said = complaint(&["a", "b", "--size", "40000x2"]);
    assert!(said.contains("1 to 32768"), "{said}");
    let said = complaint(&["a", "b", "--size", "32768x32768"]);
    assert!(said.contains("at most"), "{said}");
}
