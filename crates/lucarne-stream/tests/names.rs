//! What lies where a stream's socket is to be: only what a dead producer left behind is replaced.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use lucarne::Usage;
use lucarne_stream::{Consumer, ConsumerOptions, Delivery, Error, ProducerOptions, Watcher};

#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
use common::*;

/// Why a name cannot be taken.
fn refusal(folder: &Path) -> Error {
    let options = ProducerOptions::new(EXTENT).directory(folder);
    let never = |_: &lucarne::Agreement| -> lucarne::Result<((), lucarne::Frame)> {
        unreachable!("nobody connects")
    };
    let bound = lucarne_stream::Producer::bind("scene", &offer(Usage::RENDER), options, never);
    bound.map(|_| ()).expect_err("something is in the way")
}

/// The error names the path and says what is there, which stays; nothing unready is left.
fn stays(folder: &Path, at: &str, what: &str) {
    let path = folder.join(at);
    let error = refusal(folder).to_string();
    assert!(error.contains(&path.display().to_string()), "{error}");
    assert!(error.contains(what), "{error}");
    assert!(std::fs::symlink_metadata(&path).is_ok(), "{what} is gone");
    if at != ".scene.new" {
        assert!(!folder.join(".scene.new").exists(), "left behind: {what}");
    }
}

#[test]
fn nothing_but_a_dead_producers_socket_is_replaced() {
    let _alone = alone();
    for at in ["scene", ".scene.new"] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(at);
        std::fs::write(&path, "precious").expect("a file");
        stays(folder.path(), at, "a regular file");
        assert_eq!(std::fs::read(&path).expect("a file"), b"precious");
        std::fs::remove_file(&path).expect("ours");
        std::fs::create_dir(&path).expect("a folder");
        stays(folder.path(), at, "a folder");
        std::fs::remove_dir(&path).expect("ours");
        symlink("elsewhere", &path).expect("a link");
        stays(folder.path(), at, "a symbolic link");
        std::fs::remove_file(&path).expect("ours");
        // Somebody listens who knows of no lock.
        let listener = UnixListener::bind(&path).expect("a socket");
        stays(folder.path(), at, "listens");
        drop(listener);
        drop(producer(folder.path(), ProducerOptions::new(EXTENT)));
        assert!(!path.exists());
    }
}

#[test]
fn a_producer_removes_its_own_socket_only() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let made = producer(folder.path(), ProducerOptions::new(EXTENT));
    let path = folder.path().join("scene");
    std::fs::remove_file(&path).expect("ours");
    std::fs::write(&path, "precious").expect("a file");
    drop(made);
    assert_eq!(std::fs::read(&path).expect("a file"), b"precious");
}

#[test]
fn a_consumer_waits_for_its_stream() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let wait = |name: &str, timeout| {
        let options = ConsumerOptions::new(Delivery::Latest).directory(path);
        let import = |frame: &lucarne::Frame| device().import(frame);
        Consumer::connect_wait(name, &offer(Usage::SAMPLE), options, import, timeout).map(drop)
    };
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| wait("scene", SOON));
        std::thread::sleep(Duration::from_millis(50));
        assert!(!waiting.is_finished(), "there is no stream yet");
        let made = producer(path, ProducerOptions::new(EXTENT));
        waiting.join().expect("no panic").expect("it came");
        // Another one never comes.
        let error = wait("scone", Duration::from_millis(50)).expect_err("nobody");
        let text = error.to_string();
        assert!(matches!(error, Error::NotFound { .. }), "{text}");
        assert!(text.contains(&path.display().to_string()), "{text}");
        assert!(text.contains("there is scene"), "{text}");
        drop(made);
    });
    let text = wait("scene", Duration::ZERO).expect_err("gone").to_string();
    assert!(text.contains("no stream is there"), "{text}");
    std::fs::write(path.join("scene"), "precious").expect("a file");
    let text = wait("scene", Duration::ZERO)
        .expect_err("a file")
        .to_string();
    assert!(text.contains("a regular file has that name"), "{text}");
    let missing = path.join("no");
    let options = ConsumerOptions::new(Delivery::Latest).directory(&missing);
    let text = connect_in(options).to_string();
    assert!(text.contains("cannot be read"), "{text}");
    let long = path.join("long".repeat(30));
    let options = ConsumerOptions::new(Delivery::Latest).directory(&long);
    let text = connect_in(options).to_string();
    assert!(
        text.contains(&long.display().to_string()) && text.contains("107"),
        "{text}"
    );
}

fn connect_in(options: ConsumerOptions) -> Error {
    let import = |frame: &lucarne::Frame| device().import(frame);
    let connected = Consumer::connect("scene", &offer(Usage::SAMPLE), options, import);
    connected.map(drop).expect_err("no stream")
}

#[test]
fn a_folder_that_is_a_link_is_called_one() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let link = folder.path().join("link");
    symlink(folder.path(), &link).expect("a link");
    let error = Watcher::of(&link).expect_err("a link").to_string();
    assert!(error.contains("a symbolic link"), "{error}");
    assert!(error.contains(&link.display().to_string()), "{error}");
    let missing = folder.path().join("no/such");
    let error = refusal(&missing).to_string();
    assert!(error.contains(&missing.display().to_string()), "{error}");
}
