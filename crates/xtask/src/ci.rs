//! `cargo xtask ci`: everything that must hold before a change goes in.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::demo;
use crate::error::{FAILED, Result};
use crate::heavy;
use crate::install::Consent;
use crate::process::{self, Job};
use crate::report::{Report, Require, Tier};
use crate::shaders;
use crate::test;
use crate::workspace::Workspace;

/// The paths that the demo is run on.
const PATHS: [&str; 3] = ["dma-buf", "opaque-fd", "host-memory"];

/// What cargo checks. The documentation of the two libraries that others build is made with the features that others choose:
/// a link to what a feature leaves out is an error there.
const CARGO_CHECKS: [(&str, &str); 8] = [
    ("fmt", "fmt --all --check"),
    ("clippy", "clippy --all-targets -- -D warnings"),
    (
        "features",
        "clippy --package lucarne --no-default-features -- -D warnings",
    ),
    ("doc", "doc --no-deps"),
    // Compares lucarne.h with its sources, and compiles it.
    ("header", "test --package lucarne-capi --test c_header"),
    (
        "doc, default features",
        "doc --no-deps --package lucarne --package lucarne-stream",
    ),
    (
        "doc, no features",
        "doc --no-deps --package lucarne --package lucarne-stream --no-default-features",
    ),
    (
        "doc, all features",
        "doc --no-deps --package lucarne --package lucarne-stream --all-features",
    ),
];

/// The recipes of docs/interop.md, a package outside the workspace.
const RECIPES: &str = "examples/interop";
/// They compile for a program that depends on Lucarne and on the other library alone.
const RECIPE_CHECKS: [(&str, &str); 2] = [
    ("fmt-recipes", "fmt --check"),
    ("recipes", "clippy --all-features -- -D warnings"),
];

/// Runs all checks, then all tests, then the demo on every path.
pub(crate) fn run(workspace: &Workspace, consent: Consent, verbose: bool) -> Result<Report> {
    let mut report = checks(workspace, verbose)?;
    let options = test::Options {
        consent,
        no_guest: false,
        with: Vec::new(),
        filter: None,
    };
    report.extend(test::run(workspace, &options, verbose)?);
    report.add(demos(workspace, verbose)?);
    Ok(report)
}

/// What needs no graphics: form, lints, documentation, shaders, spelling, licences.
pub(crate) fn checks(workspace: &Workspace, verbose: bool) -> Result<Report> {
    let mut report = Report::default();
    for (name, arguments) in CARGO_CHECKS {
        let mut cargo = process::cargo();
        cargo
            .args(arguments.split(' '))
            .env("RUSTDOCFLAGS", "-D warnings")
            .current_dir(&workspace.root);
        report.add(check(workspace, name, cargo, verbose)?);
    }
    for (name, arguments) in RECIPE_CHECKS {
        let mut cargo = process::cargo();
        // Its own settings lie in that folder: no GTK and no GStreamer is looked for.
        cargo
            .args(arguments.split(' '))
            .current_dir(workspace.root.join(RECIPES));
        report.add(check(workspace, name, cargo, verbose)?);
    }
    let require = Require::from_env();
    for heavy in heavy::asked(&[], &require) {
        for (name, command) in heavy.checks(workspace) {
            report.add(check(workspace, &name, command, verbose)?);
        }
    }
    report.add(shader_check(workspace)?);
    let tools: [(&str, &str, &[&str]); 2] =
        [("typos", "typos", &[]), ("deny", "cargo-deny", &["check"])];
    for (name, program, arguments) in tools {
        if tool_exists(program) {
            let mut command = Command::new(program);
            command.args(arguments).current_dir(&workspace.root);
            report.add(check(workspace, name, command, verbose)?);
        } else {
            let reason = format!("{program} is not installed");
            report.add(Tier::not_run(name, "tool", &reason, &require));
        }
    }
    Ok(report)
}

fn tool_exists(program: &str) -> bool {
    process::find_program(program).is_some()
        || std::env::home_dir().is_some_and(|home| home.join(".cargo/bin").join(program).is_file())
}

/// One command that passes or fails as a whole.
fn check(workspace: &Workspace, name: &str, command: Command, verbose: bool) -> Result<Tier> {
    let started = Instant::now();
    let log = workspace.log(&name.replace([',', ' '], "-"));
    let ended =
        Job::new(name, command, log.clone(), verbose).run(|line| Some(line.trim().to_owned()))?;
    let mut tier = Tier::named("checks");
    tier.seconds = started.elapsed().as_secs_f64();
    if ended.success() {
        tier.passed = 1;
    } else {
        tier.fail(name, process::complaints(&log));
    }
    Ok(tier)
}

fn shader_check(workspace: &Workspace) -> Result<Tier> {
    let started = Instant::now();
    let mut tier = Tier::named("checks");
    if shaders::run(workspace, shaders::Options { check: true })? == FAILED {
        tier.fail(
            "shaders",
            "compiled shaders differ from their sources (cargo xtask shaders)",
        );
    } else {
        tier.passed = 1;
    }
    tier.seconds = started.elapsed().as_secs_f64();
    Ok(tier)
}

/// The demo off screen on every path, judged by its own report.
fn demos(workspace: &Workspace, verbose: bool) -> Result<Tier> {
    let started = Instant::now();
    let mut tier = Tier::named("demo");
    demo::build(workspace, verbose)?;
    for path in PATHS {
        let mut cargo = demo::command(workspace);
        cargo
            .args([
                "--no-window",
                "--json",
                "--frames",
                "30",
                "--size",
                "640x360",
                "--path",
                path,
            ])
            .arg("--output")
            .arg(workspace.target.join("demo").join(path));
        let log = workspace.log(&format!("demo-{path}"));
        // The report may take one line or many; what comes before it is for people.
        let mut reported = String::new();
        let ended =
            Job::new(&format!("demo on {path}"), cargo, log.clone(), verbose).run(|line| {
                if !reported.is_empty() || line.starts_with('{') {
                    reported.push_str(line);
                    reported.push('\n');
                }
                None
            })?;
        let verdict = if ended.success() {
            judge(path, &reported, &workspace.root)
        } else {
            Err(process::tail(&log, 30))
        };
        match verdict {
            Ok(()) => tier.passed += 1,
            Err(complaint) => tier.fail(path, complaint),
        }
    }
    tier.seconds = started.elapsed().as_secs_f64();
    Ok(tier)
}

/// The demo took the path that was asked for and left pictures where it says, seen from `folder`.
fn judge(path: &str, reported: &str, folder: &Path) -> std::result::Result<(), String> {
    let report = serde_json::Deserializer::from_str(reported)
        .into_iter::<serde_json::Value>()
        .next()
        .and_then(std::result::Result::ok)
        .ok_or("it printed no JSON object")?;
    if report["path"] != path {
        return Err(format!("its path was {}", report["path"]));
    }
    let images = report["images"].as_array().map_or(&[][..], Vec::as_slice);
    let missing = images
        .iter()
        .filter_map(|image| image.as_str())
        .find(|image| !folder.join(image).is_file());
    match missing {
        Some(image) => Err(format!("there is no picture {image}")),
        None if images.is_empty() => Err("it left no pictures".to_owned()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demos_are_judged_by_path_and_pictures() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let judge = |text: &str| judge("dma-buf", text, here);
        let good = "{\n\"path\": \"dma-buf\", \"images\": [\"Cargo.toml\"]}\nand a line after it\n";
        assert_eq!(judge(good), Ok(()));
        for bad in [
            good.replace("dma-buf", "opaque-fd"),
            good.replace("\"Cargo.toml\"", ""),
            good.replace("Cargo.toml", "none-such.png"),
            String::new(),
        ] {
            assert!(judge(&bad).is_err(), "{bad}");
        }
    }
}
