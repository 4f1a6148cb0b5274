//! `lucarne top` in a pipe, and in a terminal that it has to leave as it was.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
use common::terminal::Terminal;
use common::*;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_pipe_gets_one_table() {
    let served = Served::start(&["--size", "64x32", "--rate", "20", "--api", "cpu"]);
    let file = served.folder.path().join("frames");
    let mut recorder = lucarne(served.folder.path(), &["record", "test"])
        .arg(&file)
        .stdout(Stdio::null())
        .spawn()
        .expect("lucarne runs");
    let begun = Instant::now();
    let reads = |found: &lucarne_stream::Found| {
        let details = found.details.iter();
        let mut consumers = details.flat_map(|details| &details.consumers);
        consumers.any(|one| one.is_served && one.frames > 0)
    };
    while !lucarne_stream::describe(served.folder.path(), "test").is_ok_and(|found| reads(&found)) {
        assert!(begun.elapsed() < PATIENCE, "it does not come");
        std::thread::sleep(Duration::from_millis(1));
    }
    // So soon that no latency was told yet: it is waited for.
    let output = served.run(&["top", "--interval", "0.3"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(!said.contains('\x1b'), "no colours in a pipe: {said:?}");
    let (header, row) = said.split_once('\n').expect("a header and a row");
    assert!(
        header.contains("LATENCY") && header.contains("MODIFIER"),
        "{said}"
    );
    let row: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(row[..3], ["test", "streaming", "64x32"], "{said}");
    assert!(row.contains(&"ms"), "no latency: {said}");
    let rate: f64 = row[6].parse().expect("a rate");
    assert!(rate > 0.0 && rate < 60.0, "{row:?}");
    assert_eq!(row.last(), Some(&"1"), "{row:?}");
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
