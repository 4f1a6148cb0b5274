//! `lucarne view --api wayland`: the compositor shows the stream's memory. Its screen is compared with the frames, pixel by pixel.

use lucarne_tests::display::{Backend, SOCKET, until, weston};
use lucarne_tests::picture::{self, weston_shot};

use super::served::{Picture, Served, Viewer, view};
use super::wayland::{ESCAPE, SIZE, is_somewhere, press};
use super::{X11, key};

struct Screen {
    runtime: tempfile::TempDir,
    _weston: lucarne_tests::display::Running,
}

impl Screen {
    fn start(backend: Backend<'_>) -> Option<Self> {
        let runtime = tempfile::tempdir().expect("a folder");
        let arguments = ["--debug", "--width=640", "--height=480"];
        let weston = weston(runtime.path(), backend, &arguments)?;
        Some(Self {
            runtime,
            _weston: weston,
        })
    }

    fn viewing(&self, served: &Served, arguments: &[&str]) -> Viewer {
        let mut view = view(served, &["--api", "wayland", "--json"]);
        view.command
            .args(arguments)
            .env("XDG_RUNTIME_DIR", self.runtime.path())
            .env("WAYLAND_DISPLAY", SOCKET);
        view.start()
    }

    /// Waits until the whole picture is somewhere on the screen, each pixel as it is.
    fn shows(&self, picture: &Picture, width: u32, height: u32) {
        until(&format!("{width}x{height} on the screen"), || {
            is_there(&weston_shot(self.runtime.path()), picture, width, height).then_some(())
        });
    }
}

fn is_there(screen: &picture::Picture, picture: &Picture, width: u32, height: u32) -> bool {
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    screen.holds(&picture::Picture {
        width,
        height,
        pixels: pixels.map(|(x, y)| picture.at(x, y)).collect(),
    })
}

#[test]
fn the_compositor_shows_each_pixel_of_the_streams_own_memory() {
    for (backend, paths) in [
        (Backend::Headless, &["dma-buf", "host-memory"][..]),
        (Backend::Pixman, &["host-memory"]),
    ] {
        let Some(screen) = Screen::start(backend) else {
            return;
        };
        for (width, height) in [(160, 120), (333, 217)] {
            let picture = Picture::of_many_colours(width, height);
            let served = Served::picture(&picture);
            let mut viewer = screen.viewing(&served, &[]);
            screen.shows(&picture, width, height);
            viewer.interrupt();
            let report = viewer.ended(0);
            let path = report["path"].as_str().expect("a path");
            assert!(paths.iter().any(|one| path.contains(one)), "{report}");
            assert_eq!(report["copies_per_frame"], 0, "{report}");
            assert_eq!(report["width"], width, "{report}");
        }
    }
}

#[test]
fn a_producer_goes_and_another_of_another_size_comes() {
    let Some(screen) = Screen::start(Backend::Headless) else {
        return;
    };
    let mut served = Served::nothing();
    let mut viewer = screen.viewing(&served, &["--wait", "--size", "320x240"]);
    for (width, height) in [(320, 240), (301, 240)] {
        let picture = Picture::of_many_colours(width, height);
        served.again_with(&picture);
        screen.shows(&picture, width, height);
        served.kill();
        // A line over the picture's lower edge says so; its upper part stays.
        until("the notice", || {
            let shot = weston_shot(screen.runtime.path());
            (!is_there(&shot, &picture, width, height)).then_some(())
        });
        assert!(is_there(
            &weston_shot(screen.runtime.path()),
            &picture,
            width,
            100
        ));
        assert!(viewer.is_running());
    }
    viewer.interrupt();
    let report = viewer.ended(0);
    assert_eq!(report["lost"], 2, "{report}");
}

#[test]
fn frames_that_the_compositor_has_do_not_stop_the_producer() {
    let Some(screen) = Screen::start(Backend::Headless) else {
        return;
    };
    let served = Served::start(&["--size", "64x48", "--rate", "120"]);
    let mut viewer = screen.viewing(&served, &["--frames", "200"]);
    let report = viewer.ended(0);
    assert_eq!(report["frames"], 200, "{report}");
    assert_eq!(report["lost"], 0, "nobody was cut off: {report}");
}

/// The compositor smooths what it enlarges, but not within one colour.
#[test]
fn a_window_that_becomes_larger_has_the_compositor_enlarge_the_picture() {
    let Some(x11) = X11::start(640, 480) else {
        return;
    };
    let runtime = tempfile::tempdir().expect("a folder");
    let Some(_weston) = weston(runtime.path(), Backend::X11(&x11.name), &SIZE) else {
        return;
    };
    let window = x11.window("Weston");
    let picture = Picture::of_quarters(160, 120);
    let served = Served::picture(&picture);
    let mut view = view(&served, &["--api", "wayland", "--json"]);
    view.command
        .env("XDG_RUNTIME_DIR", runtime.path())
        .env("WAYLAND_DISPLAY", SOCKET);
    let mut viewer = view.start();
    x11.hide_pointer();
    until("a window", || {
        is_somewhere(&x11.shot(640, 480), &picture).then_some(())
    });
    let fills = || {
        let shot = x11.shot(640, 480);
        // The upper left quarter may be under the pointer.
        let places = [(600, 40), (330, 200), (40, 440), (300, 250), (600, 440)];
        places
            .into_iter()
            .all(|(x, y)| shot.at(x, y) == picture.at(x / 4, y / 4))
    };
    press(&x11, window, &[key('f')], "full screen", fills);
    let is_window = || !fills() && is_somewhere(&x11.shot(640, 480), &picture);
    press(&x11, window, &[ESCAPE], "the window again", is_window);
    press(&x11, window, &[key('q')], "its end", || !is_window());
    assert_eq!(viewer.ended(0)["ended"], "the window was closed");
}

#[test]
fn an_x_server_is_told_apart() {
    let Some(x11) = X11::start(320, 200) else {
        return;
    };
    let served = Served::start(&["--size", "160x90"]);
    let mut view = view(&served, &["--api", "wayland"]);
    view.command.env("DISPLAY", &x11.name);
    let said = view.complaint();
    assert!(
        said.contains("`--api wayland` needs a Wayland compositor"),
        "{said}"
    );
}
