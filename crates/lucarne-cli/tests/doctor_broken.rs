//! The doctor on broken machines: in each the right advice, and the exit status.

mod machines;

use std::path::{Path, PathBuf};
use std::process::Command;

use machines::{Said, compile, hidden, lucarne, stub, without_dev};

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

/// Where the loader finds a library.
fn library(name: &str) -> PathBuf {
    let output = Command::new("/sbin/ldconfig")
        .arg("-p")
        .output()
        .expect("ldconfig");
    let known = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = known
        .lines()
        .find(|line| line.trim_start().starts_with(name));
    let (_, place) = line
        .and_then(|line| line.split_once(" => "))
        .expect("a library");
    std::fs::canonicalize(place).expect("a file")
}

#[test]
fn without_egl() {
    let library = library("libEGL.so.1 ");
    let Some(said) = hidden(&[], &[library.to_str().expect("UTF-8")]) else {
        return;
    };
    let egl = field(&said, "egl");
    assert!(
        egl.contains("libEGL.so.1") && egl.contains("package libegl1"),
        "{egl}"
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
    assert_eq!(said.status, 1, "{}", said.text);
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
}

#[test]
fn with_an_egl_that_knows_no_devices() {
    let folder = tempfile::tempdir().expect("a folder");
    stub(
        folder.path(),
        "EGL_EXT_client_extensions EGL_KHR_platform_x11",
    );
    let said = Said::of(lucarne(&["doctor"]).env("LD_LIBRARY_PATH", folder.path()));
    let egl = field(&said, "egl");
    assert!(
        egl.contains(
            "needs the EGL client extension EGL_EXT_device_enumeration, which the driver lacks"
        ),
        "{egl}"
    );
    said.assert_has("vulkan:0", "the others are asked all the same");
    assert_eq!(said.status, 0, "{}", said.text);
}

#[test]
fn with_an_egl_without_the_software_device() {
    let folder = tempfile::tempdir().expect("a folder");
    stub(
        folder.path(),
        "EGL_EXT_client_extensions EGL_EXT_device_base EGL_EXT_device_enumeration EGL_EXT_device_query",
    );
    let said = Said::of(lucarne(&["doctor"]).env("LD_LIBRARY_PATH", folder.path()));
    let egl = field(&said, "egl");
    assert!(
        egl.contains("EGL lists no device") && egl.contains("sudo apt install libegl-mesa0"),
        "{egl}"
    );
    assert_eq!(said.status, 0, "{}", said.text);
}

#[test]
fn without_a_display() {
    let mut command = lucarne(&["doctor", "--no-trials"]);
    command.env_remove("WAYLAND_DISPLAY").env_remove("DISPLAY");
    let said = Said::of(&mut command);
    assert!(field(&said, "display").ends_with(" none"), "{}", said.text);
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
    said.assert_has("egl:0", "the others are asked all the same");
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
