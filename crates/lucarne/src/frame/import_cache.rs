//! Imports that are found again by the memory that they were made of.

use std::fmt;

use super::frame::Frame;
use crate::error::Result;

/// Keeps what was imported of the last frames, and finds it again by the frame's memory, whatever descriptors that comes with.
///
/// A peer that sends new descriptors of the same few buffers with each frame, as Wayland, PipeWire and V4L2 do, would
/// otherwise cost an import for each. A frame is known again where its kernel buffers and its layout are the same
/// ([`Frame::same_memory`]); opaque memory is known by clones of its frame alone.
///
/// [`egl::Device::import`](crate::egl::Device::import) finds a texture again by itself, but only while somebody holds the
/// frame that it was made of. Keep the frames, or use this. Vulkan and the CPU import anew with each call.
///
/// What is kept keeps its frame's memory alive, so that no other buffer can take its identity. That is why this is yours to
/// hold: you know how many buffers the peer takes in turn, and when it has made new ones. [`clear`](Self::clear) it then.
///
/// ```
/// use lucarne::{Extent, Format, Frame, FrameLayout, ImportCache, Memory, DeviceId, cpu};
/// use lucarne::kernel::Memfd;
///
/// # let (layout, size) = FrameLayout::linear(Extent::new(64, 64), Format::XRGB8888)?;
/// # let memory = Memory::HostMemory(Memfd::create("frame", size)?);
/// # let frame = Frame::new(layout, memory, DeviceId::default())?;
/// let device = cpu::Adapter::new(cpu::Allocator::HostMemory).open()?;
/// let mut images = ImportCache::new(4);
/// for _ in 0..300 {
///     let image = images.get_or_import(&frame, |frame| device.import(frame))?;
///     # let _: &mut cpu::Image = image;
/// }
/// assert_eq!(images.imports(), 1);
/// # Ok::<(), lucarne::Error>(())
/// ```
pub struct ImportCache<T> {
    /// The last used one is last.
    kept: Vec<(Frame, T)>,
    most: usize,
    imports: u64,
}

impl<T> ImportCache<T> {
    /// Keeps at most `most` imports, and at least one: as many as the peer has buffers, or a few more.
    pub fn new(most: usize) -> Self {
        Self {
            kept: Vec::new(),
            most: most.max(1),
            imports: 0,
        }
    }

    /// What was imported of this memory before, or what `import` makes of it now. Where there are too many then, the one that was not
    /// used for longest is dropped, after `import` has succeeded; dropping a `vulkan::Image` waits for its work.
    ///
    /// # Errors
    ///
    /// Those of `import`; nothing is dropped then.
    pub fn get_or_import(
        &mut self,
        frame: &Frame,
        import: impl FnOnce(&Frame) -> Result<T>,
    ) -> Result<&mut T> {
        let known = self.kept.iter().position(|(of, _)| of.same_memory(frame));
        if let Some(at) = known {
            self.kept[at..].rotate_left(1);
        } else {
            let made = import(frame)?;
            self.imports += 1;
            if self.kept.len() == self.most {
                self.kept.remove(0);
            }
            self.kept.push((frame.clone(), made));
        }
        let last = self.kept.len() - 1;
        Ok(&mut self.kept[last].1)
    }

    /// Drops everything that is kept: the peer has made new buffers.
    pub fn clear(&mut self) {
        self.kept.clear();
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// How many frames were not known and have been imported.
    pub fn imports(&self) -> u64 {
        self.imports
    }
}

impl<T> fmt::Debug for ImportCache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImportCache")
            .field("len", &self.kept.len())
            .field("most", &self.most)
            .field("imports", &self.imports)
            .finish()
    }
}
