//! Copying pixels, where it must be.

use gst::glib;
use gst_video::prelude::*;
use gst_video::{VideoFrameRef, VideoInfo};

use crate::convert;

/// Copies every row, whole blocks of it: GStreamer's own copy leaves out the last chroma of an odd row of `YUY2`.
///
/// # Errors
///
/// In words, for a buffer that cannot be mapped, or is smaller than its description.
pub(crate) fn copy(
    from: &gst::BufferRef,
    to: &mut gst::BufferRef,
    info: &VideoInfo,
) -> Result<(), glib::BoolError> {
    let known = convert::format(info.format()).and_then(|format| format.info());
    let known = known.ok_or_else(|| glib::bool_error!("no stream has {}", info.format()))?;
    let source = VideoFrameRef::from_buffer_ref_readable(from, info)?;
    let mut target = VideoFrameRef::from_buffer_ref_writable(to, info)?;
    let bytes = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
    for index in 0..known.planes.len() {
        let row = bytes(known.row_bytes(index, info.width()).unwrap_or(0));
        let rows = bytes(known.rows(index, info.height()).unwrap_or(0));
        let (from, to) = (stride(&source, index)?, stride(&target, index)?);
        let plane = u32::try_from(index).unwrap_or(u32::MAX);
        let (read, written) = (source.plane_data(plane)?, target.plane_data_mut(plane)?);
        for y in 0..rows {
            let part = read.get(y * from..).and_then(|rest| rest.get(..row));
            let place = written
                .get_mut(y * to..)
                .and_then(|rest| rest.get_mut(..row));
            let (part, place) = part.zip(place).ok_or_else(|| {
                glib::bool_error!("row {y} of plane {index} lies beyond the buffer")
            })?;
            place.copy_from_slice(part);
        }
    }
    Ok(())
}

fn stride(frame: &impl VideoFrameExt, plane: usize) -> Result<usize, glib::BoolError> {
    let stride = frame.plane_stride().get(plane);
    stride
        .and_then(|stride| usize::try_from(*stride).ok())
        .ok_or_else(|| glib::bool_error!("plane {plane} has no stride of zero or more bytes"))
}
