//! Ends in processes of their own, which are stopped and killed.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use lucarne_stream::{ConsumerOptions, Delivery, Error, ProducerOptions};
use rustix::process::{Pid, Signal, kill_process};

#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
use common::*;

const ROLE: &str = "LUCARNE_STREAM_TEST_ROLE";
/// The test that turns into an actor where it is told a role.
const HOST: &str = "a_killed_consumer_gives_its_slots_back_at_once";
const FOLDER: &str = "LUCARNE_STREAM_TEST_FOLDER";

/// This program once more, playing a part in a test until it is killed.
struct Actor {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Actor {
    fn new(role: &str, folder: &Path) -> Self {
        let program = std::env::current_exe().expect("this program's path");
        let mut child = Command::new(program)
            .args([HOST, "--exact", "--nocapture"])
            .env(ROLE, role)
            .env(FOLDER, folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("this program, once more");
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, lines }
    }

    /// Waits for a line that begins with `word`, and gives the rest of it.
    fn says(&mut self, word: &str) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            let read = self.lines.read_line(&mut line).expect("its output");
            assert!(read > 0, "it ended before it said {word:?}");
            // The test harness may have begun the line.
            if let Some(at) = line.find(word) {
                return line[at + word.len()..].trim().to_owned();
            }
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process's number");
        let pid = Pid::from_raw(pid).expect("a process's number");
        kill_process(pid, signal).expect("it is still there");
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        // Also one that is stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").expect("standard output");
    out.flush().expect("standard output");
}

/// Plays the part that [`Actor`] was given, and does not return.
fn play(role: &str) {
    let folder = std::env::var_os(FOLDER).expect("a folder");
    let folder = Path::new(&folder);
    match role {
        "producer" => produce(folder),
        "reader" => consume(folder, Delivery::Latest, Duration::ZERO),
        "recorder" => consume(folder, Delivery::Every, Duration::ZERO),
        "keeper" => consume(folder, Delivery::Latest, Duration::from_secs(3600)),
        other => panic!("no such role: {other}"),
    }
}

fn produce(folder: &Path) {
    let mut producer = producer(folder, ProducerOptions::new(EXTENT));
    say("bound");
    for frame in 1.. {
        send(&mut producer, frame);
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Reads for ever, or takes one frame and keeps it for so long.
fn consume(folder: &Path, delivery: Delivery, keep: Duration) {
    let options = ConsumerOptions::new(delivery);
    let mut consumer = connect(folder, options).expect("the stream is there");
    loop {
        let received = consumer.receive(Duration::from_secs(60));
        let received = received.expect("a frame");
        let sequence = received.sequence();
        let (reading, fence) = received.acquire();
        let number = number(&reading, &fence);
        say(&format!("frame {number} {sequence}"));
        std::thread::sleep(keep);
        reading.release(lucarne::Fence::Signaled).expect("released");
    }
}

/// Sends frames until `enough`, and says how long the longest wait for a slot was.
fn run(producer: &mut Ours, mut enough: impl FnMut(u32) -> bool) -> Duration {
    let mut longest = Duration::ZERO;
    for frame in 1.. {
        if enough(frame) {
            break;
        }
        let begun = Instant::now();
        send(producer, frame);
        longest = longest.max(begun.elapsed());
        std::thread::sleep(Duration::from_millis(1));
    }
    longest
}

/// Lets an actor connect while the producer serves.
fn joined(producer: &mut Ours, role: &str, folder: &Path) -> Actor {
    let consumers = producer.consumers();
    let actor = Actor::new(role, folder);
    until("it connects", || {
        producer.dispatch().expect("served");
        producer.consumers() > consumers
    });
    actor
}

#[test]
fn a_killed_consumer_gives_its_slots_back_at_once() {
    if let Ok(role) = std::env::var(ROLE) {
        return play(&role);
    }
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    // Patience that would show if it were needed.
    let options = ProducerOptions::new(EXTENT).patience(scaled(4000));
    let mut producer = producer(folder.path(), options);
    // Two keepers have a slot each, and the third is written and taken back.
    let mut keepers = Vec::new();
    for _ in 0..2 {
        let mut keeper = joined(&mut producer, "keeper", folder.path());
        send(&mut producer, 1);
        keeper.says("frame");
        keepers.push(keeper);
    }
    let mut recorder = joined(&mut producer, "recorder", folder.path());
    let slot = producer.acquire(SOON).expect("the third slot");
    let full = producer.try_acquire().expect("no error");
    assert!(full.is_none(), "two are kept, and one is here");
    drop(slot);
    keepers[0].signal(Signal::KILL);
    keepers[1].signal(Signal::KILL);
    let begun = Instant::now();
    let slots: Vec<_> = (0..3)
        .map(|_| producer.acquire(SOON).expect("a slot"))
        .collect();
    assert!(begun.elapsed() < scaled(2000), "{:?}", begun.elapsed());
    drop(slots);
    assert_eq!(producer.consumers(), 1);
    send(&mut producer, 5);
    recorder.says("frame 5");
}

#[test]
fn a_stopped_consumer_holds_nobody_up_and_goes_on_later() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let options = ProducerOptions::new(EXTENT).slots(4).patience(scaled(4000));
    let mut producer = producer(folder.path(), options);
    let mut stopped = joined(&mut producer, "reader", folder.path());
    let mut reader = joined(&mut producer, "reader", folder.path());
    run(&mut producer, |frame| frame > 5);
    reader.says("frame");
    stopped.says("frame");
    stopped.signal(Signal::STOP);
    let longest = run(&mut producer, |frame| frame > 200);
    assert!(longest < scaled(2000), "{longest:?}");
    assert_eq!(producer.consumers(), 2);
    stopped.signal(Signal::CONT);
    // It missed most of them.
    until("it goes on", || {
        send(&mut producer, 1000);
        let said = stopped.says("frame");
        said.starts_with("1000 ")
    });
}

#[test]
fn a_producer_that_is_killed_leaves_its_last_frame() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut first = Actor::new("producer", folder.path());
    first.says("bound");
    let mut consumer = consumer(folder.path(), Delivery::Latest);
    for _ in 0..10 {
        finish(consumer.receive(SOON).expect("a frame"));
    }
    let held = consumer.receive(SOON).expect("a frame");
    let (held, fence) = held.acquire();
    let before = number(&held, &fence);
    first.signal(Signal::KILL);
    let error = loop {
        match consumer.receive(SOON) {
            Ok(received) => drop(received),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::PeerGone), "{error}");
    assert_eq!(number(&held, &fence), before);
    // The next one finds the socket that was left behind, and takes the name.
    let mut second = Actor::new("producer", folder.path());
    second.says("bound");
    consumer.reconnect().expect("there again");
    finish(consumer.receive(SOON).expect("a frame"));
    assert_eq!(number(&held, &fence), before);
    held.release(lucarne::Fence::Signaled)
        .expect("nobody waits for it");
}

#[test]
fn forty_kills_leave_nothing_behind() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut producer = producer(folder.path(), ProducerOptions::new(EXTENT));
    let mut reader = consumer(folder.path(), Delivery::Latest);
    join(&mut producer, &mut reader);
    let before = open_descriptors();
    for round in 0..40_u32 {
        let role = if round % 2 == 0 { "reader" } else { "recorder" };
        let actor = Actor::new(role, folder.path());
        // From before it connects to long after its first frame.
        let until = Instant::now() + Duration::from_millis(u64::from(round) * 2);
        run(&mut producer, |_| {
            if let Some(received) = reader.try_receive().expect("no error") {
                finish(received);
            }
            Instant::now() > until
        });
        drop(actor);
        let longest = run(&mut producer, |frame| frame > 3);
        assert!(longest < scaled(2000), "{longest:?}");
    }
    until("all are gone", || {
        producer.dispatch().expect("served");
        producer.consumers() == 1
    });
    // One connection may still be on its way to be refused.
    until("descriptors are as before", || {
        producer.dispatch().expect("served");
        open_descriptors() == before
    });
}
