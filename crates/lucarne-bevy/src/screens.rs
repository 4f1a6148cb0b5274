//! Streams of others as images of Bevy's: what happens in the render world.

use std::collections::HashMap;
use std::time::Duration;

use bevy_asset::AssetId;
use bevy_asset::Assets;
use bevy_ecs::prelude::*;
use bevy_image::{Image, ImageSampler};
use bevy_log::warn;
use bevy_render::MainWorld;
use bevy_render::render_asset::RenderAssets;
use bevy_render::render_resource::Sampler;
use bevy_render::renderer::RenderDevice;
use bevy_render::texture::{DefaultImageSampler, GpuImage};
use lucarne_stream::Received;
use lucarne_wgpu::Device;

use crate::convert;
use crate::device::Sharing;
use crate::import::{Inputs, Picture};
use crate::messages::Reports;

/// How long the CPU waits for its own rendering, where no fence leaves the device.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(1);

/// What each `StreamInput` shows.
#[derive(Resource, Default)]
pub(crate) struct Screens {
    by_entity: HashMap<Entity, Screen>,
}

struct Screen {
    name: String,
    image: AssetId<Image>,
    sampler: ImageSampler,
    next: Option<Received<Picture>>,
    shown: Option<Shown>,
}

/// A frame that is on the screen. Dropping it gives it back when Bevy's commands have been submitted.
struct Shown {
    device: Device,
    received: Option<Received<Picture>>,
}

/// Fetches what the main world has received.
pub(crate) fn extract(mut main: ResMut<MainWorld>, mut screens: ResMut<Screens>) {
    main.resource_scope(|main, mut inputs: Mut<Inputs>| {
        let images = main.resource::<Assets<Image>>();
        let mut kept = HashMap::with_capacity(screens.by_entity.len());
        for (entity, component, received) in inputs.take() {
            let old = screens.by_entity.remove(&entity);
            let same =
                old.filter(|old| old.image == component.image.id() && old.name == component.name);
            let mut screen = same.unwrap_or_else(|| Screen {
                name: component.name.clone(),
                image: component.image.id(),
                sampler: ImageSampler::Default,
                next: None,
                shown: None,
            });
            if received.is_some() {
                screen.next = received;
                if let Some(image) = images.get(screen.image) {
                    screen.sampler = image.sampler.clone();
                }
            }
            kept.insert(entity, screen);
        }
        screens.by_entity = kept;
    });
}

/// Puts the new pictures where the old ones were.
pub(crate) fn show(
    sharing: Res<Sharing>,
    render_device: Res<RenderDevice>,
    default_sampler: Res<DefaultImageSampler>,
    reports: Res<Reports>,
    mut screens: ResMut<Screens>,
    mut images: ResMut<RenderAssets<GpuImage>>,
) {
    let Sharing::Open(open) = &*sharing else {
        return;
    };
    for (entity, screen) in &mut screens.by_entity {
        let Some(received) = screen.next.take() else {
            continue;
        };
        let frame = &received.image().frame;
        // The fence has signalled: nothing waits.
        let taken = open
            .device
            .acquire([frame], received.acquire_fence(), Duration::ZERO);
        if let Err(error) = taken {
            reports.refuse(*entity, &screen.name, error);
            continue;
        }
        let sampler = match &screen.sampler {
            ImageSampler::Default => (**default_sampler).clone(),
            ImageSampler::Descriptor(one) => render_device.create_sampler(&one.as_wgpu()),
        };
        images.insert(screen.image, gpu_image(received.image(), sampler));
        let shown = Shown {
            device: open.device.clone(),
            received: Some(received),
        };
        if let Some(mut before) = screen.shown.replace(shown)
            && let Err(error) = before.give_back()
        {
            reports.refuse(*entity, &screen.name, error);
        }
    }
}

fn gpu_image(picture: &Picture, sampler: Sampler) -> GpuImage {
    GpuImage {
        texture: picture.texture.clone(),
        texture_view: picture.view.clone(),
        sampler,
        texture_descriptor: convert::texture_descriptor(picture.size, picture.texture.format()),
        texture_view_descriptor: None,
        had_data: false,
    }
}

impl Shown {
    /// Gives the frame back to its producer, to be written when what Bevy has submitted has finished.
    fn give_back(&mut self) -> lucarne_stream::Result<()> {
        let Some(received) = self.received.take() else {
            return Ok(());
        };
        let fence = self.device.release([&received.image().frame], TIMEOUT)?;
        received.acquire().0.release(fence)
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if let Err(error) = self.give_back() {
            warn!("a picture could not be given back to its producer: {error}");
        }
    }
}
