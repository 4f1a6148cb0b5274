//! What can be allocated: libgbm lists no modifiers, so a small buffer of each is tried.

use super::device::DeviceInner;
use super::export::{self, Made};
use crate::device_id::Comparison;
use crate::error::{Requirement, Support};
use crate::format::{Format, FormatInfo};
use crate::layout::{Extent, MAX_EXTENT, Tiling};
use crate::modifier::Modifier;
use crate::negotiate::{FenceSupport, MemoryPath, Offer, OfferEntry, Usage};

/// Large enough for every alignment that a driver may have, small enough to cost nothing.
const TRIAL: Extent = Extent::new(64, 64);

/// libgbm tells no limit; [`Device::export`](super::Device::export) fails where a driver has one.
const LARGEST: Extent = Extent::new(MAX_EXTENT, MAX_EXTENT);

pub(super) fn offer(device: &DeviceInner, usage: Usage) -> Offer {
    let mut entries = Vec::new();
    for info in supported(device, usage) {
        let linear = export::make(device, TRIAL, info, &[Modifier::LINEAR], usage);
        let preferred = export::make_preferred(device, TRIAL, info, usage);
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
        fences: FenceSupport {
            export: none(),
            import: none(),
        },
    }
}

pub(super) fn offer_for(device: &DeviceInner, side: &Offer, usage: Usage) -> Offer {
    let same = device.id().compare(&side.device) == Comparison::Same;
    let support = side.path(MemoryPath::DmaBuf);
    let entries = side
        .entries
        .iter()
        .filter(|entry| support.is_yes() && entry.path == MemoryPath::DmaBuf && entry.importable)
        .filter_map(|entry| {
            let modifier = entry.tiling.modifier()?;
            let portable = same || modifier.is_linear();
            let info = entry.format.info().filter(|_| portable)?;
            let made = export::make(device, TRIAL, info, &[modifier], usage).ok()?;
            // The side says how many planes it wants to be given.
            (made.planes == entry.planes).then(|| OfferEntry {
                exportable: true,
                ..entry.clone()
            })
        })
        .collect();
    let mut paths = paths();
    if let (Support::No(_), Some(first)) = (&support, paths.first_mut()) {
        first.1 = support;
    }
    Offer {
        name: format!("{}, with memory of {}", side.name, device.name()),
        // The side draws; where the memory is another device's, only linear entries are left.
        device: side.device.clone(),
        paths,
        entries,
        fences: side.fences.clone(),
    }
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
    let flags = export::usage_flags(usage);
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
