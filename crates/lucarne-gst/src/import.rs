//! A stream's frame as GStreamer's memory: imported once, lent for each frame.

use std::os::fd::AsFd as _;
use std::sync::Arc;

use gst_video::{VideoFormat, VideoFrameFlags, VideoMeta};
use lucarne::{Error, Frame, FrameLayout, Memory, Requirement, Result};
use lucarne_stream::Import;

use crate::accepted::{Accepted, Feature};
use crate::ffi;
use crate::turn::Turn;

/// A slot of a stream. Owns a duplicate of each descriptor, and keeps the memory mapped once somebody has mapped it.
#[derive(Debug)]
pub(crate) struct Imported {
    /// One for each memory object of the frame.
    memories: Vec<gst::Memory>,
    /// Whether the CPU may read it.
    is_mappable: bool,
}

/// Imports what the elements downstream can use.
#[derive(Debug)]
pub(crate) struct Importer {
    accepted: Accepted,
}

impl Importer {
    pub(crate) fn new(accepted: Accepted) -> Self {
        Self { accepted }
    }
}

impl Import for Importer {
    type Image = Imported;

    fn import(&mut self, frame: &Frame) -> Result<Imported> {
        let memories = memories(frame)?;
        let is_mappable = memories.iter().all(|memory| memory.map_readable().is_ok());
        let format = frame.layout().format();
        let imported = Imported {
            memories,
            is_mappable,
        };
        let mut features = self.accepted.features(format);
        if features.any(|feature| imported.can_be(feature, frame)) {
            return Ok(imported);
        }
        Err(Error::Unsupported {
            what: format!("passing {} on to GStreamer", frame.layout()),
            missing: vec![Requirement::other(format!(
                "needs memory that the CPU may map, or elements that take dma-bufs; they take: {}",
                self.accepted.caps()
            ))],
        })
    }
}

fn memories(frame: &Frame) -> Result<Vec<gst::Memory>> {
    let os = |source| Error::Os {
        operation: "duplicating a frame's descriptor",
        source,
        help: "",
    };
    let refused = |error: gst::glib::BoolError| Error::Unsupported {
        what: "GStreamer's memory of a descriptor".to_owned(),
        missing: vec![Requirement::other(error.to_string())],
    };
    let bytes = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
    match frame.memory() {
        Memory::DmaBuf(buffers) => buffers
            .iter()
            .map(|buffer| {
                let fd = buffer.as_fd().try_clone_to_owned().map_err(os)?;
                ffi::dma_buf(fd, bytes(buffer.size())).map_err(refused)
            })
            .collect(),
        Memory::HostMemory(memfd) => {
            let fd = memfd.as_fd().try_clone_to_owned().map_err(os)?;
            Ok(vec![ffi::memfd(fd, bytes(memfd.size())).map_err(refused)?])
        }
        Memory::OpaqueFd(_) => Err(Error::Unsupported {
            what: "opaque memory in GStreamer".to_owned(),
            missing: vec![Requirement::other(
                "needs a dma-buf or host memory: only its driver understands this",
            )],
        }),
    }
}

impl Imported {
    /// Whether such a frame can be passed on so.
    pub(crate) fn can_be(&self, feature: Feature, frame: &Frame) -> bool {
        match feature {
            Feature::Mapped => self.is_mappable,
            Feature::DmaBuf => matches!(frame.memory(), Memory::DmaBuf(_)),
        }
    }

    /// A buffer in the frame's own memory, for reading only; each memory of it keeps the turn.
    pub(crate) fn lend(
        &self,
        layout: &FrameLayout,
        word: VideoFormat,
        turn: &Arc<Turn>,
    ) -> std::result::Result<gst::Buffer, gst::glib::BoolError> {
        let mut buffer = gst::Buffer::new();
        let whole = buffer.make_mut();
        let mut begins = Vec::new();
        let mut end = 0;
        for memory in &self.memories {
            begins.push(end);
            end += memory.size();
            // A part of the memory of its own, which nobody may write.
            let lent = memory.share(..);
            ffi::keep(&lent, Arc::clone(turn));
            whole.append_memory(lent);
        }
        let place =
            |offset: u64, begin: usize| begin + usize::try_from(offset).unwrap_or(usize::MAX);
        let planes = layout.planes();
        let offsets: Vec<usize> = planes
            .iter()
            .map(|plane| place(plane.offset, begins[plane.object]))
            .collect();
        let strides = strides(layout);
        let extent = layout.extent();
        VideoMeta::add_full(
            whole,
            VideoFrameFlags::empty(),
            word,
            extent.width,
            extent.height,
            &offsets,
            &strides,
        )?;
        Ok(buffer)
    }
}

/// Pitches as GStreamer counts them.
pub(crate) fn strides(layout: &FrameLayout) -> Vec<i32> {
    let planes = layout.planes().iter();
    planes
        // Every plane ends below `MAX_REACH`.
        .map(|plane| i32::try_from(plane.pitch).unwrap_or(i32::MAX))
        .collect()
}

/// Whether an element that asks for no strides and offsets finds the planes where it looks for them.
pub(crate) fn is_as_usual(layout: &FrameLayout, info: &gst_video::VideoInfo) -> bool {
    let offsets = layout.planes().iter().map(|plane| plane.offset);
    let usual = info.offset().iter().map(|offset| *offset as u64);
    layout.objects() == 1 && strides(layout) == info.stride() && offsets.eq(usual)
}
