//! Where each byte of a frame lies: extent, format, tiling and memory planes.

use std::fmt;

use crate::color::ColorDescription;
use crate::error::{Error, Result};
use crate::format::{Format, FormatInfo};
use crate::modifier::{Modifier, Vendor};

/// The largest width or height that any driver known to us takes, in pixels.
pub const MAX_EXTENT: u32 = 32_768;
/// The most memory planes a frame can have (`EGL_EXT_image_dma_buf_import_modifiers`, `drm_mode_fb_cmd2`).
pub const MAX_PLANES: usize = 4;

/// Every linear buffer this crate allocates has a pitch that is a multiple of this many bytes: AMD's display
/// and texture units accept nothing less.
pub const LINEAR_PITCH_ALIGNMENT: u64 = 256;
/// Every linear buffer this crate allocates has room for a height that is a multiple of this many rows. Some drivers
/// pad the height by themselves when they import, and refuse, or read beyond, a buffer without that room.
pub const LINEAR_HEIGHT_ALIGNMENT: u32 = 16;
/// Every linear buffer this crate allocates has this many bytes behind its last row: Broadcom's V3D driver asks for
/// them, as its texture unit fetches ahead.
pub const LINEAR_TAIL_BYTES: u64 = 64;
/// The last byte that a frame's planes may reach in their memory. The rows that pad the height to a multiple of
/// [`LINEAR_HEIGHT_ALIGNMENT`] count too. Drivers compute where a row begins in signed 32-bit numbers; when such a
/// number overflows, they read elsewhere.
pub const MAX_REACH: u64 = i32::MAX as u64;
/// The largest pitch, counted in rows of [`MAX_EXTENT`] pixels. A pitch is longer than its row when the rows are padded,
/// or when the frame is a part of a wider image.
pub const MAX_PITCH_ROWS: u64 = 4;
/// Buffers are whole pages, as `/dev/udmabuf` requires.
pub const PAGE_BYTES: u64 = 4096;

/// A width and height in pixels.
///
/// ```
/// use lucarne::Extent;
///
/// let extent = Extent::new(1280, 720);
/// extent.check()?;
/// assert!(extent.fits(Extent::new(1920, 1080)));
/// assert!(Extent::new(0, 720).check().is_err());
/// # Ok::<(), lucarne::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Extent {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Extent {
    /// A width and a height, in pixels, unchecked: [`FrameLayout::new`] checks them.
    pub const fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    /// Whether a frame of this size fits into `other`.
    pub const fn fits(self, other: Self) -> bool {
        self.width <= other.width && self.height <= other.height
    }

    /// Refuses a zero or huge extent.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] unless both sides are 1 to [`MAX_EXTENT`].
    pub fn check(self) -> Result<()> {
        for (field, side) in [("extent.width", self.width), ("extent.height", self.height)] {
            if side == 0 || side > MAX_EXTENT {
                return Err(Error::invalid(
                    field,
                    side,
                    format!("1 to {MAX_EXTENT} pixels"),
                ));
            }
        }
        Ok(())
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// How pixels are arranged within a plane.
///
/// ```
/// use lucarne::{Modifier, Tiling};
///
/// assert_eq!(Tiling::Explicit(Modifier::LINEAR).modifier(), Some(Modifier::LINEAR));
/// assert_eq!(Tiling::Implicit.modifier(), None);
///
/// // As other APIs write it, DRM_FORMAT_MOD_INVALID included.
/// assert_eq!(Tiling::from_code(0), Tiling::Explicit(Modifier::LINEAR));
/// assert_eq!(Tiling::from_code(0x00ff_ffff_ffff_ffff), Tiling::Implicit);
/// assert_eq!(Tiling::Implicit.code(), 0x00ff_ffff_ffff_ffff);
/// ```
#[doc(alias = "DRM_FORMAT_MOD_INVALID")]
#[doc(alias = "modifier")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tiling {
    /// Only the driver that allocated the memory knows. No modifier was negotiated.
    Implicit,
    /// As the modifier says.
    Explicit(Modifier),
}

impl Tiling {
    /// What a modifier's code says where `DRM_FORMAT_MOD_INVALID` is allowed and means an implicit layout: in Wayland,
    /// PipeWire, GBM, GTK and OBS.
    #[must_use]
    pub const fn from_code(code: u64) -> Self {
        match Modifier::new(code) {
            Some(modifier) => Self::Explicit(modifier),
            None => Self::Implicit,
        }
    }

    /// The modifier's code, and `DRM_FORMAT_MOD_INVALID` for an implicit layout.
    #[must_use]
    pub const fn code(self) -> u64 {
        match self {
            Self::Implicit => Modifier::INVALID_CODE,
            Self::Explicit(modifier) => modifier.code(),
        }
    }

    /// The modifier, where there is one.
    pub const fn modifier(self) -> Option<Modifier> {
        match self {
            Self::Implicit => None,
            Self::Explicit(modifier) => Some(modifier),
        }
    }
}

impl fmt::Display for Tiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Implicit => f.write_str("implicit"),
            Self::Explicit(modifier) => modifier.fmt(f),
        }
    }
}

/// One *memory* plane: a range of one of the frame's memory objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Plane {
    /// Which of the frame's memory objects.
    pub object: usize,
    /// Where the plane starts in it, in bytes.
    pub offset: u64,
    /// From one row to the next, in bytes.
    #[doc(alias = "stride")]
    pub pitch: u64,
}

/// Extent, format, tiling, memory planes and colours of a frame: plain data that was checked against its memory.
///
/// Geometry from outside always goes through [`FrameLayout::new`], which checks it. So a `FrameLayout` can be handed
/// to a driver. That matters because drivers do not return an error for a buffer that is too short: they crash.
///
/// ```
/// use lucarne::{Extent, Format, FrameLayout, Modifier, Plane, Tiling};
///
/// let (extent, tiling) = (Extent::new(1920, 1080), Tiling::Explicit(Modifier::LINEAR));
/// let planes = [Plane { object: 0, offset: 0, pitch: 4 * 1920 }];
/// let layout = FrameLayout::new(extent, Format::XRGB8888, tiling, &planes, &[8 << 20])?;
/// assert_eq!(layout.planes(), planes);
///
/// let short = FrameLayout::new(extent, Format::XRGB8888, tiling, &planes, &[4096]);
/// println!("{}", short.unwrap_err()); // names the plane, where it ends, and what there is
/// # Ok::<(), lucarne::Error>(())
/// ```
///
/// # References
///
/// The geometry that `EGL_EXT_image_dma_buf_import_modifiers`, `VkImageDrmFormatModifierExplicitCreateInfoEXT` and the
/// kernel's `drm_mode_fb_cmd2` take.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FrameLayout {
    extent: Extent,
    format: Format,
    tiling: Tiling,
    planes: Vec<Plane>,
    color: ColorDescription,
}

impl FrameLayout {
    /// A layout whose planes all lie within memory objects of `object_sizes` bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`], naming the field, its value and its limit, for: an extent of zero or beyond
    /// [`MAX_EXTENT`]; a format whose geometry is unknown; fewer or more planes than format and modifier have;
    /// a plane left empty before the last one; an object index beyond `object_sizes`, or an object no plane uses;
    /// a pitch shorter than a row, or longer than [`MAX_PITCH_ROWS`] rows of the widest image; a plane that ends beyond
    /// its object; a plane that, with its height padded, reaches beyond [`MAX_REACH`], however large the object is.
    pub fn new(
        extent: Extent,
        format: Format,
        tiling: Tiling,
        planes: &[Plane],
        object_sizes: &[u64],
    ) -> Result<Self> {
        extent.check()?;
        let info = format.info().ok_or_else(|| Error::unknown_format(format))?;
        check_plane_count(info, tiling, planes.len())?;
        check_holes(planes)?;
        check_objects(planes, object_sizes)?;
        for (index, plane) in planes.iter().enumerate() {
            check_reach(info, extent, index, plane)?;
            let size = object_sizes.get(plane.object).copied().unwrap_or(0);
            check_fit(info, tiling, extent, index, plane, size)?;
        }
        Ok(Self {
            extent,
            format,
            tiling,
            planes: planes.to_vec(),
            color: ColorDescription::default_for(info),
        })
    }

    /// The layout of memory that only its own driver can read (`OPAQUE_FD`): no planes to describe.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for an extent of zero or beyond [`MAX_EXTENT`], or an unknown format.
    pub fn opaque(extent: Extent, format: Format) -> Result<Self> {
        extent.check()?;
        let info = format.info().ok_or_else(|| Error::unknown_format(format))?;
        Ok(Self {
            extent,
            format,
            tiling: Tiling::Implicit,
            planes: Vec::new(),
            color: ColorDescription::default_for(info),
        })
    }

    /// A linear layout in one object that every known driver accepts, and that object's size in bytes: pitches
    /// are multiples of [`LINEAR_PITCH_ALIGNMENT`], each plane has room for a height padded to
    /// [`LINEAR_HEIGHT_ALIGNMENT`] rows, [`LINEAR_TAIL_BYTES`] follow the last one, and the size is whole pages.
    ///
    /// # Errors
    ///
    /// As for [`FrameLayout::new`].
    pub fn linear(extent: Extent, format: Format) -> Result<(Self, u64)> {
        extent.check()?;
        let info = format.info().ok_or_else(|| Error::unknown_format(format))?;
        let too_big = || Error::invalid("extent", extent, "small enough for a 2 GiB buffer");
        let padded = extent.height.next_multiple_of(LINEAR_HEIGHT_ALIGNMENT);
        let mut planes = Vec::new();
        let mut end = 0_u64;
        for index in 0..info.planes.len() {
            let row = info.row_bytes(index, extent.width).ok_or_else(too_big)?;
            let rows = info.rows(index, padded).ok_or_else(too_big)?;
            let pitch = u64::from(row).next_multiple_of(LINEAR_PITCH_ALIGNMENT);
            planes.push(Plane {
                object: 0,
                offset: end,
                pitch,
            });
            let bytes = pitch.checked_mul(u64::from(rows)).ok_or_else(too_big)?;
            end = end.checked_add(bytes).ok_or_else(too_big)?;
        }
        if end > MAX_REACH - LINEAR_TAIL_BYTES {
            return Err(too_big());
        }
        let size = (end + LINEAR_TAIL_BYTES).next_multiple_of(PAGE_BYTES);
        let tiling = Tiling::Explicit(Modifier::LINEAR);
        let layout = Self::new(extent, format, tiling, &planes, &[size])?;
        Ok((layout, size))
    }

    /// The same layout with other colours than the format's default.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when they contradict the format: those of [`ColorDescription::check`].
    pub fn with_color(self, color: ColorDescription) -> Result<Self> {
        color.check(self.format)?;
        Ok(Self { color, ..self })
    }

    /// What the pixels' numbers mean: [`ColorDescription::default_for`] the format, unless
    /// [`with_color`](Self::with_color) said otherwise.
    pub fn color(&self) -> ColorDescription {
        self.color
    }

    /// Width and height in pixels.
    pub fn extent(&self) -> Extent {
        self.extent
    }

    /// The pixel format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// What is known about the format. There is no layout of an unknown format.
    #[expect(
        clippy::missing_panics_doc,
        reason = "every constructor checks the format first"
    )]
    pub fn format_info(&self) -> &'static FormatInfo {
        self.format.info().expect("checked at construction")
    }

    /// The arrangement of pixels.
    pub fn tiling(&self) -> Tiling {
        self.tiling
    }

    /// The memory planes, 1 to [`MAX_PLANES`]; none for opaque memory.
    pub fn planes(&self) -> &[Plane] {
        &self.planes
    }

    /// Refuses planes and rows that start between two pixels: `GL_UNPACK_ROW_LENGTH` and
    /// `VkBufferImageCopy::bufferRowLength` count pixels, so that such rows would come out skewed.
    #[cfg(any(feature = "vulkan", feature = "egl"))]
    pub(crate) fn check_whole_pixels(&self) -> Result<()> {
        for (plane, format_plane) in self.planes.iter().zip(self.format_info().planes) {
            let block = u64::from(format_plane.block_bytes);
            for (field, value) in [("plane.offset", plane.offset), ("plane.pitch", plane.pitch)] {
                if !value.is_multiple_of(block) {
                    let limit = format!("a multiple of {block} bytes, the size of a pixel");
                    return Err(Error::invalid(field, value, limit));
                }
            }
        }
        Ok(())
    }

    /// How many bytes of this object, from its start, hold pixels. It is computed here and does not depend on a driver's
    /// answer. For linear layouts only: other layouts have no plain rows.
    #[cfg(feature = "vulkan")]
    pub(crate) fn end_in(&self, object: usize) -> u64 {
        let info = self.format_info();
        let ends = self.planes.iter().enumerate().map(|(index, plane)| {
            let row = info.row_bytes(index, self.extent.width).unwrap_or(0);
            let rows = info.rows(index, self.extent.height).unwrap_or(1);
            let end = plane.offset + plane.pitch * u64::from(rows - 1) + u64::from(row);
            if plane.object == object { end } else { 0 }
        });
        ends.max().unwrap_or(0)
    }

    /// How many memory objects the planes refer to.
    pub fn objects(&self) -> usize {
        let last = self.planes.iter().map(|plane| plane.object).max();
        last.map_or(0, |last| last + 1)
    }
}

impl fmt::Display for FrameLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, {}", self.extent, self.format, self.tiling)?;
        for (index, plane) in self.planes.iter().enumerate() {
            write!(
                f,
                ", plane {index}: object {} offset {} pitch {}",
                plane.object, plane.offset, plane.pitch
            )?;
        }
        Ok(())
    }
}

fn check_plane_count(info: &FormatInfo, tiling: Tiling, got: usize) -> Result<()> {
    let least = info.planes.len();
    let most = match tiling {
        // An implicit layout may hide auxiliary planes, but then they are not described either.
        Tiling::Implicit => least,
        Tiling::Explicit(modifier) if modifier.is_linear() => least,
        Tiling::Explicit(modifier) => match modifier.auxiliary_planes() {
            Some(auxiliary) => (least * (1 + usize::from(auxiliary))).min(MAX_PLANES),
            None => MAX_PLANES,
        },
    };
    if got < least || got > most {
        let limit = if least == most {
            format!("{least} for {} with {tiling}", info.format)
        } else {
            format!("{least} to {most} for {} with {tiling}", info.format)
        };
        return Err(Error::invalid("planes.len()", got, limit));
    }
    Ok(())
}

/// A plane without a pitch is one that was never set: the kernel and Wayland describe unused planes so.
fn check_holes(planes: &[Plane]) -> Result<()> {
    match planes.iter().position(|plane| plane.pitch == 0) {
        Some(index) => Err(Error::invalid(
            "plane.pitch",
            format!("0 in plane {index} of {}", planes.len()),
            "set for every plane: no holes",
        )),
        None => Ok(()),
    }
}

fn check_objects(planes: &[Plane], object_sizes: &[u64]) -> Result<()> {
    for plane in planes {
        if plane.object >= object_sizes.len() {
            return Err(Error::invalid(
                "plane.object",
                plane.object,
                format!("below {}, the number of memory objects", object_sizes.len()),
            ));
        }
    }
    for object in 0..object_sizes.len() {
        if !planes.iter().any(|plane| plane.object == object) {
            return Err(Error::invalid(
                "object_sizes.len()",
                object_sizes.len(),
                format!("the number of objects that planes use: none uses object {object}"),
            ));
        }
    }
    Ok(())
}

/// Holds what drivers compute with within their 32 bits, whatever the object's size: wrapped, a plane's size compares
/// as small, and its rows lie elsewhere.
fn check_reach(info: &FormatInfo, extent: Extent, index: usize, plane: &Plane) -> Result<()> {
    let at = |value: u64| format!("{value} in plane {index}");
    if plane.offset > MAX_REACH {
        let limit = format!("at most {MAX_REACH} bytes, which drivers compute with");
        return Err(Error::invalid("plane.offset", at(plane.offset), limit));
    }
    // A plane of compression metadata has no rows of its own, and less of them than the plane that it belongs to.
    let like = if index < info.planes.len() { index } else { 0 };
    let too_big = || Error::invalid("extent", extent, "small enough for 32-bit rows");
    let widest = u64::from(info.row_bytes(like, MAX_EXTENT).ok_or_else(too_big)?);
    let most = widest * MAX_PITCH_ROWS;
    if plane.pitch > most {
        let limit = format!(
            "at most {most} bytes, {MAX_PITCH_ROWS} rows of {MAX_EXTENT} pixels of {}",
            info.format
        );
        return Err(Error::invalid("plane.pitch", at(plane.pitch), limit));
    }
    let padded = extent.height.next_multiple_of(LINEAR_HEIGHT_ALIGNMENT);
    let rows = u64::from(info.rows(like, padded).ok_or_else(too_big)?);
    // Offset, pitch and rows have just been held far below what 64 bits overflow with.
    let reach = plane.offset + plane.pitch * rows;
    if reach > MAX_REACH {
        let limit = format!(
            "at most {MAX_REACH} bytes, which drivers compute with, for {rows} rows (the height padded)"
        );
        let field = "plane.offset + plane.pitch * rows";
        return Err(Error::invalid(field, at(reach), limit));
    }
    Ok(())
}

fn check_fit(
    info: &FormatInfo,
    tiling: Tiling,
    extent: Extent,
    index: usize,
    plane: &Plane,
    size: u64,
) -> Result<()> {
    if plane.offset >= size {
        return Err(Error::invalid(
            "plane.offset",
            format!("{} in plane {index}", plane.offset),
            format!("below the buffer's size of {size} bytes"),
        ));
    }
    // Planes past the format's own hold compression metadata, whose size the modifier's vendor alone defines,
    // and Arm's compressed formats count their pitch in headers: their drivers check both.
    let opaque_pitch = matches!(tiling, Tiling::Explicit(m) if m.vendor() == Vendor::Arm);
    if index >= info.planes.len() || opaque_pitch {
        return Ok(());
    }
    let overflow = || Error::invalid("extent", extent, "small enough for 32-bit rows");
    let row = u64::from(info.row_bytes(index, extent.width).ok_or_else(overflow)?);
    let rows = u64::from(info.rows(index, extent.height).ok_or_else(overflow)?);
    if plane.pitch < row {
        return Err(Error::invalid(
            "plane.pitch",
            format!("{} in plane {index}", plane.pitch),
            format!(
                "at least {row} bytes, the length of a row of {} pixels",
                extent.width
            ),
        ));
    }
    // The last row need not be padded; 32-bit inputs cannot overflow 64 bits here.
    let end = plane.offset + plane.pitch * (rows - 1) + row;
    if end > size {
        return Err(Error::invalid(
            "plane.offset + plane.pitch * rows",
            format!("{end} in plane {index}"),
            format!("at most the buffer's size of {size} bytes"),
        ));
    }
    Ok(())
}
