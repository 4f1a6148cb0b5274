//! Running programs: output into a log, line by line to whoever wants to see it, progress meanwhile.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::progress::{self, Progress, Shown};

/// A program to run and how its run is shown.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) title: String,
    pub(crate) command: Command,
    /// Both output streams, in the order in which they were written.
    pub(crate) log: PathBuf,
    pub(crate) shown: Shown,
    pub(crate) deadline: Option<Duration>,
}

/// How a job ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// The deadline passed and the program was killed.
    pub(crate) killed: bool,
}

impl Ended {
    pub(crate) fn success(&self) -> bool {
        self.status.success() && !self.killed
    }
}

impl Job {
    /// Runs a program that has to succeed, with its lines as progress. The error has what it complains of.
    pub(crate) fn succeed(self) -> Result<()> {
        let (title, log) = (self.title.clone(), self.log.clone());
        if self.run(|line| Some(line.trim().to_owned()))?.success() {
            return Ok(());
        }
        let said = complaints(&log);
        Err(Error::failed(format!("{title} failed:\n{said}")))
    }

    pub(crate) fn new(title: &str, command: Command, log: PathBuf, verbose: bool) -> Self {
        Self {
            title: title.to_owned(),
            command,
            log,
            shown: Shown::foreground(verbose),
            deadline: None,
        }
    }

    /// Runs the program; `on_line` sees each line and may give back what to show as progress.
    pub(crate) fn run(mut self, mut on_line: impl FnMut(&str) -> Option<String>) -> Result<Ended> {
        let mut log = create(&self.log)?;
        let program = self.command.get_program().to_string_lossy().into_owned();
        let cannot = |error: io::Error| Error::unable(format!("cannot run {program}: {error}"));

        // One pipe for both streams keeps them in order.
        let (reader, writer) = io::pipe().map_err(cannot)?;
        let second = writer.try_clone().map_err(cannot)?;
        let started = Instant::now();
        let mut child = self
            .command
            .stdin(Stdio::null())
            .stdout(writer)
            .stderr(second)
            .spawn()
            .map_err(cannot)?;
        // The command still holds the writing ends; the pipe would never end.
        drop(self.command);

        let lines = lines_of(reader);
        let mut progress = Progress::start(self.title, self.shown);
        let mut killed = false;
        loop {
            match lines.recv_timeout(Duration::from_millis(500)) {
                Ok(line) => {
                    // The log is a convenience: a full disk shows up elsewhere.
                    _ = writeln!(log, "{line}");
                    if self.shown.verbose {
                        progress::say(format!("  {line}"));
                    }
                    if let Some(detail) = on_line(&line) {
                        progress.detail(detail);
                    }
                }
                // It has ended, and nobody says anything: whoever it has started lives on and keeps the pipe open.
                Err(RecvTimeoutError::Timeout) if matches!(child.try_wait(), Ok(Some(_))) => break,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            progress.tick();
            if !killed && self.deadline.is_some_and(|limit| started.elapsed() > limit) {
                killed = true;
                child.kill().map_err(cannot)?;
            }
        }
        let status = child.wait().map_err(cannot)?;
        let good = status.success() && !killed;
        progress.finish(good, if good { "done" } else { "failed" });
        Ok(Ended { status, killed })
    }
}

/// Reads lines on a thread of its own, so that a silent program does not stop the clock.
fn lines_of(reader: io::PipeReader) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut reader = BufReader::new(reader);
        let mut bytes = Vec::new();
        // Programs under test print what they like; only lines matter here, not their encoding.
        while matches!(reader.read_until(b'\n', &mut bytes), Ok(n) if n > 0) {
            let line = String::from_utf8_lossy(&bytes);
            if sender
                .send(line.trim_end_matches(['\n', '\r']).to_owned())
                .is_err()
            {
                return;
            }
            bytes.clear();
        }
    });
    receiver
}

fn create(path: &Path) -> Result<File> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|e| Error::io("creating", parent, &e))?;
    }
    File::create(path).map_err(|e| Error::io("creating", path, &e))
}

/// Runs a program silently and gives its standard output, or why there is none.
pub(crate) fn output_of(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|e| Error::unable(format!("cannot run {program}: {e}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(Error::failed(format!(
        "{program} failed ({}): {}",
        output.status,
        complaint.trim()
    )))
}

/// Looks a program up in `PATH` and in the folders for administrators, which an ordinary user's `PATH` leaves out.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}

/// The cargo that started this program.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The last `count` lines of a file, for a message.
pub(crate) fn tail(path: &Path, count: usize) -> String {
    last(&text(path).lines().collect::<Vec<_>>(), count)
}

/// The end of a build's log without the lines that only tell how far it is.
pub(crate) fn complaints(log: &Path) -> String {
    const STEPS: [&str; 7] = [
        "Blocking",
        "Checking",
        "Compiling",
        "Documenting",
        "Downloaded",
        "Downloading",
        "Fresh",
    ];
    let text = text(log);
    let is_step = |line: &&str| STEPS.contains(&line.split_whitespace().next().unwrap_or_default());
    let lines: Vec<_> = text.lines().filter(|line| !is_step(line)).collect();
    last(&lines, 60)
}

fn text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

fn last(lines: &[&str], count: usize) -> String {
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(script: &str) -> (Job, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let log = folder.path().join("deep/er/log");
        (Job::new("test", command, log, false), folder)
    }

    #[test]
    fn both_streams_in_order() {
        let (job, folder) = job("echo one; echo two >&2; printf three; exit 3");
        let mut lines = Vec::new();
        let ended = job
            .run(|line| {
                lines.push(line.to_owned());
                None
            })
            .unwrap();
        assert_eq!(lines, ["one", "two", "three"]);
        assert_eq!(ended.status.code(), Some(3));
        assert!(!ended.success());
        assert_eq!(tail(&folder.path().join("deep/er/log"), 2), "two\nthree");
    }

    #[test]
    fn the_deadline_kills() {
        let (mut job, _folder) = job("exec sleep 60");
        job.deadline = Some(Duration::from_millis(100));
        let started = Instant::now();
        let ended = job.run(|_| None).unwrap();
        assert!(ended.killed && !ended.success());
        assert!(started.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn nobody_waits_for_those_whom_the_program_leaves_behind() {
        let started = Instant::now();
        let (job, _first) = self::job("sleep 60 & echo done");
        assert!(job.run(|_| None).unwrap().success());
        let (mut job, _folder) = self::job("sleep 60 & exec sleep 60");
        job.deadline = Some(Duration::from_millis(100));
        let ended = job.run(|_| None).unwrap();
        assert!(ended.killed && !ended.success());
        assert!(started.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn missing_programs_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let job = Job::new(
            "x",
            Command::new("no-such-program-here"),
            folder.path().join("log"),
            false,
        );
        let error = job.run(|_| None).unwrap_err().to_string();
        assert!(error.contains("no-such-program-here"), "{error}");
        assert!(find_program("no-such-program-here").is_none());
        assert!(find_program("sh").is_some());
    }

    #[test]
    fn steps_are_no_complaints() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        fs::write(
            &log,
            "   Compiling a v1\nerror: it is wrong\n    Checking b\n",
        )
        .unwrap();
        assert_eq!(complaints(&log), "error: it is wrong");
    }
}
