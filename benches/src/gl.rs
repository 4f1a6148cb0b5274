//! What looks at frames in OpenGL: the same for every variant.

#![expect(unsafe_code, reason = "calls EGL and OpenGL")]

use std::ffi::c_void;
use std::os::fd::{AsRawFd, BorrowedFd};

use glow::HasContext;
use khronos_egl as egl;
use lucarne::{Extent, Format};

use crate::Result;
use crate::stamp::Stamp;
use crate::vk::CORNER;

/// What every frame is: red, green, blue, alpha, a byte each.
pub(crate) const FORMAT: Format = Format::ABGR8888;

type EglInstance = egl::DynamicInstance<egl::EGL1_5>;
type CreateImage = unsafe extern "system" fn(
    *mut c_void,
    *mut c_void,
    u32,
    *mut c_void,
    *const i32,
) -> *mut c_void;
type DestroyImage = unsafe extern "system" fn(*mut c_void, *mut c_void) -> u32;
type ImageTarget = unsafe extern "system" fn(u32, *mut c_void);

// EGL_EXT_image_dma_buf_import and its modifiers.
const LINUX_DMA_BUF: u32 = 0x3270;
const FOURCC: i32 = 0x3271;
const FD: i32 = 0x3272;
const OFFSET: i32 = 0x3273;
const PITCH: i32 = 0x3274;
const MODIFIER_LOW: i32 = 0x3443;
const MODIFIER_HIGH: i32 = 0x3444;

/// A context, opened by Lucarne: nothing of that is measured.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) device: lucarne::egl::Device,
}

impl Context {
    pub(crate) fn open() -> Result<Self> {
        let adapters = lucarne::egl::Adapter::enumerate()?;
        let adapter = adapters.first().ok_or("EGL lists no device at all")?;
        let device = adapter.open()?;
        Ok(Self { device })
    }

    /// The device and its driver, as they call themselves.
    pub(crate) fn title(&self) -> String {
        format!("{}, {}", self.device.renderer(), self.device.version())
    }

    pub(crate) fn gl(&self) -> &glow::Context {
        self.device.glow()
    }

    /// A framebuffer through which a texture's pixels can be read.
    pub(crate) fn window(&self, texture: glow::Texture) -> Result<glow::Framebuffer> {
        let gl = self.gl();
        // SAFETY: glGenFramebuffers with a current context.
        let window = unsafe { gl.create_framebuffer() }?;
        let target = glow::FRAMEBUFFER;
        // SAFETY: glBindFramebuffer of a framebuffer of this context.
        unsafe { gl.bind_framebuffer(target, Some(window)) };
        let (attachment, kind) = (glow::COLOR_ATTACHMENT0, glow::TEXTURE_2D);
        // SAFETY: glFramebufferTexture2D of a texture of this context, at its only level.
        unsafe { gl.framebuffer_texture_2d(target, attachment, kind, Some(texture), 0) };
        // SAFETY: glCheckFramebufferStatus with a current context.
        let status = unsafe { gl.check_framebuffer_status(target) };
        if status != glow::FRAMEBUFFER_COMPLETE {
            return Err(format!("the framebuffer is not complete: {status:#06x}").into());
        }
        Ok(window)
    }

    /// Reads the two stamps of the frame behind `window`: this waits for the pixels. Callgrind leaves it out by its name.
    #[inline(never)]
    pub(crate) fn stamps(&self, window: glow::Framebuffer, extent: Extent) -> [Stamp; 2] {
        let gl = self.gl();
        // SAFETY: glBindFramebuffer of a framebuffer of this context.
        unsafe { gl.bind_framebuffer(glow::FRAMEBUFFER, Some(window)) };
        let middle = CORNER / 2;
        let corners = [
            (middle, middle),
            (extent.width - middle, extent.height - middle),
        ];
        corners.map(|(x, y)| {
            let mut pixel = [0; 4];
            let into = glow::PixelPackData::Slice(Some(&mut pixel));
            let (x, y) = (x.cast_signed(), y.cast_signed());
            // SAFETY: glReadPixels of one pixel within a complete framebuffer, into four bytes: the default pack state fits.
            unsafe { gl.read_pixels(x, y, 1, 1, glow::RGBA, glow::UNSIGNED_BYTE, into) };
            Stamp::of_pixel(pixel)
        })
    }

    /// Waits until everything that was issued so far is done, as whoever samples has to before the slot goes back.
    pub(crate) fn finish(&self) -> Result<()> {
        let gl = self.gl();
        // SAFETY: glFenceSync with a current context of OpenGL ES 3.
        let sync = unsafe { gl.fence_sync(glow::SYNC_GPU_COMMANDS_COMPLETE, 0) }?;
        let flush = glow::SYNC_FLUSH_COMMANDS_BIT;
        // SAFETY: glClientWaitSync of a sync object of this context.
        let answer = unsafe { gl.client_wait_sync(sync, flush, i32::MAX) };
        // SAFETY: glDeleteSync, once.
        unsafe { gl.delete_sync(sync) };
        if matches!(answer, glow::ALREADY_SIGNALED | glow::CONDITION_SATISFIED) {
            return Ok(());
        }
        Err(format!("glClientWaitSync answered {answer:#06x}").into())
    }

    /// Makes a texture of the caller's own storage.
    pub(crate) fn texture(&self) -> Result<glow::Texture> {
        let gl = self.gl();
        // SAFETY: glGenTextures with a current context.
        let texture = unsafe { gl.create_texture() }?;
        // SAFETY: glBindTexture of a texture of this context.
        unsafe { gl.bind_texture(glow::TEXTURE_2D, Some(texture)) };
        for name in [glow::TEXTURE_MIN_FILTER, glow::TEXTURE_MAG_FILTER] {
            let nearest = glow::NEAREST.cast_signed();
            // SAFETY: glTexParameteri with a filter, on the bound texture.
            unsafe { gl.tex_parameter_i32(glow::TEXTURE_2D, name, nearest) };
        }
        Ok(texture)
    }

    pub(crate) fn check(&self, what: &str) -> Result<()> {
        // SAFETY: glGetError with a current context.
        match unsafe { self.gl().get_error() } {
            glow::NO_ERROR => Ok(()),
            error => Err(format!("{what} ended in GL error {error:#06x}").into()),
        }
    }
}

/// Where a dma-buf's only plane lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plane {
    pub(crate) offset: u64,
    pub(crate) pitch: u64,
    pub(crate) modifier: u64,
}

/// EGL's functions for images, loaded by hand.
#[derive(Debug)]
pub(crate) struct Importer {
    display: egl::Display,
    create: CreateImage,
    destroy: DestroyImage,
    target: ImageTarget,
}

/// An image that was imported by hand, and what reads it.
#[derive(Debug)]
pub(crate) struct Imported {
    image: *mut c_void,
    texture: glow::Texture,
    pub(crate) window: glow::Framebuffer,
}

impl Importer {
    /// For the context that is current.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: loading a library runs its initialisers; the system's EGL is trusted to have sound ones.
        let egl = unsafe { EglInstance::load_required_from_filename("libEGL.so.1") }?;
        let display = egl.get_current_display().ok_or("no context is current")?;
        let load = |name: &str| {
            egl.get_proc_address(name)
                .ok_or_else(|| format!("EGL has no {name}"))
        };
        let (create, destroy) = (load("eglCreateImageKHR")?, load("eglDestroyImageKHR")?);
        let target = load("glEGLImageTargetTexture2DOES")?;
        Ok(Self {
            display,
            // SAFETY: transmute between function pointers: EGL_KHR_image_base declares it so.
            create: unsafe { std::mem::transmute::<extern "system" fn(), CreateImage>(create) },
            // SAFETY: as above.
            destroy: unsafe { std::mem::transmute::<extern "system" fn(), DestroyImage>(destroy) },
            // SAFETY: as above, GL_OES_EGL_image.
            target: unsafe { std::mem::transmute::<extern "system" fn(), ImageTarget>(target) },
        })
    }

    /// An image of a dma-buf, a texture of that, and a framebuffer to read it through.
    pub(crate) fn import(
        &self,
        context: &Context,
        extent: Extent,
        fd: BorrowedFd<'_>,
        plane: Plane,
    ) -> Result<Imported> {
        let word = |value: u64| u32::try_from(value).map(u32::cast_signed);
        let attributes = [
            egl::WIDTH,
            extent.width.cast_signed(),
            egl::HEIGHT,
            extent.height.cast_signed(),
            FOURCC,
            FORMAT.fourcc().cast_signed(),
            FD,
            fd.as_raw_fd(),
            OFFSET,
            word(plane.offset)?,
            PITCH,
            word(plane.pitch)?,
            MODIFIER_LOW,
            word(plane.modifier & u64::from(u32::MAX))?,
            MODIFIER_HIGH,
            word(plane.modifier >> 32)?,
            egl::NONE,
        ];
        let (display, none) = (self.display.as_ptr(), std::ptr::null_mut());
        // SAFETY: eglCreateImageKHR(EGL_LINUX_DMA_BUF_EXT): no context and no buffer; the list ends with EGL_NONE; the plane is
        // as its exporter's driver told.
        let image =
            unsafe { (self.create)(display, none, LINUX_DMA_BUF, none, attributes.as_ptr()) };
        if image.is_null() {
            return Err("eglCreateImageKHR refused the dma-buf".into());
        }
        let texture = context.texture()?;
        // SAFETY: glEGLImageTargetTexture2DOES: a valid image, and a texture is bound.
        unsafe { (self.target)(glow::TEXTURE_2D, image) };
        context.check("glEGLImageTargetTexture2DOES")?;
        let window = context.window(texture)?;
        Ok(Imported {
            image,
            texture,
            window,
        })
    }

    /// Lets go of it; the context is current.
    pub(crate) fn free(&self, context: &Context, imported: &Imported) {
        let gl = context.gl();
        // SAFETY: glDeleteFramebuffers of a framebuffer of this context, once.
        unsafe { gl.delete_framebuffer(imported.window) };
        // SAFETY: glDeleteTextures, as above.
        unsafe { gl.delete_texture(imported.texture) };
        // SAFETY: eglDestroyImageKHR of an image of this display, once.
        unsafe { (self.destroy)(self.display.as_ptr(), imported.image) };
    }
}
