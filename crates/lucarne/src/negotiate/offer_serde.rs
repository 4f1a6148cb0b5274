//! Offers written down and read back (feature `serde`): for reports, and for negotiating with a machine that is not here.
//!
//! The recorded form does not change when a field of [`Offer`] is renamed. Formats and modifiers are written as `XRGB8888`
//! and `0x0100000000000002`, usages as `RENDER | SAMPLE`, reasons as sentences.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::entry::{MemoryPath, OfferEntry, Usage};
use super::offer::{FenceSupport, Offer};
use super::strike::{Strike, StrikeReason};
use crate::device_id::{DeviceId, DrmNode};
use crate::error::{Requirement, Support};
use crate::format::Format;
use crate::layout::{Extent, Tiling};
use crate::modifier::Modifier;

const IMPLICIT: &str = "implicit";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded {
    name: String,
    device: RecordedDevice,
    paths: Vec<RecordedPath>,
    entries: Vec<RecordedEntry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    withdrawn: Vec<RecordedStrike>,
    fence_export: Vec<String>,
    fence_import: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordedDevice {
    device_uuid: Option<String>,
    driver_uuid: Option<String>,
    /// Major and minor number.
    render_node: Option<[u32; 2]>,
    primary_node: Option<[u32; 2]>,
    software: bool,
}

/// What is missing; nothing where the device has the path.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordedPath {
    path: String,
    missing: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordedEntry {
    path: String,
    format: String,
    tiling: String,
    planes: u8,
    usage: String,
    /// Width and height.
    max_extent: [u32; 2],
    exportable: bool,
    importable: bool,
    dedicated_only: bool,
    external_only: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordedStrike {
    path: String,
    format: Option<String>,
    modifier: Option<String>,
    reason: String,
}

impl Serialize for Offer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let paths = self.paths.iter();
        Recorded {
            name: self.name.clone(),
            device: write_device(&self.device),
            paths: paths
                .map(|(path, support)| RecordedPath {
                    path: path.name().to_owned(),
                    missing: write_support(support),
                })
                .collect(),
            entries: self.entries.iter().map(write_entry).collect(),
            withdrawn: self.withdrawn.iter().map(write_strike).collect(),
            fence_export: write_support(&self.fences.export),
            fence_import: write_support(&self.fences.import),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Offer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(Recorded::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

fn write_device(device: &DeviceId) -> RecordedDevice {
    let hex = |uuid: [u8; 16]| uuid.iter().map(|byte| format!("{byte:02x}")).collect();
    let node = |node: DrmNode| [node.major, node.minor];
    RecordedDevice {
        device_uuid: device.device_uuid.map(hex),
        driver_uuid: device.driver_uuid.map(hex),
        render_node: device.render_node.map(node),
        primary_node: device.primary_node.map(node),
        software: device.software,
    }
}

fn write_support(support: &Support) -> Vec<String> {
    match support {
        Support::Yes(()) => Vec::new(),
        // An empty list means yes.
        Support::No(missing) if missing.is_empty() => vec!["no reason was given".to_owned()],
        Support::No(missing) => missing.iter().map(ToString::to_string).collect(),
    }
}

fn write_entry(entry: &OfferEntry) -> RecordedEntry {
    RecordedEntry {
        path: entry.path.name().to_owned(),
        format: write_format(entry.format),
        tiling: match entry.tiling {
            Tiling::Implicit => IMPLICIT.to_owned(),
            Tiling::Explicit(modifier) => write_modifier(modifier),
        },
        planes: entry.planes,
        usage: entry.usage.to_string(),
        max_extent: [entry.max_extent.width, entry.max_extent.height],
        exportable: entry.exportable,
        importable: entry.importable,
        dedicated_only: entry.dedicated_only,
        external_only: entry.external_only,
    }
}

fn write_strike(strike: &Strike) -> RecordedStrike {
    RecordedStrike {
        path: strike.path.name().to_owned(),
        format: strike.format.map(write_format),
        modifier: strike.modifier.map(write_modifier),
        reason: strike.reason.to_string(),
    }
}

fn write_format(format: Format) -> String {
    match format.name() {
        Some(name) => name.to_owned(),
        None => format!("{:#010x}", format.fourcc()),
    }
}

fn write_modifier(modifier: Modifier) -> String {
    format!("{:#018x}", modifier.code())
}

fn read(recorded: Recorded) -> Result<Offer, String> {
    let paths = recorded.paths.into_iter();
    let strikes = recorded.withdrawn.into_iter();
    Ok(Offer {
        name: recorded.name,
        device: read_device(&recorded.device)?,
        paths: paths
            .map(|one| Ok((read_path(&one.path)?, read_support(one.missing))))
            .collect::<Result<_, String>>()?,
        entries: recorded
            .entries
            .iter()
            .map(read_entry)
            .collect::<Result<_, _>>()?,
        withdrawn: strikes.map(read_strike).collect::<Result<_, _>>()?,
        fences: FenceSupport {
            export: read_support(recorded.fence_export),
            import: read_support(recorded.fence_import),
        },
    })
}

fn read_device(device: &RecordedDevice) -> Result<DeviceId, String> {
    let uuid = |text: &Option<String>| text.as_deref().map(read_uuid).transpose();
    let node = |node: [u32; 2]| DrmNode {
        major: node[0],
        minor: node[1],
    };
    Ok(DeviceId {
        device_uuid: uuid(&device.device_uuid)?,
        driver_uuid: uuid(&device.driver_uuid)?,
        render_node: device.render_node.map(node),
        primary_node: device.primary_node.map(node),
        software: device.software,
    })
}

fn read_uuid(text: &str) -> Result<[u8; 16], String> {
    let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match u128::from_str_radix(text, 16) {
        Ok(number) if digits => Ok(number.to_be_bytes()),
        _ => Err(format!("{text:?} is no UUID of 32 hexadecimal digits")),
    }
}

fn read_path(name: &str) -> Result<MemoryPath, String> {
    let found = MemoryPath::ALL.into_iter().find(|path| path.name() == name);
    found.ok_or_else(|| format!("{name:?} is no memory path"))
}

/// The reasons come back as sentences, whatever they were made of.
fn read_support(missing: Vec<String>) -> Support {
    if missing.is_empty() {
        return Support::Yes(());
    }
    Support::No(missing.into_iter().map(Requirement::Other).collect())
}

fn read_entry(entry: &RecordedEntry) -> Result<OfferEntry, String> {
    let tiling = match entry.tiling.as_str() {
        IMPLICIT => Tiling::Implicit,
        explicit => Tiling::Explicit(read_modifier(explicit)?),
    };
    let usage = bitflags::parser::from_str_strict::<Usage>(&entry.usage)
        .map_err(|error| format!("usage {:?}: {error}", entry.usage))?;
    Ok(OfferEntry {
        path: read_path(&entry.path)?,
        format: read_format(&entry.format)?,
        tiling,
        planes: entry.planes,
        usage,
        max_extent: Extent::new(entry.max_extent[0], entry.max_extent[1]),
        exportable: entry.exportable,
        importable: entry.importable,
        dedicated_only: entry.dedicated_only,
        external_only: entry.external_only,
    })
}

fn read_strike(strike: RecordedStrike) -> Result<Strike, String> {
    Ok(Strike {
        path: read_path(&strike.path)?,
        format: strike.format.as_deref().map(read_format).transpose()?,
        modifier: strike.modifier.as_deref().map(read_modifier).transpose()?,
        reason: StrikeReason::Text(strike.reason),
    })
}

fn read_format(text: &str) -> Result<Format, String> {
    text.parse().map_err(|error| format!("{error}"))
}

fn read_modifier(text: &str) -> Result<Modifier, String> {
    text.parse().map_err(|error| format!("{error}"))
}
