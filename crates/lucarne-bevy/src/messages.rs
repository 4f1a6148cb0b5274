//! What happened to streams, as Bevy's messages.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bevy_ecs::prelude::*;
use bevy_log::warn;
use bevy_math::UVec2;

/// A [`StreamInput`](crate::StreamInput) shows a stream's pictures from now on: its first, or the first after a loss.
#[derive(Message, Clone, Debug, PartialEq, Eq)]
pub struct StreamArrived {
    /// The entity of the component.
    pub entity: Entity,
    /// The stream.
    pub name: String,
    /// The pictures' size in pixels.
    pub size: UVec2,
}

/// The pictures of a stream have another size from now on.
#[derive(Message, Clone, Debug, PartialEq, Eq)]
pub struct StreamResized {
    /// The entity of the [`StreamInput`](crate::StreamInput).
    pub entity: Entity,
    /// The stream.
    pub name: String,
    /// The pictures' size in pixels.
    pub size: UVec2,
}

/// A stream has ended, or its producer is gone. The last picture stays, and whoever takes the name next is shown.
#[derive(Message, Clone, Debug, PartialEq, Eq)]
pub struct StreamLost {
    /// The entity of the [`StreamInput`](crate::StreamInput).
    pub entity: Entity,
    /// The stream.
    pub name: String,
    /// Why, in words.
    pub reason: String,
}

/// Something about a stream does not work, and what would make it work. Told once for each reason; what may pass is tried again.
#[derive(Message, Clone, Debug, PartialEq, Eq)]
pub struct StreamRefused {
    /// The entity of the [`StreamInput`](crate::StreamInput) or the [`StreamOutput`](crate::StreamOutput).
    pub entity: Entity,
    /// The stream.
    pub name: String,
    /// Why, in words.
    pub reason: String,
}

/// How many consumers watch a [`StreamOutput`](crate::StreamOutput) has changed.
#[derive(Message, Clone, Debug, PartialEq, Eq)]
pub struct StreamWatched {
    /// The entity of the component.
    pub entity: Entity,
    /// The stream.
    pub name: String,
    /// How many get frames. While it is 0 the camera is not rendered.
    pub consumers: usize,
}

/// What the render world has to tell, and what was told already. Both worlds have it.
#[derive(Resource, Clone, Default)]
pub(crate) struct Reports {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    refused: Vec<StreamRefused>,
    watched: Vec<StreamWatched>,
    told: HashMap<Entity, String>,
}

impl Reports {
    /// Tells why something does not work, unless that was the last that was told of the entity.
    pub(crate) fn refuse(&self, entity: Entity, name: &str, reason: impl ToString) {
        let reason = reason.to_string();
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.told.get(&entity) == Some(&reason) {
            return;
        }
        warn!("stream {name:?}: {reason}");
        inner.told.insert(entity, reason.clone());
        let name = name.to_owned();
        inner.refused.push(StreamRefused {
            entity,
            name,
            reason,
        });
    }

    pub(crate) fn watch(&self, watched: StreamWatched) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.watched.push(watched);
    }

    /// It works, or is gone: the next refusal is told, whatever it says.
    pub(crate) fn forget(&self, entity: Entity) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.told.remove(&entity);
    }
}

/// Passes on what was reported.
pub(crate) fn tell(
    reports: Res<Reports>,
    mut refused: MessageWriter<StreamRefused>,
    mut watched: MessageWriter<StreamWatched>,
) {
    let mut inner = reports.inner.lock().unwrap_or_else(PoisonError::into_inner);
    refused.write_batch(inner.refused.drain(..));
    watched.write_batch(inner.watched.drain(..));
}
