//! What all sides have agreed on, and what they are moving to.
//!
//! Offers, answers and the time go in; steps come out, which the producer takes. No socket, no driver and no clock is asked
//! here, so that every order of events can be tried without them.
//!
//! A change goes: a newcomer, a departure, a failed import or the program makes it *due*; the sides negotiate; the producer
//! makes a *generation* of images; it is on *trial* until every consumer has imported it; then it is *current*.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use lucarne::negotiate::{Strike, StrikeReason};
use lucarne::{Agreement, Modifier, Offer, Refusal, Request, Usage, negotiate};

use super::joint_offer::{self, Side};
pub(super) use super::party::Failure;
use super::party::Party;
use crate::error::{Error, Result, is_shortage};
use crate::generation::Generation;
use crate::wire::ImportFailed;

/// What has to be looked at. The later ones include the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Nothing,
    /// Somebody has come or gone: there may be too much agreed on, or too little.
    Look,
    /// An import has failed.
    Failure,
    /// The program wants something else, whatever suits the consumers.
    Renewal,
}

/// When images were made last, or could not be for want of memory or descriptors.
#[derive(Clone, Copy, Debug)]
enum Attempt {
    None,
    Made(Instant),
    Short(Instant),
}

#[derive(Debug)]
enum State<S> {
    /// There are no frames: nobody has come yet.
    Idle,
    Trial(Trial<S>),
    Settled(Arc<Generation<S>>),
}

/// A generation that not every consumer has imported yet.
#[derive(Debug)]
struct Trial<S> {
    next: Arc<Generation<S>>,
    /// The one in use meanwhile.
    current: Option<Arc<Generation<S>>>,
    /// The program asked for it: it is wanted even if nobody needs it any more.
    requested: bool,
    /// When it, or what it replaced, was begun.
    since: Instant,
}

/// What the producer has to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Make images, and say what became of them with [`Arrangement::made`] or [`Arrangement::not_made`].
    Make(Agreement),
    /// Part with a consumer that cannot agree with the others.
    Refuse(u64, String),
    /// Send the newest generation to a consumer.
    Configure(u64),
    /// Use the generation that was on trial, which is the current one now.
    MoveOn,
}

/// The agreement between a producer and its consumers, at any time. `S` is what a generation's images are.
#[derive(Debug)]
pub(super) struct Arrangement<S> {
    offer: Offer,
    request: Request,
    patience: Duration,
    parties: Vec<Party>,
    /// What the producer's own device could not make after all.
    struck: Vec<Strike>,
    state: State<S>,
    due: Due,
    last: Attempt,
    generations: u64,
}

impl<S> Arrangement<S> {
    pub(super) fn new(offer: Offer, request: Request, patience: Duration) -> Self {
        Self {
            offer,
            request,
            patience,
            parties: Vec::new(),
            struck: Vec::new(),
            state: State::Idle,
            due: Due::Nothing,
            last: Attempt::None,
            generations: 0,
        }
    }

    /// What the producer can do.
    pub(super) fn offer(&self) -> &Offer {
        &self.offer
    }

    /// What the program wants.
    pub(super) fn request(&self) -> &Request {
        &self.request
    }

    /// How many consumers agree.
    pub(super) fn parties(&self) -> usize {
        self.parties.len()
    }

    /// What a consumer does with frames, if it is a party.
    pub(super) fn usage(&self, id: u64) -> Option<Usage> {
        let party = self.parties.iter().find(|party| party.id() == id);
        party.map(|party| party.usage())
    }

    /// The generation in use.
    pub(super) fn current(&self) -> Option<&Arc<Generation<S>>> {
        match &self.state {
            State::Idle => None,
            State::Trial(trial) => trial.current.as_ref(),
            State::Settled(current) => Some(current),
        }
    }

    /// The generation on trial, or else the one in use.
    pub(super) fn newest(&self) -> Option<&Arc<Generation<S>>> {
        match &self.state {
            State::Idle => None,
            State::Trial(trial) => Some(&trial.next),
            State::Settled(current) => Some(current),
        }
    }

    /// A consumer wants frames. The highest number is the newest.
    pub(super) fn join(&mut self, id: u64, offer: Offer, usage: Usage) {
        self.parties.push(Party::new(id, offer, usage));
        self.due = self.due.max(Due::Look);
    }

    /// A consumer is gone: what was made for it may not be needed any more, and others may do better without it. Says whether
    /// it was a party.
    pub(super) fn leave(&mut self, id: u64) -> bool {
        let Some(at) = self.parties.iter().position(|party| party.id() == id) else {
            return false;
        };
        self.parties.remove(at);
        self.due = self.due.max(Due::Look);
        true
    }

    /// The program wants something else.
    pub(super) fn renew(&mut self, request: Request) {
        self.request = request;
        self.due = Due::Renewal;
        // It may have made room.
        if let Attempt::Short(at) = self.last {
            self.last = Attempt::Made(at);
        }
    }

    /// A consumer has imported a generation. False for a late answer, to what was configured before: it means nothing now.
    pub(super) fn ready(&mut self, id: u64, generation: u64) -> bool {
        let party = self.parties.iter_mut().find(|party| party.id() == id);
        party.is_some_and(|party| party.accept(generation))
    }

    /// A consumer could not import a generation.
    ///
    /// # Errors
    ///
    /// [`Error::Unexpected`](crate::Error::Unexpected) for one that it was ready for, in which frames may be out, and for a
    /// strike of something else, after which the same would be sent again.
    pub(super) fn import_failed(&mut self, id: u64, failed: ImportFailed) -> Result<Failure> {
        if let Some(newest) = self.newest()
            && newest.number == failed.generation
            && !strikes_out(&failed.strike, newest)
        {
            return Err(Error::Unexpected {
                message: "ImportFailed of something else",
                expected: "one that names the path, format and modifier of what was sent, or fewer of them",
            });
        }
        let Some(party) = self.parties.iter_mut().find(|party| party.id() == id) else {
            return Ok(Failure::Late);
        };
        let failure = party.strike(failed)?;
        if failure == Failure::Counts {
            self.due = self.due.max(Due::Failure);
        }
        Ok(failure)
    }

    /// The images of an agreement are there; `modifiers` are those that the driver chose for them.
    pub(super) fn made(
        &mut self,
        agreement: Agreement,
        modifiers: Vec<Modifier>,
        slots: S,
        now: Instant,
    ) {
        self.generations += 1;
        let mut requested = self.due == Due::Renewal;
        (self.due, self.last) = (Due::Nothing, Attempt::Made(now));
        let (current, since) = match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => (None, now),
            State::Settled(current) => (Some(current), now),
            State::Trial(replaced) => {
                // What was requested is so in its place, too.
                requested |= replaced.requested;
                // It has no more time than the first one had.
                (replaced.current, replaced.since)
            }
        };
        let next = Arc::new(Generation {
            number: self.generations,
            agreement,
            modifiers,
            slots,
        });
        self.state = State::Trial(Trial {
            next,
            current,
            requested,
            since,
        });
    }

    /// The images could not be made. What the producer's own device offered and could not make is not tried again, but a
    /// shortage says nothing about what was agreed on.
    pub(super) fn not_made(&mut self, agreement: &Agreement, error: &lucarne::Error, now: Instant) {
        if is_shortage(error) {
            self.last = Attempt::Short(now);
            return;
        }
        let strike = |modifier| Strike {
            path: agreement.path(),
            format: Some(agreement.format),
            modifier,
            reason: StrikeReason::ExportFailed(error.to_string()),
        };
        if agreement.modifiers.is_empty() {
            self.struck.push(strike(None));
        }
        let modifiers = agreement.modifiers.iter().copied();
        self.struck
            .extend(modifiers.map(|modifier| strike(Some(modifier))));
    }

    /// What has to be done now. Asked again after each step, until there is nothing.
    pub(super) fn next_step(&mut self, now: Instant) -> Option<Step> {
        self.negotiate_anew(now)
            .or_else(|| self.configure_another(now))
            .or_else(|| self.move_on(now))
    }

    /// Whether there may be another step without anybody's doing.
    pub(super) fn waits(&self) -> bool {
        self.due != Due::Nothing || matches!(self.state, State::Trial(_))
    }

    /// How long until there may be another step without anybody's doing.
    pub(super) fn timeout(&self, now: Instant) -> Option<Duration> {
        let put_off = match (self.due, self.last) {
            (Due::Nothing, _) | (_, Attempt::None) => None,
            (_, Attempt::Made(at) | Attempt::Short(at)) => Some(
                self.patience
                    .saturating_sub(now.saturating_duration_since(at)),
            ),
        };
        let State::Trial(trial) = &self.state else {
            return put_off;
        };
        // A request whose own time is over still waits for the trial.
        let put_off = put_off.filter(|left| self.due != Due::Renewal || !left.is_zero());
        let since = now.saturating_duration_since(trial.since);
        let ends = [self.patience, self.patience.saturating_mul(2)];
        let end = ends.into_iter().find(|end| *end > since);
        let end = end.map(|end| end.saturating_sub(since));
        put_off.into_iter().chain(end).min()
    }

    /// Finds what all can agree on, where what they have is too little.
    fn negotiate_anew(&mut self, now: Instant) -> Option<Step> {
        if self.due == Due::Nothing {
            return None;
        }
        if self.parties.is_empty() {
            // The next consumer finds the new request.
            if self.due == Due::Renewal {
                self.state = State::Idle;
            }
            self.due = Due::Nothing;
            return None;
        }
        if self.due == Due::Renewal {
            if self.is_under_way() {
                return None;
            }
        } else {
            self.abandon_trial();
            if self.is_enough() {
                self.due = Due::Nothing;
                return None;
            }
        }
        if self.is_too_soon(now) {
            return None;
        }
        match self.negotiate_jointly()? {
            Ok(agreement) => Some(Step::Make(agreement)),
            Err(refusal) => {
                // Whoever gets frames already is refused last; among the others, the newest first.
                let order = |party: &&Party| (!party.is_served(), party.id());
                let last = self.parties.iter().max_by_key(order)?;
                Some(Step::Refuse(last.id(), refusal.to_string()))
            }
        }
    }

    /// Whether a generation is on trial that may still be agreed on: another one waits until everybody has answered, or their
    /// time is over, so that no consumer has more than two.
    fn is_under_way(&self) -> bool {
        matches!(&self.state, State::Trial(trial) if self.suits_all(&trial.next))
    }

    /// Gives up a trial whose consumer has gone meanwhile, and that the others do not need.
    fn abandon_trial(&mut self) {
        if let State::Trial(trial) = &self.state
            && let Some(current) = &trial.current
            && !trial.requested
            && self
                .parties
                .iter()
                .all(|party| party.is_ready(current.number))
            && self.suits_all(current)
        {
            self.state = State::Settled(current.clone());
        }
    }

    /// Whether all can use the newest generation, and none of them keeps the others from a better rung any more.
    fn is_enough(&self) -> bool {
        let Some(newest) = self.newest() else {
            return false;
        };
        let best = self.negotiate_jointly().and_then(std::result::Result::ok);
        let is_best = best.is_none_or(|best| best.rung >= newest.agreement.rung);
        is_best && self.suits_all(newest)
    }

    /// Whether the next generation has to wait. Newcomers cost everybody one, and could come without end; imports that have
    /// failed on trial are answered at once, and so is the program.
    fn is_too_soon(&self, now: Instant) -> bool {
        let on_trial = matches!(self.state, State::Trial(_));
        let since = match (self.last, self.due) {
            (Attempt::None, _) | (Attempt::Made(_), Due::Renewal) => return false,
            (Attempt::Made(_), Due::Failure) if on_trial => return false,
            (Attempt::Made(at) | Attempt::Short(at), _) => at,
        };
        now.saturating_duration_since(since) < self.patience
    }

    fn suits_all(&self, generation: &Generation<S>) -> bool {
        let mut kinds = self.kinds().into_iter();
        kinds.all(|party| party.suits(generation, &self.offer))
    }

    /// The consumers, and of those that can do the same only the first: a crowd mostly watches with one kind of device.
    fn kinds(&self) -> Vec<&Party> {
        let mut kinds: Vec<&Party> = Vec::new();
        for party in &self.parties {
            if !kinds.iter().any(|known| known.is_like(party)) {
                kinds.push(party);
            }
        }
        kinds
    }

    /// Negotiates with all consumers as one. `None` where there is nobody.
    fn negotiate_jointly(&self) -> Option<std::result::Result<Agreement, Box<Refusal>>> {
        let kinds = self.kinds();
        let sides: Vec<Side<'_>> = kinds.iter().map(|party| party.side()).collect();
        let (offer, usage) = joint_offer::join(&self.offer.device, &sides)?;
        let mut request = self.request.clone();
        request.consumer = usage;
        // What one consumer could not import is of no use to all together.
        let struck = kinds.iter().flat_map(|party| party.struck());
        request
            .struck
            .extend(self.struck.iter().chain(struck).cloned());
        Some(negotiate(&self.offer, &offer, &request))
    }

    /// Finds somebody whom the newest generation suits and who has not got it. Whom it does not suit waits for the next one,
    /// which may have been put off.
    fn configure_another(&mut self, now: Instant) -> Option<Step> {
        let newest = self.newest()?;
        let number = newest.number;
        let current = self.current().map(|current| current.number);
        let is_served = |party: &Party| current.is_some_and(|current| party.is_ready(current));
        let first_others = self.newcomers_first(now);
        let is_left_alone = |party: &Party| first_others && is_served(party);
        let wants = |party: &Party| {
            !party.has(number) && !is_left_alone(party) && party.suits(newest, &self.offer)
        };
        let at = self.parties.iter().position(wants)?;
        let party = &mut self.parties[at];
        party.ask(number, current);
        Some(Step::Configure(party.id()))
    }

    /// Whether those who get frames already are left alone for now: what a newcomer cannot import after all is not their
    /// concern. A trial that newcomers keep up without end is over with its time.
    fn newcomers_first(&self, now: Instant) -> bool {
        let State::Trial(trial) = &self.state else {
            return false;
        };
        let current = trial.current.as_ref().map(|current| current.number);
        let is_over = now.saturating_duration_since(trial.since) >= self.patience;
        let mut parties = self.parties.iter();
        !is_over
            && parties.any(|party| {
                !party.is_ready(trial.next.number)
                    && !current.is_some_and(|current| party.is_ready(current))
            })
    }

    /// Goes over to the generation on trial, if every consumer is ready for it. Whoever does not answer in time is cut off by
    /// the producer. Those who came later are not waited for when the time of a trial and of an answer to it is over: they join
    /// when they are ready.
    fn move_on(&mut self, now: Instant) -> Option<Step> {
        let State::Trial(trial) = &self.state else {
            return None;
        };
        let next = trial.next.clone();
        let time = self.patience.saturating_mul(2);
        let is_over = now.saturating_duration_since(trial.since) >= time;
        let is_ready = |party: &Party| party.is_ready(next.number);
        let are_ready = self.parties.iter().all(is_ready);
        let goes = are_ready || (is_over && self.parties.iter().any(is_ready));
        if !goes {
            return None;
        }
        for party in &mut self.parties {
            party.move_on(next.number);
        }
        self.state = State::Settled(next);
        Some(Step::MoveOn)
    }
}

/// Whether a generation is of what is struck out.
fn strikes_out<S>(strike: &Strike, generation: &Generation<S>) -> bool {
    let made = &generation.agreement;
    strike.path == made.path()
        && strike.format.is_none_or(|format| format == made.format)
        && strike
            .modifier
            .is_none_or(|modifier| generation.modifiers.contains(&modifier))
}
