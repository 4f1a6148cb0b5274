//! What must hold of the Lucarne variant, as ratios within one run.

use serde::Serialize;

use crate::messages::Variant;
use crate::rows::{Ratios, Row};

/// Later than over the floor a frame may be in hand, at the median, in microseconds. (Seeing its pixels is no part of the
/// hand-off, and the floor has none.)
const OVER_FLOOR: f64 = 15.0;
/// Allocations per frame that count as none: a vector that grows once in a slice.
const NO_ALLOCATION: f64 = 0.01;

/// One thing that must hold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Gate {
    pub(crate) size: String,
    pub(crate) name: &'static str,
    /// What was measured.
    pub(crate) got: f64,
    /// The same ratio to `raw-sync-file`, which makes the same calls to Vulkan: what of it is Lucarne's own.
    pub(crate) like_for_like: Option<f64>,
    /// The same of `raw-again`, which differs from `raw` by chance alone.
    pub(crate) by_chance: Option<f64>,
    pub(crate) limit: f64,
    /// Whether more is better.
    pub(crate) at_least: bool,
    pub(crate) holds: bool,
}

/// What a gate looks at; `None` where what it compares with was not measured.
#[derive(Clone, Copy)]
enum Look {
    /// A ratio to the hand-written loop.
    Ratio(fn(&Ratios) -> f64),
    /// Something that needs no other row.
    Figure(fn(&Row) -> Option<f64>),
}

impl Look {
    fn at(self, row: &Row, to: Option<&Ratios>) -> Option<f64> {
        match self {
            Self::Ratio(of) => to.map(of),
            Self::Figure(of) => of(row),
        }
    }
}

/// Name, what it looks at, limit, whether more is better.
const GATES: [(&str, Look, f64, bool); 10] = {
    use Look::{Figure, Ratio};
    [
        ("p50 / raw", Ratio(|to| to.p50), 1.10, false),
        (
            "in hand - floor, us",
            Figure(|row| row.over_floor),
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
            Figure(|row| Some(row.descriptors as f64)),
            0.0,
            false,
        ),
        (
            "copies per frame",
            Figure(|row| Some(row.copies.into())),
            0.0,
            false,
        ),
        (
            "allocations per frame",
            Figure(|row| Some(row.allocations)),
            NO_ALLOCATION,
            false,
        ),
        (
            "frames torn, repeated or lost",
            Figure(|row| Some(wrong(row))),
            0.0,
            false,
        ),
    ]
};

fn wrong(row: &Row) -> f64 {
    (row.torn + row.repeated + row.lost) as f64
}

/// All gates that these rows can be asked about, size by size.
pub(crate) fn gates(rows: &[Row]) -> Vec<Gate> {
    let is = |row: &&Row, variant: Variant| row.variant == variant.name();
    let mut gates = Vec::new();
    for row in rows.iter().filter(|row| is(row, Variant::Lucarne)) {
        let mut others = rows.iter().filter(|other| other.size == row.size);
        let again = others.find(|other| is(other, Variant::RawAgain));
        for (name, look, limit, at_least) in GATES {
            let Some(got) = look.at(row, row.to_raw.as_ref()) else {
                continue;
            };
            gates.push(Gate {
                size: row.size.clone(),
                name,
                got,
                like_for_like: match look {
                    Look::Ratio(of) => row.to_raw_sync_file.as_ref().map(of),
                    Look::Figure(_) => None,
                },
                by_chance: again.and_then(|row| look.at(row, row.to_raw.as_ref())),
                limit,
                at_least,
                holds: if at_least { got >= limit } else { got <= limit },
            });
        }
    }
    gates
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
        let gates = gates(&[row]);
        assert_eq!(gates.len(), GATES.len());
        let failing = gates.iter().filter(|gate| !gate.holds);
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
        assert_eq!(gates(&[row]).len(), 4);
        let other = Row {
            variant: Variant::Raw.name().to_owned(),
            ..Row::default()
        };
        assert!(gates(&[other]).is_empty());
    }
}
