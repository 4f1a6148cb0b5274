//! Several consumers as one: what all of them can use.

use lucarne::negotiate::{FenceSupport, OfferEntry};
use lucarne::{Comparison, DeviceId, MemoryPath, Offer, Support, Usage};

/// What one consumer can do.
#[derive(Debug)]
pub(super) struct Side<'a> {
    pub(super) offer: &'a Offer,
    pub(super) usage: Usage,
}

impl Side<'_> {
    fn entries(&self) -> impl Iterator<Item = &OfferEntry> {
        self.offer.standing().filter(|entry| entry.importable)
    }
}

/// The offer of an imagined consumer that can use exactly what all of `sides` can, and the usage that it needs.
///
/// `producer` decides which device it is: the one that least looks like the producer's, so that tiled and opaque memory
/// are agreed on only where every consumer is on the producer's device.
pub(super) fn join(producer: &DeviceId, sides: &[Side<'_>]) -> Option<(Offer, Usage)> {
    let (first, others) = sides.split_first()?;
    let usage = sides
        .iter()
        .fold(Usage::empty(), |all, side| all | side.usage);
    let entries = first
        .entries()
        .filter_map(|entry| {
            let mut joint = entry.clone();
            joint.usage |= usage.difference(first.usage);
            for other in others {
                let same = other.entries().find(|one| {
                    (one.path, one.format, one.tiling) == (entry.path, entry.format, entry.tiling)
                })?;
                narrow(&mut joint, same);
                // What a consumer does not do with the frames, it need not be able to do.
                joint.usage &= same.usage | usage.difference(other.usage);
            }
            Some(joint)
        })
        .collect();
    let path = |path: MemoryPath| {
        let answers = sides.iter().map(|side| side.offer.path(path));
        (path, worst(answers))
    };
    let names: Vec<&str> = sides.iter().map(|side| side.offer.name.as_str()).collect();
    let offer = Offer {
        name: names.join(" and "),
        device: pick_device(producer, sides),
        paths: MemoryPath::ALL.map(path).to_vec(),
        entries,
        withdrawn: Vec::new(),
        fences: FenceSupport {
            export: worst(sides.iter().map(|side| side.offer.fences.export.clone())),
            import: worst(sides.iter().map(|side| side.offer.fences.import.clone())),
        },
    };
    Some((offer, usage))
}

fn narrow(entry: &mut OfferEntry, other: &OfferEntry) {
    entry.max_extent.width = entry.max_extent.width.min(other.max_extent.width);
    entry.max_extent.height = entry.max_extent.height.min(other.max_extent.height);
    entry.dedicated_only |= other.dedicated_only;
    entry.external_only |= other.external_only;
}

/// The first no, or yes.
fn worst(mut answers: impl Iterator<Item = Support>) -> Support {
    let no = answers.find(|answer| !answer.is_yes());
    no.unwrap_or(Support::Yes(()))
}

fn pick_device(producer: &DeviceId, sides: &[Side<'_>]) -> DeviceId {
    let devices = || sides.iter().map(|side| &side.offer.device);
    let another = devices().find(|device| producer.compare(device) != Comparison::Same);
    let another_driver =
        || devices().find(|device| producer.compare_driver(device) != Comparison::Same);
    let found = another.or_else(another_driver).or_else(|| devices().next());
    found.cloned().unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests {
    use lucarne::{Extent, Format, Modifier, Request, Rung, Tiling, negotiate};

    use super::*;

    const TILED: Tiling = Tiling::Explicit(match Modifier::new(0x0100_0000_0000_0002) {
        Some(modifier) => modifier,
        None => Modifier::LINEAR,
    });
    pub(in crate::producer) const LINEAR: Tiling = Tiling::Explicit(Modifier::LINEAR);

    pub(in crate::producer) fn entry(
        path: MemoryPath,
        format: Format,
        tiling: Tiling,
        side: u32,
    ) -> OfferEntry {
        OfferEntry {
            path,
            format,
            tiling,
            planes: 1,
            usage: Usage::all(),
            max_extent: Extent::new(side, side),
            exportable: true,
            importable: true,
            dedicated_only: false,
            external_only: false,
        }
    }

    pub(in crate::producer) fn some_offer(device: u8, entries: Vec<OfferEntry>) -> Offer {
        Offer {
            name: format!("device {device}"),
            device: DeviceId {
                device_uuid: Some([device; 16]),
                driver_uuid: Some([device; 16]),
                ..DeviceId::default()
            },
            paths: MemoryPath::ALL
                .map(|path| (path, Support::Yes(())))
                .to_vec(),
            entries,
            withdrawn: Vec::new(),
            fences: FenceSupport {
                export: Support::Yes(()),
                import: Support::Yes(()),
            },
        }
    }

    pub(in crate::producer) fn full(device: u8) -> Offer {
        let format = Format::XRGB8888;
        some_offer(
            device,
            vec![
                entry(MemoryPath::DmaBuf, format, TILED, 4096),
                entry(MemoryPath::DmaBuf, format, LINEAR, 4096),
                entry(MemoryPath::HostMemory, format, LINEAR, 4096),
            ],
        )
    }

    fn agree(consumers: &[Side<'_>]) -> Rung {
        let producer = full(1);
        let (joint, usage) = join(&producer.device, consumers).expect("consumers");
        let request = Request::new(Extent::new(640, 480)).usage(Usage::RENDER, usage);
        negotiate(&producer, &joint, &request)
            .expect("something")
            .rung
    }

    fn side(offer: &Offer) -> Side<'_> {
        let usage = Usage::SAMPLE;
        Side { offer, usage }
    }

    #[test]
    fn one_consumer_is_itself() {
        assert_eq!(agree(&[side(&full(1))]), Rung::TiledDmaBuf);
    }

    #[test]
    fn one_on_another_device_makes_it_linear_for_all() {
        let (here, there) = (full(1), full(2));
        let both = [side(&here), side(&there)];
        assert_eq!(agree(&both), Rung::LinearDmaBuf);
        let both = [side(&there), side(&here)];
        assert_eq!(agree(&both), Rung::LinearDmaBuf);
    }

    #[test]
    fn each_need_only_be_able_to_do_what_it_wants() {
        let (mut one, mut two) = (full(1), full(1));
        for entry in &mut one.entries {
            entry.usage = Usage::SAMPLE;
        }
        for entry in &mut two.entries {
            entry.usage = Usage::TRANSFER_SOURCE;
        }
        let copies = |offer| Side {
            offer,
            usage: Usage::TRANSFER_SOURCE,
        };
        let all = [side(&one), copies(&two), side(&one)];
        assert_eq!(agree(&all), Rung::TiledDmaBuf);
        let (joint, usage) = join(&one.device, &[copies(&one), side(&one)]).expect("two");
        let request = Request::new(Extent::new(640, 480)).usage(Usage::RENDER, usage);
        negotiate(&full(1), &joint, &request).expect_err("the first cannot copy");
    }

    #[test]
    fn what_one_lacks_all_lack_and_limits_are_the_smallest() {
        let host = entry(MemoryPath::HostMemory, Format::XRGB8888, LINEAR, 640);
        let (one, two) = (full(1), some_offer(1, vec![host]));
        let sides = [side(&one), side(&two)];
        let (joint, _) = join(&one.device, &sides).expect("two");
        assert_eq!(joint.entries.len(), 1);
        assert_eq!(joint.entries[0].max_extent, Extent::new(640, 640));
        assert!(join(&one.device, &[]).is_none());
    }
}
