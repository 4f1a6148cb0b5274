//! The producer's end of a stream: one step for each frame that Godot has drawn, and none of them waits for others.

use std::rc::Rc;
use std::time::Duration;

use godot::builtin::{Rid, Vector3};
use godot::classes::{RenderingServer, Viewport};
use godot::global::Error as GodotError;
use godot::obj::Singleton;
use godot::prelude::Gd;
use lucarne::{
    Agreement, Error, Extent, Format, Frame, MemoryPath, Request, Requirement, Usage, cpu,
};
use lucarne_stream::{Producer, ProducerEvent, ProducerOptions, Result, SlotWriting, now};

use crate::ffi::Slot;
use crate::gpu::{Gpu, Way};
use crate::watch::Told;
use crate::{convert, host, say};

/// How long a step may take where the CPU has to wait for it, on software drivers.
const TIMEOUT: Duration = Duration::from_secs(1);
/// What becomes of a slot's image: Godot copies into it, and its view of it needs a usage that views may have.
const USAGE: Usage = Usage::TRANSFER_DESTINATION.union(Usage::SAMPLE);

/// A stream that is published, on the GPU or through host memory.
pub(crate) struct Publish {
    end: End,
    /// What frames are made as now.
    shape: Shape,
    pub(crate) told: Told,
}

/// What of a viewport decides how frames are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    extent: Extent,
    /// Of the texture.
    format: Format,
    /// What its alpha is means nothing: 3D leaves 0 in the background.
    is_opaque: bool,
}

impl Shape {
    fn formats(self) -> Vec<Format> {
        convert::sent_as(self.format, self.is_opaque)
    }

    /// Whether frames are made for it.
    fn is_of(self, agreement: &Agreement) -> bool {
        agreement.extent == self.extent && self.formats().contains(&agreement.format)
    }
}

enum End {
    Gpu {
        gpu: Rc<Gpu>,
        producer: Producer<Allocates<Slot>>,
        /// One that its readers may not have left yet.
        next: Option<SlotWriting<Slot>>,
        /// One that Godot copies into in the frame that is drawn next.
        copied: Option<SlotWriting<Slot>>,
    },
    Host {
        producer: Producer<Allocates<cpu::Image>>,
        next: Option<SlotWriting<cpu::Image>>,
    },
}

type Allocates<I> = Box<dyn FnMut(&Agreement) -> lucarne::Result<(I, Frame)>>;

impl Publish {
    /// Takes the name. `None` while the viewport has nothing to show yet.
    pub(crate) fn bind(way: &Way, name: &str, viewport: &Gd<Viewport>) -> Result<Option<Self>> {
        let (end, shape) = match way {
            Way::Gpu(gpu) => {
                let Some((_, shape)) = look(gpu, viewport)? else {
                    return Ok(None);
                };
                (End::gpu(gpu, name, shape)?, shape)
            }
            Way::Host(_) => {
                let Some(shape) = host_shape(viewport) else {
                    return Ok(None);
                };
                (End::host(name, shape)?, shape)
            }
        };
        Ok(Some(Self {
            end,
            shape,
            told: Told::default(),
        }))
    }

    pub(crate) fn consumers(&self) -> usize {
        match &self.end {
            End::Gpu { producer, .. } => producer.consumers(),
            End::Host { producer, .. } => producer.consumers(),
        }
    }

    /// Tells consumers that no more frames come.
    pub(crate) fn end(self) {
        match self.end {
            End::Gpu { producer, .. } => producer.end(),
            End::Host { producer, .. } => producer.end(),
        }
    }

    /// What has happened, oldest first.
    pub(crate) fn events(&mut self) -> Vec<ProducerEvent> {
        let next = || match &mut self.end {
            End::Gpu { producer, .. } => producer.event(),
            End::Host { producer, .. } => producer.event(),
        };
        std::iter::from_fn(next).collect()
    }

    /// After Godot has drawn a frame: sends what was copied in it, and has the next one copied. Says whether one was sent.
    pub(crate) fn step(&mut self, viewport: &Gd<Viewport>) -> Result<bool> {
        match &mut self.end {
            End::Gpu {
                gpu,
                producer,
                next,
                copied,
            } => {
                let sent = match copied.take() {
                    Some(slot) => {
                        let fence = slot.image().give(TIMEOUT)?;
                        producer.send(slot, fence, now())?;
                        true
                    }
                    None => false,
                };
                producer.dispatch()?;
                let Some((texture, shape)) = look(gpu, viewport)? else {
                    return Ok(sent);
                };
                if shape != self.shape {
                    self.shape = shape;
                    *next = None;
                    producer.reconfigure(request(shape, USAGE))?;
                }
                *copied = copy(gpu, producer, next, texture, shape, &mut self.told)?;
                Ok(sent)
            }
            End::Host { producer, next } => {
                producer.dispatch()?;
                upload(producer, next, &mut self.shape, viewport, &mut self.told)
            }
        }
    }
}

impl End {
    fn gpu(gpu: &Rc<Gpu>, name: &str, shape: Shape) -> Result<Self> {
        let mut offer = gpu.device.offer(USAGE)?;
        offer.name = format!("Godot: {}", offer.name);
        // Godot's copy ends at the image: nothing copies further to host memory.
        let in_place = gpu.device.host_memory_in_place();
        if !in_place.is_yes() {
            let is_host = |path| path == MemoryPath::HostMemory;
            offer.entries.retain(|entry| !is_host(entry.path));
            let mut paths = offer.paths.iter_mut();
            if let Some((_, support)) = paths.find(|(path, _)| is_host(*path)) {
                *support = in_place;
            }
        }
        let makes = Rc::clone(gpu);
        let allocate: Allocates<Slot> = Box::new(move |agreement| {
            let slot = Slot::new(&makes.godot, &makes.device, agreement)?;
            let frame = slot.frame()?.clone();
            Ok((slot, frame))
        });
        let options = ProducerOptions::of(request(shape, USAGE));
        Ok(Self::Gpu {
            gpu: Rc::clone(gpu),
            producer: Producer::bind(name, &offer, options, allocate)?,
            next: None,
            copied: None,
        })
    }

    fn host(name: &str, shape: Shape) -> Result<Self> {
        let device = host::open()?;
        let mut offer = host::offer(&device, Usage::RENDER)?;
        offer.name = format!("Godot: {}", offer.name);
        let allocate: Allocates<cpu::Image> = Box::new(move |agreement| {
            let image = device.export(agreement)?;
            let frame = image.frame().clone();
            Ok((image, frame))
        });
        let options = ProducerOptions::of(request(shape, Usage::RENDER));
        Ok(Self::Host {
            producer: Producer::bind(name, &offer, options, allocate)?,
            next: None,
        })
    }
}

/// The slot that is waited for, or a free one. `None` while nobody watches, or all are with their readers.
fn slot<I>(
    producer: &mut Producer<Allocates<I>>,
    next: &mut Option<SlotWriting<I>>,
) -> Result<Option<SlotWriting<I>>> {
    if producer.consumers() == 0 {
        *next = None;
        return Ok(None);
    }
    next.take()
        .map_or_else(|| producer.try_acquire(), |slot| Ok(Some(slot)))
}

/// Has Godot copy the viewport's texture into the next slot, with its next frame. `None` where there is no slot to copy into now.
fn copy(
    gpu: &Gpu,
    producer: &mut Producer<Allocates<Slot>>,
    next: &mut Option<SlotWriting<Slot>>,
    texture: Rid,
    shape: Shape,
    told: &mut Told,
) -> Result<Option<SlotWriting<Slot>>> {
    let Some(slot) = slot(producer, next)? else {
        return Ok(None);
    };
    if !shape.is_of(slot.agreement()) {
        // Of a generation before the viewport changed.
        return Ok(None);
    }
    note(told, &slot, 1);
    if !slot.gate().is_signaled()? || !slot.image().is_idle()? {
        *next = Some(slot);
        return Ok(None);
    }
    slot.image().take(slot.gate(), TIMEOUT)?;
    let length = |side: u32| {
        // Far below the limit up to which a float counts whole pixels.
        #[expect(clippy::cast_precision_loss, reason = "at most 65536")]
        let length = side as f32;
        length
    };
    let size = Vector3::new(length(shape.extent.width), length(shape.extent.height), 1.0);
    let mut godot = gpu.godot.clone();
    let target = slot.image().rid();
    let answer = godot.texture_copy(
        texture,
        target,
        Vector3::ZERO,
        Vector3::ZERO,
        size,
        0,
        0,
        0,
        0,
    );
    if answer != GodotError::OK {
        // The image goes back without a new picture; it is not sent.
        let _not_sent = slot.image().give(TIMEOUT)?;
        return Err(refused(format!("RenderingDevice.texture_copy answered {answer:?}")).into());
    }
    Ok(Some(slot))
}

/// Reads the viewport back and writes it into the next slot; says whether it was sent.
fn upload(
    producer: &mut Producer<Allocates<cpu::Image>>,
    next: &mut Option<SlotWriting<cpu::Image>>,
    shape: &mut Shape,
    viewport: &Gd<Viewport>,
    told: &mut Told,
) -> Result<bool> {
    let now_is = host_shape(viewport).unwrap_or(*shape);
    if now_is != *shape {
        *shape = now_is;
        *next = None;
        producer.reconfigure(request(now_is, Usage::RENDER))?;
    }
    let Some(slot) = slot(producer, next)? else {
        return Ok(false);
    };
    if !shape.is_of(slot.agreement()) {
        return Ok(false);
    }
    // Godot's reading back, and the CPU's.
    note(told, &slot, 2);
    if !slot.gate().is_signaled()? {
        *next = Some(slot);
        return Ok(false);
    }
    let image = viewport
        .get_texture()
        .and_then(|texture| texture.get_image());
    let Some(mut image) = image.filter(|image| host::extent(image) == shape.extent) else {
        return Ok(false);
    };
    let fence = host::write(slot.image(), slot.gate(), TIMEOUT, &mut image)?;
    producer.send(slot, fence, now())?;
    Ok(true)
}

/// Sentences are made once for each generation.
fn note<I>(told: &mut Told, slot: &SlotWriting<I>, copies: i64) {
    if told.generation == slot.generation() {
        return;
    }
    let agreement = slot.agreement();
    *told = Told {
        generation: slot.generation(),
        path: Some(agreement.path()),
        copies,
        fences: agreement.acquire.to_string(),
        reason: say::refused(&agreement.refused),
    };
}

fn request(shape: Shape, producer: Usage) -> Request {
    Request::new(shape.extent)
        .formats(&shape.formats())
        .usage(producer, Usage::SAMPLE)
}

/// The texture that a viewport is drawn into, and what it is; `None` before the first drawing.
fn look(gpu: &Gpu, viewport: &Gd<Viewport>) -> Result<Option<(Rid, Shape)>> {
    let Some(texture) = viewport.get_texture() else {
        return Ok(None);
    };
    let rid = RenderingServer::singleton().texture_get_rd_texture(texture.get_rid());
    if rid.is_invalid() {
        return Ok(None);
    }
    let mut godot = gpu.godot.clone();
    let Some(is) = godot.texture_get_format(rid) else {
        return Ok(None);
    };
    let Some(format) = convert::format(is.get_format()) else {
        let problem = format!("of a format that no stream has ({:?})", is.get_format());
        return Err(refused(problem).into());
    };
    let extent = Extent::new(is.get_width(), is.get_height());
    let is_opaque = !viewport.has_transparent_background();
    let shape = Shape {
        extent,
        format,
        is_opaque,
    };
    Ok(Some((rid, shape)))
}

fn host_shape(viewport: &Gd<Viewport>) -> Option<Shape> {
    let size = viewport.get_texture()?.get_size();
    let side = |length: f32| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a texture's size is a small whole number"
        )]
        let side = length.max(0.0) as u32;
        side
    };
    let extent = Extent::new(side(size.x), side(size.y));
    let shape = Shape {
        extent,
        format: Format::ABGR8888,
        is_opaque: !viewport.has_transparent_background(),
    };
    (extent.width > 0 && extent.height > 0).then_some(shape)
}

fn refused(problem: String) -> Error {
    Error::Unsupported {
        what: "publishing the viewport's texture".to_owned(),
        missing: vec![Requirement::other(problem)],
    }
}
