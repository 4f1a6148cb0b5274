//! The EGL devices of the machine, asked before anything is opened.

use std::ffi::CStr;
use std::fmt;

use khronos_egl as egl;

use super::raw::{self, EglDevice, Library, loaded};
use crate::device_id::DrmNode;
use crate::error::{Error, Requirement, Result};

/// An `EGLDeviceEXT` that could be opened.
#[derive(Clone)]
pub struct Adapter {
    device: EglDevice,
    extensions: String,
    render_node: Option<DrmNode>,
    primary_node: Option<DrmNode>,
}

// SAFETY: EGL_EXT_device_base: an EGLDeviceEXT is a handle that is valid for the life of the process and may be
// queried from any thread.
unsafe impl Send for Adapter {}
// SAFETY: as above.
unsafe impl Sync for Adapter {}

impl Adapter {
    /// Every EGL device, in the order of `eglQueryDevicesEXT`; software devices usually come last.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] without libEGL, a driver or `EGL_EXT_device_enumeration`; [`Error::Driver`] when the query fails.
    pub fn enumerate() -> Result<Vec<Self>> {
        let library = raw::library()?;
        require_client_extensions(
            library,
            &["EGL_EXT_device_enumeration", "EGL_EXT_device_query"],
        )?;
        let query = loaded(library.ext.query_devices, "eglQueryDevicesEXT")?;
        let mut count = 0;
        // SAFETY: eglQueryDevicesEXT: with a null array only the count is written.
        let ok = unsafe { query(0, std::ptr::null_mut(), &raw mut count) };
        if ok != egl::TRUE {
            return Err(library.failed("eglQueryDevicesEXT"));
        }
        let mut devices = vec![std::ptr::null_mut(); usize::try_from(count).unwrap_or(0)];
        // SAFETY: eglQueryDevicesEXT writes at most `count` devices, which is the array's length.
        let ok = unsafe { query(count, devices.as_mut_ptr(), &raw mut count) };
        if ok != egl::TRUE {
            return Err(library.failed("eglQueryDevicesEXT"));
        }
        devices.truncate(usize::try_from(count).unwrap_or(0));
        Ok(devices
            .into_iter()
            .map(|device| Self::of(library, device))
            .collect())
    }

    fn of(library: &Library, device: EglDevice) -> Self {
        let node = |name| device_string(library, device, name).and_then(|path| drm_node(&path));
        Self {
            device,
            extensions: device_string(library, device, egl::EXTENSIONS).unwrap_or_default(),
            render_node: node(raw::DRM_RENDER_NODE_FILE_EXT),
            primary_node: node(raw::DRM_DEVICE_FILE_EXT),
        }
    }

    /// Whether this is a software rasteriser (`EGL_MESA_device_software`): no device at all.
    pub fn is_software(&self) -> bool {
        self.has("EGL_MESA_device_software")
    }

    /// The render node, where the driver tells it.
    pub fn render_node(&self) -> Option<DrmNode> {
        self.render_node
    }

    /// The primary node, where the driver tells it.
    pub fn primary_node(&self) -> Option<DrmNode> {
        self.primary_node
    }

    /// The device behind a display, where EGL tells.
    pub(super) fn of_display(library: &Library, display: egl::Display) -> Option<Self> {
        let query = library.ext.query_display_attrib?;
        let listed = library.egl.query_string(None, egl::EXTENSIONS).ok()?;
        let listed = listed.to_string_lossy();
        let has = |name: &str| listed.split_ascii_whitespace().any(|one| one == name);
        if !has("EGL_EXT_device_query") && !has("EGL_EXT_device_base") {
            return None;
        }
        let mut device = 0_isize;
        // SAFETY: eglQueryDisplayAttribEXT (EGL_EXT_device_query) writes one EGLAttrib.
        let ok = unsafe { query(display.as_ptr(), raw::DEVICE_EXT, &raw mut device) };
        if ok != egl::TRUE || device == 0 {
            let _cleared = library.egl.get_error();
            return None;
        }
        let device = std::ptr::with_exposed_provenance_mut(device.cast_unsigned());
        Some(Self::of(library, device))
    }

    pub(super) fn raw(&self) -> EglDevice {
        self.device
    }

    fn has(&self, extension: &str) -> bool {
        self.extensions
            .split_ascii_whitespace()
            .any(|one| one == extension)
    }
}

impl fmt::Debug for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adapter")
            .field("software", &self.is_software())
            .field("render_node", &self.render_node)
            .field("primary_node", &self.primary_node)
            .finish_non_exhaustive()
    }
}

/// What EGL lists without a display, with spaces between.
pub(super) fn client_extensions(library: &Library) -> String {
    let listed = library.egl.query_string(None, egl::EXTENSIONS);
    listed.map_or_else(
        |_| String::new(),
        |text| text.to_string_lossy().into_owned(),
    )
}

pub(super) fn require_client_extensions(library: &Library, names: &[&'static str]) -> Result<()> {
    let listed = client_extensions(library);
    let missing: Vec<Requirement> = names
        .iter()
        .filter(|name| !listed.split_ascii_whitespace().any(|one| one == **name))
        .map(|name| Requirement::Extension {
            api: "EGL client",
            name,
            available: false,
        })
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    // What libglvnd says where it has loaded no vendor's library: a driver lists at least EGL_EXT_client_extensions.
    if listed.trim().is_empty() {
        let variables = [
            "__EGL_VENDOR_LIBRARY_FILENAMES",
            "__EGL_VENDOR_LIBRARY_DIRS",
        ];
        let driver = Requirement::loaded_driver("EGL", "libegl-mesa0", &variables);
        return Err(Error::unsupported("opening an EGL device", vec![driver]));
    }
    Err(Error::unsupported("opening an EGL device", missing))
}

fn device_string(library: &Library, device: EglDevice, name: i32) -> Option<String> {
    let query = library.ext.query_device_string?;
    // SAFETY: eglQueryDeviceStringEXT with a device of eglQueryDevicesEXT; a name the device does not know gives
    // null and EGL_BAD_PARAMETER.
    let text = unsafe { query(device, name) };
    if text.is_null() {
        // Take the error away, so that it is not mistaken for the next call's.
        let _cleared = library.egl.get_error();
        return None;
    }
    // SAFETY: the extension returns a static NUL-terminated string.
    let text = unsafe { CStr::from_ptr(text) };
    Some(text.to_string_lossy().into_owned())
}

fn drm_node(path: &str) -> Option<DrmNode> {
    let stat = rustix::fs::stat(path).ok()?;
    Some(DrmNode {
        major: rustix::fs::major(stat.st_rdev),
        minor: rustix::fs::minor(stat.st_rdev),
    })
}
