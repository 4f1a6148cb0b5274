//! Where things are: the checkout, its target folder, the cache outside of it.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::process;

/// The checkout and its build folder.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Workspace {
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    #[serde(rename = "target_directory")]
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Asks cargo, which knows about `CARGO_TARGET_DIR` and configuration files.
    pub(crate) fn find() -> Result<Self> {
        let text = process::output_of(process::cargo().args([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
        ]))?;
        serde_json::from_str(&text)
            .map_err(|e| Error::failed(format!("cargo metadata's answer: {e}")))
    }

    /// Where the logs of our own commands go.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.target.join("xtask").join(format!("{name}.log"))
    }

    /// A path as seen from the checkout, for messages.
    pub(crate) fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root)
            .unwrap_or(path)
            .display()
            .to_string()
    }
}

/// `${XDG_CACHE_HOME:-~/.cache}/lucarne`: nothing in it is needed to be right, only to be quick.
pub(crate) fn cache() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME").filter(|v| !v.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => std::env::home_dir()
            .ok_or_else(|| {
                Error::unable("there is no home folder to keep a cache in; set XDG_CACHE_HOME")
            })?
            .join(".cache"),
    };
    Ok(base.join("lucarne"))
}
