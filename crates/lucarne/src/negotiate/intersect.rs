//! Two offers and a request in, one agreement out.

use std::collections::BTreeSet;

use super::agreement::{Agreement, Candidate, FencePath, Refusal, RefusedRung, Verdict};
use super::offer::{Offer, OfferEntry, Request, Usage};
use super::rank::Rung;
use crate::device_id::Comparison;
use crate::error::Support;
use crate::format::Format;
use crate::modifier::Modifier;

/// Finds the best rung, and on it the request's first format, that both sides can use.
///
/// Pure: no driver is asked, and neither the order of entries nor repeated entries change the answer. Every modifier
/// of the agreement is in both offers. LINEAR is agreed on only where no tiled modifier is common, and never
/// together with tiled ones, so that a driver that chooses freely cannot fall back to it.
///
/// # Errors
///
/// [`Refusal`], with every rung's and every candidate's reason.
pub fn negotiate(
    producer: &Offer,
    consumer: &Offer,
    request: &Request,
) -> Result<Agreement, Box<Refusal>> {
    let mut refused = Vec::new();
    let mut candidates = Vec::new();
    for rung in Rung::ALL {
        match try_rung(rung, producer, consumer, request, &mut candidates) {
            Ok((format, modifiers)) => {
                return Ok(Agreement {
                    rung,
                    format,
                    extent: request.extent,
                    producer: request.producer,
                    consumer: request.consumer,
                    modifiers,
                    devices: producer.device.compare(&consumer.device),
                    acquire: fence_path(producer, consumer),
                    release: fence_path(consumer, producer),
                    refused,
                });
            }
            Err(reason) => refused.push(RefusedRung { rung, reason }),
        }
    }
    Err(Box::new(Refusal {
        producer: producer.name.clone(),
        consumer: consumer.name.clone(),
        extent: request.extent,
        rungs: refused,
        candidates,
    }))
}

fn try_rung(
    rung: Rung,
    producer: &Offer,
    consumer: &Offer,
    request: &Request,
    candidates: &mut Vec<Candidate>,
) -> Result<(Format, Vec<Modifier>), String> {
    if !request.paths.contains(&rung.path()) {
        return Err("not among the paths asked for".to_owned());
    }
    for offer in [producer, consumer] {
        if let Support::No(_) = offer.path(rung.path()) {
            return Err(format!(
                "{}: {}",
                offer.name,
                offer.path(rung.path()).reason()
            ));
        }
    }
    check_devices(rung, producer, consumer)?;
    let first_new = candidates.len();
    for &format in &request.formats {
        let found = matches(rung, format, producer, consumer, request);
        let modifiers: BTreeSet<Modifier> = found
            .iter()
            .filter(|candidate| candidate.verdict == Verdict::Accepted)
            .filter_map(|candidate| candidate.tiling.modifier())
            .collect();
        let accepted = found
            .iter()
            .any(|candidate| candidate.verdict == Verdict::Accepted);
        candidates.extend(found);
        if accepted {
            return Ok((format, modifiers.into_iter().collect()));
        }
    }
    Err(summary(rung, request, &candidates[first_new..]))
}

/// Tiled memory and memory objects mean something to one device or driver only.
fn check_devices(rung: Rung, producer: &Offer, consumer: &Offer) -> Result<(), String> {
    let (comparison, what) = match rung {
        Rung::TiledDmaBuf => (producer.device.compare(&consumer.device), "device"),
        Rung::OpaqueFd => (
            producer.device.compare_driver(&consumer.device),
            "device and driver",
        ),
        Rung::LinearDmaBuf | Rung::HostMemory => return Ok(()),
    };
    let both = format!(
        "{} is {}; {} is {}",
        producer.name, producer.device, consumer.name, consumer.device
    );
    match comparison {
        Comparison::Same => Ok(()),
        Comparison::Different => Err(format!("not the same {what}: {both}")),
        Comparison::Unknown => Err(format!("cannot tell whether it is the same {what}: {both}")),
    }
}

/// Every combination of this rung and format that either side lists, sorted.
fn matches(
    rung: Rung,
    format: Format,
    producer: &Offer,
    consumer: &Offer,
    request: &Request,
) -> Vec<Candidate> {
    let of_rung =
        |entry: &&OfferEntry| entry.format == format && rung.takes(entry.path, entry.tiling);
    let tilings: BTreeSet<_> = producer
        .entries
        .iter()
        .chain(&consumer.entries)
        .filter(of_rung)
        .map(|entry| entry.tiling)
        .collect();
    let side = |offer: &Offer, wanted: Usage, exports: bool, tiling| {
        let verdicts: Vec<Result<(), String>> = offer
            .entries
            .iter()
            .filter(of_rung)
            .filter(|entry| entry.tiling == tiling)
            .map(|entry| check_entry(offer, entry, wanted, exports, request))
            .collect();
        if verdicts.iter().any(Result::is_ok) {
            return Ok(());
        }
        // Sorted, so that the order of entries does not show in the reason either.
        let reasons: BTreeSet<String> = verdicts.into_iter().filter_map(Result::err).collect();
        Err(match reasons.first() {
            Some(reason) => format!("{}: {reason}", offer.name),
            None => format!("{} does not list it", offer.name),
        })
    };
    tilings
        .into_iter()
        .map(|tiling| {
            let both = side(producer, request.producer, true, tiling)
                .and_then(|()| side(consumer, request.consumer, false, tiling));
            Candidate {
                rung,
                format,
                tiling,
                verdict: both.map_or_else(Verdict::Refused, |()| Verdict::Accepted),
            }
        })
        .collect()
}

fn check_entry(
    offer: &Offer,
    entry: &OfferEntry,
    wanted: Usage,
    exports: bool,
    request: &Request,
) -> Result<(), String> {
    if let Some(strike) = request.struck.iter().find(|strike| strike.hits(entry)) {
        return Err(format!("was tried and failed: {}", strike.reason));
    }
    if let Some(strike) = offer.withdrawn.iter().find(|strike| strike.hits(entry)) {
        return Err(format!("lists it, but: {}", strike.reason));
    }
    if exports && !entry.exportable {
        return Err("can import it, but not export it".to_owned());
    }
    if !exports && !entry.importable {
        return Err("can export it, but not import it".to_owned());
    }
    let missing = wanted.difference(entry.usage);
    if !missing.is_empty() {
        return Err(format!("cannot use it for {missing}"));
    }
    if entry.external_only && wanted.contains(Usage::RENDER) {
        return Err("is external-only: it can be sampled, not rendered to".to_owned());
    }
    if !request.extent.fits(entry.max_extent) {
        return Err(format!(
            "{} is beyond its largest extent, {}",
            request.extent, entry.max_extent
        ));
    }
    Ok(())
}

fn summary(rung: Rung, request: &Request, candidates: &[Candidate]) -> String {
    if candidates.is_empty() {
        let formats: Vec<String> = request.formats.iter().map(ToString::to_string).collect();
        let what = match rung {
            Rung::TiledDmaBuf => "a modifier other than LINEAR",
            Rung::LinearDmaBuf => "LINEAR",
            Rung::OpaqueFd | Rung::HostMemory => "it",
        };
        return format!("neither side lists {what} for {}", formats.join(", "));
    }
    let reasons: BTreeSet<String> = candidates
        .iter()
        .map(|candidate| match &candidate.verdict {
            Verdict::Accepted => String::new(),
            Verdict::Refused(reason) => reason.clone(),
        })
        .filter(|reason| !reason.is_empty())
        .collect();
    let reasons: Vec<String> = reasons.into_iter().collect();
    reasons.join("; ")
}

fn fence_path(from: &Offer, to: &Offer) -> FencePath {
    for (offer, support) in [(from, &from.fences.export), (to, &to.fences.import)] {
        if let Support::No(_) = support {
            return FencePath::CpuWait(format!("{}: {}", offer.name, support.reason()));
        }
    }
    FencePath::SyncFile
}
