//! Godot, run with the test's project and told what to do.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use lucarne_tests::display::{Running, Xvfb};
use lucarne_tests::skip::skip;
use serde_json::Value;
use tempfile::TempDir;

use crate::manifest::{LAYER, Manifest};

/// A deadline for an answer. Godot takes some seconds to start on a machine that does other work.
const SOON: Duration = Duration::from_secs(60);
/// The window.
pub(crate) const WINDOW: (u32, u32) = (160, 120);

const VALIDATION: &str = "VK_LAYER_KHRONOS_validation";

/// Whether this machine has Vulkan's validation layer; said aloud where not.
pub(crate) fn can_validate() -> bool {
    let manifest = "/usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json";
    let found = Path::new(manifest).is_file();
    if !found {
        skip("validation", &format!("{manifest} is missing"));
    }
    found
}

/// How Godot is run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Setup {
    /// With the Vulkan layer.
    pub(crate) layer: bool,
    /// With the emulated `/dev/udmabuf`.
    pub(crate) emulated: bool,
    /// With the Compatibility renderer.
    pub(crate) opengl: bool,
    /// With Vulkan's validation layer below ours.
    pub(crate) validated: bool,
}

/// Where Godot lies: the root of `cargo xtask test --with godot`. `None`, said aloud, without one.
pub(crate) fn root() -> Option<PathBuf> {
    let cache = || {
        let home = std::env::home_dir().map(|home| home.join(".cache"));
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        Some(cache.or(home)?.join("lucarne/godot/sid"))
    };
    let named = std::env::var_os("LUCARNE_GODOT_ROOT").map(PathBuf::from);
    let root = named.or_else(cache);
    let found = root.filter(|root| root.join("usr/bin/godot").is_file());
    if found.is_none() {
        skip(
            "godot",
            "no root with Godot 4: `cargo xtask test --with godot` makes one",
        );
    }
    found
}

/// A display and a folder for streams, which Godots and the test have in common.
pub(crate) struct Stage {
    pub(crate) root: PathBuf,
    pub(crate) display: Xvfb,
    pub(crate) folder: TempDir,
    layer: Manifest,
}

impl Stage {
    /// `None`, said aloud, where something is not installed.
    pub(crate) fn new() -> Option<Self> {
        let root = root()?;
        let display = Xvfb::start(640, 480, None)?;
        let folder = tempfile::tempdir().expect("a folder");
        Some(Self {
            root,
            display,
            folder,
            layer: Manifest::new(),
        })
    }

    /// The streams' folder.
    pub(crate) fn streams(&self) -> PathBuf {
        self.folder.path().join("lucarne")
    }
}

/// A Godot that runs; it ends with this value.
pub(crate) struct Godot {
    said: Receiver<String>,
    orders: ChildStdin,
    events: Vec<String>,
    log: Vec<String>,
    running: Running,
    project: TempDir,
}

impl Godot {
    pub(crate) fn start(stage: &Stage, setup: Setup) -> Self {
        let project = project();
        let mut command = command(stage, setup, project.path());
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("Godot starts");
        let (sender, said) = channel();
        let out = child.stdout.take().expect("a pipe");
        let errors = child.stderr.take().expect("a pipe");
        let beside = sender.clone();
        let pass = |reader: &mut dyn std::io::BufRead, to: &dyn Fn(String) -> bool| {
            let mut lines = reader.lines().map_while(Result::ok);
            // Until nobody listens.
            while lines.next().is_some_and(to) {}
        };
        std::thread::spawn(move || {
            pass(&mut BufReader::new(out), &|line| sender.send(line).is_ok())
        });
        std::thread::spawn(move || {
            pass(&mut BufReader::new(errors), &|line| {
                beside.send(format!("error: {line}")).is_ok()
            });
        });
        let orders = child.stdin.take().expect("a pipe");
        let mut godot = Self {
            said,
            orders,
            events: Vec::new(),
            log: Vec::new(),
            running: Running(child),
            project,
        };
        assert_eq!(godot.answer(), "ready");
        let maps = format!("/proc/{}/maps", godot.pid());
        let maps = fs::read_to_string(maps).expect("it runs");
        let loaded = maps.contains("libVkLayer_khronos_validation");
        assert_eq!(loaded, setup.validated, "the validation layer");
        godot
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.running.0.id()
    }

    /// How many descriptors it has open.
    pub(crate) fn descriptors(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.pid());
        fs::read_dir(folder).expect("it runs").count()
    }

    pub(crate) fn ask(&mut self, order: &str) -> String {
        writeln!(self.orders, "{order}").expect("Godot listens");
        self.answer()
    }

    pub(crate) fn facts(&mut self) -> Value {
        let answer = self.ask("facts");
        serde_json::from_str(&answer).expect("JSON")
    }

    /// What its window shows: red, green, blue, alpha.
    pub(crate) fn shot(&mut self) -> Vec<u8> {
        let file = self.project.path().join("shot");
        let answer = self.ask(&format!("shot {}", file.display()));
        assert_eq!(answer, format!("{} {}", WINDOW.0, WINDOW.1));
        fs::read(file).expect("a shot")
    }

    /// Waits for a signal, which may have come before.
    pub(crate) fn expect(&mut self, event: &str) {
        let until = Instant::now() + SOON;
        loop {
            if let Some(at) = self.events.iter().position(|one| one.starts_with(event)) {
                self.events.remove(at);
                return;
            }
            self.hear(until, event);
        }
    }

    /// Ends it as a user would; it must end well, and say nothing of errors or leaks.
    pub(crate) fn quit(mut self) {
        writeln!(self.orders, "quit").expect("Godot listens");
        let until = Instant::now() + SOON;
        let ended = lucarne_tests::display::until("Godot's end", || {
            self.running.0.try_wait().expect("a child")
        });
        while let Ok(line) = self
            .said
            .recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            self.log.push(line);
        }
        let log = self.log.join("\n");
        assert!(ended.success(), "{ended}\n{log}");
        let complaints = [
            "ERROR",
            "WARNING",
            "leaked",
            "panicked",
            "VUID",
            "Validation",
        ];
        // The software driver of OpenGL has no such mode.
        let vsync = "Could not set V-Sync mode";
        let mut lines = log.lines().filter(|line| !line.contains(vsync));
        let found = lines.find(|line| complaints.iter().any(|word| line.contains(word)));
        assert_eq!(found, None, "{log}");
    }

    fn answer(&mut self) -> String {
        let until = Instant::now() + SOON;
        loop {
            if let Some(answer) = self.hear(until, "an answer") {
                return answer;
            }
        }
    }

    /// The next line; what it is if it is an answer.
    fn hear(&mut self, until: Instant, waiting_for: &str) -> Option<String> {
        let left = until.saturating_duration_since(Instant::now());
        match self.said.recv_timeout(left) {
            Ok(line) => {
                if let Some(event) = line.strip_prefix("! ") {
                    self.events.push(event.to_owned());
                }
                let answer = line.strip_prefix("= ").map(str::to_owned);
                self.log.push(line);
                answer
            }
            Err(RecvTimeoutError::Timeout) => {
                panic!("no {waiting_for} in {SOON:?}:\n{}", self.log.join("\n"))
            }
            Err(RecvTimeoutError::Disconnected) => {
                panic!("Godot ended before {waiting_for}:\n{}", self.log.join("\n"))
            }
        }
    }
}

/// The test's project in a folder of its own, with the extension as users get it.
fn project() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let copy = |from: &Path, to: &Path| {
        fs::create_dir_all(to).expect("a folder");
        for entry in fs::read_dir(from).expect("a folder") {
            let entry = entry.expect("an entry");
            if entry.file_type().expect("a type").is_file() {
                fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
            }
        }
    };
    copy(&here.join("tests/godot/project"), folder.path());
    let addon = here.join("../../integrations/godot-lucarne/addons/lucarne");
    let place = folder.path().join("addons/lucarne");
    copy(&addon, &place);
    copy(&addon.join("icons"), &place.join("icons"));
    let library = std::env::current_exe().expect("this program's path");
    let library = library.with_file_name("liblucarne_godot.so");
    assert!(library.exists(), "{} is not built", library.display());
    fs::create_dir_all(place.join("bin")).expect("a folder");
    std::os::unix::fs::symlink(library, place.join("bin/liblucarne_godot.so")).expect("a link");
    // What the editor writes when it finds the extension.
    fs::create_dir_all(folder.path().join(".godot")).expect("a folder");
    let list = "res://addons/lucarne/lucarne.gdextension\n";
    fs::write(folder.path().join(".godot/extension_list.cfg"), list).expect("written");
    folder
}

/// Godot of that root, with its loader and its libraries, but in this file system.
fn command(stage: &Stage, setup: Setup, project: &Path) -> Command {
    let root = &stage.root;
    let libraries = root.join("usr/lib/x86_64-linux-gnu");
    let mut command = Command::new(libraries.join("ld-linux-x86-64.so.2"));
    if setup.emulated
        && let Ok(preload) = std::env::var("LD_PRELOAD")
    {
        command.args(["--preload", &preload]);
    }
    let path = libraries.display();
    command
        .arg("--library-path")
        .arg(format!("{path}:{path}/pulseaudio"))
        .arg(root.join("usr/bin/godot"))
        .args(["--audio-driver", "Dummy", "--display-driver", "x11"])
        .arg("--path")
        .arg(project)
        .env("DISPLAY", &stage.display.name)
        .env("XDG_RUNTIME_DIR", stage.folder.path())
        .env("HOME", stage.folder.path())
        .env(
            "VK_DRIVER_FILES",
            root.join("usr/share/vulkan/icd.d/lvp_icd.json"),
        )
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("LD_PRELOAD");
    if setup.opengl {
        command
            .args(["--rendering-driver", "opengl3"])
            .args(["--rendering-method", "gl_compatibility"])
            .env(
                "__EGL_VENDOR_LIBRARY_DIRS",
                root.join("usr/share/glvnd/egl_vendor.d"),
            )
            .env("LIBGL_DRIVERS_PATH", libraries.join("dri"));
    } else {
        command.args(["--rendering-driver", "vulkan"]);
    }
    let both = format!("{LAYER}:{VALIDATION}");
    if setup.layer {
        let names = if setup.validated { &both } else { LAYER };
        command.envs(stage.layer.explicit(names));
    }
    command
}
