//! What was asked for on the command line, and what that means.

use std::path::PathBuf;

use clap::ValueEnum;
use lucarne::Extent;

use crate::count::CountPlan;
use crate::measure::Plan;
use crate::messages::{Fault, Shape, Variant};
use crate::slopes::SlopePlan;
use crate::{Result, extent};

/// A part of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// How long frames take, and what else depends on the time
    Times,
    /// Instructions, by callgrind: a busy machine does not change them
    Counts,
    /// What grows with sizes, consumers, slots and streams, and what happens once
    Slopes,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// One size, few and short rounds, few slopes: a first impression
    #[arg(long)]
    quick: bool,
    /// Print one JSON object instead of tables
    #[arg(long)]
    pub(crate) json: bool,
    /// Write report.html and report.json into this folder
    #[arg(long, value_name = "FOLDER", overrides_with = "report")]
    pub(crate) report: Option<PathBuf>,
    /// Only this part of the run; may be given more than once
    #[arg(long, value_enum, value_name = "PART")]
    part: Vec<Part>,
    /// Width and height of the frames in pixels; may be given more than once [default: 640x480 and 1920x1080]
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = extent)]
    size: Vec<Extent>,
    /// How long each variant is measured in each round and mode [default: 0.4, quick: 0.3]
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
    /// How long each runs before that, each time [default: a quarter of the seconds]
    #[arg(long, value_name = "SECONDS")]
    warm_up: Option<f64>,
    /// How many rounds [default: 20, quick: 8]
    #[arg(long, value_name = "COUNT")]
    rounds: Option<u32>,
    /// Frames per second of the paced mode
    #[arg(long, value_name = "RATE", default_value_t = 60.0)]
    rate: f64,
    /// Only these variants; may be given more than once
    #[arg(long, value_enum, value_name = "VARIANT")]
    only: Vec<Variant>,
    /// Seed of the rounds' order [default: the time]
    #[arg(long)]
    seed: Option<u64>,
    /// Leave it to the kernel where both processes run
    #[arg(long)]
    unpinned: bool,
    /// Put a fault into the Lucarne variant: a gate must fail
    #[arg(long = "break", value_enum, value_name = "FAULT")]
    fault: Option<Fault>,
    /// End with status 1 where a gate fails, and with 3 where the machine was too busy to tell, after twice as many rounds
    #[arg(long)]
    pub(crate) gates: bool,
}

/// Everything that is wanted.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Without variants where no times are.
    pub(crate) times: Plan,
    /// What is counted, and how.
    pub(crate) counts: Option<(Vec<Variant>, CountPlan)>,
    pub(crate) slopes: Option<SlopePlan>,
    /// How often everything is done that happens once.
    pub(crate) once: u32,
    pub(crate) gates: bool,
}

impl Options {
    pub(crate) fn wanted(&self) -> Result<Wanted> {
        let has = |part| self.part.is_empty() || self.part.contains(&part);
        let times = self.times(has(Part::Times), has(Part::Slopes))?;
        let count = CountPlan {
            extent: Extent::new(64, 64),
            cores: times.cores,
            fault: self.fault,
            frames: 30,
            shape: Shape::default(),
        };
        let slopes = has(Part::Slopes).then_some(SlopePlan {
            quick: self.quick,
            count: Some(CountPlan {
                fault: None,
                ..count
            }),
            cores: times.cores,
            rounds: if self.quick { 0 } else { 5 },
        });
        Ok(Wanted {
            times,
            counts: has(Part::Counts).then(|| (self.counted(), count)),
            once: if slopes.is_some() && !self.quick {
                5
            } else {
                0
            },
            slopes,
            gates: self.gates,
        })
    }

    /// What is counted: what gates compare, and without `--quick` what else is of interest.
    fn counted(&self) -> Vec<Variant> {
        let mut all = vec![Variant::Raw, Variant::RawSyncFile, Variant::Lucarne];
        if !self.quick {
            all.extend([
                Variant::Floor,
                Variant::RawInProcess,
                Variant::LucarneInProcess,
            ]);
        }
        all.retain(|one| self.only.is_empty() || self.only.contains(one));
        all
    }

    fn variants(&self) -> Vec<Variant> {
        if !self.only.is_empty() {
            return self.only.clone();
        }
        let mut all = Variant::value_variants().to_vec();
        all.retain(|one| !one.within());
        all.extend([Variant::RawInProcess, Variant::LucarneInProcess]);
        all
    }

    fn times(&self, times: bool, slopes: bool) -> Result<Plan> {
        let (rounds, seconds) = if self.quick { (8, 0.3) } else { (20, 0.4) };
        let seconds = self.seconds.unwrap_or(seconds);
        let rounds = self.rounds.unwrap_or(rounds);
        let large = slopes && !self.quick && self.size.is_empty();
        let plan = Plan {
            variants: if times { self.variants() } else { Vec::new() },
            extents: match (&self.size[..], self.quick) {
                ([], false) => vec![Extent::new(640, 480), Extent::new(1920, 1080)],
                ([], true) => vec![Extent::new(640, 480)],
                (sizes, _) => sizes.to_vec(),
            },
            large: if large {
                vec![Extent::new(3840, 2160), Extent::new(7680, 4320)]
            } else {
                Vec::new()
            },
            rounds,
            most_rounds: if self.gates { 2 * rounds } else { rounds },
            seconds,
            warm_up: self.warm_up.unwrap_or(seconds / 4.0),
            rate: self.rate,
            seed: self.seed.map_or_else(seed, Ok)?,
            cores: if self.unpinned { None } else { cores()? },
            fault: self.fault,
        };
        let sane = |value: f64, most: f64| value > 0.0 && value <= most;
        if !sane(plan.seconds, 600.0) || !sane(plan.rate, 10_000.0) || plan.warm_up < 0.0 {
            return Err("seconds are more than 0 and at most 600, the rate at most 10000".into());
        }
        Ok(plan)
    }
}

fn seed() -> Result<u64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(now.as_secs())
}

/// The first two cores that this process may use; none where there is only one.
fn cores() -> Result<Option<(usize, usize)>> {
    let set = rustix::thread::sched_getaffinity(None)?;
    let mut cores = (0..rustix::thread::CpuSet::MAX_CPU).filter(|core| set.is_set(*core));
    Ok(cores.next().zip(cores.next()))
}
