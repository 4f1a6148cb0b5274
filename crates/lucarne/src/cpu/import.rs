//! Mapping frames that others made.

use super::device::Device;
use super::image::Image;
use super::offer;
use crate::error::{Error, Requirement, Result};
use crate::frame::Frame;

impl Device {
    /// Maps a frame's memory. The frame's descriptors are lent; the image keeps the frame's memory alive.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] for opaque memory and for every tiling but LINEAR; [`Error::Os`] when a dma-buf's
    /// exporter does not let the CPU map it, as for memory on many graphics cards.
    pub fn import(&self, frame: &Frame) -> Result<Image> {
        let path = frame.memory().path();
        let what = format!("importing {path} frames into the CPU");
        offer::support(path).require(&what)?;
        let tiling = frame.layout().tiling();
        let linear = tiling
            .modifier()
            .is_some_and(|modifier| modifier.is_linear());
        if !linear {
            return Err(Error::unsupported(
                what,
                vec![Requirement::other(format!(
                    "the CPU imports {} only as LINEAR, not as {tiling}",
                    frame.layout().format()
                ))],
            ));
        }
        Image::new(frame)
    }
}
