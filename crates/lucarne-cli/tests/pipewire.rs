//! `lucarne pipewire`: the program that it becomes, and what is said where there is none.
//!
//! A program of its own: the command is copied, and cannot be started while another test's child has the copy open.

use std::fs;
use std::process::Command;

#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
use common::text;

/// Another program does it, which need not be there.
#[test]
fn pipewire_is_a_program_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = folder.path().join("lucarne");
    fs::copy(env!("CARGO_BIN_EXE_lucarne"), &own).expect("a copy");
    let lucarne = |arguments: &[&str]| {
        let mut command = Command::new(&own);
        command.args(arguments).env("PATH", folder.path());
        command.output().expect("it runs")
    };
    let output = lucarne(&["pipewire", "publish", "camera"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("lucarne-pipewire-cli"), "{said}");

    let other = folder.path().join("lucarne-pipewire");
    fs::write(&other, "#!/bin/sh\necho \"$@\"\nexit 7\n").expect("a script");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&other, mode).expect("it is ours");
    let output = lucarne(&["--json", "pipewire", "watch", "--frames", "3", "--help"]);
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(text(&output.stdout), "--json watch --frames 3 --help\n");
}
