//! What a file descriptor of a process is. Nothing is asked of a file that might not answer: its name decides first.

use std::fmt;
use std::fs;
use std::os::fd::OwnedFd;
use std::str::FromStr;

use lucarne::kernel::{FenceStatus, SyncFile};
use rustix::fs::{Mode, OFlags, SealFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags};
use serde::Serialize;

use super::holders::{self, Holder, Identity};
use crate::Failure;
use crate::output::{Output, bold};

/// A descriptor of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(super) pid: u32,
    pub(super) number: u32,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || format!("{text:?} is not PID:FD, as in 4242:17");
        let (pid, number) = text.split_once(':').ok_or_else(wanted)?;
        Ok(Self {
            pid: pid.parse().map_err(|_| wanted())?,
            number: number.parse().map_err(|_| wanted())?,
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "descriptor {} of process {}", self.number, self.pid)
    }
}

impl Place {
    fn path(self) -> String {
        format!("/proc/{}/fd/{}", self.pid, self.number)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    DmaBuf,
    Memfd,
    SyncFile,
    Eventfd,
    Other,
}

impl Kind {
    /// By the name that the kernel gives a descriptor, which a file in user space cannot take.
    fn of(name: &str) -> Self {
        match name {
            _ if name.starts_with("/dmabuf:") => Self::DmaBuf,
            _ if name.starts_with("/memfd:") => Self::Memfd,
            "anon_inode:sync_file" => Self::SyncFile,
            "anon_inode:[eventfd]" => Self::Eventfd,
            _ => Self::Other,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::DmaBuf => "a dma-buf",
            Self::Memfd => "a memfd",
            Self::SyncFile => "a sync_file",
            Self::Eventfd => "an eventfd",
            Self::Other => "neither memory nor a fence",
        }
    }
}

/// What was found out.
#[derive(Debug, Serialize)]
pub(crate) struct Descriptor {
    pid: u32,
    fd: u32,
    process: String,
    kind: Kind,
    /// The kernel's name for it.
    name: String,
    size: Option<u64>,
    exporter: Option<String>,
    seals: Option<Vec<&'static str>>,
    fence: Option<String>,
    identity: Option<Identity>,
    holders: Vec<Holder>,
    /// What could not be found out, and why.
    notes: Vec<String>,
}

impl Descriptor {
    /// Looks at a descriptor, without taking it from its process.
    pub(crate) fn look_at(place: Place) -> Result<Self, Failure> {
        let name = fs::read_link(place.path()).map_err(|error| refused(place, &error))?;
        let name = name.to_string_lossy().into_owned();
        let kind = Kind::of(&name);
        let mut found = Self {
            pid: place.pid,
            fd: place.number,
            process: holders::command(place.pid),
            kind,
            name,
            size: None,
            exporter: None,
            seals: None,
            fence: None,
            identity: None,
            holders: Vec::new(),
            notes: Vec::new(),
        };
        match kind {
            Kind::DmaBuf => found.look_at_dma_buf(place),
            Kind::Memfd => found.look_at_memfd(place),
            Kind::SyncFile => found.look_at_fence(place),
            Kind::Eventfd | Kind::Other => {}
        }
        if matches!(kind, Kind::DmaBuf | Kind::Memfd) {
            found.find_holders(place);
        }
        Ok(found)
    }

    fn look_at_dma_buf(&mut self, place: Place) {
        let path = format!("/proc/{}/fdinfo/{}", place.pid, place.number);
        match fs::read_to_string(&path) {
            Ok(text) => {
                self.size = field(&text, "size").and_then(|size| size.parse().ok());
                self.exporter = field(&text, "exp_name").map(str::to_owned);
            }
            Err(error) => self.notes.push(format!("{path}: {error}")),
        }
    }

    fn look_at_memfd(&mut self, place: Place) {
        // Opens the file anew: nothing of the process's own descriptor changes.
        let opened = rustix::fs::open(
            place.path(),
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        );
        let asked = opened.and_then(|file| {
            let size = rustix::fs::fstat(&file)?.st_size;
            Ok((size, rustix::fs::fcntl_get_seals(&file)?))
        });
        match asked {
            Ok((size, seals)) => {
                self.size = u64::try_from(size).ok();
                self.seals = Some(seal_names(seals));
            }
            Err(errno) => self
                .notes
                .push(format!("size and seals are not known: {errno}")),
        }
        if self.name.contains("udmabuf") {
            self.notes.push("it stands in for a dma-buf: this machine has no /dev/udmabuf, and lucarne-udmabuf emulates it".to_owned());
        }
    }

    fn look_at_fence(&mut self, place: Place) {
        let asked = fetch(place)
            .map_err(|errno| match errno {
                Errno::PERM => "the kernel does not let this process trace that one (ptrace_scope, see docs/shared-memory.md)".to_owned(),
                errno => errno.to_string(),
            })
            .and_then(|fd| SyncFile::new(fd).and_then(|file| file.info()).map_err(|error| error.to_string()));
        match asked {
            Ok(info) => {
                let status = match info.status {
                    FenceStatus::Active => "has not signalled".to_owned(),
                    FenceStatus::Signaled => "has signalled".to_owned(),
                    FenceStatus::Failed(errno) => format!("failed with errno {errno}"),
                };
                let drivers: Vec<&str> =
                    info.fences.iter().map(|fence| &fence.driver[..]).collect();
                self.fence = Some(format!("{status}; made by {}", drivers.join(", ")));
            }
            Err(reason) => self
                .notes
                .push(format!("whether it has signalled is not known: {reason}")),
        }
    }

    fn find_holders(&mut self, place: Place) {
        let Ok(stat) = rustix::fs::stat(place.path()) else {
            return;
        };
        let identity = Identity {
            device: stat.st_dev,
            inode: stat.st_ino,
        };
        self.identity = Some(identity);
        let (holders, closed) = holders::of(identity, &self.name);
        self.holders = holders;
        if closed > 0 {
            self.notes.push(format!(
                "{closed} processes may not be looked at; they may hold it, too (run it as root)"
            ));
        }
        if self.kind == Kind::DmaBuf && self.exporter.is_none() {
            let path = format!(
                "/sys/kernel/dmabuf/buffers/{}/exporter_name",
                identity.inode
            );
            self.exporter = fs::read_to_string(path)
                .ok()
                .map(|name| name.trim().to_owned());
        }
    }

    pub(crate) fn print(&self, output: &mut Output) -> Result<(), Failure> {
        let title = format!(
            "descriptor {} of process {} ({})",
            self.fd, self.pid, self.process
        );
        output.line(format_args!("{} is {}", bold(&title), self.kind.words()))?;
        output.field("name", &self.name)?;
        if let Some(size) = self.size {
            output.field("size", format_args!("{size} bytes"))?;
        }
        if let Some(exporter) = &self.exporter {
            output.field("exporter", exporter)?;
        }
        if let Some(seals) = &self.seals {
            let text = if seals.is_empty() {
                "none: whoever holds it may shrink it".to_owned()
            } else {
                seals.join(", ")
            };
            output.field("seals", text)?;
        }
        if let Some(fence) = &self.fence {
            output.field("fence", fence)?;
        }
        for holder in &self.holders {
            output.field("held by", holder)?;
        }
        for note in &self.notes {
            output.field("note", note)?;
        }
        Ok(())
    }
}

fn refused(place: Place, error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    let why = match error.kind() {
        ErrorKind::NotFound if fs::exists(format!("/proc/{}", place.pid)).unwrap_or(false) => {
            format!(
                "process {} has no such descriptor; ls -l /proc/{0}/fd lists them",
                place.pid
            )
        }
        ErrorKind::NotFound => format!("there is no process {}", place.pid),
        ErrorKind::PermissionDenied => {
            "it belongs to another user: run this as that user, or as root".to_owned()
        }
        _ => error.to_string(),
    };
    format!("{place} cannot be looked at: {why}")
}

/// A copy of the descriptor, for questions that only its holder may ask.
fn fetch(place: Place) -> rustix::io::Result<OwnedFd> {
    let pid = i32::try_from(place.pid)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or(Errno::SRCH)?;
    let number = i32::try_from(place.number).map_err(|_| Errno::BADF)?;
    let process = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
    rustix::process::pidfd_getfd(&process, number, PidfdGetfdFlags::empty())
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
}

fn seal_names(seals: SealFlags) -> Vec<&'static str> {
    let names = [
        (SealFlags::SEAL, "F_SEAL_SEAL"),
        (SealFlags::SHRINK, "F_SEAL_SHRINK"),
        (SealFlags::GROW, "F_SEAL_GROW"),
        (SealFlags::WRITE, "F_SEAL_WRITE"),
        (SealFlags::FUTURE_WRITE, "F_SEAL_FUTURE_WRITE"),
    ];
    names
        .iter()
        .filter(|(seal, _)| seals.contains(*seal))
        .map(|(_, name)| *name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_decide_what_a_descriptor_is() {
        assert_eq!(Kind::of("/dmabuf:"), Kind::DmaBuf);
        assert_eq!(Kind::of("/memfd:frame (deleted)"), Kind::Memfd);
        assert_eq!(Kind::of("anon_inode:sync_file"), Kind::SyncFile);
        assert_eq!(Kind::of("socket:[123]"), Kind::Other);
    }

    #[test]
    fn places_are_two_numbers() {
        assert_eq!(
            "4242:17".parse(),
            Ok(Place {
                pid: 4242,
                number: 17
            })
        );
        for wrong in ["17", "4242:", ":17", "4242:-1", "a:b"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn fields_of_fdinfo_are_found() {
        let text = "pos:\t0\nsize:\t4096\ncount:\t2\nexp_name:\tudmabuf\n";
        assert_eq!(field(text, "size"), Some("4096"));
        assert_eq!(field(text, "exp_name"), Some("udmabuf"));
        assert_eq!(field(text, "name"), None);
    }
}
