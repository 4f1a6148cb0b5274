//! For compositors: what a client sends for a `wl_buffer` of dma-bufs, checked into a frame.

use std::fmt;
use std::os::fd::OwnedFd;

use lucarne::color::Orientation;
use lucarne::{DmaBufPlane, Error, Extent, Format, Frame, MAX_PLANES, Result, Tiling};

use crate::convert::join;

/// From this version on planes of different modifiers are a breach, and not only useless.
const WITH_ONE_MODIFIER: u32 = 5;
const Y_INVERT: u32 = 1;
const INTERLACED: u32 = 2;
const BOTTOM_FIRST: u32 = 4;

/// What a client has sent to one `zwp_linux_buffer_params_v1`: keep it as that object's data.
///
/// It works with every server library: it takes the requests' arguments, and says with which protocol error a client must be ended.
///
/// ```
/// use std::os::fd::OwnedFd;
///
/// use lucarne::{Format, Frame, Tiling};
/// use lucarne_wayland::import::{Params, Refused};
///
/// /// The request `add`.
/// fn add(params: &mut Params, fd: OwnedFd, plane_idx: u32, offset: u32, stride: u32, high: u32, low: u32) {
///     if let Err(breach) = params.add(fd, plane_idx, offset, stride, high, low) {
///         post_error(breach.code(), &breach.to_string());
///     }
/// }
///
/// /// The request `create`.
/// fn create(params: &mut Params, width: i32, height: i32, format: u32, flags: u32, listed: &[(Format, Tiling)]) {
///     match params.create(width, height, format, flags, |format, tiling| listed.contains(&(format, tiling))) {
///         Ok(frame) => created(frame),
///         Err(Refused::Failed(_)) => failed(),
///         Err(Refused::Breach(breach)) => post_error(breach.code(), &breach.to_string()),
///     }
/// }
/// # fn post_error(_: u32, _: &str) {}
/// # fn created(_: Frame) {}
/// # fn failed() {}
/// ```
#[derive(Debug)]
pub struct Params {
    version: u32,
    planes: [Option<(DmaBufPlane, u64)>; MAX_PLANES],
    is_used: bool,
}

/// A protocol error of `zwp_linux_buffer_params_v1`: what the client did, and the code to post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    kind: BreachKind,
    text: String,
}

/// The protocol's errors, by their codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BreachKind {
    AlreadyUsed = 0,
    PlaneIndex = 1,
    PlaneSet = 2,
    Incomplete = 3,
    InvalidFormat = 4,
    InvalidDimensions = 5,
    OutOfBounds = 6,
    InvalidWlBuffer = 7,
}

/// Why there is no frame.
#[derive(Debug)]
pub enum Refused {
    /// The client has broken the protocol: post the error, which ends the client.
    Breach(Breach),
    /// Send the event `failed`: the client may try something else. Of `create_immed` this is a breach, too ([`Refused::fatal`]).
    Failed(Error),
}

impl Breach {
    fn new(kind: BreachKind, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { kind, text }
    }

    /// The code of `zwp_linux_buffer_params_v1`'s enumeration `error`.
    pub fn code(&self) -> u32 {
        self.kind as u32
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Breach {}

impl Refused {
    /// What to post where the client takes no `failed` for an answer: `create_immed`.
    pub fn fatal(self) -> Breach {
        match self {
            Self::Breach(breach) => breach,
            Self::Failed(error) => Breach::new(BreachKind::InvalidWlBuffer, error.to_string()),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Breach(breach) => breach.fmt(f),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Refused {}

impl Params {
    /// Nothing yet. `version` is that of the client's object.
    pub fn new(version: u32) -> Self {
        Self {
            version,
            planes: [None, None, None, None],
            is_used: false,
        }
    }

    /// The request `add`. Owns the descriptor from here on.
    ///
    /// # Errors
    ///
    /// A breach, for a plane that there cannot be or that was set before, and after a buffer was created. The descriptor is closed.
    pub fn add(
        &mut self,
        fd: OwnedFd,
        plane_idx: u32,
        offset: u32,
        stride: u32,
        modifier_hi: u32,
        modifier_lo: u32,
    ) -> Result<(), Breach> {
        self.check_unused()?;
        let index = usize::try_from(plane_idx).unwrap_or(usize::MAX);
        let Some(plane) = self.planes.get_mut(index) else {
            let text = format!("plane_idx is {plane_idx}, but must be below {MAX_PLANES}");
            return Err(Breach::new(BreachKind::PlaneIndex, text));
        };
        if plane.is_some() {
            let text = format!("plane {plane_idx} was set before");
            return Err(Breach::new(BreachKind::PlaneSet, text));
        }
        let pitch = stride;
        let taken = DmaBufPlane { fd, offset, pitch };
        *plane = Some((taken, join(modifier_hi, modifier_lo)));
        Ok(())
    }

    /// The requests `create` and `create_immed`: checks everything, and makes the frame. `is_listed` says whether this compositor lists the format
    /// with the layout. Does not block.
    ///
    /// The frame's colours are the format's default; the flag `y_invert` makes it upside down (`Flipped180`). Whose turn it is, is told by the
    /// surface's commit: by its acquire point, or else by [`Frame::implicit_fence`].
    ///
    /// # Errors
    ///
    /// [`Refused`]; every descriptor is closed.
    pub fn create(
        &mut self,
        width: i32,
        height: i32,
        format: u32,
        flags: u32,
        is_listed: impl FnOnce(Format, Tiling) -> bool,
    ) -> Result<Frame, Refused> {
        self.check_unused().map_err(Refused::Breach)?;
        self.is_used = true;
        let (planes, modifiers) = self.take_planes()?;
        let tiling = self.tiling(&modifiers)?;
        let format = Format::from_fourcc(format);
        if !is_listed(format, tiling) {
            let text = format!("this compositor does not list {format} with {tiling}");
            return Err(Refused::Breach(Breach::new(
                BreachKind::InvalidFormat,
                text,
            )));
        }
        let extent = extent(width, height)?;
        check_flags(flags)?;
        let frame = Frame::from_dma_bufs(extent, format, tiling, planes).map_err(judge)?;
        if flags & Y_INVERT == 0 {
            return Ok(frame);
        }
        let mut color = frame.layout().color();
        color.orientation = Orientation::Flipped180;
        frame.with_color(color).map_err(Refused::Failed)
    }

    fn check_unused(&self) -> Result<(), Breach> {
        if self.is_used {
            let text = "these parameters have made a buffer already";
            return Err(Breach::new(BreachKind::AlreadyUsed, text));
        }
        Ok(())
    }

    /// Without holes, from the first on.
    fn take_planes(&mut self) -> Result<(Vec<DmaBufPlane>, Vec<u64>), Refused> {
        let planes = std::mem::take(&mut self.planes);
        let known = planes.iter().take_while(|plane| plane.is_some()).count();
        let set = planes.iter().flatten().count();
        if set == 0 || known < set {
            let text = format!("plane {known} is missing: {set} were added");
            return Err(Refused::Breach(Breach::new(BreachKind::Incomplete, text)));
        }
        Ok(planes.into_iter().flatten().unzip())
    }

    fn tiling(&self, modifiers: &[u64]) -> Result<Tiling, Refused> {
        let first = modifiers[0];
        let Some(other) = modifiers.iter().find(|one| **one != first) else {
            return Ok(Tiling::from_code(first));
        };
        let [first, other] = [first, *other].map(Tiling::from_code);
        let text = format!("its planes have the modifiers {first} and {other}, but must have one");
        Err(if self.version >= WITH_ONE_MODIFIER {
            Refused::Breach(Breach::new(BreachKind::InvalidFormat, text))
        } else {
            Refused::Failed(Error::Invalid {
                field: "modifier",
                got: other.to_string(),
                limit: format!("{first}, as that of the first plane"),
            })
        })
    }
}

fn extent(width: i32, height: i32) -> Result<Extent, Refused> {
    match (u32::try_from(width), u32::try_from(height)) {
        (Ok(width @ 1..), Ok(height @ 1..)) => Ok(Extent::new(width, height)),
        _ => {
            let text = format!("the size is {width}x{height}, but must be 1x1 at least");
            let kind = BreachKind::InvalidDimensions;
            Err(Refused::Breach(Breach::new(kind, text)))
        }
    }
}

/// No frame of ours has two fields.
fn check_flags(flags: u32) -> Result<(), Refused> {
    let strange = flags & !(Y_INVERT | BOTTOM_FIRST);
    if strange == 0 {
        return Ok(());
    }
    let got = if strange == INTERLACED {
        "interlaced".to_owned()
    } else {
        format!("{flags:#x}")
    };
    Err(Refused::Failed(Error::Invalid {
        field: "flags",
        got,
        limit: "0 or y_invert".to_owned(),
    }))
}

/// Whether the client could have known.
fn judge(error: Error) -> Refused {
    let Error::Invalid { field, .. } = &error else {
        return Refused::Failed(error);
    };
    let kind = match *field {
        "planes.len()" => BreachKind::Incomplete,
        "plane.offset" | "plane.pitch" => BreachKind::OutOfBounds,
        sum if sum.starts_with("plane.offset +") => BreachKind::OutOfBounds,
        // A size that no driver has, a descriptor that is no dma-buf: another compositor might take it.
        _ => return Refused::Failed(error),
    };
    Refused::Breach(Breach::new(kind, error.to_string()))
}

#[cfg(test)]
mod tests {
    use lucarne::kernel::Memfd;
    use lucarne::{MAX_EXTENT, Modifier};

    use super::*;

    const XRGB8888: u32 = 0x3432_5258;
    const NV12: u32 = 0x3231_564e;

    /// Sealed, it passes for a dma-buf.
    fn buffer() -> OwnedFd {
        let memory = Memfd::create("buffer", 64 * 1024).expect("memory");
        std::os::fd::AsFd::as_fd(&memory)
            .try_clone_to_owned()
            .expect("a descriptor")
    }

    /// `[plane, offset, stride, modifier]` each.
    fn params(planes: &[[u32; 4]]) -> Params {
        let mut params = Params::new(5);
        for [index, offset, stride, modifier] in planes {
            let added = params.add(buffer(), *index, *offset, *stride, 0, *modifier);
            added.expect("a plane of its own");
        }
        params
    }

    fn code(refused: Refused) -> Option<u32> {
        match refused {
            Refused::Breach(breach) => Some(breach.code()),
            Refused::Failed(_) => None,
        }
    }

    const ONE: [[u32; 4]; 1] = [[0, 0, 256, 0]];

    #[test]
    fn what_is_right_becomes_a_frame() {
        let frame = params(&ONE).create(64, 32, XRGB8888, Y_INVERT, |_, _| true);
        let frame = frame.expect("all of it fits");
        assert_eq!(frame.layout().extent(), Extent::new(64, 32));
        assert_eq!(frame.layout().tiling(), Tiling::Explicit(Modifier::LINEAR));
        assert_eq!(frame.layout().color().orientation, Orientation::Flipped180);
        let two = params(&[[1, 4096, 64, 0], [0, 0, 64, 0]]);
        let frame = { two }.create(64, 32, NV12, 0, |format, _| format == Format::NV12);
        assert_eq!(frame.expect("in any order").layout().planes().len(), 2);
    }

    #[test]
    fn each_rule_has_its_code() {
        let wide = MAX_EXTENT.cast_signed() + 1;
        type Case<'c> = (&'c [[u32; 4]], i32, i32, u32, u32, Option<u32>);
        let cases: [Case<'_>; 16] = [
            (&[], 64, 32, XRGB8888, 0, Some(3)),
            (&[[1, 0, 256, 0]], 64, 32, XRGB8888, 0, Some(3)),
            (
                &[[0, 0, 256, 0], [2, 0, 256, 0]],
                64,
                32,
                XRGB8888,
                0,
                Some(3),
            ),
            (
                &[[0, 0, 256, 0], [1, 0, 256, 0]],
                64,
                32,
                XRGB8888,
                0,
                Some(3),
            ),
            (&[[0, 0, 64, 0]], 64, 32, NV12, 0, Some(3)),
            (&[[0, 0, 64, 0], [1, 4096, 64, 1]], 64, 32, NV12, 0, Some(4)),
            (&ONE, 64, 32, 7, 0, Some(4)),
            (&ONE, 0, 32, XRGB8888, 0, Some(5)),
            (&ONE, 64, -1, XRGB8888, 0, Some(5)),
            (&ONE, 64, i32::MIN, XRGB8888, 0, Some(5)),
            (&[[0, 0, 255, 0]], 64, 32, XRGB8888, 0, Some(6)),
            (&[[0, u32::MAX, 256, 0]], 64, 32, XRGB8888, 0, Some(6)),
            (&[[0, 60 * 1024, 256, 0]], 64, 32, XRGB8888, 0, Some(6)),
            (&[[0, 0, u32::MAX, 0]], 64, 32, XRGB8888, 0, Some(6)),
            (&[[0, 0, u32::MAX, 0]], wide, 1, XRGB8888, 0, None),
            (&ONE, 64, 32, XRGB8888, INTERLACED, None),
        ];
        for (planes, width, height, format, flags, expected) in cases {
            let known = |format: Format, _| format.info().is_some();
            let answer = params(planes).create(width, height, format, flags, known);
            let refused = answer.expect_err("it breaks a rule");
            let text = refused.to_string();
            assert_eq!(
                code(refused),
                expected,
                "{planes:?} {width}x{height}: {text}"
            );
        }
    }

    #[test]
    fn planes_are_set_once_and_buffers_made_once() {
        let mut twice = params(&ONE);
        let add = |params: &mut Params, index| params.add(buffer(), index, 0, 256, 0, 0);
        assert_eq!(add(&mut twice, 0).expect_err("set").code(), 2);
        assert_eq!(add(&mut twice, 4).expect_err("too many").code(), 1);
        twice
            .create(64, 32, XRGB8888, 0, |_, _| true)
            .expect("a frame");
        assert_eq!(add(&mut twice, 1).expect_err("used").code(), 0);
        let again = twice.create(64, 32, XRGB8888, 0, |_, _| true);
        assert_eq!(code(again.expect_err("used")), Some(0));
    }

    #[test]
    fn before_version_five_unlike_modifiers_only_fail() {
        let mut old = Params::new(3);
        old.add(buffer(), 0, 0, 64, 0, 0).expect("a plane");
        old.add(buffer(), 1, 4096, 64, 0, 1).expect("a plane");
        let refused = old
            .create(64, 32, NV12, 0, |_, _| true)
            .expect_err("unlike");
        assert_eq!(code(refused), None);
    }

    #[test]
    fn what_is_no_dma_buf_fails_and_is_fatal_for_who_waits_for_no_answer() {
        let mut strange = Params::new(5);
        let (reader, _writer) = rustix::pipe::pipe().expect("a pipe");
        strange.add(reader, 0, 0, 256, 0, 0).expect("a plane");
        let refused = strange
            .create(64, 32, XRGB8888, 0, |_, _| true)
            .expect_err("a pipe");
        assert!(matches!(refused, Refused::Failed(_)), "{refused}");
        assert_eq!(refused.fatal().code(), 7);
    }
}
