//! The doctor on broken machines: in each the right advice, and the exit status.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod machines;

use std::path::{Path, PathBuf};

use machines::{Said, compile, egl, hidden, lucarne, without_dev};

/// The line of the report that tells of this API, and those that go on with it.
fn field(said: &Said, name: &str) -> String {
    let is_field = |line: &&str| line.trim_start().starts_with(name) && line.starts_with("  ");
    let line = said.text.lines().find(is_field);
    line.unwrap_or_else(|| panic!("{name}: {}", said.text))
        .to_owned()
}

#[test]
fn without_a_vulkan_driver() {
    let folders = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"];
    let Some(said) = hidden(&folders, &[]) else {
        return;
    };
    let vulkan = field(&said, "vulkan");
    assert!(
        vulkan.contains("no: ")
            && vulkan.contains("install your GPU's, or Mesa's")
            && vulkan.contains("package mesa-vulkan-drivers"),
        "{vulkan}"
    );
    said.assert_has("egl:0", "the others are asked all the same");
    assert_eq!(said.status, 1, "{}", said.text);
}

#[test]
fn without_egl() {
    let library = egl::library("libEGL.so.1");
    let Some(said) = hidden(&[], &[library.to_str().expect("UTF-8")]) else {
        return;
    };
    let told = field(&said, "egl");
    assert!(
        told.contains("libEGL.so.1") && told.contains("package libegl1"),
        "{told}"
    );
    said.assert_has("vulkan:0", "the others are asked all the same");
    assert_eq!(said.status, 0, "Vulkan shares with itself: {}", said.text);
}

#[test]
fn with_variables_that_point_nowhere() {
    let mut command = lucarne(&["doctor"]);
    command
        .env("VK_DRIVER_FILES", "/home/alice/vulkan.json")
        .env("__EGL_VENDOR_LIBRARY_FILENAMES", "/home/alice/egl.json");
    let said = Said::of(&mut command);
    assert_eq!(
        said.status, 2,
        "the CPU alone is no graphics API: {}",
        said.text
    );
    for (api, variable) in [
        ("vulkan", "VK_DRIVER_FILES"),
        ("egl", "__EGL_VENDOR_LIBRARY_FILENAMES"),
    ] {
        let line = field(&said, &format!("{api} "));
        assert!(
            line.contains("tells the loader where to look: unset it") && line.contains(variable),
            "{line}"
        );
    }
    assert!(!said.text.contains("alice"), "{}", said.text);
}

/// What the report says of `/dev/udmabuf`, with the advice behind it.
fn udmabuf(said: &Said) -> String {
    let (_, rest) = said
        .text
        .split_once("/dev/udmabuf ")
        .expect("its node is told");
    rest.split("  node ").next().unwrap_or_default().to_owned()
}

#[test]
fn without_udmabuf() {
    let Some(said) = without_dev("", "") else {
        return;
    };
    let node = udmabuf(&said);
    assert!(
        node.contains("absent") && node.contains("sudo modprobe udmabuf"),
        "{node}"
    );
    assert!(!said.text.contains("emulated"), "{}", said.text);
    said.assert_has(
        "needs /dev/udmabuf (No such file or directory",
        "the trials say what they lack",
    );
    assert_eq!(
        said.status, 0,
        "opaque memory copies nothing: {}",
        said.text
    );
}

#[test]
fn with_a_udmabuf_that_one_may_not_open() {
    // Of a group, as most systems have it.
    let group = "kvm:x:4711:\n";
    let node = "touch dev/udmabuf && chgrp 4711 dev/udmabuf && chmod 660 dev/udmabuf";
    let Some(said) = without_dev(node, group) else {
        return;
    };
    let node = udmabuf(&said);
    assert!(
        node.contains("no permission") && node.contains("sudo usermod -aG kvm"),
        "{node}"
    );
    said.assert_has(
        "needs /dev/udmabuf (Permission denied",
        "the trials say what they lack",
    );
    assert_eq!(
        said.status, 0,
        "opaque memory copies nothing: {}",
        said.text
    );
    let Some(said) = without_dev("touch dev/udmabuf && chmod 000 dev/udmabuf", "") else {
        return;
    };
    let node = udmabuf(&said);
    assert!(
        node.contains("only root may open it; a udev rule"),
        "{node}"
    );
    // In a container the group often has no name.
    let node = "touch dev/udmabuf && chgrp 4711 dev/udmabuf && chmod 660 dev/udmabuf";
    let Some(said) = without_dev(node, "") else {
        return;
    };
    let node = udmabuf(&said);
    assert!(node.contains("docker run --group-add 4711"), "{node}");
}

#[test]
fn with_a_gpu_that_one_may_not_open() {
    let node = "mkdir dev/dri && touch dev/dri/renderD128 && chgrp 4712 dev/dri/renderD128 && chmod 660 dev/dri/renderD128";
    let Some(said) = without_dev(node, "render:x:4712:\n") else {
        return;
    };
    let (_, rest) = said.text.split_once("/dev/dri/renderD128 ").expect("told");
    let node = rest.split("  node ").next().unwrap_or_default();
    assert!(
        node.contains("no permission") && node.contains("sudo usermod -aG render"),
        "{node}"
    );
}

#[test]
fn with_an_egl_that_knows_no_devices() {
    let folder = tempfile::tempdir().expect("a folder");
    egl::empty(
        folder.path(),
        "EGL_EXT_client_extensions EGL_KHR_platform_x11",
    );
    let said = Said::of(lucarne(&["doctor"]).env("LD_LIBRARY_PATH", folder.path()));
    let told = field(&said, "egl");
    assert!(
        told.contains(
            "needs the EGL client extension EGL_EXT_device_enumeration, which the driver lacks"
        ),
        "{told}"
    );
    said.assert_has("vulkan:0", "the others are asked all the same");
    assert_eq!(said.status, 0, "{}", said.text);
}

#[test]
fn with_an_egl_without_the_software_device() {
    let folder = tempfile::tempdir().expect("a folder");
    egl::empty(
        folder.path(),
        "EGL_EXT_client_extensions EGL_EXT_device_base EGL_EXT_device_enumeration EGL_EXT_device_query",
    );
    let said = Said::of(lucarne(&["doctor"]).env("LD_LIBRARY_PATH", folder.path()));
    let told = field(&said, "egl");
    assert!(
        told.contains("EGL lists no device") && told.contains("sudo apt install libegl-mesa0"),
        "{told}"
    );
    assert_eq!(said.status, 0, "{}", said.text);
}

#[test]
fn without_a_display() {
    let mut command = lucarne(&["doctor", "--no-trials"]);
    command.env_remove("WAYLAND_DISPLAY").env_remove("DISPLAY");
    let said = Said::of(&mut command);
    said.assert_has("none: neither WAYLAND_DISPLAY nor DISPLAY is set", "why");
    said.assert_has("egl:0", "no display is needed");
    assert_eq!(said.status, 0, "{}", said.text);
}

/// Mesa 22.3.6, as Debian 12 has it: recorded with its software drivers.
fn recorded(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports");
    folder.join(name).display().to_string()
}

#[test]
fn with_an_ancient_mesa() {
    let said = Said::of(&mut lucarne(&[
        "doctor",
        "--from",
        &recorded("mesa-22.3.6.json"),
    ]));
    said.assert_has(
        "Mesa 22.3 is too old: its software drivers share dma-bufs from 24.3 on",
        "for each device",
    );
    said.assert_has("sudo apt install -t bookworm-backports", "what to do");
    assert_eq!(
        said.status, 0,
        "opaque memory copies nothing: {}",
        said.text
    );
    let (from, to) = (
        recorded("vulkan-mesa-22.3.6-lavapipe.json"),
        recorded("egl-mesa-22.3.6-llvmpipe.json"),
    );
    let said = Said::of(&mut lucarne(&["explain", "--from", &from, "--to", &to]));
    insta::assert_snapshot!(said.text);
    assert_eq!(said.status, 0);
}

#[test]
fn a_disk_that_is_full_leaves_no_page() {
    let full = machines::Disk {
        options: "size=16k",
        complaint: "No space left on device",
    };
    let read_only = machines::Disk {
        options: "ro",
        complaint: "Read-only file system",
    };
    for disk in [full, read_only] {
        let Some(said) = disk.write_page(&recorded("broken-gpu.json")) else {
            return;
        };
        assert_eq!(said.status, 2, "{}", said.text);
        assert!(
            said.complaint.starts_with("error: writing ")
                && said.complaint.contains(disk.complaint),
            "{}",
            said.complaint
        );
        assert!(
            said.text.ends_with("left:\n"),
            "nothing is left: {}",
            said.text
        );
    }
}

/// A Vulkan driver that does this as soon as it is loaded.
fn broken_driver(folder: &Path, does: &str) -> PathBuf {
    let code = format!("#[unsafe(no_mangle)] pub extern \"C\" fn vk_icdNegotiateLoaderICDInterfaceVersion(_: *mut u32) -> i32 {{ {does} }}
        #[unsafe(no_mangle)] pub extern \"C\" fn vk_icdGetInstanceProcAddr(_: usize, _: *const u8) -> usize {{ {does} }}");
    let library = folder.join("libdriver.so");
    compile(&code, &library);
    let manifest = folder.join("driver.json");
    let json = serde_json::json!({
        "file_format_version": "1.0.0",
        "ICD": { "library_path": library, "api_version": "1.3.0" },
    });
    std::fs::write(&manifest, json.to_string()).expect("written");
    manifest
}

#[test]
fn a_driver_that_crashes_takes_down_a_child_and_not_the_report() {
    let folder = tempfile::tempdir().expect("a folder");
    let driver = broken_driver(folder.path(), "std::process::abort()");
    let said = Said::of(lucarne(&["doctor"]).env("VK_DRIVER_FILES", driver));
    assert_eq!(said.status, 1, "{}", said.text);
    said.assert_has("asking vulkan crashed with SIGABRT", "whose fault it is");
    said.assert_has("VK_LOADER_DRIVERS_DISABLE=", "how to go on without it");
    said.assert_has("egl:0", "the others are asked all the same");
}

#[test]
fn a_driver_that_hangs_is_given_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let driver = broken_driver(folder.path(), "loop { std::thread::park() }");
    let mut command = lucarne(&["doctor", "--patience", "2"]);
    let said = Said::of(command.env("VK_DRIVER_FILES", driver));
    assert_eq!(said.status, 1, "{}", said.text);
    said.assert_has(
        "asking vulkan did not end within 2 s: a driver hangs",
        "whose fault it is",
    );
    said.assert_has("VK_LOADER_DRIVERS_DISABLE=", "how to go on without it");
    said.assert_has("egl:0", "the others are asked all the same");
}

/// The cells of a JSON report between these two, the best rung first.
fn outcomes(said: &Said, from: &str, to: &str) -> Vec<String> {
    let report: serde_json::Value = serde_json::from_str(&said.text).expect("JSON");
    let trials = report["trials"].as_array().expect("trials");
    let pair =
        |trial: &&serde_json::Value| trial["from"]["api"] == from && trial["to"]["api"] == to;
    let trial = trials.iter().find(pair).expect("a trial");
    let cells = trial["cells"].as_array().expect("cells").iter();
    let word = |cell: &serde_json::Value| cell["outcome"].as_str().map(str::to_owned);
    cells.map(|cell| word(cell).expect("an outcome")).collect()
}

/// In the import of opaque memory, the second rung that is tried.
#[test]
fn a_driver_that_crashes_or_hangs_in_a_trial_has_shown_what_else_it_can_do() {
    for (does, came, reason) in [
        (
            "std::process::abort()",
            "crashed",
            "the trial crashed with SIGABRT",
        ),
        (
            "loop { std::thread::park() }",
            "hung",
            "the trial did not end within 3 s: a driver hangs",
        ),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        egl::faulty(folder.path(), "glImportMemoryFdEXT", does);
        let mut command = lucarne(&["doctor", "--json", "--patience", "3"]);
        let said = Said::of(command.env("LD_LIBRARY_PATH", folder.path()));
        let cells = outcomes(&said, "vulkan", "egl");
        let not = "not-tried";
        assert_eq!(cells, [not, not, came, "passed"], "{}", said.text);
        said.assert_has(reason, "whose fault it is");
        let cells = outcomes(&said, "vulkan", "vulkan");
        assert_eq!(cells[2..], ["passed"; 2], "others are tried: {}", said.text);
        assert_eq!(said.status, 0, "Vulkan shares with itself");
    }
}

/// Wherever OpenGL draws in a trial, and nowhere in the questions before.
#[test]
fn a_driver_that_hangs_in_every_trial_is_left_alone_after_a_few() {
    let folder = tempfile::tempdir().expect("a folder");
    let does = "if std::env::args().nth(1).as_deref() == Some(\"trial\") { loop { std::thread::park() } }; 0";
    egl::faulty(folder.path(), "glViewport", does);
    let mut command = lucarne(&["doctor", "--json", "--patience", "3"]);
    let said = Said::of(command.env("LD_LIBRARY_PATH", folder.path()));
    let report: serde_json::Value = serde_json::from_str(&said.text).expect("JSON");
    let trials = report["trials"].as_array().expect("trials");
    let of_trials = |outcome: &str, reason: &str| {
        let is_it = |cell: &serde_json::Value| {
            let why = cell["reason"].as_str().unwrap_or_default();
            cell["outcome"] == outcome && why.contains(reason)
        };
        let has_it = |trial: &&serde_json::Value| {
            trial["cells"].as_array().expect("cells").iter().any(is_it)
        };
        trials.iter().filter(has_it).count()
    };
    // By the second it is known who hangs; others may have been begun by then.
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    let hung = of_trials("hung", "did not end within 3 s");
    assert!((1..=1 + at_once.min(4)).contains(&hung), "{hung}: {report}");
    assert!(
        of_trials("not-tried", "not tried: egl:0 hung before") > 0,
        "{report}"
    );
    assert_eq!(outcomes(&said, "vulkan", "vulkan")[2..], ["passed"; 2]);
    assert_eq!(outcomes(&said, "vulkan", "cpu")[3], "passed");
    assert_eq!(said.status, 0, "Vulkan shares with itself");
}

/// It says that it imports, and gives no image.
#[test]
fn a_driver_that_fails_at_what_it_offers_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    egl::faulty(folder.path(), "eglCreateImageKHR", "0");
    let mut command = lucarne(&["doctor"]);
    let said = Said::of(command.env("LD_LIBRARY_PATH", folder.path()));
    said.assert_has("Failed, although the drivers offer it", "it is no lack");
    said.assert_has(
        "import: eglCreateImageKHR(EGL_LINUX_DMA_BUF_EXT)",
        "what failed",
    );
    said.assert_has(
        "trials went wrong: a driver is broken",
        "the verdict says so",
    );
}

/// Nothing is drawn where nothing may be drawn: what is read is black.
#[test]
fn wrong_pixels_are_handed_to_the_report() {
    let folder = tempfile::tempdir().expect("a folder");
    egl::faulty(folder.path(), "glViewport", "0");
    let page = folder.path().join("report.html");
    let mut command = lucarne(&["doctor", "--json", "--html"]);
    let said = Said::of(command.arg(&page).env("LD_LIBRARY_PATH", folder.path()));
    let report: serde_json::Value = serde_json::from_str(&said.text).expect("JSON");
    let cells = report["trials"].as_array().expect("trials").iter();
    let cells = cells.flat_map(|trial| trial["cells"].as_array().expect("cells"));
    let (failed, other): (Vec<_>, Vec<_>) = cells.partition(|cell| cell["outcome"] == "failed");
    assert!(!failed.is_empty(), "{report}");
    for cell in &failed {
        // 37x21 black pixels: three bytes each, four characters for three bytes.
        assert_eq!(cell["picture"]["rgb"], "A".repeat(37 * 21 * 4), "{cell}");
        assert_eq!(cell["picture"]["frame"], 0, "{cell}");
    }
    assert!(
        other.iter().all(|cell| cell["picture"].is_null()),
        "what is right is left out: {report}"
    );
    let page = std::fs::read_to_string(page).expect("a page");
    let shown = page.matches("<figcaption>got</figcaption>").count();
    assert_eq!(shown, failed.len());
    let (passed, lost) = ("the pattern that came out", "not tried");
    assert!(
        page.contains(passed) && !page.contains(lost),
        "right ones are on the page"
    );
}

/// Prints without end.
#[test]
fn a_driver_that_talks_without_end_is_given_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let driver = broken_driver(folder.path(), "loop { println!(\"{:4000}\", 1) }");
    let said = Said::of(lucarne(&["doctor", "--no-trials"]).env("VK_DRIVER_FILES", driver));
    said.assert_has(
        "asking vulkan failed: it printed more than 64 MiB",
        "whose fault it is",
    );
}
