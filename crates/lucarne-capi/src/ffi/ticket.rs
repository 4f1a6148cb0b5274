//! Tickets: a frame for a process that fetches it, in words that go anywhere.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use lucarne_stream::{FrameTicket, TicketAccess};

use super::error::{lucarne_error, lucarne_status};
use super::frame::lucarne_frame;
use super::guard::{self, given};
use crate::convert;
use crate::failure::{Failure, Result};

/// Room for every ticket's text, with its NUL.
pub const LUCARNE_TICKET_BYTES: u32 = 1025;

/// Reading alone: the kernel refuses to map the frame for writing.
pub const LUCARNE_TICKET_READ: u32 = 1;
/// Reading and writing.
pub const LUCARNE_TICKET_READ_WRITE: u32 = 2;

/// Writes a ticket: where the frame's memory is to be had, as text for a command line, a file, JSON. A ticket holds nothing: keep the frame
/// for as long as it is to be used. Process and kernel object are compared when it is: what is another by then is
/// `LUCARNE_STATUS_NOT_FOUND`, never a wrong picture. docs/shared-memory.md says whom it suits. Any thread.
///
/// `length` gets the bytes of the text without the NUL. A text that does not fit into `size` bytes is refused;
/// `LUCARNE_TICKET_BYTES` is always enough.
///
/// # Safety
///
/// `text` is `NULL`, or has room for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_frame_ticket(
    frame: Option<&lucarne_frame>,
    text: *mut c_char,
    size: usize,
    length: Option<&mut MaybeUninit<usize>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::fill(length, "length", error, || {
        let ticket = FrameTicket::new(given(frame, "frame")?.frame())?.to_string();
        given((!text.is_null()).then_some(()), "text")?;
        if size <= ticket.len() {
            let limit = format!("at least {}: a part of a ticket is none", ticket.len() + 1);
            return Err(Failure::argument("size", size, limit));
        }
        // SAFETY: this function's contract.
        Ok(unsafe { guard::write_text(&ticket, text, size) })
    })
}

/// Fetches a ticket's frame of any memory: new descriptors for the same memory. The process that keeps it takes no part. Does not
/// block. Any thread.
///
/// The kernel asks whether this process may trace that one: the same user, and where Yama's `ptrace_scope` is 1 an ancestor of it, or
/// whom it has allowed (`lucarne_ticket_allow_fetch_by`). Between programs that do not trust each other use a stream.
///
/// # Safety
///
/// `ticket` is `NULL`, or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_ticket_fetch(
    ticket: *const c_char,
    frame: Option<&mut MaybeUninit<Option<Box<lucarne_frame>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(frame, "frame", error, || {
        // SAFETY: this function's contract.
        let ticket = unsafe { read(ticket) }?;
        let frame = lucarne_stream::fetch_frame(&ticket)?;
        Ok(lucarne_frame::new(&frame))
    })
}

/// Opens a ticket's frame of host memory, for `access` (`LUCARNE_TICKET_…`). The same user will do, whatever Yama says; dma-bufs are
/// refused. Otherwise as `lucarne_ticket_fetch`.
///
/// # Safety
///
/// `ticket` is `NULL`, or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_ticket_open(
    ticket: *const c_char,
    access: u32,
    frame: Option<&mut MaybeUninit<Option<Box<lucarne_frame>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(frame, "frame", error, || {
        // SAFETY: this function's contract.
        let ticket = unsafe { read(ticket) }?;
        let access: TicketAccess = convert::ticket_access(access)?;
        let frame = lucarne_stream::open_frame(&ticket, access)?;
        Ok(lucarne_frame::new(&frame))
    })
}

/// Lets a process, and what it starts, fetch frames of this one, where Yama asks for that. It may then also trace this process. Replaces
/// whom was allowed before. Does nothing where there is no Yama.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_ticket_allow_fetch_by(
    pid: u32,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::status(error, || Ok(lucarne_stream::allow_fetch_by(pid)?))
}

/// # Safety
///
/// `ticket` is `NULL`, or ends with a NUL.
unsafe fn read(ticket: *const c_char) -> Result<FrameTicket> {
    // SAFETY: this function's contract.
    let text = unsafe { guard::text(ticket, "ticket") }?;
    Ok(text.parse()?)
}
