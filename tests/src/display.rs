//! Display servers of a test's own, and programs that end with it.

use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::TIMEOUT;
use crate::skip::skip;

/// A program that ends with the test.
#[derive(Debug)]
pub struct Running(
    /// As it was started.
    pub Child,
);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks again and again until the answer is there.
///
/// # Panics
///
/// When it is not there in [`TIMEOUT`].
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < TIMEOUT, "not in {TIMEOUT:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Starts a display server; `None` (said aloud) where it is not installed.
///
/// # Panics
///
/// Where it must not be skipped.
pub fn server(command: &mut Command, package: &str) -> Option<Running> {
    match command.stdin(Stdio::null()).stderr(Stdio::null()).spawn() {
        Ok(child) => Some(Running(child)),
        Err(error) => {
            let program = command.get_program().to_string_lossy();
            skip("window", &format!("{program}: {error} (package {package})"));
            None
        }
    }
}

/// An X server without a screen.
#[derive(Debug)]
pub struct Xvfb {
    /// For `DISPLAY`.
    pub name: String,
    /// Ends it when dropped.
    pub server: Running,
}

impl Xvfb {
    /// Starts it; where `screen` is given, what it shows is the file `Xvfb_screen0` in there, an X window dump. `None` (said
    /// aloud) where it is not installed.
    ///
    /// # Panics
    ///
    /// Where it must not be skipped, or does not tell its display's number.
    pub fn start(width: u32, height: u32, screen: Option<&Path>) -> Option<Self> {
        let mut command = Command::new("Xvfb");
        command
            .args(["-displayfd", "1", "-nolisten", "tcp", "-screen", "0"])
            .arg(format!("{width}x{height}x24"))
            .stdout(Stdio::piped());
        if let Some(folder) = screen {
            command.arg("-fbdir").arg(folder);
        }
        let mut server = server(&mut command, "xvfb")?;
        let said = server.0.stdout.take().expect("a pipe");
        let mut number = String::new();
        let read = BufReader::new(said).read_line(&mut number);
        read.expect("the display's number");
        let name = format!(":{}", number.trim());
        Some(Self { name, server })
    }
}

/// What Weston shows its own windows on.
#[derive(Debug, Clone, Copy)]
pub enum Backend<'a> {
    /// Nothing, drawn with OpenGL.
    Headless,
    /// Nothing, drawn by the CPU: without dma-bufs.
    Pixman,
    /// A window of this X display, which has a keyboard and a pointer.
    X11(&'a str),
}

/// The name of Weston's socket in its runtime folder.
pub const SOCKET: &str = "screen";

/// Starts Weston without a panel, with further arguments (`--debug` lets everybody take pictures), and waits until it is there. `None`
/// (said aloud) where it is not installed.
///
/// # Panics
///
/// Where it must not be skipped, or ends at its start.
pub fn weston(runtime: &Path, backend: Backend<'_>, arguments: &[&str]) -> Option<Running> {
    // Weston's panel stays over a window that fills the screen, where the panel was there first.
    let config = runtime.join("weston.ini");
    std::fs::write(&config, "[shell]\npanel-position=none\n").expect("written");
    let mut command = Command::new("weston");
    command
        .arg(format!("--config={}", config.display()))
        .args([&format!("--socket={SOCKET}"), "--idle-time=0"])
        .args(arguments)
        .env("XDG_RUNTIME_DIR", runtime)
        .stdout(Stdio::null());
    match backend {
        Backend::Headless => command.args(headless(true)).env_remove("DISPLAY"),
        Backend::Pixman => command.args(headless(false)).env_remove("DISPLAY"),
        Backend::X11(display) => command
            .arg("--backend=x11-backend.so")
            .env("DISPLAY", display),
    };
    let mut weston = server(&mut command, "weston")?;
    until("weston's start", || {
        let ended = weston.0.try_wait().expect("a child");
        assert!(ended.is_none(), "weston ended at its start: {ended:?}");
        // The socket is there before anybody listens.
        UnixStream::connect(runtime.join(SOCKET)).ok()
    });
    Some(weston)
}

/// Names of options changed with Weston 12.
fn headless(with_gl: bool) -> [&'static str; 2] {
    let version = Command::new("weston").arg("--version").output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let major = version.ok().and_then(|text| {
        let number = text.strip_prefix("weston ")?.split('.').next()?;
        number.parse::<u32>().ok()
    });
    match (major, with_gl) {
        (Some(0..12), true) => ["--backend=headless-backend.so", "--use-gl"],
        (Some(0..12), false) => ["--backend=headless-backend.so", "--use-pixman"],
        (_, true) => ["--backend=headless", "--renderer=gl"],
        (_, false) => ["--backend=headless", "--renderer=pixman"],
    }
}
