//! What lucarne-udmabuf emulates is asked for through the C library's `open` and `ioctl`: a library that is preloaded into
//! anybody's program sees it. Here the test program itself stands in front of the two.

use std::ffi::{CStr, c_char, c_int, c_ulong, c_void};
use std::os::fd::{AsFd as _, AsRawFd as _, IntoRawFd as _, OwnedFd};
use std::sync::Mutex;

use lucarne::kernel::{DmaBufKind, Memfd, SyncFile, Udmabuf};

const UDMABUF_CREATE: c_ulong = 0x4018_7542;
const SYNC_IOC_FILE_INFO: c_ulong = 0xc038_3e04;

/// The requests that came by, oldest first.
static SEEN: Mutex<Vec<c_ulong>> = Mutex::new(Vec::new());

fn memory() -> OwnedFd {
    let memfd = Memfd::create("stand-in", 4096).expect("a memfd");
    memfd.as_fd().try_clone_to_owned().expect("a descriptor")
}

/// Answers for the device's path, and asks the kernel for others.
#[unsafe(no_mangle)]
extern "C" fn open(path: *const c_char, flags: c_int) -> c_int {
    // SAFETY: open(3): the path ends in NUL.
    if unsafe { CStr::from_ptr(path) } == c"/dev/udmabuf" {
        return memory().into_raw_fd();
    }
    // SAFETY: openat(2), for callers that create nothing: the path is the caller's.
    let fd = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path, flags) };
    c_int::try_from(fd).unwrap_or(-1)
}

/// Notes each request. Answers for the device, and asks the kernel for others.
#[unsafe(no_mangle)]
extern "C" fn ioctl(fd: c_int, request: c_ulong, argument: *mut c_void) -> c_int {
    SEEN.lock().expect("no test panics with it").push(request);
    match request {
        UDMABUF_CREATE => memory().into_raw_fd(),
        _ => {
            // SAFETY: ioctl(2) with what the caller gave.
            let answer = unsafe { libc::syscall(libc::SYS_ioctl, fd, request, argument) };
            c_int::try_from(answer).unwrap_or(-1)
        }
    }
}

fn seen(request: c_ulong) -> bool {
    SEEN.lock()
        .expect("no test panics with it")
        .contains(&request)
}

#[test]
fn a_preloaded_library_is_asked_for_the_device_and_a_buffer() {
    let device = Udmabuf::open().expect("the program's own device");
    let buffer = device.create(4096).expect("the program's own buffer");
    assert_eq!((buffer.size(), buffer.kind()), (4096, DmaBufKind::Emulated));
    assert!(seen(UDMABUF_CREATE));
}

#[test]
fn a_preloaded_library_is_asked_about_fences() {
    let file = memory();
    let fd = file.as_raw_fd();
    let fence = SyncFile::new(file);
    let info = fence.and_then(|fence| fence.info());
    assert!(info.is_err(), "descriptor {fd} is no fence");
    assert!(seen(SYNC_IOC_FILE_INFO));
}
