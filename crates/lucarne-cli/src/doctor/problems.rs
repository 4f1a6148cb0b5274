//! Everything that is red or missing, each reason once, and what would mend it.

use std::collections::BTreeMap;

use lucarne_conformance::{Late, Need};

use super::Report;
use super::cell::{Came, Cell};
use super::picture::Picture;
use super::trials::Trial;

/// One reason, with everything that it is about.
#[derive(Debug)]
pub(super) struct Problem<'r> {
    pub(super) kind: Kind,
    pub(super) reason: &'r str,
    /// From where to where, and on which rung.
    pub(super) places: Vec<String>,
    /// What would mend it: commands where there are some.
    pub(super) remedies: Vec<String>,
    /// What came out, where it was wrong.
    pub(super) pictures: Vec<Shown<'r>>,
}

/// Wrong pixels, and whose.
#[derive(Debug)]
pub(super) struct Shown<'r> {
    pub(super) place: String,
    pub(super) picture: &'r Picture,
}

/// The worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Crashed,
    Hung,
    Failed,
    /// With a fence that had not signalled.
    FailedLate,
    /// As a driver had hung before.
    NotTried,
    NotOffered,
    /// Fences that have not signalled do not pass.
    CpuWaits,
    /// No fence was late enough.
    NotLate,
}

impl Kind {
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Crashed => "Crashed",
            Self::Hung => "Hung",
            Self::Failed => "Failed, although the drivers offer it",
            Self::FailedLate => {
                "Failed with frames that were handed over before their work was done"
            }
            Self::NotTried => "Not tried, as a driver hung",
            Self::NotOffered => "Not offered",
            Self::CpuWaits => "No fence passes: the CPU waits before a frame is handed over",
            Self::NotLate => "Nothing was shown of fences",
        }
    }

    /// What helps where nothing is lacking.
    fn advice(self) -> Option<&'static str> {
        match self {
            Self::Crashed | Self::Hung => Some(
                "a driver is broken: a newer one may be mended; send this report to those who make it",
            ),
            Self::Failed | Self::FailedLate => Some(
                "the driver does not do what it offers: a newer one may; send this report to Lucarne, which can then avoid it",
            ),
            Self::NotTried | Self::NotOffered | Self::CpuWaits | Self::NotLate => None,
        }
    }
}

/// All of them, the worst first.
pub(super) fn of(report: &Report) -> Vec<Problem<'_>> {
    let mut found = BTreeMap::<(Kind, &str), Problem<'_>>::new();
    for (trial, cell) in report.cells() {
        let place = place(trial, cell);
        for one in [of_cell(cell), of_late(cell)].into_iter().flatten() {
            let problem = found
                .entry((one.kind, one.reason))
                .or_insert_with(|| Problem {
                    places: Vec::new(),
                    remedies: one.remedies(),
                    pictures: Vec::new(),
                    kind: one.kind,
                    reason: one.reason,
                });
            problem.places.push(place.clone());
            if let Some(picture) = cell.picture.as_ref().filter(|_| one.kind == Kind::Failed) {
                let place = place.clone();
                problem.pictures.push(Shown { place, picture });
            }
        }
    }
    found.into_values().collect()
}

/// From where to where, and on which rung.
fn place(trial: &Trial, cell: &Cell) -> String {
    let rung = cell.rung().map(|rung| rung.to_string());
    let rung = rung.unwrap_or_else(|| "unknown".to_owned());
    format!("{} to {}, {rung}", trial.from, trial.to)
}

struct One<'r> {
    kind: Kind,
    reason: &'r str,
    needs: &'r [Need],
}

impl One<'_> {
    fn remedies(&self) -> Vec<String> {
        let mut remedies: Vec<String> = Vec::new();
        let advice = self.kind.advice().map(str::to_owned);
        let needed = self.needs.iter().filter_map(|need| need.remedy.clone());
        for remedy in needed.chain(advice) {
            if !remedies.contains(&remedy) {
                remedies.push(remedy);
            }
        }
        remedies
    }
}

fn of_cell(cell: &Cell) -> Option<One<'_>> {
    let kind = match cell.outcome {
        Came::Crashed => Kind::Crashed,
        Came::Hung => Kind::Hung,
        Came::Failed => Kind::Failed,
        Came::NotOffered => Kind::NotOffered,
        // Without a reason it stands behind a rung where the trial ended, which has one.
        Came::NotTried if cell.reason.is_some() => Kind::NotTried,
        Came::NotTried | Came::Passed => return None,
    };
    Some(One {
        kind,
        reason: cell.reason.as_deref().unwrap_or("no reason is known"),
        needs: &cell.needs,
    })
}

fn of_late(cell: &Cell) -> Option<One<'_>> {
    match cell.late.as_ref()? {
        Late::Failed { reason } => Some(One {
            kind: Kind::FailedLate,
            reason,
            needs: &[],
        }),
        Late::CpuWaits { reason, needs } => Some(One {
            kind: Kind::CpuWaits,
            reason,
            needs,
        }),
        Late::AlreadySignalled => Some(One {
            kind: Kind::NotLate,
            reason: "each had signalled by the time its frame was handed over",
            needs: &[],
        }),
        _ => None,
    }
}

/// The problem's number in [`of`]'s list that a cell belongs to.
pub(super) fn number(problems: &[Problem<'_>], cell: &Cell) -> Option<usize> {
    let one = of_cell(cell).or_else(|| of_late(cell).filter(|_| cell.is_bad()))?;
    problems
        .iter()
        .position(|problem| problem.kind == one.kind && problem.reason == one.reason)
}
