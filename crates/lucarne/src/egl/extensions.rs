//! The extensions of EGL and OpenGL that this backend makes use of.

use glow::HasContext as _;

use super::adapter::client_extensions;
use super::device::Device;
use crate::extension::Extension;

/// Who lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// EGL, without a display.
    Client,
    Display,
    /// The context.
    Context,
    /// The context of OpenGL ES; desktop OpenGL has it in its core.
    ContextOfEs,
}

impl Of {
    /// In the words of [`Requirement::Extension`](crate::Requirement::Extension).
    fn api(self) -> &'static str {
        match self {
            Self::Client => "EGL client",
            Self::Display => "EGL display",
            Self::Context | Self::ContextOfEs => "OpenGL",
        }
    }
}

/// Its name, what Lucarne does with it, and what its absence costs.
type Used = (Of, &'static str, &'static str, &'static str);

const USED: [Used; 21] = [
    (
        Of::Client,
        "EGL_EXT_device_enumeration",
        "listing devices",
        "no device can be opened without a window system; a toolkit's context still works",
    ),
    (
        Of::Client,
        "EGL_EXT_device_query",
        "which node a device is",
        "devices cannot be listed, nor two APIs seen to be on the same GPU by their node",
    ),
    (
        Of::Client,
        "EGL_EXT_platform_device",
        "opening a listed device",
        "no device can be opened without a window system; a toolkit's context still works",
    ),
    (
        Of::Display,
        "EGL_KHR_surfaceless_context",
        "rendering without a window",
        "no context of Lucarne's own; a toolkit's still works",
    ),
    (
        Of::Display,
        "EGL_EXT_image_dma_buf_import",
        "dma-bufs as textures",
        "no dma-bufs: frames come through opaque or host memory",
    ),
    (
        Of::Display,
        "EGL_EXT_image_dma_buf_import_modifiers",
        "which layouts it reads",
        "no dma-bufs: nobody could agree on how a picture lies in one",
    ),
    (
        Of::Display,
        "EGL_MESA_image_dma_buf_export",
        "textures as dma-bufs",
        "OpenGL cannot be a producer: it only shows frames",
    ),
    (
        Of::Display,
        "EGL_KHR_image_base",
        "images of textures",
        "OpenGL cannot be a producer: it only shows frames",
    ),
    (
        Of::Display,
        "EGL_KHR_gl_texture_2D_image",
        "images of textures",
        "OpenGL cannot be a producer: it only shows frames",
    ),
    (
        Of::Display,
        "EGL_ANDROID_native_fence_sync",
        "fences as sync_files",
        "no fence passes: the CPU waits for each frame",
    ),
    (
        Of::Display,
        "EGL_KHR_wait_sync",
        "the GPU waits for a fence",
        "the CPU waits for the fence of each frame",
    ),
    (
        Of::Context,
        "GL_OES_EGL_image",
        "dma-bufs as textures",
        "no dma-bufs, unless GL_EXT_EGL_image_storage is there",
    ),
    (
        Of::Context,
        "GL_EXT_EGL_image_storage",
        "dma-bufs as textures that never change their storage",
        "bound by GL_OES_EGL_image instead, which NVIDIA's driver refuses for memory of others",
    ),
    (
        Of::Context,
        "GL_OES_EGL_image_external_essl3",
        "external textures: Y'CbCr, and layouts that are only sampled",
        "no whole Y'CbCr images, and no formats that the driver calls external-only",
    ),
    (
        Of::Context,
        "GL_EXT_memory_object",
        "opaque memory, and which device the context is on",
        "no opaque memory: frames that are no dma-bufs come through host memory",
    ),
    (
        Of::Context,
        "GL_EXT_memory_object_fd",
        "opaque memory as file descriptors",
        "no opaque memory: frames that are no dma-bufs come through host memory",
    ),
    (
        Of::Context,
        "GL_EXT_semaphore",
        "Vulkan's semaphores in OpenGL",
        "no semaphores with opaque memory: fences pass as sync_files, or the CPU waits",
    ),
    (
        Of::Context,
        "GL_EXT_semaphore_fd",
        "Vulkan's semaphores as file descriptors",
        "no semaphores with opaque memory: fences pass as sync_files, or the CPU waits",
    ),
    (
        Of::ContextOfEs,
        "GL_EXT_texture_norm16",
        "formats with 16 bits a channel",
        "no formats with 16 bits a channel, unless as dma-bufs",
    ),
    (
        Of::ContextOfEs,
        "GL_EXT_color_buffer_float",
        "reading exact pixels back",
        "trials and snapshots cannot compare pixels here",
    ),
    (
        Of::ContextOfEs,
        "GL_EXT_sRGB_write_control",
        "keeping sRGB out of Lucarne's own draws",
        "nothing, unless the program draws into sRGB framebuffers",
    ),
];

impl Device {
    /// Every extension of EGL and OpenGL that Lucarne makes use of: whether it is there, and what that means.
    pub fn extensions(&self) -> Vec<Extension> {
        let device = self.inner();
        let client = client_extensions(device.library);
        let embedded = device.gl.version().is_embedded;
        let told = |(of, name, purpose, cost): Used| Extension {
            api: of.api(),
            name,
            present: match of {
                Of::Client => client.split_ascii_whitespace().any(|one| one == name),
                Of::Display => device.has_egl(name),
                Of::Context => device.has_gl(name),
                Of::ContextOfEs => device.has_gl(name) || !embedded,
            },
            purpose,
            cost,
        };
        USED.into_iter().map(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Extensions that are no lack where they are absent: another one tells the same, or it is a fact and no feature.
    const FACTS: [&str; 2] = ["EGL_EXT_device_base", "EGL_MESA_device_software"];

    #[test]
    fn what_this_backend_asks_for_is_in_the_table() {
        let files = [
            include_str!("adapter.rs"),
            include_str!("device.rs"),
            include_str!("image.rs"),
            include_str!("pixels.rs"),
            include_str!("semaphore.rs"),
            include_str!("support.rs"),
            include_str!("../format/table.rs"),
        ];
        let mut found = 0;
        for name in files.iter().flat_map(|file| file.split('"')) {
            let is_name = name.starts_with("EGL_") || name.starts_with("GL_");
            // An extension's name ends in small letters; errors and enumerants have none.
            if is_name && name.contains(|one: char| one.is_ascii_lowercase()) && !name.contains(' ')
            {
                let told = USED.iter().any(|one| one.1 == name) || FACTS.contains(&name);
                assert!(told, "{name} is not told");
                found += 1;
            }
        }
        assert!(found > 15, "{found}");
    }

    #[test]
    fn each_is_told_once_and_says_what_it_costs() {
        for (index, (of, name, purpose, cost)) in USED.into_iter().enumerate() {
            let of_context = matches!(of, Of::Context | Of::ContextOfEs);
            assert_eq!(name.starts_with("GL_"), of_context, "{name}");
            assert!(!purpose.is_empty() && !cost.is_empty(), "{name}");
            assert!(
                !USED[..index].iter().any(|one| one.1 == name),
                "{name} stands twice"
            );
        }
    }
}
