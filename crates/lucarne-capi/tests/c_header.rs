//! `include/lucarne.h` is what `src/ffi/` says, and a compiler finds in it the sizes that Rust has.

mod common;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use lucarne_capi::ffi;

/// The files of `src/ffi/`, in the header's order.
const FILES: [&str; 25] = [
    "words",
    "format",
    "error",
    "reasons",
    "request",
    "offer",
    "device",
    "frame",
    "color",
    "ticket",
    "descriptor",
    "fence",
    "image",
    "mapping",
    "turn",
    "vulkan",
    "barrier",
    "egl",
    "gbm",
    "ycbcr",
    "event",
    "producer",
    "consumer",
    "discovery",
    "log",
];

/// Files that declare nothing for C.
const WITHOUT: [&str; 2] = ["guard", "mod"];

/// Rewrites the header instead of comparing it.
const UPDATE: &str = "LUCARNE_UPDATE_HEADER";

/// Each plain structure with its size in bytes.
fn sizes() -> Vec<(&'static str, usize)> {
    macro_rules! sizes {
        ($($name:ident),* $(,)?) => {
            vec![$((stringify!($name), size_of::<ffi::$name>())),*]
        };
    }
    sizes![
        lucarne_format_info,
        lucarne_channel,
        lucarne_format_plane,
        lucarne_reason,
        lucarne_offer_entry,
        lucarne_agreement_info,
        lucarne_plane,
        lucarne_frame_layout,
        lucarne_color,
        lucarne_ycbcr,
        lucarne_dma_buf_plane,
        lucarne_mapped_plane,
        lucarne_vulkan_handles,
        lucarne_vulkan_image,
        lucarne_gl_texture,
        lucarne_event_info,
        lucarne_producer_options,
        lucarne_damage,
        lucarne_consumer_options,
        lucarne_frame_info,
        lucarne_stream_info,
    ]
}

fn trailer() -> String {
    let mut text = String::from(
        "/* The sizes that the library was built with. */\n\
         #ifdef __cplusplus\n\
         #define LUCARNE_ASSERT_SIZE(type, bytes) static_assert(sizeof(type) == (bytes), #type)\n\
         #else\n\
         #define LUCARNE_ASSERT_SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type)\n\
         #endif\n\
         #if UINTPTR_MAX == UINT64_MAX\n",
    );
    for (name, size) in sizes() {
        let _ = writeln!(text, "LUCARNE_ASSERT_SIZE({name}, {size});");
    }
    text.push_str("#endif\n#undef LUCARNE_ASSERT_SIZE\n");
    text
}

fn generate() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = folder.join("cbindgen.toml");
    let mut config = cbindgen::Config::from_file(config).expect("a configuration");
    config.trailer = Some(trailer());
    let mut builder = cbindgen::Builder::new().with_config(config);
    for name in FILES {
        builder = builder.with_src(folder.join("src/ffi").join(format!("{name}.rs")));
    }
    let mut bytes = Vec::new();
    builder.generate().expect("a header").write(&mut bytes);
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn the_header_is_what_the_sources_say() {
    let made = generate();
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/lucarne.h");
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&place, &made).expect("written");
        return;
    }
    let first = made.lines().zip(common::HEADER.lines()).enumerate();
    let differs = first.into_iter().find(|(_, (made, kept))| made != kept);
    assert!(
        made == common::HEADER,
        "include/lucarne.h differs from src/ffi (first here: {differs:?}): {UPDATE}=1 cargo test -p lucarne-capi --test c_header"
    );
}

#[test]
fn every_file_is_in_the_header() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ffi");
    for entry in fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().and_then(|name| name.to_str());
        let name = name.expect("UTF-8");
        let known = FILES.contains(&name) || WITHOUT.contains(&name);
        assert!(known, "{name}.rs has no place in the header");
    }
}

#[test]
fn every_plain_structure_has_its_size_told() {
    let told: Vec<&str> = sizes().iter().map(|(name, _)| *name).collect();
    let mut shown = common::plain_structs();
    assert!(shown.len() > 10, "{shown:?}");
    shown.retain(|name| !told.contains(name));
    assert_eq!(shown, [""; 0]);
}

/// The assertions are compiled with each example; here, that they can fail.
#[test]
fn a_wrong_size_does_not_compile() {
    let installed = common::Installed::new();
    let (right, wrong) = ("(lucarne_plane, 16)", "(lucarne_plane, 24)");
    assert!(common::HEADER.contains(right));
    for (text, compiles) in [(right, true), (wrong, false)] {
        let header = common::HEADER.replace(right, text);
        let place = installed.path().join("sizes.c");
        fs::write(&place, header).expect("written");
        let mut compiler = std::process::Command::new("cc");
        compiler.args(["-std=c11", "-fsyntax-only"]).arg(&place);
        let output = compiler.output().expect("cc runs");
        let told = common::told(&output);
        assert_eq!(output.status.success(), compiles, "{text}: {told}");
    }
}
