//! A node that takes frames from others.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lucarne::{Extent, Format, Frame, MAX_EXTENT, MemoryPath, Offer, Received, Usage};

use crate::error::Result;
use crate::event::{Event, Negotiated};
use crate::explain::Explanation;
use crate::input::Input;
use crate::loan::{NodeFrame, Returns};
use crate::node::{Node, Side};

/// How often a reader's fence that cannot travel is looked at.
const FENCE_LOOK: Duration = Duration::from_millis(4);

/// Which frames a consumer wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The newest one. Older ones go back unread.
    Latest,
    /// Each one, as long as the peer has buffers.
    Every,
}

/// How a consumer is to be.
#[derive(Clone, Debug)]
pub struct ConsumerOptions {
    pub(crate) delivery: Delivery,
    pub(crate) formats: Vec<Format>,
    pub(crate) paths: Vec<MemoryPath>,
    pub(crate) usage: Usage,
    pub(crate) preferred: Extent,
    pub(crate) most: Extent,
    pub(crate) target: Option<String>,
    remote: Option<String>,
}

impl ConsumerOptions {
    /// Frames of every size, in the 8-bit formats that every driver has, to be sampled.
    pub fn new(delivery: Delivery) -> Self {
        Self {
            delivery,
            formats: vec![
                Format::XRGB8888,
                Format::ARGB8888,
                Format::XBGR8888,
                Format::ABGR8888,
            ],
            paths: vec![MemoryPath::DmaBuf, MemoryPath::HostMemory],
            usage: Usage::SAMPLE,
            preferred: Extent::new(1280, 720),
            most: Extent::new(MAX_EXTENT, MAX_EXTENT),
            target: None,
            remote: None,
        }
    }

    /// Accepts these formats only, best first.
    #[must_use]
    pub fn formats(mut self, formats: &[Format]) -> Self {
        self.formats = formats.to_vec();
        self
    }

    /// Accepts these kinds of memory only: dma-bufs, host memory.
    #[must_use]
    pub fn paths(mut self, paths: &[MemoryPath]) -> Self {
        self.paths = paths.to_vec();
        self
    }

    /// What is done with the frames.
    #[must_use]
    pub fn usage(mut self, usage: Usage) -> Self {
        self.usage = usage;
        self
    }

    /// The size to ask for where the peer has a choice, and the largest that will do.
    #[must_use]
    pub fn extent(mut self, preferred: Extent, most: Extent) -> Self {
        self.preferred = preferred;
        self.most = most;
        self
    }

    /// The node to be linked to: its name or serial number, for the session manager. Without a session manager links are made by hand
    /// (`pw-link`).
    #[must_use]
    pub fn target(mut self, node: impl Into<String>) -> Self {
        self.target = Some(node.into());
        self
    }

    /// The daemon's socket, instead of the user's own (`PIPEWIRE_REMOTE`, `pipewire-0`).
    #[must_use]
    pub fn remote(mut self, socket: impl Into<String>) -> Self {
        self.remote = Some(socket.into());
        self
    }
}

/// A node that receives video.
///
/// Nothing happens by itself: call [`dispatch`](Self::dispatch) whenever the node's descriptor is readable, or
/// [`receive`](Self::receive), which does so. A consumer stays on the thread that made it; what it has received may go to others.
pub struct Consumer<I: 'static> {
    node: Node<Input<I>>,
}

impl<I: 'static> Consumer<I> {
    /// A node of this name. `offer` says what the device can import, and `import` imports a frame, once for each of the peer's
    /// buffers; it runs within [`receive`](Self::receive). Where it fails, what was agreed on is struck out, and the peer is asked
    /// for the rest.
    ///
    /// Does not wait for a daemon: [`Event::Connected`] and [`Event::NoDaemon`] tell.
    ///
    /// # Errors
    ///
    /// [`Error::NothingToOffer`](crate::Error::NothingToOffer) when no format of the options can be imported as a dma-buf or as host
    /// memory, or PipeWire has a name for none; [`Error::Library`](crate::Error::Library) when the process has no descriptor
    /// left.
    pub fn new(
        name: &str,
        offer: &Offer,
        options: ConsumerOptions,
        import: impl FnMut(&Frame) -> lucarne::Result<I> + 'static,
    ) -> Result<Self> {
        let remote = options.remote.clone();
        let wake = crate::node::new_wake()?;
        let returns = Returns::new(Arc::clone(&wake));
        let input = Input::new(name, offer, options, Box::new(import), returns)?;
        Ok(Self {
            node: Node::new(name, remote, wake, input)?,
        })
    }

    /// Waits until something happens, `timeout` at most, and handles what has happened.
    ///
    /// # Errors
    ///
    /// [`Error::Library`](crate::Error::Library) when the kernel does not wait. A daemon that is gone is an [`Event`].
    pub fn dispatch(&mut self, timeout: Duration) -> Result<()> {
        let waits = self.node.side().waits();
        let timeout = if waits {
            timeout.min(FENCE_LOOK)
        } else {
            timeout
        };
        self.node.dispatch(timeout)?;
        if let Some(stream) = self.node.stream() {
            self.node.side().recycle(stream);
        }
        Ok(())
    }

    /// What has happened since it was asked last.
    pub fn event(&mut self) -> Option<Event> {
        self.node.side().events().pop_front()
    }

    /// What the frames are, once there is a peer.
    pub fn negotiated(&self) -> Option<Negotiated> {
        self.node.side().negotiated()
    }

    /// What a link with the node of this name (or serial number) would come to, as far as both lists tell: PipeWire gives a reason only
    /// to whoever made the link. `None` where there is no such node, or it has no video. Asks the daemon, over a connection of its
    /// own, and blocks for `timeout` at most.
    ///
    /// # Errors
    ///
    /// [`Error::Library`](crate::Error::Library) where no daemon answers in time.
    pub fn explain(&self, node: &str, timeout: Duration) -> Result<Option<Explanation>> {
        let infos = self.node.listed_by(node, timeout)?;
        Ok(infos.map(|infos| self.node.side().explain(node, &infos)))
    }

    /// How many imports there were: one for each buffer of the peer's, and not one for each frame.
    pub fn imports(&self) -> u64 {
        self.node.side().imports()
    }

    /// A frame that has arrived, if there is one. Does not block.
    ///
    /// The fence that it comes with is the one that the kernel keeps with a dma-buf. Memory without fences has been written.
    ///
    /// # Panics
    ///
    /// When `import` panics.
    pub fn try_receive(&mut self) -> Option<Received<NodeFrame<I>>> {
        let stream = self.node.stream()?;
        let mut input = self.node.side();
        input.recycle(stream);
        input.receive(stream)
    }

    /// A frame, waited for `timeout` at most. `None` when none came.
    ///
    /// # Errors
    ///
    /// As for [`dispatch`](Self::dispatch).
    pub fn receive(&mut self, timeout: Duration) -> Result<Option<Received<NodeFrame<I>>>> {
        let end = Instant::now() + timeout;
        loop {
            if let Some(received) = self.try_receive() {
                return Ok(Some(received));
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.dispatch(left)?;
        }
    }
}

impl<I: 'static> AsFd for Consumer<I> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.node.as_fd()
    }
}

impl<I: 'static> std::fmt::Debug for Consumer<I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer")
            .field("negotiated", &self.negotiated())
            .field("imports", &self.imports())
            .finish_non_exhaustive()
    }
}
