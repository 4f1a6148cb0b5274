//! What a producer's program decides.

use std::path::PathBuf;
use std::time::Duration;

use lucarne::{Extent, Request};

use crate::error::{Error, Result};
use crate::wire::MAX_SLOTS;

pub use crate::wire::MAX_CONSUMERS;

/// How a stream is made.
#[derive(Clone, Debug)]
pub struct ProducerOptions {
    pub(super) request: Request,
    pub(super) slots: usize,
    pub(super) patience: Duration,
    pub(super) consumers: usize,
    pub(super) other_users: bool,
    pub(super) directory: Option<PathBuf>,
}

impl ProducerOptions {
    /// Frames of this size, in the formats of [`Request::new`]; three slots; half a second of patience.
    pub fn new(extent: Extent) -> Self {
        Self::of(Request::new(extent))
    }

    /// Frames as this request says. Its [`consumer`](Request::consumer) usage is not used: each consumer says what it does with
    /// the frames.
    pub fn of(request: Request) -> Self {
        Self {
            request,
            slots: 3,
            patience: Duration::from_millis(500),
            consumers: MAX_CONSUMERS,
            other_users: false,
            directory: None,
        }
    }

    /// How many images there are, 2 to 16. Three are enough for one consumer. Add one for each further consumer that holds
    /// frames for a long time.
    #[must_use]
    pub fn slots(mut self, slots: usize) -> Self {
        self.slots = slots;
        self
    }

    /// How long a consumer may take before it is cut off: to answer, to give a slot back when none is free, and for its release
    /// fence to signal after the release. One whose process or user kept the others waiting before has less.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How many consumers may watch, 1 to [`MAX_CONSUMERS`].
    #[must_use]
    pub fn consumers(mut self, consumers: usize) -> Self {
        self.consumers = consumers;
        self
    }

    /// Lets consumers of other users in. They must still be able to reach the socket.
    #[must_use]
    pub fn allow_other_users(mut self) -> Self {
        self.other_users = true;
        self
    }

    /// The folder of the socket, instead of [`directory`](crate::directory).
    #[must_use]
    pub fn directory(mut self, folder: impl Into<PathBuf>) -> Self {
        self.directory = Some(folder.into());
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        self.request.extent.check()?;
        let counts = [
            ("slots", self.slots, 2, MAX_SLOTS),
            ("consumers", self.consumers, 1, MAX_CONSUMERS),
        ];
        for (field, got, least, most) in counts {
            if got < least || got > most {
                return Err(Error::Invalid {
                    field,
                    got: got.to_string(),
                    limit: format!("{least} to {most}"),
                });
            }
        }
        Ok(())
    }
}
