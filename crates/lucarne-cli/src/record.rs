//! `lucarne record`: a stream's frames as a video file or as pictures.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use lucarne_stream::Delivery;
use serde::Serialize;

use crate::cli_values::{rate, seconds};
use crate::output::{Output, progress};
use crate::stop::Stop;
use crate::video_file::VideoFile;
use crate::watch::{self, Seen, Watch};
use crate::{Answer, Failure, png_file};

/// How long a wait for a frame lasts before Ctrl-C is looked at, and how often the progress is told.
const TICK: Duration = Duration::from_millis(200);

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lucarne record camera out.y4m               until the stream ends, or Ctrl-C
  lucarne record camera out.y4m --seconds 10
  lucarne record camera frames/ --frames 100  frames/000001.png and so on
  ffmpeg -i out.y4m out.mp4                   what comes next

Every frame is recorded: a producer waits for a slow disk as long as its patience lasts, and then goes on without this program. \
A .y4m file is 4:4:4 with 8 bits, BT.709, limited range.")]
pub(crate) struct Options {
    /// The stream's name; `lucarne list` shows them.
    name: String,
    /// A .y4m file, or a folder for PNG files.
    to: PathBuf,
    /// Ends after so many frames.
    #[arg(long, value_name = "COUNT")]
    frames: Option<u64>,
    /// Ends after so many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    seconds: Option<f64>,
    /// The frames a second that a .y4m file claims.
    #[arg(long, value_name = "FPS", default_value = "60", value_parser = rate)]
    rate: f64,
    /// Where the streams' sockets are. [default: $XDG_RUNTIME_DIR/lucarne]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    stream: &'a str,
    to: &'a Path,
    frames: u64,
    dropped: u64,
    width: u32,
    height: u32,
    /// Why it ended.
    ended: &'static str,
}

/// Where frames go.
enum Target {
    Video(PathBuf, f64, Option<Box<VideoFile>>),
    Pictures(PathBuf),
}

impl Target {
    fn of(options: &Options) -> Result<Self, Failure> {
        let to = &options.to;
        if to.extension().is_some_and(|ending| ending == "y4m") {
            return Ok(Self::Video(to.clone(), options.rate, None));
        }
        if to.extension().is_some() && !to.is_dir() {
            return Err(format!("{} is neither a .y4m file nor a folder", to.display()).into());
        }
        std::fs::create_dir_all(to)
            .map_err(|error| format!("making the folder {}: {error}", to.display()))?;
        Ok(Self::Pictures(to.clone()))
    }

    /// Says whether the frame fits: a video file has one size.
    fn take(&mut self, seen: &Seen, number: u64) -> Result<bool, Failure> {
        match self {
            Self::Pictures(folder) => {
                png_file::write(&folder.join(format!("{number:06}.png")), &seen.picture)?;
                Ok(true)
            }
            Self::Video(path, rate, file) => {
                let file = match file {
                    Some(file) => file,
                    None => file.insert(Box::new(VideoFile::create(path, seen.extent(), *rate)?)),
                };
                if file.extent() != seen.extent() {
                    return Ok(false);
                }
                file.write(&seen.picture)?;
                Ok(true)
            }
        }
    }

    /// Writes what has waited for more until now. A disk may be full then.
    fn flush(&mut self) -> Result<(), Failure> {
        match self {
            Self::Video(_, _, Some(file)) => file.flush(),
            Self::Video(_, _, None) | Self::Pictures(_) => Ok(()),
        }
    }

    /// Keeps what is whole after a failure. Says how many frames of those that were taken that is.
    fn keep(self, taken: u64) -> Result<u64, Failure> {
        match self {
            Self::Video(_, _, Some(file)) => file.keep(),
            Self::Video(_, _, None) => Ok(0),
            Self::Pictures(_) => Ok(taken),
        }
    }

    /// Gives a video file its name: until then there is none.
    fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Video(_, _, Some(file)) => file.finish(),
            Self::Video(_, _, None) | Self::Pictures(_) => Ok(()),
        }
    }
}

pub(crate) fn run(options: &Options, output: &mut Output) -> Result<Answer, Failure> {
    let folder = watch::folder(options.folder.as_ref())?;
    let stop = Stop::on_signals()?;
    let mut target = Target::of(options)?;
    let mut watch = Watch::connect(&folder, &options.name, Delivery::Every)?;
    let begun = Instant::now();
    let at = |error: Failure| format!("recording to {}: {error}", options.to.display());
    let mut report = Report {
        stream: &options.name,
        to: &options.to,
        frames: 0,
        dropped: 0,
        width: 0,
        height: 0,
        ended: "asked to",
    };
    let mut told = begun;
    let mut failure: Option<Failure> = loop {
        if told.elapsed() >= TICK {
            told = Instant::now();
            let seconds = begun.elapsed().as_secs_f64();
            progress(&format!("{} frames, {seconds:.1} s", report.frames));
        }
        let enough = options.frames.is_some_and(|most| report.frames >= most)
            || options
                .seconds
                .is_some_and(|most| begun.elapsed().as_secs_f64() >= most);
        if enough || stop.asked() {
            break None;
        }
        let seen = match watch.next(TICK) {
            Ok(Some(seen)) => seen,
            Ok(None) => continue,
            Err(failure) if watch::is_end(&failure) => {
                report.ended = "the stream ended";
                break None;
            }
            Err(failure) => break Some(failure),
        };
        match target.take(&seen, report.frames + 1).map_err(at) {
            Ok(true) => {}
            Ok(false) => {
                report.ended = "the stream's size changed, and a .y4m file has one size";
                break None;
            }
            Err(failure) => break Some(failure.into()),
        }
        report.frames += 1;
        report.dropped += seen.dropped;
        (report.width, report.height) = (seen.extent().width, seen.extent().height);
    };
    progress("");
    if failure.is_none() {
        failure = target.flush().map_err(|error| at(error).into()).err();
    }
    if let Some(failure) = failure {
        return Err(match target.keep(report.frames).map_err(at)? {
            0 => format!("{failure}; nothing was kept").into(),
            kept => format!(
                "{failure}; {} has the {kept} frames that are whole",
                options.to.display()
            )
            .into(),
        });
    }
    target.finish().map_err(at)?;
    report.print(output)?;
    Ok(if report.frames > 0 {
        Answer::Yes
    } else {
        Answer::No
    })
}

impl Report<'_> {
    fn print(&self, output: &mut Output) -> Result<(), Failure> {
        if output.is_json() {
            return output.json(self);
        }
        if self.frames == 0 {
            return output.line(format_args!(
                "no frame of {:?} came, and nothing was written: {}",
                self.stream, self.ended
            ));
        }
        let dropped = match self.dropped {
            0 => String::new(),
            count => format!(", {count} were missed"),
        };
        output.line(format_args!(
            "wrote {}: {} frames of {:?}, {}x{}{dropped}; {}",
            self.to.display(),
            self.frames,
            self.stream,
            self.width,
            self.height,
            self.ended
        ))
    }
}
