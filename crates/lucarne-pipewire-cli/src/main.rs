//! `lucarne-pipewire`: streams as PipeWire's nodes, and nodes as streams. `lucarne pipewire …` becomes this program.
#![forbid(unsafe_code)]

mod copy;
mod output;
mod publish;
mod watch;

use std::error::Error;
use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use rustix::event::{PollFd, PollFlags, Timespec};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use output::Output;

/// Whatever keeps the program from its answer.
type Failure = Box<dyn Error>;

/// Streams as PipeWire's nodes, and PipeWire's nodes as streams.
///
/// Exit status: 0 when frames were passed on, 1 when there were none, 2 when it could not run.
#[derive(Debug, Parser)]
#[command(name = "lucarne pipewire", bin_name = "lucarne pipewire", version, propagate_version = true, after_help = EXAMPLES)]
struct Cli {
    /// Print JSON, for programs.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  lucarne pipewire publish camera             the stream as a node; link it in a patchbay, or with pw-link
  lucarne pipewire watch v4l2_input.0 webcam  the node as a stream, which `lucarne view webcam` shows";

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a PipeWire node of a stream.
    Publish(publish::Options),
    /// Make a stream of a PipeWire node.
    Watch(watch::Options),
}

/// What both ways have in common.
#[derive(Args, Debug)]
struct Common {
    /// Ends after so many frames.
    #[arg(long, value_name = "COUNT")]
    frames: Option<u64>,
    /// Where the streams' sockets are. [default: $XDG_RUNTIME_DIR/lucarne]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// PipeWire's socket. [default: PIPEWIRE_REMOTE, or pipewire-0]
    #[arg(long, value_name = "SOCKET")]
    remote: Option<String>,
}

impl Common {
    fn folder(&self) -> Result<PathBuf, Failure> {
        Ok(match &self.folder {
            Some(folder) => folder.clone(),
            None => lucarne_stream::directory()?,
        })
    }

    fn is_enough(&self, frames: u64) -> bool {
        self.frames.is_some_and(|most| frames >= most)
    }
}

/// Whether somebody asked the program to end.
struct Stop(Arc<AtomicBool>);

impl Stop {
    /// A second signal ends the program at once.
    fn on_signals() -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))?;
            signal_hook::flag::register(signal, Arc::clone(&stop))?;
        }
        Ok(Self(stop))
    }

    fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How long one wait lasts before signals are looked at.
const TICK: Duration = Duration::from_millis(20);

/// Waits until one of these is readable, [`TICK`] at most.
fn wait(fds: &[BorrowedFd<'_>]) -> Result<(), Failure> {
    let mut polled: Vec<PollFd<'_>> = fds
        .iter()
        .map(|fd| PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN))
        .collect();
    let timeout = Timespec::try_from(TICK)?;
    match rustix::event::poll(&mut polled, Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut output = Output::new(cli.json);
    let frames = Stop::on_signals()
        .map_err(Failure::from)
        .and_then(|stop| match &cli.command {
            Command::Publish(options) => publish::run(options, &stop, &mut output),
            Command::Watch(options) => watch::run(options, &stop, &mut output),
        });
    match frames {
        Ok(0) => ExitCode::FAILURE,
        Ok(_) => ExitCode::SUCCESS,
        Err(failure) => {
            _ = writeln!(anstream::stderr(), "error: {failure}");
            ExitCode::from(2)
        }
    }
}
