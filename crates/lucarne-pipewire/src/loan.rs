//! A frame that a PipeWire buffer holds, lent to a reader, and its way back.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use lucarne::{Fence, Frame, Lent};

use crate::metadata::Metadata;

/// Where readers, on whatever thread, put what they are done with.
#[derive(Debug)]
pub(crate) struct Returns {
    waiting: Mutex<Vec<Return>>,
    /// Makes the node's descriptor readable.
    wake: Arc<OwnedFd>,
}

/// A buffer that is free as soon as its fence has signalled. `None`: nobody has read it.
#[derive(Debug)]
pub(crate) struct Return {
    pub(crate) buffer: u64,
    pub(crate) release: Option<Fence>,
}

impl Returns {
    pub(crate) fn new(wake: Arc<OwnedFd>) -> Arc<Self> {
        Arc::new(Self {
            waiting: Mutex::default(),
            wake,
        })
    }

    /// Makes the node's descriptor readable.
    pub(crate) fn wake(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.wake)
    }

    fn put(&self, one: Return) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push(one);
        // An eventfd that is full is readable as well.
        _ = rustix::io::write(&*self.wake, &1_u64.to_ne_bytes());
    }

    pub(crate) fn take(&self) -> Vec<Return> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A frame out of a node's buffer. The frame has descriptors of its own: it stays whole when the peer, the format or the daemon goes.
#[derive(Debug)]
pub struct NodeFrame<I> {
    frame: Frame,
    image: Arc<I>,
    copies: u32,
    index: usize,
    buffer: u64,
    metadata: Metadata,
    skipped: u64,
    returns: Arc<Returns>,
}

/// What [`NodeFrame`] is made of, besides its way back.
pub(crate) struct Contents<I> {
    pub(crate) frame: Frame,
    pub(crate) image: Arc<I>,
    pub(crate) copies: u32,
    pub(crate) index: usize,
    pub(crate) buffer: u64,
    pub(crate) metadata: Metadata,
    pub(crate) skipped: u64,
}

impl<I> NodeFrame<I> {
    pub(crate) fn new(contents: Contents<I>, returns: &Arc<Returns>) -> Self {
        let Contents {
            frame,
            image,
            copies,
            index,
            buffer,
            metadata,
            skipped,
        } = contents;
        Self {
            frame,
            image,
            copies,
            index,
            buffer,
            metadata,
            skipped,
            returns: Arc::clone(returns),
        }
    }

    /// What was imported of it.
    pub fn image(&self) -> &I {
        &self.image
    }

    /// How often this side has copied the pixels: never, except, once, out of memory that no descriptor stands for or that the peer
    /// can still shorten.
    pub fn copies(&self) -> u32 {
        self.copies
    }

    /// Times, crop and damage.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// How many frames came and went unread before this one.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }
}

impl<I> Lent for NodeFrame<I> {
    type Returned = ();

    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn index(&self) -> usize {
        self.index
    }

    fn give_back(&mut self, release: Option<Fence>) {
        self.returns.put(Return {
            buffer: self.buffer,
            release,
        });
    }
}
