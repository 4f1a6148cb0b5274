//! What an X server takes: DRI3, which carries dma-bufs, and whose OpenGL it names.

use serde::{Deserialize, Serialize};
use x11rb::connection::RequestConnection;
use x11rb::protocol::{dri3, glx};
use x11rb::rust_connection::RustConnection;

use super::super::cell::tame;
use crate::Failure;

/// From 1.2 on dma-bufs come with modifiers.
const WITH_MODIFIERS: [u32; 2] = [1, 2];
/// `GLX_VENDOR` of glx.h.
const VENDOR: u32 = 1;

/// What a server says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct X11 {
    /// Major and minor version; nothing where it takes no dma-bufs.
    pub(crate) dri3: Option<[u32; 2]>,
    /// Whether dma-bufs may have modifiers.
    pub(crate) modifiers: bool,
    /// Whose GLX it is.
    pub(crate) glx_vendor: Option<String>,
}

impl X11 {
    /// What there is to know, in sentences.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![match self.dri3 {
            None => "takes no dma-bufs: it lacks DRI3".to_owned(),
            Some([major, minor]) if self.modifiers => {
                format!("DRI3 {major}.{minor}: dma-bufs with modifiers")
            }
            Some([major, minor]) => {
                format!("DRI3 {major}.{minor}: dma-bufs without modifiers (1.2 has them)")
            }
        }];
        let glx = self.glx_vendor.as_ref();
        lines.extend(glx.map(|vendor| format!("GLX of {vendor}")));
        lines
    }
}

/// Asks the server of `DISPLAY`.
pub(super) fn ask() -> Result<X11, Failure> {
    let (connection, screen) = RustConnection::connect(None)
        .map_err(|error| format!("connecting to the X server: {error}"))?;
    let dri3 = dri3_version(&connection)?;
    Ok(X11 {
        dri3,
        modifiers: dri3.is_some_and(|version| version >= WITH_MODIFIERS),
        glx_vendor: glx_vendor(&connection, screen)?,
    })
}

fn dri3_version(connection: &RustConnection) -> Result<Option<[u32; 2]>, Failure> {
    if connection
        .extension_information(dri3::X11_EXTENSION_NAME)?
        .is_none()
    {
        return Ok(None);
    }
    let version = dri3::query_version(connection, 1, 4)?.reply()?;
    Ok(Some([version.major_version, version.minor_version]))
}

fn glx_vendor(connection: &RustConnection, screen: usize) -> Result<Option<String>, Failure> {
    if connection
        .extension_information(glx::X11_EXTENSION_NAME)?
        .is_none()
    {
        return Ok(None);
    }
    let screen = u32::try_from(screen)?;
    let vendor = glx::query_server_string(connection, screen, VENDOR)?.reply()?;
    let text = String::from_utf8_lossy(&vendor.string);
    Ok(Some(tame(text.trim_end_matches('\0'))))
}
