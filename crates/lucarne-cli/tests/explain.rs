//! `lucarne caps` and `explain` on the devices of this machine, and on what was recorded of them.

use std::path::Path;

#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
use common::*;

/// The formats of all entries of all devices.
fn formats(caps: &serde_json::Value) -> Vec<&str> {
    let devices = caps["devices"].as_array().expect("a list");
    let entries = devices
        .iter()
        .flat_map(|device| device["offer"]["entries"].as_array().expect("a list"));
    let formats = entries.map(|entry| entry["format"].as_str());
    formats.map(|format| format.expect("a name")).collect()
}

#[test]
fn caps_are_those_of_the_api_and_the_format_that_were_asked_for() {
    let all = json(&["caps", "--json"]);
    let apis = |caps: &serde_json::Value| -> Vec<String> {
        let devices = caps["devices"].as_array().expect("a list").iter();
        let apis = devices.map(|device| device["api"].as_str().expect("a name").to_owned());
        apis.collect()
    };
    for api in ["vulkan", "egl", "cpu"] {
        assert!(apis(&all).contains(&api.to_owned()), "{api}");
        let one = json(&["caps", "--api", api, "--json"]);
        assert!(!apis(&one).is_empty());
        assert!(apis(&one).iter().all(|named| named == api), "{api}");
        // With its number, as `explain --from` takes it.
        assert_eq!(one["devices"][0]["number"], 0);
        assert!(formats(&one).iter().any(|format| *format != "ABGR8888"));
    }
    let two = json(&["caps", "--api", "cpu", "--api", "vulkan", "--json"]);
    assert_eq!(apis(&two).first().map(String::as_str), Some("cpu"));
    assert!(apis(&two).contains(&"vulkan".to_owned()));
    // By its four characters, and by its name.
    for name in ["AB24", "ABGR8888"] {
        let one = json(&["caps", "--format", name, "--json"]);
        assert!(!formats(&one).is_empty());
        assert!(formats(&one).iter().all(|format| *format == "ABGR8888"));
    }
    let said = answer(&["caps", "--api", "vulkan", "--format", "AB24"]);
    assert!(said.starts_with("vulkan:0  "), "{said}");
    assert!(
        said.contains("ABGR8888") && !said.contains("XRGB8888"),
        "{said}"
    );
}

#[test]
fn an_api_that_is_not_there_is_told_with_its_reason() {
    let nowhere = |arguments: &[&str]| {
        let mut lucarne = command(arguments);
        lucarne.envs([
            ("VK_DRIVER_FILES", "/nowhere"),
            ("VK_ICD_FILENAMES", "/nowhere"),
        ]);
        lucarne.output().expect("lucarne runs")
    };
    let output = nowhere(&["caps", "--api", "vulkan", "--json"]);
    assert_eq!(output.status.code(), Some(1), "nothing is listed");
    let caps: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(caps["devices"], serde_json::json!([]));
    let reason = caps["missing"][0]["reason"].as_str().expect("a reason");
    assert_eq!(caps["missing"][0]["api"], "vulkan");
    let output = nowhere(&["caps", "--api", "vulkan"]);
    assert!(text(&output.stdout).contains(reason), "{reason}");
    let output = nowhere(&["explain", "--from", "vulkan", "--to", "cpu"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(
        said.contains("no device for vulkan: ") && said.contains(reason),
        "{said}"
    );
}

fn recorded(folder: &Path, api: &str, usage: &str) -> String {
    let to = folder.to_str().expect("UTF-8");
    answer(&["caps", "--api", api, "--usage", usage, "--record", to]);
    let file = folder.join(format!("{api}-0.json"));
    file.to_str().expect("UTF-8").to_owned()
}

#[test]
fn what_is_here_is_explained_and_so_it_is_from_what_was_recorded_of_it() {
    let here = json(&["explain", "--from", "vulkan", "--to", "egl", "--json"]);
    assert!(
        here["from"]
            .as_str()
            .is_some_and(|name| name.contains("Vulkan")),
        "{here}"
    );
    assert!(
        here["to"]
            .as_str()
            .is_some_and(|name| name.contains("OpenGL")),
        "{here}"
    );
    let number = here["agreed"]["number"].as_u64().expect("a rung");
    let refused = here["refused"].as_array().expect("a list");
    assert_eq!(
        refused.len() as u64 + 1,
        number,
        "each better rung has a reason: {here}"
    );
    // Four formats were asked for: one was agreed on, and what came of the others is told.
    let names = here["lost"].as_array().expect("a list").iter();
    let names = names.map(|lost| lost["format"].as_str().expect("a name"));
    let mut names: Vec<&str> = names.chain(here["agreed"]["format"].as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let asked = ["ABGR8888", "ARGB8888", "XBGR8888", "XRGB8888"];
    assert_eq!(names, asked, "{here}");
    let folder = tempfile::tempdir().expect("a folder");
    let from = recorded(folder.path(), "vulkan", "render");
    let to = recorded(folder.path(), "egl", "sample");
    let again = json(&["explain", "--from", &from, "--to", &to, "--json"]);
    for part in ["from", "to", "agreed", "lost", "refused"] {
        // Where a requirement was data, a recording has its sentence: both read the same.
        assert_eq!(again[part], here[part], "{part}");
    }
}

fn recording(name: &str) -> String {
    let offers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/offers");
    offers.join(name).to_str().expect("UTF-8").to_owned()
}

/// A consumer that lacks one layout of XRGB8888, cannot import another, and takes only small images of a third.
fn narrower(folder: &Path) -> String {
    let text = std::fs::read_to_string(recording("egl-amd-gfx10.3-radeonsi.json"));
    let mut offer: serde_json::Value = serde_json::from_str(&text.expect("a file")).expect("JSON");
    let entries = offer["offer"]["entries"].as_array_mut().expect("a list");
    let tiled = |entry: &serde_json::Value| {
        entry["format"] == "XRGB8888"
            && entry["path"] == "dma-buf"
            && entry["tiling"] != "0x0000000000000000"
    };
    let places: Vec<usize> = (0..entries.len())
        .filter(|at| tiled(&entries[*at]))
        .collect();
    entries[places[1]]["importable"] = false.into();
    entries[places[2]]["max_extent"] = serde_json::json!([64, 64]);
    entries.remove(places[0]);
    let path = folder.join("narrower.json");
    std::fs::write(&path, offer.to_string()).expect("written");
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn what_was_struck_out_on_the_rung_that_won_is_told_with_its_side() {
    let folder = tempfile::tempdir().expect("a folder");
    let (from, to) = (
        recording("vulkan-amd-gfx10.3-radv.json"),
        narrower(folder.path()),
    );
    let formats = "XBGR8888,XRGB8888,ARGB8888";
    let asked = ["explain", "--from", &from, "--to", &to, "--format", formats];
    insta::assert_snapshot!(answer(&asked));
    let told = json(&[&asked[..], &["--json"]].concat());
    assert_eq!(told["agreed"]["format"], "XRGB8888");
    let lost = told["lost"].as_array().expect("a list").iter();
    let lost: Vec<_> = lost
        .map(|one| (one["format"].as_str(), one["by"].as_str()))
        .map(|(format, by)| (format.expect("a name"), by.expect("a side")))
        .collect();
    let expected = [
        ("XBGR8888", "both"),
        ("XRGB8888", "consumer"),
        ("XRGB8888", "consumer"),
        ("XRGB8888", "consumer"),
        ("ARGB8888", "request"),
    ];
    assert_eq!(lost, expected);
    let taken = told["agreed"]["modifiers"].as_array().expect("a list");
    for one in told["lost"].as_array().expect("a list") {
        assert!(!taken.contains(&one["layout"]), "{one}");
    }
}

#[test]
fn a_device_that_is_not_there_is_told_with_those_that_are() {
    let said = refusal(&["explain", "--from", "vulkan:99", "--to", "cpu"]);
    assert!(
        said.contains("vulkan has no device \"99\"; it has 0: "),
        "{said}"
    );
    let said = refusal(&["explain", "--from", "cpu", "--to", "egl:voodoo"]);
    assert!(
        said.contains("egl has no device \"voodoo\"; it has 0: "),
        "{said}"
    );
}
