//! `lucarne view`: a window that shows a stream.

mod display;
mod gl;
mod overlay;
mod samples;
mod scale;
mod screen;
mod state;
mod stream;
mod viewer;
mod vulkan;
mod wayland;
mod window;
mod xlib;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use lucarne::Extent;
use lucarne_stream::{Error, describe};
use serde::Serialize;

use crate::cli_values::{extent_value, seconds};
use crate::output::Output;
use crate::{Answer, Failure, watch};
use state::Filter;

/// What draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Api {
    /// OpenGL ES, by EGL.
    Gl,
    /// Vulkan, with a swapchain. Shows formats of red, green and blue.
    Vulkan,
    /// Nothing: the Wayland compositor samples the stream's memory.
    Wayland,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lucarne view camera                     a window of the stream's size
  lucarne view camera --wait              also where there is no such stream yet
  lucarne view camera --api vulkan --fullscreen
  lucarne view camera --for 10 --json     ten seconds, then numbers for a program

Keys: f full screen (Escape leaves it), i facts about the stream, n sharp or smooth pixels, s saves the picture as a PNG file,
h or ? the keys, q quits.

When the producer goes, its last frame stays. The next producer of that name is shown as soon as it is there.")]
pub(crate) struct Options {
    /// The stream's name; `lucarne list` shows them.
    name: String,
    /// What draws.
    #[arg(long, value_name = "API", default_value = "gl")]
    api: Api,
    /// Wait for the stream where there is none of that name.
    #[arg(long)]
    wait: bool,
    /// The window's size in pixels. [default: the stream's]
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = extent_value)]
    size: Option<Extent>,
    /// Begin with the whole screen.
    #[arg(long)]
    fullscreen: bool,
    /// How pictures are made larger or smaller.
    #[arg(long, value_name = "FILTER", default_value = "linear")]
    filter: Filter,
    /// Begin with the facts about the stream.
    #[arg(long)]
    overlay: bool,
    /// Where `s` saves pictures.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pictures: PathBuf,
    /// Ends after so many frames.
    #[arg(long, value_name = "COUNT")]
    frames: Option<u64>,
    /// Ends after so many seconds.
    #[arg(long = "for", value_name = "SECONDS", value_parser = seconds)]
    seconds: Option<f64>,
    /// Where the streams' sockets are. [default: $XDG_RUNTIME_DIR/lucarne]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// What was seen.
#[derive(Debug, Serialize)]
struct Report {
    stream: String,
    api: Api,
    /// The API's version and driver.
    drawn_by: String,
    frames: u64,
    dropped: u64,
    /// How often the producer went.
    lost: u64,
    rate: f64,
    latency_ms: Option<f64>,
    width: Option<u32>,
    height: Option<u32>,
    format: Option<String>,
    modifier: Option<String>,
    path: Option<String>,
    copies_per_frame: Option<u32>,
    saved: Vec<PathBuf>,
    /// Why it ended.
    ended: &'static str,
}

pub(crate) fn run(options: &Options, output: &mut Output) -> Result<Answer, Failure> {
    let folder = watch::folder(options.folder.as_ref())?;
    // What is wrong with the name is said before a window opens.
    let found = match describe(&folder, &options.name) {
        Ok(found) => Some(found.description.extent),
        Err(error) if options.wait && watch::is_not_there(&error) => None,
        Err(Error::NotFound { .. }) => return Err(watch::not_found_yet(&options.name, &folder)),
        // A producer that is too busy to describe itself.
        Err(Error::Timeout { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    display::check()?;
    let wanted = window::Wanted {
        title: format!("{} - Lucarne", options.name),
        extent: options.size.or(found),
        full_screen: options.fullscreen,
    };
    let report = match options.api {
        Api::Gl => viewer::run::<gl::GlScreen>(options, &folder, wanted, output)?,
        Api::Vulkan => viewer::run::<vulkan::VulkanScreen>(options, &folder, wanted, output)?,
        Api::Wayland => viewer::run::<wayland::WaylandScreen>(options, &folder, wanted, output)?,
    };
    report.print(output)?;
    Ok(if report.frames > 0 {
        Answer::Yes
    } else {
        Answer::No
    })
}

impl Options {
    fn time(&self) -> Option<Duration> {
        self.seconds.map(Duration::from_secs_f64)
    }
}

impl Report {
    fn print(&self, output: &mut Output) -> Result<(), Failure> {
        if output.is_json() {
            return output.json(self);
        }
        let (name, ended) = (&self.stream, self.ended);
        let (Some(width), Some(height)) = (self.width, self.height) else {
            return output.line(format_args!("no frame of {name:?} came; {ended}"));
        };
        let latency = self
            .latency_ms
            .map(|mean| format!(", {mean:.1} ms after they were made"))
            .unwrap_or_default();
        output.line(format_args!(
            "showed {} frames of {name:?}, {width}x{height}, {:.1} a second{latency}; {} were missed; {ended}",
            self.frames, self.rate, self.dropped
        ))
    }
}
