use std::collections::BTreeSet;

use super::*;

fn lavapipe() -> Driver {
    Driver::of_vulkan(13, "Mesa 25.0.7-2~bpo12+1 (LLVM 15.0.6)", 1)
}

fn llvmpipe() -> Driver {
    let version = "OpenGL ES 3.2 Mesa 25.0.7-2~bpo12+1";
    Driver::of_gl("Mesa", "llvmpipe (LLVM 15.0.6, 256 bits)", version)
}

fn nvidia_gl() -> Driver {
    let renderer = "NVIDIA GeForce RTX 3060/PCIe/SSE2";
    Driver::of_gl("NVIDIA Corporation", renderer, "4.6.0 NVIDIA 580.95.05")
}

fn active(driver: &Driver, overrides: &str) -> Quirks {
    let overrides = Overrides::parse(overrides).expect("known names");
    Quirks::resolve(driver, &[], &overrides)
}

#[test]
fn drivers_are_told_by_what_they_say() {
    let is = |driver: Driver, family, version| {
        assert_eq!(driver.family, family, "{driver:?}");
        assert_eq!(driver.version, version, "{driver:?}");
    };
    is(lavapipe(), Family::MesaSoftware, Some(Version(25, 0, 7)));
    is(llvmpipe(), Family::MesaSoftware, Some(Version(25, 0, 7)));
    is(nvidia_gl(), Family::Nvidia, Some(Version(580, 95, 5)));
    let info = "Mesa 24.2.8-1ubuntu1~24.04.1";
    is(
        Driver::of_vulkan(3, info, 0),
        Family::MesaAmd,
        Some(Version(24, 2, 8)),
    );
    is(
        Driver::of_vulkan(6, info, 0),
        Family::MesaIntel,
        Some(Version(24, 2, 8)),
    );
    is(
        Driver::of_vulkan(18, info, 0),
        Family::MesaOther,
        Some(Version(24, 2, 8)),
    );
    // 580.95.5 as NVIDIA packs it, and 2.0.330 as AMD does.
    let packed = 580 << 22 | 95 << 14 | 5 << 6;
    is(
        Driver::of_vulkan(4, "", packed),
        Family::Nvidia,
        Some(Version(580, 95, 5)),
    );
    let packed = 2 << 22 | 330;
    is(
        Driver::of_vulkan(2, "", packed),
        Family::Amd,
        Some(Version(2, 0, 330)),
    );
    is(Driver::of_vulkan(0, "", 0), Family::Other, None);
    let gl = Driver::of_gl;
    let version = "4.6 (Core Profile) Mesa 25.0.7";
    is(
        gl("Intel", "Mesa Intel(R) Xe Graphics (TGL GT2)", version),
        Family::MesaIntel,
        Some(Version(25, 0, 7)),
    );
    let renderer = "AMD Radeon RX 6800 (radeonsi, navi21, LLVM 19.1.7, DRM 3.61)";
    is(
        gl("AMD", renderer, version),
        Family::MesaAmd,
        Some(Version(25, 0, 7)),
    );
    let renderer = "zink Vulkan 1.4(Intel(R) Arc(tm) A770 Graphics (INTEL_OPEN_SOURCE_MESA))";
    is(
        gl("Mesa", renderer, version),
        Family::MesaOther,
        Some(Version(25, 0, 7)),
    );
    is(
        gl("ARM", "Mali-G610", "OpenGL ES 3.2 v1.g18p0"),
        Family::Other,
        None,
    );
}

#[test]
fn versions_bound_a_match_on_both_sides() {
    let range = Match {
        api: Some(Api::OpenGl),
        family: Family::Nvidia,
        from: Version(520, 0, 0),
        below: Some(Version(595, 0, 0)),
    };
    let of = |version| Driver {
        api: Api::OpenGl,
        family: Family::Nvidia,
        version,
    };
    assert!(range.is(&of(Some(Version(520, 0, 0)))));
    assert!(range.is(&of(Some(Version(594, 99, 1)))));
    assert!(!range.is(&of(Some(Version(519, 99, 99)))));
    assert!(!range.is(&of(Some(Version(595, 0, 0)))));
    assert!(
        range.is(&of(None)),
        "one that does not tell is taken to have it"
    );
    assert!(!range.is(&llvmpipe()));
    let vulkan = Driver {
        api: Api::Vulkan,
        ..of(None)
    };
    assert!(!range.is(&vulkan));
}

#[test]
fn drivers_match_their_quirks_and_not_each_others() {
    let software = active(&llvmpipe(), "");
    for quirk in [
        &PLANAR_FALSELY_ADVERTISED,
        &SOFTWARE_READS_FOUR_ROWS,
        &SOFTWARE_MAPS_LATE,
        &SOFTWARE_FENCE_EXPORT,
        &NO_IMPLICIT_SYNC,
    ] {
        assert!(software.has(quirk), "{}", quirk.name);
    }
    assert!(!software.has(&NVIDIA_LINEAR));
    assert!(!software.has(&NVIDIA_FOREIGN_IMPORT));
    let nvidia = active(&nvidia_gl(), "");
    for quirk in [&NVIDIA_LINEAR, &NVIDIA_FOREIGN_IMPORT, &NO_IMPLICIT_SYNC] {
        assert!(nvidia.has(quirk), "{}", quirk.name);
    }
    assert!(!nvidia.has(&SOFTWARE_READS_FOUR_ROWS));
    assert!(!nvidia.has(&AMD_LINEAR_ALIGNMENT));
    let radv = Driver::of_vulkan(3, "Mesa 25.0.7", 0);
    assert!(active(&radv, "").has(&AMD_LINEAR_ALIGNMENT));
    let anv = active(&Driver::of_vulkan(6, "Mesa 25.0.7", 0), "");
    let always = |one: &Active| one.why == Why::Always;
    assert!(anv.active().iter().all(always), "{anv:?}");
}

#[test]
fn layered_drivers_have_not_the_faults_of_what_they_name() {
    let version = "OpenGL ES 3.2 Mesa 25.0.7";
    for renderer in [
        "virgl (LLVMPIPE (LLVM 15.0.6, 256 bits))",
        "virgl (llvmpipe (LLVM 15.0.6, 256 bits))",
        "virgl (AMD Radeon RX 6800 (radeonsi, navi21))",
        "zink Vulkan 1.4(llvmpipe (LLVM 15.0.6, 256 bits) (MESA_LLVMPIPE))",
    ] {
        let driver = Driver::of_gl("Mesa", renderer, version);
        assert_eq!(driver.family, Family::MesaOther, "{renderer}");
        assert!(!is_software(renderer), "{renderer}");
    }
    assert!(is_software("llvmpipe (LLVM 15.0.6, 256 bits)"));
}

#[test]
fn the_variable_forces_on_and_off() {
    let on = active(
        &llvmpipe(),
        "+nvidia-linear-not-renderable, -software-reads-four-rows",
    );
    assert!(on.has(&NVIDIA_LINEAR));
    assert!(!on.has(&SOFTWARE_READS_FOUR_ROWS));
    let forced = on.active().iter().find(|one| one.quirk == &NVIDIA_LINEAR);
    let shown = forced.expect("active").to_string();
    assert_eq!(
        shown,
        "nvidia-linear-not-renderable (forced by LUCARNE_QUIRKS)"
    );
    let last = active(&llvmpipe(), "+kms-swrast,-kms-swrast,");
    assert!(!last.has(&KMS_SWRAST), "the last word counts");
    let seen = Quirks::resolve(&llvmpipe(), &[&KMS_SWRAST], &Overrides::default());
    let seen = seen.active().iter().find(|one| one.quirk == &KMS_SWRAST);
    assert_eq!(seen.expect("active").why, Why::Observed);
}

#[test]
fn the_variable_refuses_what_it_does_not_know() {
    for (text, said) in [
        ("+no-such-quirk", "not known"),
        ("kms-swrast", "neither + nor -"),
        ("-success-with-negative-fd", "always on"),
    ] {
        let error = Overrides::parse(text).expect_err(text);
        assert!(error.contains(said), "{error}");
    }
    let known = known();
    for quirk in ALL {
        assert!(known.contains(quirk.name), "{known}");
    }
}

#[test]
fn names_are_unique_and_nothing_is_left_empty() {
    let names: BTreeSet<&str> = ALL.iter().map(|quirk| quirk.name).collect();
    assert_eq!(names.len(), ALL.len());
    for quirk in ALL {
        let kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(quirk.name.chars().all(kebab), "{}", quirk.name);
        for text in [quirk.drivers, quirk.fault, quirk.evidence, quirk.answer] {
            assert!(text.len() >= 8, "{}: {text:?}", quirk.name);
            assert!(
                !text.contains(['|', '\n']),
                "{}: breaks the table of docs/quirks.md",
                quirk.name
            );
        }
        assert_eq!(named(quirk.name), Some(*quirk));
    }
}

#[test]
fn amd_wants_linear_pitches_of_256_bytes() {
    use crate::{Extent, Format, Modifier, Plane, Tiling};
    let layout = |pitch, modifier| {
        let plane = Plane {
            object: 0,
            offset: 0,
            pitch,
        };
        let tiling = Tiling::Explicit(modifier);
        let extent = Extent::new(48, 16);
        FrameLayout::new(extent, Format::XRGB8888, tiling, &[plane], &[8192]).expect("fits")
    };
    let amd = active(&Driver::of_vulkan(3, "Mesa 25.0.7", 0), "");
    amd.check_linear(&layout(256, Modifier::LINEAR))
        .expect("whole units");
    let error = amd.check_linear(&layout(192, Modifier::LINEAR));
    let error = error.expect_err("three quarters of a unit").to_string();
    assert!(
        error.contains("256") && error.contains("amd-linear-alignment"),
        "{error}"
    );
    let tiled = Modifier::new(0x0200_0000_2080_1b04).expect("explicit");
    amd.check_linear(&layout(192, tiled))
        .expect("tiled layouts are the driver's own");
    let software = active(&llvmpipe(), "");
    software
        .check_linear(&layout(192, Modifier::LINEAR))
        .expect("another driver");
}
