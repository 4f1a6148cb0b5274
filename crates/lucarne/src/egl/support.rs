//! What a context can at all, and which extensions it lacks.

use super::inner::{DeviceInner, Fences};
use crate::error::{Requirement, Support};
use crate::kernel::Udmabuf;
use crate::negotiate::{FenceSupport, MemoryPath};
use crate::quirks;

/// Whether frames of this path can be imported.
pub(super) fn path(device: &DeviceInner, path: MemoryPath) -> Support {
    let mut missing = Vec::new();
    match path {
        MemoryPath::DmaBuf => {
            missing.extend(missing_extensions(
                device,
                &[
                    "EGL_EXT_image_dma_buf_import",
                    "EGL_EXT_image_dma_buf_import_modifiers",
                ],
            ));
            if !device.has_gl("GL_OES_EGL_image") && !device.has_gl("GL_EXT_EGL_image_storage") {
                missing.push(gl_extension("GL_OES_EGL_image"));
            }
            missing.extend(unsafe_software_device(device));
        }
        MemoryPath::OpaqueFd => {
            for name in ["GL_EXT_memory_object", "GL_EXT_memory_object_fd"] {
                if !device.has_gl(name) {
                    missing.push(gl_extension(name));
                }
            }
            missing.extend(opaque_dma_bufs(device));
        }
        MemoryPath::HostMemory => {}
    }
    unless(missing)
}

/// Whether textures can be exported as dma-bufs.
pub(super) fn export(device: &DeviceInner) -> Support {
    let mut missing = missing_extensions(
        device,
        &[
            "EGL_MESA_image_dma_buf_export",
            "EGL_KHR_image_base",
            "EGL_KHR_gl_texture_2D_image",
        ],
    );
    missing.extend(unsafe_software_device(device));
    unless(missing)
}

/// What fences the context can take and give. Looked up once.
pub(super) fn fences(device: &DeviceInner) -> &Fences {
    device.fences.get_or_init(|| {
        let support = fence_support(device);
        // A software driver would wait on this thread, and for ever: Lucarne waits instead, with a deadline.
        let gpu_waits = support.import.is_yes() && !device.quirk(&quirks::SOFTWARE_WAITS_FOR_EVER);
        Fences { support, gpu_waits }
    })
}

fn fence_support(device: &DeviceInner) -> FenceSupport {
    let listed = unless(missing_extensions(
        device,
        &["EGL_ANDROID_native_fence_sync"],
    ));
    let wait = unless(missing_extensions(device, &["EGL_KHR_wait_sync"]));
    let import = if listed.is_yes() {
        wait
    } else {
        listed.clone()
    };
    let export = if listed.is_yes() && device.quirk(&quirks::SOFTWARE_FENCE_EXPORT) {
        Support::no(Requirement::Quirk {
            name: quirks::SOFTWARE_FENCE_EXPORT.name,
            effect: "Mesa's software driver exports a fence by finishing every context of the process, other threads' \
                     too, which deadlocks"
                .to_owned(),
        })
    } else {
        listed
    };
    FenceSupport { export, import }
}

/// Whether the context can use another API's semaphores.
pub(super) fn opaque_semaphores(device: &DeviceInner) -> Support {
    let names = ["GL_EXT_semaphore", "GL_EXT_semaphore_fd"];
    let missing = names.into_iter().filter(|name| !device.has_gl(name));
    unless(missing.map(gl_extension).collect())
}

fn unless(missing: Vec<Requirement>) -> Support {
    if missing.is_empty() {
        Support::Yes(())
    } else {
        Support::No(missing)
    }
}

/// Mesa's software rasteriser on a DRM node (`kms_swrast`) crashes when it maps a foreign dma-buf: only the software
/// EGL device maps buffers in a way that works for any.
fn unsafe_software_device(device: &DeviceInner) -> Option<Requirement> {
    device.quirk(&quirks::KMS_SWRAST).then(|| {
        Requirement::Quirk {
            name: quirks::KMS_SWRAST.name,
            effect: "needs the software EGL device (EGL_MESA_device_software): this display is software on a DRM node \
                     (kms_swrast), which crashes on buffers it did not make; use EGL_EXT_platform_device or \
                     egl::Adapter::open"
                .to_owned(),
        }
    })
}

/// With `/dev/udmabuf` Mesa's software Vulkan exports opaque memory that its OpenGL does not know.
fn opaque_dma_bufs(device: &DeviceInner) -> Option<Requirement> {
    let quirk = &quirks::OPAQUE_FD_IS_A_DMA_BUF;
    (device.quirk(quirk) && Udmabuf::probe().is_yes()).then(|| {
        Requirement::Quirk {
            name: quirk.name,
            effect: "needs memory objects that this OpenGL knows: where /dev/udmabuf can be opened, Mesa's software \
                     Vulkan exports dma-bufs as opaque-fd, which this OpenGL refuses; share dma-bufs instead"
                .to_owned(),
        }
    })
}

fn missing_extensions(device: &DeviceInner, names: &[&'static str]) -> Vec<Requirement> {
    names
        .iter()
        .filter(|name| !device.has_egl(name))
        .map(|name| Requirement::Extension {
            api: "EGL display",
            name,
            available: false,
        })
        .collect()
}

fn gl_extension(name: &'static str) -> Requirement {
    Requirement::Extension {
        api: "OpenGL",
        name,
        available: false,
    }
}
