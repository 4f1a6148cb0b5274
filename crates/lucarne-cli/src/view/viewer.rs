//! The loop of a window: events, frames, drawing.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lucarne::{Extent, Fence};
use rustix::event::{PollFd, PollFlags, Timespec};
use winit::dpi::PhysicalSize;
use winit::window::Fullscreen;

use super::display::{self, GONE};
use super::overlay::{self, Panel, Row};
use super::scale::Place;
use super::screen::{Drawn, PANELS, Placed, Scene, Screen};
use super::state::{Facts, Filter, State};
use super::stream::{Held, Stream};
use super::window::{Events, Wanted, Wish};
use super::{Options, Report, xlib};
use crate::output::Output;
use crate::stop::Stop;
use crate::{Failure, png_file};

/// The least that a frame stays: no display shows more frames a second.
const MOMENT: Duration = Duration::from_millis(4);
/// How long a wait lasts before Ctrl-C is looked at.
const TICK: Duration = Duration::from_millis(100);
/// How often numbers change: more often, nobody could read them.
const NUMBERS: Duration = Duration::from_millis(250);
/// How many frames the display may read that have left the window.
const MOST_LEAVING: usize = 2;
/// Free pixels around panels.
const GAP: u32 = 12;

struct Viewer<'o, S: Screen> {
    // Dropped in this order: frames before what imports them, and that before the window.
    held: Option<Held<S::Image>>,
    /// Frames that have left the window, which the display may still read.
    leaving: Vec<Held<S::Image>>,
    stream: Stream<S>,
    screen: S,
    window: Extent,
    state: State,
    panels: [Option<Written>; PANELS],
    /// The first frame gives the window its size.
    adopts_size: bool,
    /// What is in the window is not what should be there.
    is_stale: bool,
    drawn_at: Option<Instant>,
    numbers_at: Option<Instant>,
    rows: Vec<Row>,
    saved: Vec<PathBuf>,
    options: &'o Options,
}

/// A panel, and what is written there.
struct Written {
    text: Vec<Row>,
    room: Extent,
    placed: Placed,
}

/// Opens a window and shows the stream until somebody has seen enough.
pub(super) fn run<S: Screen>(
    options: &Options,
    folder: &Path,
    wanted: Wanted,
    output: &mut Output,
) -> Result<Report, Failure> {
    let stop = Stop::on_signals()?;
    let adopts_size = wanted.extent.is_none() && !wanted.full_screen;
    let watch = Arc::new(display::Watch::new());
    watch.explain_panics();
    xlib::explain_ends();
    let (mut events, screen) =
        Events::open::<S>(wanted).map_err(|reason| display::no_window(&reason))?;
    let stream = Stream::new(&options.name, folder, &screen)?;
    let size = screen.window().inner_size();
    let mut viewer = Viewer {
        held: None,
        leaving: Vec::new(),
        stream,
        screen,
        window: Extent::new(size.width, size.height),
        state: State::new(&options.name, options.filter, options.overlay),
        panels: [None, None],
        adopts_size,
        is_stale: true,
        drawn_at: None,
        numbers_at: None,
        rows: Vec::new(),
        saved: Vec::new(),
        options,
    };
    let ended = viewer.watch(&mut events, &watch, &stop, output);
    if ended.is_err() && watch.is_why() {
        // Libraries that talk to the display would end the program while they are taken down.
        std::mem::forget((viewer, events));
        return Err(GONE.into());
    }
    let ended = ended?;
    viewer.screen.end();
    if let Some(held) = viewer.held.take() {
        held.release()?;
    }
    Ok(viewer.report(ended))
}

impl<S: Screen> Viewer<'_, S> {
    /// Says why it ended.
    fn watch(
        &mut self,
        events: &mut Events,
        watch: &display::Watch,
        stop: &Stop,
        output: &mut Output,
    ) -> Result<&'static str, Failure> {
        let begun = Instant::now();
        loop {
            if watch.is_gone() {
                return Err(GONE.into());
            }
            // Before the window's own events: both may have come together.
            self.part()?;
            let wishes = events.wishes(&mut self.screen).ok_or(GONE)?;
            for wish in wishes {
                if wish == Wish::Close {
                    return Ok("the window was closed");
                }
                self.fulfil(wish, output)?;
            }
            let now = Instant::now();
            let is_rested = self.drawn_at.is_none_or(|at| now - at >= MOMENT);
            if is_rested {
                self.follow(now)?;
            }
            self.write(now);
            let has_drawn = self.is_stale && is_rested && self.draw()?;
            if stop.asked() {
                return Ok("asked to");
            }
            let is_enough = |most| self.state.frames >= most;
            if self.options.frames.is_some_and(is_enough) {
                return Ok("that many frames were asked for");
            }
            if self
                .options
                .time()
                .is_some_and(|most| begun.elapsed() >= most)
            {
                return Ok("the time is over");
            }
            // Drawing may have read events, which no descriptor tells of any more.
            if !has_drawn {
                self.wait(events, watch, is_rested)?;
            }
        }
    }

    fn fulfil(&mut self, wish: Wish, output: &mut Output) -> Result<(), Failure> {
        let window = self.screen.window();
        match wish {
            Wish::Close => {}
            Wish::FullScreen if window.fullscreen().is_none() => {
                window.set_fullscreen(Some(Fullscreen::Borderless(None)));
            }
            Wish::FullScreen | Wish::Leave => window.set_fullscreen(None),
            Wish::Facts => self.state.facts_wanted ^= true,
            Wish::Keys => self.state.keys_wanted ^= true,
            Wish::Filter => {
                self.state.filter = match self.state.filter {
                    Filter::Linear => Filter::Nearest,
                    Filter::Nearest => Filter::Linear,
                }
            }
            Wish::Save => self.save(output)?,
            Wish::Draw => {
                let size = window.inner_size();
                self.window = Extent::new(size.width, size.height);
            }
        }
        self.is_stale = true;
        self.numbers_at = None;
        Ok(())
    }

    /// Gives back what the display has read.
    fn part(&mut self) -> Result<(), Failure> {
        if let Some(offer) = self.screen.hear()? {
            self.stream.offer_again(offer);
        }
        for held in std::mem::take(&mut self.leaving) {
            let read = held.read().cloned().unwrap_or(Fence::Signaled);
            match self.screen.left(held.shown().image, &read)? {
                Some(fence) => held.release_with(fence)?,
                None => self.leaving.push(held),
            }
        }
        Ok(())
    }

    /// Takes the newest frame, if there is one. The display may have two others: the producer needs the rest.
    fn follow(&mut self, now: Instant) -> Result<(), Failure> {
        if self.leaving.len() >= MOST_LEAVING {
            return Ok(());
        }
        let Some(received) = self.stream.next(&self.screen, &mut self.state, now)? else {
            return Ok(());
        };
        self.state.dropped += received.dropped();
        if let Some(before) = self.held.replace(Held::new(received)) {
            if before.is_drawn() {
                self.leaving.push(before);
            } else {
                // There was nothing to draw it into.
                self.state.dropped += 1;
                before.release()?;
            }
            self.part()?;
        }
        self.is_stale = true;
        Ok(())
    }

    /// Writes the panels, where something else is to be read there.
    fn write(&mut self, now: Instant) {
        let factor = self.screen.window().scale_factor();
        let old = self.numbers_at.is_none_or(|at| now - at >= NUMBERS);
        if old {
            let about = self.screen.about();
            self.rows = self.state.rows(now, self.window, &about);
            self.numbers_at = Some(now);
        }
        let room = Extent::new(
            self.window.width.saturating_sub(2 * GAP).max(1),
            self.window.height.saturating_sub(2 * GAP).max(1),
        );
        let notice = self.state.notice(now);
        let notice: Vec<Row> = notice.iter().map(|text| Row::new("", text)).collect();
        let is_new = |panel: &Option<Written>, text: &[Row]| match panel {
            None => !text.is_empty(),
            Some(written) => written.text != text || written.room != room,
        };
        if is_new(&self.panels[0], &self.rows) {
            let panel = (!self.rows.is_empty()).then(|| overlay::table(&self.rows, room, factor));
            let rows = self.rows.clone();
            self.panels[0] = panel.map(|panel| self.written(rows, room, panel, Edge::Top));
            self.is_stale = true;
        }
        if is_new(&self.panels[1], &notice) {
            let panel = notice
                .first()
                .map(|row| overlay::sentence(&row.value, room, factor));
            self.panels[1] = panel.map(|panel| self.written(notice, room, panel, Edge::Bottom));
            self.is_stale = true;
        }
    }

    fn written(&self, text: Vec<Row>, room: Extent, panel: Panel, edge: Edge) -> Written {
        let place = edge.place(panel.extent, self.window);
        Written {
            text,
            room,
            placed: Placed {
                panel: Rc::new(panel),
                place,
            },
        }
    }

    /// Says whether it drew.
    fn draw(&mut self) -> Result<bool, Failure> {
        let panels = self
            .panels
            .each_ref()
            .map(|panel| panel.as_ref().map(|w| &w.placed));
        let scene = Scene {
            window: self.window,
            shown: self.held.as_ref().map(Held::shown),
            filter: self.state.filter,
            panels,
        };
        self.drawn_at = Some(Instant::now());
        let Drawn::Done(read) = self.screen.draw(&scene)? else {
            return Ok(false);
        };
        self.is_stale = false;
        if let (Some(held), Some(read)) = (&mut self.held, read)
            && held.drawn(read)
        {
            let copies = S::copies(held.shown().image);
            let facts = Facts::of(held.frame(), &self.state.rung, copies);
            if std::mem::take(&mut self.adopts_size) {
                let size = PhysicalSize::new(facts.extent.width, facts.extent.height);
                // A display that answers at once sends no event.
                if let Some(size) = self.screen.window().request_inner_size(size) {
                    self.window = Extent::new(size.width, size.height);
                    self.screen.resized(self.window);
                    self.is_stale = true;
                }
            }
            self.state.facts = Some(facts);
            self.state.shown(Instant::now(), held.age());
        }
        Ok(true)
    }

    /// Saves the frame in the window, as it came and not as it is shown.
    fn save(&mut self, output: &mut Output) -> Result<(), Failure> {
        let now = Instant::now();
        let Some(held) = &self.held else {
            self.state
                .say("there is no frame to save yet".to_owned(), now);
            return Ok(());
        };
        let picture = self.screen.picture(&held.shown())?;
        let path = free_name(&self.options.pictures, &self.options.name, held.sequence());
        match png_file::write(&path, &picture) {
            Ok(()) => {
                if !output.is_json() {
                    output.line(format_args!("wrote {}", path.display()))?;
                }
                self.state.say(format!("saved {}", path.display()), now);
                self.saved.push(path);
            }
            // The window goes on: the folder may be writable another time.
            Err(error) => self
                .state
                .say(format!("cannot write {}: {error}", path.display()), now),
        }
        Ok(())
    }

    /// Waits until there may be something to do.
    fn wait(
        &self,
        events: &Events,
        watch: &display::Watch,
        is_rested: bool,
    ) -> Result<(), Failure> {
        let mut fds = vec![PollFd::new(events, PollFlags::IN)];
        if let Some(fd) = watch.fd() {
            fds.push(PollFd::from_borrowed_fd(fd, PollFlags::empty()));
        }
        let mut time = TICK;
        if is_rested {
            let stream = self.stream.fd().filter(|_| !self.state.is_gone());
            fds.extend(stream.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        } else {
            time = MOMENT;
        }
        let time = Timespec::try_from(time).ok();
        match rustix::event::poll(&mut fds, time.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(format!("waiting for frames: {errno}").into()),
        }
    }

    fn report(self, ended: &'static str) -> Report {
        let state = &self.state;
        let facts = state.facts.clone();
        Report {
            stream: self.options.name.clone(),
            api: self.options.api,
            drawn_by: self.screen.about(),
            frames: state.frames,
            dropped: state.dropped,
            lost: state.lost,
            rate: state.whole_rate(),
            latency_ms: state
                .whole_latency()
                .map(|mean| mean.as_secs_f64() * 1000.0),
            width: facts.as_ref().map(|facts| facts.extent.width),
            height: facts.as_ref().map(|facts| facts.extent.height),
            copies_per_frame: facts.as_ref().map(|facts| facts.copies),
            format: facts.as_ref().map(|facts| facts.format.clone()),
            modifier: facts.as_ref().map(|facts| facts.modifier.clone()),
            path: facts.map(|facts| facts.path),
            saved: self.saved,
            ended,
        }
    }
}

/// Where a panel is.
#[derive(Clone, Copy, Debug)]
enum Edge {
    /// In the upper left corner.
    Top,
    /// In the middle of the lower edge.
    Bottom,
}

impl Edge {
    fn place(self, panel: Extent, window: Extent) -> Place {
        let Extent { width, height, .. } = panel;
        let left = |free: u32| free.min(GAP);
        let (across, down) = (
            window.width.saturating_sub(width),
            window.height.saturating_sub(height),
        );
        let (x, y) = match self {
            Self::Top => (left(across), left(down)),
            Self::Bottom => (across / 2, down.saturating_sub(GAP)),
        };
        Place {
            x,
            y,
            width,
            height,
        }
    }
}

/// A name of stream and number that no file has: a producer that comes back counts anew.
fn free_name(folder: &Path, stream: &str, number: u64) -> PathBuf {
    let first = folder.join(format!("{stream}-{number:06}.png"));
    let others = (2..1000).map(|copy| folder.join(format!("{stream}-{number:06}-{copy}.png")));
    let mut names = std::iter::once(first.clone()).chain(others);
    names.find(|name| !name.exists()).unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_stay_in_the_window() {
        let window = Extent::new(100, 50);
        let place = Edge::Top.place(Extent::new(20, 10), window);
        assert_eq!((place.x, place.y), (12, 12));
        let place = Edge::Bottom.place(Extent::new(20, 10), window);
        assert_eq!((place.x, place.y), (40, 28));
        for edge in [Edge::Top, Edge::Bottom] {
            let place = edge.place(Extent::new(95, 45), window);
            assert!(place.x + 95 <= 100 && place.y + 45 <= 50, "{place:?}");
        }
    }

    #[test]
    fn pictures_replace_no_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let name = |number| {
            let path = free_name(folder.path(), "camera", number);
            std::fs::write(&path, "a picture").expect("written");
            path.file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned()
        };
        assert_eq!(name(7), "camera-000007.png");
        assert_eq!(name(7), "camera-000007-2.png");
        assert_eq!(name(7), "camera-000007-3.png");
        assert_eq!(name(8), "camera-000008.png");
    }
}
