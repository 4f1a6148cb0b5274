//! sync_file: a fence with a descriptor (`linux/sync_file.h`).

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::ioctl::{Opcode, Updater, opcode};

use super::c_library;
use super::fd;
use crate::error::{Error, Result};

/// A fence that signals once, when work that was submitted before it was made has finished.
///
/// Owns its descriptor and closes it on drop.
///
/// ```
/// use lucarne::kernel::SyncFile;
///
/// // What has always signalled, or never would, is refused.
/// let null = std::fs::File::open("/dev/null")?;
/// assert!(SyncFile::new(null.into()).is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # References
///
/// "Sync File API Guide" in Linux's driver API; `include/uapi/linux/sync_file.h`.
#[derive(Debug)]
#[must_use = "a fence that nobody waits for protects nothing"]
pub struct SyncFile {
    fd: OwnedFd,
}

/// How far a fence has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FenceStatus {
    /// The work behind it goes on.
    Active,
    /// The work has finished.
    Signaled,
    /// The work has ended in an error, with this `errno`; nothing touches the memory any more, and what it holds is
    /// undefined.
    Failed(i32),
}

/// What the kernel knows about a [`SyncFile`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncFileInfo {
    /// The name that its maker gave it, for people.
    pub name: String,
    /// The outcome of all of its fences.
    pub status: FenceStatus,
    /// What it is made of: one fence, or several after [`SyncFile::merge`].
    pub fences: Vec<FenceInfo>,
}

/// One fence in a [`SyncFile`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FenceInfo {
    /// The driver that does the work.
    pub driver: String,
    /// The driver's name for the queue or ring that does it.
    pub timeline: String,
    /// How far it has come.
    pub status: FenceStatus,
    /// When it signalled, on `CLOCK_MONOTONIC`; `None` while it has not.
    pub signaled_at: Option<Duration>,
}

impl SyncFile {
    /// Takes a descriptor that came from elsewhere, another process for instance, and checks that it is a sync_file.
    ///
    /// Does not block.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for anything else: a pipe or `/dev/null` would never signal, or always have; [`Error::Os`] when
    /// the kernel does not answer. The descriptor is closed in every failing case.
    pub fn new(fd: OwnedFd) -> Result<Self> {
        let file = Self { fd };
        match file.outcome()? {
            Some(_) => Ok(file),
            None => Err(Error::invalid(
                "fence",
                fd::describe(&file.fd),
                "a sync_file, which answers SYNC_IOC_FILE_INFO",
            )),
        }
    }

    /// Uses a descriptor that becomes readable once and stays so, such as an eventfd of this process, as if it were a
    /// sync_file. For work that no driver does, and for tests.
    ///
    /// [`SyncFile::wait`] works; drivers and the kernel's fence calls refuse it. Nothing is checked: what came from
    /// elsewhere goes through [`SyncFile::new`].
    pub fn stand_in(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// Takes what a driver or the kernel has just given as a sync_file. It is not asked again: a sync_file that is
    /// emulated shows only to whom the preloaded library serves, and direct system calls pass it by.
    pub(crate) fn given(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// Blocks this thread until the fence has signalled, `timeout` at most.
    ///
    /// Lucarne waits here before it makes a driver wait: a software driver waits on the calling thread, without a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] when it did not signal in time; [`Error::FenceFailed`] when it did, and the work behind it
    /// had ended in an error; [`Error::Os`] when the descriptor cannot be waited for.
    pub fn wait(&self, timeout: Duration) -> Result<()> {
        let began = Instant::now();
        loop {
            let left = timeout.saturating_sub(began.elapsed());
            match self.poll(left) {
                Ok(true) => break,
                Ok(false) if left.is_zero() => {
                    return Err(Error::Timeout {
                        waiting_for: "a fence's signal",
                        after: timeout,
                    });
                }
                // A signal handler or a clock that rounds down: go on with what time is left.
                Ok(false) | Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::os("poll of a sync_file", errno)),
            }
        }
        match self.outcome()? {
            Some(FenceStatus::Failed(errno)) => Err(Error::FenceFailed {
                source: io::Error::from_raw_os_error(errno),
            }),
            _ => Ok(()),
        }
    }

    /// Whether the fence has signalled; a failed one has too. Does not block.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when the descriptor cannot be waited for.
    pub fn is_signaled(&self) -> Result<bool> {
        // Even a poll that does not block is interrupted by a signal that is pending.
        rustix::io::retry_on_intr(|| self.poll(Duration::ZERO))
            .map_err(|errno| Error::os("poll of a sync_file", errno))
    }

    /// How far the fence has come. Does not block.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when the descriptor cannot be waited for.
    pub fn status(&self) -> Result<FenceStatus> {
        if let Some(status) = self.outcome()? {
            return Ok(status);
        }
        // A stand-in tells no more than this.
        Ok(if self.is_signaled()? {
            FenceStatus::Signaled
        } else {
            FenceStatus::Active
        })
    }

    /// A fence that signals once both have; `name` shows in debugfs and in [`SyncFile::info`], 31 bytes of it.
    ///
    /// Neither fence is used up. The kernel leaves out what has signalled before, and with it the error that it may
    /// have ended in.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when one of the two is no sync_file, or the process has no descriptor left.
    #[doc(alias = "SYNC_IOC_MERGE")]
    pub fn merge(&self, other: &Self, name: &str) -> Result<Self> {
        let mut data = MergeData {
            name: [0; 32],
            fd2: other.fd.as_raw_fd(),
            fence: -1,
            flags: 0,
            pad: 0,
        };
        // The last byte stays zero.
        for (to, from) in data.name[..31].iter_mut().zip(name.bytes()) {
            *to = from;
        }
        // SAFETY: Updater::new: SYNC_IOC_MERGE reads and writes one `struct sync_merge_data`, which `MergeData` is
        // (size and opcode are tested).
        let request = unsafe { Updater::<MERGE, MergeData>::new(&mut data) };
        // SAFETY: ioctl(2): the request points at a value that lives through the call; `fd2` is open.
        unsafe { c_library::ioctl(&self.fd, request) }
            .map_err(|errno| refused("SYNC_IOC_MERGE", errno))?;
        if data.fence < 0 {
            return Err(Error::os("SYNC_IOC_MERGE", Errno::BADF));
        }
        // SAFETY: OwnedFd::from_raw_fd: the kernel has just made this descriptor, close-on-exec, for the caller.
        Ok(Self::given(unsafe { OwnedFd::from_raw_fd(data.fence) }))
    }

    /// Everything that the kernel tells about the fence. For reports and for tests; it allocates.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when the descriptor is no sync_file.
    #[doc(alias = "SYNC_IOC_FILE_INFO")]
    pub fn info(&self) -> Result<SyncFileInfo> {
        let refused = |errno| refused("SYNC_IOC_FILE_INFO", errno);
        let mut count = self.file_info(&mut []).map_err(refused)?.num_fences;
        // Fences that have signalled may be let go between the two calls; none are added.
        let mut fences = vec![RawFence::default(); usize::try_from(count).unwrap_or(0)];
        let raw = self.file_info(&mut fences).map_err(refused)?;
        count = count.min(raw.num_fences);
        fences.truncate(usize::try_from(count).unwrap_or(0));
        Ok(SyncFileInfo {
            name: text(&raw.name),
            status: FenceStatus::from_kernel(raw.status),
            fences: fences.iter().map(RawFence::told).collect(),
        })
    }

    /// A new descriptor for the same fence, close-on-exec, owned by the caller.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when the process has no descriptor left.
    pub fn duplicate(&self) -> Result<OwnedFd> {
        fd::duplicate(&self.fd, "duplicating a fence's descriptor")
    }

    /// What the kernel says about the fence, or `None` where it is a stand-in.
    fn outcome(&self) -> Result<Option<FenceStatus>> {
        match self.file_info(&mut []) {
            Ok(info) => Ok(Some(FenceStatus::from_kernel(info.status))),
            // Files and sockets answer ENOTTY, and some devices EINVAL.
            Err(Errno::NOTTY | Errno::INVAL) => Ok(None),
            Err(errno) => Err(Error::os("SYNC_IOC_FILE_INFO", errno)),
        }
    }

    /// `SYNC_IOC_FILE_INFO`; with no room for fences it tells their number and the outcome alone.
    fn file_info(&self, fences: &mut [RawFence]) -> rustix::io::Result<FileInfo> {
        let mut info = FileInfo {
            name: [0; 32],
            status: 0,
            flags: 0,
            num_fences: u32::try_from(fences.len()).map_err(|_| Errno::INVAL)?,
            pad: 0,
            sync_fence_info: fences.as_mut_ptr().expose_provenance() as u64,
        };
        // SAFETY: Updater::new: SYNC_IOC_FILE_INFO reads and writes one `struct sync_file_info`, which `FileInfo` is
        // (size and opcode are tested).
        let request = unsafe { Updater::<FILE_INFO, FileInfo>::new(&mut info) };
        // SAFETY: ioctl(2): the request points at a value that lives through the call, and that at an array of
        // `num_fences` entries, borrowed mutably for the call; the kernel writes no more than these.
        unsafe { c_library::ioctl(&self.fd, request) }?;
        Ok(info)
    }

    fn poll(&self, timeout: Duration) -> rustix::io::Result<bool> {
        let mut fds = [PollFd::new(&self.fd, PollFlags::IN)];
        // More seconds than the clock can count are no deadline.
        let timeout = Timespec::try_from(timeout).ok();
        rustix::event::poll(&mut fds, timeout.as_ref())?;
        let events = fds[0].revents();
        if events.intersects(PollFlags::ERR | PollFlags::NVAL) {
            return Err(Errno::INVAL);
        }
        if events.contains(PollFlags::IN) {
            return Ok(true);
        }
        // A fence never hangs up; a pipe whose writer is gone does, and would never signal.
        if events.contains(PollFlags::HUP) {
            return Err(Errno::INVAL);
        }
        Ok(false)
    }
}

impl AsFd for SyncFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl FenceStatus {
    /// "1: signaled 0: active <0: error" (`struct sync_file_info`).
    fn from_kernel(status: i32) -> Self {
        match status {
            0 => Self::Active,
            1.. => Self::Signaled,
            errno => Self::Failed(errno.saturating_neg()),
        }
    }
}

fn refused(operation: &'static str, errno: Errno) -> Error {
    Error::Os {
        operation,
        source: errno.into(),
        help: if errno == Errno::NOTTY || errno == Errno::NOENT {
            "the descriptor is no sync_file"
        } else {
            ""
        },
    }
}

/// A name out of one of the kernel's fixed fields.
fn text(field: &[u8]) -> String {
    CStr::from_bytes_until_nul(field)
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

const MERGE: Opcode = opcode::read_write::<MergeData>(b'>', 3);
const FILE_INFO: Opcode = opcode::read_write::<FileInfo>(b'>', 4);

/// `struct sync_merge_data`.
#[repr(C)]
struct MergeData {
    name: [u8; 32],
    fd2: i32,
    fence: i32,
    flags: u32,
    pad: u32,
}

/// `struct sync_file_info`.
#[repr(C)]
struct FileInfo {
    name: [u8; 32],
    status: i32,
    flags: u32,
    num_fences: u32,
    pad: u32,
    sync_fence_info: u64,
}

/// `struct sync_fence_info`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct RawFence {
    obj_name: [u8; 32],
    driver_name: [u8; 32],
    status: i32,
    flags: u32,
    timestamp_ns: u64,
}

impl RawFence {
    fn told(&self) -> FenceInfo {
        let status = FenceStatus::from_kernel(self.status);
        FenceInfo {
            driver: text(&self.driver_name),
            timeline: text(&self.obj_name),
            status,
            signaled_at: (status != FenceStatus::Active)
                .then(|| Duration::from_nanos(self.timestamp_ns)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stand_in(count: u32) -> SyncFile {
        let flags = rustix::event::EventfdFlags::CLOEXEC;
        SyncFile::stand_in(rustix::event::eventfd(count, flags).expect("an eventfd"))
    }

    #[test]
    fn the_request_numbers_are_the_kernels() {
        assert_eq!(size_of::<MergeData>(), 48);
        assert_eq!(MERGE, 0xc030_3e03);
        assert_eq!(size_of::<FileInfo>(), 56);
        assert_eq!(FILE_INFO, 0xc038_3e04);
        assert_eq!(size_of::<RawFence>(), 80);
    }

    #[test]
    fn statuses_read_as_the_header_says() {
        assert_eq!(FenceStatus::from_kernel(0), FenceStatus::Active);
        assert_eq!(FenceStatus::from_kernel(1), FenceStatus::Signaled);
        assert_eq!(FenceStatus::from_kernel(-125), FenceStatus::Failed(125));
        let worst = FenceStatus::Failed(i32::MAX);
        assert_eq!(FenceStatus::from_kernel(i32::MIN), worst);
        let failed = RawFence {
            status: -62,
            timestamp_ns: 1_500,
            ..RawFence::default()
        };
        assert_eq!(failed.told().status, FenceStatus::Failed(62));
        let at = Some(Duration::from_nanos(1_500));
        assert_eq!(failed.told().signaled_at, at);
        assert_eq!(RawFence::default().told().signaled_at, None);
    }

    #[test]
    fn names_end_at_their_zero_or_are_none() {
        assert_eq!(text(b"vgem\0\0\0junk"), "vgem");
        assert_eq!(text(&[b'x'; 32]), "");
    }

    #[test]
    fn a_stand_in_is_waited_for_up_to_the_deadline() {
        let never = stand_in(0);
        let began = Instant::now();
        let timeout = Duration::from_millis(60);
        let error = never.wait(timeout).expect_err("nobody signals it");
        assert!(matches!(error, Error::Timeout { after, .. } if after == timeout));
        assert!(began.elapsed() >= timeout);
        assert_eq!(never.status().expect("an answer"), FenceStatus::Active);
        stand_in(1).wait(Duration::MAX).expect("signalled");
        stand_in(1).wait(Duration::ZERO).expect("signalled");
    }

    #[test]
    fn what_is_no_sync_file_says_so() {
        let error = stand_in(1).info().expect_err("an eventfd");
        assert!(error.to_string().contains("no sync_file"), "{error}");
        let error = stand_in(1).merge(&stand_in(1), "merged");
        let error = error.expect_err("two eventfds");
        assert!(error.to_string().contains("no sync_file"), "{error}");
    }
}
