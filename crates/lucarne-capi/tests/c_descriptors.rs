//! Who owns a descriptor: those that go in are taken on success alone, those that come out are new.

mod common;

use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd as _, IntoRawFd as _, OwnedFd};
use std::path::PathBuf;

use common::{filled, made};
use lucarne::kernel::Memfd;
use lucarne_capi::ffi::*;

const EXTENT: (u32, u32) = (1280, 720);

/// What a number stands for in this process; `None` where it is closed.
fn target(fd: i32) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{fd}")).ok()
}

/// A descriptor of C's for memory that stands in for a dma-buf.
fn buffer(name: &str, bytes: u64) -> i32 {
    use std::os::fd::AsFd as _;
    let memfd = Memfd::create(name, bytes).expect("a memfd");
    let fd = memfd.as_fd().try_clone_to_owned().expect("a descriptor");
    fd.into_raw_fd()
}

fn is_open(fd: i32, name: &str) -> bool {
    target(fd).is_some_and(|path| path.to_string_lossy().contains(name))
}

fn nv12(planes: &[lucarne_dma_buf_plane]) -> (lucarne_status, Option<Box<lucarne_frame>>) {
    let mut place = MaybeUninit::new(None);
    // SAFETY: the slice's own length.
    let status = unsafe {
        lucarne_frame_from_dma_bufs(
            EXTENT.0,
            EXTENT.1,
            LUCARNE_FORMAT_NV12,
            LUCARNE_MODIFIER_LINEAR,
            planes.as_ptr(),
            planes.len(),
            Some(&mut place),
            None,
        )
    };
    // SAFETY: MaybeUninit::assume_init: initialised above, and written by the call.
    (status, unsafe { place.assume_init() })
}

fn planes(fd: i32) -> [lucarne_dma_buf_plane; 2] {
    let plane = |offset, pitch| lucarne_dma_buf_plane { fd, offset, pitch };
    [plane(0, EXTENT.0), plane(EXTENT.0 * EXTENT.1, EXTENT.0)]
}

#[test]
fn planes_are_taken_on_success_alone() {
    let name = "taken-on-success";
    let fd = buffer(name, 4 << 20);
    let mut short = planes(fd);
    short[1].pitch = 16;
    let (status, frame) = nv12(&short);
    assert_eq!(status, lucarne_status::InvalidArgument);
    assert!(frame.is_none());
    assert!(is_open(fd, name), "still the caller's");

    // Both planes have the same number: it is closed once.
    let (status, frame) = nv12(&planes(fd));
    assert_eq!(status, lucarne_status::Ok);
    assert!(!is_open(fd, name), "taken");
    let frame = frame.expect("a frame");
    let layout = filled(|place| lucarne_frame_describe(Some(&frame), Some(place), None));
    assert_eq!((layout.plane_count, layout.object_count), (2, 1));
    assert_eq!(layout.planes[1].offset, u64::from(EXTENT.0 * EXTENT.1));
    assert_eq!(layout.planes[2], lucarne_plane::default());
    assert_eq!(lucarne_frame_rows(Some(&frame), 1), EXTENT.1 / 2);
    lucarne_frame_free(Some(frame));
}

#[test]
fn planes_that_come_out_are_the_callers() {
    let name = "coming-out";
    let (_, frame) = nv12(&planes(buffer(name, 4 << 20)));
    let frame = frame.expect("a frame");
    let mut out = [lucarne_dma_buf_plane {
        fd: 7,
        offset: 7,
        pitch: 7,
    }; 4];
    let count = filled(|place| {
        // SAFETY: the array's own length.
        unsafe { lucarne_frame_dup_dma_bufs(Some(&frame), out.as_mut_ptr(), 4, Some(place), None) }
    });
    assert_eq!(count, 2);
    lucarne_frame_free(Some(frame));
    let fds = out.map(|plane| plane.fd);
    assert_eq!(fds[2..], [LUCARNE_NO_FD; 2]);
    assert_ne!(fds[0], fds[1], "one for each plane");
    for fd in &fds[..2] {
        assert!(
            is_open(*fd, name),
            "the frame has ended, and the descriptor has not"
        );
        // SAFETY: OwnedFd::from_raw_fd: the call has given it to us.
        drop(unsafe { OwnedFd::from_raw_fd(*fd) });
        assert!(!is_open(*fd, name));
    }
}

#[test]
fn what_is_no_fence_stays_the_callers() {
    let name = "no-fence";
    let fd = buffer(name, 4096);
    let mut place = MaybeUninit::new(None);
    let status = lucarne_fence_from_sync_file(fd, Some(&mut place), None);
    assert_ne!(status, lucarne_status::Ok);
    assert!(is_open(fd, name));
    for number in [-1, i32::MAX] {
        let status = lucarne_fence_from_sync_file(number, Some(&mut place), None);
        assert_eq!(status, lucarne_status::InvalidArgument, "{number}");
    }
    // SAFETY: OwnedFd::from_raw_fd: it is still ours.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
}

/// A sync_file as the kernel, or its emulation, gives it with a dma-buf.
fn sync_file() -> Option<OwnedFd> {
    let device = lucarne::cpu::Adapter::new(lucarne::cpu::Allocator::Udmabuf)
        .open()
        .ok()?;
    let offer = device.offer(lucarne::Usage::SAMPLE).ok()?;
    let request = lucarne::Request::new(lucarne::Extent::new(64, 64));
    let request = request.paths(&[lucarne::MemoryPath::DmaBuf]);
    let agreement = lucarne::negotiate(&offer, &offer, &request).ok()?;
    let image = device.export(&agreement).ok()?;
    let lucarne::Memory::DmaBuf(buffers) = image.frame().memory() else {
        return None;
    };
    use std::os::fd::{AsFd as _, AsRawFd as _};
    // The kernel's DMA_BUF_IOCTL_EXPORT_SYNC_FILE with DMA_BUF_SYNC_READ, by libc: the emulation's fences show to nobody else.
    const EXPORT_SYNC_FILE: libc::Ioctl = 0xc008_6202_u32 as libc::Ioctl;
    let mut argument = [1_i32, -1];
    // SAFETY: ioctl(2): the argument is a `struct dma_buf_export_sync_file` of our own.
    let answer = unsafe {
        libc::ioctl(
            buffers[0].as_fd().as_raw_fd(),
            EXPORT_SYNC_FILE,
            argument.as_mut_ptr(),
        )
    };
    // SAFETY: OwnedFd::from_raw_fd: the kernel has just given it.
    (answer == 0).then(|| unsafe { OwnedFd::from_raw_fd(argument[1]) })
}

#[test]
fn a_fence_is_taken_and_given_again() {
    let Some(file) = sync_file() else {
        return lucarne_tests::skip::skip("dma-buf", "no dma-buf to take a fence from");
    };
    let fd = file.into_raw_fd();
    let before = target(fd);
    assert!(before.is_some());
    let fence = made(|place| lucarne_fence_from_sync_file(fd, Some(place), None));
    assert_ne!(target(fd), before, "taken");
    let signaled = filled(|place| lucarne_fence_is_signaled(Some(&fence), Some(place), None));
    assert_eq!(signaled, 1, "nothing was written");
    let out = filled(|place| lucarne_fence_to_sync_file(Some(&fence), 0, Some(place), None));
    lucarne_fence_free(Some(fence));
    assert!(
        target(out).is_some(),
        "the fence has ended, and the descriptor has not"
    );
    // SAFETY: OwnedFd::from_raw_fd: the call has given it to us.
    drop(unsafe { OwnedFd::from_raw_fd(out) });
}
