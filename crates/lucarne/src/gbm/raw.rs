//! libgbm's functions, loaded by name: linking would make every program that has this backend depend on the library,
//! and its build on the headers' package.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::io;
use std::sync::OnceLock;

use crate::error::{Error, Requirement, Result};

/// Stable since Mesa 10 (2013); other vendors' libraries take this name too.
const LIBRARY: &str = "libgbm.so.1";

/// `GBM_BO_USE_RENDERING`.
pub(super) const USE_RENDERING: u32 = 1 << 2;
/// `GBM_BO_USE_LINEAR`.
pub(super) const USE_LINEAR: u32 = 1 << 4;

/// `struct gbm_device *`.
pub(super) type GbmDevice = *mut c_void;
/// `struct gbm_bo *`.
pub(super) type GbmBo = *mut c_void;

/// `union gbm_bo_handle`; a union, as it is returned by value.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) union Handle {
    pointer: *mut c_void,
    pub(super) bits: u64,
}

/// Loads the library once per process.
pub(super) fn library() -> Result<&'static Library> {
    static LOADED: OnceLock<std::result::Result<Library, String>> = OnceLock::new();
    let loaded = LOADED.get_or_init(Library::load);
    loaded.as_ref().map_err(|error| {
        Error::unsupported(
            "GBM",
            vec![Requirement::Library {
                name: LIBRARY,
                at_least: "Mesa 21.3",
                package: "libgbm1",
                problem: error.clone(),
            }],
        )
    })
}

macro_rules! functions {
    ($($field:ident: $symbol:literal fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// libgbm and its functions.
        pub(super) struct Library {
            $(pub(super) $field: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
            /// The pointers above are valid while it is loaded.
            _loaded: libloading::Library,
        }

        impl Library {
            fn load() -> std::result::Result<Self, String> {
                // SAFETY: loading a library runs its initialisers; the system's libgbm is trusted to have sound ones,
                // and to be the libgbm that its name says.
                let loaded = unsafe { libloading::Library::new(LIBRARY) }.map_err(|error| error.to_string())?;
                Ok(Self {
                    $($field: {
                        // SAFETY: Library::get: gbm.h declares $symbol with this signature.
                        let symbol = unsafe {
                            loaded.get::<unsafe extern "C" fn($($argument),*) $(-> $result)?>($symbol.as_bytes())
                        };
                        *symbol.map_err(|error| error.to_string())?
                    },)*
                    _loaded: loaded,
                })
            }
        }
    };
}

functions! {
    create_device: "gbm_create_device" fn(c_int) -> GbmDevice;
    device_destroy: "gbm_device_destroy" fn(GbmDevice);
    device_get_fd: "gbm_device_get_fd" fn(GbmDevice) -> c_int;
    device_get_backend_name: "gbm_device_get_backend_name" fn(GbmDevice) -> *const c_char;
    device_is_format_supported: "gbm_device_is_format_supported" fn(GbmDevice, u32, u32) -> c_int;
    bo_create: "gbm_bo_create" fn(GbmDevice, u32, u32, u32, u32) -> GbmBo;
    bo_create_with_modifiers2: "gbm_bo_create_with_modifiers2"
        fn(GbmDevice, u32, u32, u32, *const u64, c_uint, u32) -> GbmBo;
    bo_destroy: "gbm_bo_destroy" fn(GbmBo);
    bo_get_modifier: "gbm_bo_get_modifier" fn(GbmBo) -> u64;
    bo_get_plane_count: "gbm_bo_get_plane_count" fn(GbmBo) -> c_int;
    bo_get_offset: "gbm_bo_get_offset" fn(GbmBo, c_int) -> u32;
    bo_get_stride_for_plane: "gbm_bo_get_stride_for_plane" fn(GbmBo, c_int) -> u32;
    bo_get_fd_for_plane: "gbm_bo_get_fd_for_plane" fn(GbmBo, c_int) -> c_int;
    bo_get_handle_for_plane: "gbm_bo_get_handle_for_plane" fn(GbmBo, c_int) -> Handle;
}

/// The error of a call that has just returned nothing. libgbm leaves the reason in `errno`, where it gives one.
pub(super) fn failed(call: &'static str, asked: String) -> Error {
    let error = io::Error::last_os_error();
    let code = match error.raw_os_error() {
        None | Some(0) => "no error code".to_owned(),
        Some(_) => error.to_string(),
    };
    Error::Driver {
        call,
        code,
        help: asked,
    }
}
