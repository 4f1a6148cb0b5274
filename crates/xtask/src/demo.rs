//! `cargo xtask demo`: builds and runs the demo.

use std::ffi::OsString;
use std::process::Command;

use crate::error::{Error, Result};
use crate::install::{self, Consent, Purpose};
use crate::process::{self, Job};
use crate::workspace::Workspace;

/// The word that keeps the preload away, for the demo and for cargo's runner.
pub(crate) const NO_EMULATION: &str = "--no-emulation";

/// Keeps the window away.
const NO_WINDOW: &str = "--no-window";

/// What is built, and which of it is run.
#[derive(Debug)]
struct Programs {
    package: &'static str,
    /// The first one is run; it may run the others.
    names: &'static [&'static str],
}

const TWO_PROCESSES: Programs = Programs {
    package: "lucarne-examples",
    names: &["two-processes", "producer", "consumer", "cpu-reader"],
};

const DEMO: Programs = Programs {
    package: "lucarne-demo",
    names: &["demo"],
};

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
    let programs = if options.two_processes {
        TWO_PROCESSES
    } else {
        DEMO
    };
    let asked = |word: &str| options.demo.iter().any(|argument| argument == word);
    let window = !asked(NO_WINDOW) && has_display(|name| std::env::var_os(name));
    build_programs(workspace, &programs, window, options.verbose)?;

    let mut cargo = run_command(workspace, &programs, window);
    cargo.args(&options.demo);
    if asked(NO_EMULATION) {
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

/// Whether a display server is named, as the demo itself asks.
fn has_display(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    ["WAYLAND_DISPLAY", "WAYLAND_SOCKET", "DISPLAY"]
        .into_iter()
        .any(|name| variable(name).is_some_and(|value| !value.is_empty()))
}

/// Builds the demo, which will open no window, and the preload that its runner looks for.
pub(crate) fn build(workspace: &Workspace, verbose: bool) -> Result<()> {
    build_programs(workspace, &DEMO, false, verbose)
}

/// What runs the demo that [`build`] has built; its arguments follow.
pub(crate) fn command(workspace: &Workspace) -> Command {
    run_command(workspace, &DEMO, false)
}

fn run_command(workspace: &Workspace, programs: &Programs, window: bool) -> Command {
    let mut cargo = process::cargo();
    cargo
        .current_dir(&workspace.root)
        .args(["run", "--quiet", "--package", programs.package, "--bin"])
        .arg(programs.names[0])
        .args(features(programs, window))
        .arg("--");
    cargo
}

/// Where no window can be opened, what opens windows is not built: it is half of all there is to build.
fn features(programs: &Programs, window: bool) -> &'static [&'static str] {
    if window || programs.package != DEMO.package {
        &[]
    } else {
        &["--no-default-features"]
    }
}

fn build_programs(
    workspace: &Workspace,
    programs: &Programs,
    window: bool,
    verbose: bool,
) -> Result<()> {
    let mut cargo = process::cargo();
    cargo
        .current_dir(&workspace.root)
        .args(["build", "--package", "lucarne-udmabuf", "--lib"])
        .args(["--package", programs.package])
        .args(features(programs, window));
    for name in programs.names {
        cargo.args(["--bin", name]);
    }
    let log = workspace.log("demo-build");
    Job::new("building the demo", cargo, log, verbose).succeed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_built_where_a_display_is_named() {
        let only = |wanted: &'static str, value: &'static str| {
            move |name: &str| (name == wanted).then(|| OsString::from(value))
        };
        assert!(has_display(only("DISPLAY", ":0")));
        assert!(has_display(only("WAYLAND_DISPLAY", "wayland-0")));
        assert!(!has_display(only("DISPLAY", "")));
        assert!(!has_display(only("HOME", "/")));
        assert!(features(&DEMO, true).is_empty());
        assert_eq!(features(&DEMO, false), ["--no-default-features"]);
        assert!(features(&TWO_PROCESSES, false).is_empty());
    }
}
