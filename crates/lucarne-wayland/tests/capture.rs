//! A screen that a compositor of the test's own writes into our frames (`ext-image-copy-capture-v1`). Every pixel is compared with what was on the
//! screen, also at the other end of a stream.

mod common;
mod compositor;

use std::time::Duration;

use common::{SHORT, allocate, connect, read};
use compositor::capture::Screen;
use compositor::{Behaviour, Compositor};
use lucarne::color::Orientation;
use lucarne::cpu::Allocator;
use lucarne::{Agreement, Extent, Fence, Format, Frame, Tiling, Usage};
use lucarne_stream::{Consumer, ConsumerOptions, Delivery, Producer, ProducerOptions};
use lucarne_tests::picture::Picture;
use lucarne_tests::{TIMEOUT, fds, memory};
use lucarne_wayland::Display;

fn screen(seed: u32, width: u32, height: u32) -> Screen {
    Screen {
        picture: Picture::of_many_colours(width, height, seed),
        is_new: true,
        device: rustix::fs::makedev(226, 200),
        pairs: vec![(Format::XRGB8888, Tiling::from_code(0))],
    }
}

#[test]
fn a_screen_is_captured_pixel_by_pixel_and_again_when_it_changes() {
    let _alone = fds::alone();
    if !memory::can(&Allocator::Udmabuf) {
        return;
    }
    let compositor = Compositor::start(Behaviour::linear(&[Format::XRGB8888]), None);
    let before = fds::list();
    for (width, height) in [(64, 32), (33, 17)] {
        compositor.screen(Some(screen(1, width, height)));
        let display = Display::wrap(&connect(&compositor.socket()), TIMEOUT).expect("a display");
        let mut capture = display.capture(None, false, TIMEOUT).expect("a screen");
        assert_eq!(capture.protocol(), "ext_image_copy_capture_manager_v1");
        assert_eq!(
            capture.extent().expect("a size"),
            Extent::new(width, height)
        );
        let device = lucarne_tests::cpu::open(&Allocator::Udmabuf);
        let (image, buffer) = allocate(&display, &capture, &device);
        for seed in 1..4 {
            compositor.screen(Some(screen(seed, width, height)));
            let captured = capture.capture(&buffer, &Fence::Signaled, TIMEOUT);
            let captured = captured.expect("a compositor").expect("a new picture");
            let must = Picture::of_many_colours(width, height, seed).xrgb8888();
            assert!(
                read(&image, &captured.fence) == must,
                "each pixel, seed {seed}"
            );
            assert_eq!(captured.orientation, Orientation::Flipped180);
            assert_eq!(captured.time, Some(Duration::new(7, 5)));
            // Nothing has changed since.
            let none = capture.capture(&buffer, &Fence::Signaled, SHORT);
            assert!(none.expect("a compositor").is_none());
        }
        compositor.screen(Some(screen(9, width + 1, height)));
        let error = capture.capture(&buffer, &Fence::Signaled, TIMEOUT);
        let text = error.expect_err("another size").to_string();
        assert!(text.contains("begin to capture anew"), "{text}");
    }
    compositor.screen(None);
    let display = Display::wrap(&connect(&compositor.socket()), TIMEOUT).expect("a display");
    let gone = display
        .capture(None, false, TIMEOUT)
        .expect_err("no screen");
    assert!(gone.to_string().contains("the screen has gone"), "{gone}");
    drop(display);
    lucarne_tests::display::until("descriptors of clients that have gone", || {
        (fds::list().len() <= before.len()).then_some(())
    });
}

#[test]
fn a_captured_screen_is_a_streams_producer() {
    let _alone = fds::alone();
    if !memory::can(&Allocator::Udmabuf) {
        return;
    }
    let compositor = Compositor::start(Behaviour::linear(&[Format::XRGB8888]), None);
    compositor.screen(Some(screen(0, 64, 32)));
    let display = Display::wrap(&connect(&compositor.socket()), TIMEOUT).expect("a display");
    let mut capture = display.capture(None, false, TIMEOUT).expect("a screen");
    let device = lucarne_tests::cpu::open(&Allocator::Udmabuf);
    let folder = tempfile::tempdir().expect("a folder");
    let own = device.offer(Usage::all()).expect("an offer");
    let offer = capture.offer(&own);
    let options = ProducerOptions::new(Extent::new(64, 32)).directory(folder.path());
    let (shown, maker) = (
        display.clone(),
        lucarne_tests::cpu::open(&Allocator::Udmabuf),
    );
    let allocate = move |agreement: &Agreement| {
        let image = maker.export(agreement)?;
        let frame = image.frame().clone();
        Ok((shown.export(&frame, TIMEOUT)?, frame))
    };
    let mut producer = Producer::bind("screen", &offer, options, allocate).expect("a name");
    let settings = ConsumerOptions::new(Delivery::Latest).directory(folder.path());
    let import = move |frame: &Frame| device.import(frame);
    let mut consumer = Consumer::connect("screen", &own, settings, import).expect("a stream");
    while producer.consumers() == 0 {
        producer.dispatch().expect("a stream");
        consumer.dispatch().expect("a stream");
    }
    for seed in 1..6 {
        compositor.screen(Some(screen(seed, 64, 32)));
        let slot = producer.acquire(TIMEOUT).expect("a slot");
        let captured = capture.capture(slot.image(), slot.gate(), TIMEOUT);
        let captured = captured.expect("a compositor").expect("a new picture");
        let time = lucarne_stream::now();
        producer.send(slot, captured.fence, time).expect("sent");
        let (reading, acquire) = consumer.receive(TIMEOUT).expect("a frame").acquire();
        let must = Picture::of_many_colours(64, 32, seed).xrgb8888();
        assert!(
            read(reading.image(), &acquire) == must,
            "each pixel, seed {seed}"
        );
        reading.release(Fence::Signaled).expect("a producer");
    }
    assert!(display.exports() <= 3, "each slot was exported once");
}
