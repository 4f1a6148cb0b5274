//! The DRM devices of the machine, asked before anything is opened.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, FileType};

use super::raw;
use super::sysfs::{self, Described};
use crate::device_id::{DeviceId, DrmNode};
use crate::error::{Error, Requirement, Result, Support};

const FOLDER: &str = "/dev/dri";

/// A DRM device that could be opened, by its render node or its primary node.
#[derive(Clone, Debug)]
pub struct Adapter {
    described: Described,
    /// Those that this process may open, best first.
    nodes: Vec<PathBuf>,
}

impl Adapter {
    /// Whether libgbm is there and a DRM device can be opened, and if not, what would change that.
    pub fn probe() -> Support {
        match Self::enumerate() {
            Ok(_) => Support::Yes(()),
            Err(Error::Unsupported { missing, .. }) => Support::No(missing),
            Err(other) => Support::no(Requirement::other(other.to_string())),
        }
    }

    /// Every DRM device of which this process may open a node for reading and writing, in the order of their nodes'
    /// names; never an empty list. Opens none.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] without libgbm, or without such a device.
    pub fn enumerate() -> Result<Vec<Self>> {
        let library = raw::library();
        let mut missing = match &library {
            Err(Error::Unsupported { missing, .. }) => missing.clone(),
            _ => Vec::new(),
        };
        let (adapters, problems) = list(Path::new(FOLDER), Path::new("/sys"));
        if adapters.is_empty() {
            missing.extend(problems);
        }
        if missing.is_empty() {
            Ok(adapters)
        } else {
            Err(Error::unsupported("allocating with GBM", missing))
        }
    }

    /// What identifies the device: its nodes, and whether it is software.
    ///
    /// It is software where nothing but the processor draws: vgem, a virtual GPU without 3D, and displays without a
    /// render node.
    pub fn id(&self) -> &DeviceId {
        &self.described.id
    }

    /// The kernel driver's name, where sysfs tells it.
    pub fn driver(&self) -> Option<&str> {
        self.described.driver.as_deref()
    }

    /// The nodes that this process may open, best first: the render node, which needs no rights over the display, but on
    /// a software device the primary node, as the kernel allocates plain memory (`DRM_IOCTL_MODE_CREATE_DUMB`) there only.
    pub fn nodes(&self) -> &[PathBuf] {
        &self.nodes
    }

    pub(super) fn described(&self) -> &Described {
        &self.described
    }
}

/// The adapters, and why other nodes are none.
fn list(folder: &Path, sys: &Path) -> (Vec<Adapter>, Vec<Requirement>) {
    let none = |problem: String| Requirement::DeviceNode {
        path: FOLDER.into(),
        available: false,
        problem,
        help: NO_DEVICE,
    };
    let mut paths: Vec<PathBuf> = match std::fs::read_dir(folder) {
        Ok(entries) => entries
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| is_node_name(path))
            .collect(),
        Err(error) => return (Vec::new(), vec![none(error.to_string())]),
    };
    if paths.is_empty() {
        return (Vec::new(), vec![none("empty".to_owned())]);
    }
    paths.sort();
    let mut adapters: Vec<Adapter> = Vec::new();
    let mut problems = Vec::new();
    for path in paths {
        match check(&path) {
            Ok(node) => add(&mut adapters, path, sysfs::describe(sys, node)),
            Err(problem) => problems.push(problem),
        }
    }
    for adapter in &mut adapters {
        let primary_first = adapter.described.id.software;
        adapter
            .nodes
            .sort_by_key(|path| is_primary(path) != primary_first);
    }
    (adapters, problems)
}

const NO_DEVICE: &str = "a graphics driver makes it, or sudo modprobe vgem for a software one; \
    containers must be given it";
const NO_PERMISSION: &str =
    "add yourself to the groups that own the nodes: sudo usermod -aG render,video $USER";

fn add(adapters: &mut Vec<Adapter>, path: PathBuf, described: Described) {
    let same = |adapter: &&mut Adapter| {
        described.folder.is_some() && adapter.described.folder == described.folder
    };
    match adapters.iter_mut().find(same) {
        Some(adapter) => adapter.nodes.push(path),
        None => adapters.push(Adapter {
            described,
            nodes: vec![path],
        }),
    }
}

fn is_node_name(path: &Path) -> bool {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let number = name
        .strip_prefix("renderD")
        .or_else(|| name.strip_prefix("card"));
    number.is_some_and(|digits| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

pub(super) fn is_primary(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("card"))
}

/// The node's number, if it may be opened for reading and writing.
fn check(path: &Path) -> Result<DrmNode, Requirement> {
    let refuse = |available, problem: String| Requirement::DeviceNode {
        path: path.to_owned(),
        available,
        problem,
        help: NO_PERMISSION,
    };
    let stat = rustix::fs::stat(path).map_err(|errno| refuse(false, errno.to_string()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::CharacterDevice {
        return Err(refuse(false, "not a device node".to_owned()));
    }
    rustix::fs::access(path, Access::READ_OK | Access::WRITE_OK)
        .map_err(|errno| refuse(true, errno.to_string()))?;
    Ok(DrmNode {
        major: rustix::fs::major(stat.st_rdev),
        minor: rustix::fs::minor(stat.st_rdev),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_nodes_are_nodes() {
        for (name, is) in [
            ("card0", true),
            ("renderD129", true),
            ("by-path", false),
            ("card", false),
            ("card0-HDMI-A-1", false),
        ] {
            assert_eq!(is_node_name(&Path::new(FOLDER).join(name)), is, "{name}");
        }
    }

    #[test]
    fn a_machine_without_nodes_says_what_to_do() {
        let (adapters, problems) = list(Path::new("/nonexistent"), Path::new("/sys"));
        assert!(adapters.is_empty());
        let text = problems[0].to_string();
        assert!(text.contains("/dev/dri"), "{text}");
        assert!(text.contains("modprobe vgem"), "{text}");
    }

    #[test]
    fn something_else_under_a_nodes_name_is_refused() {
        let folder = std::env::temp_dir().join(format!("lucarne-dri-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("card0"), b"").unwrap();
        let (adapters, problems) = list(&folder, Path::new("/sys"));
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(adapters.is_empty());
        let text = problems[0].to_string();
        assert!(text.contains("not a device node"), "{text}");
    }

    #[test]
    fn nodes_that_may_be_one_device_or_two_are_two() {
        // Two devices that everybody may open stand in for nodes.
        let folder = std::env::temp_dir().join(format!("lucarne-dri2-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for (name, target) in [("card0", "/dev/null"), ("renderD128", "/dev/zero")] {
            std::os::unix::fs::symlink(target, folder.join(name)).unwrap();
        }
        let (adapters, problems) = list(&folder, Path::new("/nonexistent"));
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(problems.is_empty(), "{problems:?}");
        // Without sysfs nothing says that they belong together.
        assert_eq!(adapters.len(), 2);
        assert_eq!(adapters[0].nodes(), [folder.join("card0")]);
        assert_eq!(adapters[1].nodes(), [folder.join("renderD128")]);
    }
}
