//! What `cargo cinstall` leaves: both libraries, the header and lucarne.pc, with which a program of examples/c is built and run.

mod common;

use std::process::Command;

use common::{exists, root, skip, succeed, told};

#[test]
fn cargo_c_installs_what_a_program_needs() {
    if !Command::new("cargo")
        .args(["cinstall", "--version"])
        .output()
        .is_ok_and(|output| output.status.success())
    {
        return skip(
            "cargo-c",
            "cargo cinstall is not installed (cargo install cargo-c --locked)",
        );
    }
    if !exists("pkg-config") {
        return skip("cargo-c", "pkg-config is not installed");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let prefix = folder.path().join("usr");
    let mut install = Command::new("cargo");
    install
        .args([
            "cinstall",
            "--package",
            "lucarne-capi",
            "--profile",
            "kit",
            "--libdir",
            "lib",
        ])
        .arg("--prefix")
        .arg(&prefix)
        .current_dir(root());
    succeed(&mut install);
    let lib = prefix.join("lib");
    let installed = [
        "lib/liblucarne.a",
        "lib/liblucarne.so",
        "lib/liblucarne.so.0.1",
        "include/lucarne.h",
        "lib/pkgconfig/lucarne.pc",
    ];
    for name in installed {
        assert!(prefix.join(name).exists(), "{name} is not there");
    }
    let header = std::fs::read_to_string(prefix.join("include/lucarne.h")).expect("a header");
    assert_eq!(header, common::HEADER);
    for (flags, name) in [
        ("--cflags --libs", "shared"),
        ("--cflags --libs --static", "static"),
    ] {
        let program = folder.path().join(name);
        let link = if name == "static" {
            "-l:liblucarne.a"
        } else {
            "-llucarne"
        };
        let build = format!(
            "cc -std=c11 -Wall -Wextra -Werror cpu-reader.c $(pkg-config {flags} lucarne | sed 's/-llucarne/{link}/') -o '{}'",
            program.display()
        );
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &build])
            .current_dir(root().join("examples/c"));
        shell.env("PKG_CONFIG_PATH", lib.join("pkgconfig"));
        succeed(&mut shell);
        let output = Command::new(&program)
            .env("LD_LIBRARY_PATH", &lib)
            .output()
            .expect("it runs");
        // Without arguments it tells how it is used.
        assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    }
}
