//! Runs the programs of a kit, one after the other, and writes what they found: this is the program `bin/run` of every kit.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::list::{self, FOLDER, Kind, NAME, Program};
use super::private::Private;
use super::supervise::{self, Ending};
use crate::error::{Error, FAILED, Result};
use crate::file;
use crate::libtest::Reader;
use crate::progress::{self, say};
use crate::report::{Report, Require, Tier};

/// Arguments of a kit's `run.sh`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// The kit's folder
    #[arg(long, value_name = "FOLDER", hide = true)]
    kit: PathBuf,
    /// The folder to write the report into
    #[arg(long, value_name = "FOLDER", default_value = "lucarne-report")]
    report: PathBuf,
    /// What the machine is called in the report
    #[arg(long, default_value = "GPU")]
    name: String,
    /// Seconds for all programs together; those that are left then do not run
    #[arg(long, value_name = "SECONDS", default_value_t = 450)]
    limit: u64,
    /// Run only this program (can be given more than once)
    #[arg(long, value_name = "PROGRAM")]
    only: Vec<String>,
}

/// A program that is started this late would be ended before it has found anything.
const LEAST: Duration = Duration::from_secs(2);
/// Bytes of a program's output that are kept.
const KEPT: usize = 64 * 1024;

/// Where things are while a kit runs.
#[derive(Debug)]
struct Place {
    kit: PathBuf,
    report: PathBuf,
    /// Home, temporary files and sockets of the programs. Its name is short, as a socket's must be.
    scratch: PathBuf,
    private: Private,
}

/// Runs all programs and writes one file for each, and a summary. What they find wrong is told there; 1 says that there was some.
pub(crate) fn run(options: &Options) -> Result<u8> {
    let mut programs = list::read(&options.kit)?;
    if let Some(unknown) = options
        .only
        .iter()
        .find(|only| programs.iter().all(|program| program.name != **only))
    {
        let names: Vec<_> = programs.iter().map(|program| &*program.name).collect();
        return Err(Error::unable(format!(
            "no program is called {unknown}; there are {}",
            names.join(", ")
        )));
    }
    programs.retain(|program| options.only.is_empty() || options.only.contains(&program.name));
    let place = Place::new(options)?;
    let mut report = Report {
        facts: facts(),
        ..Report::default()
    };
    let begun = Instant::now();
    let limit = Duration::from_secs(options.limit);
    for program in &programs {
        let left = limit.saturating_sub(begun.elapsed());
        let tier = if left < LEAST {
            let reason = format!("no time was left of {} seconds", options.limit);
            Tier::not_run(&program.name, "time", &reason, &Require::default())
        } else {
            place.one(program, left, &options.name)?
        };
        say(format!("{:20} {}", program.name, verdict(&tier)));
        report.add(tier);
    }
    _ = fs::remove_dir_all(&place.scratch);
    place.summary(&report)?;
    say(report.plain_line());
    say(format!(
        "The report is in {}: look it through, and send us the folder.",
        options.report.display()
    ));
    Ok(if report.good() { 0 } else { FAILED })
}

fn verdict(tier: &Tier) -> String {
    let counts = format!(
        "{} passed, {} failed, {} skipped, {:.1} s",
        tier.passed, tier.failed, tier.skipped, tier.seconds
    );
    let style = match tier {
        t if t.failed > 0 => progress::BAD,
        t if t.passed == 0 => progress::NOTICE,
        _ => progress::GOOD,
    };
    format!("{style}{counts}{style:#}")
}

impl Place {
    fn new(options: &Options) -> Result<Self> {
        let made = |path: &Path| -> Result<PathBuf> {
            fs::create_dir_all(path).map_err(|e| Error::io("creating", path, &e))?;
            fs::canonicalize(path).map_err(|e| Error::io("finding", path, &e))
        };
        let kit = made(&options.kit)?;
        let report = made(&options.report)?;
        let scratch = scratch()?;
        let private = Private::here(&[(&kit, "KIT"), (&report, "REPORT"), (&scratch, "SCRATCH")]);
        Ok(Self {
            kit,
            report,
            scratch,
            private,
        })
    }

    /// Runs one program and writes its file.
    fn one(&self, program: &Program, left: Duration, name: &str) -> Result<Tier> {
        let (out, err) = (self.scratch.join("out"), self.scratch.join("err"));
        let err = match program.kind {
            Kind::Json => &err,
            // The harness's lines and those that tests write past it, in their order.
            Kind::Tests => &out,
        };
        let began = Instant::now();
        let limit = left.min(Duration::from_secs(program.limit));
        let ending = supervise::run(&mut self.command(program, name), &out, err, limit);
        let seconds = began.elapsed().as_secs_f64();
        let (said, complaints) = (self.text(&out), self.text(err));
        let (mut tier, value) = match program.kind {
            Kind::Json => json_result(program, &ending, &said, &complaints),
            Kind::Tests => tests_result(program, &ending, &said),
        };
        tier.seconds = seconds;
        self.write(&format!("{}.json", program.name), &value)?;
        Ok(tier)
    }

    fn command(&self, program: &Program, name: &str) -> Command {
        let mut command = Command::new(self.kit.join("bin").join(&program.name));
        let arguments = program.arguments.iter().map(|word| match &**word {
            NAME => OsString::from(name),
            FOLDER => self.report.join(&program.name).into_os_string(),
            word => OsString::from(word),
        });
        command
            .args(arguments)
            .current_dir(&self.scratch)
            .env("HOME", &self.scratch)
            .env("TMPDIR", &self.scratch)
            .env("XDG_RUNTIME_DIR", &self.scratch)
            .env("NO_COLOR", "1");
        for name in ["USER", "LOGNAME", "LUCARNE_REQUIRE", "LUCARNE_GUEST"] {
            command.env_remove(name);
        }
        command
    }

    /// The end of what a program wrote, without what is nobody's business.
    fn text(&self, path: &Path) -> String {
        let bytes = fs::read(path).unwrap_or_default();
        self.private.without(&String::from_utf8_lossy(&bytes))
    }

    fn write(&self, name: &str, value: &Value) -> Result<()> {
        let path = self.report.join(name);
        let text = self.private.without(&format!("{value:#}\n"));
        file::replace(&path, text)
    }

    fn summary(&self, report: &Report) -> Result<()> {
        self.write("summary.json", &report.json())?;
        let path = self.report.join("summary.txt");
        let table = format!("{}{}\n", report.table(), report.plain_line());
        let plain = anstream::adapter::strip_str(&table).to_string();
        file::replace(&path, self.private.without(&plain))
    }
}

/// A new folder for the programs' own files and sockets, which only this user may look into.
fn scratch() -> Result<PathBuf> {
    let base = std::env::temp_dir();
    for number in 0..100 {
        let name = format!("lucarne-kit-{}-{number}", std::process::id());
        let folder = base.join(name);
        match fs::DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => {
                return fs::canonicalize(&folder).map_err(|e| Error::io("finding", &folder, &e));
            }
            // Somebody else's, whoever that is.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::io("creating", &folder, &error)),
        }
    }
    Err(Error::failed(format!(
        "a hundred folders called lucarne-kit-… are in {} already: remove them",
        base.display()
    )))
}

/// What a program with a report of its own says: its report as it is, where there is one.
fn json_result(program: &Program, ending: &Ending, said: &str, complaints: &str) -> (Tier, Value) {
    let mut tier = Tier::named(&program.name);
    let value: Option<Value> = serde_json::from_str(said).ok();
    let complaint = ending.complaint().or_else(|| {
        let none = value.is_none();
        none.then(|| "it printed no JSON object".to_owned())
    });
    match &complaint {
        None => tier.passed = 1,
        Some(complaint) => tier.fail(
            &program.name,
            format!("{complaint}\n{}", end_of(complaints)),
        ),
    }
    let without = || json!({ "program": program.name, "failed": complaint, "said": end_of(said), "complaints": end_of(complaints) });
    (tier, value.unwrap_or_else(without))
}

/// What a test program says, counted as `cargo xtask test` counts.
fn tests_result(program: &Program, ending: &Ending, said: &str) -> (Tier, Value) {
    let mut reader = Reader::new(Require::default());
    reader.begin(&program.name, "");
    for line in said.lines() {
        reader.line(line);
    }
    reader.end(ending.complaint());
    let tier = reader.finish(None).pop();
    let tier = tier.unwrap_or_else(|| Tier::named(&program.name));
    let value = json!({
        "program": program.name,
        "failed": ending.complaint(),
        "tier": tier,
        "said": end_of(said),
    });
    (tier, value)
}

fn end_of(text: &str) -> &str {
    let first = text.len().saturating_sub(KEPT);
    let first = (first..text.len()).find(|&at| text.is_char_boundary(at));
    first.map_or(text, |at| &text[at..])
}

/// What the results hold for. Drivers name themselves in the programs' reports.
fn facts() -> BTreeMap<String, String> {
    let line = |path: &str| {
        fs::read_to_string(path)
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let release = line("/etc/os-release");
    let release = release.lines().find_map(|l| l.strip_prefix("PRETTY_NAME="));
    let device = |path: &str| match File::options().read(true).write(true).open(path) {
        Ok(_) => "can be opened".to_owned(),
        Err(error) => error.to_string(),
    };
    let mut facts: BTreeMap<String, String> = [
        ("kernel", numbers(&line("/proc/sys/kernel/osrelease"))),
        (
            "distribution",
            release.unwrap_or("unknown").trim_matches('"').to_owned(),
        ),
        ("/dev/udmabuf", device("/dev/udmabuf")),
        ("/dev/dma_heap/system", device("/dev/dma_heap/system")),
        ("kit", env!("CARGO_PKG_VERSION").to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let nodes = fs::read_dir("/dev/dri").into_iter().flatten().flatten();
    for node in nodes.filter(|node| !node.path().is_dir()) {
        let path = node.path().display().to_string();
        let answer = device(&path);
        facts.insert(path, answer);
    }
    facts
}

/// A kernel's version without what its builder has added, which may be a name.
fn numbers(release: &str) -> String {
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    release.chars().take_while(|&c| is_number(c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSES: &str = "echo 'running 2 tests'; echo 'test a ... ok'; echo 'test b ... ok'; echo; \
        echo 'test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s'";

    /// A kit of shell scripts.
    fn kit(folder: &Path, programs: &[(&str, Kind, &str)]) {
        fs::create_dir_all(folder.join("bin")).unwrap();
        let mut listed = Vec::new();
        for (name, kind, script) in programs {
            // By another process: one that is forked here meanwhile would keep the file open for writing, and nobody could start it.
            let written = Command::new("sh")
                .args([
                    "-c",
                    r#"printf '#!/bin/sh\n%s\n' "$1" > "$2" && chmod 755 "$2""#,
                    "sh",
                    script,
                ])
                .arg(folder.join("bin").join(name))
                .status();
            assert!(written.unwrap().success());
            listed.push(Program::new(name, *kind, &[NAME], 1));
        }
        list::write(folder, &listed).unwrap();
    }

    fn run_kit(folder: &Path, limit: u64) -> (u8, Value) {
        let options = Options {
            kit: folder.join("kit"),
            report: folder.join("report"),
            name: "a name".to_owned(),
            limit,
            only: Vec::new(),
        };
        let status = run(&options).unwrap();
        let text = fs::read_to_string(folder.join("report/summary.json")).unwrap();
        (status, serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn who_crashes_or_hangs_is_one_row_and_the_others_run() {
        let folder = tempfile::tempdir().unwrap();
        let crashes = format!("{PASSES}; kill -SEGV $$");
        let programs = [
            ("crashes", Kind::Tests, &*crashes),
            ("hangs", Kind::Tests, "echo 'running 1 test'; sleep 300"),
            ("hangs-json", Kind::Json, "sleep 300"),
            ("absent", Kind::Tests, ""),
            ("json", Kind::Json, "echo \"{\\\"name\\\": \\\"$1\\\"}\""),
            ("passes", Kind::Tests, PASSES),
        ];
        kit(&folder.path().join("kit"), &programs);
        fs::remove_file(folder.path().join("kit/bin/absent")).unwrap();
        let (status, summary) = run_kit(folder.path(), 60);
        assert_eq!(status, FAILED);
        let row = |name: &str| {
            let tiers = summary["tiers"].as_array().unwrap();
            let tier = tiers.iter().find(|tier| tier["name"] == name);
            let tier = tier.unwrap_or_else(|| panic!("{name} has a row: {summary}"));
            (tier["passed"].as_u64(), tier["failed"].as_u64())
        };
        assert_eq!(row("crashes"), (Some(2), Some(1)));
        assert_eq!(row("hangs"), (Some(0), Some(1)));
        assert_eq!(row("hangs-json"), (Some(0), Some(1)));
        assert_eq!(row("absent"), (Some(0), Some(1)));
        assert_eq!(row("json"), (Some(1), Some(0)));
        assert_eq!(row("passes"), (Some(2), Some(0)));
        let text = summary.to_string();
        for words in [
            "killed by signal 11",
            "took longer than 1 seconds",
            "cannot be started",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        for (name, ..) in programs {
            let file = folder.path().join("report").join(format!("{name}.json"));
            let text = fs::read_to_string(&file).unwrap();
            let value: Value = serde_json::from_str(&text).unwrap();
            assert!(value.is_object(), "{name}: {value}");
            if name == "json" {
                assert_eq!(value["name"], "a name", "its own report, as it is");
            }
        }
        let table = fs::read_to_string(folder.path().join("report/summary.txt")).unwrap();
        assert!(
            table.ends_with("5 passed, 4 failed, 0 skipped\n"),
            "{table}"
        );
        assert!(!table.contains('\u{1b}'), "{table}");
    }

    #[test]
    fn what_no_time_is_left_for_is_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let programs = [("passes", Kind::Tests, PASSES)];
        kit(&folder.path().join("kit"), &programs);
        let (status, summary) = run_kit(folder.path(), 1);
        assert_eq!(status, FAILED, "nothing ran");
        assert_eq!(summary["tiers"][0]["skips"][0]["kind"], "time", "{summary}");
    }

    #[test]
    fn a_kernels_builder_is_not_told() {
        assert_eq!(numbers("6.12.95-max-laptop+"), "6.12.95");
    }

    #[test]
    fn folders_are_not_told() {
        let folder = tempfile::tempdir().unwrap();
        let tells = "echo \"{\\\"at\\\": \\\"$0\\\", \\\"home\\\": \\\"$HOME/x\\\"}\"";
        kit(&folder.path().join("kit"), &[("tells", Kind::Json, tells)]);
        run_kit(folder.path(), 60);
        let text = fs::read_to_string(folder.path().join("report/tells.json")).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["at"], "KIT/bin/tells");
        assert_eq!(value["home"], "SCRATCH/x");
    }
}
