//! Root file systems of other releases of Debian, made with mmdebstrap and kept in the cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};
use crate::install;
use crate::process::{self, Job};
use crate::workspace;

/// One root file system.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Root {
    /// Its folder in the cache.
    pub(crate) folder: [&'static str; 2],
    /// Of mmdebstrap.
    pub(crate) variant: &'static str,
    /// Debian's; packages of the last one are preferred.
    pub(crate) suites: &'static [&'static str],
    /// What it holds, besides what the variant brings.
    pub(crate) packages: &'static [&'static str],
    /// Further settings of apt's.
    pub(crate) apt: &'static [&'static str],
    /// Files that are there when it came to its end.
    pub(crate) last: &'static [&'static str],
}

/// Left out: it is never read, and is half of the size.
const LEFT_OUT: [&str; 3] = [
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/locale/*",
];

impl Root {
    /// Out of the cache, or made.
    pub(crate) fn ready(&self, log: &Path, verbose: bool) -> Result<PathBuf> {
        let [group, name] = self.folder;
        let cache = workspace::cache()?.join(group);
        let place = cache.join(name);
        if self.is_complete(&place) {
            return Ok(place);
        }
        let tool = process::find_program("mmdebstrap").ok_or_else(|| {
            Error::unable(format!(
                "mmdebstrap is missing (package mmdebstrap), which makes the root of {name}"
            ))
        })?;
        let mirror = install::debian_mirror().ok_or_else(|| {
            Error::unable(format!(
                "apt lists no mirror of Debian here; name one in {}, for example the one nearest to you",
                install::MIRROR
            ))
        })?;
        fs::create_dir_all(&cache).map_err(|e| Error::io("creating", &cache, &e))?;
        let folder = cache.join(format!(".new-root-{}", std::process::id()));
        let result = self
            .make(&tool, &mirror, &folder, log, verbose)
            .and_then(|()| {
                // What is there was judged incomplete just before.
                _ = fs::remove_dir_all(&place);
                fs::rename(&folder, &place).map_err(|e| Error::io("moving the root to", &place, &e))
            });
        if result.is_err() {
            _ = fs::remove_dir_all(&folder);
        }
        result.map(|()| place)
    }

    fn is_complete(&self, root: &Path) -> bool {
        self.last.iter().all(|file| root.join(file).exists())
    }

    /// Makes an archive, which mmdebstrap needs no mounts of ours for, and unpacks it.
    fn make(
        &self,
        tool: &Path,
        mirror: &str,
        folder: &Path,
        log: &Path,
        verbose: bool,
    ) -> Result<()> {
        let [first, .., last] = [self.suites, self.suites].concat()[..] else {
            return Err(Error::failed("a root of no suite"));
        };
        fs::create_dir_all(folder).map_err(|e| Error::io("creating", folder, &e))?;
        let archive = folder.with_extension("tar");
        let mut command = Command::new(tool);
        command
            .arg(format!("--variant={}", self.variant))
            .arg("--format=tar")
            .arg(format!("--include={}", self.packages.join(",")))
            .arg(format!("--aptopt=APT::Default-Release \"{last}\""))
            .args(self.apt.iter().map(|option| format!("--aptopt={option}")))
            .args(LEFT_OUT.map(|path| format!("--dpkgopt=path-exclude={path}")))
            .arg(first)
            .arg(&archive)
            .args(self.suites.iter().map(|suite| source(mirror, suite)));
        let title = format!("making a root of {last}");
        let made = run(&title, command, log, verbose);
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
        if self.is_complete(folder) {
            return Ok(());
        }
        let missing = self.last.iter().find(|file| !folder.join(file).exists());
        Err(Error::failed(format!(
            "the root that mmdebstrap made lacks {}",
            missing.unwrap_or(&"something")
        )))
    }
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
    fn sources_name_their_key() {
        assert_eq!(
            source("http://m.example/debian/", "trixie"),
            format!(
                "deb [signed-by={}] http://m.example/debian/ trixie main",
                install::KEYRING
            )
        );
    }

    #[test]
    fn a_root_is_complete_with_the_last_of_its_files() {
        let root = Root {
            folder: ["a", "b"],
            variant: "apt",
            suites: &["sid"],
            packages: &[],
            apt: &[],
            last: &["usr/bin/sh", "usr/share/x.json"],
        };
        let folder = tempfile::tempdir().unwrap();
        for file in root.last {
            assert!(!root.is_complete(folder.path()));
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        assert!(root.is_complete(folder.path()));
    }
}
