//! What the programs at the ends of a stream have in common: options, Ctrl-C, pictures and reports.
//!
//! What a program does with `lucarne_stream` itself is in its own `main.rs`.

mod album;
mod drawing;
mod options;
mod stop;
pub mod two_processes;

pub use album::{Album, Report};
pub use drawing::{Drawing, PRODUCER_USAGE, Renderer};
pub use options::{ProducerOptions, WatchOptions};
pub use stop::Stop;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

/// Errors are for reading.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Longer than any driver takes for one frame.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// How long a program waits before it looks whether it should stop.
pub const TICK: Duration = Duration::from_millis(100);

/// Runs a program: its error goes to standard error in words, and becomes exit status 1.
pub fn exit(name: &str, outcome: Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{name}: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Tells a person what happens; standard output is for results.
pub fn say(line: &str) {
    // Nobody is left to tell if this fails.
    let _ = writeln!(io::stderr(), "{line}");
}
