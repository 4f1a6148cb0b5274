//! Sharing a small pattern between each pair of devices, on each rung, and comparing the pixels: one child for each pair.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;
use std::time::Duration;

use lucarne::Rung;
use lucarne_conformance::{self as conformance, Late, Numbered};
use serde::{Deserialize, Serialize};

use super::cell::{Came, Cell};
use super::child::{self, Ended};
use super::hang::Hangs;
use super::trial::{Line, ORDER};
use crate::devices::{Api, Device};

/// As many children at once as keep a machine usable.
const AT_ONCE: usize = 4;

/// A device by its API and number: `vulkan:0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    pub(super) fn numbered(self) -> Numbered {
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
    pub(super) from: Place,
    pub(super) to: Place,
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
#[derive(Debug, Serialize, Deserialize)]
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

    /// Whether one end at least is a graphics API's.
    pub(super) fn has_graphics(&self) -> bool {
        self.from.api != Api::Cpu || self.to.api != Api::Cpu
    }
}

/// Tries every pair, each in a process of its own, a few at once. `progress` hears how many are done, and of how many.
///
/// Where drivers hang, all of it takes at most three times `patience` longer: until the first is given up, as long again for
/// others, and what was begun then.
pub(super) fn run_all(
    pairs: &[Pair],
    patience: Duration,
    progress: impl Fn(usize, usize) + Sync,
) -> Vec<Trial> {
    let try_pair = |pair: Pair| {
        let (from, to) = (pair.from.to_string(), pair.to.to_string());
        child::run(&["trial", &from, &to], patience)
    };
    run_each(pairs, patience, try_pair, progress)
}

/// The same, with whatever tries a pair. Trials go on for `grace` after the first that hung.
fn run_each(
    pairs: &[Pair],
    grace: Duration,
    try_pair: impl Fn(Pair) -> Ended + Sync,
    progress: impl Fn(usize, usize) + Sync,
) -> Vec<Trial> {
    let waiting = Mutex::new(in_order(pairs));
    let done: Mutex<Vec<(usize, Trial)>> = Mutex::new(Vec::new());
    let hangs: Mutex<Hangs> = Mutex::default();
    let next = || waiting.lock().ok()?.pop_front();
    let work = || {
        while let Some((index, pair)) = next() {
            let trial = Trial {
                from: pair.from,
                to: pair.to,
                cells: cells_of(pair, &hangs, grace, &try_pair),
            };
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

/// Each with its place in the table. Devices with themselves come first: of one that hangs there it is known who does.
fn in_order(pairs: &[Pair]) -> VecDeque<(usize, Pair)> {
    let numbered = pairs.iter().copied().enumerate();
    let (alone, others): (Vec<_>, Vec<_>) = numbered.partition(|(_, pair)| pair.from == pair.to);
    alone.into_iter().chain(others).collect()
}

fn cells_of(
    pair: Pair,
    hangs: &Mutex<Hangs>,
    grace: Duration,
    try_pair: impl Fn(Pair) -> Ended,
) -> Vec<Cell> {
    let forbidden = hangs
        .lock()
        .ok()
        .and_then(|hangs| hangs.forbid(pair, grace));
    if let Some(reason) = forbidden {
        let cell = |rung| Cell::new(rung, Came::NotTried).because(&*reason);
        return Rung::ALL.into_iter().map(cell).collect();
    }
    let ended = try_pair(pair);
    if let (Ended::Hung { .. }, Ok(mut hangs)) = (&ended, hangs.lock()) {
        hangs.note(pair);
    }
    cells(&ended)
}

/// The cells that a child printed, and for those that it did not get to: how it ended, and nothing. Of what it printed
/// nothing is believed: the first word on a rung counts, and what is no word is passed over.
fn cells(ended: &Ended) -> Vec<Cell> {
    let lines = ended.printed().lines();
    let lines: Vec<Line> = lines
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    // It has ended at the first step that is missing.
    let mut end = Some(ended);
    let mut cells: Vec<Cell> = ORDER
        .into_iter()
        .map(|rung| {
            let Some(cell) = said(&lines, rung) else {
                return end.take().map_or_else(
                    || Cell::new(rung, Came::NotTried),
                    |ended| unsaid(rung, ended),
                );
            };
            let late = cell
                .passed()
                .then(|| said_late(&lines, rung).or_else(|| end.take().map(unsaid_late)))
                .flatten();
            Cell { late, ..cell }
        })
        .collect();
    cells.sort_by_key(|cell| cell.rung);
    cells
}

fn said(lines: &[Line], rung: Rung) -> Option<Cell> {
    lines.iter().find_map(|line| match line {
        Line::Cell(cell) if cell.rung == rung.number() => Some((**cell).clone()),
        _ => None,
    })
}

fn said_late(lines: &[Line], rung: Rung) -> Option<Late> {
    lines.iter().find_map(|line| match line {
        Line::Late { rung: of, late } if *of == rung.number() => Some(late.clone()),
        _ => None,
    })
}

fn unsaid(rung: Rung, ended: &Ended) -> Cell {
    let came = match ended {
        Ended::Crashed { .. } => Came::Crashed,
        Ended::Hung { .. } => Came::Hung,
        Ended::Failed { .. } | Ended::Answered(_) => Came::Failed,
    };
    Cell::new(rung, came).because(how(ended))
}

fn unsaid_late(ended: &Ended) -> Late {
    Late::Failed { reason: how(ended) }
}

fn how(ended: &Ended) -> String {
    match ended {
        Ended::Answered(_) => "the trial ended without a word about it".to_owned(),
        ended => format!("the trial {ended}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(line: &Line) -> String {
        serde_json::to_string(line).expect("JSON") + "\n"
    }

    fn passed(rung: Rung) -> String {
        line(&Line::cell(Cell::new(rung, Came::Passed)))
    }

    fn late(rung: Rung) -> String {
        let (rung, late) = (rung.number(), Late::Waited);
        line(&Line::Late { rung, late })
    }

    fn crashed(printed: String) -> Ended {
        Ended::Crashed {
            printed,
            signal: "SIGSEGV".to_owned(),
        }
    }

    fn outcomes(cells: &[Cell]) -> Vec<Came> {
        cells.iter().map(|cell| cell.outcome).collect()
    }

    #[test]
    fn a_crash_is_told_at_the_rung_where_it_happened() {
        let host = passed(Rung::HostMemory) + &late(Rung::HostMemory);
        let cells_ = cells(&crashed(host.clone()));
        let not = Came::NotTried;
        assert_eq!(outcomes(&cells_), [not, not, Came::Crashed, Came::Passed]);
        let two = host + &passed(Rung::OpaqueFd) + &late(Rung::OpaqueFd);
        let cells_ = cells(&crashed(two));
        let passed = Came::Passed;
        assert_eq!(outcomes(&cells_), [not, Came::Crashed, passed, passed]);
        let ended = Ended::Hung {
            printed: String::new(),
            after: Duration::from_secs(3),
        };
        let cells = cells(&ended);
        assert_eq!(cells[3].outcome, Came::Hung);
        assert_eq!(
            cells[3].reason.as_deref(),
            Some("the trial did not end within 3 s: a driver hangs")
        );
        assert!(cells[..3].iter().all(|cell| cell.outcome == Came::NotTried));
    }

    #[test]
    fn a_crash_over_a_fence_leaves_the_pixels_that_were_right() {
        let cells = cells(&crashed(passed(Rung::HostMemory)));
        let host = &cells[3];
        assert!(host.passed());
        let Some(Late::Failed { reason }) = &host.late else {
            panic!("{:?}", host.late);
        };
        assert!(reason.contains("SIGSEGV"), "{reason}");
        assert!(cells[..3].iter().all(|cell| cell.outcome == Came::NotTried));
    }

    #[test]
    fn a_child_that_lies_harms_nobody() {
        let lies = [
            "{\"cell\":{\"rung\":200,\"outcome\":\"passed\"}}\n".to_owned(),
            "{\"cell\":{\"rung\":4,\"outcome\":\"passed\",\"picture\":{\"frame\":0,\"size\":[9,9],\"rgb\":\"\"}}}\n".to_owned(),
            "[1, 2\n\u{0}\u{1b}]0;x\n".to_owned(),
            passed(Rung::OpaqueFd),
            line(&Line::cell(Cell::new(Rung::OpaqueFd, Came::Failed))),
        ];
        let cells = cells(&Ended::Answered(lies.concat()));
        let rungs: Vec<u8> = cells.iter().map(|cell| cell.rung).collect();
        assert_eq!(rungs, [1, 2, 3, 4]);
        let (not, failed) = (Came::NotTried, Came::Failed);
        assert_eq!(outcomes(&cells), [not, not, Came::Passed, failed]);
        let reason = cells[3].reason.as_deref();
        assert_eq!(reason, Some("the trial ended without a word about it"));
    }

    fn place(api: Api, number: usize) -> Place {
        Place { api, number }
    }

    /// Each pair of two devices of Vulkan and one of OpenGL, where trials hang of which `hangs` says so.
    fn tried(grace: Duration, hangs: impl Fn(Pair) -> bool + Sync) -> Vec<Trial> {
        let places = [
            place(Api::Vulkan, 0),
            place(Api::Vulkan, 1),
            place(Api::Egl, 0),
        ];
        let to = |from| places.map(|to| Pair { from, to });
        let pairs = places.map(to).concat();
        let try_pair = |pair| {
            let printed = passed(Rung::HostMemory) + &late(Rung::HostMemory);
            if hangs(pair) {
                let after = Duration::from_secs(15);
                Ended::Hung { printed, after }
            } else {
                Ended::Answered(printed)
            }
        };
        run_each(&pairs, grace, try_pair, |_, _| {})
    }

    /// How many trials have this outcome on the second rung that is tried.
    fn count(trials: &[Trial], outcome: Came) -> usize {
        let second = trials.iter().map(|trial| trial.cells[2].outcome);
        second.filter(|one| *one == outcome).count()
    }

    #[test]
    fn a_device_that_hangs_by_itself_is_left_alone() {
        let vulkan = place(Api::Vulkan, 0);
        let long = Duration::from_secs(3600);
        let trials = tried(long, |pair| pair.from == vulkan || pair.to == vulkan);
        // It is in five pairs. Those that were begun before the first was given up hang, too.
        let hung = count(&trials, Came::Hung);
        assert!((1..=AT_ONCE).contains(&hung), "{hung}");
        assert_eq!(count(&trials, Came::NotTried), 5 - hung);
        for trial in &trials {
            let has_it = trial.from == vulkan || trial.to == vulkan;
            assert_eq!(
                trial.cells[3].passed(),
                !has_it || trial.cells[2].outcome == Came::Hung
            );
            if trial.cells[2].outcome == Came::NotTried {
                let reason = trial.cells[2].reason.as_deref();
                assert_eq!(reason, Some("not tried: vulkan:0 hung before"));
            }
        }
    }

    #[test]
    fn after_the_first_hang_there_is_an_end() {
        let trials = tried(Duration::ZERO, |_| true);
        let hung = count(&trials, Came::Hung);
        assert!((1..=AT_ONCE).contains(&hung), "{hung}");
        assert_eq!(count(&trials, Came::NotTried), 9 - hung);
        let trials = tried(Duration::ZERO, |_| false);
        assert_eq!(count(&trials, Came::NotTried), 0, "nothing hung");
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
