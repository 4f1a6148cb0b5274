//! `cargo xtask engines`: writes the table of docs/engines.md from what the tests with engines recorded.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::file;
use crate::progress::say;
use crate::report::{Report, Require, Tier};
use crate::workspace::Workspace;

/// The variable that tests write a row for (`lucarne_tests::engine`).
pub(crate) const VARIABLE: &str = "LUCARNE_RECORD_ENGINES";
const PAGE: &str = "docs/engines.md";
const BEGIN: &str = "<!-- From here on written by `cargo xtask engines`. -->";
const END: &str = "<!-- Up to here. -->";
const HEAD: &str = "| engine | frames | memory | fences | copies a frame | pixels compared | version | driver |\n|---|---|---|---|---|---|---|---|";

/// What `lucarne_tests::engine::record` writes.
#[derive(Debug, Deserialize)]
struct Seen {
    engine: String,
    version: String,
    direction: String,
    path: String,
    fences: String,
    copies: u32,
    pixels: u64,
    driver: String,
}

/// A row's first three cells, and the row.
type Rows = BTreeMap<String, String>;

impl Seen {
    fn key(&self) -> String {
        format!("| {} | {} | {} |", self.engine, self.direction, self.path)
    }

    fn row(&self) -> String {
        let fields = [
            &self.fences,
            &self.copies.to_string(),
            &self.pixels.to_string(),
            &self.version,
            &self.driver,
        ];
        let cells = fields.map(|field| field.replace('|', "/")).join(" | ");
        format!("{} {cells} |", self.key())
    }
}

/// Takes the rows of an earlier run away.
pub(crate) fn empty(workspace: &Workspace) -> Result<()> {
    let folder = rows_of(workspace);
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|e| Error::io("emptying", &folder, &e))?;
    }
    fs::create_dir_all(&folder).map_err(|e| Error::io("creating", &folder, &e))
}

/// Where a run's rows are.
pub(crate) fn rows_of(workspace: &Workspace) -> PathBuf {
    workspace.target.join("engines")
}

/// Puts what the last `cargo xtask test` saw in the place of what the page says of the same; other rows stay.
pub(crate) fn run(workspace: &Workspace) -> Result<u8> {
    let seen = read(&rows_of(workspace))?;
    if seen.is_empty() {
        return Err(Error::unable(
            "nothing was recorded: run cargo xtask test first (--with KIND for engines that it leaves out)",
        ));
    }
    let page = workspace.root.join(PAGE);
    let text = fs::read_to_string(&page).map_err(|e| Error::io("reading", &page, &e))?;
    let mut rows = rows(&text)?;
    for one in &seen {
        rows.insert(one.key(), one.row());
    }
    file::replace(&page, with(&text, &rows)?)?;
    say(format!(
        "written: {PAGE} ({} rows of {})",
        seen.len(),
        rows.len()
    ));
    Ok(0)
}

/// Whether the page says of what was recorded just now what was seen, but for versions and how many pixels there were. On another
/// machine, one with a GPU say, there may be more to see: a failure only where `engines` is required.
pub(crate) fn check(workspace: &Workspace, require: &Require, report: &mut Report) -> Result<()> {
    let seen = read(&rows_of(workspace))?;
    let page = workspace.root.join(PAGE);
    let text = fs::read_to_string(&page).map_err(|e| Error::io("reading", &page, &e))?;
    let rows = rows(&text)?;
    for one in &seen {
        if said(&rows, one) {
            let mut tier = Tier::named("engines");
            tier.passed = 1;
            report.add(tier);
        } else {
            let row = one.row();
            let told = format!("{PAGE} lacks this row (cargo xtask engines writes it): {row}");
            report.add(Tier::not_run("engines", "engines", &told, require));
        }
    }
    Ok(())
}

fn said(rows: &Rows, seen: &Seen) -> bool {
    let start = format!("{} {} | {} |", seen.key(), seen.fences, seen.copies);
    rows.get(&seen.key())
        .is_some_and(|row| row.starts_with(&start))
}

fn read(folder: &Path) -> Result<Vec<Seen>> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(Vec::new());
    };
    let mut seen = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| Error::io("reading", folder, &e))?.path();
        let text = fs::read_to_string(&path).map_err(|e| Error::io("reading", &path, &e))?;
        let one = serde_json::from_str(&text)
            .map_err(|e| Error::failed(format!("{}: {e}", path.display())))?;
        seen.push(one);
    }
    Ok(seen)
}

/// The part of the page between its marks: what is before, the table, what is behind.
fn parts(page: &str) -> Result<[&str; 3]> {
    let lost = || Error::failed(format!("{PAGE} has lost its marks: {BEGIN}"));
    let (before, rest) = page.split_once(BEGIN).ok_or_else(lost)?;
    let (table, after) = rest.split_once(END).ok_or_else(lost)?;
    Ok([before, table, after])
}

fn rows(page: &str) -> Result<Rows> {
    let [_, table, _] = parts(page)?;
    let lines = table.trim().lines().skip(HEAD.lines().count());
    let key = |row: &str| {
        let cells: Vec<&str> = row.split('|').take(4).collect();
        format!("{}|", cells.join("|"))
    };
    Ok(lines.map(|row| (key(row), row.to_owned())).collect())
}

fn with(page: &str, rows: &Rows) -> Result<String> {
    let [before, _, after] = parts(page)?;
    let rows: Vec<&str> = rows.values().map(String::as_str).collect();
    Ok(format!(
        "{before}{BEGIN}\n\n{HEAD}\n{}\n\n{END}{after}",
        rows.join("\n")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(path: &str, copies: u32) -> Seen {
        Seen {
            engine: "an engine".to_owned(),
            version: "3".to_owned(),
            direction: "import".to_owned(),
            path: path.to_owned(),
            fences: "the CPU waits".to_owned(),
            copies,
            pixels: 100,
            driver: "a driver".to_owned(),
        }
    }

    #[test]
    fn rows_replace_rows_and_others_stay() {
        let page = format!("before\n{BEGIN}\n{END}\nafter\n");
        let mut first = rows(&page).unwrap();
        for path in ["opaque-fd", "dma-buf"] {
            first.insert(seen(path, 0).key(), seen(path, 0).row());
        }
        let once = with(&page, &first).unwrap();
        assert_eq!(rows(&once).unwrap(), first);
        let mut second = rows(&once).unwrap();
        second.insert(seen("dma-buf", 1).key(), seen("dma-buf", 1).row());
        let twice = with(&once, &second).unwrap();
        assert!(twice.starts_with("before\n") && twice.ends_with("\nafter\n"));
        assert_eq!(rows(&twice).unwrap().len(), 2);
        assert!(twice.contains("| opaque-fd | the CPU waits | 0 | 100 |"));
        assert!(twice.contains("| dma-buf | the CPU waits | 1 | 100 |"));
    }

    #[test]
    fn a_row_that_says_otherwise_is_no_row() {
        let mut rows = Rows::new();
        let stands = seen("dma-buf", 1);
        rows.insert(stands.key(), stands.row());
        let newer = Seen {
            version: "4".to_owned(),
            pixels: 7,
            ..seen("dma-buf", 1)
        };
        assert!(said(&rows, &newer));
        assert!(!said(&rows, &seen("dma-buf", 0)), "copies");
        assert!(!said(&rows, &seen("opaque-fd", 1)), "memory");
    }

    #[test]
    fn a_page_without_marks_is_left_alone() {
        assert!(rows("no marks").is_err());
    }
}
