//! Names: where streams are found, and who may have one.

use std::fs::FileType;
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lucarne::kernel::PeerCredentials;
use rustix::event::PollFlags;
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::closing;
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::socket::{Inbox, Socket};
use crate::wire::{Description, Details, Message, VERSIONS};

/// The longest name.
pub const MAX_STREAM_NAME: usize = 64;
/// More names than these are counted only.
const NAMES: usize = 8;
/// How long one producer may take to describe itself.
const DESCRIBE: Duration = Duration::from_millis(500);

/// The folder of this user's streams: `$XDG_RUNTIME_DIR/lucarne`.
///
/// # Errors
///
/// [`Error::Os`] when `XDG_RUNTIME_DIR` is not set, [`Error::Path`] when it is relative.
pub fn directory() -> Result<PathBuf> {
    directory_in(std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from))
}

fn directory_in(base: Option<PathBuf>) -> Result<PathBuf> {
    match base {
        Some(base) if base.is_absolute() => Ok(base.join("lucarne")),
        Some(base) if !base.as_os_str().is_empty() => Err(Error::Path {
            path: base,
            problem: "XDG_RUNTIME_DIR is a relative path, but must be absolute".to_owned(),
        }),
        _ => Err(Error::Os {
            operation: "finding the folder of streams",
            source: ErrorKind::NotFound.into(),
            help: "set XDG_RUNTIME_DIR to a folder of this user's own, as a login session does",
        }),
    }
}

/// Checks a stream's name: 1 to 64 of `a-z A-Z 0-9 - _ .`, no dot first.
///
/// # Errors
///
/// [`Error::Name`].
pub fn check_name(name: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let problem = if name.is_empty() {
        "it is empty"
    } else if name.len() > MAX_STREAM_NAME {
        "it is longer than 64 characters"
    } else if name.starts_with('.') {
        "it begins with a dot"
    } else if !name.bytes().all(allowed) {
        "only letters and digits of ASCII, '-', '_' and '.' are allowed"
    } else {
        return Ok(());
    };
    Err(Error::Name {
        name: name.to_owned(),
        problem,
    })
}

pub(crate) fn address(path: &Path) -> Result<SocketAddrUnix> {
    SocketAddrUnix::new(path).map_err(|errno| Error::Path {
        path: path.to_owned(),
        problem: format!(
            "it cannot be a socket's path: {}; one has at most 107 bytes: use a shorter folder",
            std::io::Error::from(errno)
        ),
    })
}

pub(crate) fn open_socket() -> Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
        .map_err(|errno| Error::os("socket", errno))
}

/// Makes the folder, or checks that it is this user's alone: who could write there could take any name.
pub(crate) fn prepare(folder: &Path) -> Result<()> {
    let made = std::fs::DirBuilder::new().mode(0o700).create(folder);
    if let Err(error) = made
        && error.kind() != ErrorKind::AlreadyExists
    {
        return Err(Error::at(folder, "making the folder of streams", error));
    }
    let found = std::fs::symlink_metadata(folder)
        .map_err(|error| Error::at(folder, "looking at the folder of streams", error))?;
    let own = rustix::process::geteuid().as_raw();
    let mode = found.permissions().mode() & 0o7777;
    let problem = if !found.is_dir() {
        format!("it is {}, but must be a folder", what_is(found.file_type()))
    } else if found.uid() != own {
        format!(
            "it belongs to user {}, but must belong to {own}",
            found.uid()
        )
    } else if mode & 0o022 != 0 {
        format!("its mode is {mode:04o}, but nobody else may write there (mode 0700)")
    } else {
        return Ok(());
    };
    Err(Error::Path {
        path: folder.to_owned(),
        problem,
    })
}

/// What something in a folder is, for people.
pub(crate) fn what_is(kind: FileType) -> &'static str {
    if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_file() {
        "a regular file"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device or a pipe"
    }
}

/// The lock of a name. The file stays: removing it would let two producers lock two files of one name.
pub(crate) fn lock(path: &Path, name: &str) -> Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)
        .map_err(|errno| Error::at(path, "opening a stream's lock file", errno))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::AGAIN) => Err(Error::InUse {
            name: name.to_owned(),
        }),
        Err(errno) => Err(Error::at(path, "locking a stream's name", errno)),
    }
}

/// Connects to a producer. Does not block.
pub(crate) fn connect(folder: &Path, name: &str) -> Result<Socket> {
    check_name(name)?;
    if closing::is_backed_up() {
        return Err(Error::Os {
            operation: "connecting to a stream",
            source: Errno::MFILE.into(),
            help: "producers have sent descriptors that cannot be closed: files whose server does not answer",
        });
    }
    let socket = open_socket()?;
    let path = folder.join(name);
    match rustix::net::connect(&socket, &address(&path)?) {
        Ok(()) => Ok(Socket::new(socket)),
        // Nothing there, or a socket that a dead producer left behind.
        Err(Errno::NOENT | Errno::CONNREFUSED) => Err(Error::NotFound {
            name: name.to_owned(),
            folder: folder.to_owned(),
            found: what_is_there(folder, name),
        }),
        Err(Errno::AGAIN) => Err(Error::Os {
            operation: "connecting to a stream",
            source: Errno::AGAIN.into(),
            help: "its producer does not accept connections: it is stopped, or very busy",
        }),
        Err(errno) => Err(Error::at(&path, "connecting to a stream", errno)),
    }
}

/// What a folder holds, for somebody who looked for a stream there in vain.
fn what_is_there(folder: &Path, name: &str) -> String {
    if let Ok(found) = std::fs::symlink_metadata(folder.join(name)) {
        let kind = found.file_type();
        return if kind.is_socket() {
            "a socket of that name is there, on which nobody listens: its producer died".to_owned()
        } else {
            format!("{} has that name", what_is(kind))
        };
    }
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return format!("the folder cannot be read: {error}"),
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| check_name(name).is_ok()).collect();
    names.sort();
    match &names[..] {
        [] => "no stream is there".to_owned(),
        [names @ .., last] if names.len() < NAMES => {
            let before: String = names.iter().map(|name| format!("{name}, ")).collect();
            format!("there is {before}{last}")
        }
        names => format!("there are {} others", names.len()),
    }
}

/// A stream that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// Its producer, as the kernel knows it.
    pub producer: PeerCredentials,
    /// What the producer says about it.
    pub description: Description,
    /// What else it says: what its frames are made of, and how each consumer fares. `None` for a producer that speaks the
    /// protocol's version 1 only.
    pub details: Option<Details>,
    /// How long the producer has had the name.
    pub age: Duration,
}

/// Every stream of this user, by name; sockets of dead producers are left out. A producer that does not answer within half a
/// second is left out too.
///
/// # Errors
///
/// As for [`directory`]; [`Error::Path`] when the folder cannot be read.
pub fn streams() -> Result<Vec<Found>> {
    streams_in(&directory()?)
}

/// As [`streams`], in a folder of the caller's choice. Sockets that dead producers left behind are removed.
///
/// # Errors
///
/// [`Error::Path`] when the folder cannot be read.
pub fn streams_in(folder: &Path) -> Result<Vec<Found>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::at(folder, "reading the folder of streams", error)),
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| check_name(name).is_ok())
        .collect();
    names.sort();
    let described = names.into_iter().filter_map(|name| {
        let described = describe(folder, &name);
        if matches!(described, Err(Error::NotFound { .. })) {
            remove_stale(folder, &name);
        }
        described.ok()
    });
    Ok(described.collect())
}

/// Removes a socket that a dead producer left behind. Whoever begins to use the name has its lock.
fn remove_stale(folder: &Path, name: &str) {
    let path = folder.join(name);
    let is_socket = |known: std::fs::Metadata| known.file_type().is_socket();
    if prepare(folder).is_err() || !std::fs::symlink_metadata(&path).is_ok_and(is_socket) {
        return;
    }
    if let Ok(_lock) = lock(&folder.join(format!(".{name}.lock")), name)
        && matches!(connect(folder, name), Err(Error::NotFound { .. }))
    {
        // Whatever keeps it from being removed, its next producer replaces it.
        let _ = std::fs::remove_file(&path);
    }
}

/// Asks one producer about its stream; half a second at most.
///
/// That costs the producer a connection, a message of a few hundred bytes, and a look at each of its consumers: no frame, no
/// slot, and nothing that its consumers would notice.
///
/// # Errors
///
/// [`Error::NotFound`]; [`Error::Timeout`]; [`Error::Malformed`] and [`Error::Unexpected`] for a producer that breaks the
/// protocol.
pub fn describe(folder: &Path, name: &str) -> Result<Found> {
    let socket = connect(folder, name)?;
    let producer = socket.check_user(true)?;
    socket.send(&Message::Describe(VERSIONS.0, VERSIONS.1), &[])?;
    let until = Deadline::new(DESCRIBE);
    let mut inbox = Inbox::new();
    let (description, details) = loop {
        match socket.receive(&mut inbox)? {
            Some((Message::Description(description), _)) => break (*description, None),
            Some((Message::Report(report), _)) => break (report.description, Some(report.details)),
            Some((Message::Refused(farewell), _)) => return Err(Error::Refused(farewell)),
            Some((other, _)) => {
                return Err(Error::Unexpected {
                    message: other.name(),
                    expected: "Description or Report",
                });
            }
            None => until.wait(socket.as_fd(), PollFlags::IN, "the description of a stream")?,
        }
    };
    let age = now().saturating_sub(description.since);
    Ok(Found {
        name: name.to_owned(),
        producer,
        description,
        details,
        age: Duration::from_nanos(age),
    })
}

/// Nanoseconds on `CLOCK_MONOTONIC`.
pub(crate) fn now() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds * 1_000_000_000 + nanoseconds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_runtime_folder_is_called_so() {
        let error = directory_in(Some("run/user".into())).expect_err("relative");
        let error = error.to_string();
        assert!(
            error.contains("run/user") && error.contains("relative"),
            "{error}"
        );
        let error = directory_in(None).expect_err("not set").to_string();
        assert!(error.contains("set XDG_RUNTIME_DIR"), "{error}");
    }
}
