//! GStreamer at the other end: `pipewiresink` into our consumer, `pipewiresrc` out of our producer.

mod common;

use std::io::Write as _;
use std::time::Instant;

use common::{
    Daemon, Peer, SOON, TICK, alone, daemon, device, is_there, read, request, sink, source, stamp,
    write,
};
use lucarne::{Extent, Fence, Format, MemoryPath, cpu};
use lucarne_pipewire::Metadata;
use lucarne_tests::engine::{self, Direction, Seen};
use lucarne_tests::skip;

/// Whether GStreamer's parts are here; said where they are not.
fn gstreamer(daemon: &Daemon) -> bool {
    if !is_there("gst-launch-1.0") {
        skip::skip("pipewire", "there is no gst-launch-1.0");
        return false;
    }
    for element in ["pipewiresrc", "rawvideoparse"] {
        let output = daemon.command("gst-inspect-1.0").arg(element).output();
        if !output.is_ok_and(|output| output.status.success()) {
            skip::skip("pipewire", &format!("GStreamer has no {element}"));
            return false;
        }
    }
    true
}

/// As the program tells it.
fn version(daemon: &Daemon) -> String {
    let output = daemon.command("gst-launch-1.0").arg("--version").output();
    let text = String::from_utf8_lossy(&output.expect("it runs").stdout).into_owned();
    let first = text.lines().next().expect("a line");
    first.rsplit(' ').next().expect("a version").to_owned()
}

fn launch(daemon: &Daemon, pipeline: &str) -> Peer {
    let mut command = daemon.command("gst-launch-1.0");
    command.arg("-q").args(pipeline.split_whitespace());
    Peer::start(command)
}

/// A frame of `extent` whose rows have no padding.
fn packed(number: u32, extent: Extent) -> Vec<u8> {
    stamp(
        number,
        0,
        extent.width as usize * 4 * extent.height as usize,
    )
}

/// Three seconds of them.
const FRAMES: u32 = 100;

#[test]
fn a_pipewiresink_fills_our_consumer() {
    let _alone = alone();
    let Some(daemon) = daemon() else { return };
    if !gstreamer(&daemon) {
        return;
    }
    let extent = Extent::new(70, 34);
    let file = daemon.folder().join("frames.raw");
    let mut out = std::fs::File::create(&file).expect("a file");
    for number in 0..FRAMES {
        out.write_all(&packed(number, extent)).expect("written");
    }
    let mut sink = sink(&daemon, "to", &[Format::XRGB8888]);
    // The sink's own clock jumps when it is linked, and all frames are late then: they are paced before.
    let peer = launch(
        &daemon,
        &format!(
            "filesrc location={} ! rawvideoparse width=70 height=34 format=bgrx framerate=30/1 ! \
             identity sleep-time=30000 ! \
             pipewiresink mode=provide client-name=gst stream-properties=p,node.name=gst",
            file.display()
        ),
    );
    let mut events = Vec::new();
    daemon.link("gst", "to", || {
        sink.dispatch(TICK).expect("dispatched");
    });
    let (mut seen, mut last, mut copies) = (0, None, 0);
    let end = Instant::now() + SOON;
    while seen < 10 {
        let received = sink.receive(10 * TICK).expect("waited");
        while let Some(event) = sink.event() {
            events.push(format!("{event:?}"));
        }
        assert!(
            Instant::now() < end,
            "{seen} seen; {events:#?}; {:#?}",
            peer.said()
        );
        let Some(received) = received else { continue };
        copies = received.copies();
        let (reading, acquire) = received.acquire();
        let planes = read(&reading, &acquire);
        // Which one it is, the pixels say.
        let number = (0..FRAMES).find(|number| packed(*number, extent) == planes[0]);
        let number = number.expect("a frame of the file, every byte of it");
        assert!(
            last.is_none_or(|last| number > last),
            "{last:?}, then {number}"
        );
        last = Some(number);
        seen += 1;
        reading.release(Fence::Signaled);
    }
    let path = sink.negotiated().expect("a format").path;
    assert_eq!(path, MemoryPath::HostMemory);
    assert_eq!(daemon.format("gst")["format"], "BGRx");
    record(&daemon, Direction::Export, path, copies, seen, extent);
}

#[test]
fn a_pipewiresrc_reads_our_producer() {
    let _alone = alone();
    let Some(daemon) = daemon() else { return };
    if !gstreamer(&daemon) {
        return;
    }
    for allocator in [cpu::Allocator::HostMemory, cpu::Allocator::Udmabuf] {
        if let Some(device) = device(allocator) {
            reads(&daemon, &device);
        }
    }
}

fn reads(daemon: &Daemon, device: &cpu::Device) {
    let extent = Extent::new(70, 34);
    let file = daemon.folder().join("seen.raw");
    let mut source = source(daemon, "from", device, request(extent, Format::XRGB8888));
    let mut peer = launch(
        daemon,
        &format!(
            "pipewiresrc client-name=gst stream-properties=p,node.name=gst num-buffers=20 ! \
             video/x-raw,format=BGRx ! videoconvert ! video/x-raw,format=RGBx ! filesink location={}",
            file.display()
        ),
    );
    daemon.link("from", "gst", || {
        source.dispatch(TICK).expect("dispatched");
    });
    let (mut sent, end) = (0, Instant::now() + SOON);
    let mut agreed = None;
    while !peer.has_ended() {
        source.dispatch(4 * TICK).expect("dispatched");
        agreed = source.negotiated().or(agreed);
        assert!(Instant::now() < end, "{sent} sent: {:#?}", peer.said());
        let Some(slot) = source.try_acquire() else {
            continue;
        };
        let fence = write(&slot, sent);
        let way = source.send(slot, fence, Metadata::default()).expect("sent");
        sent += u32::from(way.is_some());
    }
    let bytes = std::fs::read(&file).expect("a file");
    let numbers: Vec<Option<u32>> = bytes
        .chunks_exact((extent.width * extent.height * 4) as usize)
        .map(|frame| (0..sent).find(|number| is_swapped(frame, &packed(*number, extent))))
        .collect();
    assert!(
        numbers.iter().all(Option::is_some),
        "{numbers:?}: {:#?}",
        peer.said()
    );
    assert!(numbers.len() >= 10, "{numbers:?}: {:#?}", peer.said());
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    // pipewiresrc 1.4 lists no modifiers, and takes shared memory.
    let path = agreed.expect("a format").path;
    assert_eq!(path, MemoryPath::HostMemory);
    record(daemon, Direction::Import, path, 0, numbers.len(), extent);
}

fn record(
    daemon: &Daemon,
    direction: Direction,
    path: MemoryPath,
    copies: u32,
    frames: usize,
    extent: Extent,
) {
    engine::record(&Seen {
        engine: "GStreamer over PipeWire".to_owned(),
        version: version(daemon),
        direction,
        path,
        fences: "none: written before it is queued".to_owned(),
        copies,
        pixels: frames as u64 * u64::from(extent.width * extent.height),
        driver: "no driver: the CPU at both ends".to_owned(),
    });
}

/// Whether the colours are those, with red and blue in each other's place.
fn is_swapped(seen: &[u8], sent: &[u8]) -> bool {
    let pairs = seen.chunks_exact(4).zip(sent.chunks_exact(4));
    pairs
        .into_iter()
        .all(|(seen, sent)| seen[..3] == [sent[2], sent[1], sent[0]])
}
