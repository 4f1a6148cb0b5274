//! What the kernel tells of a DRM device without opening it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::device_id::{DeviceId, DrmNode};

/// A device, as its folder in sysfs describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Described {
    /// Equal for all nodes of one device.
    pub(super) folder: Option<PathBuf>,
    /// The kernel driver's name.
    pub(super) driver: Option<String>,
    pub(super) id: DeviceId,
}

/// Describes the device that `node` belongs to. `sys` is where sysfs is mounted; a container may hide it, and then the
/// node's own number is all there is.
pub(super) fn describe(sys: &Path, node: DrmNode) -> Described {
    let link = sys.join(format!("dev/char/{}:{}/device", node.major, node.minor));
    let Ok(folder) = fs::canonicalize(link) else {
        return Described {
            folder: None,
            driver: None,
            id: alone(node),
        };
    };
    let gpu = virtio(&folder).unwrap_or_else(|| folder.clone());
    let driver = driver(&gpu);
    let mut id = DeviceId {
        render_node: sibling(&folder, "renderD"),
        primary_node: sibling(&folder, "card"),
        ..DeviceId::default()
    };
    id.software = is_software(&gpu, driver.as_deref(), id.render_node);
    Described {
        folder: Some(folder),
        driver,
        id,
    }
}

/// Render nodes have the minor numbers from 128 on (`drivers/gpu/drm/drm_drv.c`).
fn alone(node: DrmNode) -> DeviceId {
    let mut id = DeviceId::default();
    if node.minor >= 128 {
        id.render_node = Some(node);
    } else {
        id.primary_node = Some(node);
    }
    id
}

/// The number of the device's node whose name begins so.
fn sibling(folder: &Path, prefix: &str) -> Option<DrmNode> {
    let entries = fs::read_dir(folder.join("drm")).ok()?;
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .find_map(|entry| {
            let text = fs::read_to_string(entry.path().join("dev")).ok()?;
            let (major, minor) = text.trim().split_once(':')?;
            Some(DrmNode {
                major: major.parse().ok()?,
                minor: minor.parse().ok()?,
            })
        })
}

/// The virtual GPU on the bus adapter that its nodes claim to belong to.
fn virtio(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?;
    entries
        .filter_map(Result::ok)
        .find(|entry| entry.file_name().to_string_lossy().starts_with("virtio"))
        .map(|entry| entry.path())
}

/// Devices that no bus has are named by their folder: "vgem", "vkms".
fn driver(folder: &Path) -> Option<String> {
    let text = |name: &OsStr| name.to_string_lossy().into_owned();
    let linked = fs::read_link(folder.join("driver"))
        .ok()
        .and_then(|link| link.file_name().map(text))
        .filter(|name| name != "faux_driver");
    linked.or_else(|| folder.file_name().map(text))
}

/// Whether nothing but the processor draws behind this node, so that GBM hands out plain memory of this machine.
fn is_software(folder: &Path, driver: Option<&str>, render_node: Option<DrmNode>) -> bool {
    match driver {
        // It has a render node, but nothing renders.
        Some("vgem") => true,
        // A virtual GPU draws where the host draws for it: VIRTIO_GPU_F_VIRGL is feature bit 0.
        Some("virtio_gpu") => {
            let features = fs::read_to_string(folder.join("features"));
            features.is_ok_and(|bits| bits.starts_with('0'))
        }
        // Displays alone: bochs, ast, simpledrm, vkms.
        _ => render_node.is_none(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A sysfs with one device, whose nodes are `nodes`.
    struct Sysfs {
        root: PathBuf,
        folder: PathBuf,
    }

    impl Sysfs {
        fn new(test: &str, device: &str, nodes: &[(&str, u32)]) -> Self {
            let name = format!("lucarne-sysfs-{test}-{}", std::process::id());
            let root = std::env::temp_dir().join(name);
            let _stale = fs::remove_dir_all(&root);
            let folder = root.join("devices").join(device);
            let chars = root.join("dev/char");
            fs::create_dir_all(&chars).unwrap();
            for (node, minor) in nodes {
                let node = folder.join("drm").join(node);
                fs::create_dir_all(&node).unwrap();
                fs::write(node.join("dev"), format!("226:{minor}\n")).unwrap();
                symlink("../..", node.join("device")).unwrap();
                symlink(&node, chars.join(format!("226:{minor}"))).unwrap();
            }
            Self { root, folder }
        }

        fn driver(self, name: &str) -> Self {
            symlink(
                Path::new("../../bus/drivers").join(name),
                self.folder.join("driver"),
            )
            .unwrap();
            self
        }

        fn describe(&self, minor: u32) -> Described {
            describe(&self.root, node(minor))
        }
    }

    impl Drop for Sysfs {
        fn drop(&mut self) {
            let _removed = fs::remove_dir_all(&self.root);
        }
    }

    fn node(minor: u32) -> DrmNode {
        DrmNode { major: 226, minor }
    }

    #[test]
    fn both_nodes_of_a_gpu_are_one_device() {
        let nodes = [("card1", 1), ("renderD128", 128)];
        let sysfs = Sysfs::new("gpu", "0000:03:00.0", &nodes).driver("amdgpu");
        let described = sysfs.describe(128);
        assert_eq!(described, sysfs.describe(1));
        assert_eq!(described.driver.as_deref(), Some("amdgpu"));
        assert_eq!(described.id.render_node, Some(node(128)));
        assert_eq!(described.id.primary_node, Some(node(1)));
        assert!(!described.id.software);
    }

    #[test]
    fn vgem_is_software_on_either_bus() {
        let nodes = [("card0", 0), ("renderD128", 128)];
        let platform = Sysfs::new("platform", "vgem", &nodes);
        assert!(platform.describe(0).id.software);
        let faux = Sysfs::new("faux", "vgem", &nodes).driver("faux_driver");
        assert_eq!(faux.describe(0).driver.as_deref(), Some("vgem"));
        assert!(faux.describe(0).id.software);
    }

    #[test]
    fn a_virtual_gpu_is_software_unless_the_host_draws() {
        let nodes = [("card0", 0), ("renderD128", 128)];
        for (test, features, software) in [("2d", "0100", true), ("3d", "1100", false)] {
            let sysfs = Sysfs::new(test, "virtio0", &nodes).driver("virtio_gpu");
            fs::write(sysfs.folder.join("features"), features).unwrap();
            assert_eq!(sysfs.describe(128).id.software, software, "{features}");
            // On PCI, Linux 6.12.
            let test = format!("{test}-pci");
            let sysfs = Sysfs::new(&test, "0000:00:03.0", &nodes).driver("virtio-pci");
            let gpu = sysfs.folder.join("virtio2");
            fs::create_dir(&gpu).unwrap();
            symlink("../../bus/drivers/virtio_gpu", gpu.join("driver")).unwrap();
            fs::write(gpu.join("features"), features).unwrap();
            let described = sysfs.describe(128);
            assert_eq!(described.driver.as_deref(), Some("virtio_gpu"));
            assert_eq!(described.id.software, software, "{features}");
        }
    }

    #[test]
    fn a_display_without_a_render_node_is_software() {
        let sysfs = Sysfs::new("display", "0000:00:02.0", &[("card0", 0)]).driver("bochs-drm");
        assert!(sysfs.describe(0).id.software);
    }

    #[test]
    fn without_sysfs_a_node_is_all_that_is_known() {
        let described = describe(Path::new("/nonexistent"), node(129));
        assert_eq!(described.folder, None);
        assert_eq!(described.id.render_node, Some(node(129)));
        assert_eq!(described.id.primary_node, None);
        assert_eq!(
            describe(Path::new("/nonexistent"), node(0)).id.primary_node,
            Some(node(0))
        );
    }
}
