//! The table of driver faults: each has evidence and a test, docs/quirks.md is the same, and `LUCARNE_QUIRKS` works.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use lucarne::kernel::Memfd;
use lucarne::negotiate::StrikeReason;
use lucarne::quirks::{self, Active, Applies, Why};
use lucarne::{
    ColorKind, DeviceId, Extent, Format, Frame, FrameLayout, Memory, MemoryPath, Offer, Request,
    Requirement, Usage, egl, negotiate,
};
use lucarne_tests::{child, pair::Pair, skip::skip};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The names of all test functions below `folder`.
fn tests_below(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder of ours") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("target") {
            tests_below(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a file of ours");
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            let attributes = lines
                .iter()
                .enumerate()
                .filter(|(_, line)| **line == "#[test]");
            for (at, _) in attributes {
                let rest = lines[at..].iter();
                let function = rest.filter_map(|line| line.strip_prefix("fn ")).next();
                let name = function.and_then(|line| line.split_once('('));
                names.insert(name.expect("a test is a function").0.to_owned());
            }
        }
    }
}

#[test]
fn each_quirk_names_a_test_that_is_there() {
    let mut names = BTreeSet::new();
    for folder in ["crates", "tests"] {
        tests_below(&root().join(folder), &mut names);
    }
    assert!(
        names.len() > 100,
        "{} tests: is this the repository?",
        names.len()
    );
    for quirk in quirks::ALL {
        assert!(
            names.contains(quirk.test),
            "{}: no test {}",
            quirk.name,
            quirk.test
        );
    }
}

/// docs/quirks.md, as the table has it.
fn document() -> String {
    let mut text = String::from(
        "# Quirks\n\n\
         Driver faults that Lucarne knows and works around. This page is made from the table in \
         `crates/lucarne/src/quirks/`:\n\
         `LUCARNE_WRITE_DOCS=1 cargo test -p lucarne-tests --test quirks` writes it, and the same test compares it. Line \
         numbers\nare of Mesa 25.0.7.\n\n\
         `vulkan::Adapter::quirks` and `egl::Device::quirks` list what is active on a device, and why: `always on`, \
         `driver\nmatches`, `seen on this device`, or `forced by LUCARNE_QUIRKS`. That variable switches quirks on and \
         off, to try a\nworkaround on a driver that the table does not name, or to see whether a newer driver still needs \
         one:\n\n```\nLUCARNE_QUIRKS=+nvidia-foreign-import,-software-fence-export\n```\n\n\
         A name that is not in the table is an error when a device is opened; so is `-` before one that is always on.\n",
    );
    for quirk in quirks::ALL {
        let active = match quirk.applies {
            Applies::Always => "always".to_owned(),
            Applies::Observed => "where the device shows it".to_owned(),
            Applies::Drivers(matches) => matches.iter().map(range).collect::<Vec<_>>().join("; "),
            _ => panic!("{}: not described", quirk.name),
        };
        let rows = [
            ("drivers", quirk.drivers),
            ("fault", quirk.fault),
            ("evidence", quirk.evidence),
            ("answer", quirk.answer),
            ("active", &active),
        ];
        write!(text, "\n## {}\n\n| | |\n|---|---|\n", quirk.name).expect("a string");
        for (name, value) in rows {
            writeln!(text, "| {name} | {value} |").expect("a string");
        }
        writeln!(text, "| test | `{}` |", quirk.test).expect("a string");
    }
    text
}

fn range(one: &quirks::Match) -> String {
    let mut text = format!("{:?}", one.family);
    if let Some(api) = one.api {
        write!(text, " through {api:?}").expect("a string");
    }
    if one.from > quirks::Version(0, 0, 0) {
        write!(text, ", from {}", one.from).expect("a string");
    }
    if let Some(below) = one.below {
        write!(text, ", below {below}").expect("a string");
    }
    text
}

#[test]
fn the_document_is_the_table() {
    let path = root().join("docs/quirks.md");
    if std::env::var_os("LUCARNE_WRITE_DOCS").is_some() {
        fs::write(&path, document()).expect("docs/quirks.md can be written");
    }
    let written = fs::read_to_string(&path).expect("docs/quirks.md");
    assert_eq!(written, document(), "LUCARNE_WRITE_DOCS=1 writes it anew");
}

/// Runs `test` of this program with `LUCARNE_QUIRKS` and shows what it said when it failed.
fn play(test: &str, environment: &[(&str, &str)]) {
    let output = child::run(test, environment);
    let said = String::from_utf8_lossy(&output.stderr);
    let summary = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{summary}");
    assert!(summary.contains("1 passed"), "{summary}");
}

fn why(active: &[Active], name: &str) -> Option<Why> {
    let found = active.iter().find(|one| one.quirk.name == name);
    found.map(|one| one.why)
}

fn linear_usages(offer: &Offer) -> Vec<Usage> {
    let linear = offer.entries.iter().filter(|entry| {
        let modifier = entry.tiling.modifier();
        entry.path == MemoryPath::DmaBuf && modifier.is_some_and(|one| one.is_linear())
    });
    linear.map(|entry| entry.usage).collect()
}

/// A pair of software drivers, or a skip.
fn software() -> Option<Pair> {
    let pair = Pair::open();
    if pair.gl.id().software && pair.vk.adapter().id().software {
        return Some(pair);
    }
    skip(
        "software",
        "this machine's drivers are a GPU's, and these are quirks of software",
    );
    None
}

#[test]
fn forced_quirks_change_what_vulkan_says() {
    const ME: &str = "forced_quirks_change_what_vulkan_says";
    let Some(pair) = software() else { return };
    let adapter = pair.vk.adapter();
    let offer = pair.vk.offer(Usage::RENDER).expect("an offer");
    let usages = linear_usages(&offer);
    let renders = usages.iter().filter(|usage| usage.contains(Usage::RENDER));
    if child::is(ME) {
        assert_eq!(renders.count(), 0, "{usages:?}");
        let nvidia = quirks::NVIDIA_LINEAR.name;
        assert_eq!(why(adapter.quirks(), nvidia), Some(Why::Forced));
        assert_eq!(why(adapter.quirks(), "hides-modifier-features"), None);
        assert!(!adapter.hides_modifier_features());
        return;
    }
    assert_eq!(why(adapter.quirks(), quirks::NVIDIA_LINEAR.name), None);
    let dma_bufs = pair.vk.path(MemoryPath::DmaBuf).is_yes();
    assert_eq!(renders.count() > 0, dma_bufs, "{usages:?}");
    let hidden = why(adapter.quirks(), "hides-modifier-features");
    assert_eq!(
        adapter.hides_modifier_features(),
        hidden == Some(Why::Observed)
    );
    let forced = "+nvidia-linear-not-renderable,-hides-modifier-features";
    play(ME, &[("LUCARNE_QUIRKS", forced)]);
}

#[test]
fn forced_quirks_change_what_opengl_offers() {
    const ME: &str = "forced_quirks_change_what_opengl_offers";
    let Some(pair) = software() else { return };
    let gl = &pair.gl;
    let offer = pair.consumer();
    let usages = linear_usages(&offer);
    if child::is(ME) {
        if why(gl.quirks(), "kms-swrast") == Some(Why::Forced) {
            let reason = offer.path(MemoryPath::DmaBuf).reason();
            assert!(reason.contains("kms_swrast"), "{reason}");
            assert!(usages.is_empty());
            return;
        }
        if why(gl.quirks(), "opaque-fd-is-a-dma-buf") == Some(Why::Forced) {
            let reason = offer.path(MemoryPath::OpaqueFd).reason();
            let exports = lucarne::kernel::Udmabuf::probe().is_yes();
            assert_eq!(
                reason.contains("opaque-fd-is-a-dma-buf"),
                exports,
                "{reason}"
            );
            return;
        }
        assert!(!usages.is_empty());
        assert!(
            usages.iter().all(|usage| *usage == Usage::SAMPLE),
            "{usages:?}"
        );
        assert_eq!(why(gl.quirks(), "software-fence-export"), None);
        let reason = offer.fences.export.reason();
        assert!(!reason.contains("deadlocks"), "{reason}");
        return;
    }
    assert!(
        usages.iter().any(|usage| usage.contains(Usage::RENDER)),
        "{usages:?}"
    );
    assert!(
        offer
            .entries
            .iter()
            .all(|entry| !entry.external_only || is_ycbcr(entry.format)),
        "llvmpipe has no such entries"
    );
    assert_eq!(
        why(gl.quirks(), "kms-swrast"),
        None,
        "the software EGL device was asked for"
    );
    assert_eq!(
        why(gl.quirks(), "software-fence-export"),
        Some(Why::DriverMatches)
    );
    assert_eq!(
        why(gl.quirks(), "software-waits-for-ever"),
        Some(Why::Observed)
    );
    let forced = "+nvidia-linear-not-renderable,-software-fence-export";
    play(ME, &[("LUCARNE_QUIRKS", forced)]);
    play(ME, &[("LUCARNE_QUIRKS", "+kms-swrast")]);
    play(ME, &[("LUCARNE_QUIRKS", "+opaque-fd-is-a-dma-buf")]);
}

fn is_ycbcr(format: Format) -> bool {
    format
        .info()
        .is_some_and(|info| info.color == ColorKind::Yuv)
}

/// How often OpenGL copies each frame that lies in a memfd.
fn copies_of_host_memory(pair: &Pair) -> u32 {
    let extent = Extent::new(64, 64);
    let linear = FrameLayout::linear(extent, Format::ABGR8888);
    let (layout, size) = linear.expect("a layout");
    // Room beyond the last row: a driver may map more than the rows.
    let memory = Memfd::create("lucarne-test", size + 65536).expect("memory");
    let frame = Frame::new(layout, Memory::HostMemory(memory), DeviceId::default());
    let texture = pair.gl.import(&frame.expect("a frame"));
    texture.expect("a texture").copies_per_frame()
}

#[test]
fn linear_memory_is_withdrawn_where_the_self_test_fails() {
    const ME: &str = "linear_memory_is_withdrawn_where_the_self_test_fails";
    let Some(pair) = software() else { return };
    let offer = pair.consumer();
    if !child::is(ME) {
        assert_eq!(offer.withdrawn, [], "no such quirk here");
        if offer.path(MemoryPath::DmaBuf).is_yes() {
            assert_eq!(
                copies_of_host_memory(&pair),
                0,
                "a memfd is mapped as it is"
            );
        }
        play(ME, &[("LUCARNE_QUIRKS", "+nvidia-foreign-import")]);
        // Without the preloaded emulation there may be no /dev/udmabuf to test with.
        let alone = [
            ("LUCARNE_QUIRKS", "+nvidia-foreign-import"),
            ("LD_PRELOAD", ""),
        ];
        play(ME, &alone);
        return;
    }
    assert_eq!(
        why(pair.gl.quirks(), "nvidia-foreign-import"),
        Some(Why::Forced)
    );
    if lucarne::kernel::Udmabuf::probe().is_yes() {
        assert_eq!(offer.withdrawn, [], "this driver passes the test");
        assert!(!linear_usages(&offer).is_empty());
        return;
    }
    let [withdrawn] = &offer.withdrawn[..] else {
        panic!("one thing is withdrawn: {:?}", offer.withdrawn);
    };
    let StrikeReason::SelfTest(Requirement::Quirk { name, effect }) = &withdrawn.reason else {
        panic!("a quirk: {withdrawn:?}");
    };
    assert_eq!(*name, "nvidia-foreign-import");
    assert!(effect.contains("/dev/udmabuf"), "{effect}");
    assert_eq!(copies_of_host_memory(&pair), 1, "not in place: withdrawn");
    let request = Request::new(Extent::new(64, 64))
        .formats(&[Format::XRGB8888])
        .paths(&[MemoryPath::DmaBuf]);
    // Against a producer that can do all that this consumer can.
    let mut producer = offer.clone();
    producer.withdrawn.clear();
    for entry in &mut producer.entries {
        entry.exportable = true;
    }
    let refusal = negotiate(&producer, &offer, &request).expect_err("withdrawn");
    assert!(refusal.to_string().contains("lists it, but"), "{refusal}");
}

#[test]
fn implicit_sync_is_not_promised_where_the_driver_has_none() {
    const ME: &str = "implicit_sync_is_not_promised_where_the_driver_has_none";
    let Some(pair) = software() else { return };
    let support = pair.gl.implicit_sync();
    if child::is(ME) {
        assert!(support.is_yes());
        return;
    }
    assert!(
        support.reason().contains("no-implicit-sync"),
        "{}",
        support.reason()
    );
    play(ME, &[("LUCARNE_QUIRKS", "-no-implicit-sync")]);
}

#[test]
fn a_name_that_nobody_knows_is_an_error() {
    const ME: &str = "a_name_that_nobody_knows_is_an_error";
    if !child::is(ME) {
        play(ME, &[("LUCARNE_QUIRKS", "+nvidia-linear")]);
        play(ME, &[("LUCARNE_QUIRKS", "-fds-without-cloexec")]);
        return;
    }
    let vulkan = lucarne::vulkan::Instance::new(&lucarne::vulkan::InstanceOptions::default());
    let vulkan = vulkan.and_then(|instance| instance.adapters()).map(drop);
    let adapters = egl::Adapter::enumerate().expect("EGL devices");
    let opengl = adapters.first().expect("one").open().map(drop);
    for outcome in [vulkan, opengl] {
        let error = outcome.expect_err("a wrong variable").to_string();
        assert!(error.contains("LUCARNE_QUIRKS"), "{error}");
        assert!(error.contains("nvidia-linear-not-renderable"), "{error}");
    }
}
