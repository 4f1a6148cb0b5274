//! What `cargo cinstall` leaves: both libraries, the header and lucarne.pc, with which a program of examples/c is built and run.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{exists, exported, functions, root, succeed, told};
use lucarne_tests::skip::skip;

const INSTALLED: [&str; 6] = [
    "include/lucarne.h",
    "lib/liblucarne.a",
    "lib/liblucarne.so",
    "lib/liblucarne.so.0.1",
    "lib/liblucarne.so.0.1.0",
    "lib/pkgconfig/lucarne.pc",
];

fn install(prefix: &Path) {
    let mut cargo = Command::new("cargo");
    // A profile that links quickly: what is installed is the same.
    let options = ["--package", "lucarne-capi", "--profile", "kit"];
    cargo
        .arg("cinstall")
        .args(options)
        .args(["--libdir", "lib"]);
    cargo.arg("--prefix").arg(prefix).current_dir(root());
    succeed(&mut cargo);
}

/// Builds and starts a program that asks pkg-config for everything; `link` is said in the place of `-llucarne`.
fn build_and_run(prefix: &Path, flags: &str, link: &str) {
    let program = prefix.join("program");
    let text = format!(
        "cc -std=c11 -Wall -Wextra -Werror cpu-reader.c \
         $(pkg-config --cflags --libs {flags} lucarne | sed 's/-llucarne/{link}/') -o '{}'",
        program.display()
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", &text]);
    shell.current_dir(root().join("examples/c"));
    shell.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
    succeed(&mut shell);
    let mut command = Command::new(&program);
    command.env("LD_LIBRARY_PATH", prefix.join("lib"));
    let output = command.output().expect("it runs");
    // Without arguments it tells how it is used.
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(told(&output).contains("NAME FRAMES"), "{}", told(&output));
}

/// Links the static library as docs/c.md tells packagers, who want symbol versions.
fn link_with_versions(lib: &Path) -> PathBuf {
    let page = std::fs::read_to_string(root().join("docs/c.md")).expect("the guide");
    let lines = page
        .lines()
        .filter_map(|line| line.trim().strip_prefix("`cc -shared "));
    let mut lines = lines.filter_map(|line| line.split('`').next());
    let arguments = lines.next().expect("the line for packagers");
    let script = root().join("crates/lucarne-capi/lucarne.map");
    std::fs::copy(script, lib.join("lucarne.map")).expect("copied");
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("cc -shared {arguments} -o versioned.so")]);
    shell.current_dir(lib);
    succeed(&mut shell);
    lib.join("versioned.so")
}

#[test]
fn cargo_c_installs_what_a_program_needs() {
    let mut version = Command::new("cargo");
    version.args(["cinstall", "--version"]);
    if !version.output().is_ok_and(|output| output.status.success()) {
        let reason = "cargo cinstall is not installed (cargo install cargo-c --locked)";
        return skip("cargo-c", reason);
    }
    if !exists("pkg-config") {
        return skip("cargo-c", "pkg-config is not installed");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let prefix = folder.path().join("usr");
    install(&prefix);
    for name in INSTALLED {
        assert!(prefix.join(name).exists(), "{name} is not there");
    }
    let header = std::fs::read_to_string(prefix.join("include/lucarne.h")).expect("a header");
    assert_eq!(header, common::HEADER);

    let library = prefix.join("lib/liblucarne.so");
    let names: Vec<String> = functions().into_iter().map(|one| one.name).collect();
    assert_eq!(exported(&library).len(), names.len());
    assert_eq!(common::soname(&library), "liblucarne.so.0.1");
    build_and_run(&prefix, "", "-llucarne");
    build_and_run(&prefix, "--static", "-l:liblucarne.a");

    let versioned = link_with_versions(&prefix.join("lib"));
    assert_eq!(common::soname(&versioned), "liblucarne.so.0.1");
    let mut with_versions = exported(&versioned);
    with_versions.retain(|name| name.ends_with("@@LUCARNE_0.1"));
    assert_eq!(with_versions.len(), names.len());
}
