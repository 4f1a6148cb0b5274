//! The D-Bus example, on a bus of its own.

use lucarne::Extent;
use lucarne_examples::card;
use lucarne_examples::picture::Picture;
use lucarne_tests::skip::skip;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

/// Ended when dropped.
struct Program(Child);

impl Program {
    /// Starts a program, and waits for the first line of what it says.
    fn start(command: &mut Command) -> std::io::Result<(Self, String)> {
        let mut child = command.spawn()?;
        let out: Box<dyn std::io::Read + Send> = match (child.stdout.take(), child.stderr.take()) {
            (Some(out), _) => Box::new(out),
            (None, Some(err)) => Box::new(err),
            (None, None) => panic!("one of them is piped"),
        };
        let program = Self(child);
        let mut line = String::new();
        let mut out = BufReader::new(out);
        out.read_line(&mut line)?;
        // Whatever else it says is for nobody, but it must be able to say it.
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        Ok((program, line.trim().to_owned()))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A session bus for one test, and its address.
fn bus() -> Option<(Program, String)> {
    let mut daemon = Command::new("dbus-daemon");
    daemon.args(["--session", "--nofork", "--nosyslog", "--print-address=1"]);
    match Program::start(daemon.stdout(Stdio::piped())) {
        Ok((daemon, address)) => {
            assert!(address.starts_with("unix:"), "{address:?}");
            Some((daemon, address))
        }
        Err(error) => {
            skip("dbus", &format!("dbus-daemon: {error}"));
            None
        }
    }
}

fn dbus(address: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dbus"));
    command.env("DBUS_SESSION_BUS_ADDRESS", address);
    command
}

fn complaint(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_frame_is_fetched_over_a_bus() {
    let Some((_daemon, address)) = bus() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let fetch = |name: &str| {
        let path = folder.path().join(name);
        let output = dbus(&address).arg("fetch").arg(&path).output();
        (output.expect("cargo built it"), path)
    };
    let (early, _) = fetch("early.png");
    let said = complaint(&early);
    assert!(said.contains("nobody offers a frame"), "{said}");
    let extent = Extent::new(97, 55);
    for memory in ["host-memory", "dma-buf"] {
        let mut offer = dbus(&address);
        offer.args(["offer", "--size", "97x55"]);
        if memory == "dma-buf" {
            offer.arg("--dma-buf");
        }
        let started = Program::start(offer.stderr(Stdio::piped()));
        let (offering, said) = started.expect("cargo built it");
        if memory == "dma-buf" && said.contains("/dev/udmabuf") {
            skip("udmabuf", &said);
            continue;
        }
        assert!(said.contains(memory) && said.contains("97x55"), "{said}");
        let taken = Program::start(dbus(&address).arg("offer").stderr(Stdio::piped()));
        let (_taken, said) = taken.expect("cargo built it");
        assert!(said.contains("already"), "{said}");
        // As often as one likes.
        for name in ["first.png", "second.png"] {
            let (fetched, path) = fetch(name);
            let said = String::from_utf8_lossy(&fetched.stderr);
            assert!(fetched.status.success() && said.contains(memory), "{said}");
            let seen = Picture::load(&path).expect("saved");
            let drawn = Picture::from_frame(extent, card::FORMAT, card::draw(extent));
            assert_eq!(seen, drawn.expect("its size"), "{memory}: every pixel");
        }
        drop(offering);
    }
}

#[test]
fn without_a_bus_it_says_how_to_have_one() {
    for role in ["offer", "fetch"] {
        let output = dbus("unix:path=/nonexistent/bus").arg(role).output();
        let said = complaint(&output.expect("cargo built it"));
        for words in [
            "session bus did not answer",
            "/nonexistent/bus",
            "dbus-run-session",
        ] {
            assert!(said.contains(words), "{words}: {said}");
        }
    }
}
