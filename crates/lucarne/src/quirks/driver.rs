//! Who drives a device, as far as the driver tells.

use std::fmt;

/// Through which API a driver was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Api {
    /// Vulkan.
    Vulkan,
    /// OpenGL and OpenGL ES on EGL.
    OpenGl,
}

/// Drivers that share their code, and so their faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// Mesa's software rasterisers: lavapipe, llvmpipe, softpipe.
    MesaSoftware,
    /// Mesa for Intel: anv, iris, crocus.
    MesaIntel,
    /// Mesa for AMD: radv, radeonsi.
    MesaAmd,
    /// Any other driver of Mesa.
    MesaOther,
    /// NVIDIA's own driver, with closed or open kernel modules.
    Nvidia,
    /// AMD's own Vulkan drivers.
    Amd,
    /// Anything else.
    Other,
}

/// Up to three numbers of a driver's version, most significant first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u32, pub u32, pub u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl Version {
    /// The first number with a dot in it, and what follows: `25.0.7` of `Mesa 25.0.7-2~bpo12+1 (LLVM 15.0.6)`.
    fn find(text: &str) -> Option<Self> {
        let is_part = |c: char| c.is_ascii_digit() || c == '.';
        let found = text
            .split(|c| !is_part(c))
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'))?;
        let mut parts = found.split('.').map(|part| part.parse::<u32>().ok());
        let first = parts.next()??;
        let mut next = || parts.next().flatten().unwrap_or(0);
        Some(Self(first, next(), next()))
    }
}

/// A driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Driver {
    /// How it was asked.
    pub api: Api,
    /// Whose it is.
    pub family: Family,
    /// Its version, where it can be read.
    pub version: Option<Version>,
}

// `VkDriverId`; the numbers are here because this module names no backend's crate.
const AMD_PROPRIETARY: i32 = 1;
const AMD_OPEN_SOURCE: i32 = 2;
const MESA_RADV: i32 = 3;
const NVIDIA_PROPRIETARY: i32 = 4;
const INTEL_OPEN_SOURCE_MESA: i32 = 6;
const MESA_LLVMPIPE: i32 = 13;

impl Driver {
    /// Made of `VkPhysicalDeviceDriverProperties`: `driverID` and `driverInfo`; of `driverVersion` where `driverInfo` names no
    /// version.
    pub fn of_vulkan(id: i32, info: &str, version: u32) -> Self {
        let family = match id {
            MESA_LLVMPIPE => Family::MesaSoftware,
            INTEL_OPEN_SOURCE_MESA => Family::MesaIntel,
            MESA_RADV => Family::MesaAmd,
            NVIDIA_PROPRIETARY => Family::Nvidia,
            AMD_PROPRIETARY | AMD_OPEN_SOURCE => Family::Amd,
            _ if info.starts_with("Mesa ") => Family::MesaOther,
            _ => Family::Other,
        };
        let packed = match (version, family) {
            (0, _) => None,
            // NVIDIA's own packing: 10, 8, 8 and 6 bits.
            (_, Family::Nvidia) => Some(Version(
                version >> 22,
                version >> 14 & 0xff,
                version >> 6 & 0xff,
            )),
            // VK_MAKE_API_VERSION, as most have it.
            _ => Some(Version(
                version >> 22 & 0x7f,
                version >> 12 & 0x3ff,
                version & 0xfff,
            )),
        };
        Self {
            api: Api::Vulkan,
            family,
            version: Version::find(info).or(packed),
        }
    }

    /// Of `GL_VENDOR`, `GL_RENDERER` and `GL_VERSION`.
    pub fn of_gl(vendor: &str, renderer: &str, version: &str) -> Self {
        // The driver's own version comes after its name: `OpenGL ES 3.2 Mesa 25.0.7`, `4.6.0 NVIDIA 580.95.05`.
        let after = |name: &str| version.split_once(name).map(|(_, rest)| rest);
        let (family, rest) = if let Some(rest) = after("NVIDIA ") {
            (Family::Nvidia, Some(rest))
        } else if let Some(rest) = after("Mesa ") {
            (mesa(vendor, renderer), Some(rest))
        } else if is_software(renderer) {
            (Family::MesaSoftware, None)
        } else {
            (Family::Other, None)
        };
        Self {
            api: Api::OpenGl,
            family,
            version: rest.and_then(Version::find),
        }
    }
}

fn mesa(vendor: &str, renderer: &str) -> Family {
    if is_layered(renderer) {
        Family::MesaOther
    } else if is_software(renderer) {
        Family::MesaSoftware
    } else if vendor == "Intel" || renderer.contains("Intel") {
        Family::MesaIntel
    } else if vendor == "AMD" || renderer.contains("radeonsi") {
        Family::MesaAmd
    } else {
        Family::MesaOther
    }
}

/// Whether `GL_RENDERER` is one of Mesa's software rasterisers.
pub(crate) fn is_software(renderer: &str) -> bool {
    !is_layered(renderer)
        && ["llvmpipe", "softpipe", "swrast"]
            .iter()
            .any(|name| renderer.contains(name))
}

/// Whether it is OpenGL on top of another driver, whose name is in parentheses: `zink Vulkan 1.4(llvmpipe …)` has none of
/// the faults of llvmpipe's own OpenGL, and `virgl (AMD …)` draws on another machine.
fn is_layered(renderer: &str) -> bool {
    ["virgl", "zink"]
        .iter()
        .any(|name| renderer.starts_with(name))
}

/// The drivers that a quirk applies to: a family, from one version up to, but without, another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// The API, or `None` for both.
    pub api: Option<Api>,
    /// The family.
    pub family: Family,
    /// The first version known to have it.
    pub from: Version,
    /// The first version without it, or `None` where none is known.
    pub below: Option<Version>,
}

impl Match {
    /// Every version of a family.
    pub(crate) const fn all(api: Option<Api>, family: Family) -> Self {
        Self {
            api,
            family,
            from: Version(0, 0, 0),
            below: None,
        }
    }

    /// Whether `driver` is one of them. One that does not tell its version is taken to have the fault.
    pub fn is(&self, driver: &Driver) -> bool {
        let version = driver.version;
        self.family == driver.family
            && self.api.is_none_or(|api| api == driver.api)
            && version.is_none_or(|version| version >= self.from)
            && version
                .zip(self.below)
                .is_none_or(|(version, below)| version < below)
    }
}
