//! Negotiation: the best rung that both sides can take, found by looking at every pair.

use std::collections::BTreeSet;

use arbitrary::{Arbitrary, Result, Unstructured};
use lucarne::negotiate::{FenceSupport, OfferEntry, RefusedRung, Strike, StrikeReason};
use lucarne::{
    DeviceId, Extent, Format, MemoryPath, Modifier, Offer, Request, Requirement, Rung, Support,
    Tiling, Usage, negotiate,
};

const FORMATS: [Format; 4] = [
    Format::XRGB8888,
    Format::ABGR8888,
    Format::NV12,
    Format::RGB565,
];

/// Few, so that two sides often have some in common.
fn modifiers() -> [Modifier; 5] {
    [
        0,
        0x0100_0000_0000_0001,
        0x0200_0000_0000_0901,
        0x0300_0000_0060_6015,
        0x0800_0000_0000_0051,
    ]
    .map(|code| Modifier::new(code).unwrap_or(Modifier::LINEAR))
}

fn side(u: &mut Unstructured<'_>) -> Result<u32> {
    Ok(*u.choose(&[1, 64, 1920, 16_384])?)
}

fn support(u: &mut Unstructured<'_>) -> Result<Support> {
    Ok(if u.ratio(5, 6)? {
        Support::Yes(())
    } else {
        Support::no(Requirement::other("it is not there".to_owned()))
    })
}

fn entry(u: &mut Unstructured<'_>) -> Result<OfferEntry> {
    let path = *u.choose(&MemoryPath::ALL)?;
    let tiling = match path {
        MemoryPath::DmaBuf => Tiling::Explicit(*u.choose(&modifiers())?),
        MemoryPath::OpaqueFd => Tiling::Implicit,
        MemoryPath::HostMemory => Tiling::Explicit(Modifier::LINEAR),
    };
    Ok(OfferEntry {
        path,
        format: *u.choose(&FORMATS)?,
        tiling,
        planes: u.int_in_range(0..=5)?,
        usage: Usage::from_bits_truncate(u32::from(u8::arbitrary(u)? | u8::arbitrary(u)?)),
        max_extent: Extent::new(side(u)?, side(u)?),
        exportable: u.ratio(3, 4)?,
        importable: u.ratio(3, 4)?,
        dedicated_only: bool::arbitrary(u)?,
        external_only: u.ratio(1, 4)?,
    })
}

fn offer(u: &mut Unstructured<'_>, name: &str) -> Result<Offer> {
    let uuid = |u: &mut Unstructured<'_>| -> Result<Option<[u8; 16]>> {
        Ok(*u.choose(&[None, Some([1; 16]), Some([1; 16]), Some([2; 16])])?)
    };
    let device = DeviceId {
        device_uuid: uuid(u)?,
        driver_uuid: uuid(u)?,
        software: u.ratio(1, 4)?,
        ..DeviceId::default()
    };
    let mut paths = Vec::new();
    for path in MemoryPath::ALL {
        if u.ratio(7, 8)? {
            paths.push((path, support(u)?));
        }
    }
    let mut entries = Vec::new();
    for _ in 0..u.int_in_range(0..=12)? {
        entries.push(entry(u)?);
    }
    let mut withdrawn = Vec::new();
    if u.ratio(1, 4)? {
        withdrawn.push(strike(u)?);
    }
    Ok(Offer {
        name: name.to_owned(),
        device,
        paths,
        entries,
        withdrawn,
        fences: FenceSupport {
            export: support(u)?,
            import: support(u)?,
        },
    })
}

fn strike(u: &mut Unstructured<'_>) -> Result<Strike> {
    Ok(Strike {
        path: *u.choose(&MemoryPath::ALL)?,
        format: Option::<()>::arbitrary(u)?.and_then(|()| FORMATS.first().copied()),
        modifier: Option::<()>::arbitrary(u)?.and_then(|()| modifiers().get(1).copied()),
        reason: StrikeReason::ImportFailed("the driver refused it".to_owned()),
    })
}

fn request(u: &mut Unstructured<'_>) -> Result<Request> {
    let mut request = Request::new(Extent::new(side(u)?, side(u)?));
    let subset = |u: &mut Unstructured<'_>| -> Result<Usage> {
        Ok(Usage::from_bits_truncate(u32::from(
            u8::arbitrary(u)? & u8::arbitrary(u)?,
        )))
    };
    request.producer = subset(u)?;
    request.consumer = subset(u)?;
    request.formats.clear();
    for _ in 0..u.int_in_range(0..=4)? {
        request.formats.push(*u.choose(&FORMATS)?);
    }
    if u.ratio(1, 4)? {
        request.paths = vec![*u.choose(&MemoryPath::ALL)?];
    }
    for _ in 0..u.int_in_range(0..=2)? {
        request.struck.push(strike(u)?);
    }
    Ok(request)
}

/// Makes two offers and a request of any bytes, and compares the answer with a search of all pairs.
///
/// # Panics
///
/// When they differ, or when the order of entries shows in the answer.
pub fn check(bytes: &[u8]) {
    let u = &mut Unstructured::new(bytes);
    let (Ok(producer), Ok(consumer), Ok(request)) = (offer(u, "A"), offer(u, "B"), request(u))
    else {
        return;
    };
    let answer = negotiate(&producer, &consumer, &request);
    let expected = Rung::ALL.into_iter().find_map(|rung| {
        let formats = request.formats.iter();
        formats
            .map(|format| {
                (
                    rung,
                    *format,
                    common(rung, *format, &producer, &consumer, &request),
                )
            })
            .find(|(_, _, tilings)| !tilings.is_empty())
    });
    match (&answer, &expected) {
        (Ok(agreement), Some((rung, format, tilings))) => {
            assert_eq!((agreement.rung, agreement.format), (*rung, *format));
            let modifiers: Vec<_> = tilings.iter().filter_map(|one| one.modifier()).collect();
            assert_eq!(agreement.modifiers, modifiers);
            let better: Vec<_> = agreement.refused.iter().map(|one| one.rung).collect();
            let above: Vec<_> = Rung::ALL
                .into_iter()
                .take_while(|one| one != rung)
                .collect();
            assert_eq!(better, above, "every better rung has its reason");
        }
        (Err(refusal), None) => {
            assert_eq!(refusal.rungs.len(), Rung::ALL.len());
            let said = |one: &RefusedRung| !one.reason.to_string().is_empty();
            assert!(refusal.rungs.iter().all(said));
            assert!(!refusal.to_string().is_empty());
        }
        _ => panic!("answered {answer:?}, expected {expected:?}"),
    }
    let turned = |offer: &Offer| {
        let mut offer = offer.clone();
        offer.entries.extend(offer.entries.first().cloned());
        offer.entries.reverse();
        offer
    };
    let again = negotiate(&turned(&producer), &turned(&consumer), &request);
    assert_eq!(
        again, answer,
        "neither order nor repetition changes the answer"
    );
}

/// What both sides can use on this rung, by the rules of docs/negotiation.md.
fn common(
    rung: Rung,
    format: Format,
    producer: &Offer,
    consumer: &Offer,
    request: &Request,
) -> BTreeSet<Tiling> {
    let same = |of: fn(&DeviceId) -> Option<[u8; 16]>| {
        of(&producer.device).is_some() && of(&producer.device) == of(&consumer.device)
    };
    let devices = match rung {
        Rung::TiledDmaBuf => producer.device.compare(&consumer.device) == lucarne::Comparison::Same,
        Rung::OpaqueFd => same(|id| id.device_uuid) && same(|id| id.driver_uuid),
        Rung::LinearDmaBuf | Rung::HostMemory => true,
    };
    let has = |offer: &Offer| offer.path(rung.path()).is_yes();
    if !devices || !has(producer) || !has(consumer) || !request.paths.contains(&rung.path()) {
        return BTreeSet::new();
    }
    let able = |offer: &Offer, usage: Usage, exports: bool| -> BTreeSet<Tiling> {
        let usable = |entry: &&OfferEntry| {
            let linear = entry.tiling == Tiling::Explicit(Modifier::LINEAR);
            let struck = request.struck.iter().chain(&offer.withdrawn).any(|strike| {
                strike.path == entry.path
                    && strike.format.is_none_or(|one| one == entry.format)
                    && strike
                        .modifier
                        .is_none_or(|one| entry.tiling == Tiling::Explicit(one))
            });
            entry.path == rung.path()
                && entry.format == format
                && (entry.path != MemoryPath::DmaBuf || linear == (rung == Rung::LinearDmaBuf))
                && if exports {
                    entry.exportable
                } else {
                    entry.importable
                }
                && entry.usage.contains(usage)
                && !(entry.external_only && usage.contains(Usage::RENDER))
                && request.extent.width <= entry.max_extent.width
                && request.extent.height <= entry.max_extent.height
                && !struck
        };
        let entries = offer.entries.iter();
        entries.filter(usable).map(|entry| entry.tiling).collect()
    };
    let left = able(producer, request.producer, true);
    let right = able(consumer, request.consumer, false);
    left.intersection(&right).copied().collect()
}
