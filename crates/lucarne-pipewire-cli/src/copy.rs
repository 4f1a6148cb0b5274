//! One frame into another, by the CPU.

use std::time::Duration;

use lucarne::{Fence, Offer, Usage, cpu};

use crate::Failure;

/// What a fence that never signals may cost.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// The CPU with the best allocator that there is.
pub(crate) fn device() -> Result<cpu::Device, Failure> {
    let mut adapters = cpu::Adapter::enumerate().into_iter();
    let best = adapters.find(|adapter| adapter.support().is_yes());
    Ok(best.ok_or("no memory to allocate frames in")?.open()?)
}

/// What the CPU reads and writes, of that what PipeWire has a name for.
pub(crate) fn offer(device: &cpu::Device, usage: Usage) -> Result<Offer, Failure> {
    let mut offer = device.offer(usage)?;
    offer
        .entries
        .retain(|entry| lucarne_pipewire::formats().any(|format| format == entry.format));
    Ok(offer)
}

/// Copies row by row, as the two may have other pitches. Returns the release fence of the one that was read, which has
/// signalled, as the writing has.
///
/// # Errors
///
/// As for `cpu::Image::read` and `cpu::Image::write`.
pub(crate) fn copy(
    from: &cpu::Image,
    acquire: &Fence,
    to: &cpu::Image,
    gate: &Fence,
) -> lucarne::Result<Fence> {
    let mut row = Vec::new();
    from.read(acquire, PATIENCE, |read| {
        let written = to.write(gate, PATIENCE, |write| {
            for plane in 0..from.planes() {
                row.resize(from.row_bytes(plane), 0);
                for index in 0..from.rows(plane) {
                    read.read_row(plane, index, &mut row)?;
                    write.write_row(plane, index, &row)?;
                }
            }
            Ok(())
        })?;
        // The CPU has written.
        debug_assert!(matches!(written, Fence::Signaled));
        Ok(())
    })
}
