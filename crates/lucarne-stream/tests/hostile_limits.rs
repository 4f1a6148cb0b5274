//! Ends that run into the limits of the system: other users, no descriptors, full sockets, and crowds that come and go.

use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

use lucarne::negotiate::{Strike, StrikeReason};
use lucarne::{MemoryPath, kernel::Memfd};
use lucarne_stream::wire::{FarewellReason, FenceFor, ImportFailed, Message};
use lucarne_stream::{ConsumerOptions, Delivery, Error, ProducerOptions};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
#[allow(dead_code, reason = "each test program uses a part of it")]
#[path = "common/raw.rs"]
mod raw;
#[allow(dead_code, reason = "each test program uses a part of it")]
#[path = "common/scene.rs"]
mod scene;
use common::*;
use scene::{patience, scene};

/// While it lives, this process can open no descriptor.
struct NoDescriptors {
    before: Rlimit,
}

impl NoDescriptors {
    fn new() -> Self {
        let before = getrlimit(Resource::Nofile);
        // The lowest number that is free: the limit is on numbers.
        let free = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC);
        let free = free.expect("an eventfd").as_raw_fd();
        let current = u64::try_from(free).expect("a number");
        let limit = Rlimit {
            current: Some(current),
            maximum: before.maximum,
        };
        setrlimit(Resource::Nofile, limit).expect("lower than before");
        Self { before }
    }
}

impl Drop for NoDescriptors {
    fn drop(&mut self) {
        let limit = Rlimit {
            current: self.before.current,
            maximum: self.before.maximum,
        };
        setrlimit(Resource::Nofile, limit).expect("as it was");
    }
}

#[test]
fn a_producer_without_descriptors_goes_on() {
    let _alone = alone();
    let mut scene = scene();
    let (raw, ring, generation) = scene.let_in(Delivery::Every);
    let (slot, sequence) = ring.published().expect("a frame");
    let signaled = rustix::event::eventfd(1, rustix::event::EventfdFlags::CLOEXEC);
    let signaled = signaled.expect("an eventfd");
    let fence = Message::Fence(FenceFor {
        generation,
        sequence,
        slot,
    });
    // Both before there is none left: one whose descriptor cannot be received, and one that cannot be let in.
    assert!(raw.send(&fence.encode().expect("a message"), &[signaled.as_fd()]));
    let newcomer = scene.connect();
    newcomer.hello(Delivery::Latest);
    let none = NoDescriptors::new();
    for _ in 0..5 {
        scene.serve();
    }
    drop(none);
    let (reason, text) = scene.reason(&raw);
    assert_eq!(reason, FarewellReason::Resources, "{text}");
    assert!(text.contains("RLIMIT_NOFILE"), "{text}");
    // The newcomer has waited, and is let in now.
    let _ = newcomer.configure(|| scene.serve());
}

#[test]
fn a_consumer_without_descriptors_says_so() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut producer = producer(folder.path(), ProducerOptions::new(EXTENT));
    let mut honest = consumer(folder.path(), Delivery::Latest);
    join(&mut producer, &mut honest);
    let mut poor = consumer(folder.path(), Delivery::Latest);
    for _ in 0..3 {
        producer.dispatch().expect("served");
    }
    let before = open_descriptors();
    let none = NoDescriptors::new();
    let error = poor.receive(SOON).expect_err("nothing can be received");
    drop(none);
    assert!(error.to_string().contains("RLIMIT_NOFILE"), "{error}");
    assert!(matches!(error, Error::Os { .. }), "{error}");
    until("the producer notices", || {
        producer.dispatch().expect("served");
        let mut events = std::iter::from_fn(|| producer.event());
        events.any(|event| format!("{event:?}").contains("RLIMIT_NOFILE"))
    });
    send(&mut producer, 1);
    assert_eq!(finish(honest.receive(SOON).expect("a frame")), 1);
    assert!(open_descriptors().len() <= before.len());
}

#[test]
fn who_does_not_read_is_cut_off_when_the_socket_is_full() {
    let _alone = alone();
    let mut scene = scene();
    let (raw, ring, _) = scene.let_in(Delivery::Latest);
    let begun = Instant::now();
    until("its socket is full", || {
        scene.producer.pause();
        scene.producer.resume();
        scene.serve();
        scene.producer.consumers() == 1
    });
    assert!(begun.elapsed() < SOON);
    while scene.honest.event().is_some() {}
    // Its ring is as it was: nothing is written there any more.
    let head = ring.get(24);
    scene.serve();
    assert_eq!(ring.get(24), head);
    drop(raw);
}

#[test]
fn an_answer_that_comes_late_is_none() {
    let _alone = alone();
    let mut scene = scene();
    let raw = scene.connect();
    raw.hello(Delivery::Latest);
    let (configure, _ring) = raw.configure(|| scene.serve());
    let begun = Instant::now();
    until("its time is over", || {
        scene.serve();
        begun.elapsed() > 2 * patience()
    });
    // The machine may have been busy with something else for all that time: the producer looks at its clock once more.
    scene.serve();
    let _ = raw.say(&Message::Ready(configure.generation));
    let (reason, text) = scene.reason(&raw);
    assert_eq!(reason, FarewellReason::TooSlow, "{text}");
    assert_eq!(scene.producer.consumers(), 1);
}

/// Found by fuzzing: each of these once cost the producer a slot, for good.
#[test]
fn no_breach_costs_a_slot() {
    let _alone = alone();
    let mut scene = scene();
    for round in 0..8_u64 {
        let (raw, ring, generation) = scene.let_in(Delivery::Every);
        let (slot, sequence) = ring.published().expect("a frame");
        if round % 2 == 0 {
            let strike = Strike {
                path: MemoryPath::HostMemory,
                format: None,
                modifier: None,
                reason: StrikeReason::ImportFailed("after all".to_owned()),
            };
            let failed = ImportFailed { generation, strike };
            assert!(raw.say(&Message::ImportFailed(failed)));
        } else {
            ring.set(64 + 8 * slot, sequence << 4 | 4);
        }
        let (reason, text) = scene.reason(&raw);
        assert_eq!(reason, FarewellReason::Protocol, "{text}");
    }
    let slots = || scene.producer.try_acquire().expect("served");
    let slots: Vec<_> = std::iter::from_fn(slots).collect();
    assert_eq!(slots.len(), 5);
}

/// Threads have users of their own: this one becomes nobody.
fn as_nobody<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let nobody = scope.spawn(|| {
            let uid = rustix::process::Uid::from_raw(65_534);
            rustix::thread::set_thread_res_uid(uid, uid, uid).expect("root may");
            work()
        });
        nobody.join().expect("it ends")
    })
}

#[test]
fn another_users_consumer_is_let_in_only_where_that_is_allowed() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: privilege: only root can become another user");
        return;
    }
    let _alone = alone();
    for (allows, joins) in [(false, false), (true, true)] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut options = ProducerOptions::new(EXTENT).patience(patience());
        if allows {
            options = options.allow_other_users();
        }
        let mut producer = producer(folder.path(), options);
        let mut honest = consumer(folder.path(), Delivery::Latest);
        join(&mut producer, &mut honest);
        let open = |path: &std::path::Path| {
            let mode = std::fs::Permissions::from_mode(0o777);
            std::fs::set_permissions(path, mode).expect("ours");
        };
        open(folder.path());
        open(&folder.path().join("scene"));
        // The other user's own end does not want a stream of root's either.
        let refused = as_nobody(|| connect(folder.path(), Delivery::Latest).map(drop));
        let refused = refused.expect_err("root is another user");
        assert!(
            matches!(
                refused,
                Error::User {
                    peer: 0,
                    own: 65_534
                }
            ),
            "{refused}"
        );
        let options = ConsumerOptions::new(Delivery::Latest).allow_other_users();
        let mut theirs = as_nobody(|| connect(folder.path(), options)).expect("it connects");
        let begun = Instant::now();
        let answer = loop {
            assert!(begun.elapsed() < SOON, "no answer");
            producer.dispatch().expect("served");
            if producer.consumers() == 2 {
                break None;
            }
            if let Err(error) = theirs.try_receive() {
                break Some(error);
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        };
        assert_eq!(answer.is_none(), joins, "{answer:?}");
        if let Some(error) = answer {
            assert!(
                matches!(&error, Error::Refused(farewell) if farewell.reason == FarewellReason::User),
                "{error}"
            );
            assert!(error.to_string().contains("65534"), "{error}");
        }
        send(&mut producer, 3);
        assert_eq!(finish(honest.receive(SOON).expect("a frame")), 3);
    }
}

/// Mappings, and the pages that are in use.
fn memory() -> (usize, u64) {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("/proc");
    let maps = maps.lines().filter(|line| line.contains("memfd:")).count();
    let statm = std::fs::read_to_string("/proc/self/statm").expect("/proc");
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    (maps, pages.expect("a number"))
}

#[test]
fn a_thousand_come_and_go() {
    let _alone = alone();
    let mut scene = scene();
    let surplus = Memfd::create("surplus", 4096).expect("a memfd");
    let before = open_descriptors();
    let mut after_a_hundred = None;
    for round in 0..1000_u32 {
        let raw = scene.connect();
        // From nothing said at all, over one message, to a whole handshake.
        match round % 5 {
            0 => {}
            1 => assert!(raw.send(&[7; 24], &[surplus.as_fd()])),
            2 => assert!(raw.say(&Message::Describe(1, 1))),
            3 => raw.hello(Delivery::Every),
            _ => {
                raw.hello(Delivery::Latest);
                let (configure, _ring) = raw.configure(|| {
                    scene.producer.dispatch().expect("served");
                });
                assert!(raw.say(&Message::Ready(configure.generation)));
                scene.producer.dispatch().expect("served");
            }
        }
        drop(raw);
        scene.serve();
        while scene.producer.event().is_some() {}
        if round == 100 {
            after_a_hundred = Some(memory());
        }
    }
    until("all are gone", || {
        scene.serve();
        open_descriptors() == before
    });
    let (first, last) = (after_a_hundred.expect("a hundred"), memory());
    assert!(last.0 <= first.0, "{} mappings, then {}", first.0, last.0);
    // 4 MiB: what the allocator may keep.
    assert!(
        last.1 < first.1 + 1024,
        "{} pages, then {}",
        first.1,
        last.1
    );
}
