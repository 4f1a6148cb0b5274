//! `cargo xtask`: installs what is missing, builds, runs and judges. docs/testing.md tells what for.

#![forbid(unsafe_code)]

mod bench;
mod ci;
mod coverage;
mod deb;
mod demo;
mod distribution;
mod engines;
mod error;
mod file;
mod guest;
mod heavy;
mod install;
mod kit;
mod libtest;
mod module;
mod passing;
mod process;
mod progress;
mod report;
mod root;
mod shaders;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use error::{FAILED, Result};
use progress::{BAD, say};
use report::{Report, Require};
use workspace::Workspace;

/// Lucarne's own commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Commands,
}

#[derive(Debug, Subcommand)]
enum Commands {
    /// Render in Vulkan, show in OpenGL, and write four pictures
    Demo(demo::Options),
    /// Measure what handing frames over costs, beside a hand-written loop and naive ways
    Bench(bench::Options),
    /// Run all tests that this machine can run, the guest's included
    Test {
        #[command(flatten)]
        options: test::Options,
        #[command(flatten)]
        output: Output,
    },
    /// Run the tests on a stock kernel in QEMU, where dma-bufs are real
    Guest {
        #[command(flatten)]
        options: guest::Options,
        #[command(flatten)]
        output: Output,
    },
    /// Run the conformance matrix here and in both guests, and write the tables of docs/coverage.md
    Coverage {
        #[command(flatten)]
        options: coverage::Options,
        /// Show what the programs print while they run
        #[arg(long, short)]
        verbose: bool,
    },
    /// Write the table of docs/engines.md from what the last `cargo xtask test` recorded
    Engines,
    /// Build the kernel module of kernel/lucarne_exporter for the guest's kernel
    Module(module::Options),
    /// Pack what measures a GPU into one archive, for machines without Rust
    Kit {
        #[command(flatten)]
        options: kit::Options,
        /// Show what building prints
        #[arg(long, short)]
        verbose: bool,
    },
    /// Pack the command lucarne as a Debian package, with man pages and completions
    Deb(deb::Options),
    /// What a kit's run.sh starts: needs no checkout
    #[command(hide = true)]
    RunKit(kit::run::Options),
    /// Compile shaders/*.wgsl to shaders/compiled/*.spv
    Shaders(shaders::Options),
    /// Check form, lints, documentation, shaders, spelling and licences, without running a test
    Check {
        #[command(flatten)]
        output: Output,
    },
    /// Everything: the checks, the tests, and the demo on every path
    Ci {
        #[command(flatten)]
        consent: install::Consent,
        #[command(flatten)]
        output: Output,
    },
}

/// How results are shown.
#[derive(Debug, Clone, Copy, clap::Args)]
struct Output {
    /// Show what the programs print while they run
    #[arg(long, short)]
    verbose: bool,
    /// Print the results as one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = passing::ours_first(&Arguments::command(), std::env::args_os());
    match run(Arguments::parse_from(arguments).command) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            say(format!("{BAD}error:{BAD:#} {error}"));
            ExitCode::from(error.status())
        }
    }
}

fn run(command: Commands) -> Result<u8> {
    // On a machine without cargo there is no workspace to ask it for.
    if let Commands::RunKit(options) = &command {
        return kit::run::run(options);
    }
    let workspace = Workspace::find()?;
    match command {
        Commands::RunKit(options) => kit::run::run(&options),
        Commands::Kit { options, verbose } => kit::make(&workspace, &options, verbose),
        Commands::Module(options) => module::run(&workspace, &options),
        Commands::Deb(options) => deb::run(&workspace, &options),
        Commands::Demo(options) => demo::run(&workspace, &options),
        Commands::Bench(options) => bench::run(&workspace, &options),
        Commands::Test { options, output } => {
            let report = test::run(&workspace, &options, output.verbose)?;
            Ok(show(&report, output))
        }
        Commands::Coverage { options, verbose } => coverage::run(&workspace, &options, verbose),
        Commands::Engines => engines::run(&workspace),
        Commands::Shaders(options) => shaders::run(&workspace, options),
        Commands::Check { output } => Ok(show(&ci::checks(&workspace, output.verbose)?, output)),
        Commands::Ci { consent, output } => {
            Ok(show(&ci::run(&workspace, consent, output.verbose)?, output))
        }
        Commands::Guest { options, output } => {
            let require = Require::from_env();
            let report = guest::run(&workspace, &options, &require, output.verbose)?;
            Ok(show(&report, output))
        }
    }
}

/// Prints results and gives the exit status that they mean.
fn show(report: &Report, output: Output) -> u8 {
    use std::io::Write;
    let mut stdout = anstream::stdout();
    // With a closed stdout the exit status still tells.
    if output.json {
        _ = writeln!(stdout, "{}", report.json());
        say(report.plain_line());
    } else {
        _ = write!(stdout, "{}", report.table());
        _ = writeln!(stdout, "{}", report.plain_line());
    }
    if report.good() { 0 } else { FAILED }
}
