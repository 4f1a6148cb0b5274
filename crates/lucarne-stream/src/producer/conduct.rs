//! How users and processes have behaved: those whose consumers kept a stream waiting have less time, and are let in later.
//!
//! Each process and each user has an allowance of stalls: time in which the producer had no free slot, and somebody left or was
//! cut off who kept one. It comes back slowly. While it lasts, a consumer may take the producer's whole patience. Without
//! it, a newcomer has a small part of that, and newcomers come one by one. So however often somebody comes back, and from
//! however many processes, the others lose the allowance once, and a small share of the time after that.
//!
//! No clock is asked here, so that hours can be tried in a moment.

use std::time::{Duration, Instant};

use lucarne::kernel::PeerCredentials;

/// An allowance grows by this part of the time that goes by.
const RETURNS: u32 = 64;
/// The part of the patience that every consumer has.
const LEAST: u32 = 64;
/// How many patiences lie between two newcomers of those who have used up their allowance.
const APART: u32 = 2;
/// How many patiences one process may keep others waiting, and one user.
const OF_PROCESS: u32 = 1;
const OF_USER: u32 = 2;
/// Frames that a consumer has given back before it has the whole patience, whatever others of its kind do.
const PROOF: u32 = 8;
/// The same for one that came while the allowance was used up: more than pays off.
const LONG_PROOF: u32 = 8192;
/// More than can be in use: each needs a stall of its own, and is forgotten when its allowance is whole again.
const MAX_RECORDS: usize = 256;

/// A stall of the stream, and how long it has taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stall {
    pub(super) since: Instant,
    pub(super) length: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    User(u32),
    /// A process without a number here is one with all others of its kind.
    Process(u32, Option<u32>),
}

/// What somebody has used up of an allowance.
#[derive(Debug)]
struct Record {
    who: Who,
    spent: Duration,
    /// When that was so.
    at: Instant,
    /// The stall that was charged last, and how much of it: several may be to blame for the same one.
    stall: (Instant, Duration),
    /// When the next newcomer may come, while nothing is left.
    next: Instant,
}

impl Record {
    fn spent(&self, now: Instant) -> Duration {
        let back = now.saturating_duration_since(self.at) / RETURNS;
        self.spent.saturating_sub(back)
    }

    fn charge(&mut self, stall: Stall, now: Instant) {
        let known = if self.stall.0 == stall.since {
            self.stall.1
        } else {
            Duration::ZERO
        };
        self.spent = self.spent(now) + stall.length.saturating_sub(known);
        self.at = now;
        self.stall = (stall.since, stall.length);
    }
}

/// What everybody has used up.
#[derive(Debug)]
pub(super) struct Conduct {
    patience: Duration,
    records: Vec<Record>,
}

impl Conduct {
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            patience,
            records: Vec::new(),
        }
    }

    /// Whether nobody has used up anything.
    pub(super) fn is_clean(&self) -> bool {
        self.records.is_empty()
    }

    /// A consumer that kept a slot has gone, while there was no free one.
    pub(super) fn charge(&mut self, peer: PeerCredentials, stall: Stall, now: Instant) {
        // Whoever has spent nothing waits for nothing, whenever its next newcomer was due.
        self.records.retain(|record| !record.spent(now).is_zero());
        let stall = Stall {
            length: stall.length.min(self.patience),
            ..stall
        };
        let next = now + self.apart();
        for who in keys(peer) {
            let is_full = self.records.len() >= MAX_RECORDS;
            match self.records.iter_mut().find(|record| record.who == who) {
                Some(record) => {
                    record.charge(stall, now);
                    record.next = next;
                }
                None if is_full => {}
                None => self.records.push(Record {
                    who,
                    spent: stall.length,
                    at: now,
                    stall: (stall.since, stall.length),
                    next,
                }),
            }
        }
    }

    /// How long a consumer may keep the others waiting.
    pub(super) fn patience(&self, peer: PeerCredentials, now: Instant) -> Duration {
        let left = keys(peer).map(|who| self.left(who, now));
        let left = left.into_iter().min().unwrap_or(self.patience);
        left.clamp(self.patience / LEAST, self.patience)
    }

    /// How long a newcomer has to wait before it is let in.
    pub(super) fn wait(&self, peer: PeerCredentials, now: Instant) -> Option<Duration> {
        let waits = self.used_up(peer, now);
        let waits = waits.map(|record| record.next.saturating_duration_since(now));
        waits.max().filter(|wait| !wait.is_zero())
    }

    /// A newcomer is let in. Says how many frames it has to give back before it has the whole patience for good.
    pub(super) fn admit(&mut self, peer: PeerCredentials, now: Instant) -> u32 {
        let next = now + self.apart();
        let used_up = keys(peer).map(|who| self.is_used_up(who, now));
        for (who, used_up) in keys(peer).into_iter().zip(used_up) {
            let mut records = self.records.iter_mut();
            if let Some(record) = records.find(|record| record.who == who && used_up) {
                record.next = next;
            }
        }
        let is_whole = |who| self.left(who, now) >= self.patience;
        if keys(peer).into_iter().all(is_whole) {
            PROOF
        } else {
            LONG_PROOF
        }
    }

    fn apart(&self) -> Duration {
        self.patience.saturating_mul(APART)
    }

    fn left(&self, who: Who, now: Instant) -> Duration {
        let all = match who {
            Who::User(_) => OF_USER,
            Who::Process(..) => OF_PROCESS,
        };
        let all = self.patience.saturating_mul(all);
        let mut records = self.records.iter();
        let record = records.find(|record| record.who == who);
        record.map_or(all, |record| all.saturating_sub(record.spent(now)))
    }

    /// Whether less is left than is worth coming for.
    fn is_used_up(&self, who: Who, now: Instant) -> bool {
        self.left(who, now) < self.patience / 2
    }

    fn used_up(&self, peer: PeerCredentials, now: Instant) -> impl Iterator<Item = &Record> {
        let keys = keys(peer).map(|who| self.is_used_up(who, now).then_some(who));
        let concerns = move |record: &&Record| keys.contains(&Some(record.who));
        self.records.iter().filter(concerns)
    }
}

fn keys(peer: PeerCredentials) -> [Who; 2] {
    [Who::User(peer.uid), Who::Process(peer.uid, peer.pid)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(500);
    const OFFENDERS: u32 = 8;
    const MINUTE: Duration = Duration::from_secs(60);

    fn process(pid: u32) -> PeerCredentials {
        PeerCredentials {
            pid: Some(pid),
            uid: 1000,
            gid: 1000,
        }
    }

    /// Offenders that keep every slot from the moment that they are let in until they are cut off, and come back at once, as
    /// the process that `pid` says. How long the others waited within `time`.
    fn lost(time: Duration, mut pid: impl FnMut(u32) -> u32) -> Duration {
        let step = Duration::from_millis(1);
        let begun = Instant::now();
        let mut conduct = Conduct::new(PATIENCE);
        let mut count = 0;
        let mut newcomer = || {
            count += 1;
            process(pid(count))
        };
        let mut waiting: Vec<_> = (0..OFFENDERS).map(|_| newcomer()).collect();
        let mut inside: Vec<PeerCredentials> = Vec::new();
        let mut stall: Option<Instant> = None;
        let mut lost = Duration::ZERO;
        let mut now = begun;
        while now < begun + time {
            if let Some(at) = waiting
                .iter()
                .position(|peer| conduct.wait(*peer, now).is_none())
            {
                let peer = waiting.remove(at);
                conduct.admit(peer, now);
                inside.push(peer);
            }
            let since = *stall.get_or_insert(now);
            let length = now - since;
            let is_over = |peer: &PeerCredentials| conduct.patience(*peer, now) <= length;
            if let Some(at) = inside.iter().position(is_over) {
                conduct.charge(inside.remove(at), Stall { since, length }, now);
                waiting.push(newcomer());
                stall = None;
            }
            if inside.is_empty() {
                stall = None;
            } else {
                lost += step;
            }
            now += step;
        }
        lost
    }

    #[test]
    fn offenders_that_come_back_cost_the_others_a_twentieth() {
        // All of one process; each from one of its own; and from a new one each time.
        let one = lost(MINUTE, |_| 1);
        let eight = lost(MINUTE, |count| count % OFFENDERS);
        let many = lost(MINUTE, |count| count);
        for lost in [one, eight, many] {
            assert!(lost >= PATIENCE, "{lost:?}");
            assert!(lost <= MINUTE / 20, "{one:?} {eight:?} {many:?}");
        }
    }

    #[test]
    fn a_stall_is_charged_once_whoever_is_to_blame() {
        let now = Instant::now();
        let mut conduct = Conduct::new(PATIENCE);
        let stall = Stall {
            since: now,
            length: PATIENCE,
        };
        let now = now + PATIENCE;
        for pid in 0..OFFENDERS {
            conduct.charge(process(pid), stall, now);
        }
        assert_eq!(conduct.patience(process(100), now), PATIENCE);
        assert_eq!(conduct.wait(process(100), now), None);
        assert_eq!(conduct.patience(process(0), now), PATIENCE / LEAST);
        assert_eq!(conduct.wait(process(0), now), Some(PATIENCE * APART));
        // Another user is not to blame for it.
        let mut other = process(0);
        other.uid += 1;
        assert_eq!(conduct.patience(other, now), PATIENCE);
        // Nor once this user has used up what it may.
        let again = Stall {
            since: now,
            length: PATIENCE,
        };
        let now = now + PATIENCE;
        conduct.charge(process(0), again, now);
        assert!(conduct.patience(process(100), now) < PATIENCE);
        assert_eq!(conduct.patience(other, now), PATIENCE);
        assert_eq!(conduct.wait(other, now), None);
    }

    #[test]
    fn all_is_forgotten_in_time() {
        let now = Instant::now();
        let mut conduct = Conduct::new(PATIENCE);
        let length = PATIENCE;
        conduct.charge(process(1), Stall { since: now, length }, now);
        assert_eq!(conduct.admit(process(1), now), LONG_PROOF);
        assert_eq!(conduct.admit(process(2), now), PROOF);
        let later = now + RETURNS * PATIENCE;
        assert_eq!(conduct.admit(process(1), later), PROOF);
        assert_eq!(conduct.patience(process(1), later), PATIENCE);
        conduct.charge(
            process(2),
            Stall {
                since: later,
                length,
            },
            later,
        );
        assert_eq!(conduct.records.len(), 2, "{conduct:?}");
    }

    #[test]
    fn newcomers_of_an_offender_come_one_by_one() {
        let begun = Instant::now();
        let apart = PATIENCE * APART;
        let mut conduct = Conduct::new(PATIENCE);
        let stall = |since| Stall {
            since,
            length: PATIENCE,
        };
        conduct.charge(process(1), stall(begun), begun);
        assert_eq!(conduct.wait(process(1), begun), Some(apart));
        // One is let in when its time has come, and the next waits from then on.
        let first = begun + apart;
        assert_eq!(conduct.wait(process(1), first), None);
        conduct.admit(process(1), first);
        assert_eq!(conduct.wait(process(1), first), Some(apart));
        // A further stall makes it wait from the stall's end on.
        let second = first + apart / 2;
        conduct.charge(process(1), stall(second), second);
        assert_eq!(conduct.wait(process(1), second), Some(apart));
    }

    #[test]
    fn a_stall_costs_no_more_than_the_patience() {
        let now = Instant::now();
        let mut conduct = Conduct::new(PATIENCE);
        let stall = Stall {
            since: now,
            length: PATIENCE * 100,
        };
        conduct.charge(process(1), stall, now);
        let whole = now + PATIENCE * RETURNS;
        assert_eq!(conduct.admit(process(1), whole - PATIENCE), LONG_PROOF);
        assert_eq!(conduct.admit(process(1), whole), PROOF);
    }
}
