//! `lucarne-bench`: Lucarne beside a hand-written loop, an empty hand-off and two naive ways, between two processes.
//!
//! docs/performance.md says what is measured, and how. The program is its own child process: each variant runs in a producer
//! and a consumer, which live as long as the run, and measure in turns.

#![deny(unsafe_code)]

mod count;
mod gates;
mod gl;
mod link;
mod measure;
mod messages;
mod pairs;
mod report;
mod roles;
mod rows;
mod stamp;
mod stats;
mod variants;
mod vk;

use std::alloc::System;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use lucarne::Extent;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use messages::{Fault, Role, Variant};

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

#[derive(Debug, clap::Args)]
struct Options {
    /// One size, few and short rounds: a first impression
    #[arg(long)]
    quick: bool,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
    /// Width and height of the frames in pixels; may be given more than once [default: 640x480 and 1920x1080]
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = extent)]
    size: Vec<Extent>,
    /// Count instructions alone, which a busy machine does not change, and measure no time
    #[arg(long)]
    counts: bool,
    /// How long each variant is measured in each round and mode [default: 1, quick: 0.5]
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
    /// How long each runs before that, each time [default: a quarter of the seconds]
    #[arg(long, value_name = "SECONDS")]
    warm_up: Option<f64>,
    /// How many rounds [default: 10, quick: 4]
    #[arg(long, value_name = "COUNT")]
    rounds: Option<u32>,
    /// Frames per second of the paced mode
    #[arg(long, value_name = "RATE", default_value_t = 60.0)]
    rate: f64,
    /// Only these variants; may be given more than once
    #[arg(long, value_enum, value_name = "VARIANT")]
    only: Vec<Variant>,
    /// Seed of the rounds' order [default: the time]
    #[arg(long)]
    seed: Option<u64>,
    /// Leave it to the kernel where both processes run
    #[arg(long)]
    unpinned: bool,
    /// Put a fault into the Lucarne variant: a gate must fail
    #[arg(long = "break", value_enum, value_name = "FAULT")]
    fault: Option<Fault>,
    /// End with status 1 where a gate fails
    #[arg(long)]
    gates: bool,
}

#[derive(Debug, Subcommand)]
enum End {
    /// One end of a pair; the bench starts these itself
    #[command(hide = true)]
    End {
        #[arg(value_enum)]
        role: Role,
        #[arg(value_enum)]
        variant: Variant,
        #[arg(value_parser = extent)]
        size: Extent,
        folder: PathBuf,
        #[arg(long)]
        core: Option<usize>,
        #[arg(long = "break", value_enum)]
        fault: Option<Fault>,
    },
}

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
        }) => {
            let setup = variants::Setup {
                variant,
                extent: size,
                folder,
                fault,
            };
            let served = roles::serve(role, &setup, core);
            served
                .map(|()| true)
                .map_err(|error| format!("{variant} {} at {size}: {error}", role.name()).into())
        }
        None => bench(&arguments.options),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nobody is left to tell if this fails.
            let _ = writeln!(std::io::stderr(), "lucarne-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs it all; false where a gate fails that was asked to hold.
fn bench(options: &Options) -> Result<bool> {
    let plan = options.plan()?;
    if options.counts {
        for variant in [
            Variant::Raw,
            Variant::RawSyncFile,
            Variant::Lucarne,
            Variant::Floor,
        ] {
            let count = count::count(
                variant,
                count::CountPlan {
                    extent: Extent::new(64, 64),
                    cores: plan.cores,
                    fault: plan.fault,
                    frames: 30,
                },
            )?;
            writeln!(std::io::stdout(), "{}", serde_json::to_string(&count)?)?;
        }
        return Ok(true);
    }
    let mut stderr = std::io::stderr();
    let terminal = stderr.is_terminal();
    let run = measure::run(&plan, |what| {
        if terminal {
            let _ = write!(stderr, "\r\x1b[K{what}");
        }
    })?;
    if terminal {
        let _ = write!(stderr, "\r\x1b[K");
    }
    let report = report::Report::new(&plan, &run);
    let mut stdout = std::io::stdout().lock();
    if options.json {
        writeln!(stdout, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        write!(stdout, "{}", report.table())?;
    }
    Ok(!options.gates || report.good())
}

impl Options {
    fn plan(&self) -> Result<measure::Plan> {
        let (rounds, seconds) = if self.quick { (4, 0.5) } else { (10, 1.0) };
        let seconds = self.seconds.unwrap_or(seconds);
        let plan = measure::Plan {
            variants: match &self.only[..] {
                [] => <Variant as clap::ValueEnum>::value_variants().to_vec(),
                only => only.to_vec(),
            },
            extents: match (&self.size[..], self.quick) {
                ([], false) => vec![Extent::new(640, 480), Extent::new(1920, 1080)],
                ([], true) => vec![Extent::new(640, 480)],
                (sizes, _) => sizes.to_vec(),
            },
            rounds: self.rounds.unwrap_or(rounds),
            seconds,
            warm_up: self.warm_up.unwrap_or(seconds / 4.0),
            rate: self.rate,
            seed: self.seed.map_or_else(seed, Ok)?,
            cores: if self.unpinned { None } else { cores()? },
            fault: self.fault,
        };
        let sane = |value: f64, most: f64| value > 0.0 && value <= most;
        if !sane(plan.seconds, 600.0) || !sane(plan.rate, 10_000.0) || plan.warm_up < 0.0 {
            return Err("seconds are more than 0 and at most 600, the rate at most 10000".into());
        }
        Ok(plan)
    }
}

fn seed() -> Result<u64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(now.as_secs())
}

/// The first two cores that this process may use; none where there is only one.
fn cores() -> Result<Option<(usize, usize)>> {
    let set = rustix::thread::sched_getaffinity(None)?;
    let mut cores = (0..rustix::thread::CpuSet::MAX_CPU).filter(|core| set.is_set(*core));
    Ok(cores.next().zip(cores.next()))
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
