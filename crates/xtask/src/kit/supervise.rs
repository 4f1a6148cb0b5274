//! A program in a process of its own, which may crash, hang or leave others behind: whatever it does, this comes back in time.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    Status(i32),
    Signal(i32),
    TooLate(Duration),
    NotStarted(String),
}

impl Ending {
    /// What is wrong with it, in words; nothing where it ended with status 0.
    pub(crate) fn complaint(&self) -> Option<String> {
        match self {
            Self::Status(0) => None,
            Self::Status(code) => Some(format!("exit status {code}")),
            Self::Signal(signal) => Some(format!("killed by signal {signal}")),
            Self::TooLate(limit) => Some(format!(
                "took longer than {} seconds and was ended",
                limit.as_secs()
            )),
            Self::NotStarted(reason) => Some(format!("cannot be started: {reason}")),
        }
    }

    fn of(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Status(code),
            (None, signal) => Self::Signal(signal.unwrap_or_default()),
        }
    }
}

/// Runs a program whose output goes into files: a pipe would stay open as long as anybody whom it has started lives. Both streams
/// may go into one file.
pub(crate) fn run(command: &mut Command, out: &Path, err: &Path, limit: Duration) -> Ending {
    match start(command, out, err) {
        Ok(child) => wait(child, limit),
        Err(error) => Ending::NotStarted(error.to_string()),
    }
}

fn start(command: &mut Command, out: &Path, err: &Path) -> io::Result<Child> {
    let file = |path: &Path| File::options().create(true).append(true).open(path);
    _ = fs::remove_file(out);
    _ = fs::remove_file(err);
    command
        .stdin(Stdio::null())
        .stdout(file(out)?)
        .stderr(file(err)?)
        // So that those whom it has started can be ended with it.
        .process_group(0)
        .spawn()
}

fn wait(mut child: Child, limit: Duration) -> Ending {
    let begun = Instant::now();
    let ending = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Ending::of(status),
            Ok(None) if begun.elapsed() < limit => thread::sleep(Duration::from_millis(20)),
            Ok(None) => break Ending::TooLate(limit),
            Err(error) => break Ending::NotStarted(error.to_string()),
        }
    };
    end_group(child.id());
    // A process that sits in a driver may not even die of SIGKILL: nobody waits for it.
    let patience = Instant::now();
    while patience.elapsed() < Duration::from_secs(2) && matches!(child.try_wait(), Ok(None)) {
        thread::sleep(Duration::from_millis(20));
    }
    ending
}

/// Kills the group of a program, those that it has left behind included.
fn end_group(group: u32) {
    // Every shell has a `kill`; that the group is empty already is no error here.
    _ = Command::new("sh")
        .args(["-c", &format!("kill -KILL -{group}")])
        .stderr(Stdio::null())
        .status();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: u64) -> (Ending, String) {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let ending = run(&mut command, &log, &log, Duration::from_millis(limit));
        (ending, fs::read_to_string(log).unwrap())
    }

    #[test]
    fn endings_are_told_apart() {
        let (ending, said) = shell("echo one; echo two >&2; exit 3", 60_000);
        assert_eq!((ending, &*said), (Ending::Status(3), "one\ntwo\n"));
        assert_eq!(shell("kill -SEGV $$", 60_000).0, Ending::Signal(11));
        assert_eq!(shell("true", 60_000).0.complaint(), None);
        let mut absent = Command::new("no-such-program-here");
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let ending = run(&mut absent, &log, &log, Duration::from_secs(1));
        assert!(ending.complaint().unwrap().contains("cannot be started"));
    }

    #[test]
    fn who_hangs_is_ended_with_those_it_has_started() {
        let begun = Instant::now();
        let (ending, said) = shell("sleep 300 & echo $!; sleep 300", 200);
        assert_eq!(ending, Ending::TooLate(Duration::from_millis(200)));
        assert!(begun.elapsed() < Duration::from_secs(60));
        let left_behind = Path::new("/proc").join(said.trim());
        // Whoever adopts it may take a moment to notice that it is dead.
        let state = || fs::read_to_string(left_behind.join("stat")).unwrap_or_default();
        while begun.elapsed() < Duration::from_secs(60)
            && !state().is_empty()
            && !state().contains(" Z ")
        {
            thread::sleep(Duration::from_millis(10));
        }
        assert!(state().is_empty() || state().contains(" Z "), "{}", state());
    }
}
