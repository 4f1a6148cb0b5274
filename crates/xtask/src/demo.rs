//! `cargo xtask demo`: builds and runs the demo.

use std::ffi::OsString;

use crate::error::{Error, Result};
use crate::install::{self, Consent, Purpose};
use crate::process::{self, Job};
use crate::workspace::Workspace;

/// The word that keeps the preload away, for the demo and for cargo's runner.
pub(crate) const NO_EMULATION: &str = "--no-emulation";

/// The programs of `--two-processes`; the first one runs the others.
const TWO_PROCESSES: &[&str] = &["two-processes", "producer", "consumer", "cpu-reader"];

/// Arguments of `cargo xtask demo`; all that it does not know are the demo's.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) consent: Consent,
    /// Show what building prints
    #[arg(long, short)]
    pub(crate) verbose: bool,
    /// Publish frames from one process, watch them in two others, and compare what all three saw
    #[arg(long)]
    pub(crate) two_processes: bool,
    /// The demo's own arguments, for example --size 1920x1080 (`cargo xtask demo -- --help` shows them all)
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "DEMO ARGUMENT"
    )]
    pub(crate) demo: Vec<OsString>,
}

/// Runs it; its exit status is passed on.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<u8> {
    install::ensure(Purpose::Demo, options.consent, workspace, options.verbose)?;
    let program = if options.two_processes {
        TWO_PROCESSES
    } else {
        &["demo"]
    };
    build_programs(workspace, program, options.verbose)?;

    let mut cargo = process::cargo();
    cargo
        .current_dir(&workspace.root)
        .args([
            "run",
            "--quiet",
            "--package",
            "lucarne-examples",
            "--bin",
            program[0],
            "--",
        ])
        .args(&options.demo);
    if options.demo.iter().any(|argument| argument == NO_EMULATION) {
        cargo.env("LUCARNE_NO_EMULATION", "1");
    }
    let status = cargo
        .status()
        .map_err(|e| Error::unable(format!("cannot run cargo: {e}")))?;
    // Killed by a signal: there is no status to pass on.
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(crate::error::FAILED))
}

/// Builds the demo and the preload that its runner looks for.
pub(crate) fn build(workspace: &Workspace, verbose: bool) -> Result<()> {
    build_programs(workspace, &["demo"], verbose)
}

fn build_programs(workspace: &Workspace, programs: &[&str], verbose: bool) -> Result<()> {
    let mut cargo = process::cargo();
    cargo.current_dir(&workspace.root).args([
        "build",
        "--package",
        "lucarne-udmabuf",
        "--package",
        "lucarne-examples",
        "--lib",
    ]);
    for program in programs {
        cargo.args(["--bin", program]);
    }
    let log = workspace.log("demo-build");
    let ended = Job::new("building the demo", cargo, log.clone(), verbose)
        .run(|line| Some(line.trim().to_owned()))?;
    if ended.success() {
        return Ok(());
    }
    Err(Error::failed(format!(
        "the demo does not build:\n{}",
        process::complaints(&log)
    )))
}
