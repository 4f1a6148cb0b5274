//! The report: for people a table, for programs one JSON object.

use std::fmt::Write;

use serde::Serialize;

use crate::gates::Gate;
use crate::measure::{Plan, Run};
use crate::messages::Fault;
use crate::rows::{Row, rows};

/// Everything that is known after a run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) seed: u64,
    pub(crate) rounds: u32,
    pub(crate) seconds: f64,
    pub(crate) rate: f64,
    /// The cores of producer and consumer, where they are pinned.
    pub(crate) cores: Option<(usize, usize)>,
    /// What was broken on purpose.
    pub(crate) broken: Option<Fault>,
    pub(crate) rows: Vec<Row>,
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
    fn new(run: &Run) -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let cpus = read("/proc/cpuinfo");
        let model = cpus
            .lines()
            .find_map(|line| line.strip_prefix("model name"));
        let model = model.and_then(|line| line.split_once(':'));
        let [vulkan, opengl] = run.drivers.clone();
        Self {
            processor: model.map_or("", |(_, name)| name).trim().to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            vulkan,
            opengl,
            emulated: run.emulated,
            build: if cfg!(debug_assertions) {
                "debug"
            } else {
                "release"
            },
        }
    }
}

impl Report {
    pub(crate) fn new(plan: &Plan, run: &Run) -> Self {
        let rows = rows(&run.series);
        Self {
            machine: Machine::new(run),
            seed: plan.seed,
            rounds: plan.rounds,
            seconds: plan.seconds,
            rate: plan.rate,
            cores: plan.cores,
            broken: plan.fault,
            gates: crate::gates::gates(&rows),
            rows,
        }
    }

    /// Whether every gate holds.
    pub(crate) fn good(&self) -> bool {
        self.gates.iter().all(|gate| gate.holds)
    }

    pub(crate) fn table(&self) -> String {
        let mut text = self.head();
        let mut sizes: Vec<&str> = self.rows.iter().map(|row| row.size.as_str()).collect();
        sizes.dedup();
        for size in sizes {
            // Writing to a string cannot fail, here and below.
            let _ = write!(text, "\n{size:<20}");
            text.push_str(
                " in hand  -floor   p50 us     /raw   p99 us     /raw   cpu us     /raw |       fps     /raw   cpu us     /raw | copies allocs   fds wrong\n",
            );
            for row in self.rows.iter().filter(|row| row.size == size) {
                text.push_str(&line(row));
            }
        }
        text.push_str(&self.verdicts());
        text
    }

    fn head(&self) -> String {
        let Machine {
            processor,
            cores,
            kernel,
            vulkan,
            opengl,
            emulated,
            build,
        } = &self.machine;
        let mut text =
            format!("Frames from Vulkan to OpenGL, between two processes ({build} build)\n");
        let pinned = match self.cores {
            Some((producer, consumer)) => {
                format!("producer on core {producer}, consumer on core {consumer}")
            }
            None => "not pinned".to_owned(),
        };
        let memory = if *emulated {
            "dma-buf emulated: this machine has no /dev/udmabuf"
        } else {
            "dma-buf as the kernel has it"
        };
        let fault = match self.broken {
            Some(fault) => format!("\n  BROKEN    lucarne, on purpose: {fault:?}"),
            None => String::new(),
        };
        let _ = writeln!(
            text,
            "  machine   {processor}, {cores} cores, Linux {kernel}; {pinned}\n  Vulkan    {vulkan}\n  OpenGL    {opengl}\n  memory    {memory}\n  run       {} rounds in random order (seed {}), {} s each; paced at {} frames per second, then free{fault}",
            self.rounds, self.seed, self.seconds, self.rate
        );
        text.push_str("  columns   paced: published to in hand, published to seen, processor time per frame of both sides | free: frames per second, processor time\n");
        text
    }

    fn verdicts(&self) -> String {
        let mut text = String::new();
        if self.gates.is_empty() {
            return text;
        }
        let _ = writeln!(
            text,
            "\n{:<48}{:>8}{:>9}{:>15}{:>11}",
            "gates", "limit", "lucarne", "like for like", "raw again"
        );
        for gate in &self.gates {
            let sign = if gate.at_least { ">=" } else { "<=" };
            let verdict = if gate.holds { "holds" } else { "FAILS" };
            let shown = |value: Option<f64>| {
                value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"))
            };
            let (like, chance) = (shown(gate.like_for_like), shown(gate.by_chance));
            let _ = writeln!(
                text,
                "{verdict}  {:<10}{:<30}{sign} {:>5.2}{:>9.2}{like:>15}{chance:>11}",
                gate.size, gate.name, gate.limit, gate.got
            );
        }
        text
    }
}

fn line(row: &Row) -> String {
    let to = row.to_raw.unwrap_or_default();
    let floor = row.over_floor.unwrap_or_default();
    let (paced, free) = (&row.paced, &row.free);
    let wrong = row.torn + row.repeated + row.lost;
    format!(
        "{:<20}{:>8.1} {floor:>7.1} {:>8.1} {:>8.2} {:>8.1} {:>8.2} {:>8.1} {:>8.2} |{:>10.0} {:>8.3} {:>8.1} {:>8.2} |{:>7} {:>6.2} {:>5} {wrong:>5}\n",
        row.variant,
        paced.in_hand,
        paced.p50,
        to.p50,
        paced.p99,
        to.p99,
        paced.cpu,
        to.cpu_paced,
        free.rate,
        to.rate,
        free.cpu,
        to.cpu_free,
        row.copies,
        row.allocations,
        row.descriptors
    )
}
