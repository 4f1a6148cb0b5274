//! `lucarne top` in a pipe, and in a terminal that it has to leave as it was.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rustix::process::Signal;

#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
use common::*;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_pipe_gets_one_table() {
    let served = Served::start(&["--size", "64x32", "--rate", "50", "--api", "cpu"]);
    let file = served.folder.path().join("frames");
    let mut recorder = lucarne(served.folder.path(), &["record", "test"])
        .arg(&file)
        .stdout(Stdio::null())
        .spawn()
        .expect("lucarne runs");
    let begun = Instant::now();
    let row = loop {
        let output = served.run(&["top", "--interval", "0.2"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let said = text(&output.stdout).to_owned();
        assert!(!said.contains('\x1b'), "no colours in a pipe: {said:?}");
        let mut lines = said.lines();
        let header = lines.next().expect("a header").to_owned();
        assert!(
            header.contains("LATENCY") && header.contains("MODIFIER"),
            "{said}"
        );
        let row: Vec<String> = lines
            .next()
            .expect("the stream")
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        // Until it has frames, and one of them was told with its age.
        if row.contains(&"ms".to_owned()) {
            break row;
        }
        assert!(begun.elapsed() < PATIENCE, "{said}");
    };
    assert_eq!(row[..3], ["test", "streaming", "64x32"]);
    let rate: f64 = row[6].parse().expect("a rate");
    assert!(rate > 0.0 && rate < 60.0, "{row:?}");
    assert_eq!(row.last().map(String::as_str), Some("1"), "{row:?}");
    interrupt(&recorder);
    assert!(recorder.wait().expect("a child").success());
}

#[test]
fn programs_get_an_object_for_each_interval() {
    let served = Served::start(&["--size", "64x32", "--api", "cpu"]);
    let mut child = lucarne(
        served.folder.path(),
        &["top", "--json", "--interval", "0.1"],
    )
    .stdout(Stdio::piped())
    .spawn()
    .expect("lucarne runs");
    let lines = std::io::BufReader::new(child.stdout.take().expect("a pipe"));
    let mut lines = std::io::BufRead::lines(lines);
    for _ in 0..3 {
        let line = lines.next().expect("it goes on").expect("text");
        let told: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        let stream = &told["streams"][0];
        assert_eq!(stream["name"], "test", "{line}");
        assert_eq!(stream["rate"], 0.0, "nobody reads it: {line}");
        assert_eq!(stream["each"], serde_json::json!([]), "{line}");
    }
    interrupt(&child);
    assert!(child.wait().expect("a child").success());
}

#[test]
fn an_empty_folder_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let arguments = ["top", "--once", "--interval", "0.1"];
    let output = lucarne(folder.path(), &arguments)
        .output()
        .expect("lucarne runs");
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).starts_with("no streams in "));
    let output = lucarne(folder.path(), &["top", "--interval", "0"]).output();
    let said = output.expect("lucarne runs").stderr;
    assert!(text(&said).contains("0.1 to 86400"), "{}", text(&said));
}

/// A shell in a terminal of its own, which `script` (util-linux) makes.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    shown: Receiver<Vec<u8>>,
    all: String,
}

impl Terminal {
    /// `None`, and a line that says so, where there is no `script`.
    fn open(command: &str) -> Option<Self> {
        let spawned = Command::new("script")
            .args(["--quiet", "--return", "--command", command, "/dev/null"])
            .env("TERM", "xterm-256color")
            .env("SHELL", "/bin/sh")
            .env("NO_COLOR", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut child) = spawned else {
            support::skip("tool", "there is no script (util-linux)");
            return None;
        };
        let mut output = child.stdout.take().expect("a pipe");
        let (to, shown) = mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                if to.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Some(Self {
            keys: child.stdin.take().expect("a pipe"),
            child,
            shown,
            all: String::new(),
        })
    }

    /// Waits until something was shown after what was waited for before; gives what came until then.
    fn until(&mut self, wanted: &str) -> String {
        let begun = Instant::now();
        loop {
            if let Some(at) = self.all.find(wanted) {
                let rest = self.all.split_off(at + wanted.len());
                return std::mem::replace(&mut self.all, rest);
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "no {wanted:?} in {:?}",
                self.all
            );
            match self.shown.recv_timeout(Duration::from_secs(1)) {
                Ok(bytes) => self.all.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("it ended without {wanted:?}: {:?}", self.all)
                }
            }
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("it listens");
        self.keys.flush().expect("it listens");
    }
}

/// The terminal's settings before, the command, the same after.
fn in_between(folder: &std::path::Path) -> String {
    let program = env!("CARGO_BIN_EXE_lucarne");
    format!(
        "stty rows 24 cols 100; echo before $(stty -g) .; echo at $(tty) $$ .; '{program}' top --interval 0.1 --folder '{}'; \
         echo status $?; echo after $(stty -g) .",
        folder.display()
    )
}

fn settings(terminal: &mut Terminal, word: &str) -> String {
    terminal.until(word);
    terminal.until(" .")
}

/// Whether something is written in a colour: `ESC [ 31 m`, or 38, 41 or 91, for instance.
fn has_colours(shown: &str) -> bool {
    shown.split("\x1b[").any(|part| {
        let Some((style, _)) = part.split_once('m') else {
            return false;
        };
        style.split(';').any(|number| {
            let number = number.parse().unwrap_or(0);
            (30..39).contains(&number) || (40..49).contains(&number) || (90..108).contains(&number)
        })
    })
}

const TAKEN: &str = "\x1b[?1049h";
const PUT_BACK: &str = "\x1b[?1049l";

#[test]
fn keys_work_and_the_terminal_is_put_back() {
    let served = Served::start(&["--size", "64x32", "--api", "cpu"]);
    let Some(mut terminal) = Terminal::open(&in_between(served.folder.path())) else {
        return;
    };
    let before = settings(&mut terminal, "before");
    let place = settings(&mut terminal, "at ");
    let mut shown = terminal.until(TAKEN);
    // What changes is written, word by word.
    shown += &terminal.until("64x32");
    terminal.press("\r");
    shown += &terminal.until("nobody");
    terminal.press("?");
    shown += &terminal.until("select");
    terminal.press("\x1b");
    shown += &terminal.until("64x32");
    shown += &terminal.until("help");
    // A narrow terminal has fewer columns, and all of it is written anew.
    let file = place.split_whitespace().next().expect("a terminal");
    let resized = Command::new("stty")
        .args(["-F", file, "cols", "40"])
        .status();
    assert!(resized.expect("stty runs").success());
    let narrow = terminal.until("help");
    assert!(
        narrow.contains("RATE") && !narrow.contains("MODIFIER"),
        "{narrow:?}"
    );
    terminal.press("q");
    shown += &terminal.until(PUT_BACK);
    assert!(
        !has_colours(&shown),
        "colours in spite of NO_COLOR: {shown:?}"
    );
    terminal.until("status 0");
    assert_eq!(settings(&mut terminal, "after"), before);
    assert!(terminal.child.wait().expect("a child").success());
}

/// The one child of this process.
fn only_child(of: &str) -> rustix::process::Pid {
    let children = format!("/proc/{of}/task/{of}/children");
    let child = std::fs::read_to_string(children).expect("its children");
    let pid = child.trim().parse().ok();
    pid.and_then(rustix::process::Pid::from_raw)
        .expect("one child")
}

#[test]
fn it_ends_with_its_terminal() {
    let served = Served::start(&["--size", "64x32", "--api", "cpu"]);
    // With the signal that a terminal's end sends, and without it.
    for prefix in ["", "trap '' HUP; "] {
        let command = format!("{prefix}{}", in_between(served.folder.path()));
        let Some(mut terminal) = Terminal::open(&command) else {
            return;
        };
        let place = settings(&mut terminal, "at ");
        let shell = place.split_whitespace().nth(1).expect("a process");
        terminal.until(TAKEN);
        let pid = only_child(shell);
        terminal.child.kill().expect("it runs");
        terminal.child.wait().expect("a child");
        let begun = Instant::now();
        // Whoever inherits it may not ask how it ended.
        let status = format!("/proc/{}/status", pid.as_raw_nonzero());
        let runs = || {
            let status = std::fs::read_to_string(&status).unwrap_or_default();
            status.contains("State:") && !status.contains("State:\tZ")
        };
        while runs() {
            let is_over = begun.elapsed() > PATIENCE;
            if is_over {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
            assert!(!is_over, "{prefix:?}: it goes on without a terminal");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_signal_and_an_error_put_the_terminal_back() {
    let served = Served::start(&["--size", "64x32", "--api", "cpu"]);
    let path = served.folder.path().join("streams");
    std::fs::create_dir(&path).expect("a folder");
    for (how, status) in [("signal", "status 0"), ("error", "status 2")] {
        let Some(mut terminal) = Terminal::open(&in_between(&path)) else {
            return;
        };
        let before = settings(&mut terminal, "before");
        let place = settings(&mut terminal, "at ");
        let shell = place.split_whitespace().nth(1).expect("a process");
        terminal.until("makes");
        if how == "signal" {
            rustix::process::kill_process(only_child(shell), Signal::TERM).expect("it runs");
        } else {
            // No folder any more, but a file.
            std::fs::remove_dir(&path).expect("empty");
            std::fs::write(&path, "").expect("a file");
        }
        terminal.until(PUT_BACK);
        terminal.until(status);
        assert_eq!(settings(&mut terminal, "after"), before, "{how}");
        assert!(terminal.child.wait().expect("a child").success());
    }
}
