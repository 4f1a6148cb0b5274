//! Tickets: where a frame's memory lies, in words that any process can be told.

mod fetch;
mod open;
mod process;
#[cfg(feature = "serde")]
mod ticket_serde;

use std::fmt;
use std::os::fd::{AsRawFd as _, RawFd};
use std::str::FromStr;

use lucarne::{Frame, MAX_PLANES, kernel::BufferIdentity};

use crate::descriptor;
use crate::error::{Error, Result};
use crate::frame_message;
use crate::wire::{FrameMessage, Message};

pub use fetch::{allow_fetch_by, fetch_frame};
pub use open::{TicketAccess, open_frame};

/// What a ticket's text begins with, and the version of the rest.
const BEGINNING: &str = "lucarne-frame-1";
/// More than any ticket's text has, in bytes.
const MAX_TICKET: usize = 1024;

/// Where a frame is to be had: a process, the numbers of its descriptors there, and everything else about the frame. Plain data,
/// which goes anywhere as text (`Display` and `FromStr`, or serde with the feature `serde`): a command line, a file, JSON.
///
/// A ticket holds nothing: the frame it was made of must be kept by that process for as long as the ticket is to be used.
/// Numbers are used again by the kernel, so a ticket also says when its process started and which kernel objects it means;
/// another process or another object under the same numbers is [`Error::Stale`], never a wrong picture.
///
/// [`fetch_frame`] takes any frame and needs the permission to trace that process. [`open_frame`] takes host memory only, and
/// needs less. Process numbers are those of one PID namespace, so neither gets into a container or a Flatpak, or out of it:
/// [`send_frame`](crate::send_frame) does.
///
/// ```
/// use lucarne::{DeviceId, Extent, Format, Frame, FrameLayout, Memory, kernel::Memfd};
/// use lucarne_stream::{FrameTicket, fetch_frame};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (layout, size) = FrameLayout::linear(Extent::new(640, 480), Format::XRGB8888)?;
/// let memory = Memory::HostMemory(Memfd::create("a frame", size)?);
/// let frame = Frame::new(layout, memory, DeviceId::default())?;
/// let text = FrameTicket::new(&frame)?.to_string();
///
/// // In another process, which was told the text:
/// let ticket: FrameTicket = text.parse()?;
/// assert!(fetch_frame(&ticket)?.same_memory(&frame));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameTicket {
    pid: u32,
    started: u64,
    objects: Vec<Place>,
    frame: FrameMessage,
}

/// One of a frame's memory objects, where its process has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    descriptor: RawFd,
    identity: BufferIdentity,
}

impl FrameTicket {
    /// A ticket for a frame of this process, which keeps it.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] for colours that the protocol has no number for yet; [`Error::Os`] when `/proc` is not there.
    pub fn new(frame: &Frame) -> Result<Self> {
        let pid = std::process::id();
        let places = frame_message::borrow_descriptors(frame)
            .into_iter()
            .map(|fd| {
                Ok(Place {
                    descriptor: fd.as_raw_fd(),
                    identity: descriptor::identify(fd)?,
                })
            });
        let of = frame_message::to_message(frame);
        // What cannot be said is found out here, and not when the ticket is printed.
        Message::Frame(Box::new(of.clone())).encode()?;
        Ok(Self {
            pid,
            started: process::Process::open(pid)?.started()?,
            objects: places.collect::<Result<_>>()?,
            frame: of,
        })
    }

    /// The process that keeps the frame.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The numbers that the frame's descriptors have in that process: one for each memory object.
    pub fn descriptors(&self) -> Vec<RawFd> {
        self.objects.iter().map(|place| place.descriptor).collect()
    }

    /// What the ticket says about the frame; nothing of it has been compared with the memory.
    pub fn frame(&self) -> &FrameMessage {
        &self.frame
    }
}

impl fmt::Display for FrameTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{BEGINNING}:{}:{}:", self.pid, self.started)?;
        for (index, place) in self.objects.iter().enumerate() {
            let BufferIdentity { device, inode } = place.identity;
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}/{device}/{inode}", place.descriptor)?;
        }
        f.write_str(":")?;
        let message = Message::Frame(Box::new(self.frame.clone())).encode();
        let message = message.map_err(|_| fmt::Error)?;
        message.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for FrameTicket {
    type Err = Error;

    /// Reads what `Display` wrote, without the process: whether the frame is there is found out by
    /// [`fetch_frame`] and [`open_frame`].
    fn from_str(text: &str) -> Result<Self> {
        if text.len() > MAX_TICKET {
            let limit = format!("at most {MAX_TICKET} bytes");
            return Err(invalid("ticket", &text.len().to_string(), &limit));
        }
        let parts: Vec<&str> = text.trim().split(':').collect();
        let &[BEGINNING, pid, started, objects, message] = &parts[..] else {
            let limit = format!("{BEGINNING}:PID:STARTED:FD/DEVICE/INODE,…:FRAME");
            return Err(invalid("ticket", text, &limit));
        };
        let objects: Vec<Place> = objects.split(',').map(parse_place).collect::<Result<_>>()?;
        let limit = format!("{MAX_PLANES} at most");
        if objects.len() > MAX_PLANES {
            return Err(invalid(
                "ticket's objects",
                &objects.len().to_string(),
                &limit,
            ));
        }
        let message = unhex(message).ok_or_else(|| {
            let limit = "two hexadecimal digits for each byte";
            invalid("ticket's frame", message, limit)
        })?;
        let frame = frame_message::parse(&message, objects.len())?;
        Ok(Self {
            pid: process::check_pid(parse_number("ticket's process", pid)?)?,
            started: parse_number("ticket's start", started)?,
            objects,
            frame,
        })
    }
}

/// One object out of a ticket: FD/DEVICE/INODE.
fn parse_place(text: &str) -> Result<Place> {
    let parts: Vec<&str> = text.split('/').collect();
    let &[descriptor, device, inode] = &parts[..] else {
        return Err(invalid("ticket's object", text, "FD/DEVICE/INODE"));
    };
    let descriptor: RawFd = parse_number("ticket's descriptor", descriptor)?;
    if descriptor < 0 {
        let got = descriptor.to_string();
        return Err(invalid("ticket's descriptor", &got, "0 or more"));
    }
    let device = parse_number("ticket's device", device)?;
    let inode = parse_number("ticket's inode", inode)?;
    Ok(Place {
        descriptor,
        identity: BufferIdentity { device, inode },
    })
}

fn parse_number<T: FromStr>(field: &'static str, text: &str) -> Result<T> {
    let parsed = text.parse();
    parsed.map_err(|_| invalid(field, text, "a decimal number in range"))
}

fn invalid(field: &'static str, got: &str, limit: &str) -> Error {
    Error::Invalid {
        field,
        // It may have come from anywhere and is going to a terminal.
        got: format!("{:?}", got.chars().take(80).collect::<String>()),
        limit: limit.to_owned(),
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16)?).ok();
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match *pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        })
        .collect()
}
