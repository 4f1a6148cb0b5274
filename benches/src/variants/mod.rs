//! The ways of handing frames over, each with its two ends.

mod fault;
mod floor;
mod in_process;
mod naive;
pub(crate) mod once;
mod raw;
mod shm;
mod stream;
mod turn;

use std::path::{Path, PathBuf};

use lucarne::{Extent, MemoryPath};
use rustix::process::{Resource, Rlimit};

use crate::Result;
use crate::messages::{Fault, Ready, Shape, Variant};
use crate::stamp::Stamp;
use turn::Wait;

/// What a pair is made for.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) variant: Variant,
    pub(crate) extent: Extent,
    /// A folder of the pair's own, where the two meet.
    pub(crate) folder: PathBuf,
    pub(crate) fault: Option<Fault>,
    pub(crate) shape: Shape,
}

impl Setup {
    fn socket(&self) -> PathBuf {
        self.folder.join("link")
    }

    fn folder(&self) -> &Path {
        &self.folder
    }
}

/// When a frame was on its way: nanoseconds on `CLOCK_MONOTONIC`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    /// Its slot was there.
    pub(crate) began: u64,
    /// It was drawn, and about to be published.
    pub(crate) published: u64,
}

/// The end that draws.
pub(crate) trait Produce {
    fn ready(&self) -> Ready;

    /// Waits for a slot, draws a frame that shows `stamp`, and publishes it.
    fn frame(&mut self, stamp: Stamp) -> Result<Sent>;
}

/// A frame that was looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// When it was in hand: received, its fence waited for, its texture ready to be used.
    pub(crate) taken: u64,
    /// What its two corners show.
    pub(crate) stamps: [Stamp; 2],
    /// When that was known.
    pub(crate) at: u64,
}

/// The end that looks.
pub(crate) trait Consume {
    fn ready(&self) -> Ready;

    /// Waits for the next frame, looks at it, and gives it back.
    fn frame(&mut self) -> Result<Seen>;
}

/// The producer's end; returns when the consumer is there.
pub(crate) fn producer(setup: &Setup) -> Result<Box<dyn Produce>> {
    Ok(match setup.variant {
        Variant::Floor => Box::new(floor::Producer::open(setup)?),
        Variant::Raw | Variant::RawAgain => Box::new(raw::Producer::open(setup, Wait::Cpu)?),
        Variant::RawSyncFile => Box::new(raw::Producer::open(setup, Wait::SyncFile)?),
        Variant::Lucarne => Box::new(stream::Producer::open(setup, MemoryPath::DmaBuf)?),
        Variant::LucarneOpaqueFd => Box::new(stream::Producer::open(setup, MemoryPath::OpaqueFd)?),
        Variant::LucarneHostMemory => {
            Box::new(stream::Producer::open(setup, MemoryPath::HostMemory)?)
        }
        Variant::Shm => Box::new(shm::Producer::open(setup)?),
        Variant::ImportPerFrame => Box::new(naive::Producer::open(setup)?),
        Variant::RawInProcess => Box::new(in_process::Raw::open(setup)?),
        Variant::LucarneInProcess => Box::new(in_process::Lucarne::open(setup)?),
    })
}

/// The consumer's end; returns when the producer is there.
pub(crate) fn consumer(setup: &Setup) -> Result<Box<dyn Consume>> {
    Ok(match setup.variant {
        Variant::Floor => Box::new(floor::Consumer::open(setup)?),
        Variant::Raw | Variant::RawAgain | Variant::RawSyncFile => {
            Box::new(raw::Consumer::open(setup)?)
        }
        Variant::Lucarne | Variant::LucarneOpaqueFd | Variant::LucarneHostMemory => {
            Box::new(stream::Consumer::open(setup)?)
        }
        Variant::Shm => Box::new(shm::Consumer::open(setup)?),
        Variant::ImportPerFrame => Box::new(naive::Consumer::open(setup)?),
        Variant::RawInProcess | Variant::LucarneInProcess => {
            return Err("it has one end alone".into());
        }
    })
}

/// Allows this process as many descriptors as it may have, and says how many those are.
fn allow_descriptors() -> Result<u64> {
    let maximum = rustix::process::getrlimit(Resource::Nofile).maximum;
    let current = maximum;
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current, maximum })?;
    Ok(maximum.unwrap_or(u64::MAX))
}

/// Nanoseconds on `CLOCK_MONOTONIC`. Callgrind leaves it out by its name.
#[inline(never)]
pub(crate) fn now() -> u64 {
    u64::try_from(lucarne_stream::now().as_nanos()).unwrap_or(u64::MAX)
}
