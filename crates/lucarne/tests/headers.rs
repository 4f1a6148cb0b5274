//! Compares the tables of formats and modifiers with the headers that define them: the kernel's
//! `drm_fourcc.h` and libdrm's copy, and the enumerants of Vulkan and OpenGL as their bindings have them.
//!
//! A header that is not installed is reported and skipped, unless `LUCARNE_REQUIRE` lists `headers`.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::{env, fs, io};

use lucarne::{Format, Modifier, Vendor};

#[path = "headers/layout.rs"]
mod layout;
#[cfg(feature = "vulkan")]
#[path = "headers/vulkan.rs"]
mod vulkan;

/// Each header, and the Debian package that installs it.
const HEADERS: [(&str, &str); 2] = [
    ("/usr/include/drm/drm_fourcc.h", "linux-libc-dev"),
    ("/usr/include/libdrm/drm_fourcc.h", "libdrm-dev"),
];

/// A macro of a header: what follows its name, and the comment at the end of the line.
struct Macro {
    value: String,
    comment: String,
}

type Macros = BTreeMap<String, Macro>;

/// Runs `check` on every header that is installed.
fn with_headers(check: impl Fn(&str, &Macros)) {
    for (path, package) in HEADERS {
        if !Path::new(path).exists() {
            let required = env::var("LUCARNE_REQUIRE").unwrap_or_default();
            assert!(
                !required.split(',').any(|name| name.trim() == "headers"),
                "{path} is missing and LUCARNE_REQUIRE lists headers; install {package}"
            );
            // The harness hides what a passing test prints through `eprintln!`.
            let line = format!("skipped: {path} is missing; install {package}\n");
            io::stderr().write_all(line.as_bytes()).expect("stderr");
            continue;
        }
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        check(path, &macros(&text));
    }
}

/// Every object-like macro of a header, continued lines joined.
fn macros(text: &str) -> Macros {
    let joined = text.replace("\\\n", " ");
    let mut macros = Macros::new();
    for line in joined.lines() {
        let Some(rest) = line.strip_prefix("#define ") else {
            continue;
        };
        let rest = rest.trim_start();
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        if rest.starts_with('(') {
            continue;
        }
        let (value, comment) = rest.split_once("/*").unwrap_or((rest, ""));
        let comment = comment.trim_end().trim_end_matches("*/").trim().to_owned();
        macros.insert(
            name.to_owned(),
            Macro {
                value: value.trim().to_owned(),
                comment,
            },
        );
    }
    macros
}

/// The arguments of `name(a, b, ...)`.
fn arguments<'a>(value: &'a str, name: &str) -> Option<Vec<&'a str>> {
    let inner = value
        .strip_prefix(name)?
        .trim_start()
        .strip_prefix('(')?
        .strip_suffix(')')?;
    Some(inner.split(',').map(str::trim).collect())
}

/// `fourcc_code('X', 'R', '2', '4')` as a number.
fn fourcc(value: &str) -> Option<u32> {
    let characters: Vec<u8> = arguments(value, "fourcc_code")?
        .iter()
        .map(|argument| {
            argument
                .strip_prefix('\'')?
                .strip_suffix('\'')?
                .bytes()
                .next()
        })
        .collect::<Option<_>>()
        .unwrap_or_else(|| panic!("{value} does not read as four characters"));
    let [a, b, c, d] = characters[..] else {
        panic!("{value} has not four arguments")
    };
    Some(u32::from_le_bytes([a, b, c, d]))
}

/// `12`, `0x0c`, `4ULL`, `(1ULL << 9)` as a number.
fn number(value: &str) -> Option<u64> {
    let value = value.trim_start_matches('(').trim_end_matches(')').trim();
    if let Some((left, right)) = value.split_once("<<") {
        return Some(number(left)? << number(right)?);
    }
    let digits = value.trim_end_matches(['U', 'L']);
    match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => digits.parse().ok(),
    }
}

/// The number of a macro that the header must have.
fn value(path: &str, macros: &Macros, name: &str) -> u64 {
    let definition = macros
        .get(name)
        .unwrap_or_else(|| panic!("{path} has no {name}; is it too old?"));
    number(&definition.value).unwrap_or_else(|| panic!("{name} is no number in {path}"))
}

#[test]
fn format_codes_are_the_headers() {
    let seen = RefCell::new(BTreeSet::new());
    let read = Cell::new(0);
    with_headers(|path, macros| {
        let (mut compared, mut lacking) = (0, Vec::new());
        for (name, definition) in macros {
            let (Some(bare), Some(code)) =
                (name.strip_prefix("DRM_FORMAT_"), fourcc(&definition.value))
            else {
                continue;
            };
            match Format::ALL.iter().find(|info| info.name == bare) {
                Some(info) => {
                    assert_eq!(info.format.fourcc(), code, "{name} in {path}");
                    seen.borrow_mut().insert(info.name);
                    compared += 1;
                }
                None => lacking.push(bare),
            }
        }
        assert!(
            compared >= 80,
            "{path} defines only {compared} of the formats"
        );
        eprintln!(
            "{path}: {compared} formats compared; not in the table: {}",
            lacking.join(" ")
        );
        read.set(read.get() + 1);
    });
    if read.get() > 0 {
        // A row that no header knows has a wrong name, or needs newer headers than those installed.
        let unknown = Format::ALL
            .iter()
            .map(|info| info.name)
            .filter(|name| !seen.borrow().contains(name));
        assert_eq!(
            unknown.collect::<Vec<_>>(),
            [""; 0],
            "rows that no header defines"
        );
    }
}

#[test]
fn modifier_codes_are_the_headers() {
    with_headers(|path, macros| {
        let (mut compared, mut lacking) = (0, Vec::new());
        for (name, definition) in macros {
            let Some(arguments) = arguments(&definition.value, "fourcc_mod_code") else {
                continue;
            };
            if matches!(name.as_str(), "DRM_FORMAT_MOD_INVALID" | "AMD_FMT_MOD") {
                continue;
            }
            let vendor = value(
                path,
                macros,
                &format!("DRM_FORMAT_MOD_VENDOR_{}", arguments[0]),
            );
            let expected = vendor << 56 | number(arguments[1]).unwrap();
            match Modifier::from_kernel_name(name) {
                Some(ours) => {
                    assert_eq!(ours.code(), expected, "{name} in {path}");
                    compared += 1;
                }
                None => lacking.push(name.as_str()),
            }
        }
        // libdrm 2.4.123 has 29 macros of this shape.
        assert!(
            compared >= 29,
            "{path} defines only {compared} of the named modifiers"
        );
        eprintln!(
            "{path}: {compared} modifiers compared; without a name here: [{}]",
            lacking.join(" ")
        );
    });
}

#[test]
fn vendor_numbers_are_the_headers() {
    with_headers(|path, macros| {
        let mut compared = 0;
        for (name, definition) in macros {
            let Some(vendor) = name.strip_prefix("DRM_FORMAT_MOD_VENDOR_") else {
                continue;
            };
            let code = u8::try_from(number(&definition.value).unwrap()).unwrap();
            let ours = match Vendor::from_code(code) {
                Vendor::MediaTek => "MTK".to_owned(),
                vendor => format!("{vendor:?}").to_uppercase(),
            };
            assert_eq!(ours, vendor, "{path}");
            compared += 1;
        }
        assert!(compared >= 11, "{path} defines only {compared} vendors");
    });
}

/// Sets one field of a code at the place that the header gives, and looks for the words.
#[test]
fn amd_fields_are_the_headers() {
    let fields = [
        ("DCC_RETILE", 1, "DCC retile"),
        ("DCC_PIPE_ALIGN", 1, "DCC pipe-aligned"),
        ("DCC_INDEPENDENT_64B", 1, "DCC independent 64B"),
        ("DCC_INDEPENDENT_128B", 1, "DCC independent 128B"),
        ("DCC_MAX_COMPRESSED_BLOCK", 2, "DCC blocks up to 256B"),
        ("DCC_CONSTANT_ENCODE", 1, "DCC constant encode"),
        ("PIPE_XOR_BITS", 7, "pipe xor bits 7"),
        ("BANK_XOR_BITS", 7, "bank xor bits 7"),
        ("PACKERS", 7, "packers 7"),
        ("RB", 7, "RB 7"),
        ("PIPE", 7, "pipes 7"),
    ];
    with_headers(|path, macros| {
        let get = |name: &str| value(path, macros, &format!("AMD_FMT_MOD_{name}"));
        let set = |field: &str, value: u64| value << get(&format!("{field}_SHIFT"));
        let base = 2 << 56
            | set("TILE_VERSION", get("TILE_VER_GFX9"))
            | set("TILE", get("TILE_GFX9_64K_S_X"))
            | set("DCC", 1);
        let words = |code: u64| Modifier::new(code).unwrap().to_string();
        assert!(
            words(base).starts_with("AMD GFX9, 64K_S_X, DCC, DCC blocks up to 64B ("),
            "{path}"
        );
        for (field, value, expected) in fields {
            let text = words(base | set(field, value));
            assert!(text.contains(expected), "{field} in {path}: {text}");
            assert!(
                !words(base).contains(expected) && !text.contains("unknown"),
                "{text}"
            );
        }
        for (version, expected) in [
            ("GFX10", "GFX10"),
            ("GFX10_RBPLUS", "GFX10 RB+"),
            ("GFX11", "GFX11"),
        ] {
            let code = 2 << 56 | get(&format!("TILE_VER_{version}")) | set("TILE", 27);
            assert!(
                words(code).starts_with(&format!("AMD {expected}, 64K_R_X (")),
                "{version}"
            );
        }
        // Linux 6.10 brought GFX12; Ubuntu 24.04's headers are older.
        if !macros.contains_key("AMD_FMT_MOD_TILE_VER_GFX12") {
            eprintln!("skipped case: headers: {path} is older than GFX12");
            return;
        }
        let gfx12 = 2 << 56 | get("TILE_VER_GFX12") | set("TILE", get("TILE_GFX12_256K_2D"));
        assert!(words(gfx12).starts_with("AMD GFX12, 256K_2D ("), "{path}");
    });
}

#[test]
fn afbc_flags_are_the_headers() {
    with_headers(|path, macros| {
        let base = 8 << 56 | 1;
        for flag in [
            "YTR", "SPLIT", "SPARSE", "CBR", "TILED", "SC", "DB", "BCH", "USM",
        ] {
            let bit = value(path, macros, &format!("AFBC_FORMAT_MOD_{flag}"));
            let text = Modifier::new(base | bit).unwrap().to_string();
            let start = format!("Arm AFBC, superblocks 16x16, {flag}");
            assert!(text.starts_with(&start), "{flag} in {path}: {text}");
        }
    });
}

#[cfg(feature = "egl")]
#[test]
fn opengl_enumerants_are_the_bindings() {
    let expected = [
        (
            Format::ARGB8888,
            glow::RGBA8,
            glow::RGBA,
            glow::UNSIGNED_BYTE,
        ),
        (Format::BGR888, glow::RGB8, glow::RGB, glow::UNSIGNED_BYTE),
        (
            Format::RGB565,
            glow::RGB565,
            glow::RGB,
            glow::UNSIGNED_SHORT_5_6_5,
        ),
        (
            Format::RGBA4444,
            glow::RGBA4,
            glow::RGBA,
            glow::UNSIGNED_SHORT_4_4_4_4,
        ),
        (
            Format::RGBA5551,
            glow::RGB5_A1,
            glow::RGBA,
            glow::UNSIGNED_SHORT_5_5_5_1,
        ),
        (
            Format::ABGR2101010,
            glow::RGB10_A2,
            glow::RGBA,
            glow::UNSIGNED_INT_2_10_10_10_REV,
        ),
        (
            Format::ABGR16161616,
            glow::RGBA16,
            glow::RGBA,
            glow::UNSIGNED_SHORT,
        ),
        (
            Format::ABGR16161616F,
            glow::RGBA16F,
            glow::RGBA,
            glow::HALF_FLOAT,
        ),
        (Format::R8, glow::R8, glow::RED, glow::UNSIGNED_BYTE),
        (Format::GR88, glow::RG8, glow::RG, glow::UNSIGNED_BYTE),
        (Format::R16, glow::R16, glow::RED, glow::UNSIGNED_SHORT),
        (Format::GR1616, glow::RG16, glow::RG, glow::UNSIGNED_SHORT),
    ];
    for (format, internal_format, upload, kind) in expected {
        let gl = format.info().and_then(|info| info.gl).unwrap();
        assert_eq!(
            (gl.internal_format, gl.format, gl.kind),
            (internal_format, upload, kind),
            "{format}"
        );
    }
    let argb = Format::ARGB8888.info().and_then(|info| info.gl).unwrap();
    assert_eq!(argb.internal_format_srgb, Some(glow::SRGB8_ALPHA8));
    assert_eq!(
        argb.swizzle,
        [glow::BLUE, glow::GREEN, glow::RED, glow::ALPHA]
    );
    let bgr = Format::BGR888.info().and_then(|info| info.gl).unwrap();
    assert_eq!(
        (bgr.internal_format_srgb, bgr.swizzle[3]),
        (Some(glow::SRGB8), glow::ONE)
    );
}
