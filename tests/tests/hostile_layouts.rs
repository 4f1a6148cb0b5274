//! Layouts at the edges of 16, 24, 31, 32 and 33 bits, in sparse memory that really has the room: drivers compute with 32
//! bits, signed ones too, and answer what wraps with SIGSEGV. Each backend tries them in a process of its own.

use std::os::fd::OwnedFd;

use lucarne::cpu::{Adapter, Allocator};
use lucarne::{
    DeviceId, Error, Extent, Fence, Format, Frame, FrameLayout, Memory, MemoryPath, Modifier,
    PAGE_BYTES, Plane, Tiling, Usage,
    kernel::{DmaBuf, Memfd},
};
use lucarne_tests::reader::Reader;
use lucarne_tests::{TIMEOUT, child, in_guest, pair::Pair, skip::skip};
use rustix::fs::{MemfdFlags, SealFlags};

const FORMAT: Format = Format::XRGB8888;
/// What no pixel may lie beyond: the largest number of 32 signed bits.
const MOST: u64 = (1 << 31) - 1;

/// One claim of a peer.
#[derive(Clone, Copy, Debug)]
struct Claim {
    extent: Extent,
    offset: u64,
    pitch: u64,
    size: u64,
}

impl Claim {
    /// The byte behind the last pixel.
    fn end(self) -> u64 {
        let row = u64::from(self.extent.width) * 4;
        self.offset + self.pitch * u64::from(self.extent.height - 1) + row
    }

    fn layout(self) -> lucarne::Result<FrameLayout> {
        let plane = Plane {
            object: 0,
            offset: self.offset,
            pitch: self.pitch,
        };
        let tiling = Tiling::Explicit(Modifier::LINEAR);
        FrameLayout::new(self.extent, FORMAT, tiling, &[plane], &[self.size])
    }

    fn frame(self, path: MemoryPath) -> lucarne::Result<Frame> {
        let layout = self.layout()?;
        let memory = match path {
            MemoryPath::DmaBuf => Memory::DmaBuf(vec![DmaBuf::new(sparse(self.size))?]),
            _ => Memory::HostMemory(Memfd::new(sparse(self.size))?),
        };
        Frame::new(layout, memory, DeviceId::default())
    }
}

/// Memory of which only what is touched costs anything.
fn sparse(bytes: u64) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = rustix::fs::memfd_create("lucarne-sparse", flags).expect("a memfd");
    rustix::fs::ftruncate(&fd, bytes).expect("a size");
    rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK).expect("a seal");
    fd
}

/// Those that have ended a process, and then every combination; in the guest a sixteenth of them, as of the cases of property
/// tests: its driver is the same as outside, where all are tried, and there they took five minutes.
fn claims() -> Vec<Claim> {
    let claim = |width, height, pitch, size| Claim {
        extent: Extent::new(width, height),
        offset: 0,
        pitch,
        size,
    };
    let mut claims = vec![
        claim(64, 4, 0x4000_0000, 1 << 32),
        claim(64, 3, 0x4000_0000, 1 << 32),
        claim(1, 4, 0x4000_0000, 1 << 32),
        claim(64, 2, 0x8000_0000, 0x8000_0100),
        claim(64, 1, 0x8000_0000, PAGE_BYTES),
        claim(64, 2, 0x4000_0000, 0x4000_0100),
        claim(64, 1, 0xC000_0000, PAGE_BYTES),
    ];
    let known = claims.len();
    let edges = [16, 24, 30, 31, 32, 33].map(|bits| 1_u64 << bits);
    let near = |edge: u64, step: u64| [edge - step, edge, edge + step];
    let sizes: Vec<u64> = edges
        .iter()
        .flat_map(|edge| near(*edge, PAGE_BYTES))
        .collect();
    for pitch in edges.iter().flat_map(|edge| near(*edge, 256)) {
        for (width, height) in [(64, 1_u32), (64, 2), (1, 3), (64, 4), (64, 5), (64, 16)] {
            let tight = pitch * (u64::from(height) - 1) + u64::from(width) * 4;
            let padded = pitch * u64::from(height.next_multiple_of(16));
            let all = sizes.iter().chain([&tight, &padded]);
            claims.extend(all.map(|size| claim(width, height, pitch, *size)));
        }
    }
    for offset in edges.iter().flat_map(|edge| near(*edge, PAGE_BYTES)) {
        for pitch in [256, 65_536, 1 << 20] {
            let one = claim(64, 4, pitch, 0);
            let all = sizes.iter().map(|size| Claim {
                offset,
                size: *size,
                ..one
            });
            claims.extend(all);
        }
    }
    if in_guest() {
        let rest = claims.split_off(known);
        claims.extend(rest.into_iter().step_by(16));
    }
    claims
}

/// Tries all claims with one backend. Whatever lies beyond [`MOST`] or its buffer is refused by name; the rest is refused
/// or shown, and what is shown is black.
fn try_all(path: MemoryPath, show: impl Fn(&Frame) -> lucarne::Result<bool>) {
    let (mut refused, mut shown) = (0, 0);
    for claim in claims() {
        eprintln!("trying {claim:x?}");
        match claim.frame(path).and_then(|frame| show(&frame)) {
            Ok(black) => {
                assert!(claim.end() <= claim.size.min(MOST), "shown: {claim:x?}");
                assert!(black, "not what lies there: {claim:x?}");
                shown += 1;
            }
            Err(Error::Invalid { field, got, limit }) => {
                assert!(!field.is_empty() && !got.is_empty() && !limit.is_empty());
                refused += 1;
            }
            Err(error) => panic!("{claim:x?}: {error}"),
        }
    }
    eprintln!("{refused} refused, {shown} shown");
    assert!(refused > 0 && shown > 0);
}

/// Plays `test` in a process of its own, whose last words are told when it dies.
fn play(test: &str) {
    let output = child::run(test, &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().collect();
    let last = lines[lines.len().saturating_sub(8)..].join("\n");
    assert!(output.status.success(), "{}: {last}", output.status);
    eprintln!("{test}: {}", lines.last().unwrap_or(&""));
}

/// Software drivers on both sides with this path, or a skip: GPUs are given no stand-ins.
fn software(path: MemoryPath) -> Option<Pair> {
    let pair = Pair::open();
    let software = pair.gl.id().software && pair.vk.adapter().id().software;
    if !software {
        skip(
            "software",
            "GPUs are not given memory that stands in for dma-bufs",
        );
        return None;
    }
    let opengl = pair.consumer();
    if !(opengl.path(path).is_yes() && pair.vk.path(path).is_yes()) {
        skip("udmabuf", "these drivers take no dma-bufs");
        return None;
    }
    Some(pair)
}

fn opengl(test: &str, path: MemoryPath) {
    if !child::is(test) {
        return play(test);
    }
    let Some(pair) = software(path) else { return };
    try_all(path, |frame| {
        let texture = pair.gl.import(frame)?;
        pair.gl.read(&texture, &Fence::Signaled, TIMEOUT)?;
        let pixels = Reader::new(&pair.gl).read(&texture);
        Ok(pixels
            .iter()
            .all(|pixel| pixel[..3].iter().all(|value| value.to_bits() == 0)))
    });
}

fn vulkan(test: &str, path: MemoryPath) {
    if !child::is(test) {
        return play(test);
    }
    let Some(pair) = software(path) else { return };
    try_all(path, |frame| {
        let image = pair.vk.import(frame, Usage::TRANSFER_SOURCE)?;
        let pixels = pair.vk.download(&image, &Fence::Signaled, TIMEOUT)?;
        Ok(pixels.iter().all(|byte| *byte == 0))
    });
}

/// The CPU is one more consumer, and needs no child: it has no driver.
#[test]
fn the_cpu_survives_any_layout() {
    let host = Adapter::new(Allocator::HostMemory).open().expect("memory");
    for path in [MemoryPath::DmaBuf, MemoryPath::HostMemory] {
        try_all(path, |frame| {
            let image = host.import(frame)?;
            let mut pixels = vec![1; image.plane_bytes(0)];
            let read = image.read(&Fence::Signaled, TIMEOUT, |rows| {
                rows.read_plane(0, &mut pixels)
            });
            assert!(matches!(read?, Fence::Signaled));
            Ok(pixels.iter().all(|byte| *byte == 0))
        });
    }
}

#[test]
fn opengl_survives_dma_bufs_of_any_layout() {
    opengl("opengl_survives_dma_bufs_of_any_layout", MemoryPath::DmaBuf);
}

#[test]
fn opengl_survives_host_memory_of_any_layout() {
    opengl(
        "opengl_survives_host_memory_of_any_layout",
        MemoryPath::HostMemory,
    );
}

#[test]
fn vulkan_survives_dma_bufs_of_any_layout() {
    vulkan("vulkan_survives_dma_bufs_of_any_layout", MemoryPath::DmaBuf);
}

#[test]
fn vulkan_survives_host_memory_of_any_layout() {
    vulkan(
        "vulkan_survives_host_memory_of_any_layout",
        MemoryPath::HostMemory,
    );
}

/// What a frame in host memory costs is what its rows cost, wherever they lie and however far apart: the memory's holes
/// stay holes. A size that is no whole number of pages has Vulkan copy; the other is used in place.
#[test]
fn vulkan_touches_only_the_rows_of_host_memory() {
    let pair = Pair::open();
    for size in [48 << 20, (48 << 20) + 100] {
        let claim = Claim {
            extent: Extent::new(32, 4),
            offset: 4096,
            pitch: 1 << 19,
            size,
        };
        let fd = sparse(size);
        let row = [7_u8; 128];
        for number in 0..4 {
            let at = claim.offset + number * claim.pitch;
            let written = rustix::io::pwrite(&fd, &row, at).expect("room");
            assert_eq!(written, row.len());
        }
        let memory = Memory::HostMemory(Memfd::new(fd.try_clone().expect("fd")).expect("sealed"));
        let layout = claim.layout().expect("it fits");
        let frame = Frame::new(layout, memory, DeviceId::default()).expect("a frame");
        let image = pair
            .vk
            .import(&frame, Usage::TRANSFER_SOURCE)
            .expect("an image");
        let pixels = pair
            .vk
            .download(&image, &Fence::Signaled, TIMEOUT)
            .expect("pixels");
        assert_eq!(pixels, [7; 512]);
        let pages = rustix::fs::fstat(&fd).expect("a file").st_blocks * 512 / 4096;
        if pair.vk.adapter().id().software {
            assert!(pages <= 8, "{pages} pages of {size} bytes for four rows");
        }
    }
    pair.assert_valid();
}

/// A driver may pin what it is given, or copy it: a frame of 128 pixels does not get a gigabyte.
#[test]
fn host_memory_far_beyond_its_layout_is_refused_by_vulkan() {
    let pair = Pair::open();
    for (size, taken) in [(64 << 20, true), ((64 << 20) + 1, false), (1 << 33, false)] {
        let claim = Claim {
            extent: Extent::new(32, 4),
            offset: 0,
            pitch: 256,
            size,
        };
        let frame = claim.frame(MemoryPath::HostMemory).expect("it fits");
        match pair.vk.import(&frame, Usage::TRANSFER_SOURCE) {
            Ok(_) => assert!(taken, "{size} bytes"),
            Err(error) => {
                let text = error.to_string();
                assert!(!taken && text.contains("memory size"), "{text}");
                assert!(
                    text.contains(&size.to_string()) && text.contains("67108864"),
                    "{text}"
                );
            }
        }
    }
    pair.assert_valid();
}
