//! Properties of every negotiation, on offers made at random, against a slow definition of the right answer.

use lucarne::negotiate::{Candidate, OfferEntry, Side, Strike, StrikeReason};
use lucarne::{
    Comparison, DeviceId, Extent, Format, MemoryPath, Modifier, Offer, Request, Requirement, Rung,
    Support, Tiling, Usage, negotiate,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use super::{AMD_PLAIN, INTEL_CCS, LINEAR, entry, gpu, modifier, offer};

const FORMATS: [Format; 3] = [Format::XRGB8888, Format::ABGR8888, Format::R8];
/// Few, so that two offers have some in common.
const CODES: [u64; 3] = [AMD_PLAIN, INTEL_CCS, LINEAR];
const EXTENTS: [Extent; 3] = [
    Extent::new(64, 64),
    Extent::new(1920, 1080),
    Extent::new(8192, 16),
];

fn any_usage() -> impl Strategy<Value = Usage> {
    // Mostly everything, so that agreements happen.
    prop_oneof![
        3 => Just(Usage::all()),
        1 => (0_u32..32).prop_map(Usage::from_bits_truncate),
    ]
}

fn any_entry() -> impl Strategy<Value = OfferEntry> {
    let place = (select(&MemoryPath::ALL), select(&FORMATS), select(&CODES));
    let flags = (
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.2),
    );
    let rest = (any_usage(), select(&EXTENTS), flags);
    (place, rest).prop_map(|((path, format, code), (usage, extent, flags))| {
        let tiling = match path {
            MemoryPath::DmaBuf => Tiling::Explicit(modifier(code)),
            MemoryPath::OpaqueFd => Tiling::Implicit,
            MemoryPath::HostMemory => Tiling::Explicit(Modifier::LINEAR),
        };
        OfferEntry {
            usage,
            max_extent: extent,
            exportable: flags.0,
            importable: flags.1,
            external_only: flags.2,
            ..entry(path, format, tiling)
        }
    })
}

fn any_device() -> impl Strategy<Value = DeviceId> {
    prop_oneof![
        4 => Just(gpu(1)),
        1 => Just(gpu(2)),
        1 => Just(DeviceId::default()),
    ]
}

fn any_offer(name: &'static str) -> impl Strategy<Value = Offer> {
    let paths = [0.8, 0.5, 0.5].map(prop::bool::weighted);
    (any_device(), vec(any_entry(), 0..24), paths).prop_map(move |(device, entries, has)| {
        let mut made = offer(name, device, entries);
        for ((_, support), has) in made.paths.iter_mut().zip(has) {
            if !has {
                *support = Support::no(Requirement::other("needs another driver"));
            }
        }
        made
    })
}

fn any_strike() -> impl Strategy<Value = Strike> {
    let format = prop::option::of(select(&FORMATS));
    let code = prop::option::of(select(&CODES));
    (select(&MemoryPath::ALL), format, code).prop_map(|(path, format, code)| Strike {
        path,
        format,
        modifier: code.map(modifier),
        reason: StrikeReason::Text("it broke".to_owned()),
    })
}

fn any_request() -> impl Strategy<Value = Request> {
    let formats = subsequence(FORMATS.to_vec(), 2..=3).prop_shuffle();
    let paths = subsequence(MemoryPath::ALL.to_vec(), 1..=3);
    let usages = select(&[Usage::SAMPLE, Usage::RENDER, Usage::STORAGE]);
    let usages = (usages.clone(), usages);
    let struck = prop_oneof![Just(Vec::new()), vec(any_strike(), 1..4)];
    (select(&EXTENTS), formats, paths, usages, struck).prop_map(
        |(extent, formats, paths, (producer, consumer), struck)| {
            let mut request = Request::new(extent)
                .formats(&formats)
                .paths(&paths)
                .usage(producer, consumer);
            request.struck = struck;
            request
        },
    )
}

/// Whether one entry will do: written down a second time, as plainly as can be.
fn will_do(entry: &OfferEntry, usage: Usage, exports: bool, request: &Request) -> bool {
    let struck = request.struck.iter().any(|strike| {
        strike.path == entry.path
            && strike.format.is_none_or(|format| format == entry.format)
            && strike
                .modifier
                .is_none_or(|code| Some(code) == entry.tiling.modifier())
    });
    let direction = if exports {
        entry.exportable
    } else {
        entry.importable
    };
    let size = request.extent.width <= entry.max_extent.width
        && request.extent.height <= entry.max_extent.height;
    let renders_external = entry.external_only && usage.contains(Usage::RENDER);
    !struck && direction && size && entry.usage.contains(usage) && !renders_external
}

fn rung_of(entry: &OfferEntry) -> Rung {
    match (entry.path, entry.tiling.modifier()) {
        (MemoryPath::DmaBuf, Some(Modifier::LINEAR)) => Rung::LinearDmaBuf,
        (MemoryPath::DmaBuf, _) => Rung::TiledDmaBuf,
        (MemoryPath::OpaqueFd, _) => Rung::OpaqueFd,
        (MemoryPath::HostMemory, _) => Rung::HostMemory,
    }
}

/// The tilings of a rung and format that both sides can use.
fn common(
    rung: Rung,
    format: Format,
    producer: &Offer,
    consumer: &Offer,
    request: &Request,
) -> Vec<Tiling> {
    let reachable = request.paths.contains(&rung.path())
        && producer.path(rung.path()).is_yes()
        && consumer.path(rung.path()).is_yes();
    let (a, b) = (&producer.device, &consumer.device);
    let device = match rung {
        Rung::TiledDmaBuf => a.compare(b) == Comparison::Same,
        Rung::OpaqueFd => a.compare_driver(b) == Comparison::Same,
        Rung::LinearDmaBuf | Rung::HostMemory => true,
    };
    if !reachable || !device {
        return Vec::new();
    }
    let usable = |offer: &Offer, usage, exports| -> Vec<Tiling> {
        let entries = offer.entries.iter();
        entries
            .filter(|entry| rung_of(entry) == rung && entry.format == format)
            .filter(|entry| will_do(entry, usage, exports, request))
            .map(|entry| entry.tiling)
            .collect()
    };
    let theirs = usable(consumer, request.consumer, false);
    let mut both = usable(producer, request.producer, true);
    both.retain(|tiling| theirs.contains(tiling));
    both.sort();
    both.dedup();
    both
}

/// The best rung, and on it the first format, with everything that both sides have there.
fn right_answer(
    producer: &Offer,
    consumer: &Offer,
    request: &Request,
) -> Option<(Rung, Format, Vec<Modifier>)> {
    Rung::ALL.into_iter().find_map(|rung| {
        request.formats.iter().find_map(|format| {
            let tilings = common(rung, *format, producer, consumer, request);
            let modifiers = tilings.iter().filter_map(|one| one.modifier()).collect();
            (!tilings.is_empty()).then_some((rung, *format, modifiers))
        })
    })
}

/// The same entries in another order, some of them twice.
fn disorder(offer: &Offer, order: &[Index]) -> Offer {
    let mut other = offer.clone();
    if other.entries.is_empty() {
        return other;
    }
    for pair in order.chunks_exact(2) {
        let last = other.entries.len();
        other.entries.swap(pair[0].index(last), pair[1].index(last));
    }
    for index in &order[..order.len() / 2] {
        other.entries.push(index.get(&other.entries).clone());
    }
    other.entries.reverse();
    other
}

proptest! {
    #[test]
    fn neither_order_nor_repetition_changes_the_answer(
        producer in any_offer("Vulkan"),
        consumer in any_offer("OpenGL"),
        request in any_request(),
        order in vec(any::<Index>(), 2..12),
    ) {
        let answer = negotiate(&producer, &consumer, &request);
        prop_assert_eq!(&negotiate(&disorder(&producer, &order), &consumer, &request), &answer);
        prop_assert_eq!(&negotiate(&producer, &disorder(&consumer, &order), &request), &answer);
    }

    #[test]
    fn the_answer_is_the_best_rung_and_the_first_format_on_it(
        producer in any_offer("Vulkan"),
        consumer in any_offer("OpenGL"),
        request in any_request(),
    ) {
        let answer = negotiate(&producer, &consumer, &request).ok();
        let agreed = answer.map(|one| (one.rung, one.format, one.modifiers));
        prop_assert_eq!(agreed, right_answer(&producer, &consumer, &request));
    }

    #[test]
    fn nothing_is_invented_and_nothing_struck_comes_back(
        producer in any_offer("Vulkan"),
        consumer in any_offer("OpenGL"),
        request in any_request(),
    ) {
        let Ok(agreement) = negotiate(&producer, &consumer, &request) else {
            return Ok(());
        };
        let linear_rungs = [Rung::LinearDmaBuf, Rung::HostMemory];
        for modifier in &agreement.modifiers {
            for offer in [&producer, &consumer] {
                let listed = offer.entries.iter().any(|entry| {
                    entry.format == agreement.format
                        && entry.path == agreement.path()
                        && entry.tiling == Tiling::Explicit(*modifier)
                });
                prop_assert!(listed, "{} does not list {modifier}", offer.name);
            }
            let struck = request.struck.iter().any(|strike| {
                strike.path == agreement.path()
                    && strike.format.is_none_or(|format| format == agreement.format)
                    && strike.modifier.is_none_or(|code| code == *modifier)
            });
            prop_assert!(!struck, "{modifier} was struck out");
            prop_assert_eq!(modifier.is_linear(), linear_rungs.contains(&agreement.rung));
        }
        let opaque = agreement.rung == Rung::OpaqueFd;
        prop_assert_eq!(agreement.modifiers.is_empty(), opaque);
    }

    #[test]
    fn what_a_side_lists_of_the_choice_is_agreed_on_or_refused(
        producer in any_offer("Vulkan"),
        consumer in any_offer("OpenGL"),
        request in any_request(),
    ) {
        let Ok(agreement) = negotiate(&producer, &consumer, &request) else {
            return Ok(());
        };
        let format = agreement.format;
        let entries = producer.entries.iter().chain(&consumer.entries);
        let of_choice = entries
            .filter(|one| one.format == format && agreement.rung.takes(one.path, one.tiling));
        for entry in of_choice {
            let agreed = match entry.tiling.modifier() {
                Some(modifier) => agreement.modifiers.contains(&modifier),
                // Where the driver alone knows the layout, no modifier is agreed on.
                None => agreement.modifiers.is_empty(),
            };
            let is_entry = |one: &Candidate| one.format == format && one.tiling == entry.tiling;
            let refused = agreement.candidates.iter().filter(|one| is_entry(one)).count();
            prop_assert_eq!(refused + usize::from(agreed), 1, "{:?} of {:?}", entry, agreement);
        }
        let place = |format| request.formats.iter().position(|one| *one == format);
        for candidate in &agreement.candidates {
            prop_assert!(place(candidate.format) <= place(format), "{candidate} was not looked at");
        }
    }

    #[test]
    fn every_rung_and_candidate_that_is_refused_has_a_reason(
        producer in any_offer("Vulkan"),
        consumer in any_offer("OpenGL"),
        request in any_request(),
    ) {
        let (refused, last, candidates) = match negotiate(&producer, &consumer, &request) {
            Ok(agreement) => (agreement.refused, Some(agreement.rung), agreement.candidates),
            Err(refusal) => {
                let candidates = refusal.candidates().map(|(_, one)| one.clone()).collect();
                (refusal.rungs, None, candidates)
            }
        };
        for candidate in candidates {
            let name = match candidate.reason.side() {
                Some(Side::Producer) => "Vulkan",
                Some(Side::Consumer) => "OpenGL",
                None => return Err(TestCaseError::fail(format!("{candidate}: no side"))),
            };
            let named = candidate.reason.to_string().starts_with(name);
            prop_assert!(named, "{} does not name its side", candidate);
        }
        let better = |rung: &Rung| last.is_none_or(|last| *rung < last);
        let better: Vec<Rung> = Rung::ALL.into_iter().filter(better).collect();
        let rungs: Vec<Rung> = refused.iter().map(|one| one.rung).collect();
        prop_assert_eq!(rungs, better);
        for one in &refused {
            prop_assert!(!one.reason.to_string().is_empty(), "{}", one.rung);
        }
    }
}
