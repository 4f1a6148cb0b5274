//! Skips that show, and that can be forbidden.

/// Whether `LUCARNE_REQUIRE` demands `kind`.
pub fn required(kind: &str) -> bool {
    std::env::var("LUCARNE_REQUIRE").is_ok_and(|list| list.split(',').any(|one| one.trim() == kind))
}

/// Prints that something was not tested, and why; `cargo xtask test` counts the line.
///
/// # Panics
///
/// When `LUCARNE_REQUIRE` lists `kind`: then a skip is a failure.
pub fn skip(kind: &str, reason: &str) {
    say("skipped", kind, reason);
}

/// As [`skip`], for a test that ran and left a case out.
///
/// # Panics
///
/// When `LUCARNE_REQUIRE` lists `kind`.
pub fn skip_case(kind: &str, reason: &str) {
    say("skipped case", kind, reason);
}

fn say(what: &str, kind: &str, reason: &str) {
    assert!(
        !required(kind),
        "LUCARNE_REQUIRE demands {kind}, but: {reason}"
    );
    // Straight to the stream: the test harness would swallow it in a passing test.
    use std::io::Write as _;
    let line = format!("{what}: {kind}: {reason}\n");
    std::io::stderr()
        .write_all(line.as_bytes())
        .expect("standard error is open");
}
