//! The guest's programs and drivers: this machine's own, or a newer Debian's beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};
use crate::install;
use crate::process::{self, Job};
use crate::workspace;

/// Which drivers the guest runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Drivers {
    /// The ones that are installed here.
    #[default]
    Host,
    /// Those of Debian 13's backports, in a root file system of their own.
    Newer,
}

/// What the newer root holds, besides what Debian calls required.
const PACKAGES: [&str; 10] = [
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
];

/// Left out: it is never read, and is half of the size.
const LEFT_OUT: [&str; 3] = [
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/locale/*",
];

const SUITES: [&str; 2] = ["trixie", "trixie-backports"];

/// The folder with the newer root, out of the cache or made with mmdebstrap.
pub(crate) fn newer(log: &Path, verbose: bool) -> Result<PathBuf> {
    let cache = workspace::cache()?.join("guest");
    let place = cache.join(SUITES[1]);
    if complete(&place) {
        return Ok(place);
    }
    let tool = process::find_program("mmdebstrap").ok_or_else(|| {
        Error::unable("mmdebstrap is missing (package mmdebstrap), which makes the newer root")
    })?;
    let mirror = install::debian_mirror().ok_or_else(|| {
        Error::unable(format!(
            "apt lists no mirror of Debian here; name one in {}, for example the one nearest to you",
            install::MIRROR
        ))
    })?;
    fs::create_dir_all(&cache).map_err(|e| Error::io("creating", &cache, &e))?;
    let folder = cache.join(format!(".new-root-{}", std::process::id()));
    let result = make(&tool, &mirror, &folder, log, verbose).and_then(|()| {
        // What is there was judged incomplete just before.
        _ = fs::remove_dir_all(&place);
        fs::rename(&folder, &place).map_err(|e| Error::io("moving the root to", &place, &e))
    });
    if result.is_err() {
        _ = fs::remove_dir_all(&folder);
    }
    result.map(|()| place)
}

/// Whether a root came to its end: its loader and the last of its packages are there.
fn complete(root: &Path) -> bool {
    root.join("usr/bin/sh").exists()
        && root.join("usr/share/vulkan/icd.d/lvp_icd.json").is_file()
        && root
            .join("usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json")
            .is_file()
}

/// Makes an archive, which mmdebstrap needs no mounts of ours for, and unpacks it.
fn make(tool: &Path, mirror: &str, folder: &Path, log: &Path, verbose: bool) -> Result<()> {
    fs::create_dir_all(folder).map_err(|e| Error::io("creating", folder, &e))?;
    let archive = folder.with_extension("tar");
    let mut command = Command::new(tool);
    command
        .args(["--variant=apt", "--format=tar"])
        .arg(format!("--include={}", PACKAGES.join(",")))
        .arg(format!("--aptopt=APT::Default-Release \"{}\"", SUITES[1]))
        .args(LEFT_OUT.map(|path| format!("--dpkgopt=path-exclude={path}")))
        .arg(SUITES[0])
        .arg(&archive)
        .args(SUITES.map(|suite| source(mirror, suite)));
    let made = run("making a root with newer drivers", command, log, verbose);
    let mut unpack = Command::new("tar");
    // Device nodes need root, and the guest has its own.
    unpack
        .args(["--exclude=./dev/*", "-xf"])
        .arg(&archive)
        .arg("-C")
        .arg(folder);
    let result = made.and_then(|()| run("unpacking it", unpack, log, verbose));
    _ = fs::remove_file(&archive);
    result?;
    if complete(folder) {
        return Ok(());
    }
    Err(Error::failed(
        "the root that mmdebstrap made lacks Mesa or the validation layer",
    ))
}

fn source(mirror: &str, suite: &str) -> String {
    format!("deb [signed-by={}] {mirror} {suite} main", install::KEYRING)
}

fn run(title: &str, command: Command, log: &Path, verbose: bool) -> Result<()> {
    let job = Job::new(title, command, log.to_owned(), verbose);
    if job.run(|line| Some(line.to_owned()))?.success() {
        return Ok(());
    }
    Err(Error::unable(format!(
        "{title} failed:\n{}",
        process::tail(log, 5)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_folder_is_no_root() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!complete(folder.path()));
        for file in [
            "usr/bin/sh",
            "usr/share/vulkan/icd.d/lvp_icd.json",
            "usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json",
        ] {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        assert!(complete(folder.path()));
    }

    #[test]
    fn sources_name_their_key() {
        assert_eq!(
            source("http://m.example/debian/", "trixie"),
            format!(
                "deb [signed-by={}] http://m.example/debian/ trixie main",
                install::KEYRING
            )
        );
    }
}
