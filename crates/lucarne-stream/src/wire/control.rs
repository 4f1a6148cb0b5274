//! The messages around the frames: greetings, farewells, fences, and what a stream is.

use lucarne::negotiate::{Strike, StrikeReason};
use lucarne::{Extent, Format, MemoryPath, Modifier, Offer, Tiling, Usage};

use super::codec::{Malformed, Reader, Result, Writer, one_of, plain_text, presentable};
use super::offer::{
    check_unnamed, decode_path, decode_tiling, path_code, put_offer, take_offer, take_usage,
};
use super::{FENCE, MAGIC, MAX_NAME, MAX_SEQUENCE, MAX_SLOTS, MAX_TEXT, VERSIONS};

/// Which frames a consumer gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// The newest: a frame that was not taken when the next one comes is dropped. What a display wants.
    Latest,
    /// Each, in order: the producer runs out of slots rather than drop one, until its deadline. What a recorder wants.
    Every,
}

pub(super) const DELIVERIES: [(u32, Delivery); 2] = [(1, Delivery::Latest), (2, Delivery::Every)];

/// Who wants frames, and what it can do with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The lowest protocol version that it speaks.
    pub lowest: u32,
    /// The highest.
    pub highest: u32,
    /// Which frames it wants.
    pub delivery: Delivery,
    /// What it does with them.
    pub usage: Usage,
    /// What its device can do.
    pub offer: Offer,
}

pub(super) fn put_versions(writer: &mut Writer, lowest: u32, highest: u32) {
    writer.u64(MAGIC);
    writer.u32(lowest);
    writer.u32(highest);
}

pub(super) fn take_versions(reader: &mut Reader<'_>) -> Result<(u32, u32)> {
    let magic = reader.u64("magic")?;
    if magic != MAGIC {
        let limit = format!("{MAGIC:#x}");
        return Err(Malformed::new("magic", format!("{magic:#x}"), limit));
    }
    let lowest = reader.u32("versions.lowest")?;
    let highest = reader.u32("versions.highest")?;
    if lowest == 0 || lowest > highest {
        let got = format!("{lowest} to {highest}");
        return Err(Malformed::new("versions", got, "1 or more, lowest first"));
    }
    Ok((lowest, highest))
}

impl Hello {
    pub(super) fn put(&self, writer: &mut Writer) -> Result<()> {
        put_versions(writer, self.lowest, self.highest);
        writer.u32(match self.delivery {
            Delivery::Latest => 1,
            Delivery::Every => 2,
        });
        writer.u32(self.usage.bits());
        writer.u64(0);
        put_offer(writer, &self.offer)
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<Self> {
        let (lowest, highest) = take_versions(reader)?;
        let delivery = one_of("hello.delivery", reader.u32("hello.delivery")?, &DELIVERIES)?;
        let usage = take_usage(reader, "hello.usage")?;
        reader.zero32("hello.options")?;
        reader.zero32("hello.reserved")?;
        Ok(Self {
            lowest,
            highest,
            delivery,
            usage,
            offer: take_offer(reader)?,
        })
    }
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FarewellReason {
    /// Nothing is wrong: the program is done.
    Done,
    /// No protocol version in common.
    Version,
    /// As many consumers as the producer takes.
    Full,
    /// The peer runs as another user.
    User,
    /// Nothing in common: the text is the refusal of the negotiation.
    Incompatible,
    /// The peer broke the protocol.
    Protocol,
    /// The peer did not answer, or did not give slots back, before a deadline.
    TooSlow,
    /// This end ran out of descriptors, memory or something else.
    Resources,
    /// The stream has ended.
    Ended,
}

const REASONS: [(u32, FarewellReason); 9] = [
    (1, FarewellReason::Done),
    (2, FarewellReason::Version),
    (3, FarewellReason::Full),
    (4, FarewellReason::User),
    (5, FarewellReason::Incompatible),
    (6, FarewellReason::Protocol),
    (7, FarewellReason::TooSlow),
    (8, FarewellReason::Resources),
    (9, FarewellReason::Ended),
];

/// The last message of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Farewell {
    /// Why, for programs.
    pub reason: FarewellReason,
    /// Why, for people.
    pub text: String,
}

impl Farewell {
    /// Says goodbye for this reason.
    pub fn new(reason: FarewellReason, text: &str) -> Self {
        Self {
            reason,
            text: presentable(text, MAX_TEXT),
        }
    }

    pub(super) fn put(&self, writer: &mut Writer) {
        let known = REASONS.iter().find(|(_, reason)| *reason == self.reason);
        let code = known.map_or(1, |(code, _)| *code);
        // Ours, so that a peer whose version was refused learns what would do.
        writer.u32(VERSIONS.0);
        writer.u32(VERSIONS.1);
        writer.text(code, &self.text, MAX_TEXT);
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<Self> {
        // For people with a packet dump; the text says the same.
        let _lowest = reader.u32("farewell.lowest")?;
        let _highest = reader.u32("farewell.highest")?;
        let (reason, text) = reader.text("farewell.text", MAX_TEXT)?;
        let reason = one_of("farewell.reason", reason, &REASONS)?;
        Ok(Self { reason, text })
    }
}

/// What could not be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportFailed {
    /// Of which generation.
    pub generation: u64,
    /// What must not be agreed on again with this consumer.
    pub strike: Strike,
}

impl ImportFailed {
    pub(super) fn put(&self, writer: &mut Writer) {
        let strike = &self.strike;
        writer.u64(self.generation);
        writer.u32(path_code(strike.path));
        writer.u32(u32::from(strike.format.is_some()) | u32::from(strike.modifier.is_some()) << 1);
        writer.u64(strike.modifier.map_or(0, Modifier::code));
        writer.u32(strike.format.map_or(0, Format::fourcc));
        writer.u32(0);
        writer.text(0, &strike.reason.to_string(), MAX_TEXT);
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<Self> {
        let generation = reader.u64("generation")?;
        let path: MemoryPath = decode_path("strike.path", reader.u32("strike.path")?)?;
        let flags = reader.flags("strike.flags", 3)?;
        let modifier = reader.u64("strike.modifier")?;
        let modifier = match decode_tiling("strike.modifier", flags & 2 != 0, modifier)? {
            Tiling::Explicit(modifier) => Some(modifier),
            Tiling::Implicit => None,
        };
        let format = reader.u32("strike.format")?;
        check_unnamed("strike.format", flags & 1 != 0, format == 0)?;
        reader.zero32("strike.reserved")?;
        Ok(Self {
            generation,
            strike: Strike {
                path,
                format: (flags & 1 != 0).then_some(Format::from_fourcc(format)),
                modifier,
                reason: StrikeReason::ImportFailed(plain_text(reader, "strike.reason", MAX_TEXT)?),
            },
        })
    }
}

/// How long a Fence message is.
const FENCE_BYTES: usize = 40;

/// Whose fence a descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FenceFor {
    /// The slot's generation.
    pub generation: u64,
    /// The frame's sequence number: 1 to 2^60 - 1.
    pub sequence: u64,
    /// The slot.
    pub slot: usize,
}

impl FenceFor {
    /// Refuses a slot that its generation does not have.
    pub(crate) fn check_slot(&self, slots: usize) -> Result<()> {
        super::codec::check_count("fence.slot", self.slot, 0, slots - 1)
    }

    /// The whole message, without an allocation.
    pub(crate) fn encode_message(self) -> [u8; FENCE_BYTES] {
        let mut bytes = [0; FENCE_BYTES];
        let slot = u64::try_from(self.slot).unwrap_or(u64::MAX);
        // The kind and the length; one descriptor; and the reserved halves, which the slot's number leaves 0.
        let head = u64::from(FENCE) | (FENCE_BYTES as u64) << 32;
        let fields = [head, 1, self.generation, self.sequence, slot];
        for (to, field) in bytes.chunks_exact_mut(8).zip(fields) {
            to.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }

    pub(super) fn put(&self, writer: &mut Writer) {
        writer.u64(self.generation);
        writer.u64(self.sequence);
        writer.u32(u32::try_from(self.slot).unwrap_or(u32::MAX));
        writer.u32(0);
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<Self> {
        let generation = reader.u64("generation")?;
        let sequence = reader.u64("fence.sequence")?;
        if sequence == 0 || sequence > MAX_SEQUENCE {
            let limit = format!("1 to {MAX_SEQUENCE}");
            return Err(Malformed::new("fence.sequence", sequence, limit));
        }
        let slot = reader.count("fence.slot", 0, MAX_SLOTS - 1)?;
        reader.zero32("fence.reserved")?;
        Ok(Self {
            generation,
            sequence,
            slot,
        })
    }
}

/// What a stream is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Nobody has agreed on a size and format yet.
    Waiting,
    /// Frames come.
    Streaming,
    /// The producer said that none come for a while.
    Paused,
}

const STATES: [(u32, State); 3] = [
    (1, State::Waiting),
    (2, State::Streaming),
    (3, State::Paused),
];

/// What a producer tells about its stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// What it is doing.
    pub state: State,
    /// The frames' size: what is asked for, until something is agreed on.
    pub extent: Extent,
    /// Their format, once there is one.
    pub format: Option<Format>,
    /// Their memory path, once there is one.
    pub path: Option<MemoryPath>,
    /// The generation; 0 before the first.
    pub generation: u64,
    /// How many consumers there are.
    pub consumers: u32,
    /// How many frames were sent.
    pub frames: u64,
    /// When the producer bound the name: nanoseconds on `CLOCK_MONOTONIC`.
    pub since: u64,
    /// The producer's name for its device.
    pub producer: String,
}

impl Description {
    pub(super) fn put(&self, writer: &mut Writer) {
        writer.u32(VERSIONS.0);
        writer.u32(VERSIONS.1);
        let state = STATES.iter().find(|(_, state)| *state == self.state);
        writer.u32(state.map_or(1, |(code, _)| *code));
        writer.u32(self.consumers);
        writer.u32(self.extent.width);
        writer.u32(self.extent.height);
        writer.u32(self.format.map_or(0, Format::fourcc));
        writer.u32(self.path.map_or(0, path_code));
        writer.u64(self.generation);
        writer.u64(self.frames);
        writer.u64(self.since);
        writer.text(0, &self.producer, MAX_NAME);
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<Self> {
        let _lowest = reader.u32("description.lowest")?;
        let _highest = reader.u32("description.highest")?;
        let state = reader.u32("description.state")?;
        let state = one_of("description.state", state, &STATES)?;
        let consumers = reader.u32("description.consumers")?;
        let extent = super::configure::take_extent(reader)?;
        let format = reader.u32("description.format")?;
        let path_code = reader.u32("description.path")?;
        Ok(Self {
            state,
            extent,
            format: (format != 0).then_some(Format::from_fourcc(format)),
            path: match path_code {
                0 => None,
                code => Some(decode_path("description.path", code)?),
            },
            generation: reader.u64("description.generation")?,
            consumers,
            frames: reader.u64("description.frames")?,
            since: reader.u64("description.since")?,
            producer: plain_text(reader, "description.producer", MAX_NAME)?,
        })
    }
}
