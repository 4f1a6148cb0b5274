//! What is sent, and the reason that comes back: the tables of docs/protocol.md, at both ends.

use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, SealFlags};

#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
#[allow(dead_code, reason = "each test program uses a part of it")]
#[path = "common/raw.rs"]
mod raw;
#[allow(dead_code, reason = "each test program uses a part of it")]
#[path = "common/scene.rs"]
mod scene;
#[allow(dead_code, reason = "each test program uses a part of it")]
#[path = "common/stage.rs"]
mod stage;
#[path = "reasons/to_a_consumer.rs"]
mod to_a_consumer;
#[path = "reasons/to_a_producer.rs"]
mod to_a_producer;

/// A memfd that is sealed like this.
fn memfd(bytes: u64, seals: SealFlags) -> OwnedFd {
    let flags = MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC;
    let fd = rustix::fs::memfd_create("sent", flags).expect("a memfd");
    rustix::fs::ftruncate(&fd, bytes).expect("a size");
    rustix::fs::fcntl_add_seals(&fd, seals).expect("seals");
    fd
}

fn eventfd(value: u32) -> OwnedFd {
    let flags = rustix::event::EventfdFlags::CLOEXEC;
    rustix::event::eventfd(value, flags).expect("an eventfd")
}
