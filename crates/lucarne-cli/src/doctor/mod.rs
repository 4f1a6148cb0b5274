//! `lucarne doctor`: what can be shared on this machine, tried, and what would mend the rest.

mod child;
mod machine;
mod print;
mod trials;

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::caps::{Caps, Missing};
use crate::devices::{Api, Device};
use crate::output::{Output, progress};
use crate::{Answer, Failure};
use child::Ended;
use machine::Machine;
use trials::{Pair, Trial};
pub(crate) use trials::{TrialOptions, trial};

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lucarne doctor
  lucarne doctor --no-trials     only what the machine and its drivers say: quick
  lucarne doctor --json          for a bug report; nothing personal is in it

Exit status: 0 when frames can be shared without a copy, 1 when only with copies, 2 when not at all.")]
pub(crate) struct Options {
    /// Share nothing: only ask.
    #[arg(long)]
    no_trials: bool,
    /// How many seconds a driver may take to answer, or for one trial.
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    patience: u64,
}

/// Everything that was found.
#[derive(Debug, Serialize)]
struct Report {
    lucarne: &'static str,
    machine: Machine,
    devices: Vec<DeviceLine>,
    missing: Vec<Missing>,
    trials: Vec<Trial>,
    verdict: Verdict,
}

#[derive(Debug, Serialize)]
struct DeviceLine {
    api: Api,
    number: usize,
    name: String,
    driver: String,
    quirks: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    /// Between graphics APIs, without a copy.
    ZeroCopy,
    /// The same, and only because dma-bufs are emulated.
    ZeroCopyEmulated,
    CopiesOnly,
    Nothing,
    /// With `--no-trials`.
    NotTried,
}

pub(crate) fn run(options: &Options, output: &mut Output) -> Result<Answer, Failure> {
    let patience = Duration::from_secs(options.patience.clamp(1, 3600));
    let mut devices = Vec::new();
    let mut missing = Vec::new();
    for api in Api::ALL {
        progress(&format!("asking {api}"));
        let caps = ask(api, patience);
        devices.extend(caps.devices);
        missing.extend(caps.missing);
    }
    let trials = if options.no_trials {
        Vec::new()
    } else {
        trials::run_all(&Pair::all(&devices), patience, |done, all| {
            progress(&format!("trial {done} of {all}"));
        })
    };
    progress("");
    let report = Report {
        lucarne: env!("CARGO_PKG_VERSION"),
        machine: Machine::look(),
        verdict: if options.no_trials {
            Verdict::NotTried
        } else {
            verdict(&trials)
        },
        devices: devices.into_iter().map(DeviceLine::of).collect(),
        missing,
        trials,
    };
    if output.is_json() {
        output.json(&report)?;
    } else {
        report.print(output)?;
    }
    Ok(match report.verdict {
        Verdict::ZeroCopy | Verdict::ZeroCopyEmulated | Verdict::NotTried => Answer::Yes,
        Verdict::CopiesOnly => Answer::No,
        Verdict::Nothing => Answer::Nothing,
    })
}

impl DeviceLine {
    fn of(device: Device) -> Self {
        Self {
            api: device.api,
            number: device.number,
            name: device.offer.name,
            driver: device.driver,
            quirks: device.quirks,
        }
    }
}

/// Asks one API in a process of its own: loading a broken driver may end it.
fn ask(api: Api, patience: Duration) -> Caps {
    let arguments = ["caps", "--json", "--api", api.name()];
    let reason = match child::run(&arguments, patience) {
        Ended::Answered(text) => match serde_json::from_str(&text) {
            Ok(caps) => return caps,
            Err(error) => format!("asking {api} gave no answer: {error}"),
        },
        ended => format!("asking {api} {ended}"),
    };
    Caps {
        devices: Vec::new(),
        missing: vec![Missing { api, reason }],
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
    } else if cells().any(|(_, cell)| cell.passed()) {
        Verdict::CopiesOnly
    } else {
        Verdict::Nothing
    }
}
