//! What was found, for programs; [`crate::table`] is for people.

use lucarne::MemoryPath;
use serde::{Deserialize, Serialize};

use crate::ends::{Api, Consumer, Pixels, Producer};
use crate::need::Need;

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Outcome {
    /// Every pixel was right.
    Passed,
    /// Something was wrong.
    Failed(String),
    /// A driver refused, in words, memory in a layout that neither end chose. No pixels were shared, and none were wrong.
    Refused(String),
    /// The pair offers nothing on this path; the drivers' reason.
    NotOffered(String),
}

/// One case, or one path of one pair that offers no case.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// Who wrote.
    pub from: Api,
    /// The writer's device.
    pub from_device: String,
    /// Who read.
    pub to: Api,
    /// The reader's device.
    pub to_device: String,
    /// The memory path.
    pub path: String,
    /// The format's name.
    pub format: Option<String>,
    /// The modifier, where the path has one.
    pub modifier: Option<String>,
    /// The size in pixels.
    pub extent: Option<String>,
    /// Where the rows lie, where neither end chose that.
    pub placement: Option<String>,
    /// Whether the dma-buf was emulated.
    pub emulated: bool,
    /// How often writer and reader copied each frame to share it.
    pub copies: Option<[u32; 2]>,
    /// How it ended.
    pub outcome: Outcome,
    /// What the sides lack, where nothing is offered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Need>,
}

impl Row {
    pub(crate) fn new(
        producer: &dyn Producer,
        consumer: &dyn Consumer,
        path: MemoryPath,
        outcome: Outcome,
    ) -> Self {
        Self {
            from: producer.api(),
            from_device: producer.name(),
            to: consumer.api(),
            to_device: consumer.name(),
            path: path.name().to_owned(),
            format: None,
            modifier: None,
            extent: None,
            placement: None,
            emulated: false,
            copies: None,
            outcome,
            needs: Vec::new(),
        }
    }
}

/// What was read of a case's last frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Which frame it must have been, from 0 ([`crate::pattern`]).
    pub frame: u32,
    /// What it was.
    pub pixels: Pixels,
}

/// A case that was run.
#[derive(Clone, Debug)]
pub struct Ran {
    /// What came of it.
    pub row: Row,
    /// What was read last; nothing where nothing was.
    pub seen: Option<Seen>,
}

/// Everything that was found on a machine.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// What the machine is called in tables.
    pub machine: String,
    /// The devices and drivers.
    pub devices: Vec<String>,
    /// The kernel.
    pub kernel: String,
    /// What could not be opened, and why.
    pub notes: Vec<String>,
    /// Every case.
    pub rows: Vec<Row>,
}

/// This machine's kernel, for [`Report::kernel`]: what a distribution or a person adds to its version says nothing to others.
pub fn kernel() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let numbers = release
        .split(|c: char| !(c.is_ascii_digit() || c == '.'))
        .next();
    format!("Linux {}", numbers.unwrap_or_default())
}

impl Report {
    /// Cases whose pixels were all right.
    pub fn passed(&self) -> usize {
        let passed = |row: &&Row| row.outcome == Outcome::Passed;
        self.rows.iter().filter(passed).count()
    }

    /// Cases in which something was wrong.
    pub fn failures(&self) -> Vec<&Row> {
        let failed = |row: &&Row| matches!(row.outcome, Outcome::Failed(_));
        self.rows.iter().filter(failed).collect()
    }

    /// Layouts that a driver refused in words.
    pub fn refusals(&self) -> usize {
        let refused = |row: &&Row| matches!(row.outcome, Outcome::Refused(_));
        self.rows.iter().filter(refused).count()
    }
}
