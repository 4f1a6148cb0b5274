//! The device: `/dev/udmabuf` and its two requests. The rules are those of the kernel's `drivers/dma-buf/udmabuf.c`.

use core::ffi::{CStr, c_char, c_int, c_long};
use core::sync::atomic::{AtomicBool, Ordering};

use crate::errno::{Answer, Errno, check, complain, give};
use crate::forbidden::is_forbidden;
use crate::mark::{Mark, close, seals};
use crate::uapi::{
    Argument, Create, CreateItem, CreateList, Request, UDMABUF_CREATE, UDMABUF_FLAGS_CLOEXEC,
};

const PATH: &CStr = c"/dev/udmabuf";

/// The kernel's default for the module parameter `size_limit_mb`.
const SIZE_LIMIT: u64 = 64 << 20;
/// The kernel's default for the module parameter `list_limit`.
const LIST_LIMIT: u32 = 1024;

/// Errors of `open` that mean: there is no such device, or it is out of reach.
const OUT_OF_REACH: [c_int; 5] = [
    libc::ENOENT,
    libc::EACCES,
    libc::EPERM,
    libc::ENXIO,
    libc::ENODEV,
];

/// Flags of `open` that ask for something else than a device to talk to.
const NOT_A_DEVICE: c_int = libc::O_CREAT | libc::O_DIRECTORY | libc::O_PATH;

/// Whether this process was ever given the emulated device.
static GIVEN: AtomicBool = AtomicBool::new(false);

/// Answers for an `open` that has failed: with the emulated device where it was for the device's path and no device
/// can be reached there, with the failure otherwise.
///
/// # Safety
///
/// An open function has just failed with `path`, and this thread's `errno` is still that function's.
pub(crate) unsafe fn open_instead(path: *const c_char, flags: c_int) -> c_int {
    let error = Errno::current();
    if !OUT_OF_REACH.contains(&error.0) || flags & NOT_A_DEVICE != 0 || path.is_null() {
        return error.raise();
    }
    // SAFETY: none of these errors comes before the kernel has read the whole path: it is a NUL-terminated string.
    let path = unsafe { CStr::from_ptr(path) };
    if path != PATH || is_forbidden() {
        return error.raise();
    }
    give(open_emulated(flags))
}

/// Makes an emulated device: an empty memfd that nobody can fill.
fn open_emulated(flags: c_int) -> Answer {
    let cloexec = if flags & libc::O_CLOEXEC == 0 {
        0
    } else {
        libc::MFD_CLOEXEC
    };
    // SAFETY: memfd_create(2): the name ends in NUL.
    let fd = check(unsafe {
        libc::memfd_create(
            c"lucarne-udmabuf-device".as_ptr(),
            cloexec | libc::MFD_ALLOW_SEALING,
        )
    })?;
    let all = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
    // SAFETY: fcntl(2): F_ADD_SEALS takes a set of seals and touches no memory.
    if let Err(error) = check(unsafe { libc::fcntl(fd, libc::F_ADD_SEALS, all) }) {
        close(fd);
        return Err(error);
    }
    let fd = Mark::Device.put(fd)?;
    GIVEN.store(true, Ordering::Relaxed);
    Ok(fd)
}

/// Whether opening the device gives an emulated one.
pub(crate) fn is_emulated() -> bool {
    if GIVEN.load(Ordering::Relaxed) {
        return true;
    }
    if is_forbidden() {
        return false;
    }
    match open_real(PATH, libc::O_RDWR | libc::O_CLOEXEC) {
        Ok(fd) => {
            close(fd);
            false
        }
        Err(error) => OUT_OF_REACH.contains(&error.0),
    }
}

/// Opens a path past this library's own `open`, which the C library's name would lead to.
fn open_real(path: &CStr, flags: c_int) -> Answer {
    // SAFETY: openat(2): `path` ends in NUL, and the flags create nothing, so that no mode is read.
    let fd = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags) };
    check(narrow(fd))
}

/// The kernel's return value of a call that gives a descriptor.
fn narrow(returned: c_long) -> c_int {
    c_int::try_from(returned).unwrap_or(-1)
}

/// Answers one of the device's requests.
///
/// # Safety
///
/// `argument` is what `request` asks for.
pub(crate) unsafe fn answer(request: Request, argument: Argument) -> Answer {
    if request == UDMABUF_CREATE {
        // SAFETY: UDMABUF_CREATE takes a `struct udmabuf_create`.
        let create = unsafe { argument.read::<Create>() }?;
        return create_dma_buf(&create);
    }
    // SAFETY: UDMABUF_CREATE_LIST takes a `struct udmabuf_create_list`.
    let list = unsafe { argument.read::<CreateList>() }?;
    if list.count == 0 || list.count > LIST_LIMIT {
        return Err(Errno(libc::EINVAL));
    }
    if list.count > 1 {
        complain(
            "lucarne-udmabuf: emulated: a list of several memfds cannot be one dma-buf here\n",
        );
        return Err(Errno(libc::EINVAL));
    }
    // SAFETY: `count` items follow the list's head, and it is 1.
    let item = unsafe { argument.after(size_of::<CreateList>()).read::<CreateItem>() }?;
    create_dma_buf(&Create {
        memfd: item.memfd,
        flags: list.flags,
        offset: item.offset,
        size: item.size,
    })
}

/// `UDMABUF_CREATE`: the kernel's checks in the kernel's order, then a second description of the memfd. It has a file
/// offset of its own, as a dma-buf has, and can be read and written whatever the memfd's descriptor allows, as the
/// kernel's can.
fn create_dma_buf(create: &Create) -> Answer {
    let page = page_size();
    let aligned = create.offset.is_multiple_of(page) && create.size.is_multiple_of(page);
    if !aligned || create.size == 0 || create.size > SIZE_LIMIT {
        return Err(Errno(libc::EINVAL));
    }
    // The kernel takes the number as an int.
    let memfd = create.memfd.cast_signed();
    check_seals(memfd)?;
    let file_size = size_of_file(memfd)?;
    let end = create
        .offset
        .checked_add(create.size)
        .filter(|end| *end <= file_size)
        .ok_or(Errno(libc::EINVAL))?;
    if create.offset != 0 || end != file_size {
        complain(
            "lucarne-udmabuf: emulated: a part of a memfd cannot be a dma-buf here, only the whole of it\n",
        );
        return Err(Errno(libc::EINVAL));
    }
    let cloexec = if create.flags & UDMABUF_FLAGS_CLOEXEC == 0 {
        0
    } else {
        libc::O_CLOEXEC
    };
    let path = DescriptorPath::new(memfd);
    let fd = open_real(path.as_c_str(), libc::O_RDWR | cloexec).inspect_err(|_| {
        complain(
            "lucarne-udmabuf: emulated: a memfd can be opened again only with /proc mounted\n",
        );
    })?;
    Mark::DmaBuf.put(seal(fd)?)
}

/// A dma-buf has one size for good, and nobody can stop others from writing. So the memfd's size stays as it is, and no
/// further seal can be put on it by whoever gets a descriptor. Gives `fd` back, and closes it where that fails.
fn seal(fd: c_int) -> Answer {
    let firm = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;
    // SAFETY: fcntl(2): F_ADD_SEALS takes a set of seals and touches no memory.
    match check(unsafe { libc::fcntl(fd, libc::F_ADD_SEALS, firm) }) {
        Ok(_) => Ok(fd),
        // Its maker has sealed it against further seals: it is as firm as it can be.
        Err(Errno(libc::EPERM)) => Ok(fd),
        Err(error) => {
            close(fd);
            Err(error)
        }
    }
}

/// The kernel takes shared memory only (`EBADFD`), sealed against shrinking and not against writing (`EINVAL`).
fn check_seals(memfd: c_int) -> Result<(), Errno> {
    let seals = seals(memfd).map_err(|_| Errno(libc::EBADFD))?;
    let denied = libc::F_SEAL_WRITE | libc::F_SEAL_FUTURE_WRITE;
    if seals & libc::F_SEAL_SHRINK == 0 || seals & denied != 0 {
        return Err(Errno(libc::EINVAL));
    }
    Ok(())
}

fn size_of_file(fd: c_int) -> Result<u64, Errno> {
    let mut stat = core::mem::MaybeUninit::<libc::stat64>::uninit();
    // SAFETY: fstat(2): the buffer is writable and of the size that this variant fills.
    check(unsafe { libc::fstat64(fd, stat.as_mut_ptr()) })?;
    // SAFETY: fstat has succeeded and so has filled the buffer.
    let stat = unsafe { stat.assume_init() };
    Ok(u64::try_from(stat.st_size).unwrap_or(0))
}

fn page_size() -> u64 {
    // SAFETY: sysconf(3): takes a number and touches no memory of ours.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(size).unwrap_or(4096)
}

/// `/proc/self/fd/N`, written without allocating.
#[derive(Debug)]
struct DescriptorPath {
    bytes: [u8; 32],
    start: usize,
}

impl DescriptorPath {
    const FOLDER: &'static [u8] = b"/proc/self/fd/";

    /// `fd` is a valid descriptor, so not negative.
    fn new(fd: c_int) -> Self {
        let mut bytes = [0; 32];
        let mut start = bytes.len() - 1;
        let mut rest = fd.unsigned_abs();
        loop {
            start -= 1;
            bytes[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        start -= Self::FOLDER.len();
        bytes[start..start + Self::FOLDER.len()].copy_from_slice(Self::FOLDER);
        Self { bytes, start }
    }

    fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes[self.start..]).unwrap_or(c"")
    }
}
