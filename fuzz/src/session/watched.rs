//! An honest consumer, and a producer that is none.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::Ordering;

use lucarne::color::ColorDescription;
use lucarne::negotiate::FencePath;
use lucarne::{
    Comparison, DeviceId, Format, FrameLayout, Rung, Usage,
    kernel::{Memfd, SharedWords},
};
use lucarne_stream::Delivery;
use lucarne_stream::wire::{Configure, FenceFor, Message, SlotLayout};
use rustix::net::SocketAddrUnix;

use super::hostile::{Hostile, Script, seqpacket};
use super::{EXTENT, Watcher, watch};

pub(super) fn against_a_producer(mut script: Script<'_>) {
    let folder = tempfile::tempdir().expect("a folder");
    let listener = seqpacket();
    let address = SocketAddrUnix::new(folder.path().join("scene")).expect("short enough");
    rustix::net::bind(&listener, &address).expect("bound");
    rustix::net::listen(&listener, 8).expect("listens");
    let delivery = if script.byte() & 1 == 0 {
        Delivery::Latest
    } else {
        Delivery::Every
    };
    let mut consumer = watch(folder.path(), delivery).expect("it listens");
    let mut hostile = Hostile::of(rustix::net::accept(&listener).expect("it connects"));
    let mut held = Vec::new();
    let mut generation = 0;
    while let Some(act) = script.next() {
        match act % 16 {
            0 | 1 => {
                generation = generation.max(script.byte().into()) + u64::from(act & 16 == 0);
                configure(&mut hostile, generation, act, &mut script);
            }
            2..=4 => say(&hostile, generation, act, &mut script),
            5..=7 => publish(&hostile, act, &mut script),
            8 => held.clear(),
            9 => {
                hostile.hear();
            }
            _ => hostile.act(act, &mut script),
        }
        watch_it(&mut consumer, act & 8 != 0, &mut held);
    }
    drop(hostile);
    // With its producer gone it ends: with what is left to take, and then for good.
    for _ in 0..64 {
        match consumer.try_receive() {
            Ok(_) => consumer.dispatch().map_or((), |()| ()),
            Err(error) => return assert!(!error.to_string().is_empty()),
        }
    }
    panic!("it does not see that its producer is gone");
}

/// What is received lies within its memory: every pixel can be read.
fn watch_it(
    consumer: &mut Watcher,
    keep: bool,
    held: &mut Vec<lucarne_stream::Received<super::Image>>,
) {
    // The reason is told, and the connection is over: both are right.
    let _ = consumer.dispatch();
    if let Ok(Some(received)) = consumer.try_receive() {
        let slot = (received.generation(), received.index());
        let again = held
            .iter()
            .any(|one| (one.generation(), one.index()) == slot);
        assert!(!again, "{slot:?} was handed out twice");
        let image = received.image();
        let mut bytes = vec![0; image.plane_bytes(0)];
        let fence = lucarne::Fence::Signaled;
        let read = image.read(&fence, super::PATIENCE, |rows| {
            rows.read_plane(0, &mut bytes)
        });
        drop(read.expect("it is mapped"));
        assert!(received.damage().is_none_or(|list| list.count() <= 4));
        if keep {
            held.push(received);
        }
    }
    while consumer.event().is_some() {}
}

/// A Configure that is right, or nearly: sizes, offsets and slots that do not fit, other descriptors, another header.
fn configure(hostile: &mut Hostile, generation: u64, act: u8, script: &mut Script<'_>) {
    let (layout, size) = FrameLayout::linear(EXTENT, Format::XRGB8888).expect("linear");
    let slots = 1 + usize::from(script.byte() % 16);
    let change = script.byte();
    let mut slot = SlotLayout::of(&layout, 0);
    match change % 16 {
        0 => slot.planes[0].offset = u64::from(script.byte()) << (script.byte() % 56),
        1 => slot.planes[0].pitch = u64::from(script.byte()) << (script.byte() % 56),
        _ => {}
    }
    let message = Message::Configure(Box::new(Configure {
        version: 1 + u32::from(change == 255),
        generation,
        extent: EXTENT,
        format: Format::XRGB8888,
        color: ColorDescription::SRGB,
        rung: if change % 16 == 2 {
            Rung::LinearDmaBuf
        } else {
            Rung::HostMemory
        },
        devices: Comparison::Unknown,
        producer_usage: Usage::RENDER,
        consumer_usage: Usage::SAMPLE,
        device: DeviceId::default(),
        acquire: FencePath::SyncFile,
        release: FencePath::SyncFile,
        refused: Vec::new(),
        producer: "nobody".to_owned(),
        slots: vec![slot; slots],
    }));
    let mut bytes = message.encode().expect("a message");
    if change % 16 == 3 {
        let at = usize::from(script.byte()) * 8 % bytes.len();
        bytes[at] ^= script.byte();
    }
    let size = if change % 16 == 4 { size / 2 } else { size };
    let mut ring = Memfd::create("ring", 4096).expect("a memfd");
    let words = SharedWords::new(&ring).expect("mapped");
    let header = [
        u64::from_le_bytes(*b"LCRING\x01\0"),
        generation,
        slots as u64,
    ];
    for (index, value) in header.into_iter().enumerate() {
        words.word(index).store(value, Ordering::Release);
    }
    if change % 16 == 5 {
        // Another one, whose size alone is looked at.
        ring = Memfd::create("ring", 8192).expect("a memfd");
    }
    let make = |_| Memfd::create("frame", size).expect("a memfd");
    let memory: Vec<Memfd> = (0..slots).map(make).collect();
    let mut fds: Vec<BorrowedFd<'_>> = vec![ring.as_fd()];
    fds.extend(memory.iter().map(AsFd::as_fd));
    match change % 16 {
        6 => fds.truncate(usize::from(script.byte()) % fds.len()),
        7 => fds.push(ring.as_fd()),
        8 => fds.swap(0, 1),
        9 => fds.iter_mut().for_each(|fd| *fd = memory[0].as_fd()),
        _ => {}
    }
    if change % 16 == 10 {
        hostile.with_descriptors(fds.len(), act / 16, |fds| hostile.send(&bytes, fds));
    } else {
        hostile.send(&bytes, &fds);
    }
    hostile.ring = Some(words);
}

/// A producer's other messages.
fn say(hostile: &Hostile, generation: u64, act: u8, script: &mut Script<'_>) {
    let message = match act / 16 % 8 {
        0 => Message::Pause,
        1 => Message::Resume,
        2 => Message::End,
        3 => Message::Retire(generation),
        4 => Message::Wake,
        5 => Message::Ready(generation),
        _ => Message::Fence(FenceFor {
            generation,
            sequence: u64::from(script.byte()),
            slot: usize::from(script.byte() % 16),
        }),
    };
    let bytes = message.encode().expect("a message");
    let kind = script.byte();
    hostile.with_descriptors(message.descriptors(), kind, |fds| hostile.send(&bytes, fds));
}

/// A frame, with its note: right for the most part.
fn publish(hostile: &Hostile, act: u8, script: &mut Script<'_>) {
    let Some(ring) = &hostile.ring else {
        return;
    };
    let set = |word: usize, value: u64| ring.word(word).store(value, Ordering::Release);
    let slot = usize::from(script.byte() % 16);
    let sequence = ring.word(24).load(Ordering::Acquire) + u64::from(script.byte() % 4);
    set(66 + 8 * slot, u64::from(act >> 5 & 2));
    if act & 16 != 0 {
        set(66 + 8 * slot, script.number() & 0xf7);
        set(68 + 8 * slot, script.number());
    }
    set(64 + 8 * slot, sequence << 4 | 1);
    set(24, sequence);
}
