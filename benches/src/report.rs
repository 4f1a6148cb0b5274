//! The report: what programs read as one JSON object, and people as tables and as a page.

use serde::Serialize;

use crate::calm::Calm;
use crate::count::Count;
use crate::gates::{self, Gate, Verdict};
use crate::messages::{Fault, Once};
use crate::options::Wanted;
use crate::rows::{Row, rows};
use crate::session::Found;
use crate::slopes::Point;

/// Everything that is known after a run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) calm: Calm,
    /// What was left out, and why.
    pub(crate) missing: Vec<String>,
    pub(crate) seed: u64,
    pub(crate) rounds: u32,
    pub(crate) seconds: f64,
    pub(crate) rate: f64,
    /// The cores of producer and consumer, where they are pinned.
    pub(crate) cores: Option<(usize, usize)>,
    /// What was broken on purpose.
    pub(crate) broken: Option<Fault>,
    pub(crate) rows: Vec<Row>,
    /// The way of a frame at sizes at which nothing else was measured.
    pub(crate) large: Vec<Row>,
    pub(crate) counts: Vec<Count>,
    pub(crate) points: Vec<Point>,
    pub(crate) once: Vec<Once>,
    pub(crate) gates: Vec<Gate>,
}

/// What the figures depend on.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) vulkan: String,
    pub(crate) opengl: String,
    /// Whether the dma-bufs are emulated; the figures say nothing of a kernel's then.
    pub(crate) emulated: bool,
    /// How the bench was built; a debug build's figures mean nothing.
    pub(crate) build: &'static str,
}

impl Machine {
    fn new(found: &Found) -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let cpus = read("/proc/cpuinfo");
        let model = cpus
            .lines()
            .find_map(|line| line.strip_prefix("model name"));
        let model = model.and_then(|line| line.split_once(':'));
        let counted = found.counts.iter().map(|count| &count.ready);
        let ready: Vec<_> = found.run.ready.iter().chain(counted).collect();
        let driver = |side: usize| {
            let all = ready.iter().map(|both| both[side].device.clone());
            all.max_by_key(String::len).unwrap_or_default()
        };
        Self {
            processor: model.map_or("", |(_, name)| name).trim().to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            vulkan: driver(0),
            opengl: driver(1),
            emulated: ready.iter().any(|both| both.iter().any(|one| one.emulated)),
            build: if cfg!(debug_assertions) {
                "debug"
            } else {
                "release"
            },
        }
    }
}

impl Report {
    pub(crate) fn new(wanted: &Wanted, found: Found, calm: Calm) -> Self {
        let plan = &wanted.times;
        let Found { run, .. } = &found;
        let all: Vec<_> = run.series.iter().chain(&run.large).cloned().collect();
        let mut rows = rows(&all);
        let large = rows.split_off(run.series.len());
        let mut gates = gates::of_rows(&rows, calm.is_calm());
        gates.extend(gates::of_counts(&found.counts));
        let both: Vec<Row> = rows.iter().chain(&large).cloned().collect();
        gates.extend(gates::of_slopes(&both, &found.points, calm.is_calm()));
        Self {
            machine: Machine::new(&found),
            calm,
            seed: plan.seed,
            rounds: run.rounds,
            seconds: plan.seconds,
            rate: plan.rate,
            cores: plan.cores,
            broken: plan.fault,
            rows,
            large,
            gates,
            missing: found.missing,
            counts: found.counts,
            points: found.points,
            once: found.once,
        }
    }

    /// What the gates say together: one that fails counts for more than one that cannot tell.
    pub(crate) fn worst(&self) -> Option<Verdict> {
        let has = |verdict| self.gates.iter().any(|gate| gate.verdict == verdict);
        let mut order = [Verdict::Fails, Verdict::Undecided, Verdict::Holds].into_iter();
        order.find(|verdict| has(*verdict))
    }
}
