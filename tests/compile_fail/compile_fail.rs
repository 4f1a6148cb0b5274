//! Programs that take a turn that is not theirs do not compile, and the compiler says where.
//!
//! A package of its own: trybuild builds all that its package depends on once more.

#[test]
fn turns_out_of_order_do_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("cases/*.rs");
}
