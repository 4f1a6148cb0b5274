//! `cargo xtask bench`: builds the benchmark in release and runs it.

use std::ffi::OsString;

use crate::error::{Error, Result};
use crate::install::{self, Consent, Purpose};
use crate::process::{self, Job};
use crate::workspace::Workspace;

/// Arguments of `cargo xtask bench`; all that it does not know are the benchmark's.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) consent: Consent,
    /// Show what building prints
    #[arg(long, short)]
    verbose: bool,
    /// The benchmark's own arguments, for example --quick (`cargo xtask bench -- --help` shows them all)
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "BENCH ARGUMENT"
    )]
    pub(crate) bench: Vec<OsString>,
}

/// Runs it; its exit status is passed on.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<u8> {
    install::ensure(Purpose::Bench, options.consent, workspace, options.verbose)?;
    build(workspace, options.verbose)?;
    // A --report of the caller's own comes later, and wins.
    let report = workspace.target.join("bench");
    // Through cargo and its runner, which preloads the emulated /dev/udmabuf where there is none.
    let mut cargo = process::cargo();
    cargo
        .current_dir(&workspace.root)
        .args([
            "run",
            "--release",
            "--quiet",
            "--package",
            "lucarne-bench",
            "--",
            "--report",
        ])
        .arg(&report)
        .args(&options.bench);
    let status = cargo
        .status()
        .map_err(|e| Error::unable(format!("cannot run cargo: {e}")))?;
    // Killed by a signal: there is no status to pass on.
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(crate::error::FAILED))
}

/// Builds the benchmark, and the preload that its runner looks for.
fn build(workspace: &Workspace, verbose: bool) -> Result<()> {
    let mut cargo = process::cargo();
    cargo.current_dir(&workspace.root).args([
        "build",
        "--release",
        "--package",
        "lucarne-udmabuf",
        "--package",
        "lucarne-bench",
    ]);
    let log = workspace.log("bench-build");
    Job::new("building the benchmark in release", cargo, log, verbose).succeed()
}
