//! `cargo xtask test`: every tier that this machine can run, and one verdict.

use std::path::Path;
use std::process::Command;

use crate::engines;
use crate::error::Result;
use crate::guest::{self, Guest};
use crate::heavy::{self, HEAVY};
use crate::install::{self, Consent, Purpose};
use crate::libtest::Reader;
use crate::process::{self, Job};
use crate::progress::Shown;
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
    /// Run a tier that is left out otherwise, too, as it takes minutes to build (can be given more than once)
    #[arg(long, value_name = "KIND", value_parser = clap::builder::PossibleValuesParser::new(heavy::kinds()))]
    pub(crate) with: Vec<String>,
    /// Run only tests whose names contain this
    #[arg(value_name = "FILTER")]
    pub(crate) filter: Option<String>,
}

/// The test programs that say something about drivers, and run with newer ones too.
const NEWER_DRIVERS: [&str; 1] = ["matrix"];

/// Runs everything. The first guest runs beside the tiers of this machine and, when those are done, beside the second one:
/// emulated machines are most of the work, and the processors are never left without some.
pub(crate) fn run(workspace: &Workspace, options: &Options, verbose: bool) -> Result<Report> {
    install::ensure(Purpose::Test, options.consent, workspace, verbose)?;
    let require = Require::from_env();
    for heavy in heavy::asked(&options.with, &require) {
        install::ensure(Purpose::Heavy(heavy), options.consent, workspace, verbose)?;
    }
    let mut report = Report::default();
    if !build(workspace, verbose, &mut report)? {
        return Ok(report);
    }
    if options.no_guest {
        host(workspace, options, &require, verbose, &mut report)?;
        let reason = "left out by --no-guest";
        report.add(Tier::not_run("guest", "guest", reason, &require));
        return Ok(report);
    }
    let [guest, newer] = guests(workspace, options, &require, verbose)?;
    let background = Shown::background(verbose);
    std::thread::scope(|scope| {
        let beside = scope.spawn(|| guest.run(workspace, background));
        host(workspace, options, &require, verbose, &mut report)?;
        let newer = newer.run(workspace, background)?;
        match beside.join() {
            Ok(guest) => report.extend(guest?),
            Err(panic) => std::panic::resume_unwind(panic),
        }
        report.extend(newer);
        Ok(report)
    })
}

/// Both guests, with everything built: this machine's drivers with all programs, newer ones with those that are about drivers.
fn guests(
    workspace: &Workspace,
    options: &Options,
    require: &Require,
    verbose: bool,
) -> Result<[Guest; 2]> {
    let host = guest::Options {
        filter: options.filter.iter().cloned().collect(),
        ..guest::Options::default()
    };
    let newer = guest::Options {
        drivers: guest::Drivers::Newer,
        only: NEWER_DRIVERS.map(str::to_owned).to_vec(),
        ..host.clone()
    };
    Ok([
        guest::ready(workspace, &host, require, verbose)?,
        guest::ready(workspace, &newer, require, verbose)?,
    ])
}

/// Builds all of it, the preload first so that cargo's runner finds it. False where it does not build.
fn build(workspace: &Workspace, verbose: bool, report: &mut Report) -> Result<bool> {
    let commands: [(&str, &[&str]); 2] = [
        (
            "building the preload",
            &["build", "--package", "lucarne-udmabuf"],
        ),
        ("building the tests", &["test", "--no-run"]),
    ];
    for (title, arguments) in commands {
        let mut cargo = process::cargo();
        cargo.current_dir(&workspace.root).args(arguments);
        if !builds(workspace, title, cargo, verbose, report)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Runs cargo; false, and a failure in the report, where something does not build.
pub(crate) fn builds(
    workspace: &Workspace,
    title: &str,
    cargo: Command,
    verbose: bool,
    report: &mut Report,
) -> Result<bool> {
    let log = workspace.log(&title.replace(' ', "-"));
    let ended =
        Job::new(title, cargo, log.clone(), verbose).run(|line| Some(line.trim().to_owned()))?;
    if !ended.success() {
        let mut tier = Tier::named("build");
        tier.fail(title, process::complaints(&log));
        report.add(tier);
    }
    Ok(ended.success())
}

/// Runs `cargo test` and reads its results.
pub(crate) fn reads(
    workspace: &Workspace,
    title: &str,
    mut cargo: Command,
    require: &Require,
    verbose: bool,
    report: &mut Report,
) -> Result<()> {
    cargo
        .env("CARGO_TERM_COLOR", "never")
        .env(engines::VARIABLE, engines::rows_of(workspace));
    let log = workspace.log(&title.replace(' ', "-"));
    let mut reader = Reader::new(require.clone());
    let ended = Job::new(title, cargo, log.clone(), verbose).run(|line| reader.line(line))?;
    let complaint = (!ended.success()).then(|| process::tail(&log, 40));
    reader
        .finish(complaint)
        .into_iter()
        .for_each(|tier| report.add(tier));
    Ok(())
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
        .args(["test", "--no-fail-fast", "--"])
        .arg("--show-output")
        .args(&options.filter);
    engines::empty(workspace)?;
    let title = "running the tests";
    reads(workspace, title, cargo, require, verbose, report)?;
    for heavy in HEAVY {
        heavy.run(workspace, options, require, verbose, report)?;
    }
    engines::check(workspace, require, report)
}
