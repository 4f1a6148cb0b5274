//! The stream that is made.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;

use lucarne::color::{AlphaMode, ColorDescription};
use lucarne::negotiate::OfferEntry;
use lucarne::{Agreement, Extent, Format, Frame, FrameLayout, Offer, Request, Usage, vulkan};
use lucarne_stream::{Allocate, Producer, ProducerOptions};

use crate::Failure;
use crate::output::{format_name, nearest};

/// Whether anything can be drawn in the format and size that were asked for.
pub(super) fn check(
    offer: &Offer,
    format: Option<Format>,
    size: Option<Extent>,
) -> Result<(), Failure> {
    let renderable = || offer.standing().filter(|entry| is_drawn(entry));
    if let Some(format) = format
        && !renderable().any(|entry| entry.format == format)
    {
        let mut names: Vec<String> = renderable()
            .map(|entry| format_name(entry.format))
            .collect();
        names.sort();
        names.dedup();
        let alike = nearest(&format_name(format), names.iter().map(String::as_str));
        return Err(format!(
            "{} does not draw frames of {}; it does of {}",
            offer.name,
            format_name(format),
            if alike.is_empty() {
                names.join(", ")
            } else {
                alike.join(", ")
            }
        )
        .into());
    }
    let of_format = renderable().filter(|entry| format.is_none_or(|format| entry.format == format));
    let largest = of_format
        .map(|entry| entry.max_extent)
        .max_by_key(|most| most.width);
    match (size, largest) {
        (Some(size), Some(most)) if !size.fits(most) => Err(format!(
            "--size {size} is more than {} can draw: {most} at most",
            offer.name
        )
        .into()),
        _ => Ok(()),
    }
}

/// Whether frames of it can be drawn, for others to have.
fn is_drawn(entry: &OfferEntry) -> bool {
    entry.exportable && entry.usage.contains(Usage::RENDER)
}

/// How the stream that is made is made.
pub(super) struct Out {
    pub(super) name: String,
    pub(super) folder: PathBuf,
    pub(super) device: vulkan::Device,
    pub(super) offer: Offer,
    pub(super) size: Option<Extent>,
    pub(super) format: Option<Format>,
    /// Of the frames that are made next.
    pub(super) color: Rc<Cell<ColorDescription>>,
}

/// What OUT's frames are to be, for a frame of IN's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    extent: Extent,
    format: Option<Format>,
    pub(super) color: ColorDescription,
}

impl Out {
    pub(super) fn wanted(&self, layout: &FrameLayout) -> Wanted {
        let drawn = |format: &Format| {
            let mut entries = self.offer.standing();
            entries.any(|entry| entry.format == *format && is_drawn(entry))
        };
        Wanted {
            extent: self.size.unwrap_or(layout.extent()),
            format: self.format.or(Some(layout.format()).filter(drawn)),
            color: layout.color(),
        }
    }

    pub(super) fn request(wanted: &Wanted) -> Request {
        let request = Request::new(wanted.extent).usage(Usage::RENDER, Usage::SAMPLE);
        match wanted.format {
            Some(format) => request.formats(&[format]),
            None => request,
        }
    }

    pub(super) fn bind(&self, wanted: &Wanted) -> Result<Producer<Images>, Failure> {
        self.color.set(wanted.color);
        let settings = ProducerOptions::of(Self::request(wanted)).directory(&self.folder);
        let images = Images {
            device: self.device.clone(),
            color: Rc::clone(&self.color),
        };
        Ok(Producer::bind(&self.name, &self.offer, settings, images)?)
    }
}

/// Makes OUT's images.
pub(super) struct Images {
    device: vulkan::Device,
    color: Rc<Cell<ColorDescription>>,
}

impl Allocate for Images {
    type Image = vulkan::Image;

    fn allocate(&mut self, agreement: &Agreement) -> lucarne::Result<(vulkan::Image, Frame)> {
        let image = self.device.export(agreement)?;
        let color = drawn(self.color.get(), image.frame().layout());
        let frame = image.frame().with_color(color)?;
        Ok((image, frame))
    }
}

/// What the numbers of a drawn frame mean: as they did before, but for what red, green and blue do not have.
fn drawn(from: ColorDescription, to: &FrameLayout) -> ColorDescription {
    let info = to.format_info();
    let plain = ColorDescription::default_for(info);
    let has_alpha = info.alpha && from.alpha != AlphaMode::Opaque;
    ColorDescription {
        primaries: from.primaries,
        transfer: from.transfer,
        orientation: from.orientation,
        alpha: if has_alpha { from.alpha } else { plain.alpha },
        ..plain
    }
}
