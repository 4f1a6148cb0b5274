//! What grows with what: consumers, slots, and streams beside the one that is measured. All of it is the floor's, whose
//! buffers nobody touches: what grows there is Lucarne's.

use serde::Serialize;

use crate::Result;
use crate::count::{self, CountPlan};
use crate::messages::{Mode, Order, Shape, Variant};
use crate::pairs::{Pair, PairPlan, Slice};
use crate::stats::quantile;

/// What grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Axis {
    Consumers,
    Slots,
    Streams,
}

impl Axis {
    /// What is counted along it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Consumers => "consumers",
            Self::Slots => "slots",
            Self::Streams => "streams, one busy",
        }
    }

    /// Where it is measured.
    fn places(self, quick: bool) -> &'static [usize] {
        match (self, quick) {
            (Self::Consumers, false) => &[1, 4, 16, 64],
            (Self::Consumers, true) => &[1, 4, 64],
            (Self::Slots, false) => &[2, 3, 4, 8, 16],
            (Self::Streams, false) => &[1, 10, 100],
            (Self::Slots | Self::Streams, true) => &[],
        }
    }

    fn shape(self, at: usize) -> Shape {
        let usual = Shape::default();
        match self {
            Self::Consumers => Shape {
                consumers: at,
                ..usual
            },
            Self::Slots => Shape { slots: at, ..usual },
            Self::Streams => Shape {
                idle: at - 1,
                ..usual
            },
        }
    }
}

/// The producer at one place of an axis.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Point {
    pub(crate) axis: Axis,
    pub(crate) at: usize,
    /// Its instructions for each frame.
    pub(crate) instructions: Option<f64>,
    pub(crate) system_calls: Option<f64>,
    /// Its processor time for each frame in microseconds, running free.
    pub(crate) cpu: Option<f64>,
    /// Descriptors that it has open.
    pub(crate) descriptors: Option<u64>,
}

/// How the slopes are measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SlopePlan {
    pub(crate) quick: bool,
    pub(crate) count: Option<CountPlan>,
    pub(crate) cores: Option<(usize, usize)>,
    /// None: no times.
    pub(crate) rounds: u32,
}

/// All of them; `tell` hears what is going on.
pub(crate) fn points(plan: SlopePlan, mut tell: impl FnMut(&str)) -> Result<Vec<Point>> {
    let axes = [Axis::Consumers, Axis::Slots, Axis::Streams];
    let places = |axis: Axis| axis.places(plan.quick).iter().map(move |at| (axis, *at));
    let mut points = Vec::new();
    for (axis, at) in axes.into_iter().flat_map(places) {
        tell(&format!("{axis:?}: {at}"));
        points.push(point(plan, axis, at)?);
    }
    Ok(points)
}

fn point(plan: SlopePlan, axis: Axis, at: usize) -> Result<Point> {
    let shape = axis.shape(at);
    let count = plan
        .count
        .map(|plan| count::count(Variant::Floor, CountPlan { shape, ..plan }));
    let producer = count.transpose()?.map(|count| count.producer);
    let slices = slices(plan, shape)?;
    let cpu: Vec<f64> = slices.iter().map(|slice| slice.producer_cpu).collect();
    Ok(Point {
        axis,
        at,
        instructions: producer.as_ref().map(|side| side.own),
        system_calls: producer.as_ref().map(|side| side.system_calls),
        cpu: quantile(&cpu, 0.5),
        descriptors: slices.last().map(|slice| slice.open),
    })
}

fn slices(plan: SlopePlan, shape: Shape) -> Result<Vec<Slice>> {
    if plan.rounds == 0 {
        return Ok(Vec::new());
    }
    let mut pair = Pair::start(PairPlan {
        variant: Variant::Floor,
        extent: lucarne::Extent::new(64, 64),
        cores: plan.cores,
        fault: None,
        counted: false,
        shape,
    })?;
    let order = Order {
        mode: Mode::Free,
        warm_up: 0.05,
        seconds: 0.2,
        rate: 60.0,
    };
    (1..=plan.rounds)
        .map(|round| pair.run(order, round))
        .collect()
}

/// How much more a consumer costs the producer among many than among few: 1 is as much. The first consumer, which is there in
/// all of them, and what a frame costs whoever watches, are in none of the differences.
pub(crate) fn flatness(points: &[Point]) -> Option<f64> {
    let of = |at: usize| {
        let mut all = points.iter().filter(|one| one.axis == Axis::Consumers);
        all.find(|one| one.at == at)?.instructions
    };
    let (one, few, many) = (of(1)?, of(4)?, of(64)?);
    Some((many - one) / 63.0 / ((few - one) / 3.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_consumer_costs_is_compared_without_what_each_frame_costs() {
        let point = |at, instructions| Point {
            axis: Axis::Consumers,
            at,
            instructions: Some(instructions),
            system_calls: None,
            cpu: None,
            descriptors: None,
        };
        let flat = [point(1, 1100.0), point(4, 1400.0), point(64, 7400.0)];
        assert!((flatness(&flat).expect("all are there") - 1.0).abs() < 1e-9);
        let square = [point(1, 1001.0), point(4, 1016.0), point(64, 5096.0)];
        assert!(flatness(&square).expect("all are there") > 10.0);
        assert_eq!(flatness(&flat[..2]), None);
    }
}
