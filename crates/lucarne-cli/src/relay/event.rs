//! What a relay tells.

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

pub(super) fn input(source: &RedrawSource) -> Event<'static> {
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

pub(super) fn made(image: &vulkan::Image, agreement: &Agreement) -> Event<'static> {
    Event::Out {
        width: agreement.extent.width,
        height: agreement.extent.height,
        format: format_name(agreement.format),
        rung: agreement.rung.to_string(),
        copies: image.copies_per_frame(),
    }
}

pub(super) fn tell(event: &Event<'_>, output: &mut Output) -> Result<(), Failure> {
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
