//! What goes along with a frame's pixels.

use lucarne::Extent;
use pipewire::spa::sys;
use pipewire::spa::utils::{Point, Rectangle, Region as RawRegion};

use crate::ffi::RawBuffer;
use crate::pods::{self, Param};

/// How many damaged rectangles travel with a frame. A frame with more is damaged as a whole.
pub const MAX_DAMAGE: usize = 16;

/// A rectangle of a frame, in pixels from its top left corner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// From the left.
    pub x: i32,
    /// From the top.
    pub y: i32,
    /// Width and height.
    pub extent: Extent,
}

/// What goes along with a frame: `SPA_META_Header`, `SPA_META_VideoCrop` and `SPA_META_VideoDamage`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// When the frame is to be shown, in nanoseconds on the graph's clock (`CLOCK_MONOTONIC`); `None` where the peer does not say.
    pub pts: Option<i64>,
    /// Counts the producer's frames. A gap is a frame that was not sent. `None` where the peer does not count.
    pub sequence: Option<u64>,
    /// The part that is to be shown; all of it where there is none.
    pub crop: Option<Region>,
    /// What has changed since the frame before; all of it where the list is empty.
    pub damage: Vec<Region>,
}

/// Wishes for all of it.
pub(crate) fn params() -> Vec<Param> {
    let region = size_of::<sys::spa_meta_region>();
    vec![
        pods::meta(sys::SPA_META_Header, size_of::<sys::spa_meta_header>()),
        pods::meta(sys::SPA_META_VideoCrop, region),
        pods::meta(sys::SPA_META_VideoDamage, region * MAX_DAMAGE),
    ]
}

fn to_raw(region: &Region) -> sys::spa_meta_region {
    let (Region { x, y, extent }, Extent { width, height }) = (*region, region.extent);
    debug_assert_eq!(extent, Extent::new(width, height));
    sys::spa_meta_region {
        region: RawRegion {
            position: Point { x, y },
            size: Rectangle { width, height },
        },
    }
}

/// `None` for one without pixels, which marks the end of a list.
fn from_raw(raw: &sys::spa_meta_region) -> Option<Region> {
    let RawRegion { position, size } = raw.region;
    (size.width > 0 && size.height > 0).then(|| Region {
        x: position.x,
        y: position.y,
        extent: Extent::new(size.width, size.height),
    })
}

const NOTHING: Region = Region {
    x: 0,
    y: 0,
    extent: Extent::new(0, 0),
};

impl Metadata {
    /// Writes what was negotiated; `extent` is the frame's.
    pub(crate) fn write(&self, buffer: RawBuffer, extent: Extent) {
        let header = sys::spa_meta_header {
            flags: 0,
            offset: 0,
            // What PipeWire takes for "none".
            pts: self.pts.unwrap_or(-1),
            dts_offset: 0,
            seq: self.sequence.unwrap_or(0),
        };
        buffer.write_meta(sys::SPA_META_Header, header);
        let whole = Region { extent, ..NOTHING };
        let crop = to_raw(self.crop.as_ref().unwrap_or(&whole));
        buffer.write_meta(sys::SPA_META_VideoCrop, crop);
        let damage: Vec<_> = if self.damage.is_empty() || self.damage.len() > MAX_DAMAGE {
            vec![to_raw(&whole)]
        } else {
            self.damage.iter().map(to_raw).collect()
        };
        let kind = sys::SPA_META_VideoDamage;
        if !buffer.write_metas(kind, &damage, to_raw(&NOTHING)) {
            // The peer wants fewer of them.
            buffer.write_metas(kind, &[to_raw(&whole)], to_raw(&NOTHING));
        }
    }

    /// Reads what came. Rectangles are the peer's claim: they may lie outside of the frame.
    pub(crate) fn read(buffer: RawBuffer) -> Self {
        let header = buffer.read_meta::<sys::spa_meta_header>(sys::SPA_META_Header);
        let crop = buffer.read_meta::<sys::spa_meta_region>(sys::SPA_META_VideoCrop);
        let damage = buffer.read_metas(sys::SPA_META_VideoDamage, MAX_DAMAGE);
        Self {
            pts: header.map(|header| header.pts).filter(|pts| *pts >= 0),
            sequence: header.map(|header| header.seq),
            crop: crop.as_ref().and_then(from_raw),
            damage: damage
                .unwrap_or_default()
                .iter()
                .map_while(from_raw)
                .collect(),
        }
    }
}
