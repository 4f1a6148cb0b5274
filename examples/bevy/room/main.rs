//! A room of Bevy's with a screen that shows somebody's stream.

use std::path::PathBuf;

use bevy::prelude::*;
use clap::Parser;
use lucarne_bevy::{StreamInput, StreamMaterialPlugin, StreamOutput};
use lucarne_example_bevy::{Turning, app, camera, light};

/// Shows a stream on a screen in a room: in a window, or as a stream of its own. Ctrl-C ends it.
#[derive(Debug, Clone, Parser, Resource)]
#[command(version)]
struct Options {
    /// The stream on the screen; it may come and go
    #[arg(long, default_value = "scene")]
    input: String,
    /// Publish the room as a stream of this name, without a window
    #[arg(long, value_name = "NAME")]
    output: Option<String>,
    /// The colour of the room's walls, from 0 to 360
    #[arg(long, value_name = "HUE", default_value_t = 220)]
    hue: u16,
    /// The folder of the streams' sockets [default: $XDG_RUNTIME_DIR/lucarne]
    #[arg(long, value_name = "FOLDER")]
    directory: Option<PathBuf>,
}

const SIZE: UVec2 = UVec2::new(1280, 720);

fn main() -> AppExit {
    let options = Options::parse();
    app(options.directory.clone(), options.output.is_none())
        // A material's picture is another texture with each frame.
        .add_plugins(StreamMaterialPlugin::<StandardMaterial>::default())
        .insert_resource(options)
        .add_systems(Startup, setup)
        .run()
}

fn setup(
    options: Res<Options>,
    mut commands: Commands,
    mut meshes: ResMut<Assets<Mesh>>,
    mut materials: ResMut<Assets<StandardMaterial>>,
    mut images: ResMut<Assets<Image>>,
) {
    // The screen is dark until the stream comes, and keeps its last picture when it goes.
    let image = images.add(Image::new_fill(
        bevy::render::render_resource::Extent3d::default(),
        bevy::render::render_resource::TextureDimension::D2,
        &[8, 8, 8, 255],
        bevy::render::render_resource::TextureFormat::Rgba8UnormSrgb,
        bevy::asset::RenderAssetUsages::default(),
    ));
    let glass = StandardMaterial {
        base_color_texture: Some(image.clone()),
        unlit: true,
        ..default()
    };
    // Padding in the place of alpha does not matter to an opaque material.
    let input = StreamInput::new(&options.input, image).opaque();
    let screen = Mesh3d(meshes.add(Rectangle::new(3.2, 1.8)));
    let place = Transform::from_xyz(0.0, 1.2, 0.06);
    commands.spawn((screen, MeshMaterial3d(materials.add(glass)), place, input));

    let wall = Color::hsl(f32::from(options.hue), 0.35, 0.3);
    let mut solid = |mesh: Mesh, color: Color, place: Transform| {
        let material = MeshMaterial3d(materials.add(StandardMaterial::from(color)));
        (Mesh3d(meshes.add(mesh)), material, place)
    };
    let dark = Color::srgb_u8(25, 25, 28);
    let frame = Cuboid::new(3.4, 2.0, 0.1).into();
    commands.spawn(solid(frame, dark, Transform::from_xyz(0.0, 1.2, 0.0)));
    let floor = Plane3d::default().mesh().size(12.0, 12.0).into();
    commands.spawn(solid(
        floor,
        wall.lighter(0.2),
        Transform::from_xyz(0.0, 0.0, 0.0),
    ));
    let back = Cuboid::new(12.0, 6.0, 0.1).into();
    commands.spawn(solid(back, wall, Transform::from_xyz(0.0, 3.0, -1.5)));
    let cube = solid(
        Cuboid::from_length(0.6).into(),
        Color::hsl(f32::from(options.hue) + 120.0, 0.8, 0.5),
        Transform::from_xyz(2.3, 0.5, 0.6),
    );
    commands.spawn((cube, Turning));
    commands.spawn(light());

    let place = Transform::from_xyz(0.0, 1.4, 4.2).looking_at(Vec3::new(0.0, 1.2, 0.0), Vec3::Y);
    let mut eye = commands.spawn((camera(wall), place));
    if let Some(name) = &options.output {
        eye.insert(StreamOutput::new(name, SIZE));
    }
}
