//! `lucarne top`: all streams at a glance, again and again.

mod rows;
mod screen;
mod view;

use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use clap::Args;
use lucarne_stream::{Found, streams_in};
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use rustix::event::PollFlags;
use serde::Serialize;

use crate::cli_values::seconds;
use crate::output::{Output, table};
use crate::stop::Stop;
use crate::{Answer, Failure, hang_up, watch};
use rows::Row;
use view::{Next, View};

/// How long a wait for a key lasts before news and Ctrl-C are looked at.
const TICK: Duration = Duration::from_millis(100);
/// How much longer `--once` waits for a latency that was not told yet.
const SOON: Duration = Duration::from_secs(2);
/// The shortest time between two looks at the streams.
const LEAST: f64 = 0.1;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lucarne top                     until q is pressed; ? lists the keys
  lucarne top --once              one table, after one to three seconds; so does a pipe
  lucarne top --json | jq '.streams[] | [.name, .rate]'

RATE is frames a second. DROPS are frames a second that some consumer did not get, as it wants the newest only and was slow. \
LATENCY is how old a frame was when a consumer took it, and the worst of the consumers; each tells one frame now and then. \
COPIES are 0 where all sides use the producer's memory itself. 0+ is host memory: a side that cannot use it in place copies each \
frame once or twice.

What it costs: each stream is asked once an interval, as `lucarne list` asks. Its producer answers one message, between two frames, \
out of what it knows anyway. No frame is taken and no slot is held, and consumers do not notice.")]
pub(crate) struct Options {
    /// Print one table and end: after an interval, and up to two seconds later where a consumer has not told a latency yet.
    #[arg(long)]
    once: bool,
    /// How many seconds lie between two looks at the streams.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = interval)]
    interval: f64,
    /// Where the streams' sockets are. [default: $XDG_RUNTIME_DIR/lucarne]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

fn interval(text: &str) -> Result<f64, String> {
    match seconds(text) {
        Ok(number) if number >= LEAST => Ok(number),
        _ => Err(format!("must be a number from {LEAST} to 86400")),
    }
}

pub(crate) fn run(options: &Options, output: &mut Output) -> Result<Answer, Failure> {
    let folder = watch::folder(options.folder.as_ref())?;
    let interval = Duration::from_secs_f64(options.interval);
    let looks = Looks::begin(folder.clone(), interval);
    if options.once || output.is_json() || !std::io::stdout().is_terminal() {
        let once = (options.once || !output.is_json()).then_some(interval);
        return print(once, &folder, &looks, output);
    }
    // A second Ctrl-C would leave the terminal as it is now.
    let stop = Stop::without_haste()?;
    let terminal = Terminal::open()?;
    show(terminal, View::new(&folder), &looks, &stop)?;
    Ok(Answer::Yes)
}

/// Looks at the streams on a thread of its own: a producer that hangs keeps a look waiting, and no key.
struct Looks {
    found: Receiver<lucarne_stream::Result<Vec<Found>>>,
    /// Dropping it ends the thread.
    _end: Sender<()>,
}

impl Looks {
    fn begin(folder: PathBuf, interval: Duration) -> Self {
        let (to, found) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        std::thread::spawn(move || {
            loop {
                if to.send(streams_in(&folder)).is_err() {
                    return;
                }
                if ended.recv_timeout(interval) == Err(RecvTimeoutError::Disconnected) {
                    return;
                }
            }
        });
        Self { found, _end: end }
    }
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    streams: &'a [Row],
}

/// Without a screen: rates need two looks, so that the second one is printed first. `once` has the time between two looks, where
/// one table is all.
fn print(
    once: Option<Duration>,
    folder: &Path,
    looks: &Looks,
    output: &mut Output,
) -> Result<Answer, Failure> {
    let stop = Stop::on_signals()?;
    let mut before: Option<Vec<Found>> = None;
    let mut since: Option<Instant> = None;
    while !stop.asked() {
        let found = match looks.found.recv_timeout(TICK) {
            Ok(found) => found?,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let Some(earlier) = before.replace(found.clone()) else {
            continue;
        };
        let rows = rows::of(&earlier, &found);
        if let Some(interval) = once
            && rows.iter().any(Row::owes_latency)
            && since.get_or_insert_with(Instant::now).elapsed() + interval <= SOON
        {
            continue;
        }
        if output.is_json() {
            output.json(&Report { streams: &rows })?;
        } else if rows.is_empty() {
            output.line(format_args!("no streams in {}", folder.display()))?;
        } else {
            let mut lines = table(&rows::COLUMNS.map(|column| column.header));
            for row in &rows {
                lines.add_row(rows::COLUMNS.map(|column| (column.cell)(row)));
            }
            output.line(lines)?;
        }
        if once.is_some() {
            break;
        }
    }
    Ok(Answer::Yes)
}

/// The terminal, which is put back on every way out. A panic puts it back before it prints.
struct Terminal(ratatui::DefaultTerminal);

impl Terminal {
    fn open() -> Result<Self, Failure> {
        let terminal = ratatui::try_init().map_err(|error| {
            // Whatever was done of it.
            ratatui::restore();
            format!("taking the terminal: {error}; `lucarne top --once` needs none")
        })?;
        Ok(Self(terminal))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Whether the terminal goes before it has something to say. crossterm would read from it for ever.
fn hangs_up(within: Duration) -> Result<bool, Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        // The keys come from /dev/tty.
        event::poll(within)?;
        return Ok(false);
    }
    hang_up::hangs_up(stdin.as_fd(), PollFlags::IN, within)
        .map_err(|errno| std::io::Error::from(errno).into())
}

fn show(mut terminal: Terminal, mut view: View, looks: &Looks, stop: &Stop) -> Result<(), Failure> {
    let mut is_stale = true;
    while !stop.asked() {
        for found in looks.found.try_iter() {
            view.see(found?);
            is_stale = true;
        }
        if is_stale {
            terminal.0.draw(|frame| screen::draw(frame, &view))?;
            is_stale = false;
        }
        if hangs_up(TICK)? {
            return Err("the terminal has gone".into());
        }
        if !event::poll(Duration::ZERO)? {
            continue;
        }
        match event::read()? {
            Event::Key(key) if key.kind != KeyEventKind::Release => match view.press(key) {
                Next::End => return Ok(()),
                Next::Draw => is_stale = true,
            },
            Event::Resize(..) => is_stale = true,
            _ => {}
        }
    }
    Ok(())
}
