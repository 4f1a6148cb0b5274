//! `lucarne view` as somebody before the screen sees it: one process serves, another shows, and a display of the test's own is
//! looked at from outside.

mod changing;
mod composed;
mod served;
mod wayland;
mod x11;

use std::path::Path;

use changing::Changing;
use lucarne::vulkan;
use lucarne_tests::display::until;
use lucarne_tests::skip::skip;
use served::{Picture, Served, view, viewing};
use x11::{Shot, X11};

fn key(letter: char) -> u32 {
    letter.into()
}

const APIS: [&str; 2] = ["gl", "vulkan"];

/// The place of a picture in a window: left, top, and how many pixels one of its pixels takes.
struct Placed {
    left: u32,
    top: u32,
    scale: u32,
}

/// How many pixels of a window are not those of the picture, sharp, with black around it.
fn differences(shot: &Shot, size: [u32; 2], picture: &Picture, placed: &Placed) -> usize {
    let pixel = |x: u32, y: u32| {
        let (Some(x), Some(y)) = (x.checked_sub(placed.left), y.checked_sub(placed.top)) else {
            return [0; 3];
        };
        picture.at(x / placed.scale, y / placed.scale)
    };
    let all = (0..size[1]).flat_map(|y| (0..size[0]).map(move |x| (x, y)));
    all.filter(|(x, y)| shot.at(*x, *y) != pixel(*x, *y))
        .count()
}

/// Waits until the upper left part of the screen, which is the window, shows the picture and nothing else.
fn shown(x11: &X11, size: [u32; 2], picture: &Picture, placed: &Placed) -> Shot {
    until(&format!("the picture in {size:?}"), || {
        let shot = x11.shot(size[0], size[1]);
        (differences(&shot, size, picture, placed) == 0).then_some(shot)
    })
}

const ONE_TO_ONE: Placed = Placed {
    left: 0,
    top: 0,
    scale: 1,
};

#[test]
fn a_picture_is_shown_as_it_is_and_scaled_and_written_over() {
    for api in APIS {
        let Some(x11) = X11::start(800, 600) else {
            return;
        };
        let picture = Picture::of_many_colours(160, 90);
        let served = Served::picture(&picture);
        let mut viewer = viewing(&served, &x11.name, &["--api", api, "--json"], None);
        let window = x11.window("test - Lucarne");
        let plain = shown(&x11, [160, 90], &picture, &ONE_TO_ONE);

        // The table, the keys, and neither.
        let other = || Some(x11.shot(160, 90)).filter(|shot| *shot != plain);
        for letter in ['i', 'h'] {
            x11.press(window, key(letter));
            let written = until("a table", other);
            let outside = (159, 89);
            assert_eq!(
                written.at(outside.0, outside.1),
                plain.at(outside.0, outside.1),
                "{api}: beside the table"
            );
            x11.press(window, key(letter));
            shown(&x11, [160, 90], &picture, &ONE_TO_ONE);
        }

        // Larger and higher than the picture: sharp pixels, and black above and below.
        x11.press(window, key('n'));
        x11.resize(window, 320, 300);
        let large = Placed {
            left: 0,
            top: 60,
            scale: 2,
        };
        shown(&x11, [320, 300], &picture, &large);

        x11.press(window, key('q'));
        let report = viewer.ended(0);
        assert_eq!(report["ended"], "the window was closed", "{report}");
        let size = (report["width"].as_u64(), report["height"].as_u64());
        assert_eq!(size, (Some(160), Some(90)));
        assert!(report["frames"].as_u64() >= Some(1), "{report}");
        assert_eq!(report["api"], api);
    }
}

/// The largest difference of a channel between the window and the picture.
fn farthest(shot: &Shot, picture: &Picture, size: [u32; 2]) -> u8 {
    let all = (0..size[1]).flat_map(|y| (0..size[0]).map(move |x| (x, y)));
    let far = all.flat_map(|(x, y)| {
        let (shown, drawn) = (shot.at(x, y), picture.at(x, y));
        [0, 1, 2].map(|channel| shown[channel].abs_diff(drawn[channel]))
    });
    far.max().unwrap_or(u8::MAX)
}

#[test]
fn each_format_has_its_colours() {
    // The steps of five bits are 8.2 apart.
    let formats = [("XRGB8888", 0), ("ARGB8888", 0), ("ABGR8888", 0)];
    let formats = formats
        .into_iter()
        .chain([("RGB565", 5), ("XRGB2101010", 1)]);
    let picture = Picture::of_many_colours(160, 90);
    for (format, tolerance) in formats {
        for api in APIS {
            let Some(x11) = X11::start(320, 200) else {
                return;
            };
            let mut served = Served::nothing();
            served.again_in(&picture, format);
            let mut viewer = viewing(&served, &x11.name, &["--api", api, "--json"], None);
            let window = x11.window("test - Lucarne");
            until(&format!("{api}: {format}"), || {
                let far = farthest(&x11.shot(160, 90), &picture, [160, 90]);
                (far <= tolerance).then_some(())
            });
            x11.press(window, key('q'));
            assert_eq!(viewer.ended(0)["format"], format, "{api}");
        }
    }
}

#[test]
fn a_stream_that_changes_its_size_is_followed() {
    for api in APIS {
        let Some(x11) = X11::start(320, 200) else {
            return;
        };
        let served = Served::nothing();
        let mut producer = Changing::start(served.folder.path(), 160, 90);
        let mut viewer = viewing(&served, &x11.name, &["--api", api, "--json"], None);
        let window = x11.window("test - Lucarne");
        let blue = [0x20, 0x40, 0x80];
        // Of the window's shape, then half as wide: there is black at its sides.
        for (width, edge) in [(160, blue), (80, [0; 3]), (160, blue)] {
            producer.resize(width, 90);
            until(&format!("{api}: {width} pixels"), || {
                producer.send(blue);
                assert!(viewer.is_running(), "{:?}", viewer.ending());
                let shot = x11.shot(160, 90);
                let middle = [shot.at(80, 1), shot.at(80, 88)];
                (middle == [blue; 2] && shot.at(1, 45) == edge).then_some(())
            });
        }
        x11.press(window, key('q'));
        let report = producer.until_ended(&mut viewer);
        assert_eq!(report["lost"], 0, "{api}: one connection: {report}");
    }
}

#[test]
fn pictures_are_saved_as_they_came() {
    for api in APIS {
        let Some(x11) = X11::start(320, 200) else {
            return;
        };
        let picture = Picture::of_many_colours(101, 67);
        let served = Served::picture(&picture);
        let pictures = tempfile::tempdir().expect("a folder");
        let arguments = [
            "--api",
            api,
            "--json",
            "--size",
            "320x100",
            "--overlay",
            "--pictures",
        ];
        let mut viewer = viewing(&served, &x11.name, &arguments, Some(pictures.path()));
        let window = x11.window("test - Lucarne");
        let names = || {
            let entries = std::fs::read_dir(pictures.path()).expect("a folder");
            let names = entries.flatten().map(|entry| entry.file_name());
            let names = names.map(|name| name.to_string_lossy().into_owned());
            // While it is written it has another name.
            names
                .filter(|name| name.starts_with("test-"))
                .collect::<Vec<_>>()
        };
        // Where no frame came yet, there is nothing to save.
        until("a file", || {
            x11.press(window, key('s'));
            std::thread::sleep(std::time::Duration::from_millis(200));
            (!names().is_empty()).then_some(())
        });
        x11.press(window, key('q'));
        let report = viewer.ended(0);
        let names = names();
        for name in &names {
            let numbers = name
                .strip_prefix("test-")
                .and_then(|rest| rest.strip_suffix(".png"));
            let is_number = |text: &str| text.parse::<u64>().is_ok();
            // Two keys that come together save one frame twice, the second time with "-2" after its number.
            let are_numbers = numbers.is_some_and(|numbers| match numbers.split_once('-') {
                Some((frame, copy)) => is_number(frame) && is_number(copy),
                None => is_number(numbers),
            });
            assert!(are_numbers, "{name}");
            assert_eq!(
                Picture::load(&pictures.path().join(name)),
                picture,
                "{api}: {name}"
            );
        }
        let saved = report["saved"].as_array().expect("a list");
        assert_eq!(saved.len(), names.len(), "{report}");
    }
}

/// The number that a stamp shows, in a window as large as the stream. `None` where something else is there.
fn stamp(shot: &Shot, y: u32) -> Option<u64> {
    let width = shot.width / 64;
    (0..64).try_fold(0, |number, column| {
        let bit = match shot.at(column * width + width / 2, y) {
            [0, 0, 0] => 0,
            [255, 255, 255] => 1,
            _ => return None,
        };
        Some(number << 1 | bit)
    })
}

#[test]
fn a_producer_that_dies_leaves_its_last_frame_and_the_next_one_is_shown() {
    for api in APIS {
        let Some(x11) = X11::start(640, 480) else {
            return;
        };
        let pattern = ["--pattern", "stamp", "--size", "640x200", "--rate", "30"];
        let mut served = Served::start(&pattern);
        let mut viewer = viewing(&served, &x11.name, &["--api", api, "--json"], None);
        let window = x11.window("test - Lucarne");
        let number = || stamp(&x11.shot(640, 200), 5);
        let first = until("a number", || number().filter(|number| *number > 0));
        until(&format!("{api}: a later number"), || {
            number().filter(|next| *next > first)
        });
        // Below, where the stamp is the same as above.
        let has_notice = || {
            let shot = x11.shot(640, 200);
            let other = (0..640).filter(|x| shot.at(*x, 170) != shot.at(*x, 5));
            other.count() > 20
        };
        assert!(!has_notice(), "{api}");

        served.kill();
        until(&format!("{api}: a notice"), || has_notice().then_some(()));
        let last = number().expect("the last frame stays");
        assert!(last >= first);
        served.again(&pattern);
        until(&format!("{api}: the next producer's"), || {
            number().filter(|number| (1..last).contains(number) || *number > last)
        });
        until(&format!("{api}: no notice"), || {
            (!has_notice()).then_some(())
        });
        let first = until("a number", number);
        until(&format!("{api}: it moves again"), || {
            number().filter(|next| *next > first)
        });

        x11.close(window);
        let report = viewer.ended(0);
        assert_eq!(report["ended"], "the window was closed", "{report}");
        assert!(report["lost"].as_u64() >= Some(1), "{report}");
    }
}

#[test]
fn who_waits_sees_a_stream_that_comes_later_and_one_of_another_size() {
    for api in APIS {
        let Some(x11) = X11::start(640, 480) else {
            return;
        };
        let mut served = Served::nothing();
        let arguments = ["--api", api, "--json", "--wait", "--size", "320x180"];
        let mut viewer = viewing(&served, &x11.name, &arguments, None);
        let window = x11.window("test - Lucarne");
        // The notice, before there is a frame.
        let is_white = |pixel: &[u8; 3]| *pixel == [255; 3];
        until(&format!("{api}: a notice"), || {
            x11.shot(320, 180).pixels.iter().any(is_white).then_some(())
        });
        for (width, height, scale, left, top) in [(160, 90, 2, 0, 0), (100, 90, 2, 60, 0)] {
            let picture = Picture::of_many_colours(width, height);
            served.again_with(&picture);
            if width == 160 {
                x11.press(window, key('n'));
            }
            let placed = Placed { left, top, scale };
            until(&format!("{api}: {width}x{height}"), || {
                let shot = x11.shot(320, 180);
                (differences(&shot, [320, 180], &picture, &placed) == 0).then_some(())
            });
            served.interrupt();
        }
        x11.press(window, key('q'));
        let report = viewer.ended(0);
        assert_eq!(report["width"], 100, "{report}");
    }
}

#[test]
fn a_display_that_goes_is_told() {
    for api in APIS {
        let Some(mut x11) = X11::start(320, 200) else {
            return;
        };
        let served = Served::start(&["--size", "160x90"]);
        let mut viewer = viewing(&served, &x11.name, &["--api", api, "--json"], None);
        x11.window("test - Lucarne");
        assert!(x11.is_alive());
        x11.server.0.kill().expect("it runs");
        x11.server.0.wait().expect("a child");
        let said = viewer.complaint();
        assert!(said.contains("the display has gone"), "{api}: {said}");
    }
}

#[test]
fn ends_by_itself_when_told_and_says_what_it_saw() {
    for api in APIS {
        let Some(x11) = X11::start(320, 200) else {
            return;
        };
        let served = Served::start(&["--size", "160x90", "--rate", "100"]);
        let mut viewer = viewing(
            &served,
            &x11.name,
            &["--api", api, "--json", "--frames", "5"],
            None,
        );
        let report = viewer.ended(0);
        assert_eq!(report["frames"], 5, "{report}");
        assert_eq!(report["ended"], "that many frames were asked for");
        assert!(
            report["rate"].as_f64() > Some(0.0) && report["latency_ms"].is_f64(),
            "{report}"
        );
        let mut viewer = viewing(&served, &x11.name, &["--api", api, "--for", "0"], None);
        assert!(viewer.answer(1).contains("the time is over"));
        // Ctrl-C, once there is something to see.
        let mut viewer = viewing(&served, &x11.name, &["--api", api], None);
        until("a picture", || {
            (x11.shot(160, 90).at(150, 80) != [0; 3]).then_some(())
        });
        viewer.interrupt();
        let said = viewer.answer(0);
        assert!(
            said.contains("frames of \"test\", 160x90") && said.contains("asked to"),
            "{said}"
        );
    }
}

#[test]
fn without_a_display_or_a_stream_the_way_on_is_told() {
    let served = Served::start(&["--size", "16x16"]);
    let said = view(&served, &[]).complaint();
    for part in [
        "neither WAYLAND_DISPLAY nor DISPLAY is set",
        "`lucarne snapshot`",
        "need none",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let mut unreachable = view(&served, &[]);
    unreachable.command.env("DISPLAY", ":4242");
    let said = unreachable.complaint();
    assert!(
        said.contains("no window can be opened") && said.contains("need none"),
        "{said}"
    );
    let mut unknown = view(&served, &[]);
    unknown.command.args(["--api", "gl"]);
    unknown.name("tset");
    let said = unknown.complaint();
    let parts = [
        "there is no stream \"tset\"",
        "did you mean test?",
        "--wait",
    ];
    assert!(parts.iter().all(|part| said.contains(part)), "{said}");
}

#[test]
fn without_a_driver_the_other_api_is_named() {
    let Some(x11) = X11::start(320, 200) else {
        return;
    };
    let served = Served::start(&["--size", "160x90"]);
    let missing = [
        ("gl", "__EGL_VENDOR_LIBRARY_FILENAMES", "`--api vulkan`"),
        ("vulkan", "VK_DRIVER_FILES", "`--api gl`"),
    ];
    for (api, variable, other) in missing {
        let mut view = view(&served, &["--api", api]);
        view.command
            .env("DISPLAY", &x11.name)
            .env(variable, "/nowhere.json");
        let said = view.complaint();
        assert!(
            said.contains("no window can be opened") && said.contains(other),
            "{said}"
        );
    }
}

/// Without it winit would panic.
#[test]
fn without_the_library_for_keys_its_package_is_named() {
    let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"];
    let library = folders.map(|folder| Path::new(folder).join("libxkbcommon.so.0"));
    let Some(library) = library.iter().find_map(|path| path.canonicalize().ok()) else {
        return skip("window", "libxkbcommon.so.0 is not installed");
    };
    let served = Served::start(&["--size", "160x90"]);
    let mut view = view(&served, &[]);
    view.command.env("DISPLAY", ":4242");
    let hide = r#"mount --bind /dev/null "$0" && exec "$@""#;
    view.inside(&["unshare", "--mount", "sh", "-c", hide], &library);
    let (code, said) = view.start().ending();
    if said.starts_with("unshare:") || said.starts_with("mount:") {
        return skip("privilege", &said);
    }
    assert_eq!(code, Some(2), "{said}");
    let parts = [
        "libxkbcommon.so.0 is missing",
        "apt install libxkbcommon-x11-0",
    ];
    assert!(parts.iter().all(|part| said.contains(part)), "{said}");
}

#[test]
fn vulkan_does_nothing_that_its_validation_layer_finds() {
    let Some(x11) = X11::start(320, 200) else {
        return;
    };
    let served = Served::start(&["--size", "160x90", "--rate", "100"]);
    let mut viewer = view(&served, &["--api", "vulkan", "--overlay", "--frames", "20"]);
    viewer.command.env("DISPLAY", &x11.name);
    viewer
        .command
        .env("VK_INSTANCE_LAYERS", "VK_LAYER_KHRONOS_validation");
    let said = viewer.everything();
    if said.contains("ERROR_LAYER_NOT_PRESENT") {
        return skip("validation", "VK_LAYER_KHRONOS_validation is not installed");
    }
    assert!(said.contains("showed 20 frames"), "{said}");
    // The layer reads a list that this driver leaves empty: what it says of features then is about the driver.
    let instance = vulkan::Instance::new(&vulkan::InstanceOptions::default()).expect("Vulkan");
    let adapters = instance.adapters().expect("a device");
    let hidden = adapters
        .iter()
        .all(vulkan::Adapter::hides_modifier_features);
    let is_of_driver = |line: &str| hidden && line.contains("VUID-vkCmdDraw-magFilter-04553");
    let complaints = said.lines().filter(|line| line.contains("VUID-"));
    let complaints: Vec<&str> = complaints.filter(|line| !is_of_driver(line)).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}
