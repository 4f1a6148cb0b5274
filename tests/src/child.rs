//! Tests that need a process of their own: the test program starts itself again, with one test and a role to play.

use std::process::{Command, Output};

const ROLE: &str = "LUCARNE_TEST_ROLE";

/// Whether this process was started by [`run`] for `test`: then the test plays its part and does not return.
pub fn is(test: &str) -> bool {
    std::env::var(ROLE).is_ok_and(|role| role == test)
}

/// Runs `test` of this program in a process of its own, in which [`is`] answers yes.
///
/// # Panics
///
/// When the program cannot be started again.
pub fn run(test: &str, environment: &[(&str, &str)]) -> Output {
    let program = std::env::current_exe().expect("this program's path");
    Command::new(program)
        .args([test, "--exact", "--nocapture"])
        .env(ROLE, test)
        .envs(environment.iter().copied())
        .output()
        .expect("this program, once more")
}
