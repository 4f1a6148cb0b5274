//! What a relay tells.

use std::fmt;

use lucarne::Agreement;
use lucarne::vulkan::{self, RedrawSource};
use serde::Serialize;

use crate::Failure;
use crate::output::{Output, format_name};

#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum Event<'a> {
    /// It draws with this device.
    Device {
        name: &'a str,
    },
    /// What frames come as.
    In(Frames),
    /// What frames go as.
    Out(Frames),
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

/// What a stream's frames are, and how often the device copies each.
#[derive(Debug, Serialize)]
pub(super) struct Frames {
    width: u32,
    height: u32,
    format: String,
    rung: String,
    copies: u32,
}

impl fmt::Display for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let copied = match self.copies {
            0 => "no copy",
            1 => "the device copies each frame once, between its image and the CPU's memory",
            _ => "the device and the CPU copy each frame once each",
        };
        let Self {
            width,
            height,
            format,
            rung,
            ..
        } = self;
        write!(f, "{width}x{height}, {format}, {rung}; {copied}")
    }
}

pub(super) fn input(source: &RedrawSource) -> Event<'static> {
    let frame = source.frame();
    let layout = frame.layout();
    let path = frame.memory().path();
    let rung = lucarne::Rung::ALL
        .into_iter()
        .find(|rung| rung.takes(path, layout.tiling()));
    Event::In(Frames {
        width: layout.extent().width,
        height: layout.extent().height,
        format: format_name(layout.format()),
        rung: rung.map_or(path.to_string(), |rung| rung.to_string()),
        copies: source.copies_per_frame(),
    })
}

pub(super) fn made(image: &vulkan::Image, agreement: &Agreement) -> Event<'static> {
    Event::Out(Frames {
        width: agreement.extent.width,
        height: agreement.extent.height,
        format: format_name(agreement.format),
        rung: agreement.rung.to_string(),
        copies: image.copies_per_frame(),
    })
}

pub(super) fn tell(event: &Event<'_>, output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(event);
    }
    match event {
        Event::Device { name } => output.line(format_args!("drawing with {name}; Ctrl-C ends it")),
        Event::In(frames) => output.line(format_args!("in:  {frames}")),
        Event::Out(frames) => output.line(format_args!("out: {frames}")),
        Event::Gone { name } => output.line(format_args!("{name:?} is gone; waiting for it")),
        Event::Back { name } => output.line(format_args!("{name:?} is back")),
        Event::Rate { rate, .. } => output.line(format_args!("{rate:.1} frames a second")),
        Event::Ended { frames, missed } => output.line(format_args!(
            "ended after {frames} frames; {missed} were missed"
        )),
    }
}
