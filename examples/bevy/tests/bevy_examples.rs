//! The programs in processes of their own, watched and fed by this one.

use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use lucarne_bevy::lucarne::{Agreement, Extent, Fence, Format, Frame, Request, Usage, cpu};
use lucarne_bevy::lucarne_stream::{
    Consumer, ConsumerOptions, Delivery, Import, Producer, ProducerOptions, now,
};
use lucarne_examples::picture::Picture;

const SCENE: &str = env!("CARGO_BIN_EXE_bevy-scene");
const ROOM: &str = env!("CARGO_BIN_EXE_bevy-room");
/// Longer than a program takes to start on a machine that has other things to do.
const SOON: Duration = Duration::from_secs(120);

/// Ended when dropped.
struct Program(Child);

impl Program {
    fn start(program: &str, folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.arg("--directory").arg(folder).args(arguments);
        Self(command.spawn().expect("cargo built it"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn cpu() -> cpu::Device {
    let adapter = cpu::Adapter::new(cpu::Allocator::HostMemory);
    adapter.open().expect("a CPU")
}

/// A stream, watched with the CPU.
fn watch(folder: &Path, name: &str) -> Consumer<impl Import<Image = cpu::Image>> {
    let device = cpu();
    let offer = device.offer(Usage::SAMPLE).expect("an offer");
    let options = ConsumerOptions::new(Delivery::Latest).directory(folder);
    let import = move |frame: &Frame| device.import(frame);
    Consumer::connect_wait(name, &offer, options, import, SOON).expect("a stream")
}

/// The next picture of a stream that `is` what the test waits for.
fn picture(
    consumer: &mut Consumer<impl Import<Image = cpu::Image>>,
    mut is: impl FnMut(&Picture) -> bool,
) -> Picture {
    let begun = Instant::now();
    loop {
        let (reading, acquire) = consumer.receive(SOON).expect("a frame").acquire();
        let image = reading.image();
        let (picture, done) = Picture::from_mapping(image, &acquire, SOON).expect("pixels");
        reading.release(done).expect("given back");
        if is(&picture) {
            return picture;
        }
        assert!(begun.elapsed() < SOON, "other pictures");
    }
}

#[test]
fn the_scene_moves() {
    let folder = tempfile::tempdir().expect("a folder");
    let size = ["--width", "320", "--height", "180"];
    let _scene = Program::start(SCENE, folder.path(), &size);
    let mut consumer = watch(folder.path(), "scene");
    let first = picture(&mut consumer, |_| true);
    assert_eq!((first.width(), first.height()), (320, 180));
    // The background, exactly, and cubes in front of it.
    assert_eq!(first.pixel(0, 0), [22, 26, 44, 255]);
    picture(&mut consumer, |next| {
        let (_, differing) = first.difference(next).expect("one size");
        differing > 500
    });
}

/// A producer of frames of one colour.
fn send(
    producer: &mut Producer<impl lucarne_bevy::lucarne_stream::Allocate<Image = cpu::Image>>,
    pixel: [u8; 4],
) {
    let slot = producer.acquire(SOON).expect("a slot");
    let row = pixel.repeat(slot.image().row_bytes(0) / 4);
    let written = slot.image().write(slot.gate(), SOON, |rows| {
        (0..36).try_for_each(|y| rows.write_row(0, y, &row))
    });
    let _: &Fence = written.as_ref().expect("written");
    producer
        .send(slot, written.expect("written"), now())
        .expect("sent");
}

/// The screen is unlit, so that its middle has the stream's colour, exactly.
#[test]
fn the_screen_in_the_room_shows_the_stream() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = ["--output", "room"];
    let _room = Program::start(ROOM, folder.path(), &output);
    let mut consumer = watch(folder.path(), "room");
    let middle = |picture: &Picture| picture.pixel(picture.width() / 2, picture.height() / 2);
    picture(&mut consumer, |picture| middle(picture) == [8, 8, 8, 255]);
    let device = cpu();
    let offer = device.offer(Usage::RENDER).expect("an offer");
    let request = Request::new(Extent::new(64, 36)).formats(&[Format::ABGR8888]);
    let options = ProducerOptions::of(request)
        .patience(SOON)
        .directory(folder.path());
    let allocate = move |agreement: &Agreement| {
        let image = device.export(agreement)?;
        let frame = image.frame().clone();
        Ok((image, frame))
    };
    let mut producer = Producer::bind("scene", &offer, options, allocate).expect("a free name");
    for color in [[200, 40, 90, 255], [10, 160, 250, 255], [77, 78, 79, 255]] {
        send(&mut producer, color);
        picture(&mut consumer, |picture| middle(picture) == color);
    }
}

/// Each has its own walls around the screen, and the other's on it.
#[test]
fn two_rooms_show_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let left = ["--input", "right", "--output", "left", "--hue", "0"];
    let right = ["--input", "left", "--output", "right", "--hue", "120"];
    let _left = Program::start(ROOM, folder.path(), &left);
    let _right = Program::start(ROOM, folder.path(), &right);
    for (name, own, other) in [("left", 0, 1), ("right", 1, 0)] {
        let mut consumer = watch(folder.path(), name);
        picture(&mut consumer, |picture| {
            // The middle of the back wall's upper edge, and the same place of the picture on the screen.
            let (width, height) = (picture.width(), picture.height());
            let wall = picture.pixel(width / 2, height / 40);
            let shown = picture.pixel(width / 2, height * 29 / 100);
            let strongest = |pixel: [u8; 4]| (0..3).max_by_key(|channel| pixel[*channel]);
            strongest(wall) == Some(own) && strongest(shown) == Some(other)
        });
    }
}
