//! The guest's programs and drivers: this machine's own, or a newer Debian's beside it.

use crate::root::Root;

/// Which drivers the guest runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Drivers {
    /// The ones that are installed here.
    #[default]
    Host,
    /// Those of Debian 13's backports, in a root file system of their own.
    Newer,
}

/// The root with the newer ones: what Debian calls required, and these.
pub(crate) const NEWER: Root = Root {
    folder: ["guest", "trixie-backports"],
    variant: "apt",
    suites: &["trixie", "trixie-backports"],
    packages: &[
        "kmod",
        "libegl-mesa0",
        "libegl1",
        "libgbm1",
        "libgl1",
        "libgl1-mesa-dri",
        "libgles2",
        "libvulkan1",
        "mesa-vulkan-drivers",
        "vulkan-validationlayers",
    ],
    apt: &[],
    last: &[
        "usr/bin/sh",
        "usr/share/vulkan/icd.d/lvp_icd.json",
        "usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json",
    ],
};
