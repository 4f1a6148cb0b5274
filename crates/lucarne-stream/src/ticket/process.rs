//! Another process, by its number, held so that the number cannot come to mean another one unnoticed.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};

/// Where Yama, a security module, says who may trace whom.
const PTRACE_SCOPE: &str = "/proc/sys/kernel/yama/ptrace_scope";
/// As much of `/proc/PID/stat` as is ever there.
const STAT: usize = 4096;

/// `/proc/PID`, opened: it answers for that one process, and for nobody once that has ended.
#[derive(Debug)]
pub(super) struct Process {
    pid: u32,
    folder: OwnedFd,
}

/// Refuses what no process has for its number.
pub(super) fn check_pid(pid: u32) -> Result<u32> {
    if pid == 0 || i32::try_from(pid).is_err() {
        return Err(Error::Invalid {
            field: "process number",
            got: pid.to_string(),
            limit: format!("1 to {}", i32::MAX),
        });
    }
    Ok(pid)
}

impl Process {
    pub(super) fn open(pid: u32) -> Result<Self> {
        check_pid(pid)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(format!("/proc/{pid}"), flags, Mode::empty());
        let folder = folder.map_err(|errno| {
            let errno = if errno == Errno::NOENT {
                Errno::SRCH
            } else {
                errno
            };
            refused(pid, "opening its folder in /proc", errno)
        })?;
        Ok(Self { pid, folder })
    }

    /// Opens what lies in its folder.
    pub(super) fn at(&self, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        rustix::fs::openat(&self.folder, path, flags | OFlags::CLOEXEC, Mode::empty())
    }

    /// When it started, in the kernel's ticks since boot.
    pub(super) fn started(&self) -> Result<u64> {
        let failed = |errno| refused(self.pid, "reading when it started", errno);
        let stat = self.stat().map_err(failed)?;
        let started = stat.split_ascii_whitespace().nth(22 - 3);
        started
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| failed(Errno::INVAL))
    }

    /// Whether it has no descriptors any more: it is gone, or waits for its parent to ask how it ended.
    pub(super) fn has_ended(&self) -> bool {
        self.stat()
            .map_or(true, |stat| stat.trim_start().starts_with(['Z', 'X']))
    }

    /// What the kernel tells about it (`proc_pid_stat(5)`), from the third field, its state, on.
    fn stat(&self) -> rustix::io::Result<String> {
        let stat = self.at("stat", OFlags::RDONLY)?;
        let mut bytes = [0; STAT];
        let length = rustix::io::read(stat.as_fd(), &mut bytes)?;
        // The program's name, in parentheses, may hold anything; after the last one comes the third field.
        let text = String::from_utf8_lossy(&bytes[..length]);
        Ok(text.rsplit(')').next().unwrap_or_default().to_owned())
    }

    /// Refuses a process that is not the one which started then.
    pub(super) fn check_started(&self, then: u64) -> Result<()> {
        if self.started()? == then {
            return Ok(());
        }
        Err(Error::Stale {
            problem: format!("its process has ended, and {} is another one now", self.pid),
        })
    }
}

/// A refusal of the kernel's, explained.
pub(super) fn refused(pid: u32, operation: impl Into<String>, errno: Errno) -> Error {
    let help = match errno {
        Errno::SRCH => "the process has ended, or is not in this PID namespace".to_owned(),
        Errno::BADF | Errno::NOENT => {
            "it has no such descriptor open: it must keep the frame while its ticket is used"
                .to_owned()
        }
        Errno::NOSYS => {
            "pidfd_getfd needs Linux 5.6: open_frame or send_frame work on every kernel".to_owned()
        }
        Errno::MFILE | Errno::NFILE => {
            "this process has as many descriptors as it may have (RLIMIT_NOFILE)".to_owned()
        }
        Errno::PERM | Errno::ACCESS => explain_permission(pid, errno),
        _ => "send_frame works wherever both can be given the ends of a socket".to_owned(),
    };
    Error::Foreign {
        pid,
        operation: operation.into(),
        source: io::Error::from(errno),
        help,
    }
}

/// What always works.
const SOCKET: &str = "send_frame over a socket, or a stream, needs no such permission";

/// Why this process may not look into that one, and what would change it.
fn explain_permission(pid: u32, errno: Errno) -> String {
    let own = rustix::process::geteuid().as_raw();
    let owner = rustix::fs::statat(CWD, format!("/proc/{pid}"), rustix::fs::AtFlags::empty());
    match owner {
        Ok(owner) if owner.st_uid != own => format!(
            "its descriptors belong to user {}, and this process is user {own}: both must run as one user, or this one have \
             CAP_SYS_PTRACE; a process that is not dumpable (setuid, PR_SET_DUMPABLE) counts as root's. {SOCKET}",
            owner.st_uid
        ),
        // The folder of its descriptors: Yama has no say in it.
        _ if errno == Errno::ACCESS => format!(
            "it is the same user's, but has another group, or capabilities which this process has not. {SOCKET}"
        ),
        _ => {
            let setting = std::fs::read_to_string(PTRACE_SCOPE).ok();
            explain_scope(setting.as_deref().map(str::trim))
        }
    }
}

/// What Yama's setting means for `pidfd_getfd`; it does not hold for `/proc/PID/fd`.
fn explain_scope(setting: Option<&str>) -> String {
    match setting {
        Some("1") => format!(
            "{PTRACE_SCOPE} is 1: only ancestors of that process may, or whom it names with allow_fetch_by (PR_SET_PTRACER); \
             0 would let every process of the user. open_frame is not under this rule, and {SOCKET}"
        ),
        Some("2") => format!(
            "{PTRACE_SCOPE} is 2: only with CAP_SYS_PTRACE. open_frame is not under this rule, and {SOCKET}"
        ),
        Some("3") => format!(
            "{PTRACE_SCOPE} is 3: nobody may, until the next boot. open_frame is not under this rule, and {SOCKET}"
        ),
        setting => {
            let setting = setting.unwrap_or("not there");
            format!(
                "{PTRACE_SCOPE} is {setting}, so it is something else: that process has capabilities which this one has not, \
                 or a container's filter forbids it (Docker's does without CAP_SYS_PTRACE). {SOCKET}"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_of_yama_is_named_with_what_works_instead() {
        for setting in ["0", "1", "2", "3"] {
            let help = explain_scope(Some(setting));
            assert!(
                help.contains(&format!("ptrace_scope is {setting}")),
                "{help}"
            );
            assert!(help.ends_with(SOCKET), "{help}");
        }
        assert!(explain_scope(Some("1")).contains("PR_SET_PTRACER"));
        assert!(explain_scope(None).contains("not there"));
    }

    #[test]
    fn each_answer_of_the_kernel_is_explained() {
        let cases = [
            (Errno::SRCH, "has ended"),
            (Errno::BADF, "must keep the frame"),
            (Errno::NOSYS, "Linux 5.6"),
            (Errno::MFILE, "RLIMIT_NOFILE"),
            (Errno::PERM, "ptrace_scope is"),
            (Errno::ACCESS, "another group"),
        ];
        for (errno, words) in cases {
            let error = refused(std::process::id(), "pidfd_getfd", errno).to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn this_process_started_once() {
        let this = Process::open(std::process::id()).expect("this process");
        let started = this.started().expect("a number");
        // The same number from `ps`' point of view: field 22 of the line, where no name has spaces.
        let line = std::fs::read_to_string("/proc/self/stat").expect("/proc");
        assert!(
            line.split(' ').any(|field| field == started.to_string()),
            "{line}"
        );
        this.check_started(started).expect("the same");
        let error = this.check_started(started + 1).expect_err("another");
        assert!(matches!(error, Error::Stale { .. }), "{error}");
    }

    #[test]
    fn numbers_that_no_process_has() {
        for pid in [0, 1 << 31, u32::MAX] {
            let error = Process::open(pid).expect_err("no process").to_string();
            assert!(error.contains("process number"), "{error}");
        }
        // Beyond the kernel's PID_MAX_LIMIT.
        let error = Process::open(1 << 30).expect_err("no process").to_string();
        assert!(error.contains("has ended"), "{error}");
    }
}
