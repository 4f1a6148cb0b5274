//! Text for people, JSON for programs.

use std::fmt::Display;
use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};
use lucarne::{Format, Tiling};
use serde::Serialize;

use crate::Failure;

/// Where answers go. Colours are left out where nobody sees them (`NO_COLOR`, a pipe).
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    /// Kept here, and not printed.
    kept: Option<String>,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, kept: None }
    }

    /// Prints nothing, and keeps the text without colours.
    pub(crate) fn keeping() -> Self {
        Self {
            json: false,
            kept: Some(String::new()),
        }
    }

    /// What was kept.
    pub(crate) fn into_text(self) -> String {
        self.kept.unwrap_or_default()
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// One line of text.
    pub(crate) fn line(&mut self, text: impl Display) -> Result<(), Failure> {
        match &mut self.kept {
            Some(kept) => {
                let text = format!("{text}\n");
                kept.push_str(&anstream::adapter::strip_str(&text).to_string());
            }
            None => writeln!(anstream::stdout(), "{text}")?,
        }
        Ok(())
    }

    /// A table; as wide as it needs where nobody watches.
    pub(crate) fn table(&mut self, mut lines: Table) -> Result<(), Failure> {
        if self.kept.is_some() {
            lines.set_content_arrangement(ContentArrangement::Disabled);
        }
        self.line(lines)
    }

    /// How many columns there are, where somebody watches.
    pub(crate) fn width(&self) -> Option<u16> {
        self.kept.is_none().then(|| Table::new().width()).flatten()
    }

    /// One JSON document on one line.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value)?;
        writeln!(std::io::stdout(), "{text}")?;
        Ok(())
    }

    /// A name, and what it has, in two columns.
    pub(crate) fn field(&mut self, name: &str, value: impl Display) -> Result<(), Failure> {
        let mut lines = value.to_string();
        lines = lines.replace('\n', "\n              ");
        self.line(format_args!(
            "  {}{name:<11}{} {lines}",
            DIM.render(),
            DIM.render_reset()
        ))
    }
}

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();
const RED: Style = AnsiColor::Red.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default();

pub(crate) fn bold(text: &str) -> String {
    format!("{}{text}{}", BOLD.render(), BOLD.render_reset())
}

pub(crate) fn red(text: &str) -> String {
    format!("{}{text}{}", RED.render(), RED.render_reset())
}

pub(crate) fn green(text: &str) -> String {
    format!("{}{text}{}", GREEN.render(), GREEN.render_reset())
}

/// A table without lines, as wide as the terminal at most; in a pipe as wide as it needs.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header.to_vec());
    table
}

/// One line that replaces itself, where somebody watches; an empty one clears it.
pub(crate) fn progress(line: &str) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r\x1b[2K{line}");
        let _ = stderr.flush();
    }
}

/// `1 trial`, `2 trials`.
pub(crate) fn counted(count: usize, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {what}{s}")
}

/// A modifier's meaning.
pub(crate) fn layout_name(tiling: Tiling) -> String {
    match tiling {
        Tiling::Explicit(modifier) => modifier.to_string(),
        Tiling::Implicit => "the driver's own".to_owned(),
    }
}

/// The kernel's name for a format, or its code.
pub(crate) fn format_name(format: Format) -> String {
    format
        .name()
        .map_or_else(|| format.to_string(), str::to_owned)
}

/// The names that look most like `wanted`, best first; three at most.
pub(crate) fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = wanted.to_lowercase();
    let mut scored: Vec<(f64, &str)> = names
        .map(|name| (strsim::jaro_winkler(&wanted, &name.to_lowercase()), name))
        .filter(|(score, _)| *score > 0.6)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.into_iter().take(3).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn what_looks_alike_comes_first() {
        let names = ["XRGB8888", "ARGB8888", "NV12", "R8"];
        assert_eq!(
            nearest("xrgb888", names.into_iter()),
            ["XRGB8888", "ARGB8888"]
        );
        assert!(nearest("qqq", names.into_iter()).is_empty());
    }
}
