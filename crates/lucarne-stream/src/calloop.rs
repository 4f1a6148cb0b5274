//! Both ends of a stream as event sources of calloop (feature `calloop`).
//!
//! ```
//! use lucarne_stream::calloop::{ConsumerInput, ConsumerSource, calloop};
//! # use lucarne_stream::{Consumer, Import};
//! # fn watch<I: Import + 'static>(
//! #     handle: &calloop::LoopHandle<'static, ()>,
//! #     consumer: Consumer<I>,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let source = ConsumerSource::new(consumer)?;
//! handle.insert_source(source, |input, _consumer, _data| match input {
//!     ConsumerInput::Frame(received) => {
//!         let (reading, acquire) = received.acquire();
//!         // … read what `reading` gives, once `acquire` has signalled …
//!         let _ = reading.release(acquire);
//!         calloop::PostAction::Continue
//!     }
//!     ConsumerInput::Event(_) => calloop::PostAction::Continue,
//!     ConsumerInput::Closed(_) => calloop::PostAction::Remove,
//! })?;
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};

/// The release of calloop whose event sources these are: use this one, and the types are the same.
pub use ::calloop;

use ::calloop::generic::Generic;
use ::calloop::{EventSource, Interest, Mode, Poll, PostAction, Readiness, Token, TokenFactory};

use crate::consumer::{Consumer, ConsumerEvent, Received};
use crate::error::{Error, Result};
use crate::generation::{Allocate, Import};
use crate::producer::Producer;

/// What the loop watches: a second descriptor of the end's epoll set.
fn watch(end: impl AsFd) -> Result<Generic<OwnedFd>> {
    let fd = end.as_fd().try_clone_to_owned();
    let fd = fd.map_err(|error| Error::os("fcntl(F_DUPFD_CLOEXEC)", error))?;
    Ok(Generic::new(fd, Interest::READ, Mode::Level))
}

/// Passes registration on to the descriptor.
macro_rules! registered_by_descriptor {
    () => {
        fn register(
            &mut self,
            poll: &mut Poll,
            tokens: &mut TokenFactory,
        ) -> ::calloop::Result<()> {
            self.watch.register(poll, tokens)
        }

        fn reregister(
            &mut self,
            poll: &mut Poll,
            tokens: &mut TokenFactory,
        ) -> ::calloop::Result<()> {
            self.watch.reregister(poll, tokens)
        }

        fn unregister(&mut self, poll: &mut Poll) -> ::calloop::Result<()> {
            self.watch.unregister(poll)
        }
    };
}

/// What a [`ConsumerSource`] tells.
#[derive(Debug)]
pub enum ConsumerInput<I> {
    /// A frame has come.
    Frame(Received<I>),
    /// Something happened to the stream.
    Event(ConsumerEvent),
    /// No more frames come: those of [`Consumer::try_receive`]. The program may answer with [`Consumer::reconnect`] and go on,
    /// or disable the source until a timer tries, or remove it.
    Closed(Error),
}

/// A [`Consumer`] in an event loop. The callback gets the consumer too, and says how to go on.
pub struct ConsumerSource<A: Import> {
    watch: Generic<OwnedFd>,
    consumer: Consumer<A>,
}

impl<A: Import> ConsumerSource<A> {
    /// A source, to be inserted into a loop.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when there are no descriptors left.
    pub fn new(consumer: Consumer<A>) -> Result<Self> {
        let watch = watch(&consumer)?;
        Ok(Self { watch, consumer })
    }

    /// The consumer, outside the callback.
    pub fn get_mut(&mut self) -> &mut Consumer<A> {
        &mut self.consumer
    }

    /// Serves the socket, and hands out what came. Ends with `None` announced, so that the descriptor wakes the loop.
    fn serve(
        &mut self,
        callback: &mut impl FnMut(ConsumerInput<A::Image>, &mut Consumer<A>) -> PostAction,
    ) -> PostAction {
        self.consumer.awake();
        let mut served = self.consumer.dispatch();
        loop {
            let received = match served {
                Ok(()) => self.consumer.try_receive(),
                Err(error) => Err(error),
            };
            served = Ok(());
            while let Some(event) = self.consumer.event() {
                let action = callback(ConsumerInput::Event(event), &mut self.consumer);
                if action != PostAction::Continue {
                    return action;
                }
            }
            let input = match received {
                Ok(Some(received)) => ConsumerInput::Frame(received),
                Ok(None) => return PostAction::Continue,
                // A callback that has connected again finds its frames with the next event.
                Err(error) => {
                    return callback(ConsumerInput::Closed(error), &mut self.consumer);
                }
            };
            let action = callback(input, &mut self.consumer);
            if action != PostAction::Continue {
                return action;
            }
        }
    }
}

impl<A: Import> EventSource for ConsumerSource<A> {
    type Event = ConsumerInput<A::Image>;
    type Metadata = Consumer<A>;
    type Ret = PostAction;
    type Error = Error;

    fn process_events<F>(
        &mut self,
        _readiness: Readiness,
        _token: Token,
        mut callback: F,
    ) -> Result<PostAction>
    where
        F: FnMut(Self::Event, &mut Self::Metadata) -> Self::Ret,
    {
        Ok(self.serve(&mut callback))
    }

    registered_by_descriptor!();
}

/// A [`Producer`] in an event loop. It serves consumers, and then runs the callback, which may look for
/// [events](Producer::event), and draw if there is a [slot](Producer::try_acquire).
///
/// Deadlines are kept by [`Producer::try_acquire`] and [`Producer::dispatch`]: a program that does not draw by a timer sets one
/// to [`Producer::timeout`].
pub struct ProducerSource<A: Allocate> {
    watch: Generic<OwnedFd>,
    producer: Producer<A>,
}

impl<A: Allocate> ProducerSource<A> {
    /// A source, to be inserted into a loop.
    ///
    /// # Errors
    ///
    /// As for [`ConsumerSource::new`].
    pub fn new(producer: Producer<A>) -> Result<Self> {
        let watch = watch(&producer)?;
        Ok(Self { watch, producer })
    }

    /// The producer, outside the callback.
    pub fn get_mut(&mut self) -> &mut Producer<A> {
        &mut self.producer
    }
}

impl<A: Allocate> EventSource for ProducerSource<A> {
    type Event = ();
    type Metadata = Producer<A>;
    type Ret = ();
    type Error = Error;

    fn process_events<F>(
        &mut self,
        _readiness: Readiness,
        _token: Token,
        mut callback: F,
    ) -> Result<PostAction>
    where
        F: FnMut(Self::Event, &mut Self::Metadata) -> Self::Ret,
    {
        self.producer.dispatch()?;
        callback((), &mut self.producer);
        Ok(PostAction::Continue)
    }

    registered_by_descriptor!();
}

impl<A: Import> fmt::Debug for ConsumerSource<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fd = self.consumer.as_fd();
        f.debug_struct("ConsumerSource")
            .field("fd", &fd)
            .finish_non_exhaustive()
    }
}

impl<A: Allocate> fmt::Debug for ProducerSource<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fd = self.producer.as_fd();
        f.debug_struct("ProducerSource")
            .field("fd", &fd)
            .finish_non_exhaustive()
    }
}
