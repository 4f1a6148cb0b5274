//! What was found, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::end::Api;

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Outcome {
    /// Every pixel was right.
    Passed,
    /// Something was wrong.
    Failed(String),
    /// The pair offers nothing on this path; the drivers' reason.
    NotOffered(String),
}

/// One case, or one path of one pair that offers no case.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Who wrote.
    pub from: Api,
    /// Who read.
    pub to: Api,
    /// The memory path.
    pub path: &'static str,
    /// The format's name.
    pub format: Option<&'static str>,
    /// The modifier, where the path has one.
    pub modifier: Option<String>,
    /// The size in pixels.
    pub extent: Option<String>,
    /// Whether the dma-buf was emulated.
    pub emulated: bool,
    /// How it ended.
    pub outcome: Outcome,
}

/// Everything that was found on a machine.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The devices and drivers.
    pub devices: Vec<String>,
    /// The kernel.
    pub kernel: String,
    /// What could not be opened, and why.
    pub notes: Vec<String>,
    /// Every case.
    pub rows: Vec<Row>,
}

/// What a summary line is about.
type Key = (Api, Api, &'static str);

impl Report {
    /// Cases whose pixels were all right.
    pub fn passed(&self) -> usize {
        let passed = |row: &&Row| row.outcome == Outcome::Passed;
        self.rows.iter().filter(passed).count()
    }

    /// Cases in which something was wrong.
    pub fn failures(&self) -> Vec<&Row> {
        let failed = |row: &&Row| matches!(row.outcome, Outcome::Failed(_));
        self.rows.iter().filter(failed).collect()
    }

    /// The report as a table in Markdown, a line for each direction and path, and every failure below.
    pub fn to_markdown(&self) -> String {
        let mut text = String::new();
        for line in self.devices.iter().chain([&self.kernel]).chain(&self.notes) {
            let _ = writeln!(text, "- {line}");
        }
        text.push_str("\n| from → to | path | result | formats | sizes | modifiers |\n|---|---|---|---|---|---|\n");
        let mut groups: BTreeMap<Key, Vec<&Row>> = BTreeMap::new();
        for row in &self.rows {
            let key = (row.from, row.to, row.path);
            groups.entry(key).or_default().push(row);
        }
        for ((from, to, path), rows) in &groups {
            let _ = writeln!(text, "| {from} → {to} | {path} | {}", line(rows));
        }
        for row in self.failures() {
            let _ = writeln!(
                text,
                "\n**Failed:** {} → {}, {}, {} {} {}: {:?}",
                row.from,
                row.to,
                row.path,
                row.format.unwrap_or("-"),
                row.extent.as_deref().unwrap_or("-"),
                row.modifier.as_deref().unwrap_or(""),
                row.outcome
            );
        }
        text
    }
}

fn line(rows: &[&Row]) -> String {
    let tried: Vec<&&Row> = rows.iter().filter(|row| row.format.is_some()).collect();
    if tried.is_empty() {
        let reason = rows.iter().find_map(|row| match &row.outcome {
            Outcome::NotOffered(reason) => Some(reason.as_str()),
            _ => None,
        });
        return format!("not offered: {} | | | |", reason.unwrap_or("no reason"));
    }
    let passed = tried
        .iter()
        .filter(|row| row.outcome == Outcome::Passed)
        .count();
    let emulated = if tried.iter().any(|row| row.emulated) {
        ", emulated"
    } else {
        ""
    };
    format!(
        "{passed} of {} pixel for pixel{emulated} | {} | {} | {} |",
        tried.len(),
        list(tried.iter().filter_map(|row| row.format)),
        list(tried.iter().filter_map(|row| row.extent.as_deref())),
        list(tried.iter().filter_map(|row| row.modifier.as_deref())),
    )
}

/// Each once, in the order of the first.
fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut seen: Vec<&str> = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(outcome: Outcome) -> Row {
        Row {
            from: Api::Vulkan,
            to: Api::OpenGl,
            path: "dma-buf",
            format: Some("XRGB8888"),
            modifier: Some("linear".to_owned()),
            extent: Some("3x5".to_owned()),
            emulated: false,
            outcome,
        }
    }

    #[test]
    fn a_failure_is_counted_and_told() {
        let report = Report {
            rows: vec![
                row(Outcome::Passed),
                row(Outcome::Failed("pixel 1,2: read black".to_owned())),
            ],
            ..Report::default()
        };
        assert_eq!(report.passed(), 1);
        assert_eq!(report.failures().len(), 1);
        let text = report.to_markdown();
        assert!(text.contains("1 of 2 pixel for pixel"), "{text}");
        assert!(text.contains("pixel 1,2: read black"), "{text}");
    }

    #[test]
    fn a_path_without_cases_says_why() {
        let report = Report {
            rows: vec![Row {
                format: None,
                ..row(Outcome::NotOffered("needs a device".to_owned()))
            }],
            ..Report::default()
        };
        assert!(report.to_markdown().contains("not offered: needs a device"));
    }
}
