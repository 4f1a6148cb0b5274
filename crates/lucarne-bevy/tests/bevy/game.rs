//! A game without a window, whose frames are counted by the test.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bevy::app::PluginsState;
use bevy::camera::{CameraOutputMode, ClearColorConfig};
use bevy::core_pipeline::tonemapping::Tonemapping;
use bevy::log::LogPlugin;
use bevy::prelude::*;
use bevy::render::RenderPlugin;
use bevy::render::renderer::RenderAdapterInfo;
use bevy::window::ExitCondition;
use bevy::winit::WinitPlugin;
use lucarne_bevy::{LucarnePlugin, StreamRefused};

use crate::reports;

/// Longer than anything takes that is waited for here.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// One game at a time: each takes both of a small machine's cores, and descriptors are counted.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) struct Game {
    pub(crate) app: App,
}

impl Game {
    /// With all of `DefaultPlugins` but the window's, on this machine's first Vulkan device.
    pub(crate) fn new(folder: &Path) -> Self {
        let mut app = App::new();
        let directory = Some(folder.to_owned());
        app.add_plugins((LucarnePlugin { directory }, plugins()));
        Self::ready(app)
    }

    /// What `App::run` does before the first frame.
    pub(crate) fn ready(mut app: App) -> Self {
        reports::collect();
        let begun = Instant::now();
        while app.plugins_state() == PluginsState::Adding {
            assert!(begun.elapsed() < SOON, "no device");
            bevy::tasks::tick_global_task_pools_on_main_thread();
        }
        app.finish();
        app.cleanup();
        Self { app }
    }

    pub(crate) fn world(&mut self) -> &mut World {
        self.app.world_mut()
    }

    pub(crate) fn spawn(&mut self, bundle: impl Bundle) -> Entity {
        self.world().spawn(bundle).id()
    }

    /// Runs frames until `seen` is there.
    pub(crate) fn until<T>(
        &mut self,
        what: &str,
        mut seen: impl FnMut(&mut Self) -> Option<T>,
    ) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = seen(self) {
                return found;
            }
            assert!(
                begun.elapsed() < SOON,
                "no {what}: {:?}",
                self.messages::<StreamRefused>()
            );
            self.app.update();
        }
    }

    /// The messages of the last two frames.
    pub(crate) fn messages<M: Message + Clone>(&mut self) -> Vec<M> {
        let messages = self.app.world().resource::<Messages<M>>();
        messages.iter_current_update_messages().cloned().collect()
    }

    /// What the device is called, for the table of engines.
    pub(crate) fn driver(&self) -> String {
        let info = self.app.world().resource::<RenderAdapterInfo>();
        format!("{} ({})", info.driver_info, info.driver)
    }

    /// What Vulkan's validation layer has against the frames so far.
    pub(crate) fn assert_valid(&self) {
        let instance = lucarne_bevy::lucarne::vulkan::Instance::new(&Default::default());
        let instance = instance.expect("Vulkan");
        let adapters = instance.adapters().expect("adapters");
        let found = reports::taken(&adapters[0]);
        assert!(found.is_empty(), "{found:#?}");
    }
}

/// `DefaultPlugins` without a window, and with every pipeline there when it is needed.
pub(crate) fn plugins() -> bevy::app::PluginGroupBuilder {
    DefaultPlugins
        .build()
        .disable::<WinitPlugin>()
        .disable::<LogPlugin>()
        .set(WindowPlugin {
            primary_window: None,
            exit_condition: ExitCondition::DontExit,
            ..default()
        })
        .set(RenderPlugin {
            synchronous_pipeline_compilation: true,
            ..default()
        })
        .set(ImagePlugin::default_nearest())
}

/// A camera of which each pixel is known: a unit is a pixel, edges are sharp, colours come out as they went in.
pub(crate) fn camera(background: Color) -> impl Bundle {
    let clear = ClearColorConfig::Custom(background);
    (
        Camera2d,
        Camera {
            clear_color: clear.clone(),
            output_mode: CameraOutputMode::Write {
                blend_state: None,
                clear_color: clear,
            },
            ..default()
        },
        Msaa::Off,
        Tonemapping::None,
    )
}

/// Where the middle of a rectangle of pixels is, seen from the middle of a picture of `size`.
pub(crate) fn place(size: UVec2, x: u32, y: u32, rectangle: UVec2) -> Transform {
    let middle = UVec2::new(x, y).as_vec2() + rectangle.as_vec2() / 2.0 - size.as_vec2() / 2.0;
    Transform::from_xyz(middle.x, -middle.y, 0.0)
}
