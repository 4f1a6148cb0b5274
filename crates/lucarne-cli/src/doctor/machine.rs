//! What decides about sharing before any driver is asked. Nothing personal: no names of users, hosts or folders.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::Access;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::feature::{self, Feature};
use super::sandbox;
use super::variable::{self, Variable};

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Machine {
    pub(super) kernel: String,
    pub(super) nodes: Vec<Node>,
    pub(super) features: Vec<Feature>,
    /// What this process runs in, and what that hides.
    pub(super) sandbox: Vec<String>,
    /// Variables that change which drivers are used, or what they do.
    pub(super) variables: Vec<Variable>,
}

/// A device node.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Node {
    pub(super) path: String,
    pub(super) state: NodeState,
    /// The kernel's driver.
    pub(super) driver: Option<String>,
    /// What would make it usable.
    pub(super) advice: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum NodeState {
    Usable,
    Absent,
    NoPermission,
}

impl Machine {
    pub(super) fn look() -> Self {
        Self {
            kernel: lucarne_conformance::kernel(),
            nodes: nodes(),
            features: feature::all(),
            sandbox: sandbox::look(Path::new("/"), std::env::var_os("SNAP").is_some()),
            variables: variable::all(),
        }
    }
}

fn nodes() -> Vec<Node> {
    let mut paths: Vec<String> = fs::read_dir("/dev/dri")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().to_string_lossy().into_owned())
        .filter(|path| path.starts_with("/dev/dri/card") || path.starts_with("/dev/dri/renderD"))
        .collect();
    paths.sort();
    if paths.is_empty() {
        paths.push("/dev/dri".to_owned());
    }
    paths.extend(["/dev/udmabuf".to_owned(), "/dev/dma_heap/system".to_owned()]);
    paths.into_iter().map(Node::look).collect()
}

impl Node {
    fn look(path: String) -> Self {
        let state = match rustix::fs::access(path.as_str(), Access::READ_OK | Access::WRITE_OK) {
            Ok(()) => NodeState::Usable,
            Err(Errno::NOENT | Errno::NOTDIR) => NodeState::Absent,
            Err(_) => NodeState::NoPermission,
        };
        let name = path.rsplit('/').next().unwrap_or_default();
        let driver = fs::read_link(format!("/sys/class/drm/{name}/device/driver")).ok();
        let driver = driver.and_then(|link| Some(link.file_name()?.to_string_lossy().into_owned()));
        let advice = match state {
            NodeState::Usable => None,
            NodeState::Absent => Some(absent(&path)),
            NodeState::NoPermission => Some(forbidden(&path)),
        };
        Self {
            path,
            state,
            driver,
            advice,
        }
    }
}

fn absent(path: &str) -> String {
    match path {
        "/dev/udmabuf" => "sudo modprobe udmabuf; then programs without a GPU can make dma-bufs".to_owned(),
        "/dev/dma_heap/system" => "needs a kernel with CONFIG_DMABUF_HEAPS_SYSTEM; /dev/udmabuf does the same".to_owned(),
        _ => "no graphics driver is loaded, or the container was not given the nodes (docker run --device /dev/dri)".to_owned(),
    }
}

/// Which group may open it.
fn forbidden(path: &str) -> String {
    let Ok(group) = fs::metadata(path).map(|metadata| metadata.gid()) else {
        return format!("{path} cannot be looked at: the container or sandbox hides it");
    };
    match group_name(group).as_deref() {
        None => format!(
            "it belongs to group number {group}: join that; in a container: docker run --group-add {group}"
        ),
        Some("root") => format!(
            "only root may open it; a udev rule changes that: {path} is to belong to a group of yours, mode 0660"
        ),
        Some(group) => format!("sudo usermod -aG {group} \"$USER\", and log in again"),
    }
}

/// The group's name, where that is the system's own and not a person's.
fn group_name(wanted: u32) -> Option<String> {
    let groups = fs::read_to_string("/etc/group").ok()?;
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        let is_system = number < 1000 || ["kvm", "render", "video"].contains(&name);
        (number == wanted && is_system).then(|| name.to_owned())
    })
}
