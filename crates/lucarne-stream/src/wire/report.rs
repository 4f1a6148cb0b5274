//! What a producer tells an observer of version 2: the description, what the frames are, and how each consumer fares.

use std::time::Duration;

use lucarne::{Modifier, Rung, Tiling};

use super::codec::{Reader, Result, Writer, one_of, plain_text};
use super::configure::RUNGS;
use super::control::{DELIVERIES, Delivery, Description};
use super::offer::decode_tiling;
use super::{MAX_CONSUMERS, MAX_NAME, MAX_SLOTS};

/// The answer to `Describe` for whoever speaks version 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What version 1 tells as well.
    pub description: Description,
    /// The rest.
    pub details: Details,
}

/// What a producer knows of its stream beyond a [`Description`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Details {
    /// The rung of the generation in use; `None` before the first.
    pub rung: Option<Rung>,
    /// The modifier of its first slot; `None` before the first generation, and where there is none.
    pub modifier: Option<Modifier>,
    /// How many slots it has; 0 before the first.
    pub slots: usize,
    /// Everybody who has greeted, in the order of their numbers.
    pub consumers: Vec<ConsumerDetails>,
}

/// How one consumer fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerDetails {
    /// Its number. A stream never uses a number twice.
    pub number: u64,
    /// How many frames were sent on the stream since it gets any.
    pub frames: u64,
    /// How many of them it did not get: it was slow, and wants the newest only.
    pub dropped: u64,
    /// How old a frame was when it took it, as it says itself of one now and then: from the frame's timestamp to the taking.
    /// `None` until it has said so; a consumer of version 1 never does.
    pub latency: Option<Duration>,
    /// Its process; `None` where the producer sees none.
    pub pid: Option<u32>,
    /// Which frames it gets.
    pub delivery: Delivery,
    /// How many slots it has, taken or not.
    pub held: usize,
    /// Whether it gets frames; otherwise it is being configured, or waits for that.
    pub is_served: bool,
    /// The name of its device.
    pub name: String,
}

impl Report {
    pub(super) fn put(&self, writer: &mut Writer) -> Result<()> {
        self.description.put(writer);
        let details = &self.details;
        writer.u64(details.modifier.map_or(0, Modifier::code));
        writer.u32(u32::from(details.modifier.is_some()));
        writer.u32(details.rung.map_or(0, |rung| u32::from(rung.number())));
        writer.count("report.slots", details.slots, MAX_SLOTS)?;
        writer.count("report.consumers", details.consumers.len(), MAX_CONSUMERS)?;
        details.consumers.iter().try_for_each(|one| one.put(writer))
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<Self> {
        let description = Description::take(reader)?;
        let modifier = reader.u64("report.modifier")?;
        let flags = reader.flags("report.flags", 1)?;
        let modifier = match decode_tiling("report.modifier", flags != 0, modifier)? {
            Tiling::Explicit(modifier) => Some(modifier),
            Tiling::Implicit => None,
        };
        let rung = match reader.u32("report.rung")? {
            0 => None,
            code => Some(one_of("report.rung", code, &RUNGS)?),
        };
        let slots = reader.count("report.slots", 0, MAX_SLOTS)?;
        let count = reader.count("report.consumers", 0, MAX_CONSUMERS)?;
        let consumers = (0..count).map(|_| ConsumerDetails::take(reader));
        let consumers = consumers.collect::<Result<_>>()?;
        Ok(Self {
            description,
            details: Details {
                rung,
                modifier,
                slots,
                consumers,
            },
        })
    }
}

/// A consumer has slots of two generations at most.
const MAX_HELD: usize = 2 * MAX_SLOTS;

impl ConsumerDetails {
    fn put(&self, writer: &mut Writer) -> Result<()> {
        writer.u64(self.number);
        writer.u64(self.frames);
        writer.u64(self.dropped);
        let latency = self.latency.unwrap_or_default().as_nanos();
        writer.u64(u64::try_from(latency).unwrap_or(u64::MAX));
        writer.u32(self.pid.unwrap_or(0));
        let delivery = DELIVERIES
            .iter()
            .find(|(_, delivery)| *delivery == self.delivery);
        writer.u32(delivery.map_or(1, |(code, _)| *code));
        writer.count("report.consumer.held", self.held, MAX_HELD)?;
        writer.u32(u32::from(self.is_served));
        writer.text(0, &self.name, MAX_NAME);
        Ok(())
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self> {
        let number = reader.u64("report.consumer.number")?;
        let frames = reader.u64("report.consumer.frames")?;
        let dropped = reader.u64("report.consumer.dropped")?;
        let latency = reader.u64("report.consumer.latency")?;
        let pid = reader.u32("report.consumer.process")?;
        let delivery = reader.u32("report.consumer.delivery")?;
        Ok(Self {
            number,
            frames,
            dropped,
            latency: (latency != 0).then(|| Duration::from_nanos(latency)),
            pid: (pid != 0).then_some(pid),
            delivery: one_of("report.consumer.delivery", delivery, &DELIVERIES)?,
            held: reader.count("report.consumer.held", 0, MAX_HELD)?,
            is_served: reader.flags("report.consumer.flags", 1)? != 0,
            name: plain_text(reader, "report.consumer.name", MAX_NAME)?,
        })
    }
}
