//! Lucarne's Vulkan layer in programs of others, on an X server of the test's own: vkcube, alone and with MangoHud.

#[allow(dead_code, reason = "each test program uses a part of it")]
#[path = "layer/manifest.rs"]
mod manifest;

use std::process::{Command, Output};

use lucarne_tests::display::Xvfb;
use lucarne_tests::skip::skip;
use manifest::{LAYER, Manifest};

/// Thirty frames of vkcube; `None`, said aloud, where it or a server is missing.
fn vkcube(variables: &[(&str, &str)]) -> Option<Output> {
    let xvfb = Xvfb::start(640, 480, None)?;
    let mut vkcube = Command::new("vkcube");
    vkcube.args(["--c", "30"]).env("DISPLAY", &xvfb.name);
    vkcube
        .env_remove("WAYLAND_DISPLAY")
        .envs(variables.iter().copied());
    match vkcube.output() {
        Ok(output) => Some(output),
        Err(error) => {
            skip(
                "vulkan-tools",
                &format!("vkcube: {error} (package vulkan-tools)"),
            );
            None
        }
    }
}

fn text(output: &Output) -> String {
    let [out, error] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}{error}")
}

#[test]
fn vkcube_draws() {
    let layer = Manifest::new();
    let Some(output) = vkcube(&layer.explicit(LAYER)) else {
        return;
    };
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches("lucarne-layer: loaded").count(), 1, "{said}");
}

#[test]
fn vkcube_draws_with_mangohud() {
    let layer = Manifest::new();
    let mangohud = ("MANGOHUD", "1");
    let variables = [
        &layer.explicit(LAYER)[..],
        &[mangohud, ("VK_LOADER_DEBUG", "layer")],
    ]
    .concat();
    let Some(output) = vkcube(&variables) else {
        return;
    };
    let said = text(&output);
    // The loader tells which layers it has called, from the program down.
    if !said.contains("VK_LAYER_MANGOHUD_overlay") {
        return skip(
            "mangohud",
            "the loader finds no such layer (package mangohud)",
        );
    }
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches("lucarne-layer: loaded").count(), 1, "{said}");
}
