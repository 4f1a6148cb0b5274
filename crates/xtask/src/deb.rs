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
