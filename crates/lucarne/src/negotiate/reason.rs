//! Why something was refused, as data: for programs to match on, and to print.

use std::fmt;

use super::entry::{MemoryPath, Usage};
use super::names::{list_names, short_name};
use super::rung::Rung;
use super::strike::{Strike, StrikeReason};
use crate::device_id::{Comparison, DeviceId};
use crate::error::{Requirement, join};
use crate::format::Format;
use crate::layout::{Extent, MAX_EXTENT, Tiling};

/// Which of the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The one that makes the frames.
    Producer,
    /// The one that uses them.
    Consumer,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        })
    }
}

/// One side and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Which side.
    pub side: Side,
    /// Its offer's name; where both offers have the same one, with the side behind it: `gimp (producer)`.
    pub name: String,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// What must be the same on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// The device: tiled memory means something to one device only.
    Device,
    /// The device and the build of its driver, as opaque memory needs.
    DeviceAndDriver,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Device => "device",
            Self::DeviceAndDriver => "device and driver",
        })
    }
}

/// Two devices that are not one, or not known to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceMismatch {
    /// What had to be the same.
    pub identity: Identity,
    /// [`Different`](Comparison::Different) or [`Unknown`](Comparison::Unknown).
    pub comparison: Comparison,
    /// The producer.
    pub producer: End,
    /// Its device.
    pub producer_device: DeviceId,
    /// The consumer.
    pub consumer: End,
    /// Its device.
    pub consumer_device: DeviceId,
}

impl fmt::Display for DeviceMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.comparison {
            Comparison::Unknown => "cannot tell whether it is the same ",
            Comparison::Same | Comparison::Different => "not the same ",
        })?;
        let (identity, producer, consumer) = (self.identity, &self.producer, &self.consumer);
        write!(f, "{identity}: {producer} is {}", self.producer_device)?;
        write!(f, "; {consumer} is {}", self.consumer_device)
    }
}

/// Why a rung, a combination or a fence's way was refused.
///
/// Match on it to learn what would help; print it to tell people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The request does not allow this path.
    NotAskedFor(MemoryPath),
    /// The request allows no format at all.
    NoFormats,
    /// The request allows no path at all.
    NoPaths,
    /// The request's extent is zero, or beyond [`MAX_EXTENT`](crate::MAX_EXTENT).
    BadExtent(Extent),
    /// One side lacks something; meeting all of it makes the path, or the fence's way, possible.
    Missing {
        /// Who lacks it.
        end: End,
        /// What it lacks.
        requirements: Vec<Requirement>,
    },
    /// The sides are not one device, or it cannot be told whether they are.
    OtherDevice(Box<DeviceMismatch>),
    /// One side has the path, and lists no format for it.
    ListsNothing {
        /// Who.
        end: End,
        /// The path.
        path: MemoryPath,
    },
    /// Neither side lists any of the formats asked for on this rung.
    NothingListed {
        /// The rung.
        rung: Rung,
        /// The formats asked for.
        formats: Vec<Format>,
    },
    /// Each combination that a side lists was refused for a reason of its own. Never empty, never nested.
    Candidates(Vec<Candidate>),
    /// One side does not list the format on this rung.
    FormatNotListed {
        /// Who.
        end: End,
        /// What it lists instead: the same channels with alpha for padding, or the reverse.
        twin: Option<Format>,
    },
    /// One side lists the format on this rung, but not in this tiling.
    TilingNotListed(End),
    /// It was struck out by the request.
    Struck {
        /// Whose entry was struck out.
        end: End,
        /// The strike.
        strike: Box<Strike>,
    },
    /// One side's own offer withdraws it.
    Withdrawn {
        /// Who.
        end: End,
        /// What was seen.
        strike: Box<Strike>,
    },
    /// The producer can import it, but not export it.
    NotExportable(End),
    /// The consumer can export it, but not import it.
    NotImportable(End),
    /// One side cannot use it in every way that the request wants.
    Usage {
        /// Who.
        end: End,
        /// What it cannot do with it.
        missing: Usage,
    },
    /// It can be sampled through `GL_TEXTURE_EXTERNAL_OES` only, and should be rendered to.
    ExternalOnly(End),
    /// The frames are larger than one side can use.
    TooLarge {
        /// Who.
        end: End,
        /// The size asked for.
        asked: Extent,
        /// The largest that it can use.
        largest: Extent,
    },
    /// A sentence from elsewhere: reasons cross a socket as text.
    Text(String),
}

impl Reason {
    /// Whose fault it is, where it is one side's.
    pub fn side(&self) -> Option<Side> {
        match self {
            Self::Missing { end, .. }
            | Self::ListsNothing { end, .. }
            | Self::FormatNotListed { end, .. }
            | Self::TilingNotListed(end)
            | Self::Struck { end, .. }
            | Self::Withdrawn { end, .. }
            | Self::NotExportable(end)
            | Self::NotImportable(end)
            | Self::Usage { end, .. }
            | Self::ExternalOnly(end)
            | Self::TooLarge { end, .. } => Some(end.side),
            Self::NotAskedFor(_)
            | Self::NoFormats
            | Self::NoPaths
            | Self::BadExtent(_)
            | Self::OtherDevice(_)
            | Self::NothingListed { .. }
            | Self::Candidates(_)
            | Self::Text(_) => None,
        }
    }

    /// What that side lacks; empty where nothing that could be installed, enabled or permitted would help.
    pub fn requirements(&self) -> &[Requirement] {
        match self {
            Self::Missing { requirements, .. } => requirements,
            Self::Struck { strike, .. } | Self::Withdrawn { strike, .. } => match &strike.reason {
                StrikeReason::SelfTest(requirement) => std::slice::from_ref(requirement),
                _ => &[],
            },
            _ => &[],
        }
    }

    /// Whether the request itself is at fault: no rung can do it then.
    pub(super) fn is_about_the_request(&self) -> bool {
        matches!(self, Self::NoFormats | Self::NoPaths | Self::BadExtent(_))
    }

    /// Each combination's reason, or this one.
    pub fn flatten(&self) -> impl Iterator<Item = &Self> {
        let (own, candidates) = match self {
            Self::Candidates(candidates) => (None, &candidates[..]),
            own => (Some(own), &[][..]),
        };
        own.into_iter()
            .chain(candidates.iter().map(|candidate| &candidate.reason))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAskedFor(_) => f.write_str("not among the paths asked for"),
            Self::NoFormats => f.write_str("the request names no format"),
            Self::NoPaths => f.write_str("the request names no memory path"),
            Self::BadExtent(asked) => write!(
                f,
                "the request's extent is {asked}, but both sides must be 1 to {MAX_EXTENT} pixels"
            ),
            Self::Missing { end, requirements } if requirements.is_empty() => {
                write!(f, "{end}: gives no reason")
            }
            Self::Missing { end, requirements } => write!(f, "{end}: {}", join(requirements)),
            Self::OtherDevice(mismatch) => mismatch.fmt(f),
            Self::ListsNothing { end, path } => write!(f, "{end} lists no format at all as {path}"),
            Self::NothingListed { rung, formats } => {
                let what = match rung {
                    Rung::TiledDmaBuf => "a modifier other than LINEAR for ",
                    Rung::LinearDmaBuf => "LINEAR for ",
                    Rung::OpaqueFd | Rung::HostMemory => "",
                };
                write!(f, "neither side lists {what}{}", list_names(formats))
            }
            Self::Candidates(candidates) => write_grouped(f, candidates),
            Self::FormatNotListed { end, twin } => write_unlisted(f, end, *twin),
            Self::TilingNotListed(end) => write_unlisted(f, end, None),
            Self::Struck { end, strike } => match &strike.reason {
                StrikeReason::Unwanted(why) => write!(f, "{end}: not wanted: {why}"),
                reason => write!(f, "{end}: was tried and failed: {reason}"),
            },
            Self::Withdrawn { end, strike } => write!(f, "{end}: lists it, but: {}", strike.reason),
            Self::NotExportable(end) => write!(f, "{end}: can import it, but not export it"),
            Self::NotImportable(end) => write!(f, "{end}: can export it, but not import it"),
            Self::Usage { end, missing } => write!(f, "{end}: cannot use it for {missing}"),
            Self::ExternalOnly(end) => write!(
                f,
                "{end}: is external-only: it can be sampled, not rendered to"
            ),
            Self::TooLarge {
                end,
                asked,
                largest,
            } => write!(f, "{end}: {asked} is beyond its largest extent, {largest}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// One combination that was considered, and why it was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The format.
    pub format: Format,
    /// The tiling.
    pub tiling: Tiling,
    /// Why not.
    pub reason: Reason,
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}: {}", self.format, self.tiling, self.reason)
    }
}

/// Each reason once, behind the formats that it is about.
fn write_grouped(f: &mut fmt::Formatter<'_>, candidates: &[Candidate]) -> fmt::Result {
    let mut groups: Vec<(&Reason, Vec<&Candidate>)> = Vec::new();
    for candidate in candidates {
        let reason = &candidate.reason;
        match groups.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, group)) => group.push(candidate),
            None => groups.push((reason, vec![candidate])),
        }
    }
    for (index, (reason, group)) in groups.iter().enumerate() {
        let separator = if index == 0 { "" } else { "; " };
        let formats: Vec<Format> = group.iter().map(|candidate| candidate.format).collect();
        write!(f, "{separator}{}", list_names(&formats))?;
        if !matches!(reason, Reason::FormatNotListed { .. }) {
            write_layouts(f, group)?;
        }
        write!(f, ": {reason}")?;
    }
    Ok(())
}

/// Which layouts, where the rung does not say it.
fn write_layouts(f: &mut fmt::Formatter<'_>, group: &[&Candidate]) -> fmt::Result {
    let mut tiled: Vec<_> = group
        .iter()
        .filter_map(|candidate| candidate.tiling.modifier())
        .filter(|modifier| !modifier.is_linear())
        .collect();
    tiled.sort();
    tiled.dedup();
    match &tiled[..] {
        [] => Ok(()),
        [one] => write!(f, " in {one}"),
        several => write!(f, " in {} layouts", several.len()),
    }
}

fn write_unlisted(f: &mut fmt::Formatter<'_>, end: &End, twin: Option<Format>) -> fmt::Result {
    write!(f, "{end} does not list it")?;
    let Some(twin) = twin else { return Ok(()) };
    let alpha = twin.info().is_some_and(|info| info.alpha);
    let with = if alpha { "with" } else { "without" };
    write!(f, ", but {}, the same {with} alpha", short_name(twin))
}
