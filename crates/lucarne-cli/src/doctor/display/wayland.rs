//! What a Wayland compositor takes: `zwp_linux_dmabuf_v1`, and whether it takes explicit fences.

use std::time::Duration;

use lucarne::{Format, Tiling};
use lucarne_wayland::Display;
use serde::{Deserialize, Serialize};

use super::dev;
use crate::Failure;
use crate::output::{counted, format_name, layout_name};

/// From this version on the compositor says which device it wants.
const WITH_FEEDBACK: u32 = 4;
const DMABUF: &str = "zwp_linux_dmabuf_v1";
const EXPLICIT_SYNC: &str = "wp_linux_drm_syncobj_manager_v1";
/// Longer than any compositor takes; who asks in a child has a deadline of its own.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a compositor says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Wayland {
    /// Nothing where it takes no dma-bufs.
    pub(crate) linux_dmabuf: Option<Dmabuf>,
    /// The version of `wp_linux_drm_syncobj_manager_v1`: nothing where it takes no explicit fences.
    pub(crate) explicit_sync: Option<u32>,
}

/// `zwp_linux_dmabuf_v1`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Dmabuf {
    pub(crate) version: u32,
    /// Before version 4 the compositor does not say.
    pub(crate) main_device: Option<String>,
    /// Best first; before version 4 one, of no device.
    pub(crate) tranches: Vec<Tranche>,
}

/// What the compositor takes in one way.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tranche {
    pub(crate) device: Option<String>,
    /// Such frames may be shown without being composed.
    pub(crate) scanout: bool,
    pub(crate) layouts: Vec<Layout>,
}

/// Formats that are taken in the same layout.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layout {
    /// The modifier's meaning.
    pub(crate) layout: String,
    pub(crate) formats: Vec<String>,
}

impl Wayland {
    /// What there is to know, in sentences.
    pub(crate) fn lines(&self) -> Vec<String> {
        let Some(dmabuf) = &self.linux_dmabuf else {
            return vec!["takes no dma-bufs: it lacks zwp_linux_dmabuf_v1".to_owned()];
        };
        let mut lines = vec![format!("zwp_linux_dmabuf_v1, version {}", dmabuf.version)];
        lines.push(match &dmabuf.main_device {
            Some(device) => format!("main device {device}"),
            None => format!("does not say which device it wants (version {WITH_FEEDBACK} does)"),
        });
        lines.extend(dmabuf.tranches.iter().map(Tranche::line));
        lines.push(match self.explicit_sync {
            Some(version) => format!("explicit sync: {EXPLICIT_SYNC}, version {version}"),
            None => format!("no explicit sync: it lacks {EXPLICIT_SYNC}"),
        });
        lines
    }
}

impl Tranche {
    /// Its device, and how many layouts it takes.
    fn line(&self) -> String {
        let formats: usize = self.layouts.iter().map(|one| one.formats.len()).sum();
        let device = self.device.as_deref().unwrap_or("any device");
        let scanout = if self.scanout {
            ", to be shown without composition"
        } else {
            ""
        };
        format!(
            "takes {} in {} from {device}{scanout}",
            counted(formats, "format"),
            counted(self.layouts.len(), "layout")
        )
    }
}

impl Layout {
    /// Pairs of one layout, together, in the compositor's order.
    fn grouped(pairs: &[(Format, Tiling)]) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        for (format, tiling) in pairs {
            let layout = layout_name(*tiling);
            let format = format_name(*format);
            match groups.iter_mut().find(|group| group.layout == layout) {
                Some(group) if group.formats.contains(&format) => {}
                Some(group) => group.formats.push(format),
                None => groups.push(Self {
                    layout,
                    formats: vec![format],
                }),
            }
        }
        groups
    }
}

/// Asks the compositor of `WAYLAND_DISPLAY`.
pub(super) fn ask() -> Result<Wayland, Failure> {
    let display = Display::connect(PATIENCE)?;
    let dmabuf = display.version(DMABUF).map(|version| Dmabuf {
        version,
        main_device: display.feedback().main_device.map(dev::name),
        tranches: display.feedback().tranches.iter().map(tranche).collect(),
    });
    Ok(Wayland {
        linux_dmabuf: dmabuf,
        explicit_sync: display.version(EXPLICIT_SYNC),
    })
}

fn tranche(said: &lucarne_wayland::Tranche) -> Tranche {
    Tranche {
        device: said.device.map(dev::name),
        scanout: said.scanout,
        layouts: Layout::grouped(&said.pairs),
    }
}
