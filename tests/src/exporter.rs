//! The kernel module lucarne_exporter: its ioctls (`kernel/lucarne_exporter/lucarne_exporter.h`) and its counters.

use std::fs;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lucarne::kernel::DmaBuf;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{Opcode, Setter, Updater, opcode};

use crate::{TIMEOUT, in_guest, module};

/// The node.
const NODE: &str = "/dev/lucarne_exporter";
/// The folder of the counters.
const COUNTERS: &str = "/sys/kernel/debug/lucarne_exporter";

/// No page of a buffer follows its neighbour in physical memory, unless by chance.
pub const SCATTERED: u32 = 1;
/// Descriptors allow reading only.
pub const READ_ONLY: u32 = 2;
/// For [`Behaviour::times`]: until told otherwise.
pub const ALWAYS: u32 = u32::MAX;

const FACTOR: u32 = 2_654_435_761;
const FENCE_WRITE: u32 = 1;
const NAME_BYTES: usize = 64;
const NAMES: usize = 64;

const ALLOCATE: Opcode = opcode::read_write::<Allocate>(b'L', 0x80);
const EXPORT: Opcode = opcode::read_write::<Export>(b'L', 0x81);
const FREE: Opcode = opcode::write::<u32>(b'L', 0x82);
const FILL: Opcode = opcode::write::<Fill>(b'L', 0x83);
const READ: Opcode = opcode::write::<Read>(b'L', 0x84);
const BEHAVE: Opcode = opcode::write::<Behave>(b'L', 0x85);
const ATTACH_FENCE: Opcode = opcode::read_write::<AttachFence>(b'L', 0x86);
const SIGNAL: Opcode = opcode::write::<Signal>(b'L', 0x87);
const REPORT: Opcode = opcode::read_write::<ReportRequest>(b'L', 0x88);

/// `struct lucarne_exporter_allocate`.
#[repr(C)]
struct Allocate {
    size: u64,
    flags: u32,
    buffer: u32,
}

/// `struct lucarne_exporter_export`.
#[repr(C)]
struct Export {
    buffer: u32,
    fd: i32,
}

/// `struct lucarne_exporter_fill`.
#[repr(C)]
struct Fill {
    buffer: u32,
    seed: u32,
}

/// `struct lucarne_exporter_read`.
#[repr(C)]
struct Read {
    buffer: u32,
    pad: u32,
    offset: u64,
    length: u64,
    address: u64,
}

/// `struct lucarne_exporter_behave`.
#[repr(C)]
struct Behave {
    buffer: u32,
    call: u32,
    error: u32,
    delay: u32,
    times: u32,
    pad: u32,
}

/// `struct lucarne_exporter_attach_fence`.
#[repr(C)]
struct AttachFence {
    buffer: u32,
    flags: u32,
    deadline: u32,
    fence: u32,
}

/// `struct lucarne_exporter_signal`.
#[repr(C)]
struct Signal {
    fence: u32,
    error: u32,
}

/// `struct lucarne_exporter_report`.
#[repr(C)]
struct ReportRequest {
    buffer: u32,
    capacity: u32,
    names: u64,
    size: u64,
    segments: u32,
    attachments: u32,
}

/// An opening of the node.
#[derive(Clone, Debug)]
pub struct Exporter {
    node: Arc<OwnedFd>,
}

/// A buffer's number, given back when this is dropped. Descriptors and devices keep the memory.
#[derive(Debug)]
pub struct Buffer {
    number: u32,
    exporter: Exporter,
}

/// A fence that hangs on a buffer and signals when told to, or at its deadline.
#[derive(Debug)]
pub struct HeldFence {
    number: u32,
    exporter: Exporter,
}

/// The calls of a dma-buf that can be told to fail: `enum lucarne_exporter_call`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// A device is attached.
    Attach,
    /// A device maps.
    Map,
    /// A program maps.
    Mmap,
    /// `DMA_BUF_IOCTL_SYNC` begins.
    BeginCpuAccess,
    /// The kernel itself maps.
    Vmap,
}

/// How the next calls of one kind go.
#[derive(Clone, Copy, Debug)]
pub struct Behaviour {
    /// What they answer; `None`: they succeed.
    pub error: Option<Errno>,
    /// How long they take before that.
    pub delay: Duration,
    /// How many calls; 0: none any more.
    pub times: u32,
}

/// What a buffer is made of, and who is attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// In bytes.
    pub size: u64,
    /// Runs of pages in physical memory.
    pub segments: u32,
    /// The devices' names.
    pub attached: Vec<String>,
}

/// How many there are in the module, for all openings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Buffers.
    pub buffers: u32,
    /// Devices that are attached.
    pub attachments: u32,
    /// Devices' mappings.
    pub mappings: u32,
    /// The kernel's own mappings.
    pub vmaps: u32,
    /// Fences.
    pub fences: u32,
}

impl Exporter {
    /// Loads the module where this is the guest, and opens its node. Elsewhere its owner has loaded it, or there is none. One
    /// thread at a time ([`fds::alone`](crate::fds::alone)).
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn open() -> Result<Self, String> {
        // Another test has loaded it, or another process.
        if in_guest() && !Path::new(NODE).exists() {
            let none = || std::env::var("LUCARNE_NO_EXPORTER").unwrap_or_default();
            let file = std::env::var("LUCARNE_EXPORTER").map_err(|_| none())?;
            module::insert(&file)?;
        }
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let node = rustix::fs::open(NODE, flags, Mode::empty());
        let node = node.map_err(|errno| format!("{NODE}: {errno}"))?;
        if !Path::new(COUNTERS).is_dir() {
            return Err(format!("{COUNTERS} is not there or not to be read"));
        }
        Ok(Self {
            node: Arc::new(node),
        })
    }

    /// Memory filled with zeros, of whole pages.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn allocate(&self, size: u64, flags: u32) -> Result<Buffer, Errno> {
        let mut request = Allocate {
            size,
            flags,
            buffer: 0,
        };
        self.update::<ALLOCATE, _>(&mut request)?;
        Ok(Buffer {
            number: request.buffer,
            exporter: self.clone(),
        })
    }

    /// Makes a request that only reads its argument.
    fn set<const REQUEST: Opcode, T>(&self, argument: T) -> Result<(), Errno> {
        // SAFETY: Setter::new: each request of lucarne_exporter.h that is given to this function reads the structure that its
        // number was computed from.
        let request = unsafe { Setter::<REQUEST, T>::new(argument) };
        // SAFETY: ioctl(2): the request holds its argument, and what that points at outlives this call.
        unsafe { rustix::ioctl::ioctl(&*self.node, request) }
    }

    /// Makes a request that writes into its argument.
    fn update<const REQUEST: Opcode, T>(&self, argument: &mut T) -> Result<(), Errno> {
        // SAFETY: Updater::new: each request of lucarne_exporter.h that is given to this function reads and writes the structure
        // that its number was computed from.
        let request = unsafe { Updater::<REQUEST, T>::new(argument) };
        // SAFETY: ioctl(2): the argument lives through the call, and what it points at too.
        unsafe { rustix::ioctl::ioctl(&*self.node, request) }
    }
}

impl Buffer {
    /// A descriptor of its dma-buf.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn export(&self) -> Result<OwnedFd, Errno> {
        let mut request = Export {
            buffer: self.number,
            fd: -1,
        };
        self.exporter.update::<EXPORT, _>(&mut request)?;
        // SAFETY: OwnedFd::from_raw_fd: the kernel has just made this descriptor for the caller.
        Ok(unsafe { OwnedFd::from_raw_fd(request.fd) })
    }

    /// The same as the library takes it.
    ///
    /// # Panics
    ///
    /// When the kernel or the library refuses.
    pub fn dma_buf(&self) -> DmaBuf {
        DmaBuf::new(self.export().expect("a descriptor")).expect("a dma-buf")
    }

    /// The kernel fills it: [`pattern`] says with what.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn fill(&self, seed: u32) -> Result<(), Errno> {
        self.exporter.set::<FILL, _>(Fill {
            buffer: self.number,
            seed,
        })
    }

    /// What the kernel reads there.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; length];
        self.exporter.set::<READ, _>(Read {
            buffer: self.number,
            pad: 0,
            offset,
            length: length as u64,
            address: bytes.as_mut_ptr().expose_provenance() as u64,
        })?;
        Ok(bytes)
    }

    /// Says how the next calls go.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a delay above ten seconds.
    pub fn behave(&self, call: Call, how: Behaviour) -> Result<(), Errno> {
        let millis = u32::try_from(how.delay.as_millis()).map_err(|_| Errno::INVAL)?;
        self.exporter.set::<BEHAVE, _>(Behave {
            buffer: self.number,
            call: call as u32,
            error: how
                .error
                .map_or(0, |errno| errno.raw_os_error().unsigned_abs()),
            delay: millis,
            times: how.times,
            pad: 0,
        })
    }

    /// Hangs a fence on the buffer: a writer's, or a reader's.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a deadline of 0 or above a minute.
    pub fn fence(&self, write: bool, deadline: Duration) -> Result<HeldFence, Errno> {
        let mut request = AttachFence {
            buffer: self.number,
            flags: if write { FENCE_WRITE } else { 0 },
            deadline: u32::try_from(deadline.as_millis()).map_err(|_| Errno::INVAL)?,
            fence: 0,
        };
        self.exporter.update::<ATTACH_FENCE, _>(&mut request)?;
        Ok(HeldFence {
            number: request.fence,
            exporter: self.exporter.clone(),
        })
    }

    /// What it is made of, and who is attached.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn report(&self) -> Result<Report, Errno> {
        let mut names = vec![[0_u8; NAME_BYTES]; NAMES];
        let mut request = ReportRequest {
            buffer: self.number,
            capacity: 64,
            names: names.as_mut_ptr().expose_provenance() as u64,
            size: 0,
            segments: 0,
            attachments: 0,
        };
        self.exporter.update::<REPORT, _>(&mut request)?;
        let found = names.iter().take(request.attachments as usize);
        let text = |name: &[u8; NAME_BYTES]| {
            let end = name.iter().position(|byte| *byte == 0);
            String::from_utf8_lossy(&name[..end.unwrap_or(NAME_BYTES)]).into_owned()
        };
        Ok(Report {
            size: request.size,
            segments: request.segments,
            attached: found.map(text).collect(),
        })
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // The number is this value's alone, so that the kernel has no reason to refuse.
        _ = self.exporter.set::<FREE, _>(self.number);
    }
}

impl HeldFence {
    /// Signals it, with an error or without.
    ///
    /// # Errors
    ///
    /// `ETIMEDOUT` when its deadline came first.
    pub fn signal(self, error: Option<Errno>) -> Result<(), Errno> {
        self.exporter.set::<SIGNAL, _>(Signal {
            fence: self.number,
            error: error.map_or(0, |errno| errno.raw_os_error().unsigned_abs()),
        })
    }
}

impl Counters {
    /// What they are now.
    ///
    /// # Panics
    ///
    /// Without the module, or without debugfs.
    pub fn now() -> Self {
        let read = |name: &str| {
            let text = fs::read_to_string(format!("{COUNTERS}/{name}")).expect(name);
            text.trim().parse().expect("a number")
        };
        Self {
            buffers: read("buffers"),
            attachments: read("attachments"),
            mappings: read("mappings"),
            vmaps: read("vmaps"),
            fences: read("fences"),
        }
    }

    /// Waits until they are again what they were: the kernel lets fences go a little after the last of their holders.
    ///
    /// # Panics
    ///
    /// When they are not so in time.
    pub fn assert_again(self) {
        let begun = Instant::now();
        while Self::now() != self {
            let now = Self::now();
            assert!(begun.elapsed() < TIMEOUT, "before: {self:?}, now: {now:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// What the kernel fills `bytes` bytes with.
pub fn pattern(seed: u32, bytes: usize) -> Vec<u8> {
    let words = (0_u32..).take(bytes.div_ceil(4));
    let mut all: Vec<u8> = words
        .flat_map(|n| seed.wrapping_add(n).wrapping_mul(FACTOR).to_ne_bytes())
        .collect();
    all.truncate(bytes);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The header with which the module is built has the last word.
    #[test]
    fn the_requests_are_the_headers() {
        let header = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../kernel/lucarne_exporter/lucarne_exporter.h"
        );
        let names = [
            ("ALLOCATE", ALLOCATE),
            ("EXPORT", EXPORT),
            ("FREE", FREE),
            ("FILL", FILL),
            ("READ", READ),
            ("BEHAVE", BEHAVE),
            ("ATTACH_FENCE", ATTACH_FENCE),
            ("SIGNAL", SIGNAL),
            ("REPORT", REPORT),
        ];
        let mut program = format!("#include \"{header}\"\n");
        for (name, number) in names {
            program +=
                &format!("_Static_assert(LUCARNE_EXPORTER_IOC_{name} == {number}, \"{name}\");\n");
        }
        for (name, value) in [
            ("SCATTERED", SCATTERED),
            ("READ_ONLY", READ_ONLY),
            ("FACTOR", FACTOR),
            ("FENCE_WRITE", FENCE_WRITE),
            ("ATTACH", Call::Attach as u32),
            ("VMAP", Call::Vmap as u32),
        ] {
            program +=
                &format!("_Static_assert(LUCARNE_EXPORTER_{name} == {value}u, \"{name}\");\n");
        }
        check(&program);
    }

    /// In the guest there is no compiler that could be asked.
    fn check(program: &str) {
        use std::io::Write as _;
        use std::process::{Command, Stdio};
        let mut cc = Command::new("cc");
        cc.args(["-fsyntax-only", "-x", "c", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped());
        let mut cc = match cc.spawn() {
            Ok(cc) => cc,
            Err(error) => return crate::skip::skip("gcc", &format!("cc: {error}")),
        };
        let mut input = cc.stdin.take().expect("a pipe");
        input.write_all(program.as_bytes()).expect("a program");
        drop(input);
        let done = cc.wait_with_output().expect("cc");
        let said = String::from_utf8_lossy(&done.stderr);
        if said.contains("linux/ioctl.h: No such file") {
            return crate::skip::skip("headers", "linux/ioctl.h is not installed");
        }
        assert!(done.status.success(), "{said}");
    }

    #[test]
    fn patterns() {
        let bytes = pattern(7, 10);
        assert_eq!(bytes.len(), 10);
        assert_eq!(bytes[..4], 7_u32.wrapping_mul(FACTOR).to_ne_bytes());
        assert_eq!(bytes[4..8], 8_u32.wrapping_mul(FACTOR).to_ne_bytes());
    }
}
