//! Offers, device identities and memory paths on the wire.

use lucarne::negotiate::{FenceSupport, OfferEntry};
use lucarne::{
    DeviceId, DrmNode, Extent, Format, MemoryPath, Modifier, Offer, Requirement, Support, Tiling,
    Usage,
};

use super::codec::{Malformed, Reader, Result, Writer, one_of, plain_text};
use super::{MAX_ENTRIES, MAX_NAME, MAX_TEXT};

const PATHS: [(u32, MemoryPath); 3] = [
    (1, MemoryPath::DmaBuf),
    (2, MemoryPath::OpaqueFd),
    (3, MemoryPath::HostMemory),
];

const DEVICE_UUID: u32 = 1;
const DRIVER_UUID: u32 = 1 << 1;
const RENDER_NODE: u32 = 1 << 2;
const PRIMARY_NODE: u32 = 1 << 3;
const SOFTWARE: u32 = 1 << 4;

const EXPLICIT: u16 = 1;
const EXPORTABLE: u16 = 1 << 1;
const IMPORTABLE: u16 = 1 << 2;
const DEDICATED_ONLY: u16 = 1 << 3;
const EXTERNAL_ONLY: u16 = 1 << 4;

pub(super) fn path_code(path: MemoryPath) -> u32 {
    match path {
        MemoryPath::DmaBuf => 1,
        MemoryPath::OpaqueFd => 2,
        MemoryPath::HostMemory => 3,
    }
}

pub(super) fn decode_path(field: &'static str, code: u32) -> Result<MemoryPath> {
    one_of(field, code, &PATHS)
}

pub(super) fn put_device(writer: &mut Writer, device: &DeviceId) {
    let flags = [
        (device.device_uuid.is_some(), DEVICE_UUID),
        (device.driver_uuid.is_some(), DRIVER_UUID),
        (device.render_node.is_some(), RENDER_NODE),
        (device.primary_node.is_some(), PRIMARY_NODE),
        (device.software, SOFTWARE),
    ];
    let set = flags.iter().filter(|(is, _)| *is);
    writer.u32(set.fold(0, |bits, (_, bit)| bits | bit));
    writer.u32(0);
    writer.bytes(&device.device_uuid.unwrap_or_default());
    writer.bytes(&device.driver_uuid.unwrap_or_default());
    for node in [device.render_node, device.primary_node] {
        writer.u32(node.map_or(0, |node| node.major));
        writer.u32(node.map_or(0, |node| node.minor));
    }
}

pub(super) fn take_device(reader: &mut Reader<'_>) -> Result<DeviceId> {
    let known = DEVICE_UUID | DRIVER_UUID | RENDER_NODE | PRIMARY_NODE | SOFTWARE;
    let flags = reader.flags("device.flags", known)?;
    reader.zero32("device.reserved")?;
    let device_uuid: [u8; 16] = reader.array("device.device_uuid")?;
    let driver_uuid: [u8; 16] = reader.array("device.driver_uuid")?;
    for (uuid, bit) in [(device_uuid, DEVICE_UUID), (driver_uuid, DRIVER_UUID)] {
        check_unnamed("device.uuid", flags & bit != 0, uuid == [0; 16])?;
    }
    let mut nodes = [None; 2];
    for (node, bit) in nodes.iter_mut().zip([RENDER_NODE, PRIMARY_NODE]) {
        let major = reader.u32("device.node.major")?;
        let minor = reader.u32("device.node.minor")?;
        check_unnamed("device.node", flags & bit != 0, major | minor == 0)?;
        *node = (flags & bit != 0).then_some(DrmNode { major, minor });
    }
    Ok(DeviceId {
        device_uuid: (flags & DEVICE_UUID != 0).then_some(device_uuid),
        driver_uuid: (flags & DRIVER_UUID != 0).then_some(driver_uuid),
        render_node: nodes[0],
        primary_node: nodes[1],
        software: flags & SOFTWARE != 0,
    })
}

/// Refuses bytes that no flag names: every message is said in one way only.
pub(super) fn check_unnamed(field: &'static str, named: bool, zero: bool) -> Result<()> {
    if named || zero {
        return Ok(());
    }
    Err(Malformed::new(
        field,
        "something",
        "zeros: no flag names it",
    ))
}

/// Yes or no, and the reasons of a no as one text.
fn put_support(writer: &mut Writer, support: &Support) {
    writer.text(u32::from(support.is_yes()), &support.reason(), MAX_TEXT);
}

fn take_support(reader: &mut Reader<'_>, field: &'static str) -> Result<Support> {
    let (yes, reason) = reader.text(field, MAX_TEXT)?;
    match yes {
        1 if reason.is_empty() => Ok(Support::Yes(())),
        1 => Err(Malformed::new(field, "yes, with a reason", "without one")),
        0 if reason.is_empty() => Ok(Support::No(Vec::new())),
        0 => Ok(Support::no(Requirement::other(reason))),
        other => Err(Malformed::new(field, other, "0 or 1")),
    }
}

pub(super) fn put_offer(writer: &mut Writer, offer: &Offer) -> Result<()> {
    put_device(writer, &offer.device);
    for path in MemoryPath::ALL {
        put_support(writer, &offer.path(path));
    }
    put_support(writer, &offer.fences.export);
    put_support(writer, &offer.fences.import);
    writer.text(0, &offer.name, MAX_NAME);
    // What was seen not to work is not offered to others.
    let entries: Vec<_> = offer.standing().collect();
    writer.count("offer.entries", entries.len(), MAX_ENTRIES)?;
    writer.u32(0);
    for entry in entries {
        check_tiling("entry.modifier", entry.path, entry.tiling)?;
        put_entry(writer, entry);
    }
    Ok(())
}

pub(super) fn take_offer(reader: &mut Reader<'_>) -> Result<Offer> {
    let device = take_device(reader)?;
    let mut paths = Vec::new();
    for path in MemoryPath::ALL {
        paths.push((path, take_support(reader, "offer.path")?));
    }
    let fences = FenceSupport {
        export: take_support(reader, "offer.fences.export")?,
        import: take_support(reader, "offer.fences.import")?,
    };
    let name = plain_text(reader, "offer.name", MAX_NAME)?;
    let count = reader.count("offer.entries", 0, MAX_ENTRIES)?;
    reader.zero32("offer.reserved")?;
    let entries = (0..count)
        .map(|_| take_entry(reader))
        .collect::<Result<_>>()?;
    Ok(Offer {
        name,
        device,
        paths,
        entries,
        withdrawn: Vec::new(),
        fences,
    })
}

fn put_entry(writer: &mut Writer, entry: &OfferEntry) {
    // Codes of paths are 1 to 3.
    writer.u8(u8::try_from(path_code(entry.path)).unwrap_or(0));
    writer.u8(entry.planes);
    let flags = [
        (entry.tiling.modifier().is_some(), EXPLICIT),
        (entry.exportable, EXPORTABLE),
        (entry.importable, IMPORTABLE),
        (entry.dedicated_only, DEDICATED_ONLY),
        (entry.external_only, EXTERNAL_ONLY),
    ];
    let set = flags.iter().filter(|(is, _)| *is);
    writer.u16(set.fold(0, |bits, (_, bit)| bits | bit));
    writer.u32(entry.format.fourcc());
    writer.u64(entry.tiling.modifier().map_or(0, Modifier::code));
    writer.u32(entry.usage.bits());
    writer.u32(entry.max_extent.width);
    writer.u32(entry.max_extent.height);
    writer.u32(0);
}

fn take_entry(reader: &mut Reader<'_>) -> Result<OfferEntry> {
    let path = decode_path("entry.path", u32::from(reader.u8("entry.path")?))?;
    let planes = reader.u8("entry.planes")?;
    let flags = reader.u16("entry.flags")?;
    let known = EXPLICIT | EXPORTABLE | IMPORTABLE | DEDICATED_ONLY | EXTERNAL_ONLY;
    if flags & !known != 0 {
        let limit = format!("bits of {known:#x}");
        return Err(Malformed::new("entry.flags", format!("{flags:#x}"), limit));
    }
    let format = Format::from_fourcc(reader.u32("entry.format")?);
    let modifier = reader.u64("entry.modifier")?;
    let tiling = decode_tiling("entry.modifier", flags & EXPLICIT != 0, modifier)?;
    check_tiling("entry.modifier", path, tiling)?;
    let usage = take_usage(reader, "entry.usage")?;
    let width = reader.u32("entry.max_width")?;
    let height = reader.u32("entry.max_height")?;
    reader.zero32("entry.reserved")?;
    Ok(OfferEntry {
        path,
        format,
        tiling,
        planes,
        usage,
        max_extent: Extent::new(width, height),
        exportable: flags & EXPORTABLE != 0,
        importable: flags & IMPORTABLE != 0,
        dedicated_only: flags & DEDICATED_ONLY != 0,
        external_only: flags & EXTERNAL_ONLY != 0,
    })
}

pub(super) fn take_usage(reader: &mut Reader<'_>, field: &'static str) -> Result<Usage> {
    let bits = reader.flags(field, Usage::all().bits())?;
    Ok(Usage::from_bits_truncate(bits))
}

/// A modifier where `explicit`; a zero otherwise.
pub(super) fn decode_tiling(field: &'static str, explicit: bool, code: u64) -> Result<Tiling> {
    if !explicit {
        return match code {
            0 => Ok(Tiling::Implicit),
            _ => Err(Malformed::new(
                field,
                format!("{code:#x}"),
                "0 for an implicit tiling",
            )),
        };
    }
    Modifier::new(code).map(Tiling::Explicit).ok_or_else(|| {
        let limit = "a layout, and not DRM_FORMAT_MOD_INVALID";
        Malformed::new(field, format!("{code:#x}"), limit)
    })
}

/// Refuses a tiling that memory of this path never has.
pub(super) fn check_tiling(field: &'static str, path: MemoryPath, tiling: Tiling) -> Result<()> {
    let linear = Tiling::Explicit(Modifier::LINEAR);
    let limit = match path {
        MemoryPath::OpaqueFd if tiling != Tiling::Implicit => "none for opaque memory",
        MemoryPath::HostMemory if tiling != linear => "LINEAR, with its flag, for host memory",
        _ => return Ok(()),
    };
    Err(Malformed::new(field, tiling, limit))
}
