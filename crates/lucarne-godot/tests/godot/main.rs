//! The extension in Godot 4, on an X server of the test's own: streams come in and viewports go out, and every pixel is compared.

mod engine;
#[allow(dead_code, reason = "each test program uses a part of it")]
#[path = "../../../../tests/tests/layer/manifest.rs"]
mod manifest;
mod stream;

use std::sync::{Mutex, MutexGuard, PoisonError};

use engine::{Godot, Setup, Stage, WINDOW};
use lucarne::{Extent, Format, MemoryPath};
use lucarne_tests::engine::{Direction, Seen, record};
use serde_json::Value;
use stream::{Sink, Source, assert_pixels, part, pattern};

const LARGE: Extent = Extent::new(WINDOW.0, WINDOW.1);
const SMALL: Extent = Extent::new(96, 72);
const FORMATS: [Format; 2] = [Format::ABGR8888, Format::ARGB8888];

const DMA_BUF: Setup = Setup {
    layer: true,
    emulated: true,
    opengl: false,
    validated: false,
};

/// One Godot, or one pair, at a time: each draws with all processors.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Checks the path, and leaves what was seen for the table of docs/engines.md: one row for each path, so that OpenGL, which has none of
/// its own, and pairs with dma-bufs leave none.
fn note(facts: &Value, direction: Direction, path: MemoryPath, setup: Setup, pixels: u64) {
    let way = match direction {
        Direction::Import => "in",
        Direction::Export => "out",
    };
    let end = &facts[way];
    assert_eq!(end["path"], path.name(), "{end:#}");
    if setup.opengl {
        return;
    }
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let fences = text(&end["fences"]);
    let fences = if fences.starts_with("CPU wait") {
        "CPU wait".to_owned()
    } else {
        fences
    };
    let emulation = if setup.emulated {
        ", dma-bufs emulated"
    } else {
        ""
    };
    record(&Seen {
        engine: "Godot".to_owned(),
        version: text(&facts["engine"]),
        direction,
        path,
        fences,
        copies: u32::try_from(end["copies"].as_u64().expect("a count")).expect("few"),
        pixels,
        driver: format!("{}{emulation}", text(&facts["driver"])),
    });
}

/// Streams of both formats come, end, and come back at another size; a frame of each is compared.
fn shows(stage: &Stage, godot: &mut Godot, setup: Setup, path: MemoryPath) {
    let dark = [31, 31, 31, 255];
    assert_eq!(godot.shot()[..4], dark, "the placeholder");
    godot.ask("show in");
    let mut compared = 0;
    for (extent, format) in [(LARGE, FORMATS[0]), (SMALL, FORMATS[1])] {
        let mut source = Source::new(&stage.streams(), "in", setup.emulated, (extent, &[format]));
        for seed in [1, 2, 3] {
            source.send(godot, seed);
            let shot = godot.shot();
            let found = part(&shot, WINDOW.0, extent);
            assert_pixels(
                &format!("{format} {seed}"),
                &found,
                &pattern(seed, extent),
                extent.width,
            );
            compared += u64::from(extent.width * extent.height);
        }
        godot.expect("arrived");
        godot.expect(&format!("resized {} {}", extent.width, extent.height));
        let facts = godot.facts();
        note(&facts, Direction::Import, path, setup, compared);
        // Alternately a death and a good-bye.
        if format == FORMATS[0] {
            drop(source);
        } else {
            source.end();
        }
        godot.expect("lost");
        let shot = godot.shot();
        let found = part(&shot, WINDOW.0, extent);
        assert_pixels(
            "the last picture",
            &found,
            &pattern(3, extent),
            extent.width,
        );
    }
}

/// A viewport goes to a consumer, and is painted anew and at another size meanwhile.
fn publishes(stage: &Stage, godot: &mut Godot, setup: Setup, path: MemoryPath) {
    godot.ask("publish out");
    let mut sink = Sink::new(&stage.streams(), "out", setup.emulated);
    let mut compared = 0;
    for (seed, extent) in [(4, LARGE), (5, LARGE), (6, SMALL), (7, LARGE)] {
        godot.ask(&format!("paint {seed} {} {}", extent.width, extent.height));
        sink.expect(&pattern(seed, extent), extent);
        compared += u64::from(extent.width * extent.height);
    }
    godot.expect("joined");
    let facts = godot.facts();
    note(&facts, Direction::Export, path, setup, compared);
    drop(sink);
    godot.expect("left");
}

#[test]
fn with_the_layer_dma_bufs_come_and_go() {
    let _alone = alone();
    let Some(stage) = Stage::new() else { return };
    let mut godot = Godot::start(&stage, DMA_BUF);
    shows(&stage, &mut godot, DMA_BUF, MemoryPath::DmaBuf);
    publishes(&stage, &mut godot, DMA_BUF, MemoryPath::DmaBuf);
    let facts = godot.facts();
    assert_eq!(facts["in"]["copies"], 1, "{facts:#}");
    assert_eq!(facts["out"]["copies"], 1, "{facts:#}");
    godot.quit();
}

#[test]
fn the_validation_layer_has_nothing_against_it() {
    let _alone = alone();
    let Some(stage) = Stage::new() else { return };
    if !engine::can_validate() {
        return;
    }
    let setup = Setup {
        validated: true,
        ..DMA_BUF
    };
    let mut godot = Godot::start(&stage, setup);
    shows(&stage, &mut godot, setup, MemoryPath::DmaBuf);
    publishes(&stage, &mut godot, setup, MemoryPath::DmaBuf);
    godot.quit();
}

#[test]
fn without_the_layer_frames_go_through_host_memory_and_it_says_why() {
    let _alone = alone();
    let Some(stage) = Stage::new() else { return };
    let setup = Setup::default();
    let mut godot = Godot::start(&stage, setup);
    shows(&stage, &mut godot, setup, MemoryPath::HostMemory);
    publishes(&stage, &mut godot, setup, MemoryPath::HostMemory);
    let facts = godot.facts();
    for reason in [&facts["in"]["reason"], &facts["out"]["reason"]] {
        let reason = reason.as_str().expect("a reason");
        assert!(reason.contains("lucarne run -- godot"), "{reason}");
    }
    assert_eq!(facts["out"]["copies"], 2, "{facts:#}");
    godot.quit();
}

/// What one Godot paints, another shows, of one driver.
fn pair(stage: &Stage, setup: Setup, trust: &str, path: MemoryPath) {
    let mut painter = Godot::start(stage, setup);
    let mut shower = Godot::start(stage, setup);
    painter.ask("publish pair");
    shower.ask(&format!("show pair{trust}"));
    for (seed, extent) in [(11, LARGE), (12, SMALL), (13, LARGE)] {
        painter.ask(&format!("paint {seed} {} {}", extent.width, extent.height));
        let wanted = pattern(seed, extent);
        let seen = || {
            let shot = shower.shot();
            part(&shot, WINDOW.0, extent) == wanted
        };
        lucarne_tests::display::until(&format!("{extent} of {seed}"), {
            let mut seen = seen;
            move || seen().then_some(())
        });
    }
    let pixels = u64::from(2 * LARGE.width * LARGE.height + SMALL.width * SMALL.height);
    let (out, shown) = (painter.facts(), shower.facts());
    assert_eq!(out["out"]["path"], path.name(), "{out:#}");
    assert_eq!(shown["in"]["path"], path.name(), "{shown:#}");
    if path == MemoryPath::OpaqueFd {
        note(&out, Direction::Export, path, setup, pixels);
        note(&shown, Direction::Import, path, setup, pixels);
    }
    painter.quit();
    shower.expect("lost");
    shower.quit();
}

#[test]
fn two_godots_share_dma_bufs() {
    let _alone = alone();
    let Some(stage) = Stage::new() else { return };
    pair(&stage, DMA_BUF, "", MemoryPath::DmaBuf);
}

#[test]
fn two_godots_that_trust_share_opaque_memory_where_there_are_no_dma_bufs() {
    let _alone = alone();
    let Some(stage) = Stage::new() else { return };
    let setup = Setup {
        emulated: false,
        ..DMA_BUF
    };
    pair(&stage, setup, " trust", MemoryPath::OpaqueFd);
}

#[test]
fn opengl_goes_through_host_memory() {
    let _alone = alone();
    let Some(stage) = Stage::new() else { return };
    let setup = Setup {
        opengl: true,
        ..Setup::default()
    };
    let mut godot = Godot::start(&stage, setup);
    shows(&stage, &mut godot, setup, MemoryPath::HostMemory);
    publishes(&stage, &mut godot, setup, MemoryPath::HostMemory);
    let facts = godot.facts();
    let reason = facts["in"]["reason"].as_str().expect("a reason");
    assert!(reason.contains("gl_compatibility"), "{reason}");
    godot.quit();
}

#[test]
fn producers_that_come_and_go_leave_no_descriptor_behind() {
    let _alone = alone();
    let Some(stage) = Stage::new() else { return };
    let mut godot = Godot::start(&stage, DMA_BUF);
    godot.ask("show in");
    godot.ask("publish out");
    let mut counts = Vec::new();
    for round in 0..12 {
        let extent = if round % 2 == 0 { LARGE } else { SMALL };
        let mut source = Source::new(&stage.streams(), "in", true, (extent, &FORMATS));
        source.send(&mut godot, round);
        let mut sink = Sink::new(&stage.streams(), "out", true);
        godot.ask(&format!("paint {round} {} {}", extent.width, extent.height));
        sink.expect(&pattern(round, extent), extent);
        drop((source, sink));
        godot.expect("lost");
        godot.expect("left");
        // Some frames, after which images that are not used any more are gone.
        for _ in 0..4 {
            godot.shot();
        }
        counts.push(godot.descriptors());
    }
    let (early, late) = (counts[3], counts[11]);
    assert!(late <= early, "descriptors of Godot's: {counts:?}");
    godot.quit();
}

#[test]
fn a_name_that_is_taken_is_a_reason_and_another_one_works() {
    let _alone = alone();
    let Some(stage) = Stage::new() else { return };
    let _other = Source::new(&stage.streams(), "taken", false, (SMALL, &FORMATS));
    let mut godot = Godot::start(&stage, DMA_BUF);
    godot.ask("publish taken");
    lucarne_tests::display::until("a reason", || {
        let facts = godot.facts();
        let reason = facts["out"]["reason"].as_str().expect("a reason");
        reason.contains("taken").then_some(())
    });
    godot.ask("publish free");
    godot.ask(&format!("paint 1 {} {}", SMALL.width, SMALL.height));
    let mut sink = Sink::new(&stage.streams(), "free", true);
    sink.expect(&pattern(1, SMALL), SMALL);
    godot.quit();
}

#[test]
fn a_stream_that_only_has_padding_goes_through_host_memory() {
    let _alone = alone();
    let Some(stage) = Stage::new() else { return };
    let mut godot = Godot::start(&stage, DMA_BUF);
    godot.ask("show in");
    let padded = [Format::XRGB8888];
    let mut source = Source::new(&stage.streams(), "in", true, (LARGE, &padded));
    source.send(&mut godot, 1);
    assert_pixels("XRGB8888", &godot.shot(), &pattern(1, LARGE), LARGE.width);
    let facts = godot.facts();
    assert_eq!(facts["in"]["copies"], 2, "{facts:#}");
    let reason = facts["in"]["reason"].as_str().expect("a reason");
    assert!(reason.contains("XRGB8888"), "{reason}");
    godot.quit();
}
