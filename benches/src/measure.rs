//! The whole run: every variant, size and mode in each round, in an order of its own.

use lucarne::Extent;

use crate::Result;
use crate::messages::{Fault, Mode, Order, Variant};
use crate::pairs::{Pair, PairPlan, Slice};
use crate::stats::Random;

/// What is measured, and for how long.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) variants: Vec<Variant>,
    pub(crate) extents: Vec<Extent>,
    pub(crate) rounds: u32,
    pub(crate) seconds: f64,
    pub(crate) warm_up: f64,
    pub(crate) rate: f64,
    pub(crate) seed: u64,
    pub(crate) cores: Option<(usize, usize)>,
    pub(crate) fault: Option<Fault>,
}

/// All slices of one variant at one size, in the order of the rounds.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) variant: Variant,
    pub(crate) extent: Extent,
    /// Copies of each frame, on both sides.
    pub(crate) copies: u32,
    pub(crate) paced: Vec<Slice>,
    pub(crate) free: Vec<Slice>,
}

/// What a run showed.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) series: Vec<Series>,
    /// The drivers, as they call themselves.
    pub(crate) drivers: [String; 2],
    pub(crate) emulated: bool,
}

/// Measures everything; `tell` hears what is going on.
pub(crate) fn run(plan: &Plan, mut tell: impl FnMut(&str)) -> Result<Run> {
    let mut pairs = Vec::new();
    let mut series = Vec::new();
    for extent in &plan.extents {
        for variant in &plan.variants {
            let pair = Pair::start(PairPlan {
                variant: *variant,
                extent: *extent,
                cores: plan.cores,
                fault: plan.fault,
                counted: false,
            })?;
            series.push(Series {
                variant: *variant,
                extent: *extent,
                copies: pair.ready.iter().map(|ready| ready.copies).sum(),
                paced: Vec::new(),
                free: Vec::new(),
            });
            pairs.push(pair);
        }
    }
    let mut random = Random::new(plan.seed);
    for round in 1..=plan.rounds {
        let each = |mode| (0..pairs.len()).map(move |pair| (pair, mode));
        let mut slices: Vec<_> = each(Mode::Paced).chain(each(Mode::Free)).collect();
        random.shuffle(&mut slices);
        for (index, mode) in slices {
            let PairPlan {
                variant, extent, ..
            } = pairs[index].plan;
            tell(&format!(
                "round {round} of {}: {variant} at {extent}",
                plan.rounds
            ));
            let slice = pairs[index].run(Order {
                mode,
                warm_up: plan.warm_up,
                seconds: plan.seconds,
                rate: plan.rate,
            })?;
            match mode {
                Mode::Paced => series[index].paced.push(slice),
                Mode::Free | Mode::Counted => series[index].free.push(slice),
            }
        }
    }
    let of = |side: usize| {
        let named = pairs.iter().map(|pair| pair.ready[side].device.clone());
        named.max_by_key(String::len).unwrap_or_default()
    };
    Ok(Run {
        drivers: [of(0), of(1)],
        emulated: pairs
            .iter()
            .any(|pair| pair.ready.iter().any(|one| one.emulated)),
        series,
    })
}
