//! Frames fetched out of other processes by number and by path, from honest owners and others.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use lucarne::color::{ColorDescription, Orientation};
use lucarne::{
    DeviceId, Extent, Fence, Format, Frame, FrameLayout, Memory, Modifier, OpaqueFd, Plane, Tiling,
    cpu,
    kernel::{DmaBuf, Mapping, Memfd},
};
use lucarne_stream::{Error, FrameTicket, TicketAccess, allow_fetch_by, fetch_frame, open_frame};
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
use common::{alone, open_descriptors, until};

const SOON: Duration = Duration::from_secs(30);
const ROLE: &str = "LUCARNE_STREAM_TEST_ROLE";
/// The test that turns into another process where it is told a role.
const HOST: &str = "a_frame_is_fetched_while_its_owner_sleeps";

/// A frame of 64x48 whose colours and device are not the default.
fn host_frame() -> Frame {
    let (layout, size) =
        FrameLayout::linear(Extent::new(64, 48), Format::XRGB8888).expect("linear");
    let color = ColorDescription {
        orientation: Orientation::Flipped180,
        ..layout.color()
    };
    let layout = layout.with_color(color).expect("right for the format");
    let memory = Memory::HostMemory(Memfd::create("frame", size).expect("a memfd"));
    let device = DeviceId {
        driver_uuid: Some([7; 16]),
        software: true,
        ..DeviceId::default()
    };
    Frame::new(layout, memory, device).expect("a frame")
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
    let planes = [plane(0), plane(1)];
    let tiling = Tiling::Explicit(Modifier::LINEAR);
    let (extent, sizes) = (Extent::new(64, 32), [4096; 2]);
    let layout = FrameLayout::new(extent, Format::NV12, tiling, &planes, &sizes).expect("fits");
    let memory = Memory::DmaBuf(vec![buffer(), buffer()]);
    Frame::new(layout, memory, DeviceId::default()).expect("a frame")
}

fn opaque_frame() -> Frame {
    let layout = FrameLayout::opaque(Extent::new(64, 32), Format::XRGB8888).expect("opaque");
    let memfd = Memfd::create("opaque", 4096).expect("a memfd");
    let fd = memfd.as_fd().try_clone_to_owned().expect("a descriptor");
    let memory = Memory::OpaqueFd(OpaqueFd::new(fd, 4096).expect("as software drivers make it"));
    Frame::new(layout, memory, DeviceId::default()).expect("a frame")
}

fn memfd(frame: &Frame) -> &Memfd {
    match frame.memory() {
        Memory::HostMemory(memfd) => memfd,
        other => panic!("no host memory: {other:?}"),
    }
}

/// Another process: this program once more, which keeps a frame and does what it is told.
struct Owner {
    child: Child,
    orders: Option<ChildStdin>,
    lines: BufReader<ChildStdout>,
}

impl Owner {
    fn new() -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program's path"))
            .args([HOST, "--exact", "--nocapture"])
            .env(ROLE, "owner")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("this program, once more");
        let orders = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        Self {
            child,
            orders,
            lines,
        }
    }

    /// Sends a line, and gives the one that answers it.
    fn ask(&mut self, order: &str) -> String {
        let orders = self.orders.as_mut().expect("its input");
        writeln!(orders, "{order}").expect("it reads");
        let mut line = String::new();
        loop {
            line.clear();
            let read = self.lines.read_line(&mut line).expect("its output");
            assert!(read > 0, "it ended before it answered {order:?}");
            // The test harness may have begun the line.
            if let Some((_, answer)) = line.split_once("answer: ") {
                return answer.trim().to_owned();
            }
        }
    }

    fn ticket(&mut self, order: &str) -> FrameTicket {
        let ticket: FrameTicket = self.ask(order).parse().expect("a ticket");
        assert_eq!(ticket.pid(), self.child.id());
        ticket
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the owner does: one answer for each line.
fn play() {
    // Where Yama lets only ancestors trace: the test is one, and its threads are.
    allow_fetch_by(std::os::unix::process::parent_id()).expect("the test");
    let mut kept: Option<Frame> = None;
    let mut others = Vec::new();
    for order in std::io::stdin().lines() {
        let frame = match order.expect("a line").as_str() {
            "host" => host_frame(),
            "two" => frame_of_two_buffers(),
            "opaque" => opaque_frame(),
            "read" => {
                let mut bytes = [0; 4];
                let mapping = Mapping::new(memfd(kept.as_ref().expect("a frame"))).expect("mapped");
                mapping.copy_out(256, &mut bytes).expect("within");
                answer(&format!("{bytes:?}"));
                continue;
            }
            // Its descriptor's number becomes another memfd's.
            "replace" => {
                let number = memfd(kept.as_ref().expect("a frame")).as_fd().as_raw_fd();
                kept = None;
                while others
                    .last()
                    .is_none_or(|other: &Memfd| other.as_fd().as_raw_fd() != number)
                {
                    others.push(Memfd::create("another", 64 * 1024).expect("a memfd"));
                }
                answer("replaced");
                continue;
            }
            "drop" => {
                kept = None;
                answer("dropped");
                continue;
            }
            other => panic!("no such order: {other}"),
        };
        answer(&FrameTicket::new(&frame).expect("a ticket").to_string());
        kept = Some(frame);
    }
}

fn answer(text: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "answer: {text}").expect("standard output");
    out.flush().expect("standard output");
}

fn closes_on_exec(frame: &Frame) -> bool {
    let flags = rustix::io::fcntl_getfd(memfd(frame)).expect("open");
    flags.contains(rustix::io::FdFlags::CLOEXEC)
}

#[test]
fn a_frame_is_fetched_while_its_owner_sleeps() {
    if std::env::var_os(ROLE).is_some() {
        return play();
    }
    let _alone = alone();
    let mut owner = Owner::new();
    let before = open_descriptors();
    for order in ["host", "two", "opaque"] {
        let ticket = owner.ticket(order);
        let frame = fetch_frame(&ticket).expect("fetched");
        assert_eq!(frame.memory().path(), ticket.frame().path);
        assert_eq!(
            ticket.descriptors().len(),
            if order == "two" { 2 } else { 1 }
        );
        drop(frame);
        assert_eq!(open_descriptors(), before, "{order}");
    }
    let ticket = owner.ticket("host");
    let ours = host_frame();
    for how in ["fetched", "opened"] {
        let frame = match how {
            "fetched" => fetch_frame(&ticket).expect("fetched"),
            _ => open_frame(&ticket, TicketAccess::ReadWrite).expect("opened"),
        };
        // As its owner made it, colours and device too.
        assert_eq!(frame.layout(), ours.layout());
        assert_eq!(frame.device(), ours.device());
        assert!(closes_on_exec(&frame), "{how}");
        let word = if how == "fetched" { *b"here" } else { *b"path" };
        let mut mapping = Mapping::new(memfd(&frame)).expect("mapped");
        mapping.copy_in(256, &word).expect("within");
        assert_eq!(owner.ask("read"), format!("{word:?}"), "{how}");
    }
    drop(ours);
    assert_eq!(open_descriptors(), before);
}

#[test]
fn a_frame_opened_for_reading_cannot_be_written() {
    let _alone = alone();
    let mut owner = Owner::new();
    let ticket = owner.ticket("host");
    let frame = open_frame(&ticket, TicketAccess::Read).expect("opened");
    let error = Mapping::new(memfd(&frame))
        .expect_err("for reading only")
        .to_string();
    assert!(error.contains("mmap of a memfd"), "{error}");
    // The CPU takes what it gets.
    let device = cpu::Adapter::new(cpu::Allocator::HostMemory)
        .open()
        .expect("host memory");
    let image = device.import(&frame).expect("mapped for reading");
    let mut row = vec![1; image.row_bytes(0)];
    let read = image.read(&Fence::Signaled, SOON, |rows| rows.read_row(0, 0, &mut row));
    let _done = read.expect("read");
    assert!(row.iter().all(|byte| *byte == 0), "new memory");
    let written = image.write(&Fence::Signaled, SOON, |rows| rows.write_row(0, 0, &row));
    let error = written.expect_err("for reading only").to_string();
    assert!(error.contains("read-only"), "{error}");
    // Its owner goes on writing.
    let again = open_frame(&ticket, TicketAccess::ReadWrite).expect("opened");
    Mapping::new(memfd(&again)).expect("for writing");
}

/// One writer, any number of readers: what `F_SEAL_FUTURE_WRITE` is for.
#[test]
fn memory_that_only_its_owner_writes_is_read_by_the_cpu() {
    let _alone = alone();
    let fd = unsealed();
    let seals = SealFlags::SHRINK | SealFlags::FUTURE_WRITE;
    rustix::fs::fcntl_add_seals(&fd, seals).expect("seals");
    let (layout, _) = FrameLayout::linear(Extent::new(64, 48), Format::XRGB8888).expect("linear");
    let memory = Memory::HostMemory(Memfd::new(fd).expect("it cannot shrink"));
    let frame = Frame::new(layout, memory, DeviceId::default()).expect("a frame");
    let device = cpu::Adapter::new(cpu::Allocator::HostMemory);
    let device = device.open().expect("host memory");
    let ticket = FrameTicket::new(&frame).expect("a ticket");
    // Opened for writing, and still it cannot be mapped so.
    let frames = [
        fetch_frame(&ticket),
        open_frame(&ticket, TicketAccess::ReadWrite),
    ];
    for frame in frames.map(|frame| frame.expect("it is here")) {
        let image = device.import(&frame).expect("mapped for reading");
        let mut row = vec![1; image.row_bytes(0)];
        let read = image.read(&Fence::Signaled, SOON, |rows| rows.read_row(0, 0, &mut row));
        let _done = read.expect("read");
        let written = image.write(&Fence::Signaled, SOON, |rows| rows.write_row(0, 0, &row));
        let error = written.expect_err("sealed").to_string();
        assert!(error.contains("read-only"), "{error}");
    }
}

#[test]
fn owners_that_end_close_and_use_numbers_again_are_told_apart() {
    let _alone = alone();
    let before = open_descriptors();
    let both = |ticket: &FrameTicket| {
        [fetch_frame(ticket), open_frame(ticket, TicketAccess::Read)]
            .map(|got| got.expect_err("gone"))
    };
    let mut owner = Owner::new();
    let ticket = owner.ticket("host");
    assert_eq!(owner.ask("drop"), "dropped");
    for error in both(&ticket) {
        assert!(error.to_string().contains("must keep the frame"), "{error}");
    }
    let ticket = owner.ticket("host");
    assert_eq!(owner.ask("replace"), "replaced");
    for error in both(&ticket) {
        assert!(matches!(error, Error::Stale { .. }), "{error}");
        assert!(error.to_string().contains("another"), "{error}");
    }
    // The same number of a process that started at another time.
    let ticket = owner.ticket("host");
    let text = ticket.to_string();
    let started = text.split(':').nth(2).expect("its third part");
    let other = text.replace(&format!(":{started}:"), &format!(":{started}0:"));
    for error in both(&other.parse().expect("a ticket")) {
        assert!(matches!(error, Error::Stale { .. }), "{error}");
        assert!(error.to_string().contains("another one now"), "{error}");
    }
    // Dead, and nobody has asked for its exit status yet; then gone.
    owner.child.kill().expect("ended");
    let flags = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
    let pid = i32::try_from(owner.child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    let pid = rustix::process::WaitId::Pid(pid.expect("a number"));
    rustix::process::waitid(pid, flags).expect("it ends");
    for error in both(&ticket) {
        assert!(error.to_string().contains("has ended"), "{error}");
    }
    drop(owner);
    for error in both(&ticket) {
        assert!(error.to_string().contains("has ended"), "{error}");
    }
    assert_eq!(open_descriptors(), before);
}

/// The text of a ticket that calls this process's `fd` a frame of 64x48 in host memory.
fn forged(fd: impl AsFd) -> String {
    let text = FrameTicket::new(&host_frame())
        .expect("a ticket")
        .to_string();
    let mut parts: Vec<&str> = text.split(':').collect();
    let flags = rustix::fs::AtFlags::EMPTY_PATH;
    let stat = rustix::fs::statat(fd.as_fd(), c"", flags).expect("a descriptor");
    let place = format!("{}/{}/{}", fd.as_fd().as_raw_fd(), stat.st_dev, stat.st_ino);
    parts[3] = &place;
    parts.join(":")
}

fn unsealed() -> OwnedFd {
    let flags = MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC;
    let fd = rustix::fs::memfd_create("unsealed", flags).expect("a memfd");
    rustix::fs::ftruncate(&fd, 64 * 1024).expect("a size");
    fd
}

#[test]
fn what_is_no_frame_is_refused_and_closed() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let fifo = folder.path().join("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        Mode::RWXU,
        0,
    )
    .expect("a FIFO");
    // Opening one of its ends for writing would wait for ever.
    let fifo = rustix::fs::open(&fifo, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty());
    let fifo = fifo.expect("a FIFO");
    let small = Memfd::create("small", 4096).expect("a memfd");
    let growing = unsealed();
    rustix::fs::fcntl_add_seals(&growing, SealFlags::GROW).expect("a seal");
    // On a tmpfs it has seals like a memfd, but not the one that counts.
    let file = tempfile::tempfile_in(folder.path()).expect("a file");
    let root = File::open("/").expect("a folder");
    let null = File::open("/dev/null").expect("a device");
    let cases: [(&str, BorrowedFd<'_>, &str, &str); 6] = [
        ("a FIFO", fifo.as_fd(), "fifo", "a memfd: a dma-buf"),
        ("short", small.as_fd(), "plane", "plane"),
        ("unsealed", growing.as_fd(), "shrink", "shrink"),
        ("a file", file.as_fd(), "must be", "a memfd: a dma-buf"),
        (
            "a folder",
            root.as_fd(),
            "a memfd, a dma-buf",
            "a memfd: a dma-buf",
        ),
        ("a device", null.as_fd(), "a memfd", "a memfd: a dma-buf"),
    ];
    let before = open_descriptors();
    for (case, fd, fetched, opened) in cases {
        let ticket: FrameTicket = forged(fd).parse().expect("it reads like a ticket");
        let error = fetch_frame(&ticket).expect_err(case).to_string();
        assert!(error.contains(fetched), "{case}: {error}");
        let error = open_frame(&ticket, TicketAccess::ReadWrite)
            .expect_err(case)
            .to_string();
        assert!(error.contains(opened), "{case}: {error}");
        // What is no memory is closed by a thread.
        until("all of it is closed", || open_descriptors() == before);
    }
}

#[test]
fn another_user_hears_what_would_work() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: privilege: only root can become another user");
        return;
    }
    let _alone = alone();
    let mut owner = Owner::new();
    let ticket = owner.ticket("host");
    let errors = std::thread::scope(|scope| {
        let nobody = scope.spawn(|| {
            let uid = rustix::process::Uid::from_raw(65_534);
            rustix::thread::set_thread_res_uid(uid, uid, uid).expect("root may");
            [
                fetch_frame(&ticket),
                open_frame(&ticket, TicketAccess::Read),
            ]
            .map(|got| got.expect_err("root's").to_string())
        });
        nobody.join().expect("it ends")
    });
    for (error, call) in errors.iter().zip(["pidfd_getfd", "/proc/"]) {
        for words in [call, "user 0", "user 65534", "send_frame"] {
            assert!(error.contains(words), "{words}: {error}");
        }
    }
}

#[test]
fn a_process_without_descriptors_left_hears_so() {
    let _alone = alone();
    let mut owner = Owner::new();
    let ticket = owner.ticket("two");
    let before = open_descriptors();
    let limit = getrlimit(Resource::Nofile);
    let next = rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 0).expect("a descriptor");
    let lowest = u64::from(next.as_raw_fd().unsigned_abs());
    drop(next);
    let mut refused = 0;
    // From none at all to all but the last of what either call needs.
    for room in 0..4 {
        let tight = Rlimit {
            current: Some(lowest + room),
            maximum: limit.maximum,
        };
        setrlimit(Resource::Nofile, tight).expect("a lower limit");
        let results = [
            fetch_frame(&ticket),
            open_frame(&ticket, TicketAccess::Read),
        ];
        setrlimit(Resource::Nofile, limit).expect("the limit as it was");
        for error in results.into_iter().filter_map(Result::err) {
            let error = error.to_string();
            assert!(error.contains("Too many open files"), "{room}: {error}");
            refused += 1;
        }
        assert_eq!(open_descriptors(), before, "{room}");
    }
    assert!(refused >= 5, "only {refused} of 8 were refused");
    fetch_frame(&ticket).expect("with room");
}
