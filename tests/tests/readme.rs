//! The documents: the code on the front pages is one and the same, and what they point at is there.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders whose files the documents name.
const FOLDERS: [&str; 7] = [
    "bindings/",
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
    let mut folders = ["docs", "bindings", "crates", "examples", "shaders"]
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

/// What a file that compiles has between its two marks: the documents show it.
fn compiled(path: &str) -> String {
    let text = read(path);
    let inside = text.split_once("// begin\n").map(|(_, rest)| rest);
    let inside = inside.and_then(|rest| rest.split_once("// end\n"));
    inside
        .unwrap_or_else(|| panic!("{path} has no marks"))
        .0
        .to_owned()
}

/// A program that asks cargo for nothing else has no second release of a crate whose types it needs.
#[test]
fn the_front_pages_code_compiles_for_a_program_that_depends_on_lucarne_alone() {
    let readme = read("README.md");
    let code = compiled("examples/interop/src/front_page.rs");
    assert_eq!(block("README.md", &readme, "rust"), code);
    let manifest = read("examples/interop/Cargo.toml");
    for name in ["ash", "glow", "drm-fourcc", "khronos-egl"] {
        let named = manifest
            .lines()
            .any(|line| line.starts_with(&format!("{name} ")));
        assert!(!named, "{name} comes with lucarne");
    }
}

#[test]
fn the_recipes_are_files_that_compile() {
    let (page, library) = (read("docs/interop.md"), read("examples/interop/src/lib.rs"));
    let mut shown = 0;
    for entry in fs::read_dir(root().join("examples/interop/src")).expect("the recipes") {
        let name = entry.expect("a readable folder").file_name();
        let name = name.to_str().expect("UTF-8").trim_end_matches(".rs");
        if ["lib", "front_page"].contains(&name) {
            continue;
        }
        assert!(
            library.contains(&format!("mod {name};")),
            "{name} is compiled"
        );
        let code = compiled(&format!("examples/interop/src/{name}.rs"));
        assert!(
            page.contains(&format!("```rust\n{code}```\n")),
            "docs/interop.md shows something else than {name}.rs"
        );
        shown += 1;
    }
    assert!(shown >= 5, "only {shown} recipes were found");
    assert_eq!(
        page.matches("```rust").count(),
        shown,
        "all code is a recipe's"
    );
}

#[test]
fn the_releases_that_are_named_are_those_that_the_types_are_of() {
    let (manifest, readme) = (read("Cargo.toml"), read("README.md"));
    let library = read("crates/lucarne/src/lib.rs");
    for name in ["ash", "glow", "drm-fourcc"] {
        let mut lines = manifest.lines();
        let line = lines.find(|line| line.starts_with(&format!("{name} = ")));
        let line = line.unwrap_or_else(|| panic!("{name} is depended on"));
        let mut numbers = line
            .split('"')
            .filter(|part| part.starts_with(char::is_numeric));
        let release = numbers.next().expect("a release");
        assert!(
            readme.contains(&format!("{name} {release}")),
            "README.md: {name} {release}"
        );
        assert!(
            library.contains(&format!("`{name}` {release}")),
            "lib.rs: {name} {release}"
        );
    }
}

/// rustdoc's search finds an item by its own name and by its aliases.
#[test]
fn the_words_that_people_type_lead_to_items() {
    let mut sources = String::new();
    let mut folders = vec![root().join("crates/lucarne/src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the sources") {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources += &fs::read_to_string(path).expect("a source");
            }
        }
    }
    let words = [
        "explicit sync",
        "implicit sync",
        "sync_file",
        "wl_buffer",
        "modifier",
        "stride",
        "import",
        "export",
        "PRIME",
        "EGLImage",
        "fourcc",
        "zero copy",
        "dmabuf",
    ];
    for word in words {
        assert!(
            sources.contains(&format!("doc(alias = \"{word}\")")),
            "{word}"
        );
    }
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

/// The test programs of the workspace: files of their own in a folder `tests` of a package.
fn test_programs() -> Vec<String> {
    let mut folders = ["benches", "fuzz", "tests", "examples"]
        .map(PathBuf::from)
        .to_vec();
    for parent in ["crates", "examples"] {
        let entries = fs::read_dir(root().join(parent)).expect("a folder of the project");
        let names = entries.map(|entry| entry.expect("a readable folder").file_name());
        folders.extend(names.map(|name| Path::new(parent).join(name)));
    }
    let mut programs = Vec::new();
    for folder in folders {
        // Not every package has tests of this kind.
        let Ok(entries) = fs::read_dir(root().join(folder).join("tests")) else {
            continue;
        };
        let files = entries.map(|entry| entry.expect("a readable folder").path());
        let sources =
            files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
        programs.extend(sources.map(|path| {
            let name = path.file_stem().expect("a file has a name");
            name.to_str().expect("UTF-8").to_owned()
        }));
    }
    programs
}

#[test]
fn every_test_program_is_in_the_table_of_tiers() {
    let page = read("docs/testing.md");
    let (_, tiers) = page.split_once("## Tiers").expect("the section");
    let (tiers, _) = tiers.split_once("## ").expect("another section");
    let rows = tiers.lines().filter_map(|line| line.strip_prefix("| "));
    let names = rows.filter_map(|row| row.split_once(" |"));
    let listed: Vec<&str> = names.flat_map(|(names, _)| names.split(", ")).collect();
    let programs = test_programs();
    assert!(programs.len() > 60, "{} were found", programs.len());
    let missing = |name: &&String| !listed.contains(&name.as_str());
    let missing: Vec<_> = programs.iter().filter(missing).collect();
    assert!(missing.is_empty(), "not in docs/testing.md: {missing:?}");
}

/// The names in a manifest's `[features]`, without those that a comment keeps from programs.
fn features(manifest: &str) -> Vec<&str> {
    let (_, rest) = manifest.split_once("[features]\n").expect("the table");
    let (table, _) = rest.split_once("\n[").expect("another table");
    let names = table.lines().filter_map(|line| line.split_once(" = "));
    names
        .map(|(name, _)| name)
        .filter(|name| !["default", "fuzzing"].contains(name))
        .collect()
}

#[test]
fn front_pages_tell_every_feature() {
    for package in ["lucarne", "lucarne-stream"] {
        let manifest = read(&format!("crates/{package}/Cargo.toml"));
        let page = front_page(&read(&format!("crates/{package}/src/lib.rs")));
        let names = features(&manifest);
        assert!(names.len() > 2, "{package}: {names:?}");
        let untold = |name: &&str| !page.contains(&format!("`{name}`"));
        let untold: Vec<_> = names.into_iter().filter(untold).collect();
        assert!(untold.is_empty(), "{package} does not tell {untold:?}");
    }
    let (page, manifest) = (
        read("crates/lucarne/README.md"),
        read("crates/lucarne/Cargo.toml"),
    );
    for name in features(&manifest) {
        assert!(page.contains(&format!("`{name}`")), "README.md: {name}");
    }
}
