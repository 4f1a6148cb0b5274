//! What was tried, and what the kernel answered.

use anstyle::{AnsiColor, Style};
use lucarne_examples::stream::Result;
use rustix::io::Errno;
use serde::Serialize;
use std::io::Write as _;

/// A claim of docs/shared-memory.md, put to the test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    /// Its name: the kind of memory, and what is claimed.
    pub(crate) id: &'static str,
    /// The claim.
    pub(crate) claim: &'static str,
    /// What was done.
    pub(crate) tried: String,
    /// What came of it.
    pub(crate) answer: String,
    /// Whether that is what the claim says.
    pub(crate) holds: bool,
}

impl Check {
    /// Compares what came of it with what must.
    pub(crate) fn new(
        id: &'static str,
        claim: &'static str,
        tried: impl Into<String>,
        (answer, expected): (impl Into<String>, &str),
    ) -> Self {
        let answer = answer.into();
        Self {
            id,
            claim,
            tried: tried.into(),
            holds: answer == expected,
            answer,
        }
    }
}

/// The kernel's answer in one word: `ok`, or the error's name.
pub(crate) fn answer<T>(result: rustix::io::Result<T>) -> String {
    let names = [
        (Errno::PERM, "EPERM"),
        (Errno::ACCESS, "EACCES"),
        (Errno::BUSY, "EBUSY"),
        (Errno::INVAL, "EINVAL"),
        (Errno::NOENT, "ENOENT"),
        (Errno::NXIO, "ENXIO"),
    ];
    match result {
        Ok(_) => "ok".to_owned(),
        Err(errno) => match names.iter().find(|(known, _)| *known == errno) {
            Some((_, name)) => (*name).to_owned(),
            None => errno.to_string(),
        },
    }
}

/// Prints the checks: for people, coloured where that is wanted, or as JSON.
pub(crate) fn print(checks: &[Check], json: bool) -> Result<()> {
    // Colours are left out where this is no terminal, or NO_COLOR says so.
    let mut out = anstream::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::json!({ "checks": checks }))?;
        return Ok(());
    }
    let bold = Style::new().bold();
    let dim = Style::new().dimmed();
    let good = AnsiColor::Green.on_default();
    let bad = AnsiColor::Red.on_default().bold();
    let mut kind = "";
    for check in checks {
        let of = check.id.split(':').next().unwrap_or_default();
        if of != kind {
            kind = of;
            writeln!(out, "{bold}{kind}{bold:#}")?;
        }
        let (style, word) = if check.holds {
            (good, "yes")
        } else {
            (bad, "NO")
        };
        let Check {
            claim,
            tried,
            answer,
            ..
        } = check;
        writeln!(out, "  {style}{word:>3}{style:#}  {claim}")?;
        writeln!(out, "       {dim}{tried}: {answer}{dim:#}")?;
    }
    Ok(())
}
