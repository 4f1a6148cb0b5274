//! `cargo xtask kit`: one archive for machines with a GPU and without Rust. Who unpacks it and runs `run.sh` can send us a report.

mod glibc;
mod list;
mod private;
pub(crate) mod run;
mod supervise;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use list::{FOLDER, Kind, NAME, Program};

use crate::error::{Error, Result};
use crate::guest::binaries::{self, Message};
use crate::process;
use crate::progress::say;
use crate::workspace::Workspace;

/// Arguments of `cargo xtask kit`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// The archive to write [default: target/lucarne-kit.tar.gz]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Larger than this nobody wants to send.
const LARGEST: u64 = 60 << 20;
/// The folder in the archive.
const FOLDER_NAME: &str = "lucarne-kit";
const RUN_SH: &str = include_str!("run.sh");
const README: &str = include_str!("README.txt");

/// Programs that report by themselves, and run first: name, arguments, seconds. No test program may have such a name.
const REPORTING: [(&str, &[&str], u64); 3] = [
    (
        "lucarne-conformance",
        &["--json", "--quick", "--name", NAME],
        150,
    ),
    (
        "demo",
        &[
            "--json",
            "--no-window",
            "--frames",
            "120",
            "--output",
            FOLDER,
        ],
        40,
    ),
    (
        "lucarne-bench",
        &["--json", "--quick", "--part", "times"],
        90,
    ),
];

/// Test programs that stay out, and why.
const NOT_IN_KIT: [(&str, &str); 5] = [
    ("arrows", "reads sources"),
    ("matrix", "the same as the program lucarne-conformance"),
    ("offers", "reads recordings in the sources"),
    ("quirks", "reads sources"),
    ("readme", "reads documents"),
];

/// Seconds for one test program.
const TEST_LIMIT: u64 = 60;

/// Test programs that take longest come last: what they hold is least about a driver.
const LAST: [&str; 3] = ["cpu_cycles", "cycles", "leaks"];

/// Builds the programs and packs them.
pub(crate) fn make(workspace: &Workspace, options: &Options, verbose: bool) -> Result<u8> {
    let built = build(workspace, verbose)?;
    let base = workspace.target.join("kit-archive");
    let folder = base.join(FOLDER_NAME);
    _ = fs::remove_dir_all(&base);
    let bin = folder.join("bin");
    fs::create_dir_all(&bin).map_err(|e| Error::io("creating", &bin, &e))?;
    add(&bin, "run", program(&built.programs, "xtask")?)?;
    let mut listed = Vec::new();
    for (name, arguments, limit) in REPORTING {
        add(&bin, name, program(&built.programs, name)?)?;
        listed.push(Program::new(name, Kind::Json, arguments, limit));
    }
    for (name, path) in in_order(&built.tests) {
        add(&bin, name, path)?;
        listed.push(Program::new(
            name,
            Kind::Tests,
            &["--show-output"],
            TEST_LIMIT,
        ));
    }
    list::write(&folder, &listed)?;
    write(&folder.join("run.sh"), RUN_SH)?;
    write(&folder.join("README.txt"), README)?;
    let output = options.output.clone();
    let output = output.unwrap_or_else(|| workspace.target.join("lucarne-kit.tar.gz"));
    pack(&base, &output)?;
    let size = fs::metadata(&output).map_err(|e| Error::io("reading", &output, &e))?;
    let mebibytes = size.len() as f64 / f64::from(1 << 20);
    let shown = workspace.shown(&output);
    if size.len() > LARGEST {
        let limit = LARGEST >> 20;
        return Err(Error::failed(format!(
            "{shown} has {mebibytes:.1} MiB, more than {limit}: leave a program out, or make them smaller"
        )));
    }
    say(format!(
        "{shown}: {} programs, {mebibytes:.1} MiB",
        listed.len()
    ));
    Ok(0)
}

/// What cargo built: names and files.
#[derive(Debug, Default)]
struct Built {
    programs: Vec<(String, PathBuf)>,
    tests: Vec<(String, PathBuf)>,
}

fn build(workspace: &Workspace, verbose: bool) -> Result<Built> {
    let mut cargo = process::cargo();
    cargo.args([
        "build",
        "--profile",
        "kit",
        "--message-format=json",
        "--bins",
        "--test",
        "*",
    ]);
    // The demo opens no window there.
    cargo.arg("--no-default-features");
    for package in [
        "lucarne-bench",
        "lucarne-conformance",
        "lucarne-demo",
        "lucarne-tests",
        "xtask",
    ] {
        cargo.args(["--package", package]);
    }
    cargo.env("RUSTFLAGS", nameless_paths(workspace));
    let tests_folder = workspace.root.join("tests");
    let mut built = Built::default();
    binaries::build(
        workspace,
        cargo,
        "building the kit",
        "kit-build",
        verbose,
        |message: &Message| {
            if let Some((name, path)) = message.test_in(&tests_folder) {
                built.tests.push((name.to_owned(), path.to_owned()));
            } else if let Some((name, path)) = message.program() {
                built.programs.push((name.to_owned(), path.to_owned()));
            }
        },
    )?;
    Ok(built)
}

/// Panics name the source's file: without the folders of whoever built the kit.
fn nameless_paths(workspace: &Workspace) -> String {
    let mut flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    let home = std::env::home_dir().unwrap_or_default();
    let cargo_home =
        std::env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from);
    for (folder, name) in [(&*workspace.root, "lucarne"), (&*cargo_home, "cargo")] {
        flags.push_str(&format!(" --remap-path-prefix={}={name}", folder.display()));
    }
    flags
}

fn program<'a>(programs: &'a [(String, PathBuf)], name: &str) -> Result<&'a Path> {
    let found = programs.iter().find(|(built, _)| built == name);
    found
        .map(|(_, path)| &**path)
        .ok_or_else(|| Error::failed(format!("cargo built no program {name}")))
}

/// Those that go into the kit, by name, the longest last.
fn in_order(tests: &[(String, PathBuf)]) -> Vec<(&str, &Path)> {
    let stays_out = |name: &str| NOT_IN_KIT.iter().any(|(out, _)| *out == name);
    let mut chosen: Vec<_> = tests
        .iter()
        .map(|(name, path)| (&**name, &**path))
        .filter(|(name, _)| !stays_out(name))
        .collect();
    chosen.sort_by_key(|(name, _)| (LAST.contains(name), *name));
    chosen
}

fn add(bin: &Path, name: &str, from: &Path) -> Result<()> {
    let bytes = fs::read(from).map_err(|e| Error::io("reading", from, &e))?;
    glibc::check(from, &bytes)?;
    let path = bin.join(name);
    fs::write(&path, bytes).map_err(|e| Error::io("writing", &path, &e))?;
    executable(&path)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|e| Error::io("writing", path, &e))?;
    executable(path)
}

fn executable(path: &Path) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .map_err(|e| Error::io("making executable", path, &e))
}

/// gzip, as every machine can unpack it; of nobody, so that the builder's name stays out.
fn pack(base: &Path, output: &Path) -> Result<()> {
    let mut tar = Command::new("tar");
    tar.args([
        "--owner=0",
        "--group=0",
        "--numeric-owner",
        "--sort=name",
        "-C",
    ])
    .arg(base)
    .args(["--use-compress-program", "gzip -9", "-cf"])
    .arg(output)
    .arg(FOLDER_NAME);
    process::output_of(&mut tar).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_stays_out_and_who_comes_last() {
        let tests = ["leaks", "readme", "fences", "cycles", "barriers"];
        let tests = tests.map(|name| (name.to_owned(), PathBuf::from("/t").join(name)));
        let names: Vec<_> = in_order(&tests).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["barriers", "fences", "cycles", "leaks"]);
    }

    #[test]
    fn who_is_named_is_there() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/tests");
        let names = NOT_IN_KIT.iter().map(|(name, _)| *name).chain(LAST);
        let is_test = |name: &str| folder.join(format!("{name}.rs")).is_file();
        for name in names {
            assert!(is_test(name), "{name}");
        }
        for (name, ..) in REPORTING {
            assert!(!is_test(name), "{name} would replace the other");
        }
    }

    #[test]
    fn the_whole_takes_less_than_eight_minutes() {
        let first: u64 = REPORTING.iter().map(|(.., limit)| limit).sum();
        assert!(first < 450, "some time is left for the tests");
    }

    #[test]
    fn run_sh_is_for_every_shell() {
        let checked = Command::new("sh").args(["-n", "-c", RUN_SH]).status();
        assert!(checked.unwrap().success());
    }
}
