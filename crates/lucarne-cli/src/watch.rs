//! A stream as pictures, read by the CPU: no graphics driver is needed.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lucarne::{Extent, Format, Frame, Offer, Usage, cpu};
use lucarne_stream::{Consumer, ConsumerOptions, Delivery, Error, directory, streams_in};

use crate::Failure;
use crate::output::nearest;
use crate::pixels::{self, Picture};

/// How long a frame's writer may need after the frame has come: a GPU that is at work, not one that hangs.
const DRAWING: Duration = Duration::from_secs(10);

type Import = Box<dyn FnMut(&Frame) -> lucarne::Result<cpu::Image>>;

/// A connected consumer.
pub(crate) struct Watch {
    consumer: Consumer<Import>,
}

/// One frame.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) sequence: u64,
    /// How many frames were missed before it.
    pub(crate) dropped: u64,
    pub(crate) format: Format,
    pub(crate) picture: Picture,
}

impl Seen {
    pub(crate) fn extent(&self) -> Extent {
        self.picture.extent
    }
}

/// The folder of the streams' sockets: the one that was named, or this user's.
pub(crate) fn folder(named: Option<&PathBuf>) -> Result<PathBuf, Failure> {
    Ok(match named {
        Some(folder) => folder.clone(),
        None => directory()?,
    })
}

impl Watch {
    pub(crate) fn connect(folder: &Path, name: &str, delivery: Delivery) -> Result<Self, Failure> {
        let cpu = cpu::Adapter::new(cpu::Allocator::HostMemory).open()?;
        let offer = showable(cpu.offer(Usage::SAMPLE)?);
        let settings = ConsumerOptions::new(delivery).directory(folder);
        let import: Import = Box::new(move |frame| cpu.import(frame));
        match Consumer::connect(name, &offer, settings, import) {
            Ok(consumer) => Ok(Self { consumer }),
            Err(Error::NotFound { .. }) => Err(not_found(name, folder).into()),
            Err(error) => Err(error.into()),
        }
    }

    /// The next frame, or `None` when none came in time. For one that came, its writer is waited for as long as [`DRAWING`].
    ///
    /// # Errors
    ///
    /// `Error::Ended` and the like when no more come.
    pub(crate) fn next(&mut self, timeout: Duration) -> Result<Option<Seen>, Failure> {
        let received = match self.consumer.receive(timeout) {
            Ok(received) => received,
            Err(Error::Timeout { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let (sequence, dropped) = (received.sequence(), received.dropped());
        let (reading, acquire) = received.acquire();
        let image = reading.image();
        let layout = image.frame().layout().clone();
        let mut bytes = vec![0; image.plane_bytes(0)];
        let done = image.read(&acquire, DRAWING, |rows| rows.read_plane(0, &mut bytes))?;
        reading.release(done)?;
        let picture = pixels::picture(&layout, &bytes)
            .ok_or("the producer sent a format that was not asked for")?;
        Ok(Some(Seen {
            sequence,
            dropped,
            format: layout.format(),
            picture,
        }))
    }
}

/// Whether a failure says that the stream is over.
pub(crate) fn is_end(failure: &Failure) -> bool {
    let over = |error: &Error| matches!(error, Error::Ended | Error::PeerGone);
    failure.downcast_ref::<Error>().is_some_and(over)
}

/// The formats that can become a picture.
pub(crate) fn showable(mut offer: Offer) -> Offer {
    offer.entries.retain(|entry| pixels::can_show(entry.format));
    offer
}

/// For commands that can wait.
pub(crate) fn not_found_yet(name: &str, folder: &Path) -> Failure {
    format!("{}; --wait waits for it", not_found(name, folder)).into()
}

/// Whether an error says that no producer answers yet: looking again later may help.
pub(crate) fn is_not_there(error: &Error) -> bool {
    match error {
        // On its way, or gone again already.
        Error::NotFound { .. } | Error::PeerGone => true,
        // It is stopped, or very busy.
        Error::Os { source, .. } => source.kind() == ErrorKind::WouldBlock,
        _ => false,
    }
}

fn not_found(name: &str, folder: &Path) -> String {
    let names: Vec<String> = streams_in(folder)
        .unwrap_or_default()
        .into_iter()
        .map(|found| found.name)
        .collect();
    if names.is_empty() {
        return format!(
            "there is no stream {name:?}, and none at all in {}",
            folder.display()
        );
    }
    let alike = match nearest(name, names.iter().map(String::as_str)).first() {
        Some(best) => format!("; did you mean {best}?"),
        None => String::new(),
    };
    format!(
        "there is no stream {name:?}; there are: {}{alike}",
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_busy_or_gone_may_answer_later_and_others_do_not() {
        let refused = |kind: ErrorKind| Error::Os {
            operation: "connecting to a stream",
            source: kind.into(),
            help: "",
        };
        assert!(is_not_there(&refused(ErrorKind::WouldBlock)));
        assert!(is_not_there(&Error::PeerGone));
        assert!(!is_not_there(&refused(ErrorKind::PermissionDenied)));
        assert!(!is_not_there(&Error::Ended));
    }
}
