//! A connection: whole messages with their descriptors, never blocking, never believing.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use lucarne::kernel::PeerCredentials;
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};

use crate::descriptor;
use crate::error::{Error, Result};
use crate::wire::{MAX_DESCRIPTORS, MAX_MESSAGE, Malformed, Message, WAKE_MESSAGE};

/// Room for the control data of one message.
const CONTROL: usize = rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS));

/// As much as the kernel sends with one, and whose it is.
const LEFTOVERS: usize = rustix::cmsg_space!(ScmRights(253), ScmCredentials(1));

/// A connected socket of whole messages.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
}

/// Where messages are received; used again for each.
pub(crate) struct Inbox {
    bytes: Box<[u8]>,
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Inbox")
    }
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self {
            bytes: vec![0; MAX_MESSAGE].into_boxed_slice(),
        }
    }
}

impl Socket {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// Who is at the other end, as the kernel knows it. Refuses another user, unless that is allowed.
    pub(crate) fn check_user(&self, allow_others: bool) -> Result<PeerCredentials> {
        let peer = PeerCredentials::of(&self.fd)?;
        let own = rustix::process::geteuid().as_raw();
        if peer.uid != own && !allow_others {
            return Err(Error::User {
                peer: peer.uid,
                own,
            });
        }
        Ok(peer)
    }

    /// Sends one message with its descriptors, which stay the caller's. Does not block.
    pub(crate) fn send(&self, message: &Message, fds: &[BorrowedFd<'_>]) -> Result<()> {
        send(self.fd.as_fd(), message, fds)
    }

    /// Wakes a peer that sleeps. One whose socket is full has something to read, and so is awake; one that is gone is found
    /// out by its hang-up. Does not block, whatever the peer does to its end, and does not allocate.
    pub(crate) fn wake(&self) {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let _ = rustix::net::send(&self.fd, &WAKE_MESSAGE, flags);
    }

    /// Receives one message with its descriptors. Does not block: `None` where there is none.
    pub(crate) fn receive(&self, inbox: &mut Inbox) -> Result<Option<(Message, Vec<OwnedFd>)>> {
        let Some((length, fds)) = receive(self.fd.as_fd(), &mut inbox.bytes)? else {
            return Ok(None);
        };
        if length == 0 {
            return Err(Error::PeerGone);
        }
        let message = Message::decode(&inbox.bytes[..length])?;
        check_descriptors(&message, fds.len())?;
        Ok(Some((message, fds)))
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// More messages than a socket's buffer has room for.
pub(crate) const MOST_UNREAD: usize = 1024;

impl Drop for Socket {
    /// What lies unread in a socket goes with it, and may be as slow to close as what was read.
    fn drop(&mut self) {
        let _ = rustix::net::shutdown(&self.fd, rustix::net::Shutdown::Both);
        // With this every message has control data, and the end of the stream has none.
        if rustix::net::sockopt::set_socket_passcred(&self.fd, true).is_err() {
            return;
        }
        for _ in 0..MOST_UNREAD {
            if !discard(self.fd.as_fd()) {
                return;
            }
        }
    }
}

/// Takes a message out of a socket and closes what it carries. False where there is none.
fn discard(socket: BorrowedFd<'_>) -> bool {
    let mut space = [MaybeUninit::uninit(); LEFTOVERS];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [0];
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    if rustix::net::recvmsg(socket, &mut parts, &mut control, flags).is_err() {
        return false;
    }
    let mut found = false;
    for message in control.drain() {
        found = true;
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            let _ = descriptor::accept(rights.collect());
        }
    }
    found
}

/// Sends a message on any socket that carries descriptors. Does not block, and does not allocate for a Fence: that goes with
/// a frame.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    message: &Message,
    fds: &[BorrowedFd<'_>],
) -> Result<()> {
    check_descriptors(message, fds.len())?;
    match message {
        Message::Fence(of) => send_bytes(socket, &of.encode_message(), fds),
        other => send_bytes(socket, &other.encode()?, fds),
    }
}

fn send_bytes(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); CONTROL];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        let limit = format!("at most {MAX_DESCRIPTORS}");
        return Err(Malformed::new("descriptors", fds.len(), limit).into());
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    let parts = [IoSlice::new(bytes)];
    let sent =
        rustix::io::retry_on_intr(|| rustix::net::sendmsg(socket, &parts, &mut control, flags));
    match sent {
        Ok(sent) if sent == bytes.len() => Ok(()),
        // Only a stream socket does this, whose reader would take the next message for the rest of this one.
        Ok(sent) => Err(Error::Invalid {
            field: "bytes sent",
            got: sent.to_string(),
            limit: format!("{}: a stream socket was full in the middle", bytes.len()),
        }),
        // The peer does not read, or the kernel has no room.
        Err(Errno::AGAIN | Errno::NOBUFS) => Err(Error::SocketFull),
        Err(Errno::TOOMANYREFS) => Err(Error::Os {
            operation: "sending descriptors",
            source: Errno::TOOMANYREFS.into(),
            help: "as many are under way as this user may have open (RLIMIT_NOFILE): peers do not read what they are sent",
        }),
        Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => Err(Error::PeerGone),
        Err(errno) => Err(Error::os("sendmsg", errno)),
    }
}

/// Receives into `bytes`. `None` where nothing is there. Does not block. Everything that came is closed on an error.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
) -> Result<Option<(usize, Vec<OwnedFd>)>> {
    let mut space = [MaybeUninit::uninit(); CONTROL];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let mut once = || {
        rustix::io::retry_on_intr(|| {
            let mut parts = [IoSliceMut::new(bytes)];
            rustix::net::recvmsg(socket, &mut parts, &mut control, flags)
        })
    };
    // A peer that hangs up with messages unread resets the connection. The kernel tells that once, before what the peer has
    // sent, such as its End.
    let received = match once() {
        Err(Errno::CONNRESET) => once(),
        received => received,
    };
    let received = match received {
        Ok(received) => received,
        Err(Errno::AGAIN) => return Ok(None),
        Err(Errno::CONNRESET | Errno::PIPE) => return Err(Error::PeerGone),
        Err(errno) => return Err(Error::os("recvmsg", errno)),
    };
    let mut fds = Vec::new();
    let mut foreign = false;
    for message in control.drain() {
        match message {
            RecvAncillaryMessage::ScmRights(rights) => fds.extend(rights),
            _ => foreign = true,
        }
    }
    if received.flags.contains(ReturnFlags::CTRUNC) {
        return Err(cut_off(socket, fds));
    }
    let fds = descriptor::accept(fds)?;
    if received.flags.contains(ReturnFlags::TRUNC) {
        let limit = format!("at most {MAX_MESSAGE} bytes");
        return Err(Malformed::new("length", "more", limit).into());
    }
    if foreign {
        let limit = "descriptors (SCM_RIGHTS) only";
        return Err(Malformed::new("control data", "something else", limit).into());
    }
    Ok(Some((received.bytes, fds)))
}

/// Why control data was cut off: there was more of it than any message has, or this process has no descriptor left.
fn cut_off(socket: BorrowedFd<'_>, received: Vec<OwnedFd>) -> Error {
    // While what was received is still open: could there be one more?
    let one_more = rustix::io::fcntl_dupfd_cloexec(socket, 0);
    let _ = descriptor::accept(received);
    match one_more {
        Err(errno @ (Errno::MFILE | Errno::NFILE)) => Error::Os {
            operation: "receiving descriptors",
            source: errno.into(),
            help: "this process has as many open as it may have (RLIMIT_NOFILE): close some, or raise the limit",
        },
        _ => Malformed::new(
            "control data",
            "cut off",
            format!("at most {MAX_DESCRIPTORS} descriptors"),
        )
        .into(),
    }
}

pub(crate) fn check_descriptors(message: &Message, count: usize) -> Result<()> {
    if count == message.descriptors() {
        return Ok(());
    }
    let limit = format!("{}, as {} has", message.descriptors(), message.name());
    Err(Malformed::new("descriptors received", count, limit).into())
}
