//! `cargo xtask deb`: the command `lucarne` and the Vulkan layer as a Debian package, with man pages and completions. cargo-deb makes it.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::error::{Error, Result};
use crate::process::{self, Job};
use crate::progress::say;
use crate::workspace::Workspace;

/// The package, and its program.
const PACKAGE: &str = "lucarne-cli";
const PROGRAM: &str = "lucarne";
/// What else is in it.
const LAYER: &str = "lucarne-layer";
/// Shells, and what each calls the file of a command's completions.
const SHELLS: [(&str, &str); 3] = [
    ("bash", "lucarne"),
    ("zsh", "_lucarne"),
    ("fish", "lucarne.fish"),
];

/// Arguments of `cargo xtask deb`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Show what building prints
    #[arg(long, short)]
    verbose: bool,
}

/// Builds it, and says where it is.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<u8> {
    if process::find_program("cargo-deb").is_none() {
        let help = "cargo-deb is missing: cargo install cargo-deb --locked";
        return Err(Error::unable(help));
    }
    let build = [
        "build",
        "--release",
        "--package",
        PACKAGE,
        "--package",
        LAYER,
    ];
    let title = "building the command and the layer";
    job(workspace, title, &build, options.verbose)?;
    // The manifest of the package names these folders.
    let folder = workspace.root.join("target/deb");
    documents(&workspace.target.join("release").join(PROGRAM), &folder)?;
    let output = folder.join("lucarne.deb");
    let path = output.to_string_lossy();
    let pack = [
        "deb",
        "--no-build",
        "--package",
        PACKAGE,
        "--output",
        &*path,
    ];
    job(workspace, "packing", &pack, options.verbose)?;
    let size = fs::metadata(&output).map_err(|e| Error::io("reading", &output, &e))?;
    let mib = size.len() as f64 / f64::from(1 << 20);
    let shown = workspace.shown(&output);
    say(format!("{shown}: {mib:.1} MiB; sudo apt install ./{shown}"));
    Ok(0)
}

/// Lets the command write its man pages and its completions.
fn documents(program: &Path, folder: &Path) -> Result<()> {
    // A page of a command that is no more must not stay.
    _ = fs::remove_dir_all(folder);
    let man = folder.join("man");
    fs::create_dir_all(&man).map_err(|e| Error::io("creating", &man, &e))?;
    process::output_of(Command::new(program).arg("man").arg(&man))?;
    for (shell, name) in SHELLS {
        let text = process::output_of(Command::new(program).args(["completions", shell]))?;
        let file = folder.join(name);
        fs::write(&file, text).map_err(|e| Error::io("writing", &file, &e))?;
    }
    Ok(())
}

fn job(workspace: &Workspace, title: &str, arguments: &[&str], verbose: bool) -> Result<()> {
    let mut cargo = process::cargo();
    cargo.current_dir(&workspace.root).args(arguments);
    Job::new(title, cargo, workspace.log("deb"), verbose).succeed()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::report::Require;

    /// Says that nothing was tried, and why; fails where `LUCARNE_REQUIRE` demands it.
    fn skip(reason: &str) {
        let is_required = Require::from_env().has("cargo-deb");
        assert!(!is_required, "LUCARNE_REQUIRE demands it, but: {reason}");
        eprintln!("skipped: cargo-deb: {reason}");
    }

    fn package() -> Option<(Workspace, std::path::PathBuf)> {
        for (program, help) in [
            ("cargo-deb", "cargo install cargo-deb --locked"),
            ("dpkg-deb", "sudo apt install dpkg"),
        ] {
            if process::find_program(program).is_none() {
                skip(&format!("{program} is not installed: {help}"));
                return None;
            }
        }
        let workspace = Workspace::find().unwrap();
        assert_eq!(run(&workspace, &Options { verbose: false }).unwrap(), 0);
        let path = workspace.root.join("target/deb/lucarne.deb");
        Some((workspace, path))
    }

    fn field(package: &Path, name: &str) -> String {
        let mut ask = Command::new("dpkg-deb");
        process::output_of(ask.arg("--field").arg(package).arg(name)).unwrap()
    }

    /// Builds the command for release: minutes.
    #[test]
    fn the_package_has_what_its_users_look_for() {
        let Some((workspace, package)) = package() else {
            return;
        };
        let version = field(&package, "Version");
        assert_eq!(field(&package, "Package").trim(), "lucarne");
        assert!(field(&package, "Depends").contains("libc6"));
        let recommended = field(&package, "Recommends");
        for library in ["libvulkan1", "mesa-vulkan-drivers", "libegl1", "libgbm1"] {
            assert!(recommended.contains(library), "{library}: {recommended}");
        }
        let folder = tempfile::tempdir().unwrap();
        let mut unpack = Command::new("dpkg-deb");
        process::output_of(unpack.arg("--extract").arg(&package).arg(folder.path())).unwrap();
        let usr = folder.path().join("usr");
        // The command runs, and is of this version.
        let program = usr.join("bin/lucarne");
        let told = process::output_of(Command::new(&program).arg("--version")).unwrap();
        let number = told.trim().rsplit(' ').next().unwrap();
        assert!(version.starts_with(number), "{version} for {told}");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&program), 0o755);
        // A page for each command, packed.
        let pages = fs::read_dir(workspace.root.join("target/deb/man")).unwrap();
        let pages: Vec<_> = pages.map(|page| page.unwrap().file_name()).collect();
        assert!(
            pages.iter().any(|page| page == "lucarne-view.1"),
            "{pages:?}"
        );
        let man = usr.join("share/man/man1");
        for page in &pages {
            let packed = man.join(format!("{}.gz", page.display()));
            let shown = process::output_of(Command::new("gzip").arg("-dc").arg(&packed)).unwrap();
            assert!(shown.contains(".TH "), "{}", packed.display());
        }
        assert_eq!(fs::read_dir(&man).unwrap().count(), pages.len());
        for file in [
            "share/bash-completion/completions/lucarne",
            "share/zsh/vendor-completions/_lucarne",
            "share/fish/vendor_completions.d/lucarne.fish",
        ] {
            let text = fs::read_to_string(usr.join(file)).unwrap();
            assert!(text.contains("snapshot"), "{file}");
            assert_eq!(mode(&usr.join(file)), 0o644, "{file}");
        }
        let licence = fs::read_to_string(usr.join("share/doc/lucarne/copyright")).unwrap();
        for words in ["MIT", "Apache-2.0"] {
            assert!(licence.contains(words), "{words}: {licence}");
        }
    }
}
