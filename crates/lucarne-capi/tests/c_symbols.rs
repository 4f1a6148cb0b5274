//! What the shared library shows to linkers, and the name that programs find it by.

mod common;

use std::process::Command;

fn listed(arguments: &[&str], program: &str) -> String {
    let mut command = Command::new(program);
    command.args(arguments).arg(common::library());
    let output = common::succeed(&mut command);
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn nothing_but_lucarnes_functions_is_exported() {
    let listing = listed(&["--dynamic", "--defined-only"], "nm");
    let names = listing
        .lines()
        .filter_map(|line| line.split(' ').next_back());
    let mut exported: Vec<&str> = names.collect();
    exported.sort_unstable();
    let functions = common::functions();
    let mut declared: Vec<&str> = functions.iter().map(|one| one.name.as_str()).collect();
    declared.sort_unstable();
    assert!(declared.len() > 100, "{} are declared", declared.len());
    let strange = |one: &[&str], other: &[&str]| -> Vec<String> {
        let missing = one.iter().filter(|name| !other.contains(name));
        missing.map(|name| (*name).to_owned()).collect()
    };
    assert_eq!(
        strange(&exported, &declared),
        [""; 0],
        "exported, not declared"
    );
    assert_eq!(
        strange(&declared, &exported),
        [""; 0],
        "declared, not exported"
    );
}

#[test]
fn the_name_carries_the_minor_version() {
    let dynamic = listed(&["--dynamic"], "readelf");
    let soname = dynamic.lines().find(|line| line.contains("(SONAME)"));
    let soname = soname.expect("a SONAME");
    let mut parts = env!("CARGO_PKG_VERSION").split('.');
    let (major, minor) = (parts.next().expect("one"), parts.next().expect("two"));
    let wanted = format!("[liblucarne.so.{major}.{minor}]");
    assert!(major == "0" && soname.contains(&wanted), "{soname}");
}

#[test]
fn the_loader_is_all_that_it_needs_besides_the_c_library() {
    let dynamic = listed(&["--dynamic"], "readelf");
    let needed = dynamic.lines().filter(|line| line.contains("(NEEDED)"));
    let known = [
        "libc.so",
        "libgcc_s.so",
        "libm.so",
        "ld-linux",
        "libdl.so",
        "libpthread.so",
    ];
    let strange: Vec<&str> = needed
        .filter(|line| !known.iter().any(|name| line.contains(name)))
        .collect();
    // Vulkan, EGL and GBM are opened while it runs: a program starts where they are absent.
    assert_eq!(strange, [""; 0]);
}

/// The script for packagers, on a library of the header's functions: each is in it, and nothing else.
#[test]
fn the_script_gives_versions_to_all_of_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, library) = (
        folder.path().join("names.c"),
        folder.path().join("names.so"),
    );
    let functions = common::functions();
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
    let mut nm = Command::new("nm");
    nm.args(["--dynamic", "--defined-only", "--with-symbol-versions"])
        .arg(&library);
    let output = common::succeed(&mut nm);
    let listing = String::from_utf8(output.stdout).expect("UTF-8");
    let versioned = listing.lines().filter(|line| line.contains(" T "));
    let versioned: Vec<&str> = versioned.collect();
    assert_eq!(versioned.len(), functions.len());
    let (version, _) = env!("CARGO_PKG_VERSION")
        .rsplit_once('.')
        .expect("three numbers");
    let ending = format!("@@LUCARNE_{version}");
    assert!(
        versioned.iter().all(|line| line.ends_with(&ending)),
        "{listing}"
    );
}
