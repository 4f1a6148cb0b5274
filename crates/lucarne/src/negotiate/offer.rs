//! What one side can do, and what is wanted.

use super::entry::{MemoryPath, OfferEntry, Usage};
use super::strike::Strike;
use crate::device_id::DeviceId;
use crate::error::{Requirement, Support};
use crate::format::Format;
use crate::layout::Extent;

/// Whether fences can be passed as sync_files, in each direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FenceSupport {
    /// Whether this side can give a sync_file that signals when its work is done.
    pub export: Support,
    /// Whether this side's work can be made to wait for a sync_file.
    pub import: Support,
}

/// Everything one device can do for sharing.
///
/// ```
/// use lucarne::{Format, MemoryPath, Usage, cpu};
///
/// let offer = cpu::Adapter::new(cpu::Allocator::HostMemory).open()?.offer(Usage::SAMPLE)?;
/// assert!(offer.path(MemoryPath::HostMemory).is_yes());
/// // Why not opaque memory?
/// assert!(offer.path(MemoryPath::OpaqueFd).reason().contains("only the driver that made"));
/// // All that it can use of what others make:
/// let usable = offer.standing().filter(|entry| entry.importable);
/// assert!(usable.map(|entry| entry.format).any(|format| format == Format::NV12));
/// # Ok::<(), lucarne::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Who offers, for messages: the API and the device's name.
    pub name: String,
    /// The device.
    pub device: DeviceId,
    /// For each path, whether the device has it at all, and if not, why.
    pub paths: Vec<(MemoryPath, Support)>,
    /// What it can do on the paths it has.
    pub entries: Vec<OfferEntry>,
    /// Entries that the driver lists, but that were tried on this device and did not work; with what was seen.
    pub withdrawn: Vec<Strike>,
    /// Fences.
    pub fences: FenceSupport,
}

impl Offer {
    /// The entries that were not withdrawn.
    pub fn standing(&self) -> impl Iterator<Item = &OfferEntry> {
        let withdrawn =
            |entry: &&OfferEntry| self.withdrawn.iter().any(|strike| strike.hits(entry));
        self.entries.iter().filter(move |entry| !withdrawn(entry))
    }

    /// Whether the device has `path` at all.
    pub fn path(&self, path: MemoryPath) -> Support {
        let answer = self.paths.iter().find(|(known, _)| *known == path);
        answer.map_or_else(
            || {
                Support::no(Requirement::other(format!(
                    "{} says nothing of it",
                    self.name
                )))
            },
            |(_, support)| support.clone(),
        )
    }
}

/// What is wanted of an agreement.
///
/// ```
/// use lucarne::{Extent, Format, MemoryPath, Request, Usage};
///
/// // Frames that a CPU writes and a GPU draws into, too; never in opaque memory.
/// let request = Request::new(Extent::new(1920, 1080))
///     .formats(&[Format::XRGB2101010, Format::XRGB8888])
///     .usage(Usage::TRANSFER_DESTINATION, Usage::RENDER | Usage::SAMPLE)
///     .paths(&[MemoryPath::DmaBuf, MemoryPath::HostMemory]);
/// assert_eq!(request.formats[0], Format::XRGB2101010);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The size of the frames.
    pub extent: Extent,
    /// Acceptable formats, best first.
    pub formats: Vec<Format>,
    /// What the producer does with the frames.
    pub producer: Usage,
    /// What the consumer does with the frames.
    pub consumer: Usage,
    /// Acceptable memory paths.
    pub paths: Vec<MemoryPath>,
    /// What must not be agreed on, most often because it was tried and failed.
    pub struck: Vec<Strike>,
}

impl Request {
    /// Frames of this extent, rendered by the producer and sampled by the consumer, over any path, in the 8-bit
    /// formats that every driver has. Those with red first come first: OpenGL need not swizzle them on any path, so that they
    /// also read right through a framebuffer.
    pub fn new(extent: Extent) -> Self {
        Self {
            extent,
            formats: vec![
                Format::XBGR8888,
                Format::XRGB8888,
                Format::ABGR8888,
                Format::ARGB8888,
            ],
            producer: Usage::RENDER,
            consumer: Usage::SAMPLE,
            paths: MemoryPath::ALL.to_vec(),
            struck: Vec::new(),
        }
    }

    /// Accepts these formats only, best first.
    #[must_use]
    pub fn formats(mut self, formats: &[Format]) -> Self {
        self.formats = formats.to_vec();
        self
    }

    /// Accepts these memory paths only.
    #[must_use]
    pub fn paths(mut self, paths: &[MemoryPath]) -> Self {
        self.paths = paths.to_vec();
        self
    }

    /// Asks for these usages: an entry is agreed on only where each side can use it so. They decide; the usage that an
    /// offer was made for only limits what the offer lists. Without this call they are `RENDER` and `SAMPLE`.
    #[must_use]
    pub fn usage(mut self, producer: Usage, consumer: Usage) -> Self {
        self.producer = producer;
        self.consumer = consumer;
        self
    }

    /// Excludes what was tried and failed.
    #[must_use]
    pub fn strike(mut self, strike: Strike) -> Self {
        self.struck.push(strike);
        self
    }
}
