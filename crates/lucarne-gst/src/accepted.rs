//! What the elements downstream accept, as an offer to a stream.

use gst_video::VideoFormat;
use lucarne::negotiate::{FenceSupport, OfferEntry};
use lucarne::{
    DeviceId, Extent, Format, MAX_EXTENT, MemoryPath, Modifier, Offer, Requirement, Support,
    Tiling, Usage,
};

use crate::convert;

/// How GStreamer is told where the pixels lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feature {
    /// `video/x-raw`: an element maps what it is given, dma-bufs included.
    Mapped,
    /// `video/x-raw(memory:DMABuf)`.
    DmaBuf,
}

impl Feature {
    fn name(self) -> &'static str {
        match self {
            Self::Mapped => gst::CAPS_FEATURE_MEMORY_SYSTEM_MEMORY,
            Self::DmaBuf => gst_allocators::CAPS_FEATURE_MEMORY_DMABUF,
        }
    }

    fn of(features: &gst::CapsFeaturesRef) -> Option<Self> {
        [Self::Mapped, Self::DmaBuf]
            .into_iter()
            .find(|feature| features.contains(feature.name()))
    }

    /// These caps with this feature.
    pub(crate) fn mark(self, mut caps: gst::Caps) -> gst::Caps {
        if self == Self::DmaBuf {
            let features = gst::CapsFeatures::new([self.name()]);
            caps.make_mut().set_features_simple(Some(features));
        }
        caps
    }
}

/// All formats with this feature, any size and rate.
pub(crate) fn all(feature: Feature) -> gst::Caps {
    let formats = convert::formats().map(|(word, _)| word);
    feature.mark(
        gst_video::VideoCapsBuilder::new()
            .format_list(formats)
            .build(),
    )
}

/// What both elements' pads can have.
pub(crate) fn template() -> gst::Caps {
    let mut caps = all(Feature::Mapped);
    caps.merge(all(Feature::DmaBuf));
    caps
}

/// Formats in kinds of memory, those that downstream prefers first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pairs: Vec<(Feature, VideoFormat)>,
    caps: gst::Caps,
}

impl Accepted {
    /// Out of the caps of the elements downstream.
    pub(crate) fn new(caps: gst::Caps) -> Self {
        let mut features: Vec<Feature> = Vec::new();
        for feature in caps
            .iter_with_features()
            .filter_map(|(_, features)| Feature::of(features))
        {
            if !features.contains(&feature) {
                features.push(feature);
            }
        }
        let mut pairs = Vec::new();
        for feature in features {
            for (word, _) in convert::formats() {
                let one = gst_video::VideoCapsBuilder::new().format(word).build();
                if caps.can_intersect(&feature.mark(one)) {
                    pairs.push((feature, word));
                }
            }
        }
        Self { pairs, caps }
    }

    pub(crate) fn caps(&self) -> &gst::Caps {
        &self.caps
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// With which features frames of this format may be passed on, the preferred one first.
    pub(crate) fn features(&self, format: Format) -> impl Iterator<Item = Feature> + '_ {
        let word = convert::video_format(format);
        let pairs = self.pairs.iter();
        pairs.filter_map(move |(feature, one)| (Some(*one) == word).then_some(*feature))
    }

    /// What a stream's producer hears.
    pub(crate) fn offer(&self) -> Offer {
        let mut entries: Vec<OfferEntry> = Vec::new();
        let mut add = |path, format| {
            if !entries
                .iter()
                .any(|one| one.path == path && one.format == format)
            {
                entries.extend(entry(path, format, false));
            }
        };
        for (feature, word) in &self.pairs {
            let Some(format) = convert::format(*word) else {
                continue;
            };
            add(MemoryPath::DmaBuf, format);
            if *feature == Feature::Mapped {
                add(MemoryPath::HostMemory, format);
            }
        }
        offer("GStreamer (lucarnesrc)", entries)
    }
}

/// Linear memory of this format; `None` for a format of unknown geometry.
pub(crate) fn entry(path: MemoryPath, format: Format, exportable: bool) -> Option<OfferEntry> {
    Some(OfferEntry {
        path,
        format,
        tiling: Tiling::Explicit(Modifier::LINEAR),
        planes: u8::try_from(format.info()?.planes.len()).ok()?,
        usage: Usage::all(),
        max_extent: Extent::new(MAX_EXTENT, MAX_EXTENT),
        exportable,
        importable: !exportable,
        dedicated_only: false,
        external_only: false,
    })
}

/// An end that the CPU may have to reach, and that waits for fences by itself.
pub(crate) fn offer(name: &str, entries: Vec<OfferEntry>) -> Offer {
    let path = |path| {
        let support = match path {
            MemoryPath::OpaqueFd => Support::no(Requirement::other(
                "GStreamer knows no memory that only its driver understands",
            )),
            _ if entries.iter().any(|entry| entry.path == path) => Support::Yes(()),
            _ => Support::no(Requirement::other(format!(
                "no format of {path} memory is left: see the caps of the elements beside {name}"
            ))),
        };
        (path, support)
    };
    Offer {
        name: name.to_owned(),
        device: DeviceId {
            software: true,
            ..DeviceId::default()
        },
        paths: MemoryPath::ALL.map(path).to_vec(),
        entries,
        withdrawn: Vec::new(),
        fences: FenceSupport {
            export: Support::Yes(()),
            import: Support::Yes(()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(caps: &str) -> Accepted {
        gst::init().expect("GStreamer");
        Accepted::new(caps.parse().expect("caps"))
    }

    #[test]
    fn what_is_preferred_comes_first_and_nothing_else_is_offered() {
        let accepted = accepted(
            "video/x-raw(memory:DMABuf), format=NV12; video/x-raw, format={ NV12, BGRx }; video/x-bayer",
        );
        let both = [Feature::DmaBuf, Feature::Mapped];
        assert!(accepted.features(Format::NV12).eq(both));
        assert!(accepted.features(Format::XRGB8888).eq([Feature::Mapped]));
        assert!(accepted.features(Format::XBGR8888).eq([]));
        let offer = accepted.offer();
        let entries: Vec<_> = offer
            .entries
            .iter()
            .map(|one| (one.path, one.format))
            .collect();
        let must = [
            (MemoryPath::DmaBuf, Format::NV12),
            (MemoryPath::DmaBuf, Format::XRGB8888),
            (MemoryPath::HostMemory, Format::NV12),
            (MemoryPath::HostMemory, Format::XRGB8888),
        ];
        assert_eq!(entries.len(), must.len(), "{entries:?}");
        assert!(must.iter().all(|one| entries.contains(one)), "{entries:?}");
    }

    #[test]
    fn without_a_common_format_there_is_nothing() {
        assert!(accepted("audio/x-raw").is_empty());
        assert!(accepted("video/x-raw, format=GRAY10_LE32").is_empty());
        let only = accepted("video/x-raw(memory:DMABuf), format=NV12").offer();
        assert!(!only.path(MemoryPath::HostMemory).is_yes());
        assert!(only.path(MemoryPath::DmaBuf).is_yes());
    }
}
