//! `cargo xtask test`: every tier that this machine can run, and one verdict.

use std::path::Path;

use crate::error::Result;
use crate::guest;
use crate::install::{self, Consent, Purpose};
use crate::libtest::Reader;
use crate::process::{self, Job};
use crate::report::{Report, Require, Tier};
use crate::workspace::Workspace;

/// Arguments of `cargo xtask test`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) consent: Consent,
    /// Leave the guest out (it is then a skip like any other)
    #[arg(long)]
    pub(crate) no_guest: bool,
    /// Run only tests whose names contain this
    #[arg(value_name = "FILTER")]
    pub(crate) filter: Option<String>,
}

/// The test programs that say something about drivers, and run with newer ones too.
const NEWER_DRIVERS: [&str; 1] = ["matrix"];

/// Runs everything.
pub(crate) fn run(workspace: &Workspace, options: &Options, verbose: bool) -> Result<Report> {
    install::ensure(Purpose::Test, options.consent, workspace, verbose)?;
    let require = Require::from_env();
    let mut report = Report::default();
    if build(workspace, verbose, &mut report)? {
        host(workspace, options, &require, verbose, &mut report)?;
        if options.no_guest {
            report.add(Tier::not_run(
                "guest",
                "guest",
                "left out by --no-guest",
                &require,
            ));
        } else {
            let guest_options = guest::Options {
                filter: options.filter.iter().cloned().collect(),
                ..guest::Options::default()
            };
            report.extend(guest::run(workspace, &guest_options, &require, verbose)?);
            let newer = guest::Options {
                drivers: guest::Drivers::Newer,
                only: NEWER_DRIVERS.map(str::to_owned).to_vec(),
                ..guest_options
            };
            report.extend(guest::run(workspace, &newer, &require, verbose)?);
        }
    }
    Ok(report)
}

/// Builds all of it, the preload first so that cargo's runner finds it. False where it does not build.
fn build(workspace: &Workspace, verbose: bool, report: &mut Report) -> Result<bool> {
    let commands: [(&str, &[&str]); 2] = [
        (
            "building the preload",
            &["build", "--package", "lucarne-udmabuf"],
        ),
        ("building the tests", &["test", "--workspace", "--no-run"]),
    ];
    for (title, arguments) in commands {
        let mut cargo = process::cargo();
        cargo.current_dir(&workspace.root).args(arguments);
        let log = workspace.log("test-build");
        let ended = Job::new(title, cargo, log.clone(), verbose)
            .run(|line| Some(line.trim().to_owned()))?;
        if !ended.success() {
            let mut tier = Tier::named("build");
            tier.fail(title, process::complaints(&log));
            report.add(tier);
            return Ok(false);
        }
    }
    Ok(true)
}

/// The tiers that run here: unit, integration and documentation tests of all packages.
fn host(
    workspace: &Workspace,
    options: &Options,
    require: &Require,
    verbose: bool,
    report: &mut Report,
) -> Result<()> {
    let device = if Path::new("/dev/udmabuf").exists() {
        "present"
    } else {
        "absent; where a test needs it, it is emulated"
    };
    report
        .facts
        .insert("this machine's /dev/udmabuf".to_owned(), device.to_owned());

    let mut cargo = process::cargo();
    cargo
        .current_dir(&workspace.root)
        .env("CARGO_TERM_COLOR", "never")
        .args(["test", "--workspace", "--no-fail-fast", "--"])
        .arg("--show-output")
        .args(&options.filter);
    let log = workspace.log("test");
    let mut reader = Reader::new(require.clone());
    let ended =
        Job::new("running the tests", cargo, log.clone(), verbose).run(|line| reader.line(line))?;
    let complaint = (!ended.success()).then(|| process::tail(&log, 40));
    reader
        .finish(complaint)
        .into_iter()
        .for_each(|tier| report.add(tier));
    Ok(())
}
