//! Streams to look at, and the command that looks.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};

use lucarne_tests::display::{Running, until};

/// A picture, red, green and blue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl Picture {
    /// Neighbours differ, and rows and columns too.
    pub(crate) fn of_many_colours(width: u32, height: u32) -> Self {
        let byte = |number: u32| u8::try_from(number % 251).expect("a byte");
        let pixel = |x: u32, y: u32| [byte(x * 7 + y), byte(y * 11 + 40), byte(x * 3 + y * 5 + 90)];
        let all = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        Self {
            width,
            height,
            pixels: all.flat_map(|(x, y)| pixel(x, y)).collect(),
        }
    }

    /// Four colours, a quarter each.
    pub(crate) fn of_quarters(width: u32, height: u32) -> Self {
        const COLOURS: [[u8; 3]; 4] = [[200, 30, 60], [40, 190, 70], [50, 80, 210], [220, 200, 40]];
        let all = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let quarter = |(x, y)| usize::from(2 * x >= width) + 2 * usize::from(2 * y >= height);
        Self {
            width,
            height,
            pixels: all.flat_map(|place| COLOURS[quarter(place)]).collect(),
        }
    }

    /// Black outside.
    pub(crate) fn at(&self, x: u32, y: u32) -> [u8; 3] {
        if x >= self.width || y >= self.height {
            return [0; 3];
        }
        let index = 3 * (y * self.width + x) as usize;
        [0, 1, 2].map(|channel| self.pixels[index + channel])
    }

    fn save(&self, path: &Path) {
        let file = std::fs::File::create(path).expect("a file");
        let mut encoder = png::Encoder::new(file, self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        let mut file = encoder.write_header().expect("PNG");
        file.write_image_data(&self.pixels).expect("PNG");
    }

    /// Of three or four channels, the last of which is not looked at.
    pub(crate) fn load(path: &Path) -> Self {
        let file = std::fs::File::open(path).expect("a picture");
        let mut reader = png::Decoder::new(BufReader::new(file))
            .read_info()
            .expect("PNG");
        let mut bytes = vec![0; reader.output_buffer_size().expect("a size")];
        let info = reader.next_frame(&mut bytes).expect("PNG");
        let channels = info.color_type.samples();
        let pixels = bytes
            .chunks_exact(channels)
            .flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]);
        Self {
            width: info.width,
            height: info.height,
            pixels: pixels.collect(),
        }
    }
}

fn lucarne(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lucarne"));
    command.args(arguments).stdin(Stdio::null());
    for name in ["DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET"] {
        command.env_remove(name);
    }
    command
}

/// The stream "test" in a process of its own, in a folder that outlives it.
pub(crate) struct Served {
    pub(crate) folder: tempfile::TempDir,
    child: Option<Running>,
}

impl Served {
    /// Only the folder.
    pub(crate) fn nothing() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            child: None,
        }
    }

    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut served = Self::nothing();
        served.again(arguments);
        served
    }

    pub(crate) fn picture(picture: &Picture) -> Self {
        let mut served = Self::nothing();
        served.again_with(picture);
        served
    }

    pub(crate) fn again_with(&mut self, picture: &Picture) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        picture.save(file.path());
        self.again(&["--image", file.path().to_str().expect("UTF-8")]);
    }

    pub(crate) fn again_in(&mut self, picture: &Picture, format: &str) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        picture.save(file.path());
        let path = file.path().to_str().expect("UTF-8");
        self.again(&["--image", path, "--format", format]);
    }

    pub(crate) fn again(&mut self, arguments: &[&str]) {
        let mut child = lucarne(&["serve", "--json", "test", "--folder"])
            .arg(self.folder.path())
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("lucarne runs");
        let mut said = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        said.read_line(&mut line).expect("a line");
        assert!(line.contains("started"), "{line}");
        // Somebody reads what else it says.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        self.child = Some(Running(child));
    }

    /// Until somebody looks.
    pub(crate) fn wait_for_a_consumer(&self) {
        until("a consumer", || {
            let found = lucarne_stream::describe(self.folder.path(), "test").ok()?;
            (found.description.consumers > 0).then_some(())
        });
    }

    /// As a crash does.
    pub(crate) fn kill(&mut self) {
        self.child = None;
    }

    /// As Ctrl-C does.
    pub(crate) fn interrupt(&mut self) {
        let mut child = self.child.take().expect("a producer");
        kill_process(pid(&child.0), Signal::INT).expect("it runs");
        child.0.wait().expect("a child");
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("a number")).expect("a process")
}

/// `lucarne view`, not started yet.
pub(crate) struct View {
    pub(crate) command: Command,
    name: String,
}

/// `lucarne view` that runs.
pub(crate) struct Viewer {
    running: Running,
    said: Option<JoinHandle<String>>,
    complained: Option<JoinHandle<String>>,
}

/// Reads a pipe while its writer runs, so that it never waits.
fn reader(pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    let mut pipe = BufReader::new(pipe);
    std::thread::spawn(move || {
        let mut said = String::new();
        pipe.read_to_string(&mut said).expect("UTF-8");
        said
    })
}

/// Looks at the stream; no display is named.
pub(crate) fn view(served: &Served, arguments: &[&str]) -> View {
    let mut command = lucarne(&["view", "--folder"]);
    command.arg(served.folder.path()).args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    View {
        command,
        name: "test".to_owned(),
    }
}

/// Looks at the stream on an X server.
pub(crate) fn viewing(
    served: &Served,
    display: &str,
    arguments: &[&str],
    last: Option<&Path>,
) -> Viewer {
    let mut view = view(served, arguments);
    view.command.args(last).env("DISPLAY", display);
    view.start()
}

impl View {
    pub(crate) fn name(&mut self, name: &str) {
        name.clone_into(&mut self.name);
    }

    /// Has another program start it, whose last argument this is.
    pub(crate) fn inside(&mut self, program: &[&str], last: &Path) {
        let mut outer = Command::new(program[0]);
        outer.args(&program[1..]).arg(last);
        outer
            .arg(self.command.get_program())
            .args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => outer.env(name, value),
                None => outer.env_remove(name),
            };
        }
        outer
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        self.command = outer;
    }

    pub(crate) fn start(mut self) -> Viewer {
        self.command.arg(&self.name);
        let mut child = self.command.spawn().expect("lucarne runs");
        Viewer {
            said: child.stdout.take().map(reader),
            complained: child.stderr.take().map(reader),
            running: Running(child),
        }
    }

    /// What it says where it cannot run.
    pub(crate) fn complaint(self) -> String {
        self.start().complaint()
    }

    /// Both outputs, when it has ended.
    pub(crate) fn everything(self) -> String {
        let (_, said, complained) = self.start().end();
        said + &complained
    }
}

impl Viewer {
    fn end(&mut self) -> (ExitStatus, String, String) {
        let child = &mut self.running.0;
        let status = until("the viewer's end", || child.try_wait().expect("a child"));
        let text = |reader: Option<JoinHandle<String>>| {
            reader
                .map(|reader| reader.join().expect("UTF-8"))
                .unwrap_or_default()
        };
        (status, text(self.said.take()), text(self.complained.take()))
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.running.0.try_wait().expect("a child").is_none()
    }

    /// As Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        kill_process(pid(&self.running.0), Signal::INT).expect("it runs");
    }

    /// Its exit status, and what it complained of.
    pub(crate) fn ending(&mut self) -> (Option<i32>, String) {
        let (status, _, complained) = self.end();
        (status.code(), complained)
    }

    /// What it says with this exit status.
    pub(crate) fn answer(&mut self, code: i32) -> String {
        let (status, said, complained) = self.end();
        assert_eq!(status.code(), Some(code), "{said}{complained}");
        said
    }

    /// The report, with this exit status.
    pub(crate) fn ended(&mut self, code: i32) -> serde_json::Value {
        serde_json::from_str(&self.answer(code)).expect("JSON")
    }

    pub(crate) fn complaint(&mut self) -> String {
        let (status, said, complained) = self.end();
        assert_eq!(status.code(), Some(2), "{said}{complained}");
        complained
    }
}
