//! The arrows between crates, and between the core's modules: who may name whom, where unsafe code may be, and how long a
//! file may grow.
//!
//! Words ← negotiate, kernel ← frame ← backends, and backends never see each other (docs/architecture.md). A neighbour is at
//! the end of every arrow (docs/neighbours.md).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

#[path = "arrows/crates.rs"]
mod crates;
#[path = "arrows/source.rs"]
mod source;

use crates::{BACKENDS, CRATES, Contents};

const WORDS: [&str; 7] = [
    "color",
    "device_id",
    "error",
    "extension",
    "format",
    "layout",
    "modifier",
];
const UNSAFE_IN: [&str; 4] = ["egl", "gbm", "kernel", "vulkan"];
/// Crates that belong to some backends.
const OWNED: [(&str, &[&str]); 4] = [
    ("ash", &["vulkan"]),
    ("glow", &["egl"]),
    ("khronos_egl", &["egl"]),
    ("libloading", &["egl", "gbm"]),
];
/// Modules whose own files name each other in one direction.
const LAYERED: [&str; 5] = ["cpu", "egl", "gbm", "negotiate", "vulkan"];
const LONGEST: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every Rust file below `folder`, but for what cargo builds.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            if !path.ends_with("target") {
                files.extend(rust_files(&path));
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The core's files: the module that each belongs to, its path, and its code without comments and strings.
fn core() -> Vec<(String, String, String)> {
    let folder = root().join("crates/lucarne/src");
    let files = rust_files(&folder);
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(&folder).expect("below the folder");
        let module = name.iter().next().and_then(|part| part.to_str());
        let module = module.expect("UTF-8").trim_end_matches(".rs").to_owned();
        let text = fs::read_to_string(path).expect("a file of ours");
        let shown = name.display().to_string();
        (module, shown, source::code(&text))
    };
    files.iter().map(read).collect()
}

/// What a module may name of the others.
fn may_see(module: &str) -> BTreeSet<&'static str> {
    let words = WORDS.into_iter();
    match module {
        "negotiate" | "kernel" => words.collect(),
        "frame" => words.chain(["negotiate", "kernel"]).collect(),
        backend if BACKENDS.contains(&backend) => words
            .chain(["negotiate", "kernel", "frame", "quirks"])
            .collect(),
        "quirks" => words.chain(["negotiate"]).collect(),
        word if WORDS.contains(&word) => words.collect(),
        other => panic!("{other} has no place in the arrows yet: give it one in docs and here"),
    }
}

/// Breaches of the arrows, in words.
fn breaches(files: &[(String, String, String)]) -> Vec<String> {
    let library = files.iter().find(|(module, ..)| module == "lib");
    let exports = source::reexports(&library.expect("lib.rs").2);
    let modules: BTreeSet<&str> = files.iter().map(|(module, ..)| module.as_str()).collect();
    let mut found = Vec::new();
    for (module, path, code) in files.iter().filter(|(module, ..)| module != "lib") {
        let may = may_see(module);
        let mut names = source::named(code, "crate");
        // From a module's own file, `super` is the crate's root; from an inner module of it, the file itself.
        if path.ends_with("mod.rs") || !path.contains('/') {
            let above = source::named(code, "super").into_iter();
            names.extend(above.filter(|name| modules.contains(&name.as_str())));
        }
        for name in names {
            // A name at the crate's root stands for the module that it comes from.
            let from = exports.get(&name).unwrap_or(&name);
            if from != module && !may.contains(from.as_str()) {
                found.push(format!("{path} names crate::{name}, of {from}"));
            }
        }
        for (owned, owners) in OWNED {
            if !owners.contains(&module.as_str()) && source::mentions(code, owned) {
                let owners = owners.join(" and ");
                found.push(format!("{path} names {owned}, which is {owners}'s"));
            }
        }
        if !UNSAFE_IN.contains(&module.as_str()) && source::mentions(code, "unsafe") {
            found.push(format!("{path} has unsafe code"));
        }
    }
    found
}

#[test]
fn modules_name_only_what_the_arrows_allow() {
    let files = core();
    assert!(files.len() > 40, "{} files: is this the core?", files.len());
    let found = breaches(&files);
    assert!(found.is_empty(), "{found:#?}");
}

/// The crate in a folder.
fn contents(folder: &Path) -> Contents {
    let read = |path: &Path| {
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let sources = folder.join("src");
    let file = |path: PathBuf| {
        let name = path.strip_prefix(&sources).expect("below the folder");
        (name.display().to_string(), source::code(&read(&path)))
    };
    Contents {
        manifest: read(&folder.join("Cargo.toml")),
        files: rust_files(&sources).into_iter().map(file).collect(),
    }
}

#[test]
fn crates_see_only_what_their_rows_allow() {
    let folder = root().join("crates");
    let mut known = 0;
    for entry in fs::read_dir(&folder).expect("the crates") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.expect("UTF-8");
        let row = CRATES.iter().find(|row| row.name == name);
        let row = row.unwrap_or_else(|| panic!("{name} has no row in arrows/crates.rs yet"));
        let contents = contents(&path);
        assert!(!contents.files.is_empty(), "{name} has no sources");
        let found = crates::breaches(row, &contents);
        assert!(found.is_empty(), "{found:#?}");
        known += 1;
    }
    assert!(known >= 5, "{known} crates: is this the workspace?");
}

/// The check itself, on code that breaks each rule.
#[test]
fn each_breach_is_seen() {
    let library = "pub use frame::{Fence, Frame as Picture}; pub use vulkan::Adapter;";
    let broken = [
        ("kernel", "use crate::frame::Frame;"),
        (
            "kernel",
            "use crate::{error::Result, negotiate::{Offer, Usage}};",
        ),
        ("negotiate", "fn f() { crate::kernel::fd::size() }"),
        ("negotiate", "use crate::Fence;"),
        ("format", "use crate::Picture;"),
        ("egl", "pub use crate :: vulkan::Device;"),
        ("vulkan", "use crate::{error::Error, egl};"),
        ("frame", "use ash::vk;"),
        ("vulkan", "fn f(gl: &glow::Context) {}"),
        ("vulkan", "use libloading::Library;"),
        ("layout", "fn f() { unsafe { g() } }"),
        (
            "frame",
            "use super::super::egl::Texture; // past the crate's name",
        ),
    ];
    for (module, code) in broken {
        let file =
            |module: &str, code: &str| (module.to_owned(), module.to_owned(), source::code(code));
        let files = [file("lib", library), file("gbm", ""), file(module, code)];
        let found = breaches(&files);
        assert_eq!(found.len(), 1, "{module}: {code}: {found:?}");
    }
    let fine = [
        (
            "vulkan",
            "use crate::{error::Error, frame::Frame}; use ash::vk; unsafe {}",
        ),
        (
            "layout",
            "// use crate::egl; unsafe\nfn f() -> &str { \"crate::vulkan unsafe\" }",
        ),
        (
            "frame",
            "/// [`crate::egl::Device`]\nuse crate::negotiate::MemoryPath;",
        ),
        ("negotiate", "let unsafely = ashes; r#\"use ash\"#; 'a'"),
    ];
    for (module, code) in fine {
        let files = [
            ("lib".to_owned(), "lib".to_owned(), source::code(library)),
            (module.to_owned(), module.to_owned(), source::code(code)),
        ];
        assert_eq!(breaches(&files), [""; 0], "{module}: {code}");
    }
}

/// Which of a module's files and folders each of them names. `mod.rs` is none: it names all.
fn imports(of: &str, files: &[(String, String, String)]) -> BTreeMap<String, BTreeSet<String>> {
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (module, path, code) in files {
        let parts: Vec<&str> = path.split('/').collect();
        if module != of || parts[1..] == ["mod.rs"] {
            continue;
        }
        let part = parts[1].trim_end_matches(".rs").to_owned();
        let mut names = source::named(code, of);
        if parts.len() == 2 {
            names.extend(source::named(code, "super"));
        }
        names.remove(&part);
        imports.entry(part).or_default().extend(names);
    }
    imports
}

/// What is left once nothing can be taken away that names none of the rest: files in circles, and who names those.
fn circles(mut imports: BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    loop {
        let left: BTreeSet<String> = imports.keys().cloned().collect();
        imports.retain(|_, names| !names.is_disjoint(&left));
        if imports.len() == left.len() {
            return left.into_iter().collect();
        }
    }
}

#[test]
fn within_a_module_imports_go_one_way() {
    let files = core();
    for module in LAYERED {
        let imports = imports(module, &files);
        assert!(imports.len() > 7, "{module}: {imports:?}");
        let arrows: usize = imports.values().map(BTreeSet::len).sum();
        assert!(arrows > 7, "{module}: {imports:?}");
        assert_eq!(circles(imports), [""; 0], "{module}");
    }
    let file = |name: &str, code: &str| {
        let path = format!("egl/{name}");
        ("egl".to_owned(), path, source::code(code))
    };
    let circle = [
        file("mod.rs", "use super::egl::raw;"),
        file("raw.rs", "use std::fmt;"),
        file(
            "inner.rs",
            "use super::raw; use super::{probe::memfd, texture};",
        ),
        file("probe/memfd.rs", "use crate::egl::image;"),
        file("image.rs", "use super::inner::DeviceInner;"),
        file("texture.rs", "use super::raw::EglImage;"),
    ];
    let found = circles(imports("egl", &circle));
    assert_eq!(found, ["image", "inner", "probe"]);
}

#[test]
fn files_stay_short() {
    let mut long = Vec::new();
    let mut count = 0;
    for folder in ["crates", "examples", "tests"] {
        for path in rust_files(&root().join(folder)) {
            let text = fs::read_to_string(&path).expect("a file of ours");
            let lines = text.lines().count();
            count += 1;
            if lines > LONGEST {
                long.push(format!("{}: {lines} lines", path.display()));
            }
        }
    }
    assert!(count > 100, "{count} files: is this the workspace?");
    assert!(long.is_empty(), "more than {LONGEST} lines: {long:#?}");
}
