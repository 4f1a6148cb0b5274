//! Frames over sockets of the program's own, from honest senders and others.

use std::io::{IoSlice, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lucarne::color::{ColorDescription, Matrix, Orientation, Primaries, Range, Transfer};
use lucarne::{
    DeviceId, Extent, Format, Frame, FrameLayout, Memory, MemoryPath, Modifier, Plane, Tiling,
    kernel::{DmaBuf, Mapping, Memfd},
};
use lucarne_stream::wire::{FrameMessage, Message, SlotLayout};
use lucarne_stream::{Error, receive_frame, send_frame};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

const SOON: Duration = Duration::from_secs(5);

/// Descriptors are counted by process: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("/proc").count()
}

fn pair(kind: SocketType) -> (OwnedFd, OwnedFd) {
    rustix::net::socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).expect("sockets")
}

fn host_frame() -> Frame {
    let (layout, size) =
        FrameLayout::linear(Extent::new(64, 48), Format::XRGB8888).expect("linear");
    let memory = Memory::HostMemory(Memfd::create("frame", size).expect("a memfd"));
    Frame::new(layout, memory, DeviceId::default()).expect("a frame")
}

/// Two planes in two buffers; sealed memfds stand in for dma-bufs.
fn frame_of_two_buffers() -> Frame {
    let buffer = || {
        let memfd = Memfd::create("plane", 4096).expect("a memfd");
        DmaBuf::new(memfd.as_fd().try_clone_to_owned().expect("a descriptor")).expect("stands in")
    };
    let plane = |object| Plane {
        object,
        offset: 0,
        pitch: 64,
    };
    let tiling = Tiling::Explicit(Modifier::LINEAR);
    let extent = Extent::new(64, 32);
    let layout = FrameLayout::new(
        extent,
        Format::NV12,
        tiling,
        &[plane(0), plane(1)],
        &[4096; 2],
    );
    let memory = Memory::DmaBuf(vec![buffer(), buffer()]);
    Frame::new(layout.expect("fits"), memory, DeviceId::default()).expect("a frame")
}

#[test]
fn a_frame_arrives_over_every_kind_of_unix_socket() {
    let _alone = alone();
    let before = open_descriptors();
    for kind in [SocketType::SEQPACKET, SocketType::DGRAM, SocketType::STREAM] {
        for frame in [host_frame(), frame_of_two_buffers()] {
            let (here, there) = pair(kind);
            send_frame(&here, &frame, SOON).expect("sent");
            send_frame(&here, &frame, SOON).expect("sent");
            for _ in 0..2 {
                let received = receive_frame(&there, SOON).expect("received");
                assert!(received.same_memory(&frame), "{kind:?}");
                assert_eq!(received.layout(), frame.layout());
            }
        }
    }
    let frame = host_frame();
    let (here, there) = UnixStream::pair().expect("sockets");
    send_frame(&here, &frame, SOON).expect("sent");
    let received = receive_frame(&there, SOON).expect("received");
    let Memory::HostMemory(theirs) = received.memory() else {
        panic!("host memory was sent: {received:?}");
    };
    let Memory::HostMemory(ours) = frame.memory() else {
        panic!("host memory was made: {frame:?}");
    };
    let mut writing = Mapping::new(ours).expect("mapped");
    writing.copy_in(256, b"the same memory").expect("within");
    let mut bytes = [0; 15];
    let reading = Mapping::new(theirs).expect("mapped");
    reading.copy_out(256, &mut bytes).expect("within");
    assert_eq!(&bytes, b"the same memory");
    drop((received, frame, here, there, writing, reading));
    assert_eq!(open_descriptors(), before);
}

#[test]
fn colours_arrive_as_they_were_sent() {
    let _alone = alone();
    let wide = ColorDescription {
        primaries: Primaries::Bt2020,
        transfer: Transfer::Pq,
        orientation: Orientation::Flipped180,
        ..ColorDescription::SRGB
    };
    let old = ColorDescription {
        matrix: Matrix::Bt601,
        range: Range::Full,
        ..ColorDescription::VIDEO
    };
    for (frame, color) in [(host_frame(), wide), (frame_of_two_buffers(), old)] {
        assert_ne!(frame.layout().color(), color, "not the default");
        let frame = frame.with_color(color).expect("right for the format");
        let (here, there) = pair(SocketType::SEQPACKET);
        send_frame(&here, &frame, SOON).expect("sent");
        let received = receive_frame(&there, SOON).expect("received");
        assert_eq!(received.layout().color(), color);
        assert!(received.same_memory(&frame));
    }
}

#[test]
fn colours_that_contradict_the_format_are_refused() {
    let _alone = alone();
    let memfd = Memfd::create("frame", 64 * 1024).expect("a memfd");
    let before = open_descriptors();
    let good = bytes(message());
    // A matrix for red, green and blue; primaries that nobody has; alpha that XRGB8888 has not; bytes without a meaning.
    let cases = [
        (34, 1, "color"),
        (32, 99, "color.primaries"),
        (37, 3, "color"),
        (60, 1, "color.reserved"),
    ];
    for (at, value, field) in cases {
        let mut bytes = good.clone();
        bytes[at] = value;
        let error = receive(&bytes, &[memfd.as_fd()]);
        let Error::Malformed(malformed) = &error else {
            panic!("{error}");
        };
        assert_eq!(malformed.field, field, "{error}");
        assert_eq!(open_descriptors(), before);
    }
}

#[test]
fn waits_end() {
    let _alone = alone();
    let (here, there) = pair(SocketType::SEQPACKET);
    let error = receive_frame(&there, Duration::from_millis(20)).expect_err("nothing comes");
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    let frame = host_frame();
    let full = loop {
        if let Err(error) = send_frame(&here, &frame, Duration::from_millis(20)) {
            break error;
        }
    };
    assert!(matches!(full, Error::Timeout { .. }), "{full}");
    drop(there);
    let error = send_frame(&here, &frame, SOON).expect_err("nobody there");
    assert!(matches!(error, Error::PeerGone), "{error}");
    let (here, there) = pair(SocketType::SEQPACKET);
    drop(here);
    let error = receive_frame(&there, SOON).expect_err("nobody there");
    assert!(matches!(error, Error::PeerGone), "{error}");
}

/// A message for a frame of 64x48 in host memory.
fn message() -> FrameMessage {
    let plane = Plane {
        object: 0,
        offset: 0,
        pitch: 256,
    };
    FrameMessage {
        extent: Extent::new(64, 48),
        format: Format::XRGB8888,
        color: ColorDescription::SRGB,
        path: MemoryPath::HostMemory,
        device: DeviceId::default(),
        slot: SlotLayout {
            tiling: Tiling::Explicit(Modifier::LINEAR),
            objects: 1,
            planes: vec![plane],
            allocation_bytes: 0,
        },
    }
}

fn bytes(message: FrameMessage) -> Vec<u8> {
    Message::Frame(Box::new(message))
        .encode()
        .expect("a message")
}

/// Sends whatever it is told to, and receives.
fn receive(bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Error {
    let (here, there) = pair(SocketType::SEQPACKET);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(fds)));
    }
    let parts = [IoSlice::new(bytes)];
    rustix::net::sendmsg(&here, &parts, &mut control, SendFlags::empty()).expect("sent");
    receive_frame(&there, SOON).expect_err("a frame that is none")
}

#[test]
fn what_is_no_frame_is_refused_and_closed() {
    let _alone = alone();
    let memfd = Memfd::create("frame", 64 * 1024).expect("a memfd");
    let small = Memfd::create("frame", 4096).expect("a memfd");
    let flags = rustix::fs::MemfdFlags::ALLOW_SEALING | rustix::fs::MemfdFlags::CLOEXEC;
    let unsealed = rustix::fs::memfd_create("frame", flags).expect("a memfd");
    rustix::fs::ftruncate(&unsealed, 64 * 1024).expect("a size");
    let (pipe, _end) = rustix::pipe::pipe().expect("a pipe");
    let before = open_descriptors();
    let good = bytes(message());
    let cases: [(&str, Vec<BorrowedFd<'_>>, &[u8], &str); 9] = [
        ("short", vec![small.as_fd()], &good, "plane"),
        ("unsealed", vec![unsealed.as_fd()], &good, "shrink"),
        ("a pipe", vec![pipe.as_fd()], &good, "pipe:"),
        ("none", vec![], &good, "descriptors"),
        ("too many", vec![memfd.as_fd(); 2], &good, "descriptors"),
        ("far too many", vec![memfd.as_fd(); 253], &good, "cut off"),
        ("cut", vec![memfd.as_fd()], &good[..100], "length"),
        ("long", vec![memfd.as_fd()], &[0; 4000], "length"),
        ("noise", vec![memfd.as_fd()], &[7; 248], "header.reserved"),
    ];
    for (case, fds, bytes, reason) in cases {
        let error = receive(bytes, &fds).to_string();
        assert!(error.contains(reason), "{case}: {error}");
        // What is no memory is closed by a thread.
        let begun = Instant::now();
        while open_descriptors() != before {
            assert!(begun.elapsed() < SOON, "{case}: something is left open");
        }
    }
    let other = Message::Ready(1).encode().expect("a message");
    let error = receive(&other, &[]);
    assert!(matches!(error, Error::Unexpected { .. }), "{error}");
    assert_eq!(open_descriptors(), before);
}

#[test]
fn the_same_buffer_twice_is_refused() {
    let _alone = alone();
    let memfd = Memfd::create("plane", 4096).expect("a memfd");
    let before = open_descriptors();
    let plane = |object| Plane {
        object,
        offset: 0,
        pitch: 64,
    };
    let mut message = message();
    message.extent = Extent::new(64, 32);
    message.format = Format::NV12;
    message.color = ColorDescription::VIDEO;
    message.path = MemoryPath::DmaBuf;
    message.slot.objects = 2;
    message.slot.planes = vec![plane(0), plane(1)];
    let error = receive(&bytes(message), &[memfd.as_fd(); 2]).to_string();
    assert!(error.contains("the same kernel buffer twice"), "{error}");
    assert_eq!(open_descriptors(), before);
}

#[test]
fn half_a_frame_on_a_stream_is_waited_for_up_to_the_deadline() {
    let _alone = alone();
    let (mut here, there) = UnixStream::pair().expect("sockets");
    here.write_all(&bytes(message())[..100]).expect("sent");
    let error = receive_frame(&there, Duration::from_millis(20)).expect_err("half a frame");
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
}

#[test]
fn a_process_without_descriptors_left_hears_so() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let _alone = alone();
    let (here, there) = pair(SocketType::SEQPACKET);
    let frame = frame_of_two_buffers();
    send_frame(&here, &frame, SOON).expect("sent");
    let before = open_descriptors();
    let limit = getrlimit(Resource::Nofile);
    // Room for one of the two: the lowest free numbers are what counts.
    let next = rustix::io::fcntl_dupfd_cloexec(&here, 0).expect("a descriptor");
    let lowest = std::os::fd::AsRawFd::as_raw_fd(&next).unsigned_abs();
    drop(next);
    let tight = Rlimit {
        current: Some(u64::from(lowest) + 1),
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, tight).expect("a lower limit");
    let error = receive_frame(&there, SOON);
    setrlimit(Resource::Nofile, limit).expect("the limit as it was");
    let error = error.expect_err("no room").to_string();
    assert!(error.contains("RLIMIT_NOFILE"), "{error}");
    assert_eq!(open_descriptors(), before);
}

#[test]
fn a_stream_that_gives_descriptors_with_every_byte_is_refused() {
    let _alone = alone();
    let memfd = Memfd::create("frame", 64 * 1024).expect("a memfd");
    let (here, there) = pair(SocketType::STREAM);
    let before = open_descriptors();
    for byte in bytes(message()) {
        let fds = [memfd.as_fd(); 60];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(60))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
        let parts = [byte];
        let parts = [IoSlice::new(&parts)];
        let flags = SendFlags::DONTWAIT;
        if rustix::net::sendmsg(&here, &parts, &mut control, flags).is_err() {
            break;
        }
    }
    let error = receive_frame(&there, SOON)
        .expect_err("too many")
        .to_string();
    assert!(error.contains("at most 4"), "{error}");
    assert_eq!(open_descriptors(), before);
}
