//! Frames in real dma-bufs taken out of other processes, and what Yama's `ptrace_scope` allows.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use lucarne::{
    DeviceId, Extent, Format, Frame, FrameLayout, Memory,
    kernel::{DmaBufKind, DmaBufMapping, Mapping, Memfd, Udmabuf},
};
use lucarne_stream::{FrameTicket, TicketAccess, allow_fetch_by, fetch_frame, open_frame};
use lucarne_tests::skip::skip;
use lucarne_tests::{TIMEOUT, child, fds, in_guest};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

const TICKET: &str = "LUCARNE_TEST_TICKET";
const PTRACE_SCOPE: &str = "/proc/sys/kernel/yama/ptrace_scope";
const NOBODY: u32 = 65_534;

fn ticket_told() -> FrameTicket {
    let text = std::env::var(TICKET).expect("told by the test");
    text.parse().expect("a ticket")
}

#[test]
fn a_dma_buf_is_fetched_and_cannot_be_opened_by_path() {
    const TEST: &str = "a_dma_buf_is_fetched_and_cannot_be_opened_by_path";
    if child::is(TEST) {
        return reader_of_a_dma_buf();
    }
    let device = match Udmabuf::open() {
        Ok(device) => device,
        Err(error) => return skip("udmabuf", &error.to_string()),
    };
    fds::unchanged(|| {
        let extent = Extent::new(64, 48);
        let (layout, size) = FrameLayout::linear(extent, Format::XRGB8888).expect("linear");
        let memory = Memory::DmaBuf(vec![device.create(size).expect("a dma-buf")]);
        let frame = Frame::new(layout, memory, DeviceId::default()).expect("a frame");
        let Memory::DmaBuf(buffers) = frame.memory() else {
            panic!("a dma-buf was made");
        };
        let mut mapping = DmaBufMapping::new(&buffers[0]).expect("mapped");
        let mut access = mapping.write(TIMEOUT).expect("a turn");
        access.copy_in(0, b"by hand").expect("within");
        access.end().expect("over");
        // Where Yama lets only ancestors trace, its child may not.
        let _ = rustix::process::set_ptracer(rustix::process::PTracer::Any);
        let ticket = FrameTicket::new(&frame).expect("a ticket").to_string();
        let done = child::run(TEST, &[(TICKET, &ticket)]);
        let _ = rustix::process::set_ptracer(rustix::process::PTracer::None);
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{said}");
        let emulated = frame.is_emulated();
        let opened = if emulated {
            "opened: yes"
        } else {
            "opened: ENXIO"
        };
        assert!(said.contains(opened), "{said}");
    });
}

/// Reads what the test wrote, and tells what opening by path answers.
fn reader_of_a_dma_buf() {
    let ticket = ticket_told();
    let frame = fetch_frame(&ticket).expect("fetched");
    let Memory::DmaBuf(buffers) = frame.memory() else {
        panic!("a dma-buf was made");
    };
    let mapping = DmaBufMapping::new(&buffers[0]).expect("mapped");
    let mut bytes = [0; 7];
    let access = mapping.read(TIMEOUT).expect("a turn");
    access.copy_out(0, &mut bytes).expect("within");
    access.end().expect("over");
    assert_eq!(&bytes, b"by hand");
    // What the kernel says when it is asked all the same.
    let path = format!("/proc/{}/fd/{}", ticket.pid(), ticket.descriptors()[0]);
    let kernel = rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    let ours = open_frame(&ticket, TicketAccess::ReadWrite);
    if buffers[0].kind() == DmaBufKind::Emulated {
        assert!(
            kernel.is_ok() && ours.is_ok(),
            "a memfd stands in: {ours:?}"
        );
        eprintln!("opened: yes");
        return;
    }
    assert_eq!(kernel.expect_err("no file"), Errno::NXIO);
    let error = ours.expect_err("no file").to_string();
    assert!(
        error.contains("dmabuf") && error.contains("fetch_frame"),
        "{error}"
    );
    eprintln!("opened: ENXIO");
}

/// With `ptrace_scope` 1 a process that is no ancestor may open by path, and fetch once it is allowed to.
#[test]
fn yama_forbids_fetching_until_the_owner_allows_it() {
    const TEST: &str = "yama_forbids_fetching_until_the_owner_allows_it";
    if child::is(TEST) {
        return if std::env::var_os(TICKET).is_some() {
            fetcher()
        } else {
            owner(TEST)
        };
    }
    // The other test counts descriptors, and this one has pipes.
    let _alone = fds::alone();
    let Ok(before) = std::fs::read_to_string(PTRACE_SCOPE) else {
        return skip("yama", "this kernel has no Yama");
    };
    // Nobody else is in the guest; anywhere else the setting is not ours to change.
    if in_guest() {
        std::fs::write(PTRACE_SCOPE, "1").expect("root may");
    } else if before.trim() != "1" {
        return skip("yama", &format!("{PTRACE_SCOPE} is {} here", before.trim()));
    }
    let done = owner_as_an_ordinary_user(TEST);
    if in_guest() {
        std::fs::write(PTRACE_SCOPE, before).expect("as it was");
    }
    let done = match done {
        Ok(done) => done,
        Err(error) => {
            return skip(
                "privilege",
                &format!("starting it as another user: {error}"),
            );
        }
    };
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    assert!(said.contains("allowed: fetched"), "{said}");
}

/// Root may trace anybody.
fn owner_as_an_ordinary_user(test: &str) -> std::io::Result<std::process::Output> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args([test, "--exact", "--nocapture"])
        .env("LUCARNE_TEST_ROLE", test);
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.output()
}

/// Keeps a frame, and starts a process of its own that is no ancestor of it.
fn owner(test: &str) {
    let extent = Extent::new(64, 48);
    let (layout, size) = FrameLayout::linear(extent, Format::XRGB8888).expect("linear");
    let memory = Memory::HostMemory(Memfd::create("frame", size).expect("a memfd"));
    let frame = Frame::new(layout, memory, DeviceId::default()).expect("a frame");
    let ticket = FrameTicket::new(&frame).expect("a ticket").to_string();
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args([test, "--exact", "--nocapture"])
        .env(TICKET, ticket)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program, once more");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut says = |word: &str| {
        let mut lines = lines.by_ref().map(|line| line.expect("text"));
        lines.find(|line| line.contains(word)).expect(word)
    };
    let refused = says("fetched: ");
    for words in [
        "ptrace_scope is 1",
        "allow_fetch_by",
        "Operation not permitted",
    ] {
        assert!(refused.contains(words), "{words}: {refused}");
    }
    assert!(says("opened: ").contains("a frame"));
    allow_fetch_by(child.id()).expect("it is there");
    let mut orders = child.stdin.take().expect("piped");
    writeln!(orders, "once more").expect("it reads");
    let fetched = says("fetched: ");
    assert!(fetched.contains("a frame"), "{fetched}");
    assert!(child.wait().expect("it ends").success());
    eprintln!("allowed: fetched");
}

fn fetcher() {
    let ticket = ticket_told();
    let told = |got: lucarne_stream::Result<Frame>| match got {
        Ok(frame) => {
            let Memory::HostMemory(memfd) = frame.memory() else {
                panic!("host memory was made");
            };
            Mapping::new(memfd).expect("mapped");
            "a frame".to_owned()
        }
        Err(error) => error.to_string(),
    };
    let say = |line: String| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}").expect("standard output");
    };
    say(format!("fetched: {}", told(fetch_frame(&ticket))));
    say(format!(
        "opened: {}",
        told(open_frame(&ticket, TicketAccess::ReadWrite))
    ));
    let mut line = String::new();
    std::io::stdin()
        .read_line(&mut line)
        .expect("the owner's word");
    say(format!("fetched: {}", told(fetch_frame(&ticket))));
}
