//! Results of a run, tier by tier, as a table for people or JSON for programs.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::progress::{BAD, GOOD, NOTICE};

/// Failing output is cut to this many lines in the table; the logs have the rest.
const OUTPUT_LINES: usize = 40;

/// So many of the slowest rows are named.
const SLOWEST: usize = 5;

/// A test, or a part of one, that did not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Skip {
    pub(crate) test: String,
    /// One word for what is missing, as in `LUCARNE_REQUIRE`.
    pub(crate) kind: String,
    pub(crate) reason: String,
    /// The test ran, and left some of its cases out.
    pub(crate) in_part: bool,
}

/// A test that failed and what it printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Failure {
    pub(crate) test: String,
    pub(crate) output: String,
}

/// The results of one tier.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Tier {
    pub(crate) name: String,
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
    pub(crate) seconds: f64,
    pub(crate) skips: Vec<Skip>,
    pub(crate) failures: Vec<Failure>,
}

impl Tier {
    pub(crate) fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// A tier that could not run at all: skipped, or failed where its kind is required.
    pub(crate) fn not_run(name: &str, kind: &str, reason: &str, require: &Require) -> Self {
        let mut tier = Self::named(name);
        if require.has(kind) {
            tier.fail(name, format!("skipped, although required: {reason}"));
        } else {
            tier.skipped = 1;
            tier.skips.push(Skip {
                test: name.to_owned(),
                kind: kind.to_owned(),
                reason: reason.to_owned(),
                in_part: false,
            });
        }
        tier
    }

    pub(crate) fn fail(&mut self, test: &str, output: impl Into<String>) {
        self.failed += 1;
        self.failures.push(Failure {
            test: test.to_owned(),
            output: output.into(),
        });
    }
}

/// The kinds of skips that count as failures: the words of `LUCARNE_REQUIRE`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Require(Vec<String>);

impl Require {
    pub(crate) fn from_env() -> Self {
        Self::parse(&std::env::var("LUCARNE_REQUIRE").unwrap_or_default())
    }

    pub(crate) fn parse(text: &str) -> Self {
        let words = text.split(',').map(str::trim).filter(|w| !w.is_empty());
        Self(words.map(str::to_owned).collect())
    }

    pub(crate) fn has(&self, kind: &str) -> bool {
        self.0.iter().any(|word| word == kind)
    }

    pub(crate) fn with(mut self, kind: &str) -> Self {
        self.0.push(kind.to_owned());
        self
    }

    /// The words as the variable holds them.
    pub(crate) fn text(&self) -> String {
        self.0.join(",")
    }
}

/// Everything that a command found out.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// Facts about the machine that the results hold for.
    pub(crate) facts: BTreeMap<String, String>,
    pub(crate) tiers: Vec<Tier>,
}

impl Report {
    /// Adds results; those of one tier come together in one row.
    pub(crate) fn add(&mut self, tier: Tier) {
        match self.tiers.iter_mut().find(|t| t.name == tier.name) {
            Some(row) => {
                row.passed += tier.passed;
                row.failed += tier.failed;
                row.skipped += tier.skipped;
                row.seconds += tier.seconds;
                row.skips.extend(tier.skips);
                row.failures.extend(tier.failures);
            }
            None => self.tiers.push(tier),
        }
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.facts.extend(other.facts);
        other.tiers.into_iter().for_each(|tier| self.add(tier));
    }

    /// Tells the results of one machine from those of another that has run the same tiers.
    pub(crate) fn rename(&mut self, from: &str, to: &str) {
        for tier in &mut self.tiers {
            if let Some(rest) = tier.name.strip_prefix(from) {
                tier.name = format!("{to}{rest}");
            }
        }
        let facts = std::mem::take(&mut self.facts);
        self.facts.extend(facts.into_iter().map(|(name, fact)| {
            let renamed = name.strip_prefix(from).map(|rest| format!("{to}{rest}"));
            (renamed.unwrap_or(name), fact)
        }));
    }

    fn sum(&self, count: impl Fn(&Tier) -> usize) -> usize {
        self.tiers.iter().map(count).sum()
    }

    /// Something passed and nothing failed: an empty run proves nothing.
    pub(crate) fn good(&self) -> bool {
        self.sum(|t| t.failed) == 0 && self.sum(|t| t.passed) > 0
    }

    /// `N passed, N failed, N skipped`.
    pub(crate) fn plain_line(&self) -> String {
        format!(
            "{} passed, {} failed, {} skipped",
            self.sum(|t| t.passed),
            self.sum(|t| t.failed),
            self.sum(|t| t.skipped)
        )
    }

    /// The table, the reasons of the skips, the failures and the verdict, with colours.
    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.facts {
            _ = writeln!(text, "{name}: {value}");
        }
        let width = self.tiers.iter().map(|t| t.name.chars().count()).max();
        let width = width.unwrap_or(0).max("tier".len());
        _ = writeln!(
            text,
            "\n{:width$}  {:>7}  {:>7}  {:>7}  {:>8}",
            "tier", "passed", "failed", "skipped", "seconds"
        );
        for tier in self
            .tiers
            .iter()
            .filter(|t| t.passed + t.failed + t.skipped > 0)
        {
            let style = match tier {
                t if t.failed > 0 => BAD,
                t if t.passed == 0 => NOTICE,
                _ => GOOD,
            };
            _ = writeln!(
                text,
                "{style}{:width$}{style:#}  {:>7}  {:>7}  {:>7}  {:>8.1}",
                tier.name, tier.passed, tier.failed, tier.skipped, tier.seconds
            );
        }
        self.write_slowest(&mut text);
        self.write_skips(&mut text);
        self.write_failures(&mut text);
        let (style, verdict) = if self.good() {
            (GOOD, "passed")
        } else {
            (BAD, "failed")
        };
        _ = writeln!(text, "\nverdict: {style}{verdict}{style:#}");
        text
    }

    /// The rows that took longest, where there are more than that.
    fn write_slowest(&self, text: &mut String) {
        let mut rows: Vec<_> = self.tiers.iter().collect();
        if rows.len() <= SLOWEST {
            return;
        }
        rows.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        let shown = rows[..SLOWEST].iter();
        let shown: Vec<_> = shown
            .map(|row| format!("{} {:.1} s", row.name, row.seconds))
            .collect();
        _ = writeln!(text, "\nslowest: {}", shown.join(", "));
    }

    /// One line per reason, with the tests that it kept from running.
    fn write_skips(&self, text: &mut String) {
        let mut reasons: BTreeMap<(&str, &str, bool), Vec<String>> = BTreeMap::new();
        for tier in &self.tiers {
            for skip in &tier.skips {
                let tests = reasons
                    .entry((&skip.kind, &skip.reason, skip.in_part))
                    .or_default();
                let test = if skip.test == tier.name {
                    tier.name.clone()
                } else {
                    format!("{}: {}", tier.name, skip.test)
                };
                if !tests.contains(&test) {
                    tests.push(test);
                }
            }
        }
        if !reasons.is_empty() {
            _ = writeln!(text, "\nskipped:");
        }
        for ((kind, reason, in_part), tests) in reasons {
            let part = if in_part { " (some cases)" } else { "" };
            _ = writeln!(text, "  {NOTICE}{kind}{NOTICE:#}: {reason}{part}");
            let shown = tests.len().min(4);
            let more = tests.len() - shown;
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            _ = writeln!(text, "      {}{more}", tests[..shown].join(", "));
        }
    }

    fn write_failures(&self, text: &mut String) {
        for tier in &self.tiers {
            for failure in &tier.failures {
                _ = writeln!(
                    text,
                    "\n{BAD}failed{BAD:#}: {}: {}",
                    tier.name, failure.test
                );
                let lines: Vec<_> = failure.output.lines().collect();
                let first = lines.len().saturating_sub(OUTPUT_LINES);
                if first > 0 {
                    _ = writeln!(text, "    ({first} lines more in the log)");
                }
                for line in &lines[first..] {
                    _ = writeln!(text, "    {line}");
                }
            }
        }
    }

    /// One JSON object.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "verdict": if self.good() { "passed" } else { "failed" },
            "passed": self.sum(|t| t.passed),
            "failed": self.sum(|t| t.failed),
            "skipped": self.sum(|t| t.skipped),
            "facts": self.facts,
            "tiers": self.tiers,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tier(passed: usize, failed: usize) -> Tier {
        Tier {
            name: "unit".to_owned(),
            passed,
            failed,
            ..Tier::default()
        }
    }

    #[test]
    fn nothing_run_is_no_success() {
        let mut report = Report::default();
        assert!(!report.good());
        report.add(Tier::not_run(
            "guest",
            "guest",
            "no QEMU",
            &Require::default(),
        ));
        assert!(!report.good());
        report.add(tier(1, 0));
        assert!(report.good());
        report.add(tier(0, 1));
        assert!(!report.good());
        assert_eq!(report.plain_line(), "1 passed, 1 failed, 1 skipped");
        assert_eq!(report.tiers.len(), 2, "rows of one tier come together");
    }

    #[test]
    fn the_five_slowest_rows_are_named() {
        let mut report = Report::default();
        for (name, seconds) in [
            ("a", 1.0),
            ("b", 60.0),
            ("c", 2.0),
            ("d", 3.5),
            ("e", 0.1),
            ("f", 9.0),
        ] {
            let mut row = Tier::named(name);
            (row.passed, row.seconds) = (1, seconds);
            report.add(row);
        }
        let line = "\nslowest: b 60.0 s, f 9.0 s, d 3.5 s, c 2.0 s, a 1.0 s\n";
        assert!(report.table().contains(line), "{}", report.table());
        report.tiers.truncate(5);
        assert!(!report.table().contains("slowest"), "all of them are there");
    }

    #[test]
    fn required_tiers_fail() {
        let require = Require::parse("gpu, guest,");
        let tier = Tier::not_run("guest", "guest", "no QEMU", &require);
        assert_eq!((tier.failed, tier.skipped), (1, 0));
        assert!(!require.has(""));
        assert_eq!(require.with("x").text(), "gpu,guest,x");
    }

    #[test]
    fn table_names_reasons_once() {
        let mut report = Report::default();
        for test in ["a", "b"] {
            let mut part = tier(0, 0);
            part.skipped = 1;
            part.skips.push(Skip {
                test: test.to_owned(),
                kind: "gpu".to_owned(),
                reason: "no adapter".to_owned(),
                in_part: false,
            });
            report.add(part);
        }
        let table = report.table();
        assert_eq!(table.matches("no adapter").count(), 1, "{table}");
        assert!(table.contains("unit: a, unit: b"), "{table}");
        assert_eq!(report.json()["verdict"], "failed");
    }
}
