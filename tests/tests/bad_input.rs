//! Hostile input to both backends: a named error, never a signal, a hang or a leak, and everything works afterwards.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use lucarne::negotiate::Agreement;
use lucarne::{
    DeviceId, Error, Extent, Fence, Format, Frame, FrameLayout, Memory, MemoryPath, Modifier,
    OpaqueFd, PAGE_BYTES, Plane, Requirement, Tiling,
    kernel::{DmaBuf, SyncFile, Udmabuf},
    vulkan,
};
use lucarne_tests::pair::Pair;
use lucarne_tests::reader::Reader;
use lucarne_tests::skip::skip;
use lucarne_tests::writer::Writer;
use lucarne_tests::{TIMEOUT, fds, pattern};
use rustix::event::EventfdFlags;
use rustix::fs::{MemfdFlags, SealFlags};

#[path = "bad_input/gl.rs"]
mod gl;
#[path = "bad_input/imports.rs"]
mod imports;
#[path = "bad_input/vk.rs"]
mod vk;

const FORMAT: Format = Format::XRGB8888;
const SMALL: Extent = Extent::new(64, 32);
/// A deadline that is meant to pass.
const SHORT: Duration = Duration::from_millis(80);

/// Runs `body` alone in this program, with both devices open. It must leave as many descriptors as it found, and nothing
/// for the validation layer to report.
fn with_pair(body: impl FnOnce(&Pair)) {
    let _alone = fds::alone();
    let pair = Pair::open();
    // Drivers open some things at their first use only.
    for path in paths(&pair) {
        share(&pair, &export(&pair, path), 0);
    }
    let last = export(&pair, MemoryPath::HostMemory);
    settle(&pair, &last);
    let before = fds::list();
    body(&pair);
    settle(&pair, &last);
    fds::assert_as_many(&before);
    pair.assert_valid();
}

/// Lets go of what was imported. Drivers hold on to the texture that was drawn last: that shall be `last`, whose pixels
/// are its own.
fn settle(pair: &Pair, last: &vulkan::Image) {
    share(pair, last, 1);
    forget_imports(pair);
}

/// The paths that both sides have.
fn paths(pair: &Pair) -> Vec<MemoryPath> {
    let has = |path: &MemoryPath| pair.agree(*path, FORMAT, SMALL).is_ok();
    let paths: Vec<MemoryPath> = MemoryPath::ALL.into_iter().filter(has).collect();
    assert!(paths.contains(&MemoryPath::HostMemory), "always possible");
    paths
}

/// Whether both sides have `path`; the skip says why not.
fn can(pair: &Pair, path: MemoryPath) -> bool {
    match pair.agree(path, FORMAT, SMALL) {
        Ok(_) => true,
        Err(refusal) => {
            let kind = if path == MemoryPath::DmaBuf {
                "udmabuf"
            } else {
                path.name()
            };
            skip(kind, &refusal.to_string());
            false
        }
    }
}

/// Textures are let go at the next import that is not in the cache, be it one that fails.
fn forget_imports(pair: &Pair) {
    let layout = FrameLayout::opaque(SMALL, Format::NV12).expect("a layout");
    let memory = OpaqueFd::new(memory(PAGE_BYTES), PAGE_BYTES).expect("a memfd");
    let frame = Frame::new(layout, Memory::OpaqueFd(memory), DeviceId::default());
    let refused = pair.gl.import(&frame.expect("a frame"));
    refused.expect_err("NV12 is never imported whole");
}

fn agreement(pair: &Pair, path: MemoryPath) -> Agreement {
    pair.agree(path, FORMAT, SMALL).expect("an agreement")
}

fn export(pair: &Pair, path: MemoryPath) -> vulkan::Image {
    pair.vk.export(&agreement(pair, path)).expect("an image")
}

/// Writes a frame, shows it, and compares every pixel.
fn share(pair: &Pair, image: &vulkan::Image, number: u32) {
    let extent = image.frame().layout().extent();
    let bytes = pattern::bytes(FORMAT.info().expect("known"), extent, number);
    let writer = Writer::new(&pair.vk);
    let written = writer.write(image, &Fence::Signaled, &bytes);
    let texture = pair.gl.import(image.frame()).expect("a texture");
    let read = pair
        .gl
        .read(&texture, &written.expect("a written frame"), TIMEOUT);
    read.expect("a turn to read");
    let pixels = Reader::new(&pair.gl).read(&texture);
    pattern::assert_equal(FORMAT, extent, number, &pixels);
}

fn memory(bytes: u64) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = rustix::fs::memfd_create("lucarne-test", flags).expect("a memfd");
    rustix::fs::ftruncate(&fd, bytes).expect("memory");
    rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK).expect("a seal");
    fd
}

/// A dma-buf that no driver here made: from `/dev/udmabuf`, or a sealed memfd in its place.
fn buffer(pages: u64) -> DmaBuf {
    let size = pages * PAGE_BYTES;
    match Udmabuf::open() {
        Ok(device) => device.create(size).expect("a dma-buf"),
        Err(_) => DmaBuf::new(memory(size)).expect("a stand-in"),
    }
}

const LINEAR: Tiling = Tiling::Explicit(Modifier::LINEAR);

fn linear_plane(pitch: u64) -> Plane {
    Plane {
        object: 0,
        offset: 0,
        pitch,
    }
}

/// A frame of one foreign buffer.
fn foreign_frame(
    extent: Extent,
    tiling: Tiling,
    plane: Plane,
    pages: u64,
    device: &DeviceId,
) -> lucarne::Result<Frame> {
    let sizes = [pages * PAGE_BYTES];
    let layout = FrameLayout::new(extent, FORMAT, tiling, &[plane], &sizes)?;
    Frame::new(layout, Memory::DmaBuf(vec![buffer(pages)]), device.clone())
}

fn opaque_frame(extent: Extent, fd: OwnedFd, bytes: u64, device: &DeviceId) -> Frame {
    let layout = FrameLayout::opaque(extent, FORMAT).expect("a layout");
    let memory = OpaqueFd::new(fd, bytes).expect("memory");
    Frame::new(layout, Memory::OpaqueFd(memory), device.clone()).expect("a frame")
}

/// A fence that has not signalled, and what makes it signal: an eventfd stands in for the sync_file, as it polls alike.
fn unsignaled() -> (Fence, OwnedFd) {
    let event = rustix::event::eventfd(0, EventfdFlags::CLOEXEC).expect("an eventfd");
    let signal = event.try_clone().expect("a descriptor");
    (Fence::sync_file(SyncFile::stand_in(event)), signal)
}

/// The call ends with [`Error::Timeout`], at its deadline and not long after.
#[track_caller]
fn assert_times_out<T: std::fmt::Debug>(call: impl FnOnce() -> lucarne::Result<T>) {
    let start = Instant::now();
    let error = call().expect_err("the fence never signals");
    let took = start.elapsed();
    let timeout = matches!(error, Error::Timeout { after, .. } if after == SHORT);
    assert!(timeout, "{error}");
    assert!(took >= SHORT && took < TIMEOUT, "{took:?}");
}

#[track_caller]
fn assert_says(error: &Error, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
}

#[track_caller]
fn assert_unsupported<T: std::fmt::Debug>(result: lucarne::Result<T>, parts: &[&str]) {
    let error = result.expect_err("this must be refused");
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    assert_says(&error, parts);
}

#[track_caller]
fn assert_invalid<T: std::fmt::Debug>(result: lucarne::Result<T>, parts: &[&str]) {
    let error = result.expect_err("this must be refused");
    assert!(matches!(error, Error::Invalid { .. }), "{error}");
    assert_says(&error, parts);
}
