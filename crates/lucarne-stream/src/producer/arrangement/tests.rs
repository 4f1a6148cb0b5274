//! Orders of events, without sockets and without waiting.

use lucarne::{Extent, Format, MemoryPath, Rung, Usage};
use proptest::prelude::*;
use rustix::io::Errno;

use super::super::joint_offer::tests::{LINEAR, entry, full, some_offer};
use super::*;

const PATIENCE: Duration = Duration::from_millis(500);
const SIZE: Extent = Extent::new(640, 480);

/// An arrangement, and what its steps were.
struct Scene {
    arrangement: Arrangement<()>,
    now: Instant,
    /// The rungs that the producer fails to make, and with what.
    unmade: Option<(Rung, Errno)>,
    made: Vec<Rung>,
    configured: Vec<(u64, u64)>,
    refused: Vec<u64>,
    moves: usize,
}

impl Scene {
    fn new() -> Self {
        Self {
            arrangement: Arrangement::new(full(1), Request::new(SIZE), PATIENCE),
            now: Instant::now(),
            unmade: None,
            made: Vec::new(),
            configured: Vec::new(),
            refused: Vec::new(),
            moves: 0,
        }
    }

    /// Joins consumers that can do everything, and gets them frames.
    fn served(ids: &[u64]) -> Self {
        let mut scene = Self::new();
        for id in ids {
            scene.join(*id, full(1));
        }
        scene.answer_all();
        assert_eq!((scene.made.len(), scene.moves), (1, 1));
        scene
    }

    fn join(&mut self, id: u64, offer: Offer) {
        self.arrangement.join(id, offer, Usage::SAMPLE);
        self.settle();
    }

    fn leave(&mut self, id: u64) {
        assert!(self.arrangement.leave(id));
        self.settle();
    }

    fn renew(&mut self) {
        self.arrangement.renew(Request::new(SIZE));
        self.settle();
    }

    fn ready(&mut self, id: u64, generation: u64) -> bool {
        let counts = self.arrangement.ready(id, generation);
        self.settle();
        counts
    }

    fn fail(&mut self, id: u64, generation: u64) -> Result<bool> {
        let newest = self.arrangement.newest().expect("a generation").clone();
        let strike = Strike {
            path: newest.agreement.path(),
            format: None,
            modifier: newest.modifiers.first().copied(),
            reason: StrikeReason::Text("another driver".to_owned()),
        };
        let failed = ImportFailed { generation, strike };
        let failure = self.arrangement.import_failed(id, failed);
        self.settle();
        failure.map(|failure| failure == Failure::Counts)
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.settle();
    }

    /// Takes every step that there is.
    fn settle(&mut self) {
        for _ in 0..1000 {
            match self.arrangement.next_step(self.now) {
                None => return,
                Some(Step::Make(agreement)) => self.make(agreement),
                Some(Step::Refuse(id, _)) => {
                    self.refused.push(id);
                    assert!(self.arrangement.leave(id));
                }
                Some(Step::Configure(id)) => {
                    let newest = self.arrangement.newest().expect("something to configure");
                    self.configured.push((id, newest.number));
                }
                Some(Step::MoveOn) => self.moves += 1,
            }
        }
        panic!("there is no end of steps");
    }

    fn make(&mut self, agreement: Agreement) {
        let unmade = self.unmade.filter(|(rung, _)| *rung == agreement.rung);
        if let Some((_, errno)) = unmade {
            let error = lucarne::Error::Os {
                operation: "making images",
                source: errno.into(),
                help: "",
            };
            return self.arrangement.not_made(&agreement, &error, self.now);
        }
        self.made.push(agreement.rung);
        let modifiers = agreement.modifiers.first().copied().into_iter().collect();
        self.arrangement.made(agreement, modifiers, (), self.now);
    }

    /// Every consumer imports what it was configured for, until nobody is asked any more.
    fn answer_all(&mut self) {
        while let Some((id, generation)) = self.asked() {
            assert!(self.ready(id, generation));
        }
    }

    fn asked(&self) -> Option<(u64, u64)> {
        let mut parties = self.arrangement.parties.iter();
        parties.find_map(|party| Some((party.id(), party.asked()?)))
    }

    fn current(&self) -> u64 {
        let current = self.arrangement.current();
        current.map_or(0, |current| current.number)
    }
}

/// What can only use host memory.
fn narrow() -> Offer {
    let host = entry(MemoryPath::HostMemory, Format::XRGB8888, LINEAR, 4096);
    some_offer(1, vec![host])
}

fn strange() -> Offer {
    let host = entry(MemoryPath::HostMemory, Format::NV12, LINEAR, 4096);
    some_offer(1, vec![host])
}

#[test]
fn the_first_consumer_decides_and_those_like_it_get_what_is_there() {
    let mut scene = Scene::new();
    scene.join(1, full(1));
    assert_eq!(scene.configured, [(1, 1)]);
    assert_eq!((scene.current(), scene.moves), (0, 0));
    assert!(scene.ready(1, 1));
    assert_eq!((scene.current(), scene.moves), (1, 1));
    scene.join(2, full(1));
    assert_eq!(scene.configured, [(1, 1), (2, 1)]);
    assert!(scene.ready(2, 1));
    assert_eq!(scene.made, [Rung::TiledDmaBuf]);
}

#[test]
fn narrower_newcomers_cause_one_generation_within_the_patience() {
    let mut scene = Scene::served(&[1]);
    scene.join(2, narrow());
    scene.pass(PATIENCE / 2);
    scene.join(3, narrow());
    assert_eq!(scene.made.len(), 1);
    assert_eq!(
        scene.arrangement.timeout(scene.now),
        Some(PATIENCE - PATIENCE / 2)
    );
    scene.pass(PATIENCE / 2);
    assert_eq!(scene.made, [Rung::TiledDmaBuf, Rung::HostMemory]);
    // Those who get frames already are asked last.
    assert_eq!(scene.configured, [(1, 1), (2, 2), (3, 2)]);
    assert!(scene.ready(2, 2));
    assert_eq!(scene.asked(), Some((3, 2)));
    assert!(scene.ready(3, 2));
    assert_eq!(scene.configured.last(), Some(&(1, 2)));
    assert_eq!(scene.current(), 1);
    assert!(scene.ready(1, 2));
    assert_eq!(scene.current(), 2);
}

#[test]
fn the_better_rung_comes_back_when_the_narrow_one_goes() {
    let mut scene = Scene::served(&[1]);
    scene.pass(PATIENCE);
    scene.join(2, narrow());
    scene.answer_all();
    scene.leave(2);
    assert_eq!(scene.made.len(), 2, "it is too soon");
    scene.pass(PATIENCE);
    scene.answer_all();
    let made = [Rung::TiledDmaBuf, Rung::HostMemory, Rung::TiledDmaBuf];
    assert_eq!(scene.made, made);
    assert_eq!(scene.current(), 3);
}

#[test]
fn it_comes_back_for_the_next_consumer_too() {
    let mut scene = Scene::served(&[1]);
    scene.pass(PATIENCE);
    scene.join(2, narrow());
    scene.answer_all();
    scene.leave(2);
    scene.leave(1);
    scene.pass(PATIENCE);
    scene.join(3, full(1));
    assert_eq!(scene.made.last(), Some(&Rung::TiledDmaBuf));
}

#[test]
fn a_trial_whose_newcomer_goes_is_given_up() {
    let mut scene = Scene::served(&[1]);
    scene.pass(PATIENCE);
    scene.join(2, narrow());
    assert_eq!(scene.made.len(), 2);
    scene.leave(2);
    scene.pass(2 * PATIENCE);
    assert_eq!((scene.current(), scene.moves), (1, 1));
    assert_eq!(scene.configured, [(1, 1), (2, 2)]);
    assert_eq!(scene.arrangement.timeout(scene.now), None);
}

#[test]
fn a_request_waits_for_the_generation_that_is_under_way() {
    let mut scene = Scene::new();
    scene.join(1, full(1));
    scene.renew();
    assert_eq!(scene.made.len(), 1);
    // Nothing to be done before the trial's time is over.
    let timeout = scene.arrangement.timeout(scene.now);
    assert_eq!(timeout, Some(PATIENCE));
    assert!(scene.ready(1, 1));
    assert_eq!((scene.made.len(), scene.moves), (2, 1));
    // However soon, and whoever goes.
    scene.renew();
    assert!(scene.ready(1, 2));
    assert_eq!((scene.made.len(), scene.moves), (3, 2));
    scene.answer_all();
    assert_eq!(scene.current(), 3);
}

/// The trial of a request is replaced, as somebody cannot import it after all, and then given up, as that one goes: what was
/// requested comes all the same.
#[test]
fn a_request_outlives_the_trial_that_it_began() {
    let mut scene = Scene::served(&[1, 2]);
    let before = scene.current();
    scene.renew();
    let asked = scene.asked().map(|(_, generation)| generation);
    scene.fail(2, asked.expect("a trial")).expect("no breach");
    scene.leave(2);
    scene.pass(PATIENCE);
    scene.answer_all();
    assert!(scene.current() > before, "the request was lost");
}

#[test]
fn a_request_without_consumers_is_for_the_next_one() {
    let mut scene = Scene::served(&[1]);
    scene.leave(1);
    scene.renew();
    assert_eq!((scene.current(), scene.made.len()), (0, 1));
    scene.pass(PATIENCE);
    scene.join(2, full(1));
    assert_eq!(scene.configured.last(), Some(&(2, 2)));
}

#[test]
fn an_import_that_fails_on_trial_is_struck_and_answered_at_once() {
    let mut scene = Scene::new();
    scene.join(1, full(1));
    assert!(scene.fail(1, 1).expect("it may"));
    assert!(scene.fail(1, 2).expect("it may"));
    let made = [Rung::TiledDmaBuf, Rung::LinearDmaBuf, Rung::HostMemory];
    assert_eq!(scene.made, made);
    // What is left of it fails too.
    assert!(scene.fail(1, 3).expect("it may"));
    assert_eq!(scene.refused, [1]);
}

#[test]
fn an_import_of_what_others_use_that_fails_waits_like_a_newcomer() {
    let mut scene = Scene::served(&[1]);
    scene.join(2, full(1));
    assert!(scene.fail(2, 1).expect("it may"));
    assert_eq!(scene.made.len(), 1);
    scene.pass(PATIENCE);
    assert_eq!(scene.made, [Rung::TiledDmaBuf, Rung::LinearDmaBuf]);
    assert_eq!(scene.asked(), Some((2, 2)));
}

#[test]
fn answers_that_come_late_mean_nothing_and_false_ones_are_breaches() {
    let mut scene = Scene::new();
    scene.join(1, full(1));
    assert!(scene.fail(1, 1).expect("it may"));
    assert!(!scene.ready(1, 1));
    assert!(!scene.fail(1, 1).expect("late"));
    assert_eq!((scene.made.len(), scene.moves), (2, 0));
    assert!(scene.ready(1, 2));
    scene.fail(1, 2).expect_err("frames may be out in it");
    let strike = Strike {
        path: MemoryPath::OpaqueFd,
        format: None,
        modifier: None,
        reason: StrikeReason::Text(String::new()),
    };
    let mut party = Party::new(1, full(1), Usage::SAMPLE);
    for generation in 1..=17 {
        party.ask(generation, None);
        let strike = strike.clone();
        let failure = party.strike(ImportFailed { generation, strike });
        let counts = failure.expect("it may") == Failure::Counts;
        assert_eq!(counts, generation <= 16, "not for ever");
    }
}

#[test]
fn a_shortage_strikes_nothing_and_is_tried_again_after_the_patience() {
    let mut scene = Scene::new();
    scene.unmade = Some((Rung::TiledDmaBuf, Errno::MFILE));
    scene.join(1, full(1));
    assert_eq!(scene.made, []);
    assert!(scene.arrangement.struck.is_empty());
    assert_eq!(scene.arrangement.timeout(scene.now), Some(PATIENCE));
    scene.unmade = None;
    scene.pass(PATIENCE / 2);
    assert_eq!(scene.made, []);
    scene.pass(PATIENCE / 2);
    assert_eq!(scene.made, [Rung::TiledDmaBuf]);
}

#[test]
fn a_shortage_puts_off_a_request_but_not_the_next_one() {
    let mut scene = Scene::served(&[1]);
    scene.unmade = Some((Rung::TiledDmaBuf, Errno::NOMEM));
    scene.renew();
    scene.unmade = None;
    scene.pass(PATIENCE / 2);
    assert_eq!(scene.made.len(), 1);
    scene.renew();
    assert_eq!(scene.made.len(), 2);
}

#[test]
fn what_the_producer_cannot_make_is_struck_and_the_next_rung_made() {
    let mut scene = Scene::new();
    scene.unmade = Some((Rung::TiledDmaBuf, Errno::INVAL));
    scene.join(1, full(1));
    scene.unmade = None;
    scene.answer_all();
    scene.pass(PATIENCE);
    scene.join(2, full(1));
    assert_eq!(scene.made, [Rung::LinearDmaBuf]);
}

#[test]
fn a_newcomer_that_is_silent_holds_nobody_up_beyond_twice_the_patience() {
    let mut scene = Scene::served(&[1]);
    scene.pass(PATIENCE);
    scene.join(2, narrow());
    scene.join(3, narrow());
    assert!(scene.ready(2, 2));
    scene.pass(PATIENCE);
    assert_eq!(scene.configured.last(), Some(&(1, 2)), "the trial is over");
    assert!(scene.ready(1, 2));
    assert_eq!(scene.current(), 1, "3 has a little more time");
    assert_eq!(scene.arrangement.timeout(scene.now), Some(PATIENCE));
    scene.pass(PATIENCE);
    assert_eq!(scene.current(), 2);
    // It may still join.
    assert!(scene.ready(3, 2));
}

#[test]
fn nobody_moves_on_alone() {
    let mut scene = Scene::new();
    scene.join(1, full(1));
    scene.pass(10 * PATIENCE);
    assert_eq!(scene.current(), 0, "no consumer is ready");
    scene.leave(1);
    assert_eq!(scene.made.len(), 1);
}

#[test]
fn who_cannot_agree_is_refused_and_the_newest_first() {
    let mut scene = Scene::served(&[1]);
    scene.join(2, strange());
    assert!(scene.refused.is_empty(), "it is too soon");
    scene.join(3, strange());
    scene.pass(PATIENCE);
    assert_eq!(scene.refused, [3, 2]);
    assert_eq!((scene.current(), scene.made.len()), (1, 1));
    // Those who are served go last, even if they have connected last.
    let mut scene = Scene::served(&[2]);
    scene.join(1, strange());
    scene.pass(PATIENCE);
    assert_eq!(scene.refused, [1]);
}

#[derive(Clone, Debug)]
enum Event {
    Join(u8),
    Leave(usize),
    Ready(usize),
    Fail(usize),
    Renew,
    Pass(u32),
    Unmade(Option<(Rung, bool)>),
}

fn event() -> impl Strategy<Value = Event> {
    let rung = prop::sample::select(&Rung::ALL[..]);
    prop_oneof![
        (0..4_u8).prop_map(Event::Join),
        (0..4_usize).prop_map(Event::Leave),
        (0..4_usize).prop_map(Event::Ready),
        (0..4_usize).prop_map(Event::Ready),
        (0..4_usize).prop_map(Event::Fail),
        Just(Event::Renew),
        (1..5_u32).prop_map(Event::Pass),
        prop::option::of((rung, any::<bool>())).prop_map(Event::Unmade),
    ]
}

impl Scene {
    fn take(&mut self, event: Event, next: u64) {
        let parties = &self.arrangement.parties;
        let party = |at: usize| parties.get(at).map(|party| (party.id(), party.asked()));
        match event {
            Event::Join(0) => self.join(next, narrow()),
            Event::Join(1) => self.join(next, strange()),
            Event::Join(other) => self.join(next, full(other - 1)),
            Event::Leave(at) => {
                if let Some((id, _)) = party(at) {
                    self.leave(id);
                }
            }
            Event::Ready(at) => {
                if let Some((id, Some(asked))) = party(at) {
                    assert!(self.ready(id, asked));
                }
            }
            Event::Fail(at) => {
                if let Some((id, Some(asked))) = party(at) {
                    assert!(self.fail(id, asked).expect("not so often"));
                }
            }
            Event::Renew => self.renew(),
            Event::Pass(quarters) => self.pass(PATIENCE / 4 * quarters),
            Event::Unmade(unmade) => {
                let errno = |short| if short { Errno::NOMEM } else { Errno::INVAL };
                self.unmade = unmade.map(|(rung, short)| (rung, errno(short)));
            }
        }
    }

    fn check(&self) {
        let newest = self.arrangement.newest().map_or(0, |newest| newest.number);
        for party in &self.arrangement.parties {
            let held = party.generations();
            assert!(held.len() <= 2, "{party:?}");
            assert!(held.is_sorted(), "{party:?}");
            assert!(held.iter().all(|one| *one <= self.arrangement.generations));
        }
        assert!(self.current() <= newest);
        // Whoever sleeps that long does not spin.
        let timeout = self.arrangement.timeout(self.now);
        assert_ne!(timeout, Some(Duration::ZERO));
    }
}

proptest! {
    /// Whatever happens: steps come to an end, nobody has more than two generations, and in the end all that are left are
    /// served, in one generation that suits them.
    #[test]
    fn every_order_of_events_ends_well(events in prop::collection::vec(event(), 1..40)) {
        let mut scene = Scene::new();
        for (event, next) in events.into_iter().zip(1..) {
            scene.take(event, next);
            scene.check();
        }
        scene.unmade = None;
        for _ in 0..8 {
            scene.answer_all();
            scene.pass(PATIENCE);
            scene.check();
        }
        let current = scene.current();
        prop_assert!(scene.arrangement.parties.iter().all(|party| party.is_ready(current)));
        prop_assert_eq!(scene.arrangement.timeout(scene.now), None);
    }
}
