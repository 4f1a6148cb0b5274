//! Colour descriptions as hints of `EGL_EXT_image_dma_buf_import`.

use super::raw;
use crate::color::{ChromaLocation, Matrix, Range};
use crate::error::{Error, Result};
use crate::format::ColorKind;
use crate::layout::FrameLayout;

/// The attributes that tell a driver how to make colours of a whole `Y'CbCr` image; none for red, green and blue, for
/// which the extension ignores them.
///
/// # Errors
///
/// [`Error::Invalid`] for a matrix that EGL has no name for.
pub(super) fn hints(layout: &FrameLayout) -> Result<Vec<i32>> {
    if layout.format_info().color != ColorKind::Yuv {
        return Ok(Vec::new());
    }
    let color = layout.color();
    let space = match color.matrix {
        Matrix::Bt601 => raw::ITU_REC601_EXT,
        Matrix::Bt709 => raw::ITU_REC709_EXT,
        Matrix::Bt2020 => raw::ITU_REC2020_EXT,
        other => {
            let limit =
                "BT.601, BT.709 or BT.2020, which EGL knows; plane by plane every matrix will do";
            return Err(Error::invalid("color.matrix", other, limit));
        }
    };
    let range = match color.range {
        Range::Full => raw::YUV_FULL_RANGE_EXT,
        Range::Limited => raw::YUV_NARROW_RANGE_EXT,
    };
    let siting = |location| match location {
        ChromaLocation::CositedEven => raw::YUV_CHROMA_SITING_0_EXT,
        ChromaLocation::Midpoint => raw::YUV_CHROMA_SITING_0_5_EXT,
    };
    Ok(vec![
        raw::YUV_COLOR_SPACE_HINT_EXT,
        space,
        raw::SAMPLE_RANGE_HINT_EXT,
        range,
        raw::YUV_CHROMA_HORIZONTAL_SITING_HINT_EXT,
        siting(color.siting.horizontal),
        raw::YUV_CHROMA_VERTICAL_SITING_HINT_EXT,
        siting(color.siting.vertical),
    ])
}
