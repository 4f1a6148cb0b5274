//! What a generation looks like: geometry of its slots, and how it came to be agreed on.

use lucarne::color::ColorDescription;
use lucarne::negotiate::{FencePath, Reason, RefusedRung};
use lucarne::{
    Comparison, DeviceId, Extent, Format, FrameLayout, MAX_PLANES, MemoryPath, Modifier, Plane,
    Rung, Tiling, Usage,
};

use super::codec::{Malformed, Reader, Result, Writer, check_count, one_of, plain_text};
use super::color::{put_color, take_color};
use super::offer::{
    check_tiling, decode_path, decode_tiling, path_code, put_device, take_device, take_usage,
};
use super::{FIXED_DESCRIPTORS, MAX_NAME, MAX_SLOTS, MAX_TEXT};

pub(super) const RUNGS: [(u32, Rung); 4] = [
    (1, Rung::TiledDmaBuf),
    (2, Rung::LinearDmaBuf),
    (3, Rung::OpaqueFd),
    (4, Rung::HostMemory),
];

const COMPARISONS: [(u32, Comparison); 3] = [
    (1, Comparison::Same),
    (2, Comparison::Different),
    (3, Comparison::Unknown),
];

/// Geometry of one frame and how many kernel objects it lies in; without the objects themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotLayout {
    /// The tiling; implicit for opaque memory.
    pub tiling: Tiling,
    /// Descriptors that the slot has.
    pub objects: usize,
    /// The memory planes; none for opaque memory.
    pub planes: Vec<Plane>,
    /// The size that opaque memory was allocated with, in bytes; 0 for other memory, whose size the kernel tells.
    pub allocation_bytes: u64,
}

impl SlotLayout {
    /// The layout of a frame as it goes on the wire.
    pub fn of(layout: &FrameLayout, allocation_bytes: u64) -> Self {
        Self {
            tiling: layout.tiling(),
            objects: layout.objects().max(1),
            planes: layout.planes().to_vec(),
            allocation_bytes,
        }
    }
}

/// A new generation: what its frames look like, and what both sides will do with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configure {
    /// The protocol version that holds from here on.
    pub version: u32,
    /// Which generation; each is higher than the one before.
    pub generation: u64,
    /// The frames' size.
    pub extent: Extent,
    /// Their format.
    pub format: Format,
    /// What their numbers mean; right for the format.
    pub color: ColorDescription,
    /// The rung of the ladder; says the memory path too.
    pub rung: Rung,
    /// Whether both sides are one device.
    pub devices: Comparison,
    /// What the producer does with frames.
    pub producer_usage: Usage,
    /// What the consumer does with frames.
    pub consumer_usage: Usage,
    /// The device whose memory it is.
    pub device: DeviceId,
    /// How acquire fences reach the consumer.
    pub acquire: FencePath,
    /// How release fences reach the producer.
    pub release: FencePath,
    /// Every better rung and why it was refused; three at most.
    pub refused: Vec<RefusedRung>,
    /// The producer's name for its device.
    pub producer: String,
    /// The slots, [`MAX_SLOTS`] at most.
    pub slots: Vec<SlotLayout>,
}

impl Configure {
    /// One slot's frame by itself.
    pub(crate) fn frame(&self, slot: &SlotLayout) -> FrameMessage {
        FrameMessage {
            extent: self.extent,
            format: self.format,
            color: self.color,
            path: self.rung.path(),
            device: self.device.clone(),
            slot: slot.clone(),
        }
    }

    /// How many descriptors come with it: the ring, and each slot's objects.
    pub fn descriptors(&self) -> usize {
        let objects: usize = self.slots.iter().map(|slot| slot.objects).sum();
        FIXED_DESCRIPTORS + objects
    }

    pub(super) fn put(&self, writer: &mut Writer) -> Result<()> {
        writer.u32(self.version);
        writer.count("configure.slots", self.slots.len(), MAX_SLOTS)?;
        check_count("configure.slots", self.slots.len(), 1, MAX_SLOTS)?;
        writer.u64(self.generation);
        writer.u32(self.extent.width);
        writer.u32(self.extent.height);
        writer.u32(self.format.fourcc());
        writer.u32(u32::from(self.rung.number()));
        writer.u32(match self.devices {
            Comparison::Same => 1,
            Comparison::Different => 2,
            Comparison::Unknown => 3,
        });
        writer.u32(self.producer_usage.bits());
        writer.u32(self.consumer_usage.bits());
        writer.count("configure.refused", self.refused.len(), RUNGS.len() - 1)?;
        put_color(writer, &self.color, self.format)?;
        put_device(writer, &self.device);
        put_fence_path(writer, &self.acquire);
        put_fence_path(writer, &self.release);
        for refused in &self.refused {
            let rung = u32::from(refused.rung.number());
            writer.text(rung, &refused.reason.to_string(), MAX_TEXT);
        }
        writer.text(0, &self.producer, MAX_NAME);
        for slot in &self.slots {
            check_rung(self.rung, slot.tiling)?;
            put_slot(writer, slot, self.rung.path())?;
        }
        Ok(())
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<Self> {
        let version = reader.u32("configure.version")?;
        let slots = reader.count("configure.slots", 1, MAX_SLOTS)?;
        let generation = reader.u64("configure.generation")?;
        let extent = take_extent(reader)?;
        let format = Format::from_fourcc(reader.u32("configure.format")?);
        let rung = one_of("configure.rung", reader.u32("configure.rung")?, &RUNGS)?;
        let devices = reader.u32("configure.devices")?;
        let devices = one_of("configure.devices", devices, &COMPARISONS)?;
        let producer_usage = take_usage(reader, "configure.producer_usage")?;
        let consumer_usage = take_usage(reader, "configure.consumer_usage")?;
        let refused = reader.count("configure.refused", 0, RUNGS.len() - 1)?;
        let color = take_color(reader, format)?;
        Ok(Self {
            version,
            generation,
            extent,
            format,
            color,
            rung,
            devices,
            producer_usage,
            consumer_usage,
            device: take_device(reader)?,
            acquire: take_fence_path(reader, "configure.acquire")?,
            release: take_fence_path(reader, "configure.release")?,
            refused: (0..refused)
                .map(|_| take_refused_rung(reader))
                .collect::<Result<_>>()?,
            producer: plain_text(reader, "configure.producer", MAX_NAME)?,
            slots: (0..slots)
                .map(|_| {
                    let slot = take_slot(reader, rung.path())?;
                    check_rung(rung, slot.tiling)?;
                    Ok(slot)
                })
                .collect::<Result<_>>()?,
        })
    }
}

/// Refuses a tiling of another rung's: what a consumer is told of its rung must be so.
fn check_rung(rung: Rung, tiling: Tiling) -> Result<()> {
    if rung.takes(rung.path(), tiling) {
        return Ok(());
    }
    let limit = match rung {
        Rung::LinearDmaBuf => "LINEAR on rung 2",
        _ => "anything but LINEAR on rung 1",
    };
    Err(Malformed::new("slot.modifier", tiling, limit))
}

pub(super) fn take_extent(reader: &mut Reader<'_>) -> Result<Extent> {
    let extent = Extent::new(reader.u32("extent.width")?, reader.u32("extent.height")?);
    match extent.check() {
        Ok(()) => Ok(extent),
        Err(_) => Err(Malformed::new(
            "extent",
            extent,
            format!("1 to {} pixels each way", lucarne::MAX_EXTENT),
        )),
    }
}

fn put_fence_path(writer: &mut Writer, path: &FencePath) {
    match path {
        FencePath::SyncFile => writer.text(1, "", MAX_TEXT),
        FencePath::CpuWait(reason) => writer.text(2, &reason.to_string(), MAX_TEXT),
    }
}

fn take_fence_path(reader: &mut Reader<'_>, field: &'static str) -> Result<FencePath> {
    match reader.text(field, MAX_TEXT)? {
        (1, reason) if reason.is_empty() => Ok(FencePath::SyncFile),
        (1, _) => Err(Malformed::new(field, "1 with a reason", "without one")),
        (2, reason) => Ok(FencePath::CpuWait(Reason::Text(reason))),
        (other, _) => Err(Malformed::new(field, other, "one of 1, 2")),
    }
}

fn take_refused_rung(reader: &mut Reader<'_>) -> Result<RefusedRung> {
    let (rung, reason) = reader.text("configure.refused", MAX_TEXT)?;
    let rung = one_of("configure.refused.rung", rung, &RUNGS)?;
    let reason = Reason::Text(reason);
    Ok(RefusedRung { rung, reason })
}

pub(super) fn put_slot(writer: &mut Writer, slot: &SlotLayout, path: MemoryPath) -> Result<()> {
    check_slot(slot, path)?;
    writer.u64(slot.tiling.modifier().map_or(0, Modifier::code));
    writer.u32(u32::from(slot.tiling.modifier().is_some()));
    writer.count("slot.objects", slot.objects, MAX_PLANES)?;
    writer.count("slot.planes", slot.planes.len(), MAX_PLANES)?;
    writer.u32(0);
    writer.u64(slot.allocation_bytes);
    for index in 0..MAX_PLANES {
        let plane = slot.planes.get(index);
        writer.u64(plane.map_or(0, |plane| plane.object as u64));
        writer.u64(plane.map_or(0, |plane| plane.offset));
        writer.u64(plane.map_or(0, |plane| plane.pitch));
    }
    Ok(())
}

pub(super) fn take_slot(reader: &mut Reader<'_>, path: MemoryPath) -> Result<SlotLayout> {
    let modifier = reader.u64("slot.modifier")?;
    let explicit = reader.flags("slot.flags", 1)? == 1;
    let objects = reader.count("slot.objects", 1, MAX_PLANES)?;
    let count = reader.count("slot.planes", 0, MAX_PLANES)?;
    reader.zero32("slot.reserved")?;
    let allocation_bytes = reader.u64("slot.allocation_bytes")?;
    let mut planes = Vec::with_capacity(count);
    for index in 0..MAX_PLANES {
        let object = reader.u64("plane.object")?;
        let offset = reader.u64("plane.offset")?;
        let pitch = reader.u64("plane.pitch")?;
        if index >= count {
            if object | offset | pitch != 0 {
                let limit = "zeros: the slot has no such plane";
                return Err(Malformed::new("plane", format!("plane {index}"), limit));
            }
            continue;
        }
        planes.push(Plane {
            object: usize::try_from(object).unwrap_or(usize::MAX),
            offset,
            pitch,
        });
    }
    let slot = SlotLayout {
        tiling: decode_tiling("slot.modifier", explicit, modifier)?,
        objects,
        planes,
        allocation_bytes,
    };
    check_slot(&slot, path)?;
    Ok(slot)
}

/// What can be told without the memory; [`FrameLayout::new`] tells the rest.
fn check_slot(slot: &SlotLayout, path: MemoryPath) -> Result<()> {
    let opaque = path == MemoryPath::OpaqueFd;
    let most = if path == MemoryPath::DmaBuf {
        MAX_PLANES
    } else {
        1
    };
    check_count("slot.objects", slot.objects, 1, most)?;
    let (fewest, most) = if opaque { (0, 0) } else { (1, MAX_PLANES) };
    check_count("slot.planes", slot.planes.len(), fewest, most)?;
    for plane in &slot.planes {
        check_count("plane.object", plane.object, 0, slot.objects - 1)?;
    }
    if opaque != (slot.allocation_bytes != 0) {
        let limit = "a size for opaque memory, and 0 for any other";
        let got = slot.allocation_bytes;
        return Err(Malformed::new("slot.allocation_bytes", got, limit));
    }
    check_tiling("slot.modifier", path, slot.tiling)
}

/// One frame by itself, on a socket of the program's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameMessage {
    /// Its size.
    pub extent: Extent,
    /// Its format.
    pub format: Format,
    /// What its numbers mean; right for the format.
    pub color: ColorDescription,
    /// The kind of memory.
    pub path: MemoryPath,
    /// The device whose memory it is.
    pub device: DeviceId,
    /// Its geometry.
    pub slot: SlotLayout,
}

impl FrameMessage {
    pub(super) fn put(&self, writer: &mut Writer) -> Result<()> {
        writer.u32(self.extent.width);
        writer.u32(self.extent.height);
        writer.u32(self.format.fourcc());
        writer.u32(path_code(self.path));
        put_color(writer, &self.color, self.format)?;
        put_device(writer, &self.device);
        put_slot(writer, &self.slot, self.path)
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<Self> {
        let extent = take_extent(reader)?;
        let format = Format::from_fourcc(reader.u32("frame.format")?);
        let path = decode_path("frame.path", reader.u32("frame.path")?)?;
        Ok(Self {
            extent,
            format,
            color: take_color(reader, format)?,
            path,
            device: take_device(reader)?,
            slot: take_slot(reader, path)?,
        })
    }
}
