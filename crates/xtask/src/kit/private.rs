//! What a report must not tell: who measured, on which host, in which folders.

use std::fs;
use std::path::Path;

/// Words that are replaced in whatever goes into a report.
#[derive(Debug, Default)]
pub(crate) struct Private {
    /// Longer ones first, so that a folder goes before the name in it.
    words: Vec<(String, &'static str)>,
}

impl Private {
    /// Those of this machine and the folders at hand.
    pub(crate) fn here(folders: &[(&Path, &'static str)]) -> Self {
        let mut private = Self::default();
        for (folder, replacement) in folders {
            private.add(&folder.to_string_lossy(), replacement);
        }
        let variable = |name| std::env::var(name).unwrap_or_default();
        private.add(&variable("HOME"), "HOME");
        for name in ["USER", "LOGNAME", "SUDO_USER"] {
            private.add(&variable(name), "USER");
        }
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        private.add(host.trim(), "HOST");
        private.add(&variable("HOSTNAME"), "HOST");
        private
    }

    /// A word that says nothing about anybody stays: what is shorter than three letters, and the names that every machine has.
    pub(crate) fn add(&mut self, word: &str, replacement: &'static str) {
        let word = word.trim_end_matches('/');
        if word.len() < 3 || ["root", "localhost"].contains(&word) {
            return;
        }
        self.words.push((word.to_owned(), replacement));
        self.words.sort_by_key(|(word, _)| usize::MAX - word.len());
    }

    /// The text without these words, where they stand by themselves: a user called "max" does not change "maximum".
    pub(crate) fn without(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (word, replacement) in &self.words {
            text = replaced(&text, word, replacement);
        }
        text
    }
}

fn replaced(text: &str, word: &str, replacement: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    while let Some(at) = rest.find(word) {
        let (before, found) = rest.split_at(at);
        let after = &found[word.len()..];
        result.push_str(before);
        let joined = |side: Option<char>, end: Option<char>| {
            side.is_some_and(is_part) && end.is_some_and(is_part)
        };
        let inside = joined(before.chars().next_back(), word.chars().next())
            || joined(after.chars().next(), word.chars().next_back());
        result.push_str(if inside { word } else { replacement });
        rest = after;
    }
    result + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_and_parts_of_words_stay() {
        let mut private = Private::default();
        private.add("max", "USER");
        private.add("/home/max/", "HOME");
        private.add("tower-7", "HOST");
        private.add("root", "USER");
        private.add("ab", "USER");
        let text = r#"{"at":"/home/max/kit","by":"max on tower-7","maximum":"root ab max_pitch"}"#;
        assert_eq!(
            private.without(text),
            r#"{"at":"HOME/kit","by":"USER on HOST","maximum":"root ab max_pitch"}"#
        );
    }

    #[test]
    fn this_machine_is_not_told() {
        let folder = tempfile::tempdir().unwrap();
        let private = Private::here(&[(folder.path(), "KIT")]);
        let said = format!("{}/bin/x", folder.path().display());
        assert_eq!(private.without(&said), "KIT/bin/x");
    }
}
