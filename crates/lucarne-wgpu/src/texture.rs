//! A texture of wgpu's whose memory is a frame's.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use lucarne::vulkan::{Access, Image};
use lucarne::{Frame, Requirement, Result, Usage};
use wgpu::TextureUses;

use crate::device::{Device, Inner};
use crate::error::{invalid, unsupported};
use crate::{convert, ffi, scope};

/// A `wgpu::Texture` in a [`Frame`]'s memory, made by [`Device::export`] or over somebody else's by [`Device::import`].
///
/// Use it in wgpu as any other texture, between [`Device::acquire`] and [`Device::release`], or in the command buffers that
/// [`Device::submit`] is given. wgpu keeps its image until the last submission that uses it has finished, however early this
/// value is dropped. The frame's memory stays as long as anybody holds the frame.
pub struct Texture {
    turn: Mutex<Turn>,
    // wgpu's device goes last: the image is of it.
    image: Arc<Image>,
    texture: wgpu::Texture,
    /// In which it changes hands, in wgpu's word and in Lucarne's.
    state: TextureUses,
    access: Access,
    device: Arc<Inner>,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Others have it, or nobody.
    Free,
    /// wgpu's commands have it.
    Taken,
    /// Commands that are being submitted, or that could not be: what state it is in nobody knows.
    Unknown,
}

impl Texture {
    pub(crate) fn new(
        device: &Device,
        image: Image,
        format: wgpu::TextureFormat,
        usage: Usage,
    ) -> Result<Self> {
        let Some((state, access)) = convert::state(usage) else {
            return Err(invalid("usage", "nothing", "at least one use"));
        };
        let layout = image.frame().layout();
        if image.copies_per_frame() != 0 {
            let reason = "a device that places the rows of host memory as the frame has them, with \
                          VK_EXT_external_memory_host: this one would copy";
            let what = format!("a wgpu::Texture over {layout} in host memory");
            return Err(unsupported(what, Requirement::other(reason)));
        }
        let descriptor = wgpu::TextureDescriptor {
            label: Some("lucarne frame"),
            size: convert::extent_3d(layout.extent()),
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format,
            usage: convert::texture_usages(usage),
            view_formats: &[],
        };
        let uses = convert::texture_uses(usage);
        let image = Arc::new(image);
        let wgpu = device.wgpu();
        let texture = scope::caught(wgpu, "wgpu::Device::create_texture_from_hal", || {
            ffi::texture((wgpu, device.queue()), &image, &descriptor, uses, state)
        })??;
        Ok(Self {
            turn: Mutex::new(Turn::Free),
            image,
            texture,
            state,
            access,
            device: Arc::clone(device.inner()),
        })
    }

    /// The texture, for views, bind groups and copies. Clones of it may be kept.
    pub fn texture(&self) -> &wgpu::Texture {
        &self.texture
    }

    /// The frame to pass on.
    pub fn frame(&self) -> &Frame {
        self.image.frame()
    }

    /// Whether the frame's format has padding where the texture's has alpha (`XRGB8888` and its kin). wgpu's views show it as
    /// it lies in memory: where this is true, shaders that sample take 1 for alpha, and pipelines that draw do not blend with
    /// what is there.
    pub fn has_padding(&self) -> bool {
        !self.frame().layout().format_info().alpha && self.texture.format().components() == 4
    }

    pub(crate) fn image(&self) -> &Arc<Image> {
        &self.image
    }

    pub(crate) fn state(&self) -> TextureUses {
        self.state
    }

    pub(crate) fn access(&self) -> Access {
        self.access
    }

    /// Refuses a texture of another device.
    pub(crate) fn check_device(&self, device: &Arc<Inner>) -> Result<()> {
        if Arc::ptr_eq(device, &self.device) {
            return Ok(());
        }
        let limit = "one that this device exported or imported";
        Err(invalid("texture", "of another device", limit))
    }

    pub(crate) fn set_turn(&self, turn: Turn) {
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner) = turn;
    }

    /// Begins what ends with [`Texture::set_turn`], or refuses a texture that is not in the state `from`.
    pub(crate) fn begin(&self, from: Turn) -> Result<()> {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if *turn == from {
            *turn = Turn::Unknown;
            return Ok(());
        }
        let limit = match from {
            Turn::Free => "one that `release` has given back",
            _ => "taken by `acquire`",
        };
        Err(match *turn {
            Turn::Free => invalid("texture", "not taken", limit),
            Turn::Taken => invalid("texture", "taken by `acquire`", limit),
            Turn::Unknown => {
                let got = "in a submission that failed, or that another thread is making";
                invalid("texture", got, "imported or exported anew")
            }
        })
    }
}

impl fmt::Debug for Texture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Texture")
            .field("turn", &self.turn)
            .field("texture", &self.texture)
            .field("frame", self.frame())
            .finish_non_exhaustive()
    }
}
