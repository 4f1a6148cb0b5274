//! Fences of the kernel that signal when a test says so, or after ten seconds: vgem's (`drm/vgem_drm.h`).

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use drm::buffer::{Buffer as _, DrmFourcc};
use drm::control::{Device as _, dumbbuffer::DumbBuffer};
use lucarne::kernel::{DmaBuf, DrmFile, FenceRole, SyncFile};
use rustix::io::Errno;
use rustix::ioctl::{Opcode, Setter, Updater, opcode};

use crate::module::{self, Card};
use crate::skip::skip;

const ATTACH: Opcode = opcode::read_write::<FenceAttach>(b'd', 0x41);
const SIGNAL: Opcode = opcode::write::<FenceSignal>(b'd', 0x42);

const FENCE_WRITE: u32 = 1;

/// `struct drm_vgem_fence_attach`.
#[repr(C)]
struct FenceAttach {
    handle: u32,
    flags: u32,
    out_fence: u32,
    pad: u32,
}

/// `struct drm_vgem_fence_signal`.
#[repr(C)]
struct FenceSignal {
    fence: u32,
    flags: u32,
}

/// The vgem driver: buffers of memory, and fences without work.
#[derive(Clone, Debug)]
pub struct Vgem {
    card: Arc<Card>,
}

/// A fence of vgem, and the buffer that it hangs on.
#[derive(Debug)]
pub struct VgemFence {
    number: u32,
    file: Option<SyncFile>,
    buffer: Option<DumbBuffer>,
    vgem: Vgem,
}

impl Vgem {
    /// Loads the module where this is the guest, and opens its node.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn open() -> Result<Self, String> {
        module::load("vgem")?;
        Ok(Self {
            card: Arc::new(Card::of_driver("vgem")?),
        })
    }

    /// A fence that has not signalled.
    ///
    /// # Panics
    ///
    /// When the driver refuses.
    pub fn fence(&self) -> VgemFence {
        let card = &self.card;
        let buffer = card.create_dumb_buffer((32, 32), DrmFourcc::Xrgb8888, 32);
        let buffer = buffer.expect("a dumb buffer");
        let mut attach = FenceAttach {
            handle: buffer.handle().into(),
            flags: FENCE_WRITE,
            out_fence: 0,
            pad: 0,
        };
        // SAFETY: Updater::new: DRM_IOCTL_VGEM_FENCE_ATTACH reads and writes one `struct drm_vgem_fence_attach`.
        let request = unsafe { Updater::<ATTACH, FenceAttach>::new(&mut attach) };
        // SAFETY: ioctl(2): the request points at a value that lives through the call.
        unsafe { rustix::ioctl::ioctl(card.as_fd(), request) }.expect("a fence on a new buffer");
        let fd: OwnedFd = card
            .buffer_to_prime_fd(buffer.handle(), drm::CLOEXEC | drm::RDWR)
            .expect("a dma-buf of a dumb buffer");
        let dma_buf = DmaBuf::new(fd).expect("a dma-buf");
        let file = dma_buf.export_sync_file(FenceRole::Acquire);
        VgemFence {
            number: attach.out_fence,
            file: Some(file.expect("its fence")),
            buffer: Some(buffer),
            vgem: self.clone(),
        }
    }

    fn signal(&self, fence: u32) -> Result<(), Errno> {
        // SAFETY: Setter::new: DRM_IOCTL_VGEM_FENCE_SIGNAL reads one `struct drm_vgem_fence_signal`.
        let request =
            unsafe { Setter::<SIGNAL, FenceSignal>::new(FenceSignal { fence, flags: 0 }) };
        // SAFETY: ioctl(2): the request holds its argument.
        unsafe { rustix::ioctl::ioctl(self.card.as_fd(), request) }
    }
}

impl VgemFence {
    /// The fence as a sync_file, once.
    ///
    /// # Panics
    ///
    /// The second time.
    pub fn sync_file(&mut self) -> SyncFile {
        self.file.take().expect("taken once")
    }

    /// Signals it.
    ///
    /// # Errors
    ///
    /// `ETIMEDOUT` when its ten seconds are over.
    pub fn signal(&self) -> Result<(), Errno> {
        self.vgem.signal(self.number)
    }
}

impl Drop for VgemFence {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            // Whatever becomes of it, the kernel frees the buffer with the node.
            _ = self.vgem.card.destroy_dumb_buffer(buffer);
        }
    }
}

/// The primary node, whose driver attaches and maps what it imports; a skip says why there is none.
pub fn node() -> Option<DrmFile> {
    if let Err(reason) = module::load("vgem") {
        skip("vgem", &reason);
        return None;
    }
    let found = DrmFile::paths()
        .into_iter()
        .filter(|path| path.to_string_lossy().contains("card"))
        .filter_map(|path| DrmFile::open(&path).ok())
        .find(|file| file.driver().is_ok_and(|driver| driver == "vgem"));
    if found.is_none() {
        skip("vgem", "no node of driver vgem in /dev/dri can be opened");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_numbers_are_the_kernels() {
        assert_eq!(size_of::<FenceAttach>(), 16);
        assert_eq!(ATTACH, 0xc010_6441);
        assert_eq!(size_of::<FenceSignal>(), 8);
        assert_eq!(SIGNAL, 0x4008_6442);
    }
}
