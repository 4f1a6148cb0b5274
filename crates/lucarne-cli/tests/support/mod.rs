//! Tests that did not run, and programs that end with theirs.

use std::io::Write;
use std::process::{Child, Command, Stdio};

/// Says that something was not tried, and why; fails where `LUCARNE_REQUIRE` demands it.
pub(crate) fn skip(kind: &str, reason: &str) {
    let required = std::env::var("LUCARNE_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|one| one.trim() == kind),
        "LUCARNE_REQUIRE demands {kind}, but: {reason}"
    );
    // Straight to the stream: the test harness would swallow it in a passing test.
    let line = format!("skipped: {kind}: {reason}\n");
    std::io::stderr()
        .write_all(line.as_bytes())
        .expect("standard error is open");
}

/// A program that ends with the test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a display server; `None` (said aloud) where it is not installed.
pub(crate) fn server(command: &mut Command, package: &str) -> Option<Running> {
    match command.stdin(Stdio::null()).stderr(Stdio::null()).spawn() {
        Ok(child) => Some(Running(child)),
        Err(error) => {
            let program = command.get_program().to_string_lossy();
            skip("window", &format!("{program}: {error} (package {package})"));
            None
        }
    }
}
