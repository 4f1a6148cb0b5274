//! The doctor on machines that are whole, and on broken ones: each in a child with its own drivers.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn doctor(arguments: &[&str], variables: &[(&str, &Path)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lucarne"));
    command.arg("doctor").args(arguments);
    for (name, value) in variables {
        command.env(name, value);
    }
    command.output().expect("lucarne runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// The cells of a JSON report: from, to, rung, outcome.
fn cells(report: &serde_json::Value) -> Vec<(String, String, u64, String)> {
    let place = |end: &serde_json::Value| {
        format!("{}:{}", end["api"].as_str().expect("an API"), end["number"])
    };
    let trials = report["trials"].as_array().expect("trials");
    let of_trial = |trial: &serde_json::Value| {
        let (from, to) = (place(&trial["from"]), place(&trial["to"]));
        let cells = trial["cells"].as_array().expect("cells").clone();
        cells.into_iter().map(move |cell| {
            let outcome = cell["outcome"].as_str().expect("an outcome").to_owned();
            (
                from.clone(),
                to.clone(),
                cell["rung"].as_u64().expect("a rung"),
                outcome,
            )
        })
    };
    trials.iter().flat_map(of_trial).collect()
}

#[test]
fn software_drivers_share_without_a_copy() {
    let output = doctor(&["--json"], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(
        report["verdict"]
            .as_str()
            .expect("a verdict")
            .starts_with("zero-copy")
    );
    let cells = cells(&report);
    let passed = |from: &str, to: &str, rung| {
        cells.contains(&(from.to_owned(), to.to_owned(), rung, "passed".to_owned()))
    };
    assert!(
        passed("vulkan:0", "egl:0", 2),
        "a linear dma-buf: {cells:?}"
    );
    assert!(passed("vulkan:0", "egl:0", 4), "host memory: {cells:?}");
    assert!(
        cells
            .iter()
            .all(|cell| cell.3 == "passed" || cell.3 == "not-offered"),
        "{cells:?}"
    );
}

#[test]
fn nothing_personal_is_in_the_report() {
    let output = doctor(
        &["--json"],
        &[("VK_ADD_DRIVER_FILES", Path::new("/home/alice/driver.json"))],
    );
    let said = text(&output.stdout);
    assert!(
        said.contains("VK_ADD_DRIVER_FILES"),
        "the variable is named: {said}"
    );
    assert!(!said.contains("alice"), "{said}");
}

#[test]
fn without_drivers_only_the_cpu_is_left() {
    let nowhere = Path::new("/nowhere.json");
    let variables = [
        ("VK_DRIVER_FILES", nowhere),
        ("__EGL_VENDOR_LIBRARY_FILENAMES", nowhere),
    ];
    let output = doctor(&[], &variables);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("VK_DRIVER_FILES, __EGL_VENDOR_LIBRARY_FILENAMES"),
        "{said}"
    );
    for api in ["vulkan", "egl"] {
        let row = said
            .lines()
            .find(|line| line.trim_start().starts_with(api))
            .unwrap_or_default();
        assert!(row.contains("no: "), "{api}: {said}");
    }
    assert!(said.contains("each is copied"), "{said}");
}

/// A Vulkan driver that does this as soon as it is loaded.
fn broken_driver(folder: &Path, does: &str) -> PathBuf {
    let source = folder.join("driver.rs");
    let code = format!("#[unsafe(no_mangle)] pub extern \"C\" fn vk_icdNegotiateLoaderICDInterfaceVersion(_: *mut u32) -> i32 {{ {does} }}
        #[unsafe(no_mangle)] pub extern \"C\" fn vk_icdGetInstanceProcAddr(_: usize, _: *const u8) -> usize {{ {does} }}");
    std::fs::write(&source, code).expect("written");
    let library = folder.join("libdriver.so");
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let status = Command::new(compiler)
        .args(["--edition", "2024", "--crate-type", "cdylib", "-o"])
        .args([&library, &source])
        .status();
    assert!(status.expect("rustc runs").success());
    let manifest = folder.join("driver.json");
    let json = serde_json::json!({
        "file_format_version": "1.0.0",
        "ICD": { "library_path": library, "api_version": "1.3.0" },
    });
    std::fs::write(&manifest, json.to_string()).expect("written");
    manifest
}

#[test]
fn a_driver_that_crashes_takes_down_a_child_and_not_the_report() {
    let folder = tempfile::tempdir().expect("a folder");
    let driver = broken_driver(folder.path(), "std::process::abort()");
    let output = doctor(&[], &[("VK_DRIVER_FILES", &driver)]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("asking vulkan crashed with SIGABRT"),
        "{said}"
    );
    assert!(
        said.contains("egl:0"),
        "the others are asked all the same: {said}"
    );
}

#[test]
fn a_driver_that_hangs_is_given_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let driver = broken_driver(folder.path(), "loop { std::thread::park() }");
    let output = doctor(&["--patience", "2"], &[("VK_DRIVER_FILES", &driver)]);
    let said = text(&output.stdout);
    assert!(
        said.contains("asking vulkan did not end within 2 s: a driver hangs"),
        "{said}"
    );
    assert!(said.contains("egl:0"), "{said}");
}
