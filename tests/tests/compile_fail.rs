//! Programs that take a turn that is not theirs do not compile, and the compiler says where.

#[test]
fn turns_out_of_order_do_not_compile() {
    if lucarne_tests::in_guest() {
        return lucarne_tests::skip::skip("cargo", "the guest builds nothing");
    }
    let cases = trybuild::TestCases::new();
    cases.compile_fail("compile_fail/*.rs");
}
