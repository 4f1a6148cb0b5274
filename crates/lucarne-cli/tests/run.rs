//! `lucarne run`: the program that it becomes, what that sees, and why it does not start.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
use common::{command, text};

const NAME: &str = "VkLayer_LUCARNE_extensions.json";
const LAYER: &str = "VK_LAYER_LUCARNE_extensions";
const TEXT: &str = include_str!("../../lucarne-layer/VkLayer_LUCARNE_extensions.json");
const INSTALLED: &str = "../../../lib/lucarne/liblucarne_layer.so";

/// The layer that cargo has built, beside this program, and a manifest that names it.
fn layer() -> TempDir {
    let program = std::env::current_exe().expect("this program's path");
    let library = program.with_file_name("liblucarne_layer.so");
    assert!(library.exists(), "{} is not built", library.display());
    let folder = tempfile::tempdir().expect("a folder");
    let text = TEXT.replace(INSTALLED, library.to_str().expect("UTF-8"));
    assert_ne!(text, TEXT, "the manifest names another library");
    fs::write(folder.path().join(NAME), text).expect("a manifest");
    folder
}

fn lucarne(arguments: &[&str]) -> Command {
    let mut command = command(arguments);
    for name in ["VK_LAYER_PATH", "VK_ADD_LAYER_PATH", "VK_INSTANCE_LAYERS"] {
        command.env_remove(name);
    }
    command
}

fn run(folder: &Path, program: &[&str]) -> Command {
    let mut command = lucarne(&["run", "--layer"]);
    command.arg(folder).arg("--").args(program);
    command
}

/// What it complains of, in one line.
fn complaint(output: &Output) -> String {
    let said = text(&output.stderr).to_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.starts_with("error: ") && said.lines().count() == 1,
        "{said}"
    );
    said
}

#[test]
fn the_programs_status_and_signal_are_the_commands() {
    let layer = layer();
    for status in [0, 1, 7, 130] {
        let exit = format!("exit {status}");
        let output = run(layer.path(), &["sh", "-c", &exit])
            .output()
            .expect("it runs");
        assert_eq!(
            output.status.code(),
            Some(status),
            "{}",
            text(&output.stderr)
        );
    }
    let mut killed = run(layer.path(), &["sh", "-c", "kill -TERM $$"]);
    assert_eq!(killed.status().expect("it runs").signal(), Some(15));
}

/// It is the same process, so that whoever started it can signal it.
#[test]
fn it_becomes_the_program() {
    let layer = layer();
    let mut command = run(layer.path(), &["sh", "-c", "echo $$"]);
    let child = command.stdout(Stdio::piped()).spawn().expect("it runs");
    let pid = child.id().to_string();
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(text(&output.stdout).trim(), pid);
}

#[test]
fn arguments_are_the_programs_and_the_loader_is_told() {
    let layer = layer();
    let folder = layer.path().canonicalize().expect("there");
    let script = "echo \"$LUCARNE_EXTENSIONS|$VK_ADD_LAYER_PATH|$VK_INSTANCE_LAYERS|${LUCARNE_EXTENSIONS_DISABLE-none}\"; \
                  for one; do echo \"[$one]\"; done";
    let mut command = run(
        layer.path(),
        &["sh", "-c", script, "sh", "--layer", "", "--json", "a b"],
    );
    command
        .env("VK_INSTANCE_LAYERS", "VK_LAYER_OTHER")
        .env("LUCARNE_EXTENSIONS_DISABLE", "1");
    let output = command.output().expect("it runs");
    let folder = folder.display();
    let expected =
        format!("1|{folder}|{LAYER}:VK_LAYER_OTHER|none\n[--layer]\n[]\n[--json]\n[a b]\n");
    assert_eq!(text(&output.stdout), expected, "{}", text(&output.stderr));
}

/// The whole way: the loader finds the layer, and a program's own device has all.
#[test]
fn a_program_has_the_layer() {
    let layer = layer();
    let caps = [env!("CARGO_BIN_EXE_lucarne"), "caps", "--api", "vulkan"];
    let mut command = run(layer.path(), &caps);
    let output = command
        .env("LUCARNE_LAYER_LOG", "1")
        .output()
        .expect("it runs");
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("lucarne-layer: loaded into a program"),
        "{said}"
    );
    // Not a word without its log.
    let output = run(layer.path(), &caps).output().expect("it runs");
    assert!(
        !text(&output.stderr).contains("lucarne-layer"),
        "{}",
        text(&output.stderr)
    );
}

/// As a package installs it: the command in `bin`, the manifest in `share`, the library where that says.
#[test]
fn the_installed_layer_is_found() {
    let prefix = tempfile::tempdir().expect("a folder");
    let (bin, share, lib) = (
        prefix.path().join("bin"),
        prefix.path().join("share/vulkan/implicit_layer.d"),
        prefix.path().join("lib/lucarne"),
    );
    for folder in [&bin, &share, &lib] {
        fs::create_dir_all(folder).expect("a folder");
    }
    let command: PathBuf = bin.join("lucarne");
    fs::copy(env!("CARGO_BIN_EXE_lucarne"), &command).expect("a copy");
    let told = || {
        let mut command = Command::new(&command);
        command.args(["run", "sh", "-c", "echo $VK_ADD_LAYER_PATH"]);
        command
            .env_remove("VK_LAYER_PATH")
            .env_remove("VK_ADD_LAYER_PATH");
        command.output().expect("it runs")
    };
    let said = complaint(&told());
    for words in [
        "not installed",
        NAME,
        "share/vulkan/implicit_layer.d",
        "--layer",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    fs::write(share.join(NAME), TEXT).expect("a manifest");
    let said = complaint(&told());
    assert!(
        said.contains("liblucarne_layer.so") && said.contains("not there"),
        "{said}"
    );
    fs::write(lib.join("liblucarne_layer.so"), "").expect("a library");
    let share = share.canonicalize().expect("there");
    let output = told();
    let said = text(&output.stdout);
    assert_eq!(
        said.trim(),
        share.display().to_string(),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn what_cannot_be_run_is_told() {
    let layer = layer();
    let said = |program: &str| {
        let output = run(layer.path(), &[program]).output().expect("it runs");
        complaint(&output)
    };
    let nowhere = said("lucarne-no-such-program");
    assert!(
        nowhere.contains("lucarne-no-such-program") && nowhere.contains("PATH"),
        "{nowhere}"
    );
    let folder = said(layer.path().to_str().expect("UTF-8"));
    assert!(folder.contains("may run"), "{folder}");
    let output = lucarne(&["run"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("<PROGRAM>"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_folder_without_a_good_manifest_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let manifest = folder.path().join(NAME);
    let said = |path: &Path| complaint(&run(path, &["true"]).output().expect("it runs"));
    let missing = said(&folder.path().join("nothing"));
    assert!(missing.contains("/nothing: No such file"), "{missing}");
    let empty = said(folder.path());
    assert!(
        empty.contains(NAME) && empty.contains("No such file"),
        "{empty}"
    );
    fs::write(&manifest, "{}").expect("a file");
    assert!(said(folder.path()).contains("no layer's manifest"));
    fs::write(&manifest, TEXT.replace(LAYER, "VK_LAYER_OTHER")).expect("a file");
    assert!(said(folder.path()).contains("VK_LAYER_OTHER"));
    fs::write(&manifest, TEXT.replace(INSTALLED, "./gone.so")).expect("a file");
    let gone = said(folder.path());
    assert!(
        gone.contains("gone.so") && gone.contains("not there"),
        "{gone}"
    );
}
