//! What decides about sharing before any driver is asked. Nothing personal: no names of users, hosts or folders.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use lucarne::kernel::{Memfd, Udmabuf};
use rustix::fs::Access;
use rustix::io::Errno;
use rustix::process::{PidfdFlags, PidfdGetfdFlags};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Machine {
    pub(super) kernel: String,
    pub(super) nodes: Vec<Node>,
    pub(super) features: Vec<Feature>,
    /// What this process runs in, and what that hides.
    pub(super) sandbox: Vec<String>,
    /// Variables that change which drivers are used, by name alone.
    pub(super) variables: Vec<String>,
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

/// Something that the kernel can do, or not.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Feature {
    pub(super) name: String,
    /// Nothing where it could not be tried.
    pub(super) works: Option<bool>,
    pub(super) detail: String,
}

impl Machine {
    pub(super) fn look() -> Self {
        Self {
            kernel: lucarne_conformance::kernel(),
            nodes: nodes(),
            features: vec![seals(), pidfd(), yama(), implicit_sync()],
            sandbox: sandbox(),
            variables: variables(),
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

fn seals() -> Feature {
    let made = Memfd::create("lucarne-doctor", 4096);
    Feature {
        name: "sealed memfds".to_owned(),
        works: Some(made.is_ok()),
        detail: made
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default(),
    }
}

/// Fetching a descriptor from a process that may be traced; a container's filter often forbids it.
fn pidfd() -> Feature {
    let own = rustix::process::getpid();
    let fetched = rustix::process::pidfd_open(own, PidfdFlags::empty())
        .and_then(|process| rustix::process::pidfd_getfd(&process, 0, PidfdGetfdFlags::empty()));
    let detail = match &fetched {
        Ok(_) => String::new(),
        Err(Errno::PERM) => {
            "a filter of system calls forbids it, as Docker's does: fetch_frame will not work"
                .to_owned()
        }
        Err(errno) => errno.to_string(),
    };
    Feature {
        name: "pidfd_getfd".to_owned(),
        works: Some(fetched.is_ok()),
        detail,
    }
}

fn yama() -> Feature {
    let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
    let (works, detail) = match scope.as_deref().map(str::trim) {
        Ok("0") | Err(_) => (true, String::new()),
        Ok("1") => (
            false,
            "Yama's ptrace_scope is 1: only from one's own children, or with allow_fetch_by"
                .to_owned(),
        ),
        Ok(other) => (
            false,
            format!("Yama's ptrace_scope is {other}: only as root, or not at all"),
        ),
    };
    Feature {
        name: "fetching from any process of this user".to_owned(),
        works: Some(works),
        detail,
    }
}

fn implicit_sync() -> Feature {
    let name = "fences of dma-bufs (DMA_BUF_IOCTL_EXPORT_SYNC_FILE)".to_owned();
    let made = Udmabuf::open().and_then(|device| device.create(4096));
    match made {
        Ok(buffer) => {
            let support = buffer.implicit_sync();
            Feature {
                name,
                works: Some(support.is_yes()),
                detail: support.reason(),
            }
        }
        Err(_) => Feature {
            name,
            works: None,
            detail: "not tried: that takes /dev/udmabuf. Linux 6.0 and later have it".to_owned(),
        },
    }
}

fn sandbox() -> Vec<String> {
    let there = |path: &str| Path::new(path).exists();
    let mut found = Vec::new();
    if there("/.flatpak-info") {
        found.push("Flatpak: device nodes only with --device=dri, and its own process numbers");
    }
    if std::env::var_os("SNAP").is_some() {
        found.push("Snap: device nodes only with the interface opengl");
    }
    if there("/.dockerenv") {
        found.push("Docker: device nodes only with --device, and a filter of system calls");
    }
    if there("/run/.containerenv") {
        found.push("Podman: device nodes only with --device, and a filter of system calls");
    }
    found.into_iter().map(str::to_owned).collect()
}

/// Each changes which drivers are loaded, or what they do.
const VARIABLES: [&str; 20] = [
    "VK_DRIVER_FILES",
    "VK_ICD_FILENAMES",
    "VK_ADD_DRIVER_FILES",
    "VK_LOADER_DRIVERS_SELECT",
    "VK_LOADER_DRIVERS_DISABLE",
    "VK_INSTANCE_LAYERS",
    "VK_LOADER_LAYERS_ENABLE",
    "__EGL_VENDOR_LIBRARY_FILENAMES",
    "__EGL_VENDOR_LIBRARY_DIRS",
    "__GLX_VENDOR_LIBRARY_NAME",
    "EGL_PLATFORM",
    "LIBGL_ALWAYS_SOFTWARE",
    "LIBGL_DRIVERS_PATH",
    "MESA_LOADER_DRIVER_OVERRIDE",
    "GALLIUM_DRIVER",
    "GBM_BACKEND",
    "GBM_BACKENDS_PATH",
    "DRI_PRIME",
    "LUCARNE_QUIRKS",
    "LD_PRELOAD",
];

fn variables() -> Vec<String> {
    VARIABLES
        .into_iter()
        .filter(|name| std::env::var_os(name).is_some())
        .map(str::to_owned)
        .collect()
}
