//! `lucarne relay`: one stream in, another out, converted by the GPU.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Args;
use lucarne::color::ColorDescription;
use lucarne::vulkan::{self, Redraw, RedrawSource};
use lucarne::{Agreement, Extent, Format, Frame, FrameLayout, Offer, Request, Usage};
use lucarne_stream::wire::FarewellReason;
use lucarne_stream::{
    Allocate, Consumer, ConsumerEvent, ConsumerOptions, Delivery, Error, Producer, ProducerOptions,
    Received,
};
use serde::Serialize;

use crate::canvas::open_vulkan;
use crate::cli_values::{extent_value, format_value};
use crate::output::{Output, format_name, nearest, progress};
use crate::serve::tell_all;
use crate::stop::Stop;
use crate::{Answer, Failure, watch};

/// How long a wait for a frame lasts before the other side and Ctrl-C are looked at.
const TICK: Duration = Duration::from_millis(20);
/// How long lies between two looks for a stream that is gone.
const LOOK: Duration = Duration::from_millis(200);
/// What a fence that never signals may cost.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How often the rate is told.
const INTERVAL: Duration = Duration::from_secs(1);

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

#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Event<'a> {
    /// It draws with this device.
    Device {
        name: &'a str,
    },
    /// What frames come as.
    In {
        width: u32,
        height: u32,
        format: String,
        rung: String,
        copies: u32,
    },
    /// What frames go as.
    Out {
        width: u32,
        height: u32,
        format: String,
        rung: String,
        copies: u32,
    },
    Gone {
        name: &'a str,
    },
    Back {
        name: &'a str,
    },
    Rate {
        rate: f64,
        frames: u64,
        missed: u64,
    },
    Ended {
        frames: u64,
        missed: u64,
    },
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
    check(&offer, options)?;
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
    let relay = Relay {
        consumer,
        redraw,
        out,
        counts: Counts::new(),
        told: Told::default(),
    };
    relay.run(options, &stop, output)
}

/// Whether anything can be drawn in the format and size that were asked for.
fn check(offer: &Offer, options: &Options) -> Result<(), Failure> {
    let renderable = || {
        let entries = offer.standing();
        entries.filter(|entry| entry.exportable && entry.usage.contains(Usage::RENDER))
    };
    if let Some(format) = options.format
        && !renderable().any(|entry| entry.format == format)
    {
        let mut names: Vec<String> = renderable()
            .map(|entry| format_name(entry.format))
            .collect();
        names.sort();
        names.dedup();
        let alike = nearest(&format_name(format), names.iter().map(String::as_str));
        return Err(format!(
            "{} does not draw frames of {}; it does of {}",
            offer.name,
            format_name(format),
            if alike.is_empty() {
                names.join(", ")
            } else {
                alike.join(", ")
            }
        )
        .into());
    }
    let of_format =
        renderable().filter(|entry| options.format.is_none_or(|format| entry.format == format));
    let largest = of_format
        .map(|entry| entry.max_extent)
        .max_by_key(|most| most.width);
    match (options.size, largest) {
        (Some(size), Some(most)) if !size.fits(most) => Err(format!(
            "--size {size} is more than {} can draw: {most} at most",
            offer.name
        )
        .into()),
        _ => Ok(()),
    }
}

type Import = Box<dyn FnMut(&Frame) -> lucarne::Result<RedrawSource>>;

/// `None` where somebody asked to end before.
fn connect(
    options: &Options,
    folder: &std::path::Path,
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
            Err(Error::NotFound { .. }) if options.wait => std::thread::sleep(LOOK),
            Err(Error::NotFound { .. }) => {
                let not_found = watch::not_found(&options.from, folder);
                return Err(format!("{not_found}; --wait waits for it").into());
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// How the stream that is made is made.
struct Out {
    name: String,
    folder: PathBuf,
    device: vulkan::Device,
    offer: Offer,
    size: Option<Extent>,
    format: Option<Format>,
    /// Of the frames that are made next.
    color: Rc<Cell<ColorDescription>>,
}

/// What OUT's frames are to be, for a frame of IN's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wanted {
    extent: Extent,
    format: Option<Format>,
    color: ColorDescription,
}

impl Out {
    fn wanted(&self, layout: &FrameLayout) -> Wanted {
        let drawn = |format: &Format| {
            let mut entries = self.offer.standing();
            entries.any(|entry| {
                entry.format == *format && entry.exportable && entry.usage.contains(Usage::RENDER)
            })
        };
        Wanted {
            extent: self.size.unwrap_or(layout.extent()),
            format: self.format.or(Some(layout.format()).filter(drawn)),
            color: layout.color(),
        }
    }

    fn request(wanted: &Wanted) -> Request {
        let request = Request::new(wanted.extent).usage(Usage::RENDER, Usage::SAMPLE);
        match wanted.format {
            Some(format) => request.formats(&[format]),
            None => request,
        }
    }

    fn bind(&self, wanted: &Wanted) -> Result<Producer<Images>, Failure> {
        self.color.set(wanted.color);
        let settings = ProducerOptions::of(Self::request(wanted)).directory(&self.folder);
        let images = Images {
            device: self.device.clone(),
            color: Rc::clone(&self.color),
        };
        Ok(Producer::bind(&self.name, &self.offer, settings, images)?)
    }
}

/// Makes OUT's images.
struct Images {
    device: vulkan::Device,
    color: Rc<Cell<ColorDescription>>,
}

impl Allocate for Images {
    type Image = vulkan::Image;

    fn allocate(&mut self, agreement: &Agreement) -> lucarne::Result<(vulkan::Image, Frame)> {
        let image = self.device.export(agreement)?;
        let color = drawn(self.color.get(), image.frame().layout());
        let frame = image.frame().with_color(color)?;
        Ok((image, frame))
    }
}

/// What the numbers of a drawn frame mean: as they did before, but for what red, green and blue do not have.
fn drawn(from: ColorDescription, to: &FrameLayout) -> ColorDescription {
    let info = to.format_info();
    let plain = ColorDescription::default_for(info);
    let has_alpha = info.alpha && from.alpha != lucarne::color::AlphaMode::Opaque;
    ColorDescription {
        primaries: from.primaries,
        transfer: from.transfer,
        orientation: from.orientation,
        alpha: if has_alpha { from.alpha } else { plain.alpha },
        ..plain
    }
}

struct Counts {
    frames: u64,
    missed: u64,
    since: Instant,
    frames_then: u64,
}

impl Counts {
    fn new() -> Self {
        Self {
            frames: 0,
            missed: 0,
            since: Instant::now(),
            frames_then: 0,
        }
    }

    /// The rate since it was told last, if that is long ago.
    #[expect(clippy::cast_precision_loss, reason = "frames of a second")]
    fn rate(&mut self) -> Option<f64> {
        let length = self.since.elapsed();
        if length < INTERVAL {
            return None;
        }
        let frames = self.frames - self.frames_then;
        (self.since, self.frames_then) = (Instant::now(), self.frames);
        Some(frames as f64 / length.as_secs_f64())
    }
}

/// The generations that were told.
#[derive(Default)]
struct Told {
    from: u64,
    to: u64,
}

struct Relay {
    consumer: Consumer<Import>,
    redraw: Rc<Redraw>,
    out: Out,
    counts: Counts,
    told: Told,
}

impl Relay {
    fn run(
        mut self,
        options: &Options,
        stop: &Stop,
        output: &mut Output,
    ) -> Result<Answer, Failure> {
        let mut making: Option<(Producer<Images>, Wanted)> = None;
        let enough = |counts: &Counts| options.frames.is_some_and(|most| counts.frames >= most);
        while !stop.asked() && !enough(&self.counts) {
            if let Some((producer, _)) = &mut making {
                producer.dispatch()?;
                tell_all(producer, output)?;
            }
            self.tell_rate(output)?;
            match self.consumer.receive(TICK) {
                Ok(received) => self.pass_on(received, &mut making, output)?,
                Err(Error::Timeout { .. }) => {}
                Err(error) if comes_back(&error) => {
                    self.wait_for_return(options, making.as_mut(), stop, output)?;
                }
                Err(error) => return Err(error.into()),
            }
            while let Some(event) = self.consumer.event() {
                note_pauses(&event, making.as_mut());
            }
        }
        progress("");
        if let Some((producer, _)) = making {
            producer.end();
        }
        let (frames, missed) = (self.counts.frames, self.counts.missed);
        tell(&Event::Ended { frames, missed }, output)?;
        Ok(if frames > 0 { Answer::Yes } else { Answer::No })
    }

    fn tell_rate(&mut self, output: &mut Output) -> Result<(), Failure> {
        let Some(rate) = self.counts.rate() else {
            return Ok(());
        };
        let (frames, missed) = (self.counts.frames, self.counts.missed);
        if output.is_json() {
            return output.json(&Event::Rate {
                rate,
                frames,
                missed,
            });
        }
        progress(&format!("{rate:.1} frames a second, {missed} missed"));
        Ok(())
    }

    /// Draws one frame into a slot of OUT's, if there is one.
    fn pass_on(
        &mut self,
        received: Received<RedrawSource>,
        making: &mut Option<(Producer<Images>, Wanted)>,
        output: &mut Output,
    ) -> Result<(), Failure> {
        let wanted = self.out.wanted(received.frame().layout());
        let producer = match making {
            None => {
                let producer = self.out.bind(&wanted)?;
                &mut making.insert((producer, wanted)).0
            }
            Some((producer, now)) => {
                if *now != wanted {
                    *now = wanted;
                    self.out.color.set(wanted.color);
                    producer.reconfigure(Out::request(&wanted))?;
                }
                producer
            }
        };
        let (generation, timestamp) = (received.generation(), received.timestamp());
        let (reading, acquire) = received.acquire();
        let source = reading.image();
        if self.told.from != generation {
            self.told.from = generation;
            tell(&input(source), output)?;
        }
        let Some(slot) = producer.try_acquire()? else {
            // Where nobody reads OUT, nothing is missed.
            self.counts.missed += u64::from(producer.consumers() > 0);
            return Ok(reading.release(lucarne::Fence::Signaled)?);
        };
        if self.told.to != slot.generation() {
            self.told.to = slot.generation();
            tell(&made(slot.image(), slot.agreement()), output)?;
        }
        let image = slot.image();
        match self
            .redraw
            .draw(source, &acquire, image, slot.gate(), TIMEOUT)
        {
            Ok(done) => {
                producer.send(slot, done, timestamp)?;
                self.counts.frames += 1;
            }
            // A fence that does not signal in time: the frame is lost, and the next one may be better.
            Err(lucarne::Error::Timeout { .. }) => self.counts.missed += 1,
            Err(error) => return Err(error.into()),
        }
        Ok(reading.release(lucarne::Fence::Signaled)?)
    }

    /// Serves OUT's consumers, who are told that it is paused, until IN is back.
    fn wait_for_return(
        &mut self,
        options: &Options,
        mut making: Option<&mut (Producer<Images>, Wanted)>,
        stop: &Stop,
        output: &mut Output,
    ) -> Result<(), Failure> {
        progress("");
        let name = options.from.as_str();
        tell(&Event::Gone { name }, output)?;
        if let Some((producer, _)) = &mut making {
            producer.pause();
        }
        let mut next = Instant::now();
        while !stop.asked() {
            if next <= Instant::now() {
                next = Instant::now() + LOOK;
                match self.consumer.reconnect() {
                    Ok(()) => {
                        self.told.from = 0;
                        tell(&Event::Back { name }, output)?;
                        if let Some((producer, _)) = &mut making {
                            producer.resume();
                        }
                        return Ok(());
                    }
                    Err(error) if comes_back(&error) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            if let Some((producer, _)) = &mut making {
                producer.dispatch()?;
                tell_all(producer, output)?;
            }
            std::thread::sleep(TICK);
        }
        Ok(())
    }
}

/// Passes on that IN's frames stop for a while.
fn note_pauses(event: &ConsumerEvent, making: Option<&mut (Producer<Images>, Wanted)>) {
    match (event, making) {
        (ConsumerEvent::Paused, Some((producer, _))) => producer.pause(),
        (ConsumerEvent::Resumed, Some((producer, _))) => producer.resume(),
        _ => {}
    }
}

/// Whether another producer of the name would help.
fn comes_back(error: &Error) -> bool {
    match error {
        Error::Ended | Error::PeerGone | Error::NotFound { .. } => true,
        Error::Refused(farewell) => matches!(
            farewell.reason,
            FarewellReason::Ended
                | FarewellReason::TooSlow
                | FarewellReason::Resources
                | FarewellReason::Done
        ),
        // Its queue is full, as it is stopped for instance.
        Error::Os { source, .. } => source.kind() == std::io::ErrorKind::WouldBlock,
        _ => false,
    }
}

fn input(source: &RedrawSource) -> Event<'static> {
    let frame = source.frame();
    let layout = frame.layout();
    let path = frame.memory().path();
    let rung = lucarne::Rung::ALL
        .into_iter()
        .find(|rung| rung.takes(path, layout.tiling()));
    Event::In {
        width: layout.extent().width,
        height: layout.extent().height,
        format: format_name(layout.format()),
        rung: rung.map_or(path.to_string(), |rung| rung.to_string()),
        copies: source.copies_per_frame(),
    }
}

fn made(image: &vulkan::Image, agreement: &Agreement) -> Event<'static> {
    Event::Out {
        width: agreement.extent.width,
        height: agreement.extent.height,
        format: format_name(agreement.format),
        rung: agreement.rung.to_string(),
        copies: image.copies_per_frame(),
    }
}

fn tell(event: &Event<'_>, output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(event);
    }
    let copied = |copies: u32| match copies {
        0 => "no copy",
        1 => "the device copies each frame once, between its image and the CPU's memory",
        _ => "the device and the CPU copy each frame once each",
    };
    match event {
        Event::Device { name } => output.line(format_args!("drawing with {name}; Ctrl-C ends it")),
        Event::In {
            width,
            height,
            format,
            rung,
            copies,
        } => output.line(format_args!(
            "in:  {width}x{height}, {format}, {rung}; {}",
            copied(*copies)
        )),
        Event::Out {
            width,
            height,
            format,
            rung,
            copies,
        } => output.line(format_args!(
            "out: {width}x{height}, {format}, {rung}; {}",
            copied(*copies)
        )),
        Event::Gone { name } => output.line(format_args!("{name:?} is gone; waiting for it")),
        Event::Back { name } => output.line(format_args!("{name:?} is back")),
        Event::Rate { rate, .. } => output.line(format_args!("{rate:.1} frames a second")),
        Event::Ended { frames, missed } => output.line(format_args!(
            "ended after {frames} frames; {missed} were missed"
        )),
    }
}
