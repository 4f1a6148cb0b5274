//! What was found on one machine or several, as tables in Markdown.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::ends::Api;
use crate::report::{Outcome, Report, Row};

/// What a line of the table is about, in the order of lines.
type Key<'a> = (Api, Api, usize, &'a str);

/// Numbered notes below a table.
#[derive(Default)]
struct Notes(Vec<String>);

impl Notes {
    /// The number of a note, which is told once.
    fn number(&mut self, note: &str) -> usize {
        let known = self.0.iter().position(|one| one == note);
        known.unwrap_or_else(|| {
            self.0.push(note.to_owned());
            self.0.len() - 1
        }) + 1
    }
}

/// A column for each machine: the devices, then what became of each direction and memory path, then which formats were
/// shared, then every failure.
pub fn markdown(reports: &[Report]) -> String {
    let mut text = String::new();
    for report in reports {
        let _ = writeln!(text, "**{}**, {}", report.machine, report.kernel);
        text.push('\n');
        for line in &report.devices {
            let _ = writeln!(text, "- {line}");
        }
        for line in &report.notes {
            let _ = writeln!(text, "- not there: {line}");
        }
        text.push('\n');
    }
    results(&mut text, reports);
    formats(&mut text, reports);
    for report in reports {
        for row in report.failures() {
            let _ = writeln!(text, "\n**Failed** on {}: {}", report.machine, failure(row));
        }
    }
    text
}

fn key(row: &Row) -> Key<'_> {
    let ladder = ["dma-buf", "opaque-fd", "host-memory"];
    let rung = ladder.iter().position(|path| *path == row.path);
    (row.from, row.to, rung.unwrap_or(ladder.len()), &row.path)
}

fn groups(report: &Report) -> BTreeMap<Key<'_>, Vec<&Row>> {
    let mut groups: BTreeMap<Key<'_>, Vec<&Row>> = BTreeMap::new();
    for row in &report.rows {
        groups.entry(key(row)).or_default().push(row);
    }
    groups
}

fn head(text: &mut String, first: &str, reports: &[Report]) {
    let _ = write!(text, "| {first} |");
    for report in reports {
        let _ = write!(text, " {} |", report.machine);
    }
    let columns = first.split('|').count() + reports.len();
    let _ = writeln!(text, "\n|{}", "---|".repeat(columns));
}

fn results(text: &mut String, reports: &[Report]) {
    let grouped: Vec<_> = reports.iter().map(groups).collect();
    let keys: BTreeSet<Key<'_>> = grouped.iter().flat_map(|one| one.keys().copied()).collect();
    let mut notes = Notes::default();
    head(text, "from → to | memory", reports);
    for key in keys {
        let (from, to, _, path) = key;
        let _ = write!(text, "| {from} → {to} | {path} |");
        for groups in &grouped {
            let cell = groups.get(&key).map(|rows| cell(rows, &mut notes));
            let _ = write!(
                text,
                " {} |",
                cell.unwrap_or_else(|| "no such device".to_owned())
            );
        }
        text.push('\n');
    }
    text.push('\n');
    for (index, note) in notes.0.iter().enumerate() {
        let _ = writeln!(text, "{}. {note}", index + 1);
    }
}

/// `34 of 34, copies 0 + 1`: cases right, of cases tried, and copies for each frame by the writer and the reader.
fn cell(rows: &[&Row], notes: &mut Notes) -> String {
    let tried: Vec<&&Row> = rows.iter().filter(|row| row.format.is_some()).collect();
    let mut reasons: Vec<usize> = Vec::new();
    for row in rows {
        let reason = match &row.outcome {
            Outcome::NotOffered(reason) => reason.clone(),
            Outcome::Refused(reason) => format!("refused: {reason}"),
            Outcome::Passed | Outcome::Failed(_) => continue,
        };
        let number = notes.number(&reason);
        if !reasons.contains(&number) {
            reasons.push(number);
        }
    }
    let marks: Vec<String> = reasons.iter().map(|one| format!("({one})")).collect();
    if tried.is_empty() {
        return format!("not offered {}", marks.join(" "));
    }
    let passed = tried.iter().filter(|row| row.outcome == Outcome::Passed);
    let mut cell = format!("{} of {}", passed.count(), tried.len());
    let copies: BTreeSet<[u32; 2]> = tried.iter().filter_map(|row| row.copies).collect();
    let copies: Vec<String> = copies.iter().map(|[w, r]| format!("{w} + {r}")).collect();
    if !copies.is_empty() {
        let _ = write!(cell, ", copies {}", copies.join(" or "));
    }
    if tried.iter().any(|row| row.emulated) {
        cell.push_str(", emulated");
    }
    if !marks.is_empty() {
        let _ = write!(cell, " {}", marks.join(" "));
    }
    cell
}

/// Which formats were shared, for each direction and path: one line where all machines agree.
fn formats(text: &mut String, reports: &[Report]) {
    let mut lines: BTreeMap<Key<'_>, BTreeMap<String, Vec<&str>>> = BTreeMap::new();
    for report in reports {
        for (key, rows) in groups(report) {
            let passed = rows.iter().filter(|row| row.outcome == Outcome::Passed);
            let names = list(passed.filter_map(|row| row.format.as_deref()));
            if !names.is_empty() {
                let machines = lines.entry(key).or_default().entry(names).or_default();
                machines.push(&report.machine);
            }
        }
    }
    text.push_str("\n| from → to | memory | formats shared pixel for pixel |\n|---|---|---|\n");
    for ((from, to, _, path), sets) in lines {
        let several = sets.len() > 1;
        for (names, machines) in sets {
            let who = if several {
                format!("{}: ", machines.join(", "))
            } else {
                String::new()
            };
            let count = names.split(' ').count();
            let _ = writeln!(text, "| {from} → {to} | {path} | {who}{count}: {names} |");
        }
    }
}

fn failure(row: &Row) -> String {
    let parts = [&row.format, &row.extent, &row.modifier, &row.placement];
    let parts: Vec<&str> = parts.into_iter().filter_map(Option::as_deref).collect();
    format!(
        "{} ({}) → {} ({}), {}, {}: {:?}",
        row.from,
        row.from_device,
        row.to,
        row.to_device,
        row.path,
        parts.join(" "),
        row.outcome
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
            from_device: "one".to_owned(),
            to: Api::OpenGl,
            to_device: "other".to_owned(),
            path: "dma-buf".to_owned(),
            format: Some("XRGB8888".to_owned()),
            modifier: Some("linear".to_owned()),
            extent: Some("3x5".to_owned()),
            placement: None,
            emulated: false,
            copies: Some([0, 1]),
            outcome,
            needs: Vec::new(),
        }
    }

    fn report(machine: &str, rows: Vec<Row>) -> Report {
        Report {
            machine: machine.to_owned(),
            rows,
            ..Report::default()
        }
    }

    #[test]
    fn a_failure_is_counted_and_told() {
        let failed = row(Outcome::Failed("pixel 1,2: read black".to_owned()));
        let report = report("here", vec![row(Outcome::Passed), failed]);
        assert_eq!(report.passed(), 1);
        assert_eq!(report.failures().len(), 1);
        let text = markdown(&[report]);
        assert!(text.contains("1 of 2, copies 0 + 1"), "{text}");
        assert!(text.contains("pixel 1,2: read black"), "{text}");
    }

    #[test]
    fn a_path_without_cases_says_why_once() {
        let nothing = || Row {
            format: None,
            ..row(Outcome::NotOffered("needs a device".to_owned()))
        };
        let text = markdown(&[report("a", vec![nothing()]), report("b", vec![nothing()])]);
        assert!(
            text.contains("| not offered (1) | not offered (1) |"),
            "{text}"
        );
        assert_eq!(text.matches("needs a device").count(), 1, "{text}");
    }

    #[test]
    fn machines_that_differ_have_their_own_formats() {
        let other = Row {
            format: Some("R8".to_owned()),
            ..row(Outcome::Passed)
        };
        let text = markdown(&[
            report("a", vec![row(Outcome::Passed)]),
            report("b", vec![other]),
        ]);
        assert!(text.contains("a: 1: XRGB8888"), "{text}");
        assert!(text.contains("b: 1: R8"), "{text}");
    }

    #[test]
    fn a_device_that_one_machine_lacks_is_no_hole() {
        let text = markdown(&[report("a", vec![row(Outcome::Passed)]), report("b", vec![])]);
        assert!(text.contains("| no such device |"), "{text}");
    }
}
