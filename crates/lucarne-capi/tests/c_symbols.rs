//! What the shared library shows to linkers, and the name that programs find it by.

mod common;

use std::process::Command;

use common::{exported, functions, library};

/// Major and minor.
fn version() -> &'static str {
    let (version, _) = env!("CARGO_PKG_VERSION")
        .rsplit_once('.')
        .expect("three numbers");
    version
}

#[test]
fn nothing_but_lucarnes_functions_is_exported() {
    let exported = exported(&library());
    let declared: Vec<String> = functions().into_iter().map(|one| one.name).collect();
    assert!(declared.len() > 100, "{} are declared", declared.len());
    let missing = |one: &[String], other: &[String]| -> Vec<String> {
        one.iter()
            .filter(|name| !other.contains(name))
            .cloned()
            .collect()
    };
    assert_eq!(
        missing(&exported, &declared),
        [""; 0],
        "exported, not declared"
    );
    assert_eq!(
        missing(&declared, &exported),
        [""; 0],
        "declared, not exported"
    );
}

#[test]
fn the_name_carries_the_minor_version() {
    assert!(
        version().starts_with("0."),
        "from 1.0 on it is the major version alone"
    );
    assert_eq!(
        common::soname(&library()),
        format!("liblucarne.so.{}", version())
    );
}

#[test]
fn it_needs_the_c_library_alone() {
    let dynamic = common::dynamic(&library());
    let needed: Vec<&str> = dynamic
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .collect();
    assert!(!needed.is_empty(), "{dynamic}");
    let known = [
        "libc.so",
        "libgcc_s.so",
        "libm.so",
        "ld-linux",
        "libdl.so",
        "libpthread.so",
    ];
    let strange = |line: &&str| !known.iter().any(|name| line.contains(name));
    // Vulkan is the caller's, and EGL is opened while it runs: a program starts where they are absent.
    let strange: Vec<&str> = needed.into_iter().filter(strange).collect();
    assert_eq!(strange, [""; 0]);
}

/// The script for packagers, on a library of the header's functions and another: they have versions, and nothing else is there.
#[test]
fn the_script_gives_versions_to_all_of_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, library) = (
        folder.path().join("names.c"),
        folder.path().join("names.so"),
    );
    let functions = functions();
    let mut text = String::from("void other(void) {}\n");
    for function in &functions {
        text.push_str(&format!("void {}(void) {{}}\n", function.name));
    }
    std::fs::write(&source, text).expect("written");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/lucarne.map");
    let mut compiler = Command::new("cc");
    compiler
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source);
    compiler.arg(format!("-Wl,--version-script={script}"));
    common::succeed(&mut compiler);
    let names = exported(&library);
    assert_eq!(names.len(), functions.len());
    let ending = format!("@@LUCARNE_{}", version());
    assert!(
        names.iter().all(|name| name.ends_with(&ending)),
        "{names:?}"
    );
}
