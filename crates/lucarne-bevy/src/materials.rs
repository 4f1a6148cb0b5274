//! Materials that show streams.

use std::marker::PhantomData;

use bevy_app::{App, Last, Plugin};
use bevy_asset::{Asset, AssetEvent, Assets};
use bevy_ecs::prelude::*;

use crate::import::Inputs;
use crate::plugin::Receive;

/// Makes materials of the type `M` show the pictures of streams.
///
/// Bevy binds a material's textures once. The picture of a stream is another texture with each frame, so the materials that have it
/// among their `#[dependency]` handles are bound anew with each frame. Sprites need no such plugin.
///
/// ```no_run
/// # use bevy::prelude::*;
/// # use lucarne_bevy::{LucarnePlugin, StreamMaterialPlugin};
/// let mut app = App::new();
/// app.add_plugins((LucarnePlugin::default(), DefaultPlugins));
/// app.add_plugins(StreamMaterialPlugin::<StandardMaterial>::default());
/// ```
pub struct StreamMaterialPlugin<M> {
    material: PhantomData<fn() -> M>,
}

impl<M> Default for StreamMaterialPlugin<M> {
    fn default() -> Self {
        let material = PhantomData;
        Self { material }
    }
}

impl<M> std::fmt::Debug for StreamMaterialPlugin<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StreamMaterialPlugin")
    }
}

impl<M: Asset> Plugin for StreamMaterialPlugin<M> {
    fn build(&self, app: &mut App) {
        app.add_systems(Last, touch::<M>.after(Receive));
    }
}

/// Tells Bevy that the materials have changed whose pictures have.
fn touch<M: Asset>(
    inputs: Res<Inputs>,
    materials: Res<Assets<M>>,
    mut changes: MessageWriter<AssetEvent<M>>,
) {
    let changed = inputs.changed();
    if changed.is_empty() {
        return;
    }
    for (id, material) in materials.iter() {
        let mut shows = false;
        material.visit_dependencies(&mut |asset| {
            shows |= changed.iter().any(|image| image.untyped() == asset);
        });
        if shows {
            changes.write(AssetEvent::Modified { id });
        }
    }
}
