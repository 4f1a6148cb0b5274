//! The daemon goes and comes back, and so do links.

mod common;

use std::time::{Duration, Instant};

use common::{EXTENT, Pair, alone, daemon, device, linked, request, sink, source, wait_for};
use lucarne::{Format, cpu};
use lucarne_tests::fds;

#[test]
fn the_daemon_may_be_restarted() {
    let _alone = alone();
    let Some(mut daemon) = daemon() else { return };
    let Some(mut pair) = linked(&daemon, cpu::Allocator::Udmabuf, Format::XRGB8888) else {
        return;
    };
    pair.see(10);
    let mut without = Vec::new();
    for round in 1..=4 {
        daemon.kill();
        wait_for("both sides notice", || {
            pair.turn();
            let lost = pair.events.iter().filter(|one| one.contains(": Lost"));
            lost.count() == 2 * round
        });
        assert!(pair.source.try_acquire().is_none());
        assert_eq!(pair.sink.negotiated(), None);
        without.push(fds::list());
        daemon.restart();
        daemon.link("from", "to", || pair.dispatch());
        pair.see(10);
    }
    let open: Vec<usize> = without.iter().map(Vec::len).collect();
    assert_eq!(open, [open[0]; 4], "{:#?}", [&without[0], &without[3]]);
}

#[test]
fn a_daemon_that_comes_later_is_found() {
    let _alone = alone();
    let Some(mut daemon) = daemon() else { return };
    daemon.kill();
    let Some(device) = device(cpu::Allocator::Udmabuf) else {
        return;
    };
    // The socket's file is still there, and nobody answers.
    let source = source(&daemon, "from", &device, request(EXTENT, Format::XRGB8888));
    let mut pair = Pair::new(source, sink(&daemon, "to", &[Format::XRGB8888]));
    let end = Instant::now() + Duration::from_millis(700);
    while Instant::now() < end {
        pair.dispatch();
    }
    let told: Vec<_> = pair
        .events
        .iter()
        .filter(|one| one.contains("NoDaemon"))
        .collect();
    assert!(
        !told.is_empty() && told[0].contains("pipewire-0"),
        "{told:?}"
    );
    daemon.restart();
    daemon.link("from", "to", || pair.dispatch());
    pair.see(3);
}

#[test]
fn links_come_and_go_and_descriptors_stay_as_many() {
    let _alone = alone();
    let Some(daemon) = daemon() else { return };
    let Some(mut pair) = linked(&daemon, cpu::Allocator::Udmabuf, Format::XRGB8888) else {
        return;
    };
    let mut without = Vec::new();
    for _ in 0..5 {
        pair.see(5);
        daemon.unlink("from", "to");
        wait_for("both sides notice", || {
            pair.turn();
            pair.source.negotiated().is_none() && pair.sink.negotiated().is_none()
        });
        without.push(fds::list());
        daemon.link("from", "to", || pair.dispatch());
    }
    let open: Vec<usize> = without.iter().map(Vec::len).collect();
    assert_eq!(open, [open[0]; 5], "{:#?}", [&without[0], &without[4]]);
}
