//! The claims of docs/shared-memory.md that a program can try.

use lucarne_tests::skip::skip;
use serde::Deserialize;
use std::process::{Command, Output};

/// Every claim that is tried, by the kind of memory.
const CLAIMS: [(&str, &[&str]); 5] = [
    ("sysv", &["shared", "stays", "removed"]),
    (
        "posix",
        &[
            "shared",
            "listed",
            "unsealable",
            "shrinks",
            "stays",
            "removed",
        ],
    ),
    (
        "memfd",
        &["shared", "path", "nameless", "sealed", "reopened", "gone"],
    ),
    ("dma-buf", &["shared", "path", "fixed"]),
    (
        "seals",
        &[
            "none",
            "shrink",
            "grow",
            "seal",
            "allowed",
            "busy",
            "write",
            "future-write-owner",
            "future-write",
        ],
    ),
];

#[derive(Deserialize)]
struct Report {
    checks: Vec<Check>,
}

#[derive(Deserialize, Debug)]
struct Check {
    id: String,
    answer: String,
    holds: bool,
}

fn shared_memory(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_shared-memory"))
        .args(arguments)
        .output()
        .expect("cargo built it")
}

#[test]
fn every_claim_holds() {
    // System V's segments are anybody's; the program asks about its own.
    let left = || {
        let names = std::fs::read_dir("/dev/shm").into_iter().flatten();
        let names = names.filter_map(|entry| Some(entry.ok()?.file_name()));
        names
            .filter(|name| name.to_string_lossy().starts_with("lucarne-example-"))
            .count()
    };
    let before = left();
    for (kind, claims) in CLAIMS {
        let output = shared_memory(&["--json", kind]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{kind}: {said}");
        let report: Report = serde_json::from_slice(&output.stdout).expect("JSON");
        if kind == "dma-buf" && report.checks.is_empty() {
            assert!(said.contains("/dev/udmabuf"), "{said}");
            skip_case("udmabuf", said.trim());
            continue;
        }
        let ids: Vec<&str> = report
            .checks
            .iter()
            .map(|check| check.id.as_str())
            .collect();
        let wanted: Vec<String> = claims
            .iter()
            .map(|claim| format!("{kind}:{claim}"))
            .collect();
        assert_eq!(ids, wanted, "all of them were tried");
        for check in &report.checks {
            assert!(check.holds && !check.answer.is_empty(), "{check:?}");
        }
    }
    assert_eq!(left(), before, "what stays must be removed");
}

/// As [`skip`], for a test that ran and left a case out.
fn skip_case(kind: &str, reason: &str) {
    eprintln!("skipped case: {kind}: {reason}");
    let required = std::env::var("LUCARNE_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|one| one == kind),
        "{kind} is required here: {reason}"
    );
}

/// The documentation names each claim, so that none is tried without being told, or told and not tried.
#[test]
fn the_page_tells_what_is_tried() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/shared-memory.md");
    let Ok(page) = std::fs::read_to_string(path) else {
        return skip("tool", "the page is not here");
    };
    let told: Vec<&str> = page.split('`').skip(1).step_by(2).collect();
    for (kind, claims) in CLAIMS {
        for claim in claims {
            let id = format!("{kind}:{claim}");
            assert!(told.contains(&id.as_str()), "{id}");
        }
    }
    let kinds: Vec<&str> = CLAIMS.iter().map(|(kind, _)| *kind).collect();
    for id in told.iter().filter_map(|word| word.split_once(':')) {
        let (kind, claim) = id;
        if kinds.contains(&kind) {
            let known = CLAIMS
                .iter()
                .any(|(known, claims)| *known == kind && claims.contains(&claim));
            assert!(known, "{kind}:{claim} is told and not tried");
        }
    }
}

#[test]
fn people_read_it_without_colours_in_a_pipe() {
    let output = shared_memory(&["seals"]);
    let said = String::from_utf8(output.stdout).expect("text");
    assert!(
        said.contains("F_SEAL_SHRINK") && said.contains("SIGBUS"),
        "{said}"
    );
    assert!(!said.contains('\u{1b}'), "{said}");
}
