//! Bytes that nobody may touch: a frame's padding, and what lies before and behind its planes.

use lucarne::{DmaBufMapping, Frame, Mapping, Memory};

use crate::TIMEOUT;

/// What untouched bytes hold. Not 0, which fresh memory holds, nor 255, which opaque alpha does.
pub const CANARY: u8 = 0xa5;

/// Fills all of a frame's memory with canaries.
///
/// # Panics
///
/// When the memory cannot be mapped.
pub fn fill(frame: &Frame) {
    match frame.memory() {
        Memory::DmaBuf(buffers) => {
            for buffer in buffers {
                let mut mapping = DmaBufMapping::new(buffer).expect("a mapping");
                let canaries = vec![CANARY; mapping.len()];
                let mut access = mapping.write(TIMEOUT).expect("a turn to write");
                access.copy_in(0, &canaries).expect("canaries");
                access.end().expect("the end of the turn");
            }
        }
        Memory::HostMemory(memfd) => {
            let mut mapping = Mapping::new(memfd).expect("a mapping");
            let canaries = vec![CANARY; mapping.len()];
            mapping.copy_in(0, &canaries).expect("canaries");
        }
        Memory::OpaqueFd(_) => panic!("opaque memory has no bytes"),
    }
}

/// The bytes of each of a frame's memory objects.
///
/// # Panics
///
/// When the memory cannot be mapped.
pub fn objects(frame: &Frame) -> Vec<Vec<u8>> {
    match frame.memory() {
        Memory::DmaBuf(buffers) => buffers
            .iter()
            .map(|buffer| {
                let mapping = DmaBufMapping::new(buffer).expect("a mapping");
                let mut bytes = vec![0; mapping.len()];
                let access = mapping.read(TIMEOUT).expect("a turn to read");
                access.copy_out(0, &mut bytes).expect("the bytes");
                access.end().expect("the end of the turn");
                bytes
            })
            .collect(),
        Memory::HostMemory(memfd) => {
            let mapping = Mapping::new(memfd).expect("a mapping");
            let mut bytes = vec![0; mapping.len()];
            mapping.copy_out(0, &mut bytes).expect("the bytes");
            vec![bytes]
        }
        Memory::OpaqueFd(_) => panic!("opaque memory has no bytes"),
    }
}

/// Fails at the first byte outside of a linear frame's rows that is no canary any more.
///
/// # Panics
///
/// At that byte.
pub fn assert_untouched(frame: &Frame, what: &str) {
    let layout = frame.layout();
    let info = layout.format_info();
    let mut objects = objects(frame);
    for (index, plane) in layout.planes().iter().enumerate() {
        let extent = layout.extent();
        let row = info.row_bytes(index, extent.width).expect("a known row");
        let rows = info.rows(index, extent.height).expect("known rows");
        for y in 0..u64::from(rows) {
            let begin = plane.offset + y * plane.pitch;
            let begin = usize::try_from(begin).expect("fits memory");
            let end = begin + usize::try_from(row).expect("fits memory");
            objects[plane.object][begin..end].fill(CANARY);
        }
    }
    for (number, bytes) in objects.iter().enumerate() {
        let touched = bytes.iter().position(|byte| *byte != CANARY);
        assert_eq!(
            touched, None,
            "{what}: {layout}: a byte outside of the rows of object {number} was written"
        );
    }
}
