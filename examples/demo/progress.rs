//! One line on a terminal while the demo runs for longer than two seconds.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

const AFTER: Duration = Duration::from_secs(2);
const EVERY: Duration = Duration::from_millis(250);

/// Writes to standard error, and only if that is a terminal.
#[derive(Debug)]
pub(crate) struct Progress {
    start: Instant,
    shown: Option<Instant>,
    terminal: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            shown: None,
            terminal: io::stderr().is_terminal(),
        }
    }

    pub(crate) fn update(&mut self, frame: u32, frames: u32) {
        let now = Instant::now();
        let due = self.shown.is_none_or(|shown| now - shown >= EVERY);
        if self.terminal && due && now - self.start >= AFTER {
            self.shown = Some(now);
            let speed = f64::from(frame) / (now - self.start).as_secs_f64();
            // Progress that cannot be shown is no reason to stop.
            let _ = write!(
                io::stderr(),
                "\rframe {frame} of {frames}, {speed:.0} per second "
            );
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            // Carriage return, and erase to the end of the line.
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
