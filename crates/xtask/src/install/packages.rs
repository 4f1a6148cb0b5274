//! Which packages a command needs, and which of them this machine lacks.

use std::process::Command;

use crate::distribution::Distribution;
use crate::heavy::Heavy;
use crate::process;

/// What the packages are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Demo,
    Bench,
    Test,
    /// One tier, beyond what all tests need.
    Heavy(&'static Heavy),
}

/// Mesa's Vulkan and OpenGL drivers, and the libraries that windows are opened with.
const DEMO: [&str; 16] = [
    "mesa-vulkan-drivers",
    "libegl-mesa0",
    "libgl1-mesa-dri",
    "libgbm1",
    "libegl1",
    "libgles2",
    "libgl1",
    "libvulkan1",
    "libxkbcommon0",
    "libxkbcommon-x11-0",
    "libwayland-client0",
    "libwayland-egl1",
    "libxcursor1",
    "libxi6",
    "libxrandr2",
    "libx11-xcb1",
];

/// Counts instructions.
const BENCH: [&str; 1] = ["valgrind"];

/// Validation, programs and layers of others, windows and a bus to test in, the headers that constants are compared with and C programs
/// include, environments for Python, and what the guest is made of.
const TEST: [&str; 22] = [
    "vulkan-validationlayers",
    "vulkan-tools",
    "mangohud",
    "xvfb",
    "weston",
    "sway",
    "dbus-daemon",
    "libdrm-dev",
    "linux-libc-dev",
    "libvulkan-dev",
    "libegl-dev",
    "g++",
    "make",
    "python3-venv",
    "strace",
    "qemu-system-x86",
    "busybox-static",
    "kmod",
    "xz-utils",
    "zstd",
    "mmdebstrap",
    "debian-archive-keyring",
];

/// The first Mesa whose software drivers share memory as this project needs it (design of the software path).
pub(crate) const MESA_NEEDED: &str = "24.3";
/// The packages that come from Mesa's sources.
const MESA: [&str; 4] = [
    "mesa-vulkan-drivers",
    "libegl-mesa0",
    "libgl1-mesa-dri",
    "libgbm1",
];

impl Purpose {
    /// All packages for it.
    pub(crate) fn packages(self) -> Vec<&'static str> {
        match self {
            Self::Demo => DEMO.to_vec(),
            Self::Bench => DEMO.into_iter().chain(BENCH).collect(),
            Self::Test => DEMO.into_iter().chain(BENCH).chain(TEST).collect(),
            Self::Heavy(heavy) => heavy.system.to_vec(),
        }
    }
}

/// The packages that are not installed, or too old.
pub(crate) fn missing(purpose: Purpose, distribution: Distribution) -> Vec<&'static str> {
    let names = purpose.packages();
    // Fails where one of them was never heard of, and prints the others all the same.
    let output = Command::new("dpkg-query")
        .args(["-W", "-f", "${Package} ${db:Status-Status} ${Version}\n"])
        .args(&names)
        .output();
    let installed = output
        .map(|o| String::from_utf8_lossy(&o.stdout).into_owned())
        .unwrap_or_default();
    // An old Mesa counts as missing where a newer one can be had; Debian 12's backports have one.
    let newer = distribution == Distribution::Bookworm
        || candidate("mesa-vulkan-drivers").is_some_and(|version| at_least(&version, MESA_NEEDED));
    names
        .into_iter()
        .filter(|name| match installed_version(&installed, name) {
            None => true,
            Some(version) => newer && MESA.contains(name) && !at_least(version, MESA_NEEDED),
        })
        .collect()
}

/// The version of an installed package out of `NAME STATUS VERSION` lines.
fn installed_version<'a>(listing: &'a str, name: &str) -> Option<&'a str> {
    listing.lines().find_map(|line| {
        let mut words = line.split(' ');
        let found = words.next() == Some(name) && words.next() == Some("installed");
        if found { words.next() } else { None }
    })
}

/// The version that apt would install.
fn candidate(package: &str) -> Option<String> {
    let mut apt = Command::new("apt-cache");
    let policy = process::output_of(apt.env("LC_ALL", "C").args(["policy", package])).ok()?;
    candidate_in(&policy).map(str::to_owned)
}

fn candidate_in(policy: &str) -> Option<&str> {
    policy
        .lines()
        .find_map(|line| line.trim().strip_prefix("Candidate: "))
}

/// The Mesa that is installed, where it is older than what is needed.
pub(crate) fn old_mesa() -> Option<String> {
    let version = process::output_of(Command::new("dpkg-query").args([
        "-W",
        "-f",
        "${Version}",
        "mesa-vulkan-drivers",
    ]))
    .ok()?;
    (!version.is_empty() && !at_least(&version, MESA_NEEDED)).then_some(version)
}

/// Compares the numbers that a version starts with; Mesa's have no epoch.
fn at_least(version: &str, least: &str) -> bool {
    let numbers = |text: &str| -> Vec<u64> {
        text.split(['.', '-', '+', '~'])
            .map_while(|part| part.parse().ok())
            .collect()
    };
    numbers(version) >= numbers(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for good in [
            "24.3",
            "24.3.0-1",
            "25.0.7-2~bpo12+1",
            "25.2.8-0ubuntu0.24.04.1",
        ] {
            assert!(at_least(good, MESA_NEEDED), "{good}");
        }
        for old in ["22.3.6-1+deb12u1", "24.2.8-1ubuntu1", "24.0.5-1", ""] {
            assert!(!at_least(old, MESA_NEEDED), "{old}");
        }
    }

    #[test]
    fn listings() {
        let listing = "libgbm1 installed 25.0.7-2\nweston config-files 10.0\nxvfb not-installed \n";
        assert_eq!(installed_version(listing, "libgbm1"), Some("25.0.7-2"));
        assert_eq!(installed_version(listing, "weston"), None);
        assert_eq!(installed_version(listing, "xvfb"), None);
        assert_eq!(installed_version(listing, "libgbm"), None);
    }

    #[test]
    fn candidates() {
        let policy =
            "mesa:\n  Installed: 24.0.5\n  Candidate: 25.2.8-0ubuntu0.24.04.1\n  Version table:\n";
        assert_eq!(candidate_in(policy), Some("25.2.8-0ubuntu0.24.04.1"));
        assert_eq!(candidate_in("mesa:\n"), None);
    }

    #[test]
    fn tests_need_what_the_others_need() {
        let test = Purpose::Test.packages();
        assert!(Purpose::Demo.packages().iter().all(|p| test.contains(p)));
        assert!(Purpose::Bench.packages().iter().all(|p| test.contains(p)));
    }
}
