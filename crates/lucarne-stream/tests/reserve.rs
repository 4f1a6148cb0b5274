//! Connections that say nothing do not use up the descriptors that a running stream needs.

use std::process::{Command, Stdio};

use lucarne_stream::{Delivery, ProducerOptions};
use rustix::event::{EventfdFlags, eventfd};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
#[allow(dead_code, reason = "each test program uses a part of it")]
#[path = "common/raw.rs"]
mod raw;
use common::*;

const FOLDER: &str = "LUCARNE_TEST_SILENT";
const LIMIT: u64 = 64;
/// What the program, its driver and its fences may need at once.
const NEEDED: usize = 6;

/// The other process: more connections than the producer has descriptors, until its input ends.
#[test]
fn silent_connections() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    // The limit is inherited.
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = maximum;
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).expect("as high as may be");
    let mut held = Vec::new();
    for _ in 0..100 {
        std::thread::sleep(std::time::Duration::from_millis(2));
        held.push(raw::Raw::connect(std::path::Path::new(&folder)));
    }
    let _ = std::io::read_to_string(std::io::stdin());
    assert_eq!(held.len(), 100);
}

#[test]
fn silent_connections_leave_descriptors_for_the_stream() {
    if std::env::var_os(FOLDER).is_some() {
        return;
    }
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: Some(LIMIT),
        maximum,
    };
    setrlimit(Resource::Nofile, limit).expect("lower than before");
    let folder = tempfile::tempdir().expect("a folder");
    let options = ProducerOptions::new(EXTENT).patience(scaled(300));
    let mut producer = producer(folder.path(), options);
    let mut honest = consumer(folder.path(), Delivery::Every);
    join(&mut producer, &mut honest);
    let mut silent = Command::new(std::env::current_exe().expect("a path"))
        .args(["--exact", "silent_connections", "--nocapture"])
        .env(FOLDER, folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("another process");
    let begun = std::time::Instant::now();
    let mut frame = 0;
    while begun.elapsed() < scaled(1000) {
        frame += 1;
        producer.dispatch().expect("served");
        send(&mut producer, frame);
        assert_eq!(finish(honest.receive(SOON).expect("a frame")), frame);
        let spare: Result<Vec<_>, _> = (0..NEEDED)
            .map(|_| eventfd(0, EventfdFlags::CLOEXEC))
            .collect();
        assert!(spare.is_ok(), "no descriptors left after frame {frame}");
    }
    drop(silent.stdin.take());
    assert!(silent.wait().expect("its end").success());
    // Whoever comes afterwards is let in.
    let mut next = consumer(folder.path(), Delivery::Latest);
    join(&mut producer, &mut next);
}
