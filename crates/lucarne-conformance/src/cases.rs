//! What the pairs of a machine offer each other, case by case.

use std::fmt;

use lucarne::cpu::Allocator;
use lucarne::negotiate::{Agreement, OfferEntry, Strike, StrikeReason};
use lucarne::{
    ColorKind, Extent, Format, FormatInfo, MemoryPath, Modifier, Offer, Request, Usage, negotiate,
};

use crate::need::{Need, needs};
use crate::placement::{self, Placement};

/// One pixel, prime numbers, a width no driver aligns to, a height that is not a multiple of 16.
pub const ODD_SIZES: [Extent; 4] = [
    Extent::new(1, 1),
    Extent::new(3, 5),
    Extent::new(1366, 767),
    Extent::new(1600, 1068),
];

/// The size every format is shared at.
const SMALL: Extent = Extent::new(37, 21);

/// What [`Set::Trial`] shares.
pub const TRIAL_FORMAT: Format = SIZED[0];
/// The size of it.
pub const TRIAL_EXTENT: Extent = SMALL;

/// The formats that are shared at odd sizes.
const SIZED: [Format; 2] = [Format::XRGB8888, Format::ABGR8888];

/// The formats that are shared in foreign layouts: four, two and eight bytes.
const PLACED: [Format; 4] = [
    Format::XRGB8888,
    Format::ABGR8888,
    Format::RGB565,
    Format::ABGR16161616F,
];

/// Which cases to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// Every format at one small size.
    Formats,
    /// Two formats at odd sizes.
    Sizes,
    /// The same, small ones only: for emulated machines.
    SmallSizes,
    /// Layouts that neither end chose, with canaries around the rows.
    Placements,
    /// One format at one small size, in each layout: whether a path works at all.
    Trial,
}

impl Set {
    /// Everything, or what an emulated machine finishes in minutes.
    pub const fn all(quick: bool) -> [Self; 3] {
        let sizes = if quick { Self::SmallSizes } else { Self::Sizes };
        [Self::Formats, sizes, Self::Placements]
    }
}

/// One thing to share.
#[derive(Clone, Debug)]
pub struct Case {
    pub(crate) producer: usize,
    pub(crate) consumer: usize,
    pub(crate) agreement: Agreement,
    /// Who else allocates the frame, and how it lies there; `None` where the producer does.
    pub(crate) foreign: Option<(Allocator, Placement)>,
}

impl Case {
    /// What both ends have agreed on.
    pub fn agreement(&self) -> &Agreement {
        &self.agreement
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let agreement = &self.agreement;
        write!(
            f,
            "{} {} {}",
            agreement.path(),
            agreement.format,
            agreement.extent
        )?;
        for modifier in &agreement.modifiers {
            write!(f, " {modifier}")?;
        }
        match &self.foreign {
            Some((allocator, placement)) => write!(f, ", {allocator}, {placement}"),
            None => Ok(()),
        }
    }
}

/// Cases, or why there are none.
pub(crate) type Found = std::result::Result<Vec<Case>, NotOffered>;

/// Why a pair offers nothing: as a sentence, and as data.
#[derive(Debug, Default)]
pub(crate) struct NotOffered {
    pub(crate) reason: String,
    pub(crate) needs: Vec<Need>,
}

/// One end of a pair: its number, what it does with its images, and what it offers.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) number: usize,
    pub(crate) usage: Usage,
    pub(crate) offer: Offer,
}

/// What the matrix shares: one plane of red, green, blue. Y'CbCr formats are shared plane by plane, as `R8` and `GR88`.
fn has_pattern(info: &FormatInfo) -> bool {
    info.color == ColorKind::Rgb && info.planes.len() == 1
}

pub(crate) fn of_pair(producer: &Side, consumer: &Side, path: MemoryPath, set: Set) -> Found {
    let formats: Vec<Format> = match set {
        Set::Formats => {
            let known = Format::ALL.iter().filter(|info| has_pattern(info));
            known.map(|info| info.format).collect()
        }
        Set::Sizes | Set::SmallSizes => SIZED.to_vec(),
        Set::Trial => vec![TRIAL_FORMAT],
        Set::Placements => return placed(producer, consumer, path),
    };
    let sizes: Vec<Extent> = match set {
        Set::Sizes => ODD_SIZES.to_vec(),
        Set::SmallSizes => {
            let small = ODD_SIZES.into_iter().filter(|size| size.width < 100);
            small.collect()
        }
        _ => vec![SMALL],
    };
    let mut cases = Vec::new();
    let mut refusal = None;
    for format in formats {
        for &extent in &sizes {
            let request = Request::new(extent)
                .formats(&[format])
                .paths(&[path])
                .usage(producer.usage, consumer.usage);
            match of_request(&producer.offer, &consumer.offer, request, path) {
                Ok(agreements) => cases.extend(agreements.into_iter().map(|agreement| Case {
                    producer: producer.number,
                    consumer: consumer.number,
                    agreement,
                    foreign: None,
                })),
                Err(reason) => {
                    refusal.get_or_insert(reason);
                }
            }
        }
    }
    if cases.is_empty() {
        return Err(refusal.unwrap_or_default());
    }
    Ok(cases)
}

/// One agreement for each modifier, tiled and linear: each found is struck out until none is left.
fn of_request(
    from: &Offer,
    to: &Offer,
    mut request: Request,
    path: MemoryPath,
) -> std::result::Result<Vec<Agreement>, NotOffered> {
    let mut agreements = Vec::new();
    loop {
        let agreement = match negotiate(from, to, &request) {
            Ok(agreement) => agreement,
            Err(refused) if agreements.is_empty() => {
                let rung = refused.rungs.iter().rfind(|one| one.rung.path() == path);
                return Err(rung.map_or_else(NotOffered::default, |one| NotOffered {
                    reason: one.reason.to_string(),
                    needs: needs(&one.reason),
                }));
            }
            Err(_) => return Ok(agreements),
        };
        agreements.extend(split(&agreement));
        if path != MemoryPath::DmaBuf {
            return Ok(agreements);
        }
        for modifier in agreement.modifiers {
            request = request.strike(Strike {
                path,
                format: Some(agreement.format),
                modifier: Some(modifier),
                reason: StrikeReason::Unwanted("is a case of its own".to_owned()),
            });
        }
    }
}

/// The same agreement once for each of its modifiers.
fn split(agreement: &Agreement) -> Vec<Agreement> {
    if agreement.modifiers.is_empty() {
        return vec![agreement.clone()];
    }
    let one = |modifier: &Modifier| Agreement {
        modifiers: vec![*modifier],
        ..agreement.clone()
    };
    agreement.modifiers.iter().map(one).collect()
}

/// Frames of a third party, for ends that both import linear memory.
fn placed(producer: &Side, consumer: &Side, path: MemoryPath) -> Found {
    let (from, to) = (&producer.offer, &consumer.offer);
    let mut cases = Vec::new();
    for format in PLACED {
        if !takes(from, producer.usage, path, format) || !takes(to, consumer.usage, path, format) {
            continue;
        }
        let request = Request::new(SMALL)
            .formats(&[format])
            .paths(&[path])
            .usage(producer.usage, consumer.usage);
        // What a third party exports to both is what the importers of `from` and `to` have in common.
        let exporter = Offer {
            entries: exportable(from),
            ..from.clone()
        };
        let Ok(agreement) = negotiate(&exporter, to, &request) else {
            continue;
        };
        if agreement.modifiers != [Modifier::LINEAR] {
            continue;
        }
        for allocator in placement::allocators(path) {
            cases.extend(Placement::FOREIGN.map(|placement| Case {
                producer: producer.number,
                consumer: consumer.number,
                agreement: agreement.clone(),
                foreign: Some((allocator.clone(), placement)),
            }));
        }
    }
    if cases.is_empty() {
        return Err(NotOffered {
            reason: "not both ends import linear memory there".to_owned(),
            needs: Vec::new(),
        });
    }
    Ok(cases)
}

/// The linear entries of an offer, as if it could export each.
fn exportable(offer: &Offer) -> Vec<OfferEntry> {
    let linear = |entry: &&OfferEntry| entry.tiling.modifier().is_some_and(Modifier::is_linear);
    let mut entries: Vec<_> = offer.entries.iter().filter(linear).cloned().collect();
    for entry in &mut entries {
        entry.exportable = true;
    }
    entries
}

fn takes(offer: &Offer, usage: Usage, path: MemoryPath, format: Format) -> bool {
    offer.entries.iter().any(|entry| {
        entry.path == path
            && entry.format == format
            && entry.tiling.modifier().is_some_and(Modifier::is_linear)
            && entry.importable
            && !entry.external_only
            && entry.usage.contains(usage)
            && SMALL.fits(entry.max_extent)
    })
}
