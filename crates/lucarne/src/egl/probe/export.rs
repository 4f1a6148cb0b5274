//! What a driver exports when it is asked for a small texture.

use std::rc::Rc;

use crate::egl::export;
use crate::egl::inner::DeviceInner;
use crate::egl::state::Binding;
use crate::egl::texture::Guard;
use crate::format::{FormatInfo, GlFormat};
use crate::layout::Extent;
use crate::modifier::Modifier;

/// What this driver makes of a small texture of `info`'s format, found out by exporting one; `None` where it cannot.
pub(in crate::egl) fn layout(
    device: &Rc<DeviceInner>,
    info: &FormatInfo,
) -> Option<(Modifier, u8)> {
    // A swizzle puts colours right when sampling, not in memory: such a texture holds another format's bytes.
    let in_order = |gl: GlFormat| gl.swizzle[..3] == [glow::RED, glow::GREEN, glow::BLUE];
    if !info.gl.is_some_and(|gl| gl.shares_memory && in_order(gl)) {
        return None;
    }
    let extent = Extent::new(64, 64);
    let mut made = Guard::new(device);
    let _binding = Binding::save(device, glow::TEXTURE_2D);
    let (_, image) = export::allocate(device, &mut made, info, extent).ok()?;
    let exported = export::query(device, image).ok()?;
    // Some drivers answer success and no descriptor: only a real one counts.
    export::frame_of(device, image, &exported, extent, info.format).ok()?;
    let planes = u8::try_from(exported.planes).ok()?;
    exported
        .holds(info.format)
        .then_some((exported.modifier?, planes))
}
