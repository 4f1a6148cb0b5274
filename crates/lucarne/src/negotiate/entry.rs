//! One thing that a side can do, and the words that say it.

use std::fmt;

#[cfg(any(feature = "vulkan", feature = "egl"))]
use crate::error::Requirement;
use crate::error::{Error, Result};
#[cfg(any(feature = "vulkan", feature = "egl"))]
use crate::format::ColorKind;
use crate::format::Format;
use crate::layout::{Extent, FrameLayout, Tiling};

/// How pixels get from one side to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemoryPath {
    /// A dma-buf.
    DmaBuf,
    /// An `OPAQUE_FD` memory object of one driver.
    OpaqueFd,
    /// A sealed memfd.
    HostMemory,
}

impl MemoryPath {
    /// All paths, best first.
    pub const ALL: [Self; 3] = [Self::DmaBuf, Self::OpaqueFd, Self::HostMemory];

    /// The name used in reports: "dma-buf", "opaque-fd" or "host-memory".
    pub const fn name(self) -> &'static str {
        match self {
            Self::DmaBuf => "dma-buf",
            Self::OpaqueFd => "opaque-fd",
            Self::HostMemory => "host-memory",
        }
    }
}

impl fmt::Display for MemoryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

bitflags::bitflags! {
    /// What a side does with the frame's image.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Usage: u32 {
        /// Draws into it (`VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT`, a GL framebuffer).
        const RENDER = 1;
        /// Samples it in a shader (`VK_IMAGE_USAGE_SAMPLED_BIT`, a GL texture).
        const SAMPLE = 1 << 1;
        /// Copies out of it (`VK_IMAGE_USAGE_TRANSFER_SRC_BIT`); in OpenGL, reads it through a framebuffer (`glReadPixels`,
        /// `glBlitFramebuffer`).
        const TRANSFER_SOURCE = 1 << 2;
        /// Copies or clears into it.
        const TRANSFER_DESTINATION = 1 << 3;
        /// Reads and writes single pixels in a shader (`VK_IMAGE_USAGE_STORAGE_BIT`).
        const STORAGE = 1 << 4;
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bitflags::parser::to_writer(self, f)
    }
}

/// One thing a side can do: a format in a tiling, in one kind of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferEntry {
    /// The kind of memory.
    pub path: MemoryPath,
    /// The pixel format.
    pub format: Format,
    /// The tiling; implicit for [`MemoryPath::OpaqueFd`], linear for [`MemoryPath::HostMemory`].
    pub tiling: Tiling,
    /// Memory planes. A frame with fewer or more is refused by [`OfferEntry::check_planes`] before a driver sees it.
    pub planes: u8,
    /// What can be done with such an image.
    pub usage: Usage,
    /// The largest extent.
    pub max_extent: Extent,
    /// Whether this side can make such memory for others.
    pub exportable: bool,
    /// Whether this side can use such memory when others made it.
    pub importable: bool,
    /// Whether the image must have an allocation of its own.
    pub dedicated_only: bool,
    /// Whether it can only be sampled, through `GL_TEXTURE_EXTERNAL_OES`.
    pub external_only: bool,
}

impl OfferEntry {
    /// Refuses a frame with another number of memory planes than this entry has: drivers read planes that they were not
    /// given, and take what they did not ask for for something else. Each import asks this before a driver sees the frame.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`], with both numbers.
    pub fn check_planes(&self, layout: &FrameLayout) -> Result<()> {
        let planes = layout.planes().len();
        // Opaque memory is described by no planes.
        if self.path == MemoryPath::OpaqueFd || planes == usize::from(self.planes) {
            return Ok(());
        }
        let (own, format, tiling) = (self.planes, self.format, self.tiling);
        let limit = format!("{own}, as the driver has for {format} with {tiling}");
        Err(Error::invalid("planes.len()", planes, limit))
    }
}

/// The one of `entries` that describes this frame and can be used for all of `usage`, where that matters. `name` is the
/// importer's.
///
/// # Errors
///
/// [`Error::Unsupported`], which lists the tilings that would do; those of [`OfferEntry::check_planes`].
#[cfg(any(feature = "vulkan", feature = "egl"))]
pub(crate) fn find_import<'a>(
    entries: &'a [OfferEntry],
    name: &str,
    layout: &FrameLayout,
    path: MemoryPath,
    usage: Usage,
) -> Result<&'a OfferEntry> {
    let usable: Vec<&OfferEntry> = entries
        .iter()
        .filter(|entry| entry.path == path && entry.format == layout.format())
        .filter(|entry| entry.importable && entry.usage.contains(usage))
        .collect();
    if let Some(entry) = usable.iter().find(|one| one.tiling == layout.tiling()) {
        entry.check_planes(layout)?;
        return Ok(entry);
    }
    let mut what = layout.format().to_string();
    if !usage.is_empty() {
        what = format!("{what} for {usage}");
    }
    let tilings: Vec<String> = usable.iter().map(|one| one.tiling.to_string()).collect();
    let accepted = if tilings.is_empty() {
        let by_planes = match layout.format_info().color {
            ColorKind::Yuv => "; its planes can be: Device::import_ycbcr",
            ColorKind::Rgb => "",
        };
        format!("{name} cannot import {what} as {path} at all{by_planes}")
    } else {
        format!("{name} imports {what} only as {}", tilings.join(", "))
    };
    Err(Error::unsupported(
        format!("importing {layout} as {path}"),
        vec![Requirement::other(accepted)],
    ))
}

#[cfg(all(test, any(feature = "vulkan", feature = "egl")))]
mod tests {
    use super::*;
    use crate::layout::Plane;
    use crate::modifier::Modifier;

    const CCS: u64 = 0x0100_0000_0000_0004;
    const EXTENT: Extent = Extent::new(64, 32);

    fn entry(code: u64, planes: u8) -> OfferEntry {
        OfferEntry {
            path: MemoryPath::DmaBuf,
            format: Format::XRGB8888,
            tiling: Tiling::Explicit(Modifier::new(code).expect("explicit")),
            planes,
            usage: Usage::SAMPLE,
            max_extent: Extent::new(4096, 4096),
            exportable: false,
            importable: true,
            dedicated_only: false,
            external_only: false,
        }
    }

    fn layout(code: u64, planes: u64) -> FrameLayout {
        let planes: Vec<Plane> = (0..planes)
            .map(|number| Plane {
                object: 0,
                offset: number * 16384,
                pitch: 256,
            })
            .collect();
        let tiling = Tiling::Explicit(Modifier::new(code).expect("explicit"));
        FrameLayout::new(EXTENT, Format::XRGB8888, tiling, &planes, &[1 << 20]).expect("fits")
    }

    /// What both backends ask before a driver sees a frame.
    fn find(layout: &FrameLayout, usage: Usage) -> Result<OfferEntry> {
        let entries = [entry(0, 1), entry(CCS, 2)];
        find_import(&entries, "a driver", layout, MemoryPath::DmaBuf, usage).cloned()
    }

    #[test]
    fn a_frame_with_the_wrong_number_of_planes_is_not_imported() {
        let found = find(&layout(CCS, 2), Usage::SAMPLE).expect("as listed");
        assert_eq!(found, entry(CCS, 2));
        let error = find(&layout(CCS, 1), Usage::SAMPLE).expect_err("no state of compression");
        let text = error.to_string();
        assert!(text.contains("planes.len() is 1, but must be 2"), "{text}");
    }

    #[test]
    fn what_is_not_listed_is_refused_with_what_is() {
        let other = layout(0x0100_0000_0000_0001, 1);
        let text = find(&other, Usage::empty())
            .expect_err("not listed")
            .to_string();
        for part in ["a driver imports", "64x32", "only as", "LINEAR"] {
            assert!(text.to_lowercase().contains(&part.to_lowercase()), "{text}");
        }
        let text = find(&layout(0, 1), Usage::RENDER)
            .expect_err("only sampled")
            .to_string();
        assert!(
            text.contains("cannot import") && text.contains("for RENDER"),
            "{text}"
        );
    }
}
