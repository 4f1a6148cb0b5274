//! What two looks at a stream say about it.

use std::time::Duration;

use lucarne::{MemoryPath, Rung};
use lucarne_stream::wire::{ConsumerDetails, Details};
use lucarne_stream::{Delivery, Found};
use serde::Serialize;

use crate::list::state_name;
use crate::output::format_name;

/// One stream.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) state: &'static str,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) format: Option<String>,
    pub(super) modifier: Option<String>,
    /// The memory path.
    pub(super) memory: Option<&'static str>,
    /// The rung of the ladder.
    pub(super) rung: Option<String>,
    /// Frames a second; `None` until there were two looks.
    pub(super) rate: Option<f64>,
    pub(super) frames: u64,
    /// Frames a second that the worst consumer did not get. `None` where the producer does not tell.
    pub(super) drops: Option<f64>,
    /// The worst consumer's.
    pub(super) latency_ms: Option<f64>,
    pub(super) copies: Option<&'static str>,
    pub(super) slots: Option<usize>,
    pub(super) consumers: u32,
    pub(super) age_seconds: f64,
    pub(super) pid: Option<u32>,
    pub(super) device: String,
    /// Each consumer. `None` where the producer does not tell.
    pub(super) each: Option<Vec<Reader>>,
}

/// One consumer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Reader {
    pub(super) number: u64,
    pub(super) pid: Option<u32>,
    pub(super) device: String,
    pub(super) delivery: &'static str,
    pub(super) state: &'static str,
    pub(super) frames: u64,
    pub(super) dropped: u64,
    pub(super) drops: Option<f64>,
    pub(super) latency_ms: Option<f64>,
    pub(super) slots: usize,
}

impl Row {
    /// Whether frames flow to consumers of which none has told a latency: one will soon.
    pub(super) fn owes_latency(&self) -> bool {
        let reads = |one: &Reader| one.state == "reads";
        let is_read = self.each.iter().flatten().any(reads);
        self.latency_ms.is_none() && is_read && self.rate.is_some_and(|rate| rate > 0.0)
    }
}

/// One row for each stream that there is now.
pub(super) fn of(before: &[Found], now: &[Found]) -> Vec<Row> {
    let earlier = |found: &Found| {
        let since = found.description.since;
        let same = |other: &&Found| other.name == found.name && other.description.since == since;
        before.iter().find(same)
    };
    now.iter().map(|found| row(earlier(found), found)).collect()
}

fn row(before: Option<&Found>, now: &Found) -> Row {
    let about = &now.description;
    let interval = before.and_then(|before| now.age.checked_sub(before.age));
    let frames_before = before.map(|before| before.description.frames);
    let each: Option<Vec<Reader>> = now.details.as_ref().map(|details| {
        let known = before.and_then(|before| before.details.as_ref());
        let readers = details.consumers.iter();
        readers.map(|one| reader(known, one, interval)).collect()
    });
    let readers = each.iter().flatten();
    Row {
        name: now.name.clone(),
        state: state_name(about.state),
        width: about.extent.width,
        height: about.extent.height,
        format: about.format.map(format_name),
        modifier: details_of(now, |details| details.modifier).map(|modifier| modifier.to_string()),
        memory: about.path.map(MemoryPath::name),
        rung: details_of(now, |details| details.rung).map(|rung| rung.to_string()),
        rate: per_second(frames_before, about.frames, interval),
        frames: about.frames,
        drops: each.is_some().then(|| {
            let drops = readers.clone().filter_map(|one| one.drops);
            drops.fold(0.0, f64::max)
        }),
        latency_ms: readers
            .filter_map(|one| one.latency_ms)
            .max_by(f64::total_cmp),
        copies: about.path.map(|path| match path {
            MemoryPath::HostMemory => "0+",
            _ => "0",
        }),
        slots: now.details.as_ref().map(|details| details.slots),
        consumers: about.consumers,
        age_seconds: now.age.as_secs_f64(),
        pid: now.producer.pid,
        device: about.producer.clone(),
        each,
    }
}

fn details_of<T>(found: &Found, part: impl FnOnce(&Details) -> Option<T>) -> Option<T> {
    found.details.as_ref().and_then(part)
}

fn reader(known: Option<&Details>, now: &ConsumerDetails, interval: Option<Duration>) -> Reader {
    let mut known = known.into_iter().flat_map(|details| &details.consumers);
    let before = known.find(|one| one.number == now.number);
    Reader {
        number: now.number,
        pid: now.pid,
        device: now.name.clone(),
        delivery: match now.delivery {
            Delivery::Latest => "newest",
            Delivery::Every => "every",
        },
        state: if now.is_served { "reads" } else { "joins" },
        frames: now.frames,
        dropped: now.dropped,
        drops: per_second(before.map(|one| one.dropped), now.dropped, interval),
        latency_ms: now.latency.map(|latency| latency.as_secs_f64() * 1000.0),
        slots: now.held,
    }
}

#[expect(clippy::cast_precision_loss, reason = "frames of one interval")]
fn per_second(before: Option<u64>, now: u64, interval: Option<Duration>) -> Option<f64> {
    let (seconds, before) = (interval?.as_secs_f64(), before?);
    (seconds > 0.0).then(|| now.saturating_sub(before) as f64 / seconds)
}

/// A column of a table.
#[derive(Clone, Copy)]
pub(super) struct Column<T> {
    pub(super) header: &'static str,
    /// The lowest is the last to go where the terminal is narrow.
    pub(super) rank: u8,
    pub(super) is_number: bool,
    pub(super) cell: fn(&T) -> String,
}

const fn text<T>(header: &'static str, rank: u8, cell: fn(&T) -> String) -> Column<T> {
    let is_number = false;
    Column {
        header,
        rank,
        is_number,
        cell,
    }
}

const fn number<T>(header: &'static str, rank: u8, cell: fn(&T) -> String) -> Column<T> {
    let is_number = true;
    Column {
        header,
        rank,
        is_number,
        cell,
    }
}

pub(super) const COLUMNS: [Column<Row>; 11] = [
    text("NAME", 0, |row| row.name.clone()),
    text("STATE", 8, |row| row.state.to_owned()),
    text("SIZE", 2, |row| format!("{}x{}", row.width, row.height)),
    text("FORMAT", 6, |row| or_dash(row.format.clone())),
    text("MODIFIER", 10, |row| or_dash(row.modifier.clone())),
    text("PATH", 7, |row| or_dash(row.memory.map(str::to_owned))),
    number("RATE", 1, |row| or_dash(row.rate.map(tenths))),
    number("DROPS", 5, |row| or_dash(row.drops.map(tenths))),
    number("LATENCY", 4, |row| {
        or_dash(row.latency_ms.map(milliseconds))
    }),
    number("COPIES", 9, |row| or_dash(row.copies.map(str::to_owned))),
    number("CONSUMERS", 3, |row| row.consumers.to_string()),
];

pub(super) const READERS: [Column<Reader>; 9] = [
    number("CONSUMER", 0, |one| one.number.to_string()),
    number("PROCESS", 1, |one| {
        or_dash(one.pid.map(|pid| pid.to_string()))
    }),
    text("GETS", 5, |one| one.delivery.to_owned()),
    text("STATE", 8, |one| one.state.to_owned()),
    number("FRAMES", 6, |one| one.frames.to_string()),
    number("MISSED", 3, |one| one.dropped.to_string()),
    number("LATENCY", 2, |one| {
        or_dash(one.latency_ms.map(milliseconds))
    }),
    number("SLOTS", 7, |one| one.slots.to_string()),
    text("DEVICE", 4, |one| one.device.clone()),
];

pub(super) fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

pub(super) fn tenths(value: f64) -> String {
    format!("{value:.1}")
}

pub(super) fn milliseconds(value: f64) -> String {
    if value < 1.0 {
        format!("{value:.2} ms")
    } else if value < 1000.0 {
        format!("{value:.1} ms")
    } else {
        format!("{:.1} s", value / 1000.0)
    }
}

/// What a rung means for whoever reads it for the first time.
pub(super) fn meaning(rung: &str) -> &'static str {
    let known = Rung::ALL.into_iter().find(|one| one.to_string() == rung);
    match known {
        Some(Rung::TiledDmaBuf) => "in the driver's own layout, without copies",
        Some(Rung::LinearDmaBuf) => "row after row, without copies",
        Some(Rung::OpaqueFd) => "which this driver alone understands, without copies",
        Some(Rung::HostMemory) => {
            "in the CPU's memory: who cannot use it in place copies each frame"
        }
        None => "",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use lucarne::kernel::PeerCredentials;
    use lucarne::{Extent, Format, Modifier};
    use lucarne_stream::wire::{Description, State};

    use super::*;

    /// A stream at an age, in seconds, that has sent so many frames.
    pub(in crate::top) fn found(name: &str, age: f64, frames: u64) -> Found {
        Found {
            name: name.to_owned(),
            producer: PeerCredentials {
                pid: Some(4711),
                uid: 1000,
                gid: 1000,
            },
            description: Description {
                state: State::Streaming,
                extent: Extent::new(1280, 720),
                format: Some(Format::XRGB8888),
                path: Some(MemoryPath::DmaBuf),
                generation: 1,
                consumers: 2,
                frames,
                since: 1,
                producer: "AMD Radeon RX 7800 XT (RADV NAVI32)".to_owned(),
            },
            details: Some(Details {
                rung: Some(Rung::LinearDmaBuf),
                modifier: Some(Modifier::LINEAR),
                slots: 3,
                consumers: vec![consumer(1, frames, 0), consumer(7, frames / 2, frames / 4)],
            }),
            age: Duration::from_secs_f64(age),
        }
    }

    fn consumer(number: u64, frames: u64, dropped: u64) -> ConsumerDetails {
        ConsumerDetails {
            number,
            frames,
            dropped,
            latency: (number == 7).then(|| Duration::from_micros(2340)),
            pid: Some(5000),
            delivery: if number == 1 {
                Delivery::Every
            } else {
                Delivery::Latest
            },
            held: 1,
            is_served: true,
            name: "llvmpipe (LLVM 15.0.6, 256 bits)".to_owned(),
        }
    }

    #[test]
    fn rates_are_of_the_time_between_two_looks() {
        let rows = of(&[found("a", 10.0, 100)], &[found("a", 12.0, 220)]);
        assert_eq!(rows[0].rate, Some(60.0));
        // A quarter of 120 frames, in two seconds.
        assert_eq!(rows[0].drops, Some(15.0));
        assert_eq!(rows[0].latency_ms, Some(2.34));
    }

    #[test]
    fn drops_are_the_worst_consumers_and_no_sum() {
        let look = |age, frames, dropped| {
            let mut look = found("a", age, frames);
            if let Some(details) = &mut look.details {
                details.consumers.push(consumer(8, frames, dropped));
            }
            look
        };
        // One misses 15 a second, as above, and the other 5.
        let rows = of(&[look(10.0, 100, 5)], &[look(12.0, 220, 15)]);
        assert_eq!(rows[0].drops, Some(15.0));
    }

    #[test]
    fn a_latency_is_owed_where_frames_flow_and_none_was_told() {
        let owes = |frames: u64, change: fn(&mut ConsumerDetails)| {
            let mut looks = [found("a", 10.0, 100), found("a", 12.0, frames)];
            for details in looks.iter_mut().filter_map(|look| look.details.as_mut()) {
                details.consumers.iter_mut().for_each(change);
            }
            of(&looks[..1], &looks[1..])[0].owes_latency()
        };
        assert!(owes(220, |one| one.latency = None));
        assert!(!owes(220, |_| {}), "it was told");
        assert!(!owes(100, |one| one.latency = None), "nothing flows");
        assert!(!owes(220, |one| (one.latency, one.is_served) = (None, false)));
    }

    #[test]
    fn nobody_misses_nothing() {
        let mut now = found("a", 1.0, 0);
        if let Some(details) = &mut now.details {
            details.consumers.clear();
        }
        let drops = of(&[], &[now])[0].drops.map(tenths);
        assert_eq!(drops.as_deref(), Some("0.0"));
    }

    #[test]
    fn what_was_not_there_before_has_no_rate_yet() {
        let now = [found("a", 0.5, 30)];
        assert_eq!(of(&[], &now)[0].rate, None);
        // Another producer of that name.
        let mut before = found("a", 100.0, 6000);
        before.description.since = 7;
        assert_eq!(of(&[before], &now)[0].rate, None);
    }

    #[test]
    fn a_producer_that_tells_less_is_shown_with_what_it_tells() {
        let (mut before, mut now) = (found("a", 1.0, 0), found("a", 2.0, 25));
        before.details = None;
        now.details = None;
        let row = &of(&[before], &[now])[0];
        assert_eq!((row.rate, row.drops, row.slots), (Some(25.0), None, None));
        assert!(row.each.is_none() && row.consumers == 2);
    }

    #[test]
    fn latencies_are_short() {
        let texts = [0.042, 2.34, 999.0, 1500.0].map(milliseconds);
        assert_eq!(texts, ["0.04 ms", "2.3 ms", "999.0 ms", "1.5 s"]);
    }

    #[test]
    fn ranks_are_in_an_order() {
        let mut ranks = COLUMNS.map(|column| column.rank);
        ranks.sort_unstable();
        assert!(ranks.into_iter().eq(0..11));
        let mut ranks = READERS.map(|column| column.rank);
        ranks.sort_unstable();
        assert!(ranks.into_iter().eq(0..9));
    }
}
