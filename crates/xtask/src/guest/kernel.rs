//! A stock kernel for the guest: the distribution's own package, downloaded and unpacked, never installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::distribution::Distribution;
use crate::error::{Error, Result};
use crate::process::{self, Job};
use crate::workspace;

/// An unpacked kernel.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// What `uname -r` says in it.
    pub(crate) release: String,
    pub(crate) image: PathBuf,
    /// The folder that holds `modules.dep`.
    pub(crate) modules: PathBuf,
}

impl Kernel {
    /// Whether it has a module that programs can load.
    pub(crate) fn has_module(&self, file: &str) -> bool {
        let index = fs::read_to_string(self.modules.join("modules.dep")).unwrap_or_default();
        index
            .lines()
            .filter_map(|line| line.split_once(':'))
            .any(|(path, _)| path.rsplit('/').next().is_some_and(|f| f.starts_with(file)))
    }
}

/// The kernel called `release`, or the one that the distribution's metapackage asks for, out of the cache or
/// downloaded into it.
pub(crate) fn find(
    distribution: Distribution,
    release: Option<&str>,
    log: &Path,
) -> Result<Kernel> {
    let cache = workspace::cache()?.join("guest");
    let release = match release {
        Some(release) => release.to_owned(),
        None => match current_release(distribution) {
            Ok(release) => release,
            // Without package lists (no apt, or a fresh container) an earlier download still serves.
            Err(error) => newest_in(&cache).ok_or(error)?,
        },
    };
    if let Some(kernel) = open(&cache.join(&release), &release) {
        return Ok(kernel);
    }
    if !distribution.has_apt() {
        return Err(Error::unable(
            "kernels are taken from Debian or Ubuntu packages, and this distribution has no apt",
        ));
    }
    download(distribution, &release, &cache, log)?;
    open(&cache.join(&release), &release)
        .ok_or_else(|| Error::failed(format!("the package of kernel {release} holds no kernel")))
}

/// The release that the metapackage stands for today.
fn current_release(distribution: Distribution) -> Result<String> {
    let metapackage = match distribution {
        Distribution::Ubuntu => "linux-image-generic",
        Distribution::Bookworm | Distribution::Debian => "linux-image-amd64",
        Distribution::Other => {
            return Err(Error::unable(
                "kernels are taken from Debian or Ubuntu packages, and this distribution has no apt",
            ));
        }
    };
    let mut apt = Command::new("apt-cache");
    apt.env("LC_ALL", "C").arg("depends");
    if let Some(suite) = distribution.target_release() {
        apt.args(["-t", suite]);
    }
    let text = process::output_of(apt.arg(metapackage))?;
    release_in(&text).ok_or_else(|| {
        Error::unable(format!(
            "apt knows no package {metapackage}; `apt-get update` may help"
        ))
    })
}

/// Finds `linux-image-RELEASE` among the dependencies that `apt-cache depends` lists.
fn release_in(depends: &str) -> Option<String> {
    depends.lines().find_map(|line| {
        let line = line.trim().trim_start_matches('|');
        let release = line.strip_prefix("Depends: linux-image-")?;
        // A release starts with a number; metapackages depend on each other too.
        release
            .starts_with(|c: char| c.is_ascii_digit())
            .then(|| release.to_owned())
    })
}

/// The highest release that was unpacked earlier.
fn newest_in(cache: &Path) -> Option<String> {
    fs::read_dir(cache)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| open(&cache.join(name), name).is_some())
        .max_by_key(|name| numbers(name))
}

/// The numbers in a release, so that 6.12 comes after 6.9.
fn numbers(release: &str) -> Vec<u64> {
    release
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|part| part.parse().ok())
        .collect()
}

/// Looks at an unpacked folder; `None` where something is missing.
fn open(folder: &Path, release: &str) -> Option<Kernel> {
    let image = folder.join("boot").join(format!("vmlinuz-{release}"));
    let modules = modules_folder(folder, release)?;
    (image.is_file() && modules.join("modules.dep").is_file()).then(|| Kernel {
        release: release.to_owned(),
        image,
        modules,
    })
}

/// Older packages fill `/lib/modules`, newer ones `/usr/lib/modules`.
fn modules_folder(folder: &Path, release: &str) -> Option<PathBuf> {
    ["lib/modules", "usr/lib/modules"]
        .map(|place| folder.join(place).join(release))
        .into_iter()
        .find(|modules| modules.is_dir())
}

fn download(distribution: Distribution, release: &str, cache: &Path, log: &Path) -> Result<()> {
    let mut packages = vec![format!("linux-image-{release}")];
    if distribution == Distribution::Ubuntu {
        packages.push(format!("linux-modules-{release}"));
    }
    unpacked(&packages, &cache.join(release), log, |folder| {
        index_modules(folder, release)
    })
}

/// Downloads packages and unpacks them into a folder of its own, which takes its final name only when it is whole and `finish`
/// has been through it.
pub(crate) fn unpacked(
    packages: &[String],
    place: &Path,
    log: &Path,
    finish: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let folder = place.with_file_name(format!(".new-{}", std::process::id()));
    let unpacked = unpack(packages, &folder, log).and_then(|()| finish(&folder));
    let result = unpacked.and_then(|()| {
        // What is there was judged incomplete just before.
        _ = fs::remove_dir_all(place);
        fs::rename(&folder, place).map_err(|e| Error::io("moving packages to", place, &e))
    });
    if result.is_err() {
        _ = fs::remove_dir_all(&folder);
    }
    result
}

fn unpack(packages: &[String], folder: &Path, log: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|e| Error::io("creating", folder, &e))?;
    let mut apt = Command::new("apt-get");
    apt.args(["-q", "-o", "APT::Sandbox::User=root", "download"])
        .args(packages)
        .current_dir(folder);
    let title = format!("downloading {}", packages[0]);
    if !Job::new(&title, apt, log.to_owned(), false)
        .run(|_| None)?
        .success()
    {
        return Err(Error::unable(format!(
            "{} could not be downloaded: {}",
            packages.join(" and "),
            process::tail(log, 3)
        )));
    }
    for archive in archives_in(folder)? {
        process::output_of(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(folder))?;
        fs::remove_file(&archive).map_err(|e| Error::io("removing", &archive, &e))?;
    }
    Ok(())
}

fn archives_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|e| Error::io("reading", folder, &e))?;
    Ok(entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "deb"))
        .collect())
}

/// Writes `modules.dep`, which a package leaves to its installation script.
fn index_modules(folder: &Path, release: &str) -> Result<()> {
    let depmod = process::find_program("depmod")
        .ok_or_else(|| Error::unable("depmod is missing (package kmod)"))?;
    let mut base = folder.to_owned();
    if folder.join("usr/lib/modules").join(release).is_dir() {
        base.push("usr");
    }
    process::output_of(Command::new(depmod).arg("-b").arg(base).arg(release)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_from_apt() {
        let debian = "linux-image-amd64\n  Depends: linux-image-6.12.95+deb12-amd64\n";
        assert_eq!(release_in(debian).as_deref(), Some("6.12.95+deb12-amd64"));
        let ubuntu = "linux-image-generic\n  Depends: linux-image-6.8.0-60-generic\n  Depends: linux-firmware\n";
        assert_eq!(release_in(ubuntu).as_deref(), Some("6.8.0-60-generic"));
        let alternatives = "linux-image-x\n |Depends: linux-image-6.1.0-9-amd64\n  Depends: linux-image-6.1.0-9-amd64-unsigned\n";
        assert_eq!(release_in(alternatives).as_deref(), Some("6.1.0-9-amd64"));
        assert_eq!(
            release_in("linux-image-amd64\n  Depends: linux-image-generic\n"),
            None
        );
        assert_eq!(release_in(""), None);
    }

    #[test]
    fn incomplete_folders_are_not_kernels() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("6.12.1");
        assert!(open(&place, "6.12.1").is_none());
        fs::create_dir_all(place.join("boot")).unwrap();
        fs::write(place.join("boot/vmlinuz-6.12.1"), "").unwrap();
        fs::create_dir_all(place.join("usr/lib/modules/6.12.1")).unwrap();
        assert!(open(&place, "6.12.1").is_none(), "no modules.dep yet");
        fs::write(place.join("usr/lib/modules/6.12.1/modules.dep"), "").unwrap();
        assert!(open(&place, "6.12.1").is_some());
        assert_eq!(newest_in(folder.path()).as_deref(), Some("6.12.1"));
    }

    #[test]
    fn releases_compare_as_numbers() {
        assert!(numbers("6.12.95+deb12-amd64") > numbers("6.9.7+bpo-amd64"));
    }
}
