//! Our producer and our consumer, through a private daemon.

mod common;

use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use common::{
    EXTENT, Pair, SOON, TICK, alone, assert_is, daemon, device, linked, read, request, sink,
    sink_with, source, source_with, wait_for, write,
};
use lucarne::color::{ColorDescription, Matrix, Range};
use lucarne::kernel::{DmaBuf, Memfd};
use lucarne::negotiate::OfferEntry;
use lucarne::{
    Agreement, DeviceId, Extent, Fence, Format, Frame, FrameLayout, Memory, MemoryPath, Offer,
    Plane, Tiling, Usage, cpu,
};
use lucarne_pipewire::{
    Consumer, ConsumerOptions, Delivery, FenceWay, Metadata, Producer, ProducerOptions, Region,
};

#[test]
fn frames_arrive_in_dma_bufs() {
    let _alone = alone();
    let Some(daemon) = daemon() else { return };
    let Some(mut pair) = linked(&daemon, cpu::Allocator::Udmabuf, Format::XRGB8888) else {
        return;
    };
    pair.see(30);
    let negotiated = pair.sink.negotiated().expect("a format");
    assert_eq!(negotiated.path, MemoryPath::DmaBuf);
    assert_eq!(Some(negotiated), pair.source.negotiated());
    assert_eq!(
        pair.sink.imports(),
        3,
        "one for each of the producer's buffers"
    );
    // What the daemon says of it.
    for node in ["from", "to"] {
        let format = daemon.format(node);
        assert_eq!(format["format"], "BGRx");
        assert_eq!(format["modifier"], 0);
        assert_eq!(format["size"]["width"], 70);
        assert_eq!(format["size"]["height"], 34);
    }
}

#[test]
fn frames_arrive_in_sealed_memory_where_there_are_no_dma_bufs() {
    let _alone = alone();
    let Some(daemon) = daemon() else { return };
    for format in [
        Format::ABGR8888,
        Format::RGB565,
        Format::NV12,
        Format::YUV420,
    ] {
        let Some(mut pair) = linked(&daemon, cpu::Allocator::HostMemory, format) else {
            return;
        };
        pair.see(10);
        let negotiated = pair.sink.negotiated().expect("a format");
        assert_eq!(negotiated.path, MemoryPath::HostMemory);
        assert_eq!(negotiated.format, format);
        assert!(daemon.format("to")["modifier"].is_null());
    }
}

#[test]
fn each_plane_has_its_place() {
    let _alone = alone();
    let Some(daemon) = daemon() else { return };
    for format in [Format::NV12, Format::P010, Format::YUV444, Format::YUYV] {
        let Some(mut pair) = linked(&daemon, cpu::Allocator::Udmabuf, format) else {
            return;
        };
        pair.see(5);
        let negotiated = pair.sink.negotiated().expect("a format");
        assert_eq!(
            (negotiated.path, negotiated.format),
            (MemoryPath::DmaBuf, format)
        );
        assert_eq!(negotiated.color, ColorDescription::VIDEO);
    }
}

/// Intel's Y tiles with compression, two memory planes; its Y tiles; a layout of Arm's.
const Y_CCS: u64 = 0x0100_0000_0000_0004;
const Y: u64 = 0x0100_0000_0000_0002;
const AFBC: u64 = 0x0800_0000_0000_0001;

/// A device of nobody's, which has these modifiers.
fn tiled_offer(name: &str, codes: &[u64], usage: Usage) -> Offer {
    let cpu = cpu::Adapter::new(cpu::Allocator::HostMemory);
    let mut offer = cpu.open().expect("the CPU").offer(usage).expect("an offer");
    offer.name = name.to_owned();
    offer.device.device_uuid = Some([7; 16]);
    let linear =
        |entry: &&OfferEntry| entry.path == MemoryPath::DmaBuf && entry.format == Format::XRGB8888;
    let entry = offer
        .entries
        .iter()
        .find(linear)
        .expect("the CPU has it")
        .clone();
    offer.entries = codes
        .iter()
        .map(|code| OfferEntry {
            tiling: Tiling::from_code(*code),
            planes: if *code == Y_CCS { 2 } else { 1 },
            exportable: true,
            ..entry.clone()
        })
        .collect();
    offer
}

/// Two planes of such a frame, in a buffer of memory that stands in for a dma-buf.
fn tiled_frame(agreement: &Agreement) -> lucarne::Result<Frame> {
    let tiling = Tiling::Explicit(agreement.modifiers[0]);
    let plane = |offset, pitch| Plane {
        object: 0,
        offset,
        pitch,
    };
    let planes = [plane(0, 512), plane(64 * 1024, 128)];
    let bytes = 128 * 1024;
    let layout = FrameLayout::new(
        agreement.extent,
        agreement.format,
        tiling,
        &planes,
        &[bytes],
    )?;
    let memory = Memfd::create("tiled", bytes)?;
    let memory = DmaBuf::new(memory.as_fd().try_clone_to_owned().expect("a descriptor"))?;
    Frame::new(layout, Memory::DmaBuf(vec![memory]), DeviceId::default())
}

#[test]
fn the_producer_chooses_among_the_modifiers_of_both() {
    let _alone = alone();
    let Some(daemon) = daemon() else { return };
    let wanted = request(EXTENT, Format::XRGB8888).paths(&[MemoryPath::DmaBuf]);
    let options = ProducerOptions::new(wanted).remote(daemon.socket());
    let offer = tiled_offer("the producer's device", &[Y, Y_CCS, 0], Usage::RENDER);
    let allocate = |agreement: &Agreement| {
        let codes: Vec<u64> = agreement.modifiers.iter().map(|one| one.code()).collect();
        assert_eq!(
            codes,
            [Y_CCS],
            "what both have, and LINEAR only where nothing else is common"
        );
        let frame = tiled_frame(agreement)?;
        Ok((frame.clone(), frame))
    };
    let mut source = Producer::new("from", &offer, options, allocate).expect("a producer");
    let offer = tiled_offer("the consumer's device", &[AFBC, Y_CCS, 0], Usage::SAMPLE);
    let options = ConsumerOptions::new(Delivery::Every)
        .formats(&[Format::XRGB8888])
        .remote(daemon.socket());
    let import = |frame: &Frame| Ok(frame.clone());
    let mut sink = Consumer::new("to", &offer, options, import).expect("a consumer");
    daemon.link("from", "to", || {
        source.dispatch(TICK).expect("dispatched");
        sink.dispatch(TICK).expect("dispatched");
    });
    let (mut sent, mut seen) = (Vec::new(), 0);
    wait_for("ten frames", || {
        source.dispatch(TICK).expect("dispatched");
        if let Some(slot) = source.try_acquire() {
            sent.push(slot.frame().identity());
            let way = source.send(slot, Fence::Signaled, Metadata::default());
            assert_eq!(way.expect("sent"), Some(FenceWay::Signaled));
        }
        sink.dispatch(TICK).expect("dispatched");
        if let Some(received) = sink.try_receive() {
            let layout = received.frame().layout();
            assert_eq!(layout.tiling().code(), Y_CCS);
            let places = layout
                .planes()
                .iter()
                .map(|plane| (plane.offset, plane.pitch));
            assert_eq!(places.collect::<Vec<_>>(), [(0, 512), (64 * 1024, 128)]);
            // The same memory, not a copy of it.
            let number = received.metadata().sequence.expect("counted");
            let number = usize::try_from(number).expect("few");
            assert_eq!(received.frame().identity(), sent[number]);
            seen += 1;
        }
        seen == 10
    });
    assert_eq!(daemon.format("to")["modifier"], Y_CCS);
}

#[test]
fn colours_go_along() {
    let _alone = alone();
    let Some(daemon) = daemon() else { return };
    let Some(device) = device(cpu::Allocator::HostMemory) else {
        return;
    };
    let color = ColorDescription {
        matrix: Matrix::Bt601,
        range: Range::Full,
        ..ColorDescription::VIDEO
    };
    let options = ProducerOptions::new(request(EXTENT, Format::NV12))
        .color(color)
        .remote(daemon.socket());
    let mut pair = Pair::new(
        source_with("from", &device, options),
        sink(&daemon, "to", &[Format::NV12]),
    );
    daemon.link("from", "to", || pair.dispatch());
    pair.see(2);
    assert_eq!(pair.sink.negotiated().expect("a format").color, color);
}

#[test]
fn metadata_goes_along() {
    let _alone = alone();
    let Some(daemon) = daemon() else { return };
    let Some(mut pair) = linked(&daemon, cpu::Allocator::HostMemory, Format::XRGB8888) else {
        return;
    };
    pair.see(1);
    let region = |x, y, width, height| Region {
        x,
        y,
        extent: Extent::new(width, height),
    };
    let told = Metadata {
        pts: Some(123_456_789),
        sequence: Some(77),
        crop: Some(region(2, 4, 60, 20)),
        damage: vec![region(0, 0, 8, 8), region(30, 10, 5, 1)],
    };
    let mut sent = false;
    let end = Instant::now() + SOON;
    loop {
        assert!(Instant::now() < end, "{:#?}", pair.events);
        pair.dispatch();
        if !sent && let Some(slot) = pair.source.try_acquire() {
            let fence = write(&slot, 9);
            let way = pair.source.send(slot, fence, told.clone()).expect("sent");
            sent = way.is_some();
        }
        let Some(received) = pair.sink.try_receive() else {
            continue;
        };
        if received.metadata().sequence == Some(77) {
            assert_eq!(received.metadata(), &told);
            break;
        }
    }
}

#[test]
fn a_resize_makes_new_frames_and_leaves_the_one_in_hand_whole() {
    let _alone = alone();
    let Some(daemon) = daemon() else { return };
    let Some(mut pair) = linked(&daemon, cpu::Allocator::Udmabuf, Format::XRGB8888) else {
        return;
    };
    pair.see(3);
    let mut held = None;
    wait_for("a frame to hold", || {
        pair.dispatch();
        if let Some(slot) = pair.source.try_acquire() {
            let fence = write(&slot, 4242);
            let metadata = Metadata {
                pts: Some(4_242_000),
                ..Metadata::default()
            };
            pair.source.send(slot, fence, metadata).expect("sent");
        }
        if let Some(received) = pair.sink.try_receive()
            && received.metadata().pts == Some(4_242_000)
        {
            held = Some(received.acquire());
        }
        held.is_some()
    });
    pair.sent = 5000;
    for (width, height) in [(33, 65), (640, 7), (70, 34)] {
        let extent = Extent::new(width, height);
        pair.source
            .reconfigure(request(extent, Format::XRGB8888))
            .expect("it can be had");
        wait_for("the new size", || {
            pair.turn();
            pair.sink
                .negotiated()
                .is_some_and(|now| now.extent == extent)
        });
        pair.see(4);
    }
    // The buffers of then were closed three times over.
    let (reading, acquire) = held.expect("a frame");
    assert_eq!(reading.frame().layout().extent(), EXTENT);
    assert_is(&read(&reading, &acquire), 4242);
    reading.release(Fence::Signaled);
    pair.see(4);
}

#[test]
fn what_cannot_be_imported_is_struck_out() {
    let _alone = alone();
    let Some(daemon) = daemon() else { return };
    let Some(device) = device(cpu::Allocator::Udmabuf) else {
        return;
    };
    let source = source(&daemon, "from", &device, request(EXTENT, Format::XRGB8888));
    let cpu = cpu::Adapter::new(cpu::Allocator::HostMemory)
        .open()
        .expect("the CPU");
    let offer = cpu.offer(Usage::SAMPLE).expect("an offer");
    let options = ConsumerOptions::new(Delivery::Every)
        .formats(&[Format::XRGB8888])
        .remote(daemon.socket());
    let import = move |frame: &lucarne::Frame| match frame.memory().path() {
        MemoryPath::DmaBuf => Err(lucarne::Error::Invalid {
            field: "frame",
            got: "a dma-buf".to_owned(),
            limit: "anything else, in this test".to_owned(),
        }),
        _ => cpu.import(frame),
    };
    let sink = lucarne_pipewire::Consumer::new("to", &offer, options, import).expect("a consumer");
    let mut pair = Pair::new(source, sink);
    daemon.link("from", "to", || pair.dispatch());
    pair.see(5);
    let negotiated = pair.sink.negotiated().expect("a format");
    assert_eq!(negotiated.path, MemoryPath::HostMemory);
    let struck: Vec<_> = pair
        .events
        .iter()
        .filter(|one| one.contains("Struck"))
        .collect();
    assert_eq!(struck.len(), 1, "{:#?}", pair.events);
    assert!(
        struck[0].contains("anything else, in this test"),
        "{struck:?}"
    );
}

#[test]
fn what_cannot_be_allocated_is_struck_out() {
    let _alone = alone();
    let Some(daemon) = daemon() else { return };
    let Some(device) = device(cpu::Allocator::Udmabuf) else {
        return;
    };
    let offer = device.offer(Usage::RENDER).expect("an offer");
    let options = ProducerOptions::new(request(EXTENT, Format::XRGB8888)).remote(daemon.socket());
    let allocate = move |agreement: &lucarne::Agreement| {
        if agreement.path() == MemoryPath::DmaBuf {
            return Err(lucarne::Error::Invalid {
                field: "agreement",
                got: "a dma-buf".to_owned(),
                limit: "anything else, in this test".to_owned(),
            });
        }
        let image = device.export(agreement)?;
        let frame = image.frame().clone();
        Ok((image, frame))
    };
    let source = lucarne_pipewire::Producer::new("from", &offer, options, allocate);
    let mut pair = Pair::new(
        source.expect("a producer"),
        sink(&daemon, "to", &[Format::XRGB8888]),
    );
    daemon.link("from", "to", || pair.dispatch());
    pair.see(5);
    let negotiated = pair.sink.negotiated().expect("a format");
    assert_eq!(negotiated.path, MemoryPath::HostMemory);
    let struck = pair.events.iter().filter(|one| one.contains("Struck"));
    assert_eq!(struck.count(), 1, "{:#?}", pair.events);
}

#[test]
fn frames_that_nobody_reads_come_back() {
    let _alone = alone();
    let Some(daemon) = daemon() else { return };
    let Some(device) = device(cpu::Allocator::Udmabuf) else {
        return;
    };
    let source = source(&daemon, "from", &device, request(EXTENT, Format::XRGB8888));
    let options = ConsumerOptions::new(Delivery::Latest)
        .formats(&[Format::XRGB8888])
        .remote(daemon.socket());
    let mut pair = Pair::new(source, sink_with("to", options));
    daemon.link("from", "to", || pair.dispatch());
    pair.see(3);
    pair.sent = 1000;
    let (mut sent, mut skipped, mut dropped) = (0_u32, 0_u64, 0_u32);
    let end = Instant::now() + SOON;
    while sent < 120 {
        assert!(Instant::now() < end, "the pool is dry after {sent} frames");
        pair.dispatch();
        if let Some(slot) = pair.source.try_acquire() {
            let fence = write(&slot, sent);
            let metadata = Metadata {
                pts: Some(i64::from(sent) * 1000),
                ..Metadata::default()
            };
            let way = pair.source.send(slot, fence, metadata);
            sent += u32::from(way.expect("sent").is_some());
        }
        // Dropped as it came, unread, from another thread.
        if sent % 2 == 0
            && let Some(received) = pair.sink.try_receive()
        {
            skipped += received.skipped();
            dropped += 1;
            std::thread::spawn(move || drop(received))
                .join()
                .expect("dropped");
        }
    }
    assert!(dropped > 20, "{dropped} dropped, {skipped} skipped");
    pair.last = None;
    pair.see(10);
}

/// A producer at 60 Hz, and a consumer that takes each frame as it comes.
#[test]
fn no_frame_is_lost_on_its_way() {
    let _alone = alone();
    let Some(daemon) = daemon() else { return };
    let Some(mut pair) = linked(&daemon, cpu::Allocator::Udmabuf, Format::XRGB8888) else {
        return;
    };
    // While a link starts, both ends pause and go on.
    pair.see(30);
    let (mut sent, mut seen) = (0, Vec::new());
    let (start, step) = (Instant::now(), Duration::from_millis(16));
    while sent < 120 || start.elapsed() < step * 125 {
        pair.source
            .dispatch(Duration::from_millis(1))
            .expect("dispatched");
        let slot = if sent < 120 {
            pair.source.try_acquire()
        } else {
            None
        };
        if start.elapsed() >= step * sent
            && let Some(slot) = slot
        {
            let metadata = Metadata {
                sequence: Some(10_000 + u64::from(sent)),
                ..Metadata::default()
            };
            pair.source
                .send(slot, Fence::Signaled, metadata)
                .expect("sent");
            sent += 1;
        }
        if let Some(received) = pair.sink.receive(Duration::from_millis(1)).expect("waited") {
            seen.extend(
                received
                    .metadata()
                    .sequence
                    .filter(|number| *number >= 10_000),
            );
        }
        assert!(start.elapsed() < SOON, "{sent} sent, {seen:?}");
    }
    let lost: Vec<u64> = (10_000..10_120)
        .filter(|number| !seen.contains(number))
        .collect();
    // On a busy machine a cycle may take longer than the next frame waits for it.
    assert!(lost.len() <= 5, "{lost:?} of {sent}");
    assert!(seen.is_sorted_by(|one, next| one < next), "{seen:?}");
}

#[test]
fn nodes_with_nothing_in_common_say_what_each_has() {
    let _alone = alone();
    let Some(daemon) = daemon() else { return };
    let Some(device) = device(cpu::Allocator::HostMemory) else {
        return;
    };
    let source = source(&daemon, "from", &device, request(EXTENT, Format::XRGB8888));
    let mut pair = Pair::new(source, sink(&daemon, "to", &[Format::NV12, Format::YUYV]));
    wait_for("the ports of both nodes", || {
        pair.dispatch();
        daemon.ports("-o").len() == 1 && daemon.ports("-i").len() == 1
    });
    let asked = [
        pair.sink.explain("from", SOON),
        pair.source.explain("to", SOON),
    ];
    for asked in asked {
        let explanation = asked.expect("a daemon").expect("a node");
        assert!(explanation.outcome.is_err());
        let text = explanation.to_string();
        for part in [
            "from lists XRGB8888 in host-memory",
            "to lists ",
            "NV12 linear in dma-bufs",
            "NV12 in host-memory",
            "YUYV in host-memory",
            "cannot share 70x34 frames",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    let nobody = pair.sink.explain("nobody", SOON).expect("a daemon");
    assert!(nobody.is_none());
    // With something in common the same question has an agreement.
    let third = sink(&daemon, "third", &[Format::NV12, Format::XRGB8888]);
    let explanation = third.explain("from", SOON).expect("a daemon");
    let agreement = explanation.expect("a node").outcome.expect("XRGB8888");
    assert_eq!(agreement.path(), MemoryPath::HostMemory);
    assert_eq!(agreement.format, Format::XRGB8888);
}
