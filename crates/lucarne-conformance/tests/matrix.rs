//! The matrix of this machine: every direction, format and size over each memory path, pixel for pixel.

use std::collections::BTreeMap;
use std::io::Write;

use lucarne::MemoryPath;
use lucarne_conformance::{Api, Machine, Outcome, Row, Set};

/// In the guest everything is about a hundred times slower.
fn in_guest() -> bool {
    std::env::var_os("LUCARNE_GUEST").is_some()
}

/// Prints past the test harness, which would swallow it in a passing test.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn required(kind: &str) -> bool {
    std::env::var("LUCARNE_REQUIRE").is_ok_and(|list| list.split(',').any(|one| one.trim() == kind))
}

/// Runs every case of a path; `directions` must each have at least one where the machine has the path at all.
fn matrix(path: MemoryPath, directions: &[(Api, Api)]) {
    let machine = Machine::open().expect("Vulkan and EGL");
    for note in machine.notes() {
        assert!(
            !(note.contains("not validated") && required("validation")),
            "{note}"
        );
        say(&format!("skipped case: validation: {note}"));
    }
    let mut counts: BTreeMap<(Api, Api), usize> = BTreeMap::new();
    let mut failures: Vec<Row> = Vec::new();
    // Directions that a known driver fault rules out, with the reason.
    let mut faults: BTreeMap<(Api, Api), String> = BTreeMap::new();
    for set in Set::all(in_guest()) {
        for row in machine.run_all(path, set, |_, _, _| ()).expect("answers") {
            match &row.outcome {
                Outcome::Passed => *counts.entry((row.from, row.to)).or_default() += 1,
                Outcome::NotOffered(reason) => {
                    say(&format!("{} to {}, {path}: {reason}", row.from, row.to));
                    if reason.contains("(quirk ") {
                        faults.insert((row.from, row.to), reason.clone());
                    }
                }
                // The software drivers take every layout of the list.
                _ => failures.push(row),
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    for ((from, to), count) in &counts {
        say(&format!(
            "{from} to {to}, {path}: {count} cases, pixel for pixel"
        ));
    }
    let reason = format!("this machine has no {path} at all");
    if counts.is_empty() && !required(path.name()) {
        say(&format!("skipped: {path}: {reason}"));
        return;
    }
    for direction in directions {
        if let (None, Some(fault)) = (counts.get(direction), faults.get(direction)) {
            let (from, to) = direction;
            say(&format!(
                "skipped case: mesa: {from} to {to}, {path}: {fault}"
            ));
            continue;
        }
        assert!(
            counts.contains_key(direction),
            "no case for {direction:?}: {reason}"
        );
    }
}

#[test]
fn dma_buf_in_every_direction() {
    let ends = [Api::Vulkan, Api::OpenGl, Api::Cpu];
    let every: Vec<_> = ends
        .into_iter()
        .flat_map(|from| ends.map(|to| (from, to)))
        .collect();
    matrix(MemoryPath::DmaBuf, &every);
}

#[test]
fn opaque_fd_out_of_vulkan() {
    matrix(
        MemoryPath::OpaqueFd,
        &[(Api::Vulkan, Api::Vulkan), (Api::Vulkan, Api::OpenGl)],
    );
}

#[test]
fn host_memory_in_every_direction_out_of_vulkan_and_the_cpu() {
    let readers = [Api::Vulkan, Api::OpenGl, Api::Cpu];
    let every: Vec<_> = [Api::Vulkan, Api::Cpu]
        .into_iter()
        .flat_map(|from| readers.map(|to| (from, to)))
        .collect();
    matrix(MemoryPath::HostMemory, &every);
}
