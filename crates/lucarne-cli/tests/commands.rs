//! The command as people and programs use it: its texts, its exit statuses, and what it leaves behind.

use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::time::Duration;

use lucarne::{Agreement, Extent, Format, Request, Usage, cpu};
use lucarne_stream::{Allocate, Producer, ProducerOptions};

#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
use common::*;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn offer(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/offers");
    root.join(name)
        .to_str()
        .expect("a path in UTF-8")
        .to_owned()
}

#[test]
fn modifiers_and_formats_are_decoded() {
    let decoded = [
        "0x0300000000606014",
        "0x0100000000000009",
        "linear",
        "AB24",
        "NV12",
        "XRGB2101010",
        "0x31323334",
    ];
    let texts = decoded.map(|what| answer(&["decode", what]));
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn what_is_no_modifier_and_no_format_is_told_so() {
    let said = refusal(&["decode", "XRGB888"]);
    let alike = "formats that look like it: XRGB8888, RGB888, XBGR8888";
    assert!(said.contains(alike), "{said}");
    let said = refusal(&["decode", "0x00ffffffffffffff"]);
    assert!(said.contains("DRM_FORMAT_MOD_INVALID"), "{said}");
}

#[test]
fn recorded_offers_are_explained() {
    let (from, to) = (
        offer("vulkan-amd-gfx10.3-radv.json"),
        offer("egl-amd-gfx10.3-radeonsi.json"),
    );
    insta::assert_snapshot!(answer(&[
        "explain", "--from", &from, "--to", &to, "--format", "XRGB8888", "--all"
    ]));
}

#[test]
fn a_refusal_is_an_answer_and_says_why() {
    let (from, to) = (
        offer("vulkan-intel-dg2-anv.json"),
        offer("egl-mesa-25.0.7-llvmpipe.json"),
    );
    let output = command(&[
        "explain",
        "--from",
        &from,
        "--to",
        &to,
        "--size",
        "16384x16384",
        "--format",
        "XRGB8888",
        "--usage",
        "storage",
    ])
    .output()
    .expect("lucarne runs");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    insta::assert_snapshot!(text(&output.stdout));
}

#[test]
fn programs_get_json() {
    let (from, to) = (
        offer("vulkan-mesa-25.0.7-lavapipe.json"),
        offer("egl-mesa-25.0.7-llvmpipe.json"),
    );
    let said = answer(&["explain", "--from", &from, "--to", &to, "--json"]);
    let value: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(value["agreed"]["number"], 2, "{said}");
    assert_eq!(value["agreed"]["modifiers"][0], "linear", "{said}");
    let said = answer(&["decode", "XR24", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(value[0]["format"]["name"], "XRGB8888", "{said}");
}

#[test]
fn a_file_that_is_no_offer_is_named_with_what_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("offer.json");
    std::fs::write(&path, r#"{"offer": {"name": 7}}"#).expect("written");
    let path = path.to_str().expect("UTF-8");
    let said = refusal(&["explain", "--from", path, "--to", "cpu"]);
    assert!(
        said.contains(path) && said.contains("caps --record") && said.contains("name"),
        "{said}"
    );
    let said = refusal(&["explain", "--from", "missing.json", "--to", "cpu"]);
    assert!(said.contains("missing.json: No such file"), "{said}");
}

#[test]
fn what_a_device_offers_is_recorded_and_replayed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("UTF-8");
    let said = answer(&["caps", "--api", "cpu", "--record", path]);
    assert!(
        said.contains("host memory") && said.contains("XRGB8888"),
        "{said}"
    );
    let recorded: Vec<PathBuf> = std::fs::read_dir(folder.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert!(!recorded.is_empty());
    for file in &recorded {
        let file = file.to_str().expect("UTF-8");
        let said = answer(&["explain", "--from", file, "--to", "cpu"]);
        assert!(said.contains("yes "), "{said}");
    }
}

/// A stream of one colour in a folder of its own.
struct Stream<A: Allocate> {
    folder: tempfile::TempDir,
    producer: Producer<A>,
}

const COLOUR: [u8; 4] = [0x30, 0x60, 0x90, 0xff];

fn stream(name: &str) -> Stream<impl Allocate<Image = cpu::Image>> {
    let folder = tempfile::tempdir().expect("a folder");
    let device = cpu::Adapter::new(cpu::Allocator::HostMemory)
        .open()
        .expect("host memory");
    let offer = device.offer(Usage::RENDER).expect("an offer");
    let request = Request::new(Extent::new(33, 9)).formats(&[Format::XRGB8888]);
    let options = ProducerOptions::of(request).directory(folder.path());
    let allocate = move |agreement: &Agreement| {
        let image = device.export(agreement)?;
        let frame = image.frame().clone();
        Ok((image, frame))
    };
    let producer = Producer::bind(name, &offer, options, allocate).expect("the name is free");
    Stream { folder, producer }
}

impl<A: Allocate<Image = cpu::Image>> Stream<A> {
    /// Sends frames until a program has ended.
    fn serve(&mut self, mut child: Child) -> Output {
        let begun = std::time::Instant::now();
        while child.try_wait().expect("a child").is_none() {
            assert!(begun.elapsed() < PATIENCE, "the command hangs");
            if let Some(slot) = self.producer.try_acquire().expect("slots") {
                let image = slot.image();
                let bytes = COLOUR.repeat(image.plane_bytes(0) / 4);
                let done = image
                    .write(slot.gate(), PATIENCE, |rows| rows.write_plane(0, &bytes))
                    .expect("written");
                self.producer
                    .send(slot, done, lucarne_stream::now())
                    .expect("sent");
            }
            self.producer.dispatch().expect("served");
            std::thread::sleep(Duration::from_millis(2));
        }
        child.wait_with_output().expect("a child")
    }

    fn run(&mut self, arguments: &[&str]) -> Output {
        let child = lucarne(self.folder.path(), arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("lucarne runs");
        self.serve(child)
    }
}

#[test]
fn streams_are_listed() {
    let mut stream = stream("camera");
    let output = stream.run(&["list"]);
    let said = text(&output.stdout);
    let row = said.lines().nth(1).unwrap_or_default();
    assert!(
        row.contains("camera") && row.contains("33x9") && row.contains("waiting"),
        "{said}"
    );
    assert!(!said.contains('\x1b'), "no colours in a pipe: {said:?}");
    let output = stream.run(&["list", "--json"]);
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(value[0]["name"], "camera");
    assert_eq!(value[0]["pid"], std::process::id());
}

#[test]
fn a_folder_without_streams_is_no_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let said = answer(&["list", "--folder", folder.path().to_str().expect("UTF-8")]);
    assert!(said.starts_with("no streams in "), "{said}");
}

#[test]
fn a_snapshot_is_the_frame() {
    let mut stream = stream("camera");
    let file = stream.folder.path().join("picture.png");
    let output = stream.run(&["snapshot", "camera", file.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let decoder = png::Decoder::new(std::io::BufReader::new(
        std::fs::File::open(&file).expect("a picture"),
    ));
    let mut reader = decoder.read_info().expect("PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut pixels).expect("PNG");
    assert_eq!(
        (info.width, info.height, info.color_type),
        (33, 9, png::ColorType::Rgb)
    );
    assert!(
        pixels.chunks(3).all(|pixel| pixel == [0x90, 0x60, 0x30]),
        "XRGB8888 is blue, green, red in memory"
    );
}

#[test]
fn an_unknown_name_says_which_there_are() {
    let mut stream = stream("camera");
    let file = stream.folder.path().join("picture.png");
    let output = stream.run(&["snapshot", "camra", file.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(
        said.contains("there are: camera; did you mean camera?"),
        "{said}"
    );
    assert!(!file.exists());
}

#[test]
fn a_picture_that_cannot_be_written_leaves_nothing_behind() {
    let mut stream = stream("camera");
    let output = stream.run(&["snapshot", "camera", "/dev/null/picture.png"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(
        said.contains("writing /dev/null/picture.png: Not a directory"),
        "{said}"
    );
    // A folder where the file should be: the picture was written under another name, which goes too.
    let folder = stream.folder.path().join("pictures");
    std::fs::create_dir_all(folder.join("picture.png")).expect("a folder");
    let file = folder.join("picture.png");
    let output = stream.run(&["snapshot", "camera", file.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), 1);
}

/// Without its feature the command has no window.
fn commands() -> impl Iterator<Item = &'static str> {
    let all = [
        "caps", "decode", "doctor", "explain", "list", "record", "relay", "serve", "snapshot",
        "top", "view",
    ];
    all.into_iter()
        .filter(|name| *name != "view" || cfg!(feature = "window"))
}

#[test]
fn help_of_each_command_has_examples_of_it() {
    let all = answer(&["help"]);
    for command in commands() {
        assert!(all.contains(&format!("\n  {command} ")), "{command}: {all}");
        let help = answer(&[command, "--help"]);
        let (_, examples) = help.split_once("Examples:\n").expect("examples");
        assert!(
            examples.contains(&format!("  lucarne {command} ")),
            "{command}: {help}"
        );
    }
}

#[test]
fn completions_and_man_pages_are_there() {
    for shell in ["bash", "zsh", "fish"] {
        let said = answer(&["completions", shell]);
        for command in commands() {
            assert!(said.contains(command), "{shell}: {command}");
        }
        assert!(
            said.contains("interval") && said.contains("seconds"),
            "{shell}"
        );
    }
    let folder = tempfile::tempdir().expect("a folder");
    answer(&["man", folder.path().to_str().expect("UTF-8")]);
    for command in commands() {
        let page = folder.path().join(format!("lucarne-{command}.1"));
        let page = std::fs::read_to_string(page).expect("a man page");
        assert!(page.contains("Example"), "{page}");
    }
}
