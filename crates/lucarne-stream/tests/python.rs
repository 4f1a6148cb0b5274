//! A consumer that was written from docs/protocol.md alone, in another language.

use std::process::{Command, Stdio};
use std::time::Duration;

use lucarne::{Format, Request};
use lucarne_stream::ProducerOptions;

#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
use common::*;

const FRAMES: u32 = 200;

#[test]
fn python_sees_every_frame() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let request = Request::new(EXTENT).formats(&[Format::XRGB8888]);
    let options = ProducerOptions::of(request).patience(SOON);
    let mut producer = producer(folder.path(), options);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peer.py");
    let python = Command::new("python3")
        .arg(script)
        .arg(folder.path().join("scene"))
        .stdout(Stdio::piped())
        .spawn();
    let Ok(python) = python else {
        let required = std::env::var("LUCARNE_REQUIRE").unwrap_or_default();
        assert!(
            !required.split(',').any(|kind| kind == "tool"),
            "no python3"
        );
        eprintln!("skipped: tool: there is no python3");
        return;
    };
    // Python starts slowly in the guest.
    let begun = std::time::Instant::now();
    while producer.consumers() == 0 {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "it does not connect"
        );
        producer.dispatch().expect("served");
        std::thread::sleep(Duration::from_millis(1));
    }
    for frame in 1..=FRAMES {
        assert_eq!(send(&mut producer, frame + 1000), 1, "it was cut off");
    }
    producer.end();
    let output = python.wait_with_output().expect("it ends with the stream");
    assert!(output.status.success(), "{:?}", output.status);
    let said = String::from_utf8(output.stdout).expect("numbers");
    let expected: String = (1..=FRAMES)
        .map(|frame| format!("{frame} {}\n", frame + 1000))
        .collect();
    assert_eq!(said, expected);
}
