//! The documents: the code on the front pages is one and the same, and what they point at is there.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders whose files the documents name.
const FOLDERS: [&str; 6] = [
    "crates/",
    "docs/",
    "examples/",
    "shaders/",
    "tests/",
    ".ci/",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The text between the first fence that begins with `fence` and the next.
fn block<'a>(path: &str, text: &'a str, fence: &str) -> &'a str {
    let inside = text
        .split_once(&format!("```{fence}\n"))
        .and_then(|(_, rest)| rest.split_once("```"));
    inside
        .unwrap_or_else(|| panic!("{path} has no ```{fence} block"))
        .0
}

/// What rustdoc makes of a file's first lines.
fn front_page(source: &str) -> String {
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    lines
        .map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line)))
        .collect()
}

/// Every Markdown file of the project's own.
fn documents() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
        .map(PathBuf::from)
        .to_vec();
    let mut folders = ["docs", "crates", "examples", "shaders"]
        .map(PathBuf::from)
        .to_vec();
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(root().join(&folder)).expect("a folder of the project");
        for entry in entries {
            let entry = entry.expect("a readable folder");
            let path = folder.join(entry.file_name());
            if entry.file_type().expect("a file type").is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found
}

/// The targets of `[text](target)`, images included.
fn links(text: &str) -> Vec<&str> {
    let after = text.split("](").skip(1);
    after
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target)
        .collect()
}

/// `code` that is the path of one file or folder of the project.
fn named_paths(text: &str) -> Vec<&str> {
    let prose = text.lines().filter(|line| !line.starts_with("```"));
    let code = prose.flat_map(|line| line.split('`').skip(1).step_by(2));
    code.filter(|code| FOLDERS.iter().any(|folder| code.starts_with(folder)))
        .filter(|code| !code.contains(['*', ' ', '…', '<']))
        .collect()
}

#[test]
fn the_front_pages_show_the_same_code_and_rustdoc_compiles_it() {
    let (readme, library) = (read("README.md"), read("crates/lucarne/README.md"));
    let source = front_page(&read("crates/lucarne/src/lib.rs"));
    // `no_run` compiles it: it needs devices that a documentation test does not have.
    let compiled = block("lib.rs", &source, "rust,no_run");
    assert_eq!(block("README.md", &readme, "rust"), compiled);
    assert_eq!(
        block("crates/lucarne/README.md", &library, "rust"),
        compiled
    );
    let code = compiled.lines().filter(|line| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with("//")
    });
    let lines = code.count();
    assert!((30..=45).contains(&lines), "about forty lines, not {lines}");
}

#[test]
fn links_lead_to_files() {
    let mut checked = 0;
    let mut broken = Vec::new();
    for document in documents() {
        let text = read(document.to_str().expect("UTF-8"));
        let folder = document.parent().expect("a file lies in a folder");
        for link in links(&text) {
            let (target, _) = link.split_once('#').unwrap_or((link, ""));
            if target.is_empty() || target.contains("://") {
                continue;
            }
            checked += 1;
            if !root().join(folder).join(target).exists() {
                broken.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "lead nowhere: {broken:#?}");
    assert!(checked > 20, "only {checked} links were found");
}

#[test]
fn named_files_exist() {
    let mut checked = 0;
    let mut absent = Vec::new();
    for document in documents() {
        for path in named_paths(&read(document.to_str().expect("UTF-8"))) {
            checked += 1;
            if !root().join(path).exists() {
                absent.push(format!("{}: {path}", document.display()));
            }
        }
    }
    assert!(absent.is_empty(), "do not exist: {absent:#?}");
    assert!(checked > 20, "only {checked} paths were found");
}
