//! `lucarne snapshot`: one frame of a stream as a PNG file.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use lucarne::{Frame, Offer, Usage, cpu};
use lucarne_stream::{Consumer, ConsumerOptions, Delivery, Error, directory, streams_in};
use serde::Serialize;

use crate::output::{Output, nearest};
use crate::pixels::{self, Picture};
use crate::{Answer, Failure};

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

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=86_400.0).contains(&number) => Ok(number),
        _ => Err("must be a number from 0 to 86400".to_owned()),
    }
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
    let folder = match &options.folder {
        Some(folder) => folder.clone(),
        None => directory()?,
    };
    let timeout = Duration::from_secs_f64(options.timeout);
    let cpu = cpu::Adapter::new(cpu::Allocator::HostMemory).open()?;
    let offer = showable(cpu.offer(Usage::SAMPLE)?);
    let settings = ConsumerOptions::new(Delivery::Latest).directory(&folder);
    let import = |frame: &Frame| cpu.import(frame);
    let mut consumer = match Consumer::connect(&options.name, &offer, settings, import) {
        Ok(consumer) => consumer,
        Err(Error::NotFound { .. }) => return Err(not_found(&options.name, &folder).into()),
        Err(error) => return Err(error.into()),
    };
    let received = consumer.receive(timeout).map_err(|error| match error {
        Error::Timeout { .. } => format!(
            "the stream {:?} is there, but no frame came within {} seconds: its producer is paused, or draws nothing",
            options.name, options.timeout
        )
        .into(),
        error => Failure::from(error),
    })?;
    let (reading, acquire) = received.acquire();
    let image = reading.image();
    let layout = image.frame().layout().clone();
    let mut bytes = vec![0; image.plane_bytes(0)];
    let done = image.read(&acquire, timeout, |rows| rows.read_plane(0, &mut bytes))?;
    let sequence = reading.sequence();
    reading.release(done)?;
    let picture = pixels::picture(&layout, &bytes)
        .ok_or("the producer sent a format that was not asked for")?;
    write(&options.file, &picture)
        .map_err(|error| format!("writing {}: {error}", options.file.display()))?;
    let report = Report {
        file: &options.file,
        stream: &options.name,
        sequence,
        width: picture.extent.width,
        height: picture.extent.height,
        format: layout.format().to_string(),
    };
    if output.is_json() {
        output.json(&report)?;
    } else {
        output.line(format_args!(
            "wrote {}: frame {sequence} of {:?}, {}, {}",
            options.file.display(),
            options.name,
            picture.extent,
            report.format
        ))?;
    }
    Ok(Answer::Yes)
}

/// The formats that can become a picture.
fn showable(mut offer: Offer) -> Offer {
    offer.entries.retain(|entry| pixels::can_show(entry.format));
    offer
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

/// Under a name of its own first: a full disk leaves no half picture, and none is lost.
fn write(path: &Path, picture: &Picture) -> Result<(), Failure> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let file = tempfile::Builder::new()
        .permissions(plain_file())
        .tempfile_in(folder)?;
    let mut writer = BufWriter::new(file);
    encode(picture, &mut writer)?;
    let file = writer
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error)?;
    file.persist(path)?;
    Ok(())
}

/// What any program's new file may be, before the user's umask.
fn plain_file() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o666)
}

fn encode(picture: &Picture, writer: &mut impl Write) -> Result<(), png::EncodingError> {
    let mut encoder = png::Encoder::new(writer, picture.extent.width, picture.extent.height);
    let channels = if picture.alpha { 4 } else { 3 };
    encoder.set_color(if picture.alpha {
        png::ColorType::Rgba
    } else {
        png::ColorType::Rgb
    });
    encoder.set_depth(if picture.deep {
        png::BitDepth::Sixteen
    } else {
        png::BitDepth::Eight
    });
    let mut bytes = Vec::with_capacity(picture.pixels.len() * channels);
    for pixel in &picture.pixels {
        for value in &pixel[..channels] {
            if picture.deep {
                bytes.extend(value.to_be_bytes());
            } else {
                bytes.push(u8::try_from((u32::from(*value) + 128) / 257).unwrap_or(u8::MAX));
            }
        }
    }
    let mut file = encoder.write_header()?;
    file.write_image_data(&bytes)?;
    file.finish()
}
