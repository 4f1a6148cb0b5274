//! The whole run: every variant, size and mode in each round, in an order of its own.

use lucarne::Extent;

use crate::Result;
use crate::messages::{Fault, Mode, Order, Ready, Shape, Variant};
use crate::pairs::{Pair, PairPlan, Slice};
use crate::stats::Random;

/// What is measured, and for how long.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) variants: Vec<Variant>,
    pub(crate) extents: Vec<Extent>,
    /// Sizes at which only the way of a frame is measured, and only of `raw`, `lucarne` and
    /// `lucarne-opaque-fd`.
    pub(crate) large: Vec<Extent>,
    pub(crate) rounds: u32,
    /// Until this many, further rounds follow as long as gates cannot tell.
    pub(crate) most_rounds: u32,
    pub(crate) seconds: f64,
    pub(crate) warm_up: f64,
    pub(crate) rate: f64,
    pub(crate) seed: u64,
    pub(crate) cores: Option<(usize, usize)>,
    pub(crate) fault: Option<Fault>,
}

/// What a slice is for.
#[derive(Debug, Clone, Copy)]
enum Part {
    /// How long a frame's way takes, as often as a display wants frames.
    Paced,
    /// The slowest frames: paced too, and so often that a hundredth of them is enough to say something of.
    Often,
    /// How many a second there can be.
    Free,
}

impl Part {
    /// Frames per second where the slowest are looked for: both sides still sleep between two.
    const OFTEN: f64 = 1000.0;

    fn order(self, plan: &Plan) -> Order {
        let (mode, rate) = match self {
            Self::Paced => (Mode::Paced, plan.rate),
            Self::Often => (Mode::Paced, Self::OFTEN),
            Self::Free => (Mode::Free, plan.rate),
        };
        Order {
            mode,
            warm_up: plan.warm_up,
            seconds: plan.seconds,
            rate,
        }
    }
}

/// All slices of one variant at one size, in the order of the rounds.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) variant: Variant,
    pub(crate) extent: Extent,
    /// Copies of each frame, on both sides.
    pub(crate) copies: u32,
    pub(crate) paced: Vec<Slice>,
    /// Empty at large sizes, too.
    pub(crate) often: Vec<Slice>,
    /// Empty at large sizes.
    pub(crate) free: Vec<Slice>,
}

/// What a run showed.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) series: Vec<Series>,
    /// Those at the plan's large sizes.
    pub(crate) large: Vec<Series>,
    pub(crate) rounds: u32,
    /// What each pair said of itself.
    pub(crate) ready: Vec<[Ready; 2]>,
    /// Large sizes that are too large for something here.
    pub(crate) missing: Vec<String>,
}

/// A pair, and what it showed so far.
struct Measured {
    pair: Pair,
    series: Series,
    large: bool,
}

/// Measures everything; `tell` hears what is going on, `open` says whether more rounds would help.
pub(crate) fn run(
    plan: &Plan,
    mut tell: impl FnMut(&str),
    open: impl Fn(&[Series]) -> bool,
) -> Result<Run> {
    let (mut pairs, missing) = pairs(plan)?;
    let mut random = Random::new(plan.seed);
    let mut rounds = 0;
    while rounds < plan.rounds || rounds < plan.most_rounds && open(&series(&pairs, false)) {
        rounds += 1;
        let mut slices: Vec<_> = slices(&pairs, rounds);
        random.shuffle(&mut slices);
        for (index, part) in slices {
            let Measured { pair, series, .. } = &mut pairs[index];
            let (variant, extent) = (series.variant, series.extent);
            tell(&format!("round {rounds}: {variant} at {extent}"));
            let slice = pair.run(part.order(plan), rounds)?;
            let slices = match part {
                Part::Paced => &mut series.paced,
                Part::Often => &mut series.often,
                Part::Free => &mut series.free,
            };
            slices.push(slice);
        }
    }
    Ok(Run {
        series: series(&pairs, false),
        large: series(&pairs, true),
        rounds,
        missing,
        ready: pairs.iter().map(|one| one.pair.ready.clone()).collect(),
    })
}

fn series(pairs: &[Measured], large: bool) -> Vec<Series> {
    let those = pairs.iter().filter(|one| one.large == large);
    those.map(|one| one.series.clone()).collect()
}

/// All pairs, and which there are not, and why.
fn pairs(plan: &Plan) -> Result<(Vec<Measured>, Vec<String>)> {
    let compared = |variant: &&Variant| {
        use Variant::{Lucarne, LucarneOpaqueFd, Raw};
        matches!(variant, Raw | Lucarne | LucarneOpaqueFd)
    };
    let mut wanted = Vec::new();
    for extent in &plan.extents {
        wanted.extend(
            plan.variants
                .iter()
                .map(|variant| (*variant, *extent, false)),
        );
    }
    for extent in &plan.large {
        let variants = plan.variants.iter().filter(compared);
        wanted.extend(variants.map(|variant| (*variant, *extent, true)));
    }
    let (mut pairs, mut missing) = (Vec::new(), Vec::new());
    for (variant, extent, large) in wanted {
        let pair = Pair::start(PairPlan {
            variant,
            extent,
            cores: plan.cores,
            fault: plan.fault,
            counted: false,
            shape: Shape::default(),
        });
        let mut pair = match pair {
            // A dma-buf of 8K is more than udmabuf allows where nobody has raised its limit.
            Err(error) if large => {
                missing.push(error.to_string());
                continue;
            }
            pair => pair?,
        };
        settle(&mut pair)?;
        let series = Series {
            variant,
            extent,
            copies: pair.ready.iter().map(|ready| ready.copies).sum(),
            paced: Vec::new(),
            often: Vec::new(),
            free: Vec::new(),
        };
        pairs.push(Measured {
            pair,
            series,
            large,
        });
    }
    Ok((pairs, missing))
}

/// Draws a few frames: the first into each image clears all of it.
fn settle(pair: &mut Pair) -> Result<()> {
    let order = Order {
        mode: Mode::Free,
        warm_up: 0.0,
        seconds: 0.05,
        rate: 60.0,
    };
    pair.run(order, 0).map(drop)
}

/// What this round measures. The first round measures everything.
fn slices(pairs: &[Measured], round: u32) -> Vec<(usize, Part)> {
    let due = |one: &Measured| (round - 1).is_multiple_of(one.series.variant.every());
    let mut slices = Vec::new();
    for (index, one) in pairs.iter().enumerate().filter(|(_, one)| due(one)) {
        if !one.series.variant.within() {
            slices.push((index, Part::Paced));
            if !one.large {
                slices.push((index, Part::Often));
            }
        }
        if !one.large {
            slices.push((index, Part::Free));
        }
    }
    slices
}
