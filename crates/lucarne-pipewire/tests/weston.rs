//! Weston's PipeWire backend: a compositor's screen in our consumer.

mod common;

use std::time::Instant;

use common::{Daemon, Peer, SOON, TICK, alone, daemon, is_there, read, sink};
use lucarne::{Fence, Format};
use lucarne_tests::skip;

/// One colour, and nothing that moves.
const CONFIG: &str = "\
[core]
idle-time=0
[shell]
background-color=0xff336699
panel-position=none
startup-animation=none
locking=false
";
/// As it lies in memory: blue, green, red.
const COLOR: [u8; 3] = [0x99, 0x66, 0x33];

/// `None`, said, where Weston has no such backend.
fn weston(daemon: &Daemon) -> Option<Peer> {
    if !is_there("weston") {
        skip::skip("pipewire", "there is no weston");
        return None;
    }
    let config = daemon.folder().join("weston.ini");
    std::fs::write(&config, CONFIG).expect("a file");
    let mut command = daemon.command("weston");
    command
        .args(["--backend=pipewire", "--socket=lucarne-test"])
        .args(["--width=322", "--height=202", "--config"])
        .arg(config);
    let mut weston = Peer::start(command);
    let end = Instant::now() + SOON;
    while daemon.ports("-o").is_empty() {
        if weston.has_ended() {
            skip::skip("pipewire", &format!("weston: {:?}", weston.said().last()));
            return None;
        }
        assert!(Instant::now() < end, "{:#?}", weston.said());
        std::thread::sleep(TICK);
    }
    Some(weston)
}

#[test]
fn a_compositors_screen_fills_our_consumer() {
    let _alone = alone();
    let Some(daemon) = daemon() else { return };
    let Some(weston) = weston(&daemon) else {
        return;
    };
    let mut sink = sink(&daemon, "to", &[Format::XRGB8888]);
    daemon.link("weston.pipewire", "to", || {
        sink.dispatch(TICK).expect("dispatched");
    });
    // Black at first; then it repaints nothing, and the last frame is the one that stays.
    let (mut seen, mut plain, end) = (0, false, Instant::now() + SOON);
    let mut events = Vec::new();
    while !plain {
        let received = sink.receive(10 * TICK).expect("waited");
        while let Some(event) = sink.event() {
            events.push(format!("{event:?}"));
        }
        assert!(
            Instant::now() < end,
            "{seen} seen: {events:#?} {:#?}",
            weston.said()
        );
        let Some(received) = received else { continue };
        seen += 1;
        // Its memory has no seals.
        assert_eq!(received.copies(), 1);
        let (reading, acquire) = received.acquire();
        let planes = read(&reading, &acquire);
        plain = planes[0].chunks_exact(4).all(|pixel| pixel[..3] == COLOR);
        reading.release(Fence::Signaled);
    }
    let extent = sink.negotiated().expect("a format").extent;
    assert_eq!((extent.width, extent.height), (322, 202));
}
