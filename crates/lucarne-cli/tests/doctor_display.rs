//! What the doctor learns of display servers: real ones, a made-up one, and those that lie or say nothing.

mod compositor;

use std::io::Read;
use std::os::unix::net::UnixListener;
use std::process::{Command, Output, Stdio};

use compositor::{ROW, Says, serve};
use lucarne_tests::display::{Backend, SOCKET, Xvfb, weston};

/// The doctor, who tries nothing, before this display alone.
fn doctor(variable: &str, value: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lucarne"));
    command
        .args(["doctor", "--no-trials", "--json"])
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("DISPLAY")
        .env(variable, value)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// What the report says of the display servers.
fn displays(output: &Output) -> serde_json::Value {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(
        report["devices"]
            .as_array()
            .is_some_and(|all| !all.is_empty()),
        "the devices are asked all the same: {report}"
    );
    report["displays"].clone()
}

#[test]
fn weston_says_what_it_takes() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(_weston) = weston(folder.path(), Backend::Headless, &[]) else {
        return;
    };
    let socket = folder.path().join(SOCKET);
    let output = doctor("WAYLAND_DISPLAY", &socket)
        .output()
        .expect("lucarne runs");
    let displays = displays(&output);
    let dmabuf = &displays["wayland"]["answered"]["linux_dmabuf"];
    assert!(dmabuf["version"].as_u64() >= Some(3), "{displays}");
    let layouts = dmabuf["tranches"][0]["layouts"]
        .as_array()
        .expect("layouts");
    let linear = layouts.iter().find(|layout| layout["layout"] == "linear");
    let formats = linear.expect("llvmpipe takes rows")["formats"].to_string();
    assert!(
        formats.contains("XRGB8888") && formats.contains("NV12"),
        "{formats}"
    );
    assert_eq!(displays["x11"], "not-set");
}

#[test]
fn xvfb_has_no_dri3() {
    let Some(xvfb) = Xvfb::start(64, 64, None) else {
        return;
    };
    let output = doctor("DISPLAY", &xvfb.name)
        .output()
        .expect("lucarne runs");
    let displays = displays(&output);
    let x11 = &displays["x11"]["answered"];
    assert_eq!(x11["dri3"], serde_json::Value::Null, "{displays}");
    assert_eq!(x11["modifiers"], false);
    assert!(x11["glx_vendor"].is_string(), "{displays}");
    assert_eq!(displays["wayland"], "not-set");
}

/// What the report says of a compositor that says this.
fn told_by(says: Says) -> serde_json::Value {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("made-up");
    let output = serve(says, &socket, || {
        doctor("WAYLAND_DISPLAY", &socket)
            .spawn()
            .expect("lucarne runs")
    });
    displays(&output)["wayland"].clone()
}

#[test]
fn feedback_is_told_with_decoded_names() {
    let wayland = told_by(Says::default());
    let dmabuf = &wayland["answered"]["linux_dmabuf"];
    assert_eq!(dmabuf["version"], 4, "{wayland}");
    assert_eq!(
        dmabuf["main_device"], "250:7",
        "no such node: by its number"
    );
    let tranches = dmabuf["tranches"].as_array().expect("tranches");
    let scanout: Vec<bool> = tranches
        .iter()
        .map(|tranche| tranche["scanout"].as_bool().expect("yes or no"))
        .collect();
    assert_eq!(scanout, [true, false]);
    let layouts = |index: usize| tranches[index]["layouts"].clone();
    assert!(
        layouts(0)[0]["layout"]
            .as_str()
            .is_some_and(|name| name.contains("Intel")),
        "{wayland}"
    );
    assert_eq!(layouts(0)[0]["formats"], serde_json::json!(["XRGB8888"]));
    assert_eq!(
        layouts(1),
        serde_json::json!([
            { "layout": "linear", "formats": ["XRGB8888", "ABGR8888"] },
            { "layout": "the driver's own", "formats": ["ABGR8888"] },
        ])
    );
    assert_eq!(wayland["answered"]["explicit_sync"], 1);
}

#[test]
fn a_compositor_that_lies_is_named_with_its_lie() {
    for (says, complaint) in [
        (
            Says {
                size: Some(1 << 30),
                ..Says::default()
            },
            "is 1073741824, but must be 1048576 bytes at most",
        ),
        (
            Says {
                size: Some(6 * ROW),
                ..Says::default()
            },
            "within its file, which has 64",
        ),
        (
            Says {
                rows: vec![0, 9],
                ..Says::default()
            },
            "row is 9, but must be below 4",
        ),
        (
            Says {
                device: vec![1, 2, 3],
                ..Says::default()
            },
            "is 3, but must be 8 bytes",
        ),
    ] {
        let wayland = told_by(says);
        let reason = wayland["silent"].as_str().unwrap_or_default();
        assert!(reason.contains(complaint), "{complaint}: {wayland}");
    }
}

#[test]
fn a_compositor_that_says_nothing_does_not_hang_the_report() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("mute");
    let listener = UnixListener::bind(&socket).expect("a socket");
    let mut command = doctor("WAYLAND_DISPLAY", &socket);
    command.args(["--patience", "1"]);
    let child = command.spawn().expect("lucarne runs");
    let (mut connection, _) = listener.accept().expect("the doctor's child");
    let output = child.wait_with_output().expect("a child");
    // It was asked, and its asker is gone.
    let mut asked = Vec::new();
    connection.read_to_end(&mut asked).expect("the rest");
    assert!(!asked.is_empty(), "it was asked");
    assert_eq!(
        displays(&output)["wayland"]["silent"],
        "the display server did not answer within 1 s"
    );
}

#[test]
fn a_display_that_is_not_there_is_told() {
    let output = doctor("WAYLAND_DISPLAY", "/nowhere/wayland-0")
        .output()
        .expect("lucarne runs");
    let reason = displays(&output)["wayland"]["silent"].to_string();
    assert!(reason.contains("connecting to the compositor"), "{reason}");
    let output = doctor("DISPLAY", ":4711").output().expect("lucarne runs");
    let reason = displays(&output)["x11"]["silent"].to_string();
    assert!(reason.contains("connecting to the X server"), "{reason}");
}
