//! Many formats in few words.

use crate::format::Format;

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
