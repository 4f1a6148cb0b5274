//! `lucarne serve`: a stream of a test pattern or a picture.

use std::borrow::Cow;
use std::io::Write as _;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Args;
use lucarne::{Agreement, Extent, Format, FrameLayout, Request, Usage};
use lucarne_stream::{Allocate, Error, Producer, ProducerEvent, ProducerOptions};
use serde::Serialize;

use crate::canvas::{Canvas, DrawApi, Image};
use crate::cli_values::{extent_value, format_value, rate};
use crate::output::{Output, nearest};
use crate::pattern::{Drawing, Pattern};
use crate::pixels::{self, Picture};
use crate::stop::Stop;
use crate::{Answer, Failure, png_file};

/// How long a wait for a free slot lasts before Ctrl-C is looked at.
const TICK: Duration = Duration::from_millis(100);
/// What a reader that has stopped may cost.
const TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lucarne serve test                              a moving gradient, 1280x720, 60 frames a second
  lucarne serve test --pattern bars --size 1920x1080 --rate 25
  lucarne serve logo --image logo.png             a picture; its size is the stream's
  lucarne serve test --api gl                     a producer that has textures of OpenGL's
  lucarne snapshot test picture.png               in another terminal

The CPU computes each frame, and the API puts it into images of its own. So a consumer meets a producer as it would a renderer of that \
API, with its memory and modifiers; the pixels are the same whichever it is.")]
pub(crate) struct Options {
    /// The stream's name: letters, digits, `-`, `_` and `.`.
    name: String,
    /// What to draw.
    #[arg(long, value_name = "PATTERN", default_value = "gradient")]
    pattern: Pattern,
    /// Shows this PNG file instead.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["pattern", "size"])]
    image: Option<PathBuf>,
    /// The frames' size.
    #[arg(long, value_name = "WIDTHxHEIGHT", default_value = "1280x720", value_parser = extent_value)]
    size: Extent,
    /// Frames a second.
    #[arg(long, value_name = "FPS", default_value = "60", value_parser = rate)]
    rate: f64,
    /// The frames' format, instead of any of the usual 8-bit ones.
    #[arg(long, value_name = "FORMAT", value_parser = drawable)]
    format: Option<Format>,
    /// Whose images the frames are, instead of the best that opens: Vulkan, then OpenGL, then the CPU.
    #[arg(long, value_name = "API")]
    api: Option<DrawApi>,
    /// Ends after so many frames.
    #[arg(long, value_name = "COUNT")]
    frames: Option<u64>,
    /// Where the streams' sockets are. [default: $XDG_RUNTIME_DIR/lucarne]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

fn drawable(text: &str) -> Result<Format, String> {
    let format = format_value(text)?;
    if pixels::can_show(format) {
        return Ok(format);
    }
    let drawn = Format::ALL
        .iter()
        .filter(|info| pixels::can_show(info.format));
    let alike = nearest(text, drawn.map(|info| info.name)).join(", ");
    let alike = if alike.is_empty() {
        String::new()
    } else {
        format!("; such as {alike}")
    };
    Err(format!(
        "frames are drawn in formats of red, green and blue in one plane, with whole numbers{alike}"
    ))
}

#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Event {
    Started {
        name: String,
        api: DrawApi,
        device: String,
    },
    Joined {
        consumer: u64,
        device: String,
        pid: Option<u32>,
    },
    Left {
        consumer: u64,
        reason: String,
    },
    Agreed {
        width: u32,
        height: u32,
        format: String,
        rung: String,
    },
    Ended {
        frames: u64,
    },
}

pub(crate) fn run(options: &Options, output: &mut Output) -> Result<Answer, Failure> {
    let stop = Stop::on_signals()?;
    let mut scene = Scene::of(options)?;
    let size = match &scene {
        Scene::Picture(picture, _) => picture.extent,
        Scene::Pattern(_) => options.size,
    };
    let canvas = Rc::new(open(options)?);
    let mut producer = bind(options, size, &canvas)?;
    tell(
        &Event::Started {
            name: options.name.clone(),
            api: canvas.api(),
            device: canvas.offer()?.name,
        },
        output,
    )?;
    let period = Duration::from_secs_f64(1.0 / options.rate);
    let mut next = Instant::now();
    while !stop.asked() && options.frames.is_none_or(|most| producer.sequence() < most) {
        tell_all(&mut producer, output)?;
        let slot = match producer.acquire(TICK) {
            Ok(slot) => slot,
            // Nobody watches, or all slots are in use.
            Err(Error::Timeout { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        let number = producer.sequence() + 1;
        let image: &Image = slot.image();
        let seconds = to_float(number) / options.rate;
        let bytes = scene.bytes(image.frame().layout(), seconds, number);
        let done = canvas.write(image, slot.gate(), TIMEOUT, &bytes)?;
        producer.send(slot, done, lucarne_stream::now())?;
        next = (next + period).max(Instant::now());
        std::thread::sleep(next - Instant::now());
    }
    // Who has gone meanwhile is told, too.
    producer.dispatch()?;
    tell_all(&mut producer, output)?;
    let frames = producer.sequence();
    producer.end();
    tell(&Event::Ended { frames }, output)?;
    Ok(Answer::Yes)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a stream's number stays far below 2^53"
)]
fn to_float(number: u64) -> f64 {
    number as f64
}

/// What the frames show.
enum Scene {
    Pattern(Pattern),
    /// A picture, and its bytes in the format that was asked for last: every frame is the same.
    Picture(Picture, Option<(Format, Vec<u8>)>),
}

impl Scene {
    fn of(options: &Options) -> Result<Self, Failure> {
        Ok(match &options.image {
            Some(file) => Self::Picture(png_file::read(file)?, None),
            None => Self::Pattern(options.pattern),
        })
    }

    /// The bytes of a frame, rows without padding.
    fn bytes(&mut self, layout: &FrameLayout, seconds: f64, number: u64) -> Cow<'_, [u8]> {
        let (format, extent) = (layout.format(), layout.extent());
        match self {
            Self::Pattern(pattern) => {
                let drawing = Drawing::new(*pattern, extent, seconds, number);
                let paint = |at| {
                    let [red, green, blue] = drawing.colour(at).map(pixels::to_16_bits);
                    [red, green, blue, u16::MAX]
                };
                Cow::Owned(pixels::bytes(format, extent, paint))
            }
            Self::Picture(picture, drawn) => {
                if drawn.as_ref().is_none_or(|(known, _)| *known != format) {
                    let bytes = pixels::bytes(format, extent, |at| picture.premultiplied(at));
                    *drawn = Some((format, bytes));
                }
                Cow::Borrowed(drawn.as_ref().map_or(&[], |(_, bytes)| bytes))
            }
        }
    }
}

/// Says on stderr why it is not the API that would come first.
fn open(options: &Options) -> Result<Canvas, Failure> {
    let (canvas, reasons) = Canvas::open(options.api, options.format)?;
    for reason in reasons {
        writeln!(anstream::stderr(), "not with {reason}")?;
    }
    Ok(canvas)
}

fn bind(
    options: &Options,
    size: Extent,
    canvas: &Rc<Canvas>,
) -> Result<Producer<impl Allocate<Image = Image> + use<>>, Failure> {
    let offer = canvas.offer()?;
    let mut request = Request::new(size).usage(canvas.usage(), Usage::SAMPLE);
    if let Some(format) = options.format {
        request = request.formats(&[format]);
    }
    let mut settings = ProducerOptions::of(request);
    if let Some(folder) = &options.folder {
        settings = settings.directory(folder);
    }
    let canvas = Rc::clone(canvas);
    let allocate = move |agreement: &Agreement| canvas.export(agreement);
    Ok(Producer::bind(&options.name, &offer, settings, allocate)?)
}

pub(crate) fn tell_all<A: Allocate>(
    producer: &mut Producer<A>,
    output: &mut Output,
) -> Result<(), Failure> {
    while let Some(event) = producer.event() {
        let event = match event {
            ProducerEvent::Joined {
                consumer,
                credentials,
                name,
                ..
            } => Event::Joined {
                consumer,
                device: name,
                pid: credentials.pid,
            },
            ProducerEvent::Left { consumer, reason } => Event::Left {
                consumer,
                reason: reason.to_string(),
            },
            ProducerEvent::Generation {
                extent,
                format,
                rung,
                ..
            } => Event::Agreed {
                width: extent.width,
                height: extent.height,
                format: format.to_string(),
                rung: rung.to_string(),
            },
            _ => continue,
        };
        tell(&event, output)?;
    }
    Ok(())
}

fn tell(event: &Event, output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(event);
    }
    match event {
        Event::Started { name, api, device } => output.line(format_args!(
            "{name:?} is on, with {api} ({device}); Ctrl-C ends it"
        )),
        Event::Joined {
            consumer,
            device,
            pid,
        } => {
            let pid = pid
                .map(|pid| format!(", process {pid}"))
                .unwrap_or_default();
            output.line(format_args!("consumer {consumer} is here: {device}{pid}"))
        }
        Event::Left { consumer, reason } if reason.is_empty() => {
            output.line(format_args!("consumer {consumer} is gone"))
        }
        Event::Left { consumer, reason } => {
            output.line(format_args!("consumer {consumer} is gone: {reason}"))
        }
        Event::Agreed {
            width,
            height,
            format,
            rung,
        } => output.line(format_args!(
            "frames are {width}x{height}, {format}, {rung}"
        )),
        Event::Ended { frames } => output.line(format_args!("ended after {frames} frames")),
    }
}
