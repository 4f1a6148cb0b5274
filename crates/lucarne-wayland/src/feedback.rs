//! What a compositor says of dma-bufs: `zwp_linux_dmabuf_feedback_v1`, or the events of older versions.

use std::os::fd::AsFd;

use lucarne::{Error, Format, Result, Tiling};
use wayland_client::WEnum;
use wayland_protocols::wp::linux_dmabuf::zv1::client::zwp_linux_dmabuf_feedback_v1::{
    Event, TrancheFlags,
};

use crate::error::invalid;
use crate::table::{self, Table};

/// More than any compositor has.
const MOST_TRANCHES: usize = 64;

/// Which dma-bufs a compositor takes, best first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Feedback {
    /// The device that it composes with, as a `dev_t`. Before version 4 of `zwp_linux_dmabuf_v1` it does not say.
    pub main_device: Option<u64>,
    /// Best first; before version 4 one, of no device.
    pub tranches: Vec<Tranche>,
}

/// What a compositor takes in one way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tranche {
    /// The device that uses such frames, as a `dev_t`.
    pub device: Option<u64>,
    /// Such frames may be shown without being composed.
    pub scanout: bool,
    /// Formats, each with a layout. The layout is [`Tiling::Implicit`] where only a driver knows it.
    pub pairs: Vec<(Format, Tiling)>,
}

/// What has come so far. The compositor is not trusted: its first lie is kept, and is what is heard of it.
#[derive(Debug, Default)]
pub(crate) struct Collecting {
    table: Table,
    next: Feedback,
    tranche: Tranche,
    lie: Option<Error>,
    /// What is complete, until somebody takes it.
    news: Option<Result<Feedback>>,
}

impl Collecting {
    /// What was said since the last call, once all of it has come.
    pub(crate) fn take(&mut self) -> Option<Result<Feedback>> {
        self.news.take()
    }

    pub(crate) fn hear(&mut self, event: Event) {
        let heard = match event {
            Event::FormatTable { fd, size } => {
                Table::read(fd.as_fd(), size).map(|table| self.table = table)
            }
            Event::MainDevice { device } => {
                table::device(&device).map(|device| self.next.main_device = Some(device))
            }
            Event::TrancheTargetDevice { device } => {
                table::device(&device).map(|device| self.tranche.device = Some(device))
            }
            Event::TrancheFormats { indices } => {
                let pairs = self.table.pairs(&indices);
                pairs.map(|pairs| self.tranche.pairs = pairs)
            }
            Event::TrancheFlags { flags } => {
                let known = match flags {
                    WEnum::Value(flags) => flags,
                    WEnum::Unknown(bits) => TrancheFlags::from_bits_truncate(bits),
                };
                self.tranche.scanout = known.contains(TrancheFlags::Scanout);
                Ok(())
            }
            Event::TrancheDone => self.end_of_tranche(),
            Event::Done => {
                self.end();
                Ok(())
            }
            _ => Ok(()),
        };
        if let Err(lie) = heard {
            self.lie.get_or_insert(lie);
        }
    }

    fn end_of_tranche(&mut self) -> Result<()> {
        let tranches = self.next.tranches.len();
        if tranches >= MOST_TRANCHES {
            let limit = format!("{MOST_TRANCHES} at most");
            return Err(invalid("the number of tranches", tranches + 1, limit));
        }
        self.next.tranches.push(std::mem::take(&mut self.tranche));
        Ok(())
    }

    fn end(&mut self) {
        let said = std::mem::take(&mut self.next);
        self.tranche = Tranche::default();
        self.news = Some(self.lie.take().map_or(Ok(said), Err));
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;

    fn table() -> Event {
        let mut file: File = tempfile::tempfile().expect("a file");
        let row = [&0x3432_5258_u32.to_ne_bytes()[..], &[0; 12]].concat();
        file.write_all(&row).expect("written");
        Event::FormatTable {
            fd: file.into(),
            size: 16,
        }
    }

    fn tranche(rows: u16) -> [Event; 2] {
        let indices = rows.to_ne_bytes().to_vec();
        [Event::TrancheFormats { indices }, Event::TrancheDone]
    }

    fn hear_all(collecting: &mut Collecting, events: [Event; 2]) {
        events.into_iter().for_each(|event| collecting.hear(event));
    }

    #[test]
    fn the_table_stays_and_tranches_are_new() {
        let mut collecting = Collecting::default();
        collecting.hear(table());
        for _ in 0..2 {
            hear_all(&mut collecting, tranche(0));
            assert!(collecting.take().is_none(), "not all of it has come");
            collecting.hear(Event::Done);
            let said = collecting.take().expect("news").expect("no lie");
            assert_eq!(said.tranches.len(), 1);
            assert_eq!(said.tranches[0].pairs[0].0, Format::XRGB8888);
        }
    }

    #[test]
    fn a_lie_is_heard_once_and_the_next_feedback_counts_again() {
        let mut collecting = Collecting::default();
        collecting.hear(table());
        hear_all(&mut collecting, tranche(7));
        collecting.hear(Event::Done);
        let lie = collecting.take().expect("news").expect_err("no row 7");
        assert!(lie.to_string().contains("below 1"), "{lie}");
        hear_all(&mut collecting, tranche(0));
        collecting.hear(Event::Done);
        collecting.take().expect("news").expect("no lie");
    }

    #[test]
    fn tranches_without_end_are_refused() {
        let mut collecting = Collecting::default();
        for _ in 0..=MOST_TRANCHES {
            collecting.hear(Event::TrancheDone);
        }
        collecting.hear(Event::Done);
        let lie = collecting.take().expect("news").expect_err("too many");
        assert!(lie.to_string().contains("64 at most"), "{lie}");
    }
}
