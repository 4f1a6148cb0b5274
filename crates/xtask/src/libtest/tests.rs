use super::*;

fn read(require: &str, text: &str) -> Vec<Tier> {
    let mut reader = Reader::new(Require::parse(require));
    for line in text.lines() {
        reader.line(line);
    }
    reader.finish(None)
}

fn counts(tier: &Tier) -> (usize, usize, usize) {
    (tier.passed, tier.failed, tier.skipped)
}

const MIXED: &str = "\
   Compiling lucarne v0.1.0
     Running unittests src/lib.rs (target/debug/deps/lucarne-0123abcd)

running 5 tests
test words::good ... ok
test words::no_gpu ... ok
test words::in_part ... ok
test words::slow ... ignored, takes an hour
test words::bad ... FAILED

successes:

---- words::no_gpu stdout ----
looking for a GPU
skipped: gpu: no hardware adapter
skipped: gpu: no hardware adapter

---- words::in_part stdout ----
skipped case: udmabuf: no /dev/udmabuf

successes:
    words::good
    words::in_part
    words::no_gpu

failures:

---- words::bad stdout ----
thread 'words::bad' panicked at src/lib.rs:1:1:
skipped: gpu: said on the way down

failures:
    words::bad

test result: FAILED. 3 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1.25s

error: test failed, to rerun pass `-p lucarne --lib`
     Running tests/headers.rs (target/debug/deps/headers-99)

running 1 test
test same_numbers ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s

   Doc-tests lucarne

running 0 tests

test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

#[test]
fn passed_failed_and_skipped_are_told_apart() {
    let tiers = read("", MIXED);
    let names: Vec<_> = tiers.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["unit", "headers", "doc"]);
    assert_eq!(counts(&tiers[0]), (2, 1, 2));
    assert!((tiers[0].seconds - 1.25).abs() < 1e-9);
    assert_eq!(tiers[0].failures.len(), 1);
    assert_eq!(tiers[0].failures[0].test, "lucarne words::bad");
    assert!(tiers[0].failures[0].output.contains("panicked"));
    let kinds: Vec<_> = tiers[0]
        .skips
        .iter()
        .map(|s| (s.kind.as_str(), s.in_part))
        .collect();
    assert_eq!(
        kinds,
        [("ignored", false), ("gpu", false), ("udmabuf", true)]
    );
    assert_eq!(counts(&tiers[1]), (1, 0, 0));
    assert_eq!(counts(&tiers[2]), (0, 0, 0));
}

#[test]
fn required_skips_are_failures() {
    let tiers = read("gpu", MIXED);
    assert_eq!(counts(&tiers[0]), (2, 2, 1));
    assert!(
        tiers[0]
            .failures
            .iter()
            .any(|f| f.output.contains("although required"))
    );
    let tiers = read("udmabuf,gpu", MIXED);
    assert_eq!(counts(&tiers[0]), (1, 3, 1));
}

#[test]
fn a_killed_program_is_a_failure() {
    let text = "\
     Running tests/hostile.rs (target/debug/deps/hostile-77)

running 2 tests
test short_buffer ... ok
error: test failed, to rerun pass `-p lucarne-tests --test hostile`

Caused by:
  process didn't exit successfully: `hostile-77` (signal: 11, SIGSEGV: invalid memory reference)
";
    let tiers = read("", text);
    assert_eq!(counts(&tiers[0]), (0, 1, 0));
    assert!(tiers[0].failures[0].output.contains("SIGSEGV"));

    let mut reader = Reader::new(Require::default());
    reader.begin("guest: kernel", "");
    reader.line("running 3 tests");
    reader.end(Some("status 139".to_owned()));
    assert_eq!(counts(&reader.finish(None)[0]), (0, 1, 0));
}

#[test]
fn a_failing_cargo_without_a_failing_test_is_a_failure() {
    let reader = Reader::new(Require::default());
    let tiers = reader.finish(Some("could not compile".to_owned()));
    assert_eq!(counts(&tiers[0]), (0, 1, 0));
}

#[test]
fn a_program_of_its_own_is_judged_by_its_status() {
    let text = "     Running tests/own.rs (target/debug/deps/own-1)\nhello\n";
    assert_eq!(counts(&read("", text)[0]), (1, 0, 0));
    let text = format!("{text}error: test failed, to rerun pass `--test own`\n");
    assert_eq!(counts(&read("", &text)[0]), (0, 1, 0));
}

#[test]
fn skips_past_the_harness_count() {
    let text = "\
     Running tests/kernel.rs (target/debug/deps/kernel-1)
running 2 tests
skipped: udmabuf: no device
test a ... ok
test b ... ok
test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";
    assert_eq!(counts(&read("", text)[0]), (1, 0, 1));
    assert_eq!(counts(&read("udmabuf", text)[0]), (1, 1, 0));
    let often = text.replace(
        "skipped: udmabuf: no device\n",
        &"skipped: udmabuf: no device\n".repeat(5),
    );
    assert_eq!(
        counts(&read("", &often)[0]),
        (0, 0, 2),
        "more lines than tests"
    );
}

#[test]
fn kinds_are_words() {
    let skip = skip_in("skipped: window: weston: not found").unwrap();
    assert_eq!(
        (skip.kind.as_str(), skip.reason.as_str()),
        ("window", "weston: not found")
    );
    let skip = skip_in("  skipped: there is no such thing: really").unwrap();
    assert_eq!(skip.kind, "other");
    assert!(skip_in("it was skipped: gpu: no").is_none());
    assert!(skip_in("skipped:").is_none());
}

#[test]
fn summaries() {
    let line = "test result: ok. 12 passed; 0 failed; 3 ignored; 0 measured; 4 filtered out; finished in 10.50s";
    let expected = Summary {
        passed: 12,
        failed: 0,
        ignored: 3,
        seconds: 10.5,
    };
    assert_eq!(Summary::parse(line), Some(expected));
    assert_eq!(Summary::parse("test result: maybe"), None);
    assert!(is_start("running 1 test") && is_start("running 0 tests") && !is_start("running late"));
}
