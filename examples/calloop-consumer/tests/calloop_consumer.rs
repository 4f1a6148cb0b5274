//! The consumer with calloop, on a stream of the test's own.

#[path = "../../tests/common/program.rs"]
mod program;
#[path = "../../tests/common/watching.rs"]
mod watching;

const PROGRAM: &str = env!("CARGO_BIN_EXE_calloop-consumer");

#[test]
fn it_sees_every_frame() {
    watching::sees_every_frame(PROGRAM);
}

#[test]
fn ctrl_c_ends_it_in_good_order() {
    watching::ends_in_good_order(PROGRAM);
}
