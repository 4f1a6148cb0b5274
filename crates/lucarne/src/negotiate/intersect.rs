//! Two offers and a request in, one agreement out.

use std::collections::BTreeSet;

use super::agreement::{Agreement, FencePath, Refusal, RefusedRung};
use super::entry::{OfferEntry, Usage};
use super::offer::{Offer, Request};
use super::reason::{Candidate, DeviceMismatch, End, Identity, Reason, Side};
use super::rung::Rung;
use crate::device_id::Comparison;
use crate::error::Support;
use crate::format::Format;
use crate::layout::Tiling;
use crate::modifier::Modifier;

/// Finds the best rung, and on it the request's first format, that both sides can use.
///
/// A pure function: no driver is asked, and neither the order of entries nor repeated entries change the answer. Every
/// modifier of the agreement is in both offers. LINEAR is agreed on only where no tiled modifier is common, and never
/// together with tiled ones: a driver that may choose among them could choose it.
///
/// # Errors
///
/// [`Refusal`], with every rung's and every candidate's reason.
pub fn negotiate(
    producer: &Offer,
    consumer: &Offer,
    request: &Request,
) -> Result<Agreement, Box<Refusal>> {
    let table = Table::new(producer, consumer, request);
    let mut refused = Vec::new();
    for rung in Rung::ALL {
        match table.try_rung(rung) {
            Ok(Choice {
                format,
                modifiers,
                candidates,
            }) => {
                return Ok(Agreement {
                    rung,
                    format,
                    extent: request.extent,
                    producer: request.producer,
                    consumer: request.consumer,
                    modifiers,
                    devices: producer.device.compare(&consumer.device),
                    acquire: choose_fence_path(&table.producer, &table.consumer),
                    release: choose_fence_path(&table.consumer, &table.producer),
                    refused,
                    candidates,
                });
            }
            Err(reason) => refused.push(RefusedRung { rung, reason }),
        }
    }
    Err(Box::new(Refusal {
        producer: table.producer.end.name,
        consumer: table.consumer.end.name,
        extent: request.extent,
        rungs: refused,
    }))
}

/// Both sides and what is wanted.
struct Table<'a> {
    producer: Party<'a>,
    consumer: Party<'a>,
    request: &'a Request,
}

/// What a rung comes to.
struct Choice {
    format: Format,
    modifiers: Vec<Modifier>,
    /// What was refused there.
    candidates: Vec<Candidate>,
}

/// One side: what it offers, and what is wanted of it.
struct Party<'a> {
    end: End,
    offer: &'a Offer,
    wanted: Usage,
}

impl<'a> Table<'a> {
    fn new(producer: &'a Offer, consumer: &'a Offer, request: &'a Request) -> Self {
        let party = |side, offer: &'a Offer, wanted| {
            let name = if producer.name == consumer.name {
                format!("{} ({side})", offer.name)
            } else {
                offer.name.clone()
            };
            let end = End { side, name };
            Party { end, offer, wanted }
        };
        Self {
            producer: party(Side::Producer, producer, request.producer),
            consumer: party(Side::Consumer, consumer, request.consumer),
            request,
        }
    }

    fn parties(&self) -> [&Party<'a>; 2] {
        [&self.producer, &self.consumer]
    }

    fn try_rung(&self, rung: Rung) -> Result<Choice, Reason> {
        self.check_path(rung)?;
        self.check_devices(rung)?;
        let path = rung.path();
        for Party { end, offer, .. } in self.parties() {
            if !offer.entries.iter().any(|entry| entry.path == path) {
                let end = end.clone();
                return Err(Reason::ListsNothing { end, path });
            }
        }
        let mut candidates = Vec::new();
        for &format in &self.request.formats {
            let accepted = self.try_format(rung, format, &mut candidates);
            if !accepted.is_empty() {
                let modifiers = accepted.iter().filter_map(|one| one.modifier()).collect();
                return Ok(Choice {
                    format,
                    modifiers,
                    candidates,
                });
            }
        }
        if candidates.is_empty() {
            let formats = self.request.formats.clone();
            return Err(Reason::NothingListed { rung, formats });
        }
        Err(Reason::Candidates(candidates))
    }

    fn check_path(&self, rung: Rung) -> Result<(), Reason> {
        self.check_request()?;
        let path = rung.path();
        if !self.request.paths.contains(&path) {
            return Err(Reason::NotAskedFor(path));
        }
        for party in self.parties() {
            party.require(&party.offer.path(path))?;
        }
        Ok(())
    }

    /// What no rung can do.
    fn check_request(&self) -> Result<(), Reason> {
        if self.request.extent.check().is_err() {
            return Err(Reason::BadExtent(self.request.extent));
        }
        if self.request.formats.is_empty() {
            return Err(Reason::NoFormats);
        }
        if self.request.paths.is_empty() {
            return Err(Reason::NoPaths);
        }
        Ok(())
    }

    /// Tiled memory and memory objects mean something to one device or driver only.
    fn check_devices(&self, rung: Rung) -> Result<(), Reason> {
        let [producer, consumer] = self.parties().map(|party| &party.offer.device);
        let (identity, comparison) = match rung {
            Rung::TiledDmaBuf => (Identity::Device, producer.compare(consumer)),
            Rung::OpaqueFd => (Identity::DeviceAndDriver, producer.compare_driver(consumer)),
            Rung::LinearDmaBuf | Rung::HostMemory => return Ok(()),
        };
        if comparison == Comparison::Same {
            return Ok(());
        }
        Err(Reason::OtherDevice(Box::new(DeviceMismatch {
            identity,
            comparison,
            producer: self.producer.end.clone(),
            producer_device: producer.clone(),
            consumer: self.consumer.end.clone(),
            consumer_device: consumer.clone(),
        })))
    }

    /// The tilings that both sides can use. Every other one that a side lists goes to those that were refused.
    fn try_format(&self, rung: Rung, format: Format, refused: &mut Vec<Candidate>) -> Vec<Tiling> {
        let tilings: BTreeSet<Tiling> = self
            .parties()
            .into_iter()
            .flat_map(|party| party.entries(rung, format))
            .map(|entry| entry.tiling)
            .collect();
        let mut accepted = Vec::new();
        for tiling in tilings {
            let judge = |party: &Party<'_>| party.judge(rung, format, tiling, self.request);
            match self.parties().into_iter().try_for_each(judge) {
                Ok(()) => accepted.push(tiling),
                Err(reason) => refused.push(Candidate {
                    format,
                    tiling,
                    reason,
                }),
            }
        }
        accepted
    }
}

impl Party<'_> {
    fn require(&self, support: &Support) -> Result<(), Reason> {
        match support {
            Support::Yes(()) => Ok(()),
            Support::No(requirements) => Err(Reason::Missing {
                end: self.end.clone(),
                requirements: requirements.clone(),
            }),
        }
    }

    fn entries(&self, rung: Rung, format: Format) -> impl Iterator<Item = &OfferEntry> {
        let of_rung = move |entry: &&OfferEntry| {
            entry.format == format && rung.takes(entry.path, entry.tiling)
        };
        self.offer.entries.iter().filter(of_rung)
    }

    /// Whether one of this side's entries for the combination will do.
    fn judge(
        &self,
        rung: Rung,
        format: Format,
        tiling: Tiling,
        request: &Request,
    ) -> Result<(), Reason> {
        let entries = self.entries(rung, format);
        let verdicts = entries
            .filter(|entry| entry.tiling == tiling)
            .map(|entry| self.check_entry(entry, request));
        let mut reasons = Vec::new();
        for verdict in verdicts {
            match verdict {
                Ok(()) => return Ok(()),
                Err(reason) => reasons.push(reason),
            }
        }
        // The first by its words, so that the order of entries does not show.
        let first = reasons.into_iter().min_by_key(ToString::to_string);
        Err(first.unwrap_or_else(|| self.explain_unlisted(rung, format)))
    }

    fn explain_unlisted(&self, rung: Rung, format: Format) -> Reason {
        let end = self.end.clone();
        if self.entries(rung, format).next().is_some() {
            return Reason::TilingNotListed(end);
        }
        let twins = [format.alpha_twin(), format.opaque_twin()];
        let listed = self.offer.entries.iter();
        let listed = listed.filter(|entry| rung.takes(entry.path, entry.tiling));
        let mut listed = listed.map(|entry| entry.format);
        let twin = listed.find(|other| twins.contains(&Some(*other)));
        Reason::FormatNotListed { end, twin }
    }

    fn check_entry(&self, entry: &OfferEntry, request: &Request) -> Result<(), Reason> {
        let end = || self.end.clone();
        if let Some(strike) = request.struck.iter().find(|strike| strike.hits(entry)) {
            let (end, strike) = (end(), Box::new(strike.clone()));
            return Err(Reason::Struck { end, strike });
        }
        let withdrawn = &self.offer.withdrawn;
        if let Some(strike) = withdrawn.iter().find(|strike| strike.hits(entry)) {
            let (end, strike) = (end(), Box::new(strike.clone()));
            return Err(Reason::Withdrawn { end, strike });
        }
        match self.end.side {
            Side::Producer if !entry.exportable => return Err(Reason::NotExportable(end())),
            Side::Consumer if !entry.importable => return Err(Reason::NotImportable(end())),
            Side::Producer | Side::Consumer => {}
        }
        let missing = self.wanted.difference(entry.usage);
        if !missing.is_empty() {
            let end = end();
            return Err(Reason::Usage { end, missing });
        }
        if entry.external_only && self.wanted.contains(Usage::RENDER) {
            return Err(Reason::ExternalOnly(end()));
        }
        if !request.extent.fits(entry.max_extent) {
            return Err(Reason::TooLarge {
                end: end(),
                asked: request.extent,
                largest: entry.max_extent,
            });
        }
        Ok(())
    }
}

fn choose_fence_path(from: &Party<'_>, to: &Party<'_>) -> FencePath {
    let able = from
        .require(&from.offer.fences.export)
        .and_then(|()| to.require(&to.offer.fences.import));
    match able {
        Ok(()) => FencePath::SyncFile,
        Err(reason) => FencePath::CpuWait(reason),
    }
}
