//! Both ends of a stream, with a device's images in the slots.

use std::ffi::CString;
use std::sync::{Arc, Mutex, PoisonError};

use lucarne::color::ColorDescription;
use lucarne::negotiate::Rung;
use lucarne::{Agreement, Extent, Format, Frame, Usage};
use lucarne_stream::{Allocate, ConsumerEvent, Import, ProducerEvent};

use crate::convert;
use crate::device::Device;
use crate::ffi::{
    LUCARNE_EVENT_ENDED, LUCARNE_EVENT_GENERATION, LUCARNE_EVENT_IMPORT_FAILED,
    LUCARNE_EVENT_JOINED, LUCARNE_EVENT_LEFT, LUCARNE_EVENT_LOST, LUCARNE_EVENT_PAUSED,
    LUCARNE_EVENT_RESUMED, lucarne_event_info, lucarne_image, lucarne_reasons,
};
use crate::reasons;
use crate::text::c_text;

/// Which colours a producer's frames have from the next generation on; `None` for their format's default.
#[derive(Clone, Debug)]
pub(crate) struct Colors(Arc<Mutex<Option<ColorDescription>>>);

impl Colors {
    pub(crate) fn new(color: Option<ColorDescription>) -> Self {
        Self(Arc::new(Mutex::new(color)))
    }

    /// Tells what was asked for before.
    pub(crate) fn set(&self, color: Option<ColorDescription>) -> Option<ColorDescription> {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *asked, color)
    }

    fn asked(&self) -> Option<ColorDescription> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a producer's images with its device.
#[derive(Debug)]
pub(crate) struct Exporter {
    pub(crate) device: Device,
    pub(crate) colors: Colors,
}

impl Allocate for Exporter {
    type Image = lucarne_image;

    fn allocate(&mut self, agreement: &Agreement) -> lucarne::Result<(lucarne_image, Frame)> {
        let image = self.device.export(agreement)?;
        let frame = match self.colors.asked() {
            Some(color) => image.frame().with_color(color)?,
            None => image.frame().clone(),
        };
        Ok((lucarne_image::with_frame(image, &frame), frame))
    }
}

/// Imports a consumer's frames into its device.
#[derive(Debug)]
pub(crate) struct Importer {
    pub(crate) device: Device,
    pub(crate) usage: Usage,
}

impl Import for Importer {
    type Image = lucarne_image;

    fn import(&mut self, frame: &Frame) -> lucarne::Result<lucarne_image> {
        let image = self.device.import(frame, self.usage)?;
        Ok(lucarne_image::new(image))
    }
}

/// Something that happened to a stream, as C reads it.
#[derive(Debug, Default)]
pub(crate) struct Event {
    pub(crate) info: lucarne_event_info,
    /// The reason, or the name of who came.
    pub(crate) text: CString,
    /// Why better rungs were refused.
    pub(crate) refused: lucarne_reasons,
    /// What the frames' numbers mean, of a consumer's generation.
    pub(crate) color: Option<ColorDescription>,
}

impl Event {
    fn of(kind: u32, text: &str) -> Self {
        Self {
            info: lucarne_event_info {
                kind,
                ..lucarne_event_info::default()
            },
            text: c_text(text),
            refused: lucarne_reasons::default(),
            color: None,
        }
    }

    /// What both ends are told of one.
    fn generation(number: u64, extent: Extent, format: Format, rung: Rung) -> Self {
        let mut event = Self::of(LUCARNE_EVENT_GENERATION, "");
        event.info.generation = number;
        event.info.width = extent.width;
        event.info.height = extent.height;
        event.info.format = format.fourcc();
        event.info.rung = u32::from(rung.number());
        event
    }

    /// `None` for one that C has no word for.
    pub(crate) fn of_producer(event: ProducerEvent) -> Option<Self> {
        Some(match event {
            ProducerEvent::Joined {
                consumer,
                credentials,
                name,
                delivery,
            } => {
                let mut event = Self::of(LUCARNE_EVENT_JOINED, &name);
                event.info.consumer = consumer;
                event.info.pid = credentials.pid.unwrap_or_default();
                event.info.delivery = convert::delivery_code(delivery);
                event
            }
            ProducerEvent::Left { consumer, reason } => {
                let mut event = Self::of(LUCARNE_EVENT_LEFT, &reason);
                event.info.consumer = consumer;
                event
            }
            ProducerEvent::Generation {
                number,
                extent,
                format,
                rung,
            } => Self::generation(number, extent, format, rung),
            _ => return None,
        })
    }

    /// `None` for one that C has no word for.
    pub(crate) fn of_consumer(event: ConsumerEvent) -> Option<Self> {
        Some(match event {
            ConsumerEvent::Generation {
                number,
                extent,
                format,
                rung,
                color,
                refused,
                needs_trust,
                acquire,
                release,
                ..
            } => {
                let mut event = Self::generation(number, extent, format, rung);
                event.info.needs_trust = u32::from(needs_trust);
                event.info.acquire_fence = convert::fence_path(&acquire);
                event.info.release_fence = convert::fence_path(&release);
                event.refused = lucarne_reasons::new(reasons::lines(&refused));
                event.color = Some(color);
                event
            }
            ConsumerEvent::ImportFailed { number, reason } => {
                let mut event = Self::of(LUCARNE_EVENT_IMPORT_FAILED, &reason);
                event.info.generation = number;
                event
            }
            ConsumerEvent::Paused => Self::of(LUCARNE_EVENT_PAUSED, ""),
            ConsumerEvent::Resumed => Self::of(LUCARNE_EVENT_RESUMED, ""),
            ConsumerEvent::Ended => Self::of(LUCARNE_EVENT_ENDED, ""),
            ConsumerEvent::Lost { reason } => Self::of(LUCARNE_EVENT_LOST, &reason),
            _ => return None,
        })
    }
}
