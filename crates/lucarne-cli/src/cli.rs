//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Share GPU frames without copying a pixel: see what this machine can do, and look at streams.
///
/// Exit status: 0 when it worked, 1 when it worked and the answer is no (nothing can be shared), 2 when it could not
/// run.
#[derive(Debug, Parser)]
#[command(name = "lucarne", version, propagate_version = true, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// Print JSON, for programs.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "Examples:
  lucarne doctor                            why is it black? what works here, and what would help
  lucarne list                              which streams there are
  lucarne top                               how they fare: rates, drops, latencies
  lucarne serve test                        a stream to try things with
  lucarne view test                         a window that shows it
  lucarne relay camera small --size 640x360 a stream of a stream, drawn by the GPU
  lucarne run -- godot                      enable what Lucarne needs on an engine's Vulkan device
  lucarne snapshot camera picture.png       the stream's next frame, as a PNG file
  lucarne caps --api vulkan --format AB24   what Vulkan can do with ABGR8888 here
  lucarne explain --from vulkan --to egl    what would be agreed on, and why nothing better
  lucarne decode 0x0300000000606014         what a modifier means";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List formats and modifiers that the devices of this machine can share.
    Caps(crate::caps::Options),
    /// Say what a modifier, a format or a file descriptor is.
    Decode(crate::decode::Options),
    /// Find out what can be shared on this machine, try it, and say what would mend the rest.
    Doctor(crate::doctor::Options),
    /// Agree on a format and a memory path as two programs would, and say why nothing better was possible.
    Explain(crate::explain::Options),
    /// List the streams of this user.
    List(crate::list::Options),
    /// Make a PipeWire node of a stream, or a stream of a node (a program of its own: lucarne-pipewire).
    Pipewire(crate::pipewire::Options),
    /// Record a stream as a video file, or as PNG files.
    Record(crate::record::Options),
    /// Make a stream of another one: at another size, in another format.
    Relay(crate::relay::Options),
    /// Run a program with what Lucarne needs enabled on its Vulkan devices.
    Run(crate::run::Options),
    /// Offer a stream of a test pattern or a picture.
    Serve(crate::serve::Options),
    /// Save one frame of a stream as a PNG file.
    Snapshot(crate::snapshot::Options),
    /// Show a stream in a window.
    #[cfg(feature = "window")]
    View(crate::view::Options),
    /// Watch all streams: rates, drops, latencies, and who reads them.
    Top(crate::top::Options),
    /// One pair of devices: a child of the doctor's, as a driver may crash.
    #[command(hide = true)]
    Trial(crate::doctor::TrialOptions),
    /// What a display server says: another child of the doctor's.
    #[command(hide = true)]
    Display(crate::doctor::DisplayOptions),
    /// Print completions for a shell.
    #[command(
        after_help = "Example:\n  lucarne completions bash > ~/.local/share/bash-completion/completions/lucarne"
    )]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write man pages into a folder.
    Man {
        /// The folder; it must be there.
        folder: PathBuf,
    },
}
