//! A node that others take frames from.

use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lucarne::color::ColorDescription;
use lucarne::{Agreement, Fence, Frame, Offer, Request, Writing};
use pipewire::stream::{Stream, StreamState};

use crate::candidates;
use crate::error::Result;
use crate::event::{Event, Negotiated};
use crate::explain::Explanation;
use crate::ffi::Cycle;
use crate::metadata::Metadata;
use crate::node::{self, Node, Side};
use crate::output::Output;
use crate::sync::FenceWay;

/// How a producer is to be.
#[derive(Clone, Debug)]
pub struct ProducerOptions {
    pub(crate) request: Request,
    pub(crate) buffers: usize,
    pub(crate) patience: Duration,
    pub(crate) description: Option<String>,
    pub(crate) role: String,
    pub(crate) color: Option<ColorDescription>,
    remote: Option<String>,
}

impl ProducerOptions {
    /// Frames as requested: their size, formats (best first), memory paths, and what the producer does with them. Three of them; fences
    /// that must be waited for are waited for a second at most.
    pub fn new(request: Request) -> Self {
        Self {
            request,
            buffers: 3,
            patience: Duration::from_secs(1),
            description: None,
            role: "Camera".to_owned(),
            color: None,
            remote: None,
        }
    }

    /// How many frames there are, 2 to 16.
    #[must_use]
    pub fn buffers(mut self, buffers: usize) -> Self {
        self.buffers = buffers.clamp(2, 16);
        self
    }

    /// How long sending may wait for a fence that cannot travel.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// What people read in a list of nodes.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// PipeWire's `media.role`: "Camera" unless told otherwise, "Screen", "Game".
    #[must_use]
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.role = role.into();
        self
    }

    /// What the numbers of the frames mean, for the formats that it does not contradict; each format's default otherwise.
    #[must_use]
    pub fn color(mut self, color: ColorDescription) -> Self {
        self.color = Some(color);
        self
    }

    /// The daemon's socket, instead of the user's own (`PIPEWIRE_REMOTE`, `pipewire-0`).
    #[must_use]
    pub fn remote(mut self, socket: impl Into<String>) -> Self {
        self.remote = Some(socket.into());
        self
    }
}

/// A frame to write.
#[derive(Debug)]
#[must_use = "dropping a slot discards what was written"]
pub struct Slot<I> {
    writing: Writing,
    image: Arc<I>,
    generation: u64,
}

impl<I> Slot<I> {
    pub(crate) fn new(writing: Writing, image: Arc<I>, generation: u64) -> Self {
        Self {
            writing,
            image,
            generation,
        }
    }

    pub(crate) fn into_writing(self) -> (Writing, u64) {
        (self.writing, self.generation)
    }

    /// What was allocated for it.
    pub fn image(&self) -> &I {
        &self.image
    }

    /// What to wait for before writing: the last reader's work.
    pub fn gate(&self) -> &Fence {
        self.writing.gate()
    }

    /// The frame.
    pub fn frame(&self) -> &Frame {
        self.writing.frame()
    }

    /// The frame's number, from 0.
    pub fn index(&self) -> usize {
        self.writing.index()
    }

    /// Grows with each allocation: after a resize, another format, another peer.
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

/// A `Video/Source` node. It drives the graph that it is in: each sent frame is a cycle.
///
/// Nothing happens by itself: call [`dispatch`](Self::dispatch) whenever the node's descriptor is readable, and before each frame. It
/// connects, negotiates and allocates within that call. After the daemon's end it connects again. A producer stays on the
/// thread that made it.
pub struct Producer<I: 'static> {
    node: Node<Output<I>>,
    patience: Duration,
    cycle: Rc<Cycle>,
    /// When an empty cycle may begin.
    next_empty: Instant,
}

impl<I: 'static> Producer<I> {
    /// A node of this name. `offer` says what the device can do, and `allocate` makes one frame as agreed, with whatever the program
    /// keeps for it; it runs within [`dispatch`](Self::dispatch). Where it fails, what was agreed on is struck out, and the peer
    /// is offered the rest.
    ///
    /// Does not wait for a daemon: [`Event::Connected`] and [`Event::NoDaemon`] tell.
    ///
    /// # Errors
    ///
    /// [`Error::NothingToOffer`](crate::Error::NothingToOffer) when no format of the request can be exported as a dma-buf with
    /// modifiers or as host memory, or PipeWire has a name for none; [`Error::Library`](crate::Error::Library) when the
    /// process has no descriptor left.
    pub fn new(
        name: &str,
        offer: &Offer,
        options: ProducerOptions,
        allocate: impl FnMut(&Agreement) -> lucarne::Result<(I, Frame)> + 'static,
    ) -> Result<Self> {
        let (remote, patience) = (options.remote.clone(), options.patience);
        let output = Output::new(name, offer, options, Box::new(allocate))?;
        let cycle = Rc::clone(&output.cycle);
        Ok(Self {
            node: Node::new(name, remote, node::new_wake()?, output)?,
            patience,
            cycle,
            next_empty: Instant::now(),
        })
    }

    /// Waits until something happens, `timeout` at most, and handles what has happened.
    ///
    /// # Errors
    ///
    /// [`Error::Library`](crate::Error::Library) when the kernel does not wait. A daemon that is gone is an [`Event`].
    ///
    /// # Panics
    ///
    /// When `allocate` panics.
    pub fn dispatch(&mut self, timeout: Duration) -> Result<()> {
        // A cycle that waits begins when the one under way is over, or has taken too long.
        let waits = self.cycle.wanted.get();
        let timeout = if waits {
            timeout.min(LONGEST_CYCLE)
        } else {
            timeout
        };
        self.node.dispatch(timeout)?;
        if let Some(stream) = self.node.stream()
            && self.cycle.wanted.get()
        {
            turn(stream, &self.cycle);
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

    /// Why they are so.
    pub fn agreement(&self) -> Option<Agreement> {
        self.node.side().agreement().cloned()
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

    /// A frame to write, where nobody uses it. `None` without a peer, and while the peer has all frames. Does not block.
    pub fn try_acquire(&mut self) -> Option<Slot<I>> {
        let stream = self.node.stream()?;
        let mut output = self.node.side();
        output.collect(stream);
        let slot = output.acquire();
        let dry = slot.is_none() && output.is_away();
        drop(output);
        if dry {
            // Frames come back with the cycles of the graph, and this node is who makes them.
            self.turn_for_more();
        }
        slot
    }

    /// An empty cycle, after which the peer may have given something back; not one after the other without a pause.
    fn turn_for_more(&mut self) {
        let now = Instant::now();
        if now < self.next_empty {
            return;
        }
        self.next_empty = now + EMPTY_PAUSE;
        if let Some(stream) = self.node.stream() {
            turn(stream, &self.cycle);
        }
    }

    /// Sends a frame that is written when `acquire` signals. A fence goes along with a dma-buf that can carry it; else this waits, for
    /// the options' patience at most. `None`: the peer that it was made for is gone, and nobody sees the frame.
    ///
    /// # Errors
    ///
    /// [`Error::Core`](crate::Error::Core) when the fence does not signal in time, or the work behind it has failed. The frame is
    /// free again.
    pub fn send(
        &mut self,
        slot: Slot<I>,
        acquire: Fence,
        metadata: Metadata,
    ) -> Result<Option<FenceWay>> {
        let Some(stream) = self.node.stream() else {
            return Ok(None);
        };
        let mut output = self.node.side();
        let way = output.send(stream, slot, acquire, metadata, self.patience)?;
        drop(output);
        if way.is_some() {
            self.next_empty = Instant::now() + EMPTY_PAUSE;
            turn(stream, &self.cycle);
        }
        Ok(way)
    }

    /// Other frames from now on: another size, other formats. What was struck out before counts no more. The peer is asked again, and
    /// [`Event::Negotiated`] tells what came of it; slots that were acquired before are not sent any more.
    ///
    /// # Errors
    ///
    /// As for [`Producer::new`]; nothing has changed then.
    pub fn reconfigure(&mut self, request: Request) -> Result<()> {
        let mut output = self.node.side();
        let before = std::mem::replace(&mut output.request, request);
        let params = output.formats();
        if params.is_empty() {
            let wanted = std::mem::replace(&mut output.request, before);
            return candidates::must_have(&[], &output.offer, &wanted.formats);
        }
        drop(output);
        match self.node.stream() {
            Some(stream) => node::update(stream, &params),
            None => Ok(()),
        }
    }
}

/// How long lies before a cycle without a frame.
const EMPTY_PAUSE: Duration = Duration::from_millis(8);
/// How long a cycle may take before the next one begins without its end: somebody in the graph hangs.
const LONGEST_CYCLE: Duration = Duration::from_millis(50);

/// One cycle of the graph, where this node is who makes them: at once, or when the one under way is over. A peer that has not come to
/// a frame yet would be told of it twice.
fn turn(stream: &Stream, cycle: &Cycle) {
    if !stream.is_driving() || stream.state() != StreamState::Streaming {
        // What was begun before has no end any more.
        cycle.begun.set(None);
        return;
    }
    let under_way = cycle.begun.get();
    if under_way.is_some_and(|begun| begun.elapsed() < LONGEST_CYCLE) {
        cycle.wanted.set(true);
        return;
    }
    cycle.wanted.set(false);
    cycle.begun.set(Some(Instant::now()));
    cycle.number.set(cycle.number.get() + 1);
    // Fails only for a stream that is not connected any more, which an event tells.
    _ = stream.trigger_process();
}

impl<I: 'static> AsFd for Producer<I> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.node.as_fd()
    }
}

impl<I: 'static> std::fmt::Debug for Producer<I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer")
            .field("negotiated", &self.negotiated())
            .finish_non_exhaustive()
    }
}
