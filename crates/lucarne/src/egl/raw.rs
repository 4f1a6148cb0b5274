//! Entry points that khronos-egl and glow do not have, loaded by name.
//!
//! A loaded pointer is no proof that a driver has the function (dispatch libraries return stubs), so each is only
//! called where its extension is listed.

use std::ffi::{c_char, c_void};
use std::sync::OnceLock;

use khronos_egl as egl;

use crate::error::{Error, Requirement, Result};

pub(super) type Egl = egl::DynamicInstance<egl::EGL1_4>;

pub(super) type EglDevice = *mut c_void;
pub(super) type EglImage = *mut c_void;
pub(super) type EglSync = *mut c_void;

pub(super) const PLATFORM_DEVICE_EXT: u32 = 0x313F;
pub(super) const DEVICE_EXT: i32 = 0x322C;
pub(super) const DRM_DEVICE_FILE_EXT: i32 = 0x3233;
pub(super) const DRM_RENDER_NODE_FILE_EXT: i32 = 0x3377;
pub(super) const LINUX_DMA_BUF_EXT: u32 = 0x3270;
pub(super) const LINUX_DRM_FOURCC_EXT: i32 = 0x3271;
/// `EGL_DMA_BUF_PLANEi_FD_EXT`, `_OFFSET_EXT`, `_PITCH_EXT`, `_MODIFIER_LO_EXT`, `_MODIFIER_HI_EXT`.
pub(super) const PLANE_ATTRIBUTES: [[i32; 5]; 4] = [
    [0x3272, 0x3273, 0x3274, 0x3443, 0x3444],
    [0x3275, 0x3276, 0x3277, 0x3445, 0x3446],
    [0x3278, 0x3279, 0x327A, 0x3447, 0x3448],
    [0x3440, 0x3441, 0x3442, 0x3449, 0x344A],
];
/// Hints of EGL_EXT_image_dma_buf_import: attributes, then values.
pub(super) const YUV_COLOR_SPACE_HINT_EXT: i32 = 0x327B;
pub(super) const SAMPLE_RANGE_HINT_EXT: i32 = 0x327C;
pub(super) const YUV_CHROMA_HORIZONTAL_SITING_HINT_EXT: i32 = 0x327D;
pub(super) const YUV_CHROMA_VERTICAL_SITING_HINT_EXT: i32 = 0x327E;
pub(super) const ITU_REC601_EXT: i32 = 0x327F;
pub(super) const ITU_REC709_EXT: i32 = 0x3280;
pub(super) const ITU_REC2020_EXT: i32 = 0x3281;
pub(super) const YUV_FULL_RANGE_EXT: i32 = 0x3282;
pub(super) const YUV_NARROW_RANGE_EXT: i32 = 0x3283;
pub(super) const YUV_CHROMA_SITING_0_EXT: i32 = 0x3284;
pub(super) const YUV_CHROMA_SITING_0_5_EXT: i32 = 0x3285;
pub(super) const IMAGE_PRESERVED_KHR: i32 = 0x30D2;
pub(super) const GL_TEXTURE_2D_KHR: u32 = 0x30B1;
pub(super) const SYNC_NATIVE_FENCE_ANDROID: u32 = 0x3144;
pub(super) const SYNC_NATIVE_FENCE_FD_ANDROID: i32 = 0x3145;

pub(super) const GL_UNPACK_SWAP_BYTES: u32 = 0x0CF0;
pub(super) const GL_UNPACK_LSB_FIRST: u32 = 0x0CF1;
pub(super) const GL_PACK_SWAP_BYTES: u32 = 0x0D00;
pub(super) const GL_PACK_LSB_FIRST: u32 = 0x0D01;
pub(super) const GL_TEXTURE_EXTERNAL_OES: u32 = 0x8D65;
pub(super) const GL_TEXTURE_BINDING_EXTERNAL_OES: u32 = 0x8D67;
pub(super) const GL_TEXTURE_TILING_EXT: u32 = 0x9580;
pub(super) const GL_DEDICATED_MEMORY_OBJECT_EXT: u32 = 0x9581;
pub(super) const GL_OPTIMAL_TILING_EXT: i32 = 0x9584;
pub(super) const GL_HANDLE_TYPE_OPAQUE_FD_EXT: u32 = 0x9586;
pub(super) const GL_LAYOUT_GENERAL_EXT: u32 = 0x958D;
pub(super) const GL_NUM_DEVICE_UUIDS_EXT: u32 = 0x9596;
pub(super) const GL_DEVICE_UUID_EXT: u32 = 0x9597;
pub(super) const GL_DRIVER_UUID_EXT: u32 = 0x9598;

/// Loads `libEGL.so.1` once per process.
pub(super) fn library() -> Result<&'static Library> {
    static LIBRARY: OnceLock<std::result::Result<Library, String>> = OnceLock::new();
    let loaded = LIBRARY.get_or_init(|| {
        // SAFETY: loading a library runs its initialisers; the system's EGL dispatch library is trusted to have
        // sound ones, and to be the EGL that its name says.
        unsafe { Egl::load_required_from_filename("libEGL.so.1") }
            .map(Library::new)
            .map_err(|error| error.to_string())
    });
    loaded.as_ref().map_err(|error| {
        Error::unsupported(
            "EGL",
            vec![Requirement::Library {
                name: "libEGL.so.1",
                at_least: "EGL 1.4",
                package: "libegl1",
                problem: error.clone(),
            }],
        )
    })
}

/// EGL and its extensions' entry points.
pub(super) struct Library {
    pub(super) egl: Egl,
    pub(super) ext: EglFunctions,
}

impl Library {
    fn new(egl: Egl) -> Self {
        let ext = EglFunctions::load(&egl);
        Self { egl, ext }
    }

    /// The last EGL error of this thread, by name.
    pub(super) fn failed(&self, call: &'static str) -> Error {
        Error::driver(
            call,
            self.egl.get_error().map_or("no error code", error_name),
        )
    }
}

/// The registry's name for EGL's answer.
pub(super) fn error_name(error: egl::Error) -> &'static str {
    use egl::Error as E;
    match error {
        E::NotInitialized => "EGL_NOT_INITIALIZED",
        E::BadAccess => "EGL_BAD_ACCESS",
        E::BadAlloc => "EGL_BAD_ALLOC",
        E::BadAttribute => "EGL_BAD_ATTRIBUTE",
        E::BadContext => "EGL_BAD_CONTEXT",
        E::BadConfig => "EGL_BAD_CONFIG",
        E::BadCurrentSurface => "EGL_BAD_CURRENT_SURFACE",
        E::BadDisplay => "EGL_BAD_DISPLAY",
        E::BadSurface => "EGL_BAD_SURFACE",
        E::BadMatch => "EGL_BAD_MATCH",
        E::BadParameter => "EGL_BAD_PARAMETER",
        E::BadNativePixmap => "EGL_BAD_NATIVE_PIXMAP",
        E::BadNativeWindow => "EGL_BAD_NATIVE_WINDOW",
        E::ContextLost => "EGL_CONTEXT_LOST",
    }
}

macro_rules! functions {
    ($(#[$doc:meta])* $table:ident { $($field:ident: $symbol:literal fn($($argument:ty),*) $(-> $result:ty)?;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(super) struct $table {
            $(pub(super) $field: Option<unsafe extern "system" fn($($argument),*) $(-> $result)?>,)*
        }

        impl $table {
            pub(super) fn load(egl: &Egl) -> Self {
                Self {
                    $($field: egl.get_proc_address($symbol).map(|function| {
                        // SAFETY: transmute between function pointers: the registry declares $symbol with this
                        // signature, and it is only called where its extension is listed.
                        unsafe {
                            std::mem::transmute::<
                                extern "system" fn(),
                                unsafe extern "system" fn($($argument),*) $(-> $result)?,
                            >(function)
                        }
                    }),)*
                }
            }
        }
    };
}

functions! {
    /// EGL extensions.
    EglFunctions {
        query_devices: "eglQueryDevicesEXT" fn(i32, *mut EglDevice, *mut i32) -> u32;
        query_device_string: "eglQueryDeviceStringEXT" fn(EglDevice, i32) -> *const c_char;
        query_display_attrib: "eglQueryDisplayAttribEXT" fn(*mut c_void, i32, *mut isize) -> u32;
        get_platform_display: "eglGetPlatformDisplayEXT" fn(u32, *mut c_void, *const i32) -> *mut c_void;
        create_image: "eglCreateImageKHR" fn(*mut c_void, *mut c_void, u32, *mut c_void, *const i32) -> EglImage;
        destroy_image: "eglDestroyImageKHR" fn(*mut c_void, EglImage) -> u32;
        query_formats: "eglQueryDmaBufFormatsEXT" fn(*mut c_void, i32, *mut i32, *mut i32) -> u32;
        query_modifiers: "eglQueryDmaBufModifiersEXT" fn(*mut c_void, i32, i32, *mut u64, *mut u32, *mut i32) -> u32;
        export_query: "eglExportDMABUFImageQueryMESA" fn(*mut c_void, EglImage, *mut i32, *mut i32, *mut u64) -> u32;
        export_image: "eglExportDMABUFImageMESA" fn(*mut c_void, EglImage, *mut i32, *mut i32, *mut i32) -> u32;
        create_sync: "eglCreateSyncKHR" fn(*mut c_void, u32, *const i32) -> EglSync;
        destroy_sync: "eglDestroySyncKHR" fn(*mut c_void, EglSync) -> u32;
        wait_sync: "eglWaitSyncKHR" fn(*mut c_void, EglSync, i32) -> i32;
        dup_native_fence: "eglDupNativeFenceFDANDROID" fn(*mut c_void, EglSync) -> i32;
    }
}

functions! {
    /// GL and its extensions.
    GlFunctions {
        image_target_texture: "glEGLImageTargetTexture2DOES" fn(u32, EglImage);
        image_target_storage: "glEGLImageTargetTexStorageEXT" fn(u32, EglImage, *const i32);
        create_memory_objects: "glCreateMemoryObjectsEXT" fn(i32, *mut u32);
        delete_memory_objects: "glDeleteMemoryObjectsEXT" fn(i32, *const u32);
        memory_object_parameter: "glMemoryObjectParameterivEXT" fn(u32, u32, *const i32);
        import_memory_fd: "glImportMemoryFdEXT" fn(u32, u64, u32, i32);
        storage_mem_2d: "glTexStorageMem2DEXT" fn(u32, i32, u32, i32, i32, u32, u64);
        gen_semaphores: "glGenSemaphoresEXT" fn(i32, *mut u32);
        delete_semaphores: "glDeleteSemaphoresEXT" fn(i32, *const u32);
        import_semaphore_fd: "glImportSemaphoreFdEXT" fn(u32, u32, i32);
        wait_semaphore: "glWaitSemaphoreEXT" fn(u32, u32, *const u32, u32, *const u32, *const u32);
        signal_semaphore: "glSignalSemaphoreEXT" fn(u32, u32, *const u32, u32, *const u32, *const u32);
        unsigned_bytes: "glGetUnsignedBytevEXT" fn(u32, *mut u8);
        unsigned_bytes_indexed: "glGetUnsignedBytei_vEXT" fn(u32, u32, *mut u8);
        sub_image_2d: "glTexSubImage2D" fn(u32, i32, i32, i32, i32, i32, u32, u32, *const c_void);
    }
}

/// The pointer, or an error that names what is missing.
pub(super) fn loaded<F>(function: Option<F>, symbol: &'static str) -> Result<F> {
    function.ok_or_else(|| Error::driver(symbol, "no such entry point"))
}
