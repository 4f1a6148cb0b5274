//! A `Y'CbCr` frame as frames that every driver can import: one for each plane, in formats without a matrix.

use std::sync::Arc;

use super::frame::{Frame, Memory};
use crate::color::Subsampling;
use crate::error::{Error, Requirement, Result};
use crate::format::{Channel, ColorKind, Component, Format, FormatInfo, FormatPlane};
use crate::kernel::DmaBuf;
use crate::layout::{Extent, FrameLayout, Plane, Tiling};
use crate::modifier::Vendor;

/// Where a component is found: in which view, and in which of its channels (0 is red).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ComponentPlace {
    /// Index into [`Components::frames`].
    pub view: usize,
    /// 0 for red, 1 for green, 2 for blue, 3 for alpha.
    pub channel: usize,
}

/// Frames over the memory of a `Y'CbCr` frame, and where luma, Cb and Cr are found in them.
///
/// Planes become `R8`, `GR88`, `R16` or `GR1616` frames. A packed frame such as `YUYV` becomes two frames of the same bytes:
/// `GR88` at full width, for luma, and `ABGR8888` at half width, for chroma. What a sampler reads of them is codes, not
/// colours: [`YcbcrConversion::rgb_matrix`](crate::color::YcbcrConversion::rgb_matrix) makes colours of those.
///
/// All of them are the memory of one frame: one turn covers them all.
#[derive(Clone, Debug)]
pub struct Components {
    frames: Vec<Frame>,
    places: [ComponentPlace; 3],
    codes_per_one: f64,
    subsampling: Subsampling,
}

impl Components {
    /// The frames to import, in the order of the format's planes.
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// Where luma, Cb and Cr are.
    pub fn places(&self) -> [ComponentPlace; 3] {
        self.places
    }

    /// The code that reads as 1.0: 255 for 8 bits; 65535/64 where the upper 10 of 16 bits count.
    pub fn codes_per_one(&self) -> f64 {
        self.codes_per_one
    }

    /// How many pixels share a chroma sample.
    pub fn subsampling(&self) -> Subsampling {
        self.subsampling
    }
}

/// What one view shows.
struct View {
    format: Format,
    extent: Extent,
    plane: usize,
}

impl Frame {
    /// The frame's planes as frames of their own, in formats that need no matrix. Nothing is copied; descriptors are
    /// duplicated where planes lie in several buffers.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] for RGB formats, for opaque memory, for formats whose samples are not whole bytes
    /// (`NV15`, `Y410` and similar), and for modifiers that add planes or whose blocks span planes;
    /// [`Error::Os`] when the process has no descriptor left.
    pub fn components(&self) -> Result<Components> {
        let layout = self.layout();
        let info = layout.format_info();
        let (views, places) = plan(info, layout.extent())
            .filter(|_| self.has_plain_planes())
            .ok_or_else(|| self.indivisible())?;
        let luma = channel(info, Component::Luma).ok_or_else(|| self.indivisible())?;
        let container = container_bits(&views);
        let one = f64::from((1_u32 << container) - 1);
        let frames = views
            .iter()
            .map(|view| self.view(view))
            .collect::<Result<_>>()?;
        Ok(Components {
            frames,
            places,
            codes_per_one: one / f64::from(1_u32 << (u32::from(luma.shift) % container)),
            subsampling: Subsampling::of(info),
        })
    }

    fn has_plain_planes(&self) -> bool {
        let layout = self.layout();
        let whole = layout.planes().len() == layout.format_info().planes.len();
        // Arm's compressed blocks hold all components.
        let blocks =
            matches!(layout.tiling(), Tiling::Explicit(one) if one.vendor() == Vendor::Arm);
        whole && !blocks
    }

    fn indivisible(&self) -> Error {
        let reason = "needs a Y'CbCr format whose samples are whole bytes, and one memory plane for each of its planes";
        Error::unsupported(
            format!("taking {} apart", self.layout()),
            vec![Requirement::other(reason)],
        )
    }

    fn view(&self, view: &View) -> Result<Self> {
        let plane = self.layout().planes()[view.plane];
        let (memory, size) = match &**self.shared_memory() {
            Memory::DmaBuf(buffers) => {
                let buffer = buffers.get(plane.object).ok_or_else(|| {
                    Error::invalid("plane.object", plane.object, "one of the frame's buffers")
                })?;
                let memory = match buffers.len() {
                    1 => Arc::clone(self.shared_memory()),
                    _ => Arc::new(Memory::DmaBuf(vec![DmaBuf::new(buffer.duplicate()?)?])),
                };
                (memory, buffer.size())
            }
            Memory::HostMemory(memfd) => (Arc::clone(self.shared_memory()), memfd.size()),
            Memory::OpaqueFd(_) => return Err(self.indivisible()),
        };
        let plane = Plane { object: 0, ..plane };
        let tiling = self.layout().tiling();
        let layout = FrameLayout::new(view.extent, view.format, tiling, &[plane], &[size])?;
        Ok(Self::of_parts(layout, memory, self.device().clone()))
    }
}

/// The formats of a Y'CbCr format's views, where it has any.
#[cfg(feature = "vulkan")]
pub(crate) fn component_formats(info: &FormatInfo) -> Option<Vec<Format>> {
    // Formats do not depend on the size, which is even here.
    let (views, _) = plan(info, Extent::new(16, 16))?;
    Some(views.iter().map(|view| view.format).collect())
}

/// The views of a format, and where its components are in them.
fn plan(info: &FormatInfo, extent: Extent) -> Option<(Vec<View>, [ComponentPlace; 3])> {
    if info.color != ColorKind::Yuv {
        return None;
    }
    let views = match info.planes {
        [plane] => packed_views(plane, extent)?,
        planes => planes
            .iter()
            .enumerate()
            .map(|(index, plane)| {
                Some(View {
                    format: plane.single?,
                    extent: Extent::new(
                        extent.width.div_ceil(plane.horizontal_subsampling.into()),
                        extent.height.div_ceil(plane.vertical_subsampling.into()),
                    ),
                    plane: index,
                })
            })
            .collect::<Option<Vec<_>>>()?,
    };
    let place = |component| place(info, &views, component);
    let places = [
        place(Component::Luma)?,
        place(Component::Cb)?,
        place(Component::Cr)?,
    ];
    Some((views, places))
}

/// Two pixels in four bytes: luma is every second byte, chroma the others.
fn packed_views(plane: &FormatPlane, extent: Extent) -> Option<Vec<View>> {
    let four = plane.channels.len() == 4 && plane.channels.iter().all(|channel| channel.bits == 8);
    if !four || plane.block_width != 2 || plane.block_height != 1 {
        return None;
    }
    let view = |format, width| View {
        format,
        extent: Extent::new(width, extent.height),
        plane: 0,
    };
    Some(vec![
        view(Format::GR88, extent.width),
        view(Format::ABGR8888, extent.width.div_ceil(2)),
    ])
}

fn place(info: &FormatInfo, views: &[View], component: Component) -> Option<ComponentPlace> {
    let plane = info.planes.iter().position(|plane| {
        let mut channels = plane.channels.iter();
        channels.any(|channel| channel.component == component)
    })?;
    let shift = u32::from(channel(info, component)?.shift);
    let packed = info.planes.len() == 1;
    let bits = container_bits(views);
    // The first view of a packed format has luma only, and repeats every second byte.
    let (view, channels) = match (packed, component) {
        (true, Component::Luma) => (0, 2),
        (true, _) => (1, 4),
        (false, _) => (plane, 4),
    };
    let channel = usize::try_from(shift / bits).ok()? % channels;
    Some(ComponentPlace { view, channel })
}

/// The component's lowest channel.
fn channel(info: &FormatInfo, component: Component) -> Option<Channel> {
    let channels = info.planes.iter().flat_map(|plane| plane.channels);
    channels
        .filter(|channel| channel.component == component)
        .min_by_key(|channel| channel.shift)
        .copied()
}

fn container_bits(views: &[View]) -> u32 {
    let wide = |view: &View| matches!(view.format, Format::R16 | Format::GR1616);
    if views.iter().any(wide) { 16 } else { 8 }
}
