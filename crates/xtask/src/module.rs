//! `cargo xtask module`: builds `kernel/lucarne_exporter` for the guest's kernel, against headers that are unpacked and never installed.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::distribution::Distribution;
use crate::error::{Error, Result};
use crate::guest::kernel::{self, Kernel};
use crate::process::{self, Job};
use crate::progress::say;
use crate::workspace::{self, Workspace};

/// Where the sources are, in the checkout.
const SOURCES: &str = "kernel/lucarne_exporter";
/// What the kernel's build leaves.
const FILE: &str = "lucarne_exporter.ko";

/// Arguments of `cargo xtask module`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// The kernel's release as `uname -r` prints it; without this the guest's.
    #[arg(long, value_name = "RELEASE")]
    kernel_version: Option<String>,
    /// Show what the kernel's build prints
    #[arg(long, short)]
    verbose: bool,
}

/// Builds it, and prints where it is.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<u8> {
    use std::io::Write as _;
    let distribution = Distribution::detect();
    let log = workspace.log("kernel");
    let kernel = kernel::find(distribution, options.kernel_version.as_deref(), &log)?;
    say(format!("kernel {}", kernel.release));
    let file = build(workspace, distribution, &kernel, options.verbose)?;
    // With a closed stdout the exit status still tells.
    _ = writeln!(anstream::stdout(), "{}", file.display());
    Ok(0)
}

/// The module for this kernel, out of the cache where these very sources were built before.
pub(crate) fn build(
    workspace: &Workspace,
    distribution: Distribution,
    kernel: &Kernel,
    verbose: bool,
) -> Result<PathBuf> {
    let cache = workspace::cache()?.join("module").join(&kernel.release);
    if cache.to_string_lossy().contains([' ', ':']) {
        let place = cache.display();
        return Err(Error::unable(format!(
            "{place} has a space or a colon in its name, which the kernel's build refuses; set XDG_CACHE_HOME"
        )));
    }
    let sources = sources(&workspace.root.join(SOURCES))?;
    let place = cache.join(format!("{:016x}", digest(&sources)));
    let file = place.join(FILE);
    if file.is_file() {
        return Ok(file);
    }
    let headers = headers(workspace, distribution, &kernel.release, &cache)?;
    check_tools(&headers)?;
    let folder = cache.join(format!(".build-{}", std::process::id()));
    let built = make(workspace, &sources, &headers, &folder, verbose).and_then(|()| {
        fs::create_dir_all(&place).map_err(|e| Error::io("creating", &place, &e))?;
        fs::rename(folder.join(FILE), &file).map_err(|e| Error::io("moving to", &file, &e))
    });
    _ = fs::remove_dir_all(&folder);
    built.map(|()| file)
}

/// A source file's name and what is in it.
type Source = (String, Vec<u8>);

/// What the module is made of; what an earlier `make` left there is not.
fn sources(folder: &Path) -> Result<Vec<Source>> {
    let reading = |e| Error::io("reading", folder, &e);
    let mut sources = Vec::new();
    for entry in fs::read_dir(folder).map_err(reading)? {
        let path = entry.map_err(reading)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let is_source = name == "Makefile"
            || (name.ends_with(".c") && !name.ends_with(".mod.c"))
            || name.ends_with(".h");
        if is_source {
            let content = fs::read(&path).map_err(|e| Error::io("reading", &path, &e))?;
            sources.push((name.to_owned(), content));
        }
    }
    sources.sort();
    Ok(sources)
}

/// Tells one state of the sources from another; only the cache depends on it.
fn digest(sources: &[Source]) -> u64 {
    let mut hasher = DefaultHasher::new();
    sources.hash(&mut hasher);
    hasher.finish()
}

/// Builds copies of the sources, so that the checkout stays as it is.
fn make(
    workspace: &Workspace,
    sources: &[Source],
    headers: &Path,
    folder: &Path,
    verbose: bool,
) -> Result<()> {
    fs::create_dir_all(folder).map_err(|e| Error::io("creating", folder, &e))?;
    for (name, content) in sources {
        let path = folder.join(name);
        fs::write(&path, content).map_err(|e| Error::io("writing", &path, &e))?;
    }
    let mut make = Command::new("make");
    make.arg("-C")
        .arg(folder)
        .arg(format!("KDIR={}", headers.display()))
        // Warnings of ours are errors: nobody reads the log of a build that went well.
        .args(["W=1", "KCFLAGS=-Werror"])
        // What cargo tells its own makes is nothing for the kernel's.
        .env_remove("MAKEFLAGS");
    let log = workspace.log("module");
    Job::new("building lucarne_exporter", make, log, verbose).succeed()
}

/// The folder of the kernel's headers, out of the cache or downloaded into it.
fn headers(
    workspace: &Workspace,
    distribution: Distribution,
    release: &str,
    cache: &Path,
) -> Result<PathBuf> {
    let place = cache.join("headers");
    let found = place
        .join("usr/src")
        .join(format!("linux-headers-{release}"));
    if found.join("Makefile").is_file() {
        return Ok(found);
    }
    if !distribution.has_apt() {
        return Err(Error::unable(
            "kernel headers are taken from Debian or Ubuntu packages, and this distribution has no apt",
        ));
    }
    let packages = packages(release)?;
    kernel::unpacked(&packages, &place, &workspace.log("headers"), |folder| {
        relative(
            &folder
                .join("usr/src")
                .join(format!("linux-headers-{release}/Makefile")),
        )
    })?;
    Ok(found)
}

/// The package of the headers, and what it takes files from.
fn packages(release: &str) -> Result<Vec<String>> {
    let name = format!("linux-headers-{release}");
    let mut apt = Command::new("apt-cache");
    let text = process::output_of(apt.env("LC_ALL", "C").arg("depends").arg(&name));
    let parts = text.map(|text| parts_in(&text)).unwrap_or_default();
    if parts.is_empty() {
        return Err(Error::unable(format!(
            "apt knows no package {name}; `apt-get update` may help, or a newer kernel has taken its place"
        )));
    }
    Ok([name].into_iter().chain(parts).collect())
}

/// Finds the packages with headers and with the kernel's build programs in what `apt-cache depends` lists.
fn parts_in(depends: &str) -> Vec<String> {
    let lines = depends
        .lines()
        .map(|line| line.trim().trim_start_matches('|'));
    let names = lines.filter_map(|line| line.strip_prefix("Depends: "));
    names
        .filter(|name| name.starts_with("linux-headers-") || name.starts_with("linux-kbuild-"))
        .map(str::to_owned)
        .collect()
}

/// Debian's Makefile includes another by its absolute path, where nothing is installed: by its place beside this one instead.
fn relative(makefile: &Path) -> Result<()> {
    const ABSOLUTE: &str = "include /usr/src/";
    const BESIDE: &str = "include $(dir $(lastword $(MAKEFILE_LIST)))../";
    let text = fs::read_to_string(makefile).map_err(|e| Error::io("reading", makefile, &e))?;
    let text = text.replace(ABSOLUTE, BESIDE);
    // Where it is a link to a file of another package, the link gives way to a file.
    fs::remove_file(makefile)
        .and_then(|()| fs::write(makefile, text))
        .map_err(|e| Error::io("writing", makefile, &e))
}

/// Whether make and the compiler that built the kernel are here.
fn check_tools(headers: &Path) -> Result<()> {
    let variables = fs::read_to_string(headers.join(".kernelvariables")).unwrap_or_default();
    let compiler = compiler_in(&variables).unwrap_or("gcc");
    match ["make", compiler]
        .into_iter()
        .find(|tool| process::find_program(tool).is_none())
    {
        Some(tool) => Err(Error::unable(format!(
            "{tool} is missing, with which the kernel's modules are built (package {tool})"
        ))),
        None => Ok(()),
    }
}

/// The compiler that Debian's `.kernelvariables` names, for example `gcc-12`.
fn compiler_in(variables: &str) -> Option<&str> {
    let line = variables.lines().find(|line| line.starts_with("CC = "))?;
    let at = line.find("gcc-")?;
    line[at..].split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_the_headers() {
        let text = "linux-headers-6.12.95+deb12-amd64\n  Depends: linux-base\n  Depends: linux-headers-6.12.95+deb12-common\n \
            |Depends: linux-image-6.12.95+deb12-amd64\n  Depends: linux-kbuild-6.12.95+deb12\n  Depends: gcc-12\n";
        assert_eq!(
            parts_in(text),
            [
                "linux-headers-6.12.95+deb12-common",
                "linux-kbuild-6.12.95+deb12"
            ]
        );
        assert!(parts_in("").is_empty());
    }

    #[test]
    fn the_compiler_is_the_kernels() {
        let text = "CCACHE = ccache\nCC = $(if $(X),$(CCACHE)) $(CROSS_COMPILE)gcc-12\nY = gcc-1\n";
        assert_eq!(compiler_in(text), Some("gcc-12"));
        assert_eq!(compiler_in(""), None);
    }

    #[test]
    fn includes_become_relative() {
        let folder = tempfile::tempdir().unwrap();
        let makefile = folder.path().join("Makefile");
        fs::write(
            &makefile,
            "include /usr/src/linux-headers-common/Makefile\n",
        )
        .unwrap();
        relative(&makefile).unwrap();
        let text = fs::read_to_string(&makefile).unwrap();
        assert_eq!(
            text,
            "include $(dir $(lastword $(MAKEFILE_LIST)))../linux-headers-common/Makefile\n"
        );
    }

    #[test]
    fn what_make_leaves_is_no_source() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["Makefile", "a.c", "a.h", "a.mod.c", "a.ko", "README.md"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let found = sources(folder.path()).unwrap();
        let names: Vec<_> = found.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["Makefile", "a.c", "a.h"]);
        let before = digest(&found);
        fs::write(folder.path().join("a.c"), "other").unwrap();
        assert_ne!(digest(&sources(folder.path()).unwrap()), before);
    }
}
