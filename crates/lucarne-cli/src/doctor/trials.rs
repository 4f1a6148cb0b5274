//! Sharing a small pattern between each pair of devices, on each rung, and comparing the pixels.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;
use std::time::Duration;

use clap::Args;
use lucarne::{MemoryPath, Rung};
use lucarne_conformance as conformance;
use lucarne_conformance::{Case, Machine, Numbered, Outcome, Row, Set};
use serde::{Deserialize, Serialize};

use super::child::{self, Ended};
use crate::devices::{Api, Device};
use crate::output::Output;
use crate::{Answer, Failure};

/// Why an end is asked for nothing on a path.
const ONE_KIND: &str = "an allocator of the CPU makes one kind of memory only";

/// As many children at once as keep a machine usable.
const AT_ONCE: usize = 4;

/// A device by its API and number: `vulkan:0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Place {
    pub(super) api: Api,
    pub(super) number: usize,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = text.split_once(':').and_then(|(api, number)| {
            Some(Self {
                api: Api::ALL.into_iter().find(|known| known.name() == api)?,
                number: number.parse().ok()?,
            })
        });
        found.ok_or_else(|| format!("{text:?} is not API:NUMBER"))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.api, self.number)
    }
}

impl Place {
    fn numbered(self) -> Numbered {
        Numbered {
            api: match self.api {
                Api::Vulkan => conformance::Api::Vulkan,
                Api::Egl => conformance::Api::OpenGl,
                Api::Gbm => conformance::Api::Gbm,
                Api::Cpu => conformance::Api::Cpu,
            },
            number: self.number,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    from: Place,
    to: Place,
}

impl Pair {
    /// Every ordered pair. GBM only makes frames; one CPU is enough to read them.
    pub(super) fn all(devices: &[Device]) -> Vec<Self> {
        let places: Vec<Place> = devices
            .iter()
            .map(|device| Place {
                api: device.api,
                number: device.number,
            })
            .collect();
        let cpu = places.iter().rfind(|place| place.api == Api::Cpu);
        let readers = places.iter().filter(|place| match place.api {
            Api::Vulkan | Api::Egl => true,
            Api::Gbm => false,
            Api::Cpu => Some(*place) == cpu,
        });
        let readers: Vec<Place> = readers.copied().collect();
        let pairs = places.iter().flat_map(|from| {
            readers.iter().map(|to| Self {
                from: *from,
                to: *to,
            })
        });
        pairs.collect()
    }
}

/// What came of one pair.
#[derive(Debug, Serialize)]
pub(super) struct Trial {
    pub(super) from: Place,
    pub(super) to: Place,
    /// The rungs, best first.
    pub(super) cells: Vec<Cell>,
}

impl Trial {
    pub(super) fn is_graphics(&self) -> bool {
        self.from.api != Api::Cpu && self.to.api != Api::Cpu
    }
}

/// What came of one rung.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cell {
    /// From 1, the best.
    pub(super) rung: u8,
    pub(super) outcome: Came,
    /// Why it did not work.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) reason: Option<String>,
    /// How often the producer and the consumer copied each frame.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) copies: Option<[u32; 2]>,
    pub(super) emulated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Came {
    Passed,
    NotOffered,
    /// The drivers offer it, and it did not work.
    Failed,
    Crashed,
    Hung,
    /// The process ended before.
    NotTried,
}

impl Cell {
    fn new(rung: Rung, outcome: Came, reason: impl Into<Option<String>>) -> Self {
        Self {
            rung: rung.number(),
            outcome,
            reason: reason.into(),
            copies: None,
            emulated: false,
        }
    }

    pub(super) fn passed(&self) -> bool {
        self.outcome == Came::Passed
    }
}

/// Tries every pair, each in a process of its own, a few at once. `progress` hears how many are done, and of how many.
pub(super) fn run_all(
    pairs: &[Pair],
    patience: Duration,
    progress: impl Fn(usize, usize) + Sync,
) -> Vec<Trial> {
    let waiting: Mutex<VecDeque<(usize, Pair)>> =
        Mutex::new(pairs.iter().copied().enumerate().collect());
    let done: Mutex<Vec<(usize, Trial)>> = Mutex::new(Vec::new());
    let next = || waiting.lock().ok()?.pop_front();
    let work = || {
        while let Some((index, pair)) = next() {
            let trial = try_pair(pair, patience);
            if let Ok(mut done) = done.lock() {
                done.push((index, trial));
                progress(done.len(), pairs.len());
            }
        }
    };
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(AT_ONCE);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, trial)| trial).collect()
}

fn try_pair(pair: Pair, patience: Duration) -> Trial {
    let (from, to) = (pair.from.to_string(), pair.to.to_string());
    let ended = child::run(&["trial", &from, &to], patience);
    Trial {
        from: pair.from,
        to: pair.to,
        cells: cells(&ended),
    }
}

/// The cells that a child printed, and for those that it did not get to: how it ended, and nothing.
fn cells(ended: &Ended) -> Vec<Cell> {
    let lines = ended.printed().lines();
    let mut cells: Vec<Cell> = lines
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let missing = Rung::ALL
        .into_iter()
        .filter(|rung| cells.iter().all(|cell| cell.rung != rung.number()));
    let missing: Vec<Rung> = missing.collect();
    for (index, rung) in missing.into_iter().enumerate() {
        let came = match ended {
            _ if index > 0 => Came::NotTried,
            Ended::Crashed { .. } => Came::Crashed,
            Ended::Hung { .. } => Came::Hung,
            Ended::Failed { .. } | Ended::Answered(_) => Came::Failed,
        };
        let reason = (index == 0).then(|| format!("the trial {ended}"));
        cells.push(Cell::new(rung, came, reason));
    }
    cells.sort_by_key(|cell| cell.rung);
    cells
}

#[derive(Args, Debug)]
pub(crate) struct TrialOptions {
    from: Place,
    to: Place,
}

/// The child: tries one pair, and prints a line for each rung as soon as it is known.
pub(crate) fn trial(options: &TrialOptions, output: &mut Output) -> Result<Answer, Failure> {
    let machine = Machine::of_pair(options.from.numbered(), options.to.numbered())?;
    if let Some(note) = machine.notes().first() {
        return Err(note.reason.clone().into());
    }
    // The best rung last: a driver that crashes there has shown what else it can do.
    for path in MemoryPath::ALL.into_iter().rev() {
        for cell in try_path(&machine, path)? {
            output.json(&cell)?;
        }
    }
    Ok(Answer::Yes)
}

fn try_path(machine: &Machine, path: MemoryPath) -> Result<Vec<Cell>, Failure> {
    let (cases, refused) = machine.cases(path, Set::Trial)?;
    let rungs = Rung::ALL.into_iter().filter(|rung| rung.path() == path);
    let cells = rungs.map(|rung| {
        let of_rung: Vec<&Case> = cases
            .iter()
            .filter(|case| case.agreement().rung == rung)
            .collect();
        if of_rung.is_empty() {
            return Cell::new(rung, Came::NotOffered, why_not(rung, &cases, &refused));
        }
        let rows: Vec<Row> = of_rung.iter().map(|case| machine.run(case)).collect();
        cell(rung, &rows)
    });
    Ok(cells.collect())
}

fn why_not(rung: Rung, cases: &[Case], refused: &[Row]) -> Option<String> {
    let better = cases.iter().flat_map(|case| &case.agreement().refused);
    let mut better = better.filter(|refused| refused.rung == rung);
    let whole = refused.iter().find_map(|row| match &row.outcome {
        Outcome::NotOffered(reason) => Some(reason.clone()),
        _ => None,
    });
    better
        .next()
        .map(|refused| refused.reason.to_string())
        .or(whole)
        .or_else(|| refused.is_empty().then(|| ONE_KIND.to_owned()))
}

fn cell(rung: Rung, rows: &[Row]) -> Cell {
    let failure = rows.iter().find_map(|row| match &row.outcome {
        Outcome::Failed(reason) | Outcome::Refused(reason) => Some(match &row.modifier {
            Some(modifier) => format!("{modifier}: {reason}"),
            None => reason.clone(),
        }),
        _ => None,
    });
    let came = if failure.is_some() {
        Came::Failed
    } else {
        Came::Passed
    };
    Cell {
        copies: rows.iter().find_map(|row| row.copies),
        emulated: rows.iter().any(|row| row.emulated),
        ..Cell::new(rung, came, failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(rung: Rung) -> String {
        serde_json::to_string(&Cell::new(rung, Came::Passed, None)).expect("JSON") + "\n"
    }

    #[test]
    fn a_crash_is_told_at_the_rung_where_it_happened() {
        let printed = line(Rung::HostMemory) + &line(Rung::OpaqueFd);
        let ended = Ended::Crashed {
            printed,
            signal: "SIGSEGV".to_owned(),
        };
        let came: Vec<Came> = cells(&ended).iter().map(|cell| cell.outcome).collect();
        assert_eq!(
            came,
            [Came::Crashed, Came::NotTried, Came::Passed, Came::Passed]
        );
        let ended = Ended::Hung {
            printed: String::new(),
            after: Duration::from_secs(3),
        };
        let cells = cells(&ended);
        assert_eq!(cells[0].outcome, Came::Hung);
        assert_eq!(
            cells[0].reason.as_deref(),
            Some("the trial did not end within 3 s: a driver hangs")
        );
        assert!(cells[1..].iter().all(|cell| cell.outcome == Came::NotTried));
    }

    #[test]
    fn places_are_an_api_and_a_number() {
        assert_eq!(
            "egl:1".parse(),
            Ok(Place {
                api: Api::Egl,
                number: 1
            })
        );
        assert!("egl".parse::<Place>().is_err() && "metal:0".parse::<Place>().is_err());
    }
}
