//! Each field just within its limit, and just beyond it; and the bytes that docs/protocol.md shows.

use super::*;

/// A message with a number in place of the bytes at `at`.
fn with(message: &Message, at: usize, value: &[u8]) -> Result<Message> {
    let mut bytes = message.encode().expect("a message");
    bytes[at..at + value.len()].copy_from_slice(value);
    Message::decode(&bytes)
}

fn refuses(message: &Message, at: usize, value: u32, field: &str) {
    let error = with(message, at, &value.to_le_bytes()).expect_err(field);
    assert_eq!(error.field, field, "{error}");
}

fn takes(message: &Message, at: usize, value: u32) {
    with(message, at, &value.to_le_bytes()).expect("within the limit");
}

fn an_offer(entries: usize) -> Offer {
    let entry = OfferEntry {
        path: MemoryPath::HostMemory,
        format: Format::XRGB8888,
        tiling: Tiling::Explicit(Modifier::LINEAR),
        planes: 1,
        usage: Usage::SAMPLE,
        max_extent: Extent::new(640, 480),
        exportable: true,
        importable: true,
        dedicated_only: false,
        external_only: false,
    };
    Offer {
        name: "a device".to_owned(),
        device: DeviceId::default(),
        paths: MemoryPath::ALL
            .map(|path| (path, Support::Yes(())))
            .to_vec(),
        entries: vec![entry; entries],
        withdrawn: Vec::new(),
        fences: FenceSupport {
            export: Support::Yes(()),
            import: Support::Yes(()),
        },
    }
}

fn a_hello(entries: usize) -> Message {
    Message::Hello(Box::new(Hello {
        lowest: 1,
        highest: 1,
        delivery: Delivery::Latest,
        usage: Usage::SAMPLE,
        offer: an_offer(entries),
    }))
}

fn a_configure(path: MemoryPath, slots: usize) -> Configure {
    let opaque = path == MemoryPath::OpaqueFd;
    let plane = Plane {
        object: 0,
        offset: 0,
        pitch: 2560,
    };
    let linear = Tiling::Explicit(Modifier::LINEAR);
    let slot = SlotLayout {
        tiling: if opaque { Tiling::Implicit } else { linear },
        objects: 1,
        planes: if opaque { Vec::new() } else { vec![plane] },
        allocation_bytes: if opaque { 4096 } else { 0 },
    };
    Configure {
        version: 1,
        generation: 7,
        extent: Extent::new(640, 480),
        format: Format::XRGB8888,
        color: ColorDescription::SRGB,
        rung: match path {
            MemoryPath::DmaBuf => Rung::LinearDmaBuf,
            MemoryPath::OpaqueFd => Rung::OpaqueFd,
            MemoryPath::HostMemory => Rung::HostMemory,
        },
        devices: Comparison::Unknown,
        producer_usage: Usage::RENDER,
        consumer_usage: Usage::SAMPLE,
        device: DeviceId::default(),
        acquire: FencePath::SyncFile,
        release: FencePath::SyncFile,
        refused: Vec::new(),
        producer: String::new(),
        slots: vec![slot; slots],
    }
}

fn configure(path: MemoryPath, slots: usize) -> Message {
    Message::Configure(Box::new(a_configure(path, slots)))
}

/// The bytes of docs/protocol.md: 248 of them, with the colour before the device.
#[test]
fn frames() {
    let of = a_configure(MemoryPath::HostMemory, 1);
    let frame = Message::Frame(Box::new(FrameMessage {
        extent: of.extent,
        format: of.format,
        color: of.color,
        path: MemoryPath::HostMemory,
        device: of.device,
        slot: of.slots[0].clone(),
    }));
    assert_eq!(frame.encode().expect("a message").len(), 248);
    refuses(&frame, 16, 0, "extent");
    refuses(&frame, 28, 4, "frame.path");
    refuses(&frame, 32, 3, "color.primaries");
    // BT.709's matrix, which red, green and blue have not.
    refuses(&frame, 32, 0x0001_0d01, "color");
    refuses(&frame, 60, 1, "color.reserved");
    takes(&frame, 32, 0x0100_1009);
    refuses(&frame, 64, 0x20, "device.flags");
    refuses(&frame, 128, 2, "slot.flags");
    refuses(&frame, 136, 5, "slot.planes");
}

#[test]
fn reports() {
    let description = Description {
        state: State::Streaming,
        extent: Extent::new(640, 480),
        format: None,
        path: None,
        generation: 0,
        consumers: 1,
        frames: 0,
        since: 0,
        producer: String::new(),
    };
    let consumer = ConsumerDetails {
        number: 1,
        frames: 0,
        dropped: 0,
        latency: None,
        pid: None,
        delivery: Delivery::Every,
        held: 0,
        is_served: false,
        name: String::new(),
    };
    let details = Details {
        rung: None,
        modifier: None,
        slots: 0,
        consumers: vec![consumer],
    };
    let report = Message::Report(Box::new(Report {
        description,
        details,
    }));
    // Behind the header, and what a Description has.
    let rest = 16 + 64;
    refuses(&report, rest, 1, "report.modifier");
    takes(&report, rest + 8, 1);
    refuses(&report, rest + 8, 2, "report.flags");
    takes(&report, rest + 12, 4);
    refuses(&report, rest + 12, 5, "report.rung");
    takes(&report, rest + 16, 16);
    refuses(&report, rest + 16, 17, "report.slots");
    refuses(&report, rest + 20, 2, "report.consumer.number");
    refuses(&report, rest + 20, 65, "report.consumers");
    let consumer = rest + 24;
    takes(&report, consumer + 32, 1);
    refuses(&report, consumer + 36, 3, "report.consumer.delivery");
    takes(&report, consumer + 40, 32);
    refuses(&report, consumer + 40, 33, "report.consumer.held");
    refuses(&report, consumer + 44, 2, "report.consumer.flags");
    refuses(&report, consumer + 48, 1, "report.consumer.name");
}

#[test]
fn headers() {
    let ready = Message::Ready(3);
    takes(&ready, 0, 6);
    for kind in [0, 18, 19, u32::MAX] {
        refuses(&ready, 0, kind, "kind");
    }
    for length in [0, 23, 25, u32::MAX] {
        refuses(&ready, 4, length, "length");
    }
    refuses(&ready, 8, 1, "descriptors");
    refuses(&ready, 12, 1, "header.reserved");
    assert_eq!(Message::decode(&[]).expect_err("nothing").field, "kind");
    let long = vec![0; MAX_MESSAGE + 8];
    assert!(Message::decode(&long).is_err());
    // 24 bytes that say Pause, which has 16.
    refuses(&ready, 0, PAUSE, "what follows the last field");
}

#[test]
fn hellos() {
    let hello = a_hello(1);
    refuses(&hello, 16, 0, "magic");
    refuses(&hello, 24, 0, "versions");
    refuses(&hello, 24, 2, "versions");
    takes(&hello, 28, 9);
    takes(&hello, 32, 2);
    for delivery in [0, 3] {
        refuses(&hello, 32, delivery, "hello.delivery");
    }
    takes(&hello, 36, 0x1f);
    refuses(&hello, 36, 0x20, "hello.usage");
    refuses(&hello, 40, 1, "hello.options");
    refuses(&hello, 44, 1, "hello.reserved");
    refuses(&hello, 48, 0x20, "device.flags");
    refuses(&hello, 52, 1, "device.reserved");
    // After the device's 56 bytes: five answers of 8 bytes, each yes and without a reason.
    refuses(&hello, 104, 2, "offer.path");
    refuses(&hello, 108, 1, "offer.path");
    refuses(&hello, 128, 2, "offer.fences.export");
    refuses(&hello, 136, 2, "offer.fences.import");
    // The name's number, its length, its 8 bytes.
    refuses(&hello, 144, 1, "offer.name");
    refuses(&hello, 148, 129, "offer.name");
    refuses(&hello, 152, u32::from_le_bytes(*b"a\nbc"), "offer.name");
    refuses(
        &hello,
        152,
        u32::from_le_bytes([b'a', 0xff, b'b', b'c']),
        "offer.name",
    );
    let error = with(&hello, 148, &u32::MAX.to_le_bytes()).expect_err("too long");
    let text = error.to_string();
    assert!(text.contains("a text of 4294967295 bytes"), "{text}");
    // Marks of direction and separators of lines.
    let isolates = ('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}');
    for mark in isolates.chain(['\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}']) {
        let text = mark.to_string();
        let error = with(&hello, 152, text.as_bytes()).expect_err("a mark");
        assert_eq!(error.field, "offer.name", "{mark:?}");
        assert!(!codec::presentable(&text, 64).contains(mark), "{mark:?}");
    }
    let error = with(&hello, 152, "\u{61c}".as_bytes()).expect_err("an Arabic mark");
    assert_eq!(error.field, "offer.name");
    assert!(!codec::presentable("\u{61c}", 64).contains('\u{61c}'));
    takes(&hello, 160, 1);
    refuses(&hello, 160, 1537, "offer.entries");
    refuses(&hello, 160, u32::MAX, "offer.entries");
    refuses(&hello, 164, 1, "offer.reserved");
    // The entry.
    for path in [0, 4, 255] {
        let error = with(&hello, 168, &[path]).expect_err("a path");
        assert_eq!(error.field, "entry.path");
    }
    let error = with(&hello, 170, &0x20_u16.to_le_bytes()).expect_err("a flag");
    assert_eq!(error.field, "entry.flags");
    let invalid = 0x00ff_ffff_ffff_ffff_u64.to_le_bytes();
    let error = with(&hello, 176, &invalid).expect_err("INVALID");
    assert_eq!(error.field, "entry.modifier");
    refuses(&hello, 184, 0x20, "entry.usage");
    refuses(&hello, 196, 1, "entry.reserved");
}

#[test]
fn an_offer_has_so_many_entries_and_no_more() {
    let message = a_hello(MAX_ENTRIES);
    let bytes = message.encode().expect("the most");
    assert_eq!(Message::decode(&bytes), Ok(message));
    let error = a_hello(MAX_ENTRIES + 1).encode().expect_err("one more");
    assert_eq!(error.field, "offer.entries");
}

#[test]
fn the_longest_hello_fits() {
    let mut offer = an_offer(MAX_ENTRIES);
    let long = || Support::no(Requirement::other("x".repeat(MAX_TEXT)));
    offer.name = "n".repeat(MAX_NAME);
    offer.paths = MemoryPath::ALL.map(|path| (path, long())).to_vec();
    offer.fences.export = long();
    offer.fences.import = long();
    let hello = Hello {
        lowest: 1,
        highest: 1,
        delivery: Delivery::Every,
        usage: Usage::all(),
        offer,
    };
    let bytes = Message::Hello(Box::new(hello)).encode().expect("fits");
    assert!(bytes.len() <= MAX_MESSAGE, "{}", bytes.len());
    let mut configure = a_configure(MemoryPath::DmaBuf, MAX_SLOTS);
    let refused = RefusedRung {
        rung: Rung::TiledDmaBuf,
        reason: negotiate::Reason::Text("x".repeat(MAX_TEXT)),
    };
    configure.refused = vec![refused; 3];
    configure.acquire = FencePath::CpuWait(negotiate::Reason::Text("x".repeat(MAX_TEXT)));
    configure.release = FencePath::CpuWait(negotiate::Reason::Text("x".repeat(MAX_TEXT)));
    let bytes = Message::Configure(Box::new(configure)).encode();
    assert!(bytes.expect("fits").len() <= MAX_MESSAGE);
}

#[test]
fn configures() {
    let message = configure(MemoryPath::DmaBuf, 2);
    refuses(&message, 20, 0, "configure.slots");
    refuses(&message, 20, 17, "configure.slots");
    for at in [32, 36] {
        refuses(&message, at, 0, "extent");
        refuses(&message, at, MAX_EXTENT + 1, "extent");
        takes(&message, at, MAX_EXTENT);
    }
    refuses(&message, 44, 0, "configure.rung");
    refuses(&message, 44, 5, "configure.rung");
    refuses(&message, 48, 4, "configure.devices");
    refuses(&message, 52, 0x20, "configure.producer_usage");
    refuses(&message, 56, 0x20, "configure.consumer_usage");
    refuses(&message, 60, 4, "configure.refused");
    refuses(&message, 152, 3, "configure.acquire");
    refuses(&message, 160, 0, "configure.release");
    refuses(&message, 172, 129, "configure.producer");
    // The first slot.
    refuses(&message, 184, 2, "slot.flags");
    refuses(&message, 188, 0, "slot.objects");
    refuses(&message, 188, 5, "slot.objects");
    refuses(&message, 192, 0, "plane");
    refuses(&message, 192, 5, "slot.planes");
    refuses(&message, 196, 1, "slot.reserved");
    refuses(&message, 200, 1, "slot.allocation_bytes");
    refuses(&message, 208, 1, "plane.object");
    refuses(&message, 232, 1, "plane");
    // The number of descriptors follows from the slots: the ring's, and one for each.
    takes(&message, 8, 3);
    refuses(&message, 8, 2, "descriptors");
    refuses(&message, 8, 4, "descriptors");
}

#[test]
fn colours() {
    let message = configure(MemoryPath::DmaBuf, 1);
    // BT.709, sRGB, no matrix, full range, left, opaque, upright; then 25 zeros.
    let bytes = message.encode().expect("a message");
    assert_eq!(&bytes[64..72], [1, 13, 0, 1, 0, 1, 0, 0]);
    let cases: [(usize, &[u8], &str); 8] = [
        (64, &[0, 2, 3, 13, 21, 23, 255], "color.primaries"),
        (65, &[0, 2, 3, 19, 255], "color.transfer"),
        (66, &[2, 3, 5, 8, 10, 255], "color.matrix"),
        (67, &[2, 255], "color.range"),
        (68, &[4, 255], "color.siting"),
        (69, &[0, 5, 255], "color.alpha"),
        (70, &[8, 255], "color.orientation"),
        (71, &[1, 255], "color.reserved"),
    ];
    for (at, codes, field) in cases {
        for code in codes {
            let error = with(&message, at, &[*code]).expect_err(field);
            assert_eq!(error.field, field, "{code}: {error}");
        }
    }
    for (at, code) in [(64, 9), (65, 16), (67, 0), (68, 3), (70, 7)] {
        with(&message, at, &[code]).expect("within the limit");
    }
    refuses(&message, 92, 1, "color.reserved");
    // Right by themselves, and not for XRGB8888: a matrix, and an alpha.
    for (at, code) in [(66, 1), (69, 2), (69, 3), (69, 4)] {
        let error = with(&message, at, &[code]).expect_err("another format's");
        assert_eq!(error.field, "color", "{error}");
    }
    let mut wrong = a_configure(MemoryPath::DmaBuf, 1);
    wrong.color = ColorDescription::VIDEO;
    let error = Message::Configure(Box::new(wrong)).encode();
    assert_eq!(error.expect_err("not for XRGB8888").field, "color");
}

#[test]
fn what_no_flag_names_is_zero() {
    let hello = a_hello(1);
    for at in [56, 72] {
        refuses(&hello, at, 1, "device.uuid");
    }
    for at in [88, 92, 96, 100] {
        refuses(&hello, at, 1, "device.node");
    }
}

#[test]
fn what_cannot_be_is_not_sent_either() {
    let change = |change: fn(&mut Configure)| {
        let mut configure = a_configure(MemoryPath::DmaBuf, 1);
        change(&mut configure);
        let encoded = Message::Configure(Box::new(configure)).encode();
        encoded.expect_err("beyond a limit").field
    };
    assert_eq!(change(|c| c.slots.clear()), "configure.slots");
    let many = change(|c| c.slots = vec![c.slots[0].clone(); 17]);
    assert_eq!(many, "configure.slots");
    assert_eq!(change(|c| c.slots[0].planes.clear()), "slot.planes");
    assert_eq!(change(|c| c.slots[0].objects = 0), "slot.objects");
    assert_eq!(change(|c| c.slots[0].planes[0].object = 1), "plane.object");
    assert_eq!(change(|c| c.rung = Rung::OpaqueFd), "slot.planes");
}

#[test]
fn one_object_for_opaque_and_host_memory() {
    for path in [MemoryPath::OpaqueFd, MemoryPath::HostMemory] {
        let message = configure(path, 1);
        refuses(&message, 188, 2, "slot.objects");
    }
    refuses(&configure(MemoryPath::OpaqueFd, 1), 192, 1, "slot.planes");
    refuses(
        &configure(MemoryPath::OpaqueFd, 1),
        200,
        0,
        "slot.allocation_bytes",
    );
    refuses(&configure(MemoryPath::OpaqueFd, 1), 184, 1, "slot.modifier");
}

/// The words of the page: rung 1 is anything but LINEAR, rung 2 and host memory are LINEAR, opaque memory has no modifier.
#[test]
fn rungs_and_paths_have_their_tilings() {
    let mut tiled = a_configure(MemoryPath::DmaBuf, 1);
    tiled.rung = Rung::TiledDmaBuf;
    let tiling = Modifier::new(0x0100_0000_0000_0001).map_or(Tiling::Implicit, Tiling::Explicit);
    tiled.slots[0].tiling = tiling;
    let tiled = Message::Configure(Box::new(tiled));
    // The rung, and the slot's modifier, of messages that are right otherwise.
    refuses(&tiled, 44, 2, "slot.modifier");
    let error = with(&tiled, 176, &[0; 8]).expect_err("LINEAR on rung 1");
    assert_eq!(error.field, "slot.modifier", "{error}");
    with(&tiled, 176, &[0; 12]).expect("implicit, which only its driver knows");
    refuses(&configure(MemoryPath::DmaBuf, 1), 44, 1, "slot.modifier");
    refuses(&configure(MemoryPath::DmaBuf, 1), 184, 0, "slot.modifier");
    let host = configure(MemoryPath::HostMemory, 1);
    refuses(&host, 176, 1, "slot.modifier");
    refuses(&host, 184, 0, "slot.modifier");
    // The same of what a consumer offers; the flags lie beside the path and the planes.
    let hello = a_hello(1);
    refuses(&hello, 168, 0x000c_0103, "entry.modifier");
    refuses(&hello, 168, 0x000d_0102, "entry.modifier");
    takes(&hello, 168, 0x000c_0102);
}

#[test]
fn the_smaller_ones() {
    let fence = Message::Fence(FenceFor {
        generation: 1,
        sequence: 2,
        slot: 3,
    });
    takes(&fence, 32, 15);
    refuses(&fence, 32, 16, "fence.slot");
    refuses(&fence, 24, 0, "fence.sequence");
    for sequence in [1_u64 << 60, u64::MAX] {
        let error = with(&fence, 24, &sequence.to_le_bytes()).expect_err("2^60 and more");
        assert_eq!(error.field, "fence.sequence", "{error}");
    }
    refuses(&fence, 36, 1, "fence.reserved");
    let farewell = Farewell::new(FarewellReason::Done, "bye");
    let goodbye = Message::Goodbye(farewell);
    refuses(&goodbye, 24, 0, "farewell.reason");
    refuses(&goodbye, 24, 10, "farewell.reason");
    refuses(&goodbye, 28, 1025, "farewell.text");
    // Padding hides nothing.
    refuses(&goodbye, 36, 1, "farewell.text");
    let failed = Message::ImportFailed(ImportFailed {
        generation: 1,
        strike: Strike {
            path: MemoryPath::DmaBuf,
            format: None,
            modifier: None,
            reason: StrikeReason::ImportFailed(String::new()),
        },
    });
    refuses(&failed, 24, 0, "strike.path");
    refuses(&failed, 28, 4, "strike.flags");
    refuses(&failed, 32, 1, "strike.modifier");
    refuses(&failed, 40, 1, "strike.format");
    refuses(&failed, 44, 1, "strike.reserved");
}

#[test]
fn texts_are_cut_between_characters_and_have_no_controls() {
    let farewell = Farewell::new(
        FarewellReason::Protocol,
        &format!("a\u{1b}[2J\n{}", "é".repeat(600)),
    );
    assert!(farewell.text.len() <= MAX_TEXT, "{}", farewell.text.len());
    assert!(farewell.text.starts_with("a [2J é"), "{}", farewell.text);
    assert!(farewell.text.ends_with("é…"), "{}", farewell.text);
    let message = Message::Refused(farewell);
    let bytes = message.encode().expect("cut to fit");
    assert_eq!(Message::decode(&bytes), Ok(message));
}

/// The example of docs/protocol.md.
#[test]
fn the_documented_bytes() {
    let ready = Message::Ready(7).encode().expect("a message");
    let expected = [
        6, 0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // header
        7, 0, 0, 0, 0, 0, 0, 0, // generation
    ];
    assert_eq!(ready, expected);
    let wake = Message::Wake.encode().expect("a message");
    assert_eq!(wake, WAKE_MESSAGE);
    let of = FenceFor {
        generation: 7,
        sequence: u64::MAX >> 4,
        slot: 15,
    };
    let fence = Message::Fence(of).encode().expect("a message");
    assert_eq!(fence, of.encode_message());
    let describe = Message::Describe(1, 1).encode().expect("a message");
    assert_eq!(&describe[16..], b"LUCARNE\0\x01\0\0\0\x01\0\0\0");
}
