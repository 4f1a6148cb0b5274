//! Agreeing with all consumers together, and moving them from one generation to the next.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lucarne::negotiate::{Strike, StrikeReason};
use lucarne::{Agreement, Pool, Refusal, Request, Rung, negotiate};

use super::flight::Flights;
use super::joint_offer::{self, Side};
use super::peer::{Joined, Peer, Ring};
use super::{Active, Pending, Producer, ProducerEvent};
use crate::deadline::Deadline;
use crate::error::{Result, is_shortage};
use crate::frame_message;
use crate::generation::{Allocate, Generation};
use crate::wire::{Configure, Farewell, Message, Reason, VERSIONS};

/// How often the producer's own device may fail to make what it offered.
const MAX_ATTEMPTS: usize = 16;

impl Joined {
    fn side(&self) -> Side<'_> {
        Side {
            offer: &self.hello.offer,
            usage: self.hello.usage,
        }
    }
}

impl<A: Allocate> Producer<A> {
    /// Brings consumers and generations together: configures newcomers, makes a new generation where they need one, and
    /// moves on to it once everybody is ready.
    pub(super) fn settle(&mut self) {
        // Twice where a request has waited for the generation before it.
        for _ in 0..2 {
            if std::mem::take(&mut self.stale) {
                self.arrange();
            }
            self.configure_all();
            self.move_on();
            if !self.stale || self.pending.is_some() {
                return;
            }
        }
    }

    /// Whether a generation is under way that may still be agreed on: another one waits until everybody has answered, or
    /// their time is over, so that no consumer has more than two.
    fn is_under_way(&self) -> bool {
        let pending = self.pending.as_ref();
        pending.is_some_and(|pending| self.suits_all(&pending.generation))
    }

    /// Gives every consumer a generation that it can use.
    fn arrange(&mut self) {
        let anybody = self.peers.iter().any(|peer| peer.joined().is_some());
        if !anybody {
            // The next consumer finds the new request.
            if std::mem::take(&mut self.renew) {
                self.active = None;
                self.pending = None;
            }
            return;
        }
        if self.renew && self.is_under_way() {
            self.stale = true;
            return;
        }
        // A generation may be on its way for a consumer that has gone meanwhile.
        let wanted = self.pending.as_ref().is_some_and(|pending| pending.wanted);
        if !self.renew && !wanted && self.is_served() {
            self.pending = None;
        }
        let climbs = std::mem::take(&mut self.climb) && self.can_be_better();
        let suits = self.newest().is_some_and(|newest| self.suits_all(&newest));
        if !self.renew && !climbs && suits {
            return;
        }
        if !self.renew && self.is_too_soon() {
            (self.stale, self.climb) = (true, climbs);
            return;
        }
        for _ in 0..MAX_ATTEMPTS {
            let Some(agreement) = self.agree() else {
                return;
            };
            let made = self.make(agreement);
            self.arranged = Some(Instant::now());
            match made {
                Ok(generation) => {
                    // Replaced, it has no more time than the first one had.
                    let since = self.pending.as_ref().map(|pending| pending.since);
                    self.pending = Some(Pending {
                        generation: Arc::new(generation),
                        wanted: std::mem::take(&mut self.renew),
                        since: since.unwrap_or_else(Instant::now),
                    });
                    return;
                }
                // Says nothing about what was agreed on: tried again after a while.
                Err(failed) if is_shortage(&failed.1) => {
                    self.stale = true;
                    return;
                }
                Err(failed) => self.strike_own(&failed.0, &failed.1),
            }
        }
    }

    /// Whether newcomers, or shortages, have to wait for the next generation: they cost everybody one, and could come without
    /// end. Imports that have failed are answered at once.
    fn is_too_soon(&self) -> bool {
        let joined = self.peers.iter().filter_map(Peer::joined);
        let failed = joined.map(|joined| joined.rounds).sum::<usize>() > 0;
        let waits = self.next_arrangement().is_some_and(|left| !left.is_zero());
        waits && !(failed && self.pending.is_some())
    }

    /// How long until consumers may cause a generation again.
    fn next_arrangement(&self) -> Option<Duration> {
        let since = self.arranged?.elapsed();
        Some(self.patience().saturating_sub(since))
    }

    /// How long until something is arranged that was put off.
    pub(super) fn put_off(&self) -> Option<Duration> {
        if self.stale {
            self.next_arrangement()
        } else {
            None
        }
    }

    /// How long until a generation that is under way goes on without those who do not answer.
    pub(super) fn trial(&self) -> Option<Duration> {
        let since = self.pending.as_ref()?.since.elapsed();
        let steps = [self.patience(), 2 * self.patience()];
        steps.into_iter().find_map(|step| step.checked_sub(since))
    }

    /// Whether a better rung could be had, now that somebody is gone.
    fn can_be_better(&self) -> bool {
        let (Some(newest), Some(Ok(agreement))) = (self.newest(), self.negotiate_jointly()) else {
            return false;
        };
        agreement.rung < newest.agreement.rung
    }

    /// Whether every consumer gets frames, in a generation that suits it.
    fn is_served(&self) -> bool {
        let Some(active) = &self.active else {
            return false;
        };
        let number = active.generation.number;
        let mut joined = self.peers.iter().filter(|peer| peer.joined().is_some());
        joined.all(|peer| ready_for(peer, number)) && self.suits_all(&active.generation)
    }

    fn newest(&self) -> Option<Arc<Generation<A::Image>>> {
        let pending = self.pending.as_ref().map(|pending| &pending.generation);
        let active = self.active.as_ref().map(|active| &active.generation);
        pending.or(active).cloned()
    }

    /// Whether all consumers that want frames can use a generation.
    fn suits_all(&self, generation: &Generation<A::Image>) -> bool {
        let joined = self.peers.iter().filter_map(Peer::joined);
        joined
            .into_iter()
            .all(|joined| self.suits(joined, generation))
    }

    /// Whether a consumer would agree on just what this generation is.
    fn suits(&self, joined: &Joined, generation: &Generation<A::Image>) -> bool {
        let made = &generation.agreement;
        let Some((offer, usage)) = joint_offer::join(&self.offer.device, &[joined.side()]) else {
            return false;
        };
        let mut request = Request::new(made.extent)
            .formats(&[made.format])
            .paths(&[made.path()])
            .usage(made.producer, usage);
        request.struck = joined.struck.clone();
        // Rung 1 would be found before rung 2, and rules nothing out.
        if made.rung == Rung::LinearDmaBuf {
            let tiled = offer
                .entries
                .iter()
                .filter_map(|entry| entry.tiling.modifier());
            for modifier in tiled.filter(|modifier| !modifier.is_linear()) {
                request = request.strike(Strike {
                    path: made.path(),
                    format: None,
                    modifier: Some(modifier),
                    reason: StrikeReason::Unwanted("this generation is linear".to_owned()),
                });
            }
        }
        let Ok(agreement) = negotiate(&self.offer, &offer, &request) else {
            return false;
        };
        let fits = |frame: &lucarne::Frame| {
            let modifier = frame.layout().tiling().modifier();
            modifier.is_none_or(|modifier| agreement.modifiers.contains(&modifier))
        };
        agreement.rung == made.rung && generation.frames().iter().all(fits)
    }

    /// Negotiates with everybody. Whoever cannot agree is refused, the newest first, until the others can. `None` where
    /// nobody is left.
    fn agree(&mut self) -> Option<Agreement> {
        loop {
            let refusal = match self.negotiate_jointly()? {
                Ok(agreement) => return Some(agreement),
                Err(refusal) => refusal,
            };
            let newcomers = self.peers.iter().filter(|peer| peer.joined().is_some());
            let serving = |peer: &&Peer| peer.rings.iter().any(|ring| ring.ready);
            let (last, _) = newcomers
                .map(|peer| (peer.id, serving(&peer)))
                .max_by_key(|(id, serves)| (!serves, *id))?;
            let text = refusal.to_string();
            let farewell = Farewell::new(Reason::Incompatible, &text);
            self.part(last, Some(farewell), &text);
            if !self.renew && self.is_served() {
                self.pending = None;
                return None;
            }
        }
    }

    fn negotiate_jointly(&self) -> Option<std::result::Result<Agreement, Box<Refusal>>> {
        let joined = self.peers.iter().filter_map(Peer::joined);
        let sides: Vec<Side<'_>> = joined.map(Joined::side).collect();
        let (offer, usage) = joint_offer::join(&self.offer.device, &sides)?;
        let mut request = self.request.clone();
        request.consumer = usage;
        request.struck.extend(self.struck.iter().cloned());
        // What one consumer could not import is of no use to all together.
        let struck = self.peers.iter().filter_map(Peer::joined);
        let struck = struck.flat_map(|joined| &joined.struck);
        request.struck.extend(struck.cloned());
        Some(negotiate(&self.offer, &offer, &request))
    }

    /// Makes the images of a new generation.
    fn make(
        &mut self,
        agreement: Agreement,
    ) -> std::result::Result<Generation<A::Image>, Box<(Agreement, lucarne::Error)>> {
        let mut images = Vec::new();
        let mut frames = Vec::new();
        for _ in 0..self.options.slots {
            match self.allocate.allocate(&agreement) {
                Ok((image, frame)) => {
                    images.push(image);
                    frames.push(frame);
                }
                Err(error) => return Err(Box::new((agreement, error))),
            }
        }
        self.generations += 1;
        Ok(Generation {
            number: self.generations,
            agreement,
            pool: Pool::new(frames),
            images,
        })
    }

    /// What the producer's own device offered and could not make is not tried again.
    fn strike_own(&mut self, agreement: &Agreement, error: &lucarne::Error) {
        let strike = |modifier| Strike {
            path: agreement.path(),
            format: Some(agreement.format),
            modifier,
            reason: StrikeReason::ExportFailed(error.to_string()),
        };
        if agreement.modifiers.is_empty() {
            self.struck.push(strike(None));
        }
        let modifiers = agreement.modifiers.iter();
        self.struck
            .extend(modifiers.map(|modifier| strike(Some(*modifier))));
    }

    /// Sends the newest generation to everybody who has not got it yet. Those who get frames already come last: what a
    /// newcomer cannot import after all is not their concern.
    fn configure_all(&mut self) {
        let Some(generation) = self.newest() else {
            return;
        };
        let patience = self.patience();
        let active = self.active.as_ref().map(|active| active.generation.number);
        let serves = |peer: &Peer| active.is_some_and(|active| ready_for(peer, active));
        let number = generation.number;
        let on_trial =
            |peer: &Peer| peer.joined().is_some() && !serves(peer) && !ready_for(peer, number);
        // A trial that newcomers keep up without end is over with its time.
        let over = |pending: &Pending<A::Image>| pending.since.elapsed() >= patience;
        let over = self.pending.as_ref().is_some_and(over);
        let trial = !over && self.peers.iter().any(on_trial);
        let has_it = |peer: &Peer| peer.rings.iter().any(|ring| ring.generation == number);
        // Whom it does not suit waits for the next one, which may have been put off.
        let wants = |peer: &&Peer| {
            let joined = peer.joined().filter(|_| !has_it(peer));
            joined.is_some_and(|joined| self.suits(joined, &generation))
        };
        let wanting: Vec<u64> = self
            .peers
            .iter()
            .filter(wants)
            .map(|peer| peer.id)
            .collect();
        let mut broken = Vec::new();
        for peer in &mut self.peers {
            if !wanting.contains(&peer.id) || (trial && serves(peer)) {
                continue;
            }
            let name = &self.offer.name;
            match configure(peer, &generation, name, active) {
                Ok(()) => peer.deadline = Some(Deadline::new(patience)),
                Err(error) => broken.push((peer.id, error)),
            }
        }
        for (id, error) in broken {
            self.hang_up(id, &error);
        }
    }

    /// Goes over to the pending generation, if every consumer is ready for it or gone.
    fn move_on(&mut self) {
        let Some(pending) = &self.pending else {
            return;
        };
        let number = pending.generation.number;
        let waiting = |peer: &Peer| peer.joined().is_some() && !ready_for(peer, number);
        // Whoever does not answer in time is cut off by its own deadline. Those who came later are not waited for when the time
        // of a trial and of an answer to it is over: they join when they are ready.
        let over = pending.since.elapsed() >= 2 * self.patience();
        let ready = |peer: &Peer| ready_for(peer, number);
        if self.peers.iter().any(waiting) && !(over && self.peers.iter().any(ready)) {
            return;
        }
        let Some(pending) = self.pending.take() else {
            return;
        };
        self.active = Some(Active {
            generation: pending.generation,
            flights: Flights::new(),
        });
        let mut broken = Vec::new();
        for peer in self.peers.iter_mut().filter(|peer| peer.joined().is_some()) {
            peer.drop_rings(|one| one >= number);
            // Earlier ones too, which some may have imported before another could not.
            if number > 1
                && let Err(error) = peer.send(&Message::Retire(number - 1), &[])
            {
                broken.push((peer.id, error));
            }
        }
        for (id, error) in broken {
            self.hang_up(id, &error);
        }
        if let Some(active) = &self.active {
            let agreement = &active.generation.agreement;
            let event = ProducerEvent::Generation {
                number,
                extent: agreement.extent,
                format: agreement.format,
                rung: agreement.rung,
            };
            self.report(event);
        }
    }
}

fn ready_for(peer: &Peer, generation: u64) -> bool {
    let mut rings = peer.rings.iter();
    rings.any(|ring| ring.generation == generation && ring.ready)
}

/// Sends a generation to a consumer, with a ring of its own.
fn configure<I>(
    peer: &mut Peer,
    generation: &Generation<I>,
    producer: &str,
    active: Option<u64>,
) -> Result<()> {
    let Some(joined) = peer.joined() else {
        return Ok(());
    };
    let consumer_usage = joined.hello.usage;
    let agreement = &generation.agreement;
    let frames = generation.frames();
    let Some(first) = frames.first() else {
        return Ok(());
    };
    let ring = Ring::new(generation.number, frames.len())?;
    let message = Message::Configure(Box::new(Configure {
        version: VERSIONS.1.min(joined.hello.highest),
        generation: generation.number,
        extent: agreement.extent,
        format: agreement.format,
        // All slots are one program's work, and mean the same.
        color: first.layout().color(),
        rung: agreement.rung,
        devices: agreement.devices,
        producer_usage: agreement.producer,
        consumer_usage,
        device: first.device().clone(),
        acquire: agreement.acquire.clone(),
        release: agreement.release.clone(),
        refused: agreement.refused.clone(),
        producer: producer.to_owned(),
        slots: frames.iter().map(frame_message::slot_layout).collect(),
    }));
    let mut fds = vec![ring.memory.as_fd()];
    fds.extend(frames.iter().flat_map(frame_message::borrow_descriptors));
    peer.send(&message, &fds)?;
    // What it was configured for before and is not in use will never be.
    peer.drop_rings(|one| Some(one) == active);
    peer.rings.push(ring);
    Ok(())
}
