//! The one fixed choice, or every reason why there is none.

use std::fmt;

use super::offer::{MemoryPath, Usage};
use super::rank::Rung;
use crate::device_id::Comparison;
use crate::format::Format;
use crate::layout::{Extent, Tiling};
use crate::modifier::Modifier;

/// How a fence crosses from one side to the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FencePath {
    /// As a sync_file: the receiving device waits; a software device has nobody but the CPU to do so.
    SyncFile,
    /// Not from device to device: the CPU of the side that lacks the means waits, the sender before it passes the frame
    /// or the receiver before it begins. The reason says which and why.
    CpuWait(String),
}

impl fmt::Display for FencePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SyncFile => f.write_str("sync_file"),
            Self::CpuWait(reason) => write!(f, "CPU wait ({reason})"),
        }
    }
}

/// A rung that was not taken, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRung {
    /// The rung.
    pub rung: Rung,
    /// Why not.
    pub reason: String,
}

impl fmt::Display for RefusedRung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rung, self.reason)
    }
}

/// What both sides will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// The rung of the ladder.
    pub rung: Rung,
    /// The pixel format.
    pub format: Format,
    /// The size of the frames.
    pub extent: Extent,
    /// What the producer does with them.
    pub producer: Usage,
    /// What the consumer does with them.
    pub consumer: Usage,
    /// Every modifier that both sides can use, in ascending order of code; the exporting driver chooses among
    /// them. Empty on [`Rung::OpaqueFd`], only `LINEAR` on [`Rung::LinearDmaBuf`] and [`Rung::HostMemory`].
    pub modifiers: Vec<Modifier>,
    /// Whether both are one device; where not, the producer keeps the memory where others can reach it.
    pub devices: Comparison,
    /// How acquire fences reach the consumer.
    pub acquire: FencePath,
    /// How release fences reach the producer.
    pub release: FencePath,
    /// Every better rung, with the reason it was refused.
    pub refused: Vec<RefusedRung>,
}

impl Agreement {
    /// The memory path.
    pub fn path(&self) -> MemoryPath {
        self.rung.path()
    }
}

/// Whether both sides can use a combination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They can.
    Accepted,
    /// They cannot; the reason names the side.
    Refused(String),
}

/// One combination that was considered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The rung it belongs to.
    pub rung: Rung,
    /// The format.
    pub format: Format,
    /// The tiling.
    pub tiling: Tiling,
    /// The outcome.
    pub verdict: Verdict,
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}, {}: ", self.rung, self.format, self.tiling)?;
        match &self.verdict {
            Verdict::Accepted => f.write_str("accepted"),
            Verdict::Refused(reason) => f.write_str(reason),
        }
    }
}

/// There is no way to share that the request allows. Names both sides, each rung and each candidate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{producer} and {consumer} cannot share {extent} frames: {}",
    list(rungs)
)]
pub struct Refusal {
    /// The producer's name.
    pub producer: String,
    /// The consumer's name.
    pub consumer: String,
    /// The size that was asked for.
    pub extent: Extent,
    /// Every rung with its reason.
    pub rungs: Vec<RefusedRung>,
    /// Every combination that was considered, with its reason.
    pub candidates: Vec<Candidate>,
}

fn list(rungs: &[RefusedRung]) -> String {
    let lines: Vec<String> = rungs.iter().map(ToString::to_string).collect();
    lines.join("; ")
}
