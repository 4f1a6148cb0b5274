//! `lucarne-bench`: Lucarne beside a hand-written loop, an empty hand-off and two naive ways, between two processes.
//!
//! docs/performance.md says what is measured, and how. The program is its own child process: each variant runs in a producer
//! and a consumer, which live as long as the run, and measure in turns.

#![deny(unsafe_code)]

mod calm;
mod count;
mod gates;
mod gl;
mod link;
mod measure;
mod messages;
mod options;
mod page;
mod pairs;
mod report;
mod roles;
mod rows;
mod session;
mod slopes;
mod stamp;
mod stats;
mod svg;
mod table;
mod variants;
mod vk;

use std::alloc::System;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use lucarne::Extent;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use gates::Verdict;
use messages::{Fault, Role, Shape, Variant};
use options::Options;

/// Counts, for every variant alike.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Errors are for reading.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Measures what it costs to hand a frame from Vulkan in one process to OpenGL in another.
#[derive(Debug, Parser)]
#[command(
    name = "lucarne-bench",
    version,
    args_conflicts_with_subcommands = true
)]
struct Arguments {
    #[command(subcommand)]
    end: Option<End>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum End {
    /// One end of a pair; the bench starts these itself
    #[command(hide = true)]
    End {
        #[arg(value_enum)]
        role: Role,
        #[arg(value_parser = Variant::named)]
        variant: Variant,
        #[arg(value_parser = extent)]
        size: Extent,
        folder: PathBuf,
        #[arg(long)]
        core: Option<usize>,
        #[arg(long = "break", value_enum)]
        fault: Option<Fault>,
        #[command(flatten)]
        shape: Shape,
    },
    /// Measures what happens once; the bench itself starts this
    #[command(hide = true)]
    Once {
        #[arg(value_parser = extent)]
        size: Extent,
        folder: PathBuf,
    },
}

/// A gate failed.
const FAILED: u8 = 1;
/// Something went wrong, as after arguments that are not understood.
const ERROR: u8 = 2;
/// The machine was too busy to tell.
const UNDECIDED: u8 = 3;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.end {
        Some(End::End {
            role,
            variant,
            size,
            folder,
            core,
            fault,
            shape,
        }) => {
            let setup = variants::Setup {
                variant,
                extent: size,
                folder,
                fault,
                shape,
            };
            let served = roles::serve(role, &setup, core);
            served
                .map(|()| 0)
                .map_err(|error| format!("{variant} {} at {size}: {error}", role.name()).into())
        }
        Some(End::Once { size, folder }) => session::serve_once(size, &folder).map(|()| 0),
        None => bench(&arguments.options),
    };
    match outcome {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            // Nobody is left to tell if this fails.
            let _ = writeln!(std::io::stderr(), "lucarne-bench: {error}");
            ExitCode::from(ERROR)
        }
    }
}

/// Runs it all, and gives the exit status.
fn bench(options: &Options) -> Result<u8> {
    let wanted = options.wanted()?;
    let mut stderr = std::io::stderr();
    let terminal = stderr.is_terminal();
    let watch = calm::Watch::new();
    let found = session::run(&wanted, |what| {
        if terminal {
            let _ = write!(stderr, "\r\x1b[K{what}");
        }
    })?;
    if terminal {
        let _ = write!(stderr, "\r\x1b[K");
    }
    let report = report::Report::new(&wanted, found, watch.calm());
    let json = serde_json::to_string_pretty(&report)?;
    if let Some(folder) = &options.report {
        std::fs::create_dir_all(folder)?;
        replace(&folder.join("report.json"), &json)?;
        replace(&folder.join("report.html"), &page::page(&report))?;
    }
    let mut stdout = std::io::stdout().lock();
    if options.json {
        writeln!(stdout, "{json}")?;
    } else {
        write!(stdout, "{}", table::table(&report))?;
        if let Some(folder) = &options.report {
            writeln!(stdout, "plots: {}", folder.join("report.html").display())?;
        }
    }
    Ok(match report.worst() {
        Some(Verdict::Fails) if options.gates => FAILED,
        Some(Verdict::Undecided) if options.gates => UNDECIDED,
        _ => 0,
    })
}

/// Writes a file. What was there stays until the whole of it is written: a full disk leaves nothing cut off.
fn replace(path: &Path, content: &str) -> std::io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let written = std::fs::write(&new, content).and_then(|()| std::fs::rename(&new, path));
    written.inspect_err(|_| drop(std::fs::remove_file(&new)))
}

fn extent(text: &str) -> std::result::Result<Extent, String> {
    let smallest = vk::SMALLEST;
    let side = |text: &str| {
        text.parse()
            .ok()
            .filter(|side| (smallest..=16_384).contains(side))
    };
    let sides = text.split_once('x');
    sides
        .and_then(|(width, height)| Some(Extent::new(side(width)?, side(height)?)))
        .ok_or_else(|| format!("a width and a height from {smallest} to 16384, as 640x480"))
}
