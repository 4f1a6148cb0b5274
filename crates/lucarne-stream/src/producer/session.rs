//! What happens on the producer's sockets: arrivals, answers, farewells.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};

use super::arrangement::Failure;
use super::gates::FENCE;
use super::listener::LISTENER;
use super::peer::{Joined, Peer};
use super::reserve;
use super::{MAX_CONSUMERS, Producer, ProducerEvent};
use crate::closing;
use crate::deadline::Tick;
use crate::error::{Error, Result};
use crate::generation::Allocate;
use crate::socket::{MOST_UNREAD, Socket};
use crate::wire::{
    DETAILS_VERSION, Description, Details, Farewell, FarewellReason, Hello, Message, Report, State,
    VERSIONS,
};

/// Events that are handled before frames have their turn again.
const EVENTS: usize = 32;
/// Messages of one consumer that are handled before others have their turn.
const MESSAGES: usize = 16;

impl<A: Allocate> Producer<A> {
    /// Serves the sockets: lets newcomers in, hears answers, and takes back the slots of whoever is gone. Does not block.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when this process can no longer wait for events. What a consumer does is never an error here.
    pub fn dispatch(&mut self) -> Result<()> {
        self.awake();
        self.serve(Some(Duration::ZERO))
    }

    /// As `dispatch`, but waits for something to happen, `time` at most.
    pub(super) fn serve(&mut self, time: Option<Duration>) -> Result<()> {
        let mut events = [const { MaybeUninit::<epoll::Event>::uninit() }; EVENTS];
        let time = time.and_then(|time| Timespec::try_from(time).ok());
        let (ready, _) = match epoll::wait(&self.epoll, &mut events, time.as_ref()) {
            Ok(ready) => ready,
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Err(errno) => return Err(Error::os("epoll_wait", errno)),
        };
        self.looked = Tick::now();
        if ready.is_empty() && self.is_quiet() {
            return Ok(());
        }
        self.listener.wake(&self.epoll);
        self.admit_waiting();
        for event in ready {
            let token = event.data.u64();
            match token {
                LISTENER => self.accept(),
                // A slot may be free now, which the next look finds.
                FENCE => {}
                peer => {
                    let ends = epoll::EventFlags::HUP | epoll::EventFlags::RDHUP;
                    let flags = event.flags;
                    self.listen_to(peer, flags.intersects(ends));
                }
            }
        }
        for id in self.peers.unhandled() {
            self.listen_to(id, false);
        }
        for id in self.peers.overdue() {
            self.dismiss(id, FarewellReason::TooSlow, "it did not answer in time");
        }
        self.arrange();
        // Deadlines are kept for a program that only dispatches, too.
        if self.flights.starves()
            && self.long_stall(Instant::now()).is_some()
            && self.arrangement.current().is_some()
        {
            match self.another_slot() {
                Some(_) => self.flights.feed(),
                None => self.cut_off_the_slowest(),
            }
        }
        Ok(())
    }

    /// Whether nothing is to be done without an event: no message waits to be handled, and nobody's time runs.
    fn is_quiet(&self) -> bool {
        self.peers.are_quiet()
            && !self.arrangement.waits()
            && !self.listener.is_deaf()
            && !self.flights.starves()
    }

    fn accept(&mut self) {
        // Those who get frames are served first: newcomers wait in the queue while descriptors are few.
        let room = reserve::room();
        for _ in 0..EVENTS.min(room) {
            match self.listener.accept() {
                Ok(Some(socket)) => self.let_in(socket),
                Ok(None) => return,
                Err(_) => return self.listener.rest(&self.epoll),
            }
        }
        if room < EVENTS {
            self.listener.rest(&self.epoll);
        }
    }

    fn let_in(&mut self, socket: Socket) {
        let refuse = |socket: &Socket, reason, text: &str| {
            let message = Message::Refused(Farewell::new(reason, text));
            // Whoever does not read it sees the hang-up.
            let _ = socket.send(&message, &[]);
        };
        let credentials = match socket.check_user(self.options.other_users) {
            Ok(credentials) => credentials,
            Err(error) => return refuse(&socket, FarewellReason::User, &error.to_string()),
        };
        if closing::is_backed_up() {
            let text = "descriptors that peers have sent cannot be closed";
            return refuse(&socket, FarewellReason::Resources, text);
        }
        // Twice as many as may watch: those that only ask what the stream is come and go.
        if self.peers.len() >= 2 * self.options.consumers {
            return refuse(&socket, FarewellReason::Full, "too many connections");
        }
        let id = self.peers.next_id();
        let flags = epoll::EventFlags::IN | epoll::EventFlags::RDHUP;
        if epoll::add(&self.epoll, &socket, epoll::EventData::new_u64(id), flags).is_err() {
            return refuse(&socket, FarewellReason::Resources, "no room for another");
        }
        let peer = Peer::new(id, socket, credentials, self.options.patience);
        self.peers.add(peer);
    }

    /// Handles what a consumer has sent: all of it where it has hung up, as nothing can come any more.
    fn listen_to(&mut self, id: u64, is_over: bool) {
        // Of one that waits, the end is all that is told.
        if self
            .peers
            .find(id)
            .is_some_and(|peer| peer.waiting.is_some())
        {
            return self.hang_up(id, &Error::PeerGone);
        }
        let messages = if is_over { MOST_UNREAD } else { MESSAGES };
        for _ in 0..messages {
            let handled = match self.peers.receive(id) {
                // Being awake is all that it is for; what else has come is told by the next look.
                Ok(Some((Message::Wake, _))) if !is_over && self.has_joined(id) => return,
                // One that has to wait says more when it is let in.
                Ok(Some((Message::Hello(hello), _))) if !self.has_greeted(id) => {
                    return self.greet(id, *hello);
                }
                Ok(Some((message, fds))) => self.handle(id, message, fds),
                Ok(None) => return,
                Err(error) => Err(error),
            };
            if let Err(error) = handled {
                return self.hang_up(id, &error);
            }
        }
    }

    fn has_joined(&mut self, id: u64) -> bool {
        let peer = self.peers.find(id);
        peer.is_some_and(|peer| peer.joined.is_some())
    }

    fn handle(&mut self, id: u64, message: Message, fds: Vec<OwnedFd>) -> Result<()> {
        let Some(peer) = self.peers.find(id) else {
            return Ok(());
        };
        peer.check_sent(&message)?;
        match (peer.joined.is_some(), message) {
            (_, Message::Goodbye(farewell)) => self.part(id, None, &farewell.text),
            (false, Message::Describe(lowest, highest)) => self.describe(id, lowest, highest),
            (true, Message::Ready(generation)) => self.ready(id, generation),
            (true, Message::ImportFailed(failed)) => {
                match self.arrangement.import_failed(id, failed)? {
                    Failure::Late => {}
                    Failure::Counts => peer.end_trial(false),
                    Failure::TooMany(text) => {
                        self.dismiss(id, FarewellReason::Incompatible, &text);
                    }
                }
            }
            (true, Message::Fence(of)) => {
                if let Some(fd) = fds.into_iter().next() {
                    peer.keep_fence(of, fd)?;
                }
            }
            (true, Message::Drained(_) | Message::Wake) => {}
            (is_joined, other) => {
                return Err(Error::Unexpected {
                    message: other.name(),
                    expected: if is_joined {
                        "Ready, ImportFailed, Fence, Drained, Wake or Goodbye"
                    } else {
                        "Hello or Describe"
                    },
                });
            }
        }
        Ok(())
    }

    fn has_greeted(&mut self, id: u64) -> bool {
        let peer = self.peers.find(id);
        peer.is_none_or(|peer| peer.joined.is_some())
    }

    fn greet(&mut self, id: u64, hello: Hello) {
        if hello.lowest > VERSIONS.1 || hello.highest < VERSIONS.0 {
            let text = format!(
                "it speaks versions {} to {}, and this producer {} to {}",
                hello.lowest, hello.highest, VERSIONS.0, VERSIONS.1
            );
            return self.dismiss(id, FarewellReason::Version, &text);
        }
        if self.arrangement.parties() >= self.options.consumers {
            let text = format!("there are {} consumers already", self.options.consumers);
            return self.dismiss(id, FarewellReason::Full, &text);
        }
        let Some(peer) = self.peers.find(id) else {
            return;
        };
        peer.deadline = None;
        let now = Instant::now();
        // Its messages stay in the socket meanwhile. Where the kernel does not let it wait, it need not.
        if self.conduct.wait(peer.credentials, now).is_some()
            && peer.hear(&self.epoll, false).is_ok()
        {
            peer.waiting = Some(Box::new(hello));
            return;
        }
        peer.proof = self.conduct.admit(peer.credentials, now);
        peer.joined = Some(Joined {
            name: hello.offer.name.clone(),
            delivery: hello.delivery,
            version: VERSIONS.1.min(hello.highest),
        });
        self.arrangement.join(id, hello.offer, hello.usage);
    }

    /// How long until somebody who waits can be let in.
    pub(super) fn admission(&self, now: Instant) -> Option<Duration> {
        let waiting = self.peers.iter().filter(|peer| peer.waiting.is_some());
        let waits = waiting.map(|peer| self.conduct.wait(peer.credentials, now));
        waits.map(Option::unwrap_or_default).min()
    }

    /// Lets in who has waited for long enough; whoever came first is first.
    fn admit_waiting(&mut self) {
        let now = Instant::now();
        while self.admission(now).is_some_and(|left| left.is_zero()) {
            let comes = |peer: &&Peer| {
                peer.waiting.is_some() && self.conduct.wait(peer.credentials, now).is_none()
            };
            let first = self.peers.iter().filter(comes).map(|peer| peer.id).min();
            let Some(peer) = first.and_then(|id| self.peers.find(id)) else {
                return;
            };
            let (id, heard) = (peer.id, peer.hear(&self.epoll, true));
            match (heard, peer.waiting.take()) {
                (Ok(()), Some(hello)) => self.greet(id, *hello),
                (Err(error), _) => self.hang_up(id, &error),
                (Ok(()), None) => return,
            }
        }
    }

    fn describe(&mut self, id: u64, lowest: u32, highest: u32) {
        if lowest > VERSIONS.1 || highest < VERSIONS.0 {
            return self.dismiss(id, FarewellReason::Version, "no version in common");
        }
        let current = self.arrangement.current();
        let agreement = current.map(|generation| &generation.agreement);
        let description = Description {
            state: match agreement {
                None => State::Waiting,
                Some(_) if self.paused => State::Paused,
                Some(_) => State::Streaming,
            },
            extent: agreement.map_or(self.arrangement.request().extent, |agreement| {
                agreement.extent
            }),
            format: agreement.map(|agreement| agreement.format),
            path: agreement.map(lucarne::Agreement::path),
            generation: current.map_or(0, |generation| generation.number),
            consumers: u32::try_from(self.consumers()).unwrap_or(u32::MAX),
            frames: self.sequence,
            since: self.listener.since(),
            producer: self.arrangement.offer().name.clone(),
        };
        let answer = if highest < DETAILS_VERSION {
            Message::Description(Box::new(description))
        } else {
            let details = self.details();
            Message::Report(Box::new(Report {
                description,
                details,
            }))
        };
        if let Some(peer) = self.peers.find(id) {
            // Whoever asks and does not read gets no answer.
            let _ = peer.send(&answer, &[]);
        }
        self.part(id, None, "");
    }

    /// What is kept anyway: frames cost nothing more because of it.
    fn details(&self) -> Details {
        let current = self.arrangement.current();
        let details = self.peers.iter();
        let mut consumers: Vec<_> = details
            .filter_map(|peer| peer.details(self.sequence))
            .collect();
        consumers.sort_by_key(|one| one.number);
        consumers.truncate(MAX_CONSUMERS);
        Details {
            rung: current.map(|generation| generation.agreement.rung),
            modifier: current.and_then(|generation| generation.modifiers.first().copied()),
            slots: current.map_or(0, |generation| generation.slots.images.len()),
            consumers,
        }
    }

    fn ready(&mut self, id: u64, generation: u64) {
        let Some(peer) = self.peers.find(id) else {
            return;
        };
        if !self.arrangement.ready(id, generation) {
            return;
        }
        let is_first = !peer.is_served();
        peer.end_trial(true);
        if is_first {
            peer.begin(self.sequence);
        }
        if is_first && let Some(joined) = &peer.joined {
            self.events.report(ProducerEvent::Joined {
                consumer: id,
                credentials: peer.credentials,
                name: joined.name.clone(),
                delivery: joined.delivery,
            });
        }
    }

    /// Tells every consumer; those whose socket is full are cut off, as they would miss it.
    pub(super) fn broadcast(&mut self, message: &Message) {
        if self.peers.each(|peer, _| peer.tell(message)).is_err() {
            self.hang_up_on_broken();
        }
    }

    /// Ends the connections with which something failed.
    #[cold]
    pub(super) fn hang_up_on_broken(&mut self) {
        for (id, error) in self.peers.take_broken() {
            self.hang_up(id, &error);
        }
    }

    /// Ends a connection because of an error.
    pub(super) fn hang_up(&mut self, id: u64, error: &Error) {
        let text = error.to_string();
        match error {
            Error::PeerGone => self.part(id, None, &text),
            error => self.dismiss(id, error.farewell_reason(), &text),
        }
    }

    /// Ends a connection, and says why.
    pub(super) fn dismiss(&mut self, id: u64, reason: FarewellReason, text: &str) {
        self.part(id, Some(Farewell::new(reason, text)), text);
    }

    /// Ends a connection: its slots are free at once.
    fn part(&mut self, id: u64, farewell: Option<Farewell>, reason: &str) {
        let Some(mut peer) = self.peers.remove(id) else {
            return;
        };
        if let Some(farewell) = farewell {
            peer.send_farewell(farewell);
        }
        self.charge(&peer);
        if let Some(current) = self.arrangement.current() {
            self.flights.forget(&peer, current.number, &self.epoll);
        }
        if self.arrangement.leave(id) {
            self.events.report(ProducerEvent::Left {
                consumer: id,
                reason: reason.to_owned(),
            });
        }
    }
}
