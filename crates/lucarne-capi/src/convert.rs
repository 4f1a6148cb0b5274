//! C's words to Rust's and back: numbers that are checked on the way in.

use std::time::Duration;

use lucarne::color::{
    AlphaMode, ChromaSiting, ColorDescription, Matrix, Orientation, Primaries, Range, Transfer,
};
use lucarne::kernel::FenceRole;
use lucarne::negotiate::{FencePath, Side};
use lucarne::vulkan::Access;
use lucarne::{Component, MemoryPath, Requirement, Usage, cpu};
use lucarne_stream::{Delivery, TicketAccess};

use crate::failure::{Failure, Result};
use crate::ffi::*;

const PATHS: [(u32, MemoryPath); 3] = [
    (LUCARNE_PATH_DMA_BUF, MemoryPath::DmaBuf),
    (LUCARNE_PATH_OPAQUE_FD, MemoryPath::OpaqueFd),
    (LUCARNE_PATH_HOST_MEMORY, MemoryPath::HostMemory),
];
const ACCESSES: [(u32, Access); 5] = [
    (LUCARNE_ACCESS_COLOR_ATTACHMENT, Access::ColorAttachment),
    (
        LUCARNE_ACCESS_TRANSFER_DESTINATION,
        Access::TransferDestination,
    ),
    (LUCARNE_ACCESS_TRANSFER_SOURCE, Access::TransferSource),
    (LUCARNE_ACCESS_SAMPLED, Access::Sampled),
    (LUCARNE_ACCESS_STORAGE, Access::Storage),
];
const DELIVERIES: [(u32, Delivery); 2] = [
    (LUCARNE_DELIVERY_LATEST, Delivery::Latest),
    (LUCARNE_DELIVERY_EVERY, Delivery::Every),
];

const ROLES: [(u32, FenceRole); 2] = [
    (LUCARNE_FENCE_ROLE_ACQUIRE, FenceRole::Acquire),
    (LUCARNE_FENCE_ROLE_RELEASE, FenceRole::Release),
];

const ALPHAS: [(u32, AlphaMode); 4] = [
    (LUCARNE_ALPHA_OPAQUE, AlphaMode::Opaque),
    (LUCARNE_ALPHA_STRAIGHT, AlphaMode::Straight),
    (LUCARNE_ALPHA_PREMULTIPLIED, AlphaMode::Premultiplied),
    (
        LUCARNE_ALPHA_PREMULTIPLIED_OPTICAL,
        AlphaMode::PremultipliedOptical,
    ),
];
const TICKET_ACCESSES: [(u32, TicketAccess); 2] = [
    (LUCARNE_TICKET_READ, TicketAccess::Read),
    (LUCARNE_TICKET_READ_WRITE, TicketAccess::ReadWrite),
];

const COMPONENTS: [(u32, Component); 8] = [
    (LUCARNE_COMPONENT_PADDING, Component::Padding),
    (LUCARNE_COMPONENT_RED, Component::Red),
    (LUCARNE_COMPONENT_GREEN, Component::Green),
    (LUCARNE_COMPONENT_BLUE, Component::Blue),
    (LUCARNE_COMPONENT_ALPHA, Component::Alpha),
    (LUCARNE_COMPONENT_LUMA, Component::Luma),
    (LUCARNE_COMPONENT_CB, Component::Cb),
    (LUCARNE_COMPONENT_CR, Component::Cr),
];

/// The word behind a number.
fn word<T: Copy>(table: &[(u32, T)], name: &str, code: u32) -> Result<T> {
    let found = table.iter().find(|(known, _)| *known == code);
    found.map(|(_, word)| *word).ok_or_else(|| {
        let known: Vec<String> = table.iter().map(|(code, _)| code.to_string()).collect();
        Failure::argument(name, code, format!("one of {}", known.join(", ")))
    })
}

/// The number of a word.
fn code<T: PartialEq>(table: &[(u32, T)], word: &T) -> u32 {
    let found = table.iter().find(|(_, known)| known == word);
    found.map_or(0, |(code, _)| *code)
}

pub(crate) fn path(code: u32) -> Result<MemoryPath> {
    word(&PATHS, "path", code)
}

pub(crate) fn path_code(path: MemoryPath) -> u32 {
    code(&PATHS, &path)
}

pub(crate) fn access(code: u32) -> Result<Access> {
    word(&ACCESSES, "access", code)
}

pub(crate) fn fence_role(code: u32) -> Result<FenceRole> {
    word(&ROLES, "role", code)
}

pub(crate) fn delivery(code: u32) -> Result<Delivery> {
    word(&DELIVERIES, "delivery", code)
}

pub(crate) fn delivery_code(delivery: Delivery) -> u32 {
    code(&DELIVERIES, &delivery)
}

pub(crate) fn component_code(component: Component) -> u32 {
    code(&COMPONENTS, &component)
}

pub(crate) fn ticket_access(code: u32) -> Result<TicketAccess> {
    word(&TICKET_ACCESSES, "access", code)
}

pub(crate) fn color_codes(color: &ColorDescription) -> lucarne_color {
    lucarne_color {
        primaries: color.primaries.code().into(),
        transfer: color.transfer.code().into(),
        matrix: color.matrix.code().into(),
        range: color.range.code().into(),
        siting: color.siting.code().into(),
        alpha: code(&ALPHAS, &color.alpha),
        orientation: color.orientation.code().into(),
        reserved: 0,
    }
}

pub(crate) fn color(codes: &lucarne_color) -> Result<ColorDescription> {
    zero("color.reserved", codes.reserved)?;
    Ok(ColorDescription {
        primaries: term(
            "color.primaries",
            codes.primaries,
            Primaries::from_code,
            Primaries::ALL.iter().map(|one| one.code()),
        )?,
        transfer: term(
            "color.transfer",
            codes.transfer,
            Transfer::from_code,
            Transfer::ALL.iter().map(|one| one.code()),
        )?,
        matrix: term(
            "color.matrix",
            codes.matrix,
            Matrix::from_code,
            Matrix::ALL.iter().map(|one| one.code()),
        )?,
        range: term(
            "color.range",
            codes.range,
            Range::from_code,
            Range::ALL.iter().map(|one| one.code()),
        )?,
        siting: term(
            "color.siting",
            codes.siting,
            ChromaSiting::from_code,
            ChromaSiting::ALL.iter().map(|one| one.code()),
        )?,
        alpha: word(&ALPHAS, "color.alpha", codes.alpha)?,
        orientation: term(
            "color.orientation",
            codes.orientation,
            Orientation::from_code,
            Orientation::ALL.iter().map(|one| one.code()),
        )?,
    })
}

/// The term of a standard's number.
fn term<T>(
    name: &str,
    code: u32,
    from_code: impl Fn(u8) -> Option<T>,
    known: impl Iterator<Item = u8>,
) -> Result<T> {
    let found = u8::try_from(code).ok().and_then(from_code);
    found.ok_or_else(|| {
        let known: Vec<String> = known.map(|code| code.to_string()).collect();
        Failure::argument(name, code, format!("one of {}", known.join(", ")))
    })
}

/// Bits that are all known.
pub(crate) fn usage(name: &str, bits: u32) -> Result<Usage> {
    Usage::from_bits(bits).ok_or_else(|| {
        let limit = format!("made of the bits of {:#x}", Usage::all().bits());
        Failure::argument(name, format!("{bits:#x}"), limit)
    })
}

/// A yes or no from C.
pub(crate) fn flag(name: &str, value: u32) -> Result<bool> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(Failure::argument(name, other, "0 or 1")),
    }
}

/// What a later release may give a meaning to.
pub(crate) fn zero(name: &str, value: u32) -> Result<()> {
    if value == 0 {
        return Ok(());
    }
    Err(Failure::argument(name, value, "0"))
}

/// Which allocators to try, best first.
pub(crate) fn allocators(code: u32) -> Result<Vec<cpu::Adapter>> {
    let one = |allocator| Ok(vec![cpu::Adapter::new(allocator)]);
    match code {
        LUCARNE_ALLOCATOR_BEST => Ok(cpu::Adapter::enumerate()),
        LUCARNE_ALLOCATOR_UDMABUF => one(cpu::Allocator::Udmabuf),
        LUCARNE_ALLOCATOR_DMA_HEAP => one(cpu::Allocator::DmaHeap(
            lucarne::kernel::DmaHeap::SYSTEM.to_owned(),
        )),
        LUCARNE_ALLOCATOR_HOST_MEMORY => one(cpu::Allocator::HostMemory),
        other => Err(Failure::argument("allocator", other, "0 to 3")),
    }
}

pub(crate) fn side(side: Option<Side>) -> u32 {
    match side {
        None => LUCARNE_SIDE_NONE,
        Some(Side::Producer) => LUCARNE_SIDE_PRODUCER,
        Some(Side::Consumer) => LUCARNE_SIDE_CONSUMER,
    }
}

pub(crate) fn fence_path(path: &FencePath) -> u32 {
    match path {
        FencePath::SyncFile => LUCARNE_FENCE_PATH_SYNC_FILE,
        FencePath::CpuWait(_) => LUCARNE_FENCE_PATH_CPU_WAIT,
    }
}

/// What a requirement is, for programs.
pub(crate) struct Named {
    pub(crate) kind: u32,
    pub(crate) name: String,
    /// Enabling or permitting it would be enough.
    pub(crate) available: bool,
}

pub(crate) fn requirement(requirement: &Requirement) -> Named {
    let named = |kind, name: &str| Named {
        kind,
        name: name.to_owned(),
        available: false,
    };
    match requirement {
        Requirement::Extension {
            name, available, ..
        } => Named {
            available: *available,
            ..named(LUCARNE_REQUIREMENT_EXTENSION, name)
        },
        Requirement::Version { api, .. } => named(LUCARNE_REQUIREMENT_VERSION, api),
        Requirement::DeviceNode {
            path, available, ..
        } => Named {
            available: *available,
            ..named(LUCARNE_REQUIREMENT_DEVICE_NODE, &path.to_string_lossy())
        },
        Requirement::Library { name, .. } => named(LUCARNE_REQUIREMENT_LIBRARY, name),
        Requirement::LoadedDriver { api, .. } => named(LUCARNE_REQUIREMENT_LOADED_DRIVER, api),
        Requirement::Quirk { name, .. } => named(LUCARNE_REQUIREMENT_QUIRK, name),
        Requirement::Capability { name, .. } => named(LUCARNE_REQUIREMENT_CAPABILITY, name),
        Requirement::QueueFamily { kind } => named(LUCARNE_REQUIREMENT_QUEUE_FAMILY, kind),
        Requirement::Package { package, .. } => named(LUCARNE_REQUIREMENT_PACKAGE, package),
        Requirement::TrustedProducer { setting } => {
            named(LUCARNE_REQUIREMENT_TRUSTED_PRODUCER, setting)
        }
        _ => named(LUCARNE_REQUIREMENT_OTHER, ""),
    }
}

/// Nanoseconds, as Vulkan counts them.
pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_comes_back() {
        for (number, path) in PATHS {
            assert_eq!(super::path(number).expect("known"), path);
            assert_eq!(path_code(path), number);
        }
        assert_eq!(PATHS.len(), MemoryPath::ALL.len());
        for (number, delivery) in DELIVERIES {
            assert_eq!(super::delivery(number).expect("known"), delivery);
            assert_eq!(delivery_code(delivery), number);
        }
        for (number, access) in ACCESSES {
            assert_eq!(super::access(number).expect("known"), access);
        }
    }

    #[test]
    fn bits_are_the_cores() {
        let bits = [
            (LUCARNE_USAGE_RENDER, Usage::RENDER),
            (LUCARNE_USAGE_SAMPLE, Usage::SAMPLE),
            (LUCARNE_USAGE_TRANSFER_SOURCE, Usage::TRANSFER_SOURCE),
            (
                LUCARNE_USAGE_TRANSFER_DESTINATION,
                Usage::TRANSFER_DESTINATION,
            ),
            (LUCARNE_USAGE_STORAGE, Usage::STORAGE),
        ];
        let mut all = Usage::empty();
        for (number, word) in bits {
            assert_eq!(usage("usage", number).expect("known"), word);
            all |= word;
        }
        assert_eq!(all, Usage::all());
    }

    #[test]
    fn what_is_no_word_is_named() {
        let error = path(7).expect_err("no path").message;
        assert_eq!(error, "path is 7, but must be one of 1, 2, 3");
        let error = usage("producer", 1 << 20).expect_err("no usage").message;
        assert!(error.contains("producer is 0x100000"), "{error}");
        assert!(access(0).is_err() && delivery(0).is_err() && allocators(9).is_err());
    }
}
