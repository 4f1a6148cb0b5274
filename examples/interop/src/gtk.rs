//! GTK 4.14: a frame as a `GdkTexture`.

// begin
use std::error::Error;
use std::os::fd::AsRawFd as _;

use gdk4::prelude::DisplayExt as _;
use gdk4::{Display, DmabufTextureBuilder, Texture};
use lucarne::{Format, Frame};

/// A texture in the frame's memory, for a `GtkPicture` or a snapshot. `give_back` runs when GTK is done with it.
///
/// GTK takes no fence: wait for the frame's own first (`Fence::wait`, or `Frame::attach_fence` with a real dma-buf).
pub fn texture(
    display: &Display,
    frame: &Frame,
    give_back: impl FnOnce() + Send + 'static,
) -> Result<Texture, Box<dyn Error>> {
    let layout = frame.layout();
    let planes = frame.dma_buf_planes()?;
    let mut builder = DmabufTextureBuilder::new()
        .set_display(display)
        .set_width(layout.extent().width)
        .set_height(layout.extent().height)
        .set_fourcc(layout.format().fourcc())
        .set_modifier(layout.tiling().code())
        .set_premultiplied(true)
        .set_n_planes(u32::try_from(planes.len())?);
    for (index, plane) in (0..).zip(&planes) {
        builder = builder
            .set_offset(index, plane.offset)
            .set_stride(index, plane.pitch);
        // SAFETY: GTK borrows the descriptor until the texture is gone; the clone of the frame below keeps it open.
        builder = unsafe { builder.set_fd(index, plane.fd.as_raw_fd()) };
    }
    let kept = frame.clone();
    let released = move || {
        drop(kept);
        give_back();
    };
    // SAFETY: every descriptor, offset and stride was set above.
    Ok(unsafe { builder.build_with_release_func(released) }?)
}

/// A frame's format, where this display shows it without a copy.
pub fn shows(display: &Display, format: Format, modifier: u64) -> bool {
    display.dmabuf_formats().contains(format.fourcc(), modifier)
}
// end
