//! Variables of the environment that change which drivers are used, or what they do.

use std::ffi::OsStr;

use serde::{Deserialize, Serialize};

use super::private::is_public;

/// One that is set.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Variable {
    pub(super) name: String,
    /// Its value, without what may be personal in it.
    pub(super) value: String,
    /// What it does.
    pub(super) effect: String,
}

/// What a value is made of, which decides how much of it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// Files or folders, with colons or spaces between.
    Paths,
    /// Names, numbers, switches.
    Words,
}

/// More than any switch has.
const LONGEST: usize = 80;

type Known = (&'static str, Holds, &'static str);

const KNOWN: [Known; 39] = {
    use Holds::{Paths, Words};
    [
        (
            "VK_DRIVER_FILES",
            Paths,
            "Vulkan loads these drivers and no others",
        ),
        (
            "VK_ICD_FILENAMES",
            Paths,
            "Vulkan loads these drivers and no others (the older name of VK_DRIVER_FILES)",
        ),
        (
            "VK_ADD_DRIVER_FILES",
            Paths,
            "Vulkan loads these drivers as well",
        ),
        (
            "VK_LOADER_DRIVERS_SELECT",
            Words,
            "Vulkan loads only drivers whose files are called so",
        ),
        (
            "VK_LOADER_DRIVERS_DISABLE",
            Words,
            "Vulkan leaves out drivers whose files are called so",
        ),
        (
            "VK_LAYER_PATH",
            Paths,
            "Vulkan looks for explicit layers here alone",
        ),
        (
            "VK_ADD_LAYER_PATH",
            Paths,
            "Vulkan looks for explicit layers here as well",
        ),
        (
            "VK_INSTANCE_LAYERS",
            Words,
            "Vulkan programs run with these layers",
        ),
        (
            "VK_LOADER_LAYERS_ENABLE",
            Words,
            "Vulkan programs run with layers that are called so",
        ),
        (
            "VK_LOADER_LAYERS_DISABLE",
            Words,
            "Vulkan programs run without layers that are called so",
        ),
        (
            "MESA_VK_DEVICE_SELECT",
            Words,
            "Mesa's layer puts this Vulkan device first",
        ),
        (
            "MESA_VK_DEVICE_SELECT_FORCE_DEFAULT_DEVICE",
            Words,
            "Mesa's layer hides all Vulkan devices but the first",
        ),
        (
            "__VK_LAYER_NV_optimus",
            Words,
            "NVIDIA's layer hides its Vulkan devices, or all others",
        ),
        (
            "__NV_PRIME_RENDER_OFFLOAD",
            Words,
            "NVIDIA's GPU renders what another one shows",
        ),
        (
            "DRI_PRIME",
            Words,
            "Mesa renders on another GPU than the display's",
        ),
        (
            "__EGL_VENDOR_LIBRARY_FILENAMES",
            Paths,
            "EGL loads these drivers and no others",
        ),
        (
            "__EGL_VENDOR_LIBRARY_DIRS",
            Paths,
            "EGL looks for drivers here alone",
        ),
        (
            "__EGL_EXTERNAL_PLATFORM_CONFIG_DIRS",
            Paths,
            "NVIDIA's EGL looks for window systems here alone",
        ),
        (
            "__GLX_VENDOR_LIBRARY_NAME",
            Words,
            "GLX takes this vendor's driver",
        ),
        (
            "EGL_PLATFORM",
            Words,
            "EGL takes this window system, where a program names none",
        ),
        (
            "LIBGL_ALWAYS_SOFTWARE",
            Words,
            "Mesa renders OpenGL on the CPU",
        ),
        (
            "LIBGL_DRIVERS_PATH",
            Paths,
            "Mesa looks for OpenGL drivers here",
        ),
        (
            "LIBGL_DRI3_DISABLE",
            Words,
            "Mesa gives an X server no dma-bufs",
        ),
        (
            "MESA_LOADER_DRIVER_OVERRIDE",
            Words,
            "Mesa takes this OpenGL driver, whatever the GPU is",
        ),
        (
            "GALLIUM_DRIVER",
            Words,
            "Mesa takes this OpenGL renderer, on the CPU or through Vulkan",
        ),
        (
            "MESA_GL_VERSION_OVERRIDE",
            Words,
            "Mesa claims this version of OpenGL",
        ),
        (
            "MESA_GLES_VERSION_OVERRIDE",
            Words,
            "Mesa claims this version of OpenGL ES",
        ),
        (
            "MESA_VK_VERSION_OVERRIDE",
            Words,
            "Mesa claims this version of Vulkan",
        ),
        (
            "MESA_EXTENSION_OVERRIDE",
            Words,
            "Mesa hides or claims these OpenGL extensions",
        ),
        (
            "AMD_DEBUG",
            Words,
            "AMD's OpenGL driver: some of its options change layouts",
        ),
        (
            "RADV_DEBUG",
            Words,
            "AMD's Vulkan driver: some of its options change layouts",
        ),
        (
            "RADV_PERFTEST",
            Words,
            "AMD's Vulkan driver tries what is not finished",
        ),
        (
            "INTEL_DEBUG",
            Words,
            "Intel's drivers: some of its options change layouts",
        ),
        (
            "NVK_DEBUG",
            Words,
            "Mesa's Vulkan driver for NVIDIA's GPUs: some of its options change layouts",
        ),
        ("GBM_BACKEND", Words, "GBM takes this driver"),
        ("GBM_BACKENDS_PATH", Paths, "GBM looks for drivers here"),
        (
            "LUCARNE_QUIRKS",
            Words,
            "driver faults that Lucarne works around, or does not, because it was told so",
        ),
        (
            "LD_LIBRARY_PATH",
            Paths,
            "programs look here first for libvulkan, libEGL and drivers",
        ),
        (
            "LD_PRELOAD",
            Paths,
            "programs load this code first, which may change anything",
        ),
    ]
};

/// Those that are set, in the order of the table.
pub(super) fn all() -> Vec<Variable> {
    KNOWN.into_iter().filter_map(look).collect()
}

fn look((name, holds, effect): Known) -> Option<Variable> {
    let value = std::env::var_os(name)?;
    Some(Variable {
        name: name.to_owned(),
        value: told(holds, &value),
        effect: effect.to_owned(),
    })
}

/// As much of a value as names nobody.
fn told(holds: Holds, value: &OsStr) -> String {
    let value = value.to_string_lossy();
    match holds {
        Holds::Paths => paths(&value),
        Holds::Words => {
            let harmless = |one: char| one.is_ascii_alphanumeric() || "_-+.,;:*=@!~ ".contains(one);
            if value.len() <= LONGEST && value.chars().all(harmless) {
                value.into_owned()
            } else {
                "(a value)".to_owned()
            }
        }
    }
}

/// The system's own, and that others were there.
fn paths(value: &str) -> String {
    // A library's name alone is looked for in the system's folders.
    let is_name = |one: &str| !one.contains('/') && one.contains(".so");
    let told = value.split([':', ' ']).map(|one| {
        let harmless = one.is_empty() || is_name(one) || one.starts_with('/') && is_public(one);
        if harmless { one } else { "(a path)" }
    });
    told.collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_told_as_far_as_it_names_nobody() {
        for (value, left) in [
            (
                "/usr/share/vulkan/icd.d/lvp_icd.json",
                "/usr/share/vulkan/icd.d/lvp_icd.json",
            ),
            (
                "/home/alice/x.json:/usr/lib/y.json",
                "(a path):/usr/lib/y.json",
            ),
            ("alice/drivers", "(a path)"),
            ("../alice.json", "(a path)"),
            (
                "/opt/alice's files/a.so libgtk3-nocsd.so.0",
                "(a path):(a path):libgtk3-nocsd.so.0",
            ),
            ("", ""),
        ] {
            assert_eq!(told(Holds::Paths, OsStr::new(value)), left);
        }
        for same in [
            "1",
            "zink",
            "pci-0000_03_00_0",
            "10de:2204!",
            "*lvp*,~all~",
            "-GL_EXT_memory_object",
        ] {
            assert_eq!(told(Holds::Words, OsStr::new(same)), same);
        }
        for odd in ["/home/alice", "\u{1b}[2J", &"x".repeat(81)] {
            assert_eq!(told(Holds::Words, OsStr::new(odd)), "(a value)");
        }
    }

    #[test]
    fn each_is_known_once() {
        for (index, (name, _, effect)) in KNOWN.into_iter().enumerate() {
            assert!(!effect.is_empty(), "{name}");
            assert!(
                !KNOWN[..index].iter().any(|one| one.0 == name),
                "{name} stands twice"
            );
        }
    }
}
