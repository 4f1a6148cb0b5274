//! `bindings/python`: installed by pip into an environment of its own, its tests there, and streams between Python and Vulkan, OpenGL
//! and C, pixel by pixel.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use common::programs::{compile_or_skip, lines};
use common::{Installed, library, root, succeed, told};
use lucarne::{Agreement, Extent, Fence, Format, Frame, Offer, Request, Usage, egl, vulkan};
use lucarne_stream::{Consumer, ConsumerOptions, Delivery, Import, Producer, ProducerOptions};
use lucarne_tests::TIMEOUT;
use lucarne_tests::skip::{skip, skip_case};

const KIND: &str = "python";
const FRAMES: u32 = 20;
const EXTENT: Extent = Extent::new(64, 48);

/// What the tests need beside the package, and what it is built with and needs itself.
const PACKAGES: [&str; 6] = [
    "pytest",
    "pillow",
    "mypy",
    "numpy",
    "cffi>=1.16",
    "setuptools>=77.0.3",
];

/// An environment with the package in it, as pip leaves it.
struct Python {
    folder: PathBuf,
}

impl Python {
    /// Made once, and anew with each run of this program. `None` (said aloud) where there is no venv, or no package index.
    fn installed() -> Option<&'static Self> {
        static PYTHON: OnceLock<Result<Python, String>> = OnceLock::new();
        match PYTHON.get_or_init(Self::make) {
            Ok(python) => Some(python),
            Err(reason) => {
                skip(KIND, reason);
                None
            }
        }
    }

    fn make() -> Result<Self, String> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
        // Absent the first time.
        let _ = std::fs::remove_dir_all(&folder);
        let python = Self { folder };
        let mut venv = Command::new("python3");
        run(venv.args(["-m", "venv"]).arg(&python.folder))
            .map_err(|why| format!("no environment (package python3-venv): {why}"))?;
        run(python.pip().args(PACKAGES))
            .map_err(|why| format!("pip installs nothing from its index: {why}"))?;
        // From here on a failure is the package's. The profile is that of the tests, so that little is built.
        let mut pip = python.pip();
        pip.env("LUCARNE_PROFILE", "dev");
        succeed(pip.arg("--no-deps").arg(root().join("bindings/python")));
        Ok(python)
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.folder.join("bin").join(name));
        // Nothing is written beside the sources, and nothing of the caller's is looked at.
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command.env_remove("PYTHONPATH");
        command
    }

    fn pip(&self) -> Command {
        let mut pip = self.program("python");
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]);
        pip
    }

    /// A peer of the package's own tests.
    fn peer(&self, role: &str, folder: &Path) -> Child {
        let mut peer = self.program("python");
        peer.arg(root().join("bindings/python/tests/peer.py"));
        peer.args([role, "python"]).arg(folder);
        peer.arg(FRAMES.to_string());
        start(&mut peer)
    }
}

fn start(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn();
    child.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// The last thing that a program said where it failed.
fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(said.trim().lines().last().unwrap_or("nothing").to_owned())
}

/// What a program has said, which must have succeeded.
fn ended(child: Child) -> String {
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", told(&output));
    told(&output)
}

/// As `examples/c/pattern.h` has it.
fn pixel(frame: u32, x: u32, y: u32) -> [u8; 3] {
    let red = (3 * x + frame).to_le_bytes()[0];
    let green = (5 * y + 7 * frame).to_le_bytes()[0];
    [red, green, (11 * frame).to_le_bytes()[0]]
}

fn picture(frame: u32) -> Vec<u8> {
    let places = (0..EXTENT.height).flat_map(|y| (0..EXTENT.width).map(move |x| (x, y)));
    let pixels = places.map(|(x, y)| pixel(frame, x, y));
    pixels.flat_map(|[r, g, b]| [r, g, b, 255]).collect()
}

/// Red, green and blue; padding may hold anything.
fn assert_picture(frame: u32, bytes: &[u8]) {
    let expected = picture(frame);
    assert_eq!(bytes.len(), expected.len());
    for (at, (got, wanted)) in bytes.chunks(4).zip(expected.chunks(4)).enumerate() {
        assert_eq!(got[..3], wanted[..3], "frame {frame}, pixel {at}");
    }
}

/// Python draws, and `look` says what an API of ours sees: the bytes of a frame, and when it has been read.
fn watch<I>(
    python: &Python,
    offer: &Offer,
    usage: Usage,
    import: impl Import<Image = I>,
    look: impl Fn(&I, &Fence) -> (Vec<u8>, Fence),
) {
    let folder = tempfile::tempdir().expect("a folder");
    let drawing = python.peer("produce", folder.path());
    let options = ConsumerOptions::new(Delivery::Every)
        .directory(folder.path())
        .usage(usage);
    let mut consumer =
        Consumer::connect_wait("python", offer, options, import, TIMEOUT).expect("Python's stream");
    for number in 1..=FRAMES {
        let (reading, acquire) = consumer.receive(TIMEOUT).expect("a frame").acquire();
        assert_eq!(reading.sequence(), u64::from(number));
        let (bytes, release) = look(reading.image(), &acquire);
        assert_picture(number, &bytes);
        reading.release(release).expect("released");
    }
    let end = consumer.receive(TIMEOUT).err();
    let over = matches!(end, Some(lucarne_stream::Error::Ended));
    assert!(over, "{end:?}");
    let said = ended(drawing);
    assert!(said.contains(&format!("\"sent\": {FRAMES}")), "{said}");
}

#[test]
fn its_own_tests_pass() {
    let Some(python) = Python::installed() else {
        return;
    };
    let mut tests = python.program("pytest");
    tests.args(["-q", "-rs", "-p", "no:cacheprovider"]);
    tests.current_dir(root().join("bindings/python"));
    let said = told(&succeed(&mut tests));
    let (_, passed) = said.split_once("\n").expect("lines");
    assert!(passed.contains(" passed"), "{said}");
    let skipped = said.lines().filter(|line| line.starts_with("SKIPPED"));
    for line in skipped {
        skip_case("dma-buf", line);
    }
}

#[test]
fn its_types_are_right() {
    let Some(python) = Python::installed() else {
        return;
    };
    // Elsewhere: what is looked at is what was installed.
    let folder = tempfile::tempdir().expect("a folder");
    let mut mypy = python.program("mypy");
    mypy.args(["--strict", "--package", "lucarne"]);
    mypy.args(["--cache-dir", "/dev/null"]);
    succeed(mypy.current_dir(folder.path()));
    let program = folder.path().join("wrong.py");
    let text = "import lucarne\nlucarne.Consumer(\"scene\").receive(\"soon\")\n";
    std::fs::write(&program, text).expect("written");
    let mut mypy = python.program("mypy");
    mypy.arg(&program).args(["--cache-dir", "/dev/null"]);
    let output = mypy.output().expect("mypy runs");
    assert!(told(&output).contains("\"receive\""), "{}", told(&output));
}

fn vulkan_device() -> vulkan::Device {
    let instance = vulkan::Instance::new(&vulkan::InstanceOptions::default());
    let instance = instance.expect("a Vulkan loader");
    let adapters = instance.adapters().expect("a Vulkan driver");
    adapters[0].open().expect("a device")
}

#[test]
fn vulkan_sees_what_python_draws() {
    let Some(python) = Python::installed() else {
        return;
    };
    let device = vulkan_device();
    let usage = Usage::TRANSFER_SOURCE;
    let offer = device.offer(usage).expect("an offer");
    let import = |frame: &Frame| device.import(frame, usage);
    watch(python, &offer, usage, import, |image, acquire| {
        let bytes = device.download(image, acquire, TIMEOUT);
        (bytes.expect("pixels"), Fence::Signaled)
    });
}

#[test]
fn opengl_sees_what_python_draws() {
    let Some(python) = Python::installed() else {
        return;
    };
    let adapters = egl::Adapter::enumerate().expect("EGL devices");
    let device = adapters[0].open().expect("a context");
    let usage = Usage::SAMPLE;
    let offer = device.offer(usage).expect("an offer");
    let import = |frame: &Frame| device.import(frame);
    watch(python, &offer, usage, import, |texture, acquire| {
        device.read(texture, acquire, TIMEOUT).expect("a turn");
        let pixels = device.download(texture).expect("pixels");
        let bytes = pixels.into_iter().flatten().map(byte).collect();
        (bytes, device.fence(TIMEOUT).expect("a fence"))
    });
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the number is 0 to 255"
)]
fn byte(number: f32) -> u8 {
    (number.clamp(0.0, 1.0) * 255.0).round() as u8
}

/// What `consume` of the peer says where it got every frame and no pixel was wrong.
fn assert_seen(said: &str) {
    let numbers: Vec<String> = (1..=FRAMES).map(|number| number.to_string()).collect();
    let frames = format!("\"numbers\": [{}]", numbers.join(", "));
    assert!(said.contains(&frames), "{said}");
    assert!(said.contains("\"wrong\": 0,"), "{said}");
}

#[test]
fn python_sees_what_vulkan_draws() {
    let Some(python) = Python::installed() else {
        return;
    };
    let device = vulkan_device();
    let offer = device.offer(Usage::TRANSFER_DESTINATION).expect("an offer");
    let folder = tempfile::tempdir().expect("a folder");
    let request = Request::new(EXTENT)
        .formats(&[Format::XBGR8888])
        .usage(Usage::TRANSFER_DESTINATION, Usage::SAMPLE);
    let options = ProducerOptions::of(request)
        .directory(folder.path())
        .patience(TIMEOUT);
    let export = |agreement: &Agreement| {
        let image = device.export(agreement)?;
        let frame = image.frame().clone();
        Ok((image, frame))
    };
    let mut producer = Producer::bind("python", &offer, options, export).expect("a name");
    let watching = python.peer("consume", folder.path());
    for number in 1..=FRAMES {
        let slot = producer.acquire(TIMEOUT).expect("a slot");
        let bytes = picture(number);
        let done = device.upload(slot.image(), slot.gate(), TIMEOUT, &bytes);
        let sent = producer.send(slot, done.expect("drawn"), lucarne_stream::now());
        assert_eq!(sent.expect("sent"), 1);
    }
    producer.end();
    assert_seen(&ended(watching));
}

/// The programs of `examples/c`, whose frames Vulkan and the CPU make in a stream of their own, and the reader in OpenGL.
#[test]
fn python_and_c_see_each_other() {
    let Some(python) = Python::installed() else {
        return;
    };
    let installed = Installed::new();
    for line in lines() {
        let role = match line.program.as_str() {
            "vulkan-producer" | "cpu-producer" => "consume",
            "gl-consumer" => "produce",
            _ => continue,
        };
        let Some(program) = compile_or_skip(&installed, &line, "cc", "") else {
            continue;
        };
        let folder = tempfile::tempdir().expect("a folder");
        let peer = python.peer(role, folder.path());
        let mut command = installed.command(&program);
        let c = start(
            command
                .args(["python", &FRAMES.to_string()])
                .arg(folder.path()),
        );
        if role == "consume" {
            assert_seen(&ended(peer));
            ended(c);
        } else {
            let said = ended(c);
            assert!(said.contains(" 0 wrong pixels"), "{said}");
            ended(peer);
        }
    }
}

/// What an archive of sources installs: no library, a text that says how to get one, and the system's where there is one.
#[test]
fn an_archive_of_sources_takes_the_systems_library() {
    let Some(python) = Python::installed() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let mut setup = python.program("python");
    setup.args(["setup.py", "--quiet", "sdist", "--dist-dir"]);
    setup.arg(folder.path());
    succeed(setup.current_dir(root().join("bindings/python")));
    let archive = std::fs::read_dir(folder.path()).expect("a folder").next();
    let archive = archive.expect("an archive").expect("an entry").path();
    let place = folder.path().join("installed");
    let mut pip = python.pip();
    pip.args(["--no-deps", "--no-build-isolation", "--target"]);
    succeed(pip.arg(&place).arg(&archive));
    assert!(!place.join("lucarne/liblucarne.so").exists());
    let about = concat!("lucarne-", env!("CARGO_PKG_VERSION"), ".dist-info");
    assert!(place.join(about).join("licenses/LICENSE-MIT").exists());

    let import = || {
        let mut import = python.program("python");
        import.args(["-c", "import lucarne; print(lucarne.library_path)"]);
        import
            .env("PYTHONPATH", &place)
            .env_remove("LD_LIBRARY_PATH");
        import
    };
    let output = import().output().expect("Python runs");
    let said = told(&output);
    assert!(!output.status.success(), "{said}");
    for part in ["ImportError", "liblucarne.so.0.1", "cargo cinstall"] {
        assert!(said.contains(part), "{said}");
    }
    let system = Installed::new();
    let mut with_system = import();
    with_system.env("LD_LIBRARY_PATH", system.path().join("lib"));
    let said = told(&succeed(&mut with_system));
    assert!(said.contains("liblucarne.so.0.1"), "{said}");
    let mut chosen = import();
    chosen.env("LUCARNE_LIBRARY", library());
    let said = told(&succeed(&mut chosen));
    assert!(said.contains("liblucarne_capi.so"), "{said}");
}
