//! Whether whole `Y'CbCr` images work: drivers list formats that they then fail to import, or show in wrong colours.

use std::rc::Rc;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use glow::HasContext;

use crate::color::{ColorDescription, Matrix, Range, YcbcrConversion};
use crate::egl::image;
use crate::egl::inner::DeviceInner;
use crate::egl::pass::Pass;
use crate::egl::state::Readback;
use crate::egl::texture::Texture;
use crate::error::Result;
use crate::format::{Component, Format, FormatInfo};
use crate::frame::{Frame, Memory};
use crate::kernel::{DmaBuf, DmaBufMapping, DmaHeap, Udmabuf};
use crate::layout::{Extent, FrameLayout};

/// How far a driver's colour may be off: hints that it ignores are off by more.
const TOLERANCE: f64 = 5.0 / 255.0;
/// Nobody else has this memory.
const TIMEOUT: Duration = Duration::from_secs(5);
const EXTENT: Extent = Extent::new(16, 16);
/// BT.601 and BT.709 disagree about greens most.
const COLOR: [f64; 3] = [0.2, 0.7, 0.1];

const FRAGMENT: &str = "#extension GL_OES_EGL_image_external_essl3 : require
precision highp float;
uniform highp samplerExternalOES frame;
out vec4 color;
void main() { color = texture(frame, vec2(0.5)); }";

/// The one-coloured pictures that a driver must show in their colour.
fn descriptions(info: &FormatInfo) -> [ColorDescription; 2] {
    let first = ColorDescription::default_for(info);
    let second = ColorDescription {
        matrix: Matrix::Bt601,
        range: Range::Full,
        ..first
    };
    [first, second]
}

/// A driver, by its renderer and version, and a format.
type Asked = (String, String, Format);

/// What was seen: the same driver shows the same to every context of the process.
static SEEN: Mutex<Vec<(Asked, bool)>> = Mutex::new(Vec::new());

/// Imports small linear frames of the format and looks at them, once for each driver in a process: it compiles shaders. Any
/// failure means no.
pub(in crate::egl) fn works(device: &Rc<DeviceInner>, info: &FormatInfo) -> bool {
    if !device.samples_external {
        return false;
    }
    let renderer = device.renderer.clone();
    let asked = (renderer, device.version.clone(), info.format);
    let seen = || SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = seen()
        .iter()
        .find(|(one, _)| *one == asked)
        .map(|(_, works)| *works);
    known.unwrap_or_else(|| {
        let works = descriptions(info)
            .into_iter()
            .all(|color| shows(device, info, color).unwrap_or(false));
        seen().push((asked, works));
        works
    })
}

fn shows(device: &Rc<DeviceInner>, info: &FormatInfo, color: ColorDescription) -> Result<bool> {
    let Some(frame) = picture(device, info, color)? else {
        return Ok(false);
    };
    let Memory::DmaBuf(buffers) = frame.memory() else {
        return Ok(false);
    };
    let _stale = device.gl_error();
    let texture = image::import(device, &frame, buffers, true)?;
    let shown = look(device, &texture)?;
    let close =
        |(shown, wanted): (&u8, f64)| (f64::from(*shown) / 255.0 - wanted).abs() <= TOLERANCE;
    Ok(shown.iter().zip(COLOR).all(close))
}

/// A frame of one colour, or `None` where the machine has no memory to make one of.
fn picture(
    device: &DeviceInner,
    info: &FormatInfo,
    color: ColorDescription,
) -> Result<Option<Frame>> {
    let conversion = YcbcrConversion::of(info, &color)?;
    let codes = conversion.quantize(conversion.codes(COLOR));
    let (layout, size) = FrameLayout::linear(EXTENT, info.format)?;
    let Some(buffer) = allocate(size) else {
        return Ok(None);
    };
    let mut mapping = DmaBufMapping::new(&buffer)?;
    let mut bytes = vec![0; mapping.len()];
    for (index, plane) in info.planes.iter().enumerate() {
        let mut block = 0_u128;
        for channel in plane.channels {
            let value = match channel.component {
                Component::Luma => codes[0],
                Component::Cb => codes[1],
                Component::Cr => codes[2],
                _ => u16::MAX >> (16 - u32::from(channel.bits.clamp(1, 16))),
            };
            block |= u128::from(value) << channel.shift;
        }
        let block = &block.to_le_bytes()[..usize::from(plane.block_bytes)];
        let begin = usize::try_from(layout.planes()[index].offset).unwrap_or(usize::MAX);
        let planes = layout.planes();
        let end = planes.get(index + 1).map_or(size, |next| next.offset);
        let end = usize::try_from(end).unwrap_or(0);
        // Rows begin at multiples of the pitch, which blocks of three or five bytes do not divide.
        let pitch = usize::try_from(planes[index].pitch).unwrap_or(usize::MAX);
        for row in bytes
            .get_mut(begin..end)
            .unwrap_or_default()
            .chunks_mut(pitch)
        {
            for target in row.chunks_exact_mut(block.len()) {
                target.copy_from_slice(block);
            }
        }
    }
    let mut access = mapping.write(TIMEOUT)?;
    access.copy_in(0, &bytes)?;
    access.end()?;
    drop(mapping);
    let layout = layout.with_color(color)?;
    let memory = Memory::DmaBuf(vec![buffer]);
    Frame::new(layout, memory, device.id.clone()).map(Some)
}

fn allocate(size: u64) -> Option<DmaBuf> {
    let udmabuf = || Udmabuf::open()?.create(size);
    let heap = || DmaHeap::open(DmaHeap::SYSTEM)?.create(size);
    udmabuf().or_else(|_| heap()).ok()
}

/// The colour that a sampler sees in the middle of the texture.
fn look(device: &DeviceInner, texture: &Texture) -> Result<[u8; 4]> {
    let _state = Readback::save(device);
    let pass = Pass::new(device, FRAGMENT)?;
    pass.draw(texture, glow::RGBA8, (1, 1))?;
    let mut pixel = [0; 4];
    let target = glow::PixelPackData::Slice(Some(&mut pixel));
    // SAFETY: glReadPixels writes one pixel of four bytes, from the first byte on (`Readback`).
    unsafe {
        device
            .gl
            .read_pixels(0, 0, 1, 1, glow::RGBA, glow::UNSIGNED_BYTE, target);
    }
    device.check_gl("looking at a Y'CbCr image")?;
    Ok(pixel)
}
