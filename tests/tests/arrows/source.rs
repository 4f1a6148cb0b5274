//! Just enough of Rust's grammar to see which modules a file names.

use std::collections::{BTreeMap, BTreeSet};

/// The source without comments, and with strings and character literals empty.
pub(crate) fn code(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(next) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = raw_string(rest, &code) {
            code.push_str("\"\"");
            length
        } else if next == '"' {
            code.push_str("\"\"");
            quoted(rest, '"')
        } else if next == '\'' && is_character(rest) {
            code.push_str("''");
            quoted(rest, '\'')
        } else {
            code.push(next);
            next.len_utf8()
        };
        rest = &rest[length..];
    }
    code
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let bytes = rest.as_bytes();
    let mut at = 0;
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// The length of a raw string that starts here, where an identifier does not go on.
fn raw_string(rest: &str, before: &str) -> Option<usize> {
    if before.chars().next_back().is_some_and(is_word) {
        return None;
    }
    let prefix = ["br", "cr", "r"]
        .into_iter()
        .find(|one| rest.starts_with(one))?;
    let hashes = rest[prefix.len()..]
        .bytes()
        .take_while(|byte| *byte == b'#')
        .count();
    let open = prefix.len() + hashes;
    rest[open..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = rest[open + 1..].find(&end)?;
    Some(open + 1 + length + end.len())
}

/// The length of a literal with its quotes.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if character == '\\' {
            escaped = true;
        } else if character == quote {
            return at + 1;
        }
    }
    rest.len()
}

/// Whether this quote starts a character and not a lifetime.
fn is_character(rest: &str) -> bool {
    let mut after = rest.chars().skip(1);
    match after.next() {
        Some('\\') => true,
        Some(_) => after.next() == Some('\''),
        None => false,
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Words and single punctuation marks; `::` is one.
fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code;
    while let Some(next) = rest.chars().next() {
        let length = if is_word(next) {
            rest.find(|character| !is_word(character))
                .unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            next.len_utf8()
        };
        if !next.is_whitespace() {
            tokens.push(&rest[..length]);
        }
        rest = &rest[length..];
    }
    tokens
}

/// Whether a word occurs, by itself.
pub(crate) fn mentions(code: &str, word: &str) -> bool {
    tokens(code).contains(&word)
}

/// What follows `root::`, each entry of a group in braces included; and what `super::super::` reaches, which is the
/// same from a file of a module's folder.
pub(crate) fn named(code: &str, root: &str) -> BTreeSet<String> {
    let tokens = tokens(code);
    let mut names = BTreeSet::new();
    for (at, window) in tokens.windows(3).enumerate() {
        if window[0] == root && window[1] == "::" {
            names.extend(first_names(&tokens[at + 2..]));
        }
        let twice = window == ["super", "::", "super"];
        if twice && tokens.get(at + 3) == Some(&"::") {
            names.extend(first_names(&tokens[at + 4..]));
        }
    }
    names
}

/// The first names of a path or of a group of paths.
fn first_names(tokens: &[&str]) -> Vec<String> {
    if tokens.first() != Some(&"{") {
        return tokens
            .first()
            .map(|name| (*name).to_owned())
            .into_iter()
            .collect();
    }
    let mut names = Vec::new();
    let mut depth = 0;
    let mut starts = false;
    for token in tokens {
        match *token {
            "{" => {
                depth += 1;
                starts = depth == 1;
            }
            "}" => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            "," => starts = depth == 1,
            name if starts => {
                names.push(name.to_owned());
                starts = false;
            }
            _ => {}
        }
    }
    names
}

/// The names that `pub use module::…;` lines of lib.rs put at the crate's root, with their modules.
pub(crate) fn reexports(library: &str) -> BTreeMap<String, String> {
    let tokens = tokens(library);
    let mut exports = BTreeMap::new();
    for (at, window) in tokens.windows(4).enumerate() {
        let [public, import, module, separator] = window else {
            continue;
        };
        if (*public, *import, *separator) != ("pub", "use", "::") {
            continue;
        }
        let end = tokens[at..].iter().position(|token| *token == ";");
        let path = &tokens[at + 4..at + end.unwrap_or(4)];
        let words = path.iter().filter(|token| token.starts_with(is_word));
        // `as` and the old name are harmless: nobody else has them.
        exports.extend(words.map(|word| ((*word).to_owned(), (*module).to_owned())));
    }
    exports
}
