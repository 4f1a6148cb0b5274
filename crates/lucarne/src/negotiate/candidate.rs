//! One combination of format and tiling that was refused, and many of them in few words.

use std::fmt;

use super::reason::Reason;
use crate::format::Format;
use crate::layout::Tiling;

/// One combination that was considered, and why it was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The format.
    pub format: Format,
    /// The tiling.
    pub tiling: Tiling,
    /// Why not.
    pub reason: Reason,
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}: {}", self.format, self.tiling, self.reason)
    }
}

/// Each reason once, behind the formats that it is about.
pub(super) fn write_grouped(f: &mut fmt::Formatter<'_>, candidates: &[Candidate]) -> fmt::Result {
    let mut groups: Vec<(&Reason, Vec<&Candidate>)> = Vec::new();
    for candidate in candidates {
        let reason = &candidate.reason;
        match groups.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, group)) => group.push(candidate),
            None => groups.push((reason, vec![candidate])),
        }
    }
    for (index, (reason, group)) in groups.iter().enumerate() {
        let separator = if index == 0 { "" } else { "; " };
        let formats: Vec<Format> = group.iter().map(|candidate| candidate.format).collect();
        write!(f, "{separator}{}", list_names(&formats))?;
        if !matches!(reason, Reason::FormatNotListed { .. }) {
            write_layouts(f, group)?;
        }
        write!(f, ": {reason}")?;
    }
    Ok(())
}

/// Which layouts, where the rung does not say it.
fn write_layouts(f: &mut fmt::Formatter<'_>, group: &[&Candidate]) -> fmt::Result {
    let mut tiled: Vec<_> = group
        .iter()
        .filter_map(|candidate| candidate.tiling.modifier())
        .filter(|modifier| !modifier.is_linear())
        .collect();
    tiled.sort();
    tiled.dedup();
    match &tiled[..] {
        [] => Ok(()),
        [one] => write!(f, " in {one}"),
        several => write!(f, " in {} layouts", several.len()),
    }
}

/// As many as a line holds.
const MOST_NAMES: usize = 6;

pub(super) fn list_names(formats: &[Format]) -> String {
    let mut names: Vec<String> = Vec::new();
    for name in formats.iter().map(|format| short_name(*format)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let more = names.len().saturating_sub(MOST_NAMES);
    names.truncate(MOST_NAMES);
    let names = names.join(", ");
    if more == 0 {
        return names;
    }
    format!("{names} and {more} more")
}

pub(super) fn short_name(format: Format) -> String {
    format.name().map_or(format.to_string(), str::to_owned)
}
