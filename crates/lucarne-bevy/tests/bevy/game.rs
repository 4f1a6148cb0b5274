//! A game without a window, whose frames are counted by the test.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bevy::app::PluginsState;
use bevy::camera::{CameraOutputMode, ClearColorConfig};
use bevy::core_pipeline::tonemapping::{DebandDither, Tonemapping};
use bevy::log::LogPlugin;
use bevy::prelude::*;
use bevy::render::RenderPlugin;
use bevy::render::renderer::RenderAdapterInfo;
use bevy::window::ExitCondition;
use bevy::winit::WinitPlugin;
use lucarne_bevy::lucarne::egl;
use lucarne_bevy::lucarne::vulkan::{Instance, InstanceOptions};
use lucarne_bevy::{
    LucarnePlugin, StreamArrived, StreamLost, StreamRefused, StreamResized, StreamWatched,
};
use tempfile::TempDir;

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
    /// Of the streams' sockets.
    pub(crate) folder: PathBuf,
    _folder: Option<TempDir>,
}

impl Game {
    /// With all of `DefaultPlugins` but the window's, on this machine's first Vulkan device.
    pub(crate) fn new() -> Self {
        let mut game = Self::starting();
        game.start();
        game
    }

    /// The same, before it has opened its device.
    pub(crate) fn starting() -> Self {
        Self::with(default_plugins)
    }

    /// With plugins of the test's choice.
    pub(crate) fn with(add: impl FnOnce(&mut App, LucarnePlugin)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut game = Self::made(folder.path(), add);
        game._folder = Some(folder);
        game
    }

    /// For streams in a folder that somebody else has.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self::made(folder, default_plugins)
    }

    fn made(folder: &Path, add: impl FnOnce(&mut App, LucarnePlugin)) -> Self {
        reports::collect();
        let mut app = App::new();
        let lucarne = LucarnePlugin {
            directory: Some(folder.to_owned()),
            // Pipelines are compiled and pixels compared on the same two cores.
            patience: Some(SOON),
        };
        add(&mut app, lucarne);
        hear::<StreamArrived>(&mut app);
        hear::<StreamResized>(&mut app);
        hear::<StreamLost>(&mut app);
        hear::<StreamRefused>(&mut app);
        hear::<StreamWatched>(&mut app);
        Self {
            app,
            folder: folder.to_owned(),
            _folder: None,
        }
    }

    /// What `App::run` does before the first frame.
    pub(crate) fn start(&mut self) {
        let begun = Instant::now();
        while self.app.plugins_state() == PluginsState::Adding {
            assert!(begun.elapsed() < SOON, "no device");
            bevy::tasks::tick_global_task_pools_on_main_thread();
        }
        self.app.finish();
        self.app.cleanup();
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

    /// Bevy's, as it names itself in the lock file: it tells a program no version.
    pub(crate) fn version(&self) -> String {
        let lock = include_str!("../../../../Cargo.lock");
        let (_, entry) = lock
            .split_once("name = \"bevy_render\"\nversion = \"")
            .expect("locked");
        entry.split('"').next().expect("a version").to_owned()
    }

    /// The messages since this was asked last.
    pub(crate) fn messages<M: Message + Clone>(&mut self) -> Vec<M> {
        std::mem::take(&mut self.world().resource_mut::<Heard<M>>().0)
    }

    /// What the device is called, for the table of engines.
    pub(crate) fn driver(&self) -> String {
        let info = self.app.world().resource::<RenderAdapterInfo>();
        info.driver_info.clone()
    }

    /// What Vulkan's validation layer has against the frames so far.
    pub(crate) fn assert_valid(&self) {
        let instance = Instance::new(&InstanceOptions::default()).expect("Vulkan");
        let adapters = instance.adapters().expect("adapters");
        let mut found = reports::taken(&adapters[0]);
        // Features that are newer than the layer; its report is a page of those that it knows.
        found.retain(|report| !report.contains("unknown VkStructureType"));
        assert!(found.is_empty(), "{found:#?}");
    }
}

/// Messages that the test has not asked for yet: Bevy forgets them after two frames.
#[derive(Resource)]
struct Heard<M>(Vec<M>);

fn hear<M: Message + Clone>(app: &mut App) {
    let listen = |mut messages: MessageReader<M>, mut heard: ResMut<Heard<M>>| {
        heard.0.extend(messages.read().cloned());
    };
    app.insert_resource(Heard::<M>(Vec::new()));
    app.add_systems(PreUpdate, listen);
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

/// What makes each pixel of a camera known: edges are sharp, colours come out as they went in. A unit is a pixel for those of 2D.
pub(crate) fn camera(background: Color) -> impl Bundle {
    let clear = ClearColorConfig::Custom(background);
    (
        Camera {
            clear_color: clear,
            output_mode: CameraOutputMode::Write {
                blend_state: None,
                clear_color: clear,
            },
            ..default()
        },
        Msaa::Off,
        Tonemapping::None,
        DebandDither::Disabled,
    )
}

/// Where the middle of a rectangle of pixels is, seen from the middle of a picture of `size`.
pub(crate) fn place(size: UVec2, x: u32, y: u32, rectangle: UVec2) -> Transform {
    let middle = UVec2::new(x, y).as_vec2() + rectangle.as_vec2() / 2.0 - size.as_vec2() / 2.0;
    Transform::from_xyz(middle.x, -middle.y, 0.0)
}

/// The OpenGL of Bevy's device.
pub(crate) fn open_gl() -> egl::Device {
    let adapters = egl::Adapter::enumerate().expect("EGL devices").into_iter();
    let instance = Instance::new(&InstanceOptions::default()).expect("Vulkan");
    let software = instance.adapters().expect("adapters")[0].id().software;
    let mut same = adapters.filter(|one| one.is_software() == software);
    same.next()
        .expect("an EGL device")
        .open()
        .expect("a context")
}

fn default_plugins(app: &mut App, lucarne: LucarnePlugin) {
    app.add_plugins((lucarne, plugins()));
}
