//! Frames and the descriptors of their memory: apart for the wire, and together again with every check.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use lucarne::{
    Frame, FrameLayout, MAX_PLANES, Memory, MemoryPath, OpaqueFd,
    kernel::{DmaBuf, Memfd},
};
use rustix::event::PollFlags;
use rustix::net::SocketType;

use crate::deadline::Deadline;
use crate::descriptor;
use crate::error::{Error, Result};
use crate::socket;
use crate::wire::{FrameMessage, Malformed, Message, SlotLayout};

/// A frame's geometry as it goes on the wire.
pub(crate) fn slot_layout(frame: &Frame) -> SlotLayout {
    let allocation = match frame.memory() {
        Memory::OpaqueFd(opaque) => opaque.allocation_bytes(),
        _ => 0,
    };
    SlotLayout::of(frame.layout(), allocation)
}

/// The descriptors of a frame's memory, in their order.
pub(crate) fn borrow_descriptors(frame: &Frame) -> Vec<BorrowedFd<'_>> {
    match frame.memory() {
        Memory::DmaBuf(buffers) => buffers.iter().map(AsFd::as_fd).collect(),
        Memory::OpaqueFd(opaque) => vec![opaque.as_fd()],
        Memory::HostMemory(memfd) => vec![memfd.as_fd()],
    }
}

/// Makes a frame of what came from a peer: sizes and seals are the kernel's answers, and every plane must fit them.
pub(crate) fn assemble(of: &FrameMessage, fds: Vec<OwnedFd>) -> Result<Frame> {
    fds.iter().try_for_each(descriptor::check_memory)?;
    join(of, fds).map_err(Error::of_peers_memory)
}

fn join(of: &FrameMessage, fds: Vec<OwnedFd>) -> lucarne::Result<Frame> {
    let (memory, sizes) = take_memory(of, fds)?;
    let layout = if of.path == MemoryPath::OpaqueFd {
        FrameLayout::opaque(of.extent, of.format)?
    } else {
        FrameLayout::new(
            of.extent,
            of.format,
            of.slot.tiling,
            &of.slot.planes,
            &sizes,
        )?
    };
    Frame::new(layout, memory, of.device.clone())?.with_color(of.color)
}

/// The memory objects, and the sizes that the kernel tells of them; opaque memory's are its driver's affair.
fn take_memory(of: &FrameMessage, fds: Vec<OwnedFd>) -> lucarne::Result<(Memory, Vec<u64>)> {
    if of.path == MemoryPath::DmaBuf {
        let buffers = fds.into_iter().map(DmaBuf::new);
        let buffers: Vec<DmaBuf> = buffers.collect::<lucarne::Result<_>>()?;
        let sizes = buffers.iter().map(DmaBuf::size).collect();
        return Ok((Memory::DmaBuf(buffers), sizes));
    }
    let [fd] = <[OwnedFd; 1]>::try_from(fds).map_err(|fds| lucarne::Error::Invalid {
        field: "descriptors of a frame",
        got: fds.len().to_string(),
        limit: format!("one for {}", of.path),
    })?;
    if of.path == MemoryPath::OpaqueFd {
        let opaque = OpaqueFd::new(fd, of.slot.allocation_bytes)?;
        return Ok((Memory::OpaqueFd(opaque), Vec::new()));
    }
    let memfd = Memfd::new(fd)?;
    let sizes = vec![memfd.size()];
    Ok((Memory::HostMemory(memfd), sizes))
}

/// Turns a frame into bytes and descriptors, for any transport that carries descriptors (D-Bus, Wayland, a protocol of your
/// own). The bytes are the message `Frame` of docs/protocol.md. The descriptors are those of its memory; they stay the frame's
/// own.
///
/// ```
/// use lucarne::{DeviceId, Extent, Format, Frame, FrameLayout, Memory, kernel::Memfd};
/// use lucarne_stream::{decode_frame, encode_frame};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (layout, size) = FrameLayout::linear(Extent::new(640, 480), Format::XRGB8888)?;
/// let memory = Memory::HostMemory(Memfd::create("a frame", size)?);
/// let frame = Frame::new(layout, memory, DeviceId::default())?;
///
/// let (message, descriptors) = encode_frame(&frame)?;
/// // … the transport makes new descriptors of them at the other end …
/// let received = descriptors.iter().map(|fd| fd.try_clone_to_owned());
/// let received = decode_frame(&message, received.collect::<Result<_, _>>()?)?;
/// assert!(received.same_memory(&frame));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`Error::Malformed`] for colours that the protocol has no number for yet.
pub fn encode_frame(frame: &Frame) -> Result<(Vec<u8>, Vec<BorrowedFd<'_>>)> {
    let message = Message::Frame(Box::new(to_message(frame)));
    Ok((message.encode()?, borrow_descriptors(frame)))
}

/// Turns the bytes and descriptors of [`encode_frame`] into a frame, at the other end of a transport. Everything is checked:
/// the kernel is asked for sizes and seals, and the layout must fit them.
///
/// Takes the descriptors; all are closed on an error. Does not block, whatever the descriptors are. A driver believes what it
/// reads in opaque memory: import such memory only from programs that you trust.
///
/// # Errors
///
/// [`Error::Malformed`] and [`Error::Unexpected`] when it is not a frame; [`Error::Core`] and [`Error::Os`] when the kernel
/// refuses.
pub fn decode_frame(message: &[u8], descriptors: Vec<OwnedFd>) -> Result<Frame> {
    // First: what is no memory may be slow to close, whatever the message says.
    decode_accepted(message, descriptor::accept(descriptors)?)
}

/// As [`decode_frame`], for descriptors of known kinds.
fn decode_accepted(message: &[u8], descriptors: Vec<OwnedFd>) -> Result<Frame> {
    let of = parse(message, descriptors.len())?;
    assemble(&of, descriptors)
}

/// Reads a `Frame` message, which must be one for so many descriptors.
pub(crate) fn parse(message: &[u8], descriptors: usize) -> Result<FrameMessage> {
    let message = Message::decode(message)?;
    socket::check_descriptors(&message, descriptors)?;
    match message {
        Message::Frame(of) => Ok(*of),
        other => Err(Error::Unexpected {
            message: other.name(),
            expected: "Frame",
        }),
    }
}

/// Everything about a frame but its descriptors.
pub(crate) fn to_message(frame: &Frame) -> FrameMessage {
    let layout = frame.layout();
    FrameMessage {
        extent: layout.extent(),
        format: layout.format(),
        color: layout.color(),
        path: frame.memory().path(),
        device: frame.device().clone(),
        slot: slot_layout(frame),
    }
}

/// Sends a frame over a socket of the program's own: any Unix socket, connected. The frame's descriptors stay its own;
/// the receiver gets new ones for the same memory.
///
/// Fences do not travel: both ends agree on their own when the frame may be touched. Blocks while the socket is full,
/// `timeout` at most, whether or not the socket itself is non-blocking.
///
/// ```
/// use std::os::unix::net::UnixStream;
/// use std::time::Duration;
///
/// use lucarne::{DeviceId, Extent, Format, Frame, FrameLayout, Memory, kernel::Memfd};
/// use lucarne_stream::{receive_frame, send_frame};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (ours, theirs) = UnixStream::pair()?;
/// let (layout, size) = FrameLayout::linear(Extent::new(640, 480), Format::XRGB8888)?;
/// let memory = Memory::HostMemory(Memfd::create("a frame", size)?);
/// let frame = Frame::new(layout, memory, DeviceId::default())?;
/// send_frame(&ours, &frame, Duration::from_secs(1))?;
///
/// // In the other process:
/// let received = receive_frame(&theirs, Duration::from_secs(1))?;
/// assert!(received.same_memory(&frame));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`Error::Timeout`]; [`Error::PeerGone`]; [`Error::Os`]; and those of [`encode_frame`].
///
/// # References
///
/// unix(7), `SCM_RIGHTS`; the message `Frame` of docs/protocol.md.
pub fn send_frame(socket: impl AsFd, frame: &Frame, timeout: Duration) -> Result<()> {
    let message = Message::Frame(Box::new(to_message(frame)));
    let fds = borrow_descriptors(frame);
    let until = Deadline::new(timeout);
    loop {
        match socket::send(socket.as_fd(), &message, &fds) {
            Err(Error::SocketFull) => {
                let waiting_for = "room in the socket for a frame";
                until.wait(socket.as_fd(), PollFlags::OUT, waiting_for)?;
            }
            other => return other,
        }
    }
}

/// Receives a frame that [`send_frame`] sent. The sender is not believed: the kernel is asked for sizes and seals, and the
/// layout must fit them. A driver believes what it reads in opaque memory: import such memory only from programs that you
/// trust.
///
/// Blocks until a frame comes, `timeout` at most. Every descriptor that came is closed on an error. [`send_frame`] has an
/// example of both ends.
///
/// # Errors
///
/// [`Error::Timeout`]; [`Error::PeerGone`]; [`Error::Malformed`] and [`Error::Unexpected`] when it is not a frame;
/// [`Error::Core`] when the kernel refuses; [`Error::Os`], with EMFILE when this process may not open more descriptors.
///
/// # References
///
/// unix(7), `SCM_RIGHTS`; recv(2), `MSG_CMSG_CLOEXEC` and `MSG_CTRUNC`.
pub fn receive_frame(socket: impl AsFd, timeout: Duration) -> Result<Frame> {
    let socket = socket.as_fd();
    let stream = rustix::net::sockopt::socket_type(socket)
        .map_err(|errno| Error::os("SO_TYPE", errno))?
        == SocketType::STREAM;
    let until = Deadline::new(timeout);
    let mut bytes = [0; FRAME_BYTES];
    let mut length = 0;
    let mut fds = Vec::new();
    while length < FRAME_BYTES {
        let Some((more, came)) = socket::receive(socket, &mut bytes[length..])? else {
            until.wait(socket, PollFlags::IN, "a frame's arrival")?;
            continue;
        };
        if more == 0 {
            return Err(Error::PeerGone);
        }
        length += more;
        fds.extend(came);
        // A sender that adds descriptors to every byte of a stream fills no table here.
        if fds.len() > MAX_PLANES {
            let limit = format!("at most {MAX_PLANES}");
            return Err(Malformed::new("descriptors received", fds.len(), limit).into());
        }
        if !stream {
            break;
        }
    }
    decode_accepted(&bytes[..length], fds)
}

/// A `Frame` message has no part whose length changes.
const FRAME_BYTES: usize = 248;
