//! `lucarne doctor`: what can be shared on this machine, tried, and what would mend the rest.

mod cell;
mod child;
mod device;
mod display;
mod extension;
mod feature;
mod hang;
mod machine;
mod page;
mod picture;
mod print;
mod private;
mod problems;
mod sandbox;
mod trial;
mod trials;
mod variable;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::caps::{Caps, Missing};
use crate::devices::Api;
use crate::output::{Output, progress};
use crate::{Answer, Failure};
use cell::{Cell, tame};
use child::Ended;
use device::DeviceLine;
use display::Displays;
pub(crate) use display::{DisplayOptions, run as display};
use extension::Extension;
use machine::Machine;
pub(crate) use trial::{TrialOptions, run as trial};
use trials::{Pair, Trial};

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lucarne doctor
  lucarne doctor --html report.html    a page to look at, or to send
  lucarne doctor --no-trials           only what the machine and its drivers say: quick
  lucarne doctor --json                for a bug report; nothing personal is in it
  lucarne doctor --from report.json    what --json wrote elsewhere

Exit status: 0 when frames can be shared without a copy, 1 when only with copies, 2 when not at all.")]
pub(crate) struct Options {
    /// Share nothing: only ask.
    #[arg(long)]
    no_trials: bool,
    /// How many seconds a driver may take to answer, or for one trial.
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    patience: u64,
    /// Write a page that a browser shows, in one file. One that is there is replaced.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// List all extensions that Lucarne makes use of, not only those that are missing. JSON and the page have all.
    #[arg(long, short)]
    verbose: bool,
    /// Ask nobody: show the report in this file, which --json wrote.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["no_trials", "patience"])]
    from: Option<PathBuf>,
}

/// Everything that was found.
#[derive(Debug, Serialize, Deserialize)]
struct Report {
    lucarne: String,
    machine: Machine,
    displays: Displays,
    devices: Vec<DeviceLine>,
    missing: Vec<Missing>,
    #[serde(default)]
    extensions: Vec<Extension>,
    trials: Vec<Trial>,
    verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    /// Between devices of graphics APIs, without a copy.
    ZeroCopy,
    /// The same, and only because dma-bufs are emulated.
    ZeroCopyEmulated,
    CopiesOnly,
    Nothing,
    /// With `--no-trials`.
    NotTried,
}

pub(crate) fn run(options: &Options, output: &mut Output) -> Result<Answer, Failure> {
    let mut report = match &options.from {
        Some(path) => Report::read(path)?,
        None => Report::make(options),
    };
    if let Some(path) = &options.html {
        page::write(&report, path)
            .map_err(|error| format!("writing {}: {error}", path.display()))?;
    }
    let answer = report.verdict.answer();
    if output.is_json() {
        report.leave_out_right_pictures();
        output.json(&report)?;
        return Ok(answer);
    }
    report.print(output, options.verbose)?;
    if let Some(path) = &options.html {
        output.line(format_args!("\nwrote {}", path.display()))?;
    }
    Ok(answer)
}

impl Report {
    fn make(options: &Options) -> Self {
        let patience = Duration::from_secs(options.patience.clamp(1, 3600));
        progress("asking drivers and display servers");
        let (Caps { devices, missing }, displays) = ask_all(patience);
        let trials = if options.no_trials {
            Vec::new()
        } else {
            trials::run_all(&Pair::all(&devices), patience, |done, all| {
                progress(&format!("trial {done} of {all}"));
            })
        };
        progress("");
        let mut report = Self {
            lucarne: env!("CARGO_PKG_VERSION").to_owned(),
            machine: Machine::look(),
            displays,
            verdict: if options.no_trials {
                Verdict::NotTried
            } else {
                verdict(&trials)
            },
            extensions: Extension::of_devices(&devices),
            devices: devices.into_iter().map(DeviceLine::of).collect(),
            missing,
            trials,
        };
        report.tame();
        report
    }

    fn read(path: &Path) -> Result<Self, Failure> {
        let at = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| at(&error))?;
        let mut json: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| at(&format_args!("not JSON: {error}")))?;
        without_control(&mut json);
        let read: Result<Self, _> = serde_path_to_error::deserialize(json);
        let mut report = read.map_err(|error| {
            at(&format_args!(
                "not a report as `lucarne doctor --json` writes it: {error}"
            ))
        })?;
        report.tame();
        Ok(report)
    }

    /// Texts of drivers, or of whoever wrote the file, as a terminal and a page can bear them.
    fn tame(&mut self) {
        for missing in &mut self.missing {
            missing.reason = tame(&missing.reason);
        }
        self.devices.iter_mut().for_each(DeviceLine::tame);
        Extension::tame_all(&mut self.extensions);
        let cells = self.trials.iter_mut().flat_map(|trial| &mut trial.cells);
        cells.for_each(Cell::tame);
    }

    fn cells(&self) -> impl Iterator<Item = (&Trial, &Cell)> {
        self.trials
            .iter()
            .flat_map(|trial| trial.cells.iter().map(move |cell| (trial, cell)))
    }

    /// What else the verdict must say.
    fn caveat(&self) -> Option<String> {
        match self.cells().filter(|(_, cell)| cell.is_bad()).count() {
            0 => None,
            1 => Some("One trial went wrong: a driver is broken.".to_owned()),
            more => Some(format!("{more} trials went wrong: a driver is broken.")),
        }
    }

    /// A program knows the pattern; what came out wrong is evidence.
    fn leave_out_right_pictures(&mut self) {
        let cells = self.trials.iter_mut().flat_map(|trial| &mut trial.cells);
        for cell in cells.filter(|cell| cell.passed()) {
            cell.picture = None;
        }
    }
}

impl Verdict {
    fn answer(self) -> Answer {
        match self {
            Self::ZeroCopy | Self::ZeroCopyEmulated | Self::NotTried => Answer::Yes,
            Self::CopiesOnly => Answer::No,
            Self::Nothing => Answer::Nothing,
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::ZeroCopy => "Frames can be shared without a copy.",
            Self::ZeroCopyEmulated => {
                "Frames can be shared without a copy, as dma-bufs are emulated here."
            }
            Self::CopiesOnly => {
                "Frames can be shared here, but not between graphics APIs without a copy."
            }
            Self::Nothing => "No graphics API can share frames here.",
            Self::NotTried => "Nothing was tried; without --no-trials it is.",
        }
    }
}

/// Asks everybody at once: who hangs keeps nobody else waiting.
fn ask_all(patience: Duration) -> (Caps, Displays) {
    std::thread::scope(|scope| {
        let displays = scope.spawn(move || Displays::ask(patience));
        let apis = Api::ALL.map(|api| scope.spawn(move || ask(api, patience)));
        let mut all = Caps::default();
        for caps in apis.into_iter().filter_map(|api| api.join().ok()) {
            all.devices.extend(caps.devices);
            all.missing.extend(caps.missing);
        }
        (all, displays.join().unwrap_or_default())
    })
}

/// Asks one API in a process of its own: loading a broken driver may end it.
fn ask(api: Api, patience: Duration) -> Caps {
    let arguments = ["caps", "--json", "--api", api.name()];
    let reason = match child::run(&arguments, patience) {
        // Drivers, too, print whatever they like.
        Ended::Answered(text) => match text.lines().rev().find_map(read_line) {
            Some(caps) => return caps,
            None => format!("asking {api} gave no answer"),
        },
        ended @ (Ended::Crashed { .. } | Ended::Hung { .. }) => {
            format!("asking {api} {ended}. {}", which_driver(api))
        }
        ended => format!("asking {api} {ended}"),
    };
    Caps {
        devices: Vec::new(),
        missing: vec![Missing { api, reason }],
    }
}

/// How to find the driver that is broken, and what to do without it.
fn which_driver(api: Api) -> &'static str {
    match api {
        Api::Vulkan => {
            "Leave one driver out at a time: VK_LOADER_DRIVERS_DISABLE='NAME*', where NAME begins a file's name in \
             /usr/share/vulkan/icd.d. Without the broken one the others work; a newer one may be mended"
        }
        Api::Egl => {
            "Take one driver at a time: __EGL_VENDOR_LIBRARY_FILENAMES=FILE, a file of /usr/share/glvnd/egl_vendor.d. \
             A newer driver may be mended"
        }
        Api::Gbm | Api::Cpu => "A newer driver may be mended",
    }
}

fn read_line(line: &str) -> Option<Caps> {
    serde_json::from_str(line).ok()
}

/// Takes from each text in a file what would move a terminal's cursor.
fn without_control(json: &mut serde_json::Value) {
    match json {
        serde_json::Value::String(text) => *text = cell::visible(text),
        serde_json::Value::Array(all) => all.iter_mut().for_each(without_control),
        serde_json::Value::Object(all) => all.values_mut().for_each(without_control),
        _ => {}
    }
}

/// What the trials prove. The CPU's own frames prove nothing about graphics.
fn verdict(trials: &[Trial]) -> Verdict {
    let cells = || {
        trials
            .iter()
            .flat_map(|trial| trial.cells.iter().map(move |cell| (trial, cell)))
    };
    let free = |emulated: bool| {
        cells().any(|(trial, cell)| {
            cell.passed()
                && cell.copies == Some([0, 0])
                && cell.emulated == emulated
                && trial.is_graphics()
        })
    };
    if free(false) {
        Verdict::ZeroCopy
    } else if free(true) {
        Verdict::ZeroCopyEmulated
    } else if cells().any(|(trial, cell)| cell.passed() && trial.has_graphics()) {
        Verdict::CopiesOnly
    } else {
        Verdict::Nothing
    }
}
