//! The one fixed choice, or every reason why there is none.

use std::fmt;

use super::entry::{MemoryPath, Usage};
use super::names::list_names;
use super::reason::{Candidate, Reason, Side};
use super::rung::Rung;
use crate::device_id::Comparison;
use crate::error::Requirement;
use crate::format::{ColorKind, Format};
use crate::layout::Extent;
use crate::modifier::Modifier;

/// How a fence crosses from one side to the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FencePath {
    /// As a sync_file: the receiving device waits. (A software device is the CPU, so there the CPU waits.)
    SyncFile,
    /// The CPU waits, as the fence cannot pass from device to device. The side that lacks the means waits: the sender
    /// before it passes the frame on, or the receiver before it begins. The reason says which side and why.
    CpuWait(Reason),
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
    pub reason: Reason,
}

impl fmt::Display for RefusedRung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rung, self.reason)
    }
}

/// What both sides will do.
///
/// ```
/// use lucarne::{Agreement, Requirement};
///
/// /// The Vulkan extensions to enable for a better rung than this one.
/// fn to_enable(agreement: &Agreement) -> Vec<&'static str> {
///     let wanted = |one: &Requirement| match one {
///         Requirement::Extension { api: "Vulkan device", name, available: true } => Some(*name),
///         _ => None,
///     };
///     let missing = agreement.requirements();
///     missing.into_iter().filter_map(|(_, one)| wanted(one)).collect()
/// }
/// # use lucarne::{Extent, Request, Usage, cpu, negotiate};
/// # let offer = cpu::Adapter::new(cpu::Allocator::HostMemory).open()?.offer(Usage::SAMPLE)?;
/// # let agreement = negotiate(&offer, &offer, &Request::new(Extent::new(640, 480)))?;
/// # assert!(to_enable(&agreement).is_empty(), "a CPU has none");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    /// Whether both are one device. If not, the producer allocates memory that other devices can reach.
    pub devices: Comparison,
    /// How acquire fences reach the consumer.
    pub acquire: FencePath,
    /// How release fences reach the producer.
    pub release: FencePath,
    /// Every better rung, with the reason it was refused.
    pub refused: Vec<RefusedRung>,
    /// Every combination on this rung that was refused: in formats that the request prefers to this one, and other layouts of
    /// this one. Formats behind it in the request were not looked at.
    pub candidates: Vec<Candidate>,
}

impl Agreement {
    /// The memory path.
    pub fn path(&self) -> MemoryPath {
        self.rung.path()
    }

    /// What is missing for better rungs, each once, and on which side.
    pub fn requirements(&self) -> Vec<(Side, &Requirement)> {
        collect_requirements(&self.refused)
    }
}

/// No way to share that the request allows was found. Names both sides, each rung and each candidate.
///
/// `Display` is one line, `Debug` the same with a line for each rung: what a `main` that returns it prints. Rungs that
/// were tried come first, and those that the request rules out last. Where the request itself is at fault, that is said once.
///
/// ```
/// use lucarne::negotiate::{Reason, Side};
/// use lucarne::{Extent, MemoryPath, Request, Usage, cpu, negotiate};
///
/// let offer = cpu::Adapter::new(cpu::Allocator::HostMemory).open()?.offer(Usage::SAMPLE)?;
/// let request = Request::new(Extent::new(640, 480)).paths(&[MemoryPath::OpaqueFd]);
/// let refusal = negotiate(&offer, &offer, &request).expect_err("a CPU has no such memory");
/// for refused in &refusal.rungs {
///     match &refused.reason {
///         Reason::NotAskedFor(path) => assert_ne!(*path, MemoryPath::OpaqueFd),
///         Reason::Missing { end, requirements } => {
///             assert_eq!(end.side, Side::Producer);
///             assert_eq!(requirements.len(), 1);
///         }
///         other => panic!("{other}"),
///     }
/// }
/// assert_eq!(refusal.requirements().len(), 1);
/// # Ok::<(), lucarne::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The producer's name; where both sides have the same one, with `(producer)` behind it.
    pub producer: String,
    /// The consumer's name, likewise.
    pub consumer: String,
    /// The size that was asked for.
    pub extent: Extent,
    /// Every rung with its reason.
    pub rungs: Vec<RefusedRung>,
}

impl Refusal {
    /// Every combination that was considered, with its rung.
    pub fn candidates(&self) -> impl Iterator<Item = (Rung, &Candidate)> {
        self.rungs.iter().flat_map(|refused| {
            let candidates = match &refused.reason {
                Reason::Candidates(candidates) => &candidates[..],
                _ => &[],
            };
            candidates.iter().map(|candidate| (refused.rung, candidate))
        })
    }

    /// What is missing, each once, and on which side.
    pub fn requirements(&self) -> Vec<(Side, &Requirement)> {
        collect_requirements(&self.rungs)
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, separators: [&str; 2]) -> fmt::Result {
        let (producer, consumer) = (&self.producer, &self.consumer);
        write!(
            f,
            "{producer} and {consumer} cannot share {} frames:",
            self.extent
        )?;
        let [mut separator, next] = separators;
        let mut reasons = self.rungs.iter().map(|rung| &rung.reason);
        if let Some(fault) = reasons.find(|reason| reason.is_about_the_request()) {
            return write!(f, "{separator}{fault}");
        }
        // What failed comes first, and what nobody asked for last.
        let asked = |rung: &&RefusedRung| !matches!(rung.reason, Reason::NotAskedFor(_));
        let (tried, ruled_out): (Vec<_>, Vec<_>) = self.rungs.iter().partition(asked);
        for rung in tried.into_iter().chain(ruled_out) {
            write!(f, "{separator}{rung}")?;
            separator = next;
        }
        let by_planes = self.unlisted_ycbcr();
        if by_planes.is_empty() {
            return Ok(());
        }
        let names = list_names(&by_planes);
        write!(
            f,
            "{separator}{names}: few drivers take Y'CbCr frames whole; share them plane by plane: \
             vulkan::RgbToYcbcr::export makes such frames, egl::Device::import_ycbcr reads them, and \
             Frame::components has each plane as a frame of its own"
        )
    }

    /// The Y'CbCr formats that a side does not list: few drivers take them whole.
    fn unlisted_ycbcr(&self) -> Vec<Format> {
        let unlisted = |(_, candidate): (Rung, &Candidate)| match candidate.reason {
            Reason::FormatNotListed { .. } => Some(candidate.format),
            _ => None,
        };
        let nowhere = self
            .rungs
            .iter()
            .filter_map(|refused| match &refused.reason {
                Reason::NothingListed { formats, .. } => Some(formats.iter().copied()),
                _ => None,
            });
        let unlisted = self.candidates().filter_map(unlisted);
        let mut formats: Vec<Format> = nowhere.flatten().chain(unlisted).collect();
        formats.retain(|format| {
            format
                .info()
                .is_some_and(|info| info.color == ColorKind::Yuv)
        });
        formats
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, [" ", "; "])
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, ["\n  ", "\n  "])
    }
}

impl std::error::Error for Refusal {}

fn collect_requirements(rungs: &[RefusedRung]) -> Vec<(Side, &Requirement)> {
    let mut found = Vec::new();
    for reason in rungs.iter().flat_map(|refused| refused.reason.flatten()) {
        let Some(side) = reason.side() else { continue };
        for requirement in reason.requirements() {
            if !found.contains(&(side, requirement)) {
                found.push((side, requirement));
            }
        }
    }
    found
}
