//! Round trips, mutations and limits.

use lucarne::color::{ChromaSiting, ColorDescription, Orientation, Primaries, Range, Transfer};
use lucarne::negotiate::{
    self, FencePath, FenceSupport, OfferEntry, RefusedRung, Strike, StrikeReason,
};
use lucarne::{
    Comparison, DeviceId, DrmNode, Extent, Format, MAX_EXTENT, MemoryPath, Modifier, Offer, Plane,
    Requirement, Rung, Support, Tiling, Usage,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

fn text(max: usize) -> impl Strategy<Value = String> {
    let characters = prop_oneof![Just('a'), Just('é'), Just('…'), Just('𝄞'), Just(' ')];
    vec(characters, 0..max / 4).prop_map(|all| all.into_iter().collect())
}

fn device() -> impl Strategy<Value = DeviceId> {
    let node = || option::of((any::<u32>(), any::<u32>()));
    let uuid = || option::of(any::<[u8; 16]>());
    let to_node = |(major, minor)| DrmNode { major, minor };
    (uuid(), uuid(), node(), node(), any::<bool>()).prop_map(move |parts| DeviceId {
        device_uuid: parts.0,
        driver_uuid: parts.1,
        render_node: parts.2.map(to_node),
        primary_node: parts.3.map(to_node),
        software: parts.4,
    })
}

fn support() -> impl Strategy<Value = Support> {
    prop_oneof![
        Just(Support::Yes(())),
        Just(Support::No(Vec::new())),
        text(MAX_TEXT)
            .prop_map(|reason| { Support::no(Requirement::other(format!("needs {reason}"))) }),
    ]
}

fn tiling() -> impl Strategy<Value = Tiling> {
    let explicit = any::<u64>().prop_filter_map("not INVALID", Modifier::new);
    prop_oneof![Just(Tiling::Implicit), explicit.prop_map(Tiling::Explicit)]
}

fn path() -> impl Strategy<Value = MemoryPath> {
    prop::sample::select(MemoryPath::ALL.to_vec())
}

fn usage() -> impl Strategy<Value = Usage> {
    any::<u32>().prop_map(Usage::from_bits_truncate)
}

fn extent() -> impl Strategy<Value = Extent> {
    (1..=MAX_EXTENT, 1..=MAX_EXTENT).prop_map(|(width, height)| Extent::new(width, height))
}

fn entry() -> impl Strategy<Value = OfferEntry> {
    let memory = rung().prop_flat_map(|rung| (Just(rung.path()), tiling_of(rung)));
    let what = (memory, any::<u32>(), any::<u8>(), usage());
    let flags = any::<[bool; 4]>();
    (what, extent(), flags).prop_map(|(what, max_extent, flags)| OfferEntry {
        path: what.0.0,
        format: Format::from_fourcc(what.1),
        tiling: what.0.1,
        planes: what.2,
        usage: what.3,
        max_extent,
        exportable: flags[0],
        importable: flags[1],
        dedicated_only: flags[2],
        external_only: flags[3],
    })
}

fn offer() -> impl Strategy<Value = Offer> {
    let paths = [support(), support(), support()];
    (
        text(MAX_NAME),
        device(),
        paths,
        vec(entry(), 0..9),
        support(),
        support(),
    )
        .prop_map(|parts| Offer {
            name: parts.0,
            device: parts.1,
            paths: MemoryPath::ALL.into_iter().zip(parts.2).collect(),
            entries: parts.3,
            withdrawn: Vec::new(),
            fences: FenceSupport {
                export: parts.4,
                import: parts.5,
            },
        })
}

/// What a rung's memory is tiled like.
fn tiling_of(rung: Rung) -> BoxedStrategy<Tiling> {
    let linear = Tiling::Explicit(Modifier::LINEAR);
    match rung {
        Rung::TiledDmaBuf => tiling()
            .prop_filter("tiled", move |one| *one != linear)
            .boxed(),
        Rung::OpaqueFd => Just(Tiling::Implicit).boxed(),
        Rung::LinearDmaBuf | Rung::HostMemory => Just(linear).boxed(),
    }
}

fn slot(rung: Rung) -> impl Strategy<Value = SlotLayout> {
    let objects = if rung.path() == MemoryPath::DmaBuf {
        4_usize
    } else {
        1
    };
    (1..=objects, tiling_of(rung), 1..u64::MAX).prop_flat_map(move |(objects, tiling, bytes)| {
        let plane = (0..objects, any::<u64>(), any::<u64>());
        let plane = plane.prop_map(|(object, offset, pitch)| Plane {
            object,
            offset,
            pitch,
        });
        vec(plane, 1..=4).prop_map(move |planes| {
            let opaque = rung == Rung::OpaqueFd;
            SlotLayout {
                tiling,
                objects,
                planes: if opaque { Vec::new() } else { planes },
                allocation_bytes: if opaque { bytes } else { 0 },
            }
        })
    })
}

fn fence_path() -> impl Strategy<Value = FencePath> {
    let reason = text(MAX_TEXT).prop_map(|text| FencePath::CpuWait(negotiate::Reason::Text(text)));
    prop_oneof![Just(FencePath::SyncFile), reason]
}

fn rung() -> impl Strategy<Value = Rung> {
    prop::sample::select(Rung::ALL.to_vec())
}

/// A format, and a description that is right for it; for a format that nobody knows, any.
fn color() -> impl Strategy<Value = (Format, ColorDescription)> {
    let known = prop::sample::select(Format::ALL.to_vec()).prop_map(|info| info.format);
    let format = prop_oneof![known, any::<u32>().prop_map(Format::from_fourcc)];
    let terms = (
        prop::sample::select(Primaries::ALL),
        prop::sample::select(Transfer::ALL),
        prop::sample::select(Range::ALL),
        prop::sample::select(ChromaSiting::ALL),
        prop::sample::select(Orientation::ALL),
    );
    (format, terms).prop_map(|(format, terms)| {
        let base = format.info().map(ColorDescription::default_for);
        let color = ColorDescription {
            primaries: terms.0,
            transfer: terms.1,
            range: terms.2,
            siting: terms.3,
            orientation: terms.4,
            ..base.unwrap_or(ColorDescription::SRGB)
        };
        (format, color)
    })
}

fn configure() -> impl Strategy<Value = Configure> {
    let compared = [Comparison::Same, Comparison::Different, Comparison::Unknown];
    let numbers = (any::<u32>(), any::<u64>(), extent(), color());
    let sides = (
        prop::sample::select(compared.to_vec()),
        usage(),
        usage(),
        device(),
    );
    let refused = (rung(), text(MAX_TEXT).prop_map(negotiate::Reason::Text));
    let refused = refused.prop_map(|(rung, reason)| RefusedRung { rung, reason });
    let texts = (
        fence_path(),
        fence_path(),
        vec(refused, 0..=3),
        text(MAX_NAME),
    );
    let slots = rung().prop_flat_map(|rung| (Just(rung), vec(slot(rung), 1..=MAX_SLOTS)));
    (numbers, sides, texts, slots).prop_map(|(numbers, sides, texts, slots)| Configure {
        version: numbers.0,
        generation: numbers.1,
        extent: numbers.2,
        format: numbers.3.0,
        color: numbers.3.1,
        rung: slots.0,
        devices: sides.0,
        producer_usage: sides.1,
        consumer_usage: sides.2,
        device: sides.3,
        acquire: texts.0,
        release: texts.1,
        refused: texts.2,
        producer: texts.3,
        slots: slots.1,
    })
}

fn hello() -> impl Strategy<Value = Message> {
    let delivery = prop::sample::select(vec![Delivery::Latest, Delivery::Every]);
    (1..9_u32, 0..9_u32, delivery, usage(), offer()).prop_map(|parts| {
        Message::Hello(Box::new(Hello {
            lowest: parts.0,
            highest: parts.0 + parts.1,
            delivery: parts.2,
            usage: parts.3,
            offer: parts.4,
        }))
    })
}

fn failed() -> impl Strategy<Value = Message> {
    let modifier = option::of(any::<u64>().prop_filter_map("not INVALID", Modifier::new));
    (
        any::<u64>(),
        path(),
        option::of(any::<u32>()),
        modifier,
        text(MAX_TEXT),
    )
        .prop_map(|parts| {
            Message::ImportFailed(ImportFailed {
                generation: parts.0,
                strike: Strike {
                    path: parts.1,
                    format: parts.2.map(Format::from_fourcc),
                    modifier: parts.3,
                    reason: StrikeReason::ImportFailed(parts.4),
                },
            })
        })
}

fn farewell() -> impl Strategy<Value = Farewell> {
    use FarewellReason::*;
    let reasons = vec![
        Done,
        Version,
        Full,
        User,
        Incompatible,
        Protocol,
        TooSlow,
        Resources,
        Ended,
    ];
    (prop::sample::select(reasons), text(MAX_TEXT))
        .prop_map(|(reason, text)| Farewell { reason, text })
}

fn description() -> impl Strategy<Value = Description> {
    let state = prop::sample::select(vec![State::Waiting, State::Streaming, State::Paused]);
    let what = (state, extent(), option::of(1..u32::MAX), option::of(path()));
    let counts = any::<(u64, u32, u64, u64)>();
    (what, counts, text(MAX_NAME)).prop_map(|(what, counts, producer)| Description {
        state: what.0,
        extent: what.1,
        format: what.2.map(Format::from_fourcc),
        path: what.3,
        generation: counts.0,
        consumers: counts.1,
        frames: counts.2,
        since: counts.3,
        producer,
    })
}

fn report() -> impl Strategy<Value = Message> {
    let delivery = prop::sample::select(vec![Delivery::Latest, Delivery::Every]);
    let latency = option::of((1..=u64::MAX).prop_map(std::time::Duration::from_nanos));
    let numbers = any::<(u64, u64, u64)>();
    let rest = (
        option::of(1..=u32::MAX),
        delivery,
        0..=2 * MAX_SLOTS,
        any::<bool>(),
    );
    let consumer =
        (numbers, latency, rest, text(MAX_NAME)).prop_map(|(numbers, latency, rest, name)| {
            ConsumerDetails {
                number: numbers.0,
                frames: numbers.1,
                dropped: numbers.2,
                latency,
                pid: rest.0,
                delivery: rest.1,
                held: rest.2,
                is_served: rest.3,
                name,
            }
        });
    let modifier = option::of(any::<u64>().prop_filter_map("not INVALID", Modifier::new));
    let what = (option::of(rung()), modifier, 0..=MAX_SLOTS);
    (description(), what, vec(consumer, 0..4)).prop_map(|(description, what, consumers)| {
        let details = Details {
            rung: what.0,
            modifier: what.1,
            slots: what.2,
            consumers,
        };
        Message::Report(Box::new(Report {
            description,
            details,
        }))
    })
}

fn frame() -> impl Strategy<Value = Message> {
    let slot = rung().prop_flat_map(|rung| (Just(rung.path()), slot(rung)));
    (extent(), color(), device(), slot).prop_map(|parts| {
        Message::Frame(Box::new(FrameMessage {
            extent: parts.0,
            format: parts.1.0,
            color: parts.1.1,
            path: parts.3.0,
            device: parts.2,
            slot: parts.3.1,
        }))
    })
}

pub(crate) fn message() -> impl Strategy<Value = Message> {
    let fence = (any::<u64>(), 1..=MAX_SEQUENCE, 0..MAX_SLOTS);
    let fence = fence.prop_map(|(generation, sequence, slot)| FenceFor {
        generation,
        sequence,
        slot,
    });
    prop_oneof![
        hello(),
        (1..9_u32, 0..9_u32).prop_map(|(low, more)| Message::Describe(low, low + more)),
        description().prop_map(|description| Message::Description(Box::new(description))),
        report(),
        farewell().prop_map(Message::Refused),
        configure().prop_map(|configure| Message::Configure(Box::new(configure))),
        any::<u64>().prop_map(Message::Ready),
        failed(),
        fence.prop_map(Message::Fence),
        prop::sample::select(vec![
            Message::Pause,
            Message::Resume,
            Message::End,
            Message::Wake
        ]),
        any::<u64>().prop_map(Message::Retire),
        any::<u64>().prop_map(Message::Drained),
        farewell().prop_map(Message::Goodbye),
        frame(),
    ]
}

proptest! {
    #[test]
    fn every_message_comes_back_as_it_was(message in message()) {
        let bytes = message.encode().expect("within its limits");
        prop_assert!(bytes.len() <= MAX_MESSAGE);
        prop_assert_eq!(bytes.len() % 8, 0);
        prop_assert_eq!(Message::decode(&bytes), Ok(message));
    }

    #[test]
    fn a_cut_message_is_refused(message in message(), cut in any::<prop::sample::Index>()) {
        let bytes = message.encode().expect("within its limits");
        let cut = cut.index(bytes.len());
        prop_assert!(Message::decode(&bytes[..cut]).is_err());
        // Also where the header tells the length that is left.
        let mut shorter = bytes[..cut].to_vec();
        if shorter.len() >= 8 {
            shorter[4..8].copy_from_slice(&u32::try_from(cut).expect("short").to_le_bytes());
            prop_assert!(Message::decode(&shorter).is_err());
        }
    }

    #[test]
    fn what_is_too_long_is_refused(message in message(), more in 1..100_usize) {
        let mut bytes = message.encode().expect("within its limits");
        let length = bytes.len() + more;
        bytes.resize(length, 0);
        prop_assert!(Message::decode(&bytes).is_err());
        bytes[4..8].copy_from_slice(&u32::try_from(length).expect("short").to_le_bytes());
        prop_assert!(Message::decode(&bytes).is_err());
    }

    /// A changed byte is refused, or makes another message that is as good as any.
    #[test]
    fn a_changed_message_is_refused_or_a_valid_one(
        message in message(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = message.encode().expect("within its limits");
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(message) = Message::decode(&bytes) {
            let again = message.encode().expect("what was decoded is within its limits");
            prop_assert_eq!(Message::decode(&again), Ok(message));
        }
    }

    #[test]
    fn noise_is_refused(mut bytes in vec(any::<u8>(), 0..300), kind in 0..20_u32) {
        let _ = Message::decode(&bytes);
        // With a header that is right.
        if bytes.len() >= 16 {
            bytes[..4].copy_from_slice(&kind.to_le_bytes());
            let length = u32::try_from(bytes.len()).expect("short");
            bytes[4..8].copy_from_slice(&length.to_le_bytes());
            bytes[12..16].fill(0);
            let _ = Message::decode(&bytes);
        }
    }
}

#[path = "tests/limits.rs"]
mod limits;
