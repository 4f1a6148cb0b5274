//! The programs of a kit, as its `programs.json` lists them: what writes a kit and what runs one agree on this.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

const FILE: &str = "programs.json";

/// One program in the kit's folder `bin`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// [`NAME`] and [`FOLDER`] stand for what is known when it runs.
    pub(crate) arguments: Vec<String>,
    /// Seconds that it may take.
    pub(crate) limit: u64,
}

/// What a machine is called in the report.
pub(crate) const NAME: &str = "@NAME@";
/// The folder of the report.
pub(crate) const FOLDER: &str = "@FOLDER@";

/// What a program prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// One JSON object on standard output.
    Json,
    /// What the standard test harness prints.
    Tests,
}

impl Program {
    pub(crate) fn new(name: &str, kind: Kind, arguments: &[&str], limit: u64) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
            limit,
        }
    }
}

pub(crate) fn write(kit: &Path, programs: &[Program]) -> Result<()> {
    let path = kit.join(FILE);
    let text = serde_json::to_string_pretty(programs)
        .map_err(|e| Error::failed(format!("the list of programs: {e}")))?;
    fs::write(&path, text).map_err(|e| Error::io("writing", &path, &e))
}

pub(crate) fn read(kit: &Path) -> Result<Vec<Program>> {
    let path = kit.join(FILE);
    let text = fs::read_to_string(&path).map_err(|e| Error::io("reading", &path, &e))?;
    serde_json::from_str(&text).map_err(|e| Error::failed(format!("{}: {e}", path.display())))
}
