//! What is known of the stream, and what the window says about it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use lucarne::{Extent, Frame, Tiling};

use super::overlay::Row;
use crate::output::format_name;

/// How pictures are made larger or smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Filter {
    /// Smooth: a mixture of the pixels around.
    Linear,
    /// Sharp: the nearest pixel.
    Nearest,
}

impl Filter {
    fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Nearest => "nearest",
        }
    }
}

/// How the connection is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Link {
    /// There was no such stream yet.
    Expected,
    Here,
    Paused,
    /// The producer is away, and why.
    Gone(String),
}

/// What is said of the frame in the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) extent: Extent,
    pub(super) format: String,
    pub(super) modifier: String,
    /// The rung that was agreed on, and whether its memory is emulated.
    pub(super) path: String,
    pub(super) copies: u32,
}

impl Facts {
    pub(super) fn of(frame: &Frame, rung: &str, copies: u32) -> Self {
        let layout = frame.layout();
        let emulated = if frame.is_emulated() {
            ", emulated"
        } else {
            ""
        };
        Self {
            extent: super::scale::upright(layout.extent(), layout.color().orientation),
            format: format_name(layout.format()),
            modifier: match layout.tiling() {
                Tiling::Explicit(modifier) => modifier.to_string(),
                Tiling::Implicit => "none: only the driver knows the layout".to_owned(),
            },
            path: format!("{rung}{emulated}"),
            copies,
        }
    }
}

/// A frame that was shown.
#[derive(Clone, Copy, Debug)]
struct Shown {
    at: Instant,
    /// From its making to the window, where its producer says when it was made.
    latency: Option<Duration>,
}

/// Over how long rate and latency are measured.
const SPAN: Duration = Duration::from_secs(1);
/// How long a message stays.
const MESSAGE: Duration = Duration::from_secs(4);

/// The state of a window.
#[derive(Debug)]
pub(super) struct State {
    name: String,
    link: Link,
    /// The rung that was agreed on last.
    pub(super) rung: String,
    pub(super) facts: Option<Facts>,
    pub(super) filter: Filter,
    pub(super) facts_wanted: bool,
    pub(super) keys_wanted: bool,
    message: Option<(String, Instant)>,
    recent: VecDeque<Shown>,
    first: Option<Instant>,
    last: Option<Instant>,
    latencies: Duration,
    timed: u32,
    pub(super) frames: u64,
    pub(super) dropped: u64,
    /// How often the producer was lost.
    pub(super) lost: u64,
}

impl State {
    pub(super) fn new(name: &str, filter: Filter, facts_wanted: bool) -> Self {
        Self {
            name: name.to_owned(),
            link: Link::Expected,
            rung: String::new(),
            facts: None,
            filter,
            facts_wanted,
            keys_wanted: false,
            message: None,
            recent: VecDeque::new(),
            first: None,
            last: None,
            latencies: Duration::ZERO,
            timed: 0,
            frames: 0,
            dropped: 0,
            lost: 0,
        }
    }

    /// A producer has answered.
    pub(super) fn connected(&mut self) {
        self.link = Link::Here;
    }

    pub(super) fn paused(&mut self) {
        if self.link == Link::Here {
            self.link = Link::Paused;
        }
    }

    pub(super) fn resumed(&mut self) {
        if self.link == Link::Paused {
            self.link = Link::Here;
        }
    }

    /// The producer has ended the stream, or is gone.
    pub(super) fn gone(&mut self, how: &str) {
        if !self.is_gone() {
            self.lost += 1;
        }
        self.link = Link::Gone(how.to_owned());
    }

    /// Whether somebody has to look for a producer.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self.link, Link::Gone(_))
    }

    /// A frame is in the window.
    pub(super) fn shown(&mut self, at: Instant, latency: Option<Duration>) {
        // Frames come even where nobody said that the pause is over.
        self.link = Link::Here;
        self.frames += 1;
        self.first.get_or_insert(at);
        self.last = Some(at);
        if let Some(latency) = latency {
            self.latencies += latency;
            self.timed += 1;
        }
        self.recent.push_back(Shown { at, latency });
        self.forget(at);
    }

    fn forget(&mut self, now: Instant) {
        let is_old = |shown: &Shown| now.saturating_duration_since(shown.at) > SPAN;
        while self.recent.front().is_some_and(is_old) {
            self.recent.pop_front();
        }
    }

    /// Tells something for a moment.
    pub(super) fn say(&mut self, text: String, now: Instant) {
        self.message = Some((text, now));
    }

    /// Frames a second at the moment.
    fn rate(&self) -> f64 {
        match (self.recent.front(), self.recent.back()) {
            (Some(first), Some(last)) if last.at > first.at => {
                rate(self.recent.len() as u64, last.at - first.at)
            }
            _ => 0.0,
        }
    }

    /// Frames a second from the first to the last.
    pub(super) fn whole_rate(&self) -> f64 {
        match (self.first, self.last) {
            (Some(first), Some(last)) if last > first => rate(self.frames, last - first),
            _ => 0.0,
        }
    }

    /// The mean of all, where producers said when frames were made.
    pub(super) fn whole_latency(&self) -> Option<Duration> {
        (self.timed > 0).then(|| self.latencies / self.timed)
    }

    fn latency(&self) -> Option<Duration> {
        let timed: Vec<Duration> = self
            .recent
            .iter()
            .filter_map(|shown| shown.latency)
            .collect();
        let count = u32::try_from(timed.len()).unwrap_or(u32::MAX);
        (count > 0).then(|| timed.iter().sum::<Duration>() / count)
    }

    /// What stands at the window's lower edge, if anything.
    pub(super) fn notice(&mut self, now: Instant) -> Option<String> {
        let is_old = |at: &Instant| now.saturating_duration_since(*at) > MESSAGE;
        self.message.take_if(|(_, at)| is_old(at));
        if let Some((text, _)) = &self.message {
            return Some(text.clone());
        }
        let name = &self.name;
        match &self.link {
            Link::Expected => Some(format!("waiting for a stream {name}")),
            Link::Here if self.frames == 0 => Some(format!("{name} has sent no frame yet")),
            Link::Here => None,
            Link::Paused => Some(format!("{name} is paused")),
            Link::Gone(how) => Some(format!("{how}; waiting for it")),
        }
    }

    /// The table in the window's upper corner; empty where none is wanted.
    pub(super) fn rows(&mut self, now: Instant, window: Extent, drawn_by: &str) -> Vec<Row> {
        self.forget(now);
        let mut rows = Vec::new();
        if self.facts_wanted {
            rows.push(Row::new("stream", &self.name));
            rows.extend(self.rows_of_frame(window));
            rows.push(Row::new("rate", format!("{:.1} frames/s", self.rate())));
            let latency = self.latency().map_or_else(
                || "not known".to_owned(),
                |mean| format!("{:.1} ms", mean.as_secs_f64() * 1000.0),
            );
            rows.push(Row::new("latency", latency));
            let dropped = format!("{} of {}", self.dropped, self.dropped + self.frames);
            rows.push(Row::new("dropped", dropped));
            rows.push(Row::new("drawn by", drawn_by));
        }
        if self.keys_wanted {
            if !rows.is_empty() {
                rows.push(Row::new("", ""));
            }
            rows.extend(KEYS.map(|(key, what)| Row::new(key, what)));
        }
        rows
    }

    fn rows_of_frame(&self, window: Extent) -> Vec<Row> {
        let Some(facts) = &self.facts else {
            return vec![Row::new("size", "no frame yet")];
        };
        let place = super::scale::Place::fit(facts.extent, window);
        let percent = 100 * u64::from(place.width) / u64::from(facts.extent.width.max(1));
        let filter = self.filter.name();
        let copies = match facts.copies {
            0 => "no copies here".to_owned(),
            1 => "1 copy per frame here".to_owned(),
            more => format!("{more} copies per frame here"),
        };
        vec![
            Row::new(
                "size",
                format!("{}, shown at {percent} %, {filter}", facts.extent),
            ),
            Row::new("format", &facts.format),
            Row::new("modifier", &facts.modifier),
            Row::new("path", format!("{}, {copies}", facts.path)),
        ]
    }
}

/// Keys and what they do.
pub(super) const KEYS: [(&str, &str); 6] = [
    ("f", "full screen; Escape leaves it"),
    ("i", "facts about the stream"),
    ("n", "sharp or smooth pixels"),
    ("s", "save the picture as a PNG file"),
    ("h or ?", "these keys"),
    ("q", "quit"),
];

#[expect(
    clippy::cast_precision_loss,
    reason = "frames are counted far below 2^52"
)]
fn rate(frames: u64, between: Duration) -> f64 {
    frames.saturating_sub(1) as f64 / between.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Extent = Extent::new(640, 360);

    fn state() -> State {
        State::new("camera", Filter::Linear, true)
    }

    fn facts() -> Facts {
        Facts {
            extent: Extent::new(320, 180),
            format: "XRGB8888".to_owned(),
            modifier: "LINEAR".to_owned(),
            path: "dma-buf (linear)".to_owned(),
            copies: 0,
        }
    }

    fn value(rows: &[Row], name: &str) -> String {
        let row = rows.iter().find(|row| row.name == name);
        row.unwrap_or_else(|| panic!("{name} in {rows:?}"))
            .value
            .clone()
    }

    #[test]
    fn the_notice_follows_the_producer() {
        let mut state = state();
        let now = Instant::now();
        let notice = |state: &mut State| state.notice(now).unwrap_or_default();
        assert_eq!(notice(&mut state), "waiting for a stream camera");
        state.connected();
        assert_eq!(notice(&mut state), "camera has sent no frame yet");
        state.shown(now, None);
        assert_eq!(notice(&mut state), "");
        state.paused();
        assert_eq!(notice(&mut state), "camera is paused");
        state.resumed();
        assert_eq!(notice(&mut state), "");
        state.gone("the producer of camera has gone");
        let gone = "the producer of camera has gone; waiting for it";
        assert_eq!(notice(&mut state), gone);
        // Neither changes that it is away.
        state.paused();
        state.resumed();
        assert_eq!(notice(&mut state), gone);
        state.connected();
        assert_eq!(notice(&mut state), "");
        assert_eq!(state.lost, 1);
    }

    #[test]
    fn a_producer_that_stays_away_is_lost_once() {
        let mut state = state();
        state.connected();
        state.gone("gone");
        state.gone("still gone");
        assert!(state.is_gone());
        assert_eq!(state.lost, 1);
        state.connected();
        state.gone("gone again");
        assert_eq!(state.lost, 2);
    }

    #[test]
    fn a_message_goes_by_itself_and_the_notice_is_back() {
        let mut state = state();
        let now = Instant::now();
        state.say("saved a.png".to_owned(), now);
        assert_eq!(state.notice(now).as_deref(), Some("saved a.png"));
        let later = now + MESSAGE + Duration::from_millis(1);
        let notice = state.notice(later);
        assert_eq!(notice.as_deref(), Some("waiting for a stream camera"));
    }

    #[test]
    fn rate_and_latency_are_those_of_the_last_second() {
        let mut state = state();
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        state.connected();
        // Slow and late at first.
        for ms in [0, 500] {
            state.shown(at(ms), Some(Duration::from_millis(80)));
        }
        for ms in (2000..=3000).step_by(20) {
            state.shown(at(ms), Some(Duration::from_millis(4)));
        }
        let rows = state.rows(at(3000), WINDOW, "GL");
        assert_eq!(value(&rows, "rate"), "50.0 frames/s");
        assert_eq!(value(&rows, "latency"), "4.0 ms");
        let mean = state.whole_latency().expect("timed").as_millis();
        assert_eq!(mean, (2 * 80 + 51 * 4) / 53);
        assert!((state.whole_rate() - 52.0 / 3.0).abs() < 0.001);
        // Nothing came for a while.
        let rows = state.rows(at(9000), WINDOW, "GL");
        assert_eq!(value(&rows, "rate"), "0.0 frames/s");
        assert_eq!(value(&rows, "latency"), "not known");
    }

    #[test]
    fn the_table_says_what_is_known_and_keys_when_asked() {
        let mut state = state();
        let now = Instant::now();
        let rows = state.rows(now, WINDOW, "GL");
        assert_eq!(value(&rows, "size"), "no frame yet");
        state.facts = Some(facts());
        state.dropped = 3;
        state.shown(now, None);
        let rows = state.rows(now, WINDOW, "GL");
        assert_eq!(value(&rows, "size"), "320x180, shown at 200 %, linear");
        assert_eq!(value(&rows, "path"), "dma-buf (linear), no copies here");
        assert_eq!(value(&rows, "dropped"), "3 of 4");
        state.keys_wanted = true;
        let rows = state.rows(now, WINDOW, "GL");
        assert_eq!(value(&rows, "q"), "quit");
        state.facts_wanted = false;
        assert_eq!(state.rows(now, WINDOW, "GL").len(), KEYS.len());
        state.keys_wanted = false;
        assert!(state.rows(now, WINDOW, "GL").is_empty());
    }
}
