//! The command in processes of their own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

#[allow(dead_code, reason = "each test program uses a part of it")]
pub(crate) mod terminal;

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lucarne"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// With streams in this folder.
pub(crate) fn lucarne(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = command(arguments);
    command.arg("--folder").arg(folder);
    command
}

/// What a command that works prints.
pub(crate) fn answer(arguments: &[&str]) -> String {
    let output = command(arguments).output().expect("lucarne runs");
    let complained = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {complained}");
    text(&output.stdout).to_owned()
}

/// The same of `--json`: one document.
pub(crate) fn json(arguments: &[&str]) -> serde_json::Value {
    serde_json::from_str(&answer(arguments)).expect("JSON")
}

/// What a command that cannot run says, in one line.
pub(crate) fn refusal(arguments: &[&str]) -> String {
    let output = command(arguments).output().expect("lucarne runs");
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    let complained = text(&output.stderr);
    assert!(complained.starts_with("error: "), "{complained}");
    complained.to_owned()
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// As Ctrl-C does.
pub(crate) fn interrupt(child: &Child) {
    signal(child, Signal::INT);
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("a process"), signal).expect("it runs");
}

/// What it complains of, with status 2.
pub(crate) fn complaint(folder: &Path, arguments: &[&str]) -> String {
    let output = lucarne(folder, arguments).output().expect("lucarne runs");
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));
    text(&output.stderr).to_owned()
}

/// A stream in a process of its own, in a folder of its own.
pub(crate) struct Served {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) child: Child,
    pub(crate) said: BufReader<ChildStdout>,
}

impl Served {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::try_start(arguments).unwrap_or_else(|said| panic!("{said}"))
    }

    /// What it complains of, where it does not start.
    pub(crate) fn try_start(arguments: &[&str]) -> Result<Self, String> {
        let folder = tempfile::tempdir().expect("a folder");
        Self::start_in(folder, "test", arguments)
    }

    pub(crate) fn start_in(
        folder: tempfile::TempDir,
        name: &str,
        arguments: &[&str],
    ) -> Result<Self, String> {
        let mut child = lucarne(folder.path(), &["serve", "--json", name])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("lucarne runs");
        let mut said = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        said.read_line(&mut line).expect("a line");
        if line.contains("started") {
            return Ok(Self {
                folder,
                child,
                said,
            });
        }
        let output = child.wait_with_output().expect("a child");
        Err(text(&output.stderr).to_owned())
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        lucarne(self.folder.path(), arguments)
            .output()
            .expect("lucarne runs")
    }

    /// Ends it as Ctrl-C does; gives what it said. Its folder stays.
    pub(crate) fn interrupt(&mut self) -> String {
        interrupt(&self.child);
        let mut said = String::new();
        std::io::Read::read_to_string(&mut self.said, &mut said).expect("UTF-8");
        assert_eq!(
            self.child.wait().expect("a child").code(),
            Some(0),
            "{said}"
        );
        said
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A picture's size, and its bytes: three or four for each pixel.
pub(crate) fn pixels(path: &Path) -> (u32, u32, Vec<u8>) {
    let file = std::fs::File::open(path).expect("a picture");
    let mut reader = png::Decoder::new(BufReader::new(file))
        .read_info()
        .expect("PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut pixels).expect("PNG");
    pixels.truncate(info.buffer_size());
    (info.width, info.height, pixels)
}

/// A picture file of opaque pixels.
pub(crate) fn picture(path: &Path, width: u32, height: u32, pixels: &[u8]) {
    let file = std::fs::File::create(path).expect("a file");
    let mut encoder = png::Encoder::new(file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder
        .write_header()
        .and_then(|mut file| file.write_image_data(pixels))
        .expect("PNG");
}
