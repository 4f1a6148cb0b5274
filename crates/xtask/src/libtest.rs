//! Reads what `cargo test` and test programs print, skips included.
//!
//! A test that cannot run says so on a line of its own: `skipped: KIND: REASON`. One that leaves out some of its
//! cases says `skipped case: KIND: REASON`. The harness hides the output of passing tests unless it is asked with
//! `--show-output`; then it prints one block per test after all have run.

use std::collections::VecDeque;
use std::path::Path;

use crate::report::{Failure, Require, Skip, Tier};

/// Lines of a program that are kept in case it dies without a verdict.
const KEPT_LINES: usize = 60;

/// Reads lines and collects tiers.
#[derive(Debug)]
pub(crate) struct Reader {
    require: Require,
    done: Vec<Tier>,
    open: Option<Open>,
}

/// A test program whose output is being read.
#[derive(Debug, Default)]
struct Open {
    tier: Tier,
    /// What goes before the names of its tests.
    label: String,
    /// "running N tests" was read, its result not yet.
    running: bool,
    /// Anything of the standard harness was read.
    harness: bool,
    failed_with: Option<String>,
    part: Part,
    /// Tests that the harness calls passed and that were not.
    taken: usize,
    /// Skips that do not say which test they belong to: there can be more of them than tests.
    unnamed: usize,
    block: Option<Block>,
    last_lines: VecDeque<String>,
}

/// Which part of the harness's output a line belongs to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Part {
    #[default]
    Running,
    Successes,
    Failures,
}

/// The output of one test.
#[derive(Debug)]
struct Block {
    test: String,
    lines: Vec<String>,
}

impl Reader {
    pub(crate) fn new(require: Require) -> Self {
        Self {
            require,
            done: Vec::new(),
            open: None,
        }
    }

    /// Reads one line of `cargo test`. Gives back the name of a program that starts here.
    pub(crate) fn line(&mut self, line: &str) -> Option<String> {
        if let Some((tier, label)) = program_in(line) {
            self.begin(&tier, &label);
            return Some(if label.is_empty() {
                tier
            } else {
                format!("{tier}: {label}")
            });
        }
        if let Some(open) = &mut self.open {
            open.line(line, &self.require);
        }
        None
    }

    /// A program starts.
    pub(crate) fn begin(&mut self, tier: &str, label: &str) {
        self.end(None);
        self.open = Some(Open {
            tier: Tier::named(tier),
            label: label.to_owned(),
            ..Open::default()
        });
    }

    /// The program that was read has ended; `complaint` says how, where it was not well.
    pub(crate) fn end(&mut self, complaint: Option<String>) {
        if let Some(mut open) = self.open.take() {
            open.failed_with = complaint.or(open.failed_with.take());
            self.done.push(open.close(&self.require));
        }
    }

    /// All tiers; `complaint` says how cargo itself failed, which counts where no test explains it.
    pub(crate) fn finish(mut self, complaint: Option<String>) -> Vec<Tier> {
        self.end(None);
        if let Some(complaint) = complaint
            && self.done.iter().all(|tier| tier.failed == 0)
        {
            let mut tier = Tier::named("cargo test");
            tier.fail("cargo test", complaint);
            self.done.push(tier);
        }
        self.done
    }
}

impl Open {
    fn line(&mut self, line: &str, require: &Require) {
        if self.last_lines.len() == KEPT_LINES {
            self.last_lines.pop_front();
        }
        self.last_lines.push_back(line.to_owned());

        if line.starts_with("error: test failed") || line.starts_with("error: doctest failed") {
            self.failed_with = Some(line.to_owned());
        } else if is_start(line) {
            self.running = true;
            self.harness = true;
            self.part = Part::Running;
        } else if let Some(summary) = Summary::parse(line) {
            self.close_block(require);
            self.running = false;
            self.tier.passed += summary.passed;
            self.tier.failed += summary.failed;
            self.tier.skipped += summary.ignored;
            self.tier.seconds += summary.seconds;
        } else if line == "successes:" || line == "failures:" {
            self.close_block(require);
            self.part = if line == "successes:" {
                Part::Successes
            } else {
                Part::Failures
            };
        } else if let Some(test) = block_start(line) {
            self.close_block(require);
            let test = self.labelled(test);
            self.block = Some(Block {
                test,
                lines: Vec::new(),
            });
        } else if let Some(block) = &mut self.block {
            block.lines.push(line.to_owned());
        } else if let Some((test, reason)) = ignored(line) {
            self.tier.skips.push(Skip {
                test: self.labelled(test),
                kind: "ignored".to_owned(),
                reason: reason.to_owned(),
                in_part: false,
            });
        } else if let Some(skip) = skip_in(line) {
            // Printed past the harness, so it does not say which test it is.
            self.unnamed += usize::from(!skip.in_part && !require.has(&skip.kind));
            self.skip(
                Skip {
                    test: "(a test)".to_owned(),
                    ..skip
                },
                require,
            );
        }
    }

    fn labelled(&self, test: &str) -> String {
        if self.label.is_empty() {
            test.to_owned()
        } else {
            format!("{} {test}", self.label)
        }
    }

    fn close_block(&mut self, require: &Require) {
        let Some(block) = self.block.take() else {
            return;
        };
        if self.part == Part::Failures {
            let output = block.lines.join("\n");
            self.tier.failures.push(Failure {
                test: block.test,
                output: output.trim().to_owned(),
            });
            return;
        }
        let mut skips: Vec<Skip> = Vec::new();
        for skip in block.lines.iter().filter_map(|line| skip_in(line)) {
            let skip = Skip {
                test: block.test.clone(),
                ..skip
            };
            if !skips.contains(&skip) {
                skips.push(skip);
            }
        }
        // A test is counted once, whatever number of reasons it gives; a required one counts most.
        skips.sort_by_key(|skip| (!require.has(&skip.kind), skip.in_part));
        let mut skips = skips.into_iter();
        if let Some(first) = skips.next() {
            self.skip(first, require);
        }
        self.tier.skips.extend(skips);
    }

    /// Takes a test that the harness calls passed out of the passed ones.
    fn skip(&mut self, skip: Skip, require: &Require) {
        if require.has(&skip.kind) {
            self.taken += 1;
            let reason = format!("skipped, although required: {}: {}", skip.kind, skip.reason);
            self.tier.fail(&skip.test, reason);
            return;
        }
        if !skip.in_part {
            self.taken += 1;
            self.tier.skipped += 1;
        }
        self.tier.skips.push(skip);
    }

    fn close(mut self, require: &Require) -> Tier {
        let died = self.running || (self.failed_with.is_some() && self.tier.failed == 0);
        self.close_block(require);
        // Without a summary there is nothing to take from; with it, no more tests can be skipped than there were.
        let surplus = self.taken.saturating_sub(self.tier.passed);
        self.tier.passed = self.tier.passed.saturating_sub(self.taken);
        self.tier.skipped -= surplus.min(self.unnamed);
        if died {
            let how = self.failed_with.unwrap_or_else(|| "no verdict".to_owned());
            let lines: Vec<_> = self.last_lines.into_iter().collect();
            let program = if self.label.is_empty() {
                &self.tier.name
            } else {
                &self.label
            }
            .clone();
            let output = format!(
                "the test program died ({how}); it last said:\n{}",
                lines.join("\n")
            );
            self.tier.fail(&program, output);
        } else if !self.harness {
            // A program with a main function of its own: its exit status is its verdict.
            self.tier.passed += 1;
        }
        self.tier
    }
}

/// `Running PATH (PROGRAM)` or `Doc-tests PACKAGE`, as cargo says before it starts a program: tier and label.
fn program_in(line: &str) -> Option<(String, String)> {
    let line = line.trim_start();
    if let Some(package) = line.strip_prefix("Doc-tests ") {
        return Some(("doc".to_owned(), package.to_owned()));
    }
    let (source, program) = line
        .strip_prefix("Running ")?
        .strip_suffix(')')?
        .rsplit_once(" (")?;
    let program = Path::new(program).file_name()?.to_str()?;
    let (program, _hash) = program.rsplit_once('-')?;
    if source.starts_with("unittests ") {
        return Some(("unit".to_owned(), program.to_owned()));
    }
    Some((program.to_owned(), String::new()))
}

fn is_start(line: &str) -> bool {
    line.strip_prefix("running ")
        .and_then(|rest| {
            rest.strip_suffix(" tests")
                .or_else(|| rest.strip_suffix(" test"))
        })
        .is_some_and(|count| count.parse::<usize>().is_ok())
}

fn block_start(line: &str) -> Option<&str> {
    line.strip_prefix("---- ")?.strip_suffix(" stdout ----")
}

/// `test NAME ... ignored, REASON`.
fn ignored(line: &str) -> Option<(&str, &str)> {
    let (test, result) = line.strip_prefix("test ")?.split_once(" ... ignored")?;
    let reason = result.strip_prefix(", ").unwrap_or("marked as ignored");
    Some((test, reason))
}

/// A skip as tests print it. Without a kind it is of the kind "other".
fn skip_in(line: &str) -> Option<Skip> {
    let line = line.trim();
    let (rest, in_part) = match line.strip_prefix("skipped: ") {
        Some(rest) => (rest, false),
        None => (line.strip_prefix("skipped case: ")?, true),
    };
    let is_kind =
        |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    let (kind, reason) = match rest.split_once(": ") {
        Some((kind, reason)) if is_kind(kind) => (kind, reason),
        _ => ("other", rest),
    };
    Some(Skip {
        test: String::new(),
        kind: kind.to_owned(),
        reason: reason.to_owned(),
        in_part,
    })
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s`.
#[derive(Debug, PartialEq)]
struct Summary {
    passed: usize,
    failed: usize,
    ignored: usize,
    seconds: f64,
}

impl Summary {
    fn parse(line: &str) -> Option<Self> {
        let (_verdict, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let mut summary = Self {
            passed: 0,
            failed: 0,
            ignored: 0,
            seconds: 0.0,
        };
        for part in counts.split("; ") {
            if let Some(seconds) = part.strip_prefix("finished in ") {
                summary.seconds = seconds.trim_end_matches('s').parse().ok()?;
                continue;
            }
            let (count, what) = part.split_once(' ')?;
            let count = count.parse().ok()?;
            match what {
                "passed" => summary.passed = count,
                "failed" => summary.failed = count,
                "ignored" => summary.ignored = count,
                _ => {}
            }
        }
        Some(summary)
    }
}

#[cfg(test)]
mod tests;
