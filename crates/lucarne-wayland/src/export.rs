//! A frame becomes a `wl_buffer`.

use std::fmt;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use lucarne::kernel::Memfd;
use lucarne::{Frame, Memory, MemoryPath, Requirement, Result};
use rustix::fs::{OFlags, SealFlags};
use wayland_client::Proxy;
use wayland_client::protocol::wl_buffer::WlBuffer;
use wayland_protocols::wp::linux_dmabuf::zv1::client::zwp_linux_buffer_params_v1::Flags;
use wayland_protocols::wp::linux_dmabuf::zv1::client::zwp_linux_dmabuf_v1::ZwpLinuxDmabufV1;

use crate::convert::{halves, shm_format};
use crate::display::{Display, untaken};
use crate::error::{invalid, os, refused, unsupported};
use crate::events::{Answer, Lending, Shared, lock, shared};

/// A frame that a compositor can show: a `wl_buffer` of the frame's memory. No pixel is copied.
///
/// Make one for each buffer, not for each frame: keep it, in a [`lucarne::ImportCache`] for instance. It keeps the frame's memory.
/// Cloning shares it.
#[derive(Clone)]
pub struct Buffer {
    inner: Rc<Inner>,
}

struct Inner {
    object: WlBuffer,
    lending: Arc<Lending>,
    frame: Frame,
}

impl Display {
    /// Makes a `wl_buffer` of a frame's memory: `zwp_linux_dmabuf_v1` for dma-bufs, `wl_shm` for host memory. Waits for the compositor's
    /// answer, `timeout` at most.
    ///
    /// The descriptors stay the frame's; the compositor gets duplicates.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`](lucarne::Error::Unsupported) for memory, a format or a modifier that the compositor does not list;
    /// [`Error::Driver`](lucarne::Error::Driver) where it refuses the frame all the same: negotiate again, and strike out this one;
    /// [`Error::Invalid`](lucarne::Error::Invalid) for host memory that it cannot map; [`Error::Timeout`](lucarne::Error::Timeout) where it does
    /// not answer in time; those of [`Display::dispatch`].
    #[doc(alias = "wl_buffer")]
    #[doc(alias = "zwp_linux_buffer_params_v1")]
    pub fn export(&self, frame: &Frame, timeout: Duration) -> Result<Buffer> {
        let object = match frame.memory() {
            Memory::DmaBuf(_) => self.of_dma_bufs(frame, timeout)?,
            Memory::HostMemory(memfd) => self.of_memfd(frame, memfd)?,
            Memory::OpaqueFd(_) => return Err(only_its_driver()),
        };
        let lending = object.data::<Arc<Lending>>().map(Arc::clone);
        self.count_export();
        Ok(Buffer {
            inner: Rc::new(Inner {
                lending: lending.unwrap_or_default(),
                object,
                frame: frame.clone(),
            }),
        })
    }

    fn of_dma_bufs(&self, frame: &Frame, timeout: Duration) -> Result<WlBuffer> {
        let layout = frame.layout();
        let lacks = || Requirement::other("the compositor lacks zwp_linux_dmabuf_v1");
        let dmabuf = self
            .dmabuf()
            .ok_or_else(|| unsupported("a wl_buffer of dma-bufs", lacks()))?;
        let taken = self.taken().borrow();
        if !taken.dma_buf(layout.format(), layout.tiling()) {
            let tilings = taken.tilings(layout.format()).into_iter();
            return Err(untaken(
                &layout.to_string(),
                tilings.map(|one| one.to_string()),
            ));
        }
        let answer: Shared<Answer> = shared();
        let heard = self.ask_for_buffer(dmabuf, frame, &answer, timeout);
        let answer = std::mem::replace(&mut *lock(&answer), Answer::Unheard);
        match (heard, answer) {
            (Ok(()), Answer::Created(object)) => Ok(object),
            (Ok(()), _) => Err(refused(
                "zwp_linux_buffer_params_v1.create",
                "failed",
                format!(
                    "the compositor refuses {layout}: negotiate another layout, or host memory"
                ),
            )),
            (Err(error), Answer::Created(object)) => {
                object.destroy();
                Err(error)
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Waits until `answer` is there.
    fn ask_for_buffer(
        &self,
        dmabuf: &ZwpLinuxDmabufV1,
        frame: &Frame,
        answer: &Shared<Answer>,
        timeout: Duration,
    ) -> Result<()> {
        let layout = frame.layout();
        let params = dmabuf.create_params(self.handle(), Shared::clone(answer));
        let (high, low) = halves(layout.tiling().code());
        for (index, plane) in (0..).zip(frame.dma_buf_planes()?) {
            params.add(plane.fd, index, plane.offset, plane.pitch, high, low);
        }
        let (width, height) = (side(layout.extent().width), side(layout.extent().height));
        params.create(width, height, layout.format().fourcc(), Flags::empty());
        let heard = self.until("the compositor's answer to a buffer", timeout, || {
            (!matches!(*lock(answer), Answer::None)).then_some(())
        });
        params.destroy();
        heard
    }

    fn of_memfd(&self, frame: &Frame, memfd: &Memfd) -> Result<WlBuffer> {
        let layout = frame.layout();
        let lacks = || Requirement::other("the compositor lacks wl_shm");
        let shm = self
            .shm()
            .ok_or_else(|| unsupported("a wl_buffer of host memory", lacks()))?;
        let format = shm_format(layout.format());
        let format = format.filter(|_| self.taken().borrow().shared(layout.format()));
        let ([plane], Some(format)) = (layout.planes(), format) else {
            return Err(untaken(&layout.to_string(), std::iter::empty()));
        };
        check_mappable(memfd)?;
        let number = |field, value: u64| {
            i32::try_from(value).map_err(|_| invalid(field, value, "at most 2147483647 bytes"))
        };
        let bytes = number("the memfd's size", memfd.size())?;
        let (offset, pitch) = (
            number("plane.offset", plane.offset)?,
            number("plane.pitch", plane.pitch)?,
        );
        let pool = shm.create_pool(memfd.as_fd(), bytes, self.handle(), ());
        let (width, height) = (side(layout.extent().width), side(layout.extent().height));
        let lending = Arc::<Lending>::default();
        let object =
            pool.create_buffer(offset, width, height, pitch, format, self.handle(), lending);
        pool.destroy();
        Ok(object)
    }
}

fn only_its_driver() -> lucarne::Error {
    let why = "Wayland has no protocol for memory that only its driver knows: ask for Request::paths(&[MemoryPath::DmaBuf, MemoryPath::HostMemory])";
    unsupported("a wl_buffer of opaque memory", Requirement::other(why))
}

/// Compositors map a pool for writing too; where that fails, they end the connection.
fn check_mappable(memfd: &Memfd) -> Result<()> {
    let wrong = |got| {
        invalid(
            "frame.memory",
            got,
            "a memfd that may be mapped for writing, as compositors do",
        )
    };
    let flags = rustix::fs::fcntl_getfl(memfd).map_err(|errno| os("fcntl(F_GETFL)", errno))?;
    if flags & OFlags::ACCMODE != OFlags::RDWR {
        return Err(wrong("a memfd that is open for reading only"));
    }
    let seals =
        rustix::fs::fcntl_get_seals(memfd).map_err(|errno| os("fcntl(F_GET_SEALS)", errno))?;
    if seals.intersects(SealFlags::WRITE | SealFlags::FUTURE_WRITE) {
        return Err(wrong("a memfd that is sealed against writing"));
    }
    Ok(())
}

/// Layouts have at most `MAX_EXTENT` pixels to a side.
fn side(pixels: u32) -> i32 {
    i32::try_from(pixels).unwrap_or(i32::MAX)
}

impl Buffer {
    /// The compositor's object, for requests of your own. Attach it with [`Surface::present`](crate::Surface::present).
    pub fn object(&self) -> &WlBuffer {
        &self.inner.object
    }

    /// The frame whose memory it is.
    pub fn frame(&self) -> &Frame {
        &self.inner.frame
    }

    /// Whether the compositor may still read it: it was attached, and not released since. A surface with explicit fences knows sooner.
    pub fn is_lent(&self) -> bool {
        self.inner.lending.is_on()
    }

    /// Copies that are made for each frame on this side of the compositor: none. What a compositor draws with OpenGL it copies out of host
    /// memory; dma-bufs it samples.
    pub fn copies_per_frame(&self) -> u32 {
        0
    }

    /// Whether both are one.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.inner, &other.inner)
    }

    /// Whether it is of dma-bufs, so that it may go with fences.
    pub(crate) fn is_dma_buf(&self) -> bool {
        self.frame().memory().path() == MemoryPath::DmaBuf
    }

    pub(crate) fn lending(&self) -> &Lending {
        &self.inner.lending
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.object.is_alive() {
            self.object.destroy();
        }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("object", &self.object().id())
            .field("layout", self.frame().layout())
            .field("is_lent", &self.is_lent())
            .finish()
    }
}
