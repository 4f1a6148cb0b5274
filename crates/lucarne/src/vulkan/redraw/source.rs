//! What is drawn: the images of a frame's planes, and where its colours are found in them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ash::vk;

use super::Redraw;
use crate::color::YcbcrConversion;
use crate::error::Result;
use crate::format::{ColorKind, Format, FormatInfo};
use crate::frame::{Components, Frame, component_formats};
use crate::layout::{Extent, Tiling};
use crate::negotiate::{MemoryPath, Offer, OfferEntry, Usage};
use crate::vulkan::access::Access;
use crate::vulkan::exclusive::{Exclusive, Held};
use crate::vulkan::image::Image;
use crate::vulkan::inner::DeviceInner;
use crate::vulkan::object::Owned;
use crate::vulkan::submission::Mark;

/// What the shader takes for "the first texture has the colours".
const COLOURS: u32 = u32::MAX;

/// A frame that a [`Redraw`] can draw.
pub struct RedrawSource {
    planes: Arc<Planes>,
    frame: Frame,
    pub(super) rows: [[f64; 4]; 3],
    pub(super) chroma: [f64; 4],
    pub(super) places: u32,
}

/// One image, or one for each plane, as the shader reads them. Dropped in this order.
pub(super) struct Planes {
    views: Vec<Owned<vk::ImageView>>,
    images: Vec<Image>,
    /// The end of the last drawing that read them, whichever pass it was. One drawing at a time has it.
    drawn: Exclusive<Mark>,
}

impl Planes {
    /// Waits for a drawing of another thread.
    pub(super) fn drawn(&self, timeout: Duration) -> Result<Held<'_, Mark>> {
        self.drawn.hold(timeout)
    }
}

impl Redraw {
    /// What this device can draw: its offer for sampling, and the Y'CbCr formats whose planes it can sample.
    ///
    /// # Errors
    ///
    /// As for [`Device::offer`](crate::vulkan::Device::offer).
    pub fn offer(&self) -> Result<Offer> {
        let mut offer = self.device.offer(Usage::SAMPLE)?;
        let by_planes = Format::ALL
            .iter()
            .filter_map(|info| Some((info, component_formats(info)?)));
        let mut more = Vec::new();
        for (info, planes) in by_planes {
            for path in [MemoryPath::DmaBuf, MemoryPath::HostMemory] {
                more.extend(by_planes_entry(&offer.entries, info, &planes, path));
            }
        }
        offer.entries.extend(more);
        Ok(offer)
    }

    /// Makes images over a frame's memory: one, or one for each plane of a Y'CbCr frame.
    ///
    /// The frame's descriptors are lent; the images keep its memory alive.
    ///
    /// # Errors
    ///
    /// As for [`Device::import`](crate::vulkan::Device::import) and
    /// [`Device::import_ycbcr`](crate::vulkan::Device::import_ycbcr).
    pub fn import(&self, frame: &Frame) -> Result<RedrawSource> {
        let info = frame.layout().format_info();
        if info.color != ColorKind::Yuv {
            let image = self.device.import(frame, Usage::SAMPLE)?;
            return RedrawSource::new(self.device.inner(), frame, vec![image]);
        }
        let components = frame.components()?;
        let conversion = YcbcrConversion::of(info, &frame.layout().color())?;
        let views = components.frames().iter();
        let images = views.map(|view| self.device.import(view, Usage::SAMPLE));
        let images = images.collect::<Result<_>>()?;
        let mut source = RedrawSource::new(self.device.inner(), frame, images)?;
        source.rows = conversion.rgb_matrix(components.codes_per_one());
        source.places = places(&components);
        source.chroma = chroma(frame, &components);
        Ok(source)
    }
}

/// What can be imported of a Y'CbCr format: what can be of all its planes, where each lies as rows.
fn by_planes_entry(
    entries: &[OfferEntry],
    info: &FormatInfo,
    planes: &[Format],
    path: MemoryPath,
) -> Option<OfferEntry> {
    let linear = |tiling: Tiling| {
        tiling
            .modifier()
            .is_some_and(|modifier| modifier.is_linear())
    };
    let entry_of = |format: &Format| {
        entries.iter().find(|entry| {
            entry.path == path
                && entry.format == *format
                && entry.importable
                && linear(entry.tiling)
                && !entry.dedicated_only
        })
    };
    let each: Vec<&OfferEntry> = planes.iter().map(entry_of).collect::<Option<_>>()?;
    let first = each.first()?;
    let least = |side: fn(Extent) -> u32| each.iter().map(|entry| side(entry.max_extent)).min();
    Some(OfferEntry {
        format: info.format,
        planes: u8::try_from(info.planes.len()).ok()?,
        usage: Usage::SAMPLE,
        max_extent: Extent::new(
            least(|extent| extent.width)?,
            least(|extent| extent.height)?,
        ),
        exportable: false,
        ..(*first).clone()
    })
}

fn places(components: &Components) -> u32 {
    components
        .places()
        .iter()
        .zip([0, 8, 16])
        .map(|(place, shift)| u32::try_from(4 * place.view + place.channel).unwrap_or(0) << shift)
        .sum()
}

/// From a place in the picture, in pixels, to the same in the planes of chroma, in samples. Sample s lies on pixel
/// `s * count + offset`; the centres of both are half a step behind their beginning.
fn chroma(frame: &Frame, components: &Components) -> [f64; 4] {
    let subsampling = components.subsampling();
    let offset = subsampling.offset(frame.layout().color().siting);
    let axis = |count: u8, offset: f64| {
        let count = f64::from(count);
        (1.0 / count, 0.5 - (0.5 + offset) / count)
    };
    let (x, x0) = axis(subsampling.horizontal, offset[0]);
    let (y, y0) = axis(subsampling.vertical, offset[1]);
    [x, y, x0, y0]
}

impl RedrawSource {
    /// The images were imported for sampling.
    fn new(device: &Arc<DeviceInner>, frame: &Frame, images: Vec<Image>) -> Result<Self> {
        let views = images.iter().map(|image| image.view(Access::Sampled));
        let views = views.collect::<Result<_>>()?;
        let drawn = Mark::new(device, "the end of the last drawing")?;
        let drawn = Exclusive::new(drawn);
        Ok(Self {
            planes: Arc::new(Planes {
                views,
                images,
                drawn,
            }),
            frame: frame.clone(),
            rows: [[0.0; 4]; 3],
            chroma: [1.0, 1.0, 0.0, 0.0],
            places: COLOURS,
        })
    }

    /// The frame that is drawn.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// How often this side copies each frame, see [`Image::copies_per_frame`].
    pub fn copies_per_frame(&self) -> u32 {
        let copies = self.images().iter().map(Image::copies_per_frame);
        copies.max().unwrap_or(0)
    }

    pub(super) fn images(&self) -> &[Image] {
        &self.planes.images
    }

    pub(super) fn views(&self) -> &[Owned<vk::ImageView>] {
        &self.planes.views
    }

    pub(super) fn drawn(&self, timeout: Duration) -> Result<Held<'_, Mark>> {
        self.planes.drawn(timeout)
    }

    pub(super) fn shared(&self) -> Arc<Planes> {
        Arc::clone(&self.planes)
    }
}

impl fmt::Debug for RedrawSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedrawSource")
            .field("frame", &self.frame)
            .finish_non_exhaustive()
    }
}
