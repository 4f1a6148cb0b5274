//! What the bench and its two child processes say to each other: one JSON value a line, on standard input and output.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One way of handing frames over.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Variant {
    /// Lucarne's ring and wake-ups, and nothing else: no buffer is touched.
    Floor,
    /// Written by hand: dma-bufs that are imported once, a page of counters, a socket that wakes.
    Raw,
    /// `Raw` once more: what a ratio of one looks like on this machine, now.
    RawAgain,
    /// As `Raw`, but every frame's end is asked for as a sync_file, as a program does that does not let the CPU wait.
    RawSyncFile,
    /// lucarne-stream over dma-bufs.
    Lucarne,
    /// lucarne-stream over opaque descriptors.
    LucarneOpaqueFd,
    /// lucarne-stream over host memory.
    LucarneHostMemory,
    /// Read back, copied into shared memory, uploaded with `glTexSubImage2D`.
    Shm,
    /// The dma-buf's descriptor is sent, and imported, with every frame.
    ImportPerFrame,
    /// Written by hand, within one process and thread: no sockets, no page.
    #[value(skip)]
    RawInProcess,
    /// lucarne alone, within one process and thread: its pool and its turns.
    #[value(skip)]
    LucarneInProcess,
}

impl Variant {
    /// Its name on the command line and in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Raw => "raw",
            Self::RawAgain => "raw-again",
            Self::RawSyncFile => "raw-sync-file",
            Self::Lucarne => "lucarne",
            Self::LucarneOpaqueFd => "lucarne-opaque-fd",
            Self::LucarneHostMemory => "lucarne-host-memory",
            Self::Shm => "shm",
            Self::ImportPerFrame => "import-per-frame",
            Self::RawInProcess => "raw-in-process",
            Self::LucarneInProcess => "lucarne-in-process",
        }
    }

    /// The one of this name.
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        let within = [Self::RawInProcess, Self::LucarneInProcess];
        let mut all = Self::value_variants().iter().chain(&within);
        all.find(|one| one.name() == name)
            .copied()
            .ok_or_else(|| format!("no variant is called {name}"))
    }

    /// The hand-written one that it is compared with.
    pub(crate) fn beside(self) -> Self {
        if self.within() {
            Self::RawInProcess
        } else {
            Self::Raw
        }
    }

    /// Whether it is one process alone.
    pub(crate) fn within(self) -> bool {
        matches!(self, Self::RawInProcess | Self::LucarneInProcess)
    }

    /// In how many rounds it is measured: in every one where a gate looks at it, in every fourth otherwise.
    pub(crate) fn every(self) -> u32 {
        match self {
            Self::Floor | Self::Raw | Self::RawAgain | Self::RawSyncFile | Self::Lucarne => 1,
            Self::LucarneOpaqueFd
            | Self::LucarneHostMemory
            | Self::Shm
            | Self::ImportPerFrame
            | Self::RawInProcess
            | Self::LucarneInProcess => 4,
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A fault that is put into the Lucarne variant on purpose, to see whether the gates notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fault {
    /// Each frame is copied once by the CPU.
    Memcpy,
    /// Each frame is imported anew.
    Import,
    /// Each frame leaves a descriptor open.
    Leak,
    /// The consumer sleeps for a millisecond before it looks at a frame.
    Sleep,
    /// The same with one frame in fifty: no median shows it.
    Hiccup,
}

/// What a stream has more or fewer of than usual; the floor alone knows about all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Args)]
pub(crate) struct Shape {
    /// Consumers, all in one process.
    #[arg(long, default_value_t = 1)]
    pub(crate) consumers: usize,
    #[arg(long, default_value_t = crate::link::SLOTS)]
    pub(crate) slots: usize,
    /// Streams beside the one that is measured, each with a consumer, and without frames.
    #[arg(long, default_value_t = 0)]
    pub(crate) idle: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            consumers: 1,
            slots: crate::link::SLOTS,
            idle: 0,
        }
    }
}

/// What happens once in the life of a stream, or seldom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Step {
    /// A producer asks its drivers what they can do, and gives its stream a name.
    Bind,
    /// A consumer does, and finds the stream.
    Connect,
    /// Both agree; three frames are allocated, exported, sent and imported.
    Negotiate,
    /// The first frame's way, from one thread to itself.
    FirstFrame,
    /// The same of the second, for comparison.
    NextFrame,
    /// Three frames of another size.
    Resize,
    /// A second consumer, until it has imported everything.
    Join,
}

impl Step {
    /// What people call it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Connect => "connect",
            Self::Negotiate => "negotiate, allocate, import",
            Self::FirstFrame => "first frame",
            Self::NextFrame => "next frame",
            Self::Resize => "resize",
            Self::Join => "a consumer joins",
        }
    }
}

/// How long one of them took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Once {
    pub(crate) step: Step,
    /// Microseconds, with the drivers'.
    pub(crate) micros: f64,
    /// Of these, within calls that do what drivers do: asking, exporting, importing, submitting, waiting.
    pub(crate) drivers: f64,
}

/// Which end of a pair a child process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Draws in Vulkan.
    Producer,
    /// Looks in OpenGL.
    Consumer,
}

impl Role {
    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }
}

/// How frames follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    /// So many a second, as a display wants them.
    Paced,
    /// As fast as both sides can.
    Free,
    /// Paced, and each frame within the function that callgrind counts.
    Counted,
}

/// One slice of measuring, to both ends of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) mode: Mode,
    /// How long to run before anything counts.
    pub(crate) warm_up: f64,
    /// How long to measure.
    pub(crate) seconds: f64,
    /// Frames per second where they are paced.
    pub(crate) rate: f64,
}

/// What a child says once it can hand over frames.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ready {
    /// Its driver.
    pub(crate) device: String,
    /// Copies of each frame on this side, by the library's or the variant's own count.
    pub(crate) copies: u32,
    /// Whether its dma-bufs are emulated.
    pub(crate) emulated: bool,
}

/// What a process has used up since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Used {
    /// Nanoseconds of processor time of all threads.
    pub(crate) cpu: u64,
    /// Allocations and reallocations of Rust code; drivers have an allocator of their own.
    pub(crate) allocations: u64,
    /// Descriptors that are open.
    pub(crate) descriptors: u64,
}

/// What a producer saw of a slice.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Produced {
    /// Frames that counted.
    pub(crate) frames: u64,
    /// From the first frame that counted to the last, in nanoseconds.
    pub(crate) time: u64,
    pub(crate) before: Used,
    pub(crate) after: Used,
    /// Of each paced frame: its number, when its slot was there, and when it was about to be published, in nanoseconds on
    /// `CLOCK_MONOTONIC`.
    pub(crate) log: Vec<(u32, u64, u64)>,
}

/// What a consumer saw of a slice.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Consumed {
    /// Frames that counted.
    pub(crate) frames: u64,
    /// From the first frame that counted to the last, in nanoseconds.
    pub(crate) time: u64,
    /// Frames whose two stamps differ.
    pub(crate) torn: u64,
    /// Frames that showed the number of the frame before.
    pub(crate) repeated: u64,
    /// Numbers that never came.
    pub(crate) dropped: u64,
    pub(crate) before: Used,
    pub(crate) after: Used,
    /// Of each paced frame: its number, when it was in hand, and when it was seen.
    pub(crate) log: Vec<(u32, u64, u64)>,
}
