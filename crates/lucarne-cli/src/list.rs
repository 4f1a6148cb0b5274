//! `lucarne list`: the streams of this user.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use lucarne_stream::wire::State;
use lucarne_stream::{Change, Found, Watcher, describe, streams_in};
use rustix::event::{PollFd, PollFlags, Timespec};
use serde::Serialize;

use crate::output::{Output, format_name, table};
use crate::stop::Stop;
use crate::{Answer, Failure, watch};

/// How often a producer that was killed is looked for: its socket stays, of which the kernel says nothing.
const REFRESH: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lucarne list
  lucarne list --watch          and then a line for each stream that comes or goes
  lucarne list --json | jq '.[].name'")]
pub(crate) struct Options {
    /// Go on, and print a line when a stream comes or goes. Ctrl-C ends it.
    #[arg(long)]
    watch: bool,
    /// Where the streams' sockets are. [default: $XDG_RUNTIME_DIR/lucarne]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Stream {
    name: String,
    state: &'static str,
    width: u32,
    height: u32,
    format: Option<String>,
    memory: Option<&'static str>,
    frames: u64,
    consumers: u32,
    age_seconds: f64,
    pid: Option<u32>,
    device: String,
}

impl Stream {
    fn of(found: &Found) -> Self {
        let about = &found.description;
        Self {
            name: found.name.clone(),
            state: state_name(about.state),
            width: about.extent.width,
            height: about.extent.height,
            format: about.format.map(format_name),
            memory: about.path.map(lucarne::MemoryPath::name),
            frames: about.frames,
            consumers: about.consumers,
            age_seconds: found.age.as_secs_f64(),
            pid: found.producer.pid,
            device: about.producer.clone(),
        }
    }
}

pub(crate) fn state_name(state: State) -> &'static str {
    match state {
        State::Waiting => "waiting",
        State::Streaming => "streaming",
        State::Paused => "paused",
    }
}

pub(crate) fn run(options: &Options, output: &mut Output) -> Result<Answer, Failure> {
    let folder = watch::folder(options.folder.as_ref())?;
    if options.watch {
        return follow(&folder, output);
    }
    let found: Vec<Stream> = streams_in(&folder)?.iter().map(Stream::of).collect();
    if output.is_json() {
        output.json(&found)?;
    } else if found.is_empty() {
        output.line(format_args!("no streams in {}", folder.display()))?;
    } else {
        print(&found, output)?;
    }
    Ok(Answer::Yes)
}

fn print(streams: &[Stream], output: &mut Output) -> Result<(), Failure> {
    let mut lines = table(&[
        "NAME",
        "STATE",
        "SIZE",
        "FORMAT",
        "MEMORY",
        "FRAMES",
        "CONSUMERS",
        "AGE",
        "PID",
        "DEVICE",
    ]);
    for stream in streams {
        lines.add_row([
            stream.name.clone(),
            stream.state.to_owned(),
            format!("{}x{}", stream.width, stream.height),
            stream.format.clone().unwrap_or_else(|| "-".to_owned()),
            stream.memory.unwrap_or("-").to_owned(),
            stream.frames.to_string(),
            stream.consumers.to_string(),
            age(Duration::from_secs_f64(stream.age_seconds)),
            stream
                .pid
                .map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            stream.device.clone(),
        ]);
    }
    output.line(lines)
}

/// In the largest unit that says something: `42 s`, `7 min`, `3 h`, `2 days`.
pub(crate) fn age(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds @ 120..=7199 => format!("{} min", seconds / 60),
        seconds @ 7200..=172_799 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[derive(Debug, Serialize)]
struct Event<'a> {
    event: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<Stream>,
}

fn follow(folder: &std::path::Path, output: &mut Output) -> Result<Answer, Failure> {
    let stop = Stop::on_signals()?;
    let mut watcher = Watcher::of(folder)?;
    while !stop.asked() {
        for change in watcher.refresh()? {
            tell(folder, &change, output)?;
        }
        let mut fds = [PollFd::new(&watcher, PollFlags::IN)];
        match rustix::event::poll(&mut fds, Some(&REFRESH)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(format!("waiting for streams: {errno}").into()),
        }
    }
    Ok(Answer::Yes)
}

fn tell(folder: &std::path::Path, change: &Change, output: &mut Output) -> Result<(), Failure> {
    let (event, name) = match change {
        Change::Arrived(name) => ("arrived", name),
        Change::Departed(name) => ("departed", name),
    };
    // Gone again already: then its departure is told next.
    let found = (event == "arrived")
        .then(|| describe(folder, name).ok())
        .flatten();
    let stream = found.as_ref().map(Stream::of);
    if output.is_json() {
        return output.json(&Event {
            event,
            name,
            stream,
        });
    }
    match stream {
        Some(stream) => output.line(format_args!(
            "arrived   {name}  {}x{}  {}",
            stream.width, stream.height, stream.device
        )),
        None => output.line(format_args!("{event:<9} {name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        let texts = [0, 119, 120, 7200, 172_800].map(|seconds| age(Duration::from_secs(seconds)));
        assert_eq!(texts, ["0 s", "119 s", "2 min", "2 h", "2 days"]);
    }
}
