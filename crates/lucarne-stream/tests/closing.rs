//! Descriptors that take for ever to close: a file whose server never answers, a connection that lingers. Whoever is sent one
//! does not wait.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use lucarne_stream::wire::Message;
use lucarne_stream::{
    Delivery, FrameTicket, ProducerEvent, ProducerOptions, TicketAccess, decode_frame,
    encode_frame, fetch_frame, open_frame,
};
use rustix::fs::{AtFlags, StatxFlags};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
#[allow(dead_code, reason = "each test program uses a part of it")]
#[path = "common/raw.rs"]
mod raw;
use common::*;
use raw::Raw;

/// How long the server leaves the one unanswered who closes its file. It answers at last, so that a failure is not a hang.
const SILENCE: Duration = Duration::from_secs(20);
/// Whether the file is being closed somewhere.
static FLUSHED: AtomicBool = AtomicBool::new(false);

// What the kernel asks (linux/fuse.h).
const LOOKUP: u32 = 1;
const OPEN: u32 = 14;
const FLUSH: u32 = 25;
const INIT: u32 = 26;
/// Of a request and of an answer.
const HEADERS: (usize, usize) = (40, 16);

/// A file of a file system in user space; the mount is gone again. `None`, with the reason, where this machine has none.
fn hung_file(folder: &Path, answer: Receiver<()>) -> Result<File, String> {
    let device = OpenOptions::new().read(true).write(true).open("/dev/fuse");
    let device = device.map_err(|error| format!("opening /dev/fuse: {error}"))?;
    let options = format!(
        "fd={},rootmode=40000,user_id={},group_id={}",
        device.as_raw_fd(),
        rustix::process::getuid().as_raw(),
        rustix::process::getgid().as_raw()
    );
    let options = std::ffi::CString::new(options).expect("no zero");
    mount("hung", folder, "fuse", MountFlags::empty(), &*options)
        .map_err(|errno| format!("mounting: {errno}"))?;
    std::thread::spawn(move || serve(&device, &answer));
    let file = File::open(folder.join("file"));
    unmount(folder, UnmountFlags::DETACH).expect("it was mounted");
    file.map_err(|error| format!("opening the file: {error}"))
}

/// Answers until the file system is gone, or when it is told to answer no more.
fn serve(mut device: &File, answer: &Receiver<()>) {
    let mut request = vec![0; 1 << 16];
    while let Ok(length) = device.read(&mut request) {
        assert!(length >= HEADERS.0, "the kernel's requests are whole");
        let number =
            |at: usize| u32::from_le_bytes(request[at..at + 4].try_into().expect("four bytes"));
        let body: Vec<u8> = match number(4) {
            // Version 7.31, no flags, 12 requests in the background, 4096 bytes at once.
            INIT => [
                7_u32,
                31,
                0,
                0,
                9 << 16 | 12,
                4096,
                1,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
            ]
            .map(u32::to_le_bytes)
            .concat(),
            // Node 2, valid for long, an empty file that all may read.
            LOOKUP => {
                let mut words = [0_u32; 32];
                (words[0], words[4], words[6]) = (2, 10_000, 10_000);
                (words[10], words[25], words[26]) = (2, 0o100_444, 1);
                words.map(u32::to_le_bytes).concat()
            }
            OPEN => vec![0; 16],
            FLUSH => {
                FLUSHED.store(true, Ordering::Relaxed);
                let _ = answer.recv_timeout(SILENCE);
                Vec::new()
            }
            // Nobody waits for an answer to these: forgotten nodes, the file's last close.
            _ => continue,
        };
        let total = u32::try_from(HEADERS.1 + body.len()).expect("small");
        let mut reply = total.to_le_bytes().to_vec();
        reply.extend([0; 4]);
        reply.extend(&request[8..16]);
        reply.extend(body);
        let _ = device.write(&reply);
    }
}

/// The same file in place of a frame's memory: in a ticket, and beside a message.
fn refused_by_hand(file: &File) {
    let image = offer(lucarne::Usage::RENDER);
    let agreement = lucarne::negotiate(&image, &image, &lucarne::Request::new(EXTENT));
    let image = device().export(&agreement.expect("host memory"));
    let frame = image.expect("host memory").frame().clone();
    let ticket = FrameTicket::new(&frame).expect("a ticket").to_string();
    // The file as the kernel remembers it: to ask for more would be to wait.
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let known = rustix::fs::statx(file, c"", flags, StatxFlags::INO).expect("a file");
    let device = rustix::fs::makedev(known.stx_dev_major, known.stx_dev_minor);
    let mut parts: Vec<&str> = ticket.split(':').collect();
    let place = format!("{}/{device}/{}", file.as_raw_fd(), known.stx_ino);
    parts[3] = &place;
    let ticket: FrameTicket = parts.join(":").parse().expect("it reads like a ticket");
    let (message, _) = encode_frame(&frame).expect("a message");
    let again = file.try_clone().expect("a descriptor").into();
    let refused = [
        fetch_frame(&ticket),
        open_frame(&ticket, TicketAccess::ReadWrite),
        decode_frame(&message, vec![again]),
    ];
    for error in refused.map(|got| got.expect_err("no memory").to_string()) {
        assert!(error.contains("file"), "{error}");
    }
}

#[test]
fn nobody_waits_for_a_file_that_cannot_be_closed() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mount_point = folder.path().join("mount");
    std::fs::create_dir(&mount_point).expect("a folder");
    let (answer, hears) = channel();
    let file = match hung_file(&mount_point, hears) {
        Ok(file) => file,
        Err(reason) => {
            eprintln!("skipped: fuse: {reason}");
            return;
        }
    };
    let before = open_descriptors();
    let mut producer = producer(folder.path(), ProducerOptions::new(EXTENT));
    let mut honest = consumer(folder.path(), Delivery::Latest);
    join(&mut producer, &mut honest);
    let begun = Instant::now();
    let liar = Raw::connect(folder.path());
    let greeting = Message::Wake.encode().expect("a message");
    assert!(liar.send(&greeting, &[file.as_fd()]));
    let farewell = liar.farewell(|| producer.dispatch().expect("served"));
    let text = farewell.expect("a reason").text;
    assert!(
        text.contains("descriptor is") && text.contains("file"),
        "{text}"
    );
    until("it is being closed", || FLUSHED.load(Ordering::Relaxed));
    refused_by_hand(&file);
    // Meanwhile frames go their way.
    for number in 1..=10 {
        assert_eq!(send(&mut producer, number), 1);
        assert_eq!(finish(honest.receive(SOON).expect("a frame")), number);
    }
    assert!(
        begun.elapsed() < SILENCE / 2,
        "somebody waited: {:?}",
        begun.elapsed()
    );
    let left = |event| matches!(event, ProducerEvent::Left { .. });
    assert!(
        !std::iter::from_fn(|| producer.event()).any(left),
        "nobody who had joined"
    );
    drop((liar, honest, producer));
    // Our own descriptor of it is flushed as well when it is closed.
    drop(answer);
    until("nothing is left open", || open_descriptors() == before);
    drop(file);
}

/// A TCP connection with more to send than its other end takes; to close it last waits for that, as long as it may linger.
fn lingering() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let ours =
        TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
    let (silent, _) = listener.accept().expect("the connection");
    rustix::net::sockopt::set_socket_linger(&ours, Some(SILENCE)).expect("an option");
    ours.set_nonblocking(true).expect("an option");
    while (&ours).write(&[0; 1 << 16]).is_ok() {}
    (ours, silent)
}

#[test]
fn nobody_waits_for_a_connection_that_lingers() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let before = open_descriptors();
    let mut producer = producer(folder.path(), ProducerOptions::new(EXTENT));
    let mut honest = consumer(folder.path(), Delivery::Latest);
    join(&mut producer, &mut honest);
    let liar = Raw::connect(folder.path());
    let greeting = Message::Wake.encode().expect("a message");
    let mut others = Vec::new();
    // The first is read; the others are closed with the socket that they lie in.
    for _ in 0..3 {
        let (ours, silent) = lingering();
        assert!(liar.send(&greeting, &[ours.as_fd()]));
        others.push(silent);
    }
    let begun = Instant::now();
    let farewell = liar.farewell(|| producer.dispatch().expect("served"));
    assert!(farewell.expect("a reason").text.contains("socket"));
    assert_eq!(send(&mut producer, 1), 1);
    assert_eq!(finish(honest.receive(SOON).expect("a frame")), 1);
    assert!(
        begun.elapsed() < SILENCE / 2,
        "somebody waited: {:?}",
        begun.elapsed()
    );
    drop((liar, honest, producer));
    // Nobody is left to send to.
    drop(others);
    until("nothing is left open", || open_descriptors() == before);
}
