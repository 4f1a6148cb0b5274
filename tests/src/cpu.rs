//! The CPU as producer and consumer: frames written and read through `lucarne::cpu`.

use lucarne::cpu::{Adapter, Allocator, Device, Image};
use lucarne::{Fence, MemoryPath, Offer, kernel::DmaHeap};

use crate::TIMEOUT;
use crate::memory;
use crate::skip::skip;

/// The heap that every kernel with heaps has.
pub fn system_heap() -> Allocator {
    Allocator::DmaHeap(DmaHeap::SYSTEM.to_owned())
}

/// The path that an allocator's memory takes.
pub fn path(allocator: &Allocator) -> MemoryPath {
    match allocator {
        Allocator::HostMemory => MemoryPath::HostMemory,
        _ => MemoryPath::DmaBuf,
    }
}

/// Opens an allocator that the machine has.
///
/// # Panics
///
/// When it has not: ask [`can`] first.
pub fn open(allocator: &Allocator) -> Device {
    Adapter::new(allocator.clone())
        .open()
        .expect("an allocator")
}

/// Whether both ends have what `allocator` makes; a skip says why not.
pub fn can(allocator: &Allocator, other: &Offer) -> bool {
    let path = path(allocator);
    let support = other.path(path);
    if !support.is_yes() {
        skip(
            path.name(),
            &format!("{}: {}", other.name, support.reason()),
        );
        return false;
    }
    memory::can(allocator)
}

/// Bytes of a plane that tell planes, rows, columns and frames apart.
///
/// # Panics
///
/// Never: the values fit a byte.
pub fn plane_bytes(image: &Image, plane: usize, frame: usize) -> Vec<u8> {
    let row_bytes = image.row_bytes(plane);
    (0..image.plane_bytes(plane))
        .map(|index| {
            let (x, y) = (index % row_bytes, index / row_bytes);
            let value = x * 7 + y * 31 + plane * 101 + frame * 53 + 1;
            u8::try_from(value % 251).expect("below 251")
        })
        .collect()
}

/// Writes every plane, rows without padding; returns the acquire fence.
///
/// # Panics
///
/// When the turn fails.
pub fn write(image: &Image, gate: &Fence, planes: &[Vec<u8>]) -> Fence {
    image
        .write(gate, TIMEOUT, |rows| {
            for (plane, bytes) in planes.iter().enumerate() {
                rows.write_plane(plane, bytes)?;
            }
            Ok(())
        })
        .expect("a written frame")
}

/// Reads every plane, rows without padding; returns them and the release fence.
///
/// # Panics
///
/// When the turn fails.
pub fn read(image: &Image, acquire: &Fence) -> (Vec<Vec<u8>>, Fence) {
    let mut planes: Vec<Vec<u8>> = (0..image.planes())
        .map(|plane| vec![0; image.plane_bytes(plane)])
        .collect();
    let release = image
        .read(acquire, TIMEOUT, |rows| {
            for (plane, bytes) in planes.iter_mut().enumerate() {
                rows.read_plane(plane, bytes)?;
            }
            Ok(())
        })
        .expect("a read frame");
    (planes, release)
}
