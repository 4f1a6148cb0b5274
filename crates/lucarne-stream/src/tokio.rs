//! Both ends of a stream as tasks of tokio (feature `tokio`).
//!
//! ```
//! # use lucarne_stream::{Import, Result, tokio::AsyncConsumer};
//! # async fn watch<I: Import>(consumer: lucarne_stream::Consumer<I>) -> Result<()> {
//! let mut consumer = AsyncConsumer::new(consumer)?;
//! loop {
//!     let (reading, acquire) = consumer.receive().await?.acquire();
//!     // … read what `reading` gives, once `acquire` has signalled …
//!     reading.release(acquire)?;
//! }
//! # }
//! ```
//!
//! Everything is made and awaited within a runtime whose I/O driver is on (and its time driver, for a producer). Importing the
//! images of a new generation, and waiting for a fence that cannot travel, block the thread as they do without tokio.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};

use ::tokio::io::Interest;
use ::tokio::io::unix::AsyncFd;
use ::tokio::time;

use crate::consumer::{Consumer, Received};
use crate::deadline::is_readable;
use crate::error::{Error, Result};
use crate::generation::{Allocate, Import, SlotWriting};
use crate::producer::Producer;

/// What the runtime watches: a second descriptor of the end's epoll set.
#[derive(Debug)]
struct Watch(AsyncFd<OwnedFd>);

impl Watch {
    fn new(end: impl AsFd) -> Result<Self> {
        let fd = end.as_fd().try_clone_to_owned();
        let fd = fd.map_err(|error| Error::os("fcntl(F_DUPFD_CLOEXEC)", error))?;
        #[allow(
            deprecated,
            reason = "its successor is unsafe, for descriptors that others may close: an OwnedFd is nobody else's"
        )]
        let watched = AsyncFd::with_interest(fd, Interest::READABLE);
        watched
            .map(Self)
            .map_err(|error| Error::os("watching a stream with tokio", error))
    }

    /// Waits until something has come since the last call. What had come before that is for the caller to look for: the runtime
    /// tells changes, not states.
    async fn change(&self) -> Result<()> {
        let mut ready = self
            .0
            .readable()
            .await
            .map_err(|error| Error::os("waiting with tokio", error))?;
        ready.clear_ready();
        Ok(())
    }
}

/// A [`Consumer`] whose frames are awaited.
pub struct AsyncConsumer<A: Import> {
    watch: Watch,
    consumer: Consumer<A>,
}

impl<A: Import> AsyncConsumer<A> {
    /// Watches a consumer with the current runtime. Works as before through [`get_mut`](Self::get_mut).
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when there are no descriptors left.
    ///
    /// # Panics
    ///
    /// Outside a runtime, and in one whose I/O driver is off.
    pub fn new(consumer: Consumer<A>) -> Result<Self> {
        let watch = Watch::new(&consumer)?;
        Ok(Self { watch, consumer })
    }

    /// The next frame. Nothing is lost when the future is dropped.
    ///
    /// # Errors
    ///
    /// Those of [`Consumer::try_receive`]. After [`Error::PeerGone`], [`Consumer::reconnect`] may find the next producer.
    pub async fn receive(&mut self) -> Result<Received<A::Image>> {
        loop {
            if let Some(received) = self.consumer.try_receive()? {
                return Ok(received);
            }
            if !is_readable(&self.consumer)? {
                self.watch.change().await?;
            }
            self.consumer.awake();
            self.consumer.dispatch()?;
        }
    }

    /// The consumer.
    pub fn get_ref(&self) -> &Consumer<A> {
        &self.consumer
    }

    /// The consumer, for its events and to connect it again.
    pub fn get_mut(&mut self) -> &mut Consumer<A> {
        &mut self.consumer
    }

    /// The consumer, without the runtime.
    pub fn into_inner(self) -> Consumer<A> {
        self.consumer
    }
}

/// A [`Producer`] whose free slots are awaited.
pub struct AsyncProducer<A: Allocate> {
    watch: Watch,
    producer: Producer<A>,
}

impl<A: Allocate> AsyncProducer<A> {
    /// Watches a producer with the current runtime. Works as before through [`get_mut`](Self::get_mut).
    ///
    /// # Errors
    ///
    /// As for [`AsyncConsumer::new`].
    ///
    /// # Panics
    ///
    /// As there; also, when a deadline is to be kept, in a runtime whose time driver is off.
    pub fn new(producer: Producer<A>) -> Result<Self> {
        let watch = Watch::new(&producer)?;
        Ok(Self { watch, producer })
    }

    /// A slot to write into: waits while nobody watches, or all slots are with consumers, who are served meanwhile. Nothing is
    /// lost when the future is dropped.
    ///
    /// # Errors
    ///
    /// Those of [`Producer::try_acquire`].
    pub async fn acquire(&mut self) -> Result<SlotWriting<A::Image>> {
        loop {
            if let Some(slot) = self.producer.try_acquire()? {
                return Ok(slot);
            }
            self.dispatch().await?;
        }
    }

    /// Waits until something happens, and serves it: for a producer that has nothing to draw just now. Nothing is lost when the
    /// future is dropped.
    ///
    /// # Errors
    ///
    /// Those of [`Producer::dispatch`].
    pub async fn dispatch(&mut self) -> Result<()> {
        if !is_readable(&self.producer)? {
            let change = self.watch.change();
            match self.producer.timeout() {
                // Over or not, whatever waits for that deadline is looked at.
                Some(deadline) => time::timeout(deadline, change).await.unwrap_or(Ok(()))?,
                None => change.await?,
            }
        }
        self.producer.dispatch()
    }

    /// The producer.
    pub fn get_ref(&self) -> &Producer<A> {
        &self.producer
    }

    /// The producer, to send, and for all else that it does.
    pub fn get_mut(&mut self) -> &mut Producer<A> {
        &mut self.producer
    }

    /// The producer, without the runtime.
    pub fn into_inner(self) -> Producer<A> {
        self.producer
    }
}

impl<A: Import> fmt::Debug for AsyncConsumer<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fd = self.consumer.as_fd();
        f.debug_struct("AsyncConsumer")
            .field("fd", &fd)
            .finish_non_exhaustive()
    }
}

impl<A: Allocate> fmt::Debug for AsyncProducer<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fd = self.producer.as_fd();
        f.debug_struct("AsyncProducer")
            .field("fd", &fd)
            .finish_non_exhaustive()
    }
}
