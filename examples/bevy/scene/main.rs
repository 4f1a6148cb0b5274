//! A scene of Bevy's without a window, for whoever watches its stream.

use std::path::PathBuf;

use bevy::prelude::*;
use clap::Parser;
use lucarne_bevy::StreamOutput;
use lucarne_example_bevy::{app, camera, cubes, light};

/// Draws turning cubes with Bevy and publishes them as a stream. Ctrl-C ends it.
#[derive(Debug, Clone, Parser, Resource)]
#[command(version)]
struct Options {
    /// The stream's name
    #[arg(long, default_value = "scene")]
    name: String,
    /// Width of the frames in pixels
    #[arg(long, default_value_t = 1280)]
    width: u32,
    /// Height of the frames in pixels
    #[arg(long, default_value_t = 720)]
    height: u32,
    /// The folder of the stream's socket [default: $XDG_RUNTIME_DIR/lucarne]
    #[arg(long, value_name = "FOLDER")]
    directory: Option<PathBuf>,
}

fn main() -> AppExit {
    let options = Options::parse();
    app(options.directory.clone(), false)
        .insert_resource(options)
        .add_systems(Startup, setup)
        .run()
}

fn setup(
    options: Res<Options>,
    mut commands: Commands,
    mut meshes: ResMut<Assets<Mesh>>,
    mut materials: ResMut<Assets<StandardMaterial>>,
) {
    // All that makes a camera a stream.
    let size = UVec2::new(options.width, options.height);
    let output = StreamOutput::new(&options.name, size);
    let place = Transform::from_xyz(0.0, 0.0, 6.0).looking_at(Vec3::ZERO, Vec3::Y);
    commands.spawn((camera(Color::srgb_u8(22, 26, 44)), place, output));
    commands.spawn(light());
    cubes(&mut commands, &mut meshes, &mut materials);
}
