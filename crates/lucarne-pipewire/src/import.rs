//! A PipeWire buffer becomes a frame of ours, checked.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use lucarne::kernel::Memfd;
use lucarne::{
    DeviceId, DmaBufPlane, Error, FormatInfo, Frame, FrameLayout, Memory, MemoryPath, PAGE_BYTES,
    Plane,
};
use pipewire::spa::sys;
use rustix::fs::SealFlags;

use crate::event::Negotiated;
use crate::ffi::{self, Chunk, Data, MOST_BLOCKS, RawBuffer};

/// What a buffer holds, as it was read: the same values are the same frame.
pub(crate) type Blocks = Vec<Data>;

/// Reads a buffer once.
///
/// # Errors
///
/// `Invalid` for a buffer without blocks, with more than any format has, or with blocks that have no chunk.
pub(crate) fn read(buffer: RawBuffer) -> lucarne::Result<Blocks> {
    let number = buffer.blocks();
    if number == 0 || number > MOST_BLOCKS {
        let limit = format!("1 to {MOST_BLOCKS}, one for each memory plane");
        return Err(invalid("buffer.n_datas", number, limit));
    }
    let blocks: Option<Blocks> = (0..number).map(|index| buffer.data(index)).collect();
    blocks.ok_or_else(|| invalid("data.chunk", "null", "the block's valid part".to_owned()))
}

/// Whether the peer says that there is no picture in it: one that failed, or a cursor that moved.
pub(crate) fn is_without_picture(blocks: &Blocks) -> bool {
    let flags = sys::SPA_CHUNK_FLAG_CORRUPTED.cast_signed();
    blocks
        .iter()
        .any(|block| block.chunk.size == 0 || block.chunk.flags & flags != 0)
}

/// Whether a buffer holds what it held before. How much of it is valid says nothing of where it lies.
pub(crate) fn is_same(before: &Blocks, now: &Blocks) -> bool {
    let place = |block: &Data| {
        let Chunk { offset, stride, .. } = block.chunk;
        (block.kind, block.fd, block.map_offset, offset, stride)
    };
    before.iter().map(place).eq(now.iter().map(place))
}

/// Whether the daemon has made the memory: it lies in a block of its own, mapped here, without a descriptor for the frame.
fn is_mapped(blocks: &Blocks) -> bool {
    blocks
        .iter()
        .all(|block| block.kind == sys::SPA_DATA_MemPtr)
}

/// Whether the peer can still shorten the memory: reading it in place could end in SIGBUS. Weston's is so.
fn may_shrink(block: &Data) -> bool {
    let Ok(fd) = ffi::duplicate(block.fd) else {
        return false;
    };
    // What is no memfd has no seals.
    block.kind == sys::SPA_DATA_MemFd
        && !rustix::fs::fcntl_get_seals(&fd).is_ok_and(|seals| seals.contains(SealFlags::SHRINK))
}

/// Whether [`frame`] and [`refresh`] copy the pixels: out of memory that no descriptor stands for, or that may shrink. What was found for
/// a buffer's first frame holds for all of them.
pub(crate) fn is_copied(blocks: &Blocks) -> bool {
    is_mapped(blocks) || blocks.iter().any(may_shrink)
}

/// A frame with descriptors of its own: a re-negotiation closes the buffer's, and not the reader's.
///
/// # Errors
///
/// `Invalid`, naming the field, for another kind of memory than was negotiated, for a stride below 0, and those of
/// `Frame::from_dma_bufs`, `Memfd::new` and `FrameLayout::new`; `Os` when the process has no descriptor left.
pub(crate) fn frame(
    buffer: RawBuffer,
    blocks: &Blocks,
    copied: bool,
    negotiated: &Negotiated,
) -> lucarne::Result<Frame> {
    let info = negotiated
        .format
        .info()
        .ok_or_else(|| invalid("format", negotiated.format, "a known one".to_owned()))?;
    let height = negotiated.extent.height;
    let frame = if negotiated.path == MemoryPath::HostMemory && copied {
        let (moved, bytes) = moved(blocks)?;
        let all: Vec<&Data> = moved.iter().collect();
        let places = places(&all, info, height)?;
        let memory = Memfd::create("lucarne-pipewire", bytes)?;
        let frame = host_frame(memory, &places, negotiated)?;
        refresh(buffer, blocks, &frame)?;
        frame
    } else {
        let planes = planes_of(blocks, negotiated)?;
        let places = places(&planes, info, height)?;
        if negotiated.path == MemoryPath::DmaBuf {
            dma_bufs(&places, negotiated)?
        } else {
            host_memory(&places, negotiated)?
        }
    };
    frame.with_color(negotiated.color)
}

/// The blocks that hold pixels, all of the kind that was negotiated.
fn planes_of<'a>(blocks: &'a Blocks, negotiated: &Negotiated) -> lucarne::Result<Vec<&'a Data>> {
    let kind = match negotiated.path {
        MemoryPath::DmaBuf => sys::SPA_DATA_DmaBuf,
        _ => sys::SPA_DATA_MemFd,
    };
    // What follows the planes are a timeline's descriptors.
    let planes: Vec<&Data> = blocks
        .iter()
        .filter(|block| block.kind != sys::SPA_DATA_SyncObj)
        .collect();
    if let Some(other) = planes.iter().find(|block| block.kind != kind) {
        let limit = format!("{} ({kind}), as negotiated", kind_name(kind));
        let got = format!("{} ({})", kind_name(other.kind), other.kind);
        return Err(invalid("data.type", got, limit));
    }
    Ok(planes)
}

/// Where the blocks of mapped memory go in a memfd of ours, one behind the other, and that memfd's size.
///
/// # Errors
///
/// `Invalid` for a chunk that ends beyond its block.
fn moved(blocks: &Blocks) -> lucarne::Result<(Blocks, u64)> {
    let mut end = 0;
    let mut moved = Vec::new();
    for block in blocks {
        let chunk = block.chunk;
        let valid = u64::from(chunk.offset) + u64::from(chunk.size);
        if valid > u64::from(block.max_size) {
            let limit = format!("at most {}, the block's size", block.max_size);
            return Err(invalid("chunk.offset + chunk.size", valid, limit));
        }
        moved.push(Data {
            map_offset: u32::try_from(end)
                .map_err(|_| invalid("data.maxsize", end, "below 4294967296 bytes in all"))?,
            chunk: Chunk { offset: 0, ..chunk },
            ..*block
        });
        end += u64::from(chunk.size).next_multiple_of(PAGE_BYTES);
    }
    Ok((moved, end))
}

/// Copies what a buffer holds now into its frame, for one that [`is_copied`].
///
/// # Errors
///
/// `Invalid` for a chunk that ends beyond its block or has grown; `Os` when the kernel does not write.
pub(crate) fn refresh(buffer: RawBuffer, blocks: &Blocks, frame: &Frame) -> lucarne::Result<()> {
    let Memory::HostMemory(memfd) = frame.memory() else {
        return Ok(());
    };
    let (moved, bytes) = moved(blocks)?;
    if bytes > memfd.size() {
        let limit = format!("at most {}, as in the frames before", memfd.size());
        return Err(invalid("chunk.size", bytes, limit));
    }
    for ((block, to), index) in blocks.iter().zip(&moved).zip(0..) {
        let at = u64::from(to.map_offset);
        let copied = if block.kind == sys::SPA_DATA_MemPtr {
            ffi::copy_out(buffer, index, block, memfd.as_fd(), at)
        } else {
            copy_file(block, memfd.as_fd(), at)
        };
        copied.map_err(|errno| Error::Os {
            operation: "copying a PipeWire buffer",
            source: errno.into(),
            help: if errno == rustix::io::Errno::NODATA {
                "the peer's memory is shorter than it says"
            } else {
                ""
            },
        })?;
    }
    Ok(())
}

/// Copies what is valid in a block that has a descriptor. The kernel reads, and stops where a file that was shortened ends.
fn copy_file(block: &Data, to: BorrowedFd<'_>, at: u64) -> rustix::io::Result<()> {
    let from = ffi::duplicate(block.fd)?;
    let mut offset = u64::from(block.map_offset) + u64::from(block.chunk.offset);
    let mut left = block.chunk.size as usize;
    rustix::fs::seek(to, rustix::fs::SeekFrom::Start(at))?;
    while left > 0 {
        match rustix::fs::sendfile(to, &from, Some(&mut offset), left) {
            Ok(0) => return Err(rustix::io::Errno::NODATA),
            Ok(sent) => left -= sent,
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn kind_name(kind: u32) -> &'static str {
    match kind {
        sys::SPA_DATA_MemPtr => "MemPtr",
        sys::SPA_DATA_MemFd => "MemFd",
        sys::SPA_DATA_DmaBuf => "DmaBuf",
        sys::SPA_DATA_SyncObj => "SyncObj",
        _ => "another kind",
    }
}

fn invalid(field: &'static str, got: impl std::fmt::Display, limit: impl Into<String>) -> Error {
    Error::Invalid {
        field,
        got: got.to_string(),
        limit: limit.into(),
    }
}

struct Place {
    fd: i32,
    offset: u64,
    pitch: u64,
}

fn pitch(chunk: &Chunk) -> lucarne::Result<u64> {
    u64::try_from(chunk.stride)
        .map_err(|_| invalid("chunk.stride", chunk.stride, "0 or more: rows go downwards"))
}

/// Where each plane lies: a block for each, or all in one block, one behind the other.
fn places(blocks: &[&Data], info: &FormatInfo, height: u32) -> lucarne::Result<Vec<Place>> {
    let start = |block: &Data| u64::from(block.map_offset) + u64::from(block.chunk.offset);
    if let [block] = blocks
        && info.planes.len() > 1
    {
        return contiguous(block, start(block), info, height);
    }
    let place = |block: &&Data| {
        Ok(Place {
            fd: block.fd,
            offset: start(block),
            pitch: pitch(&block.chunk)?,
        })
    };
    blocks.iter().map(place).collect()
}

/// The planes of a block that has all: each begins where the one before it ends, and the stride is the first one's.
fn contiguous(
    block: &Data,
    start: u64,
    info: &FormatInfo,
    height: u32,
) -> lucarne::Result<Vec<Place>> {
    let first = &info.planes[0];
    let stride = pitch(&block.chunk)?;
    let mut offset = start;
    let mut places = Vec::new();
    for (index, plane) in info.planes.iter().enumerate() {
        let across = u64::from(first.block_bytes) * u64::from(plane.horizontal_subsampling);
        let pitch = stride * u64::from(plane.block_bytes) / across.max(1);
        places.push(Place {
            fd: block.fd,
            offset,
            pitch,
        });
        offset += pitch * u64::from(info.rows(index, height).unwrap_or(0));
    }
    Ok(places)
}

fn duplicate(fd: i32) -> lucarne::Result<OwnedFd> {
    ffi::duplicate(fd).map_err(|errno| Error::Os {
        operation: "duplicating a PipeWire buffer's descriptor",
        source: errno.into(),
        help: "",
    })
}

fn dma_bufs(places: &[Place], negotiated: &Negotiated) -> lucarne::Result<Frame> {
    let narrow = |field, bytes: u64| {
        u32::try_from(bytes).map_err(|_| invalid(field, bytes, "below 4294967296 bytes"))
    };
    let planes: lucarne::Result<Vec<DmaBufPlane>> = places
        .iter()
        .map(|place| {
            Ok(DmaBufPlane {
                fd: duplicate(place.fd)?,
                offset: narrow("chunk.offset", place.offset)?,
                pitch: narrow("chunk.stride", place.pitch)?,
            })
        })
        .collect();
    Frame::from_dma_bufs(
        negotiated.extent,
        negotiated.format,
        negotiated.tiling,
        planes?,
    )
}

/// All planes lie in one memfd, or the frame is none that the CPU's backend knows.
fn host_memory(places: &[Place], negotiated: &Negotiated) -> lucarne::Result<Frame> {
    let mut memory: Option<Memfd> = None;
    for place in places {
        let memfd = Memfd::new(duplicate(place.fd)?)?;
        match &memory {
            None => memory = Some(memfd),
            Some(first) if first.identity() != memfd.identity() => {
                let limit = "the memfd of the first plane: a frame of shared memory has one";
                return Err(invalid("data.fd", "another memfd", limit));
            }
            Some(_) => {}
        }
    }
    match memory {
        Some(memfd) => host_frame(memfd, places, negotiated),
        None => Err(invalid("buffer.n_datas", 0, "at least 1")),
    }
}

fn host_frame(memfd: Memfd, places: &[Place], negotiated: &Negotiated) -> lucarne::Result<Frame> {
    let plane = |place: &Place| Plane {
        object: 0,
        offset: place.offset,
        pitch: place.pitch,
    };
    let planes: Vec<Plane> = places.iter().map(plane).collect();
    let layout = FrameLayout::new(
        negotiated.extent,
        negotiated.format,
        negotiated.tiling,
        &planes,
        &[memfd.size()],
    )?;
    Frame::new(layout, Memory::HostMemory(memfd), DeviceId::default())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use lucarne::color::ColorDescription;
    use lucarne::{Extent, Format, Modifier, Tiling};

    use super::*;

    /// 64 rows of 256 bytes, and a page.
    fn memory() -> Memfd {
        Memfd::create("test", 64 * 256 + PAGE_BYTES).expect("a memfd")
    }

    fn negotiated(path: MemoryPath, format: Format) -> Negotiated {
        Negotiated {
            path,
            format,
            tiling: Tiling::Explicit(Modifier::LINEAR),
            extent: Extent::new(64, 64),
            color: ColorDescription::default_for(format.info().expect("known")),
        }
    }

    fn block(kind: u32, memory: &Memfd) -> Data {
        Data {
            kind,
            flags: 0,
            fd: memory.as_fd().as_raw_fd(),
            map_offset: 0,
            max_size: 64 * 256,
            chunk: Chunk {
                offset: 0,
                size: 64 * 256,
                stride: 256,
                flags: 0,
            },
        }
    }

    /// What becomes of blocks in memory that has descriptors.
    fn frame_of(blocks: &[Data], negotiated: &Negotiated) -> lucarne::Result<Frame> {
        let blocks = blocks.to_vec();
        let info = negotiated.format.info().expect("known");
        let planes = planes_of(&blocks, negotiated)?;
        let places = places(&planes, info, negotiated.extent.height)?;
        match negotiated.path {
            MemoryPath::DmaBuf => dma_bufs(&places, negotiated),
            _ => host_memory(&places, negotiated),
        }
    }

    #[test]
    fn an_honest_buffer_is_a_frame_with_descriptors_of_its_own() {
        for (path, kind) in [
            (MemoryPath::DmaBuf, sys::SPA_DATA_DmaBuf),
            (MemoryPath::HostMemory, sys::SPA_DATA_MemFd),
        ] {
            let memory = memory();
            let inode = memory.identity();
            let honest = block(kind, &memory);
            let frame = frame_of(&[honest], &negotiated(path, Format::XRGB8888)).expect("a frame");
            drop(memory);
            assert_eq!(frame.identity(), Some(inode));
        }
    }

    fn refusal(blocks: &[Data], format: Format) -> String {
        let seen = frame_of(blocks, &negotiated(MemoryPath::DmaBuf, format));
        seen.expect_err("a lie").to_string()
    }

    #[test]
    fn a_chunk_that_lies_is_named() {
        let memory = memory();
        let honest = block(sys::SPA_DATA_DmaBuf, &memory);
        let lies = [
            ("chunk.stride is -256", 0, -256),
            ("plane.pitch is 0", 0, 0),
            ("plane.pitch is 4", 0, 4),
            ("plane.pitch is 2147483647", 0, i32::MAX),
            ("plane.offset is 40000", 40000, 256),
            ("plane.offset + plane.pitch", 12000, 256),
        ];
        for (must, offset, stride) in lies {
            let mut lie = honest;
            (lie.chunk.offset, lie.chunk.stride) = (offset, stride);
            let text = refusal(&[lie], Format::XRGB8888);
            assert!(text.contains(must), "{must}: {text}");
        }
    }

    #[test]
    fn a_block_that_lies_is_named() {
        let memory = memory();
        let honest = block(sys::SPA_DATA_DmaBuf, &memory);
        let mut far = honest;
        (far.map_offset, far.chunk.offset) = (u32::MAX, u32::MAX);
        let kind = sys::SPA_DATA_MemFd;
        let lies = [
            ("chunk.offset is 8589934590", far),
            ("data.type is MemFd", Data { kind, ..honest }),
            ("Bad file descriptor", Data { fd: -1, ..honest }),
            (
                "Bad file descriptor",
                Data {
                    fd: 1_000_000,
                    ..honest
                },
            ),
        ];
        for (must, lie) in lies {
            let text = refusal(&[lie], Format::XRGB8888);
            assert!(text.contains(must), "{must}: {text}");
        }
        // More planes than the format has, and fewer.
        for format in [Format::XRGB8888, Format::YUV420] {
            let text = refusal(&[honest, honest], format);
            assert!(text.contains("planes.len() is 2"), "{text}");
        }
    }

    #[test]
    fn memory_that_may_shrink_is_refused() {
        let file = tempfile::tempfile().expect("a file");
        file.set_len(1 << 20).expect("a size");
        let memory = memory();
        for kind in [sys::SPA_DATA_DmaBuf, sys::SPA_DATA_MemFd] {
            let path = match kind {
                sys::SPA_DATA_DmaBuf => MemoryPath::DmaBuf,
                _ => MemoryPath::HostMemory,
            };
            let lie = Data {
                fd: file.as_raw_fd(),
                ..block(kind, &memory)
            };
            let seen = frame_of(&[lie], &negotiated(path, Format::XRGB8888));
            assert!(matches!(seen, Err(Error::Invalid { .. })), "{seen:?}");
        }
    }

    /// As Weston's: it is copied, and a peer that shortens it meanwhile gets an error, and this process no SIGBUS.
    #[test]
    fn memory_that_is_shortened_is_read_no_further() {
        let file = tempfile::tempfile().expect("a file");
        file.set_len(64 * 256).expect("a size");
        let memory = memory();
        let block = Data {
            fd: file.as_raw_fd(),
            ..block(sys::SPA_DATA_MemFd, &memory)
        };
        assert!(is_copied(&vec![block]));
        assert!(!is_copied(&vec![Data {
            fd: memory.as_fd().as_raw_fd(),
            ..block
        }]));
        assert_eq!(copy_file(&block, memory.as_fd(), 0), Ok(()));
        file.set_len(64 * 255).expect("a size");
        let seen = copy_file(&block, memory.as_fd(), 0);
        assert_eq!(seen, Err(rustix::io::Errno::NODATA));
    }

    #[test]
    fn planes_in_one_block_lie_behind_each_other() {
        let memory = memory();
        let one = Data {
            chunk: Chunk {
                stride: 64,
                offset: 128,
                size: 64 * 96,
                flags: 0,
            },
            ..block(sys::SPA_DATA_MemFd, &memory)
        };
        let places_of = |format| {
            let frame = frame_of(&[one], &negotiated(MemoryPath::HostMemory, format));
            let frame = frame.expect("a frame");
            let planes = frame.layout().planes().iter();
            planes
                .map(|plane| (plane.offset, plane.pitch))
                .collect::<Vec<_>>()
        };
        let chroma = 128 + 64 * 64;
        assert_eq!(places_of(Format::NV12), [(128, 64), (chroma, 64)]);
        assert_eq!(
            places_of(Format::YUV420),
            [(128, 64), (chroma, 32), (chroma + 32 * 32, 32)]
        );
    }

    #[test]
    fn a_chunk_that_ends_beyond_its_block_is_refused() {
        let memory = memory();
        let mut lie = block(sys::SPA_DATA_MemPtr, &memory);
        lie.chunk.offset = 1;
        let text = moved(&vec![lie]).expect_err("beyond").to_string();
        assert!(text.contains("16385") && text.contains("16384"), "{text}");
    }

    #[test]
    fn a_buffer_without_a_picture_says_so() {
        let memory = memory();
        let honest = block(sys::SPA_DATA_MemFd, &memory);
        assert!(!is_without_picture(&vec![honest]));
        let mut empty = honest;
        empty.chunk.size = 0;
        let mut corrupted = honest;
        corrupted.chunk.flags = 1;
        assert!(is_without_picture(&vec![empty]));
        assert!(is_without_picture(&vec![honest, corrupted]));
    }
}
