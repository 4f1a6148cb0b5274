//! What came back from the guest.

use std::fs;
use std::path::Path;

use super::binaries::TestProgram;
use crate::libtest::Reader;
use crate::process;
use crate::report::{Report, Require, Tier};

/// How one step of the script ended.
#[derive(Debug, PartialEq)]
struct Status {
    code: i32,
    seconds: f64,
}

/// Reads the results folder: one tier per program, one for the demo, one for the guests themselves. `killed` says for each of
/// them whether its deadline ended it.
pub(crate) fn read(
    folder: &Path,
    tests: &[TestProgram],
    demo: bool,
    killed: &[bool],
    require: &Require,
) -> Report {
    let mut report = Report::default();
    let mut guests = Tier::named("guest");
    for (number, killed) in (1..).zip(killed) {
        guest_itself(folder, number, *killed, &mut guests);
    }
    report.add(guests);
    let facts = text(&folder.join("facts-1"));
    let mut lines = facts.lines();
    if let (Some(kernel), Some(device)) = (lines.next(), lines.next()) {
        report
            .facts
            .insert("guest kernel".to_owned(), kernel.to_owned());
        let device = format!("real ({device}), no preload");
        report.facts.insert("guest /dev/udmabuf".to_owned(), device);
    }
    let require = require.clone().with("udmabuf");
    for (number, test) in tests.iter().enumerate() {
        report.add(one_program(folder, number, test, &require));
    }
    if demo {
        report.add(the_demo(folder));
    }
    report
}

/// A guest started, had the device, and came to the end of its script.
fn guest_itself(folder: &Path, number: usize, killed: bool, tier: &mut Tier) {
    let facts = text(&folder.join(format!("facts-{number}")));
    let console = || {
        let console = folder.join(format!("console-{number}.log"));
        let said = process::tail(&console, 30);
        format!("guest {number}'s console last said:\n{said}")
    };
    if killed {
        tier.fail(
            "deadline",
            format!("the guest was ended at its deadline; {}", console()),
        );
    } else if !folder.join(format!("complete-{number}")).is_file() {
        tier.fail(
            "end",
            format!("the guest ended before its script did; {}", console()),
        );
    } else if facts.lines().nth(2) != Some("present") {
        tier.fail(
            "udmabuf",
            format!("the guest's kernel has no /dev/udmabuf: {facts}"),
        );
    } else {
        tier.passed += 1;
    }
}

fn one_program(folder: &Path, number: usize, test: &TestProgram, require: &Require) -> Tier {
    let name = format!("guest: {}", test.name);
    let log = folder.join(format!("{number:02}.log"));
    let Some(status) = status_of(folder, &format!("{number:02}")) else {
        let mut tier = Tier::named(&name);
        tier.fail(
            &test.name,
            format!("did not come to an end:\n{}", process::tail(&log, 40)),
        );
        return tier;
    };
    let mut reader = Reader::new(require.clone());
    reader.begin(&name, "");
    for line in text(&log).lines() {
        reader.line(line);
    }
    reader.end(status.complaint());
    let mut tier = reader
        .finish(None)
        .pop()
        .unwrap_or_else(|| Tier::named(&name));
    tier.seconds = status.seconds;
    tier
}

/// The demo ran on the dma-buf path, on real dma-bufs, and left its pictures.
fn the_demo(folder: &Path) -> Tier {
    let mut tier = Tier::named("guest: demo");
    let log = process::tail(&folder.join("demo.log"), 40);
    let Some(status) = status_of(folder, "demo") else {
        tier.fail("demo", format!("did not come to an end:\n{log}"));
        return tier;
    };
    tier.seconds = status.seconds;
    if let Some(complaint) = status.complaint() {
        tier.fail("demo", format!("{complaint}\n{log}"));
        return tier;
    }
    match judge_demo(&text(&folder.join("demo.json"))) {
        Ok(()) => tier.passed = 1,
        Err(complaint) => tier.fail("demo", complaint),
    }
    tier
}

/// Judges the demo by its own report.
pub(super) fn judge_demo(json: &str) -> Result<(), String> {
    let report: serde_json::Value = serde_json::from_str(json.trim())
        .map_err(|e| format!("its report is not JSON ({e}):\n{json}"))?;
    let expect = |key: &str, value: serde_json::Value| {
        let got = &report[key];
        if *got == value {
            Ok(())
        } else {
            Err(format!("{key} is {got}, expected {value}:\n{json}"))
        }
    };
    expect("path", "dma-buf".into())?;
    expect("emulated", false.into())?;
    match report["images"].as_array() {
        Some(images) if !images.is_empty() => Ok(()),
        _ => Err(format!("it left no pictures:\n{json}")),
    }
}

impl Status {
    /// `CODE BEGAN ENDED`, the times as /proc/uptime has them.
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let code = words.next()?.parse().ok()?;
        let began: f64 = words.next()?.parse().ok()?;
        let ended: f64 = words.next()?.parse().ok()?;
        Some(Self {
            code,
            seconds: ended - began,
        })
    }

    /// What is wrong with it; a shell adds 128 to a signal's number, `timeout` says 124.
    fn complaint(&self) -> Option<String> {
        match self.code {
            0 => None,
            124 | 137 => Some("it took too long and was ended".to_owned()),
            code @ 129..=192 => Some(format!("killed by signal {}", code - 128)),
            code => Some(format!("exit status {code}")),
        }
    }
}

fn status_of(folder: &Path, step: &str) -> Option<Status> {
    Status::parse(&text(&folder.join(format!("{step}.status"))))
}

/// A file of the guest's: whatever it wrote, or nothing.
fn text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program() -> TestProgram {
        TestProgram {
            name: "kernel".to_owned(),
            program: "/t/kernel-0".into(),
            folder: "/c/tests".into(),
        }
    }

    const GOOD: &str = "running 1 test\ntest a ... ok\n\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s\n";

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(folder.path().join(name), content).unwrap();
        }
        folder
    }

    #[test]
    fn a_good_run() {
        let facts = "6.12.1\n10:258\npresent\n";
        let folder = folder(&[
            ("facts-1", facts),
            ("complete-1", "yes"),
            ("00.log", GOOD),
            ("00.status", "0 1.5 4.0"),
        ]);
        let report = read(
            folder.path(),
            &[program()],
            false,
            &[false],
            &Require::default(),
        );
        assert!(report.good(), "{}", report.table());
        assert_eq!(report.plain_line(), "2 passed, 0 failed, 0 skipped");
    }

    #[test]
    fn nothing_came_back() {
        let folder = folder(&[]);
        let report = read(
            folder.path(),
            &[program()],
            true,
            &[false],
            &Require::default(),
        );
        assert_eq!(report.plain_line(), "0 passed, 3 failed, 0 skipped");
    }

    #[test]
    fn a_dead_program_fails_whatever_it_printed() {
        let facts = "6.12.1\n10:258\npresent\n";
        for status in ["139 1.0 2.0", "124 1.0 2.0", "101 1.0 2.0"] {
            let folder = folder(&[
                ("facts-1", facts),
                ("complete-1", "yes"),
                ("00.log", GOOD),
                ("00.status", status),
            ]);
            let report = read(
                folder.path(),
                &[program()],
                false,
                &[false],
                &Require::default(),
            );
            assert!(!report.good(), "{status}");
        }
    }

    #[test]
    fn udmabuf_must_not_be_skipped_there() {
        let log = "running 1 test\nsuccesses:\n\n---- a stdout ----\nskipped: udmabuf: none\n\nsuccesses:\n    a\n\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        let folder = folder(&[
            ("facts-1", "6.12.1\n10:2\npresent\n"),
            ("complete-1", "yes"),
            ("00.log", log),
            ("00.status", "0 1 2"),
        ]);
        let report = read(
            folder.path(),
            &[program()],
            false,
            &[false],
            &Require::default(),
        );
        assert_eq!(report.plain_line(), "1 passed, 1 failed, 0 skipped");
    }

    #[test]
    fn the_demo_must_say_dma_buf_and_not_emulated() {
        let good = r#"{"path":"dma-buf","emulated":false,"images":["a.png"]}"#;
        assert_eq!(judge_demo(good), Ok(()));
        for bad in [
            r#"{"path":"opaque-fd","emulated":false,"images":["a.png"]}"#,
            r#"{"path":"dma-buf","emulated":true,"images":["a.png"]}"#,
            r#"{"path":"dma-buf","emulated":false,"images":[]}"#,
            r#"{"path":"dma-buf"}"#,
            "no JSON",
        ] {
            assert!(judge_demo(bad).is_err(), "{bad}");
        }
    }
}
