//! An offer as the formats that a node lists, and a peer's format as an offer.

use lucarne::color::ColorDescription;
use lucarne::negotiate::{FenceSupport, OfferEntry, Strike};
use lucarne::{
    Extent, Format, MAX_EXTENT, MemoryPath, Modifier, Offer, Requirement, Support, Tiling, Usage,
};

use crate::convert;
use crate::error::{Error, Result};
use crate::pods::{Candidate, Modifiers, Param, Size, VideoInfo};

/// What a node wants of its offer.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) formats: &'a [Format],
    pub(crate) paths: &'a [MemoryPath],
    pub(crate) usage: Usage,
    /// What was tried and failed.
    pub(crate) struck: &'a [Strike],
    pub(crate) size: Size,
    pub(crate) color: Say,
}

/// What a side says of colours.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Say {
    /// A consumer takes what comes.
    Nothing,
    /// A producer's numbers mean this where it fits the format, and the format's default otherwise.
    Color(Option<ColorDescription>),
}

impl Say {
    fn of(self, format: Format) -> Option<ColorDescription> {
        let Self::Color(wish) = self else { return None };
        wish.filter(|color| color.check(format).is_ok())
            .or_else(|| format.info().map(ColorDescription::default_for))
    }
}

/// Whether `strike` is about this combination.
fn hits(strike: &Strike, path: MemoryPath, format: Format, tiling: Tiling) -> bool {
    strike.path == path
        && strike.format.is_none_or(|struck| struck == format)
        && (strike.modifier.is_none() || strike.modifier == tiling.modifier())
}

impl Wanted<'_> {
    fn smallest(&self) -> Extent {
        match self.size {
            Size::Fixed(extent) => extent,
            Size::UpTo { .. } => Extent::new(1, 1),
        }
    }

    fn takes(&self, entry: &OfferEntry, able: fn(&OfferEntry) -> bool) -> bool {
        let fits = self.smallest();
        able(entry)
            && entry.usage.contains(self.usage)
            && fits.width <= entry.max_extent.width
            && fits.height <= entry.max_extent.height
            && self.paths.contains(&entry.path)
            && !self
                .struck
                .iter()
                .any(|strike| hits(strike, entry.path, entry.format, entry.tiling))
    }

    /// One for each format with its modifiers, then one for each without: a peer that can take dma-bufs in any of them never ends
    /// up with shared memory. `able` is what this side must be able to do.
    pub(crate) fn candidates(
        &self,
        offer: &Offer,
        able: fn(&OfferEntry) -> bool,
    ) -> Vec<Candidate> {
        let mut found = Vec::new();
        for path in [MemoryPath::DmaBuf, MemoryPath::HostMemory] {
            if !offer.path(path).is_yes() {
                continue;
            }
            for &format in self.formats {
                let entries = offer.standing().filter(|entry| {
                    entry.path == path && entry.format == format && self.takes(entry, able)
                });
                let mut tilings: Vec<Tiling> = entries.map(|entry| entry.tiling).collect();
                tilings.sort_unstable();
                tilings.dedup();
                if tilings.is_empty() || convert::to_video_format(format).is_none() {
                    continue;
                }
                if path == MemoryPath::HostMemory {
                    tilings.clear();
                }
                found.push(self.candidate(format, tilings, false));
            }
        }
        found
    }

    /// The part of the offer that is listed, under the node's name.
    pub(crate) fn listed(&self, offer: &Offer, name: &str, able: fn(&OfferEntry) -> bool) -> Offer {
        let mut listed = offer.clone();
        name.clone_into(&mut listed.name);
        let standing: Vec<OfferEntry> = offer.standing().cloned().collect();
        listed.entries = standing
            .into_iter()
            .filter(|entry| self.formats.contains(&entry.format) && self.takes(entry, able))
            .collect();
        listed
    }

    pub(crate) fn candidate(&self, format: Format, tilings: Vec<Tiling>, fixed: bool) -> Candidate {
        Candidate {
            format,
            tilings,
            fixed,
            size: self.size,
            color: self.color.of(format),
        }
    }
}

/// # Errors
///
/// [`Error::NothingToOffer`] for an empty list.
pub(crate) fn must_have(candidates: &[Candidate], offer: &Offer, formats: &[Format]) -> Result<()> {
    if !candidates.is_empty() {
        return Ok(());
    }
    let wanted: Vec<String> = formats.iter().map(ToString::to_string).collect();
    Err(Error::NothingToOffer {
        offer: offer.name.clone(),
        wanted: wanted.join(", "),
    })
}

pub(crate) fn params(candidates: &[Candidate]) -> Vec<Param> {
    candidates.iter().filter_map(Candidate::to_param).collect()
}

/// What a peer's formats amount to. Nobody says which device it imports with: as all of PipeWire's programs do, it is taken to be
/// `own`'s, or one that takes the modifiers that it lists.
pub(crate) fn peer(name: &str, infos: &[VideoInfo], own: &Offer) -> Offer {
    let mut entries = Vec::new();
    for info in infos {
        let formats = info
            .formats
            .iter()
            .filter_map(|one| convert::from_video_format(*one));
        for format in formats {
            entries.extend(peer_entries(format, info, own));
        }
    }
    Offer {
        name: name.to_owned(),
        device: own.device.clone(),
        paths: vec![
            (MemoryPath::DmaBuf, Support::Yes(())),
            (
                MemoryPath::OpaqueFd,
                Support::no(Requirement::other("PipeWire has no opaque memory")),
            ),
            (MemoryPath::HostMemory, Support::Yes(())),
        ],
        entries,
        withdrawn: Vec::new(),
        fences: FenceSupport {
            export: Support::Yes(()),
            import: Support::Yes(()),
        },
    }
}

fn peer_entries(format: Format, info: &VideoInfo, own: &Offer) -> Vec<OfferEntry> {
    let (path, tilings) = match &info.modifiers {
        Modifiers::None => (
            MemoryPath::HostMemory,
            vec![Tiling::Explicit(Modifier::LINEAR)],
        ),
        Modifiers::Open(tilings) => (MemoryPath::DmaBuf, tilings.clone()),
        Modifiers::Fixed(tiling) => (MemoryPath::DmaBuf, vec![*tiling]),
    };
    let planes = |tiling: Tiling| {
        let same = |entry: &&OfferEntry| {
            entry.path == path && entry.format == format && entry.tiling == tiling
        };
        own.entries
            .iter()
            .find(same)
            .map_or(1, |entry| entry.planes)
    };
    let max = |length: u32| length.min(MAX_EXTENT);
    let entry = |tiling| OfferEntry {
        path,
        format,
        tiling,
        planes: planes(tiling),
        usage: Usage::all(),
        max_extent: Extent::new(max(info.extent.width), max(info.extent.height)),
        exportable: true,
        importable: true,
        dedicated_only: false,
        external_only: false,
    };
    tilings.into_iter().map(entry).collect()
}
