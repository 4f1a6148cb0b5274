//! Skipping aloud.

use std::io::Write;

/// Says that a test did not run, and fails it where `LUCARNE_REQUIRE` says that it must.
pub(crate) fn skip(kind: &str, reason: &str) {
    // Past the harness, which hides what a passing test prints.
    let mut stderr = std::io::stderr();
    writeln!(stderr, "skipped: {kind}: {reason}").expect("standard error is open");
    let required = std::env::var("LUCARNE_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|one| one == kind),
        "{kind} is required here: {reason}"
    );
}
