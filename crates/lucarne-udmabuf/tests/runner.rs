//! `.cargo/runner`: what it preloads, for which program, and when it does not.

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use common::{real_device, skip};

/// A workspace in a folder of its own: the runner, and a program that prints its LD_PRELOAD and arguments.
struct Workspace(PathBuf);

impl Workspace {
    fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("lucarne-{name}-{}-{count}", std::process::id()));
        for one in [
            ".cargo",
            "target/debug/deps",
            "target/debug/examples",
            "crates/one",
        ] {
            fs::create_dir_all(folder.join(one)).expect("folders");
        }
        let runner = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cargo/runner");
        fs::copy(runner, folder.join(".cargo/runner")).expect("the runner");
        Self(folder)
    }

    /// Puts an executable there.
    fn program(&self, path: &str) -> &Self {
        let path = self.0.join(path);
        fs::write(
            &path,
            "#!/bin/sh\necho \"preload=$LD_PRELOAD\"\nfor one; do echo \"[$one]\"; done\nexit 7\n",
        )
        .expect("program");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod");
        self
    }

    /// Puts the preload library there. The real one, as the dynamic linker complains of anything else.
    fn library(&self, path: &str) -> &Self {
        symlink(common::library(), self.0.join(path)).expect("library");
        self
    }

    fn path(&self, path: &str) -> String {
        self.0
            .join(path)
            .to_str()
            .expect("a path in UTF-8")
            .to_owned()
    }

    /// A command that runs the program through the runner, from a package's folder as cargo does.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.0.join(".cargo/runner"));
        command
            .arg(self.0.join(program))
            .current_dir(self.0.join("crates/one"));
        command
            .env_remove("LD_PRELOAD")
            .env_remove("LUCARNE_NO_EMULATION");
        command
    }

    /// What the program was preloaded with.
    fn preloaded(&self, program: &str) -> String {
        let output = self.command(program).output().expect("the runner");
        assert_eq!(text(&output.stderr), "");
        first_line(&output)
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("the test's own folder");
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn first_line(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(7), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    said.lines()
        .next()
        .and_then(|line| line.strip_prefix("preload="))
        .expect("the program's output")
        .to_owned()
}

/// True, and said, where the machine has a device: then the runner preloads nothing.
fn has_device() -> bool {
    let has = real_device();
    if has {
        skip(
            "emulation",
            "a real /dev/udmabuf is here: the runner preloads nothing",
        );
    }
    has
}

#[test]
fn every_kind_of_program_finds_the_library() {
    if has_device() {
        return;
    }
    let workspace = Workspace::new("kinds");
    workspace.library("target/debug/deps/liblucarne_udmabuf.so");
    for program in [
        "target/debug/deps/tests-0123",
        "target/debug/demo",
        "target/debug/examples/show",
        "elsewhere",
    ] {
        workspace.program(program);
        assert_eq!(
            workspace.preloaded(program),
            workspace.path("target/debug/deps/liblucarne_udmabuf.so"),
            "{program}"
        );
    }
}

#[test]
fn a_library_beside_the_program_does_too() {
    if has_device() {
        return;
    }
    let workspace = Workspace::new("beside");
    workspace
        .library("target/debug/liblucarne_udmabuf.so")
        .program("target/debug/deps/tests-0123");
    let preloaded = workspace.preloaded("target/debug/deps/tests-0123");
    assert_eq!(
        preloaded,
        workspace.path("target/debug/liblucarne_udmabuf.so")
    );
}

#[test]
fn what_was_preloaded_stays_and_the_library_comes_once() {
    if has_device() {
        return;
    }
    let workspace = Workspace::new("once");
    let library = workspace
        .library("target/debug/deps/liblucarne_udmabuf.so")
        .path("target/debug/deps/liblucarne_udmabuf.so");
    workspace.program("target/debug/demo");
    let other = workspace.library("other.so").path("other.so");
    let mut command = workspace.command("target/debug/demo");
    assert_eq!(
        first_line(&command.env("LD_PRELOAD", &other).output().expect("runner")),
        format!("{library}:{other}")
    );
    let both = format!("{other}:{library}");
    assert_eq!(
        first_line(&command.env("LD_PRELOAD", &both).output().expect("runner")),
        both
    );
}

#[test]
fn arguments_and_exit_status_pass_through() {
    let workspace = Workspace::new("arguments");
    workspace
        .library("target/debug/deps/liblucarne_udmabuf.so")
        .program("target/debug/demo");
    let output = workspace
        .command("target/debug/demo")
        .args(["one two", "", "*"])
        .output()
        .expect("runner");
    assert_eq!(output.status.code(), Some(7));
    assert!(
        text(&output.stdout).ends_with("[one two]\n[]\n[*]\n"),
        "{}",
        text(&output.stdout)
    );
}

#[test]
fn nothing_is_preloaded_when_told_so() {
    let workspace = Workspace::new("told");
    workspace
        .library("target/debug/deps/liblucarne_udmabuf.so")
        .program("target/debug/demo");
    let output = workspace
        .command("target/debug/demo")
        .env("LUCARNE_NO_EMULATION", "1")
        .output()
        .expect("runner");
    assert_eq!(
        (first_line(&output), text(&output.stderr)),
        (String::new(), String::new())
    );
}

#[test]
fn nothing_is_preloaded_into_tools_of_the_build() {
    let workspace = Workspace::new("tools");
    workspace.library("target/debug/deps/liblucarne_udmabuf.so");
    for program in [
        "target/debug/xtask",
        "target/debug/deps/xtask-0123",
        "target/debug/build-script-build",
    ] {
        workspace.program(program);
        assert_eq!(workspace.preloaded(program), "", "{program}");
    }
}

#[test]
fn a_missing_library_is_said_in_one_line() {
    if has_device() {
        return;
    }
    let workspace = Workspace::new("missing");
    workspace.program("target/debug/demo");
    let output = workspace
        .command("target/debug/demo")
        .output()
        .expect("runner");
    assert_eq!(first_line(&output), "");
    let said = text(&output.stderr);
    assert!(
        said.lines().count() == 1 && said.contains("cargo build -p lucarne-udmabuf"),
        "{said}"
    );
}

#[test]
fn a_path_that_ld_preload_cannot_hold_is_said_in_one_line() {
    if has_device() {
        return;
    }
    let workspace = Workspace::new("with space");
    workspace
        .library("target/debug/deps/liblucarne_udmabuf.so")
        .program("target/debug/demo");
    let output = workspace
        .command("target/debug/demo")
        .output()
        .expect("runner");
    assert_eq!(first_line(&output), "");
    let said = text(&output.stderr);
    assert!(
        said.lines().count() == 1 && said.contains("space"),
        "{said}"
    );
}
