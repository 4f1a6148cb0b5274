//! What a consumer's program decides.

use std::path::PathBuf;
use std::time::Duration;

use lucarne::negotiate::OfferEntry;
use lucarne::{MemoryPath, Offer, Requirement, Support, Usage};

use crate::wire::Delivery;

/// How a stream is watched.
#[derive(Clone, Debug)]
pub struct ConsumerOptions {
    pub(super) delivery: Delivery,
    pub(super) usage: Usage,
    pub(super) patience: Duration,
    pub(super) other_users: bool,
    pub(super) trusts: bool,
    pub(super) directory: Option<PathBuf>,
}

impl ConsumerOptions {
    /// Frames to be sampled.
    pub fn new(delivery: Delivery) -> Self {
        Self {
            delivery,
            usage: Usage::SAMPLE,
            patience: Duration::from_millis(500),
            other_users: false,
            trusts: false,
            directory: None,
        }
    }

    /// What is done with the frames: this decides what is agreed on. Make the offer for the same usage.
    #[must_use]
    pub fn usage(mut self, usage: Usage) -> Self {
        self.usage = usage;
        self
    }

    /// How long a release waits for a fence that cannot be sent to the producer.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Watches streams of other users too.
    #[must_use]
    pub fn allow_other_users(mut self) -> Self {
        self.other_users = true;
        self
    }

    /// Takes opaque memory (`OPAQUE_FD`), too. A driver believes what it reads there, so a hostile producer can make this
    /// process crash. Dma-bufs and host memory need no trust.
    #[must_use]
    pub fn trust_producer(mut self) -> Self {
        self.trusts = true;
        self
    }

    /// Whether a device takes opaque memory, and a producer is not told so.
    pub(super) fn withholds(&self, offer: &Offer) -> bool {
        let mut entries = offer.standing();
        !self.trusts && entries.any(|entry| entry.path == MemoryPath::OpaqueFd && entry.importable)
    }

    /// What of a device's offer is offered to a producer.
    pub(super) fn narrow(&self, mut offer: Offer) -> Offer {
        let path = MemoryPath::OpaqueFd;
        let trusts = self.trusts;
        let wanted = |entry: &OfferEntry| entry.importable && (trusts || entry.path != path);
        offer.entries.retain(wanted);
        let mut paths = offer.paths.iter_mut();
        if let Some((_, support)) =
            paths.find(|(known, support)| *known == path && support.is_yes())
            && !trusts
        {
            let setting = "ConsumerOptions::trust_producer";
            *support = Support::no(Requirement::TrustedProducer { setting });
        }
        offer
    }

    /// The folder of the socket, instead of [`directory`](crate::directory).
    #[must_use]
    pub fn directory(mut self, folder: impl Into<PathBuf>) -> Self {
        self.directory = Some(folder.into());
        self
    }
}

impl From<Delivery> for ConsumerOptions {
    fn from(delivery: Delivery) -> Self {
        Self::new(delivery)
    }
}
