//! The window's end of the stream: finds it, follows it, and finds it again.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lucarne::{Fence, Frame, Lent, Offer};
use lucarne_stream::wire::{Farewell, FarewellReason};
use lucarne_stream::{
    Consumer, ConsumerEvent, ConsumerOptions, Delivery, Error, Reading, Received,
};

use super::screen::{Importer, Screen, Shown};
use super::state::State;
use crate::{Failure, watch};

/// How often a producer is looked for that is not there.
const LOOK: Duration = Duration::from_millis(200);

/// A stream by its name, whether it is there or not.
pub(super) struct Stream<S: Screen> {
    name: String,
    folder: PathBuf,
    offer: Offer,
    consumer: Option<Consumer<Importer<S::Image>>>,
    /// When to look for a producer again.
    look_at: Instant,
}

impl<S: Screen> Stream<S> {
    pub(super) fn new(name: &str, folder: &Path, screen: &S) -> Result<Self, Failure> {
        Ok(Self {
            name: name.to_owned(),
            folder: folder.to_owned(),
            offer: screen.offer()?,
            consumer: None,
            look_at: Instant::now(),
        })
    }

    /// Joins anew, as somebody who can show something else now.
    pub(super) fn offer_again(&mut self, offer: Offer) {
        self.offer = offer;
        self.consumer = None;
        self.look_at = Instant::now();
    }

    /// Readable when there may be a frame, once [`next`](Self::next) had nothing.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.consumer.as_ref().map(AsFd::as_fd)
    }

    /// The next frame, if one is there. What happens to the producer is told to `state`. Does not wait.
    pub(super) fn next(
        &mut self,
        screen: &S,
        state: &mut State,
        now: Instant,
    ) -> Result<Option<Received<S::Image>>, Failure> {
        let is_away = self.consumer.is_none() || state.is_gone();
        if is_away && !self.connect(screen, state, now)? {
            return Ok(None);
        }
        let Some(consumer) = &mut self.consumer else {
            return Ok(None);
        };
        let received = consumer.try_receive();
        while let Some(event) = consumer.event() {
            match event {
                ConsumerEvent::Generation { rung, .. } => state.rung = rung.to_string(),
                ConsumerEvent::Paused => state.paused(),
                ConsumerEvent::Resumed => state.resumed(),
                ConsumerEvent::ImportFailed { reason, .. } => {
                    state.say(format!("cannot be shown so: {reason}"), now);
                }
                _ => {}
            }
        }
        match received {
            Ok(received) => Ok(received),
            Err(error) => {
                state.gone(&self.farewell(error, state.frames > 0)?);
                self.look_at = now + LOOK;
                Ok(None)
            }
        }
    }

    /// Looks for a producer, now and then.
    fn connect(&mut self, screen: &S, state: &mut State, now: Instant) -> Result<bool, Failure> {
        if now < self.look_at {
            return Ok(false);
        }
        self.look_at = now + LOOK;
        let connected = match &mut self.consumer {
            Some(consumer) => consumer.reconnect(),
            None => {
                let settings = ConsumerOptions::new(Delivery::Latest)
                    .usage(S::USAGE)
                    .directory(&self.folder);
                let importer = screen.importer();
                Consumer::connect(&self.name, &self.offer, settings, importer)
                    .map(|consumer| self.consumer = Some(consumer))
            }
        };
        match connected {
            Ok(()) => {
                state.connected();
                Ok(true)
            }
            Err(error) if watch::is_not_there(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// What is said while there is no producer. An error where waiting for another would not help.
    fn farewell(&self, error: Error, was_shown: bool) -> Result<String, Failure> {
        let name = &self.name;
        match error {
            Error::Ended => Ok(format!("{name} has ended")),
            Error::PeerGone => Ok(format!("the producer of {name} has gone")),
            Error::Refused(Farewell {
                reason: FarewellReason::Ended | FarewellReason::Done,
                ..
            }) => Ok(format!("{name} has ended")),
            // This process was stopped, for instance.
            Error::Refused(Farewell {
                reason: FarewellReason::TooSlow,
                ..
            }) => Ok(format!("the producer of {name} has cut the connection")),
            // What was seen once may be so again.
            Error::Refused(farewell) if was_shown => {
                Ok(format!("the producer of {name} refuses: {}", farewell.text))
            }
            error => Err(error.into()),
        }
    }
}

/// The frame in the window. It stays lent until the next one is there.
pub(super) struct Held<I> {
    reading: Reading<I>,
    acquire: Fence,
    /// Signals when what was drawn so far has read it.
    read: Option<Fence>,
}

impl<I> Held<I> {
    pub(super) fn new(received: Received<I>) -> Self {
        let (reading, acquire) = received.acquire();
        Self {
            reading,
            acquire,
            read: None,
        }
    }

    pub(super) fn shown(&self) -> Shown<'_, I> {
        Shown {
            image: self.reading.image(),
            acquire: &self.acquire,
            is_fresh: !self.is_drawn(),
        }
    }

    /// Whether it was in the window.
    pub(super) fn is_drawn(&self) -> bool {
        self.read.is_some()
    }

    pub(super) fn frame(&self) -> &Frame {
        Lent::frame(&*self.reading)
    }

    pub(super) fn sequence(&self) -> u64 {
        self.reading.sequence()
    }

    /// How long ago it was made, where its producer says when.
    pub(super) fn age(&self) -> Option<Duration> {
        let made = self.reading.timestamp();
        lucarne_stream::now()
            .checked_sub(made)
            .filter(|_| !made.is_zero())
    }

    /// It was drawn for the first time if this says so.
    pub(super) fn drawn(&mut self, read: Fence) -> bool {
        self.read.replace(read).is_none()
    }

    /// Says what ends its reading, if that is known; nothing of one that nobody drew.
    pub(super) fn read(&self) -> Option<&Fence> {
        self.read.as_ref()
    }

    /// Gives it back, read until `fence`.
    pub(super) fn release_with(self, fence: Fence) -> Result<(), Failure> {
        Ok(self.reading.release(fence)?)
    }

    /// Gives it back. What nobody read goes back with the fence that it came with.
    pub(super) fn release(self) -> Result<(), Failure> {
        Ok(self.reading.release(self.read.unwrap_or(self.acquire))?)
    }
}
