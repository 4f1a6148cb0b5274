//! Wayland's words and ours: formats, modifiers, devices, transforms.

use lucarne::color::Orientation;
use lucarne::{DeviceId, DrmNode, Format};
use wayland_client::WEnum;
use wayland_client::protocol::wl_output::Transform;
use wayland_client::protocol::wl_shm;

/// The major number of every DRM node (`DRM_MAJOR`).
const DRM: u32 = 226;
/// Render nodes have the numbers from here on, and primary nodes those below.
const FIRST_RENDER_NODE: u32 = 128;

/// A format of `wl_shm`: DRM's code, but for two that have numbers of their own.
pub fn format(format: WEnum<wl_shm::Format>) -> Format {
    match format {
        WEnum::Value(wl_shm::Format::Argb8888) => Format::ARGB8888,
        WEnum::Value(wl_shm::Format::Xrgb8888) => Format::XRGB8888,
        WEnum::Value(other) => Format::from_fourcc(other as u32),
        WEnum::Unknown(code) => Format::from_fourcc(code),
    }
}

/// The same the other way; `None` for a format that `wl_shm` has no name for.
pub fn shm_format(format: Format) -> Option<wl_shm::Format> {
    match format {
        Format::ARGB8888 => Some(wl_shm::Format::Argb8888),
        Format::XRGB8888 => Some(wl_shm::Format::Xrgb8888),
        other => wl_shm::Format::try_from(other.fourcc()).ok(),
    }
}

/// Which device a `dev_t` of a compositor's is. Nothing is known of one that is no DRM node.
pub fn device(number: u64) -> DeviceId {
    let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
    let node = Some(DrmNode { major, minor });
    match (major, minor) {
        (DRM, FIRST_RENDER_NODE..) => DeviceId {
            render_node: node,
            ..DeviceId::default()
        },
        (DRM, _) => DeviceId {
            primary_node: node,
            ..DeviceId::default()
        },
        _ => DeviceId::default(),
    }
}

/// How a captured picture is turned. `None` for a number that no version of `wl_output` knows.
pub fn orientation(transform: WEnum<Transform>) -> Option<Orientation> {
    Some(match transform.into_result().ok()? {
        Transform::Normal => Orientation::Normal,
        Transform::_90 => Orientation::Rotated90,
        Transform::_180 => Orientation::Rotated180,
        Transform::_270 => Orientation::Rotated270,
        Transform::Flipped => Orientation::Flipped,
        Transform::Flipped90 => Orientation::Flipped90,
        Transform::Flipped180 => Orientation::Flipped180,
        Transform::Flipped270 => Orientation::Flipped270,
        _ => return None,
    })
}

/// The same the other way, for `wl_surface.set_buffer_transform`: the compositor then shows the frame upright. `None` for an orientation
/// that Wayland has no transform for.
pub fn transform(orientation: Orientation) -> Option<Transform> {
    Some(match orientation {
        Orientation::Normal => Transform::Normal,
        Orientation::Rotated90 => Transform::_90,
        Orientation::Rotated180 => Transform::_180,
        Orientation::Rotated270 => Transform::_270,
        Orientation::Flipped => Transform::Flipped,
        Orientation::Flipped90 => Transform::Flipped90,
        Orientation::Flipped180 => Transform::Flipped180,
        Orientation::Flipped270 => Transform::Flipped270,
        _ => return None,
    })
}

/// A number of 64 bits that came in two halves.
pub(crate) const fn join(high: u32, low: u32) -> u64 {
    (high as u64) << 32 | low as u64
}

/// The two halves, the high one first.
#[expect(clippy::cast_possible_truncation, reason = "it is a half")]
pub(crate) const fn halves(number: u64) -> (u32, u32) {
    ((number >> 32) as u32, number as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_come_back() {
        for (ours, theirs) in [
            (Format::ARGB8888, 0),
            (Format::XRGB8888, 1),
            (Format::XBGR8888, 0x3432_4258),
        ] {
            let shm = shm_format(ours).expect("a name");
            assert_eq!(shm as u32, theirs);
            assert_eq!(format(WEnum::Value(shm)), ours);
        }
        assert_eq!(shm_format(Format::from_fourcc(7)), None);
        assert_eq!(format(WEnum::Unknown(7)), Format::from_fourcc(7));
    }

    #[test]
    fn devices_are_told_by_their_numbers() {
        let node = |minor| Some(DrmNode { major: 226, minor });
        let number = |major, minor| rustix::fs::makedev(major, minor);
        assert_eq!(device(number(226, 128)).render_node, node(128));
        assert_eq!(device(number(226, 1)).primary_node, node(1));
        assert_eq!(device(number(250, 7)), DeviceId::default());
    }

    #[test]
    fn turns_come_back() {
        for number in 0..8 {
            let theirs = Transform::try_from(number).expect("eight of them");
            let ours = orientation(WEnum::Value(theirs)).expect("all are known");
            assert_eq!(transform(ours), Some(theirs));
        }
        assert_eq!(orientation(WEnum::Unknown(8)), None);
    }

    #[test]
    fn halves_come_back() {
        let (high, low) = halves(0x0123_4567_89ab_cdef);
        assert_eq!((high, low), (0x0123_4567, 0x89ab_cdef));
        assert_eq!(join(high, low), 0x0123_4567_89ab_cdef);
    }
}
