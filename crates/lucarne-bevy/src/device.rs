//! Bevy's device, as Lucarne sees it.

use std::sync::Arc;

use bevy_ecs::prelude::*;
use bevy_log::{error, warn};
use bevy_render::renderer::{RenderDevice, RenderQueue};
use lucarne_wgpu::Device;
use lucarne_wgpu::lucarne::{MemoryPath, Offer, Result, Usage};

use crate::convert;

/// The device and what it can share. Both worlds have it.
#[derive(Resource, Clone, Default)]
pub(crate) enum Sharing {
    /// Bevy has no device yet.
    #[default]
    Waiting,
    /// It has, or had, one that cannot share, for this reason.
    Refused(Arc<str>),
    Open(Arc<Open>),
}

/// A device that can share.
pub(crate) struct Open {
    pub(crate) device: Device,
    /// For frames that a camera renders into.
    pub(crate) drawn: Offer,
    /// For frames that materials sample.
    pub(crate) sampled: Offer,
}

impl Open {
    fn wrap(device: &RenderDevice, queue: &RenderQueue) -> Result<Self> {
        let device = Device::wrap(device.wgpu_device(), queue)?;
        Ok(Self {
            drawn: convert::offer(device.offer(Usage::RENDER)?),
            sampled: convert::offer(device.offer(Usage::SAMPLE)?),
            device,
        })
    }
}

/// Wraps the device that Bevy has now; after Bevy has recovered from a loss that is another one.
pub(crate) fn open(
    device: Option<Res<RenderDevice>>,
    queue: Option<Res<RenderQueue>>,
    mut sharing: ResMut<Sharing>,
) {
    let (Some(device), Some(queue)) = (device, queue) else {
        if matches!(*sharing, Sharing::Waiting) {
            refuse(
                &mut sharing,
                "Bevy has no device to render with: RenderPlugin found no adapter, or is not there",
            );
        }
        return;
    };
    if !device.is_changed() && !matches!(*sharing, Sharing::Waiting) {
        return;
    }
    match Open::wrap(&device, &queue) {
        Ok(open) => {
            let support = open.drawn.path(MemoryPath::DmaBuf);
            if !support.is_yes() {
                let reason = support.reason();
                warn!(
                    "streams will not be in dma-bufs: {reason}. LucarnePlugin, added before DefaultPlugins, enables what the driver has"
                );
            }
            *sharing = Sharing::Open(Arc::new(open));
        }
        Err(error) => refuse(&mut sharing, &error.to_string()),
    }
}

fn refuse(sharing: &mut Sharing, reason: &str) {
    error!("Bevy's device can share no frames: {reason}");
    *sharing = Sharing::Refused(reason.into());
}
