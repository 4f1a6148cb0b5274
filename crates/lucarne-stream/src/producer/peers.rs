//! Everybody who is connected to a producer.

use std::cmp::Reverse;
use std::os::fd::OwnedFd;
use std::time::Duration;

use super::peer::Peer;
use crate::error::{Error, Result};
use crate::socket::Inbox;
use crate::wire::Message;

/// Something failed with somebody: [`Peers::take_broken`] has those who are to be parted with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Broken;

#[derive(Debug)]
pub(super) struct Peers {
    list: Vec<Peer>,
    /// Numbers are never used again.
    last_id: u64,
    inbox: Inbox,
    /// With whom something failed, and why.
    broken: Vec<(u64, Error)>,
}

impl Peers {
    pub(super) fn new() -> Self {
        Self {
            list: Vec::new(),
            last_id: 0,
            inbox: Inbox::new(),
            broken: Vec::new(),
        }
    }

    /// A number for a newcomer.
    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn add(&mut self, peer: Peer) {
        self.list.push(peer);
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Peer> {
        let at = self.list.iter().position(|peer| peer.id == id)?;
        Some(self.list.swap_remove(at))
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn find(&mut self, id: u64) -> Option<&mut Peer> {
        self.list.iter_mut().find(|peer| peer.id == id)
    }

    /// How many get frames.
    pub(super) fn served(&self) -> usize {
        self.list.iter().filter(|peer| peer.is_served()).count()
    }

    /// Does something with every peer.
    #[inline]
    pub(super) fn each(
        &mut self,
        mut act: impl FnMut(&mut Peer, &mut Inbox) -> Result<()>,
    ) -> Result<(), Broken> {
        for peer in &mut self.list {
            if let Err(error) = act(peer, &mut self.inbox) {
                note(&mut self.broken, peer.id, error);
            }
        }
        if self.broken.is_empty() {
            Ok(())
        } else {
            Err(Broken)
        }
    }

    /// With whom something failed, and why: each is to be parted with.
    pub(super) fn take_broken(&mut self) -> Vec<(u64, Error)> {
        std::mem::take(&mut self.broken)
    }

    /// The next message of a peer.
    pub(super) fn receive(&mut self, id: u64) -> Result<Option<(Message, Vec<OwnedFd>)>> {
        match self.list.iter_mut().find(|peer| peer.id == id) {
            Some(peer) => peer.receive(&mut self.inbox),
            None => Ok(None),
        }
    }

    pub(super) fn announce_sleep(&self) {
        self.list.iter().for_each(Peer::announce_sleep);
    }

    pub(super) fn awake(&self) {
        self.list.iter().for_each(Peer::awake);
    }

    /// Whether nobody is to be looked at without an event.
    pub(super) fn are_quiet(&self) -> bool {
        let mut peers = self.list.iter();
        peers.all(|peer| peer.deadline.is_none() && peer.waiting.is_none() && !peer.has_kept())
    }

    /// Those who did not answer in time.
    pub(super) fn overdue(&self) -> Vec<u64> {
        self.ids_of(|peer| peer.deadline.is_some_and(|deadline| deadline.is_over()))
    }

    /// Those whose messages have been read and not handled.
    pub(super) fn unhandled(&self) -> Vec<u64> {
        self.ids_of(Peer::has_kept)
    }

    fn ids_of(&self, are: impl Fn(&Peer) -> bool) -> Vec<u64> {
        let peers = self.list.iter().filter(|peer| are(peer));
        peers.map(|peer| peer.id).collect()
    }

    /// Of those whose time `is_over`: those who keep most slots, and among them those who keep the oldest frame. `gated` tells
    /// the slots that somebody gave back and still reads. Nobody, where the program itself has all slots.
    pub(super) fn slowest(
        &self,
        is_over: impl Fn(&Peer) -> bool,
        gated: impl Fn(u64) -> usize,
    ) -> Vec<u64> {
        let burden = |peer: &Peer| {
            let kept = peer.out().count() + gated(peer.id);
            let oldest = peer.out().map(|(_, sequence)| sequence).min();
            (kept > 0 && is_over(peer)).then_some((kept, Reverse(oldest.unwrap_or(0))))
        };
        let most = self.list.iter().filter_map(burden).max();
        self.ids_of(|peer| most.is_some() && burden(peer) == most)
    }

    /// Everybody.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.list.iter()
    }

    /// How long until a peer has to be looked at.
    pub(super) fn timeout(&self) -> Option<Duration> {
        let left = |peer: &Peer| match peer.deadline {
            _ if peer.has_kept() => Some(Duration::ZERO),
            Some(deadline) => deadline.left(),
            None => None,
        };
        self.list.iter().filter_map(left).min()
    }
}

#[cold]
fn note(broken: &mut Vec<(u64, Error)>, id: u64, error: Error) {
    broken.push((id, error));
}
