//! Materials that show streams.

use std::sync::Arc;

use bevy_app::{App, Last, Plugin};
use bevy_asset::{Asset, AssetEvent, AssetId, Assets};
use bevy_ecs::prelude::*;
use bevy_image::Image;

use crate::import::Inputs;
use crate::plugin::Receive;

/// Makes materials of the type `M` show the pictures of streams.
///
/// Bevy binds a material's textures once. The picture of a stream is another texture with each frame, so the materials that have it
/// are bound anew with each frame. Which these are, the `#[dependency]` handles of the type tell, as those of `StandardMaterial` do.
/// For types without them, such as `ColorMaterial`, [`StreamMaterialPlugin::showing`] is told. Sprites need no such plugin.
///
/// ```no_run
/// # use bevy::prelude::*;
/// # use lucarne_bevy::{LucarnePlugin, StreamMaterialPlugin};
/// let mut app = App::new();
/// app.add_plugins((LucarnePlugin::default(), DefaultPlugins));
/// app.add_plugins(StreamMaterialPlugin::<StandardMaterial>::default());
/// app.add_plugins(StreamMaterialPlugin::showing(|material: &ColorMaterial, image| {
///     material.texture.as_ref().is_some_and(|texture| texture.id() == image)
/// }));
/// ```
pub struct StreamMaterialPlugin<M> {
    shows: Arc<Shows<M>>,
}

/// Whether a material shows an image.
type Shows<M> = dyn Fn(&M, AssetId<Image>) -> bool + Send + Sync;

/// The same, for the system.
#[derive(Resource)]
struct Shown<M>(Arc<Shows<M>>);

impl<M> StreamMaterialPlugin<M> {
    /// For materials whose type does not say which images they show.
    pub fn showing(shows: impl Fn(&M, AssetId<Image>) -> bool + Send + Sync + 'static) -> Self {
        let shows = Arc::new(shows);
        Self { shows }
    }
}

impl<M: Asset> Default for StreamMaterialPlugin<M> {
    fn default() -> Self {
        Self::showing(|material: &M, image| {
            let mut shows = false;
            material.visit_dependencies(&mut |asset| shows |= asset == image.untyped());
            shows
        })
    }
}

impl<M> std::fmt::Debug for StreamMaterialPlugin<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StreamMaterialPlugin")
    }
}

impl<M: Asset> Plugin for StreamMaterialPlugin<M> {
    fn build(&self, app: &mut App) {
        app.insert_resource(Shown(Arc::clone(&self.shows)))
            .add_systems(Last, touch::<M>.after(Receive));
    }
}

/// Tells Bevy that the materials have changed whose pictures have.
fn touch<M: Asset>(
    inputs: Res<Inputs>,
    shown: Res<Shown<M>>,
    materials: Res<Assets<M>>,
    mut changes: MessageWriter<AssetEvent<M>>,
) {
    let changed = inputs.changed();
    if changed.is_empty() {
        return;
    }
    for (id, material) in materials.iter() {
        if changed.iter().any(|image| (shown.0)(material, *image)) {
            changes.write(AssetEvent::Modified { id });
        }
    }
}
