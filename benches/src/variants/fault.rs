//! Faults that are put into the Lucarne variant on purpose: a benchmark that does not notice them is broken.

use std::hint::black_box;
use std::os::fd::AsFd;
use std::time::Duration;

use lucarne::{Extent, Frame, Memory};

use super::{Setup, allow_descriptors};
use crate::Result;
use crate::gl::{Context, Importer, Plane};
use crate::messages::Fault;

/// Descriptors that a leak leaves to everybody else.
const RESERVE: u64 = 64;

/// The fault that was asked for, if any.
pub(super) struct Faults {
    fault: Option<Fault>,
    extent: Extent,
    from: Vec<u8>,
    to: Vec<u8>,
    importer: Option<Importer>,
    leaked: u64,
    limit: u64,
    frames: u64,
}

impl Faults {
    /// A context is current.
    pub(super) fn new(setup: &Setup) -> Result<Self> {
        let fault = setup.fault;
        let is = |one| fault == Some(one);
        let Extent { width, height } = setup.extent;
        let bytes = usize::try_from(4 * u64::from(width) * u64::from(height))?;
        let copy = || vec![7; if is(Fault::Memcpy) { bytes } else { 0 }];
        let mut limit = 0;
        if is(Fault::Leak) {
            limit = allow_descriptors()?.saturating_sub(RESERVE);
        }
        Ok(Self {
            fault,
            extent: setup.extent,
            from: copy(),
            to: copy(),
            importer: is(Fault::Import).then(Importer::new).transpose()?,
            leaked: 0,
            limit,
            frames: 0,
        })
    }

    /// Does to this frame what was asked for.
    pub(super) fn strike(&mut self, context: &Context, frame: &Frame) -> Result<()> {
        match self.fault {
            None => {}
            Some(Fault::Memcpy) => {
                self.to.copy_from_slice(black_box(&self.from));
                black_box(&self.to);
            }
            Some(Fault::Import) => self.import(context, frame)?,
            Some(Fault::Leak) if self.leaked < self.limit => {
                self.leaked += 1;
                std::mem::forget(rustix::io::fcntl_dupfd_cloexec(std::io::stderr(), 0)?);
            }
            Some(Fault::Leak) => {}
            Some(Fault::Sleep) => std::thread::sleep(Duration::from_millis(1)),
            Some(Fault::Hiccup) => {
                self.frames += 1;
                if self.frames.is_multiple_of(50) {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        }
        Ok(())
    }

    fn import(&self, context: &Context, frame: &Frame) -> Result<()> {
        let (Some(importer), Memory::DmaBuf(buffers)) = (&self.importer, frame.memory()) else {
            return Err("only dma-bufs can be imported by hand".into());
        };
        let layout = frame.layout();
        let plane = layout.planes().first().ok_or("a frame without planes")?;
        let buffer = buffers.get(plane.object).ok_or("a plane without memory")?;
        let modifier = layout.tiling().modifier().ok_or("no modifier")?;
        let plane = Plane {
            offset: plane.offset,
            pitch: plane.pitch,
            modifier: modifier.code(),
        };
        let imported = importer.import(context, self.extent, buffer.as_fd(), plane)?;
        importer.free(context, &imported);
        Ok(())
    }
}
