//! Ten thousand frames in each direction, made, imported and gone: not one descriptor more. Alone in its program, as it
//! counts them. What else is flat, and cycles that fail, are in tests/leaks.rs.

use std::collections::BTreeMap;
use std::io::Write;

use lucarne::MemoryPath;
use lucarne_conformance::{Case, Machine, Set};

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("/proc").count()
}

#[test]
fn frames_come_and_go_without_a_trace() {
    let cycles = if lucarne_tests::in_guest() {
        200
    } else {
        10_000
    };
    let machine = Machine::open().expect("Vulkan and EGL");
    // The best path of each direction.
    let mut directions: BTreeMap<_, (Case, MemoryPath)> = BTreeMap::new();
    for path in MemoryPath::ALL {
        let (cases, _) = machine.cases(path, Set::SmallSizes).expect("answers");
        for case in cases {
            let direction = machine.direction(&case);
            directions.entry(direction).or_insert((case, path));
        }
    }
    assert!(directions.len() >= 6, "{directions:#?}");
    for ((from, to), (case, path)) in &directions {
        // Whatever drivers allocate once and keep.
        for _ in 0..25 {
            machine.come_and_go(case).expect("a shared frame");
        }
        let before = descriptors();
        for _ in 0..cycles {
            machine.come_and_go(case).expect("a shared frame");
        }
        assert_eq!(descriptors(), before, "{from} to {to}, {path}");
        // Past the test harness, which would swallow it in a passing test.
        let line =
            format!("{from} to {to}, {path}: {cycles} cycles, {before} descriptors throughout");
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}
