//! All parts of a run, one after the other.

use std::path::Path;
use std::process::Command;

use lucarne::Extent;

use crate::count::{self, Count};
use crate::gates::{self, Verdict};
use crate::measure::{self, Run};
use crate::messages::{Once, Step};
use crate::options::Wanted;
use crate::rows::rows;
use crate::slopes::{self, Point};
use crate::stats::quantile;
use crate::{Result, variants};

/// What everything showed.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) run: Run,
    pub(crate) counts: Vec<Count>,
    pub(crate) points: Vec<Point>,
    pub(crate) once: Vec<Once>,
    /// What was left out, and why.
    pub(crate) missing: Vec<String>,
}

/// Does all that is wanted; `tell` hears what is going on.
pub(crate) fn run(wanted: &Wanted, mut tell: impl FnMut(&str)) -> Result<Found> {
    let valgrind = count::is_there();
    let counting = wanted.counts.is_some() || wanted.slopes.is_some();
    let missing = (counting && !valgrind)
        .then_some("no instructions are counted: there is no valgrind here (package valgrind)");
    if let (Some(missing), true) = (missing, wanted.gates) {
        return Err(format!("--gates: {missing}").into());
    }
    let mut counts = Vec::new();
    if let Some((variants, plan)) = wanted.counts.as_ref().filter(|_| valgrind) {
        for variant in variants {
            tell(&format!("counting instructions: {variant}"));
            counts.push(count::count(*variant, *plan)?);
        }
    }
    let mut points = Vec::new();
    if let Some(mut plan) = wanted.slopes {
        plan.count = plan.count.filter(|_| valgrind);
        points = slopes::points(plan, &mut tell)?;
    }
    tell("what happens once");
    let once = once(wanted)?;
    let more = |series: &[measure::Series]| {
        let gates = gates::of_rows(&rows(series), true);
        gates.iter().any(|gate| gate.verdict == Verdict::Undecided)
    };
    let run = measure::run(&wanted.times, &mut tell, |series| {
        wanted.gates && more(series)
    })?;
    let missing = missing.map(str::to_owned).into_iter();
    let missing = missing
        .chain(
            run.missing
                .iter()
                .map(|text| text.replace("lucarne-bench: ", "")),
        )
        .collect();
    Ok(Found {
        run,
        counts,
        points,
        once,
        missing,
    })
}

/// Everything that happens once, several times, each in a process of its own; medians.
fn once(wanted: &Wanted) -> Result<Vec<Once>> {
    let mut all: Vec<Once> = Vec::new();
    for _ in 0..wanted.once {
        let folder = tempfile::Builder::new().prefix("lucarne-bench").tempdir()?;
        let output = Command::new(std::env::current_exe()?)
            .args(["once", "1920x1080"])
            .arg(folder.path())
            .env("LP_NUM_THREADS", "0")
            .output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        all.extend(serde_json::from_slice::<Vec<Once>>(&output.stdout)?);
    }
    let mut steps: Vec<Step> = all.iter().map(|one| one.step).collect();
    steps.sort_unstable();
    steps.dedup();
    let median = |step, field: fn(&Once) -> f64| {
        let of = all.iter().filter(|one| one.step == step).map(field);
        quantile(&of.collect::<Vec<_>>(), 0.5).unwrap_or_default()
    };
    let once = steps.into_iter().map(|step| Once {
        step,
        micros: median(step, |one| one.micros),
        drivers: median(step, |one| one.drivers),
    });
    Ok(once.collect())
}

/// The child's part of it.
pub(crate) fn serve_once(extent: Extent, folder: &Path) -> Result<()> {
    use std::io::Write;
    let once = variants::once::once(extent, folder)?;
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&once)?)?;
    Ok(())
}
