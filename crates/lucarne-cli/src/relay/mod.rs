//! `lucarne relay`: one stream in, another out, converted by the GPU.

mod event;
mod out;
mod passing;

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use clap::Args;
use lucarne::color::ColorDescription;
use lucarne::vulkan::{Redraw, RedrawSource};
use lucarne::{Extent, Format, Frame, Usage};
use lucarne_stream::{Consumer, ConsumerOptions, Delivery, Error};

use crate::canvas::open_vulkan;
use crate::cli_values::{extent_value, format_value};
use crate::output::Output;
use crate::stop::Stop;
use crate::{Answer, Failure, watch};
use event::{Event, tell};
use out::Out;
use passing::Relay;

/// How long lies between two looks for a stream that is gone.
const LOOK: Duration = Duration::from_millis(200);

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lucarne relay camera small --size 640x360
  lucarne relay camera deep --format XRGB2101010
  lucarne relay film film-rgb                a stream of Y'CbCr (NV12 and its kin) as RGB
  lucarne relay camera preview --size 640x360 --wait

OUT has the newest frames of IN, drawn by Vulkan: scaled, and as red, green and blue. Their numbers stay encoded as they are.

When IN changes its size, so does OUT, unless --size says otherwise. When IN goes, OUT is paused, and goes on when IN is back. A \
frame is missed where OUT's consumers keep all slots.

The GPU reads IN's memory and writes OUT's; where a side copies in addition, as host memory may need, that is told with the path that was agreed on.")]
pub(crate) struct Options {
    /// The stream to read; `lucarne list` shows them.
    #[arg(value_name = "IN")]
    from: String,
    /// The stream to make.
    #[arg(value_name = "OUT")]
    to: String,
    /// The size of OUT's frames, instead of IN's.
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = extent_value)]
    size: Option<Extent>,
    /// The format of OUT's frames, instead of IN's.
    #[arg(long, value_name = "FORMAT", value_parser = format_value)]
    format: Option<Format>,
    /// Waits for IN if it is not there yet.
    #[arg(long)]
    wait: bool,
    /// Ends after so many frames.
    #[arg(long, value_name = "COUNT")]
    frames: Option<u64>,
    /// Where the streams' sockets are. [default: $XDG_RUNTIME_DIR/lucarne]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

pub(crate) fn run(options: &Options, output: &mut Output) -> Result<Answer, Failure> {
    if options.from == options.to {
        return Err(format!(
            "IN and OUT are both {:?}: a stream cannot be made of itself, so OUT needs another name",
            options.to
        )
        .into());
    }
    let stop = Stop::on_signals()?;
    let folder = watch::folder(options.folder.as_ref())?;
    let device = open_vulkan().map_err(|error| format!("a relay draws with Vulkan: {error}"))?;
    let offer = device.offer(Usage::RENDER)?;
    out::check(&offer, options.format, options.size)?;
    let redraw = Rc::new(device.redraw()?);
    tell(&Event::Device { name: &offer.name }, output)?;
    let Some(consumer) = connect(options, &folder, &redraw, &stop)? else {
        return Ok(Answer::No);
    };
    let out = Out {
        name: options.to.clone(),
        folder,
        device,
        offer,
        size: options.size,
        format: options.format,
        color: Rc::new(Cell::new(ColorDescription::SRGB)),
    };
    Relay::new(consumer, redraw, out).run(options, &stop, output)
}

type Import = Box<dyn FnMut(&Frame) -> lucarne::Result<RedrawSource>>;

/// `None` where somebody asked to end before.
fn connect(
    options: &Options,
    folder: &Path,
    redraw: &Rc<Redraw>,
    stop: &Stop,
) -> Result<Option<Consumer<Import>>, Failure> {
    let offer = redraw.offer()?;
    let settings = ConsumerOptions::new(Delivery::Latest).directory(folder);
    while !stop.asked() {
        let redraw = Rc::clone(redraw);
        let import: Import = Box::new(move |frame| redraw.import(frame));
        match Consumer::connect(&options.from, &offer, settings.clone(), import) {
            Ok(consumer) => return Ok(Some(consumer)),
            Err(error) if options.wait && watch::is_not_there(&error) => std::thread::sleep(LOOK),
            Err(Error::NotFound { .. }) => return Err(watch::not_found_yet(&options.from, folder)),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}
