//! The matrix of this machine: every direction, format and size over each memory path, pixel for pixel.

use std::collections::BTreeMap;
use std::io::Write;

use lucarne::MemoryPath;
use lucarne_conformance::{Api, Machine, Outcome, Row, Set};
use lucarne_tests::skip::{required, skip, skip_case};
use lucarne_tests::{in_guest, module};

/// Prints past the test harness, which would swallow it in a passing test.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Runs every case of a path; `directions` must each have at least one where the machine has the path at all.
fn matrix(path: MemoryPath, directions: &[(Api, Api)]) {
    // GBM allocates on it in the guest; where it cannot be loaded, the note on GBM is what is seen.
    if let Err(reason) = module::load("vgem") {
        skip_case("vgem", &reason);
    }
    let machine = Machine::open().expect("Vulkan and EGL");
    for note in machine.notes() {
        skip_case(note.kind, &note.reason);
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
        skip(path.name(), &reason);
        return;
    }
    for direction in directions {
        if let (None, Some(fault)) = (counts.get(direction), faults.get(direction)) {
            let (from, to) = direction;
            skip_case("mesa", &format!("{from} to {to}, {path}: {fault}"));
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
