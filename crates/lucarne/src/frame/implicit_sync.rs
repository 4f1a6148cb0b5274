//! A frame's fences, kept by the kernel with its dma-bufs.

use std::time::Duration;

use super::fence::Fence;
use super::frame::{Frame, Memory};
use crate::error::{Error, Requirement, Result, Support};
use crate::kernel::{DmaBuf, DmaBufKind, FenceRole};

impl Frame {
    /// Whether the kernel can keep this frame's fences with its memory, and if not, why.
    pub fn implicit_sync(&self) -> Support {
        let buffers = match self.buffers() {
            Ok(buffers) => buffers,
            Err(requirement) => return Support::no(requirement),
        };
        buffers
            .iter()
            .map(DmaBuf::implicit_sync)
            .find(|support| !support.is_yes())
            .unwrap_or(Support::Yes(()))
    }

    /// The fence that the frame's dma-bufs carry, for a peer that passes none: what gates a reader
    /// ([`FenceRole::Acquire`]) or a writer ([`FenceRole::Release`]). Does not block.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] where [`Frame::implicit_sync`] says no; [`Error::Os`] when the process has no descriptor
    /// left.
    #[doc(alias = "implicit sync")]
    pub fn implicit_fence(&self, role: FenceRole) -> Result<Fence> {
        let mut fences = Vec::new();
        for buffer in self.required_buffers()? {
            fences.push(Fence::sync_file(buffer.export_sync_file(role)?));
        }
        Fence::merge(&fences)
    }

    /// Puts `fence` on the frame's dma-bufs, for a peer that looks nowhere else: a writer's work as
    /// [`FenceRole::Acquire`], a reader's as [`FenceRole::Release`].
    ///
    /// Does not block, except for a timeline point that nobody has submitted work for yet: `timeout` at most.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] where [`Frame::implicit_sync`] says no; [`Error::Os`] when the fence is none of the
    /// kernel's; [`Error::Timeout`] for a timeline point that stays without work.
    #[doc(alias = "implicit sync")]
    pub fn attach_fence(&self, role: FenceRole, fence: &Fence, timeout: Duration) -> Result<()> {
        let buffers = self.required_buffers()?;
        let Some(file) = fence.to_sync_file(timeout)? else {
            return Ok(());
        };
        // What has happened needs no mark on the buffer.
        if file.is_signaled()? {
            return Ok(());
        }
        buffers
            .iter()
            .try_for_each(|buffer| buffer.import_sync_file(&file, role))
    }

    fn required_buffers(&self) -> Result<&[DmaBuf]> {
        let what = "fences on a frame's memory";
        let buffers = self.buffers().map_err(|requirement| Error::Unsupported {
            what: what.to_owned(),
            missing: vec![requirement],
        })?;
        if let Some(emulated) = buffers.iter().find(|b| b.kind() == DmaBufKind::Emulated) {
            emulated.implicit_sync().require(what)?;
        }
        Ok(buffers)
    }

    fn buffers(&self) -> std::result::Result<&[DmaBuf], Requirement> {
        match self.memory() {
            Memory::DmaBuf(buffers) => Ok(buffers),
            other => Err(Requirement::other(format!(
                "needs dma-bufs, and the frame is {} memory",
                other.path()
            ))),
        }
    }
}
