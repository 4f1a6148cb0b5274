//! `cargo xtask coverage`: runs the matrix on every machine at hand and writes the tables of docs/coverage.md.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Error, FAILED, Result};
use crate::file;
use crate::guest::{self, Drivers};
use crate::install::{self, Consent, Purpose};
use crate::process;
use crate::progress::say;
use crate::workspace::Workspace;

/// Arguments of `cargo xtask coverage`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    consent: Consent,
    /// What this machine is called in the tables
    #[arg(long, default_value = "plain machine")]
    name: String,
    /// Add the column of another machine: its kit's lucarne-conformance.json, or what `lucarne-conformance --json` wrote there (can be given
    /// more than once)
    #[arg(long, value_name = "FILE")]
    from: Vec<PathBuf>,
}

/// What stands around the tables.
const BEGIN: &str = "<!-- From here on written by `cargo xtask coverage`. -->";
const END: &str = "<!-- Up to here. -->";

/// Measures and writes; fails where a pixel was wrong anywhere, after writing which.
pub(crate) fn run(workspace: &Workspace, options: &Options, verbose: bool) -> Result<u8> {
    install::ensure(Purpose::Test, options.consent, workspace, verbose)?;
    let folder = workspace.target.join("coverage");
    fs::create_dir_all(&folder).map_err(|e| Error::io("creating", &folder, &e))?;
    let mut files = Vec::new();
    let mut keep = |name: &str, text: &str| -> Result<()> {
        let path = folder.join(format!("{name}.json"));
        file::replace(&path, text)?;
        files.push(path);
        Ok(())
    };
    say("running the matrix on this machine");
    keep("plain", &here(workspace, &options.name)?)?;
    keep("guest", &guest::matrix(workspace, Drivers::Host, verbose)?)?;
    keep("newer", &guest::matrix(workspace, Drivers::Newer, verbose)?)?;
    files.extend(options.from.iter().cloned());
    let tables = output(program(workspace).arg("--table").args(&files))?;
    let page = workspace.root.join("docs/coverage.md");
    let text = fs::read_to_string(&page).map_err(|e| Error::io("reading", &page, &e))?;
    let text = spliced(&text, &tables)
        .ok_or_else(|| Error::failed(format!("{} has lost its marks: {BEGIN}", page.display())))?;
    file::replace(&page, text)?;
    say(format!("written: {}", workspace.shown(&page)));
    Ok(if tables.contains("**Failed**") {
        FAILED
    } else {
        0
    })
}

/// The page with other tables between its marks.
fn spliced(page: &str, tables: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!(
        "{before}{BEGIN}\n\n{}\n\n{END}{after}",
        tables.trim()
    ))
}

/// The conformance program under cargo's runner, which preloads the emulation where it is needed.
fn program(workspace: &Workspace) -> Command {
    let mut cargo = process::cargo();
    cargo.current_dir(&workspace.root).args([
        "run",
        "--quiet",
        "--package",
        "lucarne-conformance",
        "--",
    ]);
    cargo
}

fn here(workspace: &Workspace, name: &str) -> Result<String> {
    let preload = ["build", "--quiet", "--package", "lucarne-udmabuf"];
    output(process::cargo().current_dir(&workspace.root).args(preload))?;
    output(program(workspace).args(["--json", "--name", name]))
}

/// What a program prints; a status of 1 means that it has found something wrong, and says what.
fn output(command: &mut Command) -> Result<String> {
    let shown = format!(
        "{:?}",
        Path::new(command.get_program())
            .file_name()
            .unwrap_or_default()
    );
    let ended = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| Error::failed(format!("{shown} cannot be started: {e}")))?;
    if !matches!(ended.status.code(), Some(0 | 1)) {
        return Err(Error::failed(format!(
            "{shown} ended with {}",
            ended.status
        )));
    }
    Ok(String::from_utf8_lossy(&ended.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_replace_tables() {
        let page = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        let once = spliced(&page, "new\n").unwrap();
        assert_eq!(once, format!("before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"));
        assert_eq!(spliced(&once, "new\n").unwrap(), once);
    }

    #[test]
    fn a_page_without_marks_is_left_alone() {
        assert_eq!(spliced("no marks", "new"), None);
    }
}
