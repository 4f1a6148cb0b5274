//! GStreamer 1.24: a frame as a `GstBuffer` of dma-bufs with caps of `format=DMA_DRM`, and the reverse.

// begin
use std::error::Error;
use std::os::fd::BorrowedFd;

use gstreamer::{Buffer, BufferRef, Caps, CapsRef, Fraction};
use gstreamer_allocators::prelude::*;
use gstreamer_allocators::{CAPS_FEATURE_MEMORY_DMABUF, DmaBufAllocator, DmaBufMemory};
use gstreamer_video::dma_drm_fourcc_to_string;
use gstreamer_video::{VideoFormat, VideoFrameFlags, VideoInfoDmaDrm, VideoMeta};
use lucarne::{DmaBufPlane, Extent, Format, Frame, Memory, Tiling};

/// The caps of frames like this one: `video/x-raw(memory:DMABuf), format=DMA_DRM, drm-format=…`.
pub fn caps(frame: &Frame, rate: Fraction) -> Result<Caps, Box<dyn Error>> {
    let layout = frame.layout();
    let modifier = layout
        .tiling()
        .modifier()
        .ok_or("GStreamer needs a modifier")?;
    let fourcc = layout.format().fourcc();
    let Extent { width, height } = layout.extent();
    Ok(Caps::builder("video/x-raw")
        .features([CAPS_FEATURE_MEMORY_DMABUF])
        .field("format", "DMA_DRM")
        .field(
            "drm-format",
            dma_drm_fourcc_to_string(fourcc, modifier.code()),
        )
        .field("width", i32::try_from(width)?)
        .field("height", i32::try_from(height)?)
        .field("framerate", rate)
        .build())
}

/// A buffer in the frame's memory. Wait for the frame's fence before you push it: GStreamer passes none.
///
/// The pipeline may hold the buffer long after the push. Write the frame again when the buffer is gone.
pub fn buffer(allocator: &DmaBufAllocator, frame: &Frame) -> Result<Buffer, Box<dyn Error>> {
    let layout = frame.layout();
    let Memory::DmaBuf(objects) = frame.memory() else {
        return Err("GStreamer takes dma-bufs".into());
    };
    let mut buffer = Buffer::new();
    let writable = buffer.get_mut().ok_or("a new buffer is not shared")?;
    // Where each object starts in the buffer, which is all of them, one behind the other.
    let mut starts = Vec::new();
    let mut end = 0;
    for object in objects {
        let size = usize::try_from(object.size())?;
        // SAFETY: a duplicate, which the memory owns and closes; the size is the kernel's.
        let memory = unsafe { allocator.alloc_dmabuf(object.duplicate()?, size) }?;
        writable.append_memory(memory);
        starts.push(end);
        end += size;
    }
    let mut offsets = Vec::new();
    let mut strides = Vec::new();
    for plane in layout.planes() {
        offsets.push(starts[plane.object] + usize::try_from(plane.offset)?);
        strides.push(i32::try_from(plane.pitch)?);
    }
    let Extent { width, height } = layout.extent();
    let (flags, format) = (VideoFrameFlags::empty(), VideoFormat::DmaDrm);
    VideoMeta::add_full(writable, flags, format, width, height, &offsets, &strides)?;
    Ok(buffer)
}

/// The frame of a buffer. Keep the buffer for as long as you read the frame: its pool writes it again afterwards.
pub fn frame(buffer: &BufferRef, caps: &CapsRef) -> Result<Frame, Box<dyn Error>> {
    let info = VideoInfoDmaDrm::from_caps(caps)?;
    let meta = buffer.meta::<VideoMeta>().ok_or("no GstVideoMeta")?;
    let mut planes = Vec::new();
    for (offset, stride) in meta.offset().iter().zip(meta.stride()) {
        let place = buffer.find_memory(*offset..*offset + 1);
        let (memories, skip) = place.ok_or("a plane beyond the buffer")?;
        let memory = buffer.peek_memory(memories.start);
        let dma_buf = memory.downcast_memory_ref::<DmaBufMemory>();
        let fd = dma_buf.ok_or("a memory that is no dma-buf")?.fd();
        // SAFETY: the memory owns the descriptor and outlives this borrow.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        planes.push(DmaBufPlane {
            fd: fd.try_clone_to_owned()?,
            offset: u32::try_from(memory.offset() + skip)?,
            pitch: u32::try_from(*stride)?,
        });
    }
    let (format, tiling) = (
        Format::from_fourcc(info.fourcc()),
        Tiling::from_code(info.modifier()),
    );
    let extent = Extent::new(meta.width(), meta.height());
    Ok(Frame::from_dma_bufs(extent, format, tiling, planes)?)
}
// end
