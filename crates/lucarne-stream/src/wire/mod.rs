//! Messages on a stream's socket: pure functions from a [`Message`] to bytes and back.
//!
//! Everything is little-endian and has its limit; docs/protocol.md has every byte. Decoding never panics, reads each
//! field once, and refuses what it does not know: unknown kinds, flags and numbers, reserved fields that are not zero,
//! and bytes that nothing asked for.

mod codec;
mod color;
mod configure;
mod control;
mod offer;
mod report;
#[cfg(test)]
mod tests;

pub use codec::Malformed;
pub use configure::{Configure, FrameMessage, SlotLayout};
pub use control::{
    Delivery, Description, Farewell, FarewellReason, FenceFor, Hello, ImportFailed, State,
};
pub use report::{ConsumerDetails, Details, Report};

use codec::{Reader, Result, Writer};
use lucarne::MAX_PLANES;

/// What a `Hello` and a `Describe` begin with: "LUCARNE" and a zero.
pub const MAGIC: u64 = u64::from_le_bytes(*b"LUCARNE\0");
/// The protocol versions that this library speaks, lowest and highest.
pub const VERSIONS: (u32, u32) = (1, 2);
/// From which version on a stream's observer is told more than a [`Description`], and a consumer says how old its frames are.
pub const DETAILS_VERSION: u32 = 2;
/// The longest message, in bytes.
pub const MAX_MESSAGE: usize = 65_536;
/// The most entries that an offer can have.
pub const MAX_ENTRIES: usize = 1536;
/// The longest name of a device, in bytes of UTF-8.
pub const MAX_NAME: usize = 128;
/// The longest reason, in bytes of UTF-8.
pub const MAX_TEXT: usize = 1024;
/// The most consumers of one stream.
pub const MAX_CONSUMERS: usize = 64;
/// The most slots that a generation can have.
pub const MAX_SLOTS: usize = 16;
/// The highest sequence number.
pub const MAX_SEQUENCE: u64 = u64::MAX >> 4;
/// Descriptors of a `Configure` before those of its slots: the ring's.
pub const FIXED_DESCRIPTORS: usize = 1;
/// The most descriptors that come with one message.
pub const MAX_DESCRIPTORS: usize = FIXED_DESCRIPTORS + MAX_SLOTS * MAX_PLANES;

const HELLO: u32 = 1;
const DESCRIBE: u32 = 2;
const DESCRIPTION: u32 = 3;
const REFUSED: u32 = 4;
const CONFIGURE: u32 = 5;
const READY: u32 = 6;
const IMPORT_FAILED: u32 = 7;
const FENCE: u32 = 8;
const PAUSE: u32 = 9;
const RESUME: u32 = 10;
const END: u32 = 11;
const RETIRE: u32 = 12;
const DRAINED: u32 = 13;
const GOODBYE: u32 = 14;
const WAKE: u32 = 15;
const FRAME: u32 = 16;
const REPORT: u32 = 17;

/// A whole `Wake`: it goes with frames, for which nothing is allocated.
pub(crate) const WAKE_MESSAGE: [u8; 16] = [15, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Consumer: who I am, and what I can do. The first message of whoever wants frames.
    Hello(Box<Hello>),
    /// Consumer: only tell me about the stream. The first message of whoever lists streams; holds the lowest and the
    /// highest version.
    Describe(u32, u32),
    /// Producer: the answer to `Describe` for whoever speaks version 1 only; the connection ends after it.
    Description(Box<Description>),
    /// Producer: no, and why; the connection ends after it.
    Refused(Farewell),
    /// Producer: a new generation, with its descriptors.
    Configure(Box<Configure>),
    /// Consumer: everything of this generation is imported.
    Ready(u64),
    /// Consumer: something of this generation could not be imported.
    ImportFailed(ImportFailed),
    /// Either: the fence of a turn, as one descriptor.
    Fence(FenceFor),
    /// Producer: no frames for a while.
    Pause,
    /// Producer: frames again.
    Resume,
    /// Producer: no frames any more; what was published can still be read.
    End,
    /// Producer: no more frames in this generation.
    Retire(u64),
    /// Consumer: nothing of this generation is held any more.
    Drained(u64),
    /// Either: the connection ends after this, and why.
    Goodbye(Farewell),
    /// Either: look at the ring.
    Wake,
    /// A frame by itself, on a socket of the program's own.
    Frame(Box<FrameMessage>),
    /// Producer: the answer to `Describe` for whoever speaks version 2; the connection ends after it.
    Report(Box<Report>),
}

impl Message {
    /// How many descriptors come with it.
    pub fn descriptors(&self) -> usize {
        match self {
            Self::Configure(configure) => configure.descriptors(),
            Self::Frame(frame) => frame.slot.objects,
            Self::Fence(_) => 1,
            _ => 0,
        }
    }

    /// The name that docs/protocol.md gives it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Hello(_) => "Hello",
            Self::Describe(..) => "Describe",
            Self::Description(_) => "Description",
            Self::Refused(_) => "Refused",
            Self::Configure(_) => "Configure",
            Self::Ready(_) => "Ready",
            Self::ImportFailed(_) => "ImportFailed",
            Self::Fence(_) => "Fence",
            Self::Pause => "Pause",
            Self::Resume => "Resume",
            Self::End => "End",
            Self::Retire(_) => "Retire",
            Self::Drained(_) => "Drained",
            Self::Goodbye(_) => "Goodbye",
            Self::Wake => "Wake",
            Self::Frame(_) => "Frame",
            Self::Report(_) => "Report",
        }
    }

    fn kind(&self) -> u32 {
        match self {
            Self::Hello(_) => HELLO,
            Self::Describe(..) => DESCRIBE,
            Self::Description(_) => DESCRIPTION,
            Self::Refused(_) => REFUSED,
            Self::Configure(_) => CONFIGURE,
            Self::Ready(_) => READY,
            Self::ImportFailed(_) => IMPORT_FAILED,
            Self::Fence(_) => FENCE,
            Self::Pause => PAUSE,
            Self::Resume => RESUME,
            Self::End => END,
            Self::Retire(_) => RETIRE,
            Self::Drained(_) => DRAINED,
            Self::Goodbye(_) => GOODBYE,
            Self::Wake => WAKE,
            Self::Frame(_) => FRAME,
            Self::Report(_) => REPORT,
        }
    }

    /// The message as bytes.
    ///
    /// Texts are cut to their limits, and control characters in them become spaces.
    ///
    /// # Errors
    ///
    /// [`Malformed`] for what the protocol cannot say: too many entries, slots, planes or bytes.
    pub fn encode(&self) -> std::result::Result<Vec<u8>, Malformed> {
        let descriptors = u32::try_from(self.descriptors()).unwrap_or(u32::MAX);
        let mut writer = Writer::new(self.kind(), descriptors);
        match self {
            Self::Hello(hello) => hello.put(&mut writer)?,
            Self::Describe(lowest, highest) => {
                control::put_versions(&mut writer, *lowest, *highest)
            }
            Self::Description(description) => description.put(&mut writer),
            Self::Refused(farewell) | Self::Goodbye(farewell) => farewell.put(&mut writer),
            Self::Configure(configure) => configure.put(&mut writer)?,
            Self::Ready(generation) | Self::Retire(generation) | Self::Drained(generation) => {
                writer.u64(*generation);
            }
            Self::ImportFailed(failed) => failed.put(&mut writer),
            Self::Fence(fence) => fence.put(&mut writer),
            Self::Pause | Self::Resume | Self::End | Self::Wake => {}
            Self::Frame(frame) => frame.put(&mut writer)?,
            Self::Report(report) => report.put(&mut writer)?,
        }
        writer.finish()
    }

    /// Reads one whole message.
    ///
    /// # Errors
    ///
    /// [`Malformed`], naming the first field that is out of its limits, cut off, or unknown.
    pub fn decode(bytes: &[u8]) -> std::result::Result<Self, Malformed> {
        let (mut reader, header) = Reader::new(bytes)?;
        let message = Self::take_body(&mut reader, header.kind)?;
        reader.end()?;
        if usize::try_from(header.descriptors).ok() != Some(message.descriptors()) {
            let limit = format!("{}, as {} has", message.descriptors(), message.name());
            return Err(Malformed::new("descriptors", header.descriptors, limit));
        }
        Ok(message)
    }

    fn take_body(reader: &mut Reader<'_>, kind: u32) -> Result<Self> {
        Ok(match kind {
            HELLO => Self::Hello(Box::new(Hello::take(reader)?)),
            DESCRIBE => {
                let (lowest, highest) = control::take_versions(reader)?;
                Self::Describe(lowest, highest)
            }
            DESCRIPTION => Self::Description(Box::new(Description::take(reader)?)),
            REFUSED => Self::Refused(Farewell::take(reader)?),
            CONFIGURE => Self::Configure(Box::new(Configure::take(reader)?)),
            READY => Self::Ready(reader.u64("generation")?),
            IMPORT_FAILED => Self::ImportFailed(ImportFailed::take(reader)?),
            FENCE => Self::Fence(FenceFor::take(reader)?),
            PAUSE => Self::Pause,
            RESUME => Self::Resume,
            END => Self::End,
            RETIRE => Self::Retire(reader.u64("generation")?),
            DRAINED => Self::Drained(reader.u64("generation")?),
            GOODBYE => Self::Goodbye(Farewell::take(reader)?),
            WAKE => Self::Wake,
            FRAME => Self::Frame(Box::new(FrameMessage::take(reader)?)),
            REPORT => Self::Report(Box::new(Report::take(reader)?)),
            other => {
                let limit = format!("{HELLO} to {REPORT}");
                return Err(Malformed::new("kind", other, limit));
            }
        })
    }
}
