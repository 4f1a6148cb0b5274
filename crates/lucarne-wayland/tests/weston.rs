//! Frames in Weston, which draws with llvmpipe or with the CPU: what its screen shows is compared with the frames, pixel by pixel.

mod common;

use std::time::{Duration, Instant};

use common::{Show, Window, handle_events, window};
use lucarne::cpu::Allocator;
use lucarne::{Extent, MemoryPath};
use lucarne_tests::display::{Backend, Running, SOCKET, until, weston};
use lucarne_tests::picture::{Picture, weston_shot};
use lucarne_tests::{TIMEOUT, fds, memory};
use lucarne_wayland::Display;
use tempfile::TempDir;

const SCREEN: [u32; 2] = [640, 480];

struct Screen {
    runtime: TempDir,
    weston: Running,
}

impl Screen {
    fn start(backend: Backend<'_>) -> Option<Self> {
        let runtime = tempfile::tempdir().expect("a folder");
        let [width, height] = SCREEN.map(|side| side.to_string());
        let (width, height) = (format!("--width={width}"), format!("--height={height}"));
        let weston = weston(
            runtime.path(),
            backend,
            &["--debug", "--shell=kiosk-shell.so", &width, &height],
        )?;
        Some(Self { runtime, weston })
    }

    fn window(&self) -> Window {
        window(&self.runtime.path().join(SOCKET))
    }

    /// Waits until the picture is in the middle of the screen, and all else is black; in vain it panics with what differs.
    fn shows(&self, picture: &Picture) {
        let [left, top] =
            [SCREEN[0] - picture.width, SCREEN[1] - picture.height].map(|free| free / 2);
        let begun = Instant::now();
        loop {
            let shot = weston_shot(self.runtime.path());
            let differences = picture.differences_on(&shot, left, top);
            if differences == 0 {
                return;
            }
            assert!(
                begun.elapsed() < TIMEOUT / 4,
                "{differences} pixels of {picture:?} differ"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Pictures of several sizes, odd ones too, are on the screen as they were drawn.
fn pictures_are_seen(backend: Backend<'_>, allocator: &Allocator) {
    let _alone = fds::alone();
    for (seed, (width, height)) in (0..).zip([(640, 480), (333, 217), (65, 33), (1, 1)]) {
        // One for each window: the kiosk shell of Weston 14 crashes now and then when a window ends.
        let Some(screen) = Screen::start(backend) else {
            return;
        };
        let mut window = screen.window();
        let mut show = Show::begin(&window, allocator, Extent::new(width, height), 3);
        assert_eq!(show.agreement.path(), lucarne_tests::cpu::path(allocator));
        for frame in 0..3 {
            let picture = Picture::of_many_colours(width, height, 10 * seed + frame);
            show.show(&picture);
            screen.shows(&picture);
            handle_events(&mut window);
        }
        assert!(show.display.exports() <= 3, "each buffer was exported once");
        drop(screen);
    }
}

#[test]
fn dma_bufs_are_seen_as_they_were_drawn() {
    if memory::can(&Allocator::Udmabuf) {
        pictures_are_seen(Backend::Headless, &Allocator::Udmabuf);
    }
}

#[test]
fn host_memory_is_seen_as_it_was_drawn() {
    pictures_are_seen(Backend::Headless, &Allocator::HostMemory);
}

#[test]
fn a_compositor_without_dma_bufs_takes_host_memory_and_says_why() {
    pictures_are_seen(Backend::Pixman, &Allocator::HostMemory);
    let Some(screen) = Screen::start(Backend::Pixman) else {
        return;
    };
    let window = screen.window();
    let display = Display::wrap(window.connection(), TIMEOUT).expect("a display");
    let offer = display.offer();
    assert_eq!(display.version("zwp_linux_dmabuf_v1"), None);
    let reason = offer.path(MemoryPath::DmaBuf).reason();
    assert!(reason.contains("lacks zwp_linux_dmabuf_v1"), "{reason}");
    assert!(offer.path(MemoryPath::HostMemory).is_yes());
}

/// A thousand frames of three buffers: nothing is exported anew, nothing stays open, and each frame comes back.
fn show_a_thousand_frames(allocator: &Allocator) {
    let _alone = fds::alone();
    let Some(screen) = Screen::start(Backend::Headless) else {
        return;
    };
    let mut window = screen.window();
    let extent = Extent::new(64, 32);
    let mut show = Show::begin(&window, allocator, extent, 3);
    let pictures = [0, 1].map(|seed| Picture::of_many_colours(64, 32, seed));
    let mut before = None;
    for frame in 0..1000 {
        show.show(&pictures[frame % 2]);
        handle_events(&mut window);
        if frame == 10 {
            before = Some(fds::list());
        }
    }
    fds::assert_as_many(&before.expect("it was counted"));
    assert_eq!(show.display.exports(), 3);
    // Weston 14 keeps the last buffer of a surface that it no longer shows until the surface ends.
    assert_eq!(show.end().free(), 3, "every frame is back");
}

#[test]
fn descriptors_stay_the_same_over_a_thousand_frames_of_host_memory() {
    show_a_thousand_frames(&Allocator::HostMemory);
}

#[test]
fn descriptors_stay_the_same_over_a_thousand_dma_bufs() {
    if memory::can(&Allocator::Udmabuf) {
        show_a_thousand_frames(&Allocator::Udmabuf);
    }
}

/// A toolkit that reads the connection reads our events too.
#[test]
fn frames_come_back_where_the_toolkit_reads_the_socket() {
    let _alone = fds::alone();
    let Some(screen) = Screen::start(Backend::Headless) else {
        return;
    };
    let mut window = screen.window();
    let extent = Extent::new(64, 32);
    let mut show = Show::begin(&window, &Allocator::HostMemory, extent, 3);
    for seed in 0..2 {
        show.show(&Picture::of_many_colours(64, 32, seed));
    }
    // Long enough for Weston to show the second, and to release the first.
    for _ in 0..30 {
        handle_events(&mut window);
        std::thread::sleep(Duration::from_millis(10));
    }
    show.surface.give_back().expect("a compositor");
    assert!(show.pool.free() > 1, "the toolkit has read the release");
    drop(screen);
}

/// A compositor that is killed: every call says so, nothing hangs, and the frames come back.
#[test]
fn a_compositor_that_is_killed_is_told_and_frames_come_back() {
    let _alone = fds::alone();
    let Some(mut screen) = Screen::start(Backend::Headless) else {
        return;
    };
    let before = fds::list();
    let window = screen.window();
    let mut show = Show::begin(&window, &Allocator::HostMemory, Extent::new(64, 32), 2);
    show.show(&Picture::of_many_colours(64, 32, 0));
    screen.weston.0.kill().expect("it runs");
    screen.weston.0.wait().expect("a child");
    let error = until("the end", || show.display.dispatch().err());
    assert!(error.to_string().contains("connect again"), "{error}");
    let frame = show.pool.frames()[1].clone();
    let error = show.display.export(&frame, TIMEOUT).err();
    // A buffer of host memory is made without an answer; a frame of it is not shown.
    assert!(error.is_none_or(|error| error.to_string().contains("connect again")));
    let begun = Instant::now();
    assert_eq!(show.end().free(), 2, "every frame is back");
    let limit = Duration::from_secs(5);
    assert!(begun.elapsed() < limit, "nobody waits for the dead");
    drop((frame, window));
    fds::assert_as_many(&before);
}
