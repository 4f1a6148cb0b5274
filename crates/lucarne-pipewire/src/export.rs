//! A frame of ours becomes what a PipeWire buffer holds.

use std::os::fd::{AsFd, AsRawFd};

use lucarne::{Frame, Memory};
use pipewire::spa::sys;

use crate::ffi::{Chunk, Data};

/// One block for each memory plane: its descriptor, and where it lies. The descriptors are the frame's.
///
/// # Errors
///
/// `Invalid` for opaque memory, which PipeWire does not have.
pub(crate) fn blocks(frame: &Frame) -> lucarne::Result<Vec<Data>> {
    let info = frame.layout().format_info();
    let extent = frame.layout().extent();
    let places: Vec<(i32, u64, u32, u64, u64)> = match frame.memory() {
        Memory::HostMemory(memfd) => {
            let planes = frame.layout().planes().iter();
            let fd = memfd.as_fd().as_raw_fd();
            planes
                .map(|plane| {
                    let kind = sys::SPA_DATA_MemFd;
                    (fd, memfd.size(), kind, plane.offset, plane.pitch)
                })
                .collect()
        }
        Memory::DmaBuf(buffers) => {
            let planes = frame.layout().planes().iter();
            planes
                .map(|plane| {
                    let buffer = &buffers[plane.object];
                    let fd = buffer.as_fd().as_raw_fd();
                    let kind = sys::SPA_DATA_DmaBuf;
                    (fd, buffer.size(), kind, plane.offset, plane.pitch)
                })
                .collect()
        }
        // Says what would do.
        Memory::OpaqueFd(_) => return frame.dma_buf_planes().map(|_| Vec::new()),
    };
    let block = |(index, (fd, size, kind, offset, pitch)): (usize, (i32, u64, u32, u64, u64))| {
        let rows = info.rows(index.min(info.planes.len() - 1), extent.height);
        let bytes = pitch * u64::from(rows.unwrap_or(0));
        let mappable = if kind == sys::SPA_DATA_MemFd {
            sys::SPA_DATA_FLAG_MAPPABLE
        } else {
            0
        };
        Data {
            kind,
            flags: sys::SPA_DATA_FLAG_READABLE | mappable,
            fd,
            map_offset: 0,
            max_size: narrow(size),
            chunk: Chunk {
                offset: narrow(offset),
                // The last row's padding may lie beyond the memory's end.
                size: narrow(bytes.min(size - offset)),
                stride: i32::try_from(pitch).unwrap_or(i32::MAX),
                flags: 0,
            },
        }
    };
    Ok(places.into_iter().enumerate().map(block).collect())
}

/// A frame's planes end below `MAX_REACH`; a buffer behind them may be larger than 32 bits can say.
fn narrow(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
