//! The doctor on machines that are whole, and on broken ones: each in a child with its own drivers.

use std::path::Path;
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

/// What came of frames that were handed over early, on every rung from Vulkan to OpenGL.
fn late(variables: &[(&str, &str)]) -> Vec<serde_json::Value> {
    let variables: Vec<(&str, &Path)> = variables
        .iter()
        .map(|(name, value)| (*name, Path::new(*value)))
        .collect();
    let output = doctor(&["--json"], &variables);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let trials = report["trials"].as_array().expect("trials");
    let is_pair = |trial: &&serde_json::Value| {
        trial["from"]["api"] == "vulkan" && trial["to"]["api"] == "egl"
    };
    let cells = trials.iter().filter(is_pair).flat_map(|trial| {
        let cells = trial["cells"].as_array().expect("cells");
        cells.iter().filter(|cell| cell["outcome"] == "passed")
    });
    let late: Vec<serde_json::Value> = cells.map(|cell| cell["late"].clone()).collect();
    assert!(!late.is_empty(), "{report}");
    late
}

#[test]
fn where_software_fences_cannot_be_late_the_report_says_so_as_data() {
    for late in late(&[]) {
        assert_eq!(late["outcome"], "cpu-waits", "{late}");
        let need = &late["needs"][0];
        assert_eq!(need["kind"], "quirk", "{late}");
        assert_eq!(need["name"], "software-fences-have-signalled");
        assert_eq!(need["of_producer"], true);
    }
}

/// With the driver's own fences the frames are handed over, and nothing is claimed of fences that had signalled.
#[test]
fn a_software_drivers_own_fences_show_nothing_and_harm_nothing() {
    for late in late(&[("LUCARNE_QUIRKS", "-software-fences-have-signalled")]) {
        // Without a /dev/udmabuf, emulated or not, the driver has no sync_files.
        let outcome = late["outcome"].as_str().expect("an outcome");
        match outcome {
            "already-signalled" => {}
            "cpu-waits" => assert_eq!(late["needs"][0]["kind"], "extension", "{late}"),
            other => panic!("{other}: {late}"),
        }
    }
}

#[test]
fn nothing_personal_is_in_the_report_or_on_the_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("report.html");
    let driver = Path::new("/home/alice/driver.json");
    let output = doctor(
        &["--json", "--html", place.to_str().expect("UTF-8")],
        &[("VK_ADD_DRIVER_FILES", driver), ("VK_DRIVER_FILES", driver)],
    );
    let said = text(&output.stdout);
    let page = std::fs::read_to_string(&place).expect("a page");
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    let root = env!("CARGO_MANIFEST_DIR");
    for report in [said, &page] {
        let named = report.contains("VK_ADD_DRIVER_FILES");
        assert!(named, "the variable is named: {report}");
        let folder = folder.path().to_str().expect("UTF-8");
        // A host's short name may be a part of any word.
        let personal = ["alice", root, folder, host.trim()];
        for personal in personal.into_iter().filter(|name| name.len() > 4) {
            assert!(!report.contains(personal), "{personal}: {report}");
        }
    }
}

/// A report in a folder of its own, with this text in the place of another.
fn altered(folder: &Path, text: &str, by: &str) -> String {
    let report = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports/broken-gpu.json");
    let report = std::fs::read_to_string(report).expect("a report");
    assert!(report.contains(text), "{text}");
    let place = folder.join("report.json");
    std::fs::write(&place, report.replace(text, by)).expect("written");
    place.to_str().expect("UTF-8").to_owned()
}

#[test]
fn a_report_of_another_machine_is_shown_and_not_believed() {
    let folder = tempfile::tempdir().expect("a folder");
    for (word, by) in [
        ("SIGSEGV", "\\u001b[2JSIGSEGV"),
        ("Linux 5.10.0", "\\u001b[2JLinux 5.10.0"),
    ] {
        let place = altered(folder.path(), word, by);
        let output = doctor(&["--from", &place], &[]);
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{said}");
        let shown = format!("\u{fffd}[2J{word}");
        assert!(said.contains(&shown) && !said.contains('\x1b'), "{said}");
        assert!(said.contains("6 trials went wrong"), "{said}");
    }
    for (text_, by, complaint) in [
        (
            "\"verdict\": \"zero-copy\"",
            "\"verdict\": \"fine\"",
            "verdict: unknown variant",
        ),
        ("37,\n", "38,\n", "size is 38x21, must be 37x21"),
        ("{", "", "not JSON"),
    ] {
        let place = altered(folder.path(), text_, by);
        let output = doctor(&["--from", &place], &[]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains("report.json: ") && said.contains(complaint),
            "{said}"
        );
    }
}
