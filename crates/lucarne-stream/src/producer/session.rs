//! What happens on the producer's sockets: arrivals, answers, farewells.

use std::collections::VecDeque;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};

use super::gates::FENCE;
use super::peer::{Joined, Peer, Ring, Stage};
use super::{HOUSEKEEPING, LISTENER, Producer, ProducerEvent};
use crate::closing;
use crate::error::{Error, Result};
use crate::generation::Allocate;
use crate::socket::Socket;
use crate::wire::{Description, Farewell, Hello, ImportFailed, Message, Reason, State, VERSIONS};

/// Events that are handled before frames have their turn again.
const EVENTS: usize = 32;
/// Messages of one consumer that are handled before others have their turn.
const MESSAGES: usize = 16;
/// How often a consumer may say that an import failed.
const MAX_ROUNDS: usize = 16;

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
        self.looked = Instant::now();
        self.listen_again();
        for event in ready {
            let token = event.data.u64();
            match token {
                LISTENER => self.accept(),
                // A slot may be free now, which the next look finds.
                FENCE => {}
                peer => self.listen_to(peer),
            }
        }
        let kept = |peer: &&Peer| !peer.kept.is_empty();
        let kept: Vec<u64> = self.peers.iter().filter(kept).map(|peer| peer.id).collect();
        for id in kept {
            self.listen_to(id);
        }
        self.expire();
        self.settle();
        // Deadlines are kept for a program that only dispatches, too.
        let starved = self
            .starved
            .is_some_and(|since| since.elapsed() >= self.patience());
        if starved && self.active.is_some() {
            match self.free_slot() {
                Some(_) => self.starved = None,
                None => self.cut_off_the_slowest(),
            }
        }
        Ok(())
    }

    fn accept(&mut self) {
        for _ in 0..EVENTS {
            match self.listener.accept() {
                Ok(Some(socket)) => self.let_in(socket),
                Ok(None) => return,
                // Out of descriptors: the newcomer waits in the queue until there are some again. Meanwhile it must not wake
                // whoever waits for something else.
                Err(_) => {
                    if epoll::delete(&self.epoll, &self.listener).is_ok() {
                        self.deaf = Some(Instant::now());
                    }
                    return;
                }
            }
        }
    }

    fn listen_again(&mut self) {
        let over = |since: Instant| since.elapsed() >= HOUSEKEEPING;
        if !self.deaf.is_some_and(over) {
            return;
        }
        let token = epoll::EventData::new_u64(LISTENER);
        self.deaf = match epoll::add(&self.epoll, &self.listener, token, epoll::EventFlags::IN) {
            Ok(()) => None,
            Err(_) => Some(Instant::now()),
        };
    }

    fn let_in(&mut self, socket: Socket) {
        let refuse = |socket: &Socket, reason, text: &str| {
            let message = Message::Refused(Farewell::new(reason, text));
            // Whoever does not read it sees the hang-up.
            let _ = socket.send(&message, &[]);
        };
        let who = match socket.check_user(self.options.other_users) {
            Ok(who) => who,
            Err(error) => return refuse(&socket, Reason::User, &error.to_string()),
        };
        if closing::is_backed_up() {
            let text = "descriptors that peers have sent cannot be closed";
            return refuse(&socket, Reason::Resources, text);
        }
        // Twice as many as may watch: those that only ask what the stream is come and go.
        if self.peers.len() >= 2 * self.options.consumers {
            return refuse(&socket, Reason::Full, "too many connections");
        }
        let peer = Peer::new(self.next_peer, socket, who, self.options.patience);
        let flags = epoll::EventFlags::IN | epoll::EventFlags::RDHUP;
        if epoll::add(&self.epoll, &peer.socket, peer.token(), flags).is_err() {
            return refuse(&peer.socket, Reason::Resources, "no room for another");
        }
        self.next_peer += 1;
        self.peers.push(peer);
    }

    /// Handles what a consumer has sent.
    fn listen_to(&mut self, id: u64) {
        for _ in 0..MESSAGES {
            let Some(peer) = self.peers.iter_mut().find(|peer| peer.id == id) else {
                return;
            };
            let received = match peer.kept.pop_front() {
                Some(kept) => Ok(Some(kept)),
                None => peer.socket.receive(&mut self.inbox),
            };
            let handled = match received {
                // Being awake is all that it is for; what else has come is told by the next look.
                Ok(Some((Message::Wake, _))) => return,
                Ok(Some((message, fds))) => self.handle(id, message, fds),
                Ok(None) => return,
                Err(error) => Err(error),
            };
            if let Err(error) = handled {
                return self.hang_up(id, &error);
            }
        }
    }

    fn handle(&mut self, id: u64, message: Message, mut fds: Vec<OwnedFd>) -> Result<()> {
        let Some(peer) = self.peers.iter_mut().find(|peer| peer.id == id) else {
            return Ok(());
        };
        match (&mut peer.stage, message) {
            (Stage::Greeting, Message::Hello(hello)) => self.greet(id, *hello),
            (Stage::Greeting, Message::Describe(lowest, highest)) => {
                self.describe(id, lowest, highest);
                Ok(())
            }
            (Stage::Greeting, other) => Err(Error::Unexpected {
                message: other.name(),
                expected: "Hello or Describe",
            }),
            (Stage::Joined(_), Message::Ready(generation)) => {
                self.ready(id, generation);
                Ok(())
            }
            (Stage::Joined(joined), Message::ImportFailed(failed)) => {
                let newest = peer.rings.iter().map(|ring| ring.generation).max();
                // Frames may be out in it, whose slots would not come back with its ring.
                let late = |ring: &Ring| ring.generation == failed.generation && ring.ready;
                if peer.rings.iter().any(late) {
                    return Err(Error::Unexpected {
                        message: "ImportFailed",
                        expected: "nothing more about a generation that it was Ready for",
                    });
                }
                let stale = strike(joined, failed, newest)?;
                self.stale |= stale;
                if stale {
                    peer.drop_rings(|number| Some(number) != newest);
                }
                Ok(())
            }
            (Stage::Joined(_), Message::Fence(of)) => match fds.pop() {
                Some(fd) => peer.keep_fence(of, fd),
                None => Ok(()),
            },
            (Stage::Joined(_), Message::Drained(_)) => Ok(()),
            (_, Message::Goodbye(farewell)) => {
                self.part(id, None, &farewell.text);
                Ok(())
            }
            (Stage::Joined(_), other) => Err(Error::Unexpected {
                message: other.name(),
                expected: "Ready, ImportFailed, Fence, Drained or Goodbye",
            }),
        }
    }

    fn greet(&mut self, id: u64, hello: Hello) -> Result<()> {
        if hello.lowest > VERSIONS.1 || hello.highest < VERSIONS.0 {
            let text = format!(
                "it speaks versions {} to {}, and this producer {} to {}",
                hello.lowest, hello.highest, VERSIONS.0, VERSIONS.1
            );
            self.part(id, Some(Farewell::new(Reason::Version, &text)), &text);
            return Ok(());
        }
        let joined = self.peers.iter().filter(|peer| peer.joined().is_some());
        if joined.count() >= self.options.consumers {
            let text = format!("there are {} consumers already", self.options.consumers);
            self.part(id, Some(Farewell::new(Reason::Full, &text)), &text);
            return Ok(());
        }
        if let Some(peer) = self.peers.iter_mut().find(|peer| peer.id == id) {
            peer.stage = Stage::Joined(Box::new(Joined {
                hello,
                struck: Vec::new(),
                rounds: 0,
            }));
            peer.deadline = None;
            self.stale = true;
        }
        Ok(())
    }

    fn describe(&mut self, id: u64, lowest: u32, highest: u32) {
        if lowest > VERSIONS.1 || highest < VERSIONS.0 {
            let text = "no version in common";
            return self.part(id, Some(Farewell::new(Reason::Version, text)), text);
        }
        let current = self.active.as_ref().map(|active| &active.generation);
        let agreement = current.map(|generation| &generation.agreement);
        let description = Description {
            state: match agreement {
                None => State::Waiting,
                Some(_) if self.paused => State::Paused,
                Some(_) => State::Streaming,
            },
            extent: agreement.map_or(self.request.extent, |agreement| agreement.extent),
            format: agreement.map(|agreement| agreement.format),
            path: agreement.map(lucarne::Agreement::path),
            generation: current.map_or(0, |generation| generation.number),
            consumers: u32::try_from(self.consumers()).unwrap_or(u32::MAX),
            frames: self.sequence,
            since: self.since,
            producer: self.offer.name.clone(),
        };
        if let Some(peer) = self.peers.iter_mut().find(|peer| peer.id == id) {
            // Whoever asks and does not read gets no answer.
            let _ = peer
                .socket
                .send(&Message::Description(Box::new(description)), &[]);
        }
        self.part(id, None, "");
    }

    fn ready(&mut self, id: u64, generation: u64) {
        let Some(peer) = self.peers.iter_mut().find(|peer| peer.id == id) else {
            return;
        };
        // A late answer to what was configured before means nothing now.
        if peer.newest() != Some(generation) {
            return;
        }
        let first = peer.rings.iter().all(|ring| !ring.ready);
        for ring in &mut peer.rings {
            ring.ready |= ring.generation == generation;
        }
        peer.deadline = None;
        if first && let Some(joined) = peer.joined() {
            let event = ProducerEvent::Joined {
                consumer: id,
                credentials: peer.credentials,
                name: joined.hello.offer.name.clone(),
                delivery: joined.hello.delivery,
            };
            self.report(event);
        }
    }

    /// Ends the connections that did not answer in time.
    fn expire(&mut self) {
        let late = |peer: &&Peer| peer.deadline.is_some_and(|deadline| deadline.is_over());
        let late: Vec<u64> = self.peers.iter().filter(late).map(|peer| peer.id).collect();
        for id in late {
            let text = "it did not answer in time";
            self.part(id, Some(Farewell::new(Reason::TooSlow, text)), text);
        }
    }

    /// Tells every consumer; those whose socket is full are cut off, as they would miss it.
    pub(super) fn broadcast(&mut self, message: &Message) {
        let mut broken = Vec::new();
        for peer in self.peers.iter_mut().filter(|peer| peer.joined().is_some()) {
            if peer.rings.is_empty() {
                continue;
            }
            if let Err(error) = peer.send(message, &[]) {
                broken.push((peer.id, error));
            }
        }
        for (id, error) in broken {
            self.hang_up(id, &error);
        }
    }

    /// How long a consumer may take.
    pub(super) fn patience(&self) -> Duration {
        self.options.patience
    }
}

/// Notes a failed import; true where it is of the newest generation, so that something else has to be found.
fn strike(joined: &mut Joined, failed: ImportFailed, newest: Option<u64>) -> Result<bool> {
    if Some(failed.generation) != newest {
        return Ok(false);
    }
    joined.rounds += 1;
    if joined.rounds > MAX_ROUNDS {
        return Err(Error::Unexpected {
            message: "ImportFailed",
            expected: "an import that works, after so many that did not",
        });
    }
    joined.struck.push(failed.strike);
    Ok(true)
}

/// Messages that came before the one that was looked for.
pub(super) type Kept = VecDeque<(Message, Vec<OwnedFd>)>;
