//! The programs that the guest runs, built here by cargo.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::process::{self, Job};
use crate::workspace::Workspace;

/// The folders of packages whose tests say something about the kernel that they run on; those below them count too.
const FOLDERS: [&str; 9] = [
    "crates/lucarne",
    "crates/lucarne-stream",
    "crates/lucarne-conformance",
    "crates/lucarne-udmabuf",
    "crates/lucarne-wgpu",
    "crates/lucarne-capi",
    "crates/lucarne-wayland",
    "tests",
    "examples",
];

/// Test programs that stay outside, and why.
const NOT_IN_GUEST: [(&str, &str); 20] = [
    ("compile_fail", "runs cargo"),
    ("arrows", "reads sources, the same everywhere"),
    (
        "c_backends",
        "opens what C opens first, which is vgem once another test has loaded it",
    ),
    (
        "c_planes",
        "opens what C opens first, which is vgem once another test has loaded it",
    ),
    ("c_header", "reads sources, the same everywhere"),
    ("c_symbols", "asks binutils, which are not there"),
    ("c_install", "runs cargo"),
    ("c_examples", "needs compilers"),
    ("c_gtk", "needs compilers"),
    ("c_python", "installs packages"),
    ("c_obs", "needs compilers"),
    (
        "offenders",
        "counts what is missed in steps of 4 ms, which an emulated processor does not keep",
    ),
    ("glx", "an X server without a GPU is too slow there"),
    (
        "layer_programs",
        "an X server without a GPU is too slow there",
    ),
    (
        "wgpu_streams",
        "wgpu compiles shaders at each start, and was not tried on an emulated processor",
    ),
    ("window", "a compositor without a GPU is too slow there"),
    ("weston", "a compositor without a GPU is too slow there"),
    ("sway", "a compositor without a GPU is too slow there"),
    (
        "wayland_present",
        "a compositor without a GPU is too slow there",
    ),
    (
        "demo",
        "the guest runs the demo itself, at a size that it can bear",
    ),
];

/// A test program.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TestProgram {
    /// The tier that its results belong to.
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    /// The folder that cargo would run it in.
    pub(crate) folder: PathBuf,
}

/// What cargo says about a thing that it has built.
#[derive(Debug, Deserialize)]
pub(crate) struct Message {
    reason: String,
    executable: Option<PathBuf>,
    manifest_path: Option<PathBuf>,
    target: Option<Target>,
    profile: Option<Profile>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Profile {
    test: bool,
}

impl Message {
    /// A program, not its tests: its name and its file.
    pub(crate) fn program(&self) -> Option<(&str, &Path)> {
        let tested = self.profile.as_ref().is_some_and(|p| p.test);
        let target = self.target.as_ref()?;
        let is_program = !tested && target.kind.iter().any(|kind| kind == "bin");
        is_program.then_some((&*target.name, self.executable.as_deref()?))
    }

    /// A test program of the package in `folder`: its name and its file.
    pub(crate) fn test_in(&self, folder: &Path) -> Option<(&str, &Path)> {
        let target = self.target.as_ref()?;
        let is_test = target.kind.iter().any(|kind| kind == "test");
        let is_there = self.manifest_path.as_ref()?.parent()? == folder;
        (is_test && is_there).then_some((&*target.name, self.executable.as_deref()?))
    }
}

/// What one build leaves for the guest.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) tests: Vec<TestProgram>,
    pub(crate) demo: PathBuf,
}

/// Builds the tests and the demo, and lists them: all default members at once, as `cargo xtask test` does, since a part of it would
/// be built anew with other features.
pub(crate) fn tests(workspace: &Workspace, verbose: bool) -> Result<Built> {
    let mut cargo = process::cargo();
    cargo.args(["test", "--no-run", "--message-format=json"]);
    let (mut tests, mut demo) = (Vec::new(), None);
    let title = "building the guest's tests";
    build(workspace, cargo, title, "guest-build", verbose, |m| {
        tests.extend(test_program(&workspace.root, m));
        if let Some(("demo", path)) = m.program() {
            demo = Some(path.to_owned());
        }
    })?;
    tests.sort_by(|a, b| a.name.cmp(&b.name));
    let demo = demo.ok_or_else(|| Error::failed("cargo built no demo program"))?;
    Ok(Built { tests, demo })
}

/// Builds the conformance program.
pub(crate) fn matrix(workspace: &Workspace, verbose: bool) -> Result<PathBuf> {
    let name = "lucarne-conformance";
    let mut cargo = process::cargo();
    cargo.args(["build", "--message-format=json", "--package", name]);
    let mut found = None;
    let (title, log) = (format!("building {name}"), format!("{name}-build"));
    build(workspace, cargo, &title, &log, verbose, |m| {
        if let Some((_, path)) = m.program().filter(|(built, _)| *built == name) {
            found = Some(path.to_owned());
        }
    })?;
    found.ok_or_else(|| Error::failed(format!("cargo built no program {name}")))
}

/// Runs cargo, which shows its messages to `on_artifact`.
pub(crate) fn build(
    workspace: &Workspace,
    mut cargo: Command,
    title: &str,
    log: &str,
    verbose: bool,
    mut on_artifact: impl FnMut(&Message),
) -> Result<()> {
    cargo.current_dir(&workspace.root);
    let log = workspace.log(log);
    let ended = Job::new(title, cargo, log.clone(), verbose).run(|line| {
        // Messages are JSON, one a line; the rest is for people.
        if let Ok(message) = serde_json::from_str::<Message>(line) {
            if message.reason == "compiler-artifact" {
                on_artifact(&message);
            }
            return None;
        }
        Some(line.trim().to_owned())
    })?;
    if ended.success() {
        return Ok(());
    }
    Err(Error::failed(format!(
        "{title} failed:\n{}",
        readable_tail(&log)
    )))
}

/// The end of a build log with the messages that are meant for programs turned into text.
fn readable_tail(log: &Path) -> String {
    let text = process::complaints(log);
    text.lines()
        .filter_map(readable)
        .collect::<Vec<_>>()
        .join("\n")
}

fn readable(line: &str) -> Option<String> {
    let Ok(message) = serde_json::from_str::<serde_json::Value>(line) else {
        return Some(line.to_owned());
    };
    let rendered = message.pointer("/message/rendered")?.as_str()?;
    Some(rendered.to_owned())
}

fn test_program(root: &Path, message: &Message) -> Option<TestProgram> {
    if !message.profile.as_ref().is_some_and(|p| p.test) {
        return None;
    }
    let program = message.executable.clone()?;
    let folder = message.manifest_path.as_ref()?.parent()?.to_owned();
    let within = folder.strip_prefix(root).ok()?;
    if !FOLDERS.iter().any(|known| within.starts_with(known)) {
        return None;
    }
    let target = message.target.as_ref()?;
    let is_test = target.kind.iter().any(|k| k == "test");
    if is_test && NOT_IN_GUEST.iter().any(|(name, _)| *name == target.name) {
        return None;
    }
    // Programs of the examples hold no unit tests worth the guest's time.
    if target.kind.iter().any(|k| k == "bin") {
        return None;
    }
    let name = if is_test {
        target.name.clone()
    } else {
        format!("unit tests of {}", target.name)
    };
    Some(TestProgram {
        name,
        program,
        folder,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(kind: &str, name: &str, test: bool) -> Option<TestProgram> {
        let text = format!(
            r#"{{"reason":"compiler-artifact","manifest_path":"/c/tests/Cargo.toml","executable":"/t/x",
            "target":{{"name":"{name}","kind":["{kind}"]}},"profile":{{"test":{test}}},"fresh":true}}"#
        );
        test_program(Path::new("/c"), &serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn artifacts_become_programs() {
        let kernel = parse("test", "kernel", true).unwrap();
        assert_eq!(kernel.name, "kernel");
        assert_eq!(kernel.folder, Path::new("/c/tests"));
        assert_eq!(
            parse("lib", "lucarne", true).unwrap().name,
            "unit tests of lucarne"
        );
        assert_eq!(parse("test", "compile_fail", true), None);
        assert_eq!(parse("lib", "lucarne", false), None);
        assert_eq!(parse("bin", "demo", true), None);
        let below = r#"{"reason":"","manifest_path":"/c/examples/dbus/Cargo.toml","executable":"/t/x",
            "target":{"name":"dbus","kind":["test"]},"profile":{"test":true}}"#;
        let message = serde_json::from_str(below).unwrap();
        assert!(test_program(Path::new("/c"), &message).is_some());
        let elsewhere = Path::new("/elsewhere");
        let text = r#"{"reason":"","manifest_path":"/c/tests/Cargo.toml","executable":"/t/x",
            "target":{"name":"kernel","kind":["test"]},"profile":{"test":true}}"#;
        let message = serde_json::from_str(text).unwrap();
        assert!(test_program(Path::new("/c"), &message).is_some());
        assert_eq!(test_program(elsewhere, &message), None);
    }
}
