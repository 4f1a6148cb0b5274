//! A compositor's lists as an offer.

use std::collections::HashSet;

use lucarne::negotiate::{FenceSupport, OfferEntry};
use lucarne::{
    DeviceId, Extent, Format, MAX_EXTENT, MemoryPath, Modifier, Offer, Requirement, Support,
    Tiling, Usage,
};

use crate::convert;
use crate::feedback::{Feedback, Tranche};

/// No protocol tells a limit; making the buffer fails where a compositor has one.
const LARGEST: Extent = Extent::new(MAX_EXTENT, MAX_EXTENT);

/// What may be sent to this compositor.
#[derive(Debug)]
pub(crate) struct Taken {
    dma_bufs: HashSet<(Format, Tiling)>,
    shared: Vec<Format>,
}

impl Taken {
    pub(crate) fn new(feedback: &Feedback, shared: &[Format]) -> Self {
        let mut taken = Self {
            dma_bufs: HashSet::new(),
            shared: shared.to_vec(),
        };
        taken.add(feedback);
        taken
    }

    /// A surface's feedback may list more.
    pub(crate) fn add(&mut self, feedback: &Feedback) {
        let pairs = feedback.tranches.iter().flat_map(|one| &one.pairs);
        self.dma_bufs.extend(pairs.copied());
    }

    pub(crate) fn dma_buf(&self, format: Format, tiling: Tiling) -> bool {
        self.dma_bufs.contains(&(format, tiling))
    }

    pub(crate) fn tilings(&self, format: Format) -> Vec<Tiling> {
        let pairs = self.dma_bufs.iter().filter(|(one, _)| *one == format);
        let mut tilings: Vec<Tiling> = pairs.map(|(_, tiling)| *tiling).collect();
        tilings.sort();
        tilings
    }

    pub(crate) fn shared(&self, format: Format) -> bool {
        self.shared.contains(&format)
    }

    pub(crate) fn shared_formats(&self) -> Vec<Format> {
        self.shared.clone()
    }
}

pub(crate) fn of(
    feedback: &Feedback,
    has_dmabuf: bool,
    shared: &[Format],
    explicit: &Support,
) -> Offer {
    let mut entries: Vec<OfferEntry> = Vec::new();
    for tranche in &feedback.tranches {
        let meant = tranche.pairs.iter().filter(|(_, tiling)| {
            is_main(feedback, tranche) || *tiling == Tiling::Explicit(Modifier::LINEAR)
        });
        let new = meant.filter_map(|pair| entry(MemoryPath::DmaBuf, *pair));
        for new in new {
            if !entries.contains(&new) {
                entries.push(new);
            }
        }
    }
    let rows = shared
        .iter()
        .map(|format| (*format, Tiling::Explicit(Modifier::LINEAR)));
    // A pool of wl_shm has one range for a buffer.
    let rows = rows.filter_map(|pair| entry(MemoryPath::HostMemory, pair));
    entries.extend(rows.filter(|entry| entry.planes == 1));
    Offer {
        name: "the Wayland compositor".to_owned(),
        device: feedback
            .main_device
            .map_or_else(DeviceId::default, convert::device),
        paths: paths(has_dmabuf, !shared.is_empty()),
        entries,
        withdrawn: Vec::new(),
        fences: FenceSupport {
            export: explicit.clone(),
            import: explicit.clone(),
        },
    }
}

/// What another device scans out may have a layout that the main device does not know.
fn is_main(feedback: &Feedback, tranche: &Tranche) -> bool {
    tranche.device == feedback.main_device || tranche.device.is_none()
}

fn paths(has_dmabuf: bool, has_shm: bool) -> Vec<(MemoryPath, Support)> {
    let lacks = |what: &str| Support::no(Requirement::other(what));
    vec![
        (
            MemoryPath::DmaBuf,
            if has_dmabuf {
                Support::Yes(())
            } else {
                lacks("the compositor lacks zwp_linux_dmabuf_v1")
            },
        ),
        (
            MemoryPath::OpaqueFd,
            lacks("Wayland has no protocol for memory that only its driver knows"),
        ),
        (
            MemoryPath::HostMemory,
            if has_shm {
                Support::Yes(())
            } else {
                lacks("the compositor lacks wl_shm")
            },
        ),
    ]
}

/// `None` for a format whose planes are not known here.
pub(crate) fn entry(path: MemoryPath, (format, tiling): (Format, Tiling)) -> Option<OfferEntry> {
    let planes = format.info()?.planes.len();
    let auxiliary = match tiling.modifier() {
        Some(modifier) if !modifier.is_linear() => modifier.auxiliary_planes().unwrap_or(0),
        _ => 0,
    };
    Some(OfferEntry {
        path,
        format,
        tiling,
        planes: u8::try_from(planes).ok()? * (1 + auxiliary),
        usage: Usage::SAMPLE,
        max_extent: LARGEST,
        exportable: false,
        importable: true,
        dedicated_only: false,
        external_only: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TILED: u64 = 0x0100_0000_0000_0009;

    fn feedback() -> Feedback {
        let pair = |format, code| (format, Tiling::from_code(code));
        let (main, other) = (rustix::fs::makedev(226, 128), rustix::fs::makedev(226, 129));
        Feedback {
            main_device: Some(main),
            tranches: vec![
                Tranche {
                    device: Some(other),
                    scanout: true,
                    pairs: vec![pair(Format::XRGB8888, TILED), pair(Format::XRGB8888, 0)],
                },
                Tranche {
                    device: Some(main),
                    scanout: false,
                    pairs: vec![pair(Format::XRGB8888, 0), pair(Format::NV12, TILED)],
                },
            ],
        }
    }

    #[test]
    fn each_pair_that_the_main_device_knows_is_offered_once() {
        let offer = of(&feedback(), true, &[], &Support::Yes(()));
        let listed: Vec<_> = offer
            .entries
            .iter()
            .map(|one| (one.format, one.tiling))
            .collect();
        let linear = Tiling::Explicit(Modifier::LINEAR);
        let tiled = Tiling::from_code(TILED);
        assert_eq!(listed, [(Format::XRGB8888, linear), (Format::NV12, tiled)]);
        assert_eq!(offer.device.render_node.map(|node| node.minor), Some(128));
        assert!(!offer.path(MemoryPath::HostMemory).is_yes());
    }

    #[test]
    fn shared_memory_is_offered_for_formats_of_one_plane() {
        let shared = [Format::XRGB8888, Format::NV12, Format::from_fourcc(7)];
        let offer = of(&Feedback::default(), false, &shared, &Support::Yes(()));
        let listed: Vec<_> = offer
            .entries
            .iter()
            .map(|one| (one.path, one.format))
            .collect();
        assert_eq!(listed, [(MemoryPath::HostMemory, Format::XRGB8888)]);
        assert!(!offer.path(MemoryPath::DmaBuf).is_yes());
    }
}
