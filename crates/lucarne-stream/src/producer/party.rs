//! One consumer, as far as agreeing is concerned.

use lucarne::negotiate::{Strike, StrikeReason};
use lucarne::{Offer, Request, Rung, Usage, negotiate};

use super::joint_offer::{self, Side};
use crate::error::{Error, Result};
use crate::generation::Generation;
use crate::wire::ImportFailed;

/// How often a consumer may say that an import failed.
const MAX_STRIKES: usize = 16;

/// What an import that has failed means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nothing: it is about what was configured before.
    Late,
    /// Something else has to be agreed on.
    Counts,
    /// So many have failed that no other is tried; why the last one did.
    TooMany(String),
}

/// What a consumer can do, and which generations it has.
#[derive(Debug)]
pub(super) struct Party {
    id: u64,
    offer: Offer,
    usage: Usage,
    /// What it could not import after all.
    struck: Vec<Strike>,
    /// What it has imported: the current generation, and perhaps the one on trial.
    ready: Vec<u64>,
    /// What it was configured for, and has not answered yet.
    asked: Option<u64>,
}

impl Party {
    pub(super) fn new(id: u64, offer: Offer, usage: Usage) -> Self {
        Self {
            id,
            offer,
            usage,
            struck: Vec::new(),
            ready: Vec::new(),
            asked: None,
        }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn usage(&self) -> Usage {
        self.usage
    }

    pub(super) fn struck(&self) -> &[Strike] {
        &self.struck
    }

    /// Whether both agree on the same, whatever that is.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.usage == other.usage && self.struck == other.struck && self.offer == other.offer
    }

    pub(super) fn side(&self) -> Side<'_> {
        Side {
            offer: &self.offer,
            usage: self.usage,
        }
    }

    /// The generation that it has not answered about.
    #[cfg(test)]
    pub(super) fn asked(&self) -> Option<u64> {
        self.asked
    }

    /// Every generation that it has, the newest last.
    #[cfg(test)]
    pub(super) fn generations(&self) -> Vec<u64> {
        self.ready.iter().chain(&self.asked).copied().collect()
    }

    /// Whether it has imported a generation.
    pub(super) fn is_ready(&self, generation: u64) -> bool {
        self.ready.contains(&generation)
    }

    /// Whether it has imported anything.
    pub(super) fn is_served(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether it was configured for a generation, and may have imported it.
    pub(super) fn has(&self, generation: u64) -> bool {
        self.asked == Some(generation) || self.is_ready(generation)
    }

    /// It is configured for a generation. What it was configured for before and is not in use will never be.
    pub(super) fn ask(&mut self, generation: u64, current: Option<u64>) {
        self.ready.retain(|one| Some(*one) == current);
        self.asked = Some(generation);
    }

    /// It has imported a generation. False for a late answer.
    pub(super) fn accept(&mut self, generation: u64) -> bool {
        let counts = self.asked == Some(generation);
        if counts {
            self.asked = None;
            self.ready.push(generation);
        }
        counts
    }

    /// It could not import a generation.
    ///
    /// # Errors
    ///
    /// [`Error::Unexpected`] for one that it was ready for, in which frames may be out.
    pub(super) fn strike(&mut self, failed: ImportFailed) -> Result<Failure> {
        if self.is_ready(failed.generation) {
            return Err(Error::Unexpected {
                message: "ImportFailed",
                expected: "nothing more about a generation that it was Ready for",
            });
        }
        if self.asked != Some(failed.generation) {
            return Ok(Failure::Late);
        }
        if self.struck.len() >= MAX_STRIKES {
            let reason = failed.strike.reason;
            let text = format!("{MAX_STRIKES} imports have failed before this one: {reason}");
            return Ok(Failure::TooMany(text));
        }
        self.asked = None;
        self.struck.push(failed.strike);
        Ok(Failure::Counts)
    }

    /// Generations before this one are over.
    pub(super) fn move_on(&mut self, generation: u64) {
        self.ready.retain(|one| *one >= generation);
        self.asked = self.asked.filter(|one| *one >= generation);
    }

    /// Whether it would agree with the producer on just what this generation is.
    pub(super) fn suits<S>(&self, generation: &Generation<S>, producer: &Offer) -> bool {
        let made = &generation.agreement;
        let Some((offer, usage)) = joint_offer::join(&producer.device, &[self.side()]) else {
            return false;
        };
        let mut request = Request::new(made.extent)
            .formats(&[made.format])
            .paths(&[made.path()])
            .usage(made.producer, usage);
        request.struck.clone_from(&self.struck);
        // Rung 1 would be found before rung 2, and rules nothing out.
        if made.rung == Rung::LinearDmaBuf {
            let tilings = offer.entries.iter().map(|entry| entry.tiling);
            let modifiers = tilings.filter_map(lucarne::Tiling::modifier);
            let tiled = modifiers.filter(|modifier| !modifier.is_linear());
            request.struck.extend(tiled.map(|modifier| Strike {
                path: made.path(),
                format: None,
                modifier: Some(modifier),
                reason: StrikeReason::Unwanted("this generation is linear".to_owned()),
            }));
        }
        negotiate(producer, &offer, &request).is_ok_and(|agreement| {
            let mut modifiers = generation.modifiers.iter();
            agreement.rung == made.rung
                && modifiers.all(|modifier| agreement.modifiers.contains(modifier))
        })
    }
}
