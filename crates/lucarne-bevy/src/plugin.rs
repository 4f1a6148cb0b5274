//! The plugin: its systems, and where they stand among Bevy's.

use std::path::PathBuf;
use std::time::Duration;

use bevy_app::{App, First, Last, Plugin, PostUpdate, SubApp};
use bevy_camera::CameraUpdateSystems;
use bevy_ecs::prelude::*;
use bevy_log::warn;
use bevy_render::render_asset::prepare_assets;
use bevy_render::renderer::raw_vulkan_init::RawVulkanInitSettings;
use bevy_render::texture::GpuImage;
use bevy_render::{ExtractSchedule, Render, RenderApp, RenderPlugin, RenderSystems};
use lucarne_stream::{ConsumerOptions, Delivery, ProducerOptions};
use lucarne_wgpu::lucarne::Request;

use crate::device::{self, Sharing};
use crate::export::{self, Outputs};
use crate::import::{self, Inputs};
use crate::messages::{self, Reports};
use crate::screens::{self, Screens};
use crate::{StreamArrived, StreamLost, StreamRefused, StreamResized, StreamWatched, ffi};

/// Makes [`StreamOutput`](crate::StreamOutput) and [`StreamInput`](crate::StreamInput) work.
///
/// Add it before `DefaultPlugins`: it adds to the extensions with which Bevy opens its Vulkan device. Added after them, or with
/// a device of one's own (`RenderCreation::Manual`), it works with what that device has, and the log says what is missing:
/// [`lucarne_wgpu::device_extensions`] lists what a device can be given.
#[derive(Clone, Debug, Default)]
pub struct LucarnePlugin {
    /// The folder of the streams' sockets, instead of [`lucarne_stream::directory`].
    pub directory: Option<PathBuf>,
    /// How long a consumer may keep the camera of a [`StreamOutput`](crate::StreamOutput) waiting before it is cut off, instead of
    /// what [`ProducerOptions`] say.
    pub patience: Option<Duration>,
}

/// The same, for the systems. Both worlds have it.
#[derive(Resource, Clone)]
pub(crate) struct Settings(pub(crate) LucarnePlugin);

impl Settings {
    pub(crate) fn producer(&self, request: Request) -> ProducerOptions {
        let mut options = ProducerOptions::of(request);
        if let Some(folder) = &self.0.directory {
            options = options.directory(folder);
        }
        if let Some(patience) = self.0.patience {
            options = options.patience(patience);
        }
        options
    }

    pub(crate) fn consumer(&self) -> ConsumerOptions {
        let options = ConsumerOptions::new(Delivery::Latest);
        match &self.0.directory {
            Some(folder) => options.directory(folder),
            None => options,
        }
    }
}

/// When streams are looked at in the main world.
#[derive(SystemSet, Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Receive;

impl Plugin for LucarnePlugin {
    fn build(&self, app: &mut App) {
        if app.is_plugin_added::<RenderPlugin>() {
            warn!(
                "LucarnePlugin was added after RenderPlugin, which has opened the device without what sharing needs"
            );
        }
        let mut settings = app
            .world_mut()
            .get_resource_or_init::<RawVulkanInitSettings>();
        ffi::add_extensions(&mut settings);
        app.init_resource::<Sharing>()
            .init_resource::<Inputs>()
            .init_resource::<Reports>()
            .insert_resource(Settings(self.clone()))
            .add_message::<StreamArrived>()
            .add_message::<StreamResized>()
            .add_message::<StreamLost>()
            .add_message::<StreamRefused>()
            .add_message::<StreamWatched>()
            .add_systems(First, (device::open, messages::tell).chain())
            .add_systems(
                PostUpdate,
                (export::aim.before(CameraUpdateSystems), export::refuse),
            )
            .add_systems(Last, import::receive.in_set(Receive));
    }

    // RenderPlugin, which makes the render world, may be built after this one.
    fn finish(&self, app: &mut App) {
        let reports = app.world().resource::<Reports>().clone();
        if let Some(render) = app.get_sub_app_mut(RenderApp) {
            add_to_render_world(render, reports, Settings(self.clone()));
        }
    }
}

fn add_to_render_world(render: &mut SubApp, reports: Reports, settings: Settings) {
    render
        .insert_resource(reports)
        .insert_resource(settings)
        .init_resource::<Sharing>()
        .init_resource::<Outputs>()
        .init_resource::<Screens>()
        .add_systems(
            ExtractSchedule,
            (extract_device, screens::extract, export::extract).chain(),
        )
        .add_systems(
            Render,
            (
                screens::show
                    .in_set(RenderSystems::PrepareAssets)
                    .before(prepare_assets::<GpuImage>),
                export::take.in_set(RenderSystems::PrepareAssets),
                export::send.in_set(RenderSystems::Cleanup),
            ),
        );
}

fn extract_device(main: bevy_render::Extract<Res<Sharing>>, mut sharing: ResMut<Sharing>) {
    if main.is_changed() {
        *sharing = main.clone();
    }
}
