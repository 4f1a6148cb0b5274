//! Opening devices: all that a machine has, or one for each end.

use lucarne::cpu::Allocator;
use lucarne::{Error, Result, cpu, egl, gbm, vulkan};

use crate::ends::Api;

/// What could not be opened, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What is missing: `validation`, `vulkan`, `egl`, `gbm`, `udmabuf` or `dma-heap`.
    pub kind: &'static str,
    /// Why, and what would make it work.
    pub reason: String,
}

impl Note {
    fn new(kind: &'static str, reason: String) -> Self {
        Self { kind, reason }
    }
}

/// A device: its API, and its place in the order in which the API lists devices, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// The API.
    pub api: Api,
    /// The place.
    pub number: usize,
}

/// One end of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    From,
    To,
}

/// Which devices to open.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted {
    All,
    Pair { from: Numbered, to: Numbered },
}

impl Wanted {
    /// Whether a device takes this end of pairs.
    pub(crate) fn is_end(self, end: End, api: Api, number: usize) -> bool {
        match (self, end) {
            (Self::All, _) => true,
            (Self::Pair { from, .. }, End::From) => from == Numbered { api, number },
            (Self::Pair { to, .. }, End::To) => to == Numbered { api, number },
        }
    }

    fn is_any_end(self, api: Api, number: usize) -> bool {
        self.is_end(End::From, api, number) || self.is_end(End::To, api, number)
    }

    /// Whether this end needs Vulkan. GBM draws nothing: Vulkan's first device writes its frames.
    pub(crate) fn opens_vulkan(self, end: End) -> bool {
        match (self, end) {
            (Self::All, _) => true,
            (Self::Pair { from, .. }, End::From) => matches!(from.api, Api::Vulkan | Api::Gbm),
            (Self::Pair { to, .. }, End::To) => to.api == Api::Vulkan,
        }
    }

    fn is_vulkan_of(self, end: End, number: usize) -> bool {
        match (self, end) {
            (Self::Pair { from, .. }, End::From) if from.api == Api::Gbm => number == 0,
            _ => self.is_end(end, Api::Vulkan, number),
        }
    }

    /// Whether any device of this API is at an end: libraries that are not needed are not loaded.
    fn names(self, api: Api) -> bool {
        match self {
            Self::All => true,
            Self::Pair { from, to } => from.api == api || to.api == api,
        }
    }
}

type Opened<T> = Vec<(usize, T)>;

pub(crate) fn instance(wanted: Wanted, notes: &mut Vec<Note>) -> Result<vulkan::Instance> {
    let mut options = vulkan::InstanceOptions {
        application: "lucarne-conformance".to_owned(),
        validation: matches!(wanted, Wanted::All),
    };
    vulkan::Instance::new(&options).or_else(|error| {
        if !options.validation {
            return Err(error);
        }
        notes.push(Note::new("validation", format!("not validated: {error}")));
        options.validation = false;
        vulkan::Instance::new(&options)
    })
}

pub(crate) fn vulkan_devices(
    instance: &vulkan::Instance,
    wanted: Wanted,
    end: End,
    notes: &mut Vec<Note>,
) -> Result<Opened<vulkan::Device>> {
    let is_wanted = |number| wanted.is_vulkan_of(end, number);
    let refused = |adapter: &vulkan::Adapter, error| {
        Note::new("vulkan", format!("Vulkan on {}: {error}", adapter.name()))
    };
    let adapters = instance.adapters()?;
    Ok(open_each(
        adapters,
        is_wanted,
        vulkan::Adapter::open,
        refused,
        notes,
    ))
}

pub(crate) fn egl_devices(wanted: Wanted, notes: &mut Vec<Note>) -> Opened<egl::Device> {
    if !wanted.names(Api::OpenGl) {
        return Vec::new();
    }
    let adapters = egl::Adapter::enumerate().unwrap_or_else(|error| {
        notes.push(Note::new("egl", format!("OpenGL: {error}")));
        Vec::new()
    });
    let is_wanted = |number| wanted.is_any_end(Api::OpenGl, number);
    let refused = |adapter: &egl::Adapter, error| Note::new("egl", format!("{adapter:?}: {error}"));
    open_each(adapters, is_wanted, egl::Adapter::open, refused, notes)
}

pub(crate) fn gbm_devices(wanted: Wanted, notes: &mut Vec<Note>) -> Opened<gbm::Device> {
    if !wanted.names(Api::Gbm) {
        return Vec::new();
    }
    let adapters = gbm::Adapter::enumerate().unwrap_or_else(|error| {
        notes.push(Note::new("gbm", format!("GBM: {error}")));
        Vec::new()
    });
    let is_wanted = |number| wanted.is_any_end(Api::Gbm, number);
    let refused = |adapter: &gbm::Adapter, error| {
        Note::new("gbm", format!("GBM on {}: {error}", adapter.id()))
    };
    open_each(adapters, is_wanted, gbm::Adapter::open, refused, notes)
}

pub(crate) fn cpu_devices(wanted: Wanted, notes: &mut Vec<Note>) -> Opened<cpu::Device> {
    let is_wanted = |number| wanted.is_any_end(Api::Cpu, number);
    let refused = |adapter: &cpu::Adapter, error| {
        let allocator = adapter.allocator();
        let kind = match allocator {
            Allocator::DmaHeap(_) => "dma-heap",
            _ => "udmabuf",
        };
        Note::new(kind, format!("CPU with {allocator}: {error}"))
    };
    let adapters = cpu::Adapter::enumerate();
    open_each(adapters, is_wanted, cpu::Adapter::open, refused, notes)
}

/// Opens those that are wanted. Those that do not open are noted.
fn open_each<A, D>(
    adapters: Vec<A>,
    is_wanted: impl Fn(usize) -> bool,
    open: impl Fn(&A) -> Result<D>,
    refused: impl Fn(&A, Error) -> Note,
    notes: &mut Vec<Note>,
) -> Opened<D> {
    let mut opened = Vec::new();
    for (number, adapter) in adapters.iter().enumerate() {
        if !is_wanted(number) {
            continue;
        }
        match open(adapter) {
            Ok(device) => opened.push((number, device)),
            Err(error) => notes.push(refused(adapter, error)),
        }
    }
    opened
}
