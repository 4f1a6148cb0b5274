//! What can be allocated: libgbm lists no modifiers, so a small buffer of each is tried.

use super::allocate::{self, Made};
use super::device::Device;
use super::inner::DeviceInner;
use crate::device_id::{Comparison, DeviceId};
use crate::error::{Requirement, Result, Support};
use crate::format::{Format, FormatInfo};
use crate::layout::{Extent, MAX_EXTENT, Tiling};
use crate::modifier::Modifier;
use crate::negotiate::{FenceSupport, MemoryPath, Offer, OfferEntry, Usage};

/// Large enough for every alignment that a driver may have, small enough to cost nothing.
const TRIAL: Extent = Extent::new(64, 64);

/// libgbm tells no limit; [`Device::export`](super::Device::export) fails where a driver has one.
const LARGEST: Extent = Extent::new(MAX_EXTENT, MAX_EXTENT);

impl Device {
    /// What can be allocated here for images used as `usage` says, for a writer that has no offer of its own.
    ///
    /// libgbm lists no modifiers. So this allocates two small buffers of each format: a linear one, and one in the layout that
    /// the driver prefers. [`Device::offer_for`] tries the modifiers of a writer's offer instead.
    ///
    /// # Errors
    ///
    /// None today: what libgbm refuses is left out.
    pub fn offer(&self, usage: Usage) -> Result<Offer> {
        Ok(ask(self.inner(), usage))
    }

    /// `side`'s offer with memory from here: what `side` can import, and this device can allocate. Negotiate it in the
    /// producer's place; then both ends import the frame of [`Device::export`].
    ///
    /// Each format and modifier is tried: a small buffer for `usage` is allocated. Tiled memory is only offered where both are
    /// certainly the same device.
    pub fn offer_for(&self, side: &Offer, usage: Usage) -> Offer {
        ask_for(self.inner(), side, usage)
    }
}

fn ask(device: &DeviceInner, usage: Usage) -> Offer {
    let mut entries = Vec::new();
    for info in supported(device, usage) {
        let linear = allocate::make(device, TRIAL, info, &[Modifier::LINEAR], usage);
        let preferred = allocate::make_preferred(device, TRIAL, info, usage);
        let mut made: Vec<Made<'_>> = linear.ok().into_iter().collect();
        if let Ok(Some(preferred)) = preferred
            && made.iter().all(|one| one.modifier != preferred.modifier)
        {
            made.push(preferred);
        }
        entries.extend(made.iter().map(|made| entry(info.format, made, usage)));
    }
    let none = || {
        Support::no(Requirement::other(
            "GBM allocates only: it has no work to wait for",
        ))
    };
    Offer {
        name: device.name().to_owned(),
        device: device.id().clone(),
        paths: paths(),
        entries,
        withdrawn: Vec::new(),
        fences: FenceSupport {
            export: none(),
            import: none(),
        },
    }
}

fn ask_for(device: &DeviceInner, side: &Offer, usage: Usage) -> Offer {
    let entries = candidates(device.id(), side)
        .filter_map(|(entry, info, modifier)| {
            let made = allocate::make(device, TRIAL, info, &[modifier], usage).ok()?;
            // The side says how many planes it wants to be given.
            (made.planes == entry.planes).then(|| OfferEntry {
                exportable: true,
                ..entry.clone()
            })
        })
        .collect();
    let mut paths = paths();
    for (path, support) in &mut paths {
        if support.is_yes() {
            *support = side.path(*path);
        }
    }
    Offer {
        name: format!("{}, with memory of {}", side.name, device.name()),
        // The side draws; where the memory is another device's, only linear entries are left.
        device: side.device.clone(),
        paths,
        entries,
        withdrawn: side.withdrawn.clone(),
        fences: side.fences.clone(),
    }
}

/// The dma-bufs that `side` imports, without those whose tiling means nothing to this device.
fn candidates<'a>(
    device: &DeviceId,
    side: &'a Offer,
) -> impl Iterator<Item = (&'a OfferEntry, &'static FormatInfo, Modifier)> {
    let same = device.compare(&side.device) == Comparison::Same;
    let has_path = side.path(MemoryPath::DmaBuf).is_yes();
    side.entries.iter().filter_map(move |entry| {
        let modifier = entry.tiling.modifier()?;
        let usable = has_path && entry.path == MemoryPath::DmaBuf && entry.importable;
        let meant = same || modifier.is_linear();
        let info = entry.format.info()?;
        (usable && meant).then_some((entry, info, modifier))
    })
}

fn entry(format: Format, made: &Made<'_>, usage: Usage) -> OfferEntry {
    OfferEntry {
        path: MemoryPath::DmaBuf,
        format,
        tiling: Tiling::Explicit(made.modifier),
        planes: made.planes,
        usage,
        max_extent: LARGEST,
        exportable: true,
        importable: false,
        dedicated_only: false,
        external_only: false,
    }
}

/// The formats that the driver says it has, so that the others need no trial.
fn supported(device: &DeviceInner, usage: Usage) -> impl Iterator<Item = &'static FormatInfo> {
    let flags = allocate::usage_flags(usage);
    Format::ALL.iter().filter(move |info| {
        let _one = device.lock();
        // SAFETY: gbm_device_is_format_supported on a live device; any numbers may be asked about.
        let answer = unsafe {
            (device.library.device_is_format_supported)(device.raw(), info.format.fourcc(), flags)
        };
        answer != 0
    })
}

fn paths() -> Vec<(MemoryPath, Support)> {
    MemoryPath::ALL
        .into_iter()
        .map(|path| (path, path_support(path)))
        .collect()
}

pub(super) fn path_support(path: MemoryPath) -> Support {
    match path {
        MemoryPath::DmaBuf => Support::Yes(()),
        MemoryPath::OpaqueFd | MemoryPath::HostMemory => {
            Support::no(Requirement::other("GBM allocates dma-bufs only"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device_id::DrmNode;

    const TILED: u64 = 0x0100_0000_0000_0001;

    fn id(minor: u32) -> DeviceId {
        DeviceId {
            render_node: Some(DrmNode { major: 226, minor }),
            ..DeviceId::default()
        }
    }

    fn one(tiling: Tiling, path: MemoryPath, importable: bool) -> OfferEntry {
        OfferEntry {
            path,
            format: Format::XRGB8888,
            tiling,
            planes: 1,
            usage: Usage::SAMPLE,
            max_extent: LARGEST,
            exportable: false,
            importable,
            dedicated_only: false,
            external_only: false,
        }
    }

    fn side(device: DeviceId, dma_buf: Support) -> Offer {
        let explicit = |code| Tiling::Explicit(Modifier::new(code).unwrap());
        Offer {
            name: "a side".to_owned(),
            device,
            paths: vec![(MemoryPath::DmaBuf, dma_buf)],
            entries: vec![
                one(explicit(0), MemoryPath::DmaBuf, true),
                one(explicit(TILED), MemoryPath::DmaBuf, true),
                one(explicit(0), MemoryPath::DmaBuf, false),
                one(Tiling::Implicit, MemoryPath::DmaBuf, true),
                one(Tiling::Implicit, MemoryPath::OpaqueFd, true),
                one(explicit(0), MemoryPath::HostMemory, true),
            ],
            withdrawn: Vec::new(),
            fences: FenceSupport {
                export: Support::Yes(()),
                import: Support::Yes(()),
            },
        }
    }

    fn codes(device: &DeviceId, side: &Offer) -> Vec<u64> {
        candidates(device, side)
            .map(|(_, _, modifier)| modifier.code())
            .collect()
    }

    #[test]
    fn one_device_is_asked_for_every_modifier_it_imports() {
        let side = side(id(128), Support::Yes(()));
        assert_eq!(codes(&id(128), &side), [0, TILED]);
    }

    #[test]
    fn another_or_unknown_device_is_asked_for_linear_only() {
        let side = side(id(128), Support::Yes(()));
        assert_eq!(codes(&id(129), &side), [0]);
        assert_eq!(codes(&DeviceId::default(), &side), [0]);
    }

    #[test]
    fn a_side_without_dma_bufs_is_asked_for_nothing() {
        let side = side(id(128), Support::no(Requirement::other("no")));
        assert_eq!(codes(&id(128), &side), []);
    }
}
