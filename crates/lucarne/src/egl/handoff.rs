//! The only file that passes file descriptors between this process and the EGL or GL driver.
//!
//! The rules differ by call. `eglCreateImageKHR` takes a reference and leaves the descriptor with the caller, so the
//! frame's own is lent. `eglCreateSyncKHR` and `glImportMemoryFdEXT` own the descriptor once they have succeeded, so
//! they get a duplicate, which is given up only then.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};

use glow::HasContext as _;
use khronos_egl as egl;

use super::color;
use super::inner::DeviceInner;
use super::raw::{self, EglImage, EglSync, loaded};
use crate::error::{Error, Result};
use crate::frame::{Fence, OpaqueFd, OpaqueSemaphore};
use crate::kernel::{DmaBuf, SyncFile};
use crate::layout::{FrameLayout, MAX_PLANES, Tiling};

/// `eglCreateImageKHR(EGL_LINUX_DMA_BUF_EXT)`: an image over the frame's own descriptors, which stay the frame's.
pub(super) fn create_image(
    device: &DeviceInner,
    layout: &FrameLayout,
    buffers: &[DmaBuf],
) -> Result<EglImage> {
    let create = loaded(device.library.ext.create_image, "eglCreateImageKHR")?;
    let attributes = image_attributes(layout, buffers)?;
    // SAFETY: eglCreateImageKHR: EGL_EXT_image_dma_buf_import(_modifiers) are listed (`support::path`); this target
    // takes no context and no buffer; the attributes end with EGL_NONE; every plane lies within its buffer
    // (`FrameLayout`), which the driver does not check.
    let image = unsafe {
        create(
            device.display.as_ptr(),
            egl::NO_CONTEXT,
            raw::LINUX_DMA_BUF_EXT,
            std::ptr::null_mut(),
            attributes.as_ptr(),
        )
    };
    if image.is_null() {
        return Err(device
            .library
            .failed("eglCreateImageKHR(EGL_LINUX_DMA_BUF_EXT)"));
    }
    Ok(image)
}

fn image_attributes(layout: &FrameLayout, buffers: &[DmaBuf]) -> Result<Vec<i32>> {
    // 32 bits, signed or not, are what the extension defines; `FrameLayout` holds planes to them.
    let word = |field, value: u64| {
        u32::try_from(value)
            .map(u32::cast_signed)
            .map_err(|_| Error::invalid(field, value, "at most 32 bits"))
    };
    let extent = layout.extent();
    let mut attributes = vec![
        egl::WIDTH,
        word("extent.width", extent.width.into())?,
        egl::HEIGHT,
        word("extent.height", extent.height.into())?,
        raw::LINUX_DRM_FOURCC_EXT,
        layout.format().fourcc().cast_signed(),
    ];
    for (plane, names) in layout.planes().iter().zip(raw::PLANE_ATTRIBUTES) {
        let buffer = buffers.get(plane.object).ok_or_else(|| {
            Error::invalid("plane.object", plane.object, "one of the frame's buffers")
        })?;
        let [fd, offset, pitch, modifier_low, modifier_high] = names;
        attributes.extend([
            fd,
            buffer.as_fd().as_raw_fd(),
            offset,
            word("plane.offset", plane.offset)?,
            pitch,
            word("plane.pitch", plane.pitch)?,
        ]);
        // Leaving the modifier out means "implicit", not LINEAR.
        if let Tiling::Explicit(modifier) = layout.tiling() {
            let code = modifier.code();
            attributes.extend([
                modifier_low,
                word("modifier", code & u64::from(u32::MAX))?,
                modifier_high,
                word("modifier", code >> 32)?,
            ]);
        }
    }
    attributes.extend(color::hints(layout)?);
    attributes.extend([raw::IMAGE_PRESERVED_KHR, 1, egl::NONE]);
    Ok(attributes)
}

/// One memory plane of an exported image. Without a descriptor the driver gave none for it.
pub(super) struct ExportedPlane {
    pub(super) fd: Option<OwnedFd>,
    pub(super) offset: u64,
    pub(super) pitch: u64,
}

/// `eglExportDMABUFImageMESA`: new descriptors for an image's planes, owned by the caller.
pub(super) fn export_image(
    device: &DeviceInner,
    image: EglImage,
    planes: usize,
) -> Result<Vec<ExportedPlane>> {
    const CALL: &str = "eglExportDMABUFImageMESA";
    let export = loaded(device.library.ext.export_image, CALL)?;
    // -1 also where the driver writes nothing although it answers success.
    let mut fds = [-1_i32; MAX_PLANES];
    let mut pitches = [0_i32; MAX_PLANES];
    let mut offsets = [0_i32; MAX_PLANES];
    // SAFETY: eglExportDMABUFImageMESA (listed: `support::export`) writes one of each for each plane the query
    // named, at most four.
    let ok = unsafe {
        export(
            device.display.as_ptr(),
            image,
            fds.as_mut_ptr(),
            pitches.as_mut_ptr(),
            offsets.as_mut_ptr(),
        )
    };
    if ok != egl::TRUE {
        return Err(device.library.failed(CALL));
    }
    let mut exported = Vec::new();
    // All descriptors are owned before anything can fail.
    for ((fd, pitch), offset) in fds.into_iter().zip(pitches).zip(offsets) {
        let fd = if fd < 0 {
            None
        } else {
            // SAFETY: OwnedFd::from_raw_fd: "the caller is responsible for closing" what the extension returns.
            Some(unsafe { OwnedFd::from_raw_fd(fd) })
        };
        exported.push((fd, pitch, offset));
    }
    exported.truncate(planes);
    exported
        .into_iter()
        .map(|(fd, pitch, offset)| {
            if let Some(fd) = &fd {
                rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC)
                    .map_err(|errno| Error::os("setting FD_CLOEXEC on an exported image", errno))?;
            }
            let number = |field, value: i32| {
                u64::try_from(value).map_err(|_| Error::invalid(field, value, "not negative"))
            };
            Ok(ExportedPlane {
                fd,
                offset: number("plane.offset", offset)?,
                pitch: number("plane.pitch", pitch)?,
            })
        })
        .collect()
}

/// `glImportMemoryFdEXT`: fills a GL memory object with an exporting driver's memory. Lends the descriptor.
pub(super) fn import_memory(device: &DeviceInner, object: u32, memory: &OpaqueFd) -> Result<()> {
    let import = loaded(device.functions.import_memory_fd, "glImportMemoryFdEXT")?;
    let duplicate = memory.duplicate()?;
    let _stale = device.gl_error();
    // SAFETY: glImportMemoryFdEXT (GL_EXT_memory_object_fd is listed): a memory object without memory, the size the
    // exporter allocated, an open descriptor of that exporter (same driver and device, checked by the caller).
    unsafe {
        import(
            object,
            memory.allocation_bytes(),
            raw::GL_HANDLE_TYPE_OPAQUE_FD_EXT,
            duplicate.as_raw_fd(),
        );
    }
    device.check_gl("glImportMemoryFdEXT")?;
    // "A successful import operation transfers ownership of <fd> to the GL implementation" (EXT_memory_object_fd).
    let _taken = duplicate.into_raw_fd();
    Ok(())
}

/// `glImportSemaphoreFdEXT`: makes a GL semaphore the one behind `shared`. Lends the descriptor.
pub(super) fn import_semaphore(
    device: &DeviceInner,
    semaphore: u32,
    shared: &OpaqueSemaphore,
) -> Result<()> {
    let import = loaded(
        device.functions.import_semaphore_fd,
        "glImportSemaphoreFdEXT",
    )?;
    let duplicate = shared.duplicate()?;
    let _stale = device.gl_error();
    // SAFETY: glImportSemaphoreFdEXT (GL_EXT_semaphore_fd is listed): a semaphore without a payload, an open descriptor of
    // the same driver and device (checked by the caller).
    unsafe {
        import(
            semaphore,
            raw::GL_HANDLE_TYPE_OPAQUE_FD_EXT,
            duplicate.as_raw_fd(),
        );
    }
    device.check_gl("glImportSemaphoreFdEXT")?;
    // "A successful import operation transfers ownership of <fd> to the GL implementation" (EXT_semaphore_fd).
    let _taken = duplicate.into_raw_fd();
    Ok(())
}

/// Makes commands issued from now on wait for `file`, whose descriptor is lent. The context is current.
pub(super) fn wait(device: &DeviceInner, file: &SyncFile) -> Result<()> {
    let duplicate = file.duplicate()?;
    let attributes = [
        raw::SYNC_NATIVE_FENCE_FD_ANDROID,
        duplicate.as_raw_fd(),
        egl::NONE,
    ];
    let kind = raw::SYNC_NATIVE_FENCE_ANDROID;
    let sync = Sync::create(device, kind, attributes.as_ptr())?;
    // EGL owns the descriptor of a native fence sync once that is created (EGL_ANDROID_native_fence_sync).
    let _taken = duplicate.into_raw_fd();
    let wait = loaded(device.library.ext.wait_sync, "eglWaitSyncKHR")?;
    // SAFETY: eglWaitSyncKHR (EGL_KHR_wait_sync is listed: `support::fences`) with a sync of this display and no flags;
    // the context is current.
    let ok = unsafe { wait(device.display.as_ptr(), sync.raw, 0) };
    if ok == 0 {
        return Err(device.library.failed("eglWaitSyncKHR"));
    }
    Ok(())
}

/// A sync_file behind all commands issued so far.
#[inline(never)]
pub(super) fn export_fence(device: &DeviceInner) -> Result<Fence> {
    let kind = raw::SYNC_NATIVE_FENCE_ANDROID;
    let sync = Sync::create(device, kind, std::ptr::null())?;
    // The fence has a descriptor only once the commands before it are flushed (EGL_ANDROID_native_fence_sync).
    // SAFETY: glFlush with a current context.
    unsafe { device.gl.flush() };
    let dup = loaded(
        device.library.ext.dup_native_fence,
        "eglDupNativeFenceFDANDROID",
    )?;
    // SAFETY: eglDupNativeFenceFDANDROID (listed) with a native fence sync of this display.
    let fd = unsafe { dup(device.display.as_ptr(), sync.raw) };
    if fd < 0 {
        return Err(device.library.failed("eglDupNativeFenceFDANDROID"));
    }
    // SAFETY: OwnedFd::from_raw_fd: the extension returns a new descriptor that the caller owns.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)
        .map_err(|errno| Error::os("setting FD_CLOEXEC on a fence's descriptor", errno))?;
    Ok(Fence::sync_file(SyncFile::given(fd)))
}

/// An `EGLSyncKHR`, destroyed on drop.
struct Sync<'a> {
    device: &'a DeviceInner,
    raw: EglSync,
}

impl<'a> Sync<'a> {
    /// `eglCreateSyncKHR`. `attributes` is null or a list that ends with `EGL_NONE` and outlives the call.
    fn create(device: &'a DeviceInner, kind: u32, attributes: *const i32) -> Result<Self> {
        let create = loaded(device.library.ext.create_sync, "eglCreateSyncKHR")?;
        // SAFETY: eglCreateSyncKHR: the caller has checked the extension of `kind`; `attributes` is as documented.
        let raw = unsafe { create(device.display.as_ptr(), kind, attributes) };
        if raw.is_null() {
            return Err(device.library.failed("eglCreateSyncKHR"));
        }
        Ok(Self { device, raw })
    }
}

impl Drop for Sync<'_> {
    fn drop(&mut self) {
        if let Some(destroy) = self.device.library.ext.destroy_sync {
            // SAFETY: eglDestroySyncKHR of a sync of this display, once.
            unsafe { destroy(self.device.display.as_ptr(), self.raw) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Format;
    use crate::kernel::Memfd;
    use crate::layout::{Extent, Plane};
    use crate::modifier::Modifier;

    // EGL_EXT_image_dma_buf_import and EGL_EXT_image_dma_buf_import_modifiers, plane by plane.
    const FDS: [i32; 4] = [0x3272, 0x3275, 0x3278, 0x3440];
    const OFFSETS: [i32; 4] = [0x3273, 0x3276, 0x3279, 0x3441];
    const PITCHES: [i32; 4] = [0x3274, 0x3277, 0x327A, 0x3442];
    const MODIFIERS_LO: [i32; 4] = [0x3443, 0x3445, 0x3447, 0x3449];
    const MODIFIERS_HI: [i32; 4] = [0x3444, 0x3446, 0x3448, 0x344A];

    fn buffer() -> DmaBuf {
        let memory = Memfd::create("lucarne-test", 1 << 20).expect("memory");
        let fd = rustix::io::fcntl_dupfd_cloexec(&memory, 3).expect("a descriptor");
        DmaBuf::new(fd).expect("a stand-in")
    }

    fn layout(tiling: Tiling, objects: &[usize]) -> FrameLayout {
        let planes: Vec<Plane> = (0_u64..)
            .zip(objects)
            .map(|(number, object)| Plane {
                object: *object,
                offset: number * 4096,
                pitch: 256 + number,
            })
            .collect();
        let sizes = vec![1 << 20; objects.iter().max().map_or(0, |last| last + 1)];
        FrameLayout::new(
            Extent::new(64, 16),
            Format::XRGB8888,
            tiling,
            &planes,
            &sizes,
        )
        .expect("fits")
    }

    /// The value after `name`, which must be there exactly once.
    fn value(attributes: &[i32], name: i32) -> Option<i32> {
        let pairs: Vec<i32> = attributes
            .chunks(2)
            .filter(|pair| pair[0] == name)
            .map(|pair| pair[1])
            .collect();
        assert!(pairs.len() < 2, "{name:#x} twice: {attributes:x?}");
        pairs.first().copied()
    }

    #[test]
    fn every_memory_plane_has_its_five_attributes() {
        for (code, objects) in [
            (0x0200_0000_1896_7b03_u64, vec![0_usize, 0, 0]),
            (0x0100_0000_0000_0008, vec![0, 1, 2]),
            (0x0100_0000_0000_0006, vec![0, 1]),
            // Of a vendor that nobody knows yet, who may have four, and whose low half is negative as 32 bits.
            (0x7f00_0001_8000_0001, vec![0, 0, 1, 1]),
        ] {
            let modifier = Modifier::new(code).expect("explicit");
            let layout = layout(Tiling::Explicit(modifier), &objects);
            let buffers: Vec<DmaBuf> = (0..layout.objects()).map(|_| buffer()).collect();
            let attributes = image_attributes(&layout, &buffers).expect("a list");
            assert_eq!(attributes.last(), Some(&egl::NONE));
            assert_eq!(attributes.len() % 2, 1, "pairs, and the end");
            assert_eq!(
                value(&attributes, raw::LINUX_DRM_FOURCC_EXT),
                Some(0x3432_5258)
            );
            for plane in 0..4 {
                let there = objects.get(plane);
                let number = i32::try_from(plane).expect("small");
                let is = |name, wanted: i32| {
                    assert_eq!(
                        value(&attributes, name),
                        there.map(|_| wanted),
                        "plane {plane}"
                    );
                };
                let fd = there.map_or(-1, |object| buffers[*object].as_fd().as_raw_fd());
                is(FDS[plane], fd);
                is(OFFSETS[plane], number * 4096);
                is(PITCHES[plane], 256 + number);
                let low = u32::try_from(code & 0xffff_ffff).expect("32 bits");
                let high = u32::try_from(code >> 32).expect("32 bits");
                is(MODIFIERS_LO[plane], low.cast_signed());
                is(MODIFIERS_HI[plane], high.cast_signed());
            }
        }
    }

    #[test]
    fn an_implicit_layout_names_no_modifier() {
        let layout = layout(Tiling::Implicit, &[0]);
        let attributes = image_attributes(&layout, &[buffer()]).expect("a list");
        assert_eq!(value(&attributes, FDS[1]), None);
        for plane in 0..4 {
            assert_eq!(value(&attributes, MODIFIERS_LO[plane]), None);
            assert_eq!(value(&attributes, MODIFIERS_HI[plane]), None);
        }
    }
}
