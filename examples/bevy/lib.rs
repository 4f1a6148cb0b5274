//! What both Bevy examples share: the app, and what both show.

use std::path::PathBuf;
use std::time::Duration;

use bevy::app::ScheduleRunnerPlugin;
use bevy::core_pipeline::tonemapping::{DebandDither, Tonemapping};
use bevy::prelude::*;
use bevy::window::ExitCondition;
use bevy::winit::WinitPlugin;
use lucarne_bevy::{LucarnePlugin, StreamArrived, StreamLost, StreamRefused, StreamWatched};

/// Bevy's app with Lucarne. Without a window it makes 60 frames a second.
pub fn app(directory: Option<PathBuf>, window: bool) -> App {
    let mut app = App::new();
    // Before DefaultPlugins, which open the device.
    app.add_plugins(LucarnePlugin {
        directory,
        ..default()
    });
    if window {
        app.add_plugins(DefaultPlugins);
    } else {
        let nothing = WindowPlugin {
            primary_window: None,
            exit_condition: ExitCondition::DontExit,
            ..default()
        };
        let plugins = DefaultPlugins.build().disable::<WinitPlugin>();
        let pace = Duration::from_secs(1) / 60;
        app.add_plugins((plugins.set(nothing), ScheduleRunnerPlugin::run_loop(pace)));
    }
    app.add_systems(Update, (turn, say));
    app
}

/// What every camera here has: pictures come out of the textures as they went in.
pub fn camera(background: Color) -> impl Bundle {
    let clear_color = background.into();
    (
        Camera3d::default(),
        Camera {
            clear_color,
            ..default()
        },
        Tonemapping::None,
        DebandDither::Disabled,
    )
}

/// Something that turns.
#[derive(Component, Debug)]
pub struct Turning;

fn turn(time: Res<Time>, mut turning: Query<&mut Transform, With<Turning>>) {
    let angle = time.delta_secs();
    for mut transform in &mut turning {
        transform.rotate_y(angle);
        transform.rotate_x(angle / 3.0);
    }
}

/// A light from above.
pub fn light() -> impl Bundle {
    let bright = PointLight {
        intensity: 900_000.0,
        range: 40.0,
        ..default()
    };
    (bright, Transform::from_xyz(2.0, 6.0, 6.0))
}

/// Tells on standard error what happens to the streams; what cannot work is in the log.
fn say(
    mut arrived: MessageReader<StreamArrived>,
    mut lost: MessageReader<StreamLost>,
    mut watched: MessageReader<StreamWatched>,
    mut refused: MessageReader<StreamRefused>,
) {
    use lucarne_examples::stream::say;

    for StreamArrived { name, size, .. } in arrived.read() {
        say(&format!("{name:?} is shown, {size}"));
    }
    for StreamLost { name, reason, .. } in lost.read() {
        say(&format!("{name:?} is gone: {reason}"));
    }
    for StreamWatched {
        name, consumers, ..
    } in watched.read()
    {
        say(&format!("{name:?} is watched by {consumers}"));
    }
    refused.clear();
}

/// The number of bright cubes that a scene has.
pub const CUBES: u16 = 6;

/// Cubes in a ring, in all colours.
pub fn cubes(
    commands: &mut Commands,
    meshes: &mut Assets<Mesh>,
    materials: &mut Assets<StandardMaterial>,
) {
    let cube = meshes.add(Cuboid::from_length(0.9));
    for index in 0..CUBES {
        let part = f32::from(index) / f32::from(CUBES);
        let color = Color::hsl(360.0 * part, 0.8, 0.55);
        let angle = part * std::f32::consts::TAU;
        let place = Vec3::new(angle.cos(), angle.sin(), 0.0) * 1.7;
        let material = materials.add(StandardMaterial::from(color));
        let turned = Transform::from_translation(place).with_rotation(Quat::from_rotation_z(angle));
        commands.spawn((
            Mesh3d(cube.clone()),
            MeshMaterial3d(material),
            turned,
            Turning,
        ));
    }
}
