//! Bevy's cameras as streams for others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bevy_camera::{ManualTextureViewHandle, NormalizedRenderTarget, Projection, RenderTarget};
use bevy_ecs::prelude::*;
use bevy_log::info;
use bevy_math::UVec2;
use bevy_render::Extract;
use bevy_render::camera::ExtractedCamera;
use bevy_render::sync_world::RenderEntity;
use bevy_render::texture::{ManualTextureView, ManualTextureViews};
use bevy_render::view::ViewTarget;
use lucarne_stream::{Allocate, Error, Producer, ProducerEvent, SlotWriting};
use lucarne_wgpu::lucarne::{self, Agreement, Frame, Request, Usage};

use crate::convert;
use crate::device::{Open, Sharing};
use crate::import::Picture;
use crate::messages::{Reports, StreamWatched};
use crate::plugin::Settings;
use crate::screens::TIMEOUT;

/// How long lies between two tries to have a name.
const LATER: Duration = Duration::from_secs(1);

/// Publishes what a camera sees as a stream: it renders into the stream's frames, at their size, and not into a window.
///
/// While nobody watches it is not rendered. The stream begins with the component and ends with it.
#[derive(Component, Clone, Debug, PartialEq, Eq)]
pub struct StreamOutput {
    /// The stream. Each name has one producer at a time.
    pub name: String,
    /// Of the frames, in pixels. It may be changed while the stream runs.
    pub size: UVec2,
}

impl StreamOutput {
    /// Frames of this size in pixels.
    pub fn new(name: impl Into<String>, size: UVec2) -> Self {
        let name = name.into();
        Self { name, size }
    }
}

/// Cameras with a stream have its size, and no window.
pub(crate) fn aim(
    mut cameras: Query<
        (&StreamOutput, &mut RenderTarget, Option<&mut Projection>),
        Changed<StreamOutput>,
    >,
) {
    for (output, mut target, projection) in &mut cameras {
        // The render world knows the texture of each frame.
        *target = RenderTarget::None { size: output.size };
        // Bevy computes anew what depends on the size.
        if let Some(mut projection) = projection {
            projection.set_changed();
        }
    }
}

/// Tells each of them why nothing can be shared, where that is so: there may be no render world.
pub(crate) fn refuse(
    sharing: Res<Sharing>,
    reports: Res<Reports>,
    components: Query<(Entity, &StreamOutput)>,
) {
    if let Sharing::Refused(reason) = &*sharing {
        for (entity, component) in &components {
            reports.refuse(entity, &component.name, reason);
        }
    }
}

struct Allocator(lucarne_wgpu::Device);

impl Allocate for Allocator {
    type Image = Picture;

    fn allocate(&mut self, agreement: &Agreement) -> lucarne::Result<(Picture, Frame)> {
        let frame = self.0.export(agreement)?.frame().clone();
        // Bevy draws light, which this texture encodes.
        let drawn = self.0.import_srgb(&frame, Usage::RENDER)?;
        Ok((Picture::new(drawn), frame))
    }
}

/// What a `StreamOutput` has become.
struct Output {
    component: StreamOutput,
    camera: Entity,
    open: Arc<Open>,
    producer: Option<Mutex<Producer<Allocator>>>,
    /// Which size the producer was asked for.
    size: UVec2,
    /// No try to have the name before.
    not_before: Instant,
    /// A slot that others may still be reading.
    waiting: Option<SlotWriting<Picture>>,
    /// A slot that is Bevy's to draw into.
    taken: Option<SlotWriting<Picture>>,
    /// Bevy was told to draw into it in this frame.
    aimed: bool,
    consumers: usize,
    handle: ManualTextureViewHandle,
}

/// All of them.
#[derive(Resource, Default)]
pub(crate) struct Outputs {
    by_entity: HashMap<Entity, Output>,
    handles: u32,
}

/// Fetches the components.
pub(crate) fn extract(
    components: Extract<Query<(Entity, RenderEntity, &StreamOutput)>>,
    sharing: Res<Sharing>,
    reports: Res<Reports>,
    mut outputs: ResMut<Outputs>,
) {
    let outputs = &mut *outputs;
    outputs.by_entity.retain(|entity, output| {
        let there = components.get(*entity);
        let same = there.is_ok_and(|(_, _, there)| there.name == output.component.name);
        let stays =
            same && matches!(&*sharing, Sharing::Open(open) if Arc::ptr_eq(open, &output.open));
        if !stays {
            reports.forget(*entity);
        }
        stays
    });
    let Sharing::Open(open) = &*sharing else {
        return;
    };
    for (entity, camera, component) in &components {
        let output = outputs.by_entity.entry(entity).or_insert_with(|| {
            outputs.handles += 1;
            Output::new(component, camera, open, outputs.handles)
        });
        output.camera = camera;
        output.component.size = component.size;
    }
}

/// Gives each camera the texture of a slot to draw into. One without is not rendered.
pub(crate) fn take(
    settings: Res<Settings>,
    reports: Res<Reports>,
    mut outputs: ResMut<Outputs>,
    mut cameras: Query<&mut ExtractedCamera>,
    mut views: ResMut<ManualTextureViews>,
) {
    for (entity, output) in &mut outputs.by_entity {
        let camera = cameras.get_mut(output.camera);
        let taken = output.serve(*entity, &settings, &reports, camera.is_ok());
        output.aimed = false;
        match taken {
            Ok(Some(view)) => {
                views.insert(output.handle, view);
                output.aimed = true;
            }
            Ok(None) => drop(views.remove(&output.handle)),
            Err(error) => {
                views.remove(&output.handle);
                output.fail(*entity, &reports, &error);
            }
        }
        if let Ok(mut camera) = camera {
            camera.target = Some(NormalizedRenderTarget::TextureView(output.handle));
        }
    }
}

/// Sends what the cameras have drawn.
pub(crate) fn send(
    reports: Res<Reports>,
    mut outputs: ResMut<Outputs>,
    targets: Query<&ViewTarget>,
) {
    for (entity, output) in &mut outputs.by_entity {
        // Pipelines that are still compiled have drawn nothing.
        let drawn = targets
            .get(output.camera)
            .is_ok_and(ViewTarget::needs_present);
        if output.aimed
            && drawn
            && let Err(error) = output.publish()
        {
            output.fail(*entity, &reports, &error);
        }
    }
}

impl Output {
    fn new(component: &StreamOutput, camera: Entity, open: &Arc<Open>, number: u32) -> Self {
        Self {
            component: component.clone(),
            camera,
            open: Arc::clone(open),
            producer: None,
            size: component.size,
            not_before: Instant::now(),
            waiting: None,
            taken: None,
            aimed: false,
            consumers: 0,
            // Far from those that programs choose.
            handle: ManualTextureViewHandle(u32::MAX - number),
        }
    }

    fn request(&self) -> Request {
        Request::new(convert::extent(self.component.size)).formats(&convert::DRAWN)
    }

    fn bind(&mut self, settings: &Settings) -> Result<(), Error> {
        let options = settings.producer(self.request());
        let allocator = Allocator(self.open.device.clone());
        let name = &self.component.name;
        let producer = Producer::bind(name, &self.open.drawn, options, allocator)?;
        self.size = self.component.size;
        self.producer = Some(Mutex::new(producer));
        Ok(())
    }

    /// Serves the stream's consumers. Gives a texture to draw into, if somebody watches and `renders` says that the camera will.
    fn serve(
        &mut self,
        entity: Entity,
        settings: &Settings,
        reports: &Reports,
        renders: bool,
    ) -> Result<Option<ManualTextureView>, Error> {
        if self.producer.is_none() {
            if Instant::now() < self.not_before {
                return Ok(None);
            }
            self.bind(settings)?;
            reports.forget(entity);
        }
        if self.size != self.component.size {
            let request = self.request();
            self.size = self.component.size;
            self.producer()?.reconfigure(request)?;
        }
        self.producer()?.dispatch()?;
        self.listen(entity, reports)?;
        if self.consumers == 0 || !renders {
            return Ok(None);
        }
        self.take_slot()?;
        Ok(self.taken.as_ref().map(|slot| ManualTextureView {
            texture_view: slot.image().view.clone(),
            size: slot.image().size,
            view_format: slot.image().texture.format(),
        }))
    }

    /// The producer; there is one wherever this is asked for.
    fn producer(&mut self) -> Result<&mut Producer<Allocator>, Error> {
        let producer = self.producer.as_mut().ok_or(Error::PeerGone)?;
        Ok(producer.get_mut().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the stream has to tell.
    fn listen(&mut self, entity: Entity, reports: &Reports) -> Result<(), Error> {
        let name = self.component.name.clone();
        while let Some(event) = self.producer()?.event() {
            match event {
                ProducerEvent::Left { reason, .. } => {
                    info!("stream {name:?}: a consumer left: {reason}")
                }
                ProducerEvent::Generation {
                    extent,
                    format,
                    rung,
                    ..
                } => {
                    info!("stream {name:?}: {extent} {format} by {rung}");
                }
                _ => {}
            }
        }
        let consumers = self.producer()?.consumers();
        if std::mem::replace(&mut self.consumers, consumers) != consumers {
            reports.watch(StreamWatched {
                entity,
                name,
                consumers,
            });
        }
        Ok(())
    }

    /// Takes a slot for Bevy, unless it has one or all are with others: then the camera is not rendered this time, as Bevy's queue
    /// waits for no fences, and the game is not to wait either.
    fn take_slot(&mut self) -> Result<(), Error> {
        // After a resize.
        let wanted = self.size;
        let fits = |slot: &SlotWriting<Picture>| slot.image().size == wanted;
        if let Some(slot) = self.taken.take_if(|slot| !fits(slot)) {
            // It is sent to nobody, and its next writer is this device.
            let _ = self.open.device.release([&slot.image().frame], TIMEOUT)?;
        }
        if self.taken.is_some() {
            return Ok(());
        }
        let slot = match self.waiting.take() {
            Some(slot) => Some(slot),
            None => self.producer()?.try_acquire()?,
        };
        let Some(slot) = slot.filter(fits) else {
            return Ok(());
        };
        if !slot.gate().is_signaled()? {
            self.waiting = Some(slot);
            return Ok(());
        }
        let frame = &slot.image().frame;
        self.open
            .device
            .acquire([frame], slot.gate(), Duration::ZERO)?;
        self.taken = Some(slot);
        Ok(())
    }

    /// Sends the slot that Bevy has drawn into.
    fn publish(&mut self) -> Result<(), Error> {
        let Some(slot) = self.taken.take() else {
            return Ok(());
        };
        let fence = self.open.device.release([&slot.image().frame], TIMEOUT)?;
        self.producer()?.send(slot, fence, lucarne_stream::now())?;
        Ok(())
    }

    /// Begins anew, a little later.
    fn fail(&mut self, entity: Entity, reports: &Reports, error: &Error) {
        reports.refuse(entity, &self.component.name, error);
        self.stop();
        self.not_before = Instant::now() + LATER;
    }

    /// Ends the stream.
    fn stop(&mut self) {
        self.waiting = None;
        self.taken = None;
        self.aimed = false;
        if let Some(producer) = self.producer.take() {
            producer
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner)
                .end();
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.stop();
    }
}
