//! Fences: PipeWire's buffers carry none of their own, so the kernel keeps them with the dma-buf, or the CPU waits.

use std::time::Duration;

use lucarne::kernel::FenceRole;
use lucarne::{Fence, Frame};

/// How a fence went to the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FenceWay {
    /// There was nothing to wait for.
    Signaled,
    /// The kernel keeps it with the dma-buf (implicit sync).
    Attached,
    /// The CPU waited: the memory carries no fences.
    Waited,
}

/// Lets the peer see `fence`, or waits for it where the memory carries none.
///
/// # Errors
///
/// `Timeout`, and those of the kernel.
pub(crate) fn pass_on(
    frame: &Frame,
    role: FenceRole,
    fence: &Fence,
    timeout: Duration,
) -> lucarne::Result<FenceWay> {
    if fence.is_signaled()? {
        // Looks at how the work behind it has ended, too.
        fence.wait(Duration::ZERO)?;
        return Ok(FenceWay::Signaled);
    }
    if frame.implicit_sync().is_yes() {
        frame.attach_fence(role, fence, timeout)?;
        return Ok(FenceWay::Attached);
    }
    fence.wait(timeout)?;
    Ok(FenceWay::Waited)
}

/// What the other side has left on the frame's memory; signalled where it carries nothing.
pub(crate) fn left_on(frame: &Frame, role: FenceRole) -> lucarne::Result<Fence> {
    if frame.implicit_sync().is_yes() {
        frame.implicit_fence(role)
    } else {
        Ok(Fence::Signaled)
    }
}
