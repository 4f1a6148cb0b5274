//! `lucarne decode --fd`: what descriptors of living processes are.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use lucarne::kernel::{DmaBuf, FenceRole, Memfd, Udmabuf};
use rustix::fs::MemfdFlags;

#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
use common::*;
use lucarne_tests::display::Running;
use lucarne_tests::skip::skip;

/// What is said of a descriptor of this process.
fn told(descriptor: impl AsFd) -> serde_json::Value {
    told_of(std::process::id(), descriptor.as_fd().as_raw_fd())
}

fn told_of(pid: u32, number: i32) -> serde_json::Value {
    json(&["decode", "--json", "--fd", &format!("{pid}:{number}")])
}

/// Another process, which has this as its standard input.
fn holder(descriptor: impl AsFd) -> Running {
    let copy = descriptor.as_fd().try_clone_to_owned().expect("a copy");
    let child = Command::new("sleep").arg("600").stdin(copy).spawn();
    Running(child.expect("sleep runs"))
}

/// The processes that hold it, as the command sees them.
fn holders(told: &serde_json::Value) -> Vec<u64> {
    let holders = told["holders"].as_array().expect("a list");
    let pids = holders.iter().map(|holder| holder["pid"].as_u64());
    pids.map(|pid| pid.expect("a number")).collect()
}

#[test]
fn a_memfd_has_a_size_seals_and_holders() {
    let memory = Memfd::create("picture", 8192).expect("memory");
    let told = told(&memory);
    assert_eq!(told["kind"], "memfd", "{told}");
    assert_eq!(told["size"], 8192, "{told}");
    let seals = ["F_SEAL_SEAL", "F_SEAL_SHRINK", "F_SEAL_GROW"];
    assert_eq!(told["seals"], serde_json::json!(seals), "{told}");
    assert_eq!(holders(&told), [u64::from(std::process::id())]);
    // The same for people.
    let (pid, number) = (std::process::id(), memory.as_fd().as_raw_fd());
    let said = answer(&["decode", "--fd", &format!("{pid}:{number}")]);
    for part in [
        "is a memfd",
        "8192 bytes",
        "F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW",
        &format!("process {pid} ("),
    ] {
        assert!(said.contains(part), "{part:?} in {said}");
    }
}

#[test]
fn a_memfd_that_anybody_may_shrink_is_told_so() {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = rustix::fs::memfd_create("loose", flags).expect("memory");
    let place = format!("{}:{}", std::process::id(), memory.as_raw_fd());
    let said = answer(&["decode", "--fd", &place]);
    assert!(said.contains("whoever holds it may shrink it"), "{said}");
}

#[test]
fn a_descriptor_of_another_process_is_looked_at_there() {
    let memory = Memfd::create("picture", 4096).expect("memory");
    let other = holder(&memory);
    let told = told_of(other.0.id(), 0);
    assert_eq!(
        (&told["kind"], &told["size"]),
        (&"memfd".into(), &4096.into())
    );
    assert_eq!(told["process"], "sleep", "{told}");
    let mut pids = [std::process::id(), other.0.id()].map(u64::from);
    pids.sort_unstable();
    assert_eq!(holders(&told), pids, "{told}");
    drop(memory);
    assert_eq!(
        holders(&told_of(other.0.id(), 0)),
        [u64::from(other.0.id())]
    );
}

/// A dma-buf of the kernel's, or an emulated one.
fn dma_buf() -> Option<DmaBuf> {
    match Udmabuf::open().and_then(|device| device.create(8192)) {
        Ok(buffer) => Some(buffer),
        Err(error) => {
            skip("udmabuf", &error.to_string());
            None
        }
    }
}

fn is_emulated(buffer: &DmaBuf) -> bool {
    let path = format!("/proc/self/fd/{}", buffer.as_fd().as_raw_fd());
    let name = std::fs::read_link(path).expect("its name");
    !name.to_string_lossy().starts_with("/dmabuf:")
}

#[test]
fn a_dma_buf_has_an_exporter_or_says_that_it_is_emulated() {
    let Some(buffer) = dma_buf() else { return };
    let other = holder(&buffer);
    let told = told(&buffer);
    assert_eq!(told["size"], 8192, "{told}");
    let mut pids = [std::process::id(), other.0.id()].map(u64::from);
    pids.sort_unstable();
    assert_eq!(holders(&told), pids, "{told}");
    if is_emulated(&buffer) {
        assert_eq!(told["kind"], "memfd", "{told}");
        let note = told["notes"][0].as_str().expect("a note");
        assert!(note.contains("lucarne-udmabuf emulates it"), "{told}");
    } else {
        assert_eq!(told["kind"], "dma-buf", "{told}");
        assert_eq!(told["exporter"], "udmabuf", "{told}");
    }
}

#[test]
fn a_sync_file_says_whether_it_has_signalled() {
    let Some(buffer) = dma_buf() else { return };
    if is_emulated(&buffer) {
        skip("udmabuf", "its sync_files are emulated: eventfds");
        return;
    }
    // Nobody uses the buffer: nothing to wait for.
    let fence = buffer.export_sync_file(FenceRole::Acquire);
    let fence = fence.expect("a kernel with the request");
    let told = told(&fence);
    assert_eq!(told["kind"], "sync-file", "{told}");
    // A kernel that lets nobody trace says so instead.
    let fence = told["fence"].as_str().unwrap_or_default();
    let note = told["notes"].to_string();
    assert!(
        fence.contains("has signalled; made by") || note.contains("ptrace_scope"),
        "{told}"
    );
}

#[test]
fn an_eventfd_a_pipe_and_a_file_are_no_memory() {
    let (reader, _writer) = std::io::pipe().expect("a pipe");
    let file = tempfile::tempfile().expect("a file");
    let folder = std::fs::File::open("/proc/self").expect("a folder");
    let event = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC);
    let event: OwnedFd = event.expect("an eventfd");
    for (descriptor, kind) in [
        (reader.as_fd(), "other"),
        (file.as_fd(), "other"),
        (folder.as_fd(), "other"),
        (event.as_fd(), "eventfd"),
    ] {
        let told = told(descriptor);
        assert_eq!(told["kind"], kind, "{told}");
        for nothing in ["size", "seals", "fence", "exporter"] {
            assert!(told[nothing].is_null(), "{nothing}: {told}");
        }
        assert_eq!(told["holders"], serde_json::json!([]), "{told}");
    }
    let place = format!("{}:{}", std::process::id(), reader.as_raw_fd());
    let said = answer(&["decode", "--fd", &place]);
    assert!(said.contains("is neither memory nor a fence"), "{said}");
    assert!(said.contains("pipe:["), "{said}");
}

#[test]
fn what_is_not_there_is_told_apart() {
    let pid = std::process::id();
    let said = refusal(&["decode", "--fd", &format!("{pid}:999999")]);
    assert!(
        said.contains("no such descriptor") && said.contains(&format!("/proc/{pid}/fd lists")),
        "{said}"
    );
    // Above every kernel's highest process number.
    let said = refusal(&["decode", "--fd", "4194305:0"]);
    assert!(said.contains("there is no process 4194305"), "{said}");
    for wrong in ["17", "4242:x", ""] {
        let output = command(&["decode", "--fd", wrong]).output();
        let output = output.expect("lucarne runs");
        assert_eq!(output.status.code(), Some(2), "{wrong}");
        let said = text(&output.stderr);
        assert!(said.contains("is not PID:FD, as in 4242:17"), "{said}");
    }
}

/// Who looks at a process of somebody else's. `None`, said aloud, where the test cannot be two users.
fn stranger() -> Option<(Command, u32)> {
    if rustix::process::getuid().is_root() {
        // May it reach the program at all?
        let mut lucarne = command(&["--version"]);
        lucarne.uid(65_534).gid(65_534);
        let run = lucarne.stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !run.is_ok_and(|status| status.success()) {
            skip("privilege", "another user cannot start the program here");
            return None;
        }
        let mut lucarne = command(&[]);
        lucarne.uid(65_534).gid(65_534);
        return Some((lucarne, std::process::id()));
    }
    let owner =
        std::fs::metadata("/proc/1").map(|about| std::os::unix::fs::MetadataExt::uid(&about));
    if owner.is_ok_and(|owner| owner != rustix::process::getuid().as_raw()) {
        return Some((command(&[]), 1));
    }
    skip("privilege", "no process of another user is to be seen");
    None
}

#[test]
fn a_process_of_another_user_says_who_may_look() {
    let Some((mut lucarne, pid)) = stranger() else {
        return;
    };
    lucarne.args(["decode", "--fd", &format!("{pid}:0")]);
    let output = lucarne.output().expect("lucarne runs");
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));
    let said = text(&output.stderr);
    let wanted = "it belongs to another user: run this as that user, or as root";
    assert!(said.contains(wanted), "{said}");
}
