//! `lucarne snapshot`: one frame of a stream as a PNG file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use lucarne_stream::Delivery;
use serde::Serialize;

use crate::cli_values::seconds;
use crate::output::Output;
use crate::watch::{self, Watch};
use crate::{Answer, Failure, png_file};

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lucarne snapshot camera picture.png
  lucarne snapshot camera picture.png --timeout 30   waits for a frame, half a minute at most

The frame is read by the CPU, so that no graphics driver is needed. Formats with more than 8 bits become PNG files of 16 bits.")]
pub(crate) struct Options {
    /// The stream's name; `lucarne list` shows them.
    name: String,
    /// The file to write. One that is there is replaced.
    file: PathBuf,
    /// How many seconds to wait for a frame.
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0, value_parser = seconds)]
    timeout: f64,
    /// Where the streams' sockets are. [default: $XDG_RUNTIME_DIR/lucarne]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    file: &'a Path,
    stream: &'a str,
    sequence: u64,
    width: u32,
    height: u32,
    format: String,
}

pub(crate) fn run(options: &Options, output: &mut Output) -> Result<Answer, Failure> {
    let folder = watch::folder(options.folder.as_ref())?;
    let timeout = Duration::from_secs_f64(options.timeout);
    let mut watch = Watch::connect(&folder, &options.name, Delivery::Latest)?;
    let seen = watch.next(timeout).map_err(|failure| -> Failure {
        if watch::is_end(&failure) {
            format!("the stream {:?} ended before a frame came", options.name).into()
        } else {
            failure
        }
    });
    let seen = seen?.ok_or_else(|| {
        format!(
            "the stream {:?} is there, but no frame came within {} seconds: its producer is paused, or draws nothing",
            options.name,
            options.timeout
        )
    })?;
    png_file::write(&options.file, &seen.picture)
        .map_err(|error| format!("writing {}: {error}", options.file.display()))?;
    let report = Report {
        file: &options.file,
        stream: &options.name,
        sequence: seen.sequence,
        width: seen.extent().width,
        height: seen.extent().height,
        format: seen.format.to_string(),
    };
    if output.is_json() {
        output.json(&report)?;
    } else {
        output.line(format_args!(
            "wrote {}: frame {} of {:?}, {}, {}",
            options.file.display(),
            seen.sequence,
            options.name,
            seen.extent(),
            report.format
        ))?;
    }
    Ok(Answer::Yes)
}
