//! `integrations/obs-lucarne`: compiled by its Makefile, loaded by OBS Studio, and its source looked at through obs-websocket.

#[path = "../common/mod.rs"]
mod common;
#[path = "../desktop/mod.rs"]
mod desktop;
mod remote;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{Installed, exists, has_packages, root, succeed};
use desktop::{HEIGHT, Picture, Served, WIDTH, Weston};
use lucarne::MemoryPath;
use lucarne_tests::display::{Running, Xvfb, until};
use lucarne_tests::skip::{skip, skip_case};
use remote::Remote;

/// Makes the plug-in in a folder of the test's own; `None` (said aloud) where libobs's headers are missing.
fn make(installed: &Installed, compiler: &str) -> Option<PathBuf> {
    if !has_packages(&["libobs"]) {
        skip("obs", "pkg-config finds no libobs (package libobs-dev)");
        return None;
    }
    let folder = installed.path().join("obs-lucarne");
    std::fs::create_dir(&folder).expect("a folder");
    for entry in std::fs::read_dir(root().join("integrations/obs-lucarne")).expect("the sources") {
        let entry = entry.expect("a file");
        std::fs::copy(entry.path(), folder.join(entry.file_name())).expect("copied");
    }
    let place = installed.path().display();
    let mut command = Command::new("make");
    command.arg("-C").arg(&folder).arg(format!("CC={compiler}"));
    command.arg(format!("LUCARNE_CFLAGS=-I'{place}/include'"));
    succeed(command.arg(format!("LUCARNE_LIBS=-L'{place}/lib' -llucarne")));
    Some(folder.join("obs-lucarne.so"))
}

#[test]
fn each_compiler_takes_it_without_a_warning() {
    for kind in ["gcc", "clang"] {
        if !exists(kind) {
            skip_case(kind, &format!("{kind} is not installed"));
        } else if make(&Installed::new(), kind).is_none() {
            return;
        }
    }
}

const PROFILE: &str = "[General]\nName=Test\n[Video]\nBaseCX=640\nBaseCY=480\nOutputCX=640\nOutputCY=480\nFPSCommon=30\n";
const SCENES: &str = r#"{"name": "Test", "current_scene": "Scene", "current_program_scene": "Scene", "scene_order": [{"name": "Scene"}],
"sources": [{"id": "scene", "versioned_id": "scene", "name": "Scene", "settings": {"id_counter": 1, "items": [
{"name": "First", "id": 1, "visible": true, "align": 5, "scale": {"x": 1.0, "y": 1.0}}]}},
{"id": "lucarne_stream", "versioned_id": "lucarne_stream", "name": "First", "settings": {"stream": "scene"}}]}"#;

/// Settings as somebody leaves them who has made a scene with the source in it.
fn settle(home: &Path, plugin: &Path, port: u16) {
    let folder = home.join(".config/obs-studio");
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("written");
    };
    let global = format!(
        "[General]\nFirstRun=true\nLastVersion=486539264\nEnableAutoUpdates=false\n\
         [Basic]\nProfile=Test\nProfileDir=Test\nSceneCollection=Test\nSceneCollectionFile=Test\nConfigOnNewProfile=false\n\
         [OBSWebSocket]\nFirstLoad=false\nServerEnabled=true\nServerPort={port}\nAuthRequired=false\n"
    );
    write("global.ini", &global);
    write("basic/profiles/Test/basic.ini", PROFILE);
    write("basic/scenes/Test.json", SCENES);
    let place = folder.join("plugins/obs-lucarne/bin/64bit");
    std::fs::create_dir_all(&place).expect("a folder");
    std::fs::copy(plugin, place.join("obs-lucarne.so")).expect("copied");
}

/// OBS Studio, with a scene whose source shows the stream "scene".
struct Obs {
    remote: Remote,
    log: PathBuf,
    program: Running,
}

impl Obs {
    /// `None` (said aloud) where OBS is not installed, or cannot show itself on this display server.
    fn start(
        installed: &Installed,
        plugin: &Path,
        show: impl FnOnce(&mut Command),
    ) -> Option<Self> {
        let home = installed.path().join("home");
        let port = remote::free_port();
        settle(&home, plugin, port);
        let log = installed.path().join("log");
        let output = std::fs::File::create(&log).expect("a file");
        let mut command = installed.command("obs");
        command.args(["--multi", "--disable-missing-files-check"]);
        command.env("HOME", &home).env_remove("XDG_CONFIG_HOME");
        command.env_remove("DBUS_SESSION_BUS_ADDRESS");
        show(&mut command);
        let errors = output.try_clone().expect("a file");
        let started = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn();
        let mut program = match started {
            Ok(child) => Running(child),
            Err(error) => {
                skip("obs", &format!("obs: {error} (package obs-studio)"));
                return None;
            }
        };
        let said = || std::fs::read_to_string(&log).expect("text");
        let remote = until("OBS's start", || {
            if let Some(status) = program.0.try_wait().expect("a child") {
                assert!(
                    said().contains("Could not find the Qt platform plugin"),
                    "{status}\n{}",
                    said()
                );
                return Some(None);
            }
            Remote::connect(port).map(Some)
        });
        let Some(remote) = remote else {
            skip(
                "obs",
                "OBS has no plug-in of Qt's for this display server (package qtwayland5)",
            );
            return None;
        };
        Some(Self {
            remote,
            log,
            program,
        })
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("text")
    }

    fn descriptors(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.program.0.id());
        std::fs::read_dir(folder).expect("it runs").count()
    }

    /// Until a source is this picture and nothing else.
    fn shows(&mut self, source: &str, picture: &Picture) {
        let file = self.log.with_file_name("shot.png");
        let what = format!("{source} as {}x{}", picture.width, picture.height);
        let log = self.log.clone();
        until(&what, || {
            let path = file.display();
            let taken = self.remote.ask(
                "SaveSourceScreenshot",
                &format!(r#"{{"sourceName": "{source}", "imageFormat": "png", "imageFilePath": "{path}"}}"#),
            );
            // A source without a frame has no size to take.
            let log = || std::fs::read_to_string(&log).expect("text");
            assert!(!log().contains("a frame cannot be"), "{}", log());
            let shot = taken.then(|| Picture::of_png(&file))?;
            (picture.differences(&shot, 0..picture.height) == 0).then_some(())
        });
    }
}

/// How many sources follow each other while descriptors are counted.
const SOURCES: usize = 6;

/// The life of a source: frames, a producer that goes and one of another size that comes, the end of the source, another one.
fn lives(obs: &mut Obs, streams: &Path) {
    let first = Picture::of_many_colours(WIDTH, HEIGHT, 1);
    let served = Served::start(streams, &first);
    obs.shows("First", &first);
    let listed = obs.remote.answer(
        "GetInputPropertiesListPropertyItems",
        r#"{"inputName": "First", "propertyName": "stream"}"#,
    );
    assert!(listed.contains(r#""itemValue":"scene""#), "{listed}");

    drop(served);
    until("the log has the loss", || {
        obs.log().contains("the producer has gone").then_some(())
    });
    obs.shows("First", &first);
    let second = Picture::of_many_colours(322, 242, 2);
    let _served = Served::start(streams, &second);
    obs.shows("First", &second);

    follow(obs, streams, ["First", "1"], &second);
    let before = obs.descriptors();
    for number in 1..=SOURCES {
        let names = [number, number + 1].map(|one| one.to_string());
        follow(obs, streams, names.each_ref().map(String::as_str), &second);
    }
    // A stream's last buffer is imported when it is first used: one more or less says nothing, one for each source does.
    let after = obs.descriptors();
    assert!(
        after < before + SOURCES / 2,
        "{before} descriptors, then {after}"
    );
}

/// One source ends, and lets go of the stream; another one shows it.
fn follow(obs: &mut Obs, streams: &Path, [old, new]: [&str; 2], picture: &Picture) {
    let name = format!(r#"{{"inputName": "{old}"}}"#);
    assert!(obs.remote.ask("RemoveInput", &name));
    let another = format!(
        r#"{{"sceneName": "Scene", "inputName": "{new}", "inputKind": "lucarne_stream", "inputSettings": {{"stream": "scene"}}}}"#
    );
    assert!(obs.remote.ask("CreateInput", &another));
    obs.shows(new, picture);
    until("one consumer", || {
        let found = lucarne_stream::describe(streams, "scene").ok()?;
        (found.description.consumers == 1).then_some(())
    });
}

#[test]
fn every_pixel_is_right_on_wayland() {
    let installed = Installed::new();
    let Some(plugin) = make(&installed, "cc") else {
        return;
    };
    let Some(weston) = Weston::start() else {
        return;
    };
    let show = |command: &mut Command| {
        weston.shows(command).env("QT_QPA_PLATFORM", "wayland");
    };
    let Some(mut obs) = Obs::start(&installed, &plugin, show) else {
        return;
    };
    lives(&mut obs, &weston.runtime.path().join("lucarne"));
    let log = obs.log();
    if log.contains("dma-bufs, no copies") {
        desktop::record("OBS Studio", "libobs", MemoryPath::DmaBuf, 0);
    } else {
        let why = log.lines().find(|line| line.contains("copied"));
        skip_case(
            "dma-buf",
            &format!("OBS has no frames in dma-bufs: {why:?}"),
        );
    }
}

/// Mesa's software EGL takes no dma-bufs there.
#[test]
fn every_pixel_is_right_on_x11() {
    let installed = Installed::new();
    let Some(plugin) = make(&installed, "cc") else {
        return;
    };
    let Some(xvfb) = Xvfb::start(WIDTH, HEIGHT, None) else {
        return;
    };
    let runtime = tempfile::tempdir().expect("a folder");
    let show = |command: &mut Command| {
        command
            .env("DISPLAY", &xvfb.name)
            .env_remove("WAYLAND_DISPLAY");
        command
            .env("QT_QPA_PLATFORM", "xcb")
            .env("XDG_RUNTIME_DIR", runtime.path());
    };
    let Some(mut obs) = Obs::start(&installed, &plugin, show) else {
        return;
    };
    lives(&mut obs, &runtime.path().join("lucarne"));
    let log = obs.log();
    let copied =
        log.contains("copied by the CPU") && log.contains("needs the EGL display extension");
    assert!(copied || log.contains("dma-bufs, no copies"), "{log}");
}
