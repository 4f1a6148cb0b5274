//! What the tests share: a child process per case with and without the preload library, and the kernel's interface
//! with its numbers written out, so that the library's own are compared with something.

#![allow(dead_code, reason = "each test file uses its part")]

use std::ffi::{CStr, c_int, c_ulong};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

// linux/udmabuf.h, linux/dma-buf.h, linux/sync_file.h, as x86-64 and arm64 have them.
pub(crate) const UDMABUF_CREATE: c_ulong = 0x4018_7542;
pub(crate) const UDMABUF_CREATE_LIST: c_ulong = 0x4008_7543;
pub(crate) const DMA_BUF_IOCTL_SYNC: c_ulong = 0x4008_6200;
pub(crate) const DMA_BUF_SET_NAME_A: c_ulong = 0x4004_6201;
pub(crate) const DMA_BUF_SET_NAME_B: c_ulong = 0x4008_6201;
pub(crate) const DMA_BUF_IOCTL_EXPORT_SYNC_FILE: c_ulong = 0xc008_6202;
pub(crate) const DMA_BUF_IOCTL_IMPORT_SYNC_FILE: c_ulong = 0x4008_6203;
pub(crate) const SYNC_IOC_MERGE: c_ulong = 0xc030_3e03;
pub(crate) const SYNC_IOC_FILE_INFO: c_ulong = 0xc038_3e04;

pub(crate) const CLOEXEC: u32 = 1;
pub(crate) const READ: u32 = 1;
pub(crate) const WRITE: u32 = 2;
pub(crate) const END: u32 = 4;

/// `struct udmabuf_create`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Create {
    pub(crate) memfd: RawFd,
    pub(crate) flags: u32,
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

/// `struct udmabuf_create_list` with one item.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct CreateListOfOne {
    pub(crate) flags: u32,
    pub(crate) count: u32,
    pub(crate) memfd: RawFd,
    pub(crate) pad: u32,
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

/// `struct dma_buf_export_sync_file` and `struct dma_buf_import_sync_file`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct SyncFileOf {
    pub(crate) flags: u32,
    pub(crate) fd: RawFd,
}

/// `struct sync_merge_data`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Merge {
    pub(crate) name: [u8; 32],
    pub(crate) fd2: RawFd,
    pub(crate) fence: RawFd,
    pub(crate) flags: u32,
    pub(crate) pad: u32,
}

/// `struct sync_file_info`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct FileInfo {
    pub(crate) name: [u8; 32],
    pub(crate) status: i32,
    pub(crate) flags: u32,
    pub(crate) num_fences: u32,
    pub(crate) pad: u32,
    pub(crate) sync_fence_info: u64,
}

/// `struct sync_fence_info`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct FenceInfo {
    pub(crate) obj_name: [u8; 32],
    pub(crate) driver_name: [u8; 32],
    pub(crate) status: i32,
    pub(crate) flags: u32,
    pub(crate) timestamp_ns: u64,
}

/// On what a case runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Machine {
    /// No device; the library is preloaded.
    Emulated,
    /// A real device; no library. The oracle.
    Real,
    /// A real device; the library is preloaded and has to stay out of the way.
    RealPreloaded,
}

const MACHINE: &str = "LUCARNE_UDMABUF_TEST_MACHINE";

/// Defines tests that run on every machine that there is here, each in a process of its own, with one set of
/// expectations.
#[macro_export]
macro_rules! cases {
    ($($(#[$doc:meta])* fn $name:ident() $body:block)*) => {$(
        $(#[$doc])*
        #[test]
        fn $name() {
            $crate::common::on_every_machine(stringify!($name), || $body);
        }
    )*};
}

/// In the test itself: starts a child per machine. In the child: runs the case.
pub(crate) fn on_every_machine(name: &str, case: fn()) {
    if let Ok(machine) = std::env::var(MACHINE) {
        check_machine(&machine);
        return case();
    }
    if real_device() {
        child(name, Machine::Real);
        child(name, Machine::RealPreloaded);
    } else {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            skip(
                "udmabuf",
                "no /dev/udmabuf here: the rules were not compared with the kernel's",
            )
        });
        child(name, Machine::Emulated);
    }
}

/// Runs a case on the emulated device only.
pub(crate) fn emulated_only(name: &str, case: fn()) {
    if let Ok(machine) = std::env::var(MACHINE) {
        check_machine(&machine);
        return case();
    }
    if real_device() {
        return skip(
            "emulation",
            "a real /dev/udmabuf is here: the emulation stays out of the way",
        );
    }
    child(name, Machine::Emulated);
}

/// A case that found itself on another machine than it was started for would prove nothing.
fn check_machine(machine: &str) {
    let expected = match machine {
        "Emulated" => Some(1),
        "RealPreloaded" => Some(0),
        _ => None,
    };
    assert_eq!(
        says_emulated(),
        expected,
        "what lucarne_udmabuf_emulated says on the machine {machine}"
    );
}

/// What the library's symbol says; `None` where it is not loaded.
pub(crate) fn says_emulated() -> Option<c_int> {
    // SAFETY: dlsym(3): a valid handle and a NUL-terminated name.
    let symbol = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"lucarne_udmabuf_emulated".as_ptr()) };
    if symbol.is_null() {
        return None;
    }
    // SAFETY: the symbol is the library's function, whose declaration this is.
    let says: extern "C" fn() -> c_int = unsafe { std::mem::transmute(symbol) };
    Some(says())
}

fn child(name: &str, machine: Machine) {
    let mut command = Command::new(std::env::current_exe().expect("the test's own path"));
    command
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(MACHINE, format!("{machine:?}"));
    if machine == Machine::Real {
        command.env_remove("LD_PRELOAD");
    } else {
        preload(&mut command);
    }
    let output = command.output().expect("the test starts itself");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "on {machine:?}: {}\n{said}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Makes a command run with the library.
pub(crate) fn preload(command: &mut Command) {
    command
        .env("LD_PRELOAD", library())
        .env_remove("LUCARNE_NO_EMULATION");
}

/// The preload library that cargo built along with this test.
pub(crate) fn library() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let library = test.with_file_name("liblucarne_udmabuf.so");
    assert!(
        library.exists(),
        "{} is missing: cargo build -p lucarne-udmabuf",
        library.display()
    );
    library
}

/// Whether this machine has the device. Asked with a raw system call, as cargo's runner may have preloaded the library
/// into this process.
pub(crate) fn real_device() -> bool {
    let path: &CStr = c"/dev/udmabuf";
    // SAFETY: openat(2): a NUL-terminated path, and flags that create nothing.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_openat,
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::O_RDWR | libc::O_CLOEXEC,
        )
    };
    let Some(fd) = RawFd::try_from(fd).ok().filter(|fd| *fd >= 0) else {
        return false;
    };
    // SAFETY: the call has just made this descriptor, and nobody else has it.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    true
}

/// Says that something was not tested, past the test harness's capture; fails where `LUCARNE_REQUIRE` names the kind.
pub(crate) fn skip(kind: &str, reason: &str) {
    let required = std::env::var("LUCARNE_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|one| one.trim() == kind),
        "required: {kind}: {reason}"
    );
    writeln!(io::stderr(), "skipped: {reason}").expect("standard error");
}

/// The page size.
pub(crate) fn page() -> u64 {
    // SAFETY: sysconf(3): takes a number.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(size).expect("a page size")
}

/// Opens the device as Mesa does.
pub(crate) fn device() -> File {
    File::options()
        .read(true)
        .write(true)
        .open("/dev/udmabuf")
        .expect("open /dev/udmabuf")
}

/// A memfd of this size with these seals.
pub(crate) fn memfd(size: u64, seals: c_int) -> File {
    let file = memfd_flags(size, libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING);
    // SAFETY: fcntl(2): F_ADD_SEALS takes a set of seals.
    let sealed = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) };
    assert_eq!(sealed, 0, "F_ADD_SEALS: {}", io::Error::last_os_error());
    file
}

/// A memfd made with these flags.
pub(crate) fn memfd_flags(size: u64, flags: u32) -> File {
    // SAFETY: memfd_create(2): the name ends in NUL.
    let fd = unsafe { libc::memfd_create(c"test".as_ptr(), flags) };
    let file = File::from(owned(fd));
    file.set_len(size).expect("ftruncate");
    file
}

/// Takes what a call has just made.
pub(crate) fn owned(fd: RawFd) -> OwnedFd {
    assert!(fd >= 0, "no descriptor: {}", io::Error::last_os_error());
    // SAFETY: the caller has just been given this descriptor, and nobody else has it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Gives the file a second descriptor with a number that was just closed.
pub(crate) fn reuse_number(file: &File, number: RawFd) -> File {
    // SAFETY: dup3(2): touches no memory; the number is free.
    let fd = unsafe { libc::dup3(file.as_raw_fd(), number, libc::O_CLOEXEC) };
    assert_eq!(fd, number, "dup3: {}", io::Error::last_os_error());
    File::from(owned(fd))
}

/// Calls `ioctl` through the C library, as drivers do. The error is the error number.
pub(crate) fn ioctl<T>(
    file: &impl AsRawFd,
    request: c_ulong,
    argument: &mut T,
) -> Result<c_int, i32> {
    // SAFETY: ioctl(2): every caller passes the structure that its request takes.
    let returned = unsafe { libc::ioctl(file.as_raw_fd(), request as _, argument as *mut T) };
    if returned < 0 {
        Err(io::Error::last_os_error().raw_os_error().unwrap_or(0))
    } else {
        Ok(returned)
    }
}

/// `UDMABUF_CREATE`.
pub(crate) fn create(
    device: &File,
    memfd: RawFd,
    flags: u32,
    offset: u64,
    size: u64,
) -> Result<File, i32> {
    ioctl(
        device,
        UDMABUF_CREATE,
        &mut Create {
            memfd,
            flags,
            offset,
            size,
        },
    )
    .map(|fd| File::from(owned(fd)))
}

/// A dma-buf of one page that works.
pub(crate) fn good() -> File {
    let memory = memfd(page(), libc::F_SEAL_SHRINK);
    create(&device(), memory.as_raw_fd(), CLOEXEC, 0, page()).expect("UDMABUF_CREATE")
}

/// `DMA_BUF_IOCTL_EXPORT_SYNC_FILE`.
pub(crate) fn export_sync_file(dma_buf: &impl AsRawFd, flags: u32) -> Result<OwnedFd, i32> {
    let mut export = SyncFileOf { flags, fd: -1 };
    ioctl(dma_buf, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &mut export).map(|_| owned(export.fd))
}

/// Whether the descriptor closes on exec.
pub(crate) fn closes_on_exec(file: &impl AsRawFd) -> bool {
    // SAFETY: fcntl(2): F_GETFD takes no argument.
    let flags = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFD) };
    flags & libc::FD_CLOEXEC != 0
}

/// How many descriptors this process has.
pub(crate) fn open_fds() -> usize {
    std::fs::read_dir("/proc/self/fd")
        .expect("/proc/self/fd")
        .count()
}

/// Finds a program on the search path.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| is_file(file))
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file())
}
