//! The benchmark runs, sees every frame's pixels, and notices what is broken. Nothing here depends on how long anything takes.

use std::io::Write;
use std::process::{Command, Output};

use serde_json::Value;

/// Says that a test did not run, and fails it where `LUCARNE_REQUIRE` says that it must.
fn skip(kind: &str, reason: &str) {
    // Past the harness, which hides what a passing test prints.
    let mut stderr = std::io::stderr();
    writeln!(stderr, "skipped: {kind}: {reason}").expect("standard error is open");
    let required = std::env::var("LUCARNE_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|one| one == kind),
        "{kind} is required here: {reason}"
    );
}

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lucarne-bench"))
        .args([
            "--json",
            "--part",
            "times",
            "--rounds",
            "1",
            "--seconds",
            "0.1",
            "--warm-up",
            "0.05",
            "--unpinned",
        ])
        .args(arguments)
        .output()
        .expect("cargo built it")
}

/// The report and the exit status, or `None` where this machine has no dma-bufs.
fn report(arguments: &[&str]) -> Option<(Value, Option<i32>)> {
    let output = bench(arguments);
    let complaint = String::from_utf8_lossy(&output.stderr);
    if complaint.contains("needs /dev/udmabuf (") {
        skip("udmabuf", "no /dev/udmabuf here, neither real nor emulated");
        return None;
    }
    let report = serde_json::from_slice(&output.stdout);
    Some((report.expect(&complaint), output.status.code()))
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("a number: {value}"))
}

#[test]
fn every_variant_hands_over_every_frame_whole() {
    let Some((report, status)) = report(&["--size", "97x65", "--size", "64x64", "--seed", "7"])
    else {
        return;
    };
    assert_eq!(status, Some(0), "without --gates no figure ends it");
    assert_eq!(report["seed"], 7);
    let rows = report["rows"].as_array().expect("rows");
    // Each has a size of its own, in the order of the arguments.
    let of_size = |size: &str| {
        let rows = rows.iter().filter(|row| row["size"] == size);
        rows.map(|row| row["variant"].as_str().expect("a name"))
            .collect::<Vec<_>>()
    };
    let all = [
        "floor",
        "raw",
        "raw-again",
        "raw-sync-file",
        "lucarne",
        "lucarne-opaque-fd",
        "lucarne-host-memory",
        "shm",
        "import-per-frame",
        "raw-in-process",
        "lucarne-in-process",
    ];
    assert_eq!(
        (of_size("97x65"), of_size("64x64")),
        (all.to_vec(), all.to_vec())
    );
    for row in rows {
        // A consumer ends when it has read the number of the last frame out of that frame's pixels; each
        // slice has two. Within one process none is paced.
        let within = row["variant"]
            .as_str()
            .expect("a name")
            .ends_with("process");
        let slices = if within { 1.0 } else { 2.0 };
        assert!(number(&row["frames"]) >= 2.0 * slices, "{row}");
        for wrong in ["torn", "repeated", "lost"] {
            assert_eq!(row[wrong], 0, "{row}");
        }
        // Every paced frame was published before it was seen; within one thread none waits for its turn.
        let within = row["variant"]
            .as_str()
            .expect("a name")
            .ends_with("process");
        assert_eq!(number(&row["paced"]["p50"]) > 0.0, !within, "{row}");
        assert!(number(&row["free"]["rate"]) > 0.0, "{row}");
        assert_eq!(row["descriptors"], 0, "{row}");
        let copies = if row["variant"] == "shm" { 3 } else { 0 };
        // Other drivers than the software ones upload host memory.
        if row["variant"] != "lucarne-host-memory" {
            assert_eq!(row["copies"], copies, "{row}");
        }
    }
    let gates = report["gates"].as_array().expect("gates");
    assert_eq!(gates.len(), 20, "ten of each size: {gates:?}");
}

#[test]
fn a_leak_closes_its_gate_and_ends_the_bench_with_an_error() {
    let arguments = [
        "--size", "64x64", "--only", "lucarne", "--gates", "--break", "leak",
    ];
    let Some((report, status)) = report(&arguments) else {
        return;
    };
    assert_eq!(report["broken"], "leak");
    let gates = report["gates"].as_array().expect("gates");
    let mut found = gates
        .iter()
        .filter(|gate| gate["name"] == "descriptors opened and kept");
    let gate = found.next().expect("it is always judged");
    assert_eq!(gate["verdict"], "fails", "{gate}");
    assert!(number(&gate["got"]) >= 4.0, "one for each frame: {gate}");
    assert_eq!(status, Some(1));
}

#[test]
fn sizes_without_room_for_what_is_drawn_are_refused() {
    let output = bench(&["--size", "63x64"]);
    assert_eq!(output.status.code(), Some(2));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.contains("from 64 to 16384"), "{complaint}");
}

#[test]
fn callgrind_counts_what_a_frame_costs_and_what_a_consumer_does() {
    let valgrind = Command::new("valgrind").arg("--version").output();
    if !valgrind.is_ok_and(|output| output.status.success()) {
        skip("valgrind", "no valgrind here");
        return;
    }
    // The floor has no driver, and so it starts quickly.
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_lucarne-bench"))
        .args(["--json", "--quick", "--part", "slopes", "--report"])
        .arg(folder.path())
        .output()
        .expect("cargo built it");
    let complaint = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).expect(&complaint);
    let points = report["points"].as_array().expect("points");
    let costs: Vec<f64> = points
        .iter()
        .map(|point| number(&point["instructions"]))
        .collect();
    // Of 1, 4 and 64 consumers.
    assert!(
        costs.is_sorted() && costs[0] > 100.0 && costs[2] > 5.0 * costs[1],
        "{costs:?}"
    );
    let gates = report["gates"].as_array().expect("gates");
    assert_eq!(gates[0]["name"], "a consumer of 64 / one of 4", "{gates:?}");
    let page = std::fs::read_to_string(folder.path().join("report.html")).expect("the page");
    assert!(
        page.contains("<svg") && page.ends_with("</html>\n"),
        "{page}"
    );
    assert!(!page.contains("http"), "it needs no network");
}
