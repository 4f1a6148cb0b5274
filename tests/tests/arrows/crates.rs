//! Which crate may see which: one row each, those of neighbours that are still to come included.

use super::source;

/// Where a crate may have unsafe code.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unsafe {
    Nowhere,
    /// In these files below `src/`, and in these folders (`ffi/`): where it meets a foreign API.
    In(&'static [&'static str]),
    Anywhere,
}

/// One crate below `crates/`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// The crates of this workspace that it may depend on. Tests of a crate may use any.
    sees: &'static [&'static str],
    /// The core's backends that it may name.
    backends: &'static [&'static str],
    may_be_unsafe: Unsafe,
    /// It has a `convert.rs`, and no public module but those of docs/neighbours.md.
    neighbour: bool,
}

pub(crate) const BACKENDS: [&str; 4] = ["cpu", "egl", "gbm", "vulkan"];
const NO_BACKEND: &[&str] = &[];
const CORE: &[&str] = &["lucarne"];
const STREAMS: &[&str] = &["lucarne", "lucarne-stream"];
/// The files of docs/neighbours.md.
const FILES: [&str; 7] = [
    "lib.rs",
    "convert.rs",
    "export.rs",
    "import.rs",
    "sync.rs",
    "handoff.rs",
    "ffi.rs",
];
const FOREIGN: Unsafe = Unsafe::In(&["convert.rs", "ffi.rs"]);
/// The same, where what differs between releases has a file of its own below `ffi/`.
const HOOKED: Unsafe = Unsafe::In(&["convert.rs", "ffi.rs", "ffi/"]);

/// Where the window of `lucarne view` meets the toolkit, OpenGL, Vulkan and Xlib.
const WINDOWS: Unsafe = Unsafe::In(&[
    "view/gl/calls.rs",
    "view/gl/context.rs",
    "view/vulkan/device.rs",
    "view/vulkan/painter.rs",
    "view/vulkan/panel.rs",
    "view/vulkan/swapchain.rs",
    "view/vulkan/work.rs",
    "view/wayland/handles.rs",
    "view/xlib.rs",
]);

const fn row(
    name: &'static str,
    sees: &'static [&'static str],
    backends: &'static [&'static str],
    may_be_unsafe: Unsafe,
) -> Row {
    Row {
        name,
        sees,
        backends,
        may_be_unsafe,
        neighbour: false,
    }
}

const fn neighbour(row: Row) -> Row {
    Row {
        neighbour: true,
        ..row
    }
}

/// A neighbour sees at most the one backend that it is about; the command, the C ABI and what tries a whole machine see all.
pub(crate) const CRATES: [Row; 17] = [
    // Its modules have a table of their own.
    row("lucarne", &[], &BACKENDS, Unsafe::Anywhere),
    row("lucarne-stream", CORE, NO_BACKEND, Unsafe::Nowhere),
    row("lucarne-conformance", CORE, &BACKENDS, Unsafe::Nowhere),
    row("lucarne-udmabuf", &[], NO_BACKEND, Unsafe::Anywhere),
    row("xtask", &[], NO_BACKEND, Unsafe::Nowhere),
    row(
        "lucarne-cli",
        &[
            "lucarne",
            "lucarne-conformance",
            "lucarne-stream",
            "lucarne-wayland",
        ],
        &BACKENDS,
        WINDOWS,
    ),
    // Nothing but entry points: they do not fit in one file.
    neighbour(row(
        "lucarne-capi",
        STREAMS,
        &BACKENDS,
        Unsafe::In(&["ffi/"]),
    )),
    neighbour(row("lucarne-wgpu", CORE, &["vulkan"], HOOKED)),
    neighbour(row("lucarne-wgpu-29", CORE, &["vulkan"], HOOKED)),
    neighbour(row(
        "lucarne-bevy",
        &["lucarne", "lucarne-stream", "lucarne-wgpu-29"],
        &["vulkan"],
        FOREIGN,
    )),
    // What Godot's device cannot share goes through the CPU.
    neighbour(row(
        "lucarne-godot",
        STREAMS,
        &["cpu", "vulkan"],
        Unsafe::In(&["ffi/"]),
    )),
    // Nothing but entry points of Vulkan's.
    neighbour(row("lucarne-layer", STREAMS, &["vulkan"], Unsafe::Anywhere)),
    neighbour(row("lucarne-pipewire", CORE, NO_BACKEND, FOREIGN)),
    // A bridge copies where frames cannot be passed on.
    row(
        "lucarne-pipewire-cli",
        &["lucarne", "lucarne-pipewire", "lucarne-stream"],
        &["cpu"],
        Unsafe::Nowhere,
    ),
    neighbour(row("lucarne-gst", STREAMS, NO_BACKEND, FOREIGN)),
    neighbour(row("lucarne-wayland", CORE, NO_BACKEND, FOREIGN)),
    neighbour(row("lucarne-v4l2", CORE, NO_BACKEND, FOREIGN)),
];

/// What stands in a crate's folder.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contents {
    pub(crate) manifest: String,
    /// Paths below `src/`, and code without comments and strings.
    pub(crate) files: Vec<(String, String)>,
}

/// Breaches of a crate's row, in words.
pub(crate) fn breaches(row: &Row, contents: &Contents) -> Vec<String> {
    let mut found = Vec::new();
    for name in dependencies(&contents.manifest) {
        if !row.sees.contains(&name.as_str()) {
            found.push(format!("{} depends on {name}", row.name));
        }
    }
    if row.neighbour {
        found.extend(strange_files(row, contents));
    }
    for (path, code) in &contents.files {
        let named = source::named(code, "lucarne");
        let backends = named.iter().filter(|name| {
            BACKENDS.contains(&name.as_str()) && !row.backends.contains(&name.as_str())
        });
        found.extend(backends.map(|name| format!("{}: {path} names lucarne::{name}", row.name)));
        let may = match row.may_be_unsafe {
            Unsafe::Nowhere => false,
            Unsafe::In(places) => places.iter().any(|place| is_in(path, place)),
            Unsafe::Anywhere => true,
        };
        if !may && source::mentions(code, "unsafe") {
            found.push(format!("{}: {path} has unsafe code", row.name));
        }
    }
    found
}

/// A file is its own place; a folder's name ends with a slash.
fn is_in(path: &str, place: &str) -> bool {
    path == place || (place.ends_with('/') && path.starts_with(place))
}

/// How a neighbour's files are not those of docs/neighbours.md, in words. Private modules are its own affair.
fn strange_files(row: &Row, contents: &Contents) -> Vec<String> {
    let mut found = Vec::new();
    if !contents.files.iter().any(|(path, _)| path == "convert.rs") {
        found.push(format!("{} has no src/convert.rs", row.name));
    }
    let libraries = contents.files.iter().filter(|(path, _)| path == "lib.rs");
    for module in libraries.flat_map(|(_, code)| public_modules(code)) {
        if !FILES.contains(&format!("{module}.rs").as_str()) {
            found.push(format!("{} has a public module {module}", row.name));
        }
    }
    found
}

fn public_modules(code: &str) -> Vec<&str> {
    let words: Vec<&str> = code.split_whitespace().collect();
    let public = words
        .windows(3)
        .filter(|three| three[..2] == ["pub", "mod"]);
    public
        .map(|three| three[2].trim_end_matches([';', '{', '}']))
        .collect()
}

/// The crates of this workspace that a manifest's `[dependencies]` name, those of a target or of the build included.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut counts = false;
    let mut names = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(table) = line.strip_prefix('[') {
            let table = table.trim_end_matches(']');
            counts = table.ends_with("dependencies") && !table.ends_with("dev-dependencies");
            // [dependencies.NAME]
            if let Some((before, name)) = table.rsplit_once('.')
                && before.ends_with("dependencies")
                && !before.ends_with("dev-dependencies")
            {
                names.push(name.to_owned());
            }
        } else if counts {
            names.extend(line.split(['.', '=', ' ']).next().map(str::to_owned));
        }
    }
    names.retain(|name| name.starts_with("lucarne") || name == "xtask");
    names
}

#[test]
fn manifests_are_read_as_cargo_does() {
    let manifest = "[package]\nname = \"lucarne-x\"\n\n[dependencies]\nlucarne.workspace = true\n\
                    lucarne-stream = { workspace = true }\nash = \"1\"\n[dependencies.lucarne-wgpu]\nversion = \"1\"\n\
                    [target.'cfg(unix)'.dependencies]\nlucarne-capi = { path = \"..\" }\n\
                    [dev-dependencies]\nlucarne-udmabuf.workspace = true\n[dev-dependencies.xtask]\npath = \"x\"\n";
    assert_eq!(
        dependencies(manifest),
        ["lucarne", "lucarne-stream", "lucarne-wgpu", "lucarne-capi"]
    );
}

#[test]
fn the_page_lists_the_files() {
    let page = include_str!("../../../docs/neighbours.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let names = rows.filter_map(|row| row.split('`').next());
    let files: Vec<&str> = names.filter(|name| name.ends_with(".rs")).collect();
    assert_eq!(files, FILES);
}

#[test]
fn each_breach_of_a_crate_is_seen() {
    let find = |name: &str| {
        let row = CRATES.iter().find(|row| row.name == name);
        row.unwrap_or_else(|| panic!("{name} has a row"))
    };
    let contents = |manifest: &str, path: &str, code: &str| Contents {
        manifest: format!("[dependencies]\n{manifest}"),
        files: vec![
            ("convert.rs".to_owned(), String::new()),
            (path.to_owned(), source::code(code)),
        ],
    };
    let broken = [
        ("lucarne", "lucarne-stream.workspace = true", "lib.rs", ""),
        ("lucarne-stream", "", "lib.rs", "use lucarne::{Frame, cpu};"),
        ("lucarne-stream", "", "lib.rs", "lucarne::vulkan::Device"),
        ("lucarne-stream", "", "lib.rs", "unsafe {}"),
        ("lucarne-wgpu", "", "import.rs", "use lucarne::egl;"),
        ("lucarne-wgpu", "", "import.rs", "unsafe {}"),
        (
            "lucarne-wgpu",
            "lucarne-bevy = \"1\"",
            "lib.rs",
            "use lucarne::vulkan;",
        ),
        ("lucarne-pipewire", "", "sync.rs", "lucarne::vulkan::Device"),
        ("lucarne-udmabuf", "lucarne.workspace = true", "lib.rs", ""),
        ("lucarne-capi", "", "ffi.rs", "unsafe {}"),
        ("lucarne-capi", "", "sub/ffi/image.rs", "unsafe {}"),
        (
            "lucarne-wgpu",
            "",
            "lib.rs",
            "mod inner; pub mod sync;\npub mod texture;",
        ),
    ];
    for (name, manifest, path, code) in broken {
        let found = breaches(find(name), &contents(manifest, path, code));
        assert_eq!(
            found.len(),
            1,
            "{name}: {manifest} {path} {code}: {found:?}"
        );
    }
    let nothing = breaches(find("lucarne-gst"), &Contents::default());
    assert_eq!(nothing, ["lucarne-gst has no src/convert.rs"]);
    let fine = [
        (
            "lucarne-stream",
            "lucarne = { path = \"..\" }",
            "lib.rs",
            "#![forbid(unsafe_code)] // unsafe\nuse lucarne::negotiate::Offer;",
        ),
        (
            "lucarne-wgpu",
            "lucarne = \"1\"",
            "ffi.rs",
            "unsafe { lucarne::vulkan::f() }",
        ),
        ("lucarne-layer", "", "hooks.rs", "unsafe {}"),
        (
            "lucarne-wgpu",
            "",
            "lib.rs",
            "mod texture; pub mod convert; pub use texture::Texture;",
        ),
    ];
    for (name, manifest, path, code) in fine {
        let found = breaches(find(name), &contents(manifest, path, code));
        assert_eq!(found, [""; 0], "{name}");
    }
}
