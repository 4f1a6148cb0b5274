//! What the kernel can do for sharing, and what keeps a process from it.

use std::fs;

use lucarne::kernel::{Memfd, Udmabuf};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, PidfdGetfdFlags};
use serde::{Deserialize, Serialize};

/// Something that the kernel can do, or not.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Feature {
    pub(super) name: String,
    /// Nothing where it could not be tried.
    pub(super) works: Option<bool>,
    pub(super) detail: String,
}

pub(super) fn all() -> Vec<Feature> {
    let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
    vec![
        seals(),
        pidfd(),
        yama(scope.ok().as_deref()),
        implicit_sync(),
    ]
}

fn seals() -> Feature {
    let made = Memfd::create("lucarne-doctor", 4096);
    let detail = made.as_ref().err().map(|error| {
        format!("{error}: host memory cannot be shared; a filter of system calls, or a kernel of before Linux 3.17")
    });
    Feature {
        name: "sealed memfds".to_owned(),
        works: Some(made.is_ok()),
        detail: detail.unwrap_or_default(),
    }
}

/// Fetching a descriptor from a process that may be traced; a container's filter often forbids it.
fn pidfd() -> Feature {
    let own = rustix::process::getpid();
    let fetched = rustix::process::pidfd_open(own, PidfdFlags::empty())
        .and_then(|process| rustix::process::pidfd_getfd(&process, 0, PidfdGetfdFlags::empty()));
    Feature {
        name: "pidfd_getfd".to_owned(),
        works: Some(fetched.is_ok()),
        detail: fetched.err().map(no_pidfd).unwrap_or_default(),
    }
}

fn no_pidfd(errno: Errno) -> String {
    match errno {
        Errno::PERM => {
            "a filter of system calls forbids it, as Docker's does: fetch_frame will not work"
                .to_owned()
        }
        Errno::NOSYS => {
            "needs Linux 5.6, or a filter of system calls that knows it: fetch_frame will not work"
                .to_owned()
        }
        other => other.to_string(),
    }
}

/// What Yama's `ptrace_scope` allows; there is none where the kernel has no Yama.
fn yama(scope: Option<&str>) -> Feature {
    let (works, detail) = match scope.map(str::trim) {
        Some("0") | None => (Some(true), String::new()),
        Some("1") => (
            Some(false),
            "Yama's ptrace_scope is 1: only from one's own children, or with allow_fetch_by"
                .to_owned(),
        ),
        Some("2") => (
            Some(false),
            "Yama's ptrace_scope is 2: only with CAP_SYS_PTRACE, as root has it".to_owned(),
        ),
        Some("3") => (
            Some(false),
            "Yama's ptrace_scope is 3: from nobody, until the machine starts again".to_owned(),
        ),
        Some(_) => (None, "Yama's ptrace_scope is none of 0 to 3".to_owned()),
    };
    Feature {
        name: "fetching from any process of this user".to_owned(),
        works,
        detail,
    }
}

fn implicit_sync() -> Feature {
    let name = "fences of dma-bufs (DMA_BUF_IOCTL_EXPORT_SYNC_FILE)".to_owned();
    let made = Udmabuf::open().and_then(|device| device.create(4096));
    match made {
        Ok(buffer) => {
            let support = buffer.implicit_sync();
            Feature {
                name,
                works: Some(support.is_yes()),
                detail: support.reason(),
            }
        }
        Err(_) => Feature {
            name,
            works: None,
            detail: "not tried: that takes /dev/udmabuf. Linux 6.0 and later have it".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yama_says_who_may_fetch_from_whom() {
        for open in [None, Some("0\n")] {
            let told = yama(open);
            assert_eq!((told.works, told.detail.as_str()), (Some(true), ""));
        }
        for (scope, part) in [
            ("1\n", "allow_fetch_by"),
            ("2\n", "CAP_SYS_PTRACE"),
            ("3\n", "from nobody"),
        ] {
            let told = yama(Some(scope));
            assert_eq!(told.works, Some(false), "{scope:?}");
            assert!(told.detail.contains(part), "{scope:?}: {}", told.detail);
        }
        assert_eq!(yama(Some("many")).works, None);
    }

    #[test]
    fn a_descriptor_that_cannot_be_fetched_has_its_reason() {
        assert!(no_pidfd(Errno::PERM).contains("as Docker's does"));
        assert!(no_pidfd(Errno::NOSYS).contains("needs Linux 5.6"));
    }
}
