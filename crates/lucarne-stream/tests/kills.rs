//! Each side killed at every step of handshake, reconfiguration and hand-over, over and over.
//!
//! The victims are this program once more. Each counts the steps of its own loop and kills itself (SIGKILL) at one of them;
//! others are killed from outside after a time. `LUCARNE_STREAM_KILLS=500` makes it the long run: 500 of each side, a thousand
//! in all.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use lucarne::{Extent, Format, Request};
use lucarne_stream::{Delivery, Error, ProducerOptions};
use rustix::process::{Signal, getpid, kill_process};

#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
use common::*;

const ROLE: &str = "LUCARNE_STREAM_TEST_ROLE";
const FOLDER: &str = "LUCARNE_STREAM_TEST_FOLDER";
/// The step at which a victim kills itself.
const KILL_AT: &str = "LUCARNE_STREAM_TEST_KILL_AT";
/// How many kills there are of each side.
const KILLS: &str = "LUCARNE_STREAM_KILLS";
/// More steps than handshake, a frame and a reconfiguration have.
const STEPS: u32 = 40;

fn kills() -> u32 {
    let kills = std::env::var(KILLS).ok();
    kills.map_or(STEPS, |kills| kills.parse().expect("a number"))
}

/// A step of a victim's; the last one for some.
fn step() {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let at = std::env::var(KILL_AT).ok();
    let at = at.and_then(|at| at.parse().ok());
    if Some(TAKEN.fetch_add(1, Ordering::Relaxed)) == at {
        kill_process(getpid(), Signal::KILL).expect("itself");
    }
}

fn victim(role: &str, folder: &Path, round: u32) -> Child {
    let program = std::env::current_exe().expect("this program's path");
    let mut command = Command::new(program);
    command
        .args([format!("a_{role}_is_killed"), "--exact".to_owned()])
        .env(ROLE, role)
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // Every fourth is killed from outside, wherever it is.
    if round % 4 != 3 {
        command.env(KILL_AT, (round % STEPS).to_string());
    }
    command.spawn().expect("this program, once more")
}

/// Serves until the victim is dead; one that does not kill itself is killed.
fn until_dead(mut victim: Child, round: u32, mut serve: impl FnMut()) {
    let own = round % 4 != 3;
    let time = if own {
        SOON
    } else {
        Duration::from_millis(u64::from(round % 97))
    };
    let begun = Instant::now();
    while victim.try_wait().expect("a child").is_none() {
        serve();
        if begun.elapsed() > time {
            assert!(!own, "round {round}: the victim did not come to its step");
            victim.kill().expect("it is there");
        }
    }
}

fn extent(round: u32) -> Extent {
    Extent::new(64 + round % 2 * 64, 16)
}

fn consume(folder: &Path) {
    step();
    let mut consumer = connect(folder, Delivery::Every).expect("the stream is there");
    step();
    loop {
        consumer.dispatch().expect("the producer is honest");
        step();
        let Ok(received) = consumer.receive(Duration::from_millis(20)) else {
            continue;
        };
        step();
        let (reading, fence) = received.acquire();
        step();
        number(&reading, &fence);
        step();
        reading.release(lucarne::Fence::Signaled).expect("released");
        step();
    }
}

fn produce(folder: &Path) {
    step();
    let mut producer = producer(folder, ProducerOptions::new(EXTENT));
    step();
    for frame in 1.. {
        producer.dispatch().expect("served");
        step();
        if producer.consumers() == 0 {
            std::thread::sleep(Duration::from_micros(200));
            continue;
        }
        let slot = producer.acquire(SOON).expect("a slot");
        step();
        let image = slot.image();
        let pixels = frame_bytes(frame, image.row_bytes(0));
        let written = image.write(slot.gate(), SOON, |rows| {
            (0..image.rows(0)).try_for_each(|row| rows.write_row(0, row, &pixels))
        });
        step();
        let written = written.expect("written");
        producer
            .send(slot, written, lucarne_stream::now())
            .expect("sent");
        step();
        if frame % 3 == 0 {
            let request = Request::new(extent(frame)).formats(&[Format::XRGB8888]);
            producer.reconfigure(request).expect("a size");
            step();
        }
    }
}

fn frame_bytes(frame: u32, bytes: usize) -> Vec<u8> {
    frame.to_le_bytes().repeat(bytes / 4)
}

fn mappings() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("/proc");
    maps.lines().filter(|line| line.contains("memfd:")).count()
}

#[test]
fn a_consumer_is_killed() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return consume(Path::new(&folder));
    }
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut producer = producer(
        folder.path(),
        ProducerOptions::new(EXTENT).patience(scaled(4000)),
    );
    let mut reader = consumer(folder.path(), Delivery::Latest);
    join(&mut producer, &mut reader);
    let before = open_descriptors();
    let maps = mappings();
    let mut frame = 0;
    for round in 0..kills() {
        let dying = victim("consumer", folder.path(), round);
        let mut longest = Duration::ZERO;
        until_dead(dying, round, || {
            frame += 1;
            if frame % 8 == 0 {
                let request = Request::new(extent(frame / 8)).formats(&[Format::XRGB8888]);
                producer.reconfigure(request).expect("a size");
            }
            let begun = Instant::now();
            send(&mut producer, frame);
            longest = longest.max(begun.elapsed());
            if let Some(received) = reader.try_receive().expect("no error") {
                finish(received);
            }
            std::thread::sleep(Duration::from_millis(1));
        });
        assert!(longest < scaled(2000), "round {round}: {longest:?}");
        while producer.event().is_some() || reader.event().is_some() {}
    }
    until("all are gone", || {
        send(&mut producer, 7);
        if let Some(received) = reader.try_receive().expect("no error") {
            finish(received);
        }
        producer.consumers() == 1 && open_descriptors() == before
    });
    assert_eq!(mappings(), maps);
    let slots = || producer.try_acquire().expect("served");
    let slots: Vec<_> = std::iter::from_fn(slots).collect();
    assert_eq!(slots.len(), 3, "all slots are free");
}

#[test]
fn a_producer_is_killed() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return produce(Path::new(&folder));
    }
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let before = open_descriptors();
    let maps = mappings();
    let mut received = 0;
    for round in 0..kills() {
        let dying = victim("producer", folder.path(), round);
        let mut watching: Option<Theirs> = None;
        until_dead(dying, round, || match &mut watching {
            None => watching = connect(folder.path(), Delivery::Every).ok(),
            Some(consumer) => match consumer.receive(Duration::from_millis(5)) {
                Ok(frame) => {
                    finish(frame);
                    received += 1;
                }
                Err(Error::Timeout { .. } | Error::PeerGone) => {}
                Err(error) => panic!("round {round}: {error}"),
            },
        });
        let Some(mut consumer) = watching else {
            continue;
        };
        let begun = Instant::now();
        let error = loop {
            match consumer.receive(SOON) {
                Ok(frame) => drop(frame),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, Error::PeerGone), "round {round}: {error}");
        assert!(begun.elapsed() < scaled(2000), "round {round}");
    }
    assert!(received > 0, "no victim came as far as a frame");
    assert_eq!(open_descriptors(), before);
    assert_eq!(mappings(), maps);
}
