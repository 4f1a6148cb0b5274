//! This program again, in a process of its own: a driver that crashes or hangs takes down one child, not the report.

use std::fmt;
use std::io::{Read, Seek};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const STEP: Duration = Duration::from_millis(5);
/// How long a child that was ended may take to go.
const DYING: Duration = Duration::from_secs(1);

/// More than any device has to say; a child that prints more is ended.
const MOST_BYTES: u64 = 64 << 20;

/// How a child ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// What it printed.
    Answered(String),
    /// What it printed until then, and what it complained of.
    Failed { printed: String, complaint: String },
    /// What it printed until then, and the signal's name.
    Crashed { printed: String, signal: String },
    /// What it printed until it was ended for being silent.
    Hung { printed: String, after: Duration },
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(_) => f.write_str("worked"),
            Self::Failed { complaint, .. } => write!(f, "failed: {complaint}"),
            Self::Crashed { signal, .. } => write!(f, "crashed with {signal}: a driver is broken"),
            Self::Hung { after, .. } => {
                write!(
                    f,
                    "did not end within {} s: a driver hangs",
                    after.as_secs()
                )
            }
        }
    }
}

impl Ended {
    /// Everything that was printed.
    pub(super) fn printed(&self) -> &str {
        match self {
            Self::Answered(printed)
            | Self::Failed { printed, .. }
            | Self::Crashed { printed, .. }
            | Self::Hung { printed, .. } => printed,
        }
    }
}

/// Runs this program with other arguments, for `patience` at most.
pub(super) fn run(arguments: &[&str], patience: Duration) -> Ended {
    let failed = |error: std::io::Error| Ended::Failed {
        printed: String::new(),
        complaint: error.to_string(),
    };
    try_run(arguments, patience).unwrap_or_else(failed)
}

fn try_run(arguments: &[&str], patience: Duration) -> std::io::Result<Ended> {
    // Files, not pipes: a child that is ended may leave a grandchild that holds a pipe open.
    let mut out = tempfile::tempfile()?;
    let mut err = tempfile::tempfile()?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(err.try_clone()?)
        .spawn()?;
    let until = Instant::now() + patience;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        let talks = out.metadata()?.len().max(err.metadata()?.len()) > MOST_BYTES;
        if talks || Instant::now() > until {
            child.kill()?;
            // One that the kernel does not let go of is left behind.
            let dead_by = Instant::now() + DYING;
            while child.try_wait()?.is_none() && Instant::now() < dead_by {
                std::thread::sleep(STEP);
            }
            if talks {
                return Ok(Ended::Failed {
                    printed: text(&mut out)?,
                    complaint: format!("it printed more than {} MiB", MOST_BYTES >> 20),
                });
            }
            break None;
        }
        std::thread::sleep(STEP);
    };
    let printed = text(&mut out)?;
    let complaint = text(&mut err)?;
    Ok(ended(status, printed, &complaint, patience))
}

fn ended(
    status: Option<ExitStatus>,
    printed: String,
    complaint: &str,
    patience: Duration,
) -> Ended {
    match status {
        None => Ended::Hung {
            printed,
            after: patience,
        },
        Some(status) => match status.signal() {
            Some(signal) => Ended::Crashed {
                printed,
                signal: signal_name(signal),
            },
            // 1 is an answer, too: no.
            None if matches!(status.code(), Some(0 | 1)) => Ended::Answered(printed),
            None => Ended::Failed {
                printed,
                complaint: last_line(complaint),
            },
        },
    }
}

fn signal_name(signal: i32) -> String {
    signal_hook::low_level::signal_name(signal)
        .map_or_else(|| format!("signal {signal}"), str::to_owned)
}

fn last_line(text: &str) -> String {
    let last = text.trim().lines().last().unwrap_or("it said nothing");
    last.trim_start_matches("error: ").to_owned()
}

fn text(file: &mut std::fs::File) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
