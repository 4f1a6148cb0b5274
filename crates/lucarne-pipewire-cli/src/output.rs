//! What is told, in words or as JSON.

use std::io::Write as _;

use lucarne_pipewire::{Event, Negotiated};
use serde::Serialize;

use crate::Failure;

pub(crate) struct Output {
    json: bool,
}

/// What happens on the way.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Told<'a> {
    /// What was agreed on with PipeWire, and how often a frame is copied for it.
    Negotiated {
        path: &'a str,
        format: String,
        tiling: String,
        width: u32,
        height: u32,
        copies: u32,
    },
    /// Something else that the node went through.
    Node { text: String },
    /// The stream is gone, or back.
    Stream { name: &'a str, there: bool },
    Ended {
        frames: u64,
        missed: u64,
        copied: u64,
    },
}

impl Told<'_> {
    pub(crate) fn negotiated(now: &Negotiated, copies: u32) -> Self {
        Told::Negotiated {
            path: now.path.name(),
            format: now
                .format
                .info()
                .map_or_else(|| now.format.to_string(), |info| info.name.to_owned()),
            tiling: now.tiling.to_string(),
            width: now.extent.width,
            height: now.extent.height,
            copies,
        }
    }

    /// What need not be told: that a node is linked shows in the graph.
    pub(crate) fn of(event: &Event) -> Option<Self> {
        let text = match event {
            Event::Connected { daemon } => format!("connected to PipeWire {daemon}"),
            Event::NoDaemon { reason } => format!("{reason}; looking for it"),
            Event::Lost { reason } => format!("{reason}; looking for it"),
            Event::Struck(strike) => format!(
                "struck out: {} {}: {}",
                strike.path,
                strike
                    .format
                    .map_or_else(String::new, |format| format.to_string()),
                strike.reason
            ),
            Event::Refused { reason } | Event::Failed { reason } => reason.clone(),
            Event::BadBuffer(error) => format!("a buffer was refused: {error}"),
            _ => return None,
        };
        Some(Told::Node { text })
    }

    fn text(&self) -> String {
        match self {
            Told::Negotiated {
                path,
                format,
                tiling,
                width,
                height,
                copies,
            } => {
                let copies = match copies {
                    0 => "without a copy".to_owned(),
                    1 => "copied once".to_owned(),
                    more => format!("copied {more} times"),
                };
                format!("{width}x{height} {format}, {tiling}, {path}, {copies}")
            }
            Told::Node { text } => text.clone(),
            Told::Stream { name, there: true } => format!("stream {name:?} is there"),
            Told::Stream { name, there: false } => {
                format!("stream {name:?} is gone; waiting for it")
            }
            Told::Ended {
                frames,
                missed,
                copied,
            } => format!("{frames} frames, {missed} missed, {copied} copied"),
        }
    }
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    pub(crate) fn tell(&mut self, told: &Told<'_>) -> Result<(), Failure> {
        let mut out = anstream::stdout();
        if self.json {
            writeln!(out, "{}", serde_json::to_string(told)?)?;
        } else {
            writeln!(out, "{}", told.text())?;
        }
        out.flush()?;
        Ok(())
    }
}
