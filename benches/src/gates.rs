//! What must hold of the Lucarne variant, as ratios within one run.

use serde::Serialize;

use crate::count::{Count, Side};
use crate::messages::Variant;
use crate::rows::{Ratios, Row};
use crate::slopes::{Point, flatness};

/// Later than over the floor a frame may be in hand, at the median, in microseconds. (Seeing its pixels is no part of the
/// hand-off, and the floor has none.)
const OVER_FLOOR: f64 = 15.0;
/// Allocations per frame that count as none: a vector that grows once in a slice.
const NO_ALLOCATION: f64 = 0.01;
/// System calls per frame and side where both sleep. A hundredth more is one in all the frames that were counted.
const SYSTEM_CALLS: f64 = 2.04;

/// The instructions with those of the drivers that the hand-off calls, as a ratio to raw's (docs/adr/0012).
const INSTRUCTIONS: f64 = 1.5;
/// Own instructions beyond raw's, for what raw does not do: turns, checks, any number of consumers (docs/adr/0012).
const OVER_RAW: f64 = 600.0;

/// What came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    Holds,
    Fails,
    /// The machine was too busy, or differed too much from itself, to tell.
    Undecided,
}

/// One thing that must hold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Gate {
    pub(crate) size: String,
    pub(crate) name: &'static str,
    /// What was measured.
    pub(crate) got: f64,
    /// The same ratio to `raw-sync-file`, which makes the same calls to Vulkan where a driver has real sync_files: what of it is
    /// Lucarne's own.
    pub(crate) like_for_like: Option<f64>,
    /// The same of `raw-again`, which differs from `raw` by chance alone.
    pub(crate) by_chance: Option<f64>,
    pub(crate) limit: f64,
    /// Whether more is better.
    pub(crate) at_least: bool,
    pub(crate) verdict: Verdict,
}

impl Gate {
    /// `timed`: another program can change it.
    fn judge(mut self, timed: bool, calm: bool) -> Self {
        let holds = |value: f64| {
            if self.at_least {
                value >= self.limit
            } else {
                value <= self.limit
            }
        };
        // As far as the same code strays from itself, in either direction.
        let chance = self.by_chance.filter(|chance| timed && *chance > 0.0);
        let strays = chance.map_or(1.0, |chance| chance.max(1.0 / chance));
        let better = |value: f64, times: f64| {
            if self.at_least {
                value * times
            } else {
                value / times
            }
        };
        let can_tell = !timed || calm && holds(better(1.0, 1.0 / strays));
        self.verdict = match (holds(self.got), can_tell) {
            (true, true) => Verdict::Holds,
            // More beyond the limit than the same code is beyond itself.
            (false, true) if !holds(better(self.got, strays)) => Verdict::Fails,
            // Worse than chance explains: twice over, as that was measured once.
            (false, false) if chance.is_some() && !holds(better(self.got, strays * strays)) => {
                Verdict::Fails
            }
            _ => Verdict::Undecided,
        };
        self
    }
}

/// What a gate looks at; `None` where what it compares with was not measured.
#[derive(Clone, Copy)]
enum Look {
    /// A ratio to the hand-written loop, of times.
    Ratio(fn(&Ratios) -> f64),
    /// A time that needs no other row.
    Time(fn(&Row) -> Option<f64>),
    /// A number that no other program changes.
    Number(fn(&Row) -> f64),
}

/// Name, what it looks at, limit, whether more is better.
const GATES: [(&str, Look, f64, bool); 10] = {
    use Look::{Number, Ratio, Time};
    [
        ("p50 / raw", Ratio(|to| to.p50), 1.10, false),
        (
            "in hand - floor, us",
            Time(|row| row.over_floor),
            OVER_FLOOR,
            false,
        ),
        ("p99 / raw", Ratio(|to| to.p99), 1.25, false),
        ("frames per second / raw", Ratio(|to| to.rate), 0.97, true),
        (
            "cpu per frame / raw, paced",
            Ratio(|to| to.cpu_paced),
            1.10,
            false,
        ),
        (
            "cpu per frame / raw, free",
            Ratio(|to| to.cpu_free),
            1.10,
            false,
        ),
        (
            "descriptors opened and kept",
            Number(|row| row.descriptors as f64),
            0.0,
            false,
        ),
        (
            "copies per frame",
            Number(|row| row.copies.into()),
            0.0,
            false,
        ),
        (
            "allocations per frame",
            Number(|row| row.allocations),
            NO_ALLOCATION,
            false,
        ),
        (
            "frames torn, repeated or lost",
            Number(|row| (row.torn + row.repeated + row.lost) as f64),
            0.0,
            false,
        ),
    ]
};

/// All gates that these rows can be asked about, size by size.
pub(crate) fn of_rows(rows: &[Row], calm: bool) -> Vec<Gate> {
    let is = |row: &&Row, variant: Variant| row.variant == variant.name();
    let mut gates = Vec::new();
    for row in rows.iter().filter(|row| is(row, Variant::Lucarne)) {
        let mut others = rows.iter().filter(|other| other.size == row.size);
        let again = others.find(|other| is(other, Variant::RawAgain));
        for (name, look, limit, at_least) in GATES {
            let to = |ratios: Option<&Ratios>| match look {
                Look::Ratio(of) => ratios.map(of),
                Look::Time(_) | Look::Number(_) => None,
            };
            let got = match look {
                Look::Ratio(of) => row.to_raw.as_ref().map(of),
                Look::Time(of) => of(row),
                Look::Number(of) => Some(of(row)),
            };
            let Some(got) = got else { continue };
            let gate = Gate {
                size: row.size.clone(),
                name,
                got,
                like_for_like: to(row.to_raw_sync_file.as_ref()),
                by_chance: to(again.and_then(|row| row.to_raw.as_ref())),
                limit,
                at_least,
                verdict: Verdict::Undecided,
            };
            gates.push(gate.judge(!matches!(look, Look::Number(_)), calm));
        }
    }
    gates
}

/// Instructions and system calls, side by side. Nothing else on the machine changes them.
pub(crate) fn of_counts(counts: &[Count]) -> Vec<Gate> {
    let find = |variant| counts.iter().find(|count| count.variant == variant);
    let (Some(lucarne), Some(raw)) = (find(Variant::Lucarne), find(Variant::Raw)) else {
        return Vec::new();
    };
    let like = find(Variant::RawSyncFile);
    let mut gates = Vec::new();
    let mut side = |names: [&'static str; 4], of: fn(&Count) -> Option<&Side>| {
        let (Some(mine), Some(theirs)) = (of(lucarne), of(raw)) else {
            return;
        };
        let like = like.and_then(of);
        let mut gate = |name, got, like_for_like, limit| {
            let gate = Gate {
                size: lucarne.size.clone(),
                name,
                got,
                like_for_like,
                by_chance: None,
                limit,
                at_least: false,
                verdict: Verdict::Undecided,
            };
            gates.push(gate.judge(false, true));
        };
        let to =
            |of: fn(&Side) -> f64| (of(mine) / of(theirs), like.map(|like| of(mine) / of(like)));
        let (all, all_like) = to(|side| side.own + side.driver);
        let (drivers, drivers_like) = to(|side| side.driver);
        let over = |other: &Side| mine.own - other.own;
        let [first, second, third, fourth] = names;
        gate(first, all, all_like, INSTRUCTIONS);
        gate(second, over(theirs), like.map(over), OVER_RAW);
        gate(third, drivers, drivers_like, INSTRUCTIONS);
        gate(fourth, mine.system_calls, None, SYSTEM_CALLS);
    };
    let names = [
        "instructions of the producer / raw",
        "own in the producer, beyond raw's",
        "drivers' in the producer / raw",
        "system calls of the producer",
    ];
    side(names, |count| Some(&count.producer));
    let names = [
        "instructions of the consumer / raw",
        "own in the consumer, beyond raw's",
        "drivers' in the consumer / raw",
        "system calls of the consumer",
    ];
    side(names, |count| count.consumer.as_ref());
    gates
}

/// What must not grow: with a frame's size, and with the number of consumers.
pub(crate) fn of_slopes(rows: &[Row], points: &[Point], calm: bool) -> Vec<Gate> {
    let gate = |size: &str, name, got| Gate {
        size: size.to_owned(),
        name,
        got,
        like_for_like: None,
        by_chance: None,
        limit: 1.2,
        at_least: false,
        verdict: Verdict::Undecided,
    };
    let lucarne = |row: &&Row| row.variant == Variant::Lucarne.name();
    let size = rows
        .iter()
        .filter(lucarne)
        .find(|row| row.size == "3840x2160");
    let size = size.and_then(|row| row.to_1080p);
    let size = size.map(|got| gate("3840x2160", "in hand / 1920x1080", got).judge(true, calm));
    let flat = flatness(points);
    let flat = flat.map(|got| gate("-", "a consumer of 64 / one of 4", got).judge(false, true));
    size.into_iter().chain(flat).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        Row {
            variant: Variant::Lucarne.name().to_owned(),
            size: "640x480".to_owned(),
            to_raw: Some(Ratios {
                p50: 1.0,
                p99: 1.0,
                with_drawing: 1.0,
                cpu_paced: 1.0,
                rate: 1.0,
                cpu_free: 1.0,
            }),
            over_floor: Some(10.0),
            ..Row::default()
        }
    }

    fn failing(change: impl FnOnce(&mut Row, &mut Ratios)) -> Vec<&'static str> {
        let mut row = row();
        let mut ratios = row.to_raw.expect("set above");
        change(&mut row, &mut ratios);
        row.to_raw = Some(ratios);
        let gates = of_rows(&[row], true);
        assert_eq!(gates.len(), GATES.len());
        let failing = gates.iter().filter(|gate| gate.verdict == Verdict::Fails);
        failing.map(|gate| gate.name).collect()
    }

    #[test]
    fn each_gate_has_a_figure_that_closes_it() {
        assert!(failing(|_, _| {}).is_empty());
        assert_eq!(failing(|_, to| to.p50 = 1.11), ["p50 / raw"]);
        assert_eq!(
            failing(|row, _| row.over_floor = Some(15.1)),
            ["in hand - floor, us"]
        );
        assert_eq!(failing(|_, to| to.p99 = 1.26), ["p99 / raw"]);
        assert_eq!(failing(|_, to| to.rate = 0.96), ["frames per second / raw"]);
        assert_eq!(
            failing(|_, to| to.cpu_paced = 1.11),
            ["cpu per frame / raw, paced"]
        );
        assert_eq!(
            failing(|_, to| to.cpu_free = 1.11),
            ["cpu per frame / raw, free"]
        );
        assert_eq!(
            failing(|row, _| row.descriptors = 1),
            ["descriptors opened and kept"]
        );
        assert_eq!(failing(|row, _| row.copies = 1), ["copies per frame"]);
        assert_eq!(
            failing(|row, _| row.allocations = 1.0),
            ["allocations per frame"]
        );
        let spoilt = ["frames torn, repeated or lost"];
        assert_eq!(failing(|row, _| row.torn = 1), spoilt);
        assert_eq!(failing(|row, _| row.repeated = 1), spoilt);
        assert_eq!(failing(|row, _| row.lost = 1), spoilt);
    }

    #[test]
    fn what_was_not_measured_is_not_judged() {
        let row = Row {
            to_raw: None,
            over_floor: None,
            ..row()
        };
        assert_eq!(of_rows(&[row], true).len(), 4);
        let other = Row {
            variant: Variant::Raw.name().to_owned(),
            ..Row::default()
        };
        assert!(of_rows(&[other], true).is_empty());
        assert!(of_counts(&[]).is_empty() && of_slopes(&[], &[], true).is_empty());
    }

    fn p50(got: f64, again: f64, calm: bool) -> Verdict {
        let to = |p50| Ratios {
            p50,
            ..row().to_raw.expect("it has some")
        };
        let mine = Row {
            to_raw: Some(to(got)),
            ..row()
        };
        let other = Row {
            variant: Variant::RawAgain.name().to_owned(),
            to_raw: Some(to(again)),
            ..row()
        };
        of_rows(&[mine, other], calm)[0].verdict
    }

    #[test]
    fn a_machine_that_cannot_tell_passes_nothing() {
        assert_eq!(p50(1.05, 1.01, true), Verdict::Holds);
        assert_eq!(p50(1.15, 1.01, true), Verdict::Fails);
        // As much beyond the limit as the same code is beyond itself, and more.
        assert_eq!(p50(1.15, 1.06, true), Verdict::Undecided);
        assert_eq!(p50(1.18, 1.06, true), Verdict::Fails);
        // The same code differs from itself by more than the gate allows.
        assert_eq!(p50(1.05, 1.2, true), Verdict::Undecided);
        assert_eq!(p50(1.05, 0.8, true), Verdict::Undecided);
        assert_eq!(p50(1.2, 1.2, true), Verdict::Undecided);
        assert_eq!(p50(20.0, 10.0, true), Verdict::Undecided);
        // Others were busy.
        assert_eq!(p50(1.05, 1.01, false), Verdict::Undecided);
        // No chance explains this.
        assert_eq!(p50(3.0, 1.2, true), Verdict::Fails);
        assert_eq!(p50(3.0, 1.01, false), Verdict::Fails);
    }

    fn count(variant: Variant, own: f64) -> Count {
        let side = Side {
            own,
            driver: 1000.0,
            system_calls: 1.0,
            ..Side::default()
        };
        Count {
            variant,
            size: "64x64".to_owned(),
            ready: Default::default(),
            producer: side.clone(),
            consumer: Some(side),
        }
    }

    #[test]
    fn instructions_are_judged_on_a_busy_machine_too() {
        let verdicts = |own| {
            let counts = [count(Variant::Raw, 400.0), count(Variant::Lucarne, own)];
            let gates = of_counts(&counts);
            gates.iter().map(|gate| gate.verdict).collect::<Vec<_>>()
        };
        use Verdict::{Fails, Holds};
        assert_eq!(verdicts(990.0), [Holds; 8]);
        // 610 beyond raw's.
        let beyond = [Holds, Fails, Holds, Holds];
        assert_eq!(verdicts(1010.0), [beyond, beyond].concat());
        // 2,110 are more than 1.5 × 1,400.
        let both = [Fails, Fails, Holds, Holds];
        assert_eq!(verdicts(1110.0), [both, both].concat());
    }
}
