//! Lines on stderr that say what is going on. In place on a terminal, one now and then in a log.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};

/// Nothing is said about work shorter than this.
const QUIET: Duration = Duration::from_secs(2);
/// How often a log, which cannot be rewritten, gets a line.
const LOG_INTERVAL: Duration = Duration::from_secs(15);

pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(crate) const NOTICE: Style = AnsiColor::Yellow.on_default();

/// Prints a line on stderr. Colours disappear where stderr is not a terminal or `NO_COLOR` is set.
pub(crate) fn say(text: impl AsRef<str>) {
    // A closed stderr is no reason to stop the work.
    _ = writeln!(anstream::stderr(), "{}", text.as_ref());
}

/// Prints a notice on stderr.
pub(crate) fn notice(text: impl AsRef<str>) {
    say(format!("{NOTICE}note:{NOTICE:#} {}", text.as_ref()));
}

/// How much of a piece of work is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Its own output too.
    pub(crate) verbose: bool,
    /// Another piece of work runs beside it, and has the terminal's last line.
    background: bool,
}

impl Shown {
    pub(crate) fn foreground(verbose: bool) -> Self {
        Self {
            verbose,
            background: false,
        }
    }

    pub(crate) fn background(verbose: bool) -> Self {
        Self {
            verbose,
            background: true,
        }
    }
}

/// One piece of work that may take a while.
#[derive(Debug)]
pub(crate) struct Progress {
    title: String,
    detail: String,
    started: Instant,
    last: Instant,
    /// Whether the line can be rewritten.
    in_place: bool,
    /// Whether somebody else rewrites the terminal's last line.
    beside: bool,
}

impl Progress {
    /// Starts the clock. Where the work's own output is on the terminal, nothing is rewritten there.
    pub(crate) fn start(title: impl Into<String>, shown: Shown) -> Self {
        let now = Instant::now();
        let terminal = !shown.verbose && std::io::stderr().is_terminal();
        Self {
            title: title.into(),
            detail: String::new(),
            started: now,
            last: now,
            in_place: terminal && !shown.background,
            beside: terminal && shown.background,
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Sets what is being done right now.
    pub(crate) fn detail(&mut self, detail: impl Into<String>) {
        self.detail = detail.into();
    }

    /// Shows the line where it is due; called at least once a second.
    pub(crate) fn tick(&mut self) {
        let elapsed = self.elapsed();
        if elapsed < QUIET || self.beside {
            return;
        }
        let seconds = elapsed.as_secs();
        let Self { title, detail, .. } = self;
        if self.in_place {
            // The terminal may be narrow: a line that wraps could not be erased again.
            let detail: String = detail.chars().take(48).collect();
            _ = write!(
                anstream::stderr(),
                "\r\x1b[K{title}: {detail} ({seconds} s)"
            );
            _ = std::io::stderr().flush();
        } else if self.last.elapsed() >= LOG_INTERVAL {
            self.last = Instant::now();
            say(format!("{title}: {detail} ({seconds} s)"));
        }
    }

    /// Ends the line with a result.
    pub(crate) fn finish(self, good: bool, result: &str) {
        if self.in_place || self.beside {
            _ = write!(anstream::stderr(), "\r\x1b[K");
        }
        let style = if good { GOOD } else { BAD };
        say(format!(
            "{}: {style}{result}{style:#}, {:.1} s",
            self.title,
            self.elapsed().as_secs_f64()
        ));
    }
}
